/* The server for public suites, over real sockets. SPDX-License-Identifier: MIT */
#include "tools/conformance.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct site {
    struct loop *loop;
    struct clock clock;
    struct conformance *server;
    uint16_t port;
};

static void site_open(struct site *s)
{
    struct buf error = {0};
    clock_init_virtual(&s->clock, 1000, 1700000000000);
    struct loop_opts lo = {.io = IO_EPOLL, .clock = &s->clock};
    assert_int_equal(log_configure(STR("error")), OK);
    assert_int_equal(loop_new(&lo, &s->loop), OK);
    struct conformance_opts o = {.loop = s->loop, .listen = "127.0.0.1:0"};
    conformance_defaults(&o);
    o.max_message = 1000;
    assert_int_equal(conformance_start(&o, &s->server, &s->port, &error), OK);
}

static void site_close(struct site *s)
{
    conformance_stop(s->server);
    conformance_cut(s->server);
    for (int i = 0; i < 1000 && !conformance_is_idle(s->server); i++) {
        loop_turn(s->loop, 0);
    }
    assert_true(conformance_is_idle(s->server));
    conformance_free(s->server);
    loop_free(s->loop);
}

static int say(struct site *s, const char *request)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* Turns until the text came. */
static bool hear(struct site *s, int fd, struct buf *in, const char *text)
{
    char bytes[4096];
    for (int i = 0; i < 1000; i++) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) {
            (void)buf_add(in, bytes, (size_t)n);
        }
        if (in->len && str_find_str(buf_str(in), str_of(text)) != SIZE_MAX) {
            return true;
        }
        loop_turn(s->loop, 0);
    }
    return false;
}

static void pages_posts_and_preflights_are_answered(void **state)
{
    static const struct {
        const char *request, *answer, *ending;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\n\r\n", "HTTP/1.1 200 ",
         "coincast conformance\n"},
        {"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world", "HTTP/1.1 200 ",
         "\r\n\r\n11"},
        {"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413 ", "}"},
        {"OPTIONS /post HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 204 ", "\r\n\r\n"},
        {"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 ", "end point"},
        {"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ",
         "\"pingInterval\":300,\"pingTimeout\":200,\"maxPayload\":1000000}"},
        {"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ",
         "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"OPTIONS /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 204 ", "\r\n\r\n"},
        {"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "\n"},
    };
    struct site s;
    (void)state;
    site_open(&s);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in = {0};
        int fd = say(&s, cases[i].request);
        assert_true(hear(&s, fd, &in, cases[i].ending));
        assert_true(str_starts(buf_str(&in), str_of(cases[i].answer)));
        assert_true(str_ends(buf_str(&in), str_of(cases[i].ending)));
        close(fd);
        buf_fini(&in);
    }
    site_close(&s);
}

static void events_come_once_a_second_and_go_on(void **state)
{
    struct site s;
    struct buf in = {0};
    (void)state;
    site_open(&s);
    int fd = say(&s, "GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 41\r\n\r\n");
    assert_true(hear(&s, fd, &in, "id: 42\ndata: 42\n\n"));
    assert_true(str_find_str(buf_str(&in), STR("Access-Control-Allow-Origin: *")) != SIZE_MAX);
    clock_advance_us(&s.clock, 900000);
    assert_false(hear(&s, fd, &in, "id: 43"));
    clock_advance_us(&s.clock, 150000);
    assert_true(hear(&s, fd, &in, "id: 43\ndata: 43\n\n"));
    close(fd); /* the timer goes with its listener */
    for (int i = 0; i < 20; i++) {
        clock_advance_us(&s.clock, 500000);
        loop_turn(s.loop, 0);
    }
    assert_true(conformance_is_idle(s.server));
    buf_fini(&in);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_posts_and_preflights_are_answered),
        cmocka_unit_test(events_come_once_a_second_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
