/* performance: return set against risk, and against a market. `per_year` steps make a year: 365 for
 * days, 8,760 for hours (this market never closes). Rates (`rf`, `mar`) are per YEAR for Sharpe and
 * alpha as fractions, per STEP for Sortino's `mar`. Pure; no allocation.
 * SPDX-License-Identifier: MIT */
#ifndef QUANT_PERFORMANCE_H
#define QUANT_PERFORMANCE_H
#include "quant/indicator.h"

/* Of fewer returns a ratio to their scatter says nothing (five days can make a Sharpe of 15):
 * TOO_FEW of it for Sharpe and Sortino. */
#define PERF_MIN_RETURNS 30

/* (mean - rf/P) / sd(n-1) * sqrt(P). */
enum indicator_gap perf_sharpe(const double *returns, size_t count, double rf, double per_year,
                               double *out);
/* (mean - mar) / sqrt(sum(min(r-mar,0)^2)/N) * sqrt(P), N = ALL returns; no movement: no loss. */
enum indicator_gap perf_sortino(const double *returns, size_t count, double mar, double per_year,
                                double *out);
/* (last/first)^(P/steps) - 1 of `count` values. */
enum indicator_gap perf_cagr(const double *values, size_t count, double per_year, double *out);
/* CAGR / |max drawdown| of the same values; no movement: it never fell. */
enum indicator_gap perf_calmar(const double *values, size_t count, double per_year, double *out);

struct perf_market {
    double beta, alpha, correlation; /* alpha: Jensen's, per year */
};
/* On returns of the same steps. No movement: either never moved. */
enum indicator_gap perf_against(const double *returns, const double *market, size_t count,
                                double rf, double per_year, struct perf_market *out);

#endif
