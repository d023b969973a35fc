/* SPDX-License-Identifier: MIT */
#include "market/figures.h"

#include "quant/average.h"
#include "tests/lib/test.h"

#include <math.h>

enum { MANY = 260 };

static void make(struct candle *rows, size_t count, double step)
{
    for (size_t i = 0; i < count; i++) {
        double close = 100 + step * (double)(i % 7) + step * (double)i;
        rows[i] = (struct candle){.open_ms = (int64_t)i * 3600000,
                                  .open = decimal_of(close, 4),
                                  .high = decimal_of(close + step, 4),
                                  .low = decimal_of(close - step, 4),
                                  .close = decimal_of(close, 4),
                                  .volume = decimal_of(2, 0),
                                  .flags = CANDLE_CLOSED};
    }
}

TEST(every_figure_is_there_when_the_series_is_long)
{
    struct candle rows[MANY];
    double closes[MANY];
    struct figures f;
    double sma = 0;
    make(rows, MANY, 0.5);
    figures_of(rows, MANY, &f);
    assert_int_equal(f.candles, MANY);
    assert_true(f.last_ms == (MANY - 1) * (int64_t)3600000);
    for (int i = 0; i < FIGURES; i++) {
        test_case(figure_text((enum figure_name)i));
        assert_string_equal(f.all[i].reason, "");
        assert_true(isfinite(f.all[i].value));
    }
    test_case(NULL);
    for (size_t i = 0; i < MANY; i++) {
        closes[i] = decimal_double(rows[i].close);
    }
    assert_int_equal(sma_of(closes, MANY, 20, &sma), INDICATOR_OK);
    assert_near(f.all[FIGURE_SMA_20].value, sma, 0);
    assert_int_equal(sma_of(closes, MANY, 200, &sma), INDICATOR_OK);
    assert_near(f.all[FIGURE_SMA_200].value, sma, 0);
    double vwap = 0; /* equal volumes: the mean of the last 24 candles' middles */
    for (size_t i = MANY - 24; i < MANY; i++) {
        vwap += (decimal_double(rows[i].high) + decimal_double(rows[i].low) + closes[i]) / 3 / 24;
    }
    assert_near(f.all[FIGURE_VWAP_24].value, vwap, 1e-9);
    assert_near(f.all[FIGURE_BOLLINGER_MIDDLE].value, f.all[FIGURE_SMA_20].value, 1e-9);
    assert_near(f.all[FIGURE_MACD_HISTOGRAM].value,
                f.all[FIGURE_MACD].value - f.all[FIGURE_MACD_SIGNAL].value, 1e-9);
}

TEST(what_cannot_be_said_has_its_reason)
{
    struct candle rows[MANY];
    struct figures f;
    figures_of(NULL, 0, &f);
    assert_int_equal(f.candles, 0);
    for (int i = 0; i < FIGURES; i++) {
        test_case(figure_text((enum figure_name)i));
        assert_true(isnan(f.all[i].value));
        assert_true(f.all[i].reason[0]);
    }
    test_case(NULL);
    make(rows, MANY, 0);
    figures_of(rows, MANY, &f);
    assert_string_equal(f.all[FIGURE_RSI_14].reason, "no movement");
    assert_near(f.all[FIGURE_SMA_20].value, 100, 0);
}

TEST(open_candles_do_not_count_and_broken_ones_end_the_history)
{
    struct candle rows[MANY];
    struct figures f;
    make(rows, MANY, 0.5);
    rows[MANY - 1].flags = 0;
    rows[MANY - 31].close = (struct decimal){0};
    figures_of(rows, MANY, &f);
    assert_int_equal(f.candles, 29);
    assert_true(f.first_ms == (MANY - 30) * (int64_t)3600000);
    assert_true(isnan(f.all[FIGURE_SMA_50].value));
    assert_true(isfinite(f.all[FIGURE_SMA_20].value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_is_there_when_the_series_is_long),
        cmocka_unit_test(what_cannot_be_said_has_its_reason),
        cmocka_unit_test(open_candles_do_not_count_and_broken_ones_end_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
