/* SPDX-License-Identifier: MIT */
#include "tools/conformance.h"

#include "base/alloc.h"
#include "net/net.h"

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
};

/* Behind every conn. */
struct client {
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

/* ---- the handler ---- */

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    bool get = r->method == HTTP_GET || r->method == HTTP_HEAD;
    if (r->method == HTTP_OPTIONS) {
        conn_reply(c, &(struct http_reply){.status = 204, .headers = STR(CORS)});
    } else if (str_eq(r->path, STR("/")) && get) {
        answer(c, 200, STR("coincast conformance\n"));
    } else if (str_eq(r->path, STR("/echo"))) {
        (void)conn_upgrade_ws(c, r, &(struct ws_accept_opts){.headers = {0}});
    } else if (str_eq(r->path, STR("/post")) && r->method == HTTP_POST) {
        answer_length(c, body.len);
    } else if (str_eq(r->path, STR("/events")) && get) {
        start_events(self, c, r);
    } else {
        answer(c, 404, STR("try /, /echo, /post or /events\n"));
    }
}

static void on_message(void *self, struct conn *c, bool binary, struct str text)
{
    (void)self;
    conn_send_ws(c, binary ? WS_BINARY : WS_TEXT, text, true);
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
    .closed = on_closed,
};

/* ---- life ---- */

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
    enum err e = net_listen(s->server, o->listen, port);
    if (e != OK) {
        (void)buf_printf(error, "cannot listen on %s: %s", o->listen, err_text(e));
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
    net_drain(s->server);
}

void conformance_cut(struct conformance *s)
{
    net_close_all(s->server);
}

bool conformance_is_idle(const struct conformance *s)
{
    return net_count(s->server) == 0;
}

void conformance_free(struct conformance *s)
{
    if (s) {
        net_server_free(s->server);
        tls_context_free(s->tls);
        mem_free(s);
    }
}
