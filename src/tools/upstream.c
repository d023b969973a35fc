/* SPDX-License-Identifier: MIT */
#include "tools/upstream.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/net.h"
#include "tools/answer.h"
#include "tools/control.h"
#include "tools/exchange.h"
#include "tools/fixtures.h"
#include "tools/player.h"

#define MAX_CONTROL_BYTES 4096
#define GARBAGE "<html>\x01\x80\xff upstream connect error {\"data\":"

struct upstream {
    struct loop *loop;
    struct net_server *server;
    struct tls_context *tls;
    struct simulator *simulator;
    struct flow *flow;
    struct exchange *exchange;
    struct reel *reel;
    struct player player;
    struct fixtures *fixtures;
    struct control *control;
    struct answer_world world;
    bool quiet;
};

/* Behind every connection: an answer that waits for its time, or a WebSocket's session. */
struct client {
    struct upstream *upstream;
    struct exchange_session *session;
    struct playback *playback;
    struct timer delay;
    struct answer late;
    bool has_late;
};

static bool is_recorded(const struct upstream *u)
{
    return u->fixtures || u->reel;
}

static struct http_reply reply_of(const struct answer *a)
{
    return (struct http_reply){.status = a->status,
                               .content_type = a->status == 304 ? STR("") : str_of(a->content_type),
                               .headers = buf_str(&a->headers),
                               .body = buf_str(&a->body)};
}

static void reply(struct conn *c, const struct answer *a)
{
    struct http_reply r = reply_of(a);
    conn_reply(c, &r);
}

/* Announces all of an answer, sends half of it and closes. */
static void reply_cut(struct conn *c, const struct answer *a)
{
    struct buf bytes = {0};
    struct http_reply r = reply_of(a);
    size_t head = http_reply_bytes(&bytes, &r);
    conn_finish(c);
    conn_reply_ready(c, str_sub(buf_str(&bytes), 0, head + (bytes.len - head) / 2), head);
    buf_fini(&bytes);
}

static void send_late(void *self)
{
    struct client *k = self;
    k->has_late = false;
    reply(conn_of_user(k), &k->late);
    answer_fini(&k->late);
}

static void problem(struct conn *c, unsigned status, struct str detail)
{
    struct answer a;
    answer_init(&a);
    a.status = status;
    a.content_type = "application/problem+json";
    buf_printf(&a.body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":",
               http_status_text(status), status);
    json_escape(&a.body, detail);
    buf_add_char(&a.body, '}');
    reply(c, &a);
    answer_fini(&a);
}

static void on_control(struct upstream *u, struct conn *c, const struct http_request *r,
                       struct str body)
{
    struct buf error = {0};
    if (r->method == HTTP_POST) {
        enum err e =
            body.len > MAX_CONTROL_BYTES ? ERR_LIMIT : control_set(u->control, body, &error);
        if (e != OK) {
            buf_add_str(&error, e == ERR_LIMIT ? STR("at most 4096 bytes") : STR(""));
            problem(c, e == ERR_LIMIT ? 413 : e == ERR_SYNTAX ? 400 : 422, buf_str(&error));
            buf_fini(&error);
            return;
        }
        if (!u->quiet) {
            log_info("upstream", "fault set", "request=%s", log_quote(body));
        }
    } else if (r->method != HTTP_GET && r->method != HTTP_HEAD) {
        problem(c, 405, STR("GET says what is set, POST sets"));
        return;
    }
    struct answer a;
    answer_init(&a);
    control_write(u->control, is_recorded(u), &a.body);
    answer_mark(&a, is_recorded(u));
    reply(c, &a);
    answer_fini(&a);
}

