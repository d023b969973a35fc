/* series: a candle file (time_utc,open,high,low,close,volume; further columns are not read) as an
 * array of bars.
 *
 * Times are RFC 3339 and are open times. Rows may come in any order. What is wrong with a row is
 * noted with its line number and the row left out; of rows with one time the last in the file
 * counts; holes are noted with the line behind them. Pure: text in, arrays out.
 * SPDX-License-Identifier: MIT */
#ifndef MARKET_SERIES_H
#define MARKET_SERIES_H
#include "base/buf.h"
#include "quant/bar.h"

/* Rows beyond it are ERR_LIMIT: a file of minutes over seven years and a half. */
#define SERIES_MAX 4000000
/* Notes beyond it are counted, not written. */
#define SERIES_NOTES 20

struct series {
    struct bar *bars; /* owned; by time, each time once, all sound */
    size_t count;
    int64_t interval_ms; /* the smallest step between bars; 0: fewer than two */
    size_t bad;          /* rows left out */
    size_t doubles;      /* rows that a later one of the same time replaced */
    size_t holes;        /* places where at least one candle is missing */
    size_t missing;      /* candles missing in all of them */
    struct buf notes;    /* lines "line 17: close \"abc\" is not a price", in order of the file */
};

/* `s` is zeroed or finished. ERR_SYNTAX: no header of these names, or no sound row; ERR_LIMIT: too
 * long; `error` says it in one line. On failure `s` is empty (as after series_fini()). */
enum err series_read(struct series *s, struct str text, struct buf *error) MUST_CHECK;
void series_fini(struct series *s);

/* Longer candles of shorter ones: each UTC interval all of whose parts are there becomes one bar.
 * `interval_ms` is a multiple of the bars' own, else ERR_RANGE. `out` as in series_read(). */
enum err series_resample(const struct series *s, int64_t interval_ms,
                         struct series *out) MUST_CHECK;
/* "1h" as milliseconds: a number and s, m, h or d; 0: it is no interval. */
int64_t series_interval(struct str text);

#endif
