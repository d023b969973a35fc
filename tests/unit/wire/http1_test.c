/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/http1.h"

static struct http_request r;
static struct http_response response;
static size_t head_len;
static unsigned status;
static const char *reason;

/* Parses an exact-size copy, so that the sanitizer sees a read too far; the copy lives until the
 * next call. */
static char *copy;

static enum err parse_within(struct str text, const struct http_limits *limits)
{
    mem_free(copy);
    copy = mem_alloc(text.len);
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    status = 0;
    reason = NULL;
    return http_parse_request(str_make(copy, text.len), limits, &r, &head_len, &status, &reason);
}

static enum err parse(struct str text)
{
    return parse_within(text, NULL);
}

static enum err parse_answer(struct str text, const struct http_limits *limits)
{
    mem_free(copy);
    copy = mem_alloc(text.len);
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    return http_parse_response(str_make(copy, text.len), limits, &response, &head_len);
}

static int drop_copy(void **state)
{
    (void)state;
    mem_free(copy);
    copy = NULL;
    return 0;
}

/* A text array, without its NUL. */
#define LITERAL(array) str_make((array), sizeof(array) - 1)

#define assert_str(actual, expected)                                        \
    do {                                                                    \
        struct str got = (actual);                                          \
        if (!str_eq(got, STR(expected))) {                                  \
            fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got), expected); \
        }                                                                   \
    } while (0)

static const char browser[] =
    "GET /api/v1/poll?channels=a,b&since=1-2 HTTP/1.1\r\n"
    "Host: localhost:8000\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection:keep-alive \t \r\n"
    "X-Empty:\r\n"
    "\r\n";

static void request_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(parse(LITERAL(browser)), OK);
    assert_int_equal(head_len, sizeof(browser) - 1);
    assert_int_equal(r.method, HTTP_GET);
    assert_str(r.method_text, "GET");
    assert_str(r.target, "/api/v1/poll?channels=a,b&since=1-2");
    assert_str(r.path, "/api/v1/poll");
    assert_str(r.query, "channels=a,b&since=1-2");
    assert_str(r.host, "localhost:8000");
    assert_int_equal(r.minor, 1);
    assert_int_equal(r.header_count, 6);
    assert_true(r.keep_alive);
    assert_false(r.chunked || r.has_length || r.expect_continue || r.upgrade_websocket);
    assert_str(http_request_header(&r, STR("CONNECTION")), "keep-alive");
    assert_str(http_request_header(&r, STR("accept")), "*/*");
    assert_str(http_request_header(&r, STR("x-empty")), "");
    assert_non_null(http_request_header(&r, STR("x-empty")).ptr);
    assert_null(http_request_header(&r, STR("x-absent")).ptr);
}

static void every_prefix_asks_for_more_and_the_rest_is_left(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(browser) - 1; n++) {
        assert_int_equal(parse(str_make(browser, n)), ERR_MORE);
    }
    struct buf b = {0};
    buf_add_lit(&b, "\r\n\r\n");
    buf_add_str(&b, LITERAL(browser));
    buf_add_lit(&b, "GET / HT");
    assert_int_equal(parse(buf_str(&b)), OK);
    assert_int_equal(head_len, 4 + sizeof(browser) - 1);
    assert_str(r.path, "/api/v1/poll");
    buf_fini(&b);
}

