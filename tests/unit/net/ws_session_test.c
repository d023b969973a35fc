/* WebSocket sessions over real sockets: handshakes, messages, closing, deflate, limits, pings.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/rig.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"

static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};

static int open_ws(struct rig *rig, const char *more)
{
    struct buf in = {0}, out = {0};
    int fd = rig_connect(rig);
    (void)buf_printf(&out, "%s%s\r\n", UPGRADE, more);
    rig_send(fd, out.ptr, out.len);
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\n"));
    assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 101 Switching Protocols\r\n")));
    assert_int_equal(rig_count(&in, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), 1);
    buf_fini(&in);
    buf_fini(&out);
    return fd;
}

static void say_frame(int fd, enum ws_opcode opcode, bool fin, struct str payload)
{
    struct buf out = {0};
    ws_frame(&out, opcode, fin, false, payload, mask);
    rig_send(fd, out.ptr, out.len);
    buf_fini(&out);
}

/* Waits for exactly these bytes. */
static void expect(struct rig *rig, int fd, struct str want)
{
    struct buf in = {0};
    assert_true(rig_wait_len(rig, fd, &in, want.len));
    assert_int_equal(in.len, want.len);
    assert_memory_equal(in.ptr, want.ptr, want.len);
    buf_fini(&in);
}

/* Waits for a close frame with that code and the end of the stream. */
static void expect_failure(struct rig *rig, int fd, uint16_t code)
{
    struct buf in = {0};
    assert_true(rig_wait_end(rig, fd, &in));
    assert_true(in.len >= 4);
    assert_int_equal((uint8_t)in.ptr[0], 0x88);
    assert_int_equal((uint8_t)in.ptr[2] << 8 | (uint8_t)in.ptr[3], code);
    buf_fini(&in);
    close(fd);
    assert_true(rig_wait_count(rig, &rig->closed, 1));
    assert_int_equal(rig->closed_code, code);
}

static void a_handshake_must_be_one(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 400 "},
        {UPGRADE "Sec-WebSocket-Extensions: permessage-deflate; =\r\n\r\n", "HTTP/1.1 400 "},
    };
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.deflate = true});
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in = {0};
        int fd = rig_connect(rig);
        rig_say(fd, cases[i].request);
        assert_true(rig_wait_end(rig, fd, &in));
        if (!str_starts(buf_str(&in), str_of(cases[i].answer))) {
            fail_msg("case %zu: %.*s", i, STR_ARG(buf_str(&in)));
        }
        if (str_find_str(buf_str(&in), STR(" 426 ")) != SIZE_MAX) {
            assert_int_equal(rig_count(&in, "Sec-WebSocket-Version: 13\r\n"), 1);
            assert_int_equal(rig_count(&in, "Upgrade: websocket\r\n"), 1);
        }
        buf_fini(&in);
        close(fd);
    }
    rig_free(rig);
}

static void messages_come_back_however_they_are_cut(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf all = {0}, want = {0};
    ws_frame(&all, WS_TEXT, true, false, STR("hello"), mask);
    ws_frame(&want, WS_TEXT, true, false, STR("hello"), NULL);
    ws_frame(&all, WS_BINARY, false, false, STR("ab"), mask);
    ws_frame(&all, WS_PING, true, false, STR("p"), mask);
    ws_frame(&want, WS_PONG, true, false, STR("p"), NULL);
    ws_frame(&all, WS_CONTINUATION, false, false, STR(""), mask);
    ws_frame(&all, WS_CONTINUATION, true, false, STR("\xff"), mask);
    ws_frame(&want, WS_BINARY, true, false, STR("ab\xff"), NULL);
    ws_frame(&all, WS_TEXT, true, false, STR(""), mask);
    ws_frame(&want, WS_TEXT, true, false, STR(""), NULL);
    for (size_t cut = 0; cut < all.len; cut++) {
        int fd = open_ws(rig, "");
        rig_send(fd, all.ptr, cut);
        for (int i = 0; i < 3; i++) {
            loop_turn(rig->loop, 0);
        }
        rig_send(fd, all.ptr + cut, all.len - cut);
        expect(rig, fd, buf_str(&want));
        close(fd);
    }
    int fd = open_ws(rig, "");
    for (size_t i = 0; i < all.len; i++) {
        rig_send(fd, all.ptr + i, 1);
        loop_turn(rig->loop, 0);
    }
    expect(rig, fd, buf_str(&want));
    close(fd);
    buf_fini(&all);
    buf_fini(&want);
    rig_free(rig);
}

