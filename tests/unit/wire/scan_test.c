/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/scan.h"

/* A text array, without its NUL. */
#define LITERAL(array) str_make((array), sizeof(array) - 1)

#define assert_str(actual, expected)                                        \
    do {                                                                    \
        struct str got = (actual);                                          \
        if (!str_eq(got, STR(expected))) {                                  \
            fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got), expected); \
        }                                                                   \
    } while (0)

/* Whether the text is one well-formed document, read in an exact-size copy. */
static bool well_formed(struct str text)
{
    struct scan s;
    char *copy = mem_alloc(text.len);
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    scan_begin(&s, str_make(copy, text.len));
    bool ok = scan_skip(&s, NULL);
    enum err e = scan_end(&s);
    assert_int_equal(e == OK, s.error == NULL);
    assert_true(ok || e != OK);
    assert_true(s.at >= s.start && s.at <= s.start + text.len);
    mem_free(copy);
    return e == OK;
}

static const char trade[] =
    "{\"e\":\"trade\",\"E\":1725000000123,\"s\":\"BTCUSDT\",\"t\":123456789,"
    "\"p\":\"58123.45000000\",\"q\":\"0.00123000\",\"T\":1725000000122,\"m\":true,\"M\":true}";

static void trade_is_read_with_its_exact_digits(void **state)
{
    (void)state;
    struct scan s;
    struct str key;
    struct str price = {0};
    struct str quantity = {0};
    struct str symbol = {0};
    struct str time = {0};
    bool maker = false;
    int members = 0;
    scan_begin(&s, LITERAL(trade));
    assert_int_equal(scan_peek(&s), SCAN_OBJECT);
    assert_true(scan_object(&s));
    while (scan_key(&s, &key)) {
        members++;
        if (str_eq(key, STR("p"))) {
            assert_int_equal(scan_peek(&s), SCAN_STRING);
            assert_false(scan_number(&s, &price));
            assert_true(scan_number_or_text(&s, &price));
        } else if (str_eq(key, STR("q"))) {
            assert_true(scan_string(&s, &quantity));
        } else if (str_eq(key, STR("T"))) {
            assert_true(scan_number_or_text(&s, &time));
        } else if (str_eq(key, STR("s"))) {
            assert_false(scan_number_or_text(&s, &symbol));
            assert_true(scan_string(&s, &symbol));
        } else if (str_eq(key, STR("m"))) {
            assert_true(scan_bool(&s, &maker));
        } /* the others are skipped by the next scan_key() */
    }
    assert_int_equal(scan_end(&s), OK);
    assert_int_equal(members, 9);
    assert_str(price, "58123.45000000");
    assert_str(quantity, "0.00123000");
    assert_str(time, "1725000000122");
    assert_str(symbol, "BTCUSDT");
    assert_true(maker);
}

static void nested_values_are_walked_and_sliced(void **state)
{
    (void)state;
    static const char text[] = " { \"a\" : [ 1 , [ ] , { } , \"x\" , null , false ] , "
                               "\"b\" : { \"c\" : [ { \"d\" : -0.5e+3 } , 2 ] } , \"e\" : [ ] } ";
    struct scan s;
    struct str key;
    struct str raw;
    bool value = true;
    scan_begin(&s, LITERAL(text));
    assert_false(scan_array(&s));
    assert_true(scan_object(&s));
    assert_true(scan_key(&s, &key));
    assert_str(key, "a");
    assert_true(scan_array(&s));
    assert_true(scan_item(&s));
    assert_true(scan_number(&s, &raw));
    assert_str(raw, "1");
    assert_true(scan_item(&s));
    assert_true(scan_skip(&s, &raw));
    assert_str(raw, "[ ]");
    assert_true(scan_item(&s));
    assert_true(scan_object(&s));
    assert_false(scan_key(&s, &key));
    assert_true(scan_item(&s));
    assert_int_equal(scan_peek(&s), SCAN_STRING);
    assert_true(scan_item(&s));
    assert_false(scan_bool(&s, &value));
    assert_true(scan_null(&s));
    assert_true(scan_item(&s));
    assert_false(scan_null(&s));
    assert_true(scan_bool(&s, &value));
    assert_false(value);
    assert_false(scan_item(&s));
    assert_true(scan_key(&s, &key));
    assert_str(key, "b");
    assert_true(scan_skip(&s, &raw));
    assert_str(raw, "{ \"c\" : [ { \"d\" : -0.5e+3 } , 2 ] }");
    assert_true(scan_key(&s, &key));
    assert_true(scan_array(&s));
    assert_false(scan_item(&s));
    assert_false(scan_key(&s, &key));
    assert_int_equal(scan_end(&s), OK);
    assert_null(s.error);
}

