/* SPDX-License-Identifier: MIT */
#include "tools/exchange_in.h"

#include "base/alloc.h"
#include "tools/answer.h"

#define TRADES_AT_ONCE 64
#define GARBAGE "<html>upstream connect error</html> {\"data\":"
#define GOODBYE_MS 1000

static const struct exchange_venue *const venues[VENUE_COUNT] = {
    [VENUE_BINANCE] = &exchange_binance,
    [VENUE_COINBASE] = &exchange_coinbase,
    [VENUE_KRAKEN] = &exchange_kraken};

static void on_trades(void *self);
static void on_second(void *self);

struct exchange *exchange_new(const struct exchange_opts *opts)
{
    struct exchange *x = mem_zero(sizeof(*x));
    x->loop = opts->loop;
    x->flow = opts->flow;
    x->control = opts->control;
    x->ops = opts->ops;
    list_init(&x->dead);
    for (size_t v = 0; v < VENUE_COUNT; v++) {
        list_init(&x->sessions[v]);
    }
    return x;
}

static void bury(struct exchange *x)
{
    struct list *node;
    while (!x->inside && (node = list_pop(&x->dead)) != NULL) {
        mem_free(containerof(node, struct exchange_session, node));
    }
}

void exchange_free(struct exchange *x)
{
    if (!x) {
        return;
    }
    timer_stop(x->loop, &x->trades);
    timer_stop(x->loop, &x->seconds);
    bury(x);
    for (size_t v = 0; v < VENUE_COUNT; v++) {
        for (size_t i = 0; i < SIM_SYMBOLS; i++) {
            if (x->feeds[v][i]) {
                mem_free(x->feeds[v][i]->watchers);
                mem_free(x->feeds[v][i]);
            }
        }
    }
    mem_free(x->watched);
    buf_fini(&x->frame);
    buf_fini(&x->wrapped);
    mem_free(x);
}

enum venue exchange_venue_of(struct str path)
{
    if (str_eq(path, STR("/ws")) || str_starts(path, STR("/ws/")) || str_eq(path, STR("/stream"))) {
        return VENUE_BINANCE;
    }
    return str_eq(path, STR("/"))     ? VENUE_COINBASE
           : str_eq(path, STR("/v2")) ? VENUE_KRAKEN
                                      : VENUE_COUNT;
}

size_t exchange_target(enum venue v)
{
    return answer_target_named(venues[v]->target);
}

/* ---- orders to misbehave ---- */

static struct fault_setting ordered(const struct exchange *x, enum venue v)
{
    return control_peek(x->control, exchange_target(v));
}

static void obeyed(struct exchange *x, enum venue v)
{
    control_use(x->control, exchange_target(v));
}

bool exchange_refuses(struct exchange *x, enum venue v)
{
    if (ordered(x, v).fault != FAULT_REFUSE) {
        return false;
    }
    obeyed(x, v);
    return true;
}

int64_t exchange_now_ms(const struct exchange *x, enum venue v)
{
    struct fault_setting s = ordered(x, v);
    int64_t off = s.fault == FAULT_SKEW ? s.value : s.fault == FAULT_LATENCY ? -s.value : 0;
    return loop_wall_ms(x->loop) + off;
}

/* How far behind the market's time the venue sends. */
static int64_t lag_ms(const struct exchange *x, enum venue v)
{
    struct fault_setting s = ordered(x, v);
    return s.fault == FAULT_LATENCY ? s.value : 0;
}

/* ---- sending ---- */

void exchange_end(struct exchange_session *s, uint16_t code, const char *reason)
{
    if (!s->is_dead) {
        s->is_dead = true;
        s->exchange->ops->close(s->conn, code, str_of(reason));
    }
}

static void end_goodbye(void *self)
{
    exchange_end(self, 1001, "the server shuts down");
}

