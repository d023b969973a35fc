/* The shard half: sessions and their lives. SPDX-License-Identifier: MIT */
#include "api/api.h"

#include "api/session.h"
#include "api/sio.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "wire/msgpack.h"

#include <time.h>

static struct metric connections =
    METRIC_GAUGE("coincast_connections", "Long-lived clients connected now.");
static struct metric connection_seconds = METRIC_HISTOGRAM(
    "coincast_connection_seconds", "How long WebSocket and SSE clients stayed.", 1);

enum { DRAIN_SPREAD_MS = 5000, MAX_COMMAND_JSON = 128 << 10 };

struct session *session_of(struct conn *c)
{
    return conn_user(c);
}

struct conn *conn_of(struct session *s)
{
    return conn_of_user(s);
}

int64_t shard_wall_ms(struct api_shard *s)
{
    const struct clock *clock = s->opts.settings->clock;
    return clock ? clock_wall_ms(clock) : loop_wall_ms(s->loop);
}

const struct answers *shard_answers(struct api_shard *s)
{
    return s->answers;
}

/* A message is handed to one shard after the other: whoever has it of another shard can be here
 * before it, by as long as the main thread is kept from running in between. That is waited for. */
void shard_reach(struct api_shard *s, struct str cursor)
{
    static const struct timespec nap = {.tv_nsec = 250000};
    for (int naps = 0; fanout_cursor_ahead(s->fanout, cursor) && naps < 400; naps++) {
        mailbox_take(s->opts.mail);
        if (fanout_cursor_ahead(s->fanout, cursor)) {
            (void)nanosleep(&nap, NULL);
        }
    }
}

uint64_t session_wait(struct api_shard *s, struct conn *c)
{
    struct session *session = session_of(c);
    session->ticket = ++s->next_ticket;
    list_push(&s->waiting, &session->node);
    return session->ticket;
}

void session_wait_over(struct conn *c)
{
    list_remove(&session_of(c)->node);
    session_of(c)->ticket = 0;
}

struct conn *session_answered(struct api_shard *s, uint64_t ticket)
{
    list_each (it, &s->waiting) {
        struct session *session = containerof(it, struct session, node);
        if (session->ticket == ticket) {
            session_wait_over(conn_of(session));
            return conn_of(session);
        }
    }
    return NULL;
}

/* A token bucket a client: commands_per_s a second, twice that at once. */
bool session_take_token(struct api_shard *s, struct session *session, bool loopback,
                        int64_t *retry_s)
{
    uint32_t rate = s->opts.settings->commands_per_s;
    if (rate == 0 || (loopback && !s->opts.settings->limit_loopback)) {
        return true;
    }
    uint32_t now = (uint32_t)loop_now_ms(s->loop);
    uint32_t most = rate * 2 < UINT16_MAX ? rate * 2 : UINT16_MAX;
    if (session->tokens_at_ms == 0) {
        session->tokens = (uint16_t)most;
        session->tokens_at_ms = now;
    }
    uint64_t gained = (uint64_t)(now - session->tokens_at_ms) * rate / 1000;
    if (gained > 0) {
        session->tokens = (uint16_t)min_u64(most, session->tokens + gained);
        session->tokens_at_ms = now;
    }
    if (session->tokens == 0) {
        *retry_s = 1;
        return false;
    }
    session->tokens--;
    return true;
}

/* ---- what sessions want of the feeds ---- */

static bool tell_want(void *self, uint32_t number, bool on)
{
    struct api_shard *s = self;
    uint64_t text = want_number((struct want_id){number / WANT_SLOTS, number % WANT_SLOTS, on});
    return mailbox_post(s->opts.main_mail, letter_want, s->opts.main, NULL, text);
}

static bool is_price(uint32_t number)
{
    return number % WANT_SLOTS == WANT_PRICE;
}

