/* SPDX-License-Identifier: MIT */
#include "tools/load.h"

#include "base/alloc.h"
#include "tools/load_publisher.h"
#include "wire/http1.h"

#include <assert.h>

enum {
    ROUND_LIMIT_MS = 20000,
    DRAIN_LIMIT_MS = 5000,
    CLOSE_LIMIT_MS = 5000,
    STEP_LIMIT_MS = 60000
};
enum { CHURN_TICK_MS = 20, CHURN_DRAIN_MS = 500 };

enum phase { CONNECT, SUBSCRIBE, SETTLE, WARM, MEASURE, DRAIN, CLOSE };

struct load {
    struct loop *loop;
    const struct load_opts *opts;
    struct load_result *result;
    struct buf *error;
    enum err failed;
    enum phase phase;
    struct load_crowd crowd;
    struct load_client *clients;
    uint32_t started;   /* in this phase: connects or subscriptions begun */
    uint32_t done;      /* in this phase: ended well or badly */
    uint32_t open;      /* clients not idle */
    struct defer next;  /* begins what the window allows, or the next round */
    struct timer limit; /* end of a phase, or the time it may take at most */
    struct timer pace, churner, ticker;
    struct load_publisher publisher;
    bool publisher_open, publishing;
    struct buf body;     /* messages not posted yet */
    uint32_t body_count; /* how many */
    uint64_t next_n;     /* number of the next message */
    uint64_t first_n;    /* first message that is measured */
    int64_t outstanding; /* deliveries still to come */
    uint64_t round_us;   /* when the round under way was sent */
    uint64_t due_ms;     /* fixed rate: when the first post was due */
    uint64_t due_posts;  /* fixed rate: posts that came due */
    uint64_t phase_us, phase_cpu;
    uint32_t churn_at, churn_debt;
};

static void enter(struct load *l, enum phase phase);
static void on_limit(void *self);

static void give_up(struct load *l, enum err e, const char *why)
{
    if (l->failed == OK) {
        l->failed = e;
        buf_printf(l->error, "%s", why);
    }
    if (l->phase != CLOSE) {
        enter(l, CLOSE);
    }
}

static uint64_t cpu_now(struct load *l)
{
    uint64_t ns = 0;
    if (load_cpu_read(&l->opts->cpu, &ns) != OK) {
        give_up(l, ERR_NOT_FOUND, "a process of --server-pid is gone");
    }
    return ns;
}

static void set_limit(struct load *l, uint64_t ms)
{
    timer_start(l->loop, &l->limit, loop_now_ms(l->loop) + ms, on_limit, l);
}

/* Begins to count what a phase takes. */
static void mark(struct load *l)
{
    l->phase_us = loop_exact_us(l->loop);
    l->phase_cpu = cpu_now(l);
}

static void since_mark(struct load *l, uint64_t *us, uint64_t *cpu_ns)
{
    *us = loop_exact_us(l->loop) - l->phase_us;
    *cpu_ns = cpu_now(l) - l->phase_cpu;
}

/* ---- publishing ---- */

static void add_message(struct load *l, uint64_t sent_us)
{
    buf_printf(&l->body, "%c{\"channel\":\"%.*s\",\"data\":", l->body_count == 0 ? '[' : ',',
               STR_ARG(l->opts->channel));
    load_stamp_write(&l->body, (struct load_stamp){sent_us, l->next_n++}, l->opts->size);
    buf_add_char(&l->body, '}');
    l->body_count++;
    l->outstanding += l->result->readers - l->result->lost;
    if (l->phase == MEASURE) {
        l->result->published++;
    }
}

static void post(struct load *l)
{
    if (l->body_count == 0 || load_publisher_busy(&l->publisher)) {
        return;
    }
    buf_add_char(&l->body, ']');
    struct str body = buf_str(&l->body);
    l->body_count = 0;
    load_publisher_post(&l->publisher, body);
    buf_clear(&l->body);
}

static void start_round(struct load *l)
{
    l->round_us = loop_exact_us(l->loop);
    for (uint32_t i = 0; i < l->opts->burst; i++) {
        add_message(l, l->round_us);
    }
    post(l);
}

static bool closed_loop(const struct load *l)
{
    return l->opts->burst > 0 && l->opts->rate == 0;
}

static void next_step(void *self);

/* A closed loop's round is over when everybody has all of it and the request was answered. */
static void check_round(struct load *l)
{
    if (l->outstanding > 0 || (l->publisher_open && load_publisher_busy(&l->publisher))) {
        return;
    }
    if (l->phase == DRAIN || (closed_loop(l) && (l->phase == WARM || l->phase == MEASURE))) {
        loop_defer(l->loop, &l->next, next_step, l);
    }
}

