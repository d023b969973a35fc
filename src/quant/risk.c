/* SPDX-License-Identifier: MIT */
#include "quant/risk.h"

#include "quant/statistics.h"

#include <assert.h>
#include <math.h>

size_t risk_min_returns(double confidence)
{
    return confidence > 0.95 ? 250 : 100;
}

enum indicator_gap risk_var(const double *sorted, size_t count, double confidence, double *out)
{
    double q;
    if (count < risk_min_returns(confidence) ||
        stat_quantile(sorted, count, 1 - confidence, &q) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    *out = -q;
    return INDICATOR_OK;
}

enum indicator_gap risk_cvar(const double *sorted, size_t count, double confidence, double *out)
{
    double var, sum = 0;
    size_t tail = 0;
    if ((double)count * (1 - confidence) < 1 ||
        risk_var(sorted, count, confidence, &var) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    while (tail < count && sorted[tail] <= -var) {
        sum += sorted[tail++];
    }
    if (tail == 0) {
        return INDICATOR_TOO_FEW;
    }
    *out = -sum / (double)tail;
    return INDICATOR_OK;
}

/* -(mean + z*sd) for any z. */
static enum indicator_gap var_at(const double *returns, size_t count, double z, double *out)
{
    double mean, sd;
    enum indicator_gap gap = stat_mean_sd(returns, count, &mean, &sd);
    if (gap == INDICATOR_OK) {
        *out = -(mean + z * sd);
    }
    return gap;
}

enum indicator_gap risk_var_normal(const double *returns, size_t count, double confidence,
                                   double *out)
{
    if (count < risk_min_returns(confidence)) {
        return INDICATOR_TOO_FEW;
    }
    return var_at(returns, count, stat_normal_quantile(1 - confidence), out);
}

bool risk_cornish_fisher_valid(double skew, double excess_kurtosis)
{
    double s2 = skew * skew, k = excess_kurtosis;
    return s2 / 9 - 4 * (k / 8 - s2 / 6) * (1 - k / 8 + 5 * s2 / 36) <= 0;
}

enum indicator_gap risk_var_cornish_fisher(const double *sorted, size_t count, double confidence,
                                           double *out, bool *fell_back)
{
    double s, k, z = stat_normal_quantile(1 - confidence);
    enum indicator_gap gap = stat_skew(sorted, count, &s);
    if (count < risk_min_returns(confidence)) {
        return INDICATOR_TOO_FEW;
    }
    if (gap == INDICATOR_OK) {
        gap = stat_excess_kurtosis(sorted, count, &k);
    }
    if (gap != INDICATOR_OK) {
        return gap;
    }
    *fell_back = !risk_cornish_fisher_valid(s, k);
    if (*fell_back) {
        return risk_var(sorted, count, confidence, out);
    }
    double z2 = z * z;
    double bent = z + (z2 - 1) * s / 6 + (z2 - 3) * z * k / 24 - (2 * z2 - 5) * z * s * s / 36;
    return var_at(sorted, count, bent, out);
}

enum indicator_gap risk_portfolio(const double *weights, const double *covariance, size_t count,
                                  double *out, double *contributions)
{
    double variance = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            variance += weights[i] * covariance[i * count + j] * weights[j];
        }
    }
    if (count == 0) {
        return INDICATOR_TOO_FEW;
    }
    if (!(variance > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    double volatility = sqrt(variance);
    for (size_t i = 0; contributions && i < count; i++) {
        double marginal = 0;
        for (size_t j = 0; j < count; j++) {
            marginal += covariance[i * count + j] * weights[j];
        }
        contributions[i] = weights[i] * marginal / volatility;
    }
    *out = volatility;
    return INDICATOR_OK;
}

/* n ln q, with 0 ln 0 = 0. */
static double log_power(double n, double q)
{
    return n > 0 ? n * log(q) : 0;
}

enum indicator_gap risk_kupiec(size_t exceptions, size_t count, double confidence, double *lr,
                               double *p_value)
{
    assert(exceptions <= count && confidence > 0 && confidence < 1);
    if (count == 0) {
        return INDICATOR_TOO_FEW;
    }
    double x = (double)exceptions, t = (double)count, a = 1 - confidence;
    double ratio = -2 * (log_power(t - x, 1 - a) + log_power(x, a)) +
                   2 * (log_power(t - x, 1 - x / t) + log_power(x, x / t));
    /* rounding may take what is 0 a little below */
    *lr = ratio > 0 ? ratio : 0;
    *p_value = erfc(sqrt(*lr / 2));
    return INDICATOR_OK;
}
