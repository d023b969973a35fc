/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/market.h"

#include <math.h>

#define NOW ((int64_t)1723161240000)

static uint32_t say(struct market *m, const char *symbol, double change, double volume)
{
    struct tick t = {.kind = TICK_DAY,
                     .venue = MARKET_COINBASE,
                     .received_ms = NOW,
                     .price = {.mantissa = 100},
                     .change_24h_pct = change,
                     .volume_24h = NAN,
                     .quote_volume_24h = volume,
                     .high_24h = NAN,
                     .low_24h = NAN};
    assert_ok(market_add_symbol(m, str_of(symbol), &t.symbol));
    assert_ok(market_apply(m, &t, NOW));
    return t.symbol;
}

TEST(an_empty_market_knows_nothing)
{
    struct market_opts opts = {0};
    struct market *m = market_new(&opts);
    struct market_totals t;
    uint32_t id;
    assert_ok(market_add_symbol(m, STR("BTC"), &id));
    market_totals(m, &t);
    assert_int_equal(t.symbols, 1);
    assert_int_equal(t.known, 0);
    assert_true(isnan(t.volume_24h_usd));
    assert_int_equal(t.gainer_count + t.loser_count, 0);
    market_free(m);
}

TEST(dollar_coins_do_not_count_and_small_moves_are_none)
{
    struct market_opts opts = {0};
    struct market *m = market_new(&opts);
    struct market_totals t;
    say(m, "USDT", 5, 1e9);
    say(m, "USDC", -5, 1e9);
    uint32_t up = say(m, "AAA", 0.1, 10);
    uint32_t bit = say(m, "BBB", 0.09, 20);
    uint32_t down = say(m, "CCC", -0.1, NAN);
    say(m, "DDD", NAN, 5);
    market_totals(m, &t);
    assert_int_equal(t.symbols, 4);
    assert_int_equal(t.fresh, 4);
    assert_near(t.volume_24h_usd, 35, 1e-9);
    assert_int_equal(t.advancers, 1);
    assert_int_equal(t.decliners, 1);
    assert_int_equal(t.unchanged, 1);
    assert_int_equal(t.gainer_count, 2);
    assert_int_equal(t.gainers[0].symbol, up);
    assert_int_equal(t.gainers[1].symbol, bit);
    assert_int_equal(t.losers[0].symbol, down);
    market_age(m, NOW + 10001);
    market_totals(m, &t);
    assert_int_equal(t.known, 4);
    assert_int_equal(t.fresh, 0);
    assert_int_equal(t.advancers, 0);
    assert_true(isnan(t.volume_24h_usd));
    market_free(m);
}

TEST(the_ten_greatest_movers_stand_in_order)
{
    struct market_opts opts = {0};
    struct market *m = market_new(&opts);
    struct market_totals t;
    for (int i = 0; i < 25; i++) {
        char name[16];
        snprintf(name, sizeof(name), "S%d", i);
        say(m, name, (i * 7) % 25 - 12.0, NAN); /* -12 .. 12, each once */
    }
    market_totals(m, &t);
    assert_int_equal(t.gainer_count, MARKET_MOVERS);
    assert_int_equal(t.loser_count, MARKET_MOVERS);
    for (int i = 0; i < MARKET_MOVERS; i++) {
        assert_near(t.gainers[i].change_24h_pct, 12 - i, 0);
        assert_near(t.losers[i].change_24h_pct, -12 + i, 0);
        assert_near((t.gainers[i].symbol * 7) % 25 - 12.0, t.gainers[i].change_24h_pct, 0);
    }
    market_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_market_knows_nothing),
        cmocka_unit_test(dollar_coins_do_not_count_and_small_moves_are_none),
        cmocka_unit_test(the_ten_greatest_movers_stand_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
