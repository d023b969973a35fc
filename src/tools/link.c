/* SPDX-License-Identifier: MIT */
#include "tools/link.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { MAX_REST = 64 << 20, PLAIN_BYTES = 16 * 1024 };

enum err link_kind_tls(struct link_kind *kind, const char *ca_file, struct buf *error)
{
    return tls_context_new_client(ca_file, &kind->tls, error);
}

void link_kind_fini(struct link_kind *kind)
{
    tls_context_free(kind->tls);
    out_pool_fini(&kind->pool);
    *kind = (struct link_kind){0};
}

/* Sends, and keeps what does not go. */
static bool put(struct link *l, const char *bytes, size_t len)
{
    ssize_t n = l->rest.len > 0 ? 0 : stream_send(l->loop, &l->stream, bytes, len);
    if (n < 0) {
        return false;
    }
    if ((size_t)n == len) {
        return true;
    }
    if (l->rest.len == 0) {
        stream_want_write(l->loop, &l->stream);
    }
    return buf_add(&l->rest, bytes + n, len - (size_t)n);
}

static bool put_cipher(struct link *l)
{
    struct out **out = tls_out(l->tls);
    bool ok = out_pending(*out) == 0 || put(l, (*out)->bytes + (*out)->sent, out_pending(*out));
    out_release(&l->kind->pool, out);
    return ok;
}

bool link_send(struct link *l, struct str bytes)
{
    if (l->closing || !l->up) {
        return false;
    }
    if (l->tls == NULL) {
        return put(l, bytes.ptr, bytes.len);
    }
    while (bytes.len > 0) {
        size_t taken = tls_write(l->tls, bytes.ptr, bytes.len);
        if (taken == 0) {
            return false;
        }
        bytes = str_from(bytes, taken);
    }
    return put_cipher(l);
}

static void break_off(struct link *l, const char *why)
{
    if (!l->closing) {
        l->ops->broken(l, why);
    }
}

/* Takes plain bytes out of the session until it wants more; drives the handshake too. */
static void read_tls(struct link *l)
{
    char plain[PLAIN_BYTES];
    size_t got;
    enum err e;
    while ((e = tls_read(l->tls, plain, sizeof plain, &got)) == OK) {
        l->ops->data(l, plain, got);
        if (l->closing) {
            return;
        }
    }
    if (!put_cipher(l)) {
        break_off(l, "the connection broke");
    } else if (e != ERR_MORE) {
        break_off(l, e == ERR_CLOSED ? "the server ended the connection" : tls_error(l->tls));
    } else if (!l->up && tls_ready(l->tls)) {
        l->up = true;
        l->ops->open(l);
    }
}

static void on_data(struct stream *s, char *bytes, size_t len)
{
    struct link *l = containerof(s, struct link, stream);
    if (l->closing) {
        return;
    }
    if (l->tls == NULL) {
        l->ops->data(l, bytes, len);
        return;
    }
    tls_feed(l->tls, bytes, len);
    read_tls(l);
}

static void on_end(struct stream *s, enum err why)
{
    break_off(containerof(s, struct link, stream),
              why == OK ? "the server ended the connection" : err_text(why));
}

static void on_writable(struct stream *s)
{
    struct link *l = containerof(s, struct link, stream);
    ssize_t n = stream_send(l->loop, s, l->rest.ptr, l->rest.len);
    if (n < 0) {
        break_off(l, "the connection broke");
        return;
    }
    buf_drop(&l->rest, (size_t)n);
    if (l->rest.len > 0) {
        stream_want_write(l->loop, s);
    } else {
        buf_fini(&l->rest);
        buf_init(&l->rest, MAX_REST);
    }
}

static void on_closed(struct stream *s)
{
    struct link *l = containerof(s, struct link, stream);
    l->ops->closed(l);
}

static void on_connected(struct stream *s, enum err why)
{
    struct link *l = containerof(s, struct link, stream);
    if (why != OK) {
        break_off(l, err_text(why));
        return;
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (l->kind->tls == NULL) {
        l->up = true;
        l->ops->open(l);
        return;
    }
    l->tls = tls_session_new(l->kind->tls, &l->kind->pool);
    read_tls(l);
}

static const struct stream_ops link_stream_ops = {
    .data = on_data,
    .end = on_end,
    .writable = on_writable,
    .closed = on_closed,
    .connected = on_connected,
};

enum err link_connect(struct link *l, struct loop *loop, struct link_kind *kind,
                      const struct sockaddr *addr, socklen_t addr_len, const struct link_ops *ops)
{
    *l = (struct link){.ops = ops, .loop = loop, .kind = kind};
    buf_init(&l->rest, MAX_REST);
    return stream_connect(loop, &l->stream, addr, addr_len, &link_stream_ops);
}

void link_pause(struct link *l)
{
    stream_pause(l->loop, &l->stream, true);
}

void link_close(struct link *l)
{
    assert(!l->closing);
    l->closing = true;
    tls_session_free(l->tls);
    l->tls = NULL;
    buf_fini(&l->rest);
    stream_close(l->loop, &l->stream, true);
}
