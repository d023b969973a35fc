/* TLS over real sockets against OpenSSL's client: echo of little and much, a reader that stops,
 * ALPN, old versions, garbage, a clean end.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/tls_rig.h"

static void requests_are_answered_over_tls(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct peer p = peer_new(rig);
    struct buf in = {0};
    assert_true(handshake(rig, &p));
    assert_true(SSL_version(p.ssl) >= TLS1_2_VERSION);
    peer_send(rig, &p,
              STR("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /bye HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_false(peer_wait(rig, &p, &in, 100000));
    assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 2);
    assert_int_equal(rig_count(&in, "/hello"), 1);
    assert_true(str_ends(buf_str(&in), STR("bye")));
    peer_free(&p);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
    tls_context_free(t);
}

static void much_goes_round(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 16384, 65536, 3000000};
    struct tls_context *t = make_context();
    struct net_opts opts = {.tls = t, .max_message = 4 << 20};
    struct rig *rig = rig_new(rig_io(state), false, opts);
    struct peer p = peer_new(rig);
    upgrade(rig, &p);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text = {0}, out = {0}, want = {0}, in = {0};
        for (size_t k = 0; k < sizes[i]; k++) {
            (void)buf_add_char(&text, (char)('a' + k % 23));
        }
        ws_frame(&out, WS_TEXT, true, false, buf_str(&text), mask);
        ws_frame(&want, WS_TEXT, true, false, buf_str(&text), NULL);
        peer_send(rig, &p, buf_str(&out));
        assert_true(peer_wait(rig, &p, &in, want.len));
        assert_true(str_eq(buf_str(&in), buf_str(&want)));
        buf_fini(&text), buf_fini(&out), buf_fini(&want), buf_fini(&in);
    }
    assert_true(conn_is_tls(rig->last));
    assert_null(conn_stream(rig->last));
    assert_int_equal(conn_pending(rig->last), 0);
    peer_free(&p);
    rig_free(rig);
    tls_context_free(t);
}

static void a_slow_tls_reader_catches_up(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct peer p = peer_new(rig);
    struct buf in = {0};
    upgrade(rig, &p);
    struct buf out = {0};
    ws_frame(&out, WS_TEXT, true, false, STR("x"), mask);
    peer_send(rig, &p, buf_str(&out));
    assert_true(peer_wait(rig, &p, &in, 3));
    char *block = mem_zero(50000);
    size_t total = 0;
    while (!rig->congested && total < (64 << 20)) {
        conn_write(rig->last, str_make(block, 50000));
        total += 50000;
        rig_turn(rig);
    }
    assert_int_equal(rig->congested, 1);
    conn_write_now(rig->last, STR("end"));
    buf_clear(&in);
    assert_true(peer_wait(rig, &p, &in, total + 3));
    assert_true(str_ends(buf_str(&in), STR("\0\0end")));
    assert_true(rig_wait_count(rig, &rig->drained, 1));
    assert_int_equal(rig->congested, 1);
    mem_free(block);
    buf_fini(&in), buf_fini(&out);
    peer_free(&p);
    rig_free(rig);
    tls_context_free(t);
}

static void a_conn_may_be_handed_over_with_its_session(void **state)
{
    struct tls_context *t = make_context();
    struct rig *there = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    rig->there = there;
    struct peer p = peer_new(rig);
    struct buf in = {0};
    assert_true(handshake(rig, &p));
    peer_send(rig, &p,
              STR("GET /first HTTP/1.1\r\nHost: x\r\n\r\nPOST /move HTTP/1.1\r\nHost: x\r\n"
                  "Content-Length: 4\r\n\r\nbodyGET /bye HTTP/1.1\r\nHo"));
    for (int i = 0; i < 3; i++) {
        rig_turn(rig);
    }
    peer_send(rig, &p, STR("st: x\r\n\r\n"));
    assert_false(peer_wait(rig, &p, &in, 100000));
    assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 3);
    assert_int_equal(rig_count(&in, "\r\n\r\nbody"), 1);
    assert_true(str_ends(buf_str(&in), STR("bye")));
    assert_string_equal(buf_text(&there->heard), "POST /move\nGET /bye\n");
    peer_free(&p);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
    rig_free(there);
    tls_context_free(t);
}

static void only_our_protocols_are_spoken(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    struct peer p = peer_new(rig);
    SSL_set_alpn_protos(p.ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    assert_true(handshake(rig, &p));
    SSL_get0_alpn_selected(p.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    peer_free(&p);
    p = peer_new(rig);
    SSL_set_alpn_protos(p.ssl, (const unsigned char *)"\x02h2", 3);
    assert_false(handshake(rig, &p));
    peer_free(&p);
    p = peer_new(rig);
    SSL_set_security_level(p.ssl, 0);
    SSL_set_min_proto_version(p.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(p.ssl, TLS1_1_VERSION);
    assert_false(handshake(rig, &p));
    peer_free(&p);
    rig_wait_conns(rig, 0);
    rig_free(rig);
    tls_context_free(t);
}

static void garbage_ends_with_an_alert(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig->requests, 0);
    close(fd);
    rig_wait_conns(rig, 0);
    assert_string_equal(rig->closed_why, "TLS failed");
    buf_fini(&in);
    rig_free(rig);
    tls_context_free(t);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    struct pem a = pem_new(), b = pem_new();
    struct tls_context *t = NULL;
    struct buf error = {0};
    assert_int_equal(tls_context_new("no-such.pem", a.key, &t, &error), ERR_TLS);
    assert_true(str_find_str(buf_str(&error), STR("no-such.pem")) != SIZE_MAX);
    buf_clear(&error);
    assert_int_equal(tls_context_new(a.cert, b.key, &t, &error), ERR_TLS);
    assert_true(error.len > 0);
    assert_null(t);
    buf_fini(&error);
    pem_close(&a), pem_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(requests_are_answered_over_tls),
        BOTH(much_goes_round),
        BOTH(a_slow_tls_reader_catches_up),
        BOTH(only_our_protocols_are_spoken),
        BOTH(a_conn_may_be_handed_over_with_its_session),
        BOTH(garbage_ends_with_an_alert),
        cmocka_unit_test(wrong_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
