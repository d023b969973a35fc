/* Making the parts of a server and joining them. This is the one place where all parts meet; it
 * holds no rules of its own. SPDX-License-Identifier: MIT */
#include "app/app.h"
#include "app/health.h"
#include "app/outgoing.h"
#include "app/server_in.h"
#include "base/alloc.h"
#include "base/log.h"
#include "net/engine.h"
#include "sources/recorded.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAIN_LETTERS = 16384,
    WORKERS = 2,
    CACHE_ENTRIES = 1000,
    CACHE_BYTES = 8 << 20,
    DEMAND_MS = 30000,
    FILES_AT_ONCE = 65536 /* places for open files that are made at the start: 8 bytes each */
};

/* False: a plain hub, or a replay. */
static bool asks(const struct server *s)
{
    return s->feed && s->kind != SOURCE_REPLAY;
}

/* ---- what the parts want of each other ---- */

static void on_changed(void *self)
{
    struct server *s = self;
    api_main_changed(s->api);
}

static enum err on_outlook(void *self, const struct outlook_report *r)
{
    return markets_outlook(((struct server *)self)->markets, r);
}

static void on_outlook_failed(void *self, enum outlook_part part, const char *why)
{
    markets_outlook_failed(((struct server *)self)->markets, part, why);
}

static void on_mode_changed(void *self)
{
    struct server *s = self;
    keep_mode_changed(&s->keep);
    markets_set_mode(s->markets, s->summary.mode);
    api_main_mode_changed(s->api);
}

static void on_source_changed(void *self, uint16_t stand_in_port)
{
    struct server *s = self;
    s->weight = (struct weight){0}; /* another host is asked from now on */
    markets_use(s->markets, s->summary.mode, stand_in_port);
}

static void on_feed_price(void *self)
{
    struct server *s = self;
    if (s->feed) {
        feed_note_price(s->feed);
    }
}

static void on_feed_mode(void *self, enum market_mode mode)
{
    struct server *s = self;
    if (s->feed) {
        feed_note_mode(s->feed, mode);
    }
}

static void do_want(void *self, struct str symbol, bool wanted)
{
    markets_want(((struct server *)self)->markets, symbol, wanted);
}

static void do_older_candles(void *self, uint32_t symbol, enum interval i, int64_t from_ms,
                             int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self)
{
    markets_older_candles(((struct server *)self)->markets, symbol, i, from_ms, to_ms, limit, done,
                          done_self);
}

static void do_refresh(void *self, api_refresh_done_fn done, void *done_self)
{
    feed_refresh(((struct server *)self)->feed, done, done_self);
}

static void do_demand(void *self)
{
    feed_demand(((struct server *)self)->feed);
}

/* Whoever is connected watches: the sources stay at their pace while somebody does. */
static void demand_due(void *self)
{
    struct server *s = self;
    if (shards_clients(s->shards) > 0) {
        feed_demand(s->feed);
    }
    timer_start(s->loop, &s->demand_timer, loop_now_ms(s->loop) + DEMAND_MS, demand_due, s);
}

static void do_keep(void *self, struct str summary)
{
    struct server *s = self;
    keep_put(&s->keep, summary);
}

static void all_drained(void *self)
{
    struct server *s = self;
    loop_stop(s->loop);
}

/* ---- health ---- */

static int do_health(void *self, struct json_writer *w)
{
    struct server *s = self;
    struct health_walk own = {.w = w};
    const char *reason = NULL;
    int64_t since = s->started_ms;
    int worst = asks(s) ? feed_health(s->feed, w) : 0;
    if (s->markets) {
        /* Prices still come from the providers while all exchanges are silent. */
        int feeds = markets_health(s->markets, w);
        worst = feeds > 0 && worst == 0 ? 1 : worst;
    }
    bool ok = db_healthy(s->db, &reason, &since);
    health_write(&own, "database", ok, reason, since);
    health_write(&own, "cache", true, NULL, s->started_ms);
    if (s->redis) {
        ok = redis_healthy(s->redis, &reason, &since);
        health_write(&own, "redis", ok, reason, since);
    }
    if (s->recorder) {
        reason = NULL;
        ok = recorder_healthy(s->recorder, &reason);
        health_write(&own, "recorder", ok, reason, s->started_ms);
    }
    if (s->publish_log) {
        reason = NULL;
        ok = publish_log_healthy(s->publish_log, &reason);
        health_write(&own, "publish_log", ok, reason, s->started_ms);
    }
    ok = hub_dropped(s->hub) == 0;
    health_write(&own, "bus", ok, ok ? NULL : "messages were lost on the way to a shard",
                 s->started_ms);
    int rest = health_verdict(&own);
    int shards = shards_health(s->shards, w, s->started_ms);
    rest = shards > rest ? shards : rest;
    return worst > rest ? worst : rest;
}

