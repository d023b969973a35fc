/* The io_uring back end.
 *
 * One ring a loop (SINGLE_ISSUER, DEFER_TASKRUN; enabled on the thread of the first turn). Streams
 * are read by multishot receives out of one shared ring of buffers, so an idle stream owns none.
 * Sends are prepared in a batch with MSG_DONTWAIT and complete inside the one submission, which
 * makes stream_send_many() as synchronous as a loop of send(), only cheaper. Completions of other
 * operations that turn up meanwhile wait in `later` for the next wait().
 *
 * A completion names its target by pointer with a tag in the low bits. A stream is not given back
 * before its last operation has completed (`pending`); a watch may be freed at once, so operations
 * name a small heap handle that outlives it. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/loop_io.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SQ_ENTRIES = 512,
    CQ_ENTRIES = 16384,
    RECV_BUFFERS = 128, /* a power of two */
    BUFFER_GROUP = 1,
    SEND_BATCH = 256,
    DISPATCH_BATCH = 256,
};

enum tag { TAG_RECV, TAG_POLL_OUT, TAG_WATCH, TAG_SEND, TAG_NONE };
static const uint64_t tag_mask = 7;

struct watch_handle {
    struct watch *watch; /* NULL: stopped, free on completion */
};

struct uring_state {
    struct io_uring ring;
    bool enabled;
    struct io_uring_buf_ring *buffers;
    size_t buffers_bytes;
    char *memory;
    struct io_uring_cqe *later;
    size_t later_count, later_cap;
};

/* ---- life ---- */

static enum err setup_buffers(struct loop *l, struct uring_state *st)
{
    st->buffers_bytes = RECV_BUFFERS * sizeof(struct io_uring_buf);
    void *ring =
        mmap(NULL, st->buffers_bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (ring == MAP_FAILED) {
        return ERR_LIMIT;
    }
    st->buffers = ring;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)ring, .ring_entries = RECV_BUFFERS, .bgid = BUFFER_GROUP};
    if (io_uring_register_buf_ring(&st->ring, &reg, 0) != 0) {
        munmap(ring, st->buffers_bytes);
        return ERR_UNSUPPORTED;
    }
    io_uring_buf_ring_init(st->buffers);
    st->memory = mem_alloc(RECV_BUFFERS * l->recv_bytes);
    for (int i = 0; i < RECV_BUFFERS; i++) {
        /* They go round: each one's first page is needed by the 128th receipt, and to be given it
         * now costs a server that starts anew less than in the middle of its clients. */
        st->memory[(size_t)i * l->recv_bytes] = 0;
        io_uring_buf_ring_add(st->buffers, st->memory + (size_t)i * l->recv_bytes,
                              (unsigned)l->recv_bytes, (unsigned short)i,
                              io_uring_buf_ring_mask(RECV_BUFFERS), i);
    }
    io_uring_buf_ring_advance(st->buffers, RECV_BUFFERS);
    return OK;
}

static enum err uring_open(struct loop *l)
{
    struct uring_state *st = mem_zero(sizeof(*st));
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_R_DISABLED,
        .cq_entries = CQ_ENTRIES,
    };
    int r = io_uring_queue_init_params(SQ_ENTRIES, &st->ring, &params);
    if (r < 0) {
        snprintf(l->io_reason, sizeof(l->io_reason), "io_uring_setup: %s", strerror(-r));
        mem_free(st);
        return ERR_UNSUPPORTED;
    }
    if (setup_buffers(l, st) != OK) {
        snprintf(l->io_reason, sizeof(l->io_reason), "io_uring: no provided buffer rings");
        io_uring_queue_exit(&st->ring);
        mem_free(st);
        return ERR_UNSUPPORTED;
    }
    l->io_state = st;
    return OK;
}

