/* An engine on a server of the rig: echoes messages and writes down what its handler is told; and
 * clients that are bare sockets. SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_NET_ENGINE_RIG_H
#define TESTS_UNIT_NET_ENGINE_RIG_H
#include "net/engine.h"
#include "tests/unit/net/rig.h"

struct engine_rig {
    struct rig rig;
    struct engine *engine;
    struct engine_session *session; /* the last that opened */
    struct buf events;              /* a line for each */
    bool forbid;
    struct engine_rig *there; /* where requests go whose session is there */
    unsigned drained;
    unsigned elsewhere; /* shard + 1 */
};

/* Behind each conn. */
struct engine_user {
    struct engine_link link;
};

static bool erig_allow(void *self, struct conn *c, const struct http_request *r,
                       struct engine_session *s, const char **message)
{
    struct engine_rig *er = self;
    (void)c, (void)r, (void)s;
    *message = "not you";
    return !er->forbid;
}

static void erig_cors(void *self, struct conn *c, const struct http_request *r, struct buf *lines)
{
    (void)self, (void)c;
    struct str origin = http_request_header(r, STR("Origin"));
    if (origin.len) {
        (void)buf_printf(lines, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n",
                         STR_ARG(origin));
    }
}

static void erig_opened(void *self, struct engine_session *s, struct conn *c,
                        const struct http_request *r)
{
    struct engine_rig *er = self;
    (void)c, (void)r;
    er->session = s;
    (void)buf_add_lit(&er->events, "opened\n");
}

static void erig_message(void *self, struct engine_session *s, bool binary, struct str data)
{
    (void)self;
    if (str_eq(data, STR("close"))) {
        engine_close(s, 4001, "as asked");
    } else {
        engine_send(s, binary, data);
    }
}

static void erig_transport(void *self, struct engine_session *s)
{
    struct engine_rig *er = self;
    (void)buf_add_str(&er->events, engine_session_conn(s) ? STR("ws\n") : STR("poll\n"));
}

static void erig_drained(void *self, struct engine_session *s)
{
    struct engine_rig *er = self;
    (void)s;
    er->drained++;
}

static void erig_closed(void *self, struct engine_session *s, const char *why)
{
    struct engine_rig *er = self;
    assert_false(engine_session_is_open(s));
    (void)buf_printf(&er->events, "closed: %s\n", why);
    er->session = NULL;
}

static void erig_elsewhere(void *self, struct conn *c, const struct http_request *r,
                           struct str body, unsigned shard)
{
    struct engine_rig *er = self;
    er->elsewhere = shard + 1;
    if (er->there) {
        conn_hand_over(c, r, body, rig_moved, &er->there->rig);
    } else {
        conn_abort(c);
    }
}

static const struct engine_handler erig_handler = {
    .allow = erig_allow,
    .cors = erig_cors,
    .opened = erig_opened,
    .message = erig_message,
    .transport = erig_transport,
    .drained = erig_drained,
    .closed = erig_closed,
    .elsewhere = erig_elsewhere,
};

static void erig_on_request(void *self, struct conn *c, const struct http_request *r,
                            struct str body)
{
    struct engine_rig *er = self;
    engine_request(er->engine, c, &((struct engine_user *)conn_user(c))->link, r, body);
}

static void erig_on_message(void *self, struct conn *c, bool binary, struct str text)
{
    (void)self;
    assert_true(engine_on_message(&((struct engine_user *)conn_user(c))->link, c, binary, text));
}

static void erig_on_drained(void *self, struct conn *c)
{
    (void)self;
    (void)engine_on_drained(&((struct engine_user *)conn_user(c))->link, c);
}

static void erig_on_closing(void *self, struct conn *c)
{
    (void)self;
    (void)engine_on_closing(&((struct engine_user *)conn_user(c))->link, c);
}

static void erig_on_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    struct engine_rig *er = self;
    (void)code, (void)why;
    assert_null(((struct engine_user *)conn_user(c))->link.session);
    er->rig.closed++;
}

static const struct net_handler erig_net_handler = {
    .request = erig_on_request,
    .message = erig_on_message,
    .drained = erig_on_drained,
    .closing = erig_on_closing,
    .closed = erig_on_closed,
};

/* Options without loop, handler and self; intervals of 300 and 200 ms unless given. */
static struct engine_rig *erig_new(enum io_kind io, bool is_virtual, struct engine_opts opts)
{
    struct engine_rig *er = mem_zero(sizeof(*er));
    struct rig *rig = &er->rig;
    clock_init_virtual(&rig->clock, 1000000, 1700000000000);
    struct loop_opts lo = {.io = io, .clock = is_virtual ? &rig->clock : NULL};
    enum err e = loop_new(&lo, &rig->loop);
    if (e == ERR_UNSUPPORTED && io == IO_URING) {
        mem_free(er);
        skip(); /* forbidden here, which the server copes with too */
    }
    assert_int_equal(e, OK);
    assert_int_equal(log_configure(STR("error")), OK);
    opts.loop = rig->loop;
    opts.handler = &erig_handler;
    opts.self = er;
    /* No ping comes in between by itself, however slow the machine is. */
    uint32_t interval_ms = is_virtual ? 300 : 600000;
    opts.ping_interval_ms = opts.ping_interval_ms ? opts.ping_interval_ms : interval_ms;
    opts.ping_timeout_ms = opts.ping_timeout_ms ? opts.ping_timeout_ms : 200;
    er->engine = engine_new(&opts);
    rig->server = net_server_new(&(struct net_opts){.loop = rig->loop,
                                                    .handler = &erig_net_handler,
                                                    .self = er,
                                                    .user_bytes = sizeof(struct engine_user),
                                                    .max_body = 4 << 20,
                                                    .max_message = 4 << 20});
    assert_int_equal(net_listen(rig->server, "127.0.0.1:0", &rig->port), OK);
    return er;
}

