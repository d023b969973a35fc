/* feed: what must hold for what a venue's REST answers, whatever it is.
 * SPDX-License-Identifier: MIT */
#ifndef FUZZ_FEED_H
#define FUZZ_FEED_H
#include "check.h"
#include "sources/feed.h"

#include <math.h>

static inline void fuzz_symbol(void *self, struct str symbol)
{
    (void)self;
    FUZZ_CHECK(symbol.len >= 1 && symbol.len <= EXCHANGE_SYMBOL_LEN);
}

static inline void fuzz_trade(void *self, const struct exchange_event *e)
{
    (void)self;
    FUZZ_CHECK(e->price.mantissa > 0 && e->quantity.mantissa > 0 && e->time_us > 0);
}

static inline void fuzz_candle(void *self, const struct candle *c)
{
    (void)self;
    FUZZ_CHECK(c->open.mantissa > 0 && c->low.mantissa > 0 && c->open_ms > 0);
    FUZZ_CHECK(decimal_cmp(c->low, c->high) <= 0 && c->volume.mantissa >= 0);
    FUZZ_CHECK(!isinf(c->quote_volume));
}

static inline void fuzz_venue(const struct feed_venue *venue, const uint8_t *data, size_t size)
{
    struct str body = str_make((const char *)data, size);
    const char *why = NULL;
    FUZZ_CHECK((venue->read_list(body, fuzz_symbol, NULL, &why) == OK) == (why == NULL));
    why = NULL;
    FUZZ_CHECK((venue->read_trades(body, fuzz_trade, NULL, &why) == OK) == (why == NULL));
    why = NULL;
    FUZZ_CHECK((venue->read_candles(body, fuzz_candle, NULL, &why) == OK) == (why == NULL));
    if (venue->read_weight_limit) {
        FUZZ_CHECK(venue->read_weight_limit(body) <= UINT32_MAX);
    }
}

#endif
