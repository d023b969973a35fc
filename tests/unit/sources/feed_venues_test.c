/* What the venues' REST says of instruments, missed trades and candles, and what is asked of it.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/feed.h"

#include <math.h>

static struct {
    size_t symbols, trades, candles;
    bool btc, doge, eth;
    struct exchange_event first, last;
    struct candle first_candle, last_candle;
    size_t empty;
} seen;

static void on_symbol(void *self, struct str symbol)
{
    (void)self;
    seen.symbols++;
    seen.btc = seen.btc || str_eq(symbol, STR("BTC"));
    seen.doge = seen.doge || str_eq(symbol, STR("DOGE"));
    seen.eth = seen.eth || str_eq(symbol, STR("ETH"));
}

static void on_trade(void *self, const struct exchange_event *e)
{
    (void)self;
    seen.first = seen.trades == 0 ? *e : seen.first;
    seen.last = *e;
    seen.trades++;
}

static void on_candle(void *self, const struct candle *c)
{
    (void)self;
    seen.first_candle = seen.candles == 0 ? *c : seen.first_candle;
    seen.last_candle = *c;
    seen.empty += decimal_is_zero(c->volume);
    seen.candles++;
}

enum what { LIST, TRADES, CANDLES };

static enum err read_body(const struct feed_venue *v, enum what what, struct str body,
                          const char **why)
{
    memset(&seen, 0, sizeof(seen));
    *why = NULL;
    return what == LIST     ? v->read_list(body, on_symbol, NULL, why)
           : what == TRADES ? v->read_trades(body, on_trade, NULL, why)
                            : v->read_candles(body, on_candle, NULL, why);
}

static void read_recorded(const struct feed_venue *v, enum what what, const char *path)
{
    struct buf body = {0};
    const char *why;
    test_case(path);
    fixture_read_plain(path, &body);
    assert_ok(read_body(v, what, buf_str(&body), &why));
    test_case(NULL);
    buf_fini(&body);
}

TEST(recorded_lists_give_the_symbols_that_are_traded)
{
    read_recorded(&feed_venue_binance, LIST, "http/binance/exchangeInfo_full_20211012.json.gz");
    assert_true(seen.btc && seen.doge && seen.symbols > 200);
    read_recorded(&feed_venue_coinbase, LIST,
                  "http/coinbase/exchange_products_full_20210417.json.gz");
    assert_true(seen.btc && seen.eth && seen.symbols > 30);
}

TEST(kraken_names_are_everybodys)
{
    const char *why;
    assert_ok(
        read_body(&feed_venue_kraken, LIST,
                  STR("{\"error\":[],\"result\":{\"XXBTZUSD\":{\"wsname\":\"XBT/USD\",\"status\":"
                      "\"online\"},\"XDGUSD\":{\"wsname\":\"XDG/USD\"},\"XETHZEUR\":{\"wsname\":"
                      "\"ETH/EUR\"},\"XETHZUSD\":{\"wsname\":\"ETH/USD\",\"status\":"
                      "\"cancel_only\"}}}"),
                  &why));
    assert_true(seen.symbols == 2 && seen.btc && seen.doge);
}

TEST(trades_name_the_takers_side)
{
    const char *why;
    assert_ok(read_body(&feed_venue_binance, TRADES,
                        STR("[{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12\",\"time\":"
                            "1499865549590,\"isBuyerMaker\":true}]"),
                        &why));
    assert_true(seen.trades == 1 && seen.first.id == 28457 && seen.first.taker == SIDE_SELL);
    assert_true(seen.first.time_us == 1499865549590000);
    assert_ok(
        read_body(&feed_venue_coinbase, TRADES,
                  STR("[{\"trade_id\":9,\"side\":\"sell\",\"size\":\"1\",\"price\":\"2\",\"time\":"
                      "\"2026-07-07T22:58:17.164892Z\"}]"),
                  &why));
    assert_int_equal(seen.first.taker, SIDE_BUY);
    assert_ok(read_body(
        &feed_venue_kraken, TRADES,
        STR("{\"error\":[],\"result\":{\"XXBTZUSD\":[[\"63501.6\",\"0.1\",1783465097.164892,"
            "\"s\",\"l\",\"\",77]],\"last\":\"1\"}}"),
        &why));
    assert_true(seen.first.id == 77 && seen.first.taker == SIDE_SELL);
    assert_true(seen.first.time_us == 1783465097164892);
}

TEST(recorded_trades_are_read)
{
    read_recorded(&feed_venue_binance, TRADES, "http/binance/trades.json");
    assert_int_equal(seen.trades, 6);
    assert_true(seen.last.id == seen.first.id + 5);
    read_recorded(&feed_venue_coinbase, TRADES,
                  "http/coinbase/exchange_trades_BTC-USDT_20240313.json");
    assert_int_equal(seen.trades, 1);
}

TEST(recorded_candles_are_read)
{
    read_recorded(&feed_venue_binance, CANDLES, "http/binance/klines_BTCUSDT_1m_20200506.json");
    assert_true(seen.candles > 50 && seen.first_candle.trades > 0);
    assert_true(seen.first_candle.taker_buy > 0 && seen.first_candle.quote_volume > 0);
    read_recorded(&feed_venue_coinbase, CANDLES,
                  "http/coinbase/exchange_candles_BTC-USD_1d_202608.json");
    assert_true(seen.candles > 5 && seen.first_candle.open_ms > seen.last_candle.open_ms);
    assert_true(isnan(seen.first_candle.taker_buy));
    read_recorded(&feed_venue_kraken, CANDLES, "http/kraken/ohlc.json.gz");
    assert_int_equal(seen.candles, 721);
    assert_int_equal(seen.empty, 216); /* minutes without a trade are rows here */
}

