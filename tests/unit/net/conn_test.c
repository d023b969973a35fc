/* Conns as such: slow readers, limits, closing inside whatever callback, draining, addresses,
 * socket options. SPDX-License-Identifier: MIT */
#include "tests/unit/net/rig.h"

#define UPGRADE                                                                    \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static const uint8_t mask[4] = {1, 2, 3, 4};

static int open_ws(struct rig *rig)
{
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, UPGRADE);
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\n"));
    buf_fini(&in);
    return fd;
}

static void say_text(int fd, struct str payload)
{
    struct buf out = {0};
    ws_frame(&out, WS_TEXT, true, false, payload, mask);
    rig_send(fd, out.ptr, out.len);
    buf_fini(&out);
}

/* ---- slow readers ---- */

/* Writes until the socket is full; gives the bytes written in all. */
static size_t fill(struct rig *rig, struct conn *c, size_t at_most)
{
    char *block = mem_zero(16384);
    size_t total = 0;
    while (!rig->congested && total < at_most && !conn_is_closing(c)) {
        conn_write(c, str_make(block, 16384));
        total += 16384;
        rig_turn(rig);
    }
    mem_free(block);
    return total;
}

static void a_slow_reader_is_told_apart_and_catches_up(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "6\r\ndata\n\n\r\n"));
    buf_clear(&in);
    struct conn *c = rig->last;
    conn_write(c, STR("."));
    assert_true(conn_pending(c) > 0 && !conn_is_congested(c)); /* nobody has tried yet */
    size_t total = 1 + fill(rig, c, 64 << 20);
    assert_int_equal(rig->congested, 1);
    assert_true(conn_pending(c) > 0 && conn_is_congested(c));
    conn_write(c, STR("more"));
    conn_write_now(c, STR("!"));
    rig_turn(rig);
    assert_int_equal(rig->congested, 1); /* once, however often it is written to */
    assert_int_equal(rig->drained, 0);
    assert_true(rig_wait_len(rig, fd, &in, total + 5));
    assert_true(rig_wait_count(rig, &rig->drained, 1));
    assert_int_equal(conn_pending(c), 0);
    assert_false(conn_is_congested(c));
    assert_int_equal(in.len, total + 5);
    assert_memory_equal(in.ptr + total, "more!", 5);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void what_a_write_leaves_is_told_when_it_is_gone(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    char *block = mem_zero(16384);
    size_t total = 0;
    int fd = rig_connect(rig);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "data\n\n\r\n"));
    buf_clear(&in);
    struct conn *c = rig->last;
    while (!conn_pending(c) && total < (64 << 20)) {
        conn_write_now(c, str_make(block, 16384));
        total += 16384;
    }
    assert_true(conn_is_congested(c));
    rig_turn(rig);
    assert_true(conn_pending(c) > 0);
    assert_int_equal(rig->congested, 0);
    assert_true(rig_wait_len(rig, fd, &in, total));
    assert_true(rig_wait_count(rig, &rig->drained, 1));
    assert_int_equal(conn_pending(c), 0);
    mem_free(block);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static bool write_in_flush(void *self)
{
    struct rig *rig = self;
    if (rig->later) {
        conn_write(rig->later, STR("late"));
        rig->later = NULL;
    }
    return false;
}

static void what_a_later_hook_writes_does_not_wait(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct flush_hook hook = {0};
    struct buf in = {0};
    loop_add_flush(rig->loop, &hook, write_in_flush, rig);
    int fd = rig_connect(rig);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "data\n\n\r\n"));
    rig->later = rig->last;
    uint64_t from_ms = clock_mono_ms(clock_real());
    loop_turn(rig->loop, 0);
    loop_turn(rig->loop, 5000); /* would wait, were it not for the bytes */
    assert_true(clock_mono_ms(clock_real()) - from_ms < 4000);
    assert_true(rig_take(fd, &in));
    assert_true(str_ends(buf_str(&in), STR("late")));
    loop_remove_flush(&hook);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void too_slow_a_reader_is_cut(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.max_pending = 100000});
    int fd = open_ws(rig);
    say_text(fd, STR("x"));
    assert_true(rig_wait_count(rig, &rig->messages, 1));
    struct conn *c = rig->last;
    (void)fill(rig, c, 64 << 20);
    assert_int_equal(rig->closed, 0);
    char *block = mem_zero(100000);
    conn_write(c, str_make(block, 100000));
    assert_true(conn_is_closing(c));
    assert_int_equal(rig->closed, 0); /* never from inside a call */
    assert_true(rig_wait_count(rig, &rig->closed, 1));
    assert_string_equal(rig->closed_why, "too many bytes pending");
    mem_free(block);
    close(fd);
    rig_free(rig);
}

