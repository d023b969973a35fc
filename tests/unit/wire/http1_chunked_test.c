/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/http1.h"

/* Reads a body fed in two parts, cut at `cut`, then bytewise when `cut` is beyond its end. */
static enum err body(struct str text, size_t cut, uint64_t max, struct buf *out, bool *done,
                     size_t *left)
{
    struct http_chunked c = {0};
    size_t at = 0;
    *done = false;
    *left = 0;
    while (at < text.len && !*done) {
        size_t n = cut > text.len ? 1 : at == 0 && cut ? cut : text.len - at;
        char *copy = mem_copy_text(text.ptr + at, n);
        char *bytes = copy;
        size_t len = n;
        struct str piece;
        enum err e;
        do {
            e = http_chunked_next(&c, &bytes, &len, max, &piece, done);
            if (e == OK) {
                buf_add_str(out, piece);
            }
        } while (e == OK && piece.len && !*done);
        mem_free(copy);
        if (e != OK) {
            char again[] = "0\r\n\r\n";
            bytes = again;
            len = 5;
            assert_int_equal(http_chunked_next(&c, &bytes, &len, max, &piece, done), ERR_SYNTAX);
            return e;
        }
        assert_true(*done || len == 0);
        at += n;
        *left = len + (text.len - at);
    }
    return OK;
}

static void expect(struct str text, uint64_t max, enum err err, bool ends, const char *content)
{
    for (size_t cut = 0; cut <= text.len + 1; cut++) {
        struct buf out = {0};
        bool done;
        size_t left;
        enum err e = body(text, cut, max, &out, &done, &left);
        if (e != err || (e == OK && done != ends)) {
            fail_msg("%s, done %d, cut at %zu: %.*s", err_text(e), done, cut, STR_ARG(text));
        }
        if (content) {
            assert_true(str_eq(buf_str(&out), str_of(content)));
        }
        buf_fini(&out);
    }
}

static void bodies_are_put_together(void **state)
{
    (void)state;
    expect(STR("5\r\nhello\r\n0\r\n\r\n"), 100, OK, true, "hello");
    expect(STR("1\r\na\r\nA\r\n0123456789\r\n00a\r\nabcdefghij\r\n000\r\n\r\n"), 100, OK, true,
           "a0123456789abcdefghij");
    expect(STR("0\r\n\r\n"), 0, OK, true, "");
    expect(STR("2;a=b;c=\"d e\"\r\nhi\r\n0;x\r\n\r\n"), 100, OK, true, "hi");
    expect(STR("2 ; a=b\r\nhi\r\n0\r\n\r\n"), 100, OK, true, "hi");
    expect(STR("2\r\n\r\n\r\n0\r\nDate: today\r\nX-Y:\r\n\r\n"), 100, OK, true, "\r\n");
    expect(STR("5\r\nhel"), 100, OK, false, "hel");
    expect(STR("5\r\nhello\r\n0\r\n"), 100, OK, false, "hello");
}

static void what_follows_the_body_is_left(void **state)
{
    (void)state;
    struct str text = STR("2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    for (size_t cut = 0; cut <= text.len + 1; cut++) {
        struct buf out = {0};
        bool done;
        size_t left;
        assert_int_equal(body(text, cut, 10, &out, &done, &left), OK);
        assert_true(done);
        assert_int_equal(left, 16);
        buf_fini(&out);
    }
}

static void anything_but_the_letter_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR("\r\n"),
        STR(" 5\r\nhello\r\n"),
        STR("5 \r\nhello\r\n"),
        STR("5\nhello\n0\n\n"),
        STR("5\r\nhello0\r\n\r\n"),
        STR("5\r\nhello\n0\r\n\r\n"),
        STR("5\r\nhello\rX"),
        STR("0x5\r\nhello"),
        STR("+5\r\n"),
        STR("-5\r\n"),
        STR("g\r\n"),
        STR("5\rX"),
        STR(";a\r\n"),
        STR("5;\x01\r\n"),
        STR("5;a\nb"),
        STR("5;\x7f\r\n"),
        STR("0\r\n\rX"),
        STR("0\r\n X: y\r\n"),
        STR("0\r\nX\r\n"),
        STR("0\r\nX : y\r\n"),
        STR("0\r\n: y\r\n"),
        STR("0\r\nX: y\n"),
        STR("0\r\nX: \x01\r\n"),
        STR("0\r\nX: y\r\n z\r\n"),
        STR("0\r\nX: y\rz"),
        STR("0\r\n\n"),
        STR("10000000000000000\r\n"),
        STR("fffffffffffffffff\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect(bad[i], UINT64_MAX, ERR_SYNTAX, false, NULL);
    }
}

static void body_size_is_limited_before_its_bytes_come(void **state)
{
    (void)state;
    expect(STR("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), 5, OK, true, "abcde");
    expect(STR("3\r\nabc\r\n3\r\n"), 5, ERR_LIMIT, false, "abc");
    expect(STR("6\r\n"), 5, ERR_LIMIT, false, "");
    expect(STR("1\r\na\r\nffffffffffffffff\r\n"), UINT64_MAX, ERR_LIMIT, false, "a");
    expect(STR("ffffffffffffffff\r\nabc"), UINT64_MAX, OK, false, "abc");
}

static void lines_are_limited(void **state)
{
    (void)state;
    static const struct {
        const char *start;
        size_t at_most; /* bytes with the carriage return */
    } rows[] = {{"1;", 256}, {"", 256}, {"0\r\nX:", 8192}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct buf text = {0};
            struct buf out = {0};
            bool done;
            size_t left;
            buf_add_str(&text, str_of(rows[i].start));
            size_t skipped = i == 2 ? 3 : 0;
            while (text.len - skipped < rows[i].at_most - 1 + over) {
                buf_add_char(&text, i == 1 ? '0' : 'x');
            }
            buf_add_lit(&text, "\r\n");
            assert_int_equal(body(buf_str(&text), 0, 100, &out, &done, &left),
                             over ? ERR_LIMIT : OK);
            buf_fini(&text);
            buf_fini(&out);
        }
    }
    /* all trailers count together */
    struct buf text = {0};
    struct buf out = {0};
    bool done;
    size_t left;
    buf_add_lit(&text, "0\r\n");
    for (int i = 0; i < 2000; i++) {
        buf_add_lit(&text, "X: y\r\n");
    }
    assert_int_equal(body(buf_str(&text), 0, 100, &out, &done, &left), ERR_LIMIT);
    buf_fini(&text);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_put_together),
        cmocka_unit_test(what_follows_the_body_is_left),
        cmocka_unit_test(anything_but_the_letter_is_refused),
        cmocka_unit_test(body_size_is_limited_before_its_bytes_come),
        cmocka_unit_test(lines_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
