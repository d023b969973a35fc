/* SPDX-License-Identifier: MIT */
#include "quant/bar.h"

#include <math.h>

bool bar_is_sound(const struct bar *b)
{
    return isfinite(b->open) && isfinite(b->high) && isfinite(b->low) && isfinite(b->close) &&
           isfinite(b->volume) && b->low > 0 && b->volume >= 0 && b->low <= b->open &&
           b->low <= b->close && b->open <= b->high && b->close <= b->high;
}
