/* SPDX-License-Identifier: MIT */
#include "quant/performance.h"

#include "quant/drawdown.h"
#include "quant/statistics.h"

#include <math.h>

enum indicator_gap perf_sharpe(const double *returns, size_t count, double rf, double per_year,
                               double *out)
{
    double mean, sd;
    if (count < PERF_MIN_RETURNS) {
        return INDICATOR_TOO_FEW;
    }
    enum indicator_gap gap = stat_mean_sd(returns, count, &mean, &sd);
    if (gap == INDICATOR_OK) {
        *out = (mean - rf / per_year) / sd * sqrt(per_year);
    }
    return gap;
}

enum indicator_gap perf_sortino(const double *returns, size_t count, double mar, double per_year,
                                double *out)
{
    double mean, squares = 0;
    if (count < PERF_MIN_RETURNS || stat_mean(returns, count, &mean) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    for (size_t i = 0; i < count; i++) {
        double below = fmin(returns[i] - mar, 0);
        squares += below * below;
    }
    if (!(squares > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = (mean - mar) / sqrt(squares / (double)count) * sqrt(per_year);
    return INDICATOR_OK;
}

enum indicator_gap perf_cagr(const double *values, size_t count, double per_year, double *out)
{
    if (count < 2) {
        return INDICATOR_TOO_FEW;
    }
    *out = pow(values[count - 1] / values[0], per_year / (double)(count - 1)) - 1;
    return INDICATOR_OK;
}

enum indicator_gap perf_calmar(const double *values, size_t count, double per_year, double *out)
{
    struct drawdown d;
    double cagr;
    if (perf_cagr(values, count, per_year, &cagr) != INDICATOR_OK ||
        drawdown_of(values, count, &d) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    if (!(d.worst < 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = cagr / -d.worst;
    return INDICATOR_OK;
}

enum indicator_gap perf_against(const double *returns, const double *market, size_t count,
                                double rf, double per_year, struct perf_market *out)
{
    double both, variance, mean, market_mean, correlation;
    enum indicator_gap gap = stat_correlation(returns, market, count, &correlation);
    if (gap != INDICATOR_OK) {
        return gap;
    }
    if (stat_covariance(returns, market, count, &both) != INDICATOR_OK ||
        stat_covariance(market, market, count, &variance) != INDICATOR_OK ||
        stat_mean(returns, count, &mean) != INDICATOR_OK ||
        stat_mean(market, count, &market_mean) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    double beta = both / variance, step_rf = rf / per_year;
    double alpha = per_year * (mean - step_rf - beta * (market_mean - step_rf));
    *out = (struct perf_market){beta, alpha, correlation};
    return INDICATOR_OK;
}