static void a_reader_that_stops_for_good_is_cut(void **state)
{
    struct rig *rig = rig_new(rig_io(state), true, (struct net_opts){.body_timeout_ms = 2000});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "data"));
    (void)fill(rig, rig->last, 64 << 20);
    conn_finish(rig->last);
    rig_pass(rig, 2200);
    assert_int_equal(rig->closed, 1);
    assert_string_equal(rig->closed_why, "client does not read");
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

/* ---- closing inside callbacks ---- */

static void whatever_is_closed_wherever(void **state)
{
    static const char *const requests[] = {
        GET("/abort"),
        GET("/abort") GET("/a"),
        GET("/a") GET("/abort") GET("/b"),
        GET("/finish") GET("/a"),
        "POST /abort HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab" GET("/a"),
        "POST /finish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    };
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        for (size_t cut = 0; cut < 3; cut++) {
            int fd = rig_connect(rig);
            size_t len = strlen(requests[i]);
            size_t first = cut == 0 ? len : cut == 1 ? len / 2 : len - 1;
            rig_send(fd, requests[i], first);
            rig_turn(rig), rig_turn(rig);
            (void)!send(fd, requests[i] + first, len - first, MSG_NOSIGNAL);
            rig_turn(rig), rig_turn(rig);
            if (rig->last) {
                conn_abort(rig->last);
            }
            close(fd);
            rig_wait_conns(rig, 0);
        }
    }
    rig_free(rig);
}

static void messages_may_close_any_conn(void **state)
{
    static const char *const texts[] = {"abort", "close", "victim", "all"};
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (int victim_first = 0; victim_first < 2; victim_first++) {
            int a = open_ws(rig), b = open_ws(rig);
            say_text(a, STR("hello")), assert_true(rig_wait_count(rig, &rig->messages, 1));
            struct conn *ca = rig->last;
            say_text(b, STR("hello")), assert_true(rig_wait_count(rig, &rig->messages, 2));
            ((struct user *)conn_user(ca))->victim = rig->last;
            ((struct user *)conn_user(rig->last))->victim = ca;
            rig->last = NULL;
            /* both have bytes waiting in the same turn, in fragments with more behind */
            for (int k = 0; k < 2; k++) {
                int fd = (k == 0) == (victim_first != 0) ? b : a;
                struct buf out = {0};
                ws_frame(&out, WS_TEXT, true, false, STR("one"), mask);
                ws_frame(&out, WS_TEXT, true, false, str_of(texts[i]), mask);
                ws_frame(&out, WS_TEXT, true, false, STR("two"), mask);
                ws_frame(&out, WS_TEXT, false, false, STR("thr"), mask);
                (void)!send(fd, out.ptr, out.len, MSG_NOSIGNAL);
                buf_fini(&out);
            }
            for (int k = 0; k < 8; k++) {
                rig_turn(rig);
            }
            close(a), close(b);
            rig_wait_conns(rig, 0);
            rig->messages = 0;
        }
    }
    assert_int_equal(rig->closed, 2 * 2 * ARRAY_LEN(texts));
    rig_free(rig);
}

static void abort_one(void *self, struct conn *c)
{
    (*(unsigned *)self)++;
    conn_abort(c);
}

static void a_walk_may_close_what_it_is_given(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fds[20];
    unsigned seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = i % 2 ? open_ws(rig) : rig_connect(rig);
    }
    rig_wait_conns(rig, ARRAY_LEN(fds));
    net_each(rig->server, abort_one, &seen);
    assert_int_equal(seen, ARRAY_LEN(fds));
    net_each(rig->server, abort_one, &seen);
    assert_int_equal(seen, ARRAY_LEN(fds));
    rig_wait_conns(rig, 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    rig_free(rig);
}

