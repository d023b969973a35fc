/* weight: what a venue says of its own limit per IP and minute, which others behind the same
 * address use up as well (Binance: X-MBX-USED-WEIGHT-1M, and the limit in exchangeInfo). It counts
 * by whole minutes. One for all that ask
 * the host, whatever they ask it for. Pure; times are Unix ms. SPDX-License-Identifier: MIT */
#ifndef SOURCES_WEIGHT_H
#define SOURCES_WEIGHT_H
#include "base/str.h"

struct weight {
    uint64_t limit; /* as the venue said; 0: it has not */
    uint64_t used;  /* in the minute of `at_ms` */
    int64_t at_ms;  /* 0: never said */
};

/* Takes the header's value (empty: there was none). Gives weight_wait_ms() if that is news. */
uint64_t weight_note(struct weight *w, struct str value, int64_t now_ms);
/* How long to ask nothing: 0 below 80 % of the limit, else until a second into the next minute. */
uint64_t weight_wait_ms(const struct weight *w, int64_t now_ms);
/* Used in the minute under way, as far as we were told; 0 after its end. */
uint64_t weight_used(const struct weight *w, int64_t now_ms);
/* 80 % of the limit, or more. */
bool weight_is_full(const struct weight *w, int64_t now_ms);

#endif
