/* SPDX-License-Identifier: MIT */
#include "quant/momentum.h"

#include <assert.h>
#include <math.h>

void momentum_init(struct momentum *m, uint32_t period)
{
    assert(period >= 1 && period <= MOMENTUM_PERIOD_MAX);
    m->period = period;
    m->closes = 0;
}

enum err momentum_add(struct momentum *m, double close)
{
    if (!isfinite(close) || close <= 0) {
        return ERR_RANGE;
    }
    m->ring[m->closes % (m->period + 1)] = close;
    m->closes++;
    return OK;
}

enum indicator_gap momentum_value(const struct momentum *m, double *out)
{
    if (m->closes <= m->period) {
        return INDICATOR_TOO_FEW;
    }
    uint64_t size = m->period + 1;
    *out = m->ring[(m->closes - 1) % size] / m->ring[m->closes % size] - 1;
    return INDICATOR_OK;
}

enum indicator_gap momentum_of(const double *closes, size_t count, uint32_t period, double *out)
{
    struct momentum m;
    momentum_init(&m, period);
    for (size_t i = 0; i < count; i++) {
        if (momentum_add(&m, closes[i]) != OK) {
            momentum_init(&m, period);
        }
    }
    return momentum_value(&m, out);
}
