/* SPDX-License-Identifier: MIT */
#include "app/shards.h"

#include "app/health.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/tally.h"
#include "base/thread.h"
#include "base/throttle.h"

enum { MAILBOX_LETTERS = 4096, DRAIN_LOOK_MS = 5, CUT_MS = 2000, FIGURES_MS = 1000 };

struct shard {
    struct shards *owner;
    int index;
    struct loop *loop;
    struct mailbox *mail;
    struct api_shard *api;
    struct thread *thread;
    struct timer drain_timer, figures_timer;
    uint64_t cut_at_ms, end_at_ms;
    bool closed, cut;
    uint64_t untold; /* who is to be told of the drain; 1 until it has begun; all read it: atomic */
    /* figures for health and metrics, written by the shard, read by main: atomics */
    uint64_t clients, stalled, conflated;
};

struct shards {
    struct shards_opts opts;
    struct shard *all;
    int count;
    int drained;
    struct tally *conns_of, *sessions_of; /* by address */
    struct throttle *requests;
    char io_name[16];
    char io_reason[64];
};

static struct metric deliveries =
    METRIC_COUNTER("coincast_deliveries_total", "Messages handed to clients' sockets.");
static struct metric sent_bytes =
    METRIC_COUNTER("coincast_sent_bytes_total", "Bytes of messages handed to clients' sockets.");
static struct metric sends =
    METRIC_COUNTER("coincast_sends_total", "Socket writes of the fan-out.");
static struct metric conflated_total = METRIC_COUNTER(
    "coincast_conflated_total", "Messages that slow clients were spared, newest values given.");
static struct metric gaps_total =
    METRIC_COUNTER("coincast_gaps_total", "Gap notices sent to slow clients.");
static struct metric stalls_total =
    METRIC_COUNTER("coincast_stalls_total", "Times a client's socket was full.");

/* ---- figures: a shard adds what it did since the last look ---- */

static void figures_due(void *self)
{
    struct shard *s = self;
    static __thread struct fanout_stats before;
    struct fanout_stats now;
    fanout_stats(api_shard_fanout(s->api), &now);
    metric_add(&deliveries, (int64_t)(now.deliveries - before.deliveries));
    metric_add(&sent_bytes, (int64_t)(now.bytes - before.bytes));
    metric_add(&sends, (int64_t)(now.sends - before.sends));
    metric_add(&conflated_total, (int64_t)(now.conflated - before.conflated));
    metric_add(&gaps_total, (int64_t)(now.gaps - before.gaps));
    metric_add(&stalls_total, (int64_t)(now.stalls - before.stalls));
    before = now;
    __atomic_store_n(&s->clients, net_count(api_shard_net(s->api)), __ATOMIC_RELAXED);
    __atomic_store_n(&s->stalled, now.stalled, __ATOMIC_RELAXED);
    timer_start(s->loop, &s->figures_timer, loop_now_ms(s->loop) + FIGURES_MS, figures_due, s);
}

/* ---- a shard's own thread ---- */

static void run_shard(void *self)
{
    struct shard *s = self;
    figures_due(s);
    loop_run(s->loop);
    timer_stop(s->loop, &s->drain_timer);
    timer_stop(s->loop, &s->figures_timer);
    mailbox_take(s->mail); /* what they own is freed by running them */
    api_shard_free(s->api);
    mailbox_free(s->mail);
    loop_free(s->loop);
}

static void tell_drained(void *self, void *owned_arg, uint64_t number)
{
    struct shards *all = self;
    (void)owned_arg;
    (void)number;
    if (++all->drained == all->count) {
        all->opts.drained(all->opts.self);
    }
}

/* A client's next poll may come to any shard, so all are open until the last client was told. */
static bool all_told(const struct shards *all)
{
    for (int i = 0; i < all->count; i++) {
        if (__atomic_load_n(&all->all[i].untold, __ATOMIC_RELAXED)) {
            return false;
        }
    }
    return true;
}

static void look_drained(void *self)
{
    struct shard *s = self;
    uint64_t now = loop_now_ms(s->loop);
    __atomic_store_n(&s->untold, api_shard_untold(s->api), __ATOMIC_RELAXED);
    if (!s->closed && (now >= s->cut_at_ms || all_told(s->owner))) {
        s->closed = true;
        api_shard_close(s->api);
    }
    size_t left = net_count(api_shard_net(s->api));
    if (left && now >= s->cut_at_ms && !s->cut) {
        log_info("shard", "cutting what is left", "shard=%d clients=%zu", s->index, left);
        api_shard_cut(s->api);
        s->cut = true;
    }
    if ((left || !s->closed) && now < s->end_at_ms) {
        timer_start(s->loop, &s->drain_timer, now + DRAIN_LOOK_MS, look_drained, s);
        return;
    }
    api_shard_finish(s->api);
    if (!mailbox_post(s->owner->opts.main_mail, tell_drained, s->owner, NULL, 0)) {
        timer_start(s->loop, &s->drain_timer, now + DRAIN_LOOK_MS, look_drained, s);
    }
}

static void begin_drain(void *self, void *owned_arg, uint64_t within_ms)
{
    struct shard *s = self;
    (void)owned_arg;
    s->cut_at_ms = loop_now_ms(s->loop) + within_ms;
    s->end_at_ms = s->cut_at_ms + CUT_MS;
    api_shard_drain(s->api);
    look_drained(s);
}

/* ---- building ---- */

