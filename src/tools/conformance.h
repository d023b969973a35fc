/* conformance: a server for public protocol test suites: a page, a WebSocket echo with every
 * negotiable deflate parameter, a body counter, an event stream, Engine.IO and Socket.IO. It trusts
 * everybody and limits nobody; it is no part of the product's server. SPDX-License-Identifier: MIT
 */
#ifndef TOOLS_CONFORMANCE_H
#define TOOLS_CONFORMANCE_H
#include "base/buf.h"
#include "base/loop.h"

struct conformance_opts {
    struct loop *loop;
    const char *listen;             /* HOST:PORT; port 0 takes a free one */
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain */
    uint64_t max_message;           /* bytes of a WebSocket message, also of a posted body */
    uint64_t max_fragments;
    uint64_t ping_interval_ms, ping_timeout_ms; /* Engine.IO */
    uint64_t connect_timeout_ms;                /* Socket.IO */
    uint64_t max_payload;                       /* Engine.IO */
};

struct conformance;

/* Defaults of all but loop, listen and TLS. */
void conformance_defaults(struct conformance_opts *opts);
/* Listens; `error` gets the sentence when it can't. */
enum err conformance_start(const struct conformance_opts *opts, struct conformance **out,
                           uint16_t *port, struct buf *error) MUST_CHECK;
/* No further clients; those there are told to go. */
void conformance_stop(struct conformance *c);
/* Cuts who is left; then turn the loop until conformance_is_idle(). */
void conformance_cut(struct conformance *c);
bool conformance_is_idle(const struct conformance *c);
/* When idle. */
void conformance_free(struct conformance *c);

#endif
