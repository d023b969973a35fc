/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "wire/http1.h"

static void escapes_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool form;
        const char *decoded; /* NULL: ERR_SYNTAX */
    } rows[] = {
        {"", false, ""},
        {"abc", false, "abc"},
        {"a%20b", false, "a b"},
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"%2B", true, "+"},
        {"%25%32%35", true, "%25"},
        {"%c3%A9", false, "\xc3\xa9"},
        {"%", false, NULL},
        {"a%2", false, NULL},
        {"%zz", false, NULL},
        {"%2g", false, NULL},
        {"%00", false, NULL},
        {"%+1", true, NULL},
        {"%%20", false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        buf_add_lit(&out, "kept");
        enum err e = http_decode(str_of(rows[i].text), rows[i].form, &out);
        assert_int_equal(e, rows[i].decoded ? OK : ERR_SYNTAX);
        struct str added = str_from(buf_str(&out), 4);
        assert_true(str_eq(added, str_of(rows[i].decoded ? rows[i].decoded : "")));
        buf_fini(&out);
    }
    struct buf small;
    buf_init(&small, 2);
    assert_int_equal(http_decode(str_make("a\0", 2), false, &small), ERR_SYNTAX);
    assert_int_equal(http_decode(STR("%41%42"), false, &small), OK);
    buf_clear(&small);
    assert_int_equal(http_decode(STR("%41%42%43"), false, &small), ERR_LIMIT);
    assert_int_equal(small.len, 0);
    buf_fini(&small);
}

static void query_values_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name, *value; /* NULL: not found */
    } rows[] = {
        {"a=1&b=2", "a", "1"},   {"a=1&b=2", "b", "2"},  {"a=1&b=2", "c", NULL},
        {"a=1&a=2", "a", "1"},   {"ab=1&a=2", "a", "2"}, {"a&b=2", "a", ""},
        {"a=&b=2", "a", ""},     {"&&a=1&&", "a", "1"},  {"a=1=2", "a", "1=2"},
        {"%61=1", "a", "1"},     {"a+b=1", "a b", "1"},  {"a=x+y%2Bz", "a", "x y+z"},
        {"%zz=1&a=2", "a", "2"}, {"%6=1&a=2", "a", "2"}, {"", "a", NULL},
        {"=1", "a", NULL},       {"&", "", NULL},        {"=1", "", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        enum err e = http_query(str_of(rows[i].query), str_of(rows[i].name), &out);
        assert_int_equal(e, rows[i].value ? OK : ERR_NOT_FOUND);
        assert_true(str_eq(buf_str(&out), str_of(rows[i].value ? rows[i].value : "")));
        buf_fini(&out);
    }
    struct buf out = {0};
    assert_int_equal(http_query(STR("a=%zz"), STR("a"), &out), ERR_SYNTAX);
    assert_int_equal(http_query((struct str){0}, STR("a"), &out), ERR_NOT_FOUND);
    buf_fini(&out);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url, *scheme, *host, *path;
        uint16_t port;
    } rows[] = {
        {"http://a", "http", "a", "", 80},
        {"https://a.b.example/", "https", "a.b.example", "/", 443},
        {"ws://127.0.0.1:9001/x?y=z", "ws", "127.0.0.1", "/x?y=z", 9001},
        {"WSS://a_b-c:65535", "WSS", "a_b-c", "", 65535},
        {"ws://[::1]:80/p", "ws", "::1", "/p", 80},
        {"http://[fe80::1:2.3.4.5]", "http", "fe80::1:2.3.4.5", "", 80},
        {"http://a/b:c@d", "http", "a", "/b:c@d", 80},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_url u;
        assert_int_equal(http_parse_url(str_of(rows[i].url), &u), OK);
        assert_true(str_eq(u.scheme, str_of(rows[i].scheme)));
        assert_true(str_eq(u.host, str_of(rows[i].host)));
        assert_true(str_eq(u.path_query, str_of(rows[i].path)));
        assert_int_equal(u.port, rows[i].port);
    }
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a",
        "/a",
        "http:",
        "http:/a",
        "http://",
        "http:///a",
        "ftp://a",
        "httpx://a",
        "://a",
        "http://u@a",
        "http://u:p@a/",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a:-1",
        "http://a:123456",
        "http://[]",
        "http://[::1",
        "http://[::g]",
        "http://[::1]x",
        "http://a b",
        "http://a/ b",
        "http://a/#f",
        "http://a?x",
        "http://a#f",
        "http://a/\x01",
        "http://\xc3\xa9/",
        "http://a/\xc3\xa9",
        "http://a\r\n",
        " http://a",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_url u;
        if (http_parse_url(str_of(bad[i]), &u) != ERR_SYNTAX) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(query_values_are_found),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
