/* Sessions by polling and by WebSocket, as the rules of the protocol and the reference's answers
 * say. SPDX-License-Identifier: MIT */
#include "tests/unit/net/engine_rig.h"

static struct engine_rig *plain(void **state)
{
    return erig_new(rig_io(state), false, (struct engine_opts){0});
}

#define assert_talk(er, method, target, body, expected) \
    assert_string_equal(erig_talk((er), (method), (target), (body)), (expected))

static const char unknown[] = "400 {\"code\":1,\"message\":\"Session ID unknown\"}";

/* ---- handshakes ---- */

static void a_handshake_has_exactly_five_members(void **state)
{
    struct engine_rig *er = erig_new(
        rig_io(state), false,
        (struct engine_opts){.shard = 65, .max_payload = 1000000, .ping_interval_ms = 300});
    char expected[256];
    const char *answer = erig_talk(er, "GET", PATH4 "polling", NULL);
    struct str sid = engine_session_sid(er->session);
    snprintf(expected, sizeof(expected),
             "200 0{\"sid\":\"%.*s\",\"upgrades\":[\"websocket\"],\"pingInterval\":300,"
             "\"pingTimeout\":200,\"maxPayload\":1000000}",
             STR_ARG(sid));
    assert_string_equal(answer, expected);
    unsigned shard = 0;
    assert_true(engine_sid_shard(sid, &shard));
    assert_int_equal(shard, 65);
    assert_ptr_equal(engine_find(er->engine, sid), er->session);
    assert_string_equal(engine_session_peer(er->session), "127.0.0.1");
    assert_int_equal(engine_count(er->engine), 1);
    erig_free(er);
}

static void an_address_has_so_many_sessions_and_no_more(void **state)
{
    static const char too_many[] =
        "429 {\"code\":3,\"message\":\"Too many sessions from your address\"}";
    struct engine_rig *er = erig_new(
        rig_io(state), false,
        (struct engine_opts){.max_per_peer = 2, .limit_loopback = true, .ping_interval_ms = 25000});
    assert_int_equal(strncmp(erig_talk(er, "GET", PATH4 "polling", NULL), "200", 3), 0);
    assert_int_equal(strncmp(erig_talk(er, "GET", PATH4 "polling", NULL), "200", 3), 0);
    assert_talk(er, "GET", PATH4 "polling", NULL, too_many);
    engine_close_all(er->engine);
    assert_int_equal(strncmp(erig_talk(er, "GET", PATH4 "polling", NULL), "200", 3), 0);
    assert_int_equal(strncmp(erig_talk(er, "GET", PATH4 "polling", NULL), "200", 3), 0);
    assert_talk(er, "GET", PATH4 "polling", NULL, too_many);
    erig_free(er);
}

