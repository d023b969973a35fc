/* The life of sessions: sids, deadlines, the end. Packets are engine_packets.c's, requests
 * engine_poll.c's, WebSockets engine_ws.c's. SPDX-License-Identifier: MIT */
#include "net/engine.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "base/tally.h"
#include "net/engine_session.h"
#include "wire/sha1.h"

#include <assert.h>
#include <sys/random.h>

#define FETCH_WAIT_MS 30000 /* for the poll that fetches the end, as the reference waits */
#define LEAVE_WAIT_MS 50    /* for a poll that was sent beside the post of a close packet */

static struct metric sessions_now =
    METRIC_GAUGE("coincast_engine_sessions", "Engine.IO sessions, also those being closed.");
static struct metric ended[] = {
#define X(name, text)                                                    \
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_engine_closed_total", \
                    "Engine.IO sessions that ended.", "reason=\"" text "\""),
    ENGINE_WHY_TABLE(X)
#undef X
};
static const char *why_text(enum engine_why why)
{
    static const char *const text[] = {
#define X(name, words) words,
        ENGINE_WHY_TABLE(X)
#undef X
    };
    return text[why];
}

static uint64_t now_ms(const struct engine *e)
{
    return loop_now_ms(e->opts.loop);
}

/* ---- sids: two characters of shard, 120 bits of chance ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void make_sid(unsigned shard, char out[ENGINE_SID_LEN + 1])
{
    uint8_t bytes[15];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        abort(); /* a sid that can be guessed must not be given out */
    }
    out[0] = alphabet[shard >> 6 & 63];
    out[1] = alphabet[shard & 63];
    base64(bytes, sizeof(bytes), out + 2);
    for (int i = 2; i < ENGINE_SID_LEN; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
}

bool engine_sid_shard(struct str sid, unsigned *shard)
{
    unsigned number = 0;
    if (sid.len != ENGINE_SID_LEN) {
        return false;
    }
    for (size_t i = 0; i < sid.len; i++) {
        const char *at = memchr(alphabet, sid.ptr[i], sizeof(alphabet) - 1);
        if (!at) {
            return false;
        }
        number = i < 2 ? number << 6 | (unsigned)(at - alphabet) : number;
    }
    *shard = number;
    return true;
}

/* ---- life ---- */

static void fill_defaults(struct engine_opts *o)
{
    o->ping_interval_ms = o->ping_interval_ms ? o->ping_interval_ms : 25000;
    o->ping_timeout_ms = o->ping_timeout_ms ? o->ping_timeout_ms : 20000;
    o->upgrade_timeout_ms = o->upgrade_timeout_ms ? o->upgrade_timeout_ms : 10000;
    o->max_payload = o->max_payload ? o->max_payload : ENGINE_MAX_PAYLOAD;
    o->max_pending = o->max_pending ? o->max_pending : (size_t)1 << 20;
    o->user_bytes = (o->user_bytes + 15) & ~(size_t)15;
}

struct engine *engine_new(const struct engine_opts *opts)
{
    struct engine *e = mem_zero(sizeof(*e));
    assert(opts->shard < ENGINE_MAX_SHARDS);
    e->opts = *opts;
    fill_defaults(&e->opts);
    list_init(&e->due);
    list_init(&e->dead);
    e->peers = opts->sessions_of ? opts->sessions_of : tally_new(NET_MAX_PEERS);
    return e;
}

static void free_dead(struct engine *e)
{
    struct list *it;
    while ((it = list_pop(&e->dead))) {
        struct engine_session *s = containerof(it, struct engine_session, dead);
        list_remove(&s->due);
        buf_fini(&s->held);
        buf_fini(&s->cors);
        mem_free(s);
        metric_add(&sessions_now, -1);
    }
}

static void run_due(void *self)
{
    struct engine *e = self;
    struct list batch;
    struct list *it;
    list_init(&batch);
    list_splice(&batch, &e->due);
    while ((it = list_pop(&batch))) {
        engine_answer_poll(containerof(it, struct engine_session, due));
    }
    free_dead(e);
}

void engine_mark_due(struct engine_session *s)
{
    if (!list_linked(&s->due)) {
        list_push(&s->engine->due, &s->due);
        loop_defer(s->engine->opts.loop, &s->engine->defer, run_due, s->engine);
    }
}

void engine_each(struct engine *e, void (*fn)(void *self, struct engine_session *s), void *self)
{
    size_t at = 0;
    struct str sid;
    void *value;
    while (map_next(&e->sessions, &at, &sid, &value)) {
        struct engine_session *s = value;
        if (engine_session_is_open(s)) {
            fn(self, s);
        }
    }
}

