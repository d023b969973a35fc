/* provider: what must hold for every provider parser, whatever it is given.
 * SPDX-License-Identifier: MIT */
#ifndef FUZZ_PROVIDER_H
#define FUZZ_PROVIDER_H
#include "sources/source.h"

#include <math.h>

#define FUZZ_CHECK(condition) \
    do {                      \
        if (!(condition)) {   \
            abort();          \
        }                     \
    } while (0)

/* A failure has a sentence, a success has none; values and candles are finite; a reading goes
 * through the computation behind it. */
static inline void fuzz_parser(parse_fn parse, const uint8_t *data, size_t size)
{
    static struct reading reading;
    struct buf why = {0};
    struct str body = str_make((const char *)data, size);
    enum err e = parse(body, &reading, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0));
    FUZZ_CHECK(str_is_utf8(buf_str(&why)) && why.len < 400);
    for (int f = 0; f < FIELD_COUNT && e == OK; f++) {
        FUZZ_CHECK(!(reading.fields & FIELD_BIT(f)) || isfinite(reading.value[f]));
    }
    FUZZ_CHECK(reading.candle_count <= DAILY_MAX && reading.next_in_ms >= 0);
    if (e == OK && reading.candle_count > 0) {
        double value = 0;
        size_t count = daily_closed_run(reading.candles, reading.candle_count, INT64_MAX);
        if (daily_rsi14(reading.candles, count, &value, &why) == OK) {
            FUZZ_CHECK(value >= 0 && value <= 100);
        }
    }
    buf_fini(&why);
}

#endif