static void document_left_early_is_validated_to_its_end(void **state)
{
    (void)state;
    struct scan s;
    struct str key;
    scan_begin(&s, STR("{\"a\":[1,{\"b\":2}],\"c\":[true]}"));
    assert_true(scan_object(&s));
    assert_true(scan_key(&s, &key));
    assert_true(scan_array(&s));
    assert_true(scan_item(&s));
    assert_int_equal(scan_end(&s), OK);
    scan_begin(&s, STR("{\"a\":[1,{\"b\":2}],\"c\":[tru]}"));
    assert_true(scan_object(&s));
    assert_true(scan_key(&s, &key));
    assert_int_equal(scan_end(&s), ERR_SYNTAX);
    /* untouched: the whole of it is skipped */
    scan_begin(&s, STR(" [1] "));
    assert_int_equal(scan_end(&s), OK);
}

/* ---- what is well-formed (after the cases of JSONTestSuite) ---- */

static const char *const accepted[] = {
    "0",
    "-0",
    "-1",
    "1",
    "10",
    "1.0",
    "0.1",
    "1e5",
    "1E+5",
    "1e-05",
    "-0.0e0",
    "123456789012345678901234567890.123456789",
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\\uFFFF\\uabCD\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\x7f\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[[]]",
    "[1,2]",
    " \t\r\n[ 1 , 2 ] \t\r\n",
    "{\"\":0}",
    "{\"a\":1,\"a\":2}",
    "[[[[[[]]]]]]",
    "{\"a\":{\"b\":[{}]}}",
    "[null,true,false,0,\"\"]",
    "\"12345678\"",
    "\"1234567\\n\"",
    "\"a longer text with an \\u00e9 behind eight bytes\"",
};

static const char *const refused[] = {
    "",
    " ",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".1",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "0x1",
    "1a",
    "--1",
    "1 2",
    "1,",
    "Infinity",
    "NaN",
    "-Infinity",
    "tru",
    "truex",
    "nul",
    "fals",
    "True",
    "nulll",
    "\"",
    "\"a",
    "'a'",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u123\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x01\"",
    "\"12345678\x1f\"",
    "\"\x80\"",
    "\"\xc3\"",
    "\"\xc0\x80\"",
    "\"\xc3\\u00a9\"",
    "\"\xed\xa0\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xe2\x82\"",
    "\"\xff\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1,,2]",
    "[}",
    "[1}",
    "[]]",
    "[[]",
    "{",
    "}",
    "{]",
    "{1:1}",
    "{a:1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\":1]",
    "{\"a\":1",
    "{\"a\":",
    "{\"a\"",
    "{\"a\":1}}",
    "{\"a\":1} x",
    "{\"a\\x\":1}",
    "{'a':1}",
    "{\"a\"::1}",
    "[1]/**/",
    "\xef\xbb\xbf[]",
    "[1]\v",
    "\f1",
    "{\"a\":1,2}",
    "[\"a\":1]",
    "{\"a\",1}",
    "{\"a\":[}",
    "[\xc2\xa0]",
};

static void well_formed_documents_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        if (!well_formed(str_of(accepted[i]))) {
            fail_msg("refused: %s", accepted[i]);
        }
    }
}

static void malformed_documents_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (well_formed(str_of(refused[i]))) {
            fail_msg("accepted: %s", refused[i]);
        }
    }
    assert_false(well_formed(str_make("1\0", 2)));
    assert_false(well_formed(str_make("\"a\0b\"", 5)));
    assert_false(well_formed((struct str){0}));
}

static void every_prefix_of_a_document_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(trade) - 1; n++) {
        assert_false(well_formed(str_make(trade, n)));
    }
    assert_true(well_formed(LITERAL(trade)));
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (size_t depth = SCAN_MAX_DEPTH; depth <= SCAN_MAX_DEPTH + 1; depth++) {
        struct buf arrays = {0};
        struct buf objects = {0};
        for (size_t i = 0; i < depth; i++) {
            buf_add_lit(&arrays, "[");
            buf_add_lit(&objects, "{\"a\":");
        }
        buf_add_lit(&objects, "1");
        for (size_t i = 0; i < depth; i++) {
            buf_add_lit(&arrays, "]");
            buf_add_lit(&objects, "}");
        }
        assert_int_equal(well_formed(buf_str(&arrays)), depth <= SCAN_MAX_DEPTH);
        assert_int_equal(well_formed(buf_str(&objects)), depth <= SCAN_MAX_DEPTH);
        buf_fini(&arrays);
        buf_fini(&objects);
    }
}

static void error_sticks_and_says_where(void **state)
{
    (void)state;
    struct scan s;
    struct str text;
    bool value;
    scan_begin(&s, STR("[1,x]"));
    assert_true(scan_array(&s));
    assert_true(scan_item(&s));
    assert_true(scan_item(&s));
    assert_int_equal(scan_peek(&s), SCAN_ERROR);
    assert_int_equal(s.at - s.start, 3);
    const char *why = s.error;
    assert_non_null(why);
    assert_false(scan_object(&s) || scan_array(&s) || scan_key(&s, &text) || scan_item(&s));
    assert_false(scan_string(&s, &text) || scan_number(&s, &text) || scan_bool(&s, &value));
    assert_false(scan_null(&s) || scan_number_or_text(&s, &text) || scan_skip(&s, &text));
    assert_int_equal(scan_end(&s), ERR_SYNTAX);
    assert_ptr_equal(s.error, why);
}

