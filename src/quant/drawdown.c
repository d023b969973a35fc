/* SPDX-License-Identifier: MIT */
#include "quant/drawdown.h"

#include <math.h>

void drawdown_init(struct drawdown *d)
{
    *d = (struct drawdown){.recovered_at = DRAWDOWN_NEVER};
}

enum err drawdown_add(struct drawdown *d, double value)
{
    if (!isfinite(value) || value <= 0) {
        return ERR_RANGE;
    }
    uint64_t at = d->count++;
    if (at == 0 || value > d->high) {
        d->high = value;
        d->high_at = at;
    }
    d->now = value / d->high - 1;
    if (d->now < d->worst) {
        d->worst = d->now;
        d->peak = d->high;
        d->peak_at = d->high_at;
        d->trough_at = at;
        d->recovered_at = DRAWDOWN_NEVER;
    } else if (d->worst < 0 && d->recovered_at == DRAWDOWN_NEVER && value >= d->peak) {
        d->recovered_at = at;
    }
    return OK;
}

enum indicator_gap drawdown_of(const double *values, size_t count, struct drawdown *out)
{
    struct drawdown d;
    size_t start = 0;
    drawdown_init(&d);
    for (size_t i = 0; i < count; i++) {
        if (drawdown_add(&d, values[i]) != OK) {
            drawdown_init(&d);
            start = i + 1;
        }
    }
    if (d.count == 0) {
        return INDICATOR_TOO_FEW;
    }
    d.high_at += start;
    d.peak_at += start;
    d.trough_at += start;
    d.recovered_at += d.recovered_at == DRAWDOWN_NEVER ? 0 : start;
    *out = d;
    return INDICATOR_OK;
}
