/* What is said of live markets where something is unknown: null and why, and no number.
 * SPDX-License-Identifier: MIT */
#include "api/market_messages.h"

#include "tests/lib/test.h"

#include <math.h>

#define NOW ((int64_t)1767225600000) /* 2026-01-01T00:00:00Z */

static struct decimal dec(const char *digits)
{
    struct decimal d;
    assert_ok(decimal_read(str_of(digits), &d));
    return d;
}

/* The field of a row, as text. */
static void expect_field(const struct quote *q, int field, const char *expected)
{
    struct buf out = {0};
    size_t ends[PRICE_FIELDS];
    message_price_values(&out, ends, "BTC", q);
    size_t from = field ? ends[field - 1] : 0;
    test_case(price_fields[field]);
    assert_str(str_sub(buf_str(&out), from, ends[field] - from), expected);
    test_case(NULL);
    buf_fini(&out);
}

TEST(a_price_that_is_not_known_is_null_in_every_field)
{
    struct market *m = market_new(&(struct market_opts){0});
    uint32_t btc = 0;
    assert_ok(market_add_symbol(m, STR("BTC"), &btc));
    const struct quote *q = market_quote(m, btc);
    static const int nulls[] = {PRICE_PRICE,    PRICE_CHANGE_24H, PRICE_VOLUME_24H,
                                PRICE_HIGH_24H, PRICE_LOW_24H,    PRICE_BID,
                                PRICE_ASK,      PRICE_TIMESTAMP,  PRICE_SPREAD_PCT};
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++) {
        expect_field(q, nulls[i], "null");
    }
    expect_field(q, PRICE_STALE, "true");
    expect_field(q, PRICE_REASON, "\"no feed has said anything yet\"");
    expect_field(q, PRICE_FEEDS, "0");
    expect_field(q, PRICE_SOURCES, "[]");
    market_free(m);
}

TEST(a_stale_price_stands_with_its_time_and_no_feed_behind_it)
{
    struct market *m = market_new(&(struct market_opts){0});
    uint32_t btc = 0;
    assert_ok(market_add_symbol(m, STR("BTC"), &btc));
    struct tick t = {.kind = TICK_TRADE,
                     .venue = MARKET_KRAKEN,
                     .symbol = btc,
                     .exchange_ms = NOW,
                     .received_ms = NOW,
                     .price = dec("0.00001234"),
                     .quantity = dec("1")};
    assert_ok(market_apply(m, &t, NOW));
    const struct quote *q = market_quote(m, btc);
    expect_field(q, PRICE_FEEDS, "1");
    expect_field(q, PRICE_STALE, "false");
    expect_field(q, PRICE_REASON, "null");
    market_age(m, NOW + 10001);
    expect_field(q, PRICE_PRICE, "0.00001234");
    expect_field(q, PRICE_TIMESTAMP, "\"2026-01-01T00:00:00.000Z\"");
    expect_field(q, PRICE_FEEDS, "0");
    expect_field(q, PRICE_STALE, "true");
    expect_field(q, PRICE_REASON, "\"it has been silent for too long\"");
    expect_field(q, PRICE_SOURCES,
                 "[{\"feed\":\"kraken\",\"instrument\":\"BTC/USD\",\"quote\":\"USD\",\"fresh\":"
                 "false,\"used\":false}]");
    market_free(m);
}

/* Of a market in which nothing moved there is no ratio; where nothing is fresh it says so. */
TEST(a_ticker_of_nothing_says_why)
{
    struct market *m = market_new(&(struct market_opts){0});
    struct buf out = {0};
    uint32_t btc = 0;
    assert_ok(market_add_symbol(m, STR("BTC"), &btc));
    message_ticker(&out, m, NOW, "live");
    assert_contains(buf_str(&out), "\"volume_24h\":null");
    assert_contains(buf_str(&out), "\"unchanged\":0,\"value\":null");
    assert_contains(buf_str(&out), "\"reason\":\"no fresh price of any symbol\"");
    struct tick t = {.kind = TICK_DAY,
                     .venue = MARKET_KRAKEN,
                     .symbol = btc,
                     .exchange_ms = NOW,
                     .received_ms = NOW,
                     .price = dec("100"),
                     .volume_24h = NAN,
                     .quote_volume_24h = NAN,
                     .high_24h = NAN,
                     .low_24h = NAN};
    assert_ok(market_apply(m, &t, NOW));
    buf_clear(&out);
    message_ticker(&out, m, NOW, "live");
    assert_contains(buf_str(&out), "\"unchanged\":1,\"value\":null");
    assert_contains(buf_str(&out), "\"reason\":null");
    market_free(m);
    buf_fini(&out);
}

