/* Against a scripted server on loopback in this process, under a virtual clock: the test plays the
 * server's side step by step, so nothing here waits for time to pass.
 * SPDX-License-Identifier: MIT */
#include "store/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/cache.h"

#define PING "*1\r\n$4\r\nPING\r\n"

struct fixture {
    struct clock clock;
    struct loop *loop;
    struct redis *redis;
    uint16_t port;
    int listen_fd; /* -1: nobody listens */
    int fd;        /* the server's side of the connection */
};

struct got {
    int calls;
    enum err e;
    char text[64];
    struct redis *free_me; /* freed inside the callback */
};

static void take(void *self, enum err e, struct str value)
{
    struct got *g = self;
    g->calls++;
    g->e = e;
    assert_true(value.len < sizeof(g->text));
    memcpy(g->text, value.ptr, value.len);
    g->text[value.len] = '\0';
    if (g->free_me) {
        redis_free(g->free_me);
        g->free_me = NULL;
        assert_memory_equal(g->text, value.ptr, value.len); /* still there */
    }
}

static void listen_on(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int on = 1;
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(f->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listen_fd, 4), 0);
    assert_int_equal(getsockname(f->listen_fd, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
}

static void turns(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        loop_turn(f->loop, 0);
    }
}

/* Turns until the fd of the server's side can be read. */
static void until_readable(struct fixture *f, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 500; i++) {
        loop_turn(f->loop, 0);
        if (poll(&p, 1, i < 5 ? 0 : 10) == 1) {
            return;
        }
    }
    fail_msg("the client did not come");
}

static void accept_client(struct fixture *f)
{
    until_readable(f, f->listen_fd);
    f->fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(f->fd >= 0);
}