static void what_is_wrong_is_answered_as_the_reference_does(void **state)
{
    static const struct {
        const char *method, *target, *answer;
    } cases[] = {
        {"GET", "/engine.io/?EIO=4", "400 {\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", PATH4 "abc", "400 {\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", PATH4 "polling&sid=abc", "400 {\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"GET", PATH4 "polling&sid=", "400 {\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"POST", PATH4 "polling", "400 {\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"PUT", PATH4 "polling", "400 {\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"GET", PATH4 "websocket", "400 {\"code\":3,\"message\":\"Bad request\"}"},
        {"GET", "/engine.io/?transport=polling",
         "400 {\"code\":5,\"message\":\"Unsupported protocol version\"}"},
        {"GET", "/engine.io/?transport=polling&EIO=3",
         "400 {\"code\":5,\"message\":\"Unsupported protocol version\"}"},
    };
    struct engine_rig *er = plain(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_talk(er, cases[i].method, cases[i].target, NULL, cases[i].answer);
    }
    er->forbid = true;
    assert_talk(er, "GET", PATH4 "polling", NULL, "403 {\"code\":4,\"message\":\"not you\"}");
    assert_talk(er, "OPTIONS", PATH4 "polling", NULL, "204 ");
    assert_int_equal(engine_count(er->engine), 0);
    assert_int_equal(er->events.len, 0);
    erig_free(er);
}

static void upgrades_are_refused_in_plain_text(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf in = {0};
    int fd = rig_connect(&er->rig);
    rig_say(fd, "GET " PATH4 "websocket&sid=abc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_true(rig_wait_end(&er->rig, fd, &in));
    assert_int_equal(rig_count(&in, "HTTP/1.1 400 Bad Request\r\n"), 1);
    assert_int_equal(rig_count(&in, "\r\n\r\nSession ID unknown"), 1);
    close(fd);
    buf_fini(&in);
    erig_free(er);
}

static void sessions_have_a_limit(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), false, (struct engine_opts){.max_sessions = 1});
    (void)erig_open(er);
    assert_talk(er, "GET", PATH4 "polling", NULL,
                "503 {\"code\":3,\"message\":\"Too many sessions\"}");
    erig_free(er);
}

/* ---- polls and posts ---- */

static void posted_packets_come_back_in_one_poll(void **state)
{
    struct engine_rig *er = plain(state);
    const char *poll = erig_open(er);
    assert_talk(er, "POST", poll,
                "4one\x1e"
                "4two\x1e"
                "bAQIDBA==",
                "200 ok");
    assert_talk(er, "GET", poll, NULL,
                "200 4one\x1e"
                "4two\x1e"
                "bAQIDBA==");
    assert_int_equal(er->drained, 1);
    erig_free(er);
}

static void a_poll_waits_and_gets_all_of_a_turn(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf out = {0};
    const char *poll = erig_open(er);
    int fd = erig_ask(er, "GET", poll, NULL);
    for (int i = 0; i < 20; i++) {
        rig_turn(&er->rig);
    }
    assert_false(rig_take(fd, &out) && out.len);
    engine_send(er->session, false, STR("a"));
    engine_write_packets(er->session, STR("4b\x1e"
                                          "4c"));
    assert_true(engine_session_pending(er->session) > 6);
    assert_int_equal(erig_answer(er, fd, &out), 200);
    assert_string_equal(buf_text(&out), "4a\x1e"
                                        "4b\x1e"
                                        "4c");
    assert_int_equal(engine_session_pending(er->session), 0);
    assert_null(engine_session_conn(er->session));
    buf_fini(&out);
    erig_free(er);
}

static void a_packet_is_never_split(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), false, (struct engine_opts){.max_payload = 10});
    const char *poll = erig_open(er);
    engine_write_packets(er->session, STR("4aaaa\x1e"
                                          "4bbbb\x1e"
                                          "4cccccccccccccccc\x1e"
                                          "4d"));
    assert_talk(er, "GET", poll, NULL, "200 4aaaa");
    assert_talk(er, "GET", poll, NULL, "200 4bbbb");
    assert_talk(er, "GET", poll, NULL, "200 4cccccccccccccccc");
    assert_talk(er, "GET", poll, NULL, "200 4d");
    assert_talk(er, "POST", poll, "4aaaaaaaaaa",
                "413 {\"code\":3,\"message\":\"Payload too large\"}");
    assert_talk(er, "POST", poll, "4b", "200 ok");
    erig_free(er);
}

static void a_second_poll_ends_the_session(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf out = {0};
    const char *poll = erig_open(er);
    int first = erig_ask(er, "GET", poll, NULL);
    for (int i = 0; i < 20; i++) {
        rig_turn(&er->rig);
    }
    assert_talk(er, "GET", poll, NULL, "400 {\"code\":3,\"message\":\"Bad request\"}");
    assert_int_equal(erig_answer(er, first, &out), 200);
    assert_string_equal(buf_text(&out), "1");
    assert_talk(er, "GET", poll, NULL, unknown);
    assert_string_equal(buf_text(&er->events), "opened\nclosed: transport error\n");
    buf_fini(&out);
    erig_free(er);
}

static void a_client_that_gives_a_poll_up_ends_the_session(void **state)
{
    for (int half = 0; half < 2; half++) {
        struct engine_rig *er = plain(state);
        const char *poll = erig_open(er);
        int fd = erig_ask(er, "GET", poll, NULL);
        for (int i = 0; i < 20; i++) {
            rig_turn(&er->rig);
        }
        if (half) {
            shutdown(fd, SHUT_WR);
        } else {
            close(fd);
        }
        rig_wait_conns(&er->rig, 0);
        assert_string_equal(buf_text(&er->events), "opened\nclosed: transport error\n");
        assert_talk(er, "GET", poll, NULL, unknown);
        if (half) {
            close(fd);
        }
        erig_free(er);
    }
}

