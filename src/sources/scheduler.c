/* SPDX-License-Identifier: MIT */
#include "sources/scheduler.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/metrics.h"

#include <assert.h>

#define SECOND_MS 1000u
#define MINUTE_MS 60000u
#define FIRST_ATTEMPTS 3
#define FIRST_APART_MS (5 * SECOND_MS)
#define RETRY_FIRST_MS (20 * SECOND_MS)
#define RETRY_LONGEST_MS (10 * MINUTE_MS)
#define OLD_PRICE_MS (5 * MINUTE_MS)
/* Nobody read for this long: the price goes at idle pace, still well inside what counts as fresh.
 */
#define IDLE_AFTER_MS (10 * MINUTE_MS)
#define IDLE_PRICE_MS (30 * SECOND_MS)
#define CANDIDATES_MAX 5
/* By then the first answers are here: whose data it is, and what they cost of the limits. */
#define SPARE_AFTER_MS (3 * SECOND_MS)
#define WHY_LEN 200

static struct metric rounds_ok =
    METRIC_COUNTER("coincast_source_updates_ok_total", "Update rounds that got something.");
static struct metric rounds_failed =
    METRIC_COUNTER("coincast_source_updates_failed_total", "Update rounds that got nothing.");
static struct metric backoffs =
    METRIC_COUNTER("coincast_source_backoffs_total", "Waits after failures of an end point.");

struct need_row {
    uint32_t fields;
    uint32_t cadence_ms[PROFILE_COUNT];
    bool provider_decides[PROFILE_COUNT]; /* a later next_in_ms counts */
    enum endpoint_id candidates[CANDIDATES_MAX];
    size_t count;
};

/* contracts 3: where each number comes from and how often it is asked for. */
static const struct need_row rows[NEED_COUNT] = {
    [NEED_PRICE] =
        {
            .fields = FIELD_BIT(FIELD_BTC_PRICE) | FIELD_BIT(FIELD_BTC_CHANGE_24H),
            .cadence_ms = {10 * SECOND_MS, 5 * MINUTE_MS, 10 * MINUTE_MS},
            .candidates = {EP_BINANCE_TICKER, EP_COINBASE_STATS, EP_KRAKEN_TICKER,
                           EP_COINGECKO_PRICE},
            .count = 4,
        },
    [NEED_GLOBAL] =
        {
            .fields = FIELD_BIT(FIELD_MARKET_CAP) | FIELD_BIT(FIELD_VOLUME_24H) |
                      OUTLOOK_BIT(OUTLOOK_MARKET_CAP),
            .cadence_ms = {10 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS},
            .candidates = {EP_COINGECKO_GLOBAL},
            .count = 1,
        },
    [NEED_FEAR_GREED] =
        {
            .fields = FIELD_BIT(FIELD_FEAR_GREED),
            .cadence_ms = {60 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS},
            .provider_decides = {true, false, false},
            .candidates = {EP_ALTERNATIVE_FNG},
            .count = 1,
        },
    [NEED_RSI] =
        {
            .fields = FIELD_BIT(FIELD_RSI_14),
            .cadence_ms = {5 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS},
            .provider_decides = {true, true, true},
            .candidates = {EP_TAAPI_RSI, EP_BINANCE_DAILY, EP_COINBASE_DAILY, EP_KRAKEN_DAILY},
            .count = 4,
        },
    /* In a month of 31 days CoinGecko's 10,000 requests are enough for global, breadth and trending
     * together: 4,464 + 4,464 + 744; with profile redis 8,928 + 744 + 248. */
    [NEED_BREADTH] =
        {
            .fields = OUTLOOK_BIT(OUTLOOK_BREADTH),
            .cadence_ms = {10 * MINUTE_MS, 60 * MINUTE_MS, 10 * MINUTE_MS},
            .candidates = {EP_COINGECKO_MARKETS},
            .count = 1,
        },
    [NEED_TRENDING] =
        {
            .fields = OUTLOOK_BIT(OUTLOOK_TRENDING),
            .cadence_ms = {60 * MINUTE_MS, 180 * MINUTE_MS, 60 * MINUTE_MS},
            .candidates = {EP_COINGECKO_TRENDING},
            .count = 1,
        },
};

