/* vwap: volume-weighted average price, sum(p*q)/sum(q) since the last init. From trades it is
 * exact; from candles it is an estimate that takes (high+low+close)/3 for the price of a candle.
 * Pure. SPDX-License-Identifier: MIT */
#ifndef QUANT_VWAP_H
#define QUANT_VWAP_H
#include "quant/bar.h"
#include "quant/indicator.h"

struct vwap {
    uint64_t count;
    /* private */
    double first, sum, quantity; /* sum of (p - first) * q: keeps digits when prices are near */
};

void vwap_init(struct vwap *v);
/* price finite and > 0, quantity finite and >= 0; else ERR_RANGE, and nothing changes. */
enum err vwap_add(struct vwap *v, double price, double quantity) MUST_CHECK;
enum indicator_gap vwap_value(const struct vwap *v, double *out);
/* The estimate over the last `last` bars; TOO_FEW when there are not so many sound ones. */
enum indicator_gap vwap_of(const struct bar *bars, size_t count, size_t last, double *out);

#endif