static void round_over(struct load *l)
{
    uint64_t now_us = loop_exact_us(l->loop);
    if (l->phase == MEASURE) {
        histogram_add(&l->result->round_us, now_us - l->round_us);
    }
    uint32_t span_ms = l->phase == WARM ? l->opts->warmup_ms : l->opts->duration_ms;
    if (now_us - l->phase_us >= (uint64_t)span_ms * 1000) {
        enter(l, l->phase == WARM ? MEASURE : DRAIN);
        if (l->phase != MEASURE) {
            return;
        }
    }
    start_round(l);
}

static void on_pace(void *self)
{
    struct load *l = self;
    uint64_t now_ms = loop_now_ms(l->loop);
    for (;;) {
        uint64_t due = l->due_ms + l->due_posts * l->opts->burst * 1000 / l->opts->rate;
        if (due > now_ms) {
            timer_start(l->loop, &l->pace, due, on_pace, l);
            break;
        }
        for (uint32_t i = 0; i < l->opts->burst; i++) {
            add_message(l, due * 1000);
        }
        l->due_posts++;
    }
    post(l);
}

/* The publisher is connected: warming up begins here. */
static void start_publishing(struct load *l)
{
    l->publishing = true;
    mark(l);
    set_limit(l, l->opts->warmup_ms + (closed_loop(l) ? ROUND_LIMIT_MS : 0));
    if (closed_loop(l)) {
        start_round(l);
    } else {
        l->due_ms = loop_now_ms(l->loop) + 1;
        timer_start(l->loop, &l->pace, l->due_ms, on_pace, l);
    }
}

static void on_idle(void *self)
{
    struct load *l = self;
    if (!l->publishing) {
        start_publishing(l);
        return;
    }
    post(l);
    check_round(l);
}

static void on_publish_failed(void *self, const char *why)
{
    give_up(self, ERR_REFUSED, why);
}

static const struct load_publisher_events publisher_events = {
    .idle = on_idle,
    .failed = on_publish_failed,
};

static void open_publisher(struct load *l)
{
    struct http_url url;
    enum err e = http_parse_url(l->opts->url, &url);
    assert(e == OK);
    char host[80];
    snprintf(host, sizeof host, "%.*s:%u", (int)min_size(url.host.len, 64), url.host.ptr, url.port);
    struct load_publisher_opts opts = {
        .loop = l->loop,
        .kind = &l->crowd.kind,
        .addr = l->crowd.addr,
        .addr_len = l->crowd.addr_len,
        .target = STR("/api/v1/publish"),
        .host = str_of(host),
        .token = l->opts->token,
        .events = &publisher_events,
        .self = l,
    };
    e = load_publisher_start(&l->publisher, &opts);
    l->publisher_open = e == OK;
    if (e != OK) {
        give_up(l, e, "the publishing connection can't be opened");
    }
}

/* ---- clients ---- */

static void step_ended(struct load *l)
{
    l->done++;
    loop_defer(l->loop, &l->next, next_step, l);
}

static void on_upgraded(void *self, struct load_client *c)
{
    struct load *l = self;
    if (l->phase == CONNECT) {
        step_ended(l);
    } else {
        load_client_subscribe(c);
    }
}

static void on_ready(void *self, struct load_client *c)
{
    struct load *l = self;
    (void)c;
    if (l->phase == SUBSCRIBE) {
        l->result->clients++;
        step_ended(l);
    } else {
        l->result->churned++;
    }
}

static void on_delivery(void *self, struct load_client *c, struct load_stamp stamp)
{
    struct load *l = self;
    if (c->stalled) {
        return;
    }
    if (c->next_n != 0 && stamp.n != c->next_n) {
        if (stamp.n < c->next_n) {
            l->result->repeated++;
            return;
        }
        l->result->missing += stamp.n - c->next_n;
        l->outstanding -= (int64_t)(stamp.n - c->next_n);
    }
    c->next_n = stamp.n + 1;
    l->outstanding--;
    if (l->phase >= MEASURE && stamp.n >= l->first_n) {
        l->result->deliveries++;
        histogram_add(&l->result->latency_us,
                      l->crowd.now_us - min_u64(l->crowd.now_us, stamp.sent_us));
    }
    if (l->outstanding <= 0) {
        check_round(l);
    }
}

static void on_lost(void *self, struct load_client *c, const char *why)
{
    struct load *l = self;
    if (l->result->first_loss == NULL) {
        l->result->first_loss = why;
    }
    if (l->phase == CONNECT || l->phase == SUBSCRIBE) {
        l->result->refused++;
        step_ended(l);
        return;
    }
    l->result->lost++;
    if (!c->stalled && c->next_n != 0) {
        l->outstanding -= (int64_t)(l->next_n - c->next_n);
        check_round(l);
    }
}

