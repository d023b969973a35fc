/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>

#include "tests/lib/test.h"

static struct buf out;
static struct json_writer writer;

static int fresh(void **state)
{
    (void)state;
    buf_clear(&out);
    json_begin(&writer, &out);
    return 0;
}

static int release(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static const char *double_text(double value)
{
    buf_clear(&out);
    json_add_double(&out, value);
    return buf_text(&out);
}

static const char *decimal_text(double value, int decimals)
{
    fresh(NULL);
    json_decimal(&writer, value, decimals);
    return buf_text(&out);
}

TEST(writer_puts_commas)
{
    struct json_writer *w = &writer;
    json_object(w);
    json_key(w, "a");
    json_i64(w, -1);
    json_key(w, "b");
    json_array(w);
    json_array(w);
    json_array_end(w);
    json_bool(w, true);
    json_null(w);
    json_object(w);
    json_key(w, "c");
    json_text(w, NULL);
    json_object_end(w);
    json_raw(w, STR("1e5"));
    json_array_end(w);
    json_key(w, "t");
    json_time(w, 1780703999999);
    json_object_end(w);
    assert_buf(&out, "{\"a\":-1,\"b\":[[],true,null,{\"c\":null},1e5],"
                     "\"t\":\"2026-06-05T23:59:59.999Z\"}");
}

TEST(members_of_counts_and_times_that_may_be_unknown)
{
    struct json_writer *w = &writer;
    json_object(w);
    json_put_count(w, "n", 3);
    json_put_time(w, "never", 0);
    json_put_time(w, "then", 1780703999999);
    json_key(w, "also_never");
    json_time_or_null(w, 0);
    json_object_end(w);
    assert_buf(&out, "{\"n\":3,\"never\":null,\"then\":\"2026-06-05T23:59:59.999Z\","
                     "\"also_never\":null}");
}

TEST(writer_nests_64_deep)
{
    for (int i = 0; i < 64; i++) {
        json_array(&writer);
    }
    json_i64(&writer, 1);
    json_i64(&writer, 2);
    for (int i = 0; i < 64; i++) {
        json_array_end(&writer);
    }
    assert_int_equal(out.len, 64 + 3 + 64);
    assert_contains(buf_str(&out), "[1,2]");
}

TEST(strings_are_escaped)
{
    static const struct {
        struct str in;
        const char *out;
    } cases[] = {
        {STR(""), "\"\""},
        {STR("plain"), "\"plain\""},
        {STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {STR("\b\f\n\r\t\0\x1f"), "\"\\b\\f\\n\\r\\t\\u0000\\u001f\""},
        {STR("Việt ₿ 😀"), "\"Việt ₿ 😀\""},
        {STR("\x7f"), "\"\x7f\""},
        {STR("bad\xFF!"), "\"bad\xEF\xBF\xBD!\""},
        {STR("cut\xE2\x82"), "\"cut\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {STR("\xC0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {STR("\xED\xA0\x80z"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].out);
        buf_clear(&out);
        json_escape(&out, cases[i].in);
        assert_buf(&out, cases[i].out);
    }
    test_case(NULL);
}

TEST(doubles_are_written_as_people_write_them)
{
    static const struct {
        double in;
        const char *out;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-17, "-17"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {67234.51, "67234.51"},
        {-2.5, "-2.5"},
        {1e15, "1000000000000000"},
        {2314567890123.0, "2314567890123"},
        {9007199254740991.0, "9007199254740991"},
        {0.00001234, "0.00001234"},
        {1.5e-9, "1.5e-09"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].out);
        assert_str(str_of(double_text(cases[i].in)), cases[i].out);
    }
    test_case(NULL);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* How many significant digits it takes to read back as `value`. */
static int fewest_digits(double value)
{
    char text[40];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            return digits;
        }
    }
    return 17;
}

static int significant_digits(const char *text)
{
    int count = 0;
    int zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '0') {
            zeros++;
        } else if (*text >= '1' && *text <= '9') {
            count += (count ? zeros : 0) + 1;
            zeros = 0;
        }
    }
    return count;
}