/* ---- building, in order; each step says in `error` why it failed ---- */

/* The kernel doubles a process's table of open files when it is full, and makes a process of many
 * threads wait for that until all cores have passed by (an RCU grace period): 5 to 40 ms in which
 * the thread that accepts serves nobody. So the table is made large while there is one thread. */
static void make_room_for_files(rlim_t limit)
{
    int last = (int)(limit < FILES_AT_ONCE ? limit : FILES_AT_ONCE) - 1;
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, last);
    if (fd >= 0) {
        close(fd);
    }
}

static void raise_open_files(struct server *s)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (s->options.max_conns == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur > 256) {
            s->options.max_conns = (int64_t)limit.rlim_cur - 128;
        }
        make_room_for_files(limit.rlim_cur);
    }
}

static void fill_settings(struct server *s, bool loopback)
{
    const struct options *o = &s->options;
    static const uint32_t dashboard_ms[PROFILE_COUNT] = {30000, 300000, 600000};
    static const uint32_t btc_ms[PROFILE_COUNT] = {10000, 300000, 600000};
    s->settings = (struct api_settings){
        .token = o->api_token,
        .origins = o->origins ? o->origins : "",
        .listen = o->listen,
        .loopback_only = loopback && !o->trusted_proxy,
        .limit_loopback = o->limit_loopback,
        .trusted_proxy = o->trusted_proxy,
        .requests_per_s = (uint32_t)o->requests_per_s,
        .commands_per_s = (uint32_t)o->commands_per_s,
        .dashboard_ms = dashboard_ms[o->profile],
        .btc_price_ms = btc_ms[o->profile],
        .drain_ms = (uint32_t)o->drain_ms,
        .sources = s->kind != SOURCE_NONE,
        .version = COINCAST_VERSION,
        .max_subscriptions = (size_t)o->max_subscriptions,
        .clock = s->kind == SOURCE_REPLAY ? &s->clock : NULL,
    };
}

static enum err check_address(struct server *s, struct buf *error)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    const char *listen = s->options.listen;
    if (net_parse_address(listen, &addr, &len) != OK) {
        buf_printf(error,
                   "COINCAST_LISTEN=%s: an address and port such as 127.0.0.1:8000 is needed",
                   listen);
        return ERR_SYNTAX;
    }
    if (net_probe_address(listen) == ERR_BUSY) {
        buf_printf(error, "%s is taken: another instance or program serves there", listen);
        return ERR_BUSY;
    }
    bool loopback = net_address_is_loopback((struct sockaddr *)&addr);
    if (!loopback && !s->options.tls_cert && !s->options.trusted_proxy) {
        log_warn("serve", "listening beyond this machine without TLS",
                 "listen=%s advice=\"set COINCAST_TLS_CERT and COINCAST_TLS_KEY, or "
                 "COINCAST_TRUSTED_PROXY=1 behind a proxy\"",
                 listen);
    }
    fill_settings(s, loopback);
    return OK;
}

static enum err open_stores(struct server *s, struct buf *error)
{
    const struct options *o = &s->options;
    s->pool = work_pool_new(WORKERS);
    enum err e = db_open(o->data_dir, s->pool, s->loop, &s->db, error);
    if (e == OK && o->redis_url) {
        e = redis_new(s->loop, str_of(o->redis_url), &s->redis, error);
    }
    if (e == OK && o->record) {
        e = recorder_open(s->loop, o->record, &s->recorder, error);
    }
    s->cache = cache_new(s->loop, s->redis, CACHE_ENTRIES, CACHE_BYTES);
    return e;
}

