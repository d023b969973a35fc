/* host: one provider as we deal with it: whether it may be asked now, and how it is doing.
 *
 * Joins breaker, limiter and budget: all three must agree before a request goes out. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_HOST_H
#define SOURCES_HOST_H
#include "sources/breaker.h"
#include "sources/budget.h"
#include "sources/limiter.h"
#include "sources/source.h"
#include "sources/weight.h"

enum health_status { HEALTH_OK, HEALTH_DEGRADED, HEALTH_DOWN };
/* "ok", "degraded", "down". */
const char *health_status_text(enum health_status s);

#define HOST_REASON_LEN 200
struct host {
    const struct provider *row;
    struct breaker breaker;
    struct limiter limiter;
    struct budget *budget; /* owned */
    struct weight *weight; /* what the provider says of its own limit; NULL: it says nothing */
    bool usable;           /* false: it wants a secret and has none */
    bool refused;          /* it refused our secret: not asked again by itself */
    bool asked;
    uint64_t ok, failed, rejected, openings;
    int64_t last_ok_ms; /* Unix; 0: never */
    int64_t since_ms;   /* Unix: status is what it is since then */
    enum health_status status;
    char reason[HOST_REASON_LEN]; /* of the last failure; "" after a success */
    char wait_reason[HOST_REASON_LEN + 64];
};

/* `usable`: a secret is there if one is wanted. Takes over the budget. */
void host_init(struct host *h, enum provider_id id, struct budget *owned_budget, bool usable,
               uint64_t now_ms, int64_t wall_ms);
void host_fini(struct host *h);
/* How long until it may be asked; 0: now, UINT64_MAX: not to be foreseen. `*why` is a sentence when
 * above 0; it lives until the next call. */
uint64_t host_wait_ms(struct host *h, uint64_t now_ms, int64_t wall_ms, const char **why);
/* The same for an end point that is `spare`: never while the provider is on trial. */
uint64_t host_spare_wait_ms(struct host *h, uint64_t now_ms, int64_t wall_ms, const char **why);
/* A wait is for what it answered, not for our own limits. */
bool host_failing(const struct host *h);
/* A request begins: takes from breaker, limiter and budget. Only when host_wait_ms() is 0. As
 * budget_take(). */
bool host_begin(struct host *h, uint32_t ticket, uint64_t now_ms, int64_t wall_ms) MUST_CHECK;
void host_succeeded(struct host *h, int64_t wall_ms);
/* `e` as parse_fn gives it, or why there was no answer. `why` is a sentence. */
void host_failed(struct host *h, enum err e, const char *why, uint64_t retry_after_ms,
                 uint32_t chance, uint64_t now_ms, int64_t wall_ms);
/* An end point failed that is `spare`, for a reason of its own: the provider is as it was. */
void host_spare_failed(struct host *h);
/* It answered, but a value was implausible. */
void host_rejected(struct host *h, const char *why, int64_t wall_ms);

struct host_health {
    const char *name; /* "coingecko" */
    enum health_status status;
    const char *reason;                        /* "" when well and nothing to say */
    int64_t since_ms, next_try_ms, last_ok_ms; /* Unix; 0: none */
    const char *breaker;
    uint32_t failures; /* in a row */
    uint64_t ok, failed, rejected;
    uint32_t minute_used, minute_limit;
    uint64_t month_used, month_limit; /* limit 0: none */
};
/* Texts live until the next call for this host. */
void host_health(struct host *h, uint64_t now_ms, int64_t wall_ms, struct host_health *out);

#endif
