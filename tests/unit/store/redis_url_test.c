/* SPDX-License-Identifier: MIT */
#include "store/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void good_urls_are_taken_apart(void **state UNUSED)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        uint32_t db;
        const char *user, *password;
    } rows[] = {
        {"redis://127.0.0.1", "127.0.0.1", 6379, 0, "", ""},
        {"redis://127.0.0.1:7000/", "127.0.0.1", 7000, 0, "", ""},
        {"redis://cache.internal/3", "cache.internal", 6379, 3, "", ""},
        {"redis://:secret@h:1/15", "h", 1, 15, "", "secret"},
        {"redis://u:p%40%2f%3A@h", "h", 6379, 0, "u", "p@/:"},
        {"redis://u:p@ss@h", "h", 6379, 0, "u", "p@ss"},
        {"redis://:@h", "h", 6379, 0, "", ""},
        {"redis://[::1]", "::1", 6379, 0, "", ""},
        {"redis://u:p@[2001:db8::5]:65535/1", "2001:db8::5", 65535, 1, "u", "p"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_url u;
        struct buf error = {0};
        assert_int_equal(redis_url_parse(str_of(rows[i].text), &u, &error), OK);
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.db, rows[i].db);
        assert_string_equal(u.user, rows[i].user);
        assert_string_equal(u.password, rows[i].password);
        buf_fini(&error);
    }
}

static void bad_urls_are_refused_without_repeating_them(void **state UNUSED)
{
    static const struct {
        const char *text, *hint;
    } rows[] = {
        {"", "redis://"},
        {"http://h", "redis://"},
        {"rediss://:hunter2@h", "TLS"},
        {"redis://", "host"},
        {"redis://:hunter2@", "host"},
        {"redis://hunter2@h", "colon"},
        {"redis://hunter2:@h", "needs a password"},
        {"redis://:hunter2%zz@h", "%XX"},
        {"redis://:hunter2%0", "host"},
        {"redis://:hunter2%00@h", "%XX"},
        {"redis://:hunter2@h:0", "port"},
        {"redis://:hunter2@h:65536", "port"},
        {"redis://:hunter2@h:", "port"},
        {"redis://:hunter2@h:+1", "port"},
        {"redis://:hunter2@h/x", "database number"},
        {"redis://:hunter2@h/1/2", "database number"},
        {"redis://:hunter2@h/65536", "database number"},
        {"redis://:hunter2@[::1", "bracket"},
        {"redis://:hunter2@[::1]6379", "port"},
        {"redis://:hunter2@[]", "host"},
        {"redis://:hunter2@::1", "host"},
        {"redis://:hunter2@ho st", "host"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_url u = {.port = 4711};
        struct buf error = {0};
        assert_int_equal(redis_url_parse(str_of(rows[i].text), &u, &error), ERR_SYNTAX);
        assert_int_equal(u.port, 4711);
        assert_non_null(strstr(buf_text(&error), rows[i].hint));
        assert_null(strstr(buf_text(&error), "hunter2"));
        buf_fini(&error);
    }
}

static void too_long_parts_are_refused(void **state UNUSED)
{
    struct buf text = {0};
    struct buf error = {0};
    struct redis_url u;
    buf_add_lit(&text, "redis://");
    for (int i = 0; i < REDIS_URL_HOST_MAX + 1; i++) {
        buf_add_char(&text, 'h');
    }
    assert_int_equal(redis_url_parse(buf_str(&text), &u, &error), ERR_SYNTAX);
    text.len--;
    assert_int_equal(redis_url_parse(buf_str(&text), &u, &error), OK);
    buf_clear(&text);
    buf_add_lit(&text, "redis://:");
    for (int i = 0; i < REDIS_URL_SECRET_MAX + 1; i++) {
        buf_add_char(&text, 'p');
    }
    buf_add_lit(&text, "@h");
    assert_int_equal(redis_url_parse(buf_str(&text), &u, &error), ERR_SYNTAX);
    buf_fini(&text);
    buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_without_repeating_them),
        cmocka_unit_test(too_long_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
