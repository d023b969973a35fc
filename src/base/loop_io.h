/* loop_io: what a back end of the loop provides. Only loop.c and the back ends include it.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LOOP_IO_H
#define BASE_LOOP_IO_H
#include "base/loop.h"

enum stream_state { STREAM_CLOSED, STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSING };

enum stream_flag {
    STREAM_PAUSED = 1,
    STREAM_WANT_WRITE = 2,
    STREAM_ENDED = 4, /* the end was told, nothing is read any more */
    STREAM_ARMED = 8, /* a read operation is registered */
    STREAM_POLLING_OUT = 16,
    STREAM_RESET = 32,
    STREAM_DETACHED = 64, /* its end leaves the socket open */
};

struct io_ops {
    const char *name;
    enum err (*open)(struct loop *l);
    void (*close)(struct loop *l);
    /* Waits (timeout 0: polls, -1: without end) and runs the callbacks of what happened. */
    void (*wait)(struct loop *l, int timeout_ms);
    /* Something was found that wait() has not given out yet. */
    bool (*backlog)(struct loop *l);
    enum err (*watch_start)(struct loop *l, struct watch *w);
    void (*watch_set)(struct loop *l, struct watch *w);
    void (*watch_stop)(struct loop *l, struct watch *w);
    enum err (*stream_start)(struct loop *l, struct stream *s);
    /* Pause, want_write or connecting changed. */
    void (*stream_update)(struct loop *l, struct stream *s);
    /* Both end with loop_stream_closed(). */
    void (*stream_close)(struct loop *l, struct stream *s);
    void (*stream_detach)(struct loop *l, struct stream *s);
    void (*send_many)(struct loop *l, struct stream_out *out, size_t count);
};

extern const struct io_ops io_epoll;
extern const struct io_ops io_uring;

struct loop {
    const struct io_ops *io;
    void *io_state; /* the back end's */
    struct clock *clock;
    size_t recv_bytes;
    char io_reason[64];
    uint64_t now_us;
    int wake_fd;
    struct watch wake_watch;
    int wake_pending; /* atomic */
    bool stop;        /* a stop was read from wake_fd */
    bool more;        /* a flush hook has more to send */
    struct timer **heap;
    size_t timers, heap_cap;
    uint64_t timers_started;
    struct list deferred, flush, collect;
    struct stream **closed; /* to be told at the end of the turn */
    size_t closed_count, closed_cap;
};

/* The back end is done with a stream: `closed` is called at the end of the turn. Closes the fd of
 * one that is not detached. */
void loop_stream_closed(struct loop *l, struct stream *s);
/* SO_ERROR of a socket whose connect finished. */
enum err loop_connect_result(int fd);

#endif
