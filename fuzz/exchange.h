/* exchange: what must hold for every reader of exchange frames, whatever it is given.
 * SPDX-License-Identifier: MIT */
#ifndef FUZZ_EXCHANGE_H
#define FUZZ_EXCHANGE_H
#include "check.h"
#include "wire/exchange.h"

#include <math.h>

/* No price below or at 0 and no figure that is none gets out; texts are slices of the frame. */
static inline void fuzz_event(void *self, const struct exchange_event *e)
{
    size_t *count = self;
    (*count)++;
    FUZZ_CHECK(e->kind <= EX_IGNORED);
    FUZZ_CHECK(isfinite(e->change_24h_pct) && e->time_us >= 0 && e->sent_us >= 0);
    FUZZ_CHECK(str_is_utf8(e->text) && str_is_utf8(e->instrument));
    FUZZ_CHECK(!e->has_book || (e->bid.mantissa > 0 && e->ask.mantissa > 0));
    if (e->kind == EX_TRADE || e->kind == EX_DAY || e->kind == EX_CANDLE) {
        FUZZ_CHECK(e->price.mantissa > 0 && e->quantity.mantissa >= 0);
    }
    FUZZ_CHECK(e->kind != EX_BOOK || e->has_book);
}

/* A fault has a sentence, a success has at least one event or an empty list. */
static inline void fuzz_exchange(exchange_read_fn read, const uint8_t *data, size_t size)
{
    const char *why = NULL;
    size_t count = 0;
    enum err e = read(str_make((const char *)data, size), fuzz_event, &count, &why);
    FUZZ_CHECK((e == OK) == (why == NULL));
    FUZZ_CHECK(count <= size);
}

#endif
