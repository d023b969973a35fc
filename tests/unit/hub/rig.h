/* One fan-out under a virtual clock and its clients: plain ones behind a socketpair, others whose
 * socket is a number of bytes that it still takes. Every client parses what it was given.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_HUB_RIG_H
#define TESTS_UNIT_HUB_RIG_H
#include "base/alloc.h"
#include "hub/fanout.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    struct member member;
    struct stream stream; /* plain ones */
    struct rig *rig;
    int fd;             /* the client's end; -1: not plain */
    size_t room;        /* what the socket of one that is not plain still takes */
    size_t most;        /* most bytes that ever waited */
    struct buf waiting; /* what its conn has not sent yet */
    struct buf got;     /* raw bytes that arrived */
    struct buf poll;    /* a poll's answer */
    bool untried;       /* the socket was not asked yet to take it */
    bool owes_drained;  /* it was, and did not take all */
    bool broken, closed, leaves_on_write;
    bool hinted; /* rig_queue() was announced */
};

struct rig {
    struct clock clock;
    struct loop *loop;
    struct fanout *fanout;
    struct channel_info channels[16];
    size_t channel_count;
    uint64_t seq;
    size_t polled;                /* calls */
    struct client *queued[256];   /* by rig_queue, until rig_flush */
    struct str queued_bytes[256]; /* where they lie, until then */
    size_t queued_count;
    bool left; /* somebody did inside rig_queue(): who takes the place was not announced */
};

static inline struct client *client_of(struct member *m)
{
    return containerof(m, struct client, member);
}

static inline void rig_take(struct client *c)
{
    ssize_t n = 0;
    c->untried = false;
    if (c->waiting.len == 0) {
        return;
    }
    if (c->fd >= 0) {
        n = stream_send(c->rig->loop, &c->stream, c->waiting.ptr, c->waiting.len);
        if (n < 0) {
            return;
        }
    } else {
        n = (ssize_t)min_size(c->room, c->waiting.len);
        c->room -= (size_t)n;
        buf_add(&c->got, c->waiting.ptr, (size_t)n);
    }
    buf_drop(&c->waiting, (size_t)n);
    c->owes_drained = c->owes_drained || c->waiting.len;
    if (c->waiting.len && c->fd >= 0) {
        stream_want_write(c->rig->loop, &c->stream);
    }
}

/* Like a conn: whoever never had to wait is not told that it does not any more. */
static inline void rig_tell_drained(struct client *c)
{
    if (c->waiting.len == 0 && c->owes_drained) {
        c->owes_drained = false;
        fanout_drained(c->rig->fanout, &c->member);
    }
}

static inline void rig_write(struct member *m, struct str bytes)
{
    struct client *c = client_of(m);
    bool waited = c->waiting.len > 0 && !c->untried;
    buf_add_str(&c->waiting, bytes);
    if (!waited) {
        rig_take(c);
    }
    c->most = max_size(c->most, c->waiting.len);
    if (c->leaves_on_write) {
        fanout_leave(c->rig->fanout, m);
    }
}

static inline size_t rig_pending(struct member *m)
{
    return client_of(m)->waiting.len;
}

static inline bool rig_congested(const struct member *m)
{
    return containerof(m, const struct client, member)->owes_drained;
}

static inline void rig_broken(struct member *m)
{
    client_of(m)->broken = true;
    fanout_leave(client_of(m)->rig->fanout, m);
}

static inline void rig_polled(void *self, struct member **members, size_t count, struct str body)
{
    struct rig *rig = self;
    rig->polled++;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(members[i]->state, MEMBER_NONE);
        buf_add_str(&client_of(members[i])->poll, body);
    }
}

static inline void rig_queue(struct member *m, struct str bytes)
{
    struct client *c = client_of(m);
    assert_int_equal(c->waiting.len, 0); /* bytes must not overtake each other */
    assert_true(c->hinted || c->rig->left);
    assert_true(c->rig->queued_count < ARRAY_LEN(c->rig->queued));
    c->hinted = false;
    c->rig->queued_bytes[c->rig->queued_count] = bytes;
    c->rig->queued[c->rig->queued_count++] = c;
    if (c->leaves_on_write) {
        c->rig->left = true;
        fanout_leave(c->rig->fanout, m);
    }
}

