/* sources: one request's way:
 *
 *   scheduler asks -> counted (durably where it is scarce) -> fetch -> recorded -> mode looked at
 *     -> judged by status and body -> offered as values -> host and scheduler told how it went
 *
 * SPDX-License-Identifier: MIT */
#include "sources/sources.h"

#include "base/alloc.h"
#include "base/log.h"
#include "sources/count.h"
#include "sources/judge.h"
#include "sources/offer.h"
#include "sources/recorded.h"

#include <assert.h>

/* Counts are read within milliseconds; a disk that hangs must not keep the sources from starting.
 */
#define LOAD_PATIENCE_MS 2000

struct flight {
    struct sources *sources;
    enum endpoint_id id;
    bool counting; /* its count is on the way to the disk */
    struct fetch_job *job;
    enum market_mode counted_as;
    struct saved_reading saved; /* for 304 */
    char why[HOST_REASON_LEN];  /* of a spare end point: why it failed last; "" when well */
};

/* What a budget calls back with. */
struct host_self {
    struct sources *sources;
    enum provider_id id;
};

struct sources {
    struct sources_opts opts;
    struct scheduler *scheduler;
    struct host hosts[PROVIDER_COUNT];
    struct host_self selves[PROVIDER_COUNT];
    struct flight flights[ENDPOINT_COUNT];
    struct buf base_urls[PROVIDER_COUNT];
    struct buf secrets[PROVIDER_COUNT];
    struct budget_store db_store;
    struct reading *reading;
    struct timer timer;
    struct defer turn;
    enum market_mode mode;
    unsigned loading; /* hosts whose counts are not read yet */
    bool started, stopped, answered;
    uint64_t chance;
};

static uint64_t now(const struct sources *s)
{
    return loop_now_ms(s->opts.loop);
}

static int64_t wall(const struct sources *s)
{
    return loop_wall_ms(s->opts.loop);
}

static struct host *host_of(struct sources *s, enum endpoint_id id)
{
    return &s->hosts[endpoint_row(id)->provider];
}

/* ---- the plan's turn ---- */

static void on_turn(void *self)
{
    struct sources *s = self;
    if (s->stopped || !s->started || s->loading > 0) {
        return;
    }
    scheduler_run(s->scheduler, now(s));
    if (s->stopped) {
        return; /* a `done` stopped us */
    }
    uint64_t next_ms = scheduler_next_ms(s->scheduler);
    if (next_ms != UINT64_MAX) {
        timer_start(s->opts.loop, &s->timer, next_ms, on_turn, s);
    }
}

static void plan(struct sources *s)
{
    if (!s->stopped) {
        loop_defer(s->opts.loop, &s->turn, on_turn, s);
    }
}

static void on_patience_end(void *self)
{
    struct sources *s = self;
    if (s->loading > 0) {
        log_warn("sources", "counts of earlier requests are not read yet", "hosts=%u", s->loading);
        s->loading = 0;
    }
    on_turn(s);
}

static void on_loaded(void *self)
{
    struct host_self *h = self;
    struct sources *s = h->sources;
    s->loading -= s->loading > 0 ? 1 : 0;
    if (s->loading == 0) {
        plan(s);
    }
}

/* ---- what the scheduler asks of us ---- */

static uint64_t wait_ms(void *self, enum endpoint_id id, const char **why)
{
    struct sources *s = self;
    return endpoint_row(id)->spare ? host_spare_wait_ms(host_of(s, id), now(s), wall(s), why)
                                   : host_wait_ms(host_of(s, id), now(s), wall(s), why);
}

static bool failing(void *self, enum endpoint_id id)
{
    struct sources *s = self;
    return host_failing(host_of(s, id));
}

static bool usable(void *self, enum endpoint_id id)
{
    struct sources *s = self;
    return host_of(s, id)->usable;
}

static void failed(void *self, enum summary_field field, const char *why)
{
    struct sources *s = self;
    s->opts.failed(s->opts.self, field, why);
}

static void outlook_failed(void *self, enum outlook_part part, const char *why)
{
    struct sources *s = self;
    if (s->opts.outlook_failed) {
        s->opts.outlook_failed(s->opts.self, part, why);
    }
}