/* The server reads exactly `text`. */
static void expect_bytes(struct fixture *f, const char *text)
{
    char got[512];
    size_t len = 0;
    while (len < strlen(text)) {
        until_readable(f, f->fd);
        ssize_t n = recv(f->fd, got + len, sizeof(got) - 1 - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
    }
    got[len] = '\0';
    assert_string_equal(got, text);
}

static void say(struct fixture *f, const char *text)
{
    assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void until_calls(struct fixture *f, const struct got *g, int calls)
{
    struct pollfd none = {.fd = -1};
    for (int i = 0; i < 500 && g->calls < calls; i++) {
        loop_turn(f->loop, 0);
        poll(&none, 1, i < 50 ? 0 : 5);
    }
    assert_int_equal(g->calls, calls);
}

static void until_ready(struct fixture *f, bool ready)
{
    struct pollfd none = {.fd = -1};
    for (int i = 0; i < 500 && redis_ready(f->redis) != ready; i++) {
        loop_turn(f->loop, 0);
        poll(&none, 1, i < 50 ? 0 : 5);
    }
    assert_int_equal(redis_ready(f->redis), ready);
}

static void pass_ms(struct fixture *f, uint64_t ms)
{
    clock_advance_us(&f->clock, ms * 1000);
    turns(f, 3);
}

static const char *reason(struct fixture *f)
{
    const char *why = NULL;
    int64_t since = 0;
    redis_healthy(f->redis, &why, &since);
    return why;
}

static void hang_up(struct fixture *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
}

static void start_with(struct fixture *f, const char *user, const char *path)
{
    struct buf url = {0};
    struct buf error = {0};
    buf_printf(&url, "redis://%s127.0.0.1:%u%s", user, f->port, path);
    assert_int_equal(redis_new(f->loop, buf_str(&url), &f->redis, &error), OK);
    assert_false(redis_ready(f->redis));
    buf_fini(&url);
    buf_fini(&error);
}

static void start_ready(struct fixture *f)
{
    start_with(f, "", "");
    accept_client(f);
    expect_bytes(f, PING);
    say(f, "+PONG\r\n");
    until_ready(f, true);
    assert_string_equal(reason(f), "");
}

static int setup_io(void **state, enum io_kind io)
{
    struct fixture *f = calloc(1, sizeof(*f));
    clock_init_virtual(&f->clock, 5000, 1700000000000);
    struct loop_opts opts = {.io = io, .clock = &f->clock, .quiet_fallback = true};
    if (loop_new(&opts, &f->loop) != OK) {
        free(f);
        return -1;
    }
    f->fd = -1;
    listen_on(f);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_io(state, IO_EPOLL);
}

static int setup_uring(void **state)
{
    return setup_io(state, IO_AUTO);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    redis_free(f->redis);
    hang_up(f);
    if (f->listen_fd >= 0) {
        close(f->listen_fd);
    }
    turns(f, 2);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void commands_of_one_turn_go_out_together_and_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    struct got set = {0}, get = {0}, none = {0}, del = {0}, gone = {0};
    start_ready(f);
    redis_set(f->redis, STR("k"), STR("v\r\nw"), 1500, take, &set);
    redis_get(f->redis, STR("k"), take, &get);
    redis_get(f->redis, STR("x"), take, &none);
    redis_del(f->redis, STR("k"), take, &del);
    redis_del(f->redis, STR("x"), take, &gone);
    expect_bytes(f, "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nv\r\nw\r\n$2\r\nPX\r\n$4\r\n1500\r\n"
                    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"
                    "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n");
    say(f, "+OK\r\n$4\r\nv\r\nw\r\n$-1\r\n:1\r\n:0\r\n");
    until_calls(f, &gone, 1);
    assert_int_equal(set.e, OK);
    assert_int_equal(get.e, OK);
    assert_string_equal(get.text, "v\r\nw");
    assert_int_equal(none.e, ERR_NOT_FOUND);
    assert_int_equal(del.e, OK);
    assert_int_equal(gone.e, ERR_NOT_FOUND);
}

static void an_answer_in_pieces_is_put_together(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    const char *answer = "$11\r\nhello world\r\n";
    start_ready(f);
    redis_get(f->redis, STR("k"), take, &g);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    for (size_t i = 0; i < strlen(answer); i++) {
        assert_int_equal(g.calls, 0);
        assert_int_equal(send(f->fd, answer + i, 1, MSG_NOSIGNAL), 1);
        turns(f, 3);
    }
    until_calls(f, &g, 1);
    assert_string_equal(g.text, "hello world");
}

static void greeting_logs_in_and_selects(void **state)
{
    struct fixture *f = *state;
    start_with(f, "ann:p%40ss@", "/7");
    accept_client(f);
    expect_bytes(f, "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$4\r\np@ss\r\n"
                    "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n" PING);
    say(f, "+OK\r\n+OK\r\n+PONG\r\n");
    until_ready(f, true);
}

static void a_wrong_password_is_said_and_tried_again_later(void **state)
{
    struct fixture *f = *state;
    start_with(f, ":hunter2@", "");
    accept_client(f);
    expect_bytes(f, "*2\r\n$4\r\nAUTH\r\n$7\r\nhunter2\r\n" PING);
    say(f, "-WRONGPASS hunter2 is wrong\r\n-NOAUTH Authentication required.\r\n");
    for (int i = 0; i < 100 && !strstr(reason(f), "WRONGPASS"); i++) {
        turns(f, 1);
    }
    assert_false(redis_ready(f->redis));
    assert_string_equal(reason(f), "Redis answered AUTH with: WRONGPASS");
    hang_up(f);
    pass_ms(f, 500);
    accept_client(f);
}

static void a_server_that_is_loading_counts_as_down(void **state)
{
    struct fixture *f = *state;
    start_with(f, "", "");
    accept_client(f);
    expect_bytes(f, PING);
    say(f, "-LOADING Redis is loading the dataset in memory\r\n");
    for (int i = 0; i < 100 && !strstr(reason(f), "LOADING"); i++) {
        turns(f, 1);
    }
    assert_non_null(strstr(reason(f), "LOADING"));
    assert_false(redis_ready(f->redis));
}

static void expect_cut(struct fixture *f, const char *answer, const char *why)
{
    struct got first = {0}, second = {0};
    start_ready(f);
    redis_get(f->redis, STR("k"), take, &first);
    redis_get(f->redis, STR("l"), take, &second);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nl\r\n");
    say(f, answer);
    until_calls(f, &second, 1);
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.e, ERR_PROTOCOL);
    assert_int_equal(second.e, ERR_UNAVAILABLE);
    assert_false(redis_ready(f->redis));
    assert_non_null(strstr(reason(f), why));
    hang_up(f);
    pass_ms(f, 500);
    accept_client(f);
    expect_bytes(f, PING);
    say(f, "+PONG\r\n");
    until_ready(f, true);
}

static void garbage_counts_as_down(void **state)
{
    expect_cut(*state, "HTTP/1.1 400 Bad Request\r\n\r\n", "nonsense");
}

static void an_answer_that_does_not_fit_counts_as_down(void **state)
{
    expect_cut(*state, ":42\r\n", "does not fit");
}

static void a_giant_array_is_never_believed(void **state)
{
    expect_cut(*state, "*1000000000\r\n", "an array");
}

static void an_answer_nobody_asked_for_counts_as_down(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    say(f, "+OK\r\n");
    until_ready(f, false);
    assert_string_equal(reason(f), "Redis answered what nobody asked");
}

static void an_error_answer_is_handed_on_and_the_connection_stays(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    start_ready(f);
    redis_set(f->redis, STR("k"), STR("v"), 0, take, &g);
    expect_bytes(f, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    say(f, "-OOM command not allowed\r\n");
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_REFUSED);
    assert_string_equal(g.text, "OOM command not allowed");
    assert_true(redis_ready(f->redis));
}

static void a_server_that_hangs_is_cut_after_a_second(void **state)
{
    struct fixture *f = *state;
    struct got first = {0}, second = {0};
    start_ready(f);
    redis_get(f->redis, STR("k"), take, &first);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    pass_ms(f, 600);
    redis_get(f->redis, STR("l"), take, &second);
    turns(f, 2);
    pass_ms(f, 399);
    assert_int_equal(first.calls, 0);
    pass_ms(f, 1);
    until_calls(f, &first, 1);
    assert_int_equal(first.e, ERR_TIMEOUT);
    assert_int_equal(second.e, ERR_UNAVAILABLE);
    assert_non_null(strstr(reason(f), "within a second"));
}

static void a_silent_greeting_is_cut_as_well(void **state)
{
    struct fixture *f = *state;
    start_with(f, "", "");
    accept_client(f);
    expect_bytes(f, PING);
    pass_ms(f, 1000);
    assert_non_null(strstr(reason(f), "within a second"));
    hang_up(f);
    pass_ms(f, 500);
    accept_client(f);
}

static void an_idle_server_is_asked_for_a_sign_of_life(void **state)
{
    struct fixture *f = *state;
    start_ready(f);
    for (int i = 0; i < 6; i++) {
        pass_ms(f, 1000); /* the timer may first look at 1 s, then at 5 s */
    }
    expect_bytes(f, PING);
    pass_ms(f, 1000);
    assert_false(redis_ready(f->redis));
}

static void a_connection_closed_in_the_middle_of_an_answer(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    start_ready(f);
    redis_get(f->redis, STR("k"), take, &g);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    say(f, "$100\r\nhalf of");
    turns(f, 3);
    hang_up(f);
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_CLOSED);
    assert_string_equal(reason(f), "Redis closed the connection");
}

