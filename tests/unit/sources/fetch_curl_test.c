/* libcurl on the loop, against a peer on loopback that says exactly what a test wants it to, cut at
 * any place. Real time, but nothing waits longer than its answer. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/loop.h"
#include "sources/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer_conn {
    struct watch watch;
    struct peer *peer;
    bool open;
};

/* Answers whatever it is asked with `reply`, byte for byte, and closes. */
struct peer {
    struct loop *loop;
    struct listener listener;
    struct peer_conn conns[8];
    size_t count;
    struct str reply;
    bool mute;
    struct buf asked;
    char url[64];
};

struct result {
    unsigned calls;
    enum err err;
    int status;
    struct buf body, etag, retry_after, upstream, why;
};

static void conn_end(struct peer_conn *c)
{
    if (c->open) {
        watch_stop(&c->watch);
        close(c->watch.fd);
        c->open = false;
    }
}

static void on_readable(void *self, unsigned events UNUSED)
{
    struct peer_conn *c = self;
    char block[4096];
    ssize_t n = read(c->watch.fd, block, sizeof(block));
    if (n <= 0) {
        conn_end(c);
        return;
    }
    buf_add(&c->peer->asked, block, (size_t)n);
    if (!c->peer->mute) {
        ssize_t sent = write(c->watch.fd, c->peer->reply.ptr, c->peer->reply.len);
        assert_int_equal(sent, c->peer->reply.len);
        conn_end(c);
    }
}

static void on_accept(void *self, int fd, const struct sockaddr *addr UNUSED, socklen_t len UNUSED)
{
    struct peer *p = self;
    assert_true(p->count < ARRAY_LEN(p->conns));
    struct peer_conn *c = &p->conns[p->count++];
    c->peer = p;
    c->open = true;
    assert_ok(watch_start(p->loop, &c->watch, fd, WATCH_READ, on_readable, c));
}

static void peer_init(struct peer *p, struct loop *l, struct str reply)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    *p = (struct peer){.loop = l, .reply = reply};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u/x?a=1", ntohs(addr.sin_port));
    assert_ok(listener_start(l, &p->listener, fd, on_accept, p));
}

static void peer_fini(struct peer *p)
{
    for (size_t i = 0; i < p->count; i++) {
        conn_end(&p->conns[i]);
    }
    listener_stop(&p->listener);
    buf_fini(&p->asked);
}

static void on_done(void *self, const struct fetch_answer *a)
{
    struct result *r = self;
    r->calls++;
    r->err = a->err;
    r->status = a->status;
    buf_add_str(&r->body, a->body);
    buf_add_str(&r->etag, a->etag);
    buf_add_str(&r->retry_after, a->retry_after);
    buf_add_str(&r->upstream, a->upstream);
    buf_add_str(&r->why, str_of(a->why));
}

static void result_fini(struct result *r)
{
    buf_fini(&r->body);
    buf_fini(&r->etag);
    buf_fini(&r->retry_after);
    buf_fini(&r->upstream);
    buf_fini(&r->why);
}

static enum io_kind io = IO_EPOLL;

static struct loop *new_loop(void)
{
    struct loop *l = NULL;
    struct loop_opts opts = {.io = io};
    enum err e = loop_new(&opts, &l);
    if (e == ERR_UNSUPPORTED && io == IO_URING) {
        skip(); /* this kernel or container forbids it */
    }
    assert_ok(e);
    return l;
}

static void wait_for(struct loop *l, const struct result *r)
{
    for (int turns = 0; r->calls == 0; turns++) {
        assert_true(turns < 2000);
        loop_turn(l, 50);
    }
}

/* One fetch of `reply`. */
static void fetch_once(struct str reply, uint32_t max_bytes, struct result *r, struct buf *asked)
{
    struct loop *l = new_loop();
    struct peer peer;
    struct fetch *f = NULL;
    *r = (struct result){0};
    peer_init(&peer, l, reply);
    assert_ok(fetch_curl_new(l, NULL, &f));
    struct fetch_request request = {.url = str_of(peer.url),
                                    .etag = STR("\"old\""),
                                    .header = STR("x-cg-demo-api-key: K"),
                                    .max_bytes = max_bytes};
    f->ops->start(f, &request, on_done, r);
    assert_int_equal(r->calls, 0);
    wait_for(l, r);
    if (asked) {
        buf_add_str(asked, buf_str(&peer.asked));
    }
    f->ops->free(f);
    peer_fini(&peer);
    loop_free(l);
    assert_int_equal(r->calls, 1);
}

