/* budget: how many requests a provider may get in any minute and in a calendar month (UTC), kept on
 * disk so that a restart or kill -9 forgets none.
 *
 * A request is counted before it goes out: budget_take() starts the durable write, and the request
 * may leave when `taken` says so. Names are of the mode ("budget:demo:coingecko:2026-11"): demo and
 * replay never use up what live has. The minute is a true sliding window: in no 60 s, whichever one
 * looks at, do more than `per_minute` requests go out, also over a restart.
 * Without a store everything is counted in memory only. Times are arguments. Loop thread.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_BUDGET_H
#define SOURCES_BUDGET_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define BUDGET_MAX_PER_MINUTE 6000

typedef void (*budget_done_fn)(void *self, enum err e, int64_t value);
typedef void (*budget_text_fn)(void *self, enum err e, struct str value);
/* Where counts live; the functions of store/db.h behind a table, so that tests can be exact about
 * what reached the disk. Completions never come from inside the call, and come in order. */
struct budget_store {
    void *self;
    void (*counter_add)(void *self, struct str name, int64_t delta, budget_done_fn done, void *arg);
    void (*counter_get)(void *self, struct str name, budget_done_fn done, void *arg);
    void (*text_put)(void *self, struct str key, struct str value, budget_done_fn done, void *arg);
    void (*text_get)(void *self, struct str key, budget_text_fn done, void *arg);
};

struct budget_opts {
    const char *name;                 /* the provider's; static */
    uint32_t per_minute;              /* 1..BUDGET_MAX_PER_MINUTE */
    uint64_t per_month;               /* 0: no limit by month */
    const struct budget_store *store; /* NULL: memory only; outlives the budget */
    /* A take is durable: `ticket` is what budget_take() was given. `e` tells when the disk failed
     * (counted in memory then, the caller decides). Never from inside budget_take(). */
    void (*taken)(void *self, uint32_t ticket, enum err e);
    /* Counts were loaded: waits may be shorter now. */
    void (*loaded)(void *self);
    void *self;
};

struct budget;

/* Begins to load the counts of `mode`. */
struct budget *budget_new(const struct budget_opts *opts, const char *mode, uint64_t now_ms,
                          int64_t wall_ms);
/* Only when no completion can come any more: the store is closed, or budget_idle(). */
void budget_free(struct budget *b);
/* From now on counts under the names of `mode`; the old mode's counts stay where they are. */
void budget_set_mode(struct budget *b, const char *mode, uint64_t now_ms, int64_t wall_ms);
/* How long until budget_take() is allowed; 0: now. Until the counts are loaded: a short wait. */
uint64_t budget_wait_ms(struct budget *b, uint64_t now_ms, int64_t wall_ms);
/* The same for a request that can be done without: it leaves half of the minute to others, and
 * waits while more of the month's requests are used up than of the month has passed (a fiftieth of
 * them is there at once, and a fiftieth is always left). */
uint64_t budget_spare_wait_ms(struct budget *b, uint64_t now_ms, int64_t wall_ms);
/* Counts one request; only when budget_wait_ms() is 0. True: go on at once (nothing to write down);
 * false: `taken` follows. */
bool budget_take(struct budget *b, uint32_t ticket, uint64_t now_ms, int64_t wall_ms) MUST_CHECK;
/* A request that was counted under `mode` turned out to belong to another one: gives it back. */
void budget_give_back(struct budget *b, const char *mode, int64_t wall_ms);
uint32_t budget_minute_used(const struct budget *b, uint64_t now_ms);
uint64_t budget_month_used(const struct budget *b);
uint32_t budget_per_minute(const struct budget *b);
uint64_t budget_per_month(const struct budget *b);
/* No write or read is under way. */
bool budget_idle(const struct budget *b);
/* Whether the last read and write reached the disk. */
bool budget_durable(const struct budget *b);

#endif