/* ---- a flight ---- */

static void set_mode(struct sources *s, enum market_mode mode)
{
    log_warn("sources", "upstream is not the real one: its mode is used for all data",
             "mode=%s was=%s", market_mode_text(mode), market_mode_text(s->mode));
    s->mode = mode;
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        budget_set_mode(s->hosts[p].budget, market_mode_text(mode), now(s), wall(s));
    }
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        saved_clear(&s->flights[i].saved);
    }
    /* Values of the old mode are forgotten above, so all of them are wanted anew. */
    scheduler_restart(s->scheduler, now(s));
    if (s->opts.mode_changed) {
        s->opts.mode_changed(s->opts.self, mode);
    }
}

/* The header decides for all, whatever the server was told; never back towards live. */
static void look_at_mode(struct sources *s, struct flight *f, const struct fetch_answer *a)
{
    enum market_mode said = MODE_LIVE;
    if (str_eq_nocase(a->upstream, STR("simulated"))) {
        said = MODE_DEMO;
    } else if (str_eq_nocase(a->upstream, STR("recorded"))) {
        said = MODE_REPLAY;
    }
    if (said > s->mode) {
        set_mode(s, said);
    }
    if (said != MODE_LIVE && f->counted_as == MODE_LIVE) {
        budget_give_back(host_of(s, f->id)->budget, market_mode_text(MODE_LIVE), wall(s));
    }
}

static void record(struct sources *s, enum endpoint_id id, const struct fetch_answer *a)
{
    const struct endpoint *row = endpoint_row(id);
    struct buf url = {0};
    endpoint_url(row, buf_str(&s->base_urls[row->provider]), buf_str(&s->secrets[row->provider]),
                 &url);
    recorded_write(s->opts.recorder, loop_clock(s->opts.loop), provider_row(row->provider)->name,
                   buf_str(&url), (struct str){0}, a);
    buf_fini(&url);
}

/* Up to when the answer's days are closed. The newest day of an answer is the one under way; of one
 * that upstream has recorded nothing else tells that. (A replay has the time of its recording.) */
static int64_t closed_until_ms(const struct sources *s, const struct reading *r)
{
    int64_t newest_ms = 0;
    if (s->mode != MODE_REPLAY || s->opts.mode == MODE_REPLAY) {
        return wall(s);
    }
    for (size_t i = 0; i < r->candle_count; i++) {
        newest_ms = r->candles[i].open_ms > newest_ms ? r->candles[i].open_ms : newest_ms;
    }
    return newest_ms < wall(s) ? newest_ms : wall(s);
}

/* Daily candles become an RSI; the next one is due when the day under way has closed. */
static enum err compute(struct sources *s, enum endpoint_id id, struct reading *r, int *closes,
                        struct buf *why)
{
    double value = 0;
    size_t count = daily_closed_run(r->candles, r->candle_count, closed_until_ms(s, r));
    r->candle_count = count;
    enum err e = daily_rsi14(r->candles, count, &value, why);
    if (e != OK) {
        return e;
    }
    const struct endpoint *row = endpoint_row(id);
    int64_t next_close_ms = daily_next_close_ms(wall(s));
    bool late = r->candles[count - 1].open_ms + DAILY_MS < next_close_ms - DAILY_MS;
    reading_put(r, FIELD_RSI_14, value);
    r->as_of_ms = r->candles[count - 1].open_ms + DAILY_MS;
    *closes = (int)count;
    if (!s->hosts[PROVIDER_TAAPI].usable) {
        r->next_in_ms = late ? 5 * 60000 : next_close_ms - wall(s) + 60000;
    }
    if (s->opts.daily) {
        s->opts.daily(s->opts.self, provider_row(row->provider)->name, row->instrument, r->candles,
                      count);
    }
    return OK;
}

