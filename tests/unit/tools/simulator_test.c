/* SPDX-License-Identifier: MIT */
#include "tools/simulator.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

/* 2026-11-21T12:34:56.789Z */
#define NOW INT64_C(1795264496789)

static void same_seed_gives_the_same_market_in_any_order(void **state)
{
    (void)state;
    struct simulator *a = simulator_new(7), *b = simulator_new(7), *c = simulator_new(8);
    double first = simulator_price(a, 0, NOW);
    for (size_t i = 0; i < sim_symbol_count(); i++) {
        (void)simulator_price(b, i, NOW - 700 * SIM_DAY_MS);
    }
    assert_true(first == simulator_price(b, 0, NOW));
    assert_true(first != simulator_price(c, 0, NOW));
    struct sim_candle x, y;
    assert_true(
        simulator_candle(a, 1, NOW / SIM_DAY_MS * SIM_DAY_MS - 3 * SIM_DAY_MS, NOW, NOW, &x));
    (void)simulator_last_day(b, 1, NOW, &y);
    assert_true(
        simulator_candle(b, 1, NOW / SIM_DAY_MS * SIM_DAY_MS - 3 * SIM_DAY_MS, NOW, NOW, &y));
    assert_memory_equal(&x, &y, sizeof(x));
    simulator_free(a);
    simulator_free(b);
    simulator_free(c);
}

static void price_moves_within_a_minute(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(1);
    int changes = 0;
    double before = simulator_price(s, 0, NOW);
    for (int64_t t = NOW; t < NOW + 60000; t += 500) {
        double price = simulator_price(s, 0, t);
        changes += price != before;
        before = price;
    }
    assert_true(changes > 60);
    simulator_free(s);
}

static void every_symbol_stays_of_its_order_for_years(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(3);
    for (size_t i = 0; i < sim_symbol_count(); i++) {
        double base = sim_symbol_at(i)->base_usd;
        for (int64_t t = NOW - 500 * SIM_DAY_MS; t < NOW + 500 * SIM_DAY_MS; t += 9 * SIM_DAY_MS) {
            double price = simulator_price(s, i, t);
            assert_true(price > base / 40 && price < base * 40);
            if (sim_symbol_at(i)->beta == 0) {
                assert_true(fabs(price - 1) < 0.02);
            }
        }
    }
    simulator_free(s);
}

static void candles_of_all_intervals_agree(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(5);
    int64_t day = NOW / SIM_DAY_MS * SIM_DAY_MS - 2 * SIM_DAY_MS;
    struct sim_candle whole, sum = {0}, m;
    assert_true(simulator_candle(s, 4, day, day + SIM_DAY_MS, NOW, &whole));
    for (int64_t t = day; t < day + SIM_DAY_MS; t += SIM_MINUTE_MS) {
        assert_true(simulator_candle(s, 4, t, t + SIM_MINUTE_MS, NOW, &m));
        assert_true(m.high >= fmax(m.open, m.close) && m.low <= fmin(m.open, m.close));
        if (t == day) {
            sum = m;
            continue;
        }
        assert_true(m.open == sum.close);
        sum.high = fmax(sum.high, m.high);
        sum.low = fmin(sum.low, m.low);
        sum.close = m.close;
        sum.volume += m.volume;
        sum.trades += m.trades;
    }
    assert_true(whole.open == sum.open && whole.high == sum.high && whole.low == sum.low &&
                whole.close == sum.close && whole.trades == sum.trades);
    assert_true(fabs(whole.volume - sum.volume) < 1e-9 * whole.volume);
    simulator_free(s);
}

static void ticks_touch_exactly_the_candle_they_make(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(9);
    int64_t minute = NOW / SIM_MINUTE_MS * SIM_MINUTE_MS;
    double high = 0, low = 1e99;
    for (int64_t t = minute; t < minute + SIM_MINUTE_MS; t += 50) {
        double price = simulator_price(s, 0, t);
        high = fmax(high, price);
        low = fmin(low, price);
    }
    struct sim_candle m;
    assert_true(simulator_candle(s, 0, minute, minute + SIM_MINUTE_MS, minute + SIM_MINUTE_MS, &m));
    assert_true(m.high == high && m.low == low);
    assert_true(m.open == simulator_price(s, 0, minute));
    assert_true(m.close == simulator_price(s, 0, minute + SIM_MINUTE_MS));
    simulator_free(s);
}

