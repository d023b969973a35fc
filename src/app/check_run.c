/* All things are tried at the same time and told in a fixed order. SPDX-License-Identifier: MIT */
#include "app/check_run.h"

#include "app/check_text.h"
#include "app/options.h"
#include "app/outgoing.h"
#include "base/log.h"
#include "net/net.h"
#include "sources/budget.h"
#include "sources/budget_db.h"
#include "sources/fetch.h"
#include "sources/judge.h"
#include "store/redis.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALL_WITHIN_MS = 15000, REDIS_WITHIN_MS = 2000, REDIS_LOOK_MS = 20 };

/* What is tried, in the order in which it is told; the providers follow. */
enum { CERT_SOON_DAYS = 14 };
enum item_id { ITEM_DATA, ITEM_REDIS, ITEM_TLS, ITEM_OUTGOING, ITEM_PROVIDERS };
enum { ITEM_COUNT = ITEM_PROVIDERS + PROVIDER_COUNT };

struct check;

struct item {
    struct check *check;
    const char *name;
    bool done;
    enum check_mark mark;
    struct buf detail;
    int64_t took_ms;
    uint64_t began_ms;
    /* of a provider */
    const struct endpoint *endpoint;
    struct budget *budget;
    bool asked;
};

struct check {
    const struct options *options;
    struct loop *loop;
    struct work_pool *pool;
    struct db *db;
    bool held; /* another instance works in the data folder */
    struct budget_store store;
    struct fetch *fetch;
    struct redis *redis;
    struct timer redis_timer;
    struct item items[ITEM_COUNT];
    size_t told;
};

/* ---- telling ---- */

/* Tells the items that are done, up to the first that is not. */
static void tell(struct check *c)
{
    struct buf out = {0};
    for (; c->told < ITEM_COUNT && c->items[c->told].done; c->told++) {
        struct item *it = &c->items[c->told];
        check_text_line(it->mark, it->name, buf_str(&it->detail), it->took_ms, &out);
    }
    if (out.len) {
        fwrite(out.ptr, 1, out.len, stdout);
        fflush(stdout); /* whoever waits sees what is done */
    }
    buf_fini(&out);
}

