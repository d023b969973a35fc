/* average: simple and exponential moving averages, as a stream and as a batch of the same sums.
 *
 * A window that never moved gives its value exactly, without rounding, so that "no movement" can be
 * told from a small one. Pure; no allocation. Values that are not finite are refused (ERR_RANGE,
 * and nothing changes); in a batch such a value ends the history before it.
 * SPDX-License-Identifier: MIT
 */
#ifndef QUANT_AVERAGE_H
#define QUANT_AVERAGE_H
#include "quant/indicator.h"

#define SMA_PERIOD_MAX 256

struct sma {
    uint32_t period;
    uint64_t count; /* taken so far */
    /* private */
    double ring[SMA_PERIOD_MAX];
};

/* 1 <= period <= SMA_PERIOD_MAX. */
void sma_init(struct sma *s, uint32_t period);
enum err sma_add(struct sma *s, double value) MUST_CHECK;
enum indicator_gap sma_value(const struct sma *s, double *out);
/* Mean and POPULATION deviation (divisor: period) of the window. */
enum indicator_gap sma_spread(const struct sma *s, double *mean, double *deviation);
enum indicator_gap sma_of(const double *values, size_t count, uint32_t period, double *out);

/* k = 2/(period+1); the first value is the simple mean of the first `period` values. */
struct ema {
    uint32_t period;
    uint64_t count;
    /* private */
    double first, value; /* value: sum of distances from `first` while count < period */
};

void ema_init(struct ema *e, uint32_t period);
enum err ema_add(struct ema *e, double value) MUST_CHECK;
enum indicator_gap ema_value(const struct ema *e, double *out);
enum indicator_gap ema_of(const double *values, size_t count, uint32_t period, double *out);

#endif