struct need {
    bool active;      /* a round is under way */
    bool flying;      /* its candidate was asked and has not answered */
    size_t at;        /* the candidate under way */
    uint32_t missing; /* in this round */
    uint32_t got;
    unsigned asked;     /* candidates asked in this round */
    uint64_t shortest;  /* of the waits that stood in the way */
    bool failing;       /* one of them for a host's failures */
    int64_t next_in_ms; /* what the answer said */
    uint64_t due_ms;    /* next round */
    bool known;         /* some round got something */
    uint64_t ok_ms;     /* when */
    uint64_t began_ms;  /* of the last round */
    uint32_t failures;  /* rounds in a row */
    char why[WHY_LEN];  /* what went wrong in this round, candidate by candidate */
};

struct point {
    bool asked, well; /* ever; the last answer gave something */
    uint64_t asked_ms;
    uint32_t failures;
    uint64_t blocked_until_ms; /* profile classic: per end point */
};

struct waiter {
    struct list node;
    refresh_done_fn done;
    void *self;
    uint32_t needs; /* a bit per need whose round it waits for */
    bool refreshed;
    char why[WHY_LEN];
};

struct scheduler {
    struct scheduler_opts opts;
    struct need needs[NEED_COUNT];
    struct point points[ENDPOINT_COUNT];
    struct list waiters;
    uint64_t chance;
    uint64_t read_ms; /* when someone last read */
    uint64_t now_ms;  /* of the last call */
};

/* xorshift64*: jitter only. */
static uint32_t chance(struct scheduler *s)
{
    s->chance ^= s->chance >> 12;
    s->chance ^= s->chance << 25;
    s->chance ^= s->chance >> 27;
    return (uint32_t)((s->chance * 2685821657736338717u) >> 32);
}

/* `ms` and up to a twentieth more: never sooner than the cadence. */
static uint64_t with_jitter(struct scheduler *s, uint64_t ms)
{
    return ms + ms / 20 * (chance(s) % 1024) / 1024;
}

static enum need_id need_of(enum endpoint_id id)
{
    for (int n = 0; n < NEED_COUNT; n++) {
        for (size_t i = 0; i < rows[n].count; i++) {
            if (rows[n].candidates[i] == id) {
                return (enum need_id)n;
            }
        }
    }
    assert(false); /* every end point belongs to a need */
    return NEED_COUNT;
}

static bool is_spare(enum need_id n)
{
    return endpoint_row(rows[n].candidates[0])->spare;
}

static uint64_t cadence_ms(const struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    uint64_t ms = rows[n].cadence_ms[s->opts.profile];
    bool idle = n == NEED_PRICE && now_ms - s->read_ms > IDLE_AFTER_MS;
    return idle ? max_u64(ms, IDLE_PRICE_MS) : ms;
}

static void add_why(struct need *need, const char *why)
{
    size_t len = strlen(need->why);
    snprintf(need->why + len, WHY_LEN - len, "%s%s", len ? "; " : "", why);
}

struct scheduler *scheduler_new(const struct scheduler_opts *opts, uint64_t now_ms)
{
    assert(opts->ask && opts->failed && opts->wait_ms && opts->failing && opts->usable);
    struct scheduler *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    s->chance = opts->seed ? opts->seed : 0x9e3779b97f4a7c15u;
    list_init(&s->waiters);
    scheduler_restart(s, now_ms);
    return s;
}

void scheduler_restart(struct scheduler *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    s->read_ms = now_ms;
    for (int n = 0; n < NEED_COUNT; n++) {
        s->needs[n].due_ms = now_ms + (is_spare((enum need_id)n) ? SPARE_AFTER_MS : 0);
        s->needs[n].known = false;
        s->needs[n].failures = 0;
    }
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        s->points[i].well = false;
    }
}

void scheduler_free(struct scheduler *s)
{
    if (!s) {
        return;
    }
    list_each (node, &s->waiters) {
        mem_free(containerof(node, struct waiter, node));
    }
    mem_free(s);
}

