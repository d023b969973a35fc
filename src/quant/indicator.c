/* SPDX-License-Identifier: MIT */
#include "quant/indicator.h"

#include <assert.h>
#include <math.h>

const char *indicator_gap_text(enum indicator_gap gap)
{
    switch (gap) {
    case INDICATOR_OK:
        return "";
    case INDICATOR_TOO_FEW:
        return "too few closes";
    case INDICATOR_NO_MOVEMENT:
        return "no movement";
    case INDICATOR_NO_VOLUME:
        return "no volume";
    }
    return "";
}

void rsi_init(struct rsi *r, uint32_t period)
{
    assert(period >= 1);
    *r = (struct rsi){.period = period};
}

enum err rsi_add(struct rsi *r, double close)
{
    if (!isfinite(close) || close <= 0) {
        return ERR_RANGE;
    }
    if (r->closes > 0) {
        double diff = close - r->last;
        double gain = diff > 0 ? diff : 0;
        double loss = diff < 0 ? -diff : 0;
        double n = r->period;
        if (r->closes < r->period) {
            r->gain += gain;
            r->loss += loss;
        } else if (r->closes == r->period) {
            r->gain = (r->gain + gain) / n;
            r->loss = (r->loss + loss) / n;
        } else {
            r->gain = (r->gain * (n - 1) + gain) / n;
            r->loss = (r->loss * (n - 1) + loss) / n;
        }
    }
    r->last = close;
    r->closes++;
    return OK;
}

enum indicator_gap rsi_value(const struct rsi *r, uint64_t min_closes, double *out)
{
    if (r->closes <= r->period || r->closes < min_closes) {
        return INDICATOR_TOO_FEW;
    }
    double sum = r->gain + r->loss;
    if (!(sum > 0)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = 100 * r->gain / sum;
    return INDICATOR_OK;
}

enum indicator_gap rsi_of(const double *closes, size_t count, uint32_t period, uint64_t min_closes,
                          double *out)
{
    struct rsi r;
    rsi_init(&r, period);
    for (size_t i = 0; i < count; i++) {
        /* A close that cannot be one ends the history: what lies before it says nothing about now.
         */
        if (rsi_add(&r, closes[i]) != OK) {
            rsi_init(&r, period);
        }
    }
    return rsi_value(&r, min_closes, out);
}
