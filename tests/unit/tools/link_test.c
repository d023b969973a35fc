/* A link against our own server that echoes a large body, plain and over TLS, so that both
 * directions fill the sockets; and the certificates it must refuse. The certificate is made here.
 * SPDX-License-Identifier: MIT */
#include "tools/link.h"

#include "net/net.h"
#include "tests/lib/pem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BODY = 6000000, MAX_TURNS = 20000 };

static struct {
    struct loop *loop;
    struct net_server *server;
    struct tls_context *tls;
    uint16_t port;
    struct pem pem;
    struct link_kind kind;
    struct link link;
    struct buf sent, got;
    bool opened, closed, send_failed;
    const char *broken;
} t;

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    (void)self;
    (void)r;
    struct http_reply reply = {.status = 200, .body = body};
    conn_reply(c, &reply);
}

static void on_conn_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    (void)self;
    (void)c;
    (void)code;
    (void)why;
}

static const struct net_handler handler = {.request = on_request, .closed = on_conn_closed};

static void on_open(struct link *l)
{
    t.opened = true;
    t.send_failed = !link_send(l, buf_str(&t.sent));
}

static void on_data(struct link *l, char *bytes, size_t len)
{
    (void)l;
    buf_add(&t.got, bytes, len);
}

static void on_broken(struct link *l, const char *why)
{
    t.broken = why;
    link_close(l);
}

static void on_link_closed(struct link *l)
{
    (void)l;
    t.closed = true;
}

static const struct link_ops ops = {
    .open = on_open, .data = on_data, .broken = on_broken, .closed = on_link_closed};

static void start(bool tls)
{
    struct buf error = {0};
    struct loop_opts loop_opts = {.io = IO_EPOLL};
    memset(&t, 0, sizeof t);
    t.pem = pem_new();
    assert_int_equal(loop_new(&loop_opts, &t.loop), OK);
    if (tls) {
        assert_int_equal(tls_context_new(t.pem.cert, t.pem.key, &t.tls, &error), OK);
    }
    struct net_opts opts = {
        .loop = t.loop, .handler = &handler, .tls = t.tls, .max_body = 2 * (size_t)BODY};
    t.server = net_server_new(&opts);
    assert_int_equal(net_listen(t.server, "127.0.0.1:0", &t.port), OK);
    buf_printf(&t.sent, "POST / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: %d\r\n\r\n",
               t.port, BODY);
    for (uint32_t i = 0; i < BODY; i++) {
        buf_add_char(&t.sent, (char)('a' + i * 7 % 26));
    }
}

static void connect_link(void)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%u", t.port);
    assert_int_equal(net_parse_address(text, &addr, &len), OK);
    assert_int_equal(link_connect(&t.link, t.loop, &t.kind, (struct sockaddr *)&addr, len, &ops),
                     OK);
}

static void stop(void)
{
    net_stop_listening(t.server);
    net_close_all(t.server);
    for (int i = 0; i < 100 && net_count(t.server) > 0; i++) {
        loop_turn(t.loop, 10);
    }
    net_server_free(t.server);
    link_kind_fini(&t.kind);
    tls_context_free(t.tls);
    loop_free(t.loop);
    buf_fini(&t.sent);
    buf_fini(&t.got);
    pem_close(&t.pem);
}

static void echo(bool tls)
{
    start(tls);
    struct buf error = {0};
    if (tls) {
        assert_int_equal(link_kind_tls(&t.kind, t.pem.cert, &error), OK);
    }
    connect_link();
    for (int i = 0; i < MAX_TURNS && t.got.len < BODY && t.broken == NULL; i++) {
        loop_turn(t.loop, 100);
    }
    assert_null(t.broken);
    assert_false(t.send_failed);
    assert_true(t.got.len > BODY);
    assert_memory_equal(t.got.ptr + t.got.len - BODY, t.sent.ptr + t.sent.len - BODY, BODY);
    link_close(&t.link);
    for (int i = 0; i < 100 && !t.closed; i++) {
        loop_turn(t.loop, 10);
    }
    assert_true(t.closed);
    stop();
}

static void much_comes_back_unchanged(void **state)
{
    (void)state;
    echo(false);
}

static void much_comes_back_unchanged_over_tls(void **state)
{
    (void)state;
    echo(true);
}

/* Gives what broke it. */
static const char *fate(const char *ca_file)
{
    struct buf error = {0};
    assert_int_equal(link_kind_tls(&t.kind, ca_file, &error), OK);
    connect_link();
    for (int i = 0; i < 1000 && !t.closed; i++) {
        loop_turn(t.loop, 10);
    }
    assert_true(t.closed);
    assert_false(t.opened);
    return t.broken;
}

static void an_unknown_certificate_is_refused(void **state)
{
    (void)state;
    start(true);
    struct pem other = pem_new(); /* of the same name, with another key */
    assert_non_null(strstr(fate(other.cert), "certificate"));
    pem_close(&other);
    stop();
}

static void a_server_without_tls_is_said_so(void **state)
{
    (void)state;
    start(false);
    assert_string_equal(fate(NULL), "wrong version number");
    stop();
}

static void a_missing_ca_file_is_named(void **state)
{
    (void)state;
    struct link_kind kind = {0};
    struct buf error = {0};
    assert_int_equal(link_kind_tls(&kind, "/nonexistent.pem", &error), ERR_TLS);
    assert_non_null(strstr(buf_text(&error), "/nonexistent.pem"));
    buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(much_comes_back_unchanged),
        cmocka_unit_test(much_comes_back_unchanged_over_tls),
        cmocka_unit_test(an_unknown_certificate_is_refused),
        cmocka_unit_test(a_server_without_tls_is_said_so),
        cmocka_unit_test(a_missing_ca_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