static void answers_after_the_end_go_nowhere(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = rig_connect(rig);
    rig_say(fd, GET("/later"));
    assert_true(rig_wait_count(rig, &rig->requests, 1));
    struct conn *c = rig->later;
    conn_abort(c);
    rig_answer(c, STR("x"));
    conn_reply_ready(c, buf_str(&rig->ready), rig->ready_head);
    assert_false(conn_start_stream(c, &(struct http_reply){.status = 200}));
    conn_write(c, STR("x"));
    conn_write_now(c, STR("x"));
    conn_send_ws(c, WS_TEXT, STR("x"), true);
    conn_close_ws(c, 1000, STR(""));
    conn_finish(c);
    conn_abort(c);
    assert_int_equal(conn_pending(c), 0);
    rig_wait_conns(rig, 0);
    assert_int_equal(rig->closed, 1);
    close(fd);
    rig_free(rig);
}

/* ---- limits ---- */

static void one_too_many_is_told(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.max_conns = 2});
    struct buf in = {0};
    int a = open_ws(rig), b = rig_connect(rig);
    rig_wait_conns(rig, 2);
    int c = rig_connect(rig);
    rig_say(c, GET("/hello"));
    assert_true(rig_wait_end(rig, c, &in));
    assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 503 Service Unavailable\r\n")));
    assert_int_equal(rig->requests, 1);
    close(c), close(b);
    rig_wait_conns(rig, 1);
    assert_int_equal(rig->closed, 1); /* of the one refused nobody heard */
    b = open_ws(rig);
    close(a), close(b);
    buf_fini(&in);
    rig_free(rig);
}

static void an_address_has_its_share(void **state)
{
    struct net_opts opts = {.max_conns_per_ip = 2, .limit_loopback = true};
    struct rig *rig = rig_new(rig_io(state), false, opts);
    struct buf in = {0};
    for (int round = 0; round < 2; round++) {
        int a = open_ws(rig), b = open_ws(rig), c = rig_connect(rig);
        buf_clear(&in);
        assert_true(rig_wait_end(rig, c, &in));
        assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 429 ")));
        close(a), close(b), close(c);
        rig_wait_conns(rig, 0);
    }
    rig_free(rig);
    rig = rig_new(rig_io(state), false, (struct net_opts){.max_conns_per_ip = 2});
    int fds[5];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = open_ws(rig); /* loopback is exempt */
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    buf_fini(&in);
    rig_free(rig);
}

static void draining_lets_answers_out(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int idle = rig_connect(rig), busy = rig_connect(rig), ws = open_ws(rig);
    int stream = rig_connect(rig);
    rig_say(busy, GET("/later"));
    rig_say(stream, GET("/stream"));
    assert_true(rig_wait_count(rig, &rig->requests, 3));
    net_stop_listening(rig->server);
    net_drain(rig->server);
    assert_true(rig_wait_end(rig, idle, &in));
    assert_int_equal(in.len, 0);
    assert_true(rig_wait_end(rig, stream, &in));
    assert_true(str_ends(buf_str(&in), STR("data\n\n\r\n0\r\n\r\n")));
    buf_clear(&in);
    assert_true(rig_wait_len(rig, ws, &in, 4));
    assert_memory_equal(in.ptr, "\x88\x02\x03\xe9", 4); /* 1001 */
    buf_clear(&in);
    rig_answer(rig->later, STR("done"));
    assert_true(rig_wait_end(rig, busy, &in));
    assert_int_equal(rig_count(&in, "Connection: close\r\n"), 1);
    assert_true(str_ends(buf_str(&in), STR("done")));
    close(idle), close(busy), close(ws), close(stream);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
}

