/* The epoll back end: level-triggered, one receive a readable stream and turn into one shared
 * buffer, EPOLLOUT only while somebody asked for it. The low bit of an event's pointer tells a
 * watch from a stream. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/loop_io.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 512 };

struct epoll_state {
    int fd;
    char *recv; /* one buffer for all streams */
    int count, next;
    struct epoll_event events[EVENTS];
};

static const uintptr_t watch_tag = 1;

static enum err epoll_open(struct loop *l)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    struct epoll_state *st = mem_zero(sizeof(*st));
    st->fd = fd;
    st->recv = mem_alloc(l->recv_bytes);
    l->io_state = st;
    return OK;
}

static void epoll_close(struct loop *l)
{
    struct epoll_state *st = l->io_state;
    close(st->fd);
    mem_free(st->recv);
    mem_free(st);
}

static bool epoll_backlog(struct loop *l)
{
    (void)l;
    return false;
}

/* ---- watches ---- */

static uint32_t watch_mask(unsigned events)
{
    return ((events & WATCH_READ) ? (uint32_t)EPOLLIN : 0) |
           ((events & WATCH_WRITE) ? (uint32_t)EPOLLOUT : 0);
}

static enum err control(struct loop *l, int op, int fd, uint32_t mask, uintptr_t ptr)
{
    struct epoll_state *st = l->io_state;
    struct epoll_event ev = {.events = mask, .data.u64 = ptr};
    return epoll_ctl(st->fd, op, fd, &ev) < 0 ? err_from_errno(errno) : OK;
}

static enum err epoll_watch_start(struct loop *l, struct watch *w)
{
    return control(l, EPOLL_CTL_ADD, w->fd, watch_mask(w->events), (uintptr_t)w | watch_tag);
}

static void epoll_watch_set(struct loop *l, struct watch *w)
{
    (void)control(l, EPOLL_CTL_MOD, w->fd, watch_mask(w->events), (uintptr_t)w | watch_tag);
}

static void epoll_watch_stop(struct loop *l, struct watch *w)
{
    struct epoll_state *st = l->io_state;
    (void)control(l, EPOLL_CTL_DEL, w->fd, 0, 0);
    /* The rest of the batch may still name it, and its memory may be gone in a moment. */
    for (int i = st->next; i < st->count; i++) {
        if (st->events[i].data.u64 == ((uintptr_t)w | watch_tag)) {
            st->events[i].data.u64 = 0;
        }
    }
}

static void watch_event(struct watch *w, uint32_t mask)
{
    unsigned events = ((mask & EPOLLIN) ? WATCH_READ : 0U) | ((mask & EPOLLOUT) ? WATCH_WRITE : 0U);
    if (mask & (EPOLLERR | EPOLLHUP)) {
        events |= WATCH_ERROR | (w->events & (WATCH_READ | WATCH_WRITE));
    }
    w->fn(w->self, events);
}

/* ---- streams ---- */

static uint32_t stream_mask(const struct stream *s)
{
    uint32_t mask = 0;
    if (s->state == STREAM_OPEN && !(s->flags & (STREAM_PAUSED | STREAM_ENDED))) {
        mask |= EPOLLIN;
    }
    if (s->flags & STREAM_WANT_WRITE) {
        mask |= EPOLLOUT;
    }
    return mask;
}

static enum err epoll_stream_start(struct loop *l, struct stream *s)
{
    enum err e = control(l, EPOLL_CTL_ADD, s->fd, stream_mask(s), (uintptr_t)s);
    if (e == OK) {
        s->flags |= STREAM_ARMED;
    }
    return e;
}

static void epoll_stream_update(struct loop *l, struct stream *s)
{
    if (s->flags & STREAM_ARMED) {
        (void)control(l, EPOLL_CTL_MOD, s->fd, stream_mask(s), (uintptr_t)s);
    }
}

static void epoll_stream_close(struct loop *l, struct stream *s)
{
    /* close() takes the fd out of the epoll set; events left in the batch see the state. */
    loop_stream_closed(l, s);
}

static void epoll_stream_detach(struct loop *l, struct stream *s)
{
    if (s->flags & STREAM_ARMED) {
        s->flags &= (uint8_t)~STREAM_ARMED;
        (void)control(l, EPOLL_CTL_DEL, s->fd, 0, 0);
    }
    loop_stream_closed(l, s);
}

