/* macd: moving average convergence and divergence (Appel): line = EMA(fast) - EMA(slow), each from
 * its own first value; signal = EMA of the line; histogram = line - signal.
 * Pure; errors as in average.h. SPDX-License-Identifier: MIT */
#ifndef QUANT_MACD_H
#define QUANT_MACD_H
#include "quant/average.h"

struct macd {
    struct ema fast, slow, signal;
};
struct macd_value {
    double line, signal, histogram;
};

/* fast < slow; usual: 12, 26, 9. */
void macd_init(struct macd *m, uint32_t fast, uint32_t slow, uint32_t signal);
enum err macd_add(struct macd *m, double close) MUST_CHECK;
/* All three, or none: too few until the signal line has its first value. */
enum indicator_gap macd_value(const struct macd *m, struct macd_value *out);
/* 12, 26, 9. */
enum indicator_gap macd_of(const double *closes, size_t count, struct macd_value *out);

#endif
