/* The readers of the exchanges' frames: the traps that are known of each venue, and what is no
 * frame. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/alloc.h"
#include "wire/exchange.h"

#define SEEN_MAX 2000

static struct {
    struct exchange_event e[SEEN_MAX];
    size_t count;
} seen;

static void keep(void *self, const struct exchange_event *e)
{
    (void)self;
    if (seen.count < SEEN_MAX) {
        seen.e[seen.count++] = *e;
    }
}

/* Reads an exact-size copy, so that a read beyond its end is found. The events' slices are of
 * `frame` only as long as the copy's bytes are; tests compare them at once. */
static enum err read_text(enum venue v, const char *frame, const char **why)
{
    static char *copy;
    size_t len = strlen(frame);
    mem_free(copy);
    copy = mem_alloc(len + !len);
    memcpy(copy, frame, len);
    seen.count = 0;
    *why = NULL;
    enum err e = exchange_read_frame(v, str_make(copy, len), keep, NULL, why);
    assert_true((e == OK) == (*why == NULL));
    return e;
}

static const struct exchange_event *one(enum venue v, const char *frame, enum exchange_kind kind)
{
    const char *why = NULL;
    test_case(frame);
    assert_ok(read_text(v, frame, &why));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.e[0].kind, kind);
    test_case(NULL);
    return &seen.e[0];
}

static void refused(enum venue v, const char *frame, enum err expected, const char *part)
{
    const char *why = NULL;
    test_case(frame);
    assert_err(read_text(v, frame, &why), expected);
    assert_contains(str_of(why), part);
    assert_int_equal(seen.count, 0);
    test_case(NULL);
}

static void number_is(struct decimal d, const char *text)
{
    char got[DECIMAL_TEXT_LEN + 1];
    decimal_text(d, got);
    assert_string_equal(got, text);
}

/* ---- Binance ---- */

TEST(binance_trade_with_the_buyer_as_maker_was_a_sale)
{
    static const char raw[] =
        "{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":3735683259,"
        "\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,"
        "\"m\":true,\"M\":true}";
    char text[512];
    const struct exchange_event *e = one(VENUE_BINANCE, raw, EX_TRADE);
    assert_str(e->instrument, "BTCUSDT");
    assert_int_equal(e->taker, SIDE_SELL);
    number_is(e->price, "61837.63");
    number_is(e->quantity, "0.02");
    assert_true(e->id == 3735683259 && e->first_id == e->id);
    assert_true(e->time_us == 1723161255342000 && e->sent_us == 1723161255343000);
    snprintf(text, sizeof(text), "{\"data\":%s,\"stream\":\"BTCUSDT@trade\"}", raw);
    e = one(VENUE_BINANCE, text, EX_TRADE);
    number_is(e->price, "61837.63");
    snprintf(text, sizeof(text), "{\"stream\":\"btcusdt@trade\",\"data\":%s}", raw);
    assert_true(one(VENUE_BINANCE, text, EX_TRADE)->id == 3735683259);
}

TEST(binance_takes_numbers_as_text_and_text_as_numbers_and_times_in_any_unit)
{
    const struct exchange_event *e = one(
        VENUE_BINANCE,
        "{\"e\":\"trade\",\"E\":\"1723161255343000\",\"s\":\"A\",\"t\":\"7\",\"p\":1.50,\"q\":2,"
        "\"T\":1723161255342123456,\"m\":false,\"new\":{\"e\":[1,{}]}}",
        EX_TRADE);
    assert_true(e->sent_us == 1723161255343000 && e->time_us == 1723161255342123);
    assert_true(e->id == 7 && e->taker == SIDE_BUY);
    number_is(e->price, "1.5");
}

TEST(binance_best_bid_and_ask_come_without_an_event_type)
{
    const struct exchange_event *e = one(VENUE_BINANCE,
                                         "{\"u\":400900217,\"s\":\"BNBUSDT\",\"b\":\"25.35190000\","
                                         "\"B\":\"31.21\",\"a\":\"25.36520000\",\"A\":\"40.66\"}",
                                         EX_BOOK);
    assert_str(e->instrument, "BNBUSDT");
    number_is(e->bid, "25.3519");
    number_is(e->ask, "25.3652");
    number_is(e->ask_quantity, "40.66");
    assert_true(e->has_book && e->time_us == 0);
}

