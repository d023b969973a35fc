/* SPDX-License-Identifier: MIT */
#include "net/socketio.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "wire/scan.h"
#include "wire/sha1.h"

#include <sys/random.h>

static struct metric violations = METRIC_COUNTER(
    "coincast_socketio_violations_total", "Socket.IO sessions closed for breaking the protocol.");

struct sio_server {
    struct sio_opts opts;
    struct engine *engine;
    struct engine_handler handler;
    struct list dead;
    struct defer defer;
    struct buf packet; /* what is being sent */
};

/* A packet whose attachments are not all there. */
struct partial {
    struct buf text;
    struct str parts[SIO_MAX_ATTACHMENTS]; /* owned */
    unsigned due, count;
    size_t bytes; /* of all of it */
};

/* Behind every session. */
struct client {
    struct sio_server *server;
    struct list sockets;
    size_t count;
    struct timer timer; /* to join a namespace */
    struct partial *partial;
};

enum socket_state { SOCKET_ASKED, SOCKET_JOINED, SOCKET_OVER };

/* The owner's bytes follow. */
struct sio_socket {
    struct list node; /* in client->sockets, or server->dead */
    struct engine_session *session;
    struct sio_server *server;
    char *nsp; /* owned */
    size_t nsp_len;
    enum socket_state state;
    char sid[40];
};

static struct client *client_of(struct engine_session *s)
{
    return engine_session_user(s);
}

static unsigned revision(const struct engine_session *s)
{
    return engine_session_version(s) == 3 ? 4 : 5;
}

static void violated(struct engine_session *s, const char *reason)
{
    metric_add(&violations, 1);
    engine_close(s, WS_CLOSE_PROTOCOL, reason);
}

/* ---- partial packets ---- */

static void partial_free(struct client *client)
{
    struct partial *p = client->partial;
    if (p) {
        for (unsigned i = 0; i < p->count; i++) {
            mem_free((char *)p->parts[i].ptr);
        }
        buf_fini(&p->text);
        mem_free(p);
        client->partial = NULL;
    }
}

/* ---- sockets ---- */

static void free_dead(void *self)
{
    struct sio_server *server = self;
    struct list *it;
    while ((it = list_pop(&server->dead))) {
        struct sio_socket *so = containerof(it, struct sio_socket, node);
        mem_free(so->nsp);
        mem_free(so);
    }
}

static void make_sid(char out[SIO_SID_LEN + 1])
{
    uint8_t bytes[15];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        abort(); /* two sockets must not be taken for one */
    }
    base64(bytes, sizeof(bytes), out);
    for (int i = 0; i < SIO_SID_LEN; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
}

static struct sio_socket *socket_new(struct engine_session *s, struct str nsp)
{
    struct client *client = client_of(s);
    struct sio_socket *so = mem_zero(sizeof(*so) + client->server->opts.user_bytes);
    so->session = s;
    so->server = client->server;
    so->nsp = mem_copy_text(nsp.ptr, nsp.len);
    so->nsp_len = nsp.len;
    list_push(&client->sockets, &so->node);
    client->count++;
    return so;
}

/* Out of the client's list; freed in the deferred phase. */
static void socket_over(struct sio_socket *so)
{
    struct sio_server *server = so->server;
    so->state = SOCKET_OVER;
    list_remove(&so->node);
    client_of(so->session)->count--;
    list_push(&server->dead, &so->node);
    loop_defer(server->opts.engine.loop, &server->defer, free_dead, server);
}

static void socket_close(struct sio_socket *so, const char *why)
{
    socket_over(so);
    so->server->opts.handler->closed(so->server->opts.self, so, why);
}

static struct sio_socket *find(struct engine_session *s, struct str nsp)
{
    list_each (it, &client_of(s)->sockets) {
        struct sio_socket *so = containerof(it, struct sio_socket, node);
        if (str_eq(sio_nsp(so), nsp)) {
            return so;
        }
    }
    return NULL;
}

/* ---- out ---- */

