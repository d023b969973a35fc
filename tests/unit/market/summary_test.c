/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/summary.h"

#include <math.h>

#define T0 ((int64_t)1780753800000)

static enum err price(struct summary *s, const char *provider, double value, int64_t now_ms)
{
    const struct summary_report r = {.field = FIELD_BTC_PRICE,
                                     .value = value,
                                     .as_of_ms = now_ms,
                                     .provider = provider,
                                     .method = "ticker_24h BTCUSDT"};
    return summary_apply(s, &r, now_ms);
}

static double price_of(const struct summary *s)
{
    return s->fields[FIELD_BTC_PRICE].value;
}

TEST(nothing_is_known_at_first_and_it_says_so)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    for (int f = 0; f < FIELD_COUNT; f++) {
        assert_false(s.fields[f].known);
        assert_string_equal(s.fields[f].reason, "not fetched yet");
        assert_true(summary_is_stale(&s, (enum summary_field)f, T0));
    }
    assert_false(summary_complete(&s));
    assert_int_equal(s.last_updated_ms, 0);
}

TEST(value_keeps_where_it_came_from)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    uint64_t version = s.version;
    assert_ok(price(&s, "binance", 61056.47, T0));
    assert_true(s.version > version);
    assert_true(price_of(&s) == 61056.47);
    assert_string_equal(s.fields[FIELD_BTC_PRICE].provider, "binance");
    assert_string_equal(s.fields[FIELD_BTC_PRICE].method, "ticker_24h BTCUSDT");
    assert_string_equal(s.fields[FIELD_BTC_PRICE].reason, "");
    assert_int_equal(s.last_updated_ms, T0);
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, T0));
}

TEST(what_cannot_be_is_refused_and_the_last_good_value_stays)
{
    static const double bad[] = {0, -1, NAN, INFINITY, -INFINITY, 1e13};
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_err(price(&s, "binance", bad[i], T0 + 1000), ERR_RANGE);
        assert_true(price_of(&s) == 60000);
        assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 1000));
    }
    assert_int_equal(s.rejected, ARRAY_LEN(bad));
    assert_ok(price(&s, "binance", 60001, T0 + 2000));
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 2000));
}

TEST(ranges_are_those_of_the_field)
{
    static const struct {
        enum summary_field field;
        double value;
        enum err expected;
    } cases[] = {
        {FIELD_BTC_CHANGE_24H, 0, OK},
        {FIELD_BTC_CHANGE_24H, -12.5, OK},
        {FIELD_BTC_CHANGE_24H, -100, ERR_RANGE},
        {FIELD_FEAR_GREED, 0, OK},
        {FIELD_FEAR_GREED, 100, OK},
        {FIELD_FEAR_GREED, 101, ERR_RANGE},
        {FIELD_FEAR_GREED, -1, ERR_RANGE},
        {FIELD_RSI_14, 0, OK},
        {FIELD_RSI_14, 100, OK},
        {FIELD_RSI_14, 100.1, ERR_RANGE},
        {FIELD_MARKET_CAP, 0, ERR_RANGE},
        {FIELD_VOLUME_24H, -3, ERR_RANGE},
        {FIELD_MARKET_CAP, 2.1e12, OK},
        {FIELD_VOLUME_24H, 9e10, OK},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct summary s;
        summary_init(&s, MODE_LIVE);
        const struct summary_report r = {
            .field = cases[i].field, .value = cases[i].value, .as_of_ms = T0, .provider = "x"};
        assert_err(summary_apply(&s, &r, T0), cases[i].expected);
    }
}

TEST(jump_within_a_minute_needs_a_second_source)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    assert_ok(price(&s, "binance", 89999, T0 + 1000)); /* just under 50 % */
    assert_ok(price(&s, "binance", 60000, T0 + 2000));
    assert_err(price(&s, "binance", 120000, T0 + 3000), ERR_RANGE);
    assert_err(price(&s, "binance", 121000, T0 + 13000),
               ERR_RANGE); /* itself is no second source */
    assert_err(price(&s, "coinbase", 150000, T0 + 14000), ERR_RANGE); /* does not agree */
    assert_true(price_of(&s) == 60000);
    assert_ok(price(&s, "kraken", 149000, T0 + 15000));
    assert_true(price_of(&s) == 149000);
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 15000));
}