TEST(binance_day_figures_come_with_or_without_a_percentage)
{
    const struct exchange_event *e = one(
        VENUE_BINANCE,
        "{\"e\":\"24hrTicker\",\"E\":1580254809477,\"s\":\"BNBBTC\",\"P\":\"4.720\",\"c\":\"9338\","
        "\"b\":\"9337\",\"a\":\"9339\",\"o\":\"8917\",\"h\":\"9373\",\"l\":\"8862\",\"v\":\"72\","
        "\"q\":\"654275\",\"C\":1580254809456}",
        EX_DAY);
    assert_near(e->change_24h_pct, 4.72, 0);
    assert_true(e->has_range && e->has_volume && e->has_quote_volume && e->has_book);
    assert_true(e->time_us == 1580254809456000);
    e = one(VENUE_BINANCE,
            "{\"e\":\"24hrMiniTicker\",\"E\":1749183266025,\"s\":\"B\",\"c\":\"90\",\"o\":\"100\"}",
            EX_DAY);
    assert_near(e->change_24h_pct, -10, 1e-9);
    assert_false(e->has_range || e->has_volume || e->has_book);
}

TEST(binance_aggregates_name_the_first_and_the_last_trade)
{
    const struct exchange_event *e =
        one(VENUE_BINANCE,
            "{\"e\":\"aggTrade\",\"E\":1592584651517,\"s\":\"BTCUSDT\",\"a\":3,\"p\":\"9319\","
            "\"q\":\"0.01\",\"f\":343675554,\"l\":343675556,\"T\":1592584651516,\"m\":true}",
            EX_TRADE);
    assert_true(e->first_id == 343675554 && e->id == 343675556);
}

TEST(binance_candle_says_whether_it_is_closed)
{
    const struct exchange_event *e =
        one(VENUE_BINANCE,
            "{\"e\":\"kline\",\"E\":1633998523963,\"s\":\"NKNUSDT\",\"k\":{\"t\":1633998480000,"
            "\"i\":\"1m\",\"o\":\"0.35\",\"c\":\"0.36\",\"h\":\"0.37\",\"l\":\"0.34\",\"v\":\"25\","
            "\"x\":true,\"q\":\"9\"}}",
            EX_CANDLE);
    assert_true(e->closed && e->open_ms == 1633998480000 && e->interval_ms == 60000);
    number_is(e->price, "0.36");
    number_is(e->high_24h, "0.37");
}

TEST(binance_answers_and_announcements)
{
    assert_true(one(VENUE_BINANCE, "{\"result\":null,\"id\":12}", EX_ACK)->id == 12);
    const struct exchange_event *e =
        one(VENUE_BINANCE, "{\"code\":2,\"msg\":\"Invalid request\",\"id\":4}", EX_REFUSED);
    assert_str(e->text, "Invalid request");
    e = one(VENUE_BINANCE, "{\"error\":{\"code\":3,\"msg\":\"Invalid JSON\"},\"id\":5}",
            EX_REFUSED);
    assert_str(e->text, "Invalid JSON");
    assert_true(e->id == 5);
    one(VENUE_BINANCE, "{\"e\":\"serverShutdown\",\"E\":1770123456789}", EX_SHUTDOWN);
    one(VENUE_BINANCE, "{\"stream\":\"x\",\"data\":{\"e\":\"serverShutdown\",\"E\":1770123456789}}",
        EX_SHUTDOWN);
}

/* What a frame leaves out is not made up of what it has. */
TEST(binance_half_a_range_is_none_and_the_time_of_sending_stands_for_that_of_the_day)
{
    const struct exchange_event *e =
        one(VENUE_BINANCE,
            "{\"e\":\"24hrMiniTicker\",\"E\":1723161255343,\"s\":\"A\",\"c\":\"1\",\"h\":\"2\"}",
            EX_DAY);
    assert_false(e->has_range || e->has_volume || e->has_change || e->has_open);
    assert_true(e->time_us == 1723161255343000);
    e = one(VENUE_BINANCE,
            "{\"e\":\"kline\",\"s\":\"A\",\"k\":{\"t\":1633998480000,\"i\":\"1001m\",\"o\":\"2\","
            "\"c\":\"2\",\"h\":\"3\",\"l\":\"1\",\"v\":\"5\"}}",
            EX_CANDLE);
    assert_int_equal(e->interval_ms, 0);
}