static void the_open_candle_ends_in_the_present(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(11);
    int64_t day = NOW / SIM_DAY_MS * SIM_DAY_MS;
    struct sim_candle open, later, closed;
    assert_true(simulator_candle(s, 0, day, day + SIM_DAY_MS, NOW, &open));
    assert_true(open.close == simulator_price(s, 0, NOW));
    assert_true(simulator_candle(s, 0, day, day + SIM_DAY_MS, NOW + 3600000, &later));
    assert_true(later.volume > open.volume && later.high >= open.high && later.low <= open.low);
    assert_true(simulator_candle(s, 0, day - SIM_DAY_MS, day, NOW, &closed));
    assert_true(closed.close == open.open);
    assert_false(simulator_candle(s, 0, day + SIM_DAY_MS, day + 2 * SIM_DAY_MS, NOW, &closed));
    assert_false(simulator_candle(s, 0, SIM_FIRST_MS - SIM_DAY_MS, SIM_FIRST_MS, NOW, &closed));
    simulator_free(s);
}

/* Daily returns of two symbols over 400 days: correlation, and kurtosis of the first. */
static void symbols_are_correlated_with_quiet_and_wild_days(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(2);
    double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, x[400], m4 = 0;
    for (int i = 0; i < 400; i++) {
        int64_t t = NOW / SIM_DAY_MS * SIM_DAY_MS - i * SIM_DAY_MS;
        x[i] = log(simulator_price(s, 0, t) / simulator_price(s, 0, t - SIM_DAY_MS));
        double y = log(simulator_price(s, 1, t) / simulator_price(s, 1, t - SIM_DAY_MS));
        sx += x[i];
        sy += y;
        sxx += x[i] * x[i];
        syy += y * y;
        sxy += x[i] * y;
    }
    double cov = sxy - sx * sy / 400, vx = sxx - sx * sx / 400, vy = syy - sy * sy / 400;
    assert_true(cov / sqrt(vx * vy) > 0.7 && cov / sqrt(vx * vy) < 0.99);
    double deviation = sqrt(vx / 399);
    assert_true(deviation > 0.012 && deviation < 0.045);
    for (int i = 0; i < 400; i++) {
        m4 += pow((x[i] - sx / 400) / deviation, 4) / 400;
    }
    assert_true(m4 > 3.2);
    simulator_free(s);
}

static void mood_and_rsi_are_within_their_bounds(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(4);
    int low = 100, high = 0;
    for (int64_t t = SIM_FIRST_MS; t < NOW; t += SIM_DAY_MS) {
        int v = simulator_fear_greed(s, t);
        assert_in_range(v, 0, 100);
        assert_int_equal(v, simulator_fear_greed(s, t + SIM_DAY_MS - 1));
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    assert_true(low < 25 && high > 75);
    double rsi = -1, before = -1;
    assert_true(simulator_rsi(s, 0, SIM_DAY_MS, 14, 0, NOW, &rsi));
    assert_true(rsi > 5 && rsi < 95);
    assert_true(simulator_rsi(s, 0, SIM_DAY_MS, 14, 1, NOW, &before));
    assert_true(rsi != before);
    assert_false(simulator_rsi(s, 0, SIM_DAY_MS, 14, 0, SIM_FIRST_MS + 9 * SIM_DAY_MS, &rsi));
    simulator_free(s);
}

static void global_numbers_fit_the_parts(void **state)
{
    (void)state;
    struct simulator *s = simulator_new(6);
    struct sim_global g;
    simulator_global(s, NOW, &g);
    double btc = simulator_price(s, 0, NOW) * sim_symbol_at(0)->supply;
    assert_true(fabs(g.btc_share_pct - btc / g.market_cap_usd * 100) < 1e-9);
    assert_true(g.btc_share_pct > 20 && g.btc_share_pct < 85);
    assert_true(g.volume_usd > 1e9 && g.volume_usd < g.market_cap_usd);
    assert_true(fabs(g.market_cap_change_24h_pct) < 40);
    simulator_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_market_in_any_order),
        cmocka_unit_test(price_moves_within_a_minute),
        cmocka_unit_test(every_symbol_stays_of_its_order_for_years),
        cmocka_unit_test(candles_of_all_intervals_agree),
        cmocka_unit_test(ticks_touch_exactly_the_candle_they_make),
        cmocka_unit_test(the_open_candle_ends_in_the_present),
        cmocka_unit_test(symbols_are_correlated_with_quiet_and_wild_days),
        cmocka_unit_test(mood_and_rsi_are_within_their_bounds),
        cmocka_unit_test(global_numbers_fit_the_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
