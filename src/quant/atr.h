/* atr: average true range (Wilder 1978). True range = max(h-l, |h-c'|, |l-c'|) with c' the close
 * before, so the first bar has none; the first average is the mean of the first `period` ranges,
 * then avg = (avg*(period-1)+range)/period. Needs period + 1 bars.
 *
 * Pure. Bars that are not sound (quant/bar.h) are refused; in a batch one ends the history before
 * it. SPDX-License-Identifier: MIT */
#ifndef QUANT_ATR_H
#define QUANT_ATR_H
#include "quant/bar.h"
#include "quant/indicator.h"

struct atr {
    uint32_t period;
    uint64_t bars;
    /* private */
    double last_close, value; /* value: the sum while bars <= period */
};

void atr_init(struct atr *a, uint32_t period);
enum err atr_add(struct atr *a, const struct bar *b) MUST_CHECK;
enum indicator_gap atr_value(const struct atr *a, double *out);
enum indicator_gap atr_of(const struct bar *bars, size_t count, uint32_t period, double *out);

#endif
