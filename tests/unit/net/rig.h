/* A server on a loopback port and clients that are bare sockets, turned by hand, so that a test is
 * one thread. Each test runs on both I/O back ends (BOTH). SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H
#include "base/alloc.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
    struct loop *loop;
    struct clock clock; /* when is_virtual */
    struct net_server *server;
    uint16_t port;
    struct conn *last;  /* the conn a handler saw last */
    struct conn *later; /* its request waits for an answer */
    struct buf heard;   /* what handlers were given */
    unsigned requests, messages, closed, closing, congested, drained, pongs;
    uint16_t closed_code;
    char closed_why[64];
    struct buf ready; /* a response for conn_reply_ready() */
    size_t ready_head;
    struct rig *there; /* /move goes there */
    bool drops;        /* or nowhere */
    unsigned lost;     /* ended on the way */
};

struct user {
    unsigned magic;
    struct conn *victim;
};

static void rig_answer(struct conn *c, struct str body)
{
    conn_reply(
        c, &(struct http_reply){.status = 200, .content_type = STR("text/plain"), .body = body});
}

static void rig_moved(void *self, struct net_parcel *owned_parcel)
{
    struct rig *there = self;
    there->lost += !owned_parcel;
    if (there->drops) {
        net_parcel_free(owned_parcel);
    } else {
        net_adopt(there->server, owned_parcel);
    }
}

static void rig_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    struct rig *rig = self;
    rig->requests++;
    rig->last = c;
    (void)buf_add_str(&rig->heard, r->method_text);
    (void)buf_add_char(&rig->heard, ' ');
    (void)buf_add_str(&rig->heard, r->path);
    (void)buf_add_char(&rig->heard, '\n');
    if (str_eq(r->path, STR("/later"))) {
        rig->later = c;
    } else if (str_starts(r->path, STR("/move")) && rig->there) {
        conn_hand_over(c, r, body, rig_moved, rig->there);
        if (str_eq(r->path, STR("/move-and-abort"))) {
            conn_abort(c);
        }
    } else if (str_eq(r->path, STR("/ready"))) {
        conn_reply_ready(c, buf_str(&rig->ready), rig->ready_head);
    } else if (str_eq(r->path, STR("/abort"))) {
        conn_abort(c);
    } else if (str_eq(r->path, STR("/finish"))) {
        conn_finish(c);
    } else if (str_eq(r->path, STR("/bye"))) {
        conn_reply(c, &(struct http_reply){.status = 200, .body = STR("bye"), .close = true});
    } else if (str_eq(r->path, STR("/empty"))) {
        conn_reply(c, &(struct http_reply){.status = 204});
    } else if (str_eq(r->path, STR("/stream"))) {
        bool chunked = conn_start_stream(
            c, &(struct http_reply){.status = 200, .content_type = STR("text/event-stream")});
        conn_write(c, chunked ? STR("6\r\ndata\n\n\r\n") : STR("data\n\n"));
    } else if (str_eq(r->path, STR("/ws"))) {
        (void)conn_upgrade_ws(c, r, &(struct ws_accept_opts){.protocol = {0}});
    } else if (body.len || r->method == HTTP_POST) {
        rig_answer(c, body);
    } else {
        rig_answer(c, r->path);
    }
}

static void rig_message(void *self, struct conn *c, bool binary, struct str text)
{
    struct rig *rig = self;
    struct user *u = conn_user(c);
    rig->messages++;
    rig->last = c;
    if (str_eq(text, STR("abort"))) {
        conn_abort(c);
    } else if (str_eq(text, STR("close"))) {
        conn_close_ws(c, 4001, STR("as asked"));
    } else if (str_eq(text, STR("victim"))) {
        conn_abort(u->victim);
    } else if (str_eq(text, STR("all"))) {
        net_close_all(rig->server);
    } else {
        conn_send_ws(c, binary ? WS_BINARY : WS_TEXT, text, true);
    }
}

static void rig_pong(void *self, struct conn *c, struct str payload)
{
    struct rig *rig = self;
    (void)c;
    (void)payload;
    rig->pongs++;
}

static void rig_congested(void *self, struct conn *c)
{
    struct rig *rig = self;
    (void)c;
    rig->congested++;
}

static void rig_drained(void *self, struct conn *c)
{
    struct rig *rig = self;
    (void)c;
    rig->drained++;
}

static void rig_closing(void *self, struct conn *c)
{
    struct rig *rig = self;
    assert_true(conn_is_closing(c));
    rig->closing++;
}

static void rig_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    struct rig *rig = self;
    rig->closed++;
    assert_true(rig->closing >= rig->closed);
    rig->closed_code = code;
    snprintf(rig->closed_why, sizeof(rig->closed_why), "%s", why);
    if (rig->last == c) {
        rig->last = NULL;
    }
}

static const struct net_handler rig_handler = {
    .request = rig_request,
    .message = rig_message,
    .pong = rig_pong,
    .congested = rig_congested,
    .drained = rig_drained,
    .closing = rig_closing,
    .closed = rig_closed,
};

