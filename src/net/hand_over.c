/* A conn goes from one net_server, and thread, to another, with the request that waits. Its stream
 * leaves the loop first; what arrives meanwhile is stashed behind the request as always.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/metrics.h"
#include "net/conn.h"
#include "net/tls.h"

#include <assert.h>
#include <unistd.h>

static struct metric moved =
    METRIC_COUNTER("coincast_net_handed_over_total", "Connections handed over to another shard.");

struct net_parcel {
    int fd; /* -1 while the conn still has it */
    uint8_t peer[16];
    struct buf bytes;        /* the request, written anew, and what came behind it */
    struct out *out;         /* not sent yet; plain text on TLS */
    struct tls_session *tls; /* NULL: plain */
    void (*done)(void *self, struct net_parcel *owned_parcel);
    void *self;
};

/* Headers that say how the body comes: it is here whole. */
static bool is_of_framing(struct str name)
{
    return str_eq_nocase(name, STR("Transfer-Encoding")) ||
           str_eq_nocase(name, STR("Content-Length")) || str_eq_nocase(name, STR("Expect"));
}

/* Never longer than what came, so that limits that held still hold. */
static void write_request(struct buf *out, const struct http_request *r, struct str body)
{
    (void)buf_add_str(out, r->method_text);
    (void)buf_add_char(out, ' ');
    (void)buf_add_str(out, r->target);
    (void)buf_printf(out, " HTTP/1.%u\r\n", r->minor);
    for (size_t i = 0; i < r->header_count; i++) {
        if (!is_of_framing(r->headers[i].name)) {
            (void)buf_add_str(out, r->headers[i].name);
            (void)buf_add_char(out, ':');
            (void)buf_add_str(out, r->headers[i].value);
            (void)buf_add_lit(out, "\r\n");
        }
    }
    if (r->has_length || r->chunked) {
        (void)buf_printf(out, "Content-Length:%zu\r\n", body.len);
    }
    (void)buf_add_lit(out, "\r\n");
    (void)buf_add_str(out, body);
}

void conn_hand_over(struct conn *c, const struct http_request *r, struct str body,
                    void (*done)(void *self, struct net_parcel *owned_parcel), void *self)
{
    if (c->state != CONN_HTTP || (c->flags & (CF_WAITING | CF_MOVING)) != CF_WAITING) {
        done(self, NULL); /* it has ended meanwhile, or is answered */
        return;
    }
    struct net_parcel *p = mem_zero(sizeof(*p));
    p->fd = -1;
    p->done = done;
    p->self = self;
    memcpy(p->peer, c->peer, sizeof(p->peer));
    write_request(&p->bytes, r, body);
    http_keep_parcel(c, p);
    c->flags |= CF_MOVING;
    conn_clear_deadline(c);
    list_remove(&c->due);
    stream_detach(c->server->opts.loop, &c->stream);
}

void conn_moved(struct conn *c)
{
    const struct net_opts *o = &c->server->opts;
    struct buf rest = {0};
    struct net_parcel *p = http_take_parcel(c, &rest);
    (void)buf_add_str(&p->bytes, buf_str(&rest));
    buf_fini(&rest);
    p->fd = c->stream.fd;
    p->out = c->out;
    p->tls = c->tls;
    c->out = NULL;
    c->tls = NULL;
    if (p->tls) {
        tls_set_pool(p->tls, NULL);
    }
    c->state = CONN_GONE;
    c->why = WHY_MOVED;
    c->flags &= ~(uint32_t)CF_WAITING;
    wheel_remove(&c->node);
    metric_add(&moved, 1);
    conn_tell_closing(c, CONN_HTTP);
    o->handler->closed(o->self, c, 0, conn_why_text(WHY_MOVED));
    conn_free(c);
    p->done(p->self, p);
}

void parcel_lost(struct net_parcel *owned_parcel)
{
    struct net_parcel *p = owned_parcel;
    if (p) {
        p->done(p->self, NULL);
        net_parcel_free(p);
    }
}

void net_adopt(struct net_server *s, struct net_parcel *owned_parcel)
{
    struct net_parcel *p = owned_parcel;
    if (!p) {
        return;
    }
    assert(!p->tls == !s->opts.tls);
    struct conn *c = conn_new(s, p->fd, p->peer, false);
    p->fd = -1;
    if (c) {
        uint32_t flags = 0;
        (void)!peer_count(s, p->peer, SIZE_MAX, &flags); /* it was let in elsewhere */
        c->flags |= flags;
        if (p->tls) {
            tls_session_free(c->tls);
            tls_set_pool(p->tls, &s->pool);
            c->tls = p->tls;
            p->tls = NULL;
        }
        c->out = p->out;
        p->out = NULL;
        if (conn_pending(c)) {
            conn_mark_due(c);
        }
        http_put_bytes(c, &p->bytes);
    }
    net_parcel_free(p);
}

void net_parcel_free(struct net_parcel *owned_parcel)
{
    struct net_parcel *p = owned_parcel;
    struct out_pool none = {0};
    if (!p) {
        return;
    }
    if (p->fd >= 0) {
        (void)close(p->fd);
    }
    if (p->tls) {
        tls_set_pool(p->tls, &none);
        tls_session_free(p->tls);
    }
    out_release(&none, &p->out);
    out_pool_fini(&none);
    buf_fini(&p->bytes);
    mem_free(p);
}
