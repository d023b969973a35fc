/* Outgoing WebSockets against a peer on loopback that says exactly what a test wants it to. Real
 * time, but nothing waits longer than its answer. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/link.h"
#include "wire/http1.h"
#include "wire/ws.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* One connection at a time. */
static struct peer {
    struct loop *loop;
    struct listener listener;
    struct watch watch;
    bool open, upgraded, ended;
    const char *status; /* instead of 101: a whole answer */
    const char *headers;
    bool wrong_accept;
    const char *behind; /* bytes in the same write as the handshake's answer */
    size_t behind_len;
    struct buf asked;    /* the request */
    struct buf texts;    /* what the client said, a | behind each */
    struct buf pongs;    /* likewise */
    uint16_t close_code; /* of the client's close frame */
    struct ws_decoder decoder;
    struct buf message;
    char url[64];
} p;

static struct client {
    struct link *link;
    struct link_conn *conn;
    unsigned opened, pinged, closed;
    struct buf upstream, texts, why;
    size_t longest;
    int status;
    uint16_t code;
    bool close_in_text;
} c;

static enum io_kind io = IO_EPOLL;

static void peer_hang_up(void)
{
    if (p.open) {
        watch_stop(&p.watch);
        close(p.watch.fd);
        p.open = false;
    }
    p.ended = true;
}

