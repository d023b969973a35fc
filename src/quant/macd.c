/* SPDX-License-Identifier: MIT */
#include "quant/macd.h"

#include <assert.h>

void macd_init(struct macd *m, uint32_t fast, uint32_t slow, uint32_t signal)
{
    assert(fast < slow);
    ema_init(&m->fast, fast);
    ema_init(&m->slow, slow);
    ema_init(&m->signal, signal);
}

enum err macd_add(struct macd *m, double close)
{
    double fast, slow;
    enum err e = ema_add(&m->fast, close);
    if (e == OK) {
        e = ema_add(&m->slow, close);
    }
    if (e == OK && ema_value(&m->slow, &slow) == INDICATOR_OK &&
        ema_value(&m->fast, &fast) == INDICATOR_OK) {
        e = ema_add(&m->signal, fast - slow);
    }
    return e;
}

enum indicator_gap macd_value(const struct macd *m, struct macd_value *out)
{
    double fast, slow, signal;
    if (ema_value(&m->signal, &signal) != INDICATOR_OK ||
        ema_value(&m->fast, &fast) != INDICATOR_OK || ema_value(&m->slow, &slow) != INDICATOR_OK) {
        return INDICATOR_TOO_FEW;
    }
    *out = (struct macd_value){fast - slow, signal, fast - slow - signal};
    return INDICATOR_OK;
}

enum indicator_gap macd_of(const double *closes, size_t count, struct macd_value *out)
{
    struct macd m;
    macd_init(&m, 12, 26, 9);
    for (size_t i = 0; i < count; i++) {
        if (macd_add(&m, closes[i]) != OK) {
            macd_init(&m, 12, 26, 9);
        }
    }
    return macd_value(&m, out);
}
