/* The life of a conn: deadlines, bytes in, the end. What goes out is conn_output.c's, what bytes
 * mean http_server.c's and ws_session.c's. SPDX-License-Identifier: MIT */
#include "net/conn.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static struct metric open_conns = METRIC_GAUGE("coincast_net_conns", "Connections open now.");
static struct metric dead_cut = METRIC_COUNTER("coincast_net_dead_peers_total",
                                               "WebSockets cut because no answer came to a ping.");

static const struct stream_ops conn_stream_ops;

static struct conn *conn_of(struct stream *s)
{
    return containerof(s, struct conn, stream);
}

const char *conn_why_text(enum conn_why why)
{
    static const char *const text[] = {
#define X(name, words) words,
        CONN_WHY_TABLE(X)
#undef X
    };
    return text[why];
}

static const struct net_handler *handler(const struct conn *c)
{
    return c->server->opts.handler;
}

struct conn *conn_new(struct net_server *s, int owned_fd, const uint8_t peer[16], bool refused)
{
    struct conn *c = mem_alloc(sizeof(*c) + s->opts.user_bytes);
    memset(c, 0, sizeof(*c) + s->opts.user_bytes);
    c->server = s;
    list_init(&c->due);
    memcpy(c->peer, peer, sizeof(c->peer));
    c->seen_ms = (uint32_t)loop_now_ms(s->opts.loop);
    c->flags = CF_READING_HEAD | (refused ? CF_REFUSED : 0);
    if (stream_open(s->opts.loop, &c->stream, owned_fd, &conn_stream_ops) != OK) {
        mem_free(c);
        return NULL;
    }
    wheel_add(&s->wheel, &c->node, WHEEL_NEVER);
    conn_set_deadline(c, s->opts.head_timeout_ms);
    if (s->opts.tls) {
        c->tls = tls_session_new(s->opts.tls, &s->pool);
    }
    s->count++;
    s->refused += refused;
    metric_add(&open_conns, 1);
    return c;
}

void conn_free(struct conn *c)
{
    struct net_server *s = c->server;
    if (c->flags & CF_WS) {
        ws_free(c);
    } else {
        http_free(c);
    }
    tls_session_free(c->tls);
    out_release(&s->pool, &c->out);
    peer_uncount(s, c->peer, c->flags);
    s->count--;
    s->refused -= (c->flags & CF_REFUSED) != 0;
    metric_add(&open_conns, -1);
    mem_free(c);
}

/* ---- deadlines ---- */

void conn_set_deadline(struct conn *c, uint64_t in_ms)
{
    struct net_server *s = c->server;
    uint64_t at_ms = loop_now_ms(s->opts.loop) + in_ms;
    wheel_set(&s->wheel, &c->node, at_ms);
    if (at_ms + WHEEL_TICK_MS < s->sweep_at_ms) {
        s->sweep_at_ms = at_ms + WHEEL_TICK_MS;
        timer_start(s->opts.loop, &s->sweep, s->sweep_at_ms, s->sweep.fn, s);
    }
}

void conn_clear_deadline(struct conn *c)
{
    wheel_set(&c->server->wheel, &c->node, WHEEL_NEVER);
}

void conn_deadline(void *server, struct wheel_node *n)
{
    (void)server;
    struct conn *c = containerof(n, struct conn, node);
    switch ((enum conn_state)c->state) {
    case CONN_HTTP:
        http_deadline(c);
        break;
    case CONN_WS:
        ws_deadline(c);
        if (c->state == CONN_GONE) {
            metric_add(&dead_cut, 1);
        }
        break;
    case CONN_WS_CLOSING:
        conn_drop(c, c->close_code, WHY_CLOSE_TIMEOUT, true);
        break;
    case CONN_STREAM:
    case CONN_FINISHING:
        conn_drop(c, c->close_code, WHY_NO_PROGRESS, true);
        break;
    case CONN_LINGERING:
        conn_drop(c, c->close_code, (enum conn_why)c->why, false);
        break;
    case CONN_GONE:
        break;
    }
}

/* ---- input ---- */