/* `opts` without loop, handler and self. A virtual clock when `is_virtual`. */
static struct rig *rig_new(enum io_kind io, bool is_virtual, struct net_opts opts)
{
    struct rig *rig = mem_zero(sizeof(*rig));
    clock_init_virtual(&rig->clock, 1000000, 1700000000000);
    struct loop_opts lo = {.io = io, .clock = is_virtual ? &rig->clock : NULL};
    enum err e = loop_new(&lo, &rig->loop);
    if (e == ERR_UNSUPPORTED && io == IO_URING) {
        mem_free(rig);
        skip(); /* forbidden here, which the server copes with too */
    }
    assert_int_equal(e, OK);
    assert_int_equal(log_configure(STR("error")), OK);
    opts.loop = rig->loop;
    opts.handler = &rig_handler;
    opts.self = rig;
    opts.user_bytes = sizeof(struct user);
    rig->server = net_server_new(&opts);
    assert_int_equal(net_listen(rig->server, "127.0.0.1:0", &rig->port), OK);
    struct http_reply r = {.status = 200, .content_type = STR("text/plain"), .body = STR("ready")};
    rig->ready_head = http_reply_bytes(&rig->ready, &r);
    return rig;
}

static void rig_turn(struct rig *rig)
{
    loop_turn(rig->loop, 1);
    if (rig->there) {
        loop_turn(rig->there->loop, 0);
    }
}

static void rig_free(struct rig *rig)
{
    net_close_all(rig->server);
    for (int i = 0; i < 2000 && net_count(rig->server); i++) {
        rig_turn(rig);
    }
    assert_int_equal(net_count(rig->server), 0);
    net_server_free(rig->server);
    for (int i = 0; i < 4; i++) {
        loop_turn(rig->loop, 0);
    }
    loop_free(rig->loop);
    buf_fini(&rig->heard);
    buf_fini(&rig->ready);
    mem_free(rig);
}

static int rig_connect(struct rig *rig)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void rig_send(int fd, const char *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void rig_say(int fd, const char *text)
{
    rig_send(fd, text, strlen(text));
}

/* Takes what has arrived; false at the end of the stream (or a reset). */
static bool rig_take(int fd, struct buf *out)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            (void)buf_add(out, bytes, (size_t)n);
        } else {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
    }
}

#define RIG_TURNS 3000

/* One of the turns of a wait; that a virtual clock never waits does not make the kernel faster. */
static void rig_wait_turn(struct rig *rig, int i)
{
    rig_turn(rig);
    if (i > 50) {
        loop_turn_real(rig->loop, 1);
    }
}

/* Turns until `len` bytes came back; false when the stream ended or nothing came. */
static bool rig_wait_len(struct rig *rig, int fd, struct buf *out, size_t len)
{
    for (int i = 0; i < RIG_TURNS; i++) {
        bool more = rig_take(fd, out);
        if (out->len >= len) {
            return true;
        }
        if (!more) {
            return false;
        }
        rig_wait_turn(rig, i);
    }
    return false;
}

/* Turns until the text came back. */
static bool rig_wait_text(struct rig *rig, int fd, struct buf *out, const char *text)
{
    for (int i = 0; i < RIG_TURNS; i++) {
        bool more = rig_take(fd, out);
        if (out->len && str_find_str(buf_str(out), str_of(text)) != SIZE_MAX) {
            return true;
        }
        if (!more) {
            return false;
        }
        rig_wait_turn(rig, i);
    }
    return false;
}

/* Turns until the server ended the stream. */
static bool rig_wait_end(struct rig *rig, int fd, struct buf *out)
{
    for (int i = 0; i < RIG_TURNS; i++) {
        if (!rig_take(fd, out)) {
            return true;
        }
        rig_wait_turn(rig, i);
    }
    return false;
}

/* Turns until a count is reached. */
static bool rig_wait_count(struct rig *rig, const unsigned *count, unsigned want)
{
    for (int i = 0; i < RIG_TURNS && *count < want; i++) {
        rig_wait_turn(rig, i);
    }
    return *count >= want;
}

static void rig_wait_conns(struct rig *rig, size_t want)
{
    for (int i = 0; i < RIG_TURNS && net_count(rig->server) != want; i++) {
        rig_wait_turn(rig, i);
    }
    assert_int_equal(net_count(rig->server), want);
}

/* Lets `ms` of virtual time pass in steps. */
static void rig_pass(struct rig *rig, unsigned ms)
{
    for (unsigned done = 0; done < ms; done += 25) {
        clock_advance_us(&rig->clock, 25000);
        rig_turn(rig);
    }
    for (int i = 0; i < 3; i++) {
        rig_turn(rig);
    }
}

static unsigned rig_count(const struct buf *b, const char *text)
{
    unsigned n = 0;
    struct str s = buf_str(b), needle = str_of(text);
    while (s.len) {
        size_t at = str_find_str(s, needle);
        if (at == SIZE_MAX) {
            break;
        }
        n++;
        s = str_from(s, at + needle.len);
    }
    return n;
}

static enum io_kind rig_io(void **state)
{
    return *(const enum io_kind *)*state;
}

/* What a file does not use is not a fault here. */
static inline void rig_unused(void)
{
    (void)rig_connect, (void)rig_say, (void)rig_wait_len, (void)rig_wait_text, (void)rig_wait_end;
    (void)rig_wait_count, (void)rig_wait_conns, (void)rig_pass, (void)rig_count, (void)rig_io;
    (void)rig_new, (void)rig_free;
}

static UNUSED enum io_kind rig_epoll = IO_EPOLL, rig_uring = IO_URING;
#define BOTH(fn)                                      \
    {#fn " (epoll)", fn, NULL, NULL, &rig_epoll},     \
    {                                                 \
#fn " (io_uring)", fn, NULL, NULL, &rig_uring \
    }

#endif