/* Binance says that it goes; the others just go. */
static void say_goodbye(struct exchange_session *s, int64_t value)
{
    struct exchange *x = s->exchange;
    struct buf notice = {0};
    s->is_leaving = true;
    if (s->venue == VENUE_BINANCE) {
        frame_binance_shutdown(&notice, exchange_now_ms(x, s->venue));
        x->ops->send(s->conn, buf_str(&notice));
        buf_fini(&notice);
    }
    timer_start(x->loop, &s->timer,
                loop_now_ms(x->loop) + (uint64_t)(value < 0 ? GOODBYE_MS : value), end_goodbye, s);
}

void exchange_send(struct exchange_session *s, struct str text)
{
    struct exchange *x = s->exchange;
    struct fault_setting order = ordered(x, s->venue);
    if (s->is_dead) {
        return;
    }
    s->sent = true;
    switch (order.fault) {
    case FAULT_SILENCE:
        return;
    case FAULT_CUT:
    case FAULT_HALF:
        obeyed(x, s->venue);
        s->is_dead = true;
        x->ops->cut(s->conn, order.fault == FAULT_HALF ? text : STR(""));
        return;
    case FAULT_GARBAGE:
        obeyed(x, s->venue);
        x->ops->send(s->conn, STR(GARBAGE));
        return;
    case FAULT_DOUBLE:
        obeyed(x, s->venue);
        x->ops->send(s->conn, text);
        break;
    case FAULT_SHUTDOWN:
        if (!s->is_leaving) {
            obeyed(x, s->venue);
            say_goodbye(s, order.value);
        }
        break;
    case FAULT_NONE:
    case FAULT_LATENCY:
    case FAULT_429:
    case FAULT_5XX:
    case FAULT_SKIP:
    case FAULT_SKEW:
    case FAULT_REFUSE:
        break;
    }
    x->ops->send(s->conn, text);
}

void exchange_send_watchers(struct feed *f, unsigned kinds, struct str text)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->watchers[i].kinds & kinds) {
            exchange_send(f->watchers[i].session, text);
        }
    }
}

/* ---- who watches what ---- */

struct feed *exchange_feed(struct exchange *x, enum venue v, size_t symbol)
{
    struct feed **place = &x->feeds[v][symbol];
    if (!*place) {
        *place = mem_zero(sizeof(**place));
        (*place)->venue = v;
        (*place)->symbol = symbol;
    }
    return *place;
}

/* Sets `due_ms` by where the feed stands. */
static void find_due(struct exchange *x, struct feed *f)
{
    const struct flow_minute *m = flow_minute(x->flow, f->venue, f->symbol, f->minute);
    /* Quiet minutes are passed one a minute: the next is looked into when it begins. */
    f->due_ms = f->next < m->count ? m->trades[f->next].at_ms : (f->minute + 1) * SIM_MINUTE_MS;
}

/* From the first trade later than now on. */
static void begin(struct exchange *x, struct feed *f)
{
    int64_t now = loop_wall_ms(x->loop) - lag_ms(x, f->venue);
    f->minute = f->kline_minute = now / SIM_MINUTE_MS;
    f->next = 0;
    f->is_new = false;
    f->skip = 0;
    const struct flow_minute *m = flow_minute(x->flow, f->venue, f->symbol, f->minute);
    while (f->next < m->count && m->trades[f->next].at_ms <= now) {
        f->next++;
    }
    if (!flow_last(x->flow, f->venue, f->symbol, now, &f->last)) {
        f->last = (struct flow_trade){0};
    }
    find_due(x, f);
}

static void set_trade_timer(struct exchange *x)
{
    int64_t soonest = INT64_MAX, now = loop_wall_ms(x->loop);
    for (size_t i = 0; i < x->watched_count; i++) {
        int64_t at = x->watched[i]->due_ms + lag_ms(x, x->watched[i]->venue);
        soonest = at < soonest ? at : soonest;
    }
    if (soonest == INT64_MAX) {
        timer_stop(x->loop, &x->trades);
        return;
    }
    int64_t wait = soonest - now;
    wait = wait < 0 ? 0 : wait > 1000 ? 1000 : wait; /* the wall clock may be set */
    timer_start(x->loop, &x->trades, loop_now_ms(x->loop) + (uint64_t)wait, on_trades, x);
}

