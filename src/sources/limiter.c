/* SPDX-License-Identifier: MIT */
#include "sources/limiter.h"

#include <assert.h>

void limiter_init(struct limiter *l, uint32_t burst, uint32_t period_ms, uint64_t now_ms)
{
    assert(burst >= 1 && period_ms >= 1);
    *l = (struct limiter){
        .burst = burst, .period_ms = period_ms, .tokens = burst, .refilled_ms = now_ms};
}

/* Tokens at `now_ms`, and the moment the last of them came in. */
static uint32_t tokens_at(const struct limiter *l, uint64_t now_ms, uint64_t *refilled_ms)
{
    *refilled_ms = l->refilled_ms;
    if (l->tokens == l->burst || now_ms <= l->refilled_ms) {
        /* A full bucket gains nothing: the next period starts with the next token taken. */
        *refilled_ms = l->tokens == l->burst ? max_u64(now_ms, l->refilled_ms) : l->refilled_ms;
        return l->tokens;
    }
    uint64_t gained = (now_ms - l->refilled_ms) / l->period_ms;
    if (gained >= l->burst - l->tokens) {
        *refilled_ms = now_ms;
        return l->burst;
    }
    *refilled_ms = l->refilled_ms + gained * l->period_ms;
    return l->tokens + (uint32_t)gained;
}

bool limiter_take(struct limiter *l, uint64_t now_ms)
{
    if (limiter_wait_ms(l, now_ms) > 0) {
        return false;
    }
    l->tokens = tokens_at(l, now_ms, &l->refilled_ms);
    assert(l->tokens > 0 && l->tokens <= l->burst);
    l->tokens--;
    return true;
}

uint64_t limiter_wait_ms(const struct limiter *l, uint64_t now_ms)
{
    uint64_t refilled_ms = 0, wait_ms = 0;
    if (tokens_at(l, now_ms, &refilled_ms) == 0) {
        uint64_t due_ms = refilled_ms + l->period_ms;
        wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    }
    uint64_t shut_ms = l->shut_until_ms > now_ms ? l->shut_until_ms - now_ms : 0;
    return max_u64(wait_ms, shut_ms);
}

void limiter_shut(struct limiter *l, uint64_t until_ms)
{
    l->shut_until_ms = max_u64(l->shut_until_ms, until_ms);
}
