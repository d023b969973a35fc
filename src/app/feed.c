/* SPDX-License-Identifier: MIT */
#include "app/feed.h"

#include "app/health.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "tools/upstream.h"

enum {
    AUTO_LOOK_MS = 250,    /* how often `auto` looks whether somebody answered */
    AUTO_WAIT_MS = 5000,   /* how long it waits for a live provider */
    AUTO_FAILED_MS = 2000, /* and how long when all have failed already: no network, most likely */
    LIVE_PROBE_MS = 60000, /* how often it then tries whether live is back */
    RETIRED_MAX = 16,
};

/* The stand-in upstream on its own thread. */
struct demo {
    struct loop *loop;
    struct upstream *upstream;
    struct thread *thread;
    uint16_t port;
};

/* A forced refresh under way: answered even when its sources are replaced meanwhile. */
struct asked {
    struct list node;
    struct feed *feed;
    refresh_done_fn done;
    void *self;
};

struct feed {
    struct feed_opts opts;
    struct list asked;
    struct budget_store store;
    struct fetch *fetch;
    struct sources *sources;
    struct sources *retired[RETIRED_MAX]; /* stopped; freed when the database is closed */
    size_t retired_count;
    struct demo *demo;
    struct timer timer;
    uint64_t started_ms;
    struct fetch_job *probe;
    unsigned probes; /* asked so far */
    bool simulated;  /* the sources in use talk to our own stand-in */
};

/* ---- the stand-in ---- */

static void run_demo(void *self)
{
    struct demo *d = self;
    loop_run(d->loop);
    upstream_stop(d->upstream);
    while (!upstream_is_idle(d->upstream)) {
        loop_turn(d->loop, 10);
    }
    upstream_free(d->upstream);
    loop_free(d->loop);
}

static struct demo *demo_start(uint64_t seed, struct buf *error)
{
    struct demo *d = mem_zero(sizeof(*d));
    if (loop_new(&(struct loop_opts){.io = IO_EPOLL}, &d->loop) != OK) {
        buf_add_lit(error, "cannot make a loop for the simulated market");
        mem_free(d);
        return NULL;
    }
    struct upstream_opts opts = {
        .loop = d->loop, .listen = "127.0.0.1:0", .seed = seed, .quiet = true};
    if (upstream_start(&opts, &d->upstream, &d->port, error) != OK) {
        loop_free(d->loop);
        mem_free(d);
        return NULL;
    }
    if (thread_start("demo", run_demo, d, &d->thread) != OK) {
        buf_add_lit(error, "cannot start a thread for the simulated market");
        upstream_stop(d->upstream);
        upstream_free(d->upstream);
        loop_free(d->loop);
        mem_free(d);
        return NULL;
    }
    return d;
}

static void demo_stop(struct demo *d)
{
    if (d) {
        loop_stop(d->loop);
        thread_join(d->thread);
        mem_free(d);
    }
}

/* ---- what the sources say ---- */

static enum err on_value(void *self, const struct summary_report *r)
{
    struct feed *f = self;
    enum err e = summary_apply(f->opts.summary, r, loop_wall_ms(f->opts.loop));
    f->opts.changed(f->opts.self);
    return e;
}

static void on_failed(void *self, enum summary_field field, const char *why)
{
    struct feed *f = self;
    summary_fail(f->opts.summary, field, why);
    f->opts.changed(f->opts.self);
}

static enum err on_outlook(void *self, const struct outlook_report *r)
{
    struct feed *f = self;
    return f->opts.outlook(f->opts.self, r);
}

static void on_outlook_failed(void *self, enum outlook_part part, const char *why)
{
    struct feed *f = self;
    f->opts.outlook_failed(f->opts.self, part, why);
}

static void on_mode(void *self, enum market_mode mode)
{
    struct feed *f = self;
    if (f->opts.summary->mode == mode) {
        return;
    }
    if (mode == MODE_LIVE) {
        log_info("feed", "data is live", "mode=live");
    } else {
        log_warn("feed", "data is not live", "mode=%s", market_mode_text(mode));
    }
    summary_set_mode(f->opts.summary, mode);
    f->opts.mode_changed(f->opts.self);
}

