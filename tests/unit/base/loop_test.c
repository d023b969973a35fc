/* The loop on both back ends: order of a turn, timers, streams, batches of sends, closing from
 * inside callbacks, letters from another thread. SPDX-License-Identifier: MIT */
#include "base/loop.h"

#include "base/alloc.h"
#include "base/mailbox.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct loop *make_loop(enum io_kind io, struct clock *clock)
{
    struct loop *l = NULL;
    enum err e = loop_new(&(struct loop_opts){.io = io, .clock = clock}, &l);
    if (e == ERR_UNSUPPORTED && io == IO_URING) {
        skip(); /* forbidden here, which the server copes with too */
    }
    assert_int_equal(e, OK);
    return l;
}

/* ---- timers, deferred work, flush ---- */

struct order {
    struct loop *loop;
    char text[32];
    size_t len;
    struct timer a, b, c;
    struct defer defer;
    struct flush_hook flush;
};

static void put_a(void *self)
{
    struct order *o = self;
    o->text[o->len++] = 'a';
    loop_defer(o->loop, &o->defer, o->defer.fn, o);
}

static void put_b(void *self)
{
    struct order *o = self;
    o->text[o->len++] = 'b';
    timer_stop(o->loop, &o->c);
}

static void put_c(void *self)
{
    struct order *o = self;
    o->text[o->len++] = 'c';
}

static void put_d(void *self)
{
    struct order *o = self;
    o->text[o->len++] = 'd';
}

static bool put_f(void *self)
{
    struct order *o = self;
    o->text[o->len++] = 'f';
    return false;
}

static void a_turn_collects_then_defers_then_flushes(void **state)
{
    struct clock clock;
    clock_init_virtual(&clock, 1000, 0);
    struct loop *l = make_loop(*(enum io_kind *)*state, &clock);
    struct order o = {.loop = l};
    o.defer.fn = put_d;
    loop_add_flush(l, &o.flush, put_f, &o);
    timer_start(l, &o.b, 1020, put_b, &o);
    timer_start(l, &o.a, 1010, put_a, &o);
    timer_start(l, &o.c, 1020, put_c, &o);
    timer_start(l, &o.c, 1030, put_c, &o);
    loop_turn(l, -1);
    assert_string_equal(o.text, "f");
    clock_advance_us(&clock, 50000);
    loop_turn(l, -1);
    assert_string_equal(o.text, "fabdf");
    assert_false(timer_active(&o.c));
    assert_int_equal(loop_next_timer_ms(l), UINT64_MAX);
    loop_remove_flush(&o.flush);
    loop_free(l);
}

static void count_up(void *self)
{
    (*(int *)self)++;
}

static void timers_fire_in_order_of_their_time(void **state)
{
    struct clock clock;
    clock_init_virtual(&clock, 0, 0);
    struct loop *l = make_loop(*(enum io_kind *)*state, &clock);
    enum { N = 500 };
    struct timer *timers = mem_array(N, sizeof(*timers));
    int fired = 0;
    for (int i = 0; i < N; i++) {
        timer_start(l, &timers[i], (uint64_t)(1 + (i * 7919) % N), count_up, &fired);
    }
    for (int i = 0; i < N; i += 2) {
        timer_stop(l, &timers[i]);
    }
    uint64_t last = 0;
    int expected = 0;
    while (loop_next_timer_ms(l) != UINT64_MAX) {
        assert_true(loop_next_timer_ms(l) > last);
        last = loop_next_timer_ms(l);
        clock_advance_us(&clock, last * 1000 - clock_mono_us(&clock));
        loop_turn(l, 0);
        assert_int_equal(fired, ++expected);
    }
    assert_int_equal(fired, N / 2);
    mem_free(timers);
    loop_free(l);
}

/* A timer that says its number, between others that come and go. */
struct numbered {
    struct timer timer;
    int nr;
    struct buf *said;
};