static void send_packet(struct sio_socket *so, enum sio_type type, struct str ack, struct str json,
                        const struct str *attachments, size_t count)
{
    struct buf *packet = &so->server->packet;
    buf_clear(packet);
    sio_write(packet, type, (unsigned)count, sio_nsp(so), ack, json);
    engine_send(so->session, false, buf_str(packet));
    for (size_t i = 0; i < count; i++) {
        engine_send(so->session, true, attachments[i]);
    }
}

void sio_emit(struct sio_socket *so, struct str json, const struct str *attachments, size_t count)
{
    if (so->state != SOCKET_OVER) {
        send_packet(so, count ? SIO_BINARY_EVENT : SIO_EVENT, (struct str){0}, json, attachments,
                    count);
    }
}

void sio_ack(struct sio_socket *so, struct str ack, struct str json, const struct str *attachments,
             size_t count)
{
    if (so->state == SOCKET_JOINED) {
        send_packet(so, count ? SIO_BINARY_ACK : SIO_ACK, ack, json, attachments, count);
    }
}

void sio_accept(struct sio_socket *so, struct str sid, struct str pid)
{
    if (so->state != SOCKET_ASKED) {
        return;
    }
    struct client *client = client_of(so->session);
    struct buf json = {0};
    timer_stop(so->server->opts.engine.loop, &client->timer);
    so->state = SOCKET_JOINED;
    if (sid.len && sid.len < sizeof(so->sid)) {
        memcpy(so->sid, sid.ptr, sid.len);
    } else {
        make_sid(so->sid);
    }
    if (revision(so->session) == 5) {
        (void)buf_printf(&json, "{\"sid\":\"%s\"", so->sid);
        if (pid.len) {
            (void)buf_printf(&json, ",\"pid\":\"%.*s\"", STR_ARG(pid));
        }
        (void)buf_add_char(&json, '}');
    }
    send_packet(so, SIO_CONNECT, (struct str){0}, buf_str(&json), NULL, 0);
    buf_fini(&json);
}

void sio_refuse(struct sio_socket *so, struct str message, struct str data)
{
    if (so->state != SOCKET_ASKED) {
        return;
    }
    struct buf json = {0};
    if (revision(so->session) == 4 && data.len) {
        (void)buf_add_str(&json, data);
    } else if (revision(so->session) == 4) {
        (void)buf_printf(&json, "\"%.*s\"", STR_ARG(message));
    } else {
        (void)buf_printf(&json, "{\"message\":\"%.*s\"", STR_ARG(message));
        if (data.len) {
            (void)buf_add_lit(&json, ",\"data\":");
            (void)buf_add_str(&json, data);
        }
        (void)buf_add_char(&json, '}');
    }
    send_packet(so, SIO_CONNECT_ERROR, (struct str){0}, buf_str(&json), NULL, 0);
    buf_fini(&json);
    if (so->state == SOCKET_ASKED) { /* the session may have ended by it */
        socket_over(so);
    }
}

void sio_disconnect(struct sio_socket *so)
{
    if (so->state == SOCKET_OVER) {
        return;
    }
    send_packet(so, SIO_DISCONNECT, (struct str){0}, (struct str){0}, NULL, 0);
    if (so->state != SOCKET_OVER) {
        socket_close(so, "server namespace disconnect");
    }
}

/* ---- in ---- */

static void read_resume(struct str auth, struct sio_connect *info)
{
    struct scan s;
    struct str key;
    scan_begin(&s, auth);
    if (!scan_object(&s)) {
        return;
    }
    while (scan_key(&s, &key)) {
        if (scan_string_is(key, STR("pid"))) {
            (void)scan_string(&s, &info->pid);
        } else if (scan_string_is(key, STR("offset"))) {
            (void)scan_string(&s, &info->offset);
        }
    }
}

static void ask(struct engine_session *s, struct sio_connect *info)
{
    struct sio_server *server = client_of(s)->server;
    read_resume(info->auth, info);
    server->opts.handler->connect(server->opts.self, socket_new(s, info->nsp), info);
}

