/* The load test against a server of one topic that runs on the same loop, on loopback, and does
 * wrong what the test asks for: what it does wrong must be in the result.
 * SPDX-License-Identifier: MIT */
#include "tools/load.h"

#include "base/alloc.h"
#include "wire/http1.h"
#include "wire/scan.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_CONNS = 128 };

enum fault { NO_FAULT, WRONG_ACCEPT, DROP_ONE, TWICE, CLOSE_ONE, REFUSE_PUBLISH };

struct server {
    struct loop *loop;
    struct listener listener;
    enum fault fault;
    bool deflate;
    struct deflater *deflater;
    struct server_conn {
        struct stream stream;
        struct server *server;
        bool open, subscriber;
        struct buf in;
    } conns[MAX_CONNS];
    size_t count;
    uint64_t messages;
    char url[64];
};

/* A client that went away meanwhile takes nothing; one that is there takes all. */
static void send_bytes(struct server_conn *c, struct str bytes)
{
    ssize_t n = stream_send(c->server->loop, &c->stream, bytes.ptr, bytes.len);
    if (n < 0) {
        c->open = false;
        stream_close(c->server->loop, &c->stream, true);
        return;
    }
    assert_int_equal(n, bytes.len);
}

static void broadcast(struct server *s, struct str data)
{
    struct buf text = {0}, frame = {0}, packed = {0};
    buf_printf(&text, "{\"type\":\"message\",\"data\":%.*s,\"cursor\":\"x-1\"}", STR_ARG(data));
    if (s->deflate) {
        assert_int_equal(deflater_message(s->deflater, buf_str(&text), true, &packed), OK);
    }
    ws_frame(&frame, WS_TEXT, true, s->deflate, buf_str(s->deflate ? &packed : &text), NULL);
    s->messages++;
    bool first = true;
    for (size_t i = 0; i < s->count; i++) {
        struct server_conn *c = &s->conns[i];
        if (!c->open || !c->subscriber) {
            continue;
        }
        if (first && s->messages == 5 && s->fault == CLOSE_ONE) {
            c->open = false;
            stream_close(s->loop, &c->stream, true);
        } else if (!(first && s->messages == 5 && s->fault == DROP_ONE)) {
            send_bytes(c, buf_str(&frame));
            if (first && c->open && s->messages == 5 && s->fault == TWICE) {
                send_bytes(c, buf_str(&frame));
            }
        }
        first = false;
    }
    buf_fini(&text);
    buf_fini(&frame);
    buf_fini(&packed);
}