TEST(any_double_reads_back_the_same_and_short)
{
    uint64_t seed = 0x5EED5EED5EED5EEDU;
    for (int i = 0; i < 200000; i++) {
        double value = 0;
        uint64_t bits = next_random(&seed);
        if (i % 2) {
            memcpy(&value, &bits, sizeof(value));
        } else {
            /* prices: up to 15 digits with 0 to 12 behind the point */
            value = (double)(bits % 1000000000000U) / pow(10, i % 13);
        }
        if (!isfinite(value)) {
            continue;
        }
        const char *text = double_text(value);
        double back = 0;
        if (strtod(text, NULL) != value || str_to_double(str_of(text), &back) != OK ||
            memcmp(&back, &value, sizeof(back)) != 0 ||
            significant_digits(text) > fewest_digits(value)) {
            fail_msg("%.17g became %s", value, text);
        }
    }
}

TEST(decimals_round_as_printf_and_drop_zeros)
{
    assert_str(str_of(decimal_text(1.005, 2)), "1");
    assert_str(str_of(decimal_text(2.675, 2)), "2.67");
    assert_str(str_of(decimal_text(0.125, 2)), "0.12");
    assert_str(str_of(decimal_text(0.375, 2)), "0.38");
    assert_str(str_of(decimal_text(1.2, 4)), "1.2");
    assert_str(str_of(decimal_text(100, 2)), "100");
    assert_str(str_of(decimal_text(-0.001, 2)), "0");
    assert_str(str_of(decimal_text(-1.239, 2)), "-1.24");
    assert_str(str_of(decimal_text(0.000001, 6)), "0.000001");
    assert_str(str_of(decimal_text(1e22, 2)), "10000000000000000000000");
    assert_str(str_of(decimal_text(2.5, 0)), "2");
    assert_int_equal(strlen(decimal_text(1e308, 0)), 309);
    assert_str(str_of(decimal_text(NAN, 2)), "null");
}

TEST(decimals_agree_with_printf)
{
    uint64_t seed = 0xC01CA57C01CA57U;
    for (int i = 0; i < 100000; i++) {
        char expected[400];
        int decimals = i % 10;
        double value = (double)(int64_t)(next_random(&seed) % 2000000000000U - 1000000000000U) /
                       pow(10, i % 12);
        int n = snprintf(expected, sizeof(expected), "%.*f", decimals, value);
        while (decimals && expected[n - 1] == '0') {
            n--;
        }
        n -= decimals && expected[n - 1] == '.';
        expected[n] = '\0';
        const char *text = decimal_text(value, decimals);
        if (strcmp(text, strcmp(expected, "-0") == 0 ? "0" : expected) != 0) {
            fail_msg("%.17g to %d became %s, not %s", value, decimals, text, expected);
        }
    }
}

TEST(values_are_read_by_kind)
{
    struct json *root = NULL;
    double d = 7;
    int64_t n = 7;
    bool b = false;
    struct str s = STR("before");
    assert_ok(json_parse(STR("{\"d\":1.5,\"n\":-3,\"t\":\"2.25\",\"b\":true,\"z\":null,"
                             "\"a\":[1,\"x\"],\"q\":\"no\"}"),
                         &root, NULL));
    assert_true(json_get_double(json_get(root, "d"), &d) && d == 1.5);
    assert_true(json_get_double(json_get(root, "n"), &d) && d == -3);
    assert_true(json_get_i64(json_get(root, "n"), &n) && n == -3);
    assert_true(json_get_bool(json_get(root, "b"), &b) && b);
    assert_true(json_get_str(json_get(root, "t"), &s));
    assert_str(s, "2.25");
    assert_true(json_get_number_or_text(json_get(root, "t"), &d) && d == 2.25);
    assert_true(json_get_number_or_text(json_get(root, "d"), &d) && d == 1.5);
    assert_true(json_get_str(json_at(json_get(root, "a"), 1), &s));
    assert_str(s, "x");
    assert_int_equal(json_count(json_get(root, "a")), 2);
    assert_int_equal(json_count(root), 7);
    assert_int_equal(json_kind(json_get(root, "z")), JSON_NULL);
    /* another kind leaves the out-parameter alone */
    d = 7;
    n = 7;
    assert_false(json_get_double(json_get(root, "t"), &d));
    assert_false(json_get_i64(json_get(root, "d"), &n));
    assert_false(json_get_number_or_text(json_get(root, "q"), &d));
    assert_false(json_get_number_or_text(json_get(root, "absent"), &d));
    assert_false(json_get_bool(json_get(root, "n"), &b));
    assert_true(d == 7 && n == 7);
    json_free(root);
}