static void tell_waiters(struct scheduler *s, enum need_id n)
{
    const struct need *need = &s->needs[n];
    list_each (node, &s->waiters) {
        struct waiter *w = containerof(node, struct waiter, node);
        if (w->needs & 1u << n) {
            w->needs &= ~(1u << n);
            w->refreshed |= need->got != 0;
            if (need->got == 0 && !w->why[0]) {
                snprintf(w->why, WHY_LEN, "%s", need->why);
            }
        }
    }
}

/* When a round that asked somebody and got nothing comes again. */
static uint64_t retry_ms(struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    const struct need *need = &s->needs[n];
    uint64_t cadence = cadence_ms(s, n, now_ms);
    if (is_spare(n)) {
        uint64_t apart_ms = (uint64_t)MINUTE_MS << (need->failures < 8 ? need->failures : 8);
        return with_jitter(s, min_u64(apart_ms, cadence));
    }
    if (!need->known && need->failures < FIRST_ATTEMPTS) {
        return FIRST_APART_MS;
    }
    uint32_t doublings = need->failures > FIRST_ATTEMPTS ? need->failures - FIRST_ATTEMPTS : 0;
    uint64_t ms = (uint64_t)RETRY_FIRST_MS << (doublings < 5 ? doublings : 5);
    return with_jitter(s, min_u64(min_u64(ms, RETRY_LONGEST_MS), cadence));
}

static uint64_t next_round_ms(struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    const struct need *need = &s->needs[n];
    uint64_t ms = cadence_ms(s, n, now_ms);
    if (need->got) {
        if (need->next_in_ms > 0 && rows[n].provider_decides[s->opts.profile]) {
            ms = max_u64(ms, (uint64_t)need->next_in_ms);
        }
        return with_jitter(s, min_u64(ms, (uint64_t)25 * 60 * MINUTE_MS));
    }
    if (need->asked > 0) {
        return retry_ms(s, n, now_ms);
    }
    /* Nobody could be asked: as soon as the first may be. */
    return need->shortest == UINT64_MAX ? SECOND_MS
                                        : min_u64(max_u64(need->shortest, 50), RETRY_LONGEST_MS);
}

static void tell_missing(struct scheduler *s, const struct need *need)
{
    /* Answered, and nobody said that anything is wrong: it was left out. */
    const char *why = need->why[0] ? need->why : "the answer does not have it";
    for (int f = 0; f < FIELD_COUNT; f++) {
        if (need->missing & FIELD_BIT(f)) {
            s->opts.failed(s->opts.self, (enum summary_field)f, why);
        }
    }
    for (int p = 0; p < OUTLOOK_PARTS && s->opts.outlook_failed; p++) {
        if (need->missing & OUTLOOK_BIT(p)) {
            s->opts.outlook_failed(s->opts.self, (enum outlook_part)p, why);
        }
    }
}

static void end_round(struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    struct need *need = &s->needs[n];
    bool blocked = need->asked == 0 && need->got == 0;
    assert(need->active && !need->flying);
    need->active = false;
    if (need->got) {
        need->known = true;
        need->ok_ms = now_ms;
        need->failures = 0;
        metric_add(&rounds_ok, 1);
    } else if (!blocked) {
        need->failures++;
        metric_add(&rounds_failed, 1);
    }
    need->due_ms = now_ms + next_round_ms(s, n, now_ms);
    /* A wait that we keep of ourselves is no failure: what came last is as good as its age. Only
     * where nothing good has come, a wait of some length is the reason to give. */
    bool good = need->known && need->failures == 0 && !need->failing && !is_spare(n);
    bool waits = need->shortest > FIRST_APART_MS && need->shortest != UINT64_MAX;
    bool tell = !blocked || (waits && !good);
    if (tell) {
        tell_missing(s, need);
    }
    tell_waiters(s, n);
}

/* Whether the candidate is asked now. If it was asked too lately but well, its fields count as got:
 * what it said then still holds. */
