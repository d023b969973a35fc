/* SPDX-License-Identifier: MIT */
#include "store/dial.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 1000
#define RESOLVE_TIMEOUT_MS 10000
#define RESOLVE_POLL_MS 20

static void on_timer(void *self);
static void try_next(struct dial *d, const char *last_reason);

static void start_timer(struct dial *d, uint64_t after_ms)
{
    timer_start(d->loop, &d->timer, loop_now_ms(d->loop) + after_ms, on_timer, d);
}

static void finish(struct dial *d, int owned_fd, const char *reason)
{
    dial_fn fn = d->fn;
    dial_stop(d);
    fn(d->self, owned_fd, reason);
}

/* Gives up the address that is being tried. */
static void close_attempt(struct dial *d)
{
    if (d->fd >= 0) {
        watch_stop(&d->watch);
        close(d->fd);
        d->fd = -1;
    }
}

static void on_ready(void *self, unsigned events UNUSED)
{
    struct dial *d = self;
    int why = 0;
    socklen_t len = sizeof(why);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0) {
        why = errno;
    }
    if (why) {
        close_attempt(d);
        try_next(d, strerror(why));
        return;
    }
    int fd = d->fd;
    watch_stop(&d->watch);
    d->fd = -1;
    finish(d, fd, "");
}

/* 0 when the attempt is under way, else an errno. */
static int attempt(struct dial *d, const struct resolve_addr *a)
{
    int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int why = 0;
    if (connect(fd, (const struct sockaddr *)&a->addr, a->len) < 0 && errno != EINPROGRESS) {
        why = errno;
    } else if (watch_start(d->loop, &d->watch, fd, WATCH_WRITE, on_ready, d) != OK) {
        why = ENOMEM;
    }
    if (why) {
        close(fd);
        return why;
    }
    d->fd = fd;
    start_timer(d, CONNECT_TIMEOUT_MS);
    return 0;
}

static void try_next(struct dial *d, const char *last_reason)
{
    while (d->addr_next < d->addr_count) {
        int why = attempt(d, &d->addrs[d->addr_next++]);
        if (why == 0) {
            return;
        }
        last_reason = strerror(why);
    }
    finish(d, -1, last_reason);
}

static void look_for_addresses(struct dial *d)
{
    const char *why = "the resolver does not answer";
    enum err e = resolve_poll(d->resolve, d->addrs, DIAL_ADDRS_MAX, &d->addr_count, &why);
    if (e == ERR_MORE && loop_now_ms(d->loop) - d->began_ms < RESOLVE_TIMEOUT_MS) {
        start_timer(d, RESOLVE_POLL_MS);
        return;
    }
    if (e != OK) {
        finish(d, -1, why);
        return;
    }
    resolve_free(d->resolve);
    d->resolve = NULL;
    d->addr_next = 0;
    try_next(d, "");
}

static void on_timer(void *self)
{
    struct dial *d = self;
    if (d->resolve) {
        look_for_addresses(d);
        return;
    }
    close_attempt(d);
    try_next(d, "no answer within a second");
}

void dial_init(struct dial *d, struct loop *l)
{
    *d = (struct dial){.loop = l, .fd = -1};
}

void dial_start(struct dial *d, const char *host, uint16_t port, dial_fn fn, void *self)
{
    assert(!d->fn);
    d->fn = fn;
    d->self = self;
    d->began_ms = loop_now_ms(d->loop);
    d->resolve = resolve_new(host, port);
    start_timer(d, 0); /* so that `fn` is never called from here */
}

void dial_stop(struct dial *d)
{
    timer_stop(d->loop, &d->timer);
    close_attempt(d);
    resolve_free(d->resolve);
    d->resolve = NULL;
    d->fn = NULL;
}