void session_want_prices(struct api_shard *s, struct session *session, const uint32_t *keys,
                         size_t count)
{
    const struct catalogue *known = s->answers->catalogue;
    struct held before = session->held;
    session->held = (struct held){0};
    for (size_t i = 0; i < count; i++) {
        const struct catalogue_entry *e = catalogue_of_key(known, keys[i]);
        /* What is watched and was not asked for is there without anybody's wish. */
        if (e && (!(e->flags & SYMBOL_WATCHED) || (e->flags & SYMBOL_ASKED))) {
            (void)wants_add(&s->wants, &session->held, e->key * WANT_SLOTS + WANT_PRICE);
        }
    }
    for (uint32_t i = 0; i < before.count; i++) {
        if (!is_price(before.numbers[i])) {
            (void)wants_add(&s->wants, &session->held, before.numbers[i]);
        }
    }
    wants_drop(&s->wants, &before);
}

void session_want_candles(struct api_shard *s, struct session *session, uint32_t key,
                          enum interval i, bool on)
{
    uint32_t number = key * WANT_SLOTS + (uint32_t)i;
    if (on) {
        (void)wants_add(&s->wants, &session->held, number);
    } else {
        (void)wants_remove(&s->wants, &session->held, number);
    }
}

void session_leave(struct api_shard *s, struct session *session)
{
    fanout_leave(s->fanout, &session->member);
    wants_drop(&s->wants, &session->held);
}

/* ---- WebSocket messages, as text or as MessagePack ---- */

static bool is_packed(const struct session *session)
{
    return session->form == FORM_MSGPACK || session->form == FORM_MSGPACK_DEFLATE;
}

void session_send(struct conn *c, struct str json)
{
    struct buf packed = {0};
    if (!is_packed(session_of(c))) {
        conn_send_ws(c, WS_TEXT, json, true);
    } else if (msgpack_of_json(json, &packed) == OK) {
        conn_send_ws(c, WS_BINARY, buf_str(&packed), true);
    }
    buf_fini(&packed);
}

static void run_packed(struct api_shard *s, struct conn *c, struct str bytes)
{
    struct buf json = {0};
    buf_init(&json, MAX_COMMAND_JSON);
    if (msgpack_to_json(bytes, &json) == OK) {
        run_command(s, c, buf_str(&json));
    } else {
        run_command(s, c, (struct str){0}); /* is counted and answered like other bad text */
    }
    buf_fini(&json);
}

void session_use(struct api_shard *s, struct session *session, enum session_use use)
{
    s->pollers += (use == USE_POLL);
    s->pollers -= (session->use == USE_POLL);
    session->use = (uint8_t)use;
}

/* ---- net's handlers ---- */

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    route_request(self, c, r, body);
    if (session_of(c)->kind == SESSION_WS || session_of(c)->kind == SESSION_SSE) {
        metric_add(&connections, 1);
        session_of(c)->opened_s = (uint32_t)(loop_now_ms(((struct api_shard *)self)->loop) / 1000);
    }
}

static void on_message(void *self, struct conn *c, bool binary, struct str text)
{
    struct api_shard *s = self;
    if (engine_on_message(&session_of(c)->link, c, binary, text)) {
        return;
    }
    if (!binary) {
        run_command(s, c, text);
    } else if (is_packed(session_of(c))) {
        run_packed(s, c, text);
    } else {
        conn_close_ws(c, WS_CLOSE_UNSUPPORTED,
                      STR("binary needs the subprotocol coincast.msgpack.v1"));
    }
}

static void on_congested(void *self, struct conn *c)
{
    struct api_shard *s = self;
    if (session_of(c)->link.session) {
        sio_shard_congested(s, session_of(c)->link.session);
    }
    fanout_stall(s->fanout, &session_of(c)->member);
}

static void on_drained(void *self, struct conn *c)
{
    struct api_shard *s = self;
    if (!engine_on_drained(&session_of(c)->link, c)) {
        fanout_drained(s->fanout, &session_of(c)->member);
    }
}

/* Before the close frame's answer: no message may follow a close frame. */
static void on_closing(void *self, struct conn *c)
{
    (void)engine_on_closing(&session_of(c)->link, c);
    session_leave(self, session_of(c));
    session_use(self, session_of(c), USE_NONE);
}

static void on_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    struct api_shard *s = self;
    struct session *session = session_of(c);
    (void)code;
    (void)why;
    session_leave(s, session);
    list_remove(&session->node);
    mem_free(session->cors);
    session->cors = NULL;
    if (session->kind == SESSION_WS || session->kind == SESSION_SSE) {
        metric_add(&connections, -1);
        metric_observe(&connection_seconds,
                       (uint32_t)(loop_now_ms(s->loop) / 1000) - session->opened_s);
    }
}