static void enable(struct uring_state *st)
{
    if (!st->enabled) {
        int r =
            io_uring_register((unsigned)st->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        assert(r >= 0);
        (void)r;
        st->enabled = true;
    }
}

static void uring_close(struct loop *l)
{
    struct uring_state *st = l->io_state;
    struct io_uring_cqe *cqe = NULL;
    /* Handles of stopped watches whose completion never came back; also of a loop that never
     * turned, whose polls are not even submitted yet. */
    enable(st);
    (void)io_uring_submit_and_get_events(&st->ring);
    while (io_uring_peek_cqe(&st->ring, &cqe) == 0) {
        if ((cqe->user_data & tag_mask) == TAG_WATCH) {
            mem_free((void *)(uintptr_t)(cqe->user_data & ~tag_mask));
        }
        io_uring_cqe_seen(&st->ring, cqe);
    }
    for (size_t i = 0; i < st->later_count; i++) {
        if ((st->later[i].user_data & tag_mask) == TAG_WATCH) {
            mem_free((void *)(uintptr_t)(st->later[i].user_data & ~tag_mask));
        }
    }
    io_uring_queue_exit(&st->ring);
    munmap(st->buffers, st->buffers_bytes);
    mem_free(st->memory);
    mem_free(st->later);
    mem_free(st);
}

static bool uring_backlog(struct loop *l)
{
    return ((struct uring_state *)l->io_state)->later_count > 0;
}

static struct io_uring_sqe *next_sqe(struct uring_state *st)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&st->ring);
    while (!sqe) {
        enable(st);
        (void)io_uring_submit(&st->ring);
        sqe = io_uring_get_sqe(&st->ring);
    }
    return sqe;
}

static void set_target(struct io_uring_sqe *sqe, const void *ptr, enum tag tag)
{
    sqe->user_data = (uint64_t)(uintptr_t)ptr | tag;
}

/* ---- watches: one-shot polls, armed again after each callback ---- */

static void arm_watch(struct loop *l, struct watch *w)
{
    struct uring_state *st = l->io_state;
    unsigned mask = ((w->events & WATCH_READ) ? (unsigned)POLLIN : 0U) |
                    ((w->events & WATCH_WRITE) ? (unsigned)POLLOUT : 0U);
    if (!mask) {
        w->handle = NULL;
        return;
    }
    struct watch_handle *h = mem_zero(sizeof(*h));
    h->watch = w;
    w->handle = h;
    struct io_uring_sqe *sqe = next_sqe(st);
    io_uring_prep_poll_add(sqe, w->fd, mask);
    set_target(sqe, h, TAG_WATCH);
}

static void disarm_watch(struct loop *l, struct watch *w)
{
    struct watch_handle *h = w->handle;
    if (h) {
        h->watch = NULL;
        w->handle = NULL;
        struct io_uring_sqe *sqe = next_sqe(l->io_state);
        io_uring_prep_poll_remove(sqe, (uint64_t)(uintptr_t)h | TAG_WATCH);
        set_target(sqe, NULL, TAG_NONE);
    }
}

static enum err uring_watch_start(struct loop *l, struct watch *w)
{
    arm_watch(l, w);
    return OK;
}

static void uring_watch_set(struct loop *l, struct watch *w)
{
    disarm_watch(l, w);
    arm_watch(l, w);
}

static void uring_watch_stop(struct loop *l, struct watch *w)
{
    disarm_watch(l, w);
}

static void watch_done(struct loop *l, struct watch_handle *h, int res)
{
    struct watch *w = h->watch;
    if (!w) {
        mem_free(h);
        return;
    }
    unsigned events = 0;
    if (res < 0) {
        events = WATCH_ERROR;
    } else {
        events = ((res & POLLIN) ? WATCH_READ : 0U) | ((res & POLLOUT) ? WATCH_WRITE : 0U);
        if (res & (POLLERR | POLLHUP)) {
            events |= WATCH_ERROR | (w->events & (WATCH_READ | WATCH_WRITE));
        }
    }
    w->fn(w->self, events);
    /* Stopped or changed inside: h->watch is NULL then. */
    if (h->watch) {
        arm_watch(l, h->watch);
    }
    mem_free(h);
}

/* ---- streams ---- */

static void arm_recv(struct loop *l, struct stream *s)
{
    struct io_uring_sqe *sqe = next_sqe(l->io_state);
    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    set_target(sqe, s, TAG_RECV);
    s->flags |= STREAM_ARMED;
    s->pending++;
}

static void arm_poll_out(struct loop *l, struct stream *s)
{
    struct io_uring_sqe *sqe = next_sqe(l->io_state);
    io_uring_prep_poll_add(sqe, s->fd, POLLOUT);
    set_target(sqe, s, TAG_POLL_OUT);
    s->flags |= STREAM_POLLING_OUT;
    s->pending++;
}

static void cancel(struct loop *l, const struct stream *s, enum tag tag)
{
    struct io_uring_sqe *sqe = next_sqe(l->io_state);
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)s | tag, 0);
    set_target(sqe, NULL, TAG_NONE);
}

