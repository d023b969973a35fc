/* feeds: the exchanges' WebSocket streams, held open, watched and repaired: one session machine a
 * venue (feed_binance.c, feed_coinbase.c, feed_kraken.c) over a common connection (feed.c), by the
 * duties of each venue: subscription limits, pings, liveness, turnover before 24 h without a loss,
 * ids watched for holes, repair from REST.
 *
 * What comes in goes up through the callbacks as ticks; nothing here keeps a price. Main thread.
 * Real sockets are behind `struct link_ops` (link.h), REST behind fetch.h: both are faked in tests.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_FEEDS_H
#define SOURCES_FEEDS_H
#include "base/loop.h"
#include "market/candles.h"
#include "market/market.h"
#include "market/summary.h"
#include "sources/fetch.h"
#include "sources/host.h"
#include "sources/link.h"
#include "sources/recorder.h"
#include "sources/weight.h"

struct feeds;

struct feeds_opts {
    struct loop *loop;
    struct link *link;         /* NULL: no connections are made (replay) */
    struct fetch *fetch;       /* for repair, history, lists of instruments; NULL: none of it */
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct market *market;     /* read: names and ids of symbols; ticks go through `tick` */
    /* NULL: the public one. Binance's without a path ("/stream" is put behind it), the others' as
     * they are dialled. */
    const char *ws_url[MARKET_VENUES];
    const char *rest_url[MARKET_VENUES]; /* NULL: the public one */
    /* Of the venue's REST, shared with whoever else asks it; outlives the feeds. NULL: its own. */
    struct weight *weight[MARKET_VENUES];
    enum market_mode mode;
    uint64_t seed; /* of jitter */

    void (*tick)(void *self, const struct tick *t);
    /* A trade that was missed and comes after newer ones (from REST, or of the old connection while
     * it is replaced): for candles, not for prices. May be NULL. */
    void (*late)(void *self, const struct tick *t);
    /* market_confirm() and market_down() */
    void (*confirm)(void *self, enum market_venue v, uint32_t symbol);
    void (*down)(void *self, enum market_venue v, uint32_t symbol, const char *reason);
    /* Trades of a symbol between these times were missed (and could not be fetched one by one). */
    void (*gap)(void *self, enum market_venue v, uint32_t symbol, int64_t from_ms, int64_t to_ms);
    /* Closed candles of REST, any order; borrowed. */
    void (*history)(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                    const struct candle *rows, size_t count);
    /* An answer of REST, given out before if it has candles, has all there are in [from_ms, to_ms):
     * where it has none, nobody traded. May be NULL. */
    void (*asked)(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                  int64_t from_ms, int64_t to_ms);
    /* A handshake said that it is simulated or recorded. Comes before the first tick of it. */
    void (*mode_changed)(void *self, enum market_mode mode);
    /* The list of what can be watched grew: symbols that some venue offers in USD or USDT. May be
     * NULL. */
    void (*offered)(void *self, struct str symbol);
    void *self;
};

struct feeds *feeds_new(const struct feeds_opts *opts);
void feeds_start(struct feeds *f);
/* Closes all connections; no callback follows. */
void feeds_stop(struct feeds *f);
void feeds_free(struct feeds *f);

/* From now on the symbol (of the market) is wanted, or not any more; takes effect within a second,
 * within the venues' limits. What is not wanted any more is down until it says a price again. USDT
 * itself is always watched where it is offered. */
void feeds_watch(struct feeds *f, uint32_t symbol, bool wanted);
size_t feeds_watched(const struct feeds *f);
/* Asks REST for closed candles: of an interval, the newest `count` that end before `before_ms` (0:
 * now), at most 1,000 (Binance), 300 (Coinbase), 720 (Kraken, only the newest there are). Coinbase
 * has none of 4h: the rows of 1h of that time (299 times 4h at most) are given instead, newest
 * first, in up to 4 answers, each beginning with a whole 4h. One at a time a host, within its
 * limiter; the answer is `history`, or nothing. */
void feeds_ask_history(struct feeds *f, enum market_venue v, uint32_t symbol, enum interval i,
                       size_t count, int64_t before_ms);

/* A frame of a recording, as if it had just come from that venue: the same parsing and the same
 * callbacks as live (liveness, ids, gaps), without a connection. */
void feeds_replay_frame(struct feeds *f, enum market_venue v, struct str frame);
/* A connection of a recording was made, or ended with a close code: when the last one of a venue
 * breaks (1000 is our own doing), its prices are down until it says new ones. */
void feeds_replay_opened(struct feeds *f, enum market_venue v);
void feeds_replay_closed(struct feeds *f, enum market_venue v, int code);
/* An answer of a venue's REST in a recording, to what `purpose` says (struct record), as if it had
 * just come: lists, repaired trades, history. After the first one of a venue, holes in ids wait for
 * theirs; before, and where there is none, they are gaps at once. False: the words mean nothing. */
bool feeds_take_recorded(struct feeds *f, enum market_venue v, struct str purpose,
                         const struct fetch_answer *a);
/* The venue's own time of a frame, Unix ms, for recordings that have none; 0: it says none. */
int64_t feeds_frame_time(enum market_venue v, struct str frame);

struct feed_health {
    const char *name; /* "binance feed" */
    enum health_status status;
    const char *reason;                           /* "" when well */
    int64_t since_ms, next_try_ms, last_frame_ms; /* Unix; 0: none */
    const char *url;
    size_t connections, symbols;
    uint64_t frames, ticks, ignored, rejected, gaps, repaired, doubled, reconnects, turnovers;
    int64_t lag_ms; /* receipt less the venue's time of the newest frame; may be negative */
    bool has_lag;
    /* Of the venue's own limit per IP and minute, by its REST answers; limit 0: it has not said. */
    uint64_t weight_used, weight_limit;
};
typedef void (*feeds_health_fn)(void *self, const struct feed_health *health);
void feeds_health_each(struct feeds *f, feeds_health_fn fn, void *self);

#endif