static void on_connect(struct engine_session *s, const struct sio_packet *p)
{
    if (find(s, p->nsp)) {
        if (revision(s) == 5) {
            violated(s, "connected already");
        }
        return;
    }
    if (client_of(s)->count >= SIO_MAX_JOINED) {
        violated(s, "too many namespaces");
        return;
    }
    ask(s, &(struct sio_connect){
               .nsp = p->nsp, .auth = p->data.len ? p->data : STR("{}"), .query = p->query});
}

static void on_whole(struct engine_session *s, const struct sio_packet *p, const struct str *parts)
{
    struct sio_server *server = client_of(s)->server;
    struct sio_socket *so = sio_find(s, p->nsp);
    if (!so) {
        if (revision(s) == 5) {
            violated(s, "not connected to the namespace");
        }
        return;
    }
    switch (p->type) {
    case SIO_DISCONNECT:
        socket_close(so, "client namespace disconnect");
        break;
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        server->opts.handler->event(server->opts.self, so,
                                    &(struct sio_event){.name_is_number = p->event_is_number,
                                                        .name = p->event,
                                                        .args = p->args,
                                                        .ack = p->ack,
                                                        .attachments = parts,
                                                        .attachment_count = p->attachments});
        break;
    case SIO_ACK:
    case SIO_BINARY_ACK: /* nothing asks for one here */
        break;
    case SIO_CONNECT:
    case SIO_CONNECT_ERROR:
        violated(s, "not for clients to say");
        break;
    }
}

static void wait_for_parts(struct client *client, struct str text, unsigned due)
{
    struct partial *p = mem_zero(sizeof(*p));
    (void)buf_add_str(&p->text, text);
    p->due = due;
    p->bytes = text.len;
    client->partial = p;
}

static void on_text(struct engine_session *s, struct str text)
{
    struct client *client = client_of(s);
    struct sio_packet p;
    const char *why = "";
    if (client->partial) {
        violated(s, "an attachment is due");
    } else if (sio_read(text, revision(s), &p, &why) != OK) {
        violated(s, why);
    } else if (p.type == SIO_CONNECT) {
        on_connect(s, &p);
    } else if (p.attachments) {
        wait_for_parts(client, text, p.attachments);
    } else {
        on_whole(s, &p, NULL);
    }
}

static void on_binary(struct engine_session *s, struct str bytes)
{
    struct client *client = client_of(s);
    struct partial *partial = client->partial;
    if (!partial) {
        violated(s, "no attachment is due");
        return;
    }
    partial->bytes += bytes.len;
    if (partial->bytes > client->server->opts.engine.max_payload) {
        violated(s, "attachments too large");
        return;
    }
    partial->parts[partial->count++] = str_make(mem_copy_text(bytes.ptr, bytes.len), bytes.len);
    if (partial->count < partial->due) {
        return;
    }
    struct sio_packet p;
    const char *why = "";
    client->partial = NULL; /* what the handler does may end the client */
    if (sio_read(buf_str(&partial->text), revision(s), &p, &why) == OK) {
        on_whole(s, &p, partial->parts);
    }
    struct client holder = {.partial = partial};
    partial_free(&holder);
}

/* ---- the engine's handler ---- */

static bool on_allow(void *self, struct conn *c, const struct http_request *r,
                     struct engine_session *s, const char **message)
{
    const struct sio_opts *o = &((struct sio_server *)self)->opts;
    return !o->handler->allow || o->handler->allow(o->self, c, r, s, message);
}

static void on_cors(void *self, struct conn *c, const struct http_request *r, struct buf *lines)
{
    const struct sio_opts *o = &((struct sio_server *)self)->opts;
    o->handler->cors(o->self, c, r, lines);
}

static void on_elsewhere(void *self, struct conn *c, const struct http_request *r, struct str body,
                         unsigned shard)
{
    const struct sio_opts *o = &((struct sio_server *)self)->opts;
    o->handler->elsewhere(o->self, c, r, body, shard);
}