/* The first takes the address and says its port. */
static enum err build(struct shards *all, int index, const char *listen, uint16_t *port,
                      struct buf *error)
{
    struct shard *s = &all->all[index];
    s->owner = all;
    s->index = index;
    enum err e = loop_new(&(struct loop_opts){.io = all->opts.io}, &s->loop);
    if (e != OK) {
        buf_printf(error, "COINCAST_IO=uring: io_uring can't be used here (%s); use auto or epoll",
                   err_text(e));
        return e;
    }
    s->mail = mailbox_new(s->loop, MAILBOX_LETTERS);
    s->api = api_shard_new(&(struct api_shard_opts){
        .loop = s->loop,
        .mail = s->mail,
        .main_mail = all->opts.main_mail,
        .main = all->opts.main,
        .settings = all->opts.settings,
        .net = all->opts.net,
        .sessions_of = all->sessions_of,
        .requests = all->requests,
        .index = index,
    });
    all->count = index + 1;
    e = index == 0 ? net_listen(api_shard_net(s->api), listen, port)
                   : net_listen_beside(api_shard_net(s->api), listen);
    if (e != OK) {
        buf_printf(error, "cannot listen on %s: %s", listen,
                   e == ERR_BUSY ? "another program serves there" : err_text(e));
        return e;
    }
    api_main_add_shard(all->opts.main, s->api, s->mail);
    return OK;
}

/* The address with the port that was taken, for the shards after the first. */
static void fixed_port(const char *listen, uint16_t port, struct buf *out)
{
    struct str text = str_of(listen);
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    buf_add(out, text.ptr, colon);
    buf_add_u64(out, port);
}

enum err shards_new(const struct shards_opts *opts, struct shards **out, uint16_t *port,
                    struct buf *error)
{
    struct shards *all = mem_zero(sizeof(*all));
    all->opts = *opts;
    all->all = mem_array((size_t)opts->count, sizeof(*all->all));
    all->conns_of = all->opts.net.conns_of = tally_new(NET_MAX_PEERS);
    all->sessions_of = tally_new(NET_MAX_PEERS);
    uint32_t rate = opts->settings->requests_per_s;
    all->requests = rate ? throttle_new(rate, 2 * rate) : NULL;
    struct buf address = {0};
    enum err e = build(all, 0, opts->listen, port, error);
    if (e == OK) {
        fixed_port(opts->listen, *port, &address);
    }
    for (int i = 1; i < opts->count && e == OK; i++) {
        e = build(all, i, buf_text(&address), port, error);
    }
    buf_fini(&address);
    if (e != OK) {
        shards_free(all);
        return e;
    }
    snprintf(all->io_name, sizeof(all->io_name), "%s", loop_io_name(all->all[0].loop));
    snprintf(all->io_reason, sizeof(all->io_reason), "%s", loop_io_reason(all->all[0].loop));
    *out = all;
    return OK;
}

enum err shards_start(struct shards *s)
{
    for (int i = 0; i < s->count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "shard-%d", i);
        enum err e = thread_start(name, run_shard, &s->all[i], &s->all[i].thread);
        if (e != OK) {
            return e;
        }
    }
    return OK;
}

void shards_drain(struct shards *s, uint32_t within_ms)
{
    for (int i = 0; i < s->count; i++) {
        __atomic_store_n(&s->all[i].untold, 1, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < s->count; i++) {
        while (!mailbox_post(s->all[i].mail, begin_drain, &s->all[i], NULL, within_ms)) {
            /* full for a moment: the shard is emptying it */
        }
    }
}

void shards_free(struct shards *s)
{
    if (!s) {
        return;
    }
    for (int i = 0; i < s->count; i++) {
        struct shard *one = &s->all[i];
        if (one->thread) {
            loop_stop(one->loop);
            thread_join(one->thread);
            continue;
        }
        net_stop_listening(api_shard_net(one->api));
        api_shard_free(one->api);
        mailbox_free(one->mail);
        loop_free(one->loop);
    }
    tally_free(s->conns_of);
    tally_free(s->sessions_of);
    throttle_free(s->requests);
    mem_free(s->all);
    mem_free(s);
}

const char *shards_io_name(const struct shards *s)
{
    return s->io_name;
}

const char *shards_io_reason(const struct shards *s)
{
    return s->io_reason;
}

uint64_t shards_clients(const struct shards *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < s->count; i++) {
        sum += __atomic_load_n(&s->all[i].clients, __ATOMIC_RELAXED);
    }
    return sum;
}

int shards_health(const struct shards *s, struct json_writer *w, int64_t since_ms)
{
    struct health_walk walk = {.w = w};
    for (int i = 0; i < s->count; i++) {
        const struct shard *one = &s->all[i];
        char name[24];
        size_t depth = mailbox_depth(one->mail);
        bool behind = depth > MAILBOX_LETTERS / 2;
        snprintf(name, sizeof(name), "shard-%d", i);
        health_begin(&walk, name, behind ? HEALTH_DEGRADED : HEALTH_OK,
                     behind ? "its mailbox is more than half full: it does not keep up" : NULL,
                     since_ms);
        json_put_count(w, "connections", __atomic_load_n(&one->clients, __ATOMIC_RELAXED));
        json_put_count(w, "stalled", __atomic_load_n(&one->stalled, __ATOMIC_RELAXED));
        json_put_count(w, "mailbox", depth);
        json_object_end(w);
    }
    return health_verdict(&walk);
}
