/* SPDX-License-Identifier: MIT */
#include "quant/volatility.h"

#include <assert.h>
#include <math.h>

void realised_init(struct realised *v)
{
    *v = (struct realised){0};
}

enum err realised_add(struct realised *v, double ret)
{
    if (!isfinite(ret)) {
        return ERR_RANGE;
    }
    v->count++;
    double d = ret - v->mean;
    v->mean += d / (double)v->count;
    v->squares += d * (ret - v->mean);
    return OK;
}

enum indicator_gap realised_value(const struct realised *v, double *out)
{
    if (v->count < 2) {
        return INDICATOR_TOO_FEW;
    }
    *out = sqrt(v->squares / (double)(v->count - 1));
    return INDICATOR_OK;
}

enum indicator_gap realised_of(const double *returns, size_t count, double *out)
{
    struct realised v;
    realised_init(&v);
    for (size_t i = 0; i < count; i++) {
        if (realised_add(&v, returns[i]) != OK) {
            realised_init(&v);
        }
    }
    return realised_value(&v, out);
}

void ewma_init(struct ewma *v, double lambda)
{
    assert(lambda > 0 && lambda < 1);
    *v = (struct ewma){.lambda = lambda};
}

enum err ewma_add(struct ewma *v, double ret)
{
    if (!isfinite(ret)) {
        return ERR_RANGE;
    }
    double square = ret * ret;
    v->variance = v->count == 0 ? square : v->lambda * v->variance + (1 - v->lambda) * square;
    v->count++;
    return OK;
}

enum indicator_gap ewma_value(const struct ewma *v, double *out)
{
    if (v->count == 0) {
        return INDICATOR_TOO_FEW;
    }
    *out = sqrt(v->variance);
    return INDICATOR_OK;
}

enum indicator_gap ewma_of(const double *returns, size_t count, double lambda, double *out)
{
    struct ewma v;
    ewma_init(&v, lambda);
    for (size_t i = 0; i < count; i++) {
        if (ewma_add(&v, returns[i]) != OK) {
            ewma_init(&v, lambda);
        }
    }
    return ewma_value(&v, out);
}
