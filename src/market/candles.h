/* candles: OHLCV of 1m 5m 15m 1h 4h 1d, from trades by exchange time, per symbol.
 *
 * A series is made of one venue (the first in the order Binance, Coinbase, Kraken that trades the
 * symbol; it stays so while that feed lives), for sums over venues would mix quotes and could not
 * be repaired from anybody's history. Minutes are made of trades; the longer ones of minutes and of
 * the open minute. A minute without trades has no candle. A candle closes when the exchange's
 * clock, as far as it is known, is `late_ms` past its end; until then the order in which trades
 * come does not matter. A trade that comes later than that amends it, and it is given out again.
 * Minutes during which the feed was down or ids are missing are gaps until history fills them; a
 * candle that touches one says so, as does one that began before we listened, or of which parts are
 * of different venues. Before the first trade of a series, from the hour's begin on, is a gap too.
 *
 * Pure state of the main thread; times are arguments; volumes are exact to 18 digits.
 * SPDX-License-Identifier: MIT */
#ifndef MARKET_CANDLES_H
#define MARKET_CANDLES_H
#include "base/decimal.h"
#include "base/err.h"
#include "base/str.h"
#include "market/market.h"

enum interval {
    INTERVAL_1M,
    INTERVAL_5M,
    INTERVAL_15M,
    INTERVAL_1H,
    INTERVAL_4H,
    INTERVAL_1D,
    INTERVALS
};
const char *interval_name(enum interval i); /* "1m" */
int64_t interval_ms(enum interval i);
/* INTERVALS: no such. */
enum interval interval_of(struct str name);

enum candle_flag {
    CANDLE_CLOSED = 1,
    CANDLE_GAP = 2,      /* trades of it are missing */
    CANDLE_REPAIRED = 4, /* what was missing came from history */
    CANDLE_AMENDED = 8,  /* a late trade changed it after its end */
    CANDLE_HISTORY = 16, /* from REST or the database, not from trades seen here */
};

struct candle {
    int64_t open_ms;
    struct decimal open, high, low, close;
    struct decimal volume; /* base coin */
    double quote_volume;   /* sum of price times quantity, in the venue's quote */
    double taker_buy;      /* base coin that takers bought; NaN: unknown */
    uint32_t trades;       /* 0: unknown (history of venues that do not say) */
    uint8_t flags;
    uint8_t venue; /* enum market_venue: whose it is */
};

struct candles_listener {
    /* A candle closed, or a closed one was amended, turned out to have a gap, or was repaired (also
     * longer ones made of history; not the rows of candles_fill() that found nothing in their
     * place). May be NULL. */
    void (*closed)(void *self, uint32_t symbol, enum interval i, const struct candle *c);
    /* The open candle of an interval changed by a trade. May be NULL. */
    void (*changed)(void *self, uint32_t symbol, enum interval i, const struct candle *c);
    /* Whether the venue's feed of the symbol is alive: that nobody trades there is then no reason
     * to take another. May be NULL: silence alone counts. */
    bool (*is_alive)(void *self, uint32_t symbol, enum market_venue v);
    void *self;
};

struct candles_opts {
    size_t keep;      /* candles an interval and symbol in memory; 0: 1,000 */
    uint32_t late_ms; /* 0: 2,000 */
    struct candles_listener listener;
};

struct candles;
struct candles *candles_new(const struct candles_opts *opts);
void candles_free(struct candles *c);
void candles_reset(struct candles *c);
/* As if the symbol had never traded. Counts stay. */
void candles_forget(struct candles *c, uint32_t symbol);

/* A trade of any venue; those of other venues than the series' are passed over (and make it change
 * venue when the old one was silent for 60 s of exchange time, for an hour while its feed is
 * alive, or at once while the series is
 * younger than that and the other comes first in the order; the candles under way are then a gap).
 * By exchange time; by receipt where the venue says none. */
void candles_trade(struct candles *c, const struct tick *t);
/* The exchange clock is at least there; closes what is due. `now_ms` is our estimate of it: from
 * then on a trade moves the clock at most a minute ahead of it. */
void candles_time(struct candles *c, int64_t now_ms);
/* The feed of that venue missed trades of a symbol in [from_ms, to_ms]. */
void candles_gap(struct candles *c, uint32_t symbol, enum market_venue v, int64_t from_ms,
                 int64_t to_ms);
/* History of the series' venue (which it decides where there is none yet), any order; closed
 * candles only, all there are from the first to the last. Fills what is missing, replaces what has
 * a gap or is of another venue, leaves the rest; rows are summed up into the longer ones where
 * these are missing or have a gap. Gives how many were taken; rows that cannot be (a time off the
 * grid, a high below the low, ...) are not. */
size_t candles_fill(struct candles *c, uint32_t symbol, enum market_venue v, enum interval i,
                    const struct candle *rows, size_t count);
/* Oldest first, the open one last; lives until the next change. NULL and 0: nothing known. */
const struct candle *candles_series(const struct candles *c, uint32_t symbol, enum interval i,
                                    size_t *count);
/* MARKET_VENUES: none yet. */
enum market_venue candles_venue(const struct candles *c, uint32_t symbol);
/* A gap not yet repaired, as far as its minutes are over, to be asked of REST as 1m candles with
 * open times from `from_ms` to before `to_ms`: the one that was given the longest ago or never, of
 * these the earliest, so that one that nobody fills does not keep the others waiting; false: none.
 * Gaps older than `keep` minutes are forgotten. */
bool candles_next_gap(struct candles *c, uint32_t *symbol, enum market_venue *v, int64_t *from_ms,
                      int64_t *to_ms);
/* History of minutes was asked for there and candles_fill() has got all there is: what is missing
 * had no trades. */
void candles_asked(struct candles *c, uint32_t symbol, enum market_venue v, int64_t from_ms,
                   int64_t to_ms);

struct candles_stats {
    uint64_t trades, late, amended, gaps, repaired, other_venue;
};
void candles_stats(const struct candles *c, struct candles_stats *out);

#endif
