/* daily: a run of daily candles, and the RSI-14 of the dashboard computed from its closes.
 *
 * Candles carry their open time and may come in any order, with the open one and with holes; what
 * is computed on is the newest unbroken run of closed days. Pure; the caller's memory.
 * SPDX-License-Identifier: MIT */
#ifndef MARKET_DAILY_H
#define MARKET_DAILY_H
#include "base/buf.h"
#include "base/err.h"

#define DAILY_MS ((int64_t)24 * 3600 * 1000)
#define DAILY_MAX 1024

struct daily_candle {
    int64_t open_ms; /* Unix, a UTC midnight */
    double open, high, low, close;
    double volume; /* base coin */
};

/* Sorts by time, drops what is not closed at `now_ms`, doubles (the later one in the list wins) and
 * everything before the last hole. Gives the count that is left, from candles[0] on. */
size_t daily_closed_run(struct daily_candle *candles, size_t count, int64_t now_ms);
/* RSI-14 after the last of `count` closed candles (at most DAILY_MAX). ERR_MORE or ERR_RANGE with a
 * sentence in `why` when there is none. */
enum err daily_rsi14(const struct daily_candle *candles, size_t count, double *value,
                     struct buf *why) MUST_CHECK;
/* The first UTC midnight after `now_ms`: when the day under way closes. */
int64_t daily_next_close_ms(int64_t now_ms);

#endif
