/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "quant/indicator.h"

#include <math.h>

#define CLOSES_MAX 4096

/* Closes of a daily file of the fixtures: time,open,high,low,close,volume. */
static size_t read_closes(const char *path, double *closes)
{
    struct buf text = {0};
    size_t count = 0;
    fixture_read(path, &text);
    struct str rest = buf_str(&text), line;
    assert_true(str_next(&rest, '\n', &line)); /* the head */
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        struct str cell = {0};
        for (int i = 0; i < 5; i++) {
            assert_true(str_next(&line, ',', &cell));
        }
        assert_true(count < CLOSES_MAX);
        assert_ok(str_to_double(cell, &closes[count++]));
    }
    buf_fini(&text);
    return count;
}

/* Golden values: R with TTR, confirmed by three other libraries (market page, C4). */
TEST(rsi_equals_the_golden_values)
{
    static const struct {
        const char *path;
        double expected;
    } cases[] = {
        {"ohlcv/daily/BTCUSDT.csv", 15.6208880512},
        {"ohlcv/daily/ETHUSDT.csv", 13.0537776737},
        {"ohlcv/daily/SOLUSDT.csv", 16.5362715452},
        {"ohlcv/daily/DOGEUSDT.csv", 19.2404362292},
    };
    static double closes[CLOSES_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double value = 0;
        test_case(cases[i].path);
        size_t count = read_closes(cases[i].path, closes);
        assert_int_equal(rsi_of(closes, count, 14, RSI_MIN_CLOSES, &value), INDICATOR_OK);
        assert_near(value, cases[i].expected, 1e-9);
    }
    test_case(NULL);
}

TEST(rsi_forgets_its_seed_as_measured)
{
    /* The warm-up table of the market page, C1: why nothing is shown on fewer than 100 closes. */
    static const struct {
        size_t closes;
        double expected, tolerance;
    } cases[] = {{15, 11.68, 0.005},
                 {30, 13.76, 0.005},
                 {60, 15.653, 0.0005},
                 {100, 15.635, 0.0005},
                 {150, 15.6209, 0.01}};
    static double closes[CLOSES_MAX];
    size_t count = read_closes("ohlcv/daily/BTCUSDT.csv", closes);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double value = 0;
        size_t n = cases[i].closes;
        assert_int_equal(rsi_of(closes + count - n, n, 14, 0, &value), INDICATOR_OK);
        assert_near(value, cases[i].expected, cases[i].tolerance);
    }
}

TEST(stream_gives_at_each_close_what_the_batch_gives)
{
    double closes[300];
    struct rsi r;
    uint64_t seed = 7;
    rsi_init(&r, 14);
    for (size_t i = 0; i < ARRAY_LEN(closes); i++) {
        double streamed = -1, batch = -1;
        seed = seed * 6364136223846793005u + 1;
        closes[i] = 100 + (double)(seed >> 40 & 1023) / 64;
        assert_ok(rsi_add(&r, closes[i]));
        enum indicator_gap gap = rsi_value(&r, 0, &streamed);
        assert_int_equal(gap, rsi_of(closes, i + 1, 14, 0, &batch));
        assert_int_equal(gap, i < 14 ? INDICATOR_TOO_FEW : INDICATOR_OK);
        assert_true(streamed == batch);
    }
}

TEST(first_value_is_the_simple_mean_of_the_first_differences)
{
    /* +3 -1 over a period of 2: gain 1.5, loss 0.5; then +2: (1.5+2)/2, 0.5/2. */
    const double closes[] = {10, 13, 12, 14};
    double value = 0;
    assert_int_equal(rsi_of(closes, 3, 2, 0, &value), INDICATOR_OK);
    assert_near(value, 75, 1e-12);
    assert_int_equal(rsi_of(closes, 4, 2, 0, &value), INDICATOR_OK);
    assert_near(value, 87.5, 1e-12);
}

TEST(no_movement_is_no_number)
{
    double closes[120], value = 42;
    for (size_t i = 0; i < ARRAY_LEN(closes); i++) {
        closes[i] = 61056.47;
    }
    assert_int_equal(rsi_of(closes, ARRAY_LEN(closes), 14, RSI_MIN_CLOSES, &value),
                     INDICATOR_NO_MOVEMENT);
    assert_true(value == 42);
}

TEST(only_gains_are_100_and_only_losses_0)
{
    double up[20], down[20], value = -1;
    for (size_t i = 0; i < ARRAY_LEN(up); i++) {
        up[i] = 10 + (double)i;
        down[i] = 100 - (double)i;
    }
    assert_int_equal(rsi_of(up, ARRAY_LEN(up), 14, 0, &value), INDICATOR_OK);
    assert_true(value == 100);
    assert_int_equal(rsi_of(down, ARRAY_LEN(down), 14, 0, &value), INDICATOR_OK);
    assert_true(value == 0);
}

TEST(what_is_no_price_is_refused_and_ends_the_history)
{
    struct rsi r;
    double value = -1;
    rsi_init(&r, 2);
    assert_err(rsi_add(&r, NAN), ERR_RANGE);
    assert_err(rsi_add(&r, INFINITY), ERR_RANGE);
    assert_err(rsi_add(&r, 0), ERR_RANGE);
    assert_err(rsi_add(&r, -5), ERR_RANGE);
    assert_int_equal(r.closes, 0);
    const double broken[] = {1, 2, 3, 4, NAN, 5, 6};
    assert_int_equal(rsi_of(broken, ARRAY_LEN(broken), 2, 0, &value), INDICATOR_TOO_FEW);
    assert_string_equal(indicator_gap_text(INDICATOR_TOO_FEW), "too few closes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsi_equals_the_golden_values),
        cmocka_unit_test(rsi_forgets_its_seed_as_measured),
        cmocka_unit_test(stream_gives_at_each_close_what_the_batch_gives),
        cmocka_unit_test(first_value_is_the_simple_mean_of_the_first_differences),
        cmocka_unit_test(no_movement_is_no_number),
        cmocka_unit_test(only_gains_are_100_and_only_losses_0),
        cmocka_unit_test(what_is_no_price_is_refused_and_ends_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
