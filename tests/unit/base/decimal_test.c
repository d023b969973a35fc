/* SPDX-License-Identifier: MIT */
#include "base/decimal.h"
#include "tests/lib/test.h"

static const char *roundtrip(const char *text)
{
    static char out[DECIMAL_TEXT_LEN + 1];
    struct decimal d;
    if (decimal_read(str_of(text), &d) != OK) {
        return "error";
    }
    decimal_text(d, out);
    return out;
}

TEST(reads_and_writes_the_same_digits)
{
    static const char *const rows[][2] = {
        {"61837.63000000", "61837.63"},
        {"61824.00", "61824"},
        {"0", "0"},
        {"0.000", "0"},
        {"-0.10", "-0.1"},
        {"1e-7", "0.0000001"},
        {"1.5E+3", "1500"},
        {"6.1e-06", "0.0000061"},
        {"123456789.12345678", "123456789.12345678"},
        {"999999999999999999", "999999999999999999"},
        {"0.123456789012345678", "0.123456789012345678"},
        {"0.1234567890123456785", "0.123456789012345678"},
        {"0.1234567890123456795", "0.12345678901234568"},
        {"12345678901234567.89", "12345678901234567.9"},
        {"0.0000000000000000001", "0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(roundtrip(rows[i][0]), rows[i][1]);
    }
}

TEST(refuses_what_is_no_number)
{
    static const char *const rows[] = {"",   "-",  ".5", "5.",  "01",  "1e",    "1e+", "abc",
                                       "1 ", " 1", "+1", "0x1", "nan", "1.2.3", "1e5x"};
    struct decimal d;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(decimal_read(str_of(rows[i]), &d), ERR_SYNTAX);
    }
    assert_int_equal(decimal_read(STR("1234567890123456789"), &d), ERR_RANGE);
    assert_int_equal(decimal_read(STR("1e18"), &d), ERR_RANGE);
    assert_int_equal(decimal_read(STR("1e99999999"), &d), ERR_RANGE);
}

static struct decimal of(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_read(str_of(text), &d), OK);
    return d;
}

TEST(compares_and_adds_exactly)
{
    char text[DECIMAL_TEXT_LEN + 1];
    assert_true(decimal_cmp(of("0.1"), of("0.10")) == 0);
    assert_true(decimal_cmp(of("999999999999999999"), of("0.999999999999999999")) > 0);
    assert_true(decimal_cmp(of("-1"), of("0.5")) < 0);
    struct decimal sum = {0};
    for (int i = 0; i < 1000; i++) {
        sum = decimal_add(sum, of("0.00001"));
    }
    decimal_text(sum, text);
    assert_string_equal(text, "0.01");
    decimal_text(decimal_sub(of("1"), of("0.999999999999999999")), text);
    assert_string_equal(text, "0.000000000000000001");
    decimal_text(decimal_add(of("999999999999999999"), of("0.5")), text);
    assert_string_equal(text, "999999999999999999");
}

TEST(doubles_are_the_nearest)
{
    assert_true(decimal_double(of("61837.63")) == 61837.63);
    assert_true(decimal_double(of("0.0000061")) == 0.0000061);
    assert_true(decimal_cmp(decimal_of(61837.625, 2), of("61837.62")) == 0);
    assert_true(decimal_is_zero(decimal_of(1e300, 2)));
    assert_true(decimal_cmp(decimal_of(0.1 + 0.2, 8), of("0.3")) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_the_same_digits),
        cmocka_unit_test(refuses_what_is_no_number),
        cmocka_unit_test(compares_and_adds_exactly),
        cmocka_unit_test(doubles_are_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
