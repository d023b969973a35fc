/* momentum: the change over the last `period` closes as a fraction, c / c_period - 1.
 * Pure. Closes that are not finite and above 0 are refused (ERR_RANGE); in a batch one ends the
 * history before it. SPDX-License-Identifier: MIT */
#ifndef QUANT_MOMENTUM_H
#define QUANT_MOMENTUM_H
#include "quant/indicator.h"

#define MOMENTUM_PERIOD_MAX 255

struct momentum {
    uint32_t period;
    uint64_t closes;
    /* private */
    double ring[MOMENTUM_PERIOD_MAX + 1];
};

/* 1 <= period <= MOMENTUM_PERIOD_MAX. */
void momentum_init(struct momentum *m, uint32_t period);
enum err momentum_add(struct momentum *m, double close) MUST_CHECK;
enum indicator_gap momentum_value(const struct momentum *m, double *out);
enum indicator_gap momentum_of(const double *closes, size_t count, uint32_t period, double *out);

#endif