static struct sources *make_sources(struct feed *f, bool simulated)
{
    const struct options *o = f->opts.options;
    struct sources_opts so = {
        .loop = f->opts.loop,
        .fetch = f->fetch,
        .store = f->fetch ? &f->store : NULL,
        .recorder = f->opts.recorder,
        .price_ttl_ms = (uint32_t)o->price_ttl_ms,
        .summary_ttl_ms = (uint32_t)o->summary_ttl_ms,
        .profile = (enum sources_profile)o->profile,
        .mode = simulated ? MODE_DEMO : f->opts.summary->mode,
        .seed = (uint64_t)loop_wall_ms(f->opts.loop),
        .value = on_value,
        .failed = on_failed,
        .outlook = on_outlook,
        .outlook_failed = on_outlook_failed,
        .mode_changed = on_mode,
        .self = f,
    };
    char urls[2][64];
    so.weight[PROVIDER_BINANCE] = f->opts.weight;
    for (int i = 0; i < PROVIDER_COUNT; i++) {
        so.base_url[i] = o->url[i];
        so.per_minute[i] = (uint32_t)o->per_minute[i];
        so.per_month[i] = o->per_month[i];
    }
    if (simulated) {
        snprintf(urls[0], sizeof(urls[0]), "http://127.0.0.1:%u", f->demo->port);
        snprintf(urls[1], sizeof(urls[1]), "http://127.0.0.1:%u/api/v3", f->demo->port);
        for (int i = 0; i < PROVIDER_COUNT; i++) {
            so.base_url[i] = i == PROVIDER_COINGECKO ? urls[1] : urls[0];
        }
    }
    so.secret[PROVIDER_TAAPI] = o->taapi_secret;
    so.secret[PROVIDER_COINGECKO] = simulated ? NULL : o->coingecko_key;
    return sources_new(&so);
}

/* ---- switching ---- */

static void answer(void *self, bool refreshed, const char *why)
{
    struct asked *a = self;
    refresh_done_fn done = a->done;
    void *asker = a->self;
    list_remove(&a->node);
    mem_free(a);
    done(asker, refreshed, why);
}

static void retire(struct feed *f)
{
    if (!f->sources) {
        return;
    }
    sources_stop(f->sources);
    while (!list_empty(&f->asked)) {
        answer(containerof(f->asked.next, struct asked, node), false,
               "the source of data was changed meanwhile");
    }
    if (f->retired_count < RETIRED_MAX) {
        f->retired[f->retired_count++] = f->sources;
    }
    f->sources = NULL;
}

static void use(struct feed *f, bool simulated)
{
    retire(f);
    f->simulated = simulated;
    on_mode(f, simulated ? MODE_DEMO : MODE_LIVE);
    f->sources = make_sources(f, simulated);
    f->started_ms = loop_now_ms(f->opts.loop);
    sources_start(f->sources);
    f->opts.source_changed(f->opts.self, simulated ? f->demo->port : 0);
}

static void auto_due(void *self);

static void look_again(struct feed *f, uint64_t in_ms)
{
    timer_start(f->opts.loop, &f->timer, loop_now_ms(f->opts.loop) + in_ms, auto_due, f);
}

/* Live providers did not answer: the stand-in takes over, loudly. */
static void go_simulated(struct feed *f)
{
    struct buf error = {0};
    if (!f->demo) {
        f->demo = demo_start((uint64_t)f->opts.options->seed, &error);
    }
    if (!f->demo) {
        log_error("feed", "no provider answers and no simulation either", "reason=%s",
                  log_quote(buf_str(&error)));
    } else {
        log_warn("feed", "NO PROVIDER ANSWERS: SHOWING SIMULATED DATA", "waited_ms=%llu",
                 (unsigned long long)(loop_now_ms(f->opts.loop) - f->started_ms));
        use(f, true);
    }
    buf_fini(&error);
    look_again(f, LIVE_PROBE_MS);
}

static void probed(void *self, const struct fetch_answer *answer)
{
    struct feed *f = self;
    f->probe = NULL;
    if (answer->err == OK && answer->status == 200 && answer->upstream.len == 0 &&
        f->retired_count < RETIRED_MAX) {
        log_warn("feed", "a live provider answers again: leaving simulated data", "status=200");
        use(f, false);
        look_again(f, AUTO_WAIT_MS);
    }
}

/* One cheap question to a live provider, once a minute, while simulated: in turn, as each of them
 * is closed to somebody. */
static void probe_live(struct feed *f)
{
    static const struct {
        enum provider_id provider;
        const char *path;
    } cheap[] = {
        {PROVIDER_BINANCE, "/api/v3/ping"},
        {PROVIDER_KRAKEN, "/0/public/Time"},
        {PROVIDER_COINBASE, "/time"},
    };
    size_t turn = f->probes++ % ARRAY_LEN(cheap);
    const char *base = f->opts.options->url[cheap[turn].provider];
    struct str base_url = str_of(base ? base : provider_row(cheap[turn].provider)->base_url);
    struct buf url = {0};
    while (str_ends(base_url, STR("/"))) {
        base_url.len--;
    }
    buf_add_str(&url, base_url);
    buf_add_str(&url, str_of(cheap[turn].path));
    struct fetch_request request = {.url = buf_str(&url), .max_bytes = 4096};
    f->probe = f->fetch->ops->start(f->fetch, &request, probed, f);
    buf_fini(&url);
}

