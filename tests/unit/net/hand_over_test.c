/* Conns that go from one server to another, on another loop, with the request that waits.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

struct pair {
    struct rig *here, *there;
};

static struct pair pair_new(void **state)
{
    struct pair p = {
        .there = rig_new(rig_io(state), false,
                         (struct net_opts){.max_conns_per_ip = 5, .limit_loopback = true}),
        .here = rig_new(rig_io(state), false,
                        (struct net_opts){.max_conns_per_ip = 5, .limit_loopback = true}),
    };
    p.here->there = p.there;
    return p;
}

static void pair_free(struct pair *p)
{
    rig_free(p->here);
    rig_free(p->there);
}

static void a_request_is_answered_elsewhere_and_the_conn_stays_there(void **state)
{
    struct pair p = pair_new(state);
    struct buf in = {0};
    int fd = rig_connect(p.here);
    rig_say(fd, GET("/move/1"));
    assert_true(rig_wait_text(p.here, fd, &in, "\r\n\r\n/move/1"));
    rig_wait_conns(p.here, 0);
    assert_int_equal(net_count(p.there->server), 1);
    assert_string_equal(p.here->closed_why, "handed over to another shard");
    assert_int_equal(p.here->closing, 1);
    assert_true(conn_peer_is_loopback(p.there->last));
    rig_say(fd, GET("/next"));
    assert_true(rig_wait_text(p.here, fd, &in, "\r\n\r\n/next"));
    assert_string_equal(buf_text(&p.there->heard), "GET /move/1\nGET /next\n");
    close(fd);
    buf_fini(&in);
    pair_free(&p);
}

static void what_came_before_and_behind_goes_along_in_order(void **state)
{
    struct pair p = pair_new(state);
    struct buf in = {0};
    int fd = rig_connect(p.here);
    /* The first answer is not sent yet when the second request leaves. */
    rig_say(fd, GET("/first") "POST /move HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                              "X-A: b\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" GET(
                                  "/third") "POST /fourth HTTP/1.1\r\nHost: x\r\nContent-Len");
    for (int i = 0; i < 3; i++) {
        rig_turn(p.here);
    }
    rig_say(fd, "gth: 4\r\n\r\nfour" GET("/bye"));
    assert_true(rig_wait_end(p.here, fd, &in));
    assert_string_equal(buf_text(&p.here->heard), "GET /first\nPOST /move\n");
    assert_string_equal(buf_text(&p.there->heard),
                        "POST /move\nGET /third\nPOST /fourth\nGET /bye\n");
    size_t at = 0;
    const char *const bodies[] = {"\r\n\r\n/first", "\r\n\r\nhello world", "\r\n\r\n/third",
                                  "\r\n\r\nfour", "\r\n\r\nbye"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        size_t found = str_find_str(str_from(buf_str(&in), at), str_of(bodies[i]));
        assert_true(found != SIZE_MAX);
        at += found + 1;
    }
    close(fd);
    buf_fini(&in);
    pair_free(&p);
}

static void what_arrives_on_the_way_is_not_lost(void **state)
{
    struct pair p = pair_new(state);
    struct buf in = {0}, expected = {0};
    (void)buf_add_lit(&expected, "GET /move\n");
    int fd = rig_connect(p.here);
    rig_say(fd, GET("/move"));
    /* A piece each turn, whichever server has it then. */
    for (int i = 0; i < 30; i++) {
        rig_say(fd, "GET /p HT");
        rig_turn(p.here);
        rig_say(fd, "TP/1.1\r\nHost: x\r\n\r\n");
        rig_turn(p.here);
        (void)buf_add_lit(&expected, "GET /p\n");
    }
    rig_say(fd, GET("/bye"));
    (void)buf_add_lit(&expected, "GET /bye\n");
    assert_true(rig_wait_end(p.here, fd, &in));
    assert_string_equal(buf_text(&p.there->heard), buf_text(&expected));
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 32);
    close(fd);
    buf_fini(&in);
    buf_fini(&expected);
    pair_free(&p);
}