/* The answer was judged well: gives what was taken of it. */
static uint32_t use(struct sources *s, struct flight *f, struct reading *r, struct buf *why)
{
    const struct endpoint *row = endpoint_row(f->id);
    struct host *h = host_of(s, f->id);
    int closes = 0;
    if (row->daily && compute(s, f->id, r, &closes, why) != OK) {
        host_rejected(h, buf_text(why), wall(s));
        return 0;
    }
    uint32_t wanted = scheduler_missing(s->scheduler, f->id);
    uint32_t taken = offer_reading(&s->opts, f->id, wanted, r, closes, wall(s), why);
    if (why->len > 0) {
        host_rejected(h, buf_text(why), wall(s));
    } else {
        host_succeeded(h, wall(s));
    }
    s->answered |= taken != 0;
    return taken;
}

/* Whether the failure is of this end point alone, and not of a provider that is not well. */
static bool is_own_failure(const struct endpoint *row, enum err e)
{
    return row->spare && e != ERR_LIMIT && e != ERR_TIMEOUT && e != ERR_IO;
}

static void note_failure(struct sources *s, struct flight *f, const struct fetch_answer *a,
                         enum err e, const char *why)
{
    struct host *h = host_of(s, f->id);
    uint64_t retry_ms = fetch_retry_after_ms(a->retry_after, wall(s));
    if (is_own_failure(endpoint_row(f->id), e)) {
        host_spare_failed(h);
        return;
    }
    s->chance = s->chance * 6364136223846793005u + 1442695040888963407u;
    host_failed(h, e, why, a->err == OK ? retry_ms : 0, (uint32_t)(s->chance >> 33), now(s),
                wall(s));
}

static void take_answer(struct flight *f, const struct fetch_answer *a)
{
    struct sources *s = f->sources;
    const struct endpoint *row = endpoint_row(f->id);
    struct host *h = host_of(s, f->id);
    struct buf why = {.max = 512};
    uint32_t got = 0;
    if (a->err == OK) {
        look_at_mode(s, f, a);
    }
    if (a->err == OK && h->weight && weight_note(h->weight, a->used_weight, wall(s)) > 0) {
        log_warn(h->row->name, "waits for the next minute: its limit is nearly used up",
                 "weight=%llu limit=%llu", (unsigned long long)h->weight->used,
                 (unsigned long long)h->weight->limit);
    }
    struct reading *r = s->reading;
    enum err e = judge_answer(row, a, &f->saved, r, &why);
    if (s->opts.fetch) {
        count_fetch(row->provider, e == OK, a->took_us);
    }
    if (e == OK) {
        got = use(s, f, r, &why);
    } else {
        note_failure(s, f, a, e, buf_text(&why));
        log_info(h->row->name, "fetch failed", "endpoint=%s status=%d error=%s", row->name,
                 a->status, log_quote(buf_str(&why)));
    }
    snprintf(f->why, sizeof(f->why), "%s", row->spare ? buf_text(&why) : "");
    count_host(row->provider, h->breaker.failures, h->breaker.state != BREAKER_CLOSED);
    scheduler_answered(s->scheduler, f->id, got, r->next_in_ms, buf_text(&why), now(s));
    buf_fini(&why);
    plan(s);
}

static void on_answer(void *self, const struct fetch_answer *a)
{
    struct flight *f = self;
    f->job = NULL;
    record(f->sources, f->id, a);
    take_answer(f, a);
}

static void launch(struct flight *f)
{
    struct sources *s = f->sources;
    const struct endpoint *row = endpoint_row(f->id);
    const struct provider *provider = provider_row(row->provider);
    struct str secret = buf_str(&s->secrets[row->provider]);
    struct buf url = {0}, header = {0};
    endpoint_url(row, buf_str(&s->base_urls[row->provider]), secret, &url);
    if (provider->key_header && secret.len > 0) {
        buf_printf(&header, "%s: %.*s", provider->key_header, STR_ARG(secret));
    }
    struct fetch_request request = {
        .url = buf_str(&url),
        .etag = saved_etag(&f->saved),
        .header = buf_str(&header),
        .max_bytes = row->max_bytes,
    };
    assert(!f->job);
    f->job = s->opts.fetch->ops->start(s->opts.fetch, &request, on_answer, f);
    buf_fini(&url);
    buf_fini(&header);
}

