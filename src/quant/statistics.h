/* statistics: moments, quantiles and dependence of a sample.
 *
 * Pure; no allocation. Values are finite (the callers' readers see to it). Too few values or no
 * scatter is an answer, never a number. SPDX-License-Identifier: MIT */
#ifndef QUANT_STATISTICS_H
#define QUANT_STATISTICS_H
#include "quant/indicator.h"

/* Simple returns c_t/c_{t-1}-1 of `count` closes into out[count - 1]. */
void stat_returns(const double *closes, size_t count, double *out);
/* ln(c_t/c_{t-1}). */
void stat_log_returns(const double *closes, size_t count, double *out);

enum indicator_gap stat_mean(const double *x, size_t count, double *out);
/* Sample deviation, divisor n-1. */
enum indicator_gap stat_sd(const double *x, size_t count, double *out);
/* Both, for what divides by the deviation or needs some: no movement when it is 0. */
enum indicator_gap stat_mean_sd(const double *x, size_t count, double *mean, double *sd);
/* Population moments: m3/m2^1.5 and m4/m2^2 - 3. */
enum indicator_gap stat_skew(const double *x, size_t count, double *out);
enum indicator_gap stat_excess_kurtosis(const double *x, size_t count, double *out);

/* Rising order, in place. */
void stat_sort(double *x, size_t count);
/* Hyndman and Fan's type 7 (R's and numpy's default): h = (n-1)*p, straight between neighbours.
 * `sorted` rises; 0 <= p <= 1. */
enum indicator_gap stat_quantile(const double *sorted, size_t count, double p, double *out);

/* Pearson; no movement when either never moves. */
enum indicator_gap stat_correlation(const double *x, const double *y, size_t count, double *out);
/* Sample covariance, divisor n-1. */
enum indicator_gap stat_covariance(const double *x, const double *y, size_t count, double *out);

/* Quantile of the standard normal, 0 < p < 1, to the last digits of a double (Acklam's start and a
 * step of Halley on erfc). */
double stat_normal_quantile(double p);

#endif