static void publish(struct server_conn *c, struct str body)
{
    struct scan s;
    struct str key, data;
    if (c->server->fault == REFUSE_PUBLISH) {
        send_bytes(c, STR("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
        return;
    }
    scan_begin(&s, body);
    assert_true(scan_array(&s));
    while (scan_item(&s)) {
        assert_true(scan_object(&s));
        while (scan_key(&s, &key)) {
            assert_true(scan_skip(&s, &data));
            if (str_eq(key, STR("data"))) {
                broadcast(c->server, data);
            }
        }
    }
    assert_int_equal(scan_end(&s), OK);
    send_bytes(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
}

static void upgrade(struct server_conn *c, const struct http_request *r)
{
    char accept[WS_ACCEPT_LEN + 1];
    struct buf reply = {0};
    ws_accept(http_request_header(r, STR("Sec-WebSocket-Key")), accept);
    accept[0] = c->server->fault == WRONG_ACCEPT ? '!' : accept[0];
    buf_printf(&reply,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n%s\r\n",
               accept,
               c->server->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                                    "server_no_context_takeover; client_no_context_takeover\r\n"
                                  : "");
    c->subscriber = true;
    /* A first frame in the same bytes as the head, as a server's welcome comes. */
    ws_frame(&reply, WS_TEXT, true, false, STR("{\"type\":\"welcome\"}"), NULL);
    send_bytes(c, buf_str(&reply));
    buf_fini(&reply);
}

static void on_data(struct stream *stream, char *bytes, size_t len)
{
    struct server_conn *c = containerof(stream, struct server_conn, stream);
    struct http_request r;
    size_t head_len;
    unsigned status;
    const char *reason;
    if (c->subscriber) {
        return;
    }
    buf_add(&c->in, bytes, len);
    enum err e = http_parse_request(buf_str(&c->in), NULL, &r, &head_len, &status, &reason);
    if (e == ERR_MORE || (e == OK && c->in.len < head_len + r.content_length)) {
        return;
    }
    assert_int_equal(e, OK);
    if (r.upgrade_websocket) {
        upgrade(c, &r);
    } else {
        publish(c, str_from(buf_str(&c->in), head_len));
    }
    buf_clear(&c->in);
}

static void on_end(struct stream *stream, enum err why)
{
    struct server_conn *c = containerof(stream, struct server_conn, stream);
    (void)why;
    c->open = false;
    stream_close(c->server->loop, stream, true);
}

static void ignore(struct stream *stream)
{
    (void)stream;
}

static const struct stream_ops ops = {
    .data = on_data, .end = on_end, .writable = ignore, .closed = ignore};

static void on_accept(void *self, int fd, const struct sockaddr *addr, socklen_t addr_len)
{
    struct server *s = self;
    (void)addr;
    (void)addr_len;
    assert_true(s->count < MAX_CONNS);
    struct server_conn *c = &s->conns[s->count++];
    *c = (struct server_conn){.server = s, .open = true};
    assert_int_equal(stream_open(s->loop, &c->stream, fd, &ops), OK);
}

static struct server *server_new(enum fault fault, bool deflate)
{
    struct server *s = mem_zero(sizeof *s);
    s->fault = fault;
    s->deflate = deflate;
    s->deflater = deflater_new(10, 1, 3);
    struct loop_opts opts = {.io = IO_EPOLL};
    assert_int_equal(loop_new(&opts, &s->loop), OK);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(s->url, sizeof s->url, "ws://127.0.0.1:%u/ws", ntohs(addr.sin_port));
    assert_int_equal(listener_start(s->loop, &s->listener, fd, on_accept, s), OK);
    return s;
}

static void server_free(struct server *s)
{
    listener_stop(&s->listener);
    for (size_t i = 0; i < s->count; i++) {
        if (s->conns[i].open) {
            stream_close(s->loop, &s->conns[i].stream, true);
        }
    }
    for (int i = 0; i < 10; i++) {
        loop_turn(s->loop, 0);
    }
    for (size_t i = 0; i < s->count; i++) {
        buf_fini(&s->conns[i].in);
    }
    loop_free(s->loop);
    deflater_free(s->deflater);
    mem_free(s);
}

static struct load_result result;
static struct buf error;

static enum err run(struct server *s, struct load_opts opts)
{
    opts.url = str_of(s->url);
    opts.channel = STR("app:bench");
    opts.protocol = LOAD_PLAIN;
    opts.window = 4;
    opts.size = 100;
    opts.deflate = s->deflate;
    buf_clear(&error);
    return load_run(s->loop, &opts, &result, &error);
}

static const struct load_opts closed = {.clients = 10, .burst = 4, .duration_ms = 20};
static const struct load_opts fixed = {
    .clients = 10, .burst = 2, .rate = 1000, .duration_ms = 60, .warmup_ms = 10};

static void a_closed_loop_counts_every_delivery_once(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    assert_int_equal(run(s, closed), OK);
    assert_int_equal(result.clients, 10);
    assert_int_equal(result.readers, 10);
    assert_true(result.published >= 4 && result.published % 4 == 0);
    assert_int_equal(result.deliveries, result.published * 10);
    assert_int_equal(result.latency_us.count, result.deliveries);
    assert_int_equal(result.round_us.count, result.published / 4);
    assert_int_equal(result.missing + result.repeated + result.lost + result.unfinished, 0);
    server_free(s);
}

static void a_fixed_rate_is_kept_and_drained(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    assert_int_equal(run(s, fixed), OK);
    /* a busy machine may keep it from publishing in time, never make it faster */
    assert_in_range(result.published, fixed.burst,
                    result.measure_us * fixed.rate / 1000000 + 2 * fixed.burst);
    assert_int_equal(result.deliveries, result.published * 10);
    assert_int_equal(result.unfinished, 0);
    server_free(s);
}

static void compressed_messages_are_read_too(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, true);
    assert_int_equal(run(s, closed), OK);
    assert_true(result.deliveries > 0);
    assert_int_equal(result.deliveries, result.published * 10);
    assert_int_equal(result.refused_deflate, 0);
    server_free(s);
}

static void stalled_clients_are_left_out(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    struct load_opts opts = closed;
    opts.stall_pct = 20;
    assert_int_equal(run(s, opts), OK);
    assert_int_equal(result.readers, 8);
    assert_int_equal(result.deliveries, result.published * 8);
    server_free(s);
}

static void churn_opens_connections_anew(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    struct load_opts opts = fixed;
    opts.churn = 200;
    opts.clients = 8;
    opts.duration_ms = 100;
    assert_int_equal(run(s, opts), OK);
    assert_in_range(result.churned, 4, 40);
    assert_int_equal(result.lost, 0);
    server_free(s);
}

static void what_a_server_drops_is_missing(void **state)
{
    (void)state;
    struct server *s = server_new(DROP_ONE, false);
    assert_int_equal(run(s, fixed), OK);
    assert_int_equal(result.missing, 1);
    assert_int_equal(result.repeated, 0);
    server_free(s);
}

static void what_a_server_sends_twice_is_repeated(void **state)
{
    (void)state;
    struct server *s = server_new(TWICE, false);
    assert_int_equal(run(s, fixed), OK);
    assert_int_equal(result.repeated, 1);
    assert_int_equal(result.missing, 0);
    server_free(s);
}

static void a_cut_client_is_lost_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct server *s = server_new(CLOSE_ONE, false);
    assert_int_equal(run(s, closed), OK);
    assert_int_equal(result.lost, 1);
    assert_non_null(result.first_loss);
    assert_true(result.published > 8);
    server_free(s);
}

static struct {
    struct loop *loop;
    struct load_tick last;
    unsigned ticks;
} seen;

static void on_tick(void *self, const struct load_tick *now)
{
    (void)self;
    assert_true(seen.ticks == 0 || now->us > seen.last.us);
    assert_true(now->deliveries >= seen.last.deliveries);
    assert_true(now->cpu_ns >= seen.last.cpu_ns);
    seen.last = *now;
    if (++seen.ticks == 4) {
        loop_stop(seen.loop);
    }
}

static void it_tells_how_far_it_is_and_ends_early_with_a_result(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server *s = server_new(NO_FAULT, false);
        struct load_opts opts = i == 0 ? closed : fixed;
        opts.duration_ms = 60000;
        opts.tick_ms = 2;
        opts.tick = on_tick;
        opts.cpu = (struct load_cpu){.pids = {(uint32_t)getpid()}, .count = 1};
        memset(&seen, 0, sizeof(seen));
        seen.loop = s->loop;
        assert_int_equal(run(s, opts), OK);
        assert_int_equal(seen.ticks, 4);
        assert_true(seen.last.deliveries > 0 && seen.last.cpu_ns > 0);
        assert_true(result.deliveries >= seen.last.deliveries);
        assert_int_equal(result.deliveries, result.published * 10);
        assert_int_equal(result.missing + result.lost + result.unfinished, 0);
        assert_in_range(result.measure_us, 4000, 20000000);
        server_free(s);
    }
}