static void when_down_callers_are_told_at_once_but_not_from_inside(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    close(f->listen_fd);
    f->listen_fd = -1;
    start_with(f, "", "");
    turns(f, 5);
    redis_get(f->redis, STR("k"), take, &g);
    assert_int_equal(g.calls, 0);
    turns(f, 1);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.e, ERR_UNAVAILABLE);
}

static void a_server_that_comes_later_is_found(void **state)
{
    struct fixture *f = *state;
    close(f->listen_fd);
    f->listen_fd = -1;
    start_with(f, "", "");
    turns(f, 10);
    assert_non_null(strstr(reason(f), "Connection refused"));
    for (int i = 0; i < 20; i++) {
        pass_ms(f, 5000);
    }
    listen_on(f);
    pass_ms(f, 30000); /* the longest pause there is */
    accept_client(f);
    expect_bytes(f, PING);
    say(f, "+PONG\r\n");
    until_ready(f, true);
}

/* Milliseconds until the client tries again, to 10 ms. */
static uint64_t pause_ms(struct fixture *f)
{
    struct pollfd p = {.fd = f->listen_fd, .events = POLLIN};
    for (uint64_t ms = 0; ms <= 40000; ms += 10) {
        if (poll(&p, 1, 0) == 1) {
            return ms;
        }
        pass_ms(f, 10);
    }
    fail_msg("no further try");
    return 0;
}

