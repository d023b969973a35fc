/* All provider parsers over recorded answers, over every cut of them, and over what providers say
 * when they are unwell. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "sources/read.h"

static struct reading reading;

static enum err parse(parse_fn fn, struct str body, struct buf *why)
{
    buf_clear(why);
    return fn(body, &reading, why);
}

struct recorded {
    const char *path;
    parse_fn parse;
    enum err expected;
    const char *why; /* a part of the sentence */
};

static const struct recorded recordings[] = {
    {"http/coingecko/global_20210518.json", coingecko_parse_global, OK, ""},
    {"http/coingecko/oas2026_global.json", coingecko_parse_global, OK, ""},
    {"http/coingecko/simple_price_btc_0.json", coingecko_parse_price, OK, ""},
    {"http/coingecko/simple_price_multi.json", coingecko_parse_price, OK, ""},
    {"http/coingecko/oas2026_simple_price.json", coingecko_parse_price, OK, ""},
    {"http/coingecko/simple_price_btc_1.json", coingecko_parse_price, ERR_UNAVAILABLE, "Missing"},
    {"http/coingecko/coins_markets_one_1.json", coingecko_parse_global, ERR_UNAVAILABLE, "issing"},
    {"http/coingecko/ohlc_7d_1.json", coingecko_parse_price, ERR_UNAVAILABLE, "Internal Server"},
    {"http/coingecko/error_429.json", coingecko_parse_price, ERR_LIMIT, "exceeded the Rate Limit"},
    {"http/coingecko/error_429.json", coingecko_parse_global, ERR_LIMIT, "exceeded the Rate Limit"},
    {"http/coingecko/market_chart_5min_0.json", coingecko_parse_global, ERR_NOT_FOUND, "neither"},
    {"http/coingecko/search_trending.json", coingecko_parse_price, ERR_NOT_FOUND, "no price"},
    {"http/coingecko/coins_markets_57_20220106.json", coingecko_parse_markets, OK, ""},
    {"http/coingecko/oas2026_coins_markets.json", coingecko_parse_markets, ERR_NOT_FOUND, "only 1"},
    {"http/coingecko/coins_markets_one_1.json", coingecko_parse_markets, ERR_UNAVAILABLE, "issing"},
    {"http/coingecko/error_429.json", coingecko_parse_markets, ERR_LIMIT, "exceeded the Rate"},
    {"http/coingecko/search_trending.json", coingecko_parse_trending, OK, ""},
    {"http/coingecko/oas2026_search_trending.json", coingecko_parse_trending, OK, ""},
    {"http/coingecko/oas2026_global.json", coingecko_parse_trending, ERR_NOT_FOUND, "no trending"},
    {"http/coingecko/error_429.json", coingecko_parse_trending, ERR_LIMIT, "exceeded the Rate"},
    {"http/alternative_me/fng_limit1.json", alternative_parse_fng, OK, ""},
    {"http/alternative_me/fng_limit30.json", alternative_parse_fng, OK, ""},
    {"http/alternative_me/fng_history_20210101_20260606.json", alternative_parse_fng, OK, ""},
    {"http/taapi/rsi_ok.json", taapi_parse_rsi, OK, ""},
    {"http/taapi/error_429.json", taapi_parse_rsi, ERR_LIMIT, "exceeded your request limit"},
    {"http/taapi/error_rate_limit_http200.json", taapi_parse_rsi, ERR_LIMIT, "exceeded your"},
    {"http/binance/ticker24_BTCUSDT.json", binance_parse_ticker, OK, ""},
    {"http/binance/ticker24_two.json", binance_parse_ticker, ERR_NOT_FOUND, "no price of BTCUSDT"},
    {"http/binance/error_400_symbol.json", binance_parse_ticker, ERR_NOT_FOUND, "Invalid symbol"},
    {"http/binance/error_418.json", binance_parse_ticker, ERR_LIMIT, "banned"},
    {"http/binance/error_429.json", binance_parse_klines, ERR_LIMIT, "Too much request weight"},
    {"http/binance/klines_BTCUSDT_1d_2019.json", binance_parse_klines, OK, ""},
    {"http/binance/klines_BTCUSDT_1d_last500.json.gz", binance_parse_klines, OK, ""},
    {"http/binance/klines_BTCUSDT_1m_20200506.json", binance_parse_klines, OK, ""},
    {"http/binance/trades.json", binance_parse_klines, ERR_SYNTAX, "candle 1"},
    {"http/coinbase/exchange_candles_BTC-USD_1d_202608.json", coinbase_parse_candles, OK, ""},
    {"http/coinbase/exchange_products_sample.json", coinbase_parse_candles, ERR_SYNTAX, "candle 1"},
    {"http/coinbase/exchange_ticker_BTC-USDT_20240313.json", coinbase_parse_stats, ERR_NOT_FOUND,
     "no price"},
    {"http/kraken/ticker.json", kraken_parse_ticker, OK, ""},
    {"http/kraken/ticker_all_assetVersion1_20260624T150146Z.json.gz", kraken_parse_ticker,
     ERR_NOT_FOUND, "no price of XBTUSD"},
    {"http/kraken/ohlc_1d_202608.json", kraken_parse_ohlc, OK, ""},
    {"http/kraken/ohlc.json.gz", kraken_parse_ohlc, OK, ""},
    {"http/kraken/server_time.json", kraken_parse_ticker, ERR_NOT_FOUND, "no price"},
    {"http/kraken/server_time.json", kraken_parse_ohlc, ERR_SYNTAX, "no list of candles"},
};

