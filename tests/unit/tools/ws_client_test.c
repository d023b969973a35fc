/* Our client against our server, on one loop. SPDX-License-Identifier: MIT */
#include "tools/ws_client.h"

#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum io_kind io = IO_EPOLL; /* both back ends are tried, one after the other */

struct peer {
    struct loop *loop;
    struct net_server *server;
    struct ws_client *client;
    uint16_t port;
    unsigned refuse_with; /* status instead of an upgrade */
    int opened, closed, pongs;
    struct buf got; /* messages the client got, each with a newline */
    char why[160];
};

static void on_request(void *self, struct conn *c, const struct http_request *r, struct str body)
{
    struct peer *p = self;
    (void)body;
    if (p->refuse_with) {
        conn_reply(c, &(struct http_reply){.status = p->refuse_with, .body = STR("no")});
    } else if (conn_upgrade_ws(c, r, &(struct ws_accept_opts){0})) {
        conn_send_ws(c, WS_TEXT, STR("hello"), false);
        conn_ping(c, STR("are you there"));
    }
}

static void on_message(void *self, struct conn *c, bool binary, struct str text)
{
    (void)self;
    if (str_eq(text, STR("bye"))) {
        conn_close_ws(c, 1001, STR("going"));
    } else if (str_eq(text, STR("cut"))) {
        conn_abort(c);
    } else {
        conn_send_ws(c, binary ? WS_BINARY : WS_TEXT, text, true);
    }
}

static void on_pong(void *self, struct conn *c, struct str payload)
{
    (void)c;
    ((struct peer *)self)->pongs += str_eq(payload, STR("are you there"));
}

static void on_conn_closed(void *self, struct conn *c, uint16_t code, const char *why)
{
    (void)self;
    (void)c;
    (void)code;
    (void)why;
}

static const struct net_handler handler = {
    .request = on_request, .message = on_message, .pong = on_pong, .closed = on_conn_closed};

static void client_opened(void *self)
{
    ((struct peer *)self)->opened++;
}

static void client_message(void *self, bool binary, struct str text)
{
    struct peer *p = self;
    assert_false(binary);
    buf_add_str(&p->got, text);
    buf_add_char(&p->got, '\n');
}

static void client_closed(void *self, const char *why)
{
    struct peer *p = self;
    p->closed++;
    snprintf(p->why, sizeof(p->why), "%s", why);
}

static const struct ws_client_events events = {client_opened, client_message, client_closed};

static int setup(void **state)
{
    struct peer *p = calloc(1, sizeof(*p));
    assert_int_equal(loop_new(&(struct loop_opts){.io = io}, &p->loop), OK);
    p->server = net_server_new(
        &(struct net_opts){.loop = p->loop, .handler = &handler, .self = p, .deflate = true});
    assert_int_equal(net_listen(p->server, "127.0.0.1:0", &p->port), OK);
    p->client = ws_client_new(&(struct ws_client_opts){.loop = p->loop,
                                                       .events = &events,
                                                       .self = p,
                                                       .max_message = 4096,
                                                       .quiet_timeout_ms = 80,
                                                       .open_timeout_ms = 2000});
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct peer *p = *state;
    ws_client_close(p->client, WS_CLOSE_NORMAL);
    net_stop_listening(p->server);
    net_close_all(p->server);
    for (int i = 0; i < 300 && (!ws_client_is_idle(p->client) || net_count(p->server)); i++) {
        loop_turn(p->loop, 5);
    }
    ws_client_free(p->client);
    net_server_free(p->server);
    loop_free(p->loop);
    buf_fini(&p->got);
    free(p);
    return 0;
}

static void open_client(struct peer *p)
{
    char url[64];
    struct buf error = {0};
    snprintf(url, sizeof(url), "ws://127.0.0.1:%u/ws", (unsigned)p->port);
    assert_int_equal(ws_client_open(p->client, str_of(url), &error), OK);
    buf_fini(&error);
}

