/* indicator: technical indicators over closed candles, each as a stream (one value at a time) and
 * as a batch over an array. Definitions and golden values: docs of the market, section C.
 *
 * Pure: no clock, no I/O, no allocation. Not enough history or no movement is an answer, not a
 * number: NaN never leaves this file. SPDX-License-Identifier: MIT */
#ifndef QUANT_INDICATOR_H
#define QUANT_INDICATOR_H
#include "base/base.h"
#include "base/err.h"

enum indicator_gap {
    INDICATOR_OK,
    INDICATOR_TOO_FEW,     /* fewer closes than asked for */
    INDICATOR_NO_MOVEMENT, /* the price never moved: the ratio is 0/0 */
    INDICATOR_NO_VOLUME,   /* nothing was traded: there is no weight */
};
/* A sentence part for people: "too few closes", "no movement", "no volume". */
const char *indicator_gap_text(enum indicator_gap gap);

/* ---- RSI: Wilder, New Concepts in Technical Trading Systems (1978). ----
 * gain and loss averages start as the simple mean of the first `period` differences, then
 * avg = (avg*(period-1)+x)/period; RSI = 100*gain/(gain+loss). */

/* Wilder's averages remember their seed for long: on daily BTC data 30 closes are off by 2 points,
 * 100 by less than 0.02, 150 by nothing visible. Nothing is published on fewer than this. */
#define RSI_MIN_CLOSES 100

struct rsi {
    uint32_t period;
    uint64_t closes; /* taken so far */
    /* private */
    double last, gain, loss; /* sums while closes <= period, then averages */
};

void rsi_init(struct rsi *r, uint32_t period);
/* Takes the next close. ERR_RANGE (and nothing changes) when it is not finite or not above 0. */
enum err rsi_add(struct rsi *r, double close) MUST_CHECK;
/* The value after what was taken, if at least `min_closes` (and period + 1) closes were. */
enum indicator_gap rsi_value(const struct rsi *r, uint64_t min_closes, double *out);
/* Batch: RSI after the last of `count` closes, oldest first. */
enum indicator_gap rsi_of(const double *closes, size_t count, uint32_t period, uint64_t min_closes,
                          double *out);

#endif