static void on_no_namespace(void *self)
{
    violated(self, "no namespace was joined");
}

static void on_opened(void *self, struct engine_session *s, struct conn *c,
                      const struct http_request *r)
{
    struct sio_server *server = self;
    struct client *client = client_of(s);
    struct loop *l = server->opts.engine.loop;
    (void)c;
    client->server = server;
    list_init(&client->sockets);
    if (revision(s) == 4) {
        ask(s, &(struct sio_connect){.nsp = STR("/"), .auth = STR("{}"), .query = r->query});
    } else {
        timer_start(l, &client->timer, loop_now_ms(l) + server->opts.connect_timeout_ms,
                    on_no_namespace, s);
    }
}

static void on_message(void *self, struct engine_session *s, bool binary, struct str data)
{
    (void)self;
    if (binary) {
        on_binary(s, data);
    } else {
        on_text(s, data);
    }
}

static void on_transport(void *self, struct engine_session *s)
{
    const struct sio_opts *o = &((struct sio_server *)self)->opts;
    if (o->handler->transport) {
        o->handler->transport(o->self, s);
    }
}

static void on_drained(void *self, struct engine_session *s)
{
    const struct sio_opts *o = &((struct sio_server *)self)->opts;
    if (o->handler->drained) {
        o->handler->drained(o->self, s);
    }
}

static void on_closed(void *self, struct engine_session *s, const char *why)
{
    struct sio_server *server = self;
    struct client *client = client_of(s);
    timer_stop(server->opts.engine.loop, &client->timer);
    partial_free(client);
    while (!list_empty(&client->sockets)) {
        socket_close(containerof(client->sockets.next, struct sio_socket, node), why);
    }
}

/* ---- life ---- */

struct sio_server *sio_new(const struct sio_opts *opts)
{
    struct sio_server *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    if (!s->opts.connect_timeout_ms) {
        s->opts.connect_timeout_ms = 45000;
    }
    s->opts.user_bytes = (opts->user_bytes + 15) & ~(size_t)15;
    if (!s->opts.engine.max_payload) {
        s->opts.engine.max_payload = ENGINE_MAX_PAYLOAD;
    }
    list_init(&s->dead);
    s->handler = (struct engine_handler){
        .allow = on_allow,
        .cors = opts->handler->cors ? on_cors : NULL,
        .elsewhere = opts->handler->elsewhere ? on_elsewhere : NULL,
        .opened = on_opened,
        .message = on_message,
        .transport = on_transport,
        .drained = on_drained,
        .closed = on_closed,
    };
    struct engine_opts engine = opts->engine;
    engine.handler = &s->handler;
    engine.self = s;
    engine.user_bytes = sizeof(struct client);
    s->engine = engine_new(&engine);
    return s;
}

void sio_free(struct sio_server *s)
{
    if (s) {
        engine_free(s->engine);
        loop_undefer(&s->defer);
        free_dead(s);
        buf_fini(&s->packet);
        mem_free(s);
    }
}

struct engine *sio_engine(struct sio_server *s)
{
    return s->engine;
}

/* ---- asking ---- */

void *sio_user(struct sio_socket *so)
{
    return so + 1;
}

struct sio_socket *sio_of_user(void *user)
{
    return (struct sio_socket *)user - 1;
}

struct engine_session *sio_session(struct sio_socket *so)
{
    return so->session;
}

struct str sio_nsp(const struct sio_socket *so)
{
    return str_make(so->nsp, so->nsp_len);
}

struct str sio_sid(const struct sio_socket *so)
{
    return str_of(so->sid);
}

bool sio_is_joined(const struct sio_socket *so)
{
    return so->state == SOCKET_JOINED;
}

struct sio_socket *sio_find(struct engine_session *s, struct str nsp)
{
    struct sio_socket *so = find(s, nsp);
    return so && sio_is_joined(so) ? so : NULL;
}
