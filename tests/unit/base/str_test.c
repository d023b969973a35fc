/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <math.h>

#include "tests/lib/test.h"

TEST(slices_compare_by_content)
{
    assert_true(str_eq(STR("a"), str_make("ab", 1)));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_eq((struct str){0}, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_nocase(STR("Sec-WebSocket"), STR("sEC-wEBsOCKET")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_false(str_eq_nocase(STR("ab"), STR("a")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_int_equal(str_cmp((struct str){0}, STR("")), 0);
    assert_true(str_cmp(STR("\xFF"), STR("a")) > 0);
    assert_int_equal(str_of(NULL).len, 0);
}

TEST(parts_stay_within_the_slice)
{
    assert_str(str_from(STR("abc"), 1), "bc");
    assert_str(str_from(STR("abc"), 3), "");
    assert_str(str_from(STR("abc"), 9), "");
    assert_str(str_sub(STR("abc"), 1, 1), "b");
    assert_str(str_sub(STR("abc"), 1, SIZE_MAX), "bc");
    assert_str(str_sub(STR("abc"), 5, 1), "");
    assert_str(str_trim(STR(" \t a b\t ")), "a b");
    assert_str(str_trim(STR(" \t")), "");
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR("")));
    assert_false(str_ends(STR("bc"), STR("abc")));
}

TEST(finding_says_where_or_nowhere)
{
    assert_int_equal(str_find(STR("abca"), 'a', 1), 3);
    assert_int_equal(str_find(STR("abc"), 'x', 0), SIZE_MAX);
    assert_int_equal(str_find(STR("abc"), 'a', 3), SIZE_MAX);
    assert_int_equal(str_find((struct str){0}, 'a', 0), SIZE_MAX);
    assert_int_equal(str_find_str(STR("abcabd"), STR("abd")), 3);
    assert_int_equal(str_find_str(STR("abc"), STR("")), 0);
    assert_int_equal(str_find_str((struct str){0}, STR("a")), SIZE_MAX);
    assert_int_equal(str_find_str(STR("ab"), STR("abc")), SIZE_MAX);
}

TEST(cutting_gives_empty_parts_too)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a,,b", "[a][][b]"}, {"a", "[a]"}, {"", ""}, {",", "[]"}, {"a,", "[a]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[32];
        size_t len = 0;
        struct str rest = str_of(cases[i].in);
        struct str part;
        while (str_next(&rest, ',', &part)) {
            len += (size_t)snprintf(out + len, sizeof(out) - len, "[%.*s]", STR_ARG(part));
        }
        test_case(cases[i].in);
        assert_str(str_make(out, len), cases[i].out);
    }
    test_case(NULL);
}