TEST(absent_values_are_harmless)
{
    size_t at = 0;
    struct str key;
    const struct json *value = NULL;
    assert_null(json_get(NULL, "a"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_count(NULL), 0);
    assert_int_equal(json_kind(NULL), JSON_NULL);
    assert_false(json_each(NULL, &at, &key, &value));
    json_free(NULL);
}

TEST(objects_are_walked_in_order)
{
    struct json *root = NULL;
    size_t at = 0;
    struct str key;
    const struct json *value = NULL;
    assert_ok(json_parse(STR("{\"z\":1,\"a\":2,\"m\":3}"), &root, NULL));
    while (json_each(root, &at, &key, &value)) {
        int64_t n = 0;
        assert_true(json_get_i64(value, &n));
        buf_printf(&out, "%.*s%lld", STR_ARG(key), (long long)n);
    }
    assert_buf(&out, "z1a2m3");
    json_free(root);
}

TEST(bad_documents_are_refused_with_a_place)
{
    static const struct str bad[] = {
        STR(""),         STR("{"),           STR("[1,]"),       STR("{\"a\":1,\"a\":2}"),
        STR("nul"),      STR("[1] x"),       STR("\"\xFF\""),   STR("01"),
        STR("NaN"),      STR("[1e999]"),     STR("\"a\\u0000"), STR("{\"a\" 1}"),
        STR("'a'"),      STR("\"\\ud800\""), STR("[1 2]"),      STR("\"\n\""),
        STR("/**/ [1]"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char error[JSON_ERROR_LEN] = "";
        struct json *root = NULL;
        test_case(bad[i].ptr);
        assert_err(json_parse(bad[i], &root, error), ERR_SYNTAX);
        assert_null(root);
        assert_contains(str_of(error), "line ");
    }
    test_case(NULL);
}

TEST(deep_nesting_is_refused_not_crashed_on)
{
    struct json *root = NULL;
    for (int i = 0; i < 100000; i++) {
        buf_add_char(&out, '[');
    }
    assert_err(json_parse(buf_str(&out), &root, NULL), ERR_SYNTAX);
}

TEST(an_integer_beyond_64_bits_does_not_cost_the_document)
{
    struct json *root = NULL;
    double d = 0;
    int64_t n = 0;
    assert_ok(json_parse(STR("[999999999999999999999999,5.5]"), &root, NULL));
    assert_true(json_get_double(json_at(root, 0), &d) && d == 1e24);
    assert_false(json_get_i64(json_at(root, 0), &n));
    json_free(root);
}

TEST(what_is_written_is_read)
{
    struct json *root = NULL;
    struct str s = {0};
    json_object(&writer);
    json_key(&writer, "quote\"key");
    json_str(&writer, STR("tab\tand \xFF"));
    json_object_end(&writer);
    assert_ok(json_parse(buf_str(&out), &root, NULL));
    assert_true(json_get_str(json_get(root, "quote\"key"), &s));
    assert_str(s, "tab\tand \xEF\xBF\xBD");
    json_free(root);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, fresh, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(writer_puts_commas),
        UNIT(members_of_counts_and_times_that_may_be_unknown),
        UNIT(writer_nests_64_deep),
        UNIT(strings_are_escaped),
        UNIT(doubles_are_written_as_people_write_them),
        UNIT(any_double_reads_back_the_same_and_short),
        UNIT(decimals_round_as_printf_and_drop_zeros),
        UNIT(decimals_agree_with_printf),
        UNIT(values_are_read_by_kind),
        UNIT(absent_values_are_harmless),
        UNIT(objects_are_walked_in_order),
        UNIT(bad_documents_are_refused_with_a_place),
        UNIT(deep_nesting_is_refused_not_crashed_on),
        UNIT(an_integer_beyond_64_bits_does_not_cost_the_document),
        UNIT(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
