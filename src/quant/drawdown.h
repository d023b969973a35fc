/* drawdown: how far a price stands below its high, now and at worst; the first value counts as the
 * first high. Fractions, 0 or negative: -0.51 is 51 % below.
 *
 * Indices count values from 0 in the order taken. Pure. Values that are not finite and above 0 are
 * refused (ERR_RANGE); in a batch one ends the history before it (indices stay those of the array).
 * SPDX-License-Identifier: MIT */
#ifndef QUANT_DRAWDOWN_H
#define QUANT_DRAWDOWN_H
#include "quant/indicator.h"

#define DRAWDOWN_NEVER UINT64_MAX

struct drawdown {
    uint64_t count;
    double high, now; /* highest so far; distance from it: last / high - 1 */
    uint64_t high_at;
    double worst; /* 0: it never fell below a high */
    /* Of the worst: the high before, the lowest point, the first value at that high again
     * (DRAWDOWN_NEVER: not yet). Meaningless while worst is 0. */
    uint64_t peak_at, trough_at, recovered_at;
    /* private */
    double peak;
};

void drawdown_init(struct drawdown *d);
enum err drawdown_add(struct drawdown *d, double value) MUST_CHECK;
/* OK when at least one value was taken. */
enum indicator_gap drawdown_of(const double *values, size_t count, struct drawdown *out);

#endif