static void a_large_body_fits_behind_a_large_stash(void **state)
{
    struct pair p = pair_new(state);
    struct buf text = {0}, in = {0};
    int fd = rig_connect(p.here);
    (void)buf_printf(&text, "POST /move HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                     1 << 20);
    for (int i = 0; i < 1 << 20; i++) {
        (void)buf_add_char(&text, 'a');
    }
    (void)buf_add_lit(&text, GET("/bye"));
    for (size_t at = 0; at < text.len;) {
        ssize_t n = send(fd, text.ptr + at, text.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        rig_turn(p.here);
    }
    assert_true(rig_wait_end(p.here, fd, &in));
    assert_true(in.len > 1 << 20);
    assert_string_equal(buf_text(&p.there->heard), "POST /move\nGET /bye\n");
    close(fd);
    buf_fini(&text);
    buf_fini(&in);
    pair_free(&p);
}

static void a_client_that_is_gone_or_done_is_seen_there(void **state)
{
    for (int half = 0; half < 2; half++) {
        struct pair p = pair_new(state);
        struct buf in = {0};
        int fd = rig_connect(p.here);
        rig_say(fd, GET("/move"));
        if (half) {
            shutdown(fd, SHUT_WR);
            assert_true(rig_wait_end(p.here, fd, &in));
            assert_int_equal(rig_count(&in, "\r\n\r\n/move"), 1);
        }
        close(fd);
        for (int i = 0; i < RIG_TURNS && !p.there->closed; i++) {
            rig_turn(p.here);
        }
        assert_int_equal(p.there->closed, 1);
        assert_int_equal(net_count(p.here->server), 0);
        buf_fini(&in);
        pair_free(&p);
    }
}

static void it_may_be_ended_on_the_way_or_dropped_there(void **state)
{
    for (int drop = 0; drop < 2; drop++) {
        struct pair p = pair_new(state);
        struct buf in = {0};
        int fd = rig_connect(p.here);
        p.there->drops = drop;
        rig_say(fd, drop ? GET("/move") : GET("/move-and-abort"));
        assert_true(rig_wait_end(p.here, fd, &in));
        assert_int_equal(in.len, 0);
        rig_wait_conns(p.here, 0);
        assert_int_equal(p.here->closed, 1);
        assert_int_equal(p.here->closing, 1);
        assert_int_equal(net_count(p.there->server), 0);
        assert_int_equal(p.there->lost, drop ? 0 : 1);
        close(fd);
        buf_fini(&in);
        pair_free(&p);
    }
}

static void adopted_ones_count_by_their_address(void **state)
{
    struct pair p = pair_new(state);
    struct buf in = {0};
    int fds[6];
    for (int i = 0; i < 5; i++) {
        fds[i] = rig_connect(p.here);
        rig_say(fds[i], GET("/move"));
        assert_true(rig_wait_text(p.here, fds[i], &in, "\r\n\r\n/move"));
        buf_clear(&in);
    }
    rig_wait_conns(p.here, 0); /* none of them counts here any more */
    fds[5] = rig_connect(p.there);
    rig_say(fds[5], GET("/x"));
    assert_true(rig_wait_end(p.here, fds[5], &in));
    assert_int_equal(rig_count(&in, "HTTP/1.1 429 "), 1);
    for (int i = 0; i < 6; i++) {
        close(fds[i]);
    }
    rig_wait_conns(p.there, 0);
    buf_fini(&in);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_request_is_answered_elsewhere_and_the_conn_stays_there),
        BOTH(what_came_before_and_behind_goes_along_in_order),
        BOTH(what_arrives_on_the_way_is_not_lost),
        BOTH(a_large_body_fits_behind_a_large_stash),
        BOTH(a_client_that_is_gone_or_done_is_seen_there),
        BOTH(it_may_be_ended_on_the_way_or_dropped_there),
        BOTH(adopted_ones_count_by_their_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