static void say_nr(void *self)
{
    const struct numbered *n = self;
    (void)buf_printf(n->said, "%d ", n->nr);
}

static void timers_of_one_millisecond_fire_in_order_of_their_start(void **state)
{
    struct clock clock;
    clock_init_virtual(&clock, 0, 0);
    struct loop *l = make_loop(*(enum io_kind *)*state, &clock);
    enum { N = 100, OTHERS = 300 };
    struct buf said = {0}, expected = {0};
    struct numbered *timers = mem_array(N, sizeof(*timers));
    struct timer *others = mem_array(OTHERS, sizeof(*others));
    int fired = 0;
    for (int i = 0; i < N; i++) {
        timers[i] = (struct numbered){.nr = i, .said = &said};
        timer_start(l, &timers[i].timer, i % 3 ? 50 : 60, say_nr, &timers[i]);
        for (int k = 3 * i; k < 3 * i + 3; k++) {
            timer_start(l, &others[k], (uint64_t)(1 + (k * 7919) % 100), count_up, &fired);
        }
    }
    for (int i = 0; i < OTHERS; i += 2) {
        timer_stop(l, &others[i]);
    }
    for (int i = 0; i < N; i += 3) { /* from 60 to 50, behind those that are there */
        timer_start(l, &timers[i].timer, 50, say_nr, &timers[i]);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < N; i++) {
            if ((i % 3 == 0) == (pass == 1)) {
                (void)buf_printf(&expected, "%d ", i);
            }
        }
    }
    clock_advance_us(&clock, 100000);
    loop_turn(l, 0);
    assert_string_equal(buf_text(&said), buf_text(&expected));
    assert_int_equal(fired, OTHERS / 2);
    buf_fini(&said);
    buf_fini(&expected);
    mem_free(timers);
    mem_free(others);
    loop_free(l);
}

static void a_virtual_loop_waits_only_when_asked_to_in_real_time(void **state)
{
    struct clock clock;
    struct timer timer = {0};
    struct defer defer = {0};
    int count = 0;
    clock_init_virtual(&clock, 1000, 0);
    struct loop *l = make_loop(*(enum io_kind *)*state, &clock);
    loop_turn(l, 0);
    assert_false(loop_has_work(l));
    timer_start(l, &timer, 1010, count_up, &count);
    assert_false(loop_has_work(l));
    uint64_t start_us = clock_mono_us(clock_real());
    int turns = 0;
    for (; clock_mono_us(clock_real()) - start_us < 24000; turns++) {
        loop_turn_real(l, 25); /* a signal may end one early; without waiting it takes thousands */
    }
    assert_true(turns < 10);
    assert_int_equal(count, 0);
    clock_advance_us(&clock, 10000);
    assert_true(loop_has_work(l));
    loop_turn(l, -1);
    assert_int_equal(count, 1);
    assert_false(loop_has_work(l));
    loop_defer(l, &defer, count_up, &count);
    assert_true(loop_has_work(l));
    loop_turn_real(l, -1); /* does not wait: there is something to do */
    assert_int_equal(count, 2);
    assert_false(loop_stopping(l));
    loop_stop(l);
    loop_turn_real(l, -1);
    assert_true(loop_stopping(l));
    loop_run(l);
    assert_false(loop_stopping(l));
    loop_free(l);
}

/* ---- streams ---- */

struct end {
    struct stream stream;
    struct loop *loop;
    char got[64];
    size_t len;
    int ended, closed, writable, connected;
    enum err why;
    bool close_on_data;
};

static void end_data(struct stream *s, char *bytes, size_t len)
{
    struct end *e = containerof(s, struct end, stream);
    for (size_t i = 0; i < len && e->len < sizeof(e->got) - 1; i++) {
        e->got[e->len++] = bytes[i];
    }
    if (e->close_on_data) {
        stream_close(e->loop, s, false);
        assert_int_equal(e->closed, 0);
    }
}

static void end_end(struct stream *s, enum err why)
{
    struct end *e = containerof(s, struct end, stream);
    e->ended++;
    e->why = why;
}