TEST(binance_lists_of_payloads_give_an_event_each)
{
    const char *why = NULL;
    assert_ok(read_text(VENUE_BINANCE,
                        "[{\"e\":\"24hrMiniTicker\",\"s\":\"A\",\"c\":\"1\"},"
                        "{\"e\":\"24hrMiniTicker\",\"s\":\"B\",\"c\":\"2\"}]",
                        &why));
    assert_int_equal(seen.count, 2);
    assert_str(seen.e[1].instrument, "B");
}

TEST(binance_refuses_what_cannot_be)
{
    refused(VENUE_BINANCE,
            "{\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"0.00\",\"q\":\"1\",\"T\":1723161255342}",
            ERR_RANGE, "price");
    refused(VENUE_BINANCE, "{\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"-1\",\"q\":\"1\"}",
            ERR_RANGE, "price");
    refused(VENUE_BINANCE, "{\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"0\"}",
            ERR_RANGE, "quantity");
    refused(VENUE_BINANCE, "{\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"x\",\"q\":\"1\"}",
            ERR_SYNTAX, "price");
    refused(VENUE_BINANCE, "{\"e\":\"trade\",\"s\":\"A\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":12}",
            ERR_RANGE, "time");
    refused(VENUE_BINANCE, "{\"u\":1,\"s\":\"A\",\"b\":\"0\",\"B\":\"0\",\"a\":\"2\",\"A\":\"1\"}",
            ERR_RANGE, "side");
    refused(VENUE_BINANCE, "{\"u\":1,\"s\":\"A\",\"b\":\"1\",\"B\":\"-1\",\"a\":\"2\",\"A\":\"1\"}",
            ERR_RANGE, "below 0");
    refused(VENUE_BINANCE, "{\"e\":\"24hrMiniTicker\",\"s\":\"A\",\"c\":\"1\",\"v\":\"-1\"}",
            ERR_RANGE, "figure");
    refused(VENUE_BINANCE,
            "{\"e\":\"kline\",\"s\":\"A\",\"k\":{\"t\":1633998480000,\"i\":\"1m\",\"o\":\"2\","
            "\"c\":\"4\",\"h\":\"3\",\"l\":\"1\",\"v\":\"5\"}}",
            ERR_RANGE, "contradict");
    refused(VENUE_BINANCE,
            "{\"e\":\"kline\",\"s\":\"A\",\"k\":{\"t\":1633998480000,\"i\":\"1m\",\"o\":\"2\","
            "\"c\":\"2\",\"h\":\"3\",\"l\":\"1\",\"v\":\"-5\"}}",
            ERR_RANGE, "volume");
    refused(VENUE_BINANCE, "{\"e\":\"newKind\",\"s\":\"A\"}", ERR_UNSUPPORTED, "kind");
    refused(VENUE_BINANCE, "{}", ERR_UNSUPPORTED, "neither");
    refused(VENUE_BINANCE, "", ERR_SYNTAX, "");
    refused(VENUE_BINANCE, "<html>", ERR_SYNTAX, "");
}

/* ---- Coinbase ---- */

TEST(coinbase_match_names_the_makers_side_and_ticker_the_takers)
{
    const struct exchange_event *e = one(
        VENUE_COINBASE,
        "{\"type\":\"match\",\"trade_id\":1052119289,\"maker_order_id\":\"x\",\"side\":\"sell\","
        "\"size\":\"0.2\",\"price\":\"63514.60\",\"product_id\":\"BTC-USD\",\"sequence\":1,"
        "\"time\":\"2026-07-07T22:58:17.164892Z\"}",
        EX_TRADE);
    assert_int_equal(e->taker, SIDE_BUY);
    assert_false(e->snapshot);
    number_is(e->price, "63514.6");
    assert_true(e->time_us == 1783465097164892);
    e = one(
        VENUE_COINBASE,
        "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"price\":\"110\",\"open_24h\":\"100\","
        "\"volume_24h\":\"5\",\"low_24h\":\"99\",\"high_24h\":\"111\",\"side\":\"sell\","
        "\"time\":\"2026-10-03T20:58:31.127510Z\",\"trade_id\":9}",
        EX_DAY);
    assert_int_equal(e->taker, SIDE_SELL);
    assert_near(e->change_24h_pct, 10, 1e-9);
    assert_false(e->has_book);
    assert_true(one(VENUE_COINBASE,
                    "{\"type\":\"last_match\",\"trade_id\":\"7\",\"side\":\"buy\",\"size\":1,"
                    "\"price\":2,\"product_id\":\"A-USD\",\"time\":\"2026-10-03T20:58:31Z\"}",
                    EX_TRADE)
                    ->snapshot);
}

