/* bar: a candle as the maths sees it: doubles, and the time it opened. What feeds and files say is
 * turned into this; prices that leave for people keep their decimal text elsewhere.
 * SPDX-License-Identifier: MIT */
#ifndef QUANT_BAR_H
#define QUANT_BAR_H
#include "base/base.h"

struct bar {
    int64_t open_ms; /* Unix, start of the interval */
    double open, high, low, close;
    double volume; /* base coin */
};

/* Finite, prices above 0, volume not below 0, low <= open, close <= high. */
bool bar_is_sound(const struct bar *b);

#endif