static void bad_posts_end_the_session(void **state)
{
    static const char *const bodies[] = {"abc", "", "4a\x1e", "2", "4\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct engine_rig *er = plain(state);
        const char *poll = erig_open(er);
        assert_talk(er, "POST", poll, bodies[i], "400 {\"code\":3,\"message\":\"Bad request\"}");
        assert_talk(er, "GET", poll, NULL, unknown);
        assert_string_equal(buf_text(&er->events), "opened\nclosed: parse error\n");
        erig_free(er);
    }
}

static void octets_are_not_of_revision_4(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf out = {0}, text = {0};
    const char *poll = erig_open(er);
    int fd = rig_connect(&er->rig);
    (void)buf_printf(&text,
                     "POST %s HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\nContent-Length: 2\r\n"
                     "Content-Type: application/octet-stream\r\n\r\n4a",
                     poll);
    rig_send(fd, text.ptr, text.len);
    assert_int_equal(erig_answer(er, fd, &out), 400);
    assert_talk(er, "GET", poll, NULL, unknown);
    buf_fini(&out);
    buf_fini(&text);
    erig_free(er);
}

static void other_methods_are_bad_requests(void **state)
{
    struct engine_rig *er = plain(state);
    const char *poll = erig_open(er);
    assert_talk(er, "PUT", poll, "4a", "400 {\"code\":3,\"message\":\"Bad request\"}");
    assert_talk(er, "POST", poll, "4a", "200 ok"); /* it did not hurt */
    erig_free(er);
}

/* ---- the end ---- */

static void a_close_packet_sends_the_poll_away(void **state)
{
    for (int poll_first = 0; poll_first < 2; poll_first++) {
        struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
        struct buf out = {0};
        const char *poll = erig_open(er);
        int get = poll_first ? erig_ask(er, "GET", poll, NULL) : -1;
        for (int i = 0; i < 20; i++) {
            rig_turn(&er->rig);
        }
        int post = erig_ask(er, "POST", poll, "1");
        for (int i = 0; i < 20; i++) {
            rig_turn(&er->rig);
        }
        /* Overtaken by the packet, it still gets its noop. */
        get = poll_first ? get : erig_ask(er, "GET", poll, NULL);
        assert_int_equal(erig_answer(er, get, &out), 200);
        assert_string_equal(buf_text(&out), "6");
        assert_int_equal(erig_answer(er, post, &out), 200);
        assert_string_equal(buf_text(&out), "ok");
        assert_talk(er, "GET", poll, NULL, unknown);
        assert_string_equal(buf_text(&er->events), "opened\nclosed: transport close\n");
        buf_fini(&out);
        erig_free(er);
    }
}

static void a_close_packet_does_not_wait_long_for_a_poll(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    struct buf out = {0};
    const char *poll = erig_open(er);
    int post = erig_ask(er, "POST", poll, "1");
    for (int i = 0; i < 20; i++) {
        rig_turn(&er->rig);
    }
    assert_true(rig_take(post, &out) && !out.len);
    rig_pass(&er->rig, 50);
    assert_int_equal(erig_answer(er, post, &out), 200);
    assert_string_equal(buf_text(&out), "ok");
    assert_talk(er, "GET", poll, NULL, unknown);
    buf_fini(&out);
    erig_free(er);
}

static void a_closed_session_gives_its_rest_to_the_next_poll(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    const char *poll = erig_open(er);
    assert_talk(er, "POST", poll,
                "4last\x1e"
                "4close\x1e"
                "4lost",
                "200 ok");
    assert_string_equal(buf_text(&er->events), "opened\nclosed: forced close\n");
    rig_pass(&er->rig, 29000);
    assert_talk(er, "GET", poll, NULL, "200 4last");
    assert_talk(er, "GET", poll, NULL, "200 1");
    assert_talk(er, "GET", poll, NULL, unknown);
    /* Nobody comes for it. */
    poll = erig_open(er);
    assert_talk(er, "POST", poll, "4close", "200 ok");
    assert_int_equal(engine_count(er->engine), 1);
    rig_pass(&er->rig, 30050);
    assert_int_equal(engine_count(er->engine), 0);
    erig_free(er);
}

