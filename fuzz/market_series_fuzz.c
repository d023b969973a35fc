/* A candle file: what comes out is in order, sound and counted, and so is what is made of it.
 * SPDX-License-Identifier: MIT */
#include "market/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct series *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!bar_is_sound(&s->bars[i]) ||
            (i > 0 && s->bars[i].open_ms - s->bars[i - 1].open_ms < s->interval_ms)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct series s, longer;
    struct buf error = {0};
    if (series_read(&s, str_make((const char *)data, size), &error) == OK) {
        check(&s);
        if (s.count == 0 || (s.interval_ms == 0) != (s.count == 1)) {
            abort();
        }
        if (series_resample(&s, 3 * s.interval_ms, &longer) == OK) {
            check(&longer);
            series_fini(&longer);
        }
        series_fini(&s);
    } else if (error.len == 0 || str_find(buf_str(&error), '\n', 0) != SIZE_MAX) {
        abort();
    }
    buf_fini(&error);
    return 0;
}