static void frames_may_follow_the_handshake_at_once(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf out = {0}, in = {0};
    int fd = rig_connect(rig);
    (void)buf_add_lit(&out, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n" UPGRADE "\r\n");
    ws_frame(&out, WS_TEXT, true, false, STR("early"), mask);
    rig_send(fd, out.ptr, out.len);
    assert_true(rig_wait_count(rig, &rig->requests, 1));
    rig_answer(rig->later, STR("x")); /* the upgrade comes out of what was kept meanwhile */
    assert_true(rig_wait_text(rig, fd, &in,
                              "\x81\x05"
                              "early"));
    buf_fini(&in);
    buf_fini(&out);
    close(fd);
    rig_free(rig);
}

static void an_idle_session_keeps_nothing(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = open_ws(rig, "");
    say_frame(fd, WS_TEXT, false, STR("he"));
    say_frame(fd, WS_CONTINUATION, true, STR("llo"));
    expect(rig, fd, STR("\x81\x05hello"));
    assert_int_equal(conn_pending(rig->last), 0);
    assert_true(conn_is_ws(rig->last) && !conn_is_closing(rig->last));
    assert_true(conn_peer_is_loopback(rig->last) && !conn_is_tls(rig->last));
    char peer[64];
    assert_string_equal(conn_peer(rig->last, peer), "127.0.0.1");
    assert_ptr_equal(conn_of_user(conn_user(rig->last)), rig->last);
    close(fd);
    assert_true(rig_wait_count(rig, &rig->closed, 1));
    assert_int_equal(rig->closed_code, 1006);
    rig_free(rig);
}

static void either_side_may_close(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = open_ws(rig, "");
    say_frame(fd, WS_CLOSE, true,
              STR("\x03\xe8"
                  "bye"));
    struct buf in = {0};
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(in.len, 4);
    assert_memory_equal(in.ptr, "\x88\x02\x03\xe8", 4);
    close(fd);
    assert_true(rig_wait_count(rig, &rig->closed, 1));
    assert_int_equal(rig->closed_code, 1000);
    /* a close without a code is answered with one */
    fd = open_ws(rig, "");
    say_frame(fd, WS_CLOSE, true, STR(""));
    buf_clear(&in);
    assert_true(rig_wait_end(rig, fd, &in));
    assert_memory_equal(in.ptr, "\x88\x00", 2);
    close(fd);
    assert_true(rig_wait_count(rig, &rig->closed, 2));
    /* ours; what comes before the answer is not delivered */
    fd = open_ws(rig, "");
    say_frame(fd, WS_TEXT, true, STR("close"));
    expect(rig, fd,
           STR("\x88\x0a\x0f\xa1"
               "as asked"));
    say_frame(fd, WS_TEXT, true, STR("ignored"));
    say_frame(fd, WS_CLOSE, true, STR("\x0f\xa1"));
    buf_clear(&in);
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(in.len, 0);
    assert_int_equal(rig->messages, 1);
    close(fd);
    assert_true(rig_wait_count(rig, &rig->closed, 3));
    assert_int_equal(rig->closed_code, 4001);
    assert_int_equal(rig->closing, 3);
    buf_fini(&in);
    rig_free(rig);
}

static void violations_have_their_codes(void **state)
{
    static const struct {
        uint16_t code;
        const char *bytes;
        size_t len;
    } cases[] = {
        {1002, "\x81\x05hello", 7},                     /* not masked */
        {1002, "\xc1\x80\0\0\0\0", 6},                  /* RSV1 without deflate */
        {1002, "\x83\x80\0\0\0\0", 6},                  /* unknown opcode */
        {1002, "\x80\x80\0\0\0\0", 6},                  /* continues nothing */
        {1002, "\x09\x80\0\0\0\0", 6},                  /* a ping in fragments */
        {1007, "\x81\x81\0\0\0\0\xff", 7},              /* not UTF-8 */
        {1002, "\x88\x82\0\0\0\0\x03\xed", 8},          /* close with 1005 */
        {1009, "\x81\xff\0\0\0\0\0\1\0\1\0\0\0\0", 14}, /* 65,537 bytes */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
        int fd = open_ws(rig, "");
        rig_send(fd, cases[i].bytes, cases[i].len);
        expect_failure(rig, fd, cases[i].code);
        assert_int_equal(rig->messages, 0);
        rig_free(rig);
    }
}

static void limits_are_exact(void **state)
{
    char text[101];
    memset(text, 'x', sizeof(text));
    struct net_opts opts = {.max_message = 100, .max_fragments = 3};
    struct rig *rig = rig_new(rig_io(state), false, opts);
    int fd = open_ws(rig, "");
    say_frame(fd, WS_TEXT, false, str_make(text, 50));
    say_frame(fd, WS_CONTINUATION, true, str_make(text, 50));
    assert_true(rig_wait_count(rig, &rig->messages, 1));
    say_frame(fd, WS_TEXT, true, str_make(text, 100));
    assert_true(rig_wait_count(rig, &rig->messages, 2));
    struct buf in = {0};
    assert_true(rig_wait_len(rig, fd, &in, 204));
    buf_fini(&in);
    say_frame(fd, WS_TEXT, false, str_make(text, 50));
    say_frame(fd, WS_CONTINUATION, true, str_make(text, 51));
    expect_failure(rig, fd, 1009);
    rig->closed = 0;
    fd = open_ws(rig, "");
    say_frame(fd, WS_TEXT, false, str_make(text, 1));
    for (int i = 0; i < 3; i++) {
        say_frame(fd, WS_CONTINUATION, false, str_make(text, 1));
    }
    struct buf end = {0};
    assert_true(rig_wait_end(rig, fd, &end)); /* the code is the decoder's to choose */
    assert_int_equal((uint8_t)end.ptr[0], 0x88);
    buf_fini(&end);
    close(fd);
    assert_int_equal(rig->messages, 2);
    rig_free(rig);
}

/* ---- deflate ---- */

static void deflate_round(struct rig *rig, const char *offer, bool client_reset)
{
    struct buf line = {0}, text = {0}, packed = {0}, out = {0}, in = {0}, got = {0};
    (void)buf_printf(&line, "Sec-WebSocket-Extensions: %s\r\n", offer);
    int fd = open_ws(rig, line.ptr ? buf_text(&line) : "");
    struct deflater *d = deflater_new(15, 6, 8);
    struct inflater *inf = inflater_new(15);
    for (int i = 0; i < 200; i++) {
        (void)buf_printf(&text, "{\"price\":%d}", i % 7);
    }
    for (int round = 0; round < 3; round++) {
        buf_clear(&packed), buf_clear(&out), buf_clear(&in), buf_clear(&got);
        assert_int_equal(deflater_message(d, buf_str(&text), client_reset, &packed), OK);
        ws_frame(&out, WS_TEXT, false, true, str_sub(buf_str(&packed), 0, 5), mask);
        ws_frame(&out, WS_CONTINUATION, true, false, str_from(buf_str(&packed), 5), mask);
        rig_send(fd, out.ptr, 4);
        rig_turn(rig);
        rig_send(fd, out.ptr + 4, out.len - 4);
        unsigned before = rig->messages;
        assert_true(rig_wait_count(rig, &rig->messages, before + 1));
        assert_true(rig_wait_len(rig, fd, &in, 4));
        assert_int_equal((uint8_t)in.ptr[0], 0xc1);
        size_t len = (uint8_t)in.ptr[1], head = 2;
        if (len == 126) {
            len = (size_t)((uint8_t)in.ptr[2] << 8 | (uint8_t)in.ptr[3]);
            head = 4;
        }
        assert_true(rig_wait_len(rig, fd, &in, head + len));
        struct str payload = str_sub(buf_str(&in), head, len);
        assert_int_equal(inflater_piece(inf, payload, true, false, &got), OK);
        assert_true(str_eq(buf_str(&got), buf_str(&text)));
    }
    deflater_free(d);
    inflater_free(inf);
    buf_fini(&line), buf_fini(&text), buf_fini(&packed), buf_fini(&out), buf_fini(&in);
    buf_fini(&got);
    close(fd);
}

static void shared_deflate_goes_round(void **state)
{
    struct net_opts opts = {
        .deflate = true,
        .max_message = 4096,
        .deflate_policy = {.shared = true, .server_window_bits = 10},
    };
    struct rig *rig = rig_new(rig_io(state), false, opts);
    deflate_round(rig, "permessage-deflate; client_max_window_bits", true);
    deflate_round(rig, "permessage-deflate", true);
    assert_true(rig->last == NULL || conn_takes_deflate(rig->last));
    rig_free(rig);
}

static void own_contexts_go_round(void **state)
{
    struct net_opts opts = {
        .deflate = true, .max_message = 4096, .deflate_policy = {.server_window_bits = 15}};
    struct rig *rig = rig_new(rig_io(state), false, opts);
    deflate_round(rig, "permessage-deflate", false);
    deflate_round(rig, "permessage-deflate; server_no_context_takeover", false);
    deflate_round(rig, "permessage-deflate; client_no_context_takeover", true);
    deflate_round(rig, "permessage-deflate; server_max_window_bits=9", false);
    rig_free(rig);
}

static void inflated_text_is_bounded_and_checked(void **state)
{
    static const bool policies[] = {true, false};
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct net_opts opts = {
            .deflate = true,
            .max_message = 4096,
            .deflate_policy = {.shared = policies[i], .server_window_bits = 15},
        };
        struct rig *rig = rig_new(rig_io(state), false, opts);
        struct buf bomb = {0}, packed = {0}, out = {0};
        struct deflater *d = deflater_new(15, 6, 8);
        assert_true(buf_reserve(&bomb, 4097));
        memset(bomb.ptr, 'x', 4097);
        bomb.len = 4097;
        assert_int_equal(deflater_message(d, buf_str(&bomb), true, &packed), OK);
        ws_frame(&out, WS_TEXT, true, true, buf_str(&packed), mask);
        int fd = open_ws(rig, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        rig_send(fd, out.ptr, out.len);
        expect_failure(rig, fd, 1009);
        buf_clear(&packed), buf_clear(&out);
        rig->closed = 0;
        assert_int_equal(deflater_message(d, STR("\xc3\x28"), true, &packed), OK);
        ws_frame(&out, WS_TEXT, true, true, buf_str(&packed), mask);
        fd = open_ws(rig, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        rig_send(fd, out.ptr, out.len);
        expect_failure(rig, fd, 1007);
        assert_int_equal(rig->messages, 0);
        deflater_free(d);
        buf_fini(&bomb), buf_fini(&packed), buf_fini(&out);
        rig_free(rig);
    }
}

/* ---- pings ---- */

static void a_dead_peer_is_found(void **state)
{
    struct net_opts opts = {.ping_interval_ms = 2500, .ping_timeout_ms = 2000};
    struct rig *rig = rig_new(rig_io(state), true, opts);
    int dead = open_ws(rig, ""), alive = open_ws(rig, "");
    struct buf in = {0};
    rig_pass(rig, 2000);
    assert_true(rig_take(dead, &in));
    assert_int_equal(in.len, 0);
    rig_pass(rig, 600);
    expect(rig, dead, STR("\x89\x00"));
    expect(rig, alive, STR("\x89\x00"));
    say_frame(alive, WS_PONG, true, STR(""));
    assert_true(rig_wait_count(rig, &rig->pongs, 1));
    rig_pass(rig, 2100);
    assert_true(rig_wait_end(rig, dead, &in));
    assert_int_equal(rig->closed, 1);
    assert_string_equal(rig->closed_why, "no answer to ping");
    assert_int_equal(net_count(rig->server), 1);
    assert_true(rig_take(alive, &in));
    assert_int_equal(in.len, 0);
    rig_pass(rig, 600); /* 2,500 after the first, not 2,000 */
    expect(rig, alive, STR("\x89\x00"));
    close(dead), close(alive);
    buf_fini(&in);
    rig_free(rig);
}

static void an_unanswered_close_is_cut(void **state)
{
    struct rig *rig = rig_new(rig_io(state), true, (struct net_opts){0});
    int fd = open_ws(rig, "");
    struct buf in = {0};
    say_frame(fd, WS_TEXT, true, STR("close"));
    assert_true(rig_wait_len(rig, fd, &in, 12));
    rig_pass(rig, 1500);
    assert_int_equal(rig->closed, 0);
    rig_pass(rig, 700);
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->closed_code, 4001);
    buf_fini(&in);
    close(fd);
    rig_free(rig);
}

static void the_round_trip_is_measured(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    int fd = open_ws(rig, "");
    say_frame(fd, WS_TEXT, true, STR("x"));
    expect(rig, fd, STR("\x81\x01x"));
    assert_int_equal(conn_rtt_us(rig->last), 0);
    conn_ping(rig->last, STR("t"));
    expect(rig, fd, STR("\x89\x01t"));
    say_frame(fd, WS_PONG, true, STR("t"));
    assert_true(rig_wait_count(rig, &rig->pongs, 1));
    assert_true(conn_rtt_us(rig->last) > 0 && conn_rtt_us(rig->last) < 5000000);
    assert_true(conn_last_seen_ms(rig->last) <= loop_now_ms(rig->loop));
    assert_true(conn_last_seen_ms(rig->last) + 1000 > loop_now_ms(rig->loop));
    close(fd);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_handshake_must_be_one),
        BOTH(messages_come_back_however_they_are_cut),
        BOTH(frames_may_follow_the_handshake_at_once),
        BOTH(an_idle_session_keeps_nothing),
        BOTH(either_side_may_close),
        BOTH(violations_have_their_codes),
        BOTH(limits_are_exact),
        BOTH(shared_deflate_goes_round),
        BOTH(own_contexts_go_round),
        BOTH(inflated_text_is_bounded_and_checked),
        BOTH(a_dead_peer_is_found),
        BOTH(an_unanswered_close_is_cut),
        BOTH(the_round_trip_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