static void auto_due(void *self)
{
    struct feed *f = self;
    if (f->simulated) {
        if (!f->probe) {
            probe_live(f);
        }
        look_again(f, LIVE_PROBE_MS);
        return;
    }
    if (sources_answered(f->sources)) {
        return; /* live it is, and live it stays: what fails now is marked stale */
    }
    uint64_t waited_ms = loop_now_ms(f->opts.loop) - f->started_ms;
    if (waited_ms >= AUTO_WAIT_MS ||
        (waited_ms >= AUTO_FAILED_MS && sources_unreachable(f->sources))) {
        go_simulated(f);
    } else {
        look_again(f, AUTO_LOOK_MS);
    }
}

/* ---- life ---- */

enum err feed_new(const struct feed_opts *opts, struct feed **out, struct buf *error)
{
    struct feed *f = mem_zero(sizeof(*f));
    f->opts = *opts;
    f->store = budget_store_db(opts->db);
    list_init(&f->asked);
    if (opts->kind == SOURCE_REPLAY) {
        f->sources = make_sources(f, false);
        *out = f;
        return OK;
    }
    enum err e = fetch_curl_new(opts->loop, &opts->options->outward, &f->fetch);
    if (e != OK) {
        buf_printf(error, "cannot set up HTTP: %s", err_text(e));
        mem_free(f);
        return e;
    }
    if (opts->kind == SOURCE_DEMO) {
        f->demo = demo_start((uint64_t)opts->options->seed, error);
        if (!f->demo) {
            f->fetch->ops->free(f->fetch);
            mem_free(f);
            return ERR_UNAVAILABLE;
        }
        f->simulated = true;
        summary_set_mode(opts->summary, MODE_DEMO);
    }
    *out = f;
    return OK;
}

bool feed_replay(struct feed *f, const struct record *item, const struct fetch_answer *a)
{
    return sources_take_recorded(f->sources, item->source, item->url, a);
}

void feed_start(struct feed *f)
{
    use(f, f->simulated);
    if (f->opts.kind == SOURCE_AUTO) {
        look_again(f, AUTO_LOOK_MS);
    }
}

void feed_stop(struct feed *f)
{
    if (f) {
        timer_stop(f->opts.loop, &f->timer);
        if (f->probe) {
            f->fetch->ops->cancel(f->fetch, f->probe);
            f->probe = NULL;
        }
        retire(f);
    }
}

void feed_free(struct feed *f)
{
    if (!f) {
        return;
    }
    for (size_t i = 0; i < f->retired_count; i++) {
        sources_free(f->retired[i]);
    }
    if (f->fetch) {
        f->fetch->ops->free(f->fetch);
    }
    demo_stop(f->demo);
    mem_free(f);
}

void feed_refresh(struct feed *f, refresh_done_fn done, void *self)
{
    if (!f->sources) {
        done(self, false, "the server has no source of data now");
        return;
    }
    struct asked *a = mem_zero(sizeof(*a));
    *a = (struct asked){.feed = f, .done = done, .self = self};
    list_push(&f->asked, &a->node);
    sources_refresh(f->sources, answer, a);
}

void feed_demand(struct feed *f)
{
    if (f->sources) {
        sources_note_demand(f->sources);
    }
}

void feed_note_price(struct feed *f)
{
    if (f->sources) {
        sources_note_feed_price(f->sources);
    }
}

void feed_note_mode(struct feed *f, enum market_mode mode)
{
    if (f->sources) {
        sources_set_mode(f->sources, mode);
    }
    on_mode(f, mode);
}

/* ---- health ---- */

static void write_provider(void *self, const struct host_health *h)
{
    struct health_walk *walk = self;
    struct json_writer *w = walk->w;
    health_begin(walk, h->name, h->status, h->reason, h->since_ms);
    json_put_time(w, "next_try", h->next_try_ms);
    json_put_time(w, "last_ok", h->last_ok_ms);
    json_key(w, "breaker");
    json_text(w, h->breaker);
    json_put_count(w, "failures", h->failures);
    json_put_count(w, "ok", h->ok);
    json_put_count(w, "failed", h->failed);
    json_put_count(w, "rejected", h->rejected);
    health_used(w, "minute", h->minute_used, h->minute_limit);
    health_used(w, "month", h->month_used, h->month_limit);
    json_object_end(w);
}

int feed_health(struct feed *f, struct json_writer *w)
{
    struct health_walk walk = {.w = w};
    if (!f->sources) {
        return 1;
    }
    sources_health_each(f->sources, write_provider, &walk);
    return health_verdict(&walk);
}
