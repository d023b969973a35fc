/* upstream: the stand-in for all providers on one address: an HTTP server around answer.h that can
 * misbehave on command (control.h) at POST /_control {target, fault, value, times}; GET /_control
 * says what is set and counts requests per target.
 *
 * Base URLs for a server that is to use it: http://HOST:PORT/api/v3 for CoinGecko, http://HOST:PORT
 * for every other provider; their WebSockets are ws://HOST:PORT for Binance and Coinbase and
 * ws://HOST:PORT/v2 for Kraken (exchange.h).
 *
 * Runs on the loop it is given, on that loop's thread, and keeps nothing outside itself, so that
 * several may run in a process. SPDX-License-Identifier: MIT */
#ifndef TOOLS_UPSTREAM_H
#define TOOLS_UPSTREAM_H
#include "base/buf.h"
#include "base/loop.h"

struct upstream;

struct upstream_opts {
    struct loop *loop;
    const char *listen; /* "127.0.0.1:0" */
    uint64_t seed;
    unsigned rate;        /* how many times as many trades as usual, to 10,000; 0: 1 */
    const char *fixtures; /* folder of recorded answers; NULL: simulated */
    const char *tape;     /* a capture that the WebSockets play (player.h); then REST has recorded
                             answers or none. NULL: none */
    double tape_speed;    /* 1: as recorded; 0: as fast as it goes */
    const char *tls_cert, *tls_key; /* PEM files, both or none: https:// and wss:// */
    bool quiet;                     /* no log line at the start and for each fault that is set */
};

/* `*port` gets the port taken. On failure `error` gets the sentence. */
enum err upstream_start(const struct upstream_opts *opts, struct upstream **out, uint16_t *port,
                        struct buf *error) MUST_CHECK;
/* Cuts all connections; their memory is gone when the loop has turned a few more times and
 * upstream_free() is allowed once upstream_is_idle(). */
void upstream_stop(struct upstream *u);
bool upstream_is_idle(const struct upstream *u);
void upstream_free(struct upstream *u);

#endif
