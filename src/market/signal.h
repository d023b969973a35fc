/* signal: BUY, SELL or HOLD from closed candles: votes, weights, a score, bands with hysteresis,
 * and the reason in words. The rules stand in docs/SIGNALS.md; the weights in one table in
 * signal.c.
 *
 * A signal looks at the newest SIGNAL_BARS closed candles and at nothing else, so it does not
 * matter how much history the caller keeps. Candles that are not closed at `now_ms` are passed
 * over. Where the data is not fit (too few candles, a stale end, a hole in the last
 * SIGNAL_UNBROKEN, a candle that cannot be) the answer is HOLD with strength 0 and says which of
 * these it is.
 *
 * Pure: no clock, no allocation; the same candles, state and time give the same bytes.
 * Not financial advice, and no promise. SPDX-License-Identifier: MIT */
#ifndef MARKET_SIGNAL_H
#define MARKET_SIGNAL_H
#include "quant/bar.h"

#define SIGNAL_BARS 210
#define SIGNAL_UNBROKEN 30

/* |score| above ENTER begins a BUY or SELL; it ends only below LEAVE. */
#define SIGNAL_ENTER 0.1
#define SIGNAL_LEAVE 0.05
/* A standing signal is worth a message when its strength moved by this. */
#define SIGNAL_STRENGTH_STEP 0.1

enum signal_side { SIGNAL_HOLD, SIGNAL_BUY, SIGNAL_SELL };
const char *signal_side_text(enum signal_side s); /* "HOLD", "BUY", "SELL" */

enum signal_quality {
    SIGNAL_GOOD,
    SIGNAL_TOO_FEW, /* "insufficient data: 96 of 210 candles" */
    SIGNAL_STALE,   /* "stale: last candle 3 h old" */
    SIGNAL_GAP,     /* "gap 02:00-06:00 on 2021-08-13" */
    SIGNAL_UNSOUND, /* "unsound candle 2021-08-13T02:00:00Z": no price, or out of order */
};
const char *signal_quality_text(enum signal_quality q); /* "good", "insufficient", "stale", ... */

enum signal_part {
    SIGNAL_TREND,
    SIGNAL_MACD,
    SIGNAL_RSI,
    SIGNAL_BOLLINGER,
    SIGNAL_MOMENTUM,
    SIGNAL_PARTS
};
const char *signal_part_text(enum signal_part p); /* "trend", "macd", ... */

struct signal_component {
    double weight;       /* of the table; they sum to 1 */
    double vote;         /* -1..1, before volume confirms */
    double contribution; /* weight * vote * confirmation; their sum is the score */
};

#define SIGNAL_REASON_LEN 400
struct signal {
    enum signal_side side;
    double strength; /* 0..1, |score| */
    double score;    /* -1..1 */
    struct signal_component components[SIGNAL_PARTS];
    double confirmation; /* 1/3..1: volume of the last candle against its 20-candle mean */
    enum signal_quality quality;
    int64_t candle_ms; /* open time of the last candle used; meaningless when n is 0 */
    int64_t interval_ms;
    size_t n;         /* closed candles used, at most SIGNAL_BARS */
    char interval[8]; /* "1h", "1d", "15m" */
    char reason[SIGNAL_REASON_LEN];
};

/* What a symbol's signal remembers; zeroed: nothing yet. One for each symbol and interval. */
struct signal_state {
    enum signal_side side;
    bool emitted;
    enum signal_side emitted_side;
    double emitted_strength;
};

/* `bars` oldest first (all that is known, the open one may be among them); `interval_ms` > 0. Moves
 * `state` on; bad data takes it back to HOLD. */
void signal_of(struct signal_state *state, const struct bar *bars, size_t count,
               int64_t interval_ms, int64_t now_ms, struct signal *out);
/* The side as it would be had every candle of `bars` that has SIGNAL_BARS up to it been looked at
 * when it closed, the last one excepted: what a restarted server calls before signal_of(), so that
 * its hysteresis does not begin anew. What was said before stays said. */
void signal_settle(struct signal_state *state, const struct bar *bars, size_t count,
                   int64_t interval_ms, int64_t now_ms);
/* Whether this signal says something new (another side, or strength by SIGNAL_STRENGTH_STEP);
 * remembers it as said when it does. */
bool signal_due(struct signal_state *state, const struct signal *s);

/* "1h", "1d", "90s" into `out`. */
void signal_interval_text(int64_t interval_ms, char out[8]);

#endif
