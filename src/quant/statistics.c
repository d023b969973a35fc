/* SPDX-License-Identifier: MIT */
#include "quant/statistics.h"

#include <assert.h>
#include <math.h>

void stat_returns(const double *closes, size_t count, double *out)
{
    for (size_t i = 1; i < count; i++) {
        out[i - 1] = closes[i] / closes[i - 1] - 1;
    }
}

void stat_log_returns(const double *closes, size_t count, double *out)
{
    for (size_t i = 1; i < count; i++) {
        out[i - 1] = log(closes[i] / closes[i - 1]);
    }
}

/* As distances from the first value: a sample that never moves has exactly its value as mean, and
 * so exactly no scatter. */
static double mean_of(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 1; i < count; i++) {
        sum += x[i] - x[0];
    }
    return x[0] + sum / (double)count;
}

enum indicator_gap stat_mean(const double *x, size_t count, double *out)
{
    if (count < 1) {
        return INDICATOR_TOO_FEW;
    }
    *out = mean_of(x, count);
    return INDICATOR_OK;
}

/* Mean of (x - mean)^power. */
static double moment(const double *x, size_t count, int power)
{
    double mean = mean_of(x, count), sum = 0;
    for (size_t i = 0; i < count; i++) {
        double d = x[i] - mean, product = d;
        for (int k = 1; k < power; k++) {
            product *= d;
        }
        sum += product;
    }
    return sum / (double)count;
}

enum indicator_gap stat_sd(const double *x, size_t count, double *out)
{
    if (count < 2) {
        return INDICATOR_TOO_FEW;
    }
    double n = (double)count;
    *out = sqrt(moment(x, count, 2) * n / (n - 1));
    return INDICATOR_OK;
}

enum indicator_gap stat_mean_sd(const double *x, size_t count, double *mean, double *sd)
{
    if (stat_mean(x, count, mean) != INDICATOR_OK || stat_sd(x, count, sd) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    return *sd > 0 ? INDICATOR_OK : INDICATOR_NO_MOVEMENT;
}

enum indicator_gap stat_skew(const double *x, size_t count, double *out)
{
    if (count < 3) {
        return INDICATOR_TOO_FEW;
    }
    double variance = moment(x, count, 2);
    if (!(variance > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = moment(x, count, 3) / (variance * sqrt(variance));
    return INDICATOR_OK;
}

enum indicator_gap stat_excess_kurtosis(const double *x, size_t count, double *out)
{
    if (count < 4) {
        return INDICATOR_TOO_FEW;
    }
    double variance = moment(x, count, 2);
    if (!(variance > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = moment(x, count, 4) / (variance * variance) - 3;
    return INDICATOR_OK;
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stat_sort(double *x, size_t count)
{
    if (count > 0) {
        qsort(x, count, sizeof(*x), rising);
    }
}

enum indicator_gap stat_quantile(const double *sorted, size_t count, double p, double *out)
{
    assert(p >= 0 && p <= 1);
    if (count < 1) {
        return INDICATOR_TOO_FEW;
    }
    double h = (double)(count - 1) * p;
    size_t low = (size_t)h;
    size_t high = low + 1 < count ? low + 1 : low;
    *out = sorted[low] + (h - (double)low) * (sorted[high] - sorted[low]);
    return INDICATOR_OK;
}

enum indicator_gap stat_covariance(const double *x, const double *y, size_t count, double *out)
{
    if (count < 2) {
        return INDICATOR_TOO_FEW;
    }
    double mx = mean_of(x, count), my = mean_of(y, count), sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (x[i] - mx) * (y[i] - my);
    }
    *out = sum / (double)(count - 1);
    return INDICATOR_OK;
}

enum indicator_gap stat_correlation(const double *x, const double *y, size_t count, double *out)
{
    double both, vx, vy;
    if (stat_covariance(x, y, count, &both) != INDICATOR_OK ||
        stat_covariance(x, x, count, &vx) != INDICATOR_OK ||
        stat_covariance(y, y, count, &vy) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    if (!(vx > 0) || !(vy > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    double r = both / (sqrt(vx) * sqrt(vy));
    *out = r > 1 ? 1 : r < -1 ? -1 : r;
    return INDICATOR_OK;
}

/* The lower half of Acklam's rational approximation (relative error below 1.2e-9). */
static double acklam_low(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01, 1};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00, 1};
    double top = 0, bottom = 0, x = p < 0.02425 ? sqrt(-2 * log(p)) : p - 0.5;
    double arg = p < 0.02425 ? x : x * x;
    for (size_t i = 0; i < 6; i++) {
        top = top * arg + (p < 0.02425 ? c[i] : a[i]);
    }
    for (size_t i = p < 0.02425 ? 1 : 0; i < 6; i++) {
        bottom = bottom * arg + (p < 0.02425 ? d[i - 1] : b[i]);
    }
    return p < 0.02425 ? top / bottom : top * x / bottom;
}

double stat_normal_quantile(double p)
{
    assert(p > 0 && p < 1);
    if (p > 0.5) {
        return -stat_normal_quantile(1 - p);
    }
    double z = acklam_low(p);
    double error = 0.5 * erfc(-z / sqrt(2)) - p;
    double step = error * sqrt(2 * M_PI) * exp(z * z / 2);
    return z - step / (1 + z * step / 2);
}