static void who_does_not_fetch_is_closed(void **state)
{
    struct engine_rig *er =
        erig_new(rig_io(state), false, (struct engine_opts){.max_pending = 1000});
    (void)erig_open(er);
    for (int i = 0; i < 200 && er->session; i++) {
        assert_true(engine_session_pending(er->session) <= 1000);
        engine_send(er->session, false, STR("0123456789"));
    }
    assert_string_equal(buf_text(&er->events), "opened\nclosed: too slow\n");
    assert_int_equal(engine_count(er->engine), 0);
    erig_free(er);
}

/* ---- heartbeats, by a virtual clock ---- */

static void advance(struct engine_rig *er, unsigned ms)
{
    clock_advance_us(&er->rig.clock, (uint64_t)ms * 1000);
    for (int i = 0; i < 3; i++) {
        rig_turn(&er->rig);
    }
}

static void pings_come_on_time_and_pongs_keep_alive(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    struct buf out = {0};
    const char *poll = erig_open(er);
    for (int i = 0; i < 3; i++) {
        int fd = erig_ask(er, "GET", poll, NULL);
        for (int k = 0; k < 20; k++) {
            rig_turn(&er->rig);
        }
        advance(er, 299);
        assert_true(rig_take(fd, &out) && !out.len);
        advance(er, 1);
        assert_int_equal(erig_answer(er, fd, &out), 200);
        assert_string_equal(buf_text(&out), "2");
        buf_clear(&out);
        advance(er, 199);
        assert_int_equal(engine_session_rtt_us(er->session) > 0, i > 0);
        assert_talk(er, "POST", poll, "3", "200 ok");
        assert_in_range(engine_session_rtt_us(er->session), 199000, 205000);
    }
    assert_non_null(er->session);
    buf_fini(&out);
    erig_free(er);
}

static void without_a_pong_it_ends_at_the_moment(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    const char *poll = erig_open(er);
    advance(er, 300);
    advance(er, 199);
    assert_talk(er, "POST", poll, "4a", "200 ok"); /* a message is no pong */
    advance(er, 1);
    assert_string_equal(buf_text(&er->events), "opened\nclosed: ping timeout\n");
    assert_talk(er, "GET", poll, NULL, unknown);
    erig_free(er);
}

static void a_late_request_finds_it_ended_before_the_timer(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    const char *poll = erig_open(er);
    advance(er, 305); /* the ping is late, the end is not */
    int fd = erig_ask(er, "GET", poll, NULL);
    clock_advance_us(&er->rig.clock, 195000);
    struct buf out = {0};
    assert_int_equal(erig_answer(er, fd, &out), 400);
    buf_fini(&out);
    erig_free(er);
}

/* ---- WebSockets ---- */

static void a_websocket_echoes_and_says_goodbye(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf in = {0};
    int fd = erig_ws(er, PATH4 "websocket");
    assert_true(rig_wait_text(&er->rig, fd, &in, "\"upgrades\":[],"));
    assert_non_null(engine_session_conn(er->session));
    erig_text(fd, "4hello");
    assert_true(rig_wait_text(&er->rig, fd, &in,
                              "\x81\x06"
                              "4hello"));
    erig_frame(fd, true, STR("\x01\x02"));
    assert_true(rig_wait_text(&er->rig, fd, &in, "\x82\x02\x01\x02"));
    erig_text(fd, "3"); /* nobody asked */
    erig_text(fd, "6");
    erig_text(fd, "5");
    erig_text(fd, "1");
    assert_true(rig_wait_text(&er->rig, fd, &in, "\x88"));
    assert_string_equal(buf_text(&er->events), "opened\nclosed: transport close\n");
    close(fd);
    buf_fini(&in);
    erig_free(er);
}