static inline bool rig_flush(void *self)
{
    struct rig *rig = self;
    bool all = true;
    for (size_t i = 0; i < rig->queued_count; i++) {
        struct client *c = rig->queued[i];
        buf_add_str(&c->waiting, rig->queued_bytes[i]);
        c->most = max_size(c->most, c->waiting.len);
        rig_take(c);
        all = all && c->waiting.len == 0 && !c->broken;
    }
    rig->queued_count = 0;
    return all;
}

static inline void rig_soon(struct member *m)
{
    assert_int_equal(m->state, MEMBER_LIVE);
    client_of(m)->hinted = true;
}

static const struct fanout_ops rig_ops = {.write = rig_write,
                                          .pending = rig_pending,
                                          .congested = rig_congested,
                                          .broken = rig_broken,
                                          .polled = rig_polled,
                                          .queue = rig_queue,
                                          .flush = rig_flush,
                                          .soon = rig_soon};

static inline void rig_writable(struct stream *s)
{
    struct client *c = containerof(s, struct client, stream);
    rig_take(c);
    rig_tell_drained(c);
}

static inline void rig_data(struct stream *s, char *bytes, size_t len)
{
    (void)s, (void)bytes, (void)len;
}

static inline void rig_end(struct stream *s, enum err why)
{
    (void)s, (void)why;
}

static inline void rig_closed(struct stream *s)
{
    containerof(s, struct client, stream)->closed = true;
}

static const struct stream_ops rig_stream_ops = {
    .data = rig_data, .end = rig_end, .writable = rig_writable, .closed = rig_closed};

/* NULL, and the test is skipped, where the kernel has no io_uring. */
static inline struct rig *rig_new(enum io_kind io, struct fanout_opts opts)
{
    struct rig *rig = mem_zero(sizeof(*rig));
    clock_init_virtual(&rig->clock, 1000000, 1700000000000);
    if (loop_new(&(struct loop_opts){.io = io, .clock = &rig->clock}, &rig->loop) != OK) {
        mem_free(rig);
        skip();
    }
    opts.loop = rig->loop;
    opts.ops = &rig_ops;
    opts.self = rig;
    rig->fanout = fanout_new(&opts);
    loop_turn(rig->loop, 0);
    fanout_set_epoch(rig->fanout, STR("e1"), 0);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    fanout_free(rig->fanout);
    loop_turn(rig->loop, 0);
    loop_free(rig->loop);
    mem_free(rig);
}

static inline struct channel_info *rig_channel(struct rig *rig, const char *name,
                                               enum channel_class class)
{
    struct channel_info *info = &rig->channels[rig->channel_count];
    *info = (struct channel_info){.id = (uint32_t)rig->channel_count++,
                                  .class = class,
                                  .name = (char *)(uintptr_t)name,
                                  .type = (char *)(uintptr_t)name,
                                  .event = (char *)(uintptr_t)name,
                                  .history_count = 1000,
                                  .history_bytes = 1 << 20,
                                  .history_ms = 60000};
    return info;
}

/* Publishes a text as it is. */
static inline void rig_say(struct rig *rig, const struct channel_info *channel, uint32_t key,
                           const char *text)
{
    struct frame *f =
        frame_new(channel, key, ++rig->seq, loop_now_ms(rig->loop), str_of(text), (struct str){0});
    fanout_apply(rig->fanout, f);
    frame_unref(f);
}

/* Publishes "<channel> <seq> <padding>". */
static inline void rig_publish(struct rig *rig, const struct channel_info *channel, uint32_t key,
                               size_t padding)
{
    struct buf text = {0};
    buf_printf(&text, "%s %llu ", channel->name, (unsigned long long)rig->seq + 1);
    for (size_t i = 0; i < padding; i++) {
        buf_add_char(&text, 'x');
    }
    rig_say(rig, channel, key, buf_text(&text));
    buf_fini(&text);
}

static inline void rig_turn(struct rig *rig, uint64_t ms)
{
    clock_advance_us(&rig->clock, ms * 1000);
    loop_turn(rig->loop, 0);
}