static void uring_stream_update(struct loop *l, struct stream *s)
{
    bool reads = s->state == STREAM_OPEN && !(s->flags & (STREAM_PAUSED | STREAM_ENDED));
    if (reads && !(s->flags & STREAM_ARMED)) {
        arm_recv(l, s);
    } else if (!reads && (s->flags & STREAM_ARMED) && s->state == STREAM_OPEN) {
        cancel(l, s, TAG_RECV);
    }
    if ((s->flags & STREAM_WANT_WRITE) && !(s->flags & STREAM_POLLING_OUT)) {
        arm_poll_out(l, s);
    }
}

static enum err uring_stream_start(struct loop *l, struct stream *s)
{
    assert(((uintptr_t)s & tag_mask) == 0);
    uring_stream_update(l, s);
    return OK;
}

/* Cancels what the kernel still does for it; release() comes when the last is over. */
static void end_operations(struct loop *l, struct stream *s)
{
    if (s->pending == 0) {
        loop_stream_closed(l, s);
        return;
    }
    if (s->flags & STREAM_ARMED) {
        cancel(l, s, TAG_RECV);
    }
    if (s->flags & STREAM_POLLING_OUT) {
        cancel(l, s, TAG_POLL_OUT);
    }
}

static void uring_stream_close(struct loop *l, struct stream *s)
{
    end_operations(l, s);
}

/* The state stays as it is: what was received before the cancel works is still given to the owner.
 */
static void uring_stream_detach(struct loop *l, struct stream *s)
{
    end_operations(l, s);
}

/* An operation of the stream is over for good. */
static void release(struct loop *l, struct stream *s, uint8_t flag)
{
    bool ends = s->state == STREAM_CLOSING || (s->flags & STREAM_DETACHED);
    s->flags &= (uint8_t)~flag;
    s->pending--;
    if (ends && s->pending == 0) {
        loop_stream_closed(l, s);
    }
}

static void give_back(struct loop *l, struct uring_state *st, unsigned id)
{
    io_uring_buf_ring_add(st->buffers, st->memory + id * l->recv_bytes, (unsigned)l->recv_bytes,
                          (unsigned short)id, io_uring_buf_ring_mask(RECV_BUFFERS), 0);
    io_uring_buf_ring_advance(st->buffers, 1);
}

static void recv_done(struct loop *l, struct stream *s, int res, uint32_t flags)
{
    struct uring_state *st = l->io_state;
    bool live = s->state == STREAM_OPEN && !(s->flags & STREAM_ENDED);
    bool more = (flags & IORING_CQE_F_MORE) != 0;
    bool ended = live && (res == 0 || (res < 0 && res != -ENOBUFS && res != -ECANCELED &&
                                       res != -EAGAIN && res != -EINTR));
    if (ended) {
        s->flags |= STREAM_ENDED;
    }
    if (!more) {
        /* Keep the stream alive through the callback below. */
        s->flags &= (uint8_t)~STREAM_ARMED;
    }
    if (flags & IORING_CQE_F_BUFFER) {
        unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        if (live && res > 0) {
            s->ops->data(s, st->memory + id * l->recv_bytes, (size_t)res);
        }
        give_back(l, st, id);
    }
    if (ended) {
        s->ops->end(s, res == 0 ? OK : err_from_errno(-res));
    }
    if (!more) {
        release(l, s, STREAM_ARMED);
        if (s->state == STREAM_OPEN) {
            uring_stream_update(l, s); /* out of buffers, or resumed meanwhile */
        }
    }
}

static void poll_out_done(struct loop *l, struct stream *s)
{
    enum stream_state state = s->state;
    s->flags &= (uint8_t) ~(STREAM_POLLING_OUT | STREAM_WANT_WRITE);
    if (state == STREAM_CONNECTING) {
        enum err why = loop_connect_result(s->fd);
        if (why == OK) {
            s->state = STREAM_OPEN;
            uring_stream_update(l, s);
        }
        s->ops->connected(s, why);
    } else if (state == STREAM_OPEN && !(s->flags & STREAM_DETACHED)) {
        s->ops->writable(s);
    }
    release(l, s, 0);
}

/* ---- completions ---- */

static void dispatch(struct loop *l, const struct io_uring_cqe *cqe)
{
    void *ptr = (void *)(uintptr_t)(cqe->user_data & ~tag_mask);
    switch ((enum tag)(cqe->user_data & tag_mask)) {
    case TAG_RECV:
        recv_done(l, ptr, cqe->res, cqe->flags);
        break;
    case TAG_POLL_OUT:
        poll_out_done(l, ptr);
        break;
    case TAG_WATCH:
        watch_done(l, ptr, cqe->res);
        break;
    case TAG_SEND:
    case TAG_NONE:
        break;
    }
}

