/* SPDX-License-Identifier: MIT */
#include "sources/host.h"

#include "base/log.h"

#include <assert.h>

/* While the provider is tried again, what can be done without looks again after this. */
#define SPARE_TRIAL_MS 5000

const char *health_status_text(enum health_status s)
{
    switch (s) {
    case HEALTH_OK:
        return "ok";
    case HEALTH_DEGRADED:
        return "degraded";
    case HEALTH_DOWN:
        return "down";
    }
    return "down";
}

/* A ceiling that was raised raises the pace within the minute, too; one that was lowered is kept by
 * the budget alone, so that what is asked at the start still goes out together. */
static void init_limiter(struct host *h, uint64_t now_ms)
{
    uint32_t times = budget_per_minute(h->budget) / h->row->per_minute;
    times = times > 1 ? times : 1;
    uint32_t period_ms = h->row->period_ms / times;
    limiter_init(&h->limiter, h->row->burst * times, period_ms > 0 ? period_ms : 1, now_ms);
}

void host_init(struct host *h, enum provider_id id, struct budget *owned_budget, bool usable,
               uint64_t now_ms, int64_t wall_ms)
{
    *h = (struct host){
        .row = provider_row(id), .budget = owned_budget, .usable = usable, .since_ms = wall_ms};
    breaker_init(&h->breaker);
    init_limiter(h, now_ms);
}

void host_fini(struct host *h)
{
    budget_free(h->budget);
    h->budget = NULL;
}

uint64_t host_wait_ms(struct host *h, uint64_t now_ms, int64_t wall_ms, const char **why)
{
    *why = h->wait_reason;
    if (h->refused) {
        snprintf(h->wait_reason, sizeof(h->wait_reason), "%s refused the key", h->row->title);
        return UINT64_MAX;
    }
    uint64_t wait_ms = breaker_wait_ms(&h->breaker, now_ms);
    if (wait_ms > 0) {
        snprintf(h->wait_reason, sizeof(h->wait_reason), "%s is not asked after failures: %s",
                 h->row->title, h->reason);
        return wait_ms;
    }
    wait_ms = h->weight ? weight_wait_ms(h->weight, wall_ms) : 0;
    if (wait_ms > 0) {
        snprintf(h->wait_reason, sizeof(h->wait_reason),
                 "%s: its own limit for this address is nearly used up until the next minute "
                 "(%llu of %llu)",
                 h->row->title, (unsigned long long)h->weight->used,
                 (unsigned long long)h->weight->limit);
        return wait_ms;
    }
    uint64_t limiter_ms = limiter_wait_ms(&h->limiter, now_ms);
    uint64_t budget_ms = budget_wait_ms(h->budget, now_ms, wall_ms);
    wait_ms = max_u64(limiter_ms, budget_ms);
    if (wait_ms > 0) {
        bool month = budget_per_month(h->budget) > 0 &&
                     budget_month_used(h->budget) >= budget_per_month(h->budget);
        if (budget_ms > 0) {
            snprintf(h->wait_reason, sizeof(h->wait_reason),
                     "%s: our own limit of requests by the %s is used up", h->row->title,
                     month ? "month" : "minute");
        } else {
            snprintf(h->wait_reason, sizeof(h->wait_reason),
                     "%s: our own requests come no closer together", h->row->title);
        }
    }
    return wait_ms;
}

uint64_t host_spare_wait_ms(struct host *h, uint64_t now_ms, int64_t wall_ms, const char **why)
{
    uint64_t wait_ms = host_wait_ms(h, now_ms, wall_ms, why);
    if (wait_ms > 0) {
        return wait_ms;
    }
    if (h->breaker.state != BREAKER_CLOSED) {
        snprintf(h->wait_reason, sizeof(h->wait_reason), "%s is tried again after failures: %s",
                 h->row->title, h->reason);
        return SPARE_TRIAL_MS;
    }
    wait_ms = budget_spare_wait_ms(h->budget, now_ms, wall_ms);
    if (wait_ms > 0) {
        snprintf(h->wait_reason, sizeof(h->wait_reason),
                 "%s: what is left of our own limit of requests is kept for the summary",
                 h->row->title);
    }
    return wait_ms;
}

bool host_failing(const struct host *h)
{
    return h->refused || h->breaker.state != BREAKER_CLOSED;
}

