/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/signal.h"
#include "tools/backtest.h"
#include "tools/backtest_text.h"

#include <math.h>

#define DAY_MS ((int64_t)86400000)
#define START_MS ((int64_t)1704067200000) /* 2024-01-01T00:00:00Z */
#define COUNT 600

static struct bar bars[COUNT];

static struct series series_of(size_t count)
{
    return (struct series){.bars = bars, .count = count, .interval_ms = DAY_MS};
}

static const struct backtest_opts usual = {.fee = 0.001, .seed = 7, .resamples = 200, .block = 20};

static void fill_walk(uint64_t seed, double drift)
{
    double close = 100;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double ret = ((double)(seed >> 40) / (1 << 24) - 0.5) * 0.06 + drift;
        double open = close * (1 + ret / 10);
        close *= 1 + ret;
        bars[i] = (struct bar){.open_ms = START_MS + (int64_t)i * DAY_MS,
                               .open = open,
                               .high = fmax(open, close),
                               .low = fmin(open, close),
                               .close = close,
                               .volume = 1 + (double)(seed >> 20 & 1023)};
    }
}

TEST(a_steady_rise_is_one_trade_from_open_to_last_close)
{
    double close = 100;
    for (size_t i = 0; i < COUNT; i++) {
        bars[i] = (struct bar){
            START_MS + (int64_t)i * DAY_MS, close, close * 1.0025, close, close * 1.0025, 5};
        close = bars[i].close;
    }
    struct series s = series_of(COUNT);
    struct backtest b;
    assert_ok(backtest_run(&s, &usual, &b));
    assert_int_equal(b.candles, COUNT - SIGNAL_BARS);
    assert_int_equal(b.first_ms, bars[SIGNAL_BARS].open_ms);
    assert_int_equal(b.buy, COUNT - SIGNAL_BARS);
    assert_int_equal(b.trades, 1);
    assert_int_equal(b.wins, 1);
    double expected = bars[COUNT - 1].close / bars[SIGNAL_BARS].open * 0.999 * 0.999 - 1;
    assert_near(b.strategy.total, expected, 1e-12);
    assert_near(b.hold.total, expected, 1e-12);
    assert_near(b.excess.value, 0, 1e-12);
    assert_near(b.exposure, 1, 1e-12);
    assert_near(b.strategy.max_drawdown, -0.001, 1e-3);
}

/* The figures by another way: trades from a list of signals, without factors and paths. */
TEST(a_walk_brings_what_its_trades_bring)
{
    struct series s = series_of(COUNT);
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct backtest b;
        struct signal_state memory = {0};
        double money = 1, coins = 0, spent = 0;
        size_t trades = 0, wins = 0, inside = 0;
        fill_walk(seed, 0);
        for (size_t t = SIGNAL_BARS; t < COUNT; t++) {
            struct signal now;
            signal_of(&memory, bars, t, DAY_MS, bars[t].open_ms, &now);
            bool wanted = now.side == SIGNAL_BUY, last = t + 1 == COUNT;
            if (wanted && coins == 0) {
                spent = money;
                coins = money * 0.999 / bars[t].open;
                money = 0;
            } else if (!wanted && coins > 0) {
                money = coins * bars[t].open * 0.999;
                coins = 0;
                trades++;
                wins += money > spent;
            }
            inside += coins > 0;
            if (last && coins > 0) {
                money = coins * bars[t].close * 0.999;
                trades++;
                wins += money > spent;
            }
        }
        assert_ok(backtest_run(&s, &usual, &b));
        assert_near(b.strategy.total, money - 1, 1e-9);
        assert_int_equal(b.trades, trades);
        assert_int_equal(b.wins, wins);
        assert_true(trades > 2);
        assert_near(b.exposure, (double)inside / (COUNT - SIGNAL_BARS), 1e-12);
        assert_near(b.hold.total,
                    bars[COUNT - 1].close / bars[SIGNAL_BARS].open * 0.999 * 0.999 - 1, 1e-9);
        double all = 1, all_hold = 1;
        size_t entered = 0;
        for (size_t i = 0; i < b.year_count; i++) {
            all *= 1 + b.years[i].strategy;
            all_hold *= 1 + b.years[i].hold;
            entered += b.years[i].trades;
        }
        assert_near(all - 1, b.strategy.total, 1e-9);
        assert_near(all_hold - 1, b.hold.total, 1e-9);
        assert_int_equal(entered, trades);
    }
}