TEST(what_a_candle_does_not_know_is_null)
{
    struct buf out = {0};
    struct json_writer w;
    struct candle c = {.open_ms = NOW,
                       .open = dec("1.5"),
                       .high = dec("2"),
                       .low = dec("1"),
                       .close = dec("1.25"),
                       .volume = dec("0"),
                       .quote_volume = NAN,
                       .taker_buy = NAN,
                       .venue = MARKET_KRAKEN};
    json_begin(&w, &out);
    message_candle(&w, &c, MARKET_KRAKEN);
    assert_buf(&out, "{\"time\":\"2026-01-01T00:00:00.000Z\",\"open\":1.5,\"high\":2,\"low\":1,"
                     "\"close\":1.25,\"volume\":0,\"quote_volume\":null,\"taker_buy_volume\":null,"
                     "\"trades\":null,\"closed\":false,\"gap\":false,\"repaired\":false,"
                     "\"amended\":false,\"history\":false}");
    buf_clear(&out);
    c.trades = 3;
    c.flags = CANDLE_CLOSED | CANDLE_GAP | CANDLE_AMENDED;
    json_begin(&w, &out);
    message_candle(&w, &c, MARKET_BINANCE);
    assert_contains(buf_str(&out), "\"trades\":3,\"closed\":true,\"gap\":true,\"repaired\":false,"
                                   "\"amended\":true,\"history\":false,\"venue\":\"kraken\"}");
    buf_fini(&out);
}

TEST(a_signal_of_bad_data_has_no_score)
{
    struct buf out = {0};
    struct signal_state memory = {0};
    struct signal s;
    signal_of(&memory, NULL, 0, 3600000, NOW, &s);
    message_signal(&out, "BTC", &s, NOW, "live", false);
    assert_buf(&out, "{\"symbol\":\"BTC\",\"signal\":\"HOLD\",\"strength\":0,\"reason\":"
                     "\"insufficient data: 0 of 210 candles\",\"timestamp\":"
                     "\"2026-01-01T00:00:00.000Z\",\"mode\":\"live\",\"interval\":\"1h\","
                     "\"candle_time\":null,\"candles\":0,\"score\":null,\"components\":null,"
                     "\"data_quality\":\"insufficient\",\"repeat\":false}");
    /* In answers the time is the candle's, of which there is none. */
    buf_clear(&out);
    message_signal(&out, "BTC", &s, s.candle_ms, "live", true);
    assert_contains(buf_str(&out), "\"timestamp\":null");
    buf_fini(&out);
}

TEST(a_sentiment_of_nothing_says_what_is_missing)
{
    struct buf out = {0};
    struct sentiment s;
    const struct sentiment_inputs in = {.market_cap_change_24h_pct = NAN,
                                        .btc_close = NAN,
                                        .btc_sma30 = NAN,
                                        .btc_sma90 = NAN,
                                        .btc_vol7 = NAN,
                                        .btc_vol90 = NAN};
    sentiment_make(&in, NOW, &s);
    message_sentiment(&out, &s, NOW, "live");
    assert_contains(buf_str(&out), "{\"overall_sentiment\":null,\"market_fear_greed\":null,"
                                   "\"market_mood\":null,\"confidence\":null,"
                                   "\"trending_topics\":[]");
    assert_contains(buf_str(&out), "\"score\":null,\"fear_greed_label\":null,"
                                   "\"fear_greed_as_of\":null,\"fear_greed_estimated\":null");
    assert_contains(buf_str(&out), "\"missing\":[\"fear_greed\",\"breadth\",\"momentum\","
                                   "\"market_cap\",\"volatility\"],\"reason\":"
                                   "\"none of its parts is known and young enough\"}");
    assert_contains(buf_str(&out), "{\"value\":null,\"weight\":0.35,\"source\":null,\"as_of\":null,"
                                   "\"age_s\":null,\"reason\":\"not known yet\"}");
    buf_fini(&out);
}

TEST(every_indicator_without_a_value_has_its_reason)
{
    struct buf out = {0};
    struct json_writer w;
    struct figures f;
    figures_of(NULL, 0, &f);
    json_begin(&w, &out);
    json_object(&w);
    message_figures(&w, &f);
    json_object_end(&w);
    assert_contains(buf_str(&out), "{\"candles\":0,\"first_time\":null,\"last_time\":null,");
    for (int i = 0; i < FIGURES; i++) {
        char text[80];
        const char *name = figure_text((enum figure_name)i);
        test_case(name);
        snprintf(text, sizeof(text), "\"%s\":null", name);
        assert_contains(buf_str(&out), text);
        snprintf(text, sizeof(text), "\"%s\":\"too few closes\"", name);
        assert_contains(buf_str(&out), text);
    }
    test_case(NULL);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_that_is_not_known_is_null_in_every_field),
        cmocka_unit_test(a_stale_price_stands_with_its_time_and_no_feed_behind_it),
        cmocka_unit_test(a_ticker_of_nothing_says_why),
        cmocka_unit_test(what_a_candle_does_not_know_is_null),
        cmocka_unit_test(a_signal_of_bad_data_has_no_score),
        cmocka_unit_test(a_sentiment_of_nothing_says_what_is_missing),
        cmocka_unit_test(every_indicator_without_a_value_has_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