TEST(recorded_answers_are_judged_by_their_bodies)
{
    struct buf why = {0};
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        const struct recorded *r = &recordings[i];
        struct buf body = {0};
        test_case(r->path);
        fixture_read_plain(r->path, &body);
        assert_err(parse(r->parse, buf_str(&body), &why), r->expected);
        assert_contains(buf_str(&why), r->why);
        assert_true(r->expected == OK ? why.len == 0 : why.len > 10);
        buf_fini(&body);
    }
    test_case(NULL);
    buf_fini(&why);
}

TEST(half_an_answer_is_no_answer)
{
    struct buf why = {0};
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        const struct recorded *r = &recordings[i];
        struct buf body = {0};
        test_case(r->path);
        fixture_read_plain(r->path, &body);
        while (body.len > 0 && strchr(" \r\n", body.ptr[body.len - 1])) {
            body.len--;
        }
        size_t step = body.len / 150 + 1;
        for (size_t cut = 0; cut < body.len; cut += step) {
            char *exact = malloc(cut ? cut : 1);
            memcpy(exact, body.ptr, cut);
            enum err e = parse(r->parse, str_make(exact, cut), &why);
            /* A list can be refused for a row before its cut end is reached. */
            assert_true(e == ERR_SYNTAX || (e != OK && r->expected == e));
            assert_true(why.len > 0);
            free(exact);
        }
        buf_fini(&body);
    }
    test_case(NULL);
    buf_fini(&why);
}

static void parse_ok(parse_fn fn, const char *path)
{
    struct buf body = {0}, why = {0};
    fixture_read_plain(path, &body);
    assert_ok(fn(buf_str(&body), &reading, &why));
    buf_fini(&body);
    buf_fini(&why);
}

TEST(recorded_values_are_read_exactly)
{
    parse_ok(coingecko_parse_global, "http/coingecko/global_20210518.json");
    assert_true(reading.value[FIELD_MARKET_CAP] == 2142953338976.9612);
    assert_true(reading.value[FIELD_VOLUME_24H] > 1e11);
    assert_int_equal(reading.as_of_ms / 1000, 1621346159);
    assert_true(reading.outlook.market_cap_change_24h_pct == -0.9554088490358789);
    assert_true(reading.fields & OUTLOOK_BIT(OUTLOOK_MARKET_CAP));

    parse_ok(coingecko_parse_price, "http/coingecko/simple_price_btc_0.json");
    assert_true(reading.value[FIELD_BTC_PRICE] == 49253);
    assert_int_equal(reading.fields, FIELD_BIT(FIELD_BTC_PRICE)); /* no change in it: none given */
    assert_int_equal(reading.as_of_ms, 0);

    parse_ok(alternative_parse_fng, "http/alternative_me/fng_limit30.json");
    assert_true(reading.value[FIELD_FEAR_GREED] == 12); /* the newest, not the oldest */
    assert_int_equal(reading.as_of_ms / 1000, 1780704000);
    assert_int_equal(reading.next_in_ms, 36278000);

    parse_ok(taapi_parse_rsi, "http/taapi/rsi_ok.json");
    assert_true(reading.value[FIELD_RSI_14] == 65.73211579249397);

    parse_ok(binance_parse_ticker, "http/binance/ticker24_BTCUSDT.json");
    assert_true(reading.value[FIELD_BTC_PRICE] == 6705.82);
    assert_true(reading.value[FIELD_BTC_CHANGE_24H] == -2.427);
    assert_true(reading.as_of_ms == 1586991278494);

    parse_ok(kraken_parse_ticker, "http/kraken/ticker.json");
    assert_true(reading.value[FIELD_BTC_PRICE] == 105899.4);
    assert_int_equal(reading.fields, FIELD_BIT(FIELD_BTC_PRICE)); /* `o` is no price of 24 h ago */
}

