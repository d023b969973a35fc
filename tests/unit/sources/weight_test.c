/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/weight.h"

#define MINUTE 60000
#define NOW ((int64_t)1780704000000 + 20000) /* 20 s into a minute */

TEST(four_fifths_of_the_limit_end_the_minute)
{
    struct weight w = {.limit = 6000};
    assert_int_equal(weight_note(&w, STR("4799"), NOW), 0);
    assert_int_equal(weight_used(&w, NOW), 4799);
    assert_false(weight_is_full(&w, NOW));
    assert_int_equal(weight_note(&w, STR("4800"), NOW), 41000); /* and a second */
    assert_true(weight_is_full(&w, NOW + 39999));
    assert_false(weight_is_full(&w, NOW + 40000));
    assert_int_equal(weight_used(&w, NOW + 40000), 0);
    assert_int_equal(weight_wait_ms(&w, NOW), 41000);
    assert_int_equal(weight_wait_ms(&w, NOW + 40000), 1000);
    assert_int_equal(weight_wait_ms(&w, NOW + 41000), 0);
    assert_int_equal(weight_note(&w, STR("30"), NOW + MINUTE), 0);
    assert_int_equal(weight_wait_ms(&w, NOW + MINUTE), 0);
}

TEST(without_a_limit_or_a_number_nothing_waits)
{
    struct weight w = {0};
    assert_int_equal(weight_note(&w, STR("1000000"), NOW), 0);
    assert_int_equal(weight_used(&w, NOW), 1000000);
    w.limit = 6000; /* known only now */
    assert_int_equal(weight_wait_ms(&w, NOW), 41000);
    static const char *const odd[] = {"",           "-1", "5000x", "99999999999999999999",
                                      "5000000000", "4e3"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct weight fresh = {.limit = 6000};
        test_case(odd[i]);
        assert_int_equal(weight_note(&fresh, str_of(odd[i]), NOW), 0);
        assert_int_equal(fresh.at_ms, 0);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_fifths_of_the_limit_end_the_minute),
        cmocka_unit_test(without_a_limit_or_a_number_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
