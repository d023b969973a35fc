/* SPDX-License-Identifier: MIT */
#include "app/keep.h"

#include "base/clock.h"
#include "tests/lib/test.h"

#define AS_OF "2026-11-21T10:00:00.000Z"
#define KEPT(mode, price, provider, as_of)                                              \
    "{\"btc_price\":" price ",\"fear_greed_index\":50,\"rsi_14\":null,\"mode\":\"" mode \
    "\",\"sources\":{\"btc_price\":{\"provider\":" provider ",\"as_of\":\"" as_of       \
    "\",\"age_s\":3,\"method\":\"ticker_24h BTCUSDT\"}}}"

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_ok(clock_parse_rfc3339(str_of(text), &ms));
    return ms;
}

TEST(live_has_no_prefix_and_the_others_their_own)
{
    assert_int_equal(keep_prefix(MODE_LIVE).len, 0);
    assert_str(keep_prefix(MODE_DEMO), "coincast:demo:");
    assert_str(keep_prefix(MODE_REPLAY), "coincast:replay:");
}

TEST(a_kept_number_comes_back_with_its_true_age)
{
    struct summary s;
    int64_t now_ms = at(AS_OF) + 45000;
    summary_init(&s, MODE_LIVE);
    assert_int_equal(keep_restore(&s, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), now_ms),
                     1);
    const struct summary_value *v = &s.fields[FIELD_BTC_PRICE];
    assert_true(v->known);
    assert_near(v->value, 91234.56, 0);
    assert_int_equal(v->as_of_ms, at(AS_OF));
    assert_string_equal(v->provider, "binance");
    assert_string_equal(v->method, "ticker_24h BTCUSDT");
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, now_ms));
    assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, now_ms + 15001));
    /* a value without a source, and an unknown one, are not taken */
    assert_false(s.fields[FIELD_FEAR_GREED].known);
    assert_false(s.fields[FIELD_RSI_14].known);
}

TEST(a_computed_rsi_keeps_how_it_was_computed)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_int_equal(
        keep_restore(&s,
                     STR("{\"rsi_14\":56.5,\"mode\":\"live\",\"sources\":{\"rsi_14\":{\"provider\":"
                         "\"kraken\",\"as_of\":\"" AS_OF "\",\"method\":\"computed\",\"closes\":"
                         "300}}}"),
                     at(AS_OF) + 1),
        1);
    assert_string_equal(s.fields[FIELD_RSI_14].method, "computed");
    assert_int_equal(s.fields[FIELD_RSI_14].closes, 300);
}

TEST(what_is_known_already_is_newer_than_what_was_kept)
{
    struct summary s;
    int64_t now_ms = at(AS_OF) + 1000;
    summary_init(&s, MODE_LIVE);
    struct summary_report r = {
        .field = FIELD_BTC_PRICE, .value = 91000, .as_of_ms = now_ms, .provider = "kraken"};
    assert_ok(summary_apply(&s, &r, now_ms));
    assert_int_equal(keep_restore(&s, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), now_ms),
                     0);
    assert_near(s.fields[FIELD_BTC_PRICE].value, 91000, 0);
}

TEST(what_is_not_understood_or_not_ours_is_left_out)
{
    static const char *const cases[] = {
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        "{\"mode\":\"live\"}",
        "{\"mode\":7,\"btc_price\":1}",
        KEPT("demo", "91234.56", "\"binance\"", AS_OF), /* another mode */
        KEPT("live", "-1", "\"binance\"", AS_OF),       /* impossible */
        KEPT("live", "0", "\"binance\"", AS_OF),
        KEPT("live", "\"91234\"", "\"binance\"", AS_OF), /* another type */
        KEPT("live", "91234.56", "null", AS_OF),
        KEPT("live", "91234.56", "\"binance\"", "yesterday"),
        KEPT("live", "91234.56", "\"binance\"", "2026-11-21T10:00:01.001Z"), /* the future */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct summary s;
        test_case(cases[i]);
        summary_init(&s, MODE_LIVE);
        assert_int_equal(keep_restore(&s, str_of(cases[i]), at(AS_OF) + 1000), 0);
        for (int f = 0; f < FIELD_COUNT; f++) {
            assert_false(s.fields[f].known);
        }
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_has_no_prefix_and_the_others_their_own),
        cmocka_unit_test(a_kept_number_comes_back_with_its_true_age),
        cmocka_unit_test(a_computed_rsi_keeps_how_it_was_computed),
        cmocka_unit_test(what_is_known_already_is_newer_than_what_was_kept),
        cmocka_unit_test(what_is_not_understood_or_not_ours_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