static void peer_write(const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(p.watch.fd, at, len);
        if (n < 0) {
            loop_turn(p.loop, 5); /* the client reads meanwhile */
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

static void peer_frame(enum ws_opcode opcode, bool fin, const char *text)
{
    struct buf b = {0};
    ws_frame(&b, opcode, fin, false, str_of(text), NULL);
    peer_write(b.ptr, b.len);
    buf_fini(&b);
}

static void peer_handshake(void)
{
    struct http_request r;
    size_t len;
    unsigned status;
    const char *reason;
    struct buf answer = {0};
    char accept[WS_ACCEPT_LEN + 1];
    if (http_parse_request(buf_str(&p.asked), NULL, &r, &len, &status, &reason) != OK) {
        return;
    }
    assert_true(r.upgrade_websocket);
    if (p.status) {
        peer_write(p.status, strlen(p.status));
        return;
    }
    struct str key = http_request_header(&r, STR("Sec-WebSocket-Key"));
    assert_true(ws_key_valid(key));
    ws_accept(p.wrong_accept ? STR("dGhlIHNhbXBsZSBub25jZQ==") : key, accept);
    buf_printf(&answer,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n%s\r\n",
               accept, p.headers ? p.headers : "");
    buf_add(&answer, p.behind ? p.behind : "", p.behind_len);
    p.upgraded = true;
    p.decoder = (struct ws_decoder){0};
    peer_write(answer.ptr, answer.len);
    buf_fini(&answer);
}

static void peer_take(char *bytes, size_t len)
{
    struct ws_item item;
    for (ws_decode(&p.decoder, &bytes, &len, &item); item.kind != WS_ITEM_NONE;
         ws_decode(&p.decoder, &bytes, &len, &item)) {
        assert_int_not_equal(item.kind, WS_ITEM_ERROR); /* unmasked, for one */
        if (item.kind == WS_ITEM_DATA) {
            buf_add_str(&p.texts, item.data);
        } else if (item.kind == WS_ITEM_END) {
            buf_add_char(&p.texts, '|');
        } else if (item.kind == WS_ITEM_PONG) {
            buf_add_str(&p.pongs, item.data);
            buf_add_char(&p.pongs, '|');
        } else if (item.kind == WS_ITEM_CLOSE) {
            p.close_code = item.code;
        }
    }
}

static void on_readable(void *self, unsigned events)
{
    (void)self;
    (void)events;
    char block[65536];
    ssize_t n = read(p.watch.fd, block, sizeof(block));
    if (n <= 0) {
        peer_hang_up();
    } else if (p.upgraded) {
        peer_take(block, (size_t)n);
    } else {
        buf_add(&p.asked, block, (size_t)n);
        peer_handshake();
    }
}

static void on_accept(void *self, int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)self;
    (void)addr;
    (void)len;
    assert_false(p.open);
    p.open = true;
    assert_ok(watch_start(p.loop, &p.watch, fd, WATCH_READ, on_readable, NULL));
}

/* ---- the client ---- */

static void on_opened(void *self, struct str upstream)
{
    (void)self;
    c.opened++;
    buf_add_str(&c.upstream, upstream);
}

static void on_text(void *self, struct str message)
{
    (void)self;
    assert_int_equal(c.opened, 1);
    c.longest = max_size(c.longest, message.len);
    if (message.len < 1000) {
        buf_add_str(&c.texts, message);
    }
    buf_add_char(&c.texts, '|');
    if (c.close_in_text) {
        c.link->ops->close(c.link, c.conn);
        c.conn = NULL;
    }
}

static void on_pinged(void *self)
{
    (void)self;
    c.pinged++;
}

static void on_closed(void *self, int status, uint16_t code, const char *why)
{
    (void)self;
    c.closed++;
    c.conn = NULL;
    c.status = status;
    c.code = code;
    buf_add_str(&c.why, str_of(why));
}

static const struct link_events events = {
    .opened = on_opened, .text = on_text, .pinged = on_pinged, .closed = on_closed};

static int begin(void **state)
{
    (void)state;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    p = (struct peer){0};
    c = (struct client){0};
    if (loop_new(&(struct loop_opts){.io = io}, &p.loop) != OK) {
        p.loop = NULL; /* this kernel or container forbids io_uring */
        return 0;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(p.url, sizeof(p.url), "ws://127.0.0.1:%u/v2?a=b", ntohs(addr.sin_port));
    assert_ok(listener_start(p.loop, &p.listener, fd, on_accept, NULL));
    assert_ok(link_curl_new(p.loop, NULL, &c.link));
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (!p.loop) {
        return 0;
    }
    c.link->ops->free(c.link);
    peer_hang_up();
    listener_stop(&p.listener);
    loop_free(p.loop);
    struct buf *bufs[] = {&p.asked, &p.texts, &p.pongs, &p.message, &c.upstream, &c.texts, &c.why};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        buf_fini(bufs[i]);
    }
    return 0;
}

#define until(condition)                                    \
    do {                                                    \
        for (int turns = 0; !(condition); turns++) {        \
            if (turns == 3000) {                            \
                fail_msg("never happened: %s", #condition); \
            }                                               \
            loop_turn(p.loop, 10);                          \
        }                                                   \
    } while (0)

static void open_link(const char *url)
{
    if (!p.loop) {
        skip();
    }
    c.conn = c.link->ops->open(c.link, str_of(url), &events, NULL);
    assert_int_equal(c.opened + c.closed, 0); /* never from inside */
}

TEST(speaks_as_a_client_and_is_told_whose_data_it_is)
{
    p.headers = "X-Coincast-Upstream: simulated\r\n";
    open_link(p.url);
    until(c.opened);
    assert_buf(&c.upstream, "simulated");
    assert_contains(buf_str(&p.asked), "GET /v2?a=b HTTP/1.1\r\nHost: 127.0.0.1:");
    c.link->ops->send(c.link, c.conn, STR("{\"a\":1}"));
    c.link->ops->send(c.link, c.conn, STR("second"));
    until(p.texts.len >= 15);
    assert_buf(&p.texts, "{\"a\":1}|second|");
}

TEST(messages_come_whole_however_they_are_cut)
{
    static const char frames[] = "\x81\x02hi\x01\x02on\x80\x01"
                                 "e\x81\x00";
    p.behind = frames;
    p.behind_len = 4; /* in the handshake's own packet */
    open_link(p.url);
    until(c.texts.len >= 3);
    for (size_t i = 4; i < sizeof(frames) - 1; i++) {
        peer_write(frames + i, 1);
        loop_turn(p.loop, 5);
    }
    until(c.texts.len >= 8);
    assert_buf(&c.texts, "hi|one||");
    peer_frame(WS_TEXT, false, "frag");
    peer_frame(WS_PING, true, "between");
    peer_frame(WS_CONTINUATION, true, "ment");
    until(c.texts.len >= 17);
    assert_buf(&c.texts, "hi|one||fragment|");
}

TEST(a_ping_is_answered_with_its_payload_and_told)
{
    open_link(p.url);
    until(c.opened);
    peer_frame(WS_PING, true, "1780000000000");
    until(p.pongs.len > 0);
    assert_buf(&p.pongs, "1780000000000|");
    assert_int_equal(c.pinged, 1);
}

TEST(large_messages_pass_and_larger_ones_end_the_connection)
{
    size_t len = (size_t)9 << 20;
    struct buf frame = {0};
    char *text = calloc(1, len + 1);
    memset(text, 'x', len);
    open_link(p.url);
    until(c.opened);
    peer_frame(WS_TEXT, true, text);
    until(c.texts.len > 0);
    assert_int_equal(c.longest, len);
    peer_frame(WS_TEXT, false, text);
    ws_frame(&frame, WS_CONTINUATION, true, false, str_make(text, len), NULL);
    for (size_t at = 0; at < frame.len && !c.closed; at += 65536) {
        ssize_t n = write(p.watch.fd, frame.ptr + at, min_size(65536, frame.len - at));
        at -= n < 65536 && at + 65536 < frame.len ? 65536 - (size_t)(n < 0 ? 0 : n) : 0;
        loop_turn(p.loop, 1);
    }
    until(c.closed);
    assert_true(c.why.len > 0);
    free(text);
    buf_fini(&frame);
}

TEST(a_refused_handshake_says_its_status)
{
    p.status = "HTTP/1.1 451 Unavailable For Legal Reasons\r\nContent-Length: 0\r\n\r\n";
    open_link(p.url);
    until(c.closed);
    assert_int_equal(c.status, 451);
    assert_int_equal(c.opened, 0);
    assert_contains(buf_str(&c.why), "451");
}

TEST(a_wrong_handshake_is_refused)
{
    p.wrong_accept = true;
    open_link(p.url);
    until(c.closed);
    assert_int_equal(c.opened, 0);
    assert_contains(buf_str(&c.why), "handshake");
}

TEST(the_peers_close_is_answered_and_told)
{
    static const char frame[] = {(char)0x88, 5, 3, (char)0xf4, 'b', 'y', 'e'}; /* 1012 */
    open_link(p.url);
    until(c.opened);
    peer_write(frame, sizeof(frame));
    until(c.closed);
    assert_int_equal(c.code, 1012);
    assert_contains(buf_str(&c.why), "1012: bye");
    until(p.ended);
    assert_int_equal(p.close_code, 1012);
}

TEST(a_connection_that_breaks_is_told_once)
{
    open_link(p.url);
    until(c.opened);
    peer_hang_up();
    until(c.closed);
    assert_int_equal(c.code, 0);
    for (int i = 0; i < 20; i++) {
        loop_turn(p.loop, 1);
    }
    assert_int_equal(c.closed, 1);
}

TEST(frames_that_cannot_be_end_the_connection)
{
    open_link(p.url);
    until(c.opened);
    peer_write("\x81\x82zzzz12", 8); /* a server does not mask */
    until(c.closed);
    until(p.ended);
    assert_int_equal(p.close_code, WS_CLOSE_PROTOCOL);
}

TEST(closing_says_goodbye_and_nothing_is_called_any_more)
{
    open_link(p.url);
    until(c.opened);
    c.close_in_text = true;
    peer_frame(WS_TEXT, true, "one");
    peer_frame(WS_TEXT, true, "two");
    until(p.close_code);
    assert_int_equal(p.close_code, 1000);
    peer_frame(WS_CLOSE, true, "");
    until(p.ended);
    assert_buf(&c.texts, "one|");
    assert_int_equal(c.closed, 0);
}

TEST(nobody_there_and_no_address_are_told_later)
{
    open_link("ws://127.0.0.1:1/");
    until(c.closed);
    assert_contains(buf_str(&c.why), "refused");
    c.closed = 0;
    buf_clear(&c.why);
    open_link("https://127.0.0.1/");
    until(c.closed);
    assert_contains(buf_str(&c.why), "ws://");
}

TEST(links_are_freed_and_closed_at_any_time)
{
    open_link(p.url);
    c.link->ops->close(c.link, c.conn); /* still dialling */
    for (int i = 0; i < 20; i++) {
        loop_turn(p.loop, 1);
    }
    assert_int_equal(c.opened + c.closed, 0);
    open_link("ws://127.0.0.1:1/");
    c.link->ops->close(c.link, c.conn);
    open_link("nothing"); /* `closed` is due when the link is freed */
}

int main(void)
{
#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        WITH_PEER(speaks_as_a_client_and_is_told_whose_data_it_is),
        WITH_PEER(messages_come_whole_however_they_are_cut),
        WITH_PEER(a_ping_is_answered_with_its_payload_and_told),
        WITH_PEER(large_messages_pass_and_larger_ones_end_the_connection),
        WITH_PEER(a_refused_handshake_says_its_status),
        WITH_PEER(a_wrong_handshake_is_refused),
        WITH_PEER(the_peers_close_is_answered_and_told),
        WITH_PEER(a_connection_that_breaks_is_told_once),
        WITH_PEER(frames_that_cannot_be_end_the_connection),
        WITH_PEER(closing_says_goodbye_and_nothing_is_called_any_more),
        WITH_PEER(nobody_there_and_no_address_are_told_later),
        WITH_PEER(links_are_freed_and_closed_at_any_time),
    };
    int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    io = IO_URING;
    return failed + cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
}