TEST(answer_comes_with_the_headers_that_matter)
{
    struct result r;
    struct buf asked = {0};
    fetch_once(STR("HTTP/1.1 200 OK\r\nETag: W/\"1\"\r\nRetry-After: 7\r\n"
                   "X-Coincast-Upstream: simulated\r\nContent-Length: 5\r\n\r\nhello"),
               100, &r, &asked);
    assert_ok(r.err);
    assert_int_equal(r.status, 200);
    assert_buf(&r.body, "hello");
    assert_buf(&r.etag, "W/\"1\"");
    assert_buf(&r.retry_after, "7");
    assert_buf(&r.upstream, "simulated");
    assert_contains(buf_str(&asked), "GET /x?a=1 HTTP/1.1\r\n");
    assert_contains(buf_str(&asked), "\r\nIf-None-Match: \"old\"\r\n");
    assert_contains(buf_str(&asked), "\r\nx-cg-demo-api-key: K\r\n");
    buf_fini(&asked);
    result_fini(&r);
}

TEST(status_of_any_kind_is_an_answer)
{
    static const struct {
        struct str reply;
        int status;
    } cases[] = {
        {STR("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"), 304},
        {STR("HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\n{}"), 429},
        {STR("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
         302},
        {STR("HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nx"), 500},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct result r;
        fetch_once(cases[i].reply, 100, &r, NULL);
        assert_ok(r.err);
        assert_int_equal(r.status, cases[i].status);
        result_fini(&r);
    }
}

TEST(too_large_or_cut_off_is_a_failure_in_words)
{
    struct result r;
    fetch_once(STR("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"), 10, &r, NULL);
    assert_err(r.err, ERR_LIMIT);
    assert_contains(buf_str(&r.why), "larger");
    result_fini(&r);
    fetch_once(STR("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello"), 100, &r, NULL);
    assert_err(r.err, ERR_CLOSED);
    result_fini(&r);
    fetch_once(STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), 100, &r,
               NULL);
    assert_err(r.err, ERR_CLOSED);
    result_fini(&r);
    fetch_once(STR("\x16\x03\x01 nonsense"), 100, &r, NULL);
    assert_true(r.err != OK);
    result_fini(&r);
}

TEST(only_http_and_https_exist)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://h/", ""};
    struct loop *l = new_loop();
    struct fetch *f = NULL;
    assert_ok(fetch_curl_new(l, NULL, &f));
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct result r = {0};
        struct fetch_request request = {.url = str_of(urls[i]), .max_bytes = 100};
        f->ops->start(f, &request, on_done, &r);
        wait_for(l, &r);
        assert_err(r.err, ERR_UNSUPPORTED);
        result_fini(&r);
    }
    f->ops->free(f);
    loop_free(l);
}

TEST(nobody_there_is_refused)
{
    struct loop *l = new_loop();
    struct peer peer;
    struct fetch *f = NULL;
    struct result r = {0};
    peer_init(&peer, l, STR(""));
    peer_fini(&peer); /* its port is free again */
    assert_ok(fetch_curl_new(l, NULL, &f));
    struct fetch_request request = {.url = str_of(peer.url), .max_bytes = 100};
    f->ops->start(f, &request, on_done, &r);
    wait_for(l, &r);
    assert_err(r.err, ERR_REFUSED);
    result_fini(&r);
    f->ops->free(f);
    loop_free(l);
}

TEST(cancelled_and_freed_fetches_never_answer)
{
    struct loop *l = new_loop();
    struct peer peer;
    struct fetch *f = NULL;
    struct result first = {0}, second = {0};
    peer_init(&peer, l, STR(""));
    peer.mute = true;
    assert_ok(fetch_curl_new(l, NULL, &f));
    struct fetch_request request = {.url = str_of(peer.url), .max_bytes = 100};
    struct fetch_job *job = f->ops->start(f, &request, on_done, &first);
    f->ops->start(f, &request, on_done, &second);
    for (int i = 0; i < 200 && peer.asked.len == 0; i++) {
        loop_turn(l, 20);
    }
    assert_true(peer.asked.len > 0);
    f->ops->cancel(f, job);
    loop_turn(l, 0);
    f->ops->free(f);
    loop_turn(l, 0);
    assert_int_equal(first.calls + second.calls, 0);
    peer_fini(&peer);
    loop_free(l);
}

int main(void)
{
    /* Whatever proxy this machine knows, loopback is not behind it. */
    setenv("no_proxy", "127.0.0.1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_comes_with_the_headers_that_matter),
        cmocka_unit_test(status_of_any_kind_is_an_answer),
        cmocka_unit_test(too_large_or_cut_off_is_a_failure_in_words),
        cmocka_unit_test(only_http_and_https_exist),
        cmocka_unit_test(nobody_there_is_refused),
        cmocka_unit_test(cancelled_and_freed_fetches_never_answer),
    };
    int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    io = IO_URING;
    return failed + cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
}
