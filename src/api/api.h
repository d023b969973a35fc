/* api: the product's contract: routes, client commands, messages. It has two halves.
 *
 * *api_main* lives on the main thread: it turns what changed in the market into published messages,
 * publishes what others post, and keeps the ready answers (summary, health) of the shards fresh.
 * *api_shard* lives on each shard: it owns the sessions, answers requests from ready answers, runs
 * client commands on its fanout, and asks the main half by letter for what only that can do
 * (publish, refresh). Answers come back by letter; a client that left meanwhile is not found and
 * not missed.
 *
 * api cannot name the sources: a forced refresh is a function that app gives it.
 * SPDX-License-Identifier: MIT */
#ifndef API_API_H
#define API_API_H
#include "base/json.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "hub/fanout.h"
#include "hub/hub.h"
#include "market/candles.h"
#include "market/market.h"
#include "market/summary.h"
#include "net/net.h"

struct api_main;
struct api_shard;
struct sentiment; /* market/sentiment.h */
struct signal;    /* market/signal.h */

/* Set once before threads start; read by all. Texts are borrowed for the life of the server. */
struct api_settings {
    const char *token;       /* COINCAST_API_TOKEN; NULL: publishing is off */
    const char *origins;     /* comma-separated allowed origins besides the same one; NULL */
    const char *listen;      /* as told to people */
    bool loopback_only;      /* Host is checked */
    bool limit_loopback;     /* loopback peers are rate limited too */
    bool trusted_proxy;      /* X-Forwarded-For says who asks */
    uint32_t requests_per_s; /* per address; 0: no limit */
    uint32_t commands_per_s; /* per client */
    uint32_t dashboard_ms;   /* how often dashboard_update is sent */
    uint32_t btc_price_ms;   /* how often btc_price_update is sent */
    uint32_t drain_ms;
    bool sources; /* false: a plain hub */
    const char *version;
    size_t max_subscriptions; /* of a client; 0: the fan-out's own limit */
    /* What "now" is in all that is said: a replay's. Timers of clients go by the machine's. NULL:
     * the machine's. */
    const struct clock *clock;
};

/* ---- main half ---- */

typedef void (*api_refresh_done_fn)(void *self, bool refreshed, const char *reason);
/* Closed candles, oldest first, borrowed for the call. `problem` (NULL: all is well) says in a
 * sentence why there are none. */
typedef void (*api_candles_done_fn)(void *done_self, const struct candle *rows, size_t count,
                                    const char *problem);
struct api_main_opts {
    struct loop *loop;
    struct mailbox *mail; /* of the main loop: letters from shards */
    struct hub *hub;
    struct summary *summary;
    struct market *market;   /* borrowed, read only; NULL: none */
    struct candles *candles; /* the same */
    const struct api_settings *settings;
    /* Forces a fetch of what is older than its TTL; `done` follows, possibly at once. NULL: no
     * sources. */
    void (*refresh)(void *self, api_refresh_done_fn done, void *done_self);
    /* A reader found the price old (C5). */
    void (*demand)(void *self);
    /* Appends the members of "components" of /api/health and gives the worst status: 0 ok, 1
     * degraded, 2 down. */
    int (*health)(void *self, struct json_writer *w);
    /* The L2 copy of the summary is due. May be NULL. */
    void (*keep)(void *self, struct str summary);
    /* The newest `limit` closed candles of [from_ms, to_ms), for what is not in memory. `done`
     * follows once, possibly at once. NULL: there are none but those in memory. */
    void (*older_candles)(void *self, uint32_t symbol, enum interval i, int64_t from_ms,
                          int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self);
    /* The first client wants (or the last one no longer wants) a symbol that is offered but not
     * watched; upper case, borrowed for the call. NULL: such symbols stay unknown. */
    void (*want)(void *self, struct str symbol, bool wanted);
    void *self;
    const char *io_name; /* of the shards, for health */
};
struct api_main *api_main_new(const struct api_main_opts *opts);
void api_main_free(struct api_main *a);
/* The shards' back end, known once they are built. Borrowed. */
void api_main_set_io(struct api_main *a, const char *io_name);
/* After all shards are there: first answers, timers. */
void api_main_start(struct api_main *a);
/* The summary changed: answers are made anew; what was unknown and is known now is sent at once. */
void api_main_changed(struct api_main *a);
/* The mode changed: a new epoch, everything is sent anew. */
void api_main_mode_changed(struct api_main *a);
/* Publishes the dashboard now ("force_update" or "scheduled_update"). */
void api_main_publish_dashboard(struct api_main *a, const char *source);

/* ---- main half: live markets. Without sources (a plain hub) these publish nothing. ---- */

/* The quote of a symbol of the market changed. Only marks it: the rows of all marked symbols go out
 * as one message at the end of the loop's turn, in the order in which symbols were first named
 * here (so name the watched ones in order at the start). */
void api_main_quote_changed(struct api_main *a, uint32_t symbol);
/* The symbol of the market is asked of the feeds from now on, or no longer. */
void api_main_symbol_watched(struct api_main *a, uint32_t symbol, bool watched);
/* An exchange offers the symbol (upper case): clients may subscribe to it, then `want` is called.
 * Knows symbols once, however often it is told. */
void api_main_symbol_offered(struct api_main *a, struct str symbol);
/* The open candle of an interval changed, or one closed, was amended or repaired. Open ones are
 * sent at most four times a second and only while somebody watches, closed ones at once. */
void api_main_candle(struct api_main *a, uint32_t symbol, enum interval i, const struct candle *c,
                     bool closed);
/* Candles of the past came: who watches a series that nobody trades sees its newest. */
void api_main_candles_came(struct api_main *a, uint32_t symbol, enum interval i);
/* The signal of a symbol as it stands, copied. `changed`: it is worth a message now; else it is
 * only kept for repeats and REST. */
void api_main_signal(struct api_main *a, uint32_t symbol, const struct signal *s, bool changed);
/* The sentiment, copied and sent: on change, and every 10 s. */
void api_main_sentiment(struct api_main *a, const struct sentiment *s);

/* ---- shard half ---- */

struct api_shard_opts {
    struct loop *loop;
    struct mailbox *mail; /* of the shard's loop: letters from main */
    struct mailbox *main_mail;
    struct api_main *main; /* named in letters only, never called from the shard */
    const struct api_settings *settings;
    struct net_opts net; /* handler, self, user_bytes are filled in here */
    /* What addresses do, on all shards; borrowed. */
    struct tally *sessions_of; /* Socket.IO sessions */
    struct throttle *requests; /* NULL: no limit */
    int index;
};
struct api_shard *api_shard_new(const struct api_shard_opts *opts);
void api_shard_free(struct api_shard *s);
struct fanout *api_shard_fanout(struct api_shard *s);
struct net_server *api_shard_net(struct api_shard *s);
/* Main thread: the shard is told in letters; call before api_main_start(). */
void api_main_add_shard(struct api_main *a, struct api_shard *s, struct mailbox *mail);
/* Shard thread: tells clients to come back after a spread delay, finishes. Who polls is told at the
 * next poll; nobody else is served any more. */
void api_shard_drain(struct api_shard *s);
/* Shard thread, from then on: how many are to be told at their next poll. */
size_t api_shard_untold(const struct api_shard *s);
/* Shard thread: stops accepting, and nobody's next poll is waited for any longer. */
void api_shard_close(struct api_shard *s);
/* Shard thread: cuts what is left. */
void api_shard_cut(struct api_shard *s);
/* Shard thread: no conn is left and none is taken over any more; api_shard_free() may follow. */
void api_shard_finish(struct api_shard *s);

#endif
