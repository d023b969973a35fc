/* Requests and replies over real sockets: pipelines, cuts at every byte, bodies, limits, deadlines.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void keep_alive_answers_one_after_the_other(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = rig_connect(rig);
    for (int i = 0; i < 3; i++) {
        struct buf in = {0};
        rig_say(fd, GET("/hello"));
        assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\n/hello"));
        assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 1);
        assert_int_equal(rig_count(&in, "Content-Length: 6\r\n"), 1);
        assert_int_equal(rig_count(&in, "Content-Type: text/plain\r\n"), 1);
        assert_int_equal(rig_count(&in, "X-Content-Type-Options: nosniff\r\n"), 1);
        assert_int_equal(rig_count(&in, "\r\nDate: "), 1);
        assert_int_equal(rig_count(&in, "Connection:"), 0);
        buf_fini(&in);
    }
    assert_int_equal(net_count(rig->server), 1);
    close(fd);
    rig_free(rig);
}

static void a_pipeline_is_answered_in_order(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = rig_connect(rig);
    struct buf in = {0};
    rig_say(fd, GET("/a") GET("/ready") GET("/later") GET("/b") GET("/bye") GET("/never"));
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\nready"));
    assert_non_null(rig->later);
    rig_turn(rig);
    assert_int_equal(rig->requests, 3); /* the rest waits for the answer */
    rig_answer(rig->later, STR("at last"));
    assert_true(rig_wait_end(rig, fd, &in));
    assert_string_equal(buf_text(&rig->heard),
                        "GET /a\nGET /ready\nGET /later\nGET /b\nGET /bye\n");
    struct str all = buf_str(&in);
    size_t a = str_find_str(all, STR("\r\n\r\n/a")), later = str_find_str(all, STR("at last"));
    size_t b = str_find_str(all, STR("\r\n\r\n/b"));
    assert_true(a < later && later < b && b != SIZE_MAX);
    assert_int_equal(rig_count(&in, "Connection: close\r\n"), 1);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void a_request_may_be_cut_anywhere(void **state)
{
    static const char request[] = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                                  "POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: t\r\n\r\n";
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        int fd = rig_connect(rig);
        struct buf in = {0};
        rig_send(fd, request, cut);
        for (int i = 0; i < 3; i++) {
            loop_turn(rig->loop, 0);
        }
        rig_send(fd, request + cut, sizeof(request) - 1 - cut);
        assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\nabcdefg"));
        assert_int_equal(rig_count(&in, "\r\n\r\nhello"), 1);
        buf_fini(&in);
        close(fd);
    }
    assert_int_equal(rig->requests, 2 * (sizeof(request) - 2));
    rig_free(rig);
}

