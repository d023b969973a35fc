/* What a conn sends: collected during the turn, sent once in the flush with everything that came
 * together, kept in memory while the socket is full. SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "net/conn.h"
#include "net/tls.h"

#include <sys/socket.h>

#define FLUSH_BATCH 256
#define FLUSH_ROUNDS 64
#define CIPHER_AT_ONCE 65536

static struct metric slow_cut = METRIC_COUNTER(
    "coincast_net_slow_clients_cut_total", "Connections cut because too many bytes were pending.");

static const struct net_handler *handler(const struct conn *c)
{
    return c->server->opts.handler;
}

static struct out **wire_out(struct conn *c)
{
    return c->tls ? tls_out(c->tls) : &c->out;
}

size_t conn_pending(const struct conn *c)
{
    return out_pending(c->out) + (c->tls ? out_pending(*tls_out(c->tls)) : 0);
}

bool conn_is_congested(const struct conn *c)
{
    return c->flags & CF_OWES_DRAINED;
}

/* Deferred work keeps the loop from waiting: what other flush hooks write behind ours is sent in a
 * turn that follows at once. */
static void net_is_due(void *server)
{
    (void)server;
}

void conn_mark_due(struct conn *c)
{
    if (!list_linked(&c->due) && !(c->flags & (CF_CONGESTED | CF_MOVING)) &&
        c->state < CONN_LINGERING) {
        struct net_server *s = c->server;
        if (list_empty(&s->due)) {
            loop_defer(s->opts.loop, &s->due_defer, net_is_due, s);
        }
        list_push(&s->due, &c->due);
    }
}

char *conn_room(struct conn *c, size_t len)
{
    return out_room(&c->server->pool, &c->out, len);
}

void conn_added(struct conn *c, size_t len)
{
    out_added(c->out, len);
    conn_mark_due(c);
    if (unlikely(conn_pending(c) > c->server->opts.max_pending)) {
        metric_add(&slow_cut, 1);
        conn_log(c, "slow client cut", conn_why_text(WHY_TOO_SLOW), 0);
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
            conn_mark_due(c);
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
    conn_set_deadline(c, CONN_LINGER_MS);
}

/* All that waited is sent. */
static void emptied(struct conn *c)
{
    bool was_congested = c->flags & CF_OWES_DRAINED;
    c->flags &= ~(uint32_t)(CF_CONGESTED | CF_OWES_DRAINED);
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

/* The socket is full: nothing is tried until the stream says that there is room, and `drained` is
 * owed from now on. */
static void wait_for_room(struct conn *c, bool progress)
{
    bool first = !(c->flags & CF_CONGESTED);
    c->flags |= CF_CONGESTED | CF_OWES_DRAINED | (progress ? CF_ALIVE : 0);
    if ((first || progress) && !(c->flags & CF_WS)) {
        conn_set_deadline(c, c->server->opts.body_timeout_ms);
    }
    stream_want_write(c->server->opts.loop, &c->stream);
}

static void became_congested(struct conn *c, bool progress)
{
    bool first = !(c->flags & CF_OWES_DRAINED);
    wait_for_room(c, progress);
    if (first && handler(c)->congested && c->state < CONN_FINISHING) {
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
        conn_mark_due(c);
    } else {
        emptied(c);
    }
}

void conn_sent_some(struct conn *c, const char *bytes, size_t len, ssize_t result)
{
    if (c->state != CONN_GONE && result >= 0) {
        out_add(&c->server->pool, tls_out(c->tls), bytes + result, len - (size_t)result);
        list_remove(&c->due);
        became_congested(c, result > 0);
    } else if (result < 0) {
        sent(c, len, result);
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

bool conn_flush_due(void *server)
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

void conn_writable(struct conn *c)
{
    if (c->state >= CONN_LINGERING) {
        return;
    }
    struct str bytes = wire_bytes(c);
    if (!bytes.len) {
        emptied(c);
        return;
    }
    sent(c, bytes.len, stream_send(c->server->opts.loop, &c->stream, bytes.ptr, bytes.len));
}

/* ---- writing ---- */

void conn_write(struct conn *c, struct str bytes)
{
    if (c->state == CONN_WS || c->state == CONN_STREAM) {
        conn_queue(c, bytes.ptr, bytes.len);
    }
}

/* One send, outside the flush; false when there is no use in another. The caller of the write sees
 * what is left: handlers are never called from inside it. A broken stream shows again in the flush.
 */
static bool send_now(struct conn *c)
{
    struct str wire = wire_bytes(c);
    if (!wire.len) {
        return false;
    }
    ssize_t n = stream_send(c->server->opts.loop, &c->stream, wire.ptr, wire.len);
    if (n < 0) {
        return false;
    }
    struct out **o = wire_out(c);
    (*o)->sent += (size_t)n;
    if (!out_pending(*o)) {
        out_release(&c->server->pool, o);
    }
    if ((size_t)n < wire.len) {
        wait_for_room(c, n > 0);
        list_remove(&c->due);
        return false;
    }
    return true;
}

void conn_write_now(struct conn *c, struct str bytes)
{
    if (c->flags & CF_LENT) {
        (void)conn_flush_lent(c->server);
    }
    conn_write(c, bytes);
    if (c->state >= CONN_WS_CLOSING || (c->flags & CF_CONGESTED)) {
        return;
    }
    while (send_now(c)) {
    }
    if (conn_pending(c)) {
        c->flags |= CF_OWES_DRAINED;
    } else {
        list_remove(&c->due);
    }
}

bool net_flush(struct net_server *s)
{
    bool all = conn_flush_lent(s) && !s->not_lent && list_empty(&s->due);
    s->not_lent = false;
    (void)conn_flush_due(s);
    return all;
}