static bool may_ask(struct scheduler *s, enum need_id n, enum endpoint_id id, uint64_t now_ms)
{
    struct need *need = &s->needs[n];
    const struct endpoint *row = endpoint_row(id);
    const struct point *p = &s->points[id];
    const char *why = "";
    if (!(row->fields & need->missing) || !s->opts.usable(s->opts.self, id)) {
        return false;
    }
    if (p->asked && now_ms - p->asked_ms < row->apart_ms) {
        if (p->well) {
            need->got |= row->fields & need->missing;
            need->missing &= ~row->fields;
        } else {
            need->shortest = min_u64(need->shortest, p->asked_ms + row->apart_ms - now_ms);
            add_why(need, "asked too lately to ask again");
        }
        return false;
    }
    if (p->blocked_until_ms > now_ms) {
        need->shortest = min_u64(need->shortest, p->blocked_until_ms - now_ms);
        add_why(need, "waiting after repeated failures");
        return false;
    }
    uint64_t wait_ms = s->opts.wait_ms(s->opts.self, id, &why);
    if (wait_ms > 0) {
        need->failing |= s->opts.failing(s->opts.self, id);
        need->shortest = min_u64(need->shortest, wait_ms);
        add_why(need, why);
        return false;
    }
    return true;
}

/* Goes on with the round: asks the next candidate that may be asked, or ends it. */
static void step(struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    struct need *need = &s->needs[n];
    for (; need->at < rows[n].count && need->missing; need->at++) {
        enum endpoint_id id = rows[n].candidates[need->at];
        if (may_ask(s, n, id, now_ms)) {
            s->points[id].asked = true;
            s->points[id].asked_ms = now_ms;
            need->asked++;
            need->flying = true;
            s->opts.ask(s->opts.self, id);
            return;
        }
    }
    end_round(s, n, now_ms);
}

static void open_round(struct need *need, enum need_id n, uint64_t now_ms)
{
    need->active = true;
    need->flying = false;
    need->at = 0;
    need->missing = rows[n].fields;
    need->got = 0;
    need->asked = 0;
    need->shortest = UINT64_MAX;
    need->failing = false;
    need->next_in_ms = 0;
    need->began_ms = now_ms;
    need->why[0] = '\0';
}

static void begin_round(struct scheduler *s, enum need_id n, uint64_t now_ms)
{
    assert(!s->needs[n].active);
    open_round(&s->needs[n], n, now_ms);
    step(s, n, now_ms);
}

void scheduler_run(struct scheduler *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    for (int n = 0; n < NEED_COUNT; n++) {
        if (!s->needs[n].active && s->needs[n].due_ms <= now_ms) {
            begin_round(s, (enum need_id)n, now_ms);
        }
    }
    /* Complete ones are taken out first: a `done` may begin another refresh. */
    struct list complete;
    list_init(&complete);
    list_each (node, &s->waiters) {
        if (containerof(node, struct waiter, node)->needs == 0) {
            list_remove(node);
            list_push(&complete, node);
        }
    }
    for (struct list *node = list_pop(&complete); node; node = list_pop(&complete)) {
        struct waiter *w = containerof(node, struct waiter, node);
        w->done(w->self, w->refreshed, w->refreshed ? "" : w->why);
        mem_free(w);
    }
}

uint64_t scheduler_next_ms(const struct scheduler *s)
{
    uint64_t next_ms = UINT64_MAX;
    for (int n = 0; n < NEED_COUNT; n++) {
        if (!s->needs[n].active) {
            next_ms = min_u64(next_ms, s->needs[n].due_ms);
        }
    }
    for (const struct list *node = s->waiters.next; node != &s->waiters; node = node->next) {
        const struct waiter *w =
            (const struct waiter *)(const void *)((const char *)node -
                                                  offsetof(struct waiter, node));
        next_ms = w->needs == 0 ? s->now_ms : next_ms;
    }
    return next_ms;
}

static void note_failure(struct scheduler *s, struct point *p, uint64_t now_ms)
{
    p->failures++;
    if (s->opts.profile == PROFILE_CLASSIC && p->failures >= 3) {
        p->blocked_until_ms = now_ms + (uint64_t)MINUTE_MS * min_u64(2 * (uint64_t)p->failures, 30);
        metric_add(&backoffs, 1);
    }
}