static void end_writable(struct stream *s)
{
    containerof(s, struct end, stream)->writable++;
}

static void end_closed(struct stream *s)
{
    containerof(s, struct end, stream)->closed++;
}

static void end_connected(struct stream *s, enum err why)
{
    struct end *e = containerof(s, struct end, stream);
    e->connected++;
    e->why = why;
}

static const struct stream_ops end_ops = {.data = end_data,
                                          .end = end_end,
                                          .writable = end_writable,
                                          .closed = end_closed,
                                          .connected = end_connected};

static void pair(struct loop *l, struct end *a, int *raw)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *a = (struct end){.loop = l};
    assert_int_equal(stream_open(l, &a->stream, fds[0], &end_ops), OK);
    *raw = fds[1];
}

static void turns(struct loop *l, const int *until)
{
    for (int i = 0; i < 1000 && !*until; i++) {
        loop_turn(l, 10);
    }
    assert_true(*until);
}

static void a_stream_reads_ends_and_closes_late(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct end a;
    int raw = -1;
    pair(l, &a, &raw);
    loop_turn(l, 0);
    assert_int_equal(write(raw, "hello", 5), 5);
    for (int i = 0; i < 100 && a.len < 5; i++) {
        loop_turn(l, 10);
    }
    assert_string_equal(a.got, "hello");
    close(raw);
    turns(l, &a.ended);
    assert_int_equal(a.why, OK);
    for (int i = 0; i < 5; i++) {
        loop_turn(l, 0);
    }
    assert_int_equal(a.ended, 1);
    stream_close(l, &a.stream, false);
    assert_int_equal(a.closed, 0);
    turns(l, &a.closed);
    assert_int_equal(a.closed, 1);
    loop_free(l);
}

static void a_stream_may_let_go_of_its_socket(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct loop *other = make_loop(*(enum io_kind *)*state, NULL);
    struct end a, b = {.loop = other};
    int raw = -1;
    pair(l, &a, &raw);
    loop_turn(l, 0);
    assert_int_equal(write(raw, "one", 3), 3);
    for (int i = 0; i < 100 && a.len < 3; i++) {
        loop_turn(l, 10);
    }
    assert_int_equal(write(raw, "two", 3), 3);
    stream_detach(l, &a.stream);
    assert_int_equal(a.closed, 0);
    turns(l, &a.closed);
    assert_true(a.stream.fd >= 0);
    /* Each byte came to one of the two, and the socket works on. */
    assert_int_equal(write(raw, "three", 5), 5);
    assert_int_equal(stream_open(other, &b.stream, a.stream.fd, &end_ops), OK);
    for (int i = 0; i < 100 && a.len + b.len < 11; i++) {
        loop_turn(l, 0);
        loop_turn(other, 10);
    }
    assert_int_equal(a.len + b.len, 11);
    assert_memory_equal(a.got, "onetwo", a.len);
    assert_string_equal(b.got, &"onetwothree"[a.len]);
    assert_int_equal(a.ended, 0);
    close(raw);
    turns(other, &b.ended);
    stream_close(other, &b.stream, false);
    turns(other, &b.closed);
    loop_free(l);
    loop_free(other);
}

static void a_stream_is_closed_though_it_was_let_go(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct end a;
    int raw = -1;
    char byte = 0;
    pair(l, &a, &raw);
    loop_turn(l, 0);
    stream_detach(l, &a.stream);
    stream_close(l, &a.stream, false);
    turns(l, &a.closed);
    assert_int_equal(a.closed, 1);
    if (a.stream.fd >= 0) { /* it had left the loop already: the owner's */
        close(a.stream.fd);
    }
    assert_int_equal(read(raw, &byte, 1), 0);
    close(raw);
    loop_free(l);
}

