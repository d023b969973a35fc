/* The life of a conn: bytes in, bytes out, the end. What bytes mean is http_server.c's and
 * ws_session.c's. SPDX-License-Identifier: MIT */
#include "net/conn.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#define FLUSH_BATCH 256
#define FLUSH_ROUNDS 64
#define CIPHER_AT_ONCE 65536
#define LINGER_MS 2000

static struct metric open_conns = METRIC_GAUGE("coincast_net_conns", "Connections open now.");
static struct metric slow_cut = METRIC_COUNTER(
    "coincast_net_slow_clients_cut_total", "Connections cut because too many bytes were pending.");
static struct metric dead_cut = METRIC_COUNTER("coincast_net_dead_peers_total",
                                               "WebSockets cut because no answer came to a ping.");

static const struct stream_ops conn_stream_ops;

static struct conn *conn_of(struct stream *s)
{
    return containerof(s, struct conn, stream);
}

static const char *why_text(enum conn_why why)
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

static void conn_free(struct conn *c)
{
    struct net_server *s = c->server;
    if (c->flags & CF_WS) {
        ws_free(c);
    } else {
        http_free(c);
    }
    tls_session_free(c->tls);
    out_release(&s->pool, &c->out);
    listener_forget(c);
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

/* ---- output ---- */

static struct out **wire_out(struct conn *c)
{
    return c->tls ? tls_out(c->tls) : &c->out;
}

size_t conn_pending(const struct conn *c)
{
    return out_pending(c->out) + (c->tls ? out_pending(*tls_out(c->tls)) : 0);
}

static void no_work(void *self)
{
    (void)self;
}

static void mark_due(struct conn *c)
{
    struct net_server *s = c->server;
    if (!list_linked(&c->due) && !(c->flags & CF_CONGESTED) && c->state < CONN_LINGERING) {
        list_push(&s->due, &c->due);
        /* Other flush hooks may write behind ours: the loop must not wait then. */
        loop_defer(s->opts.loop, &s->again, no_work, NULL);
    }
}

char *conn_room(struct conn *c, size_t len)
{
    return out_room(&c->server->pool, &c->out, len);
}

void conn_added(struct conn *c, size_t len)
{
    out_added(c->out, len);
    mark_due(c);
    if (unlikely(conn_pending(c) > c->server->opts.max_pending)) {
        metric_add(&slow_cut, 1);
        conn_log(c, "slow client cut", why_text(WHY_TOO_SLOW), 0);
        conn_drop(c, c->flags & CF_WS ? WS_CLOSE_POLICY : 0, WHY_TOO_SLOW, true);
    }
}

void conn_queue(struct conn *c, const void *bytes, size_t len)
{
    if (len) {
        memcpy(conn_room(c, len), bytes, len);
        conn_added(c, len);
    }
}

/* TLS: turns some of the plain output into records. */
static void encrypt(struct conn *c)
{
    struct out **cipher = tls_out(c->tls);
    while (out_pending(c->out) && out_pending(*cipher) < CIPHER_AT_ONCE) {
        size_t len = min_size(out_pending(c->out), NET_PLAIN_BYTES);
        size_t took = tls_write(c->tls, c->out->bytes + c->out->sent, len);
        if (!took) {
            break;
        }
        c->out->sent += took;
    }
    if (!out_pending(c->out)) {
        out_release(&c->server->pool, &c->out);
    }
}

/* What the socket should get next. */
static struct str wire_bytes(struct conn *c)
{
    if (c->tls) {
        encrypt(c);
    }
    const struct out *o = *wire_out(c);
    size_t len = min_size(out_pending(o), 1 << 30);
    return len ? str_make(o->bytes + o->sent, len) : (struct str){0};
}

/* Everything is sent and the conn is at its end: shut our side, so that the client reads it all
 * even when bytes of it lie unread here (a plain close would reset). */
static void shut(struct conn *c)
{
    if (c->tls && !(c->flags & CF_TLS_ENDED)) {
        c->flags |= CF_TLS_ENDED;
        tls_end(c->tls);
        if (conn_pending(c)) {
            mark_due(c);
            return;
        }
    }
    if (c->flags & CF_PEER_ENDED) {
        conn_drop(c, c->close_code, (enum conn_why)c->why, false);
        return;
    }
    (void)shutdown(c->stream.fd, SHUT_WR);
    c->state = CONN_LINGERING;
    conn_pause(c, false);
    conn_set_deadline(c, LINGER_MS);
}

/* All that waited is sent. */
static void emptied(struct conn *c)
{
    bool was_congested = c->flags & CF_CONGESTED;
    c->flags &= ~(uint32_t)CF_CONGESTED;
    switch ((enum conn_state)c->state) {
    case CONN_FINISHING:
        shut(c);
        return;
    case CONN_HTTP:
        if (c->flags & CF_WAITING) {
            conn_clear_deadline(c);
        } else if (was_congested) {
            conn_set_deadline(c, c->server->opts.idle_timeout_ms);
        }
        if (c->http && !(c->flags & CF_WAITING)) {
            http_resume_later(c);
        }
        break;
    case CONN_STREAM:
        conn_clear_deadline(c);
        break;
    case CONN_WS:
    case CONN_WS_CLOSING:
    case CONN_LINGERING:
    case CONN_GONE:
        break;
    }
    if (was_congested && handler(c)->drained && c->state < CONN_FINISHING) {
        handler(c)->drained(c->server->opts.self, c);
    }
}

/* True: it was not waiting yet. */
static bool wait_for_room(struct conn *c, bool progress)
{
    bool first = !(c->flags & CF_CONGESTED);
    c->flags |= CF_CONGESTED | (progress ? CF_ALIVE : 0);
    if ((first || progress) && !(c->flags & CF_WS)) {
        conn_set_deadline(c, c->server->opts.body_timeout_ms);
    }
    stream_want_write(c->server->opts.loop, &c->stream);
    return first;
}

static void became_congested(struct conn *c, bool progress)
{
    if (wait_for_room(c, progress) && handler(c)->congested && c->state < CONN_FINISHING) {
        handler(c)->congested(c->server->opts.self, c);
    }
}

/* The outcome of a send. */
static void sent(struct conn *c, size_t len, ssize_t result)
{
    if (c->state == CONN_GONE) {
        return;
    }
    if (result < 0) {
        conn_drop(c, c->flags & CF_WS ? 1006 : 0, WHY_BROKEN, false);
        return;
    }
    struct out **o = wire_out(c);
    (*o)->sent += (size_t)result;
    if (!out_pending(*o)) {
        out_release(&c->server->pool, o);
    }
    if ((size_t)result < len) {
        became_congested(c, result > 0);
    } else if (conn_pending(c)) {
        c->flags &= ~(uint32_t)CF_CONGESTED;
        mark_due(c);
    } else {
        emptied(c);
    }
}

static void flush_batch(struct net_server *s, struct list *due)
{
    struct conn *conns[FLUSH_BATCH];
    struct stream_out outs[FLUSH_BATCH];
    size_t count = 0;
    struct list *it;
    while (count < FLUSH_BATCH && (it = list_pop(due))) {
        struct conn *c = containerof(it, struct conn, due);
        struct str bytes = wire_bytes(c);
        if (bytes.len) {
            conns[count] = c;
            outs[count++] = (struct stream_out){
                .stream = &c->stream, .bytes = bytes.ptr, .len = (uint32_t)bytes.len};
        } else if (!conn_pending(c)) {
            emptied(c);
        }
    }
    if (count) {
        stream_send_many(s->opts.loop, outs, count);
    }
    for (size_t i = 0; i < count; i++) {
        sent(conns[i], outs[i].len, outs[i].result);
    }
}

bool net_flush(void *server)
{
    struct net_server *s = server;
    struct list due;
    list_init(&due);
    /* All that were due get their chance, however many they are: whoever sends past the conn
     * relies on nothing being left there but behind a full socket. */
    for (int round = 0; round < FLUSH_ROUNDS && !list_empty(&s->due); round++) {
        list_splice(&due, &s->due);
        while (!list_empty(&due)) {
            flush_batch(s, &due);
        }
    }
    return !list_empty(&s->due);
}

static void on_writable(struct stream *stream)
{
    struct conn *c = conn_of(stream);
    if (c->state >= CONN_LINGERING) {
        return;
    }
    struct str bytes = wire_bytes(c);
    if (!bytes.len) {
        emptied(c);
        return;
    }
    sent(c, bytes.len, stream_send(c->server->opts.loop, stream, bytes.ptr, bytes.len));
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
        mark_due(c);
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

static void on_end(struct stream *stream, enum err why)
{
    struct conn *c = conn_of(stream);
    if (c->state == CONN_GONE) {
        return;
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
    if (!(c->flags & CF_REFUSED)) {
        handler(c)->closed(c->server->opts.self, c, c->close_code, why_text((enum conn_why)c->why));
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
    if (before < CONN_WS_CLOSING && handler(c)->closing && !(c->flags & CF_REFUSED)) {
        handler(c)->closing(c->server->opts.self, c);
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
    conn_set_deadline(c, code ? LINGER_MS : c->server->opts.body_timeout_ms);
    mark_due(c);
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

/* ---- writing and asking ---- */

void conn_write(struct conn *c, struct str bytes)
{
    if (c->state == CONN_WS || c->state == CONN_STREAM) {
        conn_queue(c, bytes.ptr, bytes.len);
    }
}

void conn_write_now(struct conn *c, struct str bytes)
{
    conn_write(c, bytes);
    if (c->state >= CONN_WS_CLOSING || (c->flags & CF_CONGESTED)) {
        return;
    }
    struct str wire = wire_bytes(c);
    if (!wire.len) {
        return;
    }
    /* A broken stream shows again in the flush: handlers are called there, never from inside a
     * write. */
    ssize_t n = stream_send(c->server->opts.loop, &c->stream, wire.ptr, wire.len);
    if (n > 0) {
        struct out **o = wire_out(c);
        (*o)->sent += (size_t)n;
        if (!out_pending(*o)) {
            out_release(&c->server->pool, o);
        }
    }
    if (n >= 0 && (size_t)n < wire.len) {
        (void)wait_for_room(c, n > 0);
    }
    if (!conn_pending(c) || (c->flags & CF_CONGESTED)) {
        list_remove(&c->due);
    }
}

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
