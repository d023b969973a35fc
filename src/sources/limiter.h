/* limiter: a token bucket that says when the next call to a provider is allowed.
 *
 * Holds at most `burst` tokens and gains one every `period_ms`. It never reads a clock: callers
 * pass monotonic `now_ms`, so a test ages it by adding to a number. Belongs to the loop thread.
 * Always: tokens <= burst; refilled_ms never runs backwards. SPDX-License-Identifier: MIT */
#ifndef SOURCES_LIMITER_H
#define SOURCES_LIMITER_H
#include "base/base.h"

struct limiter {
    uint32_t burst, period_ms;
    /* private */
    uint32_t tokens;
    uint64_t refilled_ms, shut_until_ms;
};

/* Full. `burst` and `period_ms` are at least 1. */
void limiter_init(struct limiter *l, uint32_t burst, uint32_t period_ms, uint64_t now_ms);
/* Takes a token if one is there. */
bool limiter_take(struct limiter *l, uint64_t now_ms) MUST_CHECK;
/* How long until limiter_take() succeeds; 0 means now. */
uint64_t limiter_wait_ms(const struct limiter *l, uint64_t now_ms);
/* The provider asked for quiet: stay shut until then, whatever the tokens say. */
void limiter_shut(struct limiter *l, uint64_t until_ms);

#endif