static void bad_frames_end_the_session(void **state)
{
    static const char *const frames[] = {"abc", "2", "7"};
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct engine_rig *er = plain(state);
        struct buf in = {0};
        int fd = erig_ws(er, PATH4 "websocket");
        erig_text(fd, frames[i]);
        assert_true(rig_wait_text(&er->rig, fd, &in, "\x88")); /* 1002 */
        assert_true(str_find_str(buf_str(&in), STR("\x03\xea")) != SIZE_MAX);
        assert_string_equal(buf_text(&er->events), "opened\nclosed: parse error\n");
        close(fd);
        buf_fini(&in);
        erig_free(er);
    }
}

static void a_lost_websocket_ends_the_session(void **state)
{
    struct engine_rig *er = plain(state);
    int fd = erig_ws(er, PATH4 "websocket");
    close(fd);
    rig_wait_conns(&er->rig, 0);
    assert_string_equal(buf_text(&er->events), "opened\nclosed: transport close\n");
    erig_free(er);
}

static void a_silent_websocket_ends_on_time(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    struct buf in = {0};
    int fd = erig_ws(er, PATH4 "websocket");
    advance(er, 300);
    assert_true(rig_wait_text(&er->rig, fd, &in,
                              "\x81\x01"
                              "2"));
    advance(er, 199);
    assert_non_null(er->session);
    advance(er, 1);
    assert_string_equal(buf_text(&er->events), "opened\nclosed: ping timeout\n");
    close(fd);
    buf_fini(&in);
    erig_free(er);
}

static void what_is_sent_during_the_probe_comes_after_it_in_order(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf in = {0}, out = {0};
    const char *poll = erig_open(er);
    int waiting = erig_ask(er, "GET", poll, NULL);
    for (int i = 0; i < 20; i++) {
        rig_turn(&er->rig);
    }
    int fd = erig_probe(er, poll);
    erig_text(fd, "2probe");
    assert_true(rig_wait_text(&er->rig, fd, &in, "3probe"));
    assert_int_equal(erig_answer(er, waiting, &out), 200);
    assert_string_equal(buf_text(&out), "6");
    engine_send(er->session, false, STR("one"));
    engine_send(er->session, true, STR("\x01\x02"));
    assert_null(engine_session_conn(er->session));
    assert_talk(er, "GET", poll, NULL, "200 6");
    assert_talk(er, "POST", poll, "4two", "200 ok");
    assert_string_equal(buf_text(&er->events), "opened\n");
    erig_text(fd, "5");
    assert_true(rig_wait_text(&er->rig, fd, &in,
                              "\x81\x04"
                              "4one\x82\x02\x01\x02\x81\x04"
                              "4two"));
    assert_string_equal(buf_text(&er->events), "opened\nws\n");
    assert_non_null(engine_session_conn(er->session));
    assert_talk(er, "GET", poll, NULL, "400 {\"code\":3,\"message\":\"Bad request\"}");
    assert_talk(er, "POST", poll, "4x", "400 {\"code\":3,\"message\":\"Bad request\"}");
    erig_text(fd, "4three");
    assert_true(rig_wait_text(&er->rig, fd, &in, "4three"));
    close(fd);
    buf_fini(&in);
    buf_fini(&out);
    erig_free(er);
}

static void a_poll_overtaken_by_the_upgrade_is_refused(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){0});
    struct buf in = {0}, out = {0};
    const char *poll = erig_open(er);
    int fd = erig_probe(er, poll);
    erig_text(fd, "2probe");
    assert_true(rig_wait_text(&er->rig, fd, &in, "3probe"));
    int late = erig_ask(er, "GET", poll, NULL);
    for (int i = 0; i < 20; i++) {
        rig_turn(&er->rig);
    }
    erig_text(fd, "5");
    assert_int_equal(erig_answer(er, late, &out), 400);
    close(fd);
    buf_fini(&in);
    buf_fini(&out);
    erig_free(er);
}