TEST(coinbase_heartbeat_carries_the_last_trade)
{
    const struct exchange_event *e = one(
        VENUE_COINBASE,
        "{\"type\":\"heartbeat\",\"last_trade_id\":42,\"product_id\":\"ETH-USD\",\"sequence\":5,"
        "\"time\":\"2026-07-07T22:58:18.000000Z\"}",
        EX_HEARTBEAT);
    assert_true(e->id == 42);
    assert_str(e->instrument, "ETH-USD");
}

TEST(coinbase_error_names_the_product_that_is_none)
{
    const struct exchange_event *e = one(
        VENUE_COINBASE,
        "{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"NOPE-USD is not a "
        "valid product\"}",
        EX_REFUSED);
    assert_str(e->instrument, "NOPE-USD");
    assert_str(e->text, "NOPE-USD is not a valid product");
    e = one(VENUE_COINBASE, "{\"type\":\"error\",\"message\":\"rate limit exceeded\"}", EX_REFUSED);
    assert_int_equal(e->instrument.len, 0);
    assert_str(e->text, "rate limit exceeded");
}

TEST(coinbase_advanced_trade_speaks_in_envelopes)
{
    const char *why = NULL;
    assert_ok(read_text(
        VENUE_COINBASE,
        "{\"events\":[{\"type\":\"update\",\"trades\":[{\"product_id\":\"BTC-USD\",\"trade_id\":"
        "\"2\","
        "\"price\":\"5\",\"size\":\"1\",\"time\":\"2026-08-09T21:05:48.167634Z\",\"side\":\"SELL\"}"
        ","
        "{\"product_id\":\"BTC-USD\",\"trade_id\":\"1\",\"price\":\"4\",\"size\":\"1\",\"time\":"
        "\"2026-08-09T21:05:47Z\",\"side\":\"BUY\"}]}],\"channel\":\"market_trades\",\"timestamp\":"
        "\"2026-08-09T21:05:48.251397169Z\",\"sequence_num\":9}",
        &why));
    assert_int_equal(seen.count, 2);
    assert_true(seen.e[0].id == 1 && seen.e[1].id == 2); /* newest first on the wire */
    assert_int_equal(seen.e[1].taker, SIDE_BUY);
    assert_true(seen.e[0].sent_us == 1786309548251397);
    const struct exchange_event *e = one(
        VENUE_COINBASE,
        "{\"channel\":\"ticker\",\"timestamp\":\"2026-08-09T21:05:48.2Z\",\"events\":[{\"type\":"
        "\"snapshot\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\"ETH-USD\",\"price\":"
        "\"1919.41\",\"volume_24_h\":\"19975\",\"low_24_h\":\"1911\",\"high_24_h\":\"1925\","
        "\"price_percent_chg_24_h\":\"0.025\",\"best_bid\":\"1919.44\",\"best_ask\":\"1919.49\","
        "\"best_bid_quantity\":\"0.02\",\"best_ask_quantity\":\"0.5\"}]}]}",
        EX_DAY);
    assert_near(e->change_24h_pct, 0.025, 0);
    assert_true(e->snapshot && e->has_book && e->has_range);
    number_is(e->ask_quantity, "0.5");
}

TEST(coinbase_refuses_what_cannot_be)
{
    refused(VENUE_COINBASE,
            "{\"type\":\"match\",\"trade_id\":1,\"side\":\"sell\",\"size\":\"0.2\",\"price\":\"0\","
            "\"product_id\":\"A-USD\",\"time\":\"2026-07-07T22:58:17Z\"}",
            ERR_RANGE, "price");
    refused(VENUE_COINBASE,
            "{\"type\":\"match\",\"trade_id\":1,\"side\":\"sell\",\"size\":\"0.2\",\"price\":\"1\","
            "\"product_id\":\"A-USD\",\"time\":\"yesterday\"}",
            ERR_RANGE, "time");
    refused(VENUE_COINBASE, "{\"type\":\"novelty\"}", ERR_UNSUPPORTED, "type");
    refused(VENUE_COINBASE, "{\"channel\":\"novelty\"}", ERR_UNSUPPORTED, "channel");
    refused(VENUE_COINBASE, "[1]", ERR_UNSUPPORTED, "object");
    refused(VENUE_COINBASE, "{\"channel\":\"ticker\"}", ERR_SYNTAX, "events");
}