/* The count is on the disk: now the request may go out. */
static void on_counted(void *self, uint32_t ticket, enum err e)
{
    struct host_self *h = self;
    struct sources *s = h->sources;
    struct flight *f = &s->flights[ticket - 1];
    if (e != OK) {
        log_warn("sources", "a request's count could not be kept on disk", "provider=%s error=%s",
                 provider_row(h->id)->name, log_quote(str_of(err_text(e))));
    }
    assert(f->counting);
    f->counting = false;
    if (!s->stopped) {
        launch(f);
    }
}

static void ask(void *self, enum endpoint_id id)
{
    struct sources *s = self;
    struct flight *f = &s->flights[id];
    assert(!f->job && !f->counting);
    f->counted_as = s->mode;
    f->counting = !host_begin(host_of(s, id), (uint32_t)id + 1, now(s), wall(s));
    if (!f->counting && s->opts.fetch) {
        launch(f);
    }
}

/* ---- a recording ---- */

/* The path is what tells: the base URL may be another's, and the secret is masked. */
static bool is_answer_of(const struct endpoint *row, struct str source, struct str url)
{
    struct buf path = {0};
    struct buf masked = {0};
    endpoint_url(row, (struct str){0}, (struct str){0}, &path);
    fetch_mask_url(&masked, buf_str(&path));
    bool is = str_eq(source, str_of(provider_row(row->provider)->name)) &&
              str_ends(url, buf_str(&masked));
    buf_fini(&masked);
    buf_fini(&path);
    return is;
}

static enum endpoint_id endpoint_of(struct str source, struct str url)
{
    int id = 0;
    while (id < ENDPOINT_COUNT && !is_answer_of(endpoint_row((enum endpoint_id)id), source, url)) {
        id++;
    }
    return (enum endpoint_id)id;
}

bool sources_take_recorded(struct sources *s, struct str source, struct str url,
                           const struct fetch_answer *a)
{
    enum endpoint_id id = endpoint_of(source, url);
    if (id == ENDPOINT_COUNT || s->stopped) {
        return false;
    }
    struct flight *f = &s->flights[id];
    struct host *h = host_of(s, id);
    const char *why = "";
    assert(!s->opts.fetch);
    h->usable = true; /* it was to be had */
    if (!scheduler_was_asked(s->scheduler, id, now(s))) {
        f->counted_as = s->mode;
        /* Its limits may be others than those of the server that asked. */
        if (host_wait_ms(h, now(s), wall(s), &why) == 0) {
            f->counting = !host_begin(h, (uint32_t)id + 1, now(s), wall(s));
        }
    }
    take_answer(f, a);
    return true;
}

/* ---- building up and taking down ---- */

static uint64_t month_limit(int64_t setting, uint64_t fallback)
{
    return setting < 0 ? 0 : setting > 0 ? (uint64_t)setting : fallback;
}

static void init_host(struct sources *s, enum provider_id id)
{
    const struct provider *row = provider_row(id);
    const struct sources_opts *o = &s->opts;
    bool durable = row->durable && o->store;
    struct budget_opts budget = {
        .name = row->name,
        .per_minute = o->per_minute[id] ? o->per_minute[id] : row->per_minute,
        .per_month = month_limit(o->per_month[id], row->per_month),
        .store = durable ? o->store : NULL,
        .taken = on_counted,
        .loaded = on_loaded,
        .self = &s->selves[id],
    };
    budget.per_minute =
        budget.per_minute < BUDGET_MAX_PER_MINUTE ? budget.per_minute : BUDGET_MAX_PER_MINUTE;
    struct str base = str_of(o->base_url[id] ? o->base_url[id] : row->base_url);
    while (str_ends(base, STR("/"))) {
        base.len--;
    }
    buf_add_str(&s->base_urls[id], base);
    buf_add_str(&s->secrets[id], str_of(o->secret[id] ? o->secret[id] : ""));
    log_add_secret(buf_str(&s->secrets[id]));
    s->selves[id] = (struct host_self){s, id};
    s->loading += durable ? 1 : 0;
    host_init(&s->hosts[id], id, budget_new(&budget, market_mode_text(s->mode), now(s), wall(s)),
              !row->wants_secret || s->secrets[id].len > 0, now(s), wall(s));
    s->hosts[id].weight = o->weight[id];
}