static const struct net_handler handler = {
    .request = on_request,
    .message = on_message,
    .congested = on_congested,
    .drained = on_drained,
    .closing = on_closing,
    .closed = on_closed,
};

/* ---- the fan-out's way to conns ---- */

static struct conn *conn_of_member(struct member *m)
{
    return conn_of(containerof(m, struct session, member));
}

/* NULL: the member is a conn's. */
static struct sio_client *sio_of_member(struct member *m)
{
    struct session *session = containerof(m, struct session, member);
    return session->kind == SESSION_SIO ? containerof(session, struct sio_client, session) : NULL;
}

static void member_write(struct member *m, struct str bytes)
{
    if (sio_of_member(m)) {
        sio_client_write(sio_of_member(m), bytes, true);
    } else {
        conn_write_now(conn_of_member(m), bytes);
    }
}

static void member_queue(struct member *m, struct str bytes)
{
    struct sio_client *client = sio_of_member(m);
    if (client) {
        sio_client_write(client, bytes, false);
        client->shard->sio_queued = true;
    } else {
        conn_lend(conn_of_member(m), bytes);
    }
}

static void member_soon(struct member *m)
{
    conn_soon(containerof(m, struct session, member));
}

static bool members_flush(void *self)
{
    struct api_shard *s = self;
    bool all = net_flush(s->net) && !s->sio_queued; /* what waits for a poll is no conn's */
    s->sio_queued = false;
    return all;
}

static size_t member_pending(struct member *m)
{
    return sio_of_member(m) ? sio_client_pending(sio_of_member(m))
                            : conn_pending(conn_of_member(m));
}

static bool member_congested(const struct member *m)
{
    struct session *session = containerof(m, struct session, member);
    struct conn *c = session->kind == SESSION_SIO ? NULL : conn_of(session);
    return c && conn_is_congested(c); /* a client of Socket.IO gives way by itself */
}

static void member_broken(struct member *m)
{
    if (sio_of_member(m)) {
        sio_client_broken(sio_of_member(m));
    } else {
        conn_abort(conn_of_member(m));
    }
}

static void members_polled(void *self, struct member **members, size_t count, struct str body)
{
    struct api_shard *s = self;
    struct buf reply = {0};
    size_t head_len =
        http_reply_bytes(&reply, &(struct http_reply){.status = 200,
                                                      .content_type = STR("application/json"),
                                                      .headers = STR("Cache-Control: no-store\r\n"),
                                                      .body = body});
    for (size_t i = 0; i < count; i++) {
        struct session *session = containerof(members[i], struct session, member);
        list_remove(&session->node);
        session->kind = SESSION_HTTP;
        session->ticket = 0;
        wants_drop(&s->wants, &session->held);
        if (session->cors) {
            poll_reply(conn_of(session), body);
        } else {
            conn_reply_ready(conn_of(session), buf_str(&reply), head_len);
        }
    }
    buf_fini(&reply);
}

static const struct fanout_ops fanout_ops = {
    .write = member_write,
    .pending = member_pending,
    .congested = member_congested,
    .broken = member_broken,
    .polled = members_polled,
    .queue = member_queue,
    .flush = members_flush,
    .soon = member_soon,
};

/* ---- letters from the main half ---- */

void letter_answers(void *self, void *owned_answers, uint64_t number)
{
    struct api_shard *s = self;
    (void)number;
    answers_unref(s->answers);
    s->answers = owned_answers;
    s->welcome_ms = 0;
}

void letter_refreshed(void *self, void *owned_refreshed, uint64_t ticket)
{
    struct api_shard *s = self;
    struct refreshed *r = owned_refreshed;
    struct conn *c = session_answered(s, ticket);
    if (c && session_of(c)->kind != SESSION_WS) {
        refresh_reply(c, r);
    } else if (c && !r->refreshed) { /* else everyone gets it through the channel */
        session_send(c, buf_str(&r->message));
    }
    answers_unref(r->answers);
    buf_fini(&r->message);
    mem_free(r);
}

/* ---- life ---- */