static void a_stream_may_be_closed_in_its_own_callback(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct end a;
    int raw = -1;
    pair(l, &a, &raw);
    a.close_on_data = true;
    assert_int_equal(write(raw, "x", 1), 1);
    turns(l, &a.closed);
    char c = 0;
    assert_int_equal(read(raw, &c, 1), 0);
    close(raw);
    loop_free(l);
}

static void a_paused_stream_reads_nothing(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct end a;
    int raw = -1;
    pair(l, &a, &raw);
    loop_turn(l, 0);
    stream_pause(l, &a.stream, true);
    loop_turn(l, 0);
    loop_turn(l, 0);
    assert_int_equal(write(raw, "abc", 3), 3);
    loop_turn(l, 5);
    loop_turn(l, 5);
    assert_int_equal(a.len, 0);
    stream_pause(l, &a.stream, false);
    for (int i = 0; i < 100 && a.len < 3; i++) {
        loop_turn(l, 10);
    }
    assert_string_equal(a.got, "abc");
    stream_close(l, &a.stream, false);
    turns(l, &a.closed);
    close(raw);
    loop_free(l);
}

static void many_sends_go_out_in_one_batch_and_say_what_was_taken(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    enum { N = 600 };
    struct end *ends = mem_array(N, sizeof(*ends));
    int *raw = mem_array(N, sizeof(*raw));
    struct stream_out *out = mem_array(N, sizeof(*out));
    size_t big = 8 << 20;
    char *bytes = mem_zero(big);
    for (int i = 0; i < N; i++) {
        pair(l, &ends[i], &raw[i]);
        out[i] = (struct stream_out){
            .stream = &ends[i].stream, .bytes = bytes, .len = i == 7 ? (uint32_t)big : 11};
    }
    close(raw[9]);
    stream_send_many(l, out, N);
    for (int i = 0; i < N; i++) {
        if (i == 7) {
            assert_true(out[i].result > 0 && (size_t)out[i].result < big);
        } else {
            assert_int_equal(out[i].result, i == 9 ? -1 : 11);
        }
    }
    assert_int_equal(stream_send(l, &ends[7].stream, bytes, 10), 0);
    stream_want_write(l, &ends[7].stream);
    loop_turn(l, 0);
    assert_int_equal(ends[7].writable, 0);
    while (read(raw[7], bytes, big) > 0) {
    }
    turns(l, &ends[7].writable);
    for (int i = 0; i < N; i++) {
        stream_close(l, &ends[i].stream, i % 2 == 0);
    }
    for (int i = 0; i < N; i++) {
        turns(l, &ends[i].closed);
        assert_int_equal(ends[i].closed, 1);
        if (i != 9) {
            close(raw[i]);
        }
    }
    mem_free(bytes);
    mem_free(out);
    mem_free(raw);
    mem_free(ends);
    loop_free(l);
}

/* ---- listening and connecting ---- */

struct accepted {
    struct loop *loop;
    struct end end;
    int count;
};

static void on_accept(void *self, int fd, const struct sockaddr *addr, socklen_t addr_len)
{
    struct accepted *a = self;
    assert_int_equal(addr->sa_family, AF_INET);
    assert_true(addr_len >= sizeof(struct sockaddr_in));
    a->count++;
    a->end.loop = a->loop;
    assert_int_equal(stream_open(a->loop, &a->end.stream, fd, &end_ops), OK);
}

static void a_connection_is_accepted_and_a_refused_one_says_so(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct sockaddr_in addr = {.sin_family = AF_INET};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    struct listener ls;
    struct accepted got = {.loop = l};
    assert_int_equal(listener_start(l, &ls, fd, on_accept, &got), OK);
    struct end c = {.loop = l};
    assert_int_equal(stream_connect(l, &c.stream, (struct sockaddr *)&addr, len, &end_ops), OK);
    turns(l, &c.connected);
    assert_int_equal(c.why, OK);
    turns(l, &got.count);
    assert_int_equal(stream_send(l, &c.stream, "hi", 2), 2);
    for (int i = 0; i < 100 && got.end.len < 2; i++) {
        loop_turn(l, 10);
    }
    assert_string_equal(got.end.got, "hi");
    listener_stop(&ls);
    struct end refused = {.loop = l};
    enum err e = stream_connect(l, &refused.stream, (struct sockaddr *)&addr, len, &end_ops);
    if (e == OK) {
        turns(l, &refused.connected);
        assert_int_equal(refused.why, ERR_REFUSED);
        stream_close(l, &refused.stream, false);
        turns(l, &refused.closed);
    }
    stream_close(l, &c.stream, false);
    stream_close(l, &got.end.stream, false);
    turns(l, &c.closed);
    turns(l, &got.end.closed);
    loop_free(l);
}

