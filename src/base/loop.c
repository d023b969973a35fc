/* The turn: wait, collect hooks, timers, deferred work, flush hooks, closed streams.
 * SPDX-License-Identifier: MIT */
#include "base/loop.h"

#include "base/alloc.h"
#include "base/loop_io.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- life ---- */

/* What loop_stop() adds to the wake-up counter; ordinary wake-ups never add up to it. */
#define STOP_COUNT (UINT64_C(1) << 32)

static void woken(void *self, unsigned events)
{
    struct loop *l = self;
    uint64_t count = 0;
    (void)events;
    if (read(l->wake_fd, &count, sizeof(count)) < 0) {
        return;
    }
    if (count >= STOP_COUNT) {
        l->stop = true;
    }
    __atomic_store_n(&l->wake_pending, 0, __ATOMIC_SEQ_CST);
}

static enum err open_back_end(struct loop *l, enum io_kind kind)
{
    if (kind != IO_EPOLL) {
        l->io = &io_uring;
        enum err e = l->io->open(l);
        if (e == OK || kind == IO_URING) {
            return e;
        }
    }
    l->io = &io_epoll;
    return l->io->open(l);
}

enum err loop_new(const struct loop_opts *opts, struct loop **out)
{
    struct loop *l = mem_zero(sizeof(*l));
    l->clock = opts->clock ? opts->clock : clock_real();
    l->recv_bytes = opts->recv_bytes ? opts->recv_bytes : 16384;
    l->now_us = clock_mono_us(l->clock);
    list_init(&l->deferred);
    list_init(&l->flush);
    list_init(&l->collect);
    enum err e = open_back_end(l, opts->io);
    if (e != OK) {
        mem_free(l);
        return e;
    }
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    e = l->wake_fd < 0 ? err_from_errno(errno)
                       : watch_start(l, &l->wake_watch, l->wake_fd, WATCH_READ, woken, l);
    if (e != OK) {
        if (l->wake_fd >= 0) {
            close(l->wake_fd);
        }
        l->io->close(l);
        mem_free(l);
        return e;
    }
    *out = l;
    return OK;
}

void loop_free(struct loop *l)
{
    if (!l) {
        return;
    }
    watch_stop(&l->wake_watch);
    l->io->close(l);
    close(l->wake_fd);
    mem_free(l->heap);
    mem_free(l->closed);
    mem_free(l);
}

const char *loop_io_name(const struct loop *l)
{
    return l->io->name;
}

const char *loop_io_reason(const struct loop *l)
{
    return l->io_reason;
}

/* One write and nothing after it: the thread that reads it may free the loop at once. */
void loop_stop(struct loop *l)
{
    uint64_t count = STOP_COUNT;
    ssize_t ignored = write(l->wake_fd, &count, sizeof(count));
    (void)ignored;
}

void loop_wake(struct loop *l)
{
    if (__atomic_exchange_n(&l->wake_pending, 1, __ATOMIC_SEQ_CST) == 0) {
        uint64_t one = 1;
        ssize_t ignored = write(l->wake_fd, &one, sizeof(one));
        (void)ignored; /* the counter can't overflow: at most one is pending */
    }
}

uint64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_us / 1000;
}

uint64_t loop_exact_us(const struct loop *l)
{
    return clock_mono_us(l->clock);
}

int64_t loop_wall_ms(const struct loop *l)
{
    return clock_wall_ms(l->clock);
}

struct clock *loop_clock(const struct loop *l)
{
    return l->clock;
}

/* ---- timers: a binary heap by at_ms, those of the same one by their start ---- */

static bool comes_before(const struct timer *a, const struct timer *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->nr < b->nr);
}

static void heap_set(struct loop *l, size_t slot, struct timer *t)
{
    l->heap[slot] = t;
    t->slot = slot + 1;
}

