/* histogram: how often values fell where, exact below 64 and within 1.6 % above, in fixed memory,
 * so that a million latencies a second can be counted. Values are whatever the caller says
 * (microseconds here). A zeroed struct is empty. SPDX-License-Identifier: MIT */
#ifndef TOOLS_HISTOGRAM_H
#define TOOLS_HISTOGRAM_H
#include "base/base.h"

/* 64 single values, then 64 parts of each doubling up to 2^40. */
#define HISTOGRAM_BUCKETS (64 * 36)

struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value that a share of `quantile` (0..1) of all is not above; false when nothing was counted.
 */
bool histogram_quantile(const struct histogram *h, double quantile, uint64_t *out) MUST_CHECK;
void histogram_clear(struct histogram *h);

#endif
