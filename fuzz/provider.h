/* provider: what must hold for every provider parser, whatever it is given.
 * SPDX-License-Identifier: MIT */
#ifndef FUZZ_PROVIDER_H
#define FUZZ_PROVIDER_H
#include "check.h"
#include "sources/source.h"

#include <math.h>

/* The market cannot have fewer coins than were counted; names are text; changes are numbers or NaN.
 */
static inline void fuzz_outlook(const struct reading *r)
{
    const struct outlook_values *v = &r->outlook;
    FUZZ_CHECK(v->advancers + v->decliners + v->unchanged <= 100 &&
               v->topic_count <= SENTIMENT_TOPICS_MAX);
    if (r->fields & OUTLOOK_BIT(OUTLOOK_MARKET_CAP)) {
        FUZZ_CHECK(isfinite(v->market_cap_change_24h_pct));
    }
    for (size_t i = 0; i < v->topic_count; i++) {
        const struct sentiment_topic *t = &v->topics[i];
        FUZZ_CHECK(str_is_utf8(str_of(t->name)) && str_is_utf8(str_of(t->symbol)));
        FUZZ_CHECK(t->name[0] && strlen(t->name) < sizeof(t->name));
        FUZZ_CHECK(strlen(t->symbol) < sizeof(t->symbol) && !isinf(t->change_24h_pct));
    }
}

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
    if (e == OK) {
        fuzz_outlook(&reading);
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
