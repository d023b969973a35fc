/* SPDX-License-Identifier: MIT */
#include "tools/histogram.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct histogram h;

static uint64_t quantile(double q)
{
    uint64_t value = 0;
    assert_true(histogram_quantile(&h, q, &value));
    return value;
}

static void nothing_counted_has_no_quantile(void **state)
{
    (void)state;
    uint64_t value = 7;
    histogram_clear(&h);
    assert_false(histogram_quantile(&h, 0.5, &value));
    assert_int_equal(value, 7);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    histogram_clear(&h);
    for (uint64_t v = 1; v <= 50; v++) {
        histogram_add(&h, v);
    }
    assert_int_equal(quantile(0.5), 25);
    assert_int_equal(quantile(0.99), 50);
    assert_int_equal(quantile(0.02), 1);
    assert_int_equal(quantile(1), 50);
}

static void large_values_are_within_two_percent(void **state)
{
    (void)state;
    for (uint64_t v = 64; v < (uint64_t)1 << 40; v += v / 3 + 1) {
        histogram_clear(&h);
        histogram_add(&h, v);
        histogram_add(&h, v * 4);
        uint64_t found = quantile(0.5);
        assert_true(found >= v && (double)found <= (double)v * 1.016);
        assert_int_equal(h.max, v * 4);
    }
}

static void values_beyond_the_range_count_as_the_largest(void **state)
{
    (void)state;
    histogram_clear(&h);
    histogram_add(&h, 5);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.count, 2);
    assert_int_equal(quantile(0.5), 5);
    assert_int_equal(h.max, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_counted_has_no_quantile),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(large_values_are_within_two_percent),
        cmocka_unit_test(values_beyond_the_range_count_as_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
