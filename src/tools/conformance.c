/* SPDX-License-Identifier: MIT */
#include "tools/conformance.h"

#include "base/alloc.h"
#include "net/engine.h"
#include "net/net.h"
#include "net/socketio.h"
#include "wire/scan.h"

#define EVENT_MS 1000
#define CORS                                               \
    "Access-Control-Allow-Origin: *\r\n"                   \
    "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n" \
    "Access-Control-Allow-Headers: *\r\n"                  \
    "Access-Control-Max-Age: 600\r\n"

struct conformance {
    struct conformance_opts opts;
    struct net_server *server;
    struct tls_context *tls;
    struct engine *echo;    /* /engine.io/ */
    struct sio_server *sio; /* /socket.io/ */
};

/* Behind every conn. */
struct client {
    struct engine_link link;
    struct conformance *server; /* set while it listens to /events */
    struct timer timer;
    uint64_t id;
    bool chunked;
};

void conformance_defaults(struct conformance_opts *opts)
{
    opts->max_message = (uint64_t)64 << 20;
    opts->max_fragments = 1 << 20;
    opts->ping_interval_ms = 300;
    opts->ping_timeout_ms = 200;
    opts->connect_timeout_ms = 1000;
    opts->max_payload = 1000000;
}

static void answer(struct conn *c, unsigned status, struct str text)
{
    conn_reply(c, &(struct http_reply){.status = status,
                                       .content_type = STR("text/plain; charset=utf-8"),
                                       .headers = STR(CORS),
                                       .body = text});
}

static void answer_length(struct conn *c, size_t len)
{
    struct buf text = {0};
    (void)buf_add_u64(&text, len);
    answer(c, 200, buf_str(&text));
    buf_fini(&text);
}

/* ---- /events ---- */

static void send_event(void *self)
{
    struct client *client = self;
    struct conn *c = conn_of_user(client);
    struct loop *l = client->server->opts.loop;
    struct buf event = {0}, out = {0};
    client->id++;
    (void)buf_printf(&event, "id: %llu\ndata: %llu\n\n", (unsigned long long)client->id,
                     (unsigned long long)client->id);
    if (client->chunked) {
        (void)buf_printf(&out, "%zx\r\n", event.len);
        (void)buf_add_str(&out, buf_str(&event));
        (void)buf_add_lit(&out, "\r\n");
    } else {
        (void)buf_add_str(&out, buf_str(&event));
    }
    conn_write(c, buf_str(&out));
    buf_fini(&event);
    buf_fini(&out);
    if (!conn_is_closing(c)) {
        timer_start(l, &client->timer, loop_now_ms(l) + EVENT_MS, send_event, client);
    }
}

/* Goes on behind the event the client saw last. */
static void start_events(struct conformance *s, struct conn *c, const struct http_request *r)
{
    struct client *client = conn_user(c);
    uint64_t seen = 0;
    if (str_to_u64(http_request_header(r, STR("Last-Event-ID")), &seen) == OK) {
        client->id = seen;
    }
    client->chunked = conn_start_stream(
        c, &(struct http_reply){.status = 200,
                                .content_type = STR("text/event-stream"),
                                .headers = STR("Cache-Control: no-cache\r\n" CORS)});
    if (!conn_is_closing(c)) {
        client->server = s;
        timer_start(s->opts.loop, &client->timer, loop_now_ms(s->opts.loop), send_event, client);
    }
}

/* ---- /engine.io/ ---- */

static void allow_any_origin(void *self, struct conn *c, const struct http_request *r,
                             struct buf *lines)
{
    (void)self, (void)c, (void)r;
    (void)buf_add_lit(lines, CORS);
}

static void echo_opened(void *self, struct engine_session *s, struct conn *c,
                        const struct http_request *r)
{
    (void)self, (void)s, (void)c, (void)r;
}

static void echo_message(void *self, struct engine_session *s, bool binary, struct str data)
{
    (void)self;
    engine_send(s, binary, data);
}

static void echo_closed(void *self, struct engine_session *s, const char *why)
{
    (void)self, (void)s, (void)why;
}

static const struct engine_handler echo_handler = {
    .cors = allow_any_origin,
    .opened = echo_opened,
    .message = echo_message,
    .closed = echo_closed,
};

/* ---- /socket.io/: what the public suite of Socket.IO talks to ---- */

/* An array of the event's arguments, behind `name` when there is one. */
static void add_array(struct buf *out, const char *name, struct str args)
{
    (void)buf_add_char(out, '[');
    if (name) {
        (void)buf_printf(out, args.len ? "\"%s\"," : "\"%s\"", name);
    }
    (void)buf_add_str(out, args);
    (void)buf_add_char(out, ']');
}

static void sio_on_connect(void *self, struct sio_socket *so, const struct sio_connect *info)
{
    (void)self;
    if (!str_eq(info->nsp, STR("/")) && !str_eq(info->nsp, STR("/custom"))) {
        sio_refuse(so, STR("Invalid namespace"), (struct str){0});
        return;
    }
    struct buf json = {0};
    add_array(&json, "auth", info->auth);
    sio_accept(so, (struct str){0}, (struct str){0});
    sio_emit(so, buf_str(&json), NULL, 0);
    buf_fini(&json);
}

static void sio_on_event(void *self, struct sio_socket *so, const struct sio_event *event)
{
    struct buf json = {0};
    (void)self;
    if (scan_string_is(event->name, STR("message"))) {
        add_array(&json, "message-back", event->args);
        sio_emit(so, buf_str(&json), event->attachments, event->attachment_count);
    } else if (scan_string_is(event->name, STR("message-with-ack")) && event->ack.len) {
        add_array(&json, NULL, event->args);
        sio_ack(so, event->ack, buf_str(&json), event->attachments, event->attachment_count);
    }
    buf_fini(&json);
}