static inline void client_init(struct rig *rig, struct client *c, bool plain)
{
    *c = (struct client){.rig = rig, .fd = -1, .room = SIZE_MAX};
    if (plain) {
        int ends[2];
        int small = 4096;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                         0);
        (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        c->fd = ends[1];
        assert_ok(stream_open(rig->loop, &c->stream, ends[0], &rig_stream_ops));
        c->member.stream = &c->stream;
    }
}

/* Reads what the client's socket holds; true: there was something. */
static inline bool client_read(struct client *c)
{
    char bytes[65536];
    bool some = false;
    for (ssize_t n; c->fd >= 0 && (n = read(c->fd, bytes, sizeof(bytes))) > 0; some = true) {
        buf_add(&c->got, bytes, (size_t)n);
    }
    return some;
}

/* The socket of one that is not plain takes all that waits and what may come. */
static inline void client_open(struct client *c)
{
    c->room = SIZE_MAX;
    rig_take(c);
    rig_tell_drained(c);
}

/* The owner's own answer to a client; client_send() tries to send it, in front of the fan-out's
 * flush. */
static inline void client_answer(struct client *c, const char *text)
{
    c->untried = c->untried || c->waiting.len == 0;
    buf_add_char(&c->waiting, (char)0x81);
    buf_add_char(&c->waiting, (char)strlen(text));
    buf_add_str(&c->waiting, str_of(text));
}

static inline void client_send(struct client *c)
{
    if (c->untried) {
        rig_take(c);
        if (c->waiting.len) {
            fanout_stall(c->rig->fanout, &c->member);
        }
    }
}

/* Turns and reads until nothing moves any more. */
static inline void rig_settle(struct rig *rig, struct client *clients, size_t count)
{
    for (int quiet = 0; quiet < 3;) {
        bool moved = false;
        loop_turn(rig->loop, 0);
        for (size_t i = 0; i < count; i++) {
            moved = client_read(&clients[i]) || moved;
        }
        quiet = moved ? 0 : quiet + 1;
    }
}

static inline void client_fini(struct client *c)
{
    fanout_leave(c->rig->fanout, &c->member);
    if (c->fd >= 0) {
        stream_close(c->rig->loop, &c->stream, false);
        for (int i = 0; i < 10 && !c->closed; i++) {
            loop_turn(c->rig->loop, 0);
        }
        assert_true(c->closed);
        close(c->fd);
    }
    buf_fini(&c->waiting);
    buf_fini(&c->got);
    buf_fini(&c->poll);
}

static inline void client_join(struct client *c, enum frame_form form, const char *channel,
                               uint32_t interval_ms)
{
    struct fanout_sub sub = {.channel = str_of(channel), .interval_ms = interval_ms};
    assert_ok(fanout_subscribe(c->rig->fanout, &c->member, form, &sub));
}

/* The next text frame of a WebSocket client from *at on; false at the end, or before one that is
 * not whole. */
static inline bool client_next(const struct client *c, size_t *at, struct str *text)
{
    const uint8_t *p = (const uint8_t *)c->got.ptr + *at;
    size_t left = c->got.len - *at;
    if (left < 10 && (left < 2 || left < (p[1] == 127 ? 10u : p[1] == 126 ? 4u : 2u))) {
        return false;
    }
    assert_int_equal(p[0], 0x81);
    size_t head = p[1] == 127 ? 10 : p[1] == 126 ? 4 : 2;
    uint64_t len = p[1];
    if (head > 2) {
        len = 0;
        for (size_t i = 2; i < head; i++) {
            len = len << 8 | p[i];
        }
    }
    if (left - head < len) {
        return false;
    }
    *text = str_make((const char *)p + head, len);
    *at += head + len;
    return true;
}

/* All texts, padding cut, each followed by '|'; forgets them. */
static inline void client_texts(struct client *c, struct buf *out)
{
    size_t at = 0;
    struct str text;
    buf_clear(out);
    while (client_next(c, &at, &text)) {
        size_t end = str_find_str(text, STR(" x"));
        buf_add_str(out, end == SIZE_MAX ? text : str_sub(text, 0, end));
        buf_add_char(out, '|');
    }
    buf_clear(&c->got);
}

#define assert_texts(client, expected)   \
    do {                                 \
        struct buf texts_ = {0};         \
        client_texts((client), &texts_); \
        assert_buf(&texts_, (expected)); \
        buf_fini(&texts_);               \
    } while (0)

#endif