/* ---- watches ---- */

struct watched {
    struct watch *w;
    int calls;
};

static void stop_and_free(void *self, unsigned events)
{
    struct watched *x = self;
    assert_true(events & WATCH_READ);
    x->calls++;
    watch_stop(x->w);
    mem_free(x->w);
    x->w = NULL;
}

static void a_watch_may_be_freed_in_its_own_callback(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct watched x = {.w = mem_zero(sizeof(struct watch))};
    assert_int_equal(watch_start(l, x.w, fds[0], WATCH_READ, stop_and_free, &x), OK);
    loop_turn(l, 0);
    assert_int_equal(x.calls, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turns(l, &x.calls);
    loop_turn(l, 5);
    assert_int_equal(x.calls, 1);
    close(fds[0]);
    close(fds[1]);
    loop_free(l);
}

/* ---- letters ---- */

struct inbox {
    uint64_t sum;
    uint64_t count;
    int done;
};

static void letter(void *self, void *arg, uint64_t number)
{
    struct inbox *in = self;
    assert_null(arg);
    assert_true(number > in->sum);
    in->sum = number;
    in->count++;
    in->done = number == 10000;
}

static void letters_arrive_in_order_and_a_full_box_refuses(void **state)
{
    struct loop *l = make_loop(*(enum io_kind *)*state, NULL);
    struct mailbox *m = mailbox_new(l, 100);
    struct inbox in = {0};
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(mailbox_post(m, letter, &in, NULL, i));
    }
    assert_false(mailbox_post(m, letter, &in, NULL, 101));
    assert_int_equal(mailbox_refused(m), 1);
    assert_int_equal(mailbox_depth(m), 100);
    loop_turn(l, 0);
    assert_int_equal(in.count, 100);
    assert_int_equal(mailbox_depth(m), 0);
    assert_true(mailbox_post(m, letter, &in, NULL, 10000));
    turns(l, &in.done);
    mailbox_free(m);
    loop_free(l);
}

#define BOTH(test)                                         \
    {#test " (epoll)", test, NULL, NULL, &epoll_kind},     \
    {                                                      \
#test " (io_uring)", test, NULL, NULL, &uring_kind \
    }

int main(void)
{
    static enum io_kind epoll_kind = IO_EPOLL;
    static enum io_kind uring_kind = IO_URING;
    const struct CMUnitTest tests[] = {
        BOTH(a_turn_collects_then_defers_then_flushes),
        BOTH(timers_fire_in_order_of_their_time),
        BOTH(timers_of_one_millisecond_fire_in_order_of_their_start),
        BOTH(a_virtual_loop_waits_only_when_asked_to_in_real_time),
        BOTH(a_stream_reads_ends_and_closes_late),
        BOTH(a_stream_may_be_closed_in_its_own_callback),
        BOTH(a_stream_may_let_go_of_its_socket),
        BOTH(a_stream_is_closed_though_it_was_let_go),
        BOTH(a_paused_stream_reads_nothing),
        BOTH(many_sends_go_out_in_one_batch_and_say_what_was_taken),
        BOTH(a_connection_is_accepted_and_a_refused_one_says_so),
        BOTH(a_watch_may_be_freed_in_its_own_callback),
        BOTH(letters_arrive_in_order_and_a_full_box_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