TEST(jump_is_believed_when_its_source_insists_for_a_minute)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    assert_err(price(&s, "binance", 20000, T0 + 5000), ERR_RANGE);
    assert_err(price(&s, "binance", 20100, T0 + 55000), ERR_RANGE);
    /* Keep the last good value younger than a minute, so that only the suspect's age decides. */
    s.fields[FIELD_BTC_PRICE].received_ms = T0 + 50000;
    assert_ok(price(&s, "binance", 20050, T0 + 65000));
    assert_true(price_of(&s) == 20050);
}

TEST(good_value_clears_the_suspect)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    assert_err(price(&s, "binance", 120000, T0 + 1000), ERR_RANGE);
    assert_ok(price(&s, "coinbase", 60100, T0 + 2000));
    assert_err(price(&s, "kraken", 120000, T0 + 3000), ERR_RANGE);
    assert_true(price_of(&s) == 60100);
}

TEST(old_value_does_not_stand_in_the_way_of_a_new_one)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    assert_ok(price(&s, "binance", 120000, T0 + 60001));
}

TEST(fields_grow_stale_as_their_row_says)
{
    static const int64_t after_ms[FIELD_COUNT] = {60000,      60000,          30 * 60000,
                                                  30 * 60000, 26 * 3600000ll, 26 * 3600000ll};
    struct summary s;
    summary_init(&s, MODE_LIVE);
    for (int f = 0; f < FIELD_COUNT; f++) {
        const struct summary_report r = {
            .field = (enum summary_field)f, .value = 50, .as_of_ms = T0, .provider = "x"};
        assert_ok(summary_apply(&s, &r, T0));
        assert_int_equal(summary_stale_after_ms((enum summary_field)f), after_ms[f]);
        assert_false(summary_is_stale(&s, (enum summary_field)f, T0 + after_ms[f]));
        assert_true(summary_is_stale(&s, (enum summary_field)f, T0 + after_ms[f] + 1));
    }
    assert_true(summary_complete(&s));
}

TEST(provider_time_ahead_of_ours_does_not_keep_a_value_fresh)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    const struct summary_report r = {
        .field = FIELD_BTC_PRICE, .value = 1, .as_of_ms = T0 + 86400000, .provider = "x"};
    assert_ok(summary_apply(&s, &r, T0));
    assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 60001));
}

TEST(failure_keeps_the_value_and_marks_it_once)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    summary_fail(&s, FIELD_BTC_PRICE, "Binance: no complete answer within 10 s");
    uint64_t version = s.version;
    summary_fail(&s, FIELD_BTC_PRICE, "Binance: no complete answer within 10 s");
    assert_int_equal(s.version, version);
    assert_true(price_of(&s) == 60000);
    assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 1));
    assert_string_equal(s.fields[FIELD_BTC_PRICE].reason,
                        "Binance: no complete answer within 10 s");
    assert_ok(price(&s, "binance", 60000, T0 + 10));
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, T0 + 10));
}

TEST(change_of_mode_forgets_all_values)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_ok(price(&s, "binance", 60000, T0));
    uint64_t version = s.version;
    summary_set_mode(&s, MODE_DEMO);
    assert_false(s.fields[FIELD_BTC_PRICE].known);
    assert_true(s.version > version);
    assert_string_equal(market_mode_text(s.mode), "demo");
    assert_int_equal(s.last_updated_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first_and_it_says_so),
        cmocka_unit_test(value_keeps_where_it_came_from),
        cmocka_unit_test(what_cannot_be_is_refused_and_the_last_good_value_stays),
        cmocka_unit_test(ranges_are_those_of_the_field),
        cmocka_unit_test(jump_within_a_minute_needs_a_second_source),
        cmocka_unit_test(jump_is_believed_when_its_source_insists_for_a_minute),
        cmocka_unit_test(good_value_clears_the_suspect),
        cmocka_unit_test(old_value_does_not_stand_in_the_way_of_a_new_one),
        cmocka_unit_test(fields_grow_stale_as_their_row_says),
        cmocka_unit_test(provider_time_ahead_of_ours_does_not_keep_a_value_fresh),
        cmocka_unit_test(failure_keeps_the_value_and_marks_it_once),
        cmocka_unit_test(change_of_mode_forgets_all_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
