/* SPDX-License-Identifier: MIT */
#include "quant/atr.h"

#include <assert.h>
#include <math.h>

void atr_init(struct atr *a, uint32_t period)
{
    assert(period >= 1);
    *a = (struct atr){.period = period};
}

enum err atr_add(struct atr *a, const struct bar *b)
{
    if (!bar_is_sound(b)) {
        return ERR_RANGE;
    }
    if (a->bars > 0) {
        double n = a->period;
        double range = fmax(b->high - b->low,
                            fmax(fabs(b->high - a->last_close), fabs(b->low - a->last_close)));
        if (a->bars < a->period) {
            a->value += range;
        } else if (a->bars == a->period) {
            a->value = (a->value + range) / n;
        } else {
            a->value = (a->value * (n - 1) + range) / n;
        }
    }
    a->last_close = b->close;
    a->bars++;
    return OK;
}

enum indicator_gap atr_value(const struct atr *a, double *out)
{
    if (a->bars <= a->period) {
        return INDICATOR_TOO_FEW;
    }
    *out = a->value;
    return INDICATOR_OK;
}

enum indicator_gap atr_of(const struct bar *bars, size_t count, uint32_t period, double *out)
{
    struct atr a;
    atr_init(&a, period);
    for (size_t i = 0; i < count; i++) {
        if (atr_add(&a, &bars[i]) != OK) {
            atr_init(&a, period);
        }
    }
    return atr_value(&a, out);
}
