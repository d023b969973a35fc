/* SPDX-License-Identifier: MIT */
#include "quant/vwap.h"

#include <math.h>

void vwap_init(struct vwap *v)
{
    *v = (struct vwap){0};
}

enum err vwap_add(struct vwap *v, double price, double quantity)
{
    if (!isfinite(price) || price <= 0 || !isfinite(quantity) || quantity < 0) {
        return ERR_RANGE;
    }
    if (v->count++ == 0) {
        v->first = price;
    }
    v->sum += (price - v->first) * quantity;
    v->quantity += quantity;
    return OK;
}

enum indicator_gap vwap_value(const struct vwap *v, double *out)
{
    if (v->count == 0) {
        return INDICATOR_TOO_FEW;
    }
    if (!(v->quantity > 0)) {
        return INDICATOR_NO_VOLUME;
    }
    *out = v->first + v->sum / v->quantity;
    return INDICATOR_OK;
}

enum indicator_gap vwap_of(const struct bar *bars, size_t count, size_t last, double *out)
{
    struct vwap v;
    vwap_init(&v);
    if (last == 0 || count < last) {
        return INDICATOR_TOO_FEW;
    }
    for (size_t i = count - last; i < count; i++) {
        const struct bar *b = &bars[i];
        if (!bar_is_sound(b) || vwap_add(&v, (b->high + b->low + b->close) / 3, b->volume) != OK) {
            return INDICATOR_TOO_FEW;
        }
    }
    return vwap_value(&v, out);
}