static void on_closed(void *self, struct load_client *c)
{
    struct load *l = self;
    l->open--;
    if (l->phase == CLOSE && l->open == 0) {
        loop_stop(l->loop);
    } else if (l->opts->churn > 0 && l->phase >= WARM && l->phase < CLOSE) {
        l->open++;
        load_client_start(c, &l->crowd);
    }
}

static const struct load_events client_events = {
    .upgraded = on_upgraded,
    .ready = on_ready,
    .delivery = on_delivery,
    .lost = on_lost,
    .closed = on_closed,
};

static void on_churn(void *self)
{
    struct load *l = self;
    l->churn_debt += l->opts->churn * CHURN_TICK_MS;
    while (l->churn_debt >= 1000) {
        l->churn_debt -= 1000;
        struct load_client *c = &l->clients[l->churn_at++ % l->opts->clients];
        if (c->state == LOAD_READY) {
            load_client_close(c);
        }
    }
    timer_start(l->loop, &l->churner, loop_now_ms(l->loop) + CHURN_TICK_MS, on_churn, l);
}

static void on_tick(void *self)
{
    struct load *l = self;
    struct load_tick now = {
        .us = loop_exact_us(l->loop), .deliveries = l->result->deliveries, .cpu_ns = cpu_now(l)};
    if (l->phase == MEASURE) {
        l->opts->tick(l->opts->self, &now);
        timer_start(l->loop, &l->ticker, loop_now_ms(l->loop) + l->opts->tick_ms, on_tick, l);
    }
}

/* ---- phases ---- */

static void begin_connects(struct load *l)
{
    while (l->started < l->opts->clients && l->started - l->done < l->opts->window) {
        l->open++;
        load_client_start(&l->clients[l->started++], &l->crowd);
    }
    if (l->done == l->opts->clients) {
        since_mark(l, &l->result->connect_us, &l->result->connect_cpu_ns);
        enter(l, SUBSCRIBE);
    }
}

static void begin_subscriptions(struct load *l)
{
    while (l->started < l->opts->clients && l->started - l->done < l->opts->window) {
        struct load_client *c = &l->clients[l->started++];
        if (c->state == LOAD_UPGRADED) {
            load_client_subscribe(c);
        } else {
            l->done++;
        }
    }
    if (l->done == l->opts->clients) {
        since_mark(l, &l->result->subscribe_us, &l->result->subscribe_cpu_ns);
        if (l->result->clients == 0) {
            give_up(l, ERR_UNAVAILABLE,
                    l->result->first_loss == NULL ? "no client is left" : l->result->first_loss);
            return;
        }
        enter(l, SETTLE);
    }
}

static void next_step(void *self)
{
    struct load *l = self;
    switch (l->phase) {
    case CONNECT:
        begin_connects(l);
        break;
    case SUBSCRIBE:
        begin_subscriptions(l);
        break;
    case WARM:
    case MEASURE:
        round_over(l);
        break;
    case DRAIN:
        enter(l, CLOSE);
        break;
    case SETTLE:
    case CLOSE:
        break;
    }
}

static void on_limit(void *self)
{
    struct load *l = self;
    switch (l->phase) {
    case CONNECT:
    case SUBSCRIBE:
        give_up(l, ERR_TIMEOUT, "not all clients came through in a minute");
        break;
    case SETTLE:
        enter(l, WARM);
        break;
    case WARM:
    case MEASURE:
        if (l->opts->burst > 0 && !l->publishing) {
            give_up(l, ERR_TIMEOUT, "the publishing connection did not come through");
        } else if (closed_loop(l)) {
            give_up(l, ERR_TIMEOUT, "a round of messages never reached all clients");
        } else {
            enter(l, l->phase == WARM ? MEASURE : DRAIN);
        }
        break;
    case DRAIN:
        enter(l, CLOSE);
        break;
    case CLOSE:
        loop_stop(l->loop);
        break;
    }
}

/* Who stalls does so before the first message; all others expect it. */
static void set_roles(struct load *l)
{
    uint32_t stalled = (uint32_t)((uint64_t)l->opts->clients * l->opts->stall_pct / 100);
    for (uint32_t i = 0; i < l->opts->clients; i++) {
        struct load_client *c = &l->clients[i];
        if (c->state != LOAD_READY) {
            continue;
        }
        c->next_n = l->opts->burst > 0 ? l->next_n : 0;
        if (i < stalled) {
            load_client_stall(c);
        } else {
            l->result->readers++;
        }
    }
}