static void stop_now(void *loop)
{
    loop_stop(loop);
}

static void ended_before_measuring_it_has_no_result(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    struct load_opts opts = closed;
    struct timer early = {0};
    opts.settle_ms = 60000;
    timer_start(s->loop, &early, loop_now_ms(s->loop) + 20, stop_now, s->loop);
    assert_int_equal(run(s, opts), ERR_UNAVAILABLE);
    assert_string_equal(buf_text(&error), "it was ended before measuring began");
    server_free(s);
}

static void a_wrong_handshake_is_refused(void **state)
{
    (void)state;
    struct server *s = server_new(WRONG_ACCEPT, false);
    assert_int_equal(run(s, closed), ERR_UNAVAILABLE);
    assert_int_equal(result.refused, 10);
    assert_string_equal(buf_text(&error), "Sec-WebSocket-Accept is wrong");
    server_free(s);
}

static void a_refused_publish_ends_the_run_with_the_answer(void **state)
{
    (void)state;
    struct server *s = server_new(REFUSE_PUBLISH, false);
    assert_int_equal(run(s, closed), ERR_REFUSED);
    assert_string_equal(buf_text(&error), "publishing was answered with 401: no");
    server_free(s);
}

static void bad_urls_are_named(void **state)
{
    (void)state;
    struct server *s = server_new(NO_FAULT, false);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1/");
    assert_int_equal(run(s, closed), ERR_SYNTAX);
    snprintf(s->url, sizeof s->url, "ws://example.test/");
    assert_int_equal(run(s, closed), ERR_UNSUPPORTED);
    assert_string_equal(buf_text(&error),
                        "--url: host 'example.test' should be an IP address or localhost");
    server_free(s);
    buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_loop_counts_every_delivery_once),
        cmocka_unit_test(a_fixed_rate_is_kept_and_drained),
        cmocka_unit_test(compressed_messages_are_read_too),
        cmocka_unit_test(stalled_clients_are_left_out),
        cmocka_unit_test(churn_opens_connections_anew),
        cmocka_unit_test(what_a_server_drops_is_missing),
        cmocka_unit_test(what_a_server_sends_twice_is_repeated),
        cmocka_unit_test(a_cut_client_is_lost_and_the_rest_goes_on),
        cmocka_unit_test(it_tells_how_far_it_is_and_ends_early_with_a_result),
        cmocka_unit_test(ended_before_measuring_it_has_no_result),
        cmocka_unit_test(a_wrong_handshake_is_refused),
        cmocka_unit_test(a_refused_publish_ends_the_run_with_the_answer),
        cmocka_unit_test(bad_urls_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
