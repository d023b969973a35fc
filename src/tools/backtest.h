/* backtest: what following the trading signal would have brought on a series of candles.
 *
 * The rule: at each close the signal is asked (with its hysteresis); at the NEXT candle's open a
 * position is taken when it says BUY and given up when it says anything else. All in or all out, no
 * leverage, no short; `fee` of the value at each side. The first decision needs SIGNAL_BARS
 * candles. The benchmark buys at the same first open, sells at the last close, and pays the same
 * fees; a position still open at the end is sold at the last close.
 *
 * Nothing is known of spread, depth, delay and tax. Pure: chance comes from `seed`.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_BACKTEST_H
#define TOOLS_BACKTEST_H
#include "base/err.h"
#include "market/series.h"

#define BACKTEST_YEARS 64

struct backtest_opts {
    double fee; /* 0.001 is 0.1 % of the value at each buy and sell; 0 <= fee < 1 */
    uint64_t seed;
    size_t resamples; /* of the bootstrap, 100 at least */
    double block;     /* its mean block in candles, >= 1 */
};

/* A figure and the 95 % interval around it; NaN: unknown. */
struct backtest_range {
    double value, low, high;
};

struct backtest_side {
    double total;                   /* return over the whole, after fees */
    struct backtest_range per_year; /* compound; interval by stationary bootstrap */
    double max_drawdown;            /* of the value at closes, 0 or negative */
    double sharpe;                  /* NaN: it never moved */
};

struct backtest_year {
    int year;
    double strategy, hold; /* returns */
    double exposure;
    size_t trades; /* entered in this year */
};

struct backtest {
    int64_t first_ms, last_ms; /* candles that were traded on, open times */
    size_t candles;
    size_t buy, sell, held;         /* decisions: BUY, SELL, HOLD on good data */
    size_t unfit;                   /* HOLD for the data's sake: holes and what follows them */
    size_t trades, wins;            /* round trips; those that gained after fees */
    struct backtest_range hit_rate; /* Wilson's interval */
    double exposure;                /* share of candles in the market */
    struct backtest_side strategy, hold;
    struct backtest_range excess; /* per year: (1+strategy)/(1+hold)-1, resampled in pairs */
    struct backtest_year years[BACKTEST_YEARS];
    size_t year_count;
};

/* ERR_MORE: fewer than SIGNAL_BARS + 2 candles; ERR_RANGE: more than BACKTEST_YEARS years, or
 * candles without an interval. */
enum err backtest_run(const struct series *s, const struct backtest_opts *opts,
                      struct backtest *out) MUST_CHECK;
/* Wilson's 95 % interval of `wins` in `count`; NaN when count is 0. */
struct backtest_range backtest_wilson(size_t wins, size_t count);

#endif
