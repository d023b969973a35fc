/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include "tests/lib/test.h"

TEST(appends_in_all_forms)
{
    struct buf b = {0};
    assert_true(buf_add(&b, "ab", 2));
    assert_true(buf_add_char(&b, 'c'));
    assert_true(buf_add_str(&b, STR("de")));
    assert_true(buf_add_lit(&b, "f"));
    assert_true(buf_printf(&b, "-%d-%s", 7, "x"));
    assert_true(buf_add(&b, NULL, 0));
    assert_buf(&b, "abcdef-7-x");
    assert_string_equal(buf_text(&b), "abcdef-7-x");
    assert_int_equal(b.len, 10);
    buf_fini(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_text(&b), "");
    buf_fini(&b);
}

TEST(numbers_are_written_to_their_ends)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, INT64_MAX, INT64_MIN};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);
        buf_clear(&b);
        assert_true(buf_add_i64(&b, values[i]));
        assert_buf(&b, expected);
    }
    buf_clear(&b);
    assert_true(buf_add_u64(&b, UINT64_MAX));
    assert_buf(&b, "18446744073709551615");
    buf_fini(&b);
}

TEST(the_ceiling_changes_nothing_and_sticks)
{
    struct buf b;
    buf_init(&b, 4);
    assert_true(buf_add_lit(&b, "abcd"));
    assert_false(b.failed);
    assert_false(buf_add_char(&b, 'e'));
    assert_true(b.failed);
    assert_buf(&b, "abcd");
    buf_drop(&b, 4);
    assert_false(buf_add_char(&b, 'e'));
    buf_clear(&b);
    assert_true(buf_add_char(&b, 'e'));
    assert_buf(&b, "e");
    assert_false(buf_reserve(&b, SIZE_MAX));
    buf_fini(&b);
}

TEST(clearing_keeps_the_memory)
{
    struct buf b = {0};
    assert_true(buf_reserve(&b, 1000));
    char *before = b.ptr;
    size_t cap = b.cap;
    for (int i = 0; i < 100; i++) {
        assert_true(buf_printf(&b, "%04d", i));
        buf_clear(&b);
    }
    assert_ptr_equal(b.ptr, before);
    assert_int_equal(b.cap, cap);
    buf_fini(&b);
}

TEST(dropping_moves_the_rest_to_the_front)
{
    struct buf b = {0};
    buf_add_lit(&b, "abcdef");
    buf_drop(&b, 2);
    assert_buf(&b, "cdef");
    buf_drop(&b, 0);
    assert_buf(&b, "cdef");
    buf_drop(&b, 99);
    assert_buf(&b, "");
    buf_drop(&b, 1);
    buf_fini(&b);
}

TEST(growing_byte_by_byte_keeps_all)
{
    struct buf b = {0};
    for (int i = 0; i < 100000; i++) {
        assert_true(buf_add_char(&b, (char)('a' + i % 26)));
    }
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(b.ptr[i], 'a' + i % 26);
    }
    assert_true(b.cap < 400000);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_in_all_forms),
        cmocka_unit_test(numbers_are_written_to_their_ends),
        cmocka_unit_test(the_ceiling_changes_nothing_and_sticks),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(dropping_moves_the_rest_to_the_front),
        cmocka_unit_test(growing_byte_by_byte_keeps_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
