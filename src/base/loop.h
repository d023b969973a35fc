/* loop: one thread's events in two phases a turn: collect, then flush.
 *
 * A turn waits for I/O and timers, runs their callbacks (collect), then runs deferred work and the
 * flush hooks: whoever has bytes due sends them there, once, with everything that came together in
 * the turn. That coalescing is what makes bursts cheap.
 *
 * I/O stands behind two back ends with one behaviour: epoll, and io_uring (probed at start). A
 * *stream* is a byte stream whose incoming bytes land in memory of the loop, so that an idle stream
 * owns no buffer. A *watch* is plain readiness of some foreign fd (libcurl, hiredis, a terminal).
 *
 * Everything here belongs to the thread that runs the loop, but for loop_wake() and loop_stop().
 * Callbacks are never called from inside the function that registered them.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

#include <sys/socket.h>

struct loop;

enum io_kind { IO_AUTO, IO_URING, IO_EPOLL };

struct loop_opts {
    enum io_kind io;
    struct clock *clock; /* NULL: clock_real() */
    size_t recv_bytes;   /* size of one receive buffer; 0: 16 KiB */
    bool quiet_fallback; /* IO_AUTO without io_uring is not worth a log line */
};

/* ERR_UNSUPPORTED when IO_URING was asked for and the kernel or container forbids it. */
enum err loop_new(const struct loop_opts *opts, struct loop **out) MUST_CHECK;
void loop_free(struct loop *l);
/* "io_uring" or "epoll". */
const char *loop_io_name(const struct loop *l);
/* Why IO_AUTO did not take io_uring; "" when it did or was not asked. */
const char *loop_io_reason(const struct loop *l);
/* Turns until loop_stop(). */
void loop_run(struct loop *l);
/* One turn that waits at most `max_wait_ms` (-1: as long as the timers allow). With a virtual clock
 * it never waits: the caller advances the clock. */
void loop_turn(struct loop *l, int max_wait_ms);
/* The same, but it waits for I/O in real time (a signal may end that early), whatever clock and
 * timers say: for whoever moves a virtual clock at a pace. */
void loop_turn_real(struct loop *l, int max_wait_ms);
/* Whether a turn now would find something of its own to do, I/O and flushing aside: deferred work,
 * or a timer that is due. */
bool loop_has_work(const struct loop *l);
/* loop_stop() was seen: loop_run() would return at once. */
bool loop_stopping(const struct loop *l);
/* Ends loop_run() after this turn or the next. Any thread, also from a signal handler; the loop may
 * be freed by its thread as soon as it ran out. */
void loop_stop(struct loop *l);
/* Makes a waiting loop take a turn. Any thread, also from a signal handler. */
void loop_wake(struct loop *l);

/* Time of this turn, read once after each wait. */
uint64_t loop_now_ms(const struct loop *l);
uint64_t loop_now_us(const struct loop *l);
/* Time at this moment, for latencies within a turn. */
uint64_t loop_exact_us(const struct loop *l);
int64_t loop_wall_ms(const struct loop *l);
struct clock *loop_clock(const struct loop *l);

/* ---- timers: embedded, one shot, milliseconds of loop_now_ms() ---- */

struct timer;
typedef void (*timer_fn)(void *self);
struct timer {
    timer_fn fn;
    void *self;
    /* private */
    uint64_t at_ms;
    uint64_t nr; /* counts the starts of all */
    size_t slot; /* place in the heap + 1; 0: not started */
};
/* (Re)starts; fires in the first turn at or after `at_ms`, behind those of the same millisecond
 * that were started before it: what a replay does then must not depend on what other timers there
 * are. The timer may be freed in its callback. */
void timer_start(struct loop *l, struct timer *t, uint64_t at_ms, timer_fn fn, void *self);
void timer_stop(struct loop *l, struct timer *t);
bool timer_active(const struct timer *t);
/* When the next timer is due; UINT64_MAX: none. */
uint64_t loop_next_timer_ms(const struct loop *l);

/* ---- deferred work: once, after this turn's callbacks and before the flush ---- */

typedef void (*defer_fn)(void *self);
struct defer {
    struct list node;
    defer_fn fn;
    void *self;
};
/* Nothing happens when it is queued already. */
void loop_defer(struct loop *l, struct defer *d, defer_fn fn, void *self);
void loop_undefer(struct defer *d);

/* ---- flush hooks: at the end of every turn, in the order they were added ---- */

