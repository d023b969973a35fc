/* One message to many clients over TLS. What is lent is not copied: net_flush() enciphers it where
 * it lies, into one memory in the order of the sends, and touches a conn again only when its socket
 * did not take all. For with a thousand sessions it is the memory touched that costs.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "net/conn.h"
#include "net/tls.h"

/* Not so many ahead that the first are gone from the cache again by then: of a session it is some
 * 40 lines. NEAR_AHEAD is for the one that has to be read to know where they are. */
enum { SOON_AHEAD = 8, NEAR_AHEAD = 16 };
enum { LENT_MAX = 256, RECORD_ROOM = TLS_SMALL + 256 };

struct lending {
    size_t count;
    struct lent {
        struct conn *conn;
        struct str bytes;
    } lent[LENT_MAX];
    struct conn *conns[LENT_MAX]; /* of `outs` */
    struct stream_out outs[LENT_MAX];
    char records[LENT_MAX * RECORD_ROOM];
};

void conn_soon(const void *user)
{
    const char *conn = (const char *)((const struct conn *)user - 1);
    for (size_t at = 0; at <= sizeof(struct conn) + CACHE_LINE; at += CACHE_LINE) {
        prefetch_l2(conn + at);
    }
}

static bool takes_loans(const struct conn *c)
{
    return c->tls && !c->out && !list_linked(&c->due) &&
           !(c->flags & (CF_CONGESTED | CF_OWES_DRAINED | CF_MOVING | CF_LENT)) &&
           (c->state == CONN_WS || c->state == CONN_STREAM);
}

void conn_lend(struct conn *c, struct str bytes)
{
    struct net_server *s = c->server;
    if (!takes_loans(c) || bytes.len > TLS_SMALL || (s->lending && s->lending->count == LENT_MAX)) {
        s->not_lent = true;
        conn_write(c, bytes);
        return;
    }
    if (!s->lending) {
        s->lending = mem_alloc(sizeof(*s->lending));
        s->lending->count = 0;
    }
    c->flags |= CF_LENT;
    s->lending->lent[s->lending->count++] = (struct lent){c, bytes};
}

/* Puts the record behind those that are there; gives its length, 0 when it goes another way. */
static size_t encipher(struct conn *c, struct str bytes, char *out)
{
    size_t put = 0;
    if (c->state >= CONN_LINGERING) {
        return 0;
    }
    size_t took = 0;
    if (tls_is_clear(c->tls)) {
        took = tls_write_to(c->tls, bytes, out, RECORD_ROOM, &put);
    }
    if (took < bytes.len || !put) {
        conn_queue(c, bytes.ptr + took, bytes.len - took);
        conn_mark_due(c);
    }
    return put;
}

bool conn_flush_lent(struct net_server *s)
{
    struct lending *l = s->lending;
    size_t n = 0, used = 0;
    bool all = true;
    if (!l || !l->count) {
        return true;
    }
    for (size_t i = 0; i < min_size(NEAR_AHEAD, l->count); i++) {
        tls_near(l->lent[i].conn->tls);
    }
    for (size_t i = 0; i < min_size(SOON_AHEAD, l->count); i++) {
        tls_soon(l->lent[i].conn->tls);
    }
    for (size_t i = 0; i < l->count; i++) {
        struct conn *c = l->lent[i].conn;
        if (i + NEAR_AHEAD < l->count) {
            tls_near(l->lent[i + NEAR_AHEAD].conn->tls);
        }
        if (i + SOON_AHEAD < l->count) {
            tls_soon(l->lent[i + SOON_AHEAD].conn->tls);
        }
        c->flags &= ~(uint32_t)CF_LENT;
        size_t len = encipher(c, l->lent[i].bytes, l->records + used);
        if (len) {
            l->conns[n] = c;
            l->outs[n++] = (struct stream_out){
                .stream = &c->stream, .bytes = l->records + used, .len = (uint32_t)len};
            used += len;
        } else {
            all = false;
        }
    }
    l->count = 0;
    stream_send_many(s->opts.loop, l->outs, n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_out *o = &l->outs[i];
        if (o->result != (int32_t)o->len) {
            all = false;
            conn_sent_some(l->conns[i], (const char *)o->bytes, o->len, o->result);
        }
    }
    return all;
}