/* The verdict; of several the first counts. Nothing was waited for unless `timed`. */
static void end_item(struct item *it, enum check_mark mark, bool timed, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void end_item(struct item *it, enum check_mark mark, bool timed, const char *fmt, ...)
{
    va_list args;
    if (it->done) {
        return;
    }
    va_start(args, fmt);
    buf_vprintf(&it->detail, fmt, args);
    va_end(args);
    it->done = true;
    it->mark = mark;
    it->took_ms = timed ? (int64_t)(loop_exact_us(it->check->loop) / 1000 - it->began_ms) : -1;
}

/* ---- the data folder ---- */

static void on_read(void *self, enum err e, int64_t value)
{
    struct check *c = self;
    (void)value;
    struct item *it = &c->items[ITEM_DATA];
    const char *reason = "";
    int64_t since_ms = 0;
    if (e == OK) {
        end_item(it, CHECK_OK, true, "%s opens and reads", c->options->data_dir);
    } else {
        (void)db_healthy(c->db, &reason, &since_ms);
        end_item(it, CHECK_FAIL, true, "%s: %s", c->options->data_dir,
                 reason[0] ? reason : err_text(e));
    }
}

/* A folder that the first start would make: could it? Nothing is made here. */
static void try_absent_folder(struct check *c)
{
    struct item *it = &c->items[ITEM_DATA];
    struct str path = str_of(c->options->data_dir);
    struct buf parent = {0};
    while (path.len > 1 && str_ends(path, STR("/"))) {
        path.len--;
    }
    while (path.len > 0 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    buf_add_str(&parent, path.len ? path : STR("."));
    if (access(buf_text(&parent), W_OK | X_OK) == 0) {
        end_item(it, CHECK_OK, false, "%s is not there yet: the first start makes it",
                 c->options->data_dir);
    } else {
        end_item(it, CHECK_FAIL, false, "%s cannot be made: %s", c->options->data_dir,
                 strerror(errno));
    }
    buf_fini(&parent);
}

static void try_data(struct check *c)
{
    struct item *it = &c->items[ITEM_DATA];
    struct buf path = {0};
    struct buf error = {0};
    struct stat st;
    buf_printf(&path, "%s/coincast.db", c->options->data_dir);
    if (stat(c->options->data_dir, &st) != 0 && errno == ENOENT) {
        try_absent_folder(c);
    } else if (stat(buf_text(&path), &st) != 0 && errno == ENOENT) {
        bool writable = access(c->options->data_dir, W_OK | X_OK) == 0;
        end_item(it, writable ? CHECK_OK : CHECK_FAIL, false, "%s: %s", c->options->data_dir,
                 writable ? "no database yet: the first start makes it" : strerror(errno));
    } else {
        enum err e = db_open(c->options->data_dir, c->pool, c->loop, &c->db, &error);
        c->held = e == ERR_BUSY;
        if (e == OK) {
            db_counter_get(c->db, STR("check"), on_read, c);
        } else {
            end_item(it, c->held ? CHECK_OK : CHECK_FAIL, true, "%s", buf_text(&error));
        }
    }
    buf_fini(&path);
    buf_fini(&error);
}

/* ---- Redis ---- */

static void on_pong(void *self, enum err e, struct str value)
{
    struct item *it = &((struct check *)self)->items[ITEM_REDIS];
    if (e == OK) {
        end_item(it, CHECK_OK, true, "answers PING");
    } else {
        end_item(it, CHECK_FAIL, true, "%s%s%.*s", err_text(e), value.len ? ": " : "",
                 STR_ARG(value));
    }
}

static void look_at_redis(void *self)
{
    struct check *c = self;
    struct item *it = &c->items[ITEM_REDIS];
    uint64_t now_ms = loop_now_ms(c->loop);
    const char *reason = "";
    int64_t since_ms = 0;
    if (redis_ready(c->redis)) {
        redis_ping(c->redis, on_pong, c);
    } else if (now_ms < it->began_ms + REDIS_WITHIN_MS) {
        timer_start(c->loop, &c->redis_timer, now_ms + REDIS_LOOK_MS, look_at_redis, c);
    } else {
        (void)redis_healthy(c->redis, &reason, &since_ms);
        end_item(it, CHECK_FAIL, true, "%s", reason);
    }
}

static void try_redis(struct check *c)
{
    struct buf error = {0};
    struct item *it = &c->items[ITEM_REDIS];
    if (!c->options->redis_url) {
        end_item(it, CHECK_SKIP, false, "REDIS_URL is not set: the cache is in memory only");
    } else if (redis_new(c->loop, str_of(c->options->redis_url), &c->redis, &error) != OK) {
        end_item(it, CHECK_FAIL, false, "%s", buf_text(&error));
    } else {
        look_at_redis(c);
    }
    buf_fini(&error);
}

/* ---- TLS ---- */

/* Servers go on with a certificate that has ended, and clients refuse it. */
static void say_end(struct item *it, const char *cert, int64_t ends_ms, int64_t now_ms)
{
    char day[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(ends_ms, day);
    day[10] = '\0'; /* the date */
    int64_t days = (ends_ms - now_ms) / 86400000;
    if (ends_ms == 0) {
        end_item(it, CHECK_FAIL, false, "%s has no end that can be read", cert);
    } else if (ends_ms <= now_ms) {
        end_item(it, CHECK_FAIL, false, "%s ended on %s: clients refuse it", cert, day);
    } else {
        end_item(it, CHECK_OK, false, "%s and its key fit; it ends on %s, in %lld day%s%s", cert,
                 day, (long long)days, days == 1 ? "" : "s",
                 days < CERT_SOON_DAYS ? ": renew it now" : "");
    }
}

static void try_tls(struct check *c)
{
    const struct options *o = c->options;
    struct item *it = &c->items[ITEM_TLS];
    struct tls_context *tls = NULL;
    struct buf error = {0};
    if (!o->tls_cert && !o->tls_key) {
        end_item(it, CHECK_SKIP, false, "COINCAST_TLS_CERT is not set: plain HTTP is served");
    } else if (!o->tls_cert || !o->tls_key) {
        end_item(it, CHECK_FAIL, false, "COINCAST_TLS_CERT and COINCAST_TLS_KEY belong together");
    } else if (tls_context_new(o->tls_cert, o->tls_key, &tls, &error) != OK) {
        end_item(it, CHECK_FAIL, false, "%s", buf_text(&error));
    } else {
        say_end(it, o->tls_cert, tls_context_ends_ms(tls), clock_wall_ms(clock_real()));
    }
    tls_context_free(tls);
    buf_fini(&error);
}

/* ---- the way out ---- */

static void try_outgoing(struct check *c)
{
    struct item *it = &c->items[ITEM_OUTGOING];
    struct buf text = {0};
    enum err e = outgoing_check(c->options, &text);
    if (e == OK) {
        outgoing_text(c->options, &text);
    }
    end_item(it, e == OK ? CHECK_OK : CHECK_FAIL, false, "%s", buf_text(&text));
    buf_fini(&text);
}

/* ---- providers ---- */

static enum provider_id provider_of(const struct item *it)
{
    return it->endpoint->provider;
}

static const char *secret_of(const struct item *it)
{
    const struct options *o = it->check->options;
    switch (provider_of(it)) {
    case PROVIDER_TAAPI:
        return o->taapi_secret;
    case PROVIDER_COINGECKO:
        return o->coingecko_key;
    case PROVIDER_ALTERNATIVE:
    case PROVIDER_BINANCE:
    case PROVIDER_COINBASE:
    case PROVIDER_KRAKEN:
    case PROVIDER_COUNT:
        break;
    }
    return NULL;
}

/* A stand-in's answer was counted as live; the count goes where it belongs. */
static void recount(struct item *it, struct str upstream)
{
    struct check *c = it->check;
    enum market_mode mode = str_eq_nocase(upstream, STR("simulated"))  ? MODE_DEMO
                            : str_eq_nocase(upstream, STR("recorded")) ? MODE_REPLAY
                                                                       : MODE_LIVE;
    if (mode != MODE_LIVE) {
        budget_set_mode(it->budget, market_mode_text(mode), loop_now_ms(c->loop),
                        loop_wall_ms(c->loop));
        budget_give_back(it->budget, market_mode_text(MODE_LIVE), loop_wall_ms(c->loop));
    }
}

static void on_answer(void *self, const struct fetch_answer *a)
{
    struct item *it = self;
    struct saved_reading saved = {0};
    static struct reading reading;
    struct buf text = {0};
    enum err e = judge_answer(it->endpoint, a, &saved, &reading, &text);
    if (e == OK) {
        check_text_reading(&reading, &text);
    }
    if (a->err == OK && a->upstream.len) {
        buf_printf(&text, ", %.*s", STR_ARG(a->upstream));
        recount(it, a->upstream);
    }
    end_item(it, e == OK ? CHECK_OK : CHECK_FAIL, true, "%s", buf_text(&text));
    saved_clear(&saved);
    buf_fini(&text);
}

static void ask(struct item *it)
{
    struct check *c = it->check;
    const struct provider *row = provider_row(provider_of(it));
    const char *secret = secret_of(it);
    const char *base = c->options->url[provider_of(it)];
    struct str base_url = str_of(base ? base : row->base_url);
    struct buf url = {0};
    struct buf header = {0};
    while (str_ends(base_url, STR("/"))) {
        base_url.len--;
    }
    endpoint_url(it->endpoint, base_url, str_of(secret), &url);
    if (row->key_header && secret) {
        buf_printf(&header, "%s: %s", row->key_header, secret);
    }
    struct fetch_request request = {
        .url = buf_str(&url), .header = buf_str(&header), .max_bytes = it->endpoint->max_bytes};
    it->began_ms = loop_exact_us(c->loop) / 1000;
    (void)c->fetch->ops->start(c->fetch, &request, on_answer, it);
    buf_fini(&url);
    buf_fini(&header);
}

static struct item *provider_item(struct check *c, uint32_t provider)
{
    return &c->items[ITEM_PROVIDERS + provider];
}

/* The request is counted on disk. A count that was not kept is no reason not to try. */
static void on_counted(void *self, uint32_t ticket, enum err e)
{
    struct item *it = self;
    (void)ticket;
    (void)e;
    ask(it);
}

static void take_turn(void *self)
{
    struct item *it = self;
    struct check *c = it->check;
    uint64_t now_ms = loop_now_ms(c->loop);
    int64_t wall_ms = loop_wall_ms(c->loop);
    if (it->asked || it->done) {
        return;
    }
    it->asked = true;
    uint64_t wait_ms = budget_wait_ms(it->budget, now_ms, wall_ms);
    if (wait_ms > 0) {
        end_item(it, CHECK_SKIP, false, "our own limit of requests is used up for %llu s",
                 (unsigned long long)((wait_ms + 999) / 1000));
    } else if (budget_take(it->budget, 1, now_ms, wall_ms)) {
        ask(it);
    }
}

static void try_provider(struct check *c, enum provider_id id)
{
    const struct provider *row = provider_row(id);
    const struct options *o = c->options;
    struct item *it = provider_item(c, id);
    enum source_kind kind = SOURCE_LIVE;
    (void)source_parse(str_of(o->source), &kind, NULL);
    if (kind == SOURCE_DEMO || kind == SOURCE_NONE) {
        end_item(it, CHECK_SKIP, false, "COINCAST_SOURCE=%s asks no provider", o->source);
        return;
    }
    if (row->wants_secret && !secret_of(it)) {
        end_item(it, CHECK_SKIP, false, "its secret is not set");
        return;
    }
    /* Its ceilings are scarce, and the server that holds the counts knows nothing of us. */
    if (row->durable && c->held) {
        end_item(it, CHECK_SKIP, false, "the running server asks it: see its /api/health");
        return;
    }
    uint32_t per_minute = (uint32_t)o->per_minute[id];
    struct budget_opts budget = {
        .name = row->name,
        .per_minute = per_minute < BUDGET_MAX_PER_MINUTE ? per_minute : BUDGET_MAX_PER_MINUTE,
        .per_month = o->per_month[id] > 0 ? (uint64_t)o->per_month[id] : 0,
        .store = row->durable && c->db ? &c->store : NULL,
        .taken = on_counted,
        .loaded = take_turn,
        .self = it,
    };
    it->budget = budget_new(&budget, market_mode_text(MODE_LIVE), loop_now_ms(c->loop),
                            loop_wall_ms(c->loop));
    if (!budget.store) {
        take_turn(it);
    }
}

/* ---- the whole ---- */

static void name_items(struct check *c)
{
    static const enum endpoint_id asked[PROVIDER_COUNT] = {
        [PROVIDER_COINGECKO] = EP_COINGECKO_GLOBAL,
        [PROVIDER_ALTERNATIVE] = EP_ALTERNATIVE_FNG,
        [PROVIDER_TAAPI] = EP_TAAPI_RSI,
        [PROVIDER_BINANCE] = EP_BINANCE_TICKER,
        [PROVIDER_COINBASE] = EP_COINBASE_STATS,
        [PROVIDER_KRAKEN] = EP_KRAKEN_TICKER,
    };
    c->items[ITEM_DATA].name = "database";
    c->items[ITEM_REDIS].name = "redis";
    c->items[ITEM_TLS].name = "tls";
    c->items[ITEM_OUTGOING].name = "outgoing";
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        provider_item(c, (uint32_t)p)->name = provider_row((enum provider_id)p)->name;
        provider_item(c, (uint32_t)p)->endpoint = endpoint_row(asked[p]);
    }
    for (int i = 0; i < ITEM_COUNT; i++) {
        c->items[i].check = c;
        c->items[i].began_ms = loop_exact_us(c->loop) / 1000;
    }
}

static void close_all(struct check *c)
{
    timer_stop(c->loop, &c->redis_timer);
    c->fetch->ops->free(c->fetch);
    redis_free(c->redis);
    db_close(c->db);
    for (int i = 0; i < ITEM_COUNT; i++) {
        budget_free(c->items[i].budget);
        buf_fini(&c->items[i].detail);
    }
    work_pool_free(c->pool);
}

static int try_all(struct check *c)
{
    int failed = 0;
    name_items(c);
    c->pool = work_pool_new(1);
    try_data(c);
    c->store = budget_store_db(c->db);
    try_redis(c);
    try_tls(c);
    try_outgoing(c);
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        try_provider(c, (enum provider_id)p);
    }
    uint64_t end_ms = loop_now_ms(c->loop) + ALL_WITHIN_MS;
    for (tell(c); c->told < ITEM_COUNT && loop_now_ms(c->loop) < end_ms; tell(c)) {
        loop_turn(c->loop, 100);
    }
    for (int i = 0; i < ITEM_COUNT; i++) {
        end_item(&c->items[i], CHECK_FAIL, true, "no answer");
        failed += c->items[i].mark == CHECK_FAIL;
    }
    tell(c);
    close_all(c);
    return failed ? 1 : 0;
}

int check_run(const struct options *options)
{
    struct check c = {.options = options};
    if (loop_new(&(struct loop_opts){.io = IO_EPOLL}, &c.loop) != OK ||
        fetch_curl_new(c.loop, &options->outward, &c.fetch) != OK) {
        fputs("coincast: check cannot set up a loop and HTTP\n", stderr);
        loop_free(c.loop);
        return 1;
    }
    log_add_secret(str_of(options->taapi_secret));
    log_add_secret(str_of(options->coingecko_key));
    int code = try_all(&c);
    loop_free(c.loop);
    return code;
}