TEST(whole_numbers_are_read_whole_or_not_at_all)
{
    uint64_t u = 7;
    int64_t i = 7;
    assert_ok(str_to_u64(STR("0"), &u));
    assert_true(u == 0);
    assert_ok(str_to_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_err(str_to_u64(STR("18446744073709551616"), &u), ERR_RANGE);
    assert_err(str_to_u64(STR("99999999999999999999"), &u), ERR_RANGE);
    assert_err(str_to_u64(STR(""), &u), ERR_SYNTAX);
    assert_err(str_to_u64(STR("-1"), &u), ERR_SYNTAX);
    assert_err(str_to_u64(STR("+1"), &u), ERR_SYNTAX);
    assert_err(str_to_u64(STR("1 "), &u), ERR_SYNTAX);
    assert_err(str_to_u64(STR("0x1"), &u), ERR_SYNTAX);
    assert_true(u == UINT64_MAX);
    assert_ok(str_to_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_ok(str_to_i64(STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_err(str_to_i64(STR("9223372036854775808"), &i), ERR_RANGE);
    assert_err(str_to_i64(STR("-9223372036854775809"), &i), ERR_RANGE);
    assert_err(str_to_i64(STR("-"), &i), ERR_SYNTAX);
    assert_err(str_to_i64(STR("--1"), &i), ERR_SYNTAX);
    assert_true(i == INT64_MAX);
}

TEST(doubles_follow_the_grammar_of_json)
{
    static const struct {
        const char *text;
        enum err e;
        double value;
    } cases[] = {
        {"0", OK, 0},
        {"67234.51", OK, 67234.51},
        {"-0.5e-3", OK, -0.5e-3},
        {"1E+2", OK, 100},
        {"0.1000000000000000055511151231257827", OK, 0.1},
        {"1e308", OK, 1e308},
        {"5e-324", OK, 5e-324},
        {"1e-400", OK, 0},
        {"1e309", ERR_RANGE, 0},
        {"", ERR_SYNTAX, 0},
        {"-", ERR_SYNTAX, 0},
        {".5", ERR_SYNTAX, 0},
        {"5.", ERR_SYNTAX, 0},
        {"01", ERR_SYNTAX, 0},
        {"+1", ERR_SYNTAX, 0},
        {" 1", ERR_SYNTAX, 0},
        {"1 ", ERR_SYNTAX, 0},
        {"1e", ERR_SYNTAX, 0},
        {"1e+", ERR_SYNTAX, 0},
        {"nan", ERR_SYNTAX, 0},
        {"inf", ERR_SYNTAX, 0},
        {"0x10", ERR_SYNTAX, 0},
        {"1,5", ERR_SYNTAX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double value = 0;
        test_case(cases[i].text);
        assert_err(str_to_double(str_of(cases[i].text), &value), cases[i].e);
        assert_near(value, cases[i].value, 0);
    }
    test_case(NULL);
}

TEST(hashes_depend_on_content_and_seed)
{
    uint64_t before = str_hash(STR("BTC"));
    assert_true(before == str_hash(str_make("BTCUSDT", 3)));
    assert_true(before != str_hash(STR("BTD")));
    assert_true(str_hash(STR("")) == str_hash((struct str){0}));
    str_hash_seed(12345);
    assert_true(before != str_hash(STR("BTC")));
}

TEST(secrets_compare_in_full)
{
    assert_true(str_eq_secret(STR("token"), STR("token")));
    assert_false(str_eq_secret(STR("token"), STR("toker")));
    assert_false(str_eq_secret(STR("token"), STR("tokentoken")));
    assert_false(str_eq_secret(STR("tokentoken"), STR("token")));
    assert_false(str_eq_secret(STR(""), STR("token")));
    assert_false(str_eq_secret(STR("token"), STR("")));
    assert_false(str_eq_secret(STR(""), STR("\0")));
}

TEST(utf8_is_what_rfc_3629_says)
{
    static const struct {
        struct str text;
        bool good;
    } cases[] = {
        {STR(""), true},
        {STR("plain"), true},
        {STR("\0"), true},
        {STR("\xC2\x80"), true},
        {STR("\xDF\xBF"), true},
        {STR("\xE0\xA0\x80"), true},
        {STR("\xED\x9F\xBF"), true},
        {STR("\xEF\xBF\xBF"), true},
        {STR("\xF0\x90\x80\x80"), true},
        {STR("\xF4\x8F\xBF\xBF"), true},
        {STR("\x80"), false},
        {STR("\xC0\x80"), false},
        {STR("\xC1\xBF"), false},
        {STR("\xE0\x9F\xBF"), false},
        {STR("\xED\xA0\x80"), false},
        {STR("\xF0\x8F\xBF\xBF"), false},
        {STR("\xF4\x90\x80\x80"), false},
        {STR("\xF5\x80\x80\x80"), false},
        {STR("\xE2\x82"), false},
        {STR("a\xE2"), false},
        {STR("\xE2\x82z"), false},
        {STR("\xF0\x90\x80"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(str_is_utf8(cases[i].text), cases[i].good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_content),
        cmocka_unit_test(parts_stay_within_the_slice),
        cmocka_unit_test(finding_says_where_or_nowhere),
        cmocka_unit_test(cutting_gives_empty_parts_too),
        cmocka_unit_test(whole_numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(doubles_follow_the_grammar_of_json),
        cmocka_unit_test(hashes_depend_on_content_and_seed),
        cmocka_unit_test(secrets_compare_in_full),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