static void a_probe_that_fails_leaves_the_polls_alone(void **state)
{
    static const char *const says[] = {"4hello", "5", "2", ""};
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        struct engine_rig *er = plain(state);
        struct buf in = {0};
        const char *poll = erig_open(er);
        int fd = erig_probe(er, poll);
        if (says[i][0]) {
            erig_text(fd, says[i]);
            assert_true(rig_wait_text(&er->rig, fd, &in, "\x88"));
        }
        close(fd);
        rig_wait_conns(&er->rig, 0);
        assert_talk(er, "POST", poll, "4still", "200 ok");
        assert_talk(er, "GET", poll, NULL, "200 4still");
        assert_string_equal(buf_text(&er->events), "opened\n");
        buf_fini(&in);
        erig_free(er);
    }
}

static void an_upgrade_that_takes_too_long_is_given_up(void **state)
{
    struct engine_rig *er =
        erig_new(rig_io(state), true, (struct engine_opts){.ping_interval_ms = 60000});
    struct buf in = {0};
    const char *poll = erig_open(er);
    int fd = erig_probe(er, poll);
    erig_text(fd, "2probe");
    assert_true(rig_wait_text(&er->rig, fd, &in, "3probe"));
    engine_send(er->session, false, STR("held"));
    advance(er, 9999);
    assert_int_equal(rig_count(&in, "\x88"), 0);
    advance(er, 1);
    assert_true(rig_wait_text(&er->rig, fd, &in, "\x88"));
    assert_talk(er, "GET", poll, NULL, "200 4held");
    close(fd);
    buf_fini(&in);
    erig_free(er);
}

static void a_second_websocket_is_closed_and_the_first_stays(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf in = {0}, in2 = {0};
    const char *poll = erig_open(er);
    int fd = erig_probe(er, poll);
    int second = erig_probe(er, poll); /* while it is being upgraded */
    assert_true(rig_wait_text(&er->rig, second, &in2, "\x88"));
    close(second);
    erig_text(fd, "2probe");
    assert_true(rig_wait_text(&er->rig, fd, &in, "3probe"));
    erig_text(fd, "5");
    buf_clear(&in2);
    second = erig_probe(er, poll);
    assert_true(rig_wait_text(&er->rig, second, &in2, "\x88"));
    close(second);
    erig_text(fd, "4hello");
    assert_true(rig_wait_text(&er->rig, fd, &in, "4hello"));
    close(fd);
    buf_fini(&in);
    buf_fini(&in2);
    erig_free(er);
}

static void a_websocket_is_closed_with_the_reason(void **state)
{
    struct engine_rig *er = plain(state);
    struct buf in = {0};
    int fd = erig_ws(er, PATH4 "websocket");
    erig_text(fd, "4close");
    assert_true(rig_wait_text(&er->rig, fd, &in, "as asked"));
    assert_string_equal(buf_text(&er->events), "opened\nclosed: forced close\n");
    erig_text(fd, "4ignored");
    close(fd);
    buf_fini(&in);
    erig_free(er);
}

/* ---- revision 3 ---- */

#define PATH3 "/engine.io/?EIO=3&transport="

static void revision_3_is_spoken_when_allowed(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), true, (struct engine_opts){.allow_v3 = true});
    char poll[256];
    (void)erig_talk(er, "GET", PATH3 "polling&b64=1", NULL);
    struct str sid = engine_session_sid(er->session);
    assert_int_equal(engine_session_version(er->session), 3);
    snprintf(poll, sizeof(poll), PATH3 "polling&sid=%.*s", STR_ARG(sid));
    assert_talk(er, "POST", poll, "6:4hello10:b4AQIDBA==", "200 ok");
    assert_talk(er, "GET", poll, NULL, "200 6:4hello10:b4AQIDBA==");
    advance(er, 499);
    assert_talk(er, "POST", poll, "6:2probe", "200 ok");
    assert_talk(er, "GET", poll, NULL, "200 6:3probe");
    advance(er, 499);
    assert_non_null(er->session);
    advance(er, 1);
    assert_string_equal(buf_text(&er->events), "opened\nclosed: ping timeout\n");
    erig_free(er);
}

/* ---- shards ---- */

