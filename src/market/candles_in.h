/* What candles.c (trades) and candles_fill.c (gaps and history) share; not for others.
 * SPDX-License-Identifier: MIT */
#ifndef MARKET_CANDLES_IN_H
#define MARKET_CANDLES_IN_H
#include "market/candle_rows.h"
#include "market/candles.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define NEVER_MS INT64_MAX
#define HOLES_MAX 64

/* Minutes [from_ms, to_ms) of which trades are missing. */
struct hole {
    int64_t from_ms, to_ms;
    uint64_t given; /* in which turn candles_next_gap() gave it last; 0: never */
};

struct symbol_candles {
    enum market_venue venue; /* MARKET_VENUES: none yet */
    struct candle_rows series[INTERVALS];
    /* From then on what is missing in a series had no trades, but for holes; NEVER_MS: nothing is
     * known. */
    int64_t since_ms[INTERVALS];
    struct hole holes[HOLES_MAX]; /* by time, none touches another */
    size_t hole_count;
    int64_t live_ms;      /* trades count from then on; NEVER_MS: none came yet */
    int64_t heard_ms;     /* exchange time of the venue's last trade */
    int64_t clock_ms;     /* the exchange's clock is at least there */
    int64_t closed_to_ms; /* what was due then is closed */
    int64_t next_close_ms;
    bool pinned; /* history decided about the venue */
};

struct candles {
    struct candles_opts opts;
    struct symbol_candles **symbols; /* by id; NULL: nothing yet */
    size_t count;
    struct candles_stats stats;
    uint64_t turns; /* of candles_next_gap() */
    int64_t now_ms; /* as candles_time() last said */
};

static inline int64_t grid(int64_t at_ms, int64_t step_ms)
{
    return at_ms - at_ms % step_ms;
}

struct symbol_candles *candles_symbol(struct candles *c, uint32_t symbol);
/* Tells that a closed row changed. */
void candles_tell_closed(struct candles *c, uint32_t symbol, enum interval i,
                         const struct candle *row);
/* Since when the series of an interval is known, by itself or by shorter ones. */
int64_t candles_known_since(const struct symbol_candles *s, enum interval i);
bool candles_has_hole(const struct symbol_candles *s, int64_t from_ms, int64_t to_ms);
/* Adds minutes, without marking candles. */
void candles_add_hole(struct symbol_candles *s, int64_t from_ms, int64_t to_ms);
/* Marks the candles that touch these minutes. */
void candles_mark_gap(struct candles *c, uint32_t symbol, int64_t from_ms, int64_t to_ms);
/* Where the newest minute ends (without minutes: the newest candle); 0: none. */
int64_t candles_last_end(const struct symbol_candles *s);
/* Closes what is due by the symbol's clock. */
void candles_close_due(struct candles *c, uint32_t symbol, struct symbol_candles *s);
void candles_trim(const struct candles *c, struct symbol_candles *s);

#endif