static void pauses_double_up_to_half_a_minute(void **state)
{
    struct fixture *f = *state;
    start_with(f, "", "");
    accept_client(f);
    uint64_t longest = 500;
    for (int i = 0; i < 8; i++) {
        hang_up(f);
        turns(f, 3);
        uint64_t ms = pause_ms(f);
        assert_true(ms + 20 >= longest / 2 && ms <= longest + 20);
        longest = longest * 2 > 30000 ? 30000 : longest * 2;
        accept_client(f);
    }
}

static void it_may_be_freed_in_a_callback(void **state)
{
    struct fixture *f = *state;
    struct got first = {0}, second = {0};
    start_ready(f);
    first.free_me = f->redis;
    redis_get(f->redis, STR("k"), take, &first);
    redis_get(f->redis, STR("l"), take, &second);
    f->redis = NULL; /* the callback does it */
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nl\r\n");
    say(f, "$1\r\na\r\n$1\r\nb\r\n");
    until_calls(f, &first, 1);
    assert_int_equal(first.e, OK);
    assert_int_equal(second.calls, 1);
    assert_int_equal(second.e, ERR_CLOSED);
}

static void it_may_be_freed_when_told_that_it_is_down(void **state)
{
    struct fixture *f = *state;
    struct got first = {0}, second = {0};
    start_ready(f);
    first.free_me = f->redis;
    redis_get(f->redis, STR("k"), take, &first);
    redis_get(f->redis, STR("l"), take, &second);
    f->redis = NULL;
    turns(f, 1);
    hang_up(f);
    until_calls(f, &second, 1);
    assert_int_equal(first.calls, 1);
}

static void free_answers_what_is_still_open(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    start_ready(f);
    redis_get(f->redis, STR("k"), take, &g);
    redis_free(f->redis);
    f->redis = NULL;
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.e, ERR_CLOSED);
}

static void a_flood_of_commands_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    start_ready(f);
    for (int i = 0; i < 4096; i++) {
        redis_ping(f->redis, NULL, NULL);
    }
    redis_ping(f->redis, take, &g);
    turns(f, 1);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.e, ERR_LIMIT);
}

static void names_are_resolved_beside_the_loop(void **state)
{
    struct fixture *f = *state;
#ifdef __SANITIZE_THREAD__
    /* glibc starts the threads of getaddrinfo_a where ThreadSanitizer can't see it, and the first
     * allocation in one of them ends the program. */
    skip();
#endif
    struct addrinfo *known = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &known) != 0) {
        skip(); /* a machine without /etc/hosts, such as a bare folder made by debootstrap */
    }
    freeaddrinfo(known);
    struct buf url = {0}, error = {0};
    buf_printf(&url, "redis://localhost:%u", f->port);
    assert_int_equal(redis_new(f->loop, buf_str(&url), &f->redis, &error), OK);
    buf_fini(&url);
    struct pollfd p = {.fd = f->listen_fd, .events = POLLIN};
    for (int i = 0; i < 500 && poll(&p, 1, 10) == 0; i++) {
        pass_ms(f, 20); /* it looks every 20 ms of the loop's time */
    }
    accept_client(f);
    expect_bytes(f, PING);
}

/* ---- the cache over it ---- */