static void enter_warm(struct load *l)
{
    set_roles(l);
    mark(l);
    l->first_n = l->next_n;
    if (l->opts->churn > 0) {
        on_churn(l);
    }
    if (l->opts->burst > 0) {
        open_publisher(l);
    }
}

static void enter_close(struct load *l)
{
    timer_stop(l->loop, &l->ticker);
    timer_stop(l->loop, &l->pace);
    timer_stop(l->loop, &l->churner);
    if (l->publisher_open) {
        l->result->posts = l->publisher.posts;
        load_publisher_close(&l->publisher);
    }
    for (uint32_t i = 0; i < l->opts->clients; i++) {
        load_client_close(&l->clients[i]);
    }
}

static void enter(struct load *l, enum phase phase)
{
    uint64_t limit_ms = STEP_LIMIT_MS;
    loop_undefer(&l->next); /* a step of the phase before is none of this one */
    l->phase = phase;
    l->started = l->done = 0;
    switch (phase) {
    case CONNECT:
    case SUBSCRIBE:
        mark(l);
        loop_defer(l->loop, &l->next, next_step, l);
        break;
    case SETTLE:
        limit_ms = l->opts->settle_ms;
        if (l->opts->ready != NULL) {
            l->opts->ready(l->opts->self);
        }
        break;
    case WARM:
        limit_ms = l->opts->burst > 0 ? STEP_LIMIT_MS : l->opts->warmup_ms;
        enter_warm(l);
        break;
    case MEASURE:
        limit_ms = l->opts->duration_ms + (closed_loop(l) ? ROUND_LIMIT_MS : 0);
        l->first_n = l->next_n;
        l->crowd.bytes = l->crowd.other_frames = 0;
        mark(l);
        if (l->opts->tick_ms > 0) {
            on_tick(l);
        }
        break;
    case DRAIN:
        /* With churn nobody knows how much is still to come. */
        limit_ms = l->opts->churn > 0 ? CHURN_DRAIN_MS : DRAIN_LIMIT_MS;
        timer_stop(l->loop, &l->pace);
        timer_stop(l->loop, &l->churner);
        if (closed_loop(l)) {
            since_mark(l, &l->result->measure_us, &l->result->measure_cpu_ns);
        }
        check_round(l);
        break;
    case CLOSE:
        limit_ms = CLOSE_LIMIT_MS;
        if (l->result->measure_us == 0) {
            since_mark(l, &l->result->measure_us, &l->result->measure_cpu_ns);
        }
        l->result->unfinished =
            l->outstanding > 0 && l->opts->churn == 0 ? (uint64_t)l->outstanding : 0;
        enter_close(l);
        break;
    }
    /* A phase that ended within its own beginning has set the limit of its successor. */
    if (l->phase == phase) {
        set_limit(l, limit_ms);
    }
    if (l->phase == CLOSE && l->open == 0) {
        loop_stop(l->loop);
    }
}

/* Someone stopped the loop. */
static void end_early(struct load *l)
{
    if (l->phase < MEASURE) {
        give_up(l, ERR_UNAVAILABLE, "it was ended before measuring began");
    } else {
        enter(l, l->phase == MEASURE ? DRAIN : CLOSE);
    }
}

enum err load_run(struct loop *loop, const struct load_opts *opts, struct load_result *out,
                  struct buf *error)
{
    struct load l = {
        .loop = loop,
        .opts = opts,
        .result = out,
        .error = error,
        .clients = mem_array(opts->clients, sizeof *l.clients),
        .next_n = 1,
    };
    *out = (struct load_result){0};
    struct load_crowd_opts crowd = {
        .loop = loop,
        .protocol = opts->protocol,
        .deflate = opts->deflate,
        .url = opts->url,
        .ca_file = opts->ca_file,
        .channel = opts->channel,
        .events = &client_events,
        .self = &l,
    };
    l.failed = load_crowd_init(&l.crowd, &crowd, error);
    if (l.failed == OK) {
        enter(&l, CONNECT);
        loop_run(loop);
        while (l.phase != CLOSE) {
            end_early(&l);
            loop_run(loop);
        }
        timer_stop(loop, &l.limit);
        loop_undefer(&l.next);
        /* What the loop still names must be let go before its memory. */
        for (int turns = 0; turns < 10; turns++) {
            loop_turn(loop, 0);
        }
        out->bytes = l.crowd.bytes;
        out->other_frames = l.crowd.other_frames;
        out->refused_deflate = l.crowd.refused_deflate;
    }
    load_publisher_fini(&l.publisher);
    load_crowd_fini(&l.crowd);
    buf_fini(&l.body);
    mem_free(l.clients);
    return l.failed;
}