/* One conn is drained, the server is not: it still takes the request that is on its way. */
static void a_drained_conn_ends_with_its_request(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int idle = rig_connect(rig), busy = rig_connect(rig);
    rig_say(busy, GET("/later"));
    assert_true(rig_wait_count(rig, &rig->requests, 1));
    conn_drain(rig->later);
    rig_answer(rig->later, STR("done"));
    assert_true(rig_wait_end(rig, busy, &in));
    assert_int_equal(rig_count(&in, "Connection: close\r\n"), 1);
    buf_clear(&in);
    rig_say(idle, GET("/later"));
    assert_true(rig_wait_count(rig, &rig->requests, 2));
    rig_answer(rig->later, STR("kept"));
    assert_true(rig_wait_text(rig, idle, &in, "kept"));
    assert_int_equal(rig_count(&in, "Connection: close\r\n"), 0);
    conn_drain(rig->last);
    buf_clear(&in);
    assert_true(rig_wait_end(rig, idle, &in));
    assert_int_equal(in.len, 0);
    close(idle), close(busy);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
}

/* ---- addresses and sockets ---- */

static void addresses_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:8000", OK, true},
        {"[::1]:8000", OK, true},
        {":8000", OK, false},
        {"0.0.0.0:1", OK, false},
        {"127.9.9.9:65535", OK, true},
        {"[::]:0", OK, false},
        {"127.0.0.1", ERR_SYNTAX, false},
        {"127.0.0.1:65536", ERR_SYNTAX, false},
        {"::1:80", ERR_SYNTAX, false},
        {"[::1]", ERR_SYNTAX, false},
        {"", ERR_SYNTAX, false},
        {"127.0.0.1:x", ERR_SYNTAX, false},
        {"[]:80", ERR_SYNTAX, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage addr = {0};
        socklen_t len = 0;
        assert_int_equal(net_parse_address(cases[i].text, &addr, &len), cases[i].want);
        if (cases[i].want == OK) {
            assert_int_equal(net_address_is_loopback((struct sockaddr *)&addr), cases[i].loopback);
        }
    }
}

static void a_taken_address_is_found(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", rig->port);
    assert_int_equal(net_probe_address(address), ERR_BUSY);
    net_stop_listening(rig->server);
    for (int i = 0; i < 3; i++) {
        rig_turn(rig);
    }
    assert_int_equal(net_probe_address(address), OK);
    uint16_t port = 0;
    assert_int_equal(net_listen(rig->server, address, &port), OK);
    assert_int_equal(port, rig->port);
    rig_free(rig);
}

/* Two programs that start at the same moment both find the address free: one gets it. */
static void an_address_is_one_servers_and_of_those_beside_it(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct rig *other = rig_new(rig_io(state), false, (struct net_opts){0});
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", rig->port);
    net_stop_listening(other->server);
    rig_turn(other);
    uint16_t port = 0;
    assert_int_equal(net_listen(other->server, address, &port), ERR_BUSY);
    assert_int_equal(net_listen_beside(other->server, address), OK);
    int fds[64];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = rig_connect(rig); /* the kernel chooses whose queue */
        rig_turn(rig);
        rig_turn(other);
    }
    assert_true(net_count(rig->server) && net_count(other->server));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    rig_free(other);
    rig_free(rig);
}

static void accepted_sockets_inherit_their_options(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = open_ws(rig);
    say_text(fd, STR("x"));
    assert_true(rig_wait_count(rig, &rig->messages, 1));
    int served = conn_stream(rig->last)->fd, value = 0;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(served, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value, 1);
    assert_int_equal(getsockopt(served, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &len), 0);
    assert_int_equal(value, 16384);
    close(fd);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_slow_reader_is_told_apart_and_catches_up),
        BOTH(what_a_write_leaves_is_told_when_it_is_gone),
        BOTH(what_a_later_hook_writes_does_not_wait),
        BOTH(too_slow_a_reader_is_cut),
        BOTH(a_reader_that_stops_for_good_is_cut),
        BOTH(whatever_is_closed_wherever),
        BOTH(messages_may_close_any_conn),
        BOTH(a_walk_may_close_what_it_is_given),
        BOTH(answers_after_the_end_go_nowhere),
        BOTH(one_too_many_is_told),
        BOTH(an_address_has_its_share),
        BOTH(draining_lets_answers_out),
        BOTH(a_drained_conn_ends_with_its_request),
        BOTH(a_taken_address_is_found),
        BOTH(an_address_is_one_servers_and_of_those_beside_it),
        BOTH(accepted_sockets_inherit_their_options),
        cmocka_unit_test(addresses_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