static void set_second_timer(struct exchange *x)
{
    int64_t now = loop_wall_ms(x->loop);
    timer_start(x->loop, &x->seconds, loop_now_ms(x->loop) + (uint64_t)(1000 - now % 1000),
                on_second, x);
}

static void add_watched(struct exchange *x, struct feed *f)
{
    if (x->watched_count == x->watched_room) {
        x->watched_room = x->watched_room ? x->watched_room * 2 : 64;
        x->watched = mem_resize(x->watched, x->watched_room * sizeof(struct feed *));
    }
    x->watched[x->watched_count++] = f;
    begin(x, f);
}

static void sum_kinds(struct feed *f)
{
    f->kinds = 0;
    for (size_t i = 0; i < f->count; i++) {
        f->kinds |= f->watchers[i].kinds;
    }
}

static struct watcher *find_watcher(struct feed *f, const struct exchange_session *s)
{
    for (size_t i = 0; f && i < f->count; i++) {
        if (f->watchers[i].session == s) {
            return &f->watchers[i];
        }
    }
    return NULL;
}

unsigned exchange_watches(const struct exchange_session *s, size_t symbol)
{
    struct watcher *w = find_watcher(s->exchange->feeds[s->venue][symbol], s);
    return w ? w->kinds : 0;
}

bool exchange_watch(struct exchange_session *s, size_t symbol, enum kind kind)
{
    struct exchange *x = s->exchange;
    struct feed *f = exchange_feed(x, s->venue, symbol);
    struct watcher *w = find_watcher(f, s);
    s->subscribed = true;
    if (w && w->kinds & kind) {
        return false;
    }
    if (!w) {
        if (f->count == f->room) {
            f->room = f->room ? f->room * 2 : 2;
            f->watchers = mem_resize(f->watchers, f->room * sizeof(*f->watchers));
        }
        w = &f->watchers[f->count++];
        *w = (struct watcher){.session = s};
        if (f->count == 1) {
            add_watched(x, f);
        }
    }
    w->kinds |= kind;
    f->kinds |= kind;
    s->streams++;
    set_trade_timer(x);
    return true;
}

bool exchange_unwatch(struct exchange_session *s, size_t symbol, enum kind kind)
{
    struct feed *f = s->exchange->feeds[s->venue][symbol];
    struct watcher *w = find_watcher(f, s);
    if (!w || !(w->kinds & kind)) {
        return false;
    }
    /* One that watches nothing stays in its place: somebody may be walking there. */
    w->kinds &= ~(unsigned)kind;
    s->streams--;
    sum_kinds(f);
    return true;
}

/* Takes out watchers that are gone or watch nothing, and feeds without any. */
static void sweep(struct exchange *x)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->watched_count; i++) {
        struct feed *f = x->watched[i];
        size_t left = 0;
        for (size_t k = 0; k < f->count; k++) {
            if (f->watchers[k].kinds) {
                f->watchers[left++] = f->watchers[k];
            }
        }
        f->count = left;
        if (left) {
            x->watched[kept++] = f;
        }
    }
    x->watched_count = kept;
}

static void enter(struct exchange *x)
{
    x->inside++;
}

static void leave(struct exchange *x)
{
    if (--x->inside == 0) {
        sweep(x);
        bury(x);
        set_trade_timer(x);
    }
}

/* ---- sessions ---- */

struct exchange_session *exchange_open(struct exchange *x, enum venue v, void *conn,
                                       struct str path, struct str query)
{
    struct exchange_session *s = mem_zero(sizeof(*s));
    s->exchange = x;
    s->venue = v;
    s->conn = conn;
    s->number = ++x->sessions_ever;
    list_push(&x->sessions[v], &s->node);
    if (!timer_active(&x->seconds)) {
        x->second = loop_wall_ms(x->loop) / 1000;
        set_second_timer(x);
    }
    enter(x);
    venues[v]->open(s, path, query);
    leave(x);
    return s;
}