/* ---- Kraken ---- */

TEST(kraken_gives_several_trades_in_a_frame)
{
    const char *why = NULL;
    assert_ok(
        read_text(VENUE_KRAKEN,
                  "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"ETH/USD\","
                  "\"side\":\"buy\",\"price\":1774.140,\"qty\":0.00147959,\"ord_type\":\"limit\","
                  "\"trade_id\":64175815,\"timestamp\":\"2026-07-07T23:00:04.585581Z\"},"
                  "{\"symbol\":\"ETH/USD\",\"side\":\"sell\",\"price\":1774,\"qty\":1e-3,"
                  "\"trade_id\":64175816,\"timestamp\":\"2026-07-07T23:00:04.585581Z\"}]}",
                  &why));
    assert_int_equal(seen.count, 2);
    number_is(seen.e[0].price, "1774.14");
    number_is(seen.e[1].quantity, "0.001");
    assert_int_equal(seen.e[1].taker, SIDE_SELL);
    assert_true(seen.e[1].id == 64175816);
}

TEST(kraken_ticker_may_have_no_time)
{
    const struct exchange_event *e = one(
        VENUE_KRAKEN,
        "{\"channel\":\"ticker\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"BTC/USD\",\"bid\":1,"
        "\"bid_qty\":2,\"ask\":3,\"ask_qty\":4,\"last\":2.5,\"volume\":10,\"low\":1,\"high\":4,"
        "\"change_pct\":-2.43,\"emergency\":[]}]}",
        EX_DAY);
    assert_true(e->time_us == 0 && e->snapshot && e->has_book);
    assert_near(e->change_24h_pct, -2.43, 0);
}

TEST(kraken_answers_for_each_symbol)
{
    const struct exchange_event *e =
        one(VENUE_KRAKEN,
            "{\"method\":\"subscribe\",\"result\":{\"channel\":\"ticker\",\"symbol\":\"BTC/USD\"},"
            "\"success\":true,\"req_id\":8}",
            EX_ACK);
    assert_str(e->instrument, "BTC/USD");
    assert_str(e->text, "ticker");
    assert_true(e->id == 8);
    e = one(VENUE_KRAKEN,
            "{\"error\":\"Currency pair not supported NOPE/USD\",\"method\":\"subscribe\","
            "\"success\":false,\"symbol\":\"NOPE/USD\"}",
            EX_REFUSED);
    assert_str(e->instrument, "NOPE/USD");
    e = one(VENUE_KRAKEN,
            "{\"method\":\"subscribe\",\"result\":{\"channel\":\"book\",\"symbol\":\"NOPE/USD\"},"
            "\"success\":false,\"error\":\"Currency pair not supported\"}",
            EX_REFUSED);
    assert_str(e->instrument, "NOPE/USD");
    /* Either of the two says no. */
    one(VENUE_KRAKEN, "{\"method\":\"subscribe\",\"success\":false}", EX_REFUSED);
    e = one(VENUE_KRAKEN, "{\"method\":\"subscribe\",\"error\":\"EAPI:no\"}", EX_REFUSED);
    assert_str(e->text, "EAPI:no");
    one(VENUE_KRAKEN, "{\"method\":\"pong\",\"req_id\":1}", EX_ACK);
    one(VENUE_KRAKEN, "{\"channel\":\"heartbeat\"}", EX_HEARTBEAT);
    assert_str(one(VENUE_KRAKEN,
                   "{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"connection_id\":"
                   "13834776580305453056,\"system\":\"maintenance\"}]}",
                   EX_STATUS)
                   ->text,
               "maintenance");
}