static void heap_up(struct loop *l, size_t slot, struct timer *t)
{
    while (slot > 0) {
        size_t parent = (slot - 1) / 2;
        if (comes_before(l->heap[parent], t)) {
            break;
        }
        heap_set(l, slot, l->heap[parent]);
        slot = parent;
    }
    heap_set(l, slot, t);
}

static void heap_down(struct loop *l, size_t slot, struct timer *t)
{
    for (;;) {
        size_t child = slot * 2 + 1;
        if (child >= l->timers) {
            break;
        }
        if (child + 1 < l->timers && comes_before(l->heap[child + 1], l->heap[child])) {
            child++;
        }
        if (comes_before(t, l->heap[child])) {
            break;
        }
        heap_set(l, slot, l->heap[child]);
        slot = child;
    }
    heap_set(l, slot, t);
}

void timer_start(struct loop *l, struct timer *t, uint64_t at_ms, timer_fn fn, void *self)
{
    timer_stop(l, t);
    t->fn = fn;
    t->self = self;
    t->at_ms = at_ms;
    t->nr = ++l->timers_started;
    if (l->timers == l->heap_cap) {
        l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 16;
        l->heap = mem_resize(l->heap, l->heap_cap * sizeof(*l->heap));
    }
    l->timers++;
    heap_up(l, l->timers - 1, t);
}

void timer_stop(struct loop *l, struct timer *t)
{
    if (!t->slot) {
        return;
    }
    size_t slot = t->slot - 1;
    assert(slot < l->timers && l->heap[slot] == t);
    struct timer *last = l->heap[--l->timers];
    t->slot = 0;
    if (last != t) {
        if (slot > 0 && comes_before(last, l->heap[(slot - 1) / 2])) {
            heap_up(l, slot, last);
        } else {
            heap_down(l, slot, last);
        }
    }
}

bool timer_active(const struct timer *t)
{
    return t->slot != 0;
}

uint64_t loop_next_timer_ms(const struct loop *l)
{
    return l->timers ? l->heap[0]->at_ms : UINT64_MAX;
}

static void run_timers(struct loop *l)
{
    uint64_t now = loop_now_ms(l);
    while (l->timers && l->heap[0]->at_ms <= now) {
        struct timer *t = l->heap[0];
        timer_stop(l, t);
        t->fn(t->self);
    }
}

/* ---- hooks and deferred work ---- */

void loop_defer(struct loop *l, struct defer *d, defer_fn fn, void *self)
{
    d->fn = fn;
    d->self = self;
    if (!list_linked(&d->node)) {
        list_push(&l->deferred, &d->node);
    }
}

void loop_undefer(struct defer *d)
{
    list_remove(&d->node);
}

static void run_deferred(struct loop *l)
{
    struct list batch;
    list_init(&batch);
    list_splice(&batch, &l->deferred);
    for (struct list *node = list_pop(&batch); node; node = list_pop(&batch)) {
        struct defer *d = containerof(node, struct defer, node);
        d->fn(d->self);
    }
}

void loop_add_flush(struct loop *l, struct flush_hook *h, bool (*fn)(void *self), void *self)
{
    h->fn = fn;
    h->self = self;
    list_push(&l->flush, &h->node);
}

void loop_remove_flush(struct flush_hook *h)
{
    list_remove(&h->node);
}

void loop_add_collect(struct loop *l, struct collect_hook *h, void (*fn)(void *self), void *self)
{
    h->fn = fn;
    h->self = self;
    list_push(&l->collect, &h->node);
}

void loop_remove_collect(struct collect_hook *h)
{
    list_remove(&h->node);
}

/* ---- the turn ---- */

/* There is work that must not wait for I/O. */
static bool is_busy(struct loop *l)
{
    return l->more || !list_empty(&l->deferred) || l->closed_count || l->io->backlog(l);
}