static void walking_the_wrong_container_is_an_error(void **state)
{
    (void)state;
    struct scan s;
    struct str text;
    scan_begin(&s, STR("[1]"));
    assert_true(scan_array(&s));
    assert_false(scan_key(&s, &text));
    assert_int_equal(scan_end(&s), ERR_SYNTAX);
    scan_begin(&s, STR("{\"a\":1}"));
    assert_true(scan_object(&s));
    assert_false(scan_item(&s));
    assert_int_equal(scan_end(&s), ERR_SYNTAX);
    scan_begin(&s, STR("1"));
    assert_false(scan_item(&s));
    assert_int_equal(scan_end(&s), ERR_SYNTAX);
    scan_begin(&s, STR("1"));
    assert_true(scan_number(&s, &text));
    assert_false(scan_number(&s, &text));
    assert_int_equal(scan_end(&s), OK);
}

static void numbers_in_strings_are_exactly_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *digits;
    } rows[] = {
        {"\"1.50\"", "1.50"}, {"1.50", "1.50"},  {"\"-1e3\"", "-1e3"},  {"\"\"", NULL},
        {"\" 1\"", NULL},     {"\"1 \"", NULL},  {"\"01\"", NULL},      {"\"1.\"", NULL},
        {"\"abc\"", NULL},    {"\"NaN\"", NULL}, {"\"\\u0031\"", NULL}, {"null", NULL},
        {"[1]", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scan s;
        struct str digits;
        scan_begin(&s, str_of(rows[i].text));
        bool taken = scan_number_or_text(&s, &digits);
        assert_int_equal(taken, rows[i].digits != NULL);
        assert_null(s.error);
        assert_true(!taken || str_eq(digits, str_of(rows[i].digits)));
        assert_int_equal(scan_end(&s), OK);
    }
}

/* ---- escapes ---- */

static void escapes_are_resolved(void **state)
{
    (void)state;
    static const struct {
        struct str raw, text;
    } rows[] = {
        {{"", 0}, {"", 0}},
        {{"abc", 3}, {"abc", 3}},
        {{"a\\nb", 4}, {"a\nb", 3}},
        {{"\\\"\\\\\\/\\b\\f\\n\\r\\t", 16}, {"\"\\/\b\f\n\r\t", 8}},
        {{"\\u0041\\u00e9\\u20AC", 18}, {"A\xc3\xa9\xe2\x82\xac", 6}},
        {{"\\u0000", 6}, {"\0", 1}},
        {{"\\ud83d\\ude00", 12}, {"\xf0\x9f\x98\x80", 4}},
        {{"\\udbff\\udfff", 12}, {"\xf4\x8f\xbf\xbf", 4}},
        {{"\\ud83d", 6}, {"\xef\xbf\xbd", 3}},
        {{"\\ude00", 6}, {"\xef\xbf\xbd", 3}},
        {{"\\ud83dx", 7}, {"\xef\xbf\xbdx", 4}},
        {{"\\ud83d\\n", 8}, {"\xef\xbf\xbd\n", 4}},
        {{"\\ud83d\\ud83d\\ude00", 18}, {"\xef\xbf\xbd\xf0\x9f\x98\x80", 7}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        assert_int_equal(scan_unescape(rows[i].raw, &out), OK);
        assert_true(str_eq(buf_str(&out), rows[i].text));
        assert_true(str_is_utf8(buf_str(&out)));
        assert_true(scan_string_is(rows[i].raw, rows[i].text));
        assert_false(scan_string_is(rows[i].raw, STR("something else")));
        if (rows[i].text.len) {
            assert_false(
                scan_string_is(rows[i].raw, str_sub(rows[i].text, 0, rows[i].text.len - 1)));
        }
        buf_fini(&out);
    }
    assert_false(scan_string_is(STR("ab"), STR("abc")));
    assert_false(scan_string_is(STR("abc"), STR("ab")));
}

static void bad_escapes_and_full_buffers_leave_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\\", "a\\x", "a\\u", "a\\u123", "a\\u12g4"};
    struct buf out;
    buf_init(&out, 4);
    buf_add_lit(&out, "x");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(scan_unescape(str_of(bad[i]), &out), ERR_SYNTAX);
        assert_false(scan_string_is(str_of(bad[i]), STR("a")));
        assert_int_equal(out.len, 1);
    }
    assert_int_equal(scan_unescape(STR("12\\u0033"), &out), OK);
    out.len = 1;
    assert_int_equal(scan_unescape(STR("12\\u00e9"), &out), ERR_LIMIT);
    assert_int_equal(out.len, 1);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trade_is_read_with_its_exact_digits),
        cmocka_unit_test(nested_values_are_walked_and_sliced),
        cmocka_unit_test(document_left_early_is_validated_to_its_end),
        cmocka_unit_test(well_formed_documents_are_accepted),
        cmocka_unit_test(malformed_documents_are_refused),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(error_sticks_and_says_where),
        cmocka_unit_test(walking_the_wrong_container_is_an_error),
        cmocka_unit_test(numbers_in_strings_are_exactly_numbers),
        cmocka_unit_test(escapes_are_resolved),
        cmocka_unit_test(bad_escapes_and_full_buffers_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
