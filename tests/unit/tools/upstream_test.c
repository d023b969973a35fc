/* The stand-in over real sockets on loopback. SPDX-License-Identifier: MIT */
#include "tools/upstream.h"

#include "base/json.h"
#include "wire/http1.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static enum io_kind io = IO_EPOLL; /* both back ends are tried, one after the other */

struct stand {
    struct loop *loop;
    struct upstream *upstream;
    uint16_t port;
    struct buf bytes; /* what came back */
    bool ended;       /* and then the connection was closed */
    bool is_head;     /* the request was HEAD: no body follows */
};

static void start(struct stand *s, const char *fixtures)
{
    struct buf error = {0};
    *s = (struct stand){0};
    if (loop_new(&(struct loop_opts){.io = io}, &s->loop) != OK) {
        assert_int_equal(io, IO_URING);
        skip(); /* not allowed here */
    }
    enum err e = upstream_start(&(struct upstream_opts){.loop = s->loop,
                                                        .listen = "127.0.0.1:0",
                                                        .seed = 42,
                                                        .fixtures = fixtures,
                                                        .quiet = true},
                                &s->upstream, &s->port, &error);
    if (e != OK) {
        fail_msg("%s", buf_text(&error));
    }
    buf_fini(&error);
}

static void stop(struct stand *s)
{
    upstream_stop(s->upstream);
    for (int i = 0; i < 200 && !upstream_is_idle(s->upstream); i++) {
        loop_turn(s->loop, 5);
    }
    assert_true(upstream_is_idle(s->upstream));
    upstream_free(s->upstream);
    loop_free(s->loop);
    buf_fini(&s->bytes);
}

/* Whether a whole answer with all it announced is there. */
static bool is_complete(const struct stand *s)
{
    struct http_response r;
    size_t head;
    return http_parse_response(buf_str(&s->bytes), NULL, &r, &head) == OK &&
           (!r.has_length || s->is_head || s->bytes.len >= head + r.content_length);
}

/* Sends a request and turns the loop until the answer is complete, the connection ended, or
 * `turns_ms` milliseconds went by without either. */
static void ask(struct stand *s, const char *method, const char *target, const char *body,
                int turns_ms)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(s->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct buf request = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
               method, target, strlen(body), body);
    assert_int_equal(send(fd, request.ptr, request.len, 0), (ssize_t)request.len);
    buf_fini(&request);
    buf_clear(&s->bytes);
    s->ended = false;
    s->is_head = strcmp(method, "HEAD") == 0;
    uint64_t until = clock_mono_ms(clock_real()) + (uint64_t)turns_ms;
    while (!s->ended && !is_complete(s) && clock_mono_ms(clock_real()) < until) {
        char piece[4096];
        loop_turn(s->loop, 1);
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0) {
            buf_add(&s->bytes, piece, (size_t)n);
        } else {
            s->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
        }
    }
    close(fd);
}

static bool holds(const struct stand *s, const char *text)
{
    return str_find_str(buf_str(&s->bytes), str_of(text)) != SIZE_MAX;
}

static void order(struct stand *s, const char *json)
{
    ask(s, "POST", "/_control", json, 2000);
    assert_true(holds(s, "HTTP/1.1 200 "));
}

static void it_answers_for_all_providers(void **state)
{
    static const char *const targets[] = {
        "/api/v3/global",
        "/fng/?limit=1",
        "/rsi?secret=s&exchange=binance&symbol=BTC/USDT&interval=1d",
        "/api/v3/ticker/24hr?symbol=BTCUSDT",
        "/products/BTC-USD/stats",
        "/0/public/Ticker?pair=XBTUSD"};
    (void)state;
    struct stand s;
    start(&s, NULL);
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        ask(&s, "GET", targets[i], "", 5000);
        assert_true(is_complete(&s));
        assert_true(holds(&s, "HTTP/1.1 200 "));
        assert_true(holds(&s, "X-Coincast-Upstream: simulated\r\n"));
    }
    ask(&s, "POST", "/api/v3/global", "{}", 2000);
    assert_true(holds(&s, "HTTP/1.1 405 "));
    ask(&s, "GET", "/_control", "", 2000);
    assert_true(holds(&s, "\"coingecko/global\":2"));
    stop(&s);
}