static void byte_by_byte_works_too(void **state)
{
    static const char request[] =
        "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" GET("/bye");
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = rig_connect(rig);
    struct buf in = {0};
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        rig_send(fd, request + i, 1);
        loop_turn(rig->loop, 0);
    }
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK"), 2);
    assert_int_equal(rig_count(&in, "hello"), 1);
    assert_int_equal(rig_count(&in, "bye"), 1);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void head_has_the_length_but_no_body(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = rig_connect(rig);
    struct buf in = {0};
    rig_say(fd,
            "HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\nHEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n" GET(
                "/empty") GET("/bye"));
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "Content-Length: 5\r\n"), 1);
    assert_int_equal(rig_count(&in, "Content-Length: 6\r\n"), 1);
    assert_int_equal(rig_count(&in, "ready"), 0);
    assert_int_equal(rig_count(&in, "/hello"), 0);
    assert_int_equal(rig_count(&in, "HTTP/1.1 204 No Content\r\n"), 1);
    assert_int_equal(rig_count(&in, "Content-Length: 0"), 0);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void old_clients_get_what_they_ask_for(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, "GET /a HTTP/1.0\r\n\r\n");
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "Connection: close\r\n"), 1);
    close(fd);
    buf_clear(&in);
    fd = rig_connect(rig);
    rig_say(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\n/a"));
    assert_int_equal(rig_count(&in, "Connection: keep-alive\r\n"), 1);
    buf_clear(&in);
    rig_say(fd, "GET /stream HTTP/1.0\r\n\r\n");
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\ndata\n\n"));
    assert_int_equal(rig_count(&in, "chunked"), 0);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void expect_is_answered_before_the_body(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.max_body = 100});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: "
                "100-continue\r\n\r\n");
    assert_true(rig_wait_text(rig, fd, &in, "HTTP/1.1 100 Continue\r\n\r\n"));
    rig_say(fd, "four");
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\nfour"));
    buf_clear(&in);
    rig_say(fd, "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\nExpect: "
                "100-continue\r\n\r\n");
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "HTTP/1.1 413 "), 1);
    assert_int_equal(rig_count(&in, "100 Continue"), 0);
    assert_int_equal(rig_count(&in, "application/problem+json"), 1);
    assert_int_equal(rig_count(&in, "\"status\":413"), 1);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
        {"\x16\x03\x01\x02\r\n\r\n", "HTTP/1.1 400 "},
        {"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         "HTTP/1.1 400 "},
        {"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
         "HTTP/1.1 413 "},
    };
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.max_body = 100});
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in = {0};
        int fd = rig_connect(rig);
        rig_say(fd, cases[i].request);
        assert_true(rig_wait_end(rig, fd, &in));
        if (!str_starts(buf_str(&in), str_of(cases[i].answer))) {
            fail_msg("case %zu: %.*s", i, STR_ARG(buf_str(&in)));
        }
        assert_int_equal(rig_count(&in, "Connection: close\r\n"), 1);
        buf_fini(&in);
        close(fd);
    }
    assert_int_equal(rig->requests, 0);
    rig_wait_conns(rig, 0);
    rig_free(rig);
}

static void the_whole_answer_arrives_though_more_was_sent(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.max_body = 10});
    struct buf in = {0};
    char *junk = mem_zero(100000);
    int fd = rig_connect(rig);
    rig_say(fd, "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    rig_send(fd, junk, 100000);
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "HTTP/1.1 413 "), 1);
    assert_int_equal(rig_count(&in, "\"detail\":"), 1);
    mem_free(junk);
    buf_fini(&in);
    close(fd);
    rig_wait_conns(rig, 0);
    rig_free(rig);
}

static void half_a_connection_is_still_answered(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, GET("/later") GET("/b"));
    shutdown(fd, SHUT_WR);
    assert_true(rig_wait_count(rig, &rig->requests, 1));
    for (int i = 0; i < 5; i++) {
        rig_turn(rig);
    }
    rig_answer(rig->later, STR("late"));
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig_count(&in, "\r\n\r\nlate"), 1);
    assert_int_equal(rig_count(&in, "\r\n\r\n/b"), 1);
    buf_fini(&in);
    close(fd);
    rig_wait_conns(rig, 0);
    rig_free(rig);
}

