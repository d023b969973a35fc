/* The shapes of the contracts, written down by hand. SPDX-License-Identifier: MIT */
#include "api/messages.h"

#include "tests/lib/test.h"

#define NOW 1767225600123 /* 2026-01-01T00:00:00.123Z */

#define UNKNOWN(field)                                                                 \
    "\"" field "\":{\"provider\":null,\"as_of\":null,\"age_s\":null,\"reason\":\"not " \
    "fetched yet\"}"

static struct summary some(void)
{
    struct summary s;
    summary_init(&s, MODE_DEMO);
    struct summary_report price = {.field = FIELD_BTC_PRICE,
                                   .value = 67123.45,
                                   .as_of_ms = NOW - 1500,
                                   .provider = "binance",
                                   .method = "ticker_24h"};
    struct summary_report rsi = {.field = FIELD_RSI_14,
                                 .value = 55.5,
                                 .as_of_ms = NOW - 2000,
                                 .provider = "coingecko",
                                 .method = "computed",
                                 .closes = 90};
    assert_ok(summary_apply(&s, &price, NOW - 1000));
    assert_ok(summary_apply(&s, &rsi, NOW - 1000));
    summary_fail(&s, FIELD_RSI_14, "it said 429");
    return s;
}

#define SUMMARY                                                                                                     \
    "{\"btc_price\":67123.45,\"btc_change_24h\":null,\"market_cap\":null,\"volume_24h\":null,"                      \
    "\"fear_greed_index\":null,\"rsi_14\":55.5,\"last_updated\":\"2025-12-31T23:59:59.123Z\","                      \
    "\"mode\":\"demo\",\"stale\":[\"btc_change_24h\",\"market_cap\",\"volume_24h\","                                \
    "\"fear_greed_index\",\"rsi_14\"],\"sources\":{\"btc_price\":{\"provider\":\"binance\","                        \
    "\"as_of\":\"2025-12-31T23:59:58.623Z\",\"age_s\":1.5,\"method\":\"ticker_24h\"}," UNKNOWN(                     \
        "b"                                                                                                         \
        "t"                                                                                                         \
        "c"                                                                                                         \
        "_"                                                                                                         \
        "c"                                                                                                         \
        "h"                                                                                                         \
        "a"                                                                                                         \
        "n"                                                                                                         \
        "g"                                                                                                         \
        "e"                                                                                                         \
        "_"                                                                                                         \
        "2"                                                                                                         \
        "4"                                                                                                         \
        "h") "," UNKNOWN("market_cap") "," UNKNOWN("volume_24h") "," UNKNOWN("fear_greed_index") ",\"rsi_14\":{"    \
                                                                                                 "\"provider\":"    \
                                                                                                 "\"coingecko\","   \
                                                                                                 "\"as_of\":"       \
                                                                                                 "\"2025-12-31T23:" \
                                                                                                 "59:58.123Z\","    \
                                                                                                 "\"age_s\":2,"     \
                                                                                                 "\"method\":"      \
                                                                                                 "\"computed\","    \
                                                                                                 "\"closes\":90,"   \
                                                                                                 "\"reason\":\"it " \
                                                                                                 "said 429\"}}"

TEST(a_summary_says_every_number_its_source_and_what_is_stale)
{
    struct summary s = some();
    struct buf out = {0};
    message_summary(&out, &s, NOW, (struct str){0});
    assert_buf(&out, SUMMARY "}");
    buf_clear(&out);
    message_summary(&out, &s, NOW, STR(",\"refreshed\":true"));
    assert_buf(&out, SUMMARY ",\"refreshed\":true}");
    buf_fini(&out);
}

TEST(an_empty_summary_is_nulls_with_reasons)
{
    struct summary s;
    struct buf out = {0};
    summary_init(&s, MODE_LIVE);
    message_summary(&out, &s, NOW, (struct str){0});
    assert_buf(
        &out,
        "{\"btc_price\":null,\"btc_change_24h\":null,\"market_cap\":null,"
        "\"volume_24h\":null,\"fear_greed_index\":null,\"rsi_14\":null,"
        "\"last_updated\":null,\"mode\":\"live\",\"stale\":[\"btc_price\","
        "\"btc_change_24h\",\"market_cap\",\"volume_24h\",\"fear_greed_index\",\"rsi_14\"],"
        "\"sources\":{" UNKNOWN("btc_price") "," UNKNOWN("btc_change_24h") "," UNKNOWN(
            "market_cap") "," UNKNOWN("volume_24h") "," UNKNOWN("fear_greed_index") "," UNKNOWN("rs"
                                                                                                "i_"
                                                                                                "1"
                                                                                                "4") "}}");
    buf_fini(&out);
}

