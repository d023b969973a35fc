/* breaker: stops asking a provider that fails, and finds out when it is well again.
 *
 *             3rd failure in a row, or told to stop
 *   CLOSED ───────────────────────────────────────────> OPEN <──────────┐
 *     ^                                                  │ time is up,  │ the trial failed:
 *     │                                                  │ one trial    │ waits longer
 *     │                 the trial succeeded              v              │
 *     └──────────────────────────────────────────── HALF_OPEN ──────────┘
 *
 * How long it stays open (contracts 3): the provider's Retry-After when it gave one above 0; 5 min
 * after a 429, 418 or a 403 that says so; else 20 s, doubling with each opening to 10 min, plus up
 * to a quarter so that many servers do not come back in step. Never less than asked for. Time and
 * chance are arguments. Belongs to the loop thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_BREAKER_H
#define SOURCES_BREAKER_H
#include "base/base.h"

#define BREAKER_FAILURES 3
#define BREAKER_THROTTLED_MS (5 * 60 * 1000)
#define BREAKER_FIRST_MS (20 * 1000)
#define BREAKER_LONGEST_MS (10 * 60 * 1000)
/* A Retry-After is obeyed up to this: the longest ban any provider documents (Binance: 3 days). */
#define BREAKER_RETRY_AFTER_MAX_MS ((uint64_t)3 * 24 * 3600 * 1000)

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_text(enum breaker_state s);

enum breaker_fault {
    BREAKER_FAULT,     /* time-out, 5xx, nonsense: bad luck until it repeats */
    BREAKER_THROTTLED, /* told to slow down */
    BREAKER_BLOCKED,   /* told that there is nothing for us here (region, key) */
};

struct breaker {
    enum breaker_state state;
    uint32_t failures;      /* in a row */
    uint64_t open_until_ms; /* while OPEN */
    uint64_t opened;        /* times since the start */
    /* private */
    uint32_t openings; /* in a row without a success between; doubles the wait */
    bool trial;        /* HALF_OPEN: the one trial is under way */
};

/* CLOSED. A zeroed struct is that too. */
void breaker_init(struct breaker *b);
/* How long until a call is allowed; 0: now; UINT64_MAX: a trial is under way, wait for its end. */
uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms);
/* A call begins; only when breaker_wait_ms() is 0. Turns OPEN into HALF_OPEN when its time is up.
 */
void breaker_begin(struct breaker *b, uint64_t now_ms);
/* The call was given up before it went out: it says nothing about the provider. */
void breaker_abandon(struct breaker *b, uint64_t now_ms);
void breaker_succeeded(struct breaker *b);
/* `retry_after_ms` 0: none given. `chance` is any random number. */
void breaker_failed(struct breaker *b, enum breaker_fault fault, uint64_t retry_after_ms,
                    uint32_t chance, uint64_t now_ms);

#endif