static int wait_ms(const struct loop *l, int max_wait_ms)
{
    uint64_t next = loop_next_timer_ms(l);
    if (next == UINT64_MAX) {
        return max_wait_ms;
    }
    uint64_t now = clock_mono_ms(l->clock);
    uint64_t wait = next > now ? next - now : 0;
    if (max_wait_ms >= 0 && wait > (uint64_t)max_wait_ms) {
        return max_wait_ms;
    }
    return wait > INT_MAX ? INT_MAX : (int)wait;
}

static void tell_closed(struct loop *l)
{
    for (size_t i = 0; i < l->closed_count; i++) { /* may grow while we walk */
        struct stream *s = l->closed[i];
        s->ops->closed(s);
    }
    l->closed_count = 0;
}

static void turn(struct loop *l, int wait)
{
    l->io->wait(l, wait);
    l->now_us = clock_mono_us(l->clock);
    list_each (it, &l->collect) {
        struct collect_hook *h = containerof(it, struct collect_hook, node);
        h->fn(h->self);
    }
    run_timers(l);
    run_deferred(l);
    l->more = false;
    list_each (it, &l->flush) {
        struct flush_hook *h = containerof(it, struct flush_hook, node);
        if (h->fn(h->self)) {
            l->more = true;
        }
    }
    tell_closed(l);
}

void loop_turn(struct loop *l, int max_wait_ms)
{
    turn(l, l->clock->is_virtual || is_busy(l) ? 0 : wait_ms(l, max_wait_ms));
}

void loop_turn_real(struct loop *l, int max_wait_ms)
{
    turn(l, is_busy(l) ? 0 : max_wait_ms);
}

bool loop_has_work(const struct loop *l)
{
    return !list_empty(&l->deferred) || loop_next_timer_ms(l) <= clock_mono_ms(l->clock);
}

bool loop_stopping(const struct loop *l)
{
    return l->stop;
}

void loop_run(struct loop *l)
{
    while (!l->stop) {
        loop_turn(l, -1);
    }
    l->stop = false;
}

/* ---- watches ---- */

enum err watch_start(struct loop *l, struct watch *w, int fd, unsigned events, watch_fn fn,
                     void *self)
{
    *w = (struct watch){.fd = fd, .events = events, .fn = fn, .self = self, .loop = l};
    enum err e = l->io->watch_start(l, w);
    if (e != OK) {
        w->loop = NULL;
    }
    return e;
}

void watch_set(struct watch *w, unsigned events)
{
    if (w->loop && w->events != events) {
        w->events = events;
        w->loop->io->watch_set(w->loop, w);
    }
}

void watch_stop(struct watch *w)
{
    if (w->loop) {
        w->loop->io->watch_stop(w->loop, w);
        w->loop = NULL;
    }
}

/* ---- streams ---- */

enum err stream_open(struct loop *l, struct stream *s, int owned_fd, const struct stream_ops *ops)
{
    *s = (struct stream){.ops = ops, .fd = owned_fd, .state = STREAM_OPEN};
    enum err e = l->io->stream_start(l, s);
    if (e != OK) {
        close(owned_fd);
        s->fd = -1;
        s->state = STREAM_CLOSED;
    }
    return e;
}

enum err stream_connect(struct loop *l, struct stream *s, const struct sockaddr *addr,
                        socklen_t addr_len, const struct stream_ops *ops)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    if (addr->sa_family != AF_UNIX) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (connect(fd, addr, addr_len) < 0 && errno != EINPROGRESS) {
        enum err e = err_from_errno(errno);
        close(fd);
        return e;
    }
    *s = (struct stream){.ops = ops, .fd = fd, .state = STREAM_CONNECTING};
    s->flags = STREAM_WANT_WRITE;
    enum err e = l->io->stream_start(l, s);
    if (e != OK) {
        close(fd);
        s->fd = -1;
        s->state = STREAM_CLOSED;
    }
    return e;
}

enum err loop_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        error = errno;
    }
    return err_from_errno(error);
}