void engine_close_all(struct engine *e)
{
    size_t at = 0;
    struct str sid;
    void *value;
    while (map_next(&e->sessions, &at, &sid, &value)) {
        struct engine_session *s = value;
        if (engine_session_is_open(s)) {
            engine_end(s, ENGINE_TRANSPORT_CLOSE, "1", WS_CLOSE_GOING_AWAY, "server shuts down");
        } else {
            engine_forget(s);
        }
    }
}

void engine_free(struct engine *e)
{
    if (!e) {
        return;
    }
    assert(!e->sessions.count);
    loop_undefer(&e->defer);
    free_dead(e);
    map_fini(&e->sessions);
    if (!e->opts.sessions_of) {
        tally_free(e->peers);
    }
    buf_fini(&e->scratch);
    buf_fini(&e->decoded);
    mem_free(e);
}

/* ---- sessions of a peer ---- */

static bool is_counted(const struct engine *e, const struct conn *c)
{
    return e->opts.max_per_peer && (!conn_peer_is_loopback(c) || e->opts.limit_loopback);
}

bool engine_peer_fits(const struct engine *e, const struct conn *c)
{
    return !is_counted(e, c) || tally_count(e->peers, conn_peer_key(c)) < e->opts.max_per_peer;
}

static void count_peer(struct engine_session *s, const struct conn *c)
{
    struct engine *e = s->engine;
    struct str key = conn_peer_key(c);
    if (is_counted(e, c) && tally_add(e->peers, key, SIZE_MAX)) {
        memcpy(s->peer_key, key.ptr, key.len);
        s->peer_key_len = (uint8_t)key.len;
    }
}

static void uncount_peer(struct engine_session *s)
{
    if (s->peer_key_len) {
        tally_remove(s->engine->peers, str_make((const char *)s->peer_key, s->peer_key_len));
    }
}

struct engine_session *engine_session_new(struct engine *e, struct conn *c, unsigned version)
{
    struct engine_session *s = mem_zero(sizeof(*s) + e->opts.user_bytes);
    char peer[64];
    s->engine = e;
    s->version = (uint8_t)version;
    list_init(&s->due);
    list_init(&s->dead);
    snprintf(s->peer, sizeof(s->peer), "%s", conn_peer(c, peer));
    count_peer(s, c);
    make_sid(e->opts.shard, s->sid);
    if (map_put(&e->sessions, str_of(s->sid), s) != OK) {
        abort(); /* the map has no ceiling */
    }
    bool we_ping = version == 4;
    uint64_t now = now_ms(e);
    s->ping_at_ms = we_ping ? now + e->opts.ping_interval_ms : ENGINE_NEVER;
    s->dead_at_ms =
        we_ping ? ENGINE_NEVER : now + e->opts.ping_interval_ms + e->opts.ping_timeout_ms;
    s->upgrade_at_ms = s->forget_at_ms = s->noop_at_ms = ENGINE_NEVER;
    metric_add(&sessions_now, 1);
    engine_arm(s);
    return s;
}

void engine_open_packet(const struct engine_session *s, bool may_upgrade, struct buf *out)
{
    const struct engine_opts *o = &s->engine->opts;
    (void)buf_printf(out,
                     "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%u,\"pingTimeout\":%u,"
                     "\"maxPayload\":%zu}",
                     s->sid, may_upgrade ? "\"websocket\"" : "", o->ping_interval_ms,
                     o->ping_timeout_ms, o->max_payload);
}

void engine_opened(struct engine_session *s, struct conn *c, const struct http_request *r)
{
    s->engine->opts.handler->opened(s->engine->opts.self, s, c, r);
}

/* ---- the end ---- */

static void tell_closed(struct engine_session *s, enum engine_why why)
{
    metric_add(&ended[why], 1);
    s->engine->opts.handler->closed(s->engine->opts.self, s, why_text(why));
}

void engine_forget(struct engine_session *s)
{
    if (s->state == ENGINE_CLOSED) {
        return;
    }
    struct engine *e = s->engine;
    s->state = ENGINE_CLOSED;
    timer_stop(e->opts.loop, &s->timer);
    (void)map_remove(&e->sessions, str_of(s->sid));
    uncount_peer(s);
    list_push(&e->dead, &s->dead);
    loop_defer(e->opts.loop, &e->defer, run_due, e);
    engine_end_poll(s, "1");
    engine_end_leaver(s);
    engine_ws_close(s, WS_CLOSE_NORMAL, "");
}