TEST(kraken_refuses_what_cannot_be)
{
    refused(VENUE_KRAKEN, "{\"channel\":\"ticker\",\"data\":[{\"symbol\":\"A/USD\",\"last\":0}]}",
            ERR_RANGE, "price");
    refused(VENUE_KRAKEN, "{\"channel\":\"ticker\",\"data\":[{\"symbol\":\"A/USD\"}]}", ERR_SYNTAX,
            "price");
    refused(VENUE_KRAKEN, "{\"channel\":\"ticker\",\"data\":[7]}", ERR_SYNTAX, "objects");
    refused(VENUE_KRAKEN, "{\"channel\":\"novelty\"}", ERR_UNSUPPORTED, "channel");
    refused(VENUE_KRAKEN, "{\"x\":1}", ERR_UNSUPPORTED, "neither");
}

/* ---- all ---- */

TEST(half_a_frame_gives_no_event)
{
    static const struct {
        enum venue venue;
        const char *frame;
    } whole[] = {
        {VENUE_BINANCE,
         "{\"stream\":\"a@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"A\","
         "\"t\":3,\"p\":\"6\",\"q\":\"2\",\"T\":1723161255342,\"m\":true}}"},
        {VENUE_COINBASE,
         "{\"type\":\"match\",\"trade_id\":1,\"side\":\"sell\",\"size\":\"2\",\"price\":"
         "\"6\",\"product_id\":\"A-USD\",\"time\":\"2026-07-07T22:58:17.1Z\"}"},
        {VENUE_KRAKEN,
         "{\"channel\":\"trade\",\"data\":[{\"symbol\":\"A/USD\",\"side\":\"buy\",\"price\":1,"
         "\"qty\":2,\"trade_id\":6},{\"symbol\":\"A/USD\",\"price\":1,\"qty\":1}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        struct str frame = str_of(whole[i].frame);
        for (size_t len = 0; len < frame.len; len++) {
            const char *why = NULL;
            char *copy = mem_copy_text(frame.ptr, len);
            seen.count = 0;
            assert_err(exchange_read_frame(whole[i].venue, str_make(copy, len), keep, NULL, &why),
                       ERR_SYNTAX);
            assert_int_equal(seen.count, 0);
            mem_free(copy);
        }
    }
}

TEST(names_are_split_and_made_as_the_venues_write_them)
{
    static const struct {
        enum venue venue;
        const char *instrument, *symbol;
        enum quote_unit quote;
    } names[] = {
        {VENUE_BINANCE, "BTCUSDT", "BTC", QUOTE_USDT},
        {VENUE_BINANCE, "1000SATSUSDT", "1000SATS", QUOTE_USDT},
        {VENUE_BINANCE, "USDCUSDT", "USDC", QUOTE_USDT},
        {VENUE_BINANCE, "BTCFDUSD", NULL, QUOTE_USD},
        {VENUE_BINANCE, "BTCUSDC", NULL, QUOTE_USD},
        {VENUE_BINANCE, "USDT", NULL, QUOTE_USD},
        {VENUE_BINANCE, "ABCDEFGHIJKLMNOUSDT", "ABCDEFGHIJKLMNO", QUOTE_USDT},
        {VENUE_BINANCE, "ABCDEFGHIJKLMNOPUSDT", NULL, QUOTE_USD},
        {VENUE_BINANCE, "btcusdt", NULL, QUOTE_USD},
        {VENUE_COINBASE, "BTC-USD", "BTC", QUOTE_USD},
        {VENUE_COINBASE, "BTC-USDT", "BTC", QUOTE_USDT},
        {VENUE_COINBASE, "USDT-USD", "USDT", QUOTE_USD},
        {VENUE_COINBASE, "BTC-EUR", NULL, QUOTE_USD},
        {VENUE_COINBASE, "BTC-USDC", NULL, QUOTE_USD},
        {VENUE_COINBASE, "BTCUSD", NULL, QUOTE_USD},
        {VENUE_KRAKEN, "BTC/USD", "BTC", QUOTE_USD},
        {VENUE_KRAKEN, "XBT/USDT", "XBT", QUOTE_USDT},
        {VENUE_KRAKEN, "/USD", NULL, QUOTE_USD},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str symbol = {0};
        enum quote_unit quote = QUOTE_USD;
        bool ok = exchange_split(names[i].venue, str_of(names[i].instrument), &symbol, &quote);
        test_case(names[i].instrument);
        assert_int_equal(ok, names[i].symbol != NULL);
        if (ok) {
            assert_str(symbol, names[i].symbol);
            assert_int_equal(quote, names[i].quote);
        }
    }
    test_case(NULL);
    struct buf out = {0};
    assert_true(exchange_instrument(VENUE_BINANCE, STR("BTC"), &out));
    assert_true(exchange_instrument(VENUE_COINBASE, STR("BTC"), &out));
    assert_true(exchange_instrument(VENUE_KRAKEN, STR("USDT"), &out));
    assert_false(exchange_instrument(VENUE_BINANCE, STR("USDT"), &out));
    assert_false(exchange_instrument(VENUE_KRAKEN, STR("A/B"), &out));
    assert_buf(&out, "BTCUSDTBTC-USDUSDT/USD");
    assert_str(exchange_symbol_of(VENUE_KRAKEN, STR("XBT")), "BTC");
    assert_str(exchange_symbol_of(VENUE_KRAKEN, STR("XDG")), "DOGE");
    assert_str(exchange_symbol_of(VENUE_BINANCE, STR("XBT")), "XBT");
    buf_fini(&out);
}

TEST(times_are_read_to_the_microsecond)
{
    int64_t us = 0;
    assert_true(exchange_time(STR("2026-08-09T21:05:48.228568804Z"), &us));
    assert_true(us == 1786309548228568);
    assert_true(exchange_time(STR("2024-02-29T23:59:59+00:00"), &us));
    assert_true(us == 1709251199000000);
    assert_true(exchange_time(STR("1786279500"), &us) && us == 1786279500000000);
    assert_false(exchange_time(STR("2026-08-09T21:05:48"), &us));
    assert_false(exchange_time(STR("2026-13-09T21:05:48Z"), &us));
    assert_true(exchange_time(STR("2016-12-31T23:59:60Z"), &us) && us == 1483228800000000);
    assert_false(exchange_time(STR("2016-12-31T23:59:61Z"), &us));
    assert_false(exchange_time(STR("2016-12-31T24:00:00Z"), &us));
    assert_false(exchange_time(STR("2026-08-09T21:05:48+01:00"), &us));
    /* seconds to the last, milliseconds from the first */
    assert_true(exchange_time(STR("4102444799"), &us) && us == 4102444799000000);
    assert_true(exchange_time(STR("1230768000000"), &us) && us == 1230768000000000);
    assert_false(exchange_time(STR("4102444800"), &us));
    assert_false(exchange_time(STR("18446744073709551615"), &us));
    assert_false(exchange_time(STR("1999-08-09T21:05:48Z"), &us));
    assert_false(exchange_time(STR("0"), &us));
    assert_false(exchange_time(STR(""), &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binance_trade_with_the_buyer_as_maker_was_a_sale),
        cmocka_unit_test(binance_takes_numbers_as_text_and_text_as_numbers_and_times_in_any_unit),
        cmocka_unit_test(binance_best_bid_and_ask_come_without_an_event_type),
        cmocka_unit_test(binance_day_figures_come_with_or_without_a_percentage),
        cmocka_unit_test(binance_aggregates_name_the_first_and_the_last_trade),
        cmocka_unit_test(binance_candle_says_whether_it_is_closed),
        cmocka_unit_test(binance_answers_and_announcements),
        cmocka_unit_test(
            binance_half_a_range_is_none_and_the_time_of_sending_stands_for_that_of_the_day),
        cmocka_unit_test(binance_lists_of_payloads_give_an_event_each),
        cmocka_unit_test(binance_refuses_what_cannot_be),
        cmocka_unit_test(coinbase_match_names_the_makers_side_and_ticker_the_takers),
        cmocka_unit_test(coinbase_heartbeat_carries_the_last_trade),
        cmocka_unit_test(coinbase_error_names_the_product_that_is_none),
        cmocka_unit_test(coinbase_advanced_trade_speaks_in_envelopes),
        cmocka_unit_test(coinbase_refuses_what_cannot_be),
        cmocka_unit_test(kraken_gives_several_trades_in_a_frame),
        cmocka_unit_test(kraken_ticker_may_have_no_time),
        cmocka_unit_test(kraken_answers_for_each_symbol),
        cmocka_unit_test(kraken_refuses_what_cannot_be),
        cmocka_unit_test(half_a_frame_gives_no_event),
        cmocka_unit_test(names_are_split_and_made_as_the_venues_write_them),
        cmocka_unit_test(times_are_read_to_the_microsecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