/* Turns the good answer into what was ordered; true: it is to be sent as it stands now. */
static bool hurt(struct upstream *u, struct conn *c, size_t target, const struct fault_setting *s,
                 struct answer *a)
{
    enum provider p = target == SIZE_MAX ? PROVIDER_NONE : answer_target_provider(target);
    switch (s->fault) {
    case FAULT_NONE:
    case FAULT_LATENCY:
        return true;
    case FAULT_429:
    case FAULT_5XX:
        buf_clear(&a->body);
        buf_clear(&a->headers);
        answer_fault(p, s->fault == FAULT_429 ? 429 : s->value < 0 ? 503 : (unsigned)s->value, a);
        if (s->fault == FAULT_429 && s->value >= 0) {
            buf_printf(&a->headers, "Retry-After: %lld\r\n", (long long)s->value);
        }
        answer_mark(a, is_recorded(u));
        return true;
    case FAULT_GARBAGE:
        a->status = 200;
        buf_clear(&a->body);
        buf_add_lit(&a->body, GARBAGE);
        return true;
    case FAULT_HALF:
        a->body.len /= 2;
        return true;
    case FAULT_CUT:
        reply_cut(c, a);
        return false;
    case FAULT_SILENCE:
        return false;
    case FAULT_SKIP:
    case FAULT_DOUBLE:
    case FAULT_SKEW:
    case FAULT_SHUTDOWN:
    case FAULT_REFUSE:
        return true; /* nothing that an answer could do */
    }
    return true;
}

/* ---- WebSockets ---- */

static void ws_send(void *conn, struct str text)
{
    conn_send_ws(conn, WS_TEXT, text, true);
}

static void ws_ping(void *conn, struct str payload)
{
    conn_ping(conn, payload);
}

static void ws_close(void *conn, uint16_t code, struct str reason)
{
    conn_close_ws(conn, code, reason);
}

static void ws_cut(void *conn, struct str text)
{
    if (text.len) {
        uint8_t head[WS_HEADER_MAX];
        struct buf half = {0};
        buf_add(&half, head, ws_header(head, WS_TEXT, false, text.len));
        buf_add_str(&half, str_sub(text, 0, text.len / 2));
        conn_write_now(conn, buf_str(&half));
        buf_fini(&half);
    }
    conn_abort(conn);
}

static const struct exchange_ops ws_ops = {
    .send = ws_send, .ping = ws_ping, .close = ws_close, .cut = ws_cut};

/* Whether it is a handshake for one of the exchanges; then it is answered. */
static bool accept_ws(struct upstream *u, struct conn *c, const struct http_request *r)
{
    struct client *k = conn_user(c);
    enum venue v = exchange_venue_of(r->path);
    if (!(u->exchange || u->reel) || v == VENUE_COUNT ||
        http_request_header(r, STR("Upgrade")).len == 0) {
        return false;
    }
    size_t target = exchange_target(v);
    struct fault_setting s = control_peek(u->control, target);
    struct answer a;
    answer_init(&a);
    control_count(u->control, target);
    if (s.fault == FAULT_429 || s.fault == FAULT_5XX) {
        control_use(u->control, target);
        (void)hurt(u, c, target, &s, &a);
        reply(c, &a);
    } else {
        answer_mark(&a, u->reel != NULL);
        if (!conn_upgrade_ws(c, r, &(struct ws_accept_opts){.headers = buf_str(&a.headers)})) {
            answer_fini(&a);
            return true;
        }
        if (u->reel) {
            k->playback = player_open(&u->player, v, c, r->path, r->query);
        } else {
            k->session = exchange_open(u->exchange, v, c, r->path, r->query);
        }
    }
    answer_fini(&a);
    return true;
}

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    struct upstream *u = self;
    struct client *k = conn_user(c);
    k->upstream = u;
    if (str_eq(r->path, STR("/_control"))) {
        on_control(u, c, r, body);
        return;
    }
    if (accept_ws(u, c, r)) {
        return;
    }
    struct answer_request request = {.is_get = r->method == HTTP_GET || r->method == HTTP_HEAD,
                                     .path = r->path,
                                     .query = r->query,
                                     .if_none_match = http_request_header(r, STR("If-None-Match"))};
    size_t target = answer_target_of(r->path);
    struct fault_setting s = control_take(u->control, target);
    struct answer a;
    answer_init(&a);
    /* A fault that reads the body wants one. */
    if (s.fault == FAULT_HALF || s.fault == FAULT_CUT) {
        request.if_none_match = STR("");
    }
    answer_make(&u->world, &request, loop_wall_ms(u->loop), &a);
    if (!hurt(u, c, target, &s, &a)) {
        answer_fini(&a);
    } else if (s.fault == FAULT_LATENCY) {
        k->late = a;
        k->has_late = true;
        timer_start(u->loop, &k->delay, loop_now_ms(u->loop) + (uint64_t)s.value, send_late, k);
    } else {
        reply(c, &a);
        answer_fini(&a);
    }
}