/* Turns until `*count` reached `want`, at most 3 s. */
static void until(struct peer *p, const int *count, int want)
{
    uint64_t end = clock_mono_ms(clock_real()) + 3000;
    while (*count < want && clock_mono_ms(clock_real()) < end) {
        loop_turn(p->loop, 5);
    }
    assert_true(*count >= want);
}

static void until_got(struct peer *p, const char *text)
{
    uint64_t end = clock_mono_ms(clock_real()) + 3000;
    while (!str_eq(buf_str(&p->got), str_of(text)) && clock_mono_ms(clock_real()) < end) {
        loop_turn(p->loop, 5);
    }
    assert_string_equal(buf_text(&p->got), text);
}

static void messages_go_both_ways_and_pings_are_answered(void **state)
{
    struct peer *p = *state;
    open_client(p);
    until(p, &p->opened, 1);
    ws_client_send(p->client, STR("größer"));
    until_got(p, "hello\ngrößer\n");
    until(p, &p->pongs, 1);
    ws_client_close(p->client, WS_CLOSE_NORMAL);
    until(p, &p->closed, 1);
    assert_string_equal(p->why, "closed here");
    buf_clear(&p->got);
    open_client(p); /* and once more with the same object */
    until_got(p, "hello\n");
}

static void the_end_says_why(void **state)
{
    struct peer *p = *state;
    open_client(p);
    until(p, &p->opened, 1);
    ws_client_send(p->client, STR("bye"));
    until(p, &p->closed, 1);
    assert_string_equal(p->why, "the server closed (1001)");
    open_client(p);
    until(p, &p->opened, 2);
    ws_client_send(p->client, STR("cut"));
    until(p, &p->closed, 2);
    p->refuse_with = 403;
    open_client(p);
    until(p, &p->closed, 3);
    assert_string_equal(p->why, "the server forbids it (403)");
    assert_int_equal(p->opened, 2);
    net_stop_listening(p->server);
    loop_turn(p->loop, 5);
    open_client(p);
    until(p, &p->closed, 4);
    assert_string_equal(p->why, "nobody listens there");
}

static void silence_is_noticed(void **state)
{
    struct peer *p = *state;
    open_client(p);
    until(p, &p->opened, 1);
    until(p, &p->closed, 1);
    assert_string_equal(p->why, "nothing came any more");
}

static void urls_it_cannot_open_are_refused(void **state)
{
    struct peer *p = *state;
    struct buf error = {0};
    assert_int_equal(ws_client_open(p->client, STR("http://127.0.0.1/"), &error), ERR_SYNTAX);
    assert_int_equal(ws_client_open(p->client, STR("ws://"), &error), ERR_SYNTAX);
    assert_false(ws_client_url_valid(STR("wss://127.0.0.1/ws")));
    assert_true(ws_client_url_valid(STR("ws://[::1]:8000/ws")));
    assert_true(ws_client_is_idle(p->client) && error.len > 0);
    buf_fini(&error);
}

/* The pair of RFC 6455, section 1.3. */
static void only_the_right_answer_opens(void **state)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
                               "Connection: keep-alive, Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static const char *const wrong[] = {
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: AAAAAMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    };
    (void)state;
    size_t head = 0;
    const char *why = NULL;
    assert_int_equal(ws_client_check(str_of(good), key, &head, &why), OK);
    assert_int_equal(head, strlen(good));
    assert_int_equal(ws_client_check(str_make(good, 60), key, &head, &why), ERR_MORE);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        enum err e = ws_client_check(str_of(wrong[i]), key, &head, &why);
        assert_true(e != OK && e != ERR_MORE && why);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_go_both_ways_and_pings_are_answered),
        T(the_end_says_why),
        T(silence_is_noticed),
        T(urls_it_cannot_open_are_refused),
        cmocka_unit_test(only_the_right_answer_opens),
    };
    struct loop *probe = NULL;
    int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    io = IO_URING;
    if (loop_new(&(struct loop_opts){.io = io}, &probe) == OK) { /* containers often forbid it */
        loop_free(probe);
        failed += cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
    }
    return failed;
}