static void stream_ended(struct loop *l, struct stream *s, enum err why)
{
    s->flags |= STREAM_ENDED;
    if (why != OK && (s->flags & STREAM_ARMED)) {
        /* A broken socket would be reported for ever. */
        s->flags &= (uint8_t)~STREAM_ARMED;
        (void)control(l, EPOLL_CTL_DEL, s->fd, 0, 0);
    } else {
        epoll_stream_update(l, s);
    }
    s->ops->end(s, why);
}

static void stream_readable(struct loop *l, struct stream *s)
{
    struct epoll_state *st = l->io_state;
    ssize_t n = recv(s->fd, st->recv, l->recv_bytes, MSG_DONTWAIT);
    if (n > 0) {
        s->ops->data(s, st->recv, (size_t)n);
    } else if (n == 0) {
        stream_ended(l, s, OK);
    } else if (errno != EAGAIN && errno != EINTR) {
        stream_ended(l, s, err_from_errno(errno));
    }
}

static void connect_done(struct loop *l, struct stream *s)
{
    enum err why = loop_connect_result(s->fd);
    s->flags &= (uint8_t)~STREAM_WANT_WRITE;
    if (why == OK) {
        s->state = STREAM_OPEN;
        epoll_stream_update(l, s);
    } else {
        s->flags &= (uint8_t)~STREAM_ARMED;
        (void)control(l, EPOLL_CTL_DEL, s->fd, 0, 0);
    }
    s->ops->connected(s, why);
}

static void stream_event(struct loop *l, struct stream *s, uint32_t mask)
{
    if (s->state == STREAM_CONNECTING) {
        connect_done(l, s);
        return;
    }
    if (s->state != STREAM_OPEN) {
        return;
    }
    if ((mask & EPOLLOUT) && (s->flags & STREAM_WANT_WRITE)) {
        s->flags &= (uint8_t)~STREAM_WANT_WRITE;
        epoll_stream_update(l, s);
        s->ops->writable(s);
    }
    if (s->state == STREAM_OPEN && (mask & EPOLLIN) && !(s->flags & STREAM_ENDED)) {
        stream_readable(l, s);
    } else if (s->state == STREAM_OPEN && (mask & (EPOLLERR | EPOLLHUP)) &&
               (s->flags & STREAM_ARMED)) {
        enum err why = loop_connect_result(s->fd);
        if (s->flags & STREAM_ENDED) {
            s->flags &= (uint8_t)~STREAM_ARMED; /* told already; a hang-up never stops */
            (void)control(l, EPOLL_CTL_DEL, s->fd, 0, 0);
        } else {
            stream_ended(l, s, why == OK ? ERR_CLOSED : why);
        }
    }
}

static void epoll_wait_events(struct loop *l, int timeout_ms)
{
    struct epoll_state *st = l->io_state;
    int n = epoll_wait(st->fd, st->events, EVENTS, timeout_ms);
    l->now_us = clock_mono_us(l->clock);
    st->count = n > 0 ? n : 0;
    for (st->next = 0; st->next < st->count;) {
        struct epoll_event *ev = &st->events[st->next++];
        uintptr_t ptr = (uintptr_t)ev->data.u64;
        if (ptr & watch_tag) {
            watch_event((struct watch *)(ptr & ~watch_tag), ev->events);
        } else if (ptr) {
            stream_event(l, (struct stream *)ptr, ev->events);
        }
    }
    st->count = 0;
}

/* A send leaves little else in the nearest cache: what the next ones need is asked for before. */
enum { SEND_AHEAD = 2, BYTES_AHEAD = 256 };

static void epoll_send_many(struct loop *l, struct stream_out *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i + SEND_AHEAD < count) {
            const struct stream_out *next = &out[i + SEND_AHEAD];
            prefetch(next->stream);
            for (size_t at = 0; at < min_size(next->len, BYTES_AHEAD); at += CACHE_LINE) {
                prefetch((const char *)next->bytes + at);
            }
        }
        out[i].result = (int32_t)stream_send(l, out[i].stream, out[i].bytes, out[i].len);
    }
}

const struct io_ops io_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .wait = epoll_wait_events,
    .backlog = epoll_backlog,
    .watch_start = epoll_watch_start,
    .watch_set = epoll_watch_set,
    .watch_stop = epoll_watch_stop,
    .stream_start = epoll_stream_start,
    .stream_update = epoll_stream_update,
    .stream_close = epoll_stream_close,
    .stream_detach = epoll_stream_detach,
    .send_many = epoll_send_many,
};