void exchange_take(struct exchange_session *s, struct str text)
{
    struct exchange *x = s->exchange;
    if (s->is_dead) {
        return;
    }
    enter(x);
    venues[s->venue]->take(s, text);
    leave(x);
}

void exchange_close(struct exchange_session *s)
{
    struct exchange *x = s->exchange;
    s->is_dead = true;
    timer_stop(x->loop, &s->timer);
    enter(x);
    for (size_t i = 0; i < x->watched_count; i++) {
        struct watcher *w =
            x->watched[i]->venue == s->venue ? find_watcher(x->watched[i], s) : NULL;
        if (w) {
            w->kinds = 0;
            w->session = s;
            sum_kinds(x->watched[i]);
        }
    }
    list_remove(&s->node);
    list_push(&x->dead, &s->node);
    leave(x);
}

/* ---- time ---- */

/* Whether that trade is left out by order. */
static bool is_skipped(struct exchange *x, struct feed *f)
{
    struct fault_setting order = ordered(x, f->venue);
    if (f->skip > 0) {
        f->spare = --f->skip == 0;
        return true;
    }
    if (order.fault != FAULT_SKIP || f->spare) {
        f->spare = false;
        return false;
    }
    obeyed(x, f->venue);
    f->skip = (order.value < 1 ? 1 : order.value) - 1;
    f->spare = f->skip == 0;
    return true;
}

/* Sends what is due at `until` on the venue's way. */
static void run_feed(struct exchange *x, struct feed *f, int64_t until)
{
    struct fault_setting order = ordered(x, f->venue);
    int64_t skew = order.fault == FAULT_SKEW ? order.value : 0;
    while (f->due_ms <= until) {
        const struct flow_minute *m = flow_minute(x->flow, f->venue, f->symbol, f->minute);
        struct flow_trade due[TRADES_AT_ONCE];
        size_t count = 0;
        while (count < TRADES_AT_ONCE && f->next < m->count && m->trades[f->next].at_ms <= until) {
            f->last = m->trades[f->next++];
            f->is_new = true;
            if (!is_skipped(x, f)) {
                due[count] = f->last;
                due[count++].at_ms += skew;
            }
        }
        if (count) {
            venues[f->venue]->trades(x, f, due, count, exchange_now_ms(x, f->venue));
            m = flow_minute(x->flow, f->venue, f->symbol, f->minute); /* others were asked for */
        }
        if (f->next >= m->count && (f->minute + 1) * SIM_MINUTE_MS <= until) {
            f->minute++;
            f->next = 0;
        }
        find_due(x, f);
    }
}

static void on_trades(void *self)
{
    struct exchange *x = self;
    int64_t now = loop_wall_ms(x->loop);
    enter(x);
    for (size_t i = 0; i < x->watched_count; i++) {
        run_feed(x, x->watched[i], now - lag_ms(x, x->watched[i]->venue));
    }
    leave(x);
}

static void on_second(void *self)
{
    struct exchange *x = self;
    int64_t second = loop_wall_ms(x->loop) / 1000;
    bool any = false;
    enter(x);
    /* what was traded before the second ended goes out before what says so */
    on_trades(x);
    if (second != x->second) {
        x->second = second;
        for (size_t i = 0; i < x->watched_count; i++) {
            struct feed *f = x->watched[i];
            venues[f->venue]->second(x, f, exchange_now_ms(x, f->venue));
            f->is_new = false;
        }
        for (size_t v = 0; v < VENUE_COUNT; v++) {
            list_each (it, &x->sessions[v]) {
                struct exchange_session *s = containerof(it, struct exchange_session, node);
                venues[v]->session_second(s, exchange_now_ms(x, (enum venue)v));
                s->sent = false;
            }
        }
    }
    leave(x);
    for (size_t v = 0; v < VENUE_COUNT; v++) {
        any |= !list_empty(&x->sessions[v]);
    }
    if (any) {
        set_second_timer(x);
    }
}
