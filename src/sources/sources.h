/* sources: the facade of this folder: asks the providers by the scheduler's plan, judges what comes
 * back, and hands values up through the callbacks of its options.
 *
 * The app owns loop, fetch, store and recorder; they outlive the sources, with one exception: a
 * count on its way to the disk ends in a callback here, so the order at the end is sources_stop(),
 * db_close(), sources_free(). Callbacks never come from inside sources_new(), sources_start() or
 * sources_refresh(). Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_SOURCES_H
#define SOURCES_SOURCES_H
#include "base/loop.h"
#include "market/summary.h"
#include "sources/budget_db.h"
#include "sources/fetch.h"
#include "sources/host.h"
#include "sources/recorder.h"
#include "sources/scheduler.h"

struct sources_opts {
    struct loop *loop;
    /* NULL: nobody is asked, and answers come by sources_take_recorded() (a replay). Do not start
     * such sources. */
    struct fetch *fetch;
    struct db *db; /* where counts are kept; NULL: in memory only */
    /* Instead of `db`, for tests; outlives the sources. NULL: db. */
    const struct budget_store *store;
    struct recorder *recorder; /* NULL: nothing is recorded */
    /* By provider; NULL and 0: its own default (provider_row()). */
    const char *base_url[PROVIDER_COUNT]; /* http:// or https:// */
    const char *secret[PROVIDER_COUNT];   /* CoinGecko's key, TAAPI's secret; NULL or "": none */
    uint32_t per_minute[PROVIDER_COUNT];
    int64_t per_month[PROVIDER_COUNT]; /* -1: no limit */
    /* Shared with whoever else asks that provider; outlives the sources. NULL: it says none. */
    struct weight *weight[PROVIDER_COUNT];
    uint32_t price_ttl_ms, summary_ttl_ms; /* contracts 1: 3000, 30000 */
    enum sources_profile profile;
    enum market_mode mode; /* what it begins as */
    uint64_t seed;         /* of jitter; 0: a fixed one */

    /* A value came. Gives summary_apply()'s verdict: ERR_RANGE makes the next source be asked. */
    enum err (*value)(void *self, const struct summary_report *r);
    /* A field could not be got; a sentence for people. */
    void (*failed)(void *self, enum summary_field field, const char *why);
    /* The same for parts of the outlook: gives outlook_apply()'s verdict. Both may be NULL. */
    enum err (*outlook)(void *self, const struct outlook_report *r);
    void (*outlook_failed)(void *self, enum outlook_part part, const char *why);
    /* Closed daily candles, oldest first, borrowed. May be NULL. */
    void (*daily)(void *self, const char *provider, const char *instrument,
                  const struct daily_candle *candles, size_t count);
    /* Upstream said that it is simulated or recorded: everything from here on is of that mode.
     * Comes before the first value of it. */
    void (*mode_changed)(void *self, enum market_mode mode);
    void *self;
};

struct sources;

struct sources *sources_new(const struct sources_opts *opts);
/* Begins to ask, as soon as the counts of earlier runs are read. */
void sources_start(struct sources *s);
/* Ends all flights and timers; waiting refreshes are not answered. */
void sources_stop(struct sources *s);
/* After sources_stop() and db_close(). */
void sources_free(struct sources *s);

/* An answer of a recording, as if it had just come: the same judging, rounds and callbacks as live.
 * Whose it is and to what is known by `source` and the path of `url` (secrets masked), whatever
 * base URL it was asked at. False: it belongs to no end point of ours, and nothing was done. */
bool sources_take_recorded(struct sources *s, struct str source, struct str url,
                           const struct fetch_answer *a);
/* Forced: asks at once for all that is older than its TTL, one fetch however many ask. `done` comes
 * later, once, unless the sources are stopped before. */
void sources_refresh(struct sources *s, refresh_done_fn done, void *self);
/* Someone reads, or watches now: wakes idle pace, and asks for a price older than 5 min (C5). */
void sources_note_demand(struct sources *s);
/* A live feed gave the BTC price: REST tickers are not needed for it now. */
void sources_note_feed_price(struct sources *s);

/* Another way in (a feed) found that upstream is not the real one; never turns back to live. */
void sources_set_mode(struct sources *s, enum market_mode mode);
enum market_mode sources_mode(const struct sources *s);
/* Each provider in turn; texts live until the next call. */
typedef void (*sources_health_fn)(void *self, const struct host_health *health);
void sources_health_each(struct sources *s, sources_health_fn fn, void *self);
/* Some provider has answered with a value since the start. */
bool sources_answered(const struct sources *s);
/* All that was asked since the start has failed, and nothing is under way. */
bool sources_unreachable(const struct sources *s);

#endif