struct flush_hook {
    struct list node;
    /* Sends a slice of what is due; true: more is due, so the loop polls instead of waiting. */
    bool (*fn)(void *self);
    void *self;
};
void loop_add_flush(struct loop *l, struct flush_hook *h, bool (*fn)(void *self), void *self);
void loop_remove_flush(struct flush_hook *h);

/* ---- collect hooks: run every turn after the wait, before timers and deferred work ---- */

struct collect_hook {
    struct list node;
    void (*fn)(void *self);
    void *self;
};
void loop_add_collect(struct loop *l, struct collect_hook *h, void (*fn)(void *self), void *self);
void loop_remove_collect(struct collect_hook *h);

/* ---- watches: readiness of a foreign fd, level-triggered ---- */

enum { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_ERROR = 4 };
typedef void (*watch_fn)(void *self, unsigned events);
struct watch {
    int fd;
    unsigned events;
    watch_fn fn;
    void *self;
    /* private */
    struct loop *loop;
    void *handle; /* of the io_uring back end: what the kernel's operation names */
};
enum err watch_start(struct loop *l, struct watch *w, int fd, unsigned events, watch_fn fn,
                     void *self) MUST_CHECK;
void watch_set(struct watch *w, unsigned events);
/* Before the fd is closed; the watch may be freed at once. Does not close the fd. */
void watch_stop(struct watch *w);

/* ---- streams ---- */

struct stream;
struct stream_ops {
    /* Bytes arrived; they may be changed in place and are gone after the call. The stream may be
     * closed inside. */
    void (*data)(struct stream *s, char *bytes, size_t len);
    /* The other side ended (OK) or the connection broke. No data follows. The owner closes. */
    void (*end)(struct stream *s, enum err why);
    /* Asked for with stream_want_write(): there is room again. */
    void (*writable)(struct stream *s);
    /* stream_close() or stream_detach() is complete; the memory is the owner's again. */
    void (*closed)(struct stream *s);
    /* A stream_connect() is done; `why` OK or the reason. */
    void (*connected)(struct stream *s, enum err why);
};
struct stream {
    const struct stream_ops *ops;
    int fd;
    /* private */
    uint8_t state;
    uint8_t flags;
    uint16_t pending; /* kernel operations that still name this stream */
};

/* Takes over a connected, non-blocking socket and reads from it. */
enum err stream_open(struct loop *l, struct stream *s, int owned_fd,
                     const struct stream_ops *ops) MUST_CHECK;
/* Connects to `addr`; `connected` follows. */
enum err stream_connect(struct loop *l, struct stream *s, const struct sockaddr *addr,
                        socklen_t addr_len, const struct stream_ops *ops) MUST_CHECK;
/* Stops and resumes reading (back pressure). Data already on the way may still arrive once. */
void stream_pause(struct loop *l, struct stream *s, bool paused);
/* One send, now: bytes taken (0 when the socket is full), or -1 when the connection is broken
 * (`end` will not be called for that; the owner closes). */
ssize_t stream_send(struct loop *l, struct stream *s, const void *bytes, size_t len);
/* `writable` will be called once when there is room. */
void stream_want_write(struct loop *l, struct stream *s);
/* Closes; asynchronous, ends in `closed` (never from inside this call). No other callback comes.
 * `reset`: drop what the kernel still holds and send RST. */
void stream_close(struct loop *l, struct stream *s, bool reset);
/* Lets go of an open stream's socket without closing it; asynchronous, ends in `closed` (never from
 * inside this call), where `fd` is the owner's, or -1 when stream_close() came in time to close it.
 * Until then `data` may still be called with what arrives; nothing may be sent. */
void stream_detach(struct loop *l, struct stream *s);
bool stream_is_open(const struct stream *s);

/* Many sends in one go (one submission on io_uring). `result` as of stream_send(). The bytes only
 * need to live during the call. */
struct stream_out {
    struct stream *stream;
    const void *bytes;
    uint32_t len;
    int32_t result;
};
void stream_send_many(struct loop *l, struct stream_out *out, size_t count);

/* ---- listeners ---- */

struct listener;
/* A new connection; the callee owns `fd` (non-blocking, close-on-exec). */
typedef void (*accept_fn)(void *self, int fd, const struct sockaddr *addr, socklen_t addr_len);
struct listener {
    int fd;
    accept_fn fn;
    void *self;
    /* private */
    struct watch watch;
    struct loop *loop;
    struct timer retry; /* after EMFILE */
};
/* Accepts on a listening socket. */
enum err listener_start(struct loop *l, struct listener *ls, int owned_fd, accept_fn fn,
                        void *self) MUST_CHECK;
/* Stops accepting and closes the socket. */
void listener_stop(struct listener *ls);

#endif