static void on_message(void *self, struct conn *c, bool binary, struct str text)
{
    struct client *k = conn_user(c);
    (void)self;
    if (binary) {
        conn_close_ws(c, 1003, STR("text only"));
    } else if (k->session) {
        exchange_take(k->session, text);
    } else if (k->playback) {
        player_take(k->playback, text);
    }
}

static void on_pong(void *self, struct conn *c, struct str payload)
{
    struct client *k = conn_user(c);
    (void)self;
    if (k->session) {
        exchange_take_pong(k->session, payload);
    }
}

static void on_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    struct client *k = conn_user(c);
    (void)self;
    (void)code;
    (void)why;
    if (k->session) {
        exchange_close(k->session);
        k->session = NULL;
    }
    if (k->playback) {
        player_close(k->playback);
        k->playback = NULL;
    }
    if (k->has_late) {
        timer_stop(k->upstream->loop, &k->delay);
        answer_fini(&k->late);
        k->has_late = false;
    }
}

static const struct net_handler handler = {
    .request = on_request, .message = on_message, .pong = on_pong, .closed = on_closed};

enum err upstream_start(const struct upstream_opts *opts, struct upstream **out, uint16_t *port,
                        struct buf *error)
{
    struct upstream *u = mem_zero(sizeof(*u));
    u->loop = opts->loop;
    u->quiet = opts->quiet;
    u->control = control_new();
    u->simulator = simulator_new(opts->seed);
    enum err e = opts->fixtures ? fixtures_open(opts->fixtures, &u->fixtures, error) : OK;
    if (e == OK && opts->tape) {
        e = reel_open(opts->tape, &u->reel, error);
        e = e == ERR_SYNTAX ? ERR_IO : e; /* a wrong file, not a wrong word */
    }
    if (e == OK && opts->tls_cert) {
        e = tls_context_new(opts->tls_cert, opts->tls_key, &u->tls, error);
    }
    if (e != OK) {
        upstream_free(u);
        return e;
    }
    u->player = (struct player){
        .loop = u->loop, .reel = u->reel, .ops = &ws_ops, .speed = opts->tape_speed};
    u->flow = flow_new(u->simulator, opts->rate ? opts->rate : 1);
    if (!u->fixtures && !u->reel) {
        u->exchange = exchange_new(&(struct exchange_opts){
            .loop = u->loop, .flow = u->flow, .control = u->control, .ops = &ws_ops});
    }
    u->world = (struct answer_world){.simulator = u->simulator,
                                     .flow = u->flow,
                                     .fixtures = u->fixtures,
                                     .is_tape = u->reel != NULL};
    u->server = net_server_new(&(struct net_opts){.loop = opts->loop,
                                                  .handler = &handler,
                                                  .self = u,
                                                  .user_bytes = sizeof(struct client),
                                                  .tls = u->tls,
                                                  .max_body = MAX_CONTROL_BYTES * 2});
    e = net_listen(u->server, opts->listen, port);
    if (e != OK) {
        buf_printf(error, "cannot listen on %s: %s", opts->listen, net_listen_why(e));
        upstream_free(u);
        return e;
    }
    if (!u->quiet) {
        log_info("upstream", "listening", "address=%s port=%u answers=%s", opts->listen,
                 (unsigned)*port, is_recorded(u) ? "recorded" : "simulated");
    }
    *out = u;
    return OK;
}

void upstream_stop(struct upstream *u)
{
    net_stop_listening(u->server);
    net_close_all(u->server);
}

bool upstream_is_idle(const struct upstream *u)
{
    return net_count(u->server) == 0;
}

void upstream_free(struct upstream *u)
{
    if (!u) {
        return;
    }
    if (u->server) {
        net_server_free(u->server);
    }
    tls_context_free(u->tls);
    exchange_free(u->exchange);
    control_free(u->control);
    reel_free(u->reel);
    fixtures_free(u->fixtures);
    flow_free(u->flow);
    simulator_free(u->simulator);
    mem_free(u);
}
