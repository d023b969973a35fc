/* Against the real redis-server on a free port of loopback, in real time: it is killed, comes back,
 * and is stopped in its tracks. Skipped where the program is not installed.
 * SPDX-License-Identifier: MIT */
#include "store/redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

#define SKIPPED 77

static char server_path[] = "/usr/bin/redis-server";

struct fixture {
    struct loop *loop;
    struct redis *redis;
    pid_t server;
    uint16_t port;
};

struct got {
    int calls;
    enum err e;
    char text[64];
};

static void take(void *self, enum err e, struct str value)
{
    struct got *g = self;
    g->calls++;
    g->e = e;
    assert_true(value.len < sizeof(g->text));
    memcpy(g->text, value.ptr, value.len);
    g->text[value.len] = '\0';
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void start_server(struct fixture *f)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", f->port);
    f->server = fork();
    assert_true(f->server >= 0);
    if (f->server == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(server_path, server_path, "--port", port, "--bind", "127.0.0.1", "--save", "",
              "--appendonly", "no", "--requirepass", "hunter2", "--dir", "/tmp", (char *)NULL);
        _exit(127);
    }
}

static void stop_server(struct fixture *f)
{
    if (f->server > 0) {
        kill(f->server, SIGKILL);
        waitpid(f->server, NULL, 0);
        f->server = 0;
    }
}

static void until_ready(struct fixture *f, bool ready, uint64_t limit_ms)
{
    uint64_t end = loop_now_ms(f->loop) + limit_ms;
    while (redis_ready(f->redis) != ready && loop_now_ms(f->loop) < end) {
        loop_turn(f->loop, 50);
    }
    const char *why;
    int64_t since;
    redis_healthy(f->redis, &why, &since);
    if (redis_ready(f->redis) != ready) {
        fail_msg("wanted %s, have: %s", ready ? "up" : "down", why);
    }
}

static void until_calls(struct fixture *f, const struct got *g, int calls)
{
    uint64_t end = loop_now_ms(f->loop) + 3000;
    while (g->calls < calls && loop_now_ms(f->loop) < end) {
        loop_turn(f->loop, 50);
    }
    assert_int_equal(g->calls, calls);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct loop_opts opts = {.io = IO_AUTO, .quiet_fallback = true};
    struct buf url = {0}, error = {0};
    f->port = free_port();
    start_server(f);
    assert_int_equal(loop_new(&opts, &f->loop), OK);
    buf_printf(&url, "redis://:hunter2@127.0.0.1:%u/3", f->port);
    assert_int_equal(redis_new(f->loop, buf_str(&url), &f->redis, &error), OK);
    buf_fini(&url);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    redis_free(f->redis);
    loop_free(f->loop);
    stop_server(f);
    free(f);
    return 0;
}

static void values_are_kept_expire_and_go(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    until_ready(f, true, 10000);
    redis_set(f->redis, STR("dashboard:summary"), STR("{\"btc_price\":61000}"), 60000, take, &g);
    redis_get(f->redis, STR("dashboard:summary"), take, &g);
    until_calls(f, &g, 2);
    assert_int_equal(g.e, OK);
    assert_string_equal(g.text, "{\"btc_price\":61000}");
    redis_del(f->redis, STR("dashboard:summary"), take, &g);
    redis_get(f->redis, STR("dashboard:summary"), take, &g);
    until_calls(f, &g, 4);
    assert_int_equal(g.e, ERR_NOT_FOUND);
    redis_set(f->redis, STR("short"), STR("x"), 20, take, &g);
    until_calls(f, &g, 5);
    uint64_t end = loop_now_ms(f->loop) + 2000;
    do {
        redis_get(f->redis, STR("short"), take, &g);
        until_calls(f, &g, g.calls + 1);
    } while (g.e == OK && loop_now_ms(f->loop) < end);
    assert_int_equal(g.e, ERR_NOT_FOUND);
}

static void a_killed_server_is_noticed_and_found_again(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    until_ready(f, true, 10000);
    stop_server(f);
    until_ready(f, false, 2000);
    redis_get(f->redis, STR("k"), take, &g);
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_UNAVAILABLE);
    start_server(f);
    until_ready(f, true, 10000);
    redis_ping(f->redis, take, &g);
    until_calls(f, &g, 2);
    assert_int_equal(g.e, OK);
}

static void a_stopped_server_is_cut_and_found_when_it_goes_on(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    until_ready(f, true, 10000);
    kill(f->server, SIGSTOP);
    redis_get(f->redis, STR("k"), take, &g);
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_TIMEOUT);
    assert_false(redis_ready(f->redis));
    kill(f->server, SIGCONT);
    until_ready(f, true, 10000);
}

int main(void)
{
    if (access(server_path, X_OK) != 0) {
        fprintf(stderr, "skipped: %s is not installed\n", server_path);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_kept_expire_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_server_is_noticed_and_found_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_stopped_server_is_cut_and_found_when_it_goes_on, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