TEST(coinbase_candles_put_low_before_high)
{
    const char *why;
    assert_ok(
        read_body(&feed_venue_coinbase, CANDLES, STR("[[1700000040,1.5,3.5,2.5,3,9]]"), &why));
    assert_near(decimal_double(seen.first_candle.low), 1.5, 0);
    assert_near(decimal_double(seen.first_candle.high), 3.5, 0);
    assert_near(decimal_double(seen.first_candle.open), 2.5, 0);
    assert_near(decimal_double(seen.first_candle.close), 3, 0);
    assert_true(seen.first_candle.open_ms == 1700000040000);
}

TEST(errors_and_nonsense_are_no_answers)
{
    static const struct feed_venue *const venues[] = {&feed_venue_binance, &feed_venue_coinbase,
                                                      &feed_venue_kraken};
    static const char *const bodies[] = {
        "",
        "<html>",
        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
        "{\"message\":\"NotFound\"}",
        "{\"error\":[\"EQuery:Unknown asset pair\"]}",
        "[[1700000040,\"x\",3,2,3,9]]",
        "[{\"id\":1,\"price\":\"0\",\"qty\":\"1\",\"time\":1700000040000}]"};
    const char *why;
    for (size_t v = 0; v < ARRAY_LEN(venues); v++) {
        for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
            test_case(bodies[i]);
            assert_int_not_equal(read_body(venues[v], TRADES, str_of(bodies[i]), &why), OK);
            assert_non_null(why);
            assert_int_not_equal(read_body(venues[v], CANDLES, str_of(bodies[i]), &why), OK);
            assert_int_equal(seen.candles + seen.trades, 0);
        }
    }
    test_case(NULL);
}

TEST(questions_are_written_as_each_venue_wants_them)
{
    char btc[] = "BTCUSDT";
    char product[] = "BTC-USD";
    char pair[] = "BTC/USD";
    char doge[] = "DOGE/USD";
    struct feed_row row = {.instrument = btc};
    struct feed_row *rows[] = {&row};
    struct feed_hole hole = {.from = 10, .to = 12, .from_ms = 1780000000000};
    struct buf out = {0};
    feed_venue_binance.write(&out, rows, 1, 0, true, 3);
    assert_buf(&out,
               "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@bookTicker\","
               "\"btcusdt@ticker\"],\"id\":3}");
    buf_clear(&out);
    feed_venue_binance.trades_path(&out, &row, &hole);
    assert_buf(&out, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=10&limit=3");
    buf_clear(&out);
    feed_venue_binance.candles_path(&out, &row, INTERVAL_1M, 60, 1780000020000, 1790000000000);
    assert_buf(&out, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=60&endTime=1779999960000");
    buf_clear(&out);
    row.instrument = product;
    feed_venue_coinbase.write(&out, rows, 1, 0, false, 3);
    assert_buf(&out, "{\"type\":\"unsubscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":"
                     "[\"matches\",\"ticker\",\"heartbeat\"]}");
    buf_clear(&out);
    feed_venue_coinbase.trades_path(&out, &row, &hole);
    assert_buf(&out, "/products/BTC-USD/trades?after=13&limit=3");
    buf_clear(&out);
    feed_venue_coinbase.candles_path(&out, &row, INTERVAL_1M, 2, 0, 1780000025000);
    assert_buf(&out, "/products/BTC-USD/candles?granularity=60&start=2026-05-28T20:25:00.000Z&end="
                     "2026-05-28T20:26:00.000Z");
    buf_clear(&out);
    row.instrument = pair;
    feed_venue_kraken.write(&out, rows, 1, 0, true, 9);
    assert_buf(&out, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":"
                     "[\"BTC/USD\"],\"event_trigger\":\"bbo\",\"snapshot\":true},\"req_id\":9}");
    buf_clear(&out);
    row.instrument = doge;
    feed_venue_kraken.trades_path(&out, &row, &hole);
    assert_buf(&out, "/0/public/Trades?pair=XDGUSD&since=1779999999999000000&count=1000");
    buf_clear(&out);
    assert_int_equal(feed_venue_coinbase.history_interval(INTERVAL_4H), INTERVAL_1H);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_lists_give_the_symbols_that_are_traded),
        cmocka_unit_test(kraken_names_are_everybodys),
        cmocka_unit_test(trades_name_the_takers_side),
        cmocka_unit_test(recorded_trades_are_read),
        cmocka_unit_test(recorded_candles_are_read),
        cmocka_unit_test(coinbase_candles_put_low_before_high),
        cmocka_unit_test(errors_and_nonsense_are_no_answers),
        cmocka_unit_test(questions_are_written_as_each_venue_wants_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