TEST(computed_rsi_of_recorded_klines_is_the_golden_value)
{
    struct buf why = {0};
    int64_t now_ms = 0;
    double value = 0;
    parse_ok(binance_parse_klines, "http/binance/klines_BTCUSDT_1d_last500.json.gz");
    assert_int_equal(reading.candle_count, 500);
    assert_ok(clock_parse_rfc3339(STR("2026-06-06T13:55:22Z"), &now_ms));
    size_t closed = daily_closed_run(reading.candles, reading.candle_count, now_ms);
    assert_int_equal(closed, 499); /* the newest one is still open */
    assert_ok(daily_rsi14(reading.candles, closed, &value, &why));
    assert_near(value, 15.6208880512, 1e-6);
    buf_fini(&why);
}

TEST(candles_of_the_other_exchanges_have_their_own_cells)
{
    parse_ok(coinbase_parse_candles, "http/coinbase/exchange_candles_BTC-USD_1d_202608.json");
    assert_true(reading.candle_count > 2);
    assert_true(reading.candles[0].open_ms > reading.candles[1].open_ms); /* newest first */
    size_t coinbase = daily_closed_run(reading.candles, reading.candle_count, INT64_MAX);
    double coinbase_close = reading.candles[coinbase - 1].close;
    int64_t coinbase_day = reading.candles[coinbase - 1].open_ms;
    parse_ok(kraken_parse_ohlc, "http/kraken/ohlc_1d_202608.json");
    size_t kraken = daily_closed_run(reading.candles, reading.candle_count, INT64_MAX);
    assert_true(kraken > 2);
    /* Two exchanges' closes of one day are within 1 % of each other. */
    for (size_t i = 0; i < kraken; i++) {
        if (reading.candles[i].open_ms == coinbase_day) {
            assert_near(reading.candles[i].close, coinbase_close, coinbase_close / 100);
        }
    }
}

struct written {
    parse_fn parse;
    const char *body;
    enum err expected;
    const char *why;
};