static void cache_asks_l2_under_its_prefix(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    struct str value;
    start_ready(f);
    struct cache *c = cache_new(f->loop, f->redis, 10, 10000);
    cache_set_prefix(c, STR("coincast:demo:"));
    cache_put(c, STR("k"), STR("v"), 1000, 5000);
    expect_bytes(f, "*5\r\n$3\r\nSET\r\n$15\r\ncoincast:demo:k\r\n$1\r\nv\r\n$2\r\nPX\r\n"
                    "$4\r\n5000\r\n");
    say(f, "+OK\r\n");
    assert_true(cache_peek(c, STR("k"), &value, NULL));
    pass_ms(f, 1000);
    cache_get(c, STR("k"), take, &g);
    assert_int_equal(g.calls, 0);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$15\r\ncoincast:demo:k\r\n");
    say(f, "$1\r\nv\r\n");
    until_calls(f, &g, 1);
    assert_int_equal(g.e, OK);
    assert_string_equal(g.text, "v");
    cache_free(c);
}

static void cache_drops_an_answer_for_another_prefix(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    start_ready(f);
    struct cache *c = cache_new(f->loop, f->redis, 10, 10000);
    cache_get(c, STR("k"), take, &g);
    expect_bytes(f, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    cache_set_prefix(c, STR("coincast:demo:"));
    say(f, "$4\r\nlive\r\n");
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_NOT_FOUND);
    cache_free(c);
}

static void cache_says_unavailable_when_l2_is_down_and_survives_being_freed(void **state)
{
    struct fixture *f = *state;
    struct got g = {0}, never = {0};
    start_ready(f);
    struct cache *c = cache_new(f->loop, f->redis, 10, 10000);
    cache_get(c, STR("k"), take, &g);
    turns(f, 1);
    hang_up(f);
    until_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_UNAVAILABLE);
    cache_get(c, STR("k"), take, &never);
    cache_free(c);
    turns(f, 3);
    assert_int_equal(never.calls, 0);
}

int main(void)
{
#define ON_BOTH(test)                                      \
    {#test " (epoll)", test, setup, teardown, NULL},       \
    {                                                      \
#test " (auto)", test, setup_uring, teardown, NULL \
    }
    const struct CMUnitTest tests[] = {
        ON_BOTH(commands_of_one_turn_go_out_together_and_are_answered_in_order),
        ON_BOTH(an_answer_in_pieces_is_put_together),
        ON_BOTH(greeting_logs_in_and_selects),
        ON_BOTH(a_wrong_password_is_said_and_tried_again_later),
        ON_BOTH(a_server_that_is_loading_counts_as_down),
        ON_BOTH(garbage_counts_as_down),
        ON_BOTH(an_answer_that_does_not_fit_counts_as_down),
        ON_BOTH(a_giant_array_is_never_believed),
        ON_BOTH(an_answer_nobody_asked_for_counts_as_down),
        ON_BOTH(an_error_answer_is_handed_on_and_the_connection_stays),
        ON_BOTH(a_server_that_hangs_is_cut_after_a_second),
        ON_BOTH(a_silent_greeting_is_cut_as_well),
        ON_BOTH(an_idle_server_is_asked_for_a_sign_of_life),
        ON_BOTH(a_connection_closed_in_the_middle_of_an_answer),
        ON_BOTH(when_down_callers_are_told_at_once_but_not_from_inside),
        ON_BOTH(a_server_that_comes_later_is_found),
        ON_BOTH(pauses_double_up_to_half_a_minute),
        ON_BOTH(it_may_be_freed_in_a_callback),
        ON_BOTH(it_may_be_freed_when_told_that_it_is_down),
        ON_BOTH(free_answers_what_is_still_open),
        ON_BOTH(a_flood_of_commands_is_bounded),
        ON_BOTH(names_are_resolved_beside_the_loop),
        ON_BOTH(cache_asks_l2_under_its_prefix),
        ON_BOTH(cache_drops_an_answer_for_another_prefix),
        ON_BOTH(cache_says_unavailable_when_l2_is_down_and_survives_being_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