static size_t take_completions(struct uring_state *st, struct io_uring_cqe *out, size_t max)
{
    struct io_uring_cqe *ptrs[DISPATCH_BATCH];
    unsigned n = io_uring_peek_batch_cqe(&st->ring, ptrs, (unsigned)min_size(max, DISPATCH_BATCH));
    for (unsigned i = 0; i < n; i++) {
        out[i] = *ptrs[i];
    }
    io_uring_cq_advance(&st->ring, n);
    return n;
}

static void dispatch_later(struct loop *l)
{
    struct uring_state *st = l->io_state;
    struct io_uring_cqe *batch = st->later;
    size_t count = st->later_count;
    st->later = NULL;
    st->later_count = st->later_cap = 0;
    for (size_t i = 0; i < count; i++) {
        dispatch(l, &batch[i]);
    }
    mem_free(batch);
}

static void uring_wait(struct loop *l, int timeout_ms)
{
    struct uring_state *st = l->io_state;
    struct io_uring_cqe batch[DISPATCH_BATCH];
    struct io_uring_cqe *first = NULL;
    enable(st);
    if (timeout_ms == 0) {
        (void)io_uring_submit_and_get_events(&st->ring);
    } else if (timeout_ms < 0) {
        (void)io_uring_submit_and_wait(&st->ring, 1);
    } else {
        struct __kernel_timespec ts = {.tv_sec = timeout_ms / 1000,
                                       .tv_nsec = (long long)(timeout_ms % 1000) * 1000000};
        (void)io_uring_submit_and_wait_timeout(&st->ring, &first, 1, &ts, NULL);
    }
    l->now_us = clock_mono_us(l->clock);
    dispatch_later(l);
    /* What is here now, and not what the callbacks cause: a turn must end. */
    for (unsigned left = io_uring_cq_ready(&st->ring); left > 0;) {
        size_t n = take_completions(st, batch, left);
        if (n == 0) {
            break;
        }
        for (size_t i = 0; i < n; i++) {
            dispatch(l, &batch[i]);
        }
        left -= (unsigned)n;
    }
}

/* ---- sends ---- */

static void keep_for_later(struct uring_state *st, const struct io_uring_cqe *cqe)
{
    if (st->later_count == st->later_cap) {
        st->later_cap = st->later_cap ? st->later_cap * 2 : 64;
        st->later = mem_resize(st->later, st->later_cap * sizeof(*st->later));
    }
    memcpy(&st->later[st->later_count++], cqe, sizeof(*cqe));
}

static int32_t send_result(int res)
{
    if (res >= 0) {
        return res;
    }
    return res == -EAGAIN || res == -EINTR || res == -ENOBUFS ? 0 : -1;
}

static void send_batch(struct uring_state *st, struct stream_out *out, size_t count)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
        if (out[i].stream->state != STREAM_OPEN) {
            out[i].result = -1;
            continue;
        }
        struct io_uring_sqe *sqe = next_sqe(st);
        io_uring_prep_send(sqe, out[i].stream->fd, out[i].bytes, out[i].len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->user_data = (uint64_t)i << 3 | TAG_SEND;
        waiting++;
    }
    (void)io_uring_submit_and_get_events(&st->ring);
    while (waiting > 0) {
        struct io_uring_cqe *cqe = NULL;
        if (io_uring_peek_cqe(&st->ring, &cqe) != 0 || !cqe) {
            (void)io_uring_submit_and_wait(&st->ring, 1);
            continue;
        }
        if ((cqe->user_data & tag_mask) == TAG_SEND) {
            out[cqe->user_data >> 3].result = send_result(cqe->res);
            waiting--;
        } else {
            keep_for_later(st, cqe);
        }
        io_uring_cqe_seen(&st->ring, cqe);
    }
}

static void uring_send_many(struct loop *l, struct stream_out *out, size_t count)
{
    struct uring_state *st = l->io_state;
    enable(st);
    if (count == 1) { /* one plain call is cheaper than a submission */
        out->result = (int32_t)stream_send(l, out->stream, out->bytes, out->len);
        return;
    }
    for (size_t at = 0; at < count; at += SEND_BATCH) {
        send_batch(st, out + at, min_size(count - at, SEND_BATCH));
    }
}

const struct io_ops io_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .wait = uring_wait,
    .backlog = uring_backlog,
    .watch_start = uring_watch_start,
    .watch_set = uring_watch_set,
    .watch_stop = uring_watch_stop,
    .stream_start = uring_stream_start,
    .stream_update = uring_stream_update,
    .stream_close = uring_stream_close,
    .stream_detach = uring_stream_detach,
    .send_many = uring_send_many,
};
