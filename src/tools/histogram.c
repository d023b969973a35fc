/* SPDX-License-Identifier: MIT */
#include "tools/histogram.h"

#include <math.h>

static size_t bucket_of(uint64_t value)
{
    if (value < 64) {
        return (size_t)value;
    }
    unsigned top = 63U - (unsigned)__builtin_clzll(value);
    /* The bit at `top` is always set: its six followers choose among 64 parts. */
    size_t index = 64U * (top - 5U) + (size_t)((value >> (top - 6U)) & 63U);
    return min_size(index, HISTOGRAM_BUCKETS - 1);
}

/* The largest value of a bucket. */
static uint64_t bucket_top(size_t index)
{
    if (index < 64) {
        return index;
    }
    unsigned shift = (unsigned)(index / 64U) - 1U;
    return ((uint64_t)(64U + index % 64U + 1U) << shift) - 1U;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->max = max_u64(h->max, value);
}

bool histogram_quantile(const struct histogram *h, double quantile, uint64_t *out)
{
    if (h->count == 0) {
        return false;
    }
    uint64_t rank = max_u64(1, (uint64_t)ceil(quantile * (double)h->count));
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            *out = min_u64(bucket_top(i), h->max);
            return true;
        }
    }
    *out = h->max;
    return true;
}

void histogram_clear(struct histogram *h)
{
    *h = (struct histogram){0};
}
