/* scheduler: which end point is asked when. It knows needs (the price, the global numbers, fear and
 * greed, RSI, and for the sentiment lists of coins), each with its end points in order of
 * preference and a cadence by profile; it does not know HTTP. All needs go their own way and run
 * beside each other (requirement A4).
 *
 *            due, or forced            got all, or no candidate left
 *   WAITING ────────────────> ROUND ───────────────────────────────> WAITING
 *                             │   ^  this candidate is not to be asked now, or
 *                             └───┘  its answer left something missing: the next one
 *
 * A round asks one candidate at a time; whoever wants the same meanwhile joins it, so that any
 * number of callers cost one fetch. Limits win always: a candidate that must wait is passed over,
 * and a round that could ask nobody comes again when the first may be asked.
 *
 * Needs of spare end points begin after the others, take part in no refresh, and after failures
 * come back to their own cadence: what the summary needs never waits for them.
 *
 * Pure but for its two functions: time and chance are arguments, so a day takes milliseconds.
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_SCHEDULER_H
#define SOURCES_SCHEDULER_H
#include "sources/source.h"

enum sources_profile { PROFILE_ISLANDS, PROFILE_REDIS, PROFILE_CLASSIC, PROFILE_COUNT };

enum need_id {
    NEED_PRICE,
    NEED_GLOBAL,
    NEED_FEAR_GREED,
    NEED_RSI,
    NEED_BREADTH,
    NEED_TRENDING,
    NEED_COUNT
};

struct scheduler_opts {
    enum sources_profile profile;
    uint64_t seed;
    uint32_t price_ttl_ms, summary_ttl_ms; /* of the price; of all other needs */
    /* How long until the end point's host may be asked; 0: now, UINT64_MAX: nobody knows. Below
     * that and above 0 `*why` is a sentence; it lives until the next call. */
    uint64_t (*wait_ms)(void *self, enum endpoint_id id, const char **why);
    /* Whether its host is left alone because it failed; else a wait is one that we keep of
     * ourselves. */
    bool (*failing)(void *self, enum endpoint_id id);
    /* Whether it is to be had at all (a secret may be missing). */
    bool (*usable)(void *self, enum endpoint_id id);
    /* Ask; ends in scheduler_answered(), never from inside. */
    void (*ask)(void *self, enum endpoint_id id);
    /* A field, or a part of the outlook, could not be got in a round. */
    void (*failed)(void *self, enum summary_field field, const char *why);
    void (*outlook_failed)(void *self, enum outlook_part part, const char *why); /* may be NULL */
    void *self;
};

/* `refreshed`: something was fetched; else `why` says why nothing was. */
typedef void (*refresh_done_fn)(void *self, bool refreshed, const char *why);

struct scheduler;

/* Everything is due at `now_ms`. */
struct scheduler *scheduler_new(const struct scheduler_opts *opts, uint64_t now_ms);
/* Waiting refreshes are not answered. */
void scheduler_free(struct scheduler *s);
/* Begins what is due and answers refreshes that are complete. */
void scheduler_run(struct scheduler *s, uint64_t now_ms);
/* When scheduler_run() has something to do next. */
uint64_t scheduler_next_ms(const struct scheduler *s);

/* The end of an ask(): the fields that were taken (0: it failed, `why` says why), and what the
 * provider says about when the next value is due (0: nothing). */
void scheduler_answered(struct scheduler *s, enum endpoint_id id, uint32_t got, int64_t next_in_ms,
                        const char *why, uint64_t now_ms);
/* For replays: the end point was asked, for its answer is in the recording now, and
 * scheduler_answered() follows. It joins the round under way if it may come next there, else it
 * begins one. True: the round was waiting for just this answer, so ask() was called for it. */
bool scheduler_was_asked(struct scheduler *s, enum endpoint_id id, uint64_t now_ms);
/* Fields that the round asking `id` still lacks. */
uint32_t scheduler_missing(const struct scheduler *s, enum endpoint_id id);

/* Forced: all of the summary that is older than its TTL is due now. Begins with the next
 * scheduler_run(); `done` comes from that or a later one. */
void scheduler_refresh(struct scheduler *s, refresh_done_fn done, void *self, uint64_t now_ms);
/* Someone read the summary: a price older than 5 min is asked for once (requirement C5), and idle
 * pace ends. */
void scheduler_read(struct scheduler *s, uint64_t now_ms);
/* A live feed gave the price: its REST tickers are not needed for this long. */
void scheduler_price_came(struct scheduler *s, uint64_t now_ms);
/* All needs are due now, as at the start (another mode began). */
void scheduler_restart(struct scheduler *s, uint64_t now_ms);
/* Failures in a row of an end point. */
uint32_t scheduler_failures(const struct scheduler *s, enum endpoint_id id);

#endif
