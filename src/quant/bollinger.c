/* SPDX-License-Identifier: MIT */
#include "quant/bollinger.h"

void bollinger_init(struct bollinger *b, uint32_t period, double width)
{
    sma_init(&b->mean, period);
    b->width = width;
    b->last = 0;
}

enum err bollinger_add(struct bollinger *b, double close)
{
    enum err e = sma_add(&b->mean, close);
    if (e == OK) {
        b->last = close;
    }
    return e;
}

enum indicator_gap bollinger_value(const struct bollinger *b, struct bollinger_value *out)
{
    double mean, deviation;
    enum indicator_gap gap = sma_spread(&b->mean, &mean, &deviation);
    if (gap == INDICATOR_OK) {
        *out = (struct bollinger_value){mean - b->width * deviation, mean,
                                        mean + b->width * deviation};
    }
    return gap;
}

enum indicator_gap bollinger_percent_b(const struct bollinger *b, double *out)
{
    struct bollinger_value v;
    enum indicator_gap gap = bollinger_value(b, &v);
    if (gap != INDICATOR_OK) {
        return gap;
    }
    if (!(v.upper > v.lower)) {
        return INDICATOR_NO_MOVEMENT;
    }
    *out = (b->last - v.lower) / (v.upper - v.lower);
    return INDICATOR_OK;
}

static void run(struct bollinger *b, const double *closes, size_t count)
{
    bollinger_init(b, 20, 2);
    for (size_t i = 0; i < count; i++) {
        if (bollinger_add(b, closes[i]) != OK) {
            bollinger_init(b, 20, 2);
        }
    }
}

enum indicator_gap bollinger_of(const double *closes, size_t count, struct bollinger_value *out)
{
    struct bollinger b;
    run(&b, closes, count);
    return bollinger_value(&b, out);
}

enum indicator_gap bollinger_percent_b_of(const double *closes, size_t count, double *out)
{
    struct bollinger b;
    run(&b, closes, count);
    return bollinger_percent_b(&b, out);
}
