/* risk: value at risk, expected shortfall, and where a portfolio's volatility comes from.
 *
 * Losses are POSITIVE fractions of one step's value at confidence 0 < p < 1. `sorted` are simple
 * returns in rising order. Sources: Jorion (historical, normal), Zangari 1996 and Favre-Galeano
 * 2002 (Cornish-Fisher), Maillard 2012 (its domain), Kupiec 1995. Pure; no allocation.
 * SPDX-License-Identifier: MIT */
#ifndef QUANT_RISK_H
#define QUANT_RISK_H
#include "quant/indicator.h"

/* Returns that are needed before a quantile means anything: 100 at 95 %, 250 at 99 %. */
size_t risk_min_returns(double confidence);

/* -quantile(returns, 1-p), type 7; TOO_FEW below risk_min_returns(). */
enum indicator_gap risk_var(const double *sorted, size_t count, double confidence, double *out);
/* Mean loss of the returns that are not above that quantile. */
enum indicator_gap risk_cvar(const double *sorted, size_t count, double confidence, double *out);
/* -(mean + z*sd). */
enum indicator_gap risk_var_normal(const double *returns, size_t count, double confidence,
                                   double *out);

/* z bent by skew S and excess kurtosis K. At 95 % fat tails make it SMALLER than normal: that is
 * the formula. Where it is not monotone (Maillard's domain) it is no quantile: then the historical
 * value is given, and `fell_back` says so. */
enum indicator_gap risk_var_cornish_fisher(const double *sorted, size_t count, double confidence,
                                           double *out, bool *fell_back);
bool risk_cornish_fisher_valid(double skew, double excess_kurtosis);

/* sqrt(w'Cw) of `count` assets, `covariance` row by row, and into contributions[count] (may be
 * NULL) w_i*(Cw)_i/sqrt(w'Cw): they sum to it (Euler). */
enum indicator_gap risk_portfolio(const double *weights, const double *covariance, size_t count,
                                  double *out, double *contributions);

/* Kupiec's proportion of failures: `exceptions` of `count` at confidence p. lr is chi2(1), the
 * model is rejected at 5 % above 3.841. */
enum indicator_gap risk_kupiec(size_t exceptions, size_t count, double confidence, double *lr,
                               double *p_value);

#endif
