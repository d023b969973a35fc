/* live: what the two ends of the program of that name (live.c) share: the state, the exchange and
 * the clients. One thread. SPDX-License-Identifier: MIT */
#ifndef BENCH_LIVE_H
#define BENCH_LIVE_H
#include "base/buf.h"
#include "tools/histogram.h"

enum {
    MAX_SYMBOLS = 64,
    STAMPS = 1 << 16, /* kept a symbol */
    BASE_CENTS = 5000000,
    READ_BYTES = 1 << 18,
    PATIENCE_US = 10000000,
};

/* In the place of a time: no single client's latency is counted. */
#define WHOLE_ROUNDS UINT64_MAX

/* What an event is of, where it is no client's index. */
enum { OF_LISTENER = UINT32_MAX - 2, OF_FEED, OF_TIMER };

struct client {
    int fd;
    bool upgraded, ready;
    struct buf cut; /* a frame that is not whole yet */
    uint32_t *have; /* by symbol: the newest trade it was told of */
    uint64_t wants; /* a bit a symbol */
};

struct live {
    uint16_t port, exchange_port;
    size_t client_count, symbol_count, each;
    uint64_t rate, duration_us, size;
    bool bare;

    int epoll, listener, feed, timer;
    bool subscribed; /* the server asked the exchange for trades */
    struct client *clients;
    size_t ready;
    char names[MAX_SYMBOLS][16];
    uint64_t *stamps[MAX_SYMBOLS]; /* by n modulo STAMPS: when that trade left */
    uint32_t sent[MAX_SYMBOLS];    /* the last n */
    uint64_t trades, measured_from, messages, bytes, pairs_due, pairs_got;
    size_t reached;    /* clients that have the trade of this round */
    uint64_t heard_us; /* when the last of them had it */
    struct histogram latency;
    char input[READ_BYTES];
};

extern struct live live;

void live_die(const char *what);
uint64_t live_now_us(void);
/* Events of that fd carry `whose`: a client's index or one of those above. */
void live_watch(int fd, uint32_t whose);
/* Connects, with patience while nobody listens yet. */
int live_open_socket(uint16_t port);

/* The exchange: a connection to accept, something to read on it, a trade to send. */
void live_take_feed(void);
void live_hear_feed(void);
void live_send_trade(size_t symbol);

/* The clients: opens one, reads one. */
void live_open_client(size_t index);
void live_hear_client(struct client *c);

#endif