void conn_pause(struct conn *c, bool paused)
{
    if (paused != ((c->flags & CF_PAUSED) != 0)) {
        c->flags ^= CF_PAUSED;
        stream_pause(c->server->opts.loop, &c->stream, paused);
    }
}

static void peer_ended(struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_HTTP:
        c->flags |= CF_PEER_ENDED;
        http_end(c);
        break;
    case CONN_STREAM:
        conn_drop(c, 0, WHY_PEER_LEFT, false);
        break;
    case CONN_WS:
        conn_drop(c, 1006, WHY_PEER_LEFT, false);
        break;
    case CONN_WS_CLOSING:
        conn_drop(c, c->close_code, WHY_PEER_LEFT, false);
        break;
    case CONN_FINISHING:
        c->flags |= CF_PEER_ENDED;
        break;
    case CONN_LINGERING:
        conn_drop(c, c->close_code, (enum conn_why)c->why, false);
        break;
    case CONN_GONE:
        break;
    }
}

static void conn_input(struct conn *c, char *bytes, size_t len)
{
    if (c->state == CONN_HTTP) {
        http_input(c, bytes, len);
    } else if (c->state == CONN_WS || c->state == CONN_WS_CLOSING) {
        ws_input(c, bytes, len);
    }
}

static void tls_input(struct conn *c, const char *bytes, size_t len)
{
    struct net_server *s = c->server;
    tls_feed(c->tls, bytes, len);
    while (c->state < CONN_FINISHING) {
        size_t got = 0;
        enum err e = tls_read(c->tls, s->plain, NET_PLAIN_BYTES, &got);
        if (e == OK) {
            conn_input(c, s->plain, got);
        } else if (e == ERR_CLOSED) {
            peer_ended(c);
            break;
        } else if (e == ERR_MORE) {
            break;
        } else {
            conn_log(c, "TLS failed", tls_error(c->tls), 0);
            c->flags |= CF_TLS_ENDED;
            out_release(&s->pool, &c->out);
            conn_end(c, c->flags & CF_WS ? 1006 : 0, WHY_TLS);
        }
    }
    tls_feed(c->tls, NULL, 0);
    if (c->state < CONN_LINGERING && conn_pending(c)) {
        conn_mark_due(c);
    }
}

static void on_data(struct stream *stream, char *bytes, size_t len)
{
    struct conn *c = conn_of(stream);
    if (c->state >= CONN_FINISHING) {
        return;
    }
    c->seen_ms = (uint32_t)loop_now_ms(c->server->opts.loop);
    c->flags |= CF_ALIVE;
    if (c->tls) {
        tls_input(c, bytes, len);
    } else {
        conn_input(c, bytes, len);
    }
}

static void on_writable(struct stream *stream)
{
    conn_writable(conn_of(stream));
}

static void on_end(struct stream *stream, enum err why)
{
    struct conn *c = conn_of(stream);
    if (c->state == CONN_GONE || (c->flags & CF_MOVING)) {
        return; /* of one that moves: its new server will see it too */
    }
    if (why == OK) {
        peer_ended(c);
    } else if (c->state >= CONN_WS_CLOSING) {
        conn_drop(c, c->close_code, c->why ? (enum conn_why)c->why : WHY_BROKEN, false);
    } else {
        conn_drop(c, c->flags & CF_WS ? 1006 : 0, WHY_BROKEN, false);
    }
}

static void on_closed(struct stream *stream)
{
    struct conn *c = conn_of(stream);
    list_remove(&c->due);
    if ((c->flags & CF_MOVING) && c->state != CONN_GONE) {
        conn_moved(c);
        return;
    }
    if (stream->fd >= 0) {
        (void)close(stream->fd); /* it had left the loop when it was ended */
    }
    if (!(c->flags & CF_REFUSED)) {
        handler(c)->closed(c->server->opts.self, c, c->close_code,
                           conn_why_text((enum conn_why)c->why));
    }
    conn_free(c);
}

static const struct stream_ops conn_stream_ops = {
    .data = on_data,
    .end = on_end,
    .writable = on_writable,
    .closed = on_closed,
};