static enum err open_tls(struct server *s, struct buf *error)
{
    const struct options *o = &s->options;
    if (!o->tls_cert) {
        return OK;
    }
    return tls_context_new(o->tls_cert, o->tls_key, &s->tls, error);
}

static struct net_opts net_limits(const struct server *s)
{
    const struct options *o = &s->options;
    return (struct net_opts){
        .tls = s->tls,
        .max_conns = (size_t)o->max_conns,
        .max_conns_per_ip = (size_t)o->max_conns_per_ip,
        .limit_loopback = o->limit_loopback,
        .max_body = (size_t)o->max_body,
        .max_pending = (size_t)o->max_pending,
        .ping_interval_ms = (uint32_t)o->ping_interval_ms,
        .ping_timeout_ms = (uint32_t)o->ping_timeout_ms,
        .max_message = (size_t)o->max_message,
        .max_large = ENGINE_MAX_PAYLOAD,
        .deflate = o->deflate,
        .deflate_policy = {.shared = true, .server_window_bits = 12},
    };
}

static enum err open_hub_and_shards(struct server *s, uint16_t *port, struct buf *error)
{
    const struct options *o = &s->options;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->hub = hub_new(&(struct hub_opts){.loop = s->loop,
                                        .history_count = (size_t)o->history_count,
                                        .history_bytes = (size_t)o->history_bytes,
                                        .history_ms = (uint64_t)o->history_ms});
    s->api = api_main_new(&(struct api_main_opts){
        .loop = s->loop,
        .mail = s->mail,
        .hub = s->hub,
        .summary = &s->summary,
        .settings = &s->settings,
        .refresh = asks(s) ? do_refresh : NULL,
        .demand = asks(s) ? do_demand : NULL,
        .health = do_health,
        .keep = asks(s) ? do_keep : NULL, /* a replay is not kept */
        .market = s->markets ? markets_market(s->markets) : NULL,
        .candles = s->markets ? markets_candles(s->markets) : NULL,
        .older_candles = s->markets ? do_older_candles : NULL,
        /* A replay must not depend on who looks at it. */
        .want = s->markets && s->kind != SOURCE_REPLAY ? do_want : NULL,
        .self = s,
        .io_name = "unknown",
    });
    if (s->markets) {
        markets_attach(s->markets, s->api);
    }
    return shards_new(
        &(struct shards_opts){
            .count = o->shards   ? (int)o->shards
                     : cores > 2 ? (int)cores - 1
                                 : 1,
            .listen = o->listen,
            .io = (enum io_kind)o->io,
            .main_mail = s->mail,
            .main = s->api,
            .settings = &s->settings,
            .net = net_limits(s),
            .drained = all_drained,
            .self = s,
        },
        &s->shards, port, error);
}

/* ---- a recording in the place of the world ---- */

static void on_item(void *self, const struct tape_item *item)
{
    struct server *s = self;
    struct fetch_answer a;
    if (item->kind != TAPE_HTTP) {
        markets_replay(s->markets, item);
    } else if (!recorded_read(item->record, &a) || (!feed_replay(s->feed, item->record, &a) &&
                                                    !markets_replay_answer(s->markets, item, &a))) {
        s->answers_unused++;
    }
}

static int64_t on_item_time(void *self, const struct tape_item *item)
{
    (void)self;
    return markets_tape_time_ns(item);
}

/* From here on time is real: what is said now is no part of the recording. */
static void on_replay_ended(void *self)
{
    struct server *s = self;
    struct replay_stats stats;
    replay_stats(s->replay, &stats);
    publish_log_close(s->publish_log); /* whoever reads below that it has ended finds it whole */
    s->publish_log = NULL;
    log_info("serve", "the recording has ended", "items=%llu left_out=%llu answers_of_no_use=%llu",
             (unsigned long long)stats.items, (unsigned long long)stats.left_out,
             (unsigned long long)s->answers_unused);
}