static void slow_heads_bodies_and_idlers_are_timed_out(void **state)
{
    struct rig *rig =
        rig_new(rig_io(state), true,
                (struct net_opts){
                    .head_timeout_ms = 1000, .body_timeout_ms = 2000, .idle_timeout_ms = 3000});
    struct buf a = {0}, b = {0}, c = {0}, d = {0};
    int silent = rig_connect(rig), head = rig_connect(rig), body = rig_connect(rig);
    int idle = rig_connect(rig);
    rig_say(head, "GET / HTTP/1.1\r\nHo");
    rig_say(body, "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    rig_say(idle, GET("/hello"));
    assert_true(rig_wait_text(rig, idle, &d, "/hello"));
    rig_pass(rig, 600);
    rig_say(head, "st: x"); /* a byte now and then buys no time */
    rig_pass(rig, 600);
    assert_true(rig_wait_end(rig, head, &b));
    assert_int_equal(rig_count(&b, "HTTP/1.1 408 "), 1);
    assert_true(rig_wait_end(rig, silent, &a));
    assert_int_equal(a.len, 0);
    assert_true(rig_take(body, &c));
    rig_pass(rig, 1000);
    assert_true(rig_wait_end(rig, body, &c));
    assert_int_equal(rig_count(&c, "HTTP/1.1 408 "), 1);
    buf_clear(&d);
    assert_true(rig_take(idle, &d));
    rig_pass(rig, 1000);
    assert_true(rig_wait_end(rig, idle, &d));
    assert_int_equal(d.len, 0);
    close(silent), close(head), close(body), close(idle);
    rig_wait_conns(rig, 0);
    buf_fini(&a), buf_fini(&b), buf_fini(&c), buf_fini(&d);
    rig_free(rig);
}

static void a_stream_goes_on_until_it_is_finished(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "6\r\ndata\n\n\r\n"));
    assert_int_equal(rig_count(&in, "Transfer-Encoding: chunked\r\n"), 1);
    assert_int_equal(rig_count(&in, "Content-Length"), 0);
    conn_write(rig->last, STR("2\r\n:\n\r\n"));
    conn_write_now(rig->last, STR("3\r\n:x\n\r\n"));
    assert_int_equal(conn_pending(rig->last), 0);
    conn_finish(rig->last);
    assert_true(conn_is_closing(rig->last));
    conn_write(rig->last, STR("never"));
    assert_true(rig_wait_end(rig, fd, &in));
    assert_true(str_ends(buf_str(&in), STR("data\n\n\r\n2\r\n:\n\r\n3\r\n:x\n\r\n0\r\n\r\n")));
    close(fd);
    rig_wait_conns(rig, 0);
    /* a client that leaves is noticed */
    fd = rig_connect(rig);
    buf_clear(&in);
    rig_say(fd, GET("/stream"));
    assert_true(rig_wait_text(rig, fd, &in, "data"));
    close(fd);
    rig_wait_conns(rig, 0);
    assert_int_equal(rig->closed, 2);
    /* HEAD of a stream ends with its head */
    fd = rig_connect(rig);
    buf_clear(&in);
    rig_say(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rig_wait_end(rig, fd, &in));
    assert_true(str_ends(buf_str(&in), STR("\r\n\r\n")));
    close(fd);
    buf_fini(&in);
    rig_free(rig);
}

static void a_long_pipeline_neither_stalls_nor_grows(void **state)
{
    enum { COUNT = 20000 };
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0}, all = {0};
    int fd = rig_connect(rig);
    for (int i = 0; i < COUNT; i++) {
        (void)buf_add_lit(&all, GET("/ready"));
    }
    (void)buf_add_lit(&all, GET("/bye"));
    size_t sent = 0;
    bool open = true;
    for (int i = 0; i < 50000 && open; i++) {
        ssize_t n = send(fd, all.ptr + sent, all.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        loop_turn(rig->loop, 0);
        if (i % 64 == 0) { /* reads late, so that replies back up */
            open = rig_take(fd, &in);
        }
        assert_true(!rig->last || conn_pending(rig->last) < 400000);
    }
    assert_false(open);
    assert_int_equal(rig_count(&in, "\r\n\r\nready"), COUNT);
    assert_true(str_ends(buf_str(&in), STR("bye")));
    buf_fini(&in);
    buf_fini(&all);
    close(fd);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(keep_alive_answers_one_after_the_other),
        BOTH(a_pipeline_is_answered_in_order),
        BOTH(a_request_may_be_cut_anywhere),
        BOTH(byte_by_byte_works_too),
        BOTH(head_has_the_length_but_no_body),
        BOTH(old_clients_get_what_they_ask_for),
        BOTH(expect_is_answered_before_the_body),
        BOTH(what_is_wrong_is_refused),
        BOTH(the_whole_answer_arrives_though_more_was_sent),
        BOTH(half_a_connection_is_still_answered),
        BOTH(slow_heads_bodies_and_idlers_are_timed_out),
        BOTH(a_stream_goes_on_until_it_is_finished),
        BOTH(a_long_pipeline_neither_stalls_nor_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