static void erig_free(struct engine_rig *er)
{
    struct rig *rig = &er->rig;
    engine_close_all(er->engine);
    net_close_all(rig->server);
    rig_wait_conns(rig, 0);
    engine_free(er->engine);
    net_server_free(rig->server);
    for (int i = 0; i < 4; i++) {
        loop_turn(rig->loop, 0);
    }
    loop_free(rig->loop);
    buf_fini(&er->events);
    mem_free(er);
}

/* ---- clients ---- */

#define PATH4 "/engine.io/?EIO=4&transport="

/* A request on a conn of its own; the client's socket. */
static int erig_ask(struct engine_rig *er, const char *method, const char *target, const char *body)
{
    struct buf text = {0};
    int fd = rig_connect(&er->rig);
    (void)buf_printf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\n", method, target);
    if (body) {
        (void)buf_printf(&text, "Content-Length: %zu\r\n", strlen(body));
    }
    (void)buf_printf(&text, "\r\n%s", body ? body : "");
    rig_send(fd, text.ptr, text.len);
    buf_fini(&text);
    return fd;
}

/* Waits for the whole answer and gives its status; the body is what `out` holds then. */
static unsigned erig_answer(struct engine_rig *er, int fd, struct buf *out)
{
    struct http_response r;
    size_t head_len = 0;
    buf_clear(out);
    assert_true(rig_wait_text(&er->rig, fd, out, "\r\n\r\n"));
    assert_int_equal(http_parse_response(buf_str(out), &(struct http_limits){0}, &r, &head_len),
                     OK);
    assert_true(rig_wait_len(&er->rig, fd, out, head_len + (size_t)r.content_length));
    assert_true(str_eq(http_header(r.headers, r.header_count, STR("Access-Control-Allow-Origin")),
                       STR("http://o")));
    buf_drop(out, head_len);
    close(fd);
    return r.status;
}

/* One request and its answer, "200 body". */
static const char *erig_talk(struct engine_rig *er, const char *method, const char *target,
                             const char *body)
{
    static char text[4096];
    struct buf out = {0};
    unsigned status = erig_answer(er, erig_ask(er, method, target, body), &out);
    snprintf(text, sizeof(text), "%u %s", status, buf_text(&out));
    buf_fini(&out);
    return text;
}

/* Opens a session by polling and gives the target of its polls. */
static const char *erig_open(struct engine_rig *er)
{
    static char target[256];
    const char *answer = erig_talk(er, "GET", PATH4 "polling", NULL);
    assert_true(str_starts(str_of(answer), STR("200 0{\"sid\":\"")));
    snprintf(target, sizeof(target), PATH4 "polling&sid=%.*s", ENGINE_SID_LEN, answer + 13);
    return target;
}

static int erig_ws(struct engine_rig *er, const char *target)
{
    struct buf text = {0}, in = {0};
    int fd = rig_connect(&er->rig);
    (void)buf_printf(&text,
                     "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     target);
    rig_send(fd, text.ptr, text.len);
    for (int i = 0; i < RIG_TURNS && str_find_str(buf_str(&in), STR("\r\n\r\n")) == SIZE_MAX; i++) {
        char c = 0;
        while (recv(fd, &c, 1, MSG_DONTWAIT) == 1 && buf_add_char(&in, c) &&
               !str_ends(buf_str(&in), STR("\r\n\r\n"))) {
        }
        rig_turn(&er->rig);
    }
    assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 101 ")));
    buf_fini(&text);
    buf_fini(&in);
    return fd;
}

/* A WebSocket beside the polls of that target. */
static int erig_probe(struct engine_rig *er, const char *poll_target)
{
    char target[256];
    const char *sid = strstr(poll_target, "sid=");
    snprintf(target, sizeof(target), PATH4 "websocket&%s", sid);
    return erig_ws(er, target);
}

static void erig_frame(int fd, bool binary, struct str payload)
{
    struct buf frame = {0};
    assert_true(payload.len < 126);
    (void)buf_add_char(&frame, (char)(binary ? 0x82 : 0x81));
    (void)buf_add_char(&frame, (char)(0x80 | payload.len));
    (void)buf_add(&frame, "\0\0\0\0", 4); /* a mask that changes nothing */
    (void)buf_add_str(&frame, payload);
    rig_send(fd, frame.ptr, frame.len);
    buf_fini(&frame);
}

static void erig_text(int fd, const char *text)
{
    erig_frame(fd, false, str_of(text));
}

static inline void erig_unused(void)
{
    rig_unused();
    (void)erig_new, (void)erig_free, (void)erig_open, (void)erig_probe, (void)erig_text;
    (void)erig_talk, (void)erig_ws;
}

#endif