bool stream_is_open(const struct stream *s)
{
    return s->state == STREAM_OPEN;
}

void stream_pause(struct loop *l, struct stream *s, bool paused)
{
    bool is = (s->flags & STREAM_PAUSED) != 0;
    if (s->state != STREAM_OPEN || is == paused) {
        return;
    }
    s->flags ^= STREAM_PAUSED;
    l->io->stream_update(l, s);
}

ssize_t stream_send(struct loop *l, struct stream *s, const void *bytes, size_t len)
{
    (void)l;
    if (s->state != STREAM_OPEN) {
        return -1;
    }
    ssize_t n = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
    }
    return n;
}

void stream_want_write(struct loop *l, struct stream *s)
{
    if (s->state == STREAM_OPEN && !(s->flags & STREAM_WANT_WRITE)) {
        s->flags |= STREAM_WANT_WRITE;
        l->io->stream_update(l, s);
    }
}

void stream_close(struct loop *l, struct stream *s, bool reset)
{
    if (s->state == STREAM_CLOSING || s->state == STREAM_CLOSED) {
        return;
    }
    s->state = STREAM_CLOSING;
    s->flags &= (uint8_t)~STREAM_DETACHED;
    if (reset) {
        struct linger drop = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop));
    }
    l->io->stream_close(l, s);
}

void stream_detach(struct loop *l, struct stream *s)
{
    assert(s->state == STREAM_OPEN);
    s->flags = (uint8_t)((s->flags & ~STREAM_WANT_WRITE) | STREAM_DETACHED | STREAM_PAUSED);
    l->io->stream_detach(l, s);
}

void loop_stream_closed(struct loop *l, struct stream *s)
{
    if (!(s->flags & STREAM_DETACHED)) {
        close(s->fd);
        s->fd = -1;
    }
    s->state = STREAM_CLOSED;
    if (l->closed_count == l->closed_cap) {
        l->closed_cap = l->closed_cap ? l->closed_cap * 2 : 64;
        l->closed = mem_resize(l->closed, l->closed_cap * sizeof(*l->closed));
    }
    l->closed[l->closed_count++] = s;
}

void stream_send_many(struct loop *l, struct stream_out *out, size_t count)
{
    l->io->send_many(l, out, count);
}

/* ---- listeners ---- */

enum { ACCEPT_BATCH = 64 };

static void accept_ready(void *self, unsigned events);

static void accept_again(void *self)
{
    struct listener *ls = self;
    watch_set(&ls->watch, WATCH_READ);
}

static void accept_ready(void *self, unsigned events)
{
    struct listener *ls = self;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && ls->loop; i++) {
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);
        int fd = accept4(ls->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            ls->fn(ls->self, fd, (struct sockaddr *)&addr, len);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* Out of descriptors: the queue stays readable, so look away for a moment. */
            watch_set(&ls->watch, 0);
            timer_start(ls->loop, &ls->retry, loop_now_ms(ls->loop) + 100, accept_again, ls);
        }
        if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

enum err listener_start(struct loop *l, struct listener *ls, int owned_fd, accept_fn fn, void *self)
{
    *ls = (struct listener){.fd = owned_fd, .fn = fn, .self = self, .loop = l};
    enum err e = watch_start(l, &ls->watch, owned_fd, WATCH_READ, accept_ready, ls);
    if (e != OK) {
        close(owned_fd);
        *ls = (struct listener){.fd = -1};
    }
    return e;
}

void listener_stop(struct listener *ls)
{
    if (!ls->loop) {
        return;
    }
    watch_stop(&ls->watch);
    timer_stop(ls->loop, &ls->retry);
    /* An operation of io_uring may hold the socket a moment longer: it must not accept meanwhile.
     */
    shutdown(ls->fd, SHUT_RDWR);
    close(ls->fd);
    *ls = (struct listener){.fd = -1};
}
