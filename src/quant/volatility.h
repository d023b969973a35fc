/* volatility: how much returns scatter. Realised: the sample deviation (divisor n-1) of all returns
 * taken. EWMA (RiskMetrics 1996): s2 = lambda*s2 + (1-lambda)*r^2, zero mean, begun with the first
 * return's square; it is the forecast for the next step. Both are per step: annualise with
 * sqrt(steps a year), which for this market is 365 days, 8,760 hours, 525,600 minutes.
 *
 * Pure. Returns that are not finite are refused (ERR_RANGE); in a batch one ends the history before
 * it. SPDX-License-Identifier: MIT */
#ifndef QUANT_VOLATILITY_H
#define QUANT_VOLATILITY_H
#include "quant/indicator.h"

#define EWMA_LAMBDA_DAILY 0.94

struct realised {
    uint64_t count;
    /* private: Welford's mean and sum of squares */
    double mean, squares;
};

void realised_init(struct realised *v);
enum err realised_add(struct realised *v, double ret) MUST_CHECK;
/* Two returns at least. */
enum indicator_gap realised_value(const struct realised *v, double *out);
enum indicator_gap realised_of(const double *returns, size_t count, double *out);

struct ewma {
    double lambda;
    uint64_t count;
    /* private */
    double variance;
};

/* 0 < lambda < 1. */
void ewma_init(struct ewma *v, double lambda);
enum err ewma_add(struct ewma *v, double ret) MUST_CHECK;
enum indicator_gap ewma_value(const struct ewma *v, double *out);
enum indicator_gap ewma_of(const double *returns, size_t count, double lambda, double *out);

#endif
