/* SPDX-License-Identifier: MIT */
#include "sources/breaker.h"

#include <assert.h>

static const bool allowed[3][3] = {
    [BREAKER_CLOSED] = {[BREAKER_OPEN] = true},
    [BREAKER_OPEN] = {[BREAKER_HALF_OPEN] = true, [BREAKER_CLOSED] = true, [BREAKER_OPEN] = true},
    [BREAKER_HALF_OPEN] = {[BREAKER_OPEN] = true, [BREAKER_CLOSED] = true},
};

static void move(struct breaker *b, enum breaker_state to)
{
    assert(allowed[b->state][to]);
    b->state = to;
    b->trial = false;
}

const char *breaker_state_text(enum breaker_state s)
{
    switch (s) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_OPEN:
        return "open";
    case BREAKER_HALF_OPEN:
        return "half-open";
    }
    return "closed";
}

void breaker_init(struct breaker *b)
{
    *b = (struct breaker){.state = BREAKER_CLOSED};
}

uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        return 0;
    case BREAKER_OPEN:
        return b->open_until_ms > now_ms ? b->open_until_ms - now_ms : 0;
    case BREAKER_HALF_OPEN:
        return b->trial ? UINT64_MAX : 0;
    }
    return 0;
}

void breaker_begin(struct breaker *b, uint64_t now_ms)
{
    assert(breaker_wait_ms(b, now_ms) == 0);
    if (b->state == BREAKER_OPEN) {
        move(b, BREAKER_HALF_OPEN);
    }
    b->trial = b->state == BREAKER_HALF_OPEN;
}

void breaker_abandon(struct breaker *b, uint64_t now_ms)
{
    if (b->state == BREAKER_HALF_OPEN) {
        b->open_until_ms = now_ms;
        move(b, BREAKER_OPEN);
    }
}

void breaker_succeeded(struct breaker *b)
{
    b->failures = 0;
    b->openings = 0;
    /* Also from OPEN: a call that went out before it opened may still come back well. */
    if (b->state != BREAKER_CLOSED) {
        move(b, BREAKER_CLOSED);
    }
}

static uint64_t backoff_ms(const struct breaker *b, uint32_t chance)
{
    uint32_t doublings = b->openings < 5 ? b->openings : 5;
    uint64_t wait_ms = min_u64((uint64_t)BREAKER_FIRST_MS << doublings, BREAKER_LONGEST_MS);
    return wait_ms + wait_ms / 4 * (chance % 1024) / 1024;
}

void breaker_failed(struct breaker *b, enum breaker_fault fault, uint64_t retry_after_ms,
                    uint32_t chance, uint64_t now_ms)
{
    uint64_t wait_ms = 0;
    b->failures++;
    if (retry_after_ms > 0) {
        wait_ms = min_u64(retry_after_ms, BREAKER_RETRY_AFTER_MAX_MS);
    } else if (fault == BREAKER_THROTTLED) {
        wait_ms = BREAKER_THROTTLED_MS;
    } else if (fault == BREAKER_BLOCKED) {
        wait_ms = BREAKER_LONGEST_MS;
    } else if (b->state == BREAKER_OPEN) {
        return; /* a call from before it opened: nothing new */
    } else if (b->failures >= BREAKER_FAILURES || b->state == BREAKER_HALF_OPEN) {
        wait_ms = backoff_ms(b, chance);
        b->openings++;
    } else {
        return;
    }
    /* A late failure never shortens what an earlier answer asked for. */
    uint64_t until_ms = now_ms + wait_ms;
    if (b->state == BREAKER_OPEN) {
        until_ms = max_u64(until_ms, b->open_until_ms);
    }
    b->open_until_ms = until_ms;
    b->opened++;
    move(b, BREAKER_OPEN);
}
