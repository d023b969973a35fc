/* SPDX-License-Identifier: MIT */
#include "sources/weight.h"

#define MINUTE_MS 60000
#define MARGIN_MS 1000
/* Of the limit, in hundredths. */
#define MOST_PERCENT 80

uint64_t weight_note(struct weight *w, struct str value, int64_t now_ms)
{
    uint64_t used = 0;
    if (str_to_u64(value, &used) != OK || used > UINT32_MAX) {
        return 0;
    }
    w->used = used;
    w->at_ms = now_ms;
    return weight_wait_ms(w, now_ms);
}

uint64_t weight_wait_ms(const struct weight *w, int64_t now_ms)
{
    int64_t end_ms = w->at_ms - w->at_ms % MINUTE_MS + MINUTE_MS + MARGIN_MS;
    return now_ms < end_ms && weight_is_full(w, w->at_ms) ? (uint64_t)(end_ms - now_ms) : 0;
}

uint64_t weight_used(const struct weight *w, int64_t now_ms)
{
    return w->at_ms > 0 && now_ms / MINUTE_MS == w->at_ms / MINUTE_MS ? w->used : 0;
}

bool weight_is_full(const struct weight *w, int64_t now_ms)
{
    return w->limit > 0 && weight_used(w, now_ms) * 100 >= w->limit * MOST_PERCENT;
}