static void sio_on_closed(void *self, struct sio_socket *so, const char *why)
{
    (void)self, (void)so, (void)why;
}

static const struct sio_handler sio_events = {
    .cors = allow_any_origin,
    .connect = sio_on_connect,
    .event = sio_on_event,
    .closed = sio_on_closed,
};

/* ---- the handler ---- */

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    struct conformance *s = self;
    struct client *client = conn_user(c);
    bool get = r->method == HTTP_GET || r->method == HTTP_HEAD;
    if (str_starts(r->path, STR("/engine.io/"))) {
        engine_request(s->echo, c, &client->link, r, body);
    } else if (str_starts(r->path, STR("/socket.io/"))) {
        engine_request(sio_engine(s->sio), c, &client->link, r, body);
    } else if (r->method == HTTP_OPTIONS) {
        conn_reply(c, &(struct http_reply){.status = 204, .headers = STR(CORS)});
    } else if (str_eq(r->path, STR("/")) && get) {
        answer(c, 200, STR("coincast conformance\n"));
    } else if (str_eq(r->path, STR("/echo"))) {
        (void)conn_upgrade_ws(c, r, &(struct ws_accept_opts){.headers = {0}});
    } else if (str_eq(r->path, STR("/post")) && r->method == HTTP_POST) {
        answer_length(c, body.len);
    } else if (str_eq(r->path, STR("/events")) && get) {
        start_events(s, c, r);
    } else {
        answer(c, 404, STR("try /, /echo, /post, /events, /engine.io/ or /socket.io/\n"));
    }
}

static void on_message(void *self, struct conn *c, bool binary, struct str text)
{
    struct client *client = conn_user(c);
    (void)self;
    if (!engine_on_message(&client->link, c, binary, text)) {
        conn_send_ws(c, binary ? WS_BINARY : WS_TEXT, text, true);
    }
}

static void on_drained(void *self, struct conn *c)
{
    struct client *client = conn_user(c);
    (void)self;
    (void)engine_on_drained(&client->link, c);
}

static void on_closing(void *self, struct conn *c)
{
    struct client *client = conn_user(c);
    (void)self;
    (void)engine_on_closing(&client->link, c);
}

static void on_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    struct client *client = conn_user(c);
    (void)self;
    (void)code;
    (void)why;
    if (client->server) {
        timer_stop(client->server->opts.loop, &client->timer);
    }
}

static const struct net_handler handler = {
    .request = on_request,
    .message = on_message,
    .drained = on_drained,
    .closing = on_closing,
    .closed = on_closed,
};

/* ---- life ---- */

static struct engine_opts engine_options(struct conformance *s)
{
    const struct conformance_opts *o = &s->opts;
    return (struct engine_opts){
        .loop = o->loop,
        .self = s,
        .ping_interval_ms = (uint32_t)o->ping_interval_ms,
        .ping_timeout_ms = (uint32_t)o->ping_timeout_ms,
        .max_payload = (size_t)o->max_payload,
        .max_pending = (size_t)o->max_payload * 4 + ((size_t)1 << 20),
        .allow_v3 = true,
    };
}

static enum err open_server(struct conformance *s, uint16_t *port, struct buf *error)
{
    const struct conformance_opts *o = &s->opts;
    if (o->tls_cert) {
        enum err e = tls_context_new(o->tls_cert, o->tls_key, &s->tls, error);
        if (e != OK) {
            return e;
        }
    }
    s->server = net_server_new(&(struct net_opts){
        .loop = o->loop,
        .handler = &handler,
        .self = s,
        .user_bytes = sizeof(struct client),
        .tls = s->tls,
        .max_body = (size_t)o->max_message,
        .max_pending = (size_t)o->max_message * 4 + ((size_t)1 << 20),
        .max_message = (size_t)o->max_message,
        .max_fragments = (uint32_t)o->max_fragments,
        .deflate = true,
        .deflate_policy = {.shared = false, .server_window_bits = 15},
    });
    struct engine_opts eo = engine_options(s);
    eo.handler = &echo_handler;
    s->echo = engine_new(&eo);
    s->sio = sio_new(&(struct sio_opts){.engine = eo,
                                        .handler = &sio_events,
                                        .self = s,
                                        .connect_timeout_ms = (uint32_t)o->connect_timeout_ms});
    enum err e = net_listen(s->server, o->listen, port);
    if (e != OK) {
        (void)buf_printf(error, "cannot listen on %s: %s", o->listen, net_listen_why(e));
    }
    return e;
}

enum err conformance_start(const struct conformance_opts *opts, struct conformance **out,
                           uint16_t *port, struct buf *error)
{
    struct conformance *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    enum err e = open_server(s, port, error);
    if (e != OK) {
        conformance_free(s);
        return e;
    }
    *out = s;
    return OK;
}

void conformance_stop(struct conformance *s)
{
    net_stop_listening(s->server);
    engine_close_all(s->echo);
    engine_close_all(sio_engine(s->sio));
    net_drain(s->server);
}

void conformance_cut(struct conformance *s)
{
    engine_close_all(s->echo);
    engine_close_all(sio_engine(s->sio));
    net_close_all(s->server);
}

bool conformance_is_idle(const struct conformance *s)
{
    return net_count(s->server) == 0;
}

void conformance_free(struct conformance *s)
{
    if (s) {
        engine_free(s->echo);
        sio_free(s->sio);
        net_server_free(s->server);
        tls_context_free(s->tls);
        mem_free(s);
    }
}