void scheduler_answered(struct scheduler *s, enum endpoint_id id, uint32_t got, int64_t next_in_ms,
                        const char *why, uint64_t now_ms)
{
    enum need_id n = need_of(id);
    struct need *need = &s->needs[n];
    struct point *p = &s->points[id];
    assert(need->active && need->flying && rows[n].candidates[need->at] == id);
    s->now_ms = now_ms;
    need->flying = false;
    p->well = got != 0;
    if (got) {
        p->failures = 0;
        need->got |= got & need->missing;
        need->missing &= ~got;
        need->next_in_ms = next_in_ms;
    } else {
        note_failure(s, p, now_ms);
    }
    if (why[0]) {
        add_why(need, why);
    }
    need->at++;
    step(s, n, now_ms);
}

bool scheduler_was_asked(struct scheduler *s, enum endpoint_id id, uint64_t now_ms)
{
    enum need_id n = need_of(id);
    struct need *need = &s->needs[n];
    size_t at = 0;
    while (rows[n].candidates[at] != id) {
        at++;
    }
    s->now_ms = now_ms;
    if (need->active && need->flying && need->at == at) {
        return true;
    }
    if (!need->active || at <= need->at) {
        open_round(need, n, now_ms); /* the end of the one before is not in the recording */
        for (size_t i = 0; i < at; i++) {
            (void)may_ask(s, n, rows[n].candidates[i], now_ms); /* they were not: for the reasons */
        }
    }
    need->at = at;
    need->flying = true;
    need->asked++;
    s->points[id].asked = true;
    s->points[id].asked_ms = now_ms;
    return false;
}

uint32_t scheduler_missing(const struct scheduler *s, enum endpoint_id id)
{
    const struct need *need = &s->needs[need_of(id)];
    return need->active ? need->missing : 0;
}

void scheduler_refresh(struct scheduler *s, refresh_done_fn done, void *self, uint64_t now_ms)
{
    struct waiter *w = mem_zero(sizeof(*w));
    w->done = done;
    w->self = self;
    s->now_ms = now_ms;
    s->read_ms = now_ms;
    for (int n = 0; n < NEED_COUNT; n++) {
        const struct need *need = &s->needs[n];
        uint32_t ttl_ms = n == NEED_PRICE ? s->opts.price_ttl_ms : s->opts.summary_ttl_ms;
        bool young = !need->active && need->known && now_ms - need->ok_ms < ttl_ms;
        if (young || is_spare((enum need_id)n)) {
            continue;
        }
        w->needs |= 1u << n;
    }
    if (!w->needs) {
        snprintf(w->why, WHY_LEN, "everything is younger than its time to live");
    }
    list_push(&s->waiters, &w->node);
    for (int n = 0; n < NEED_COUNT; n++) {
        if (w->needs & 1u << n) {
            s->needs[n].due_ms = min_u64(s->needs[n].due_ms, now_ms);
        }
    }
}

void scheduler_read(struct scheduler *s, uint64_t now_ms)
{
    struct need *price = &s->needs[NEED_PRICE];
    bool was_idle = now_ms - s->read_ms > IDLE_AFTER_MS;
    s->now_ms = now_ms;
    s->read_ms = now_ms;
    if (price->active) {
        return;
    }
    if (was_idle) {
        price->due_ms = min_u64(price->due_ms, price->began_ms + cadence_ms(s, NEED_PRICE, now_ms));
    }
    bool old = !price->known || now_ms - price->ok_ms > OLD_PRICE_MS;
    if (old && now_ms - price->began_ms >= rows[NEED_PRICE].cadence_ms[PROFILE_ISLANDS]) {
        price->due_ms = min_u64(price->due_ms, now_ms);
    }
}

void scheduler_price_came(struct scheduler *s, uint64_t now_ms)
{
    struct need *price = &s->needs[NEED_PRICE];
    price->known = true;
    price->ok_ms = now_ms;
    price->failures = 0;
    if (price->due_ms > now_ms) { /* a refresh that waits for its round gets it */
        price->due_ms = max_u64(price->due_ms, now_ms + cadence_ms(s, NEED_PRICE, now_ms));
    }
}

uint32_t scheduler_failures(const struct scheduler *s, enum endpoint_id id)
{
    return s->points[id].failures;
}