TEST(the_future_does_not_change_the_past)
{
    /* The last candle is what it is only at its end: whatever it becomes, what was done until its
     * open stays, so that only its own factor differs. */
    struct series s = series_of(COUNT);
    struct backtest a, b;
    fill_walk(3, 0);
    assert_ok(backtest_run(&s, &usual, &a));
    for (size_t i = COUNT - 30; i < COUNT; i++) {
        bars[i].high *= 3;
        bars[i].close = bars[i].high;
    }
    assert_ok(backtest_run(&s, &usual, &b));
    assert_true(a.strategy.total != b.strategy.total);
    assert_int_equal(a.years[0].year, 2024);
    assert_true(a.years[0].strategy == b.years[0].strategy);
    assert_true(a.years[0].exposure == b.years[0].exposure);
    assert_int_equal(a.years[0].trades, b.years[0].trades);
}

TEST(fees_cost_and_the_same_seed_gives_the_same_intervals)
{
    struct series s = series_of(COUNT);
    struct backtest_opts free_of = usual;
    struct backtest a, b, again;
    free_of.fee = 0;
    fill_walk(2, 0);
    assert_ok(backtest_run(&s, &usual, &a));
    assert_ok(backtest_run(&s, &usual, &again));
    assert_ok(backtest_run(&s, &free_of, &b));
    assert_near((1 + a.strategy.total) / (1 + b.strategy.total), pow(0.999, 2 * (double)a.trades),
                1e-9);
    assert_memory_equal(&a.excess, &again.excess, sizeof(a.excess));
    assert_true(a.excess.low < a.excess.value && a.excess.value < a.excess.high);
    assert_true(a.strategy.per_year.low < a.strategy.per_year.high);
}

TEST(a_hole_makes_decisions_unfit)
{
    struct series s = series_of(COUNT);
    struct backtest b;
    fill_walk(2, 0);
    for (size_t i = 400; i < COUNT; i++) {
        bars[i].open_ms += 3 * DAY_MS;
    }
    assert_ok(backtest_run(&s, &usual, &b));
    /* asked up to candle 400 .. 428 */
    assert_int_equal(b.unfit, 29);
    assert_int_equal(b.buy + b.sell + b.held + b.unfit, b.candles);
}

TEST(too_short_a_series_has_no_figures)
{
    struct series s = series_of(SIGNAL_BARS + 1);
    struct backtest b;
    fill_walk(2, 0);
    assert_err(backtest_run(&s, &usual, &b), ERR_MORE);
    s.count++;
    assert_ok(backtest_run(&s, &usual, &b));
    s.interval_ms = 0;
    assert_err(backtest_run(&s, &usual, &b), ERR_RANGE);
}

TEST(wilson_by_hand)
{
    struct backtest_range r = backtest_wilson(0, 0);
    assert_true(isnan(r.value) && isnan(r.low) && isnan(r.high));
    r = backtest_wilson(0, 10);
    assert_near(r.low, 0, 1e-15);
    assert_near(r.high, 0.27753, 1e-5);
    r = backtest_wilson(5, 10);
    assert_near(r.value, 0.5, 1e-15);
    assert_near(r.low, 0.236593, 1e-6);
    assert_near(r.high, 0.763407, 1e-6);
}

TEST(without_trades_the_hit_rate_is_unknown)
{
    struct series s = series_of(COUNT);
    struct backtest b;
    struct buf text = {0}, json = {0};
    struct json_writer w;
    for (size_t i = 0; i < COUNT; i++) {
        bars[i] = (struct bar){START_MS + (int64_t)i * DAY_MS, 10, 10, 10, 10, 5};
    }
    assert_ok(backtest_run(&s, &usual, &b));
    backtest_table(&text, STR("FLAT"), &s, &b);
    assert_contains(buf_str(&text), "FLAT 1d, 2024-07-29 to 2025-08-22, 390 candles");
    assert_contains(buf_str(&text), "0, 0 gained: hit rate unknown");
    json_begin(&w, &json);
    backtest_json(&w, STR("FLAT"), &s, &b);
    assert_contains(buf_str(&json),
                    "\"hit_rate\":{\"value\":null,\"low_95\":null,\"high_95\":null}");
    assert_contains(buf_str(&json), "\"sharpe\":null");
    buf_fini(&text);
    buf_fini(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_rise_is_one_trade_from_open_to_last_close),
        cmocka_unit_test(a_walk_brings_what_its_trades_bring),
        cmocka_unit_test(the_future_does_not_change_the_past),
        cmocka_unit_test(fees_cost_and_the_same_seed_gives_the_same_intervals),
        cmocka_unit_test(a_hole_makes_decisions_unfit),
        cmocka_unit_test(too_short_a_series_has_no_figures),
        cmocka_unit_test(wilson_by_hand),
        cmocka_unit_test(without_trades_the_hit_rate_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