struct sources *sources_new(const struct sources_opts *opts)
{
    assert(opts->loop && opts->value && opts->failed);
    struct sources *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    s->mode = opts->mode;
    if (opts->db && !opts->store) {
        s->db_store = budget_store_db(opts->db);
        s->opts.store = &s->db_store;
    }
    s->chance = opts->seed + 1;
    s->reading = mem_zero(sizeof(*s->reading));
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        init_host(s, (enum provider_id)p);
    }
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        s->flights[i].sources = s;
        s->flights[i].id = (enum endpoint_id)i;
    }
    struct scheduler_opts plan_opts = {
        .profile = opts->profile,
        .seed = opts->seed,
        .price_ttl_ms = opts->price_ttl_ms,
        .summary_ttl_ms = opts->summary_ttl_ms,
        .wait_ms = wait_ms,
        .failing = failing,
        .usable = usable,
        .ask = ask,
        .failed = failed,
        .outlook_failed = outlook_failed,
        .self = s,
    };
    s->scheduler = scheduler_new(&plan_opts, now(s));
    return s;
}

void sources_start(struct sources *s)
{
    assert(s->opts.fetch);
    s->started = true;
    plan(s);
    if (s->loading > 0) {
        timer_start(s->opts.loop, &s->timer, now(s) + LOAD_PATIENCE_MS, on_patience_end, s);
    }
}

void sources_stop(struct sources *s)
{
    s->stopped = true;
    timer_stop(s->opts.loop, &s->timer);
    loop_undefer(&s->turn);
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        if (s->flights[i].job) {
            s->opts.fetch->ops->cancel(s->opts.fetch, s->flights[i].job);
            s->flights[i].job = NULL;
        }
    }
}

void sources_free(struct sources *s)
{
    if (!s) {
        return;
    }
    sources_stop(s);
    scheduler_free(s->scheduler);
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        host_fini(&s->hosts[p]);
        buf_fini(&s->base_urls[p]);
        buf_fini(&s->secrets[p]);
    }
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        saved_clear(&s->flights[i].saved);
    }
    mem_free(s->reading);
    mem_free(s);
}

void sources_refresh(struct sources *s, refresh_done_fn done, void *self)
{
    scheduler_refresh(s->scheduler, done, self, now(s));
    plan(s);
}

void sources_note_demand(struct sources *s)
{
    scheduler_read(s->scheduler, now(s));
    plan(s);
}

void sources_note_feed_price(struct sources *s)
{
    scheduler_price_came(s->scheduler, now(s));
}

void sources_set_mode(struct sources *s, enum market_mode mode)
{
    if (mode > s->mode) {
        set_mode(s, mode);
    }
}

enum market_mode sources_mode(const struct sources *s)
{
    return s->mode;
}

/* A provider that is well may have end points that are not: which, and why. */
static void say_spare(const struct sources *s, enum provider_id p, struct buf *out)
{
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        const struct endpoint *row = endpoint_row((enum endpoint_id)i);
        if (row->provider == p && s->flights[i].why[0]) {
            buf_printf(out, "%s%s: %s", out->len ? "; " : "", row->name, s->flights[i].why);
        }
    }
}

void sources_health_each(struct sources *s, sources_health_fn fn, void *self)
{
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        struct host_health health;
        struct buf spare = {0};
        host_health(&s->hosts[p], now(s), wall(s), &health);
        if (health.status == HEALTH_OK && !health.reason[0]) {
            say_spare(s, (enum provider_id)p, &spare);
            health.reason = buf_text(&spare);
        }
        fn(self, &health);
        buf_fini(&spare);
    }
}

bool sources_answered(const struct sources *s)
{
    return s->answered;
}

bool sources_unreachable(const struct sources *s)
{
    uint64_t failed = 0;
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        if (s->hosts[p].ok) {
            return false;
        }
        failed += s->hosts[p].failed;
    }
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        if (s->flights[i].job) {
            return false;
        }
    }
    return failed > 0;
}