struct api_shard *api_shard_new(const struct api_shard_opts *opts)
{
    struct api_shard *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    s->loop = opts->loop;
    s->answers = answers_new();
    s->answers->mode = market_mode_text(MODE_LIVE);
    s->wants.loop = opts->loop;
    s->wants.tell = tell_want;
    s->wants.self = s;
    list_init(&s->waiting);
    list_init(&s->streams);
    list_init(&s->polls);
    metric_register(&connections);
    metric_register(&connection_seconds);
    s->opts.net.loop = opts->loop;
    s->opts.net.handler = &handler;
    s->opts.net.self = s;
    s->opts.net.user_bytes = sizeof(struct session);
    s->net = net_server_new(&s->opts.net); /* its flush comes before the fan-out's */
    s->fanout = fanout_new(&(struct fanout_opts){
        .loop = opts->loop,
        .ops = &fanout_ops,
        .self = s,
        .max_subs = opts->settings->max_subscriptions,
        .window_bits = opts->net.deflate_policy.server_window_bits,
    });
    s->sio = sio_shard_new(s, (unsigned)opts->index, &s->opts.net);
    return s;
}

void api_shard_free(struct api_shard *s)
{
    if (!s) {
        return;
    }
    timer_stop(s->loop, &s->heartbeat);
    timer_stop(s->loop, &s->poll_timer);
    net_server_free(s->net);
    sio_free(s->sio);
    wants_fini(&s->wants);
    fanout_free(s->fanout);
    answers_unref(s->answers);
    buf_fini(&s->welcome);
    buf_fini(&s->scratch);
    mem_free(s);
}

struct fanout *api_shard_fanout(struct api_shard *s)
{
    return s->fanout;
}

struct net_server *api_shard_net(struct api_shard *s)
{
    return s->net;
}

/* Each client is told to come back at its own moment, so that they do not all come at once. */
unsigned shard_spread_ms(struct api_shard *s)
{
    s->drain_step = (s->drain_step + 7919) % DRAIN_SPREAD_MS;
    return 500 + s->drain_step;
}

void shutdown_json(struct api_shard *s, struct buf *out)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(shard_wall_ms(s), time);
    buf_printf(out, "{\"type\":\"server_shutdown\",\"reconnect_after_ms\":%u,\"timestamp\":\"%s\"}",
               shard_spread_ms(s), time);
}

static void tell_shutdown(struct api_shard *s, struct conn *c)
{
    struct session *session = session_of(c);
    struct buf json = {0};
    shutdown_json(s, &json);
    if (session->kind == SESSION_WS) {
        session_send(c, buf_str(&json));
    } else {
        buf_clear(&s->scratch);
        frame_append_text(FORM_SSE, STR("server_shutdown"), buf_str(&json), &s->scratch);
        conn_write(c, buf_str(&s->scratch));
    }
    buf_fini(&json);
}

/* Whoever is between two polls comes back, on this conn or a new one, and is told then: conns that
 * carry polls, or carried nothing yet, stay until api_shard_close(). */
static void drain_one(void *self, struct conn *c)
{
    struct api_shard *s = self;
    struct session *session = session_of(c);
    if (session->kind == SESSION_POLL) {
        conn_drain(c);
        poll_expire(s, session);
    } else if (session->kind == SESSION_WS || session->kind == SESSION_SSE) {
        tell_shutdown(s, c);
        conn_drain(c);
    } else if (session->use == USE_OTHER) {
        conn_drain(c);
    }
}

void api_shard_drain(struct api_shard *s)
{
    s->draining = true;
    sio_shard_drain(s);
    net_each(s->net, drain_one, s);
}

size_t api_shard_untold(const struct api_shard *s)
{
    return engine_count(sio_engine(s->sio)) + s->pollers;
}

void api_shard_close(struct api_shard *s)
{
    net_stop_listening(s->net);
    net_drain(s->net);
}

void api_shard_cut(struct api_shard *s)
{
    engine_close_all(sio_engine(s->sio));
    net_close_all(s->net);
}

void api_shard_finish(struct api_shard *s)
{
    s->finished = true;
    engine_close_all(sio_engine(s->sio)); /* sessions that poll and have no conn now */
}