static enum err open_replay(struct server *s, struct buf *error)
{
    struct buf paths = {0};
    double speed = 1;
    if (s->kind != SOURCE_REPLAY) {
        return OK;
    }
    enum err e = speed_parse(str_of(s->options.speed), &speed);
    buf_add_str(&paths, s->replay_file);
    if (e == OK) {
        e = replay_open(&(struct replay_opts){.loop = s->loop,
                                              .clock = &s->clock,
                                              .paths = buf_text(&paths),
                                              .speed = speed,
                                              .item = on_item,
                                              .event_time = on_item_time,
                                              .ended = on_replay_ended,
                                              .self = s},
                        &s->replay, error);
    }
    buf_fini(&paths);
    return e;
}

static enum err open_feed(struct server *s, struct buf *error)
{
    if (s->kind == SOURCE_NONE) {
        return OK;
    }
    bool asks = s->kind == SOURCE_LIVE || s->kind == SOURCE_AUTO;
    enum err e = asks ? outgoing_check(&s->options, error) : OK;
    if (e != OK) {
        return e;
    }
    if (asks) {
        outgoing_log(&s->options);
    }
    e = markets_new(&(struct markets_opts){.loop = s->loop,
                                           .options = &s->options,
                                           .db = s->db,
                                           .recorder = s->recorder,
                                           .weight = &s->weight,
                                           .summary = &s->summary,
                                           .summary_changed = on_changed,
                                           .feed_price = on_feed_price,
                                           .mode_changed = on_feed_mode,
                                           .self = s},
                    &s->markets, error);
    if (e != OK) {
        return e;
    }
    return feed_new(&(struct feed_opts){.loop = s->loop,
                                        .options = &s->options,
                                        .kind = s->kind,
                                        .db = s->db,
                                        .recorder = s->recorder,
                                        .weight = &s->weight,
                                        .summary = &s->summary,
                                        .changed = on_changed,
                                        .outlook = on_outlook,
                                        .outlook_failed = on_outlook_failed,
                                        .mode_changed = on_mode_changed,
                                        .source_changed = on_source_changed,
                                        .self = s},
                    &s->feed, error);
}

/* ---- the whole ---- */

enum err server_build(struct server *s, uint16_t *port, struct buf *error)
{
    raise_open_files(s);
    (void)source_parse(str_of(s->options.source), &s->kind, &s->replay_file);
    summary_init(&s->summary, s->kind == SOURCE_REPLAY ? MODE_REPLAY : MODE_LIVE);
    clock_init_virtual(&s->clock, clock_mono_ms(clock_real()), clock_wall_ms(clock_real()));
    enum err e = loop_new(
        &(struct loop_opts){.io = IO_EPOLL, .clock = s->kind == SOURCE_REPLAY ? &s->clock : NULL},
        &s->loop);
    if (e != OK || (e = open_replay(s, error)) != OK) {
        return e;
    }
    s->started_ms = loop_wall_ms(s->loop);
    s->mail = mailbox_new(s->loop, MAIN_LETTERS);
    if ((e = check_address(s, error)) != OK || (e = open_stores(s, error)) != OK ||
        (e = open_tls(s, error)) != OK || (e = open_feed(s, error)) != OK) {
        return e;
    }
    return open_hub_and_shards(s, port, error);
}

enum err server_start(struct server *s, struct buf *error)
{
    api_main_set_io(s->api, shards_io_name(s->shards));
    api_main_start(s->api);
    if (s->options.publish_log &&
        publish_log_open(s->loop, s->hub, s->options.publish_log, &s->publish_log, error) != OK) {
        return ERR_IO;
    }
    enum err e = shards_start(s->shards);
    if (e == OK && asks(s)) {
        keep_start(&s->keep, s->loop, s->cache, &s->summary, on_changed, s);
        feed_start(s->feed);
        timer_start(s->loop, &s->demand_timer, loop_now_ms(s->loop) + DEMAND_MS, demand_due, s);
    }
    return e;
}
