/* SPDX-License-Identifier: MIT */
#include "store/resp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void commands_are_written_with_every_byte(void **state UNUSED)
{
    struct buf out = {0};
    const struct str words[] = {STR("SET"), str_make("a\0\r\n", 4), (struct str){0}};
    assert_true(resp_command(&out, words, 3));
    const char want[] = "*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n";
    assert_int_equal(out.len, sizeof(want) - 1);
    assert_memory_equal(out.ptr, want, out.len);
    buf_fini(&out);
}

static void a_command_beyond_the_ceiling_leaves_nothing_behind(void **state UNUSED)
{
    struct buf out;
    const struct str small[] = {STR("PING")};
    const struct str large[] = {STR("GET"), STR("0123456789012345678901234567890123456789")};
    buf_init(&out, 40);
    assert_true(resp_command(&out, small, 1));
    assert_false(resp_command(&out, large, 2));
    assert_true(str_eq(buf_str(&out), STR("*1\r\n$4\r\nPING\r\n")));
    assert_true(resp_command(&out, small, 1));
    buf_fini(&out);
}

static void every_kind_of_answer_is_told_apart(void **state UNUSED)
{
    static const struct {
        enum resp_kind kind;
        const char *text;
        int64_t integer;
    } want[] = {
        {RESP_STATUS, "PONG", 0}, {RESP_INTEGER, "", -5},        {RESP_TEXT, "hello", 0},
        {RESP_TEXT, "", 0},       {RESP_ERROR, "ERR no way", 0}, {RESP_NIL, "", 0},
    };
    struct resp *r = resp_new(1000);
    struct resp_reply got;
    const char *why = NULL;
    struct str all = STR("+PONG\r\n:-5\r\n$5\r\nhello\r\n$0\r\n\r\n-ERR no way\r\n$-1\r\n+half");
    assert_int_equal(resp_feed(r, all), OK);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(resp_next(r, &got, &why), OK);
        assert_int_equal(got.kind, want[i].kind);
        assert_true(str_eq(got.text, str_of(want[i].text)));
        assert_true(got.integer == want[i].integer);
    }
    assert_int_equal(resp_next(r, &got, &why), ERR_MORE);
    resp_free(r);
}

static void nonsense_is_refused_and_stays_refused(void **state UNUSED)
{
    static const char *const rows[] = {"HTTP/1.1 200 OK\r\n",       "*2\r\n",
                                       "*1000000000\r\n",           "$-2\r\n",
                                       "$99999999999999999999\r\n", ":1x\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct resp *r = resp_new(1000);
        struct resp_reply got;
        const char *why = NULL;
        assert_int_equal(resp_feed(r, str_of(rows[i])), OK);
        assert_int_equal(resp_next(r, &got, &why), ERR_PROTOCOL);
        assert_true(strlen(why) > 0);
        assert_int_equal(resp_feed(r, STR("+OK\r\n")), ERR_PROTOCOL);
        resp_free(r);
    }
}

static void an_answer_larger_than_allowed_is_refused_before_it_is_held(void **state UNUSED)
{
    struct resp *r = resp_new(20);
    struct resp_reply got;
    const char *why = NULL;
    assert_int_equal(resp_feed(r, STR("$1000\r\n0123456789")), OK);
    assert_int_equal(resp_next(r, &got, &why), ERR_MORE);
    assert_int_equal(resp_feed(r, STR("0123456789")), ERR_LIMIT);
    resp_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_written_with_every_byte),
        cmocka_unit_test(a_command_beyond_the_ceiling_leaves_nothing_behind),
        cmocka_unit_test(every_kind_of_answer_is_told_apart),
        cmocka_unit_test(nonsense_is_refused_and_stays_refused),
        cmocka_unit_test(an_answer_larger_than_allowed_is_refused_before_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