void engine_end(struct engine_session *s, enum engine_why why, const char *poll_text, uint16_t code,
                const char *reason)
{
    if (s->state == ENGINE_CLOSED) {
        return;
    }
    bool was_open = engine_session_is_open(s);
    engine_end_poll(s, poll_text);
    engine_ws_close(s, code, reason);
    engine_forget(s);
    if (was_open) {
        tell_closed(s, why);
    }
}

/* Nothing new comes or goes; what is held waits for a poll. */
static void start_closing(struct engine_session *s, uint16_t code, const char *reason,
                          uint32_t wait_ms)
{
    engine_ws_close(s, code, reason);
    s->state = ENGINE_CLOSING;
    s->ping_at_ms = s->dead_at_ms = s->noop_at_ms = ENGINE_NEVER;
    s->forget_at_ms = now_ms(s->engine) + wait_ms;
    engine_arm(s);
}

void engine_close(struct engine_session *s, uint16_t code, const char *reason)
{
    if (!engine_session_is_open(s)) {
        return;
    }
    if (s->state == ENGINE_WS) {
        engine_end(s, ENGINE_FORCED, NULL, code, reason);
        return;
    }
    start_closing(s, code, reason, FETCH_WAIT_MS);
    engine_mark_due(s);
    tell_closed(s, ENGINE_FORCED);
}

/* The poll beside the packet gets a noop; it may be overtaken by the packet, as they come on two
 * conns. */
void engine_leave(struct engine_session *s)
{
    if (s->state == ENGINE_WS || s->poll) {
        engine_end(s, ENGINE_TRANSPORT_CLOSE, "6", WS_CLOSE_NORMAL, "");
        return;
    }
    start_closing(s, WS_CLOSE_NORMAL, "", LEAVE_WAIT_MS);
    s->leaving = true;
    tell_closed(s, ENGINE_TRANSPORT_CLOSE);
}

/* ---- deadlines ---- */

static void on_timer(void *self)
{
    (void)engine_tick(self);
}

void engine_arm(struct engine_session *s)
{
    uint64_t at =
        min_u64(min_u64(s->ping_at_ms, s->dead_at_ms), min_u64(s->upgrade_at_ms, s->forget_at_ms));
    at = min_u64(at, s->noop_at_ms);
    if (at == ENGINE_NEVER) {
        timer_stop(s->engine->opts.loop, &s->timer);
    } else if (!timer_active(&s->timer) || s->timer.at_ms != at) {
        timer_start(s->engine->opts.loop, &s->timer, at, on_timer, s);
    }
}

bool engine_tick(struct engine_session *s)
{
    uint64_t now = now_ms(s->engine);
    if (now >= s->dead_at_ms) {
        engine_end(s, ENGINE_PING_TIMEOUT, "1", WS_CLOSE_NORMAL, "ping timeout");
    } else if (now >= s->forget_at_ms) {
        engine_forget(s);
    } else {
        if (now >= s->upgrade_at_ms) {
            engine_ws_give_up(s, "upgrade took too long");
        }
        if (now >= s->noop_at_ms) {
            engine_end_poll(s, "6");
        }
        if (now >= s->ping_at_ms) {
            engine_ping(s, now);
        }
    }
    if (s->state == ENGINE_CLOSED) {
        return false;
    }
    engine_arm(s);
    return true;
}

/* ---- asking ---- */

size_t engine_count(const struct engine *e)
{
    return e->sessions.count;
}

void *engine_session_user(struct engine_session *s)
{
    return s + 1;
}

struct engine_session *engine_session_of_user(void *user)
{
    return (struct engine_session *)user - 1;
}

struct engine *engine_session_engine(struct engine_session *s)
{
    return s->engine;
}

struct engine_session *engine_find(struct engine *e, struct str sid)
{
    struct engine_session *s = map_get(&e->sessions, sid);
    return s && engine_session_is_open(s) ? s : NULL;
}

struct str engine_session_sid(const struct engine_session *s)
{
    return str_make(s->sid, ENGINE_SID_LEN);
}

unsigned engine_session_version(const struct engine_session *s)
{
    return s->version;
}

const char *engine_session_peer(const struct engine_session *s)
{
    return s->peer;
}

bool engine_session_is_open(const struct engine_session *s)
{
    return s->state <= ENGINE_WS;
}

struct conn *engine_session_conn(struct engine_session *s)
{
    return s->state == ENGINE_WS ? s->ws : NULL;
}

uint32_t engine_session_rtt_us(const struct engine_session *s)
{
    return s->rtt_us;
}