static void methods_are_known(void **state)
{
    (void)state;
    for (unsigned m = HTTP_GET; m < HTTP_OTHER; m++) {
        struct buf b = {0};
        buf_printf(&b, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", http_method_text((enum http_method)m));
        assert_int_equal(parse(buf_str(&b)), OK);
        assert_int_equal(r.method, m);
        buf_fini(&b);
    }
    assert_int_equal(parse(STR("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_int_equal(r.method, HTTP_OTHER);
    assert_str(r.method_text, "BREW");
    assert_int_equal(parse(STR("get / HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_int_equal(r.method, HTTP_OTHER);
    assert_string_equal(http_method_text(HTTP_OTHER), "OTHER");
}

/* ---- refusals ---- */

struct refusal {
    struct str text;
    enum err err;
    unsigned status;
};

#define REFUSED(text, status)         \
    {                                 \
        STR(text), ERR_SYNTAX, status \
    }
#define LINE(text) REFUSED(text "\r\nHost: a\r\n\r\n", 400)
#define HEADERS(text) REFUSED("GET / HTTP/1.1\r\nHost: a\r\n" text "\r\n", 400)

static const struct refusal refusals[] = {
    /* request line */
    LINE("GET /"),
    LINE("GET  / HTTP/1.1"),
    LINE("GET /  HTTP/1.1"),
    LINE("GET / HTTP/1.1 "),
    LINE(" GET / HTTP/1.1"),
    LINE("GET\t/ HTTP/1.1"),
    LINE("G@T / HTTP/1.1"),
    LINE("GET / http/1.1"),
    LINE("GET / HTTP/11"),
    LINE("GET / HTTP/1.11"),
    LINE("GET / HTTP/1."),
    LINE("GET /a b HTTP/1.1"),
    LINE("GET /\x01 HTTP/1.1"),
    LINE("GET /\x7f HTTP/1.1"),
    LINE("GET /caf\xc3\xa9 HTTP/1.1"),
    LINE("GET /a#b HTTP/1.1"),
    LINE("GET a HTTP/1.1"),
    LINE("GET * HTTP/1.1"),
    LINE("GET *a HTTP/1.1"),
    LINE("GET ftp://a/ HTTP/1.1"),
    LINE("GET http:/a HTTP/1.1"),
    LINE("GET http:///a HTTP/1.1"),
    LINE("GET http://u@a/ HTTP/1.1"),
    LINE("GET a:80 HTTP/1.1"),
    REFUSED("GET / HTTP/1.1\nHost: a\n\n", 400),
    REFUSED("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    REFUSED("\r\r\n", 400),
    REFUSED("\x16\x03\x01\x02", 400),
    /* headers */
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n", 400),
    HEADERS("Host: a\r\n"),
    HEADERS("X : 1\r\n"),
    HEADERS("X\t: 1\r\n"),
    HEADERS("X\r\n"),
    HEADERS(": 1\r\n"),
    HEADERS("X(: 1\r\n"),
    HEADERS("\x80: 1\r\n"),
    HEADERS("X: 1\r\n 2\r\n"),
    HEADERS("X: 1\r\n\t2\r\n"),
    HEADERS("X: 1\n"),
    HEADERS("X: 1\r2\r\n"),
    HEADERS("X: a\x01\r\n"),
    HEADERS("X: a\x7f\r\n"),
    HEADERS("X: 12345678\x1f\r\n"),
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\rX", 400),
    REFUSED("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", 400),
    REFUSED("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    /* framing: what request smuggling lives on */
    HEADERS("Content-Length: 1\r\nContent-Length: 1\r\n"),
    HEADERS("Content-Length: 1\r\nContent-Length: 2\r\n"),
    HEADERS("Content-Length: 1, 1\r\n"),
    HEADERS("Content-Length: +1\r\n"),
    HEADERS("Content-Length: -1\r\n"),
    HEADERS("Content-Length: 0x1\r\n"),
    HEADERS("Content-Length: 1 2\r\n"),
    HEADERS("Content-Length:\r\n"),
    HEADERS("Content-Length: 18446744073709551616\r\n"),
    HEADERS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    HEADERS("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    HEADERS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    REFUSED("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    {STR("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), ERR_UNSUPPORTED,
     501},
    {STR("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n"),
     ERR_UNSUPPORTED, 501},
    {STR("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"), ERR_UNSUPPORTED, 501},
    {STR("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"), ERR_UNSUPPORTED, 501},
    /* what we do not do */
    {STR("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), ERR_UNSUPPORTED, 505},
    {STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ERR_SYNTAX, 400},
    {STR("GET / HTTP/0.9\r\n\r\n"), ERR_UNSUPPORTED, 505},
    {STR("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), ERR_UNSUPPORTED, 501},
    {STR("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"), ERR_UNSUPPORTED, 417},
    {STR("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n"), ERR_UNSUPPORTED, 501},
};

static void refusals_name_their_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct str text = refusals[i].text;
        enum err e = parse(text);
        if (e != refusals[i].err || status != refusals[i].status || !reason) {
            fail_msg("%s %u (%s) for \"%.*s\"", err_text(e), status, reason ? reason : "no reason",
                     STR_ARG(text));
        }
        /* with fewer bytes it is not known yet, or refused all the same: never accepted */
        for (size_t n = 0; n < text.len; n++) {
            e = parse(str_make(text.ptr, n));
            assert_true(e == ERR_MORE || e == refusals[i].err);
            assert_true(e == ERR_MORE || status == refusals[i].status);
        }
    }
}

static void every_control_byte_is_refused_everywhere(void **state)
{
    (void)state;
    static const char text[] = "GET /abc HTTP/1.1\r\nHost: a\r\nX-Y: abcdefghijklm\r\n\r\n";
    size_t host = str_find_str(LITERAL(text), STR(" a\r\n"));
    size_t value = str_find_str(LITERAL(text), STR(" abcdefg"));
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < sizeof(text) - 1; at++) {
            char changed[sizeof(text)];
            memcpy(changed, text, sizeof(text));
            if ((c >= ' ' && c < 0x7f) || changed[at] == (char)c) {
                continue;
            }
            changed[at] = (char)c;
            bool in_value = at >= value && at < sizeof(text) - 5;
            bool fine = (c == '\t' && (in_value || at == host)) || (c >= 0x80 && in_value);
            enum err e = parse(LITERAL(changed));
            if ((e == OK) != fine) {
                fail_msg("%s for byte %u at %zu", err_text(e), c, at);
            }
        }
    }
}

/* ---- limits ---- */

static void limits_are_exact(void **state)
{
    (void)state;
    struct http_limits limits = {.max_head = sizeof(browser) - 1};
    assert_int_equal(parse_within(LITERAL(browser), &limits), OK);
    limits.max_head--;
    assert_int_equal(parse_within(LITERAL(browser), &limits), ERR_LIMIT);
    assert_int_equal(status, 431);
    assert_int_equal(parse_within(str_make(browser, limits.max_head), &limits), ERR_LIMIT);
    assert_int_equal(parse_within(str_make(browser, limits.max_head - 1), &limits), ERR_MORE);

    limits = (struct http_limits){.max_headers = 6};
    assert_int_equal(parse_within(LITERAL(browser), &limits), OK);
    limits.max_headers = 5;
    assert_int_equal(parse_within(LITERAL(browser), &limits), ERR_LIMIT);
    assert_int_equal(status, 431);

    limits = (struct http_limits){.max_target = 35};
    assert_int_equal(parse_within(LITERAL(browser), &limits), OK);
    limits.max_target = 34;
    assert_int_equal(parse_within(LITERAL(browser), &limits), ERR_LIMIT);
    assert_int_equal(status, 414);
    /* known as soon as the byte too many is there */
    assert_int_equal(parse_within(str_make(browser, 4 + 34), &limits), ERR_MORE);
    assert_int_equal(parse_within(str_make(browser, 4 + 35), &limits), ERR_LIMIT);
}

static void default_limits_hold(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_add_lit(&b, "GET /");
    for (size_t i = 0; i < 8191; i++) {
        buf_add_char(&b, 'a');
    }
    size_t line = b.len;
    buf_add_lit(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(parse(buf_str(&b)), OK);
    b.len = line;
    buf_add_lit(&b, "a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(parse(buf_str(&b)), ERR_LIMIT);
    assert_int_equal(status, 414);

    for (size_t headers = HTTP_MAX_HEADERS; headers <= HTTP_MAX_HEADERS + 1; headers++) {
        buf_clear(&b);
        buf_add_lit(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < headers; i++) {
            buf_add_lit(&b, "X: y\r\n");
        }
        buf_add_lit(&b, "\r\n");
        struct http_limits wide = {.max_headers = 1000};
        assert_int_equal(parse(buf_str(&b)), headers <= HTTP_MAX_HEADERS ? OK : ERR_LIMIT);
        assert_int_equal(parse_within(buf_str(&b), &wide),
                         headers <= HTTP_MAX_HEADERS ? OK : ERR_LIMIT);
    }

    buf_clear(&b);
    buf_add_lit(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while (b.len < 16 * 1024 - 4) {
        buf_add_char(&b, 'x');
    }
    size_t value = b.len;
    buf_add_lit(&b, "\r\n\r\n");
    assert_int_equal(parse(buf_str(&b)), OK);
    b.len = value;
    buf_add_lit(&b, "x\r\n\r\n");
    assert_int_equal(parse(buf_str(&b)), ERR_LIMIT);
    /* an endless run of empty lines is a head too */
    buf_clear(&b);
    while (b.len < 16 * 1024) {
        buf_add_lit(&b, "\r\n");
    }
    assert_int_equal(parse(buf_str(&b)), ERR_LIMIT);
    assert_int_equal(status, 431);
    buf_fini(&b);
}

/* ---- what the headers mean ---- */

static void connection_stays_open_as_the_version_says(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool keep;
    } rows[] = {
        {STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), true},
        {STR("GET / HTTP/1.9\r\nHost: a\r\n\r\n"), true},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\n\r\n"), false},
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(parse(rows[i].text), OK);
        assert_int_equal(r.keep_alive, rows[i].keep);
    }
}

static void websocket_upgrade_is_seen(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool upgrade;
    } rows[] = {
        {STR("Connection: Upgrade\r\nUpgrade: websocket\r\n"), true},
        {STR("connection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n"), true},
        {STR("Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n"), true},
        {STR("Connection: Upgrade\r\n"), false},
        {STR("Upgrade: websocket\r\n"), false},
        {STR("Connection: Upgrade\r\nUpgrade: h2c\r\n"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned minor = 0; minor < 2; minor++) {
            struct buf b = {0};
            buf_printf(&b, "GET /ws HTTP/1.%u\r\nHost: a\r\n%.*s\r\n", minor,
                       STR_ARG(rows[i].text));
            assert_int_equal(parse(buf_str(&b)), OK);
            assert_int_equal(r.upgrade_websocket, rows[i].upgrade && minor == 1);
            buf_fini(&b);
        }
    }
}

static void body_framing_is_reported(void **state)
{
    (void)state;
    assert_int_equal(parse(STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615"
                               "\r\nExpect: 100-Continue\r\n\r\n")),
                     OK);
    assert_true(r.has_length && r.content_length == UINT64_MAX && r.expect_continue);
    assert_int_equal(parse(STR("POST / HTTP/1.0\r\nContent-Length: 0\r\nExpect: 100-continue"
                               "\r\n\r\n")),
                     OK);
    assert_true(r.has_length && r.content_length == 0 && !r.expect_continue);
    assert_int_equal(
        parse(STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n")), OK);
    assert_true(r.chunked && !r.has_length);
}

static void targets_of_other_forms(void **state)
{
    (void)state;
    assert_int_equal(parse(STR("GET HTTP://b:81/p?q=1 HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_str(r.path, "/p");
    assert_str(r.query, "q=1");
    assert_str(r.host, "b:81");
    assert_int_equal(parse(STR("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_str(r.path, "/");
    assert_str(r.query, "");
    assert_int_equal(parse(STR("GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_str(r.path, "/");
    assert_str(r.query, "x");
    assert_int_equal(parse(STR("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_str(r.path, "*");
    assert_str(r.host, "a");
    assert_int_equal(parse(STR("GET /?a?b HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n")), OK);
    assert_str(r.path, "/");
    assert_str(r.query, "a?b");
    assert_str(r.host, "[::1]:8000");
    assert_int_equal(parse(STR("GET //x/|{}\"<> HTTP/1.1\r\nHost: a\r\n\r\n")), OK);
    assert_str(r.path, "//x/|{}\"<>");
}

static void values_of_one_name_are_joined(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(parse(STR("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 9\r\nx: 2 , 3\r\n\r\n")),
                     OK);
    assert_true(http_request_header_all(&r, STR("X"), &b));
    assert_str(buf_str(&b), "1, 2 , 3");
    buf_clear(&b);
    assert_false(http_request_header_all(&r, STR("Z"), &b));
    assert_int_equal(b.len, 0);
    assert_str(http_request_header(&r, STR("x")), "1");
    buf_fini(&b);
    assert_true(http_has_token(STR("a, B ,c"), STR("b")));
    assert_true(http_has_token(STR("a"), STR("A")));
    assert_true(http_has_token(STR(",,a"), STR("a")));
    assert_false(http_has_token(STR("ab, c d"), STR("c")));
    assert_false(http_has_token(STR(""), STR("a")));
    assert_false(http_has_token((struct str){0}, STR("a")));
}

/* ---- responses ---- */

static void response_is_taken_apart(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x00";
    for (size_t n = 0; n + 2 < sizeof(text) - 1; n++) {
        assert_int_equal(parse_answer(str_make(text, n), NULL), ERR_MORE);
    }
    assert_int_equal(parse_answer(LITERAL(text), NULL), OK);
    assert_int_equal(head_len, sizeof(text) - 3);
    assert_int_equal(response.status, 101);
    assert_int_equal(response.minor, 1);
    assert_true(response.keep_alive);
    assert_str(http_header(response.headers, response.header_count, STR("upgrade")), "websocket");

    assert_int_equal(parse_answer(STR("HTTP/1.0 200\r\nContent-Length: 7\r\n\r\n"), NULL), OK);
    assert_true(response.has_length && response.content_length == 7 && !response.keep_alive);
    assert_int_equal(parse_answer(STR("HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n"
                                      "Connection: close\r\nHost: x\r\nExpect: y\r\n\r\n"),
                                  NULL),
                     OK);
    assert_true(response.chunked && !response.keep_alive);
    assert_int_equal(parse_answer(STR("HTTP/1.1 200 caf\xc3\xa9\r\n\r\n"), NULL), OK);
}

static void bad_responses_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        enum err err;
    } rows[] = {
        {STR("HTTP/2 200 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/2.0 200 OK\r\n\r\n"), ERR_UNSUPPORTED},
        {STR("HTTP/1.1 20 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 2000 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 099 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 600 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1  200 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 OK\n\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 O\x01K\r\n\r\n"), ERR_SYNTAX},
        {STR("\r\nHTTP/1.1 200 OK\r\n\r\n"), ERR_SYNTAX},
        {STR("SSH-2.0-OpenSSH\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
         ERR_SYNTAX},
        {STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), ERR_SYNTAX},
        {STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(parse_answer(rows[i].text, NULL), rows[i].err);
    }
    struct http_limits limits = {.max_head = 18};
    assert_int_equal(parse_answer(STR("HTTP/1.1 200 OK\r\n\r\n"), &limits), ERR_LIMIT);
    limits.max_head = 19;
    assert_int_equal(parse_answer(STR("HTTP/1.1 200 OK\r\n\r\n"), &limits), OK);
    limits = (struct http_limits){.max_headers = 1};
    assert_int_equal(parse_answer(STR("HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\n"), &limits),
                     ERR_LIMIT);
}

static void status_texts(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(200), "OK");
    assert_string_equal(http_status_text(101), "Switching Protocols");
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(299), "Unknown");
    /* every status the parser itself can ask for has its phrase */
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        assert_string_not_equal(http_status_text(refusals[i].status), "Unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_is_taken_apart),
        cmocka_unit_test(every_prefix_asks_for_more_and_the_rest_is_left),
        cmocka_unit_test(methods_are_known),
        cmocka_unit_test(refusals_name_their_status),
        cmocka_unit_test(every_control_byte_is_refused_everywhere),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(default_limits_hold),
        cmocka_unit_test(connection_stays_open_as_the_version_says),
        cmocka_unit_test(websocket_upgrade_is_seen),
        cmocka_unit_test(body_framing_is_reported),
        cmocka_unit_test(targets_of_other_forms),
        cmocka_unit_test(values_of_one_name_are_joined),
        cmocka_unit_test(response_is_taken_apart),
        cmocka_unit_test(bad_responses_are_refused),
        cmocka_unit_test(status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, drop_copy);
}