static void a_sid_of_another_shard_goes_there(void **state)
{
    struct engine_rig *er = erig_new(rig_io(state), false, (struct engine_opts){.shard = 2});
    struct buf in = {0};
    unsigned shard = 0;
    int fd = erig_ask(er, "GET", PATH4 "polling&sid=BBabcdefghijklmnopqrst", NULL);
    (void)rig_wait_end(&er->rig, fd, &in);
    assert_int_equal(er->elsewhere, 65 + 1);
    close(fd);
    assert_talk(er, "GET", PATH4 "polling&sid=ACabcdefghijklmnopqrst", NULL, unknown);
    assert_false(engine_sid_shard(STR("ACabcdefghijklmnopqrs"), &shard));
    assert_false(engine_sid_shard(STR("ACabcdefghijklmnopqrs="), &shard));
    buf_fini(&in);
    erig_free(er);
}

static void sessions_need_no_sticky_load_balancer(void **state)
{
    struct engine_rig *there = erig_new(rig_io(state), false, (struct engine_opts){.shard = 1});
    struct engine_rig *here = erig_new(rig_io(state), false, (struct engine_opts){0});
    struct buf in = {0}, out = {0};
    here->there = there;
    here->rig.there = &there->rig;
    const char *poll = erig_open(there);
    int waiting = erig_ask(here, "GET", poll, NULL);
    for (int i = 0; i < 30; i++) {
        rig_turn(&here->rig);
    }
    assert_talk(here, "POST", poll, "4hello", "200 ok");
    assert_int_equal(erig_answer(here, waiting, &out), 200);
    assert_string_equal(buf_text(&out), "4hello");
    int fd = erig_probe(here, poll);
    erig_text(fd, "2probe");
    assert_true(rig_wait_text(&here->rig, fd, &in, "3probe"));
    erig_text(fd, "5");
    erig_text(fd, "4there");
    assert_true(rig_wait_text(&here->rig, fd, &in, "4there"));
    assert_talk(here, "GET", poll, NULL, "400 {\"code\":3,\"message\":\"Bad request\"}");
    assert_int_equal(engine_count(here->engine), 0);
    assert_int_equal(engine_count(there->engine), 1);
    close(fd);
    buf_fini(&in);
    buf_fini(&out);
    erig_free(here);
    erig_free(there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_handshake_has_exactly_five_members),
        BOTH(an_address_has_so_many_sessions_and_no_more),
        BOTH(what_is_wrong_is_answered_as_the_reference_does),
        BOTH(upgrades_are_refused_in_plain_text),
        BOTH(sessions_have_a_limit),
        BOTH(posted_packets_come_back_in_one_poll),
        BOTH(a_poll_waits_and_gets_all_of_a_turn),
        BOTH(a_packet_is_never_split),
        BOTH(a_second_poll_ends_the_session),
        BOTH(a_client_that_gives_a_poll_up_ends_the_session),
        BOTH(bad_posts_end_the_session),
        BOTH(octets_are_not_of_revision_4),
        BOTH(other_methods_are_bad_requests),
        BOTH(a_close_packet_sends_the_poll_away),
        BOTH(a_close_packet_does_not_wait_long_for_a_poll),
        BOTH(a_closed_session_gives_its_rest_to_the_next_poll),
        BOTH(who_does_not_fetch_is_closed),
        BOTH(pings_come_on_time_and_pongs_keep_alive),
        BOTH(without_a_pong_it_ends_at_the_moment),
        BOTH(a_late_request_finds_it_ended_before_the_timer),
        BOTH(a_websocket_echoes_and_says_goodbye),
        BOTH(bad_frames_end_the_session),
        BOTH(a_lost_websocket_ends_the_session),
        BOTH(a_silent_websocket_ends_on_time),
        BOTH(what_is_sent_during_the_probe_comes_after_it_in_order),
        BOTH(a_poll_overtaken_by_the_upgrade_is_refused),
        BOTH(a_probe_that_fails_leaves_the_polls_alone),
        BOTH(an_upgrade_that_takes_too_long_is_given_up),
        BOTH(a_second_websocket_is_closed_and_the_first_stays),
        BOTH(a_websocket_is_closed_with_the_reason),
        BOTH(revision_3_is_spoken_when_allowed),
        BOTH(a_sid_of_another_shard_goes_there),
        BOTH(sessions_need_no_sticky_load_balancer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