TEST(providers_words_decide)
{
    static const struct written cases[] = {
        {kraken_parse_ticker, "{\"error\":[\"EAPI:Rate limit exceeded\"]}", ERR_LIMIT,
         "Rate limit"},
        {kraken_parse_ticker, "{\"error\":[\"EGeneral:Temporary lockout\"]}", ERR_LIMIT, "lockout"},
        {kraken_parse_ticker, "{\"error\":[\"EService:Unavailable\"]}", ERR_UNAVAILABLE,
         "EService"},
        {kraken_parse_ohlc, "{\"error\":[\"EQuery:Unknown asset pair\"]}", ERR_NOT_FOUND,
         "Unknown"},
        {kraken_parse_ticker,
         "{\"error\":[\"WGeneral:Old\"],\"result\":{\"X\":{\"c\":[\"5.5\",\"1\"]}}}", OK, ""},
        {kraken_parse_ticker, "{\"error\":[]}", ERR_NOT_FOUND, "no result"},
        {coinbase_parse_stats, "{\"message\":\"NotFound\"}", ERR_NOT_FOUND, "NotFound"},
        {coinbase_parse_candles, "{\"message\":\"Public rate limit exceeded\"}", ERR_LIMIT, "rate"},
        {coinbase_parse_stats, "{\"open\":\"50\",\"last\":\"51\"}", OK, ""},
        {binance_parse_ticker,
         "{\"code\":0,\"msg\":\"Service unavailable from a restricted location\"}", ERR_DENIED,
         "restricted location"},
        {binance_parse_ticker, "{\"symbol\":\"ETHUSDT\",\"lastPrice\":\"5\"}", ERR_NOT_FOUND,
         "no price"},
        {coingecko_parse_price,
         "{\"status\":{\"error_code\":10002,\"error_message\":\"API Key Missing\"}}", ERR_DENIED,
         "Key Missing"},
        {coingecko_parse_price,
         "{\"error\":{\"status\":{\"error_code\":429,\"error_message\":\"slow\"}}}", ERR_LIMIT,
         "slow"},
        {coingecko_parse_price, "{\"bitcoin\":{\"usd\":null}}", ERR_NOT_FOUND, "no price"},
        {coingecko_parse_price, "{}", ERR_NOT_FOUND, "no price"},
        {coingecko_parse_price, "[]", ERR_NOT_FOUND, "no price"},
        {coingecko_parse_global, "<html><body>502 Bad Gateway</body></html>", ERR_SYNTAX,
         "not JSON"},
        {alternative_parse_fng, "{\"data\":[{\"value\":\"101\"}]}", ERR_RANGE, "0 to 100"},
        {alternative_parse_fng, "{\"data\":[],\"metadata\":{\"error\":\"down\"}}", ERR_UNAVAILABLE,
         "down"},
        {taapi_parse_rsi, "{\"errors\":[\"No candles\",\"x\"]}", ERR_UNAVAILABLE, "No candles"},
        {taapi_parse_rsi, "{\"value\":140}", ERR_RANGE, "0 to 100"},
        {taapi_parse_rsi, "{\"value\":null}", ERR_NOT_FOUND, "no value"},
        {taapi_parse_rsi, "{\"value\":NaN}", ERR_SYNTAX, "not JSON"},
        {binance_parse_klines, "[[0,\"1\",\"0.5\",\"2\",\"1\",\"1\"]]", ERR_RANGE, "cannot be"},
        {binance_parse_klines, "[]", OK, ""},
    };
    struct buf why = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].body);
        assert_err(parse(cases[i].parse, str_of(cases[i].body), &why), cases[i].expected);
        assert_contains(buf_str(&why), cases[i].why);
    }
    test_case(NULL);
    buf_fini(&why);
}

TEST(foreign_words_cannot_break_out_of_a_sentence)
{
    struct buf why = {0}, body = {0};
    buf_printf(&body, "{\"error\":\"line\\nbreak\\u0000\\u001b[31m");
    for (int i = 0; i < 100; i++) {
        buf_printf(&body, "\\u20ac");
    }
    buf_printf(&body, "\"}");
    assert_err(taapi_parse_rsi(buf_str(&body), &reading, &why), ERR_UNAVAILABLE);
    for (size_t i = 0; i < why.len; i++) {
        assert_true((unsigned char)why.ptr[i] >= 0x20);
    }
    assert_true(why.len < 150);
    assert_true(str_is_utf8(buf_str(&why)));
    buf_fini(&why);
    buf_fini(&body);
}

TEST(more_candles_than_fit_are_refused)
{
    struct buf why = {0}, body = {0};
    buf_printf(&body, "[");
    for (int i = 0; i <= DAILY_MAX; i++) {
        buf_printf(&body, "%s[%d,1,1,1,1,1]", i ? "," : "", i);
    }
    buf_printf(&body, "]");
    assert_err(coinbase_parse_candles(buf_str(&body), &reading, &why), ERR_RANGE);
    assert_contains(buf_str(&why), "more than");
    buf_fini(&why);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers_are_judged_by_their_bodies),
        cmocka_unit_test(half_an_answer_is_no_answer),
        cmocka_unit_test(recorded_values_are_read_exactly),
        cmocka_unit_test(computed_rsi_of_recorded_klines_is_the_golden_value),
        cmocka_unit_test(candles_of_the_other_exchanges_have_their_own_cells),
        cmocka_unit_test(providers_words_decide),
        cmocka_unit_test(foreign_words_cannot_break_out_of_a_sentence),
        cmocka_unit_test(more_candles_than_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