static void it_misbehaves_as_told(void **state)
{
    (void)state;
    struct stand s;
    const char *target = "/api/v3/ticker/price?symbol=BTCUSDT";
    start(&s, NULL);
    order(&s, "{\"target\":\"binance/ticker/price\",\"fault\":\"429\",\"value\":17,\"times\":1}");
    ask(&s, "GET", target, "", 2000);
    assert_true(holds(&s, "HTTP/1.1 429 ") && holds(&s, "Retry-After: 17\r\n"));
    assert_true(holds(&s, "\"code\":-1003"));
    ask(&s, "GET", target, "", 2000);
    assert_true(holds(&s, "HTTP/1.1 200 "));

    order(&s, "{\"target\":\"binance\",\"fault\":\"5xx\",\"value\":502,\"times\":1}");
    ask(&s, "GET", target, "", 2000);
    assert_true(holds(&s, "HTTP/1.1 502 ") && holds(&s, "X-Coincast-Upstream: simulated"));

    order(&s, "{\"target\":\"*\",\"fault\":\"garbage\",\"times\":1}");
    ask(&s, "GET", target, "", 2000);
    assert_true(holds(&s, "HTTP/1.1 200 ") && holds(&s, "<html>") && is_complete(&s));

    order(&s, "{\"target\":\"*\",\"fault\":\"half\",\"times\":1}");
    ask(&s, "GET", target, "", 2000);
    assert_true(is_complete(&s) && holds(&s, "{\"symbol\"") && !holds(&s, "\"}"));

    order(&s, "{\"target\":\"*\",\"fault\":\"cut\",\"times\":1}");
    ask(&s, "GET", target, "", 2000);
    assert_true(s.ended && !is_complete(&s) && holds(&s, "{\"symbol\""));
    stop(&s);
}

static void silence_says_nothing_and_latency_speaks_late(void **state)
{
    (void)state;
    struct stand s;
    start(&s, NULL);
    order(&s, "{\"target\":\"*\",\"fault\":\"silence\",\"times\":1}");
    ask(&s, "GET", "/api/v3/time", "", 40);
    assert_int_equal(s.bytes.len, 0);
    assert_false(s.ended);
    order(&s, "{\"target\":\"*\",\"fault\":\"latency\",\"value\":60,\"times\":2}");
    uint64_t before = clock_mono_ms(clock_real());
    ask(&s, "GET", "/api/v3/time", "", 5000);
    assert_true(clock_mono_ms(clock_real()) - before >= 59);
    assert_true(is_complete(&s));
    ask(&s, "GET", "/api/v3/time", "", 5); /* leaves before its answer; stop() finds no leak */
    assert_int_equal(s.bytes.len, 0);
    stop(&s);
}

static void orders_it_cannot_follow_are_refused(void **state)
{
    (void)state;
    struct stand s;
    start(&s, NULL);
    ask(&s, "POST", "/_control", "{", 2000);
    assert_true(holds(&s, "HTTP/1.1 400 ") && holds(&s, "application/problem+json"));
    ask(&s, "POST", "/_control", "{\"target\":\"moon\",\"fault\":\"cut\"}", 2000);
    assert_true(holds(&s, "HTTP/1.1 422 ") && holds(&s, "coingecko/global"));
    ask(&s, "DELETE", "/_control", "", 2000);
    assert_true(holds(&s, "HTTP/1.1 405 "));
    stop(&s);
}

static void recorded_answers_keep_their_own_date(void **state)
{
    (void)state;
    const char *root = getenv("COINCAST_FIXTURES");
    char folder[1024];
    if (!root || !root[0]) {
        skip();
    }
    snprintf(folder, sizeof(folder), "%s/http", root);
    struct stand s;
    start(&s, folder);
    ask(&s, "GET", "/api/v3/global", "", 2000);
    assert_true(is_complete(&s) && holds(&s, "X-Coincast-Upstream: recorded\r\n"));
    assert_true(holds(&s, "Date: Tue, 18 May 2021 14:01:12 GMT\r\n"));
    assert_true(holds(&s, "\"active_cryptocurrencies\":7362"));
    struct str all = buf_str(&s.bytes);
    size_t date = str_find_str(all, STR("Date: "));
    assert_int_equal(str_find_str(str_from(all, date + 1), STR("\r\nDate: ")), SIZE_MAX);
    ask(&s, "HEAD", "/api/v3/global", "", 2000);
    assert_true(holds(&s, "Content-Length: 3519\r\n") && !holds(&s, "active_cryptocurrencies"));
    ask(&s, "GET", "/api/v3/coins/nothing/recorded", "", 2000);
    assert_true(holds(&s, "HTTP/1.1 404 ") && holds(&s, "X-Coincast-Upstream: recorded\r\n"));
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_answers_for_all_providers),
        cmocka_unit_test(it_misbehaves_as_told),
        cmocka_unit_test(silence_says_nothing_and_latency_speaks_late),
        cmocka_unit_test(orders_it_cannot_follow_are_refused),
        cmocka_unit_test(recorded_answers_keep_their_own_date),
    };
    int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    io = IO_URING;
    return failed + cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
}
