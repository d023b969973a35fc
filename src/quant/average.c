/* SPDX-License-Identifier: MIT */
#include "quant/average.h"

#include <assert.h>
#include <math.h>

void sma_init(struct sma *s, uint32_t period)
{
    assert(period >= 1 && period <= SMA_PERIOD_MAX);
    s->period = period;
    s->count = 0;
}

enum err sma_add(struct sma *s, double value)
{
    if (!isfinite(value)) {
        return ERR_RANGE;
    }
    s->ring[s->count % s->period] = value;
    s->count++;
    return OK;
}

/* Summed anew each time, as distances from the oldest: a running sum would drift from the batch,
 * and an unmoved window would not give its own value back. */
static double window_mean(const struct sma *s)
{
    double first = s->ring[s->count % s->period], sum = 0;
    for (uint32_t i = 1; i < s->period; i++) {
        sum += s->ring[(s->count + i) % s->period] - first;
    }
    return first + sum / s->period;
}

enum indicator_gap sma_value(const struct sma *s, double *out)
{
    if (s->count < s->period) {
        return INDICATOR_TOO_FEW;
    }
    *out = window_mean(s);
    return INDICATOR_OK;
}

enum indicator_gap sma_spread(const struct sma *s, double *mean, double *deviation)
{
    if (s->count < s->period) {
        return INDICATOR_TOO_FEW;
    }
    double m = window_mean(s), squares = 0;
    for (uint32_t i = 0; i < s->period; i++) {
        double d = s->ring[(s->count + i) % s->period] - m;
        squares += d * d;
    }
    *mean = m;
    *deviation = sqrt(squares / s->period);
    return INDICATOR_OK;
}

enum indicator_gap sma_of(const double *values, size_t count, uint32_t period, double *out)
{
    struct sma s;
    sma_init(&s, period);
    for (size_t i = 0; i < count; i++) {
        if (sma_add(&s, values[i]) != OK) {
            sma_init(&s, period);
        }
    }
    return sma_value(&s, out);
}

void ema_init(struct ema *e, uint32_t period)
{
    assert(period >= 1);
    *e = (struct ema){.period = period};
}

enum err ema_add(struct ema *e, double value)
{
    if (!isfinite(value)) {
        return ERR_RANGE;
    }
    if (e->count == 0) {
        e->first = value;
    }
    if (e->count < e->period) {
        e->value += value - e->first;
        if (e->count + 1 == e->period) {
            e->value = e->first + e->value / e->period;
        }
    } else {
        e->value += 2.0 / (e->period + 1.0) * (value - e->value);
    }
    e->count++;
    return OK;
}

enum indicator_gap ema_value(const struct ema *e, double *out)
{
    if (e->count < e->period) {
        return INDICATOR_TOO_FEW;
    }
    *out = e->value;
    return INDICATOR_OK;
}

enum indicator_gap ema_of(const double *values, size_t count, uint32_t period, double *out)
{
    struct ema e;
    ema_init(&e, period);
    for (size_t i = 0; i < count; i++) {
        if (ema_add(&e, values[i]) != OK) {
            ema_init(&e, period);
        }
    }
    return ema_value(&e, out);
}