bool host_begin(struct host *h, uint32_t ticket, uint64_t now_ms, int64_t wall_ms)
{
    breaker_begin(&h->breaker, now_ms);
    bool taken = limiter_take(&h->limiter, now_ms);
    assert(taken);
    (void)taken;
    h->asked = true;
    return budget_take(h->budget, ticket, now_ms, wall_ms);
}

static void set_status(struct host *h, enum health_status status, int64_t wall_ms)
{
    if (h->status == status) {
        return;
    }
    if (status == HEALTH_OK) {
        log_info(h->row->name, "well again", "was=%s", health_status_text(h->status));
    } else {
        log_warn(h->row->name, "not well", "status=%s breaker=%s reason=%s",
                 health_status_text(status), breaker_state_text(h->breaker.state),
                 log_quote(str_of(h->reason)));
    }
    h->status = status;
    h->since_ms = wall_ms;
}

void host_succeeded(struct host *h, int64_t wall_ms)
{
    breaker_succeeded(&h->breaker);
    h->ok++;
    h->last_ok_ms = wall_ms;
    h->reason[0] = '\0';
    set_status(h, HEALTH_OK, wall_ms);
}

void host_failed(struct host *h, enum err e, const char *why, uint64_t retry_after_ms,
                 uint32_t chance, uint64_t now_ms, int64_t wall_ms)
{
    enum breaker_fault fault = BREAKER_FAULT;
    if (e == ERR_LIMIT) {
        fault = BREAKER_THROTTLED;
    } else if (e == ERR_DENIED) {
        fault = BREAKER_BLOCKED;
        h->refused = h->row->wants_secret;
    }
    uint64_t opened = h->breaker.opened;
    breaker_failed(&h->breaker, fault, retry_after_ms, chance, now_ms);
    h->openings += h->breaker.opened - opened;
    h->failed++;
    snprintf(h->reason, HOST_REASON_LEN, "%s", why);
    bool down = h->breaker.state == BREAKER_OPEN || h->refused;
    set_status(h, down ? HEALTH_DOWN : HEALTH_DEGRADED, wall_ms);
}

void host_spare_failed(struct host *h)
{
    h->failed++;
}

void host_rejected(struct host *h, const char *why, int64_t wall_ms)
{
    breaker_succeeded(&h->breaker);
    h->rejected++;
    snprintf(h->reason, HOST_REASON_LEN, "%s", why);
    set_status(h, HEALTH_DEGRADED, wall_ms);
}

void host_health(struct host *h, uint64_t now_ms, int64_t wall_ms, struct host_health *out)
{
    const char *why = "";
    uint64_t wait_ms = h->usable ? host_wait_ms(h, now_ms, wall_ms, &why) : 0;
    *out = (struct host_health){
        .name = h->row->name,
        .status = h->status,
        .reason = h->reason,
        .since_ms = h->since_ms,
        .last_ok_ms = h->last_ok_ms,
        .breaker = breaker_state_text(h->breaker.state),
        .failures = h->breaker.failures,
        .ok = h->ok,
        .failed = h->failed,
        .rejected = h->rejected,
        .minute_used = budget_minute_used(h->budget, now_ms),
        .minute_limit = budget_per_minute(h->budget),
        .month_used = budget_month_used(h->budget),
        .month_limit = budget_per_month(h->budget),
    };
    bool exhausted = out->month_limit > 0 && out->month_used >= out->month_limit;
    bool full = h->weight && weight_wait_ms(h->weight, wall_ms) > 0;
    if (wait_ms > 0 && wait_ms != UINT64_MAX && (h->status != HEALTH_OK || exhausted || full)) {
        out->next_try_ms = wall_ms + (int64_t)wait_ms;
    }
    if (h->status != HEALTH_OK) {
        return;
    }
    if (!h->usable) {
        out->reason = "not configured: it needs a secret";
    } else if (exhausted) {
        out->status = HEALTH_DEGRADED;
        out->reason = why;
    } else if (!budget_durable(h->budget)) {
        out->status = HEALTH_DEGRADED;
        out->reason = "its counts of requests could not be kept on disk";
    } else if (full) {
        out->reason = why;
    } else if (!h->asked) {
        out->reason = "standing by";
    }
}