TEST(a_dashboard_update_wraps_the_summary)
{
    struct summary s = some();
    struct buf out = {0};
    message_dashboard(&out, &s, NOW, "scheduled_update", "e-7");
    assert_buf(&out, "{\"type\":\"dashboard_update\",\"data\":" SUMMARY
                     "},\"timestamp\":\"2026-01-01T00:00:00.123Z\",\"mode\":\"demo\","
                     "\"cursor\":\"e-7\",\"source\":\"scheduled_update\"}");
    buf_fini(&out);
}

TEST(a_price_update_has_the_two_numbers_of_the_price)
{
    struct summary s = some();
    struct buf out = {0};
    message_btc_price(&out, &s, NOW, "e-8");
    assert_buf(&out,
               "{\"type\":\"btc_price_update\",\"data\":{\"btc_price\":67123.45,"
               "\"btc_change_24h\":null,\"stale\":[\"btc_change_24h\"],\"sources\":{\"btc_price\":{"
               "\"provider\":\"binance\",\"as_of\":\"2025-12-31T23:59:58.623Z\",\"age_s\":1.5,"
               "\"method\":\"ticker_24h\"}," UNKNOWN(
                   "btc_change_24h") "}},"
                                     "\"timestamp\":\"2026-01-01T00:00:00.123Z\",\"mode\":\"demo\","
                                     "\"cursor\":\"e-8\"}");
    buf_fini(&out);
}

TEST(a_welcome_carries_the_summary_as_it_stands)
{
    struct buf out = {0};
    message_welcome(&out, STR("{\"x\":1}"), "live", NOW, "e-0");
    assert_buf(&out,
               "{\"type\":\"welcome\",\"data\":{\"x\":1},"
               "\"timestamp\":\"2026-01-01T00:00:00.123Z\",\"mode\":\"live\","
               "\"cursor\":\"e-0\",\"message\":\"Connected to real-time dashboard updates\"}");
    buf_fini(&out);
}

TEST(a_custom_message_keeps_its_data_byte_for_byte)
{
    struct buf out = {0};
    message_custom(&out, STR("app:a"), STR("{ \"n\" : 1.0 }"), NOW, "e-9");
    assert_buf(&out, "{\"type\":\"message\",\"channel\":\"app:a\",\"data\":{ \"n\" : 1.0 },"
                     "\"timestamp\":\"2026-01-01T00:00:00.123Z\",\"cursor\":\"e-9\"}");
    buf_fini(&out);
}

TEST(errors_and_problems)
{
    struct buf out = {0};
    message_error(&out,
                  &(struct error_text){.code = "rate_limited",
                                       .message = "Too many \"commands\".",
                                       .retry_after_s = 1,
                                       .id = STR("[1]")},
                  NOW);
    assert_buf(&out, "{\"type\":\"error\",\"error\":\"Too many \\\"commands\\\".\","
                     "\"code\":\"rate_limited\",\"timestamp\":\"2026-01-01T00:00:00.123Z\","
                     "\"retry_after\":1,\"id\":[1]}");
    buf_clear(&out);
    message_error(
        &out, &(struct error_text){.code = "bad_json", .message = "No.", .retry_after_s = -1}, NOW);
    assert_buf(&out, "{\"type\":\"error\",\"error\":\"No.\",\"code\":\"bad_json\","
                     "\"timestamp\":\"2026-01-01T00:00:00.123Z\",\"retry_after\":null}");
    buf_clear(&out);
    message_problem(&out, 422, "Unprocessable Content", "No.");
    assert_buf(&out, "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\","
                     "\"status\":422,\"detail\":\"No.\"}");
    buf_fini(&out);
}

TEST(the_etag_changes_with_content_not_with_age)
{
    struct summary s = some();
    char a[24];
    char b[24];
    message_summary_etag(&s, NOW, false, a);
    message_summary_etag(&s, NOW + 1000, false, b);
    assert_string_equal(a, b);
    message_summary_etag(&s, NOW, true, b);
    assert_string_not_equal(a, b);
    message_summary_etag(&s, NOW + 120000, false, b); /* the price is stale by then */
    assert_string_not_equal(a, b);
    s.fields[FIELD_BTC_PRICE].value += 0.01;
    message_summary_etag(&s, NOW, false, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_summary_says_every_number_its_source_and_what_is_stale),
        cmocka_unit_test(an_empty_summary_is_nulls_with_reasons),
        cmocka_unit_test(a_dashboard_update_wraps_the_summary),
        cmocka_unit_test(a_price_update_has_the_two_numbers_of_the_price),
        cmocka_unit_test(a_welcome_carries_the_summary_as_it_stands),
        cmocka_unit_test(a_custom_message_keeps_its_data_byte_for_byte),
        cmocka_unit_test(errors_and_problems),
        cmocka_unit_test(the_etag_changes_with_content_not_with_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