/* ---- the end ---- */

void conn_tell_closing(struct conn *c, enum conn_state before)
{
    const struct net_opts *o = &c->server->opts;
    if (before < CONN_WS_CLOSING && o->handler->closing && !(c->flags & CF_REFUSED)) {
        o->handler->closing(o->self, c);
    }
}

void conn_end(struct conn *c, uint16_t code, enum conn_why why)
{
    if (c->state >= CONN_FINISHING) {
        return;
    }
    enum conn_state before = (enum conn_state)c->state;
    c->state = CONN_FINISHING;
    c->close_code = code;
    c->why = (uint8_t)why;
    c->flags &= ~(uint32_t)CF_WAITING;
    conn_set_deadline(c, code ? CONN_LINGER_MS : c->server->opts.body_timeout_ms);
    conn_mark_due(c);
    conn_tell_closing(c, before);
}

void conn_drop(struct conn *c, uint16_t code, enum conn_why why, bool reset)
{
    if (c->state == CONN_GONE) {
        return;
    }
    enum conn_state before = (enum conn_state)c->state;
    c->state = CONN_GONE;
    c->close_code = code;
    c->why = (uint8_t)why;
    c->flags &= ~(uint32_t)CF_WAITING;
    list_remove(&c->due);
    wheel_remove(&c->node);
    stream_close(c->server->opts.loop, &c->stream, reset);
    conn_tell_closing(c, before);
}

void conn_log(struct conn *c, const char *message, const char *reason, unsigned code)
{
    char peer[64];
    log_info("net", message, "peer=%s reason=%s code=%u", conn_peer(c, peer),
             log_quote(str_of(reason)), code);
}

void conn_finish(struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_HTTP:
        c->flags &= ~(uint32_t)CF_KEEP;
        if (!(c->flags & CF_WAITING)) {
            conn_end(c, 0, WHY_CLOSED_HERE);
        }
        break;
    case CONN_STREAM:
        if (c->flags & CF_CHUNKED) {
            conn_queue(c, "0\r\n\r\n", 5);
        }
        conn_end(c, 0, WHY_CLOSED_HERE);
        break;
    case CONN_WS:
        conn_close_ws(c, WS_CLOSE_GOING_AWAY, (struct str){0});
        break;
    case CONN_WS_CLOSING:
    case CONN_FINISHING:
    case CONN_LINGERING:
    case CONN_GONE:
        break;
    }
}

void conn_abort(struct conn *c)
{
    conn_drop(c, c->flags & CF_WS ? 1006 : 0, WHY_ABORTED, true);
}

/* ---- asking ---- */

void *conn_user(struct conn *c)
{
    return c + 1;
}

struct conn *conn_of_user(void *user)
{
    return (struct conn *)user - 1;
}

struct net_server *conn_server(struct conn *c)
{
    return c->server;
}

const char *conn_peer(struct conn *c, char out[64])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool v4 = !memcmp(c->peer, mapped, sizeof(mapped));
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? c->peer + 12 : c->peer, out, 64)) {
        out[0] = '\0';
    }
    return out;
}

bool conn_peer_is_loopback(const struct conn *c)
{
    return c->flags & CF_LOOPBACK;
}

bool conn_is_ws(const struct conn *c)
{
    return c->flags & CF_WS;
}

bool conn_is_tls(const struct conn *c)
{
    return c->tls != NULL;
}

bool conn_takes_deflate(const struct conn *c)
{
    return (c->flags & CF_DEFLATE) && c->server->opts.deflate_policy.shared;
}

bool conn_is_closing(const struct conn *c)
{
    return c->state >= CONN_WS_CLOSING;
}

uint64_t conn_last_seen_ms(const struct conn *c)
{
    uint64_t now_ms = loop_now_ms(c->server->opts.loop);
    return now_ms - (uint32_t)((uint32_t)now_ms - c->seen_ms);
}

uint32_t conn_rtt_us(const struct conn *c)
{
    return c->rtt_us;
}

struct stream *conn_stream(struct conn *c)
{
    return c->tls ? NULL : &c->stream;
}
