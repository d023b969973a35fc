/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "tools/tape_candles.h"
#include "wire/gzip.h"

static void take_all(struct tape_reader *tape, struct tape_candles *t)
{
    struct tape_item item;
    const char *why = "";
    for (enum err e = tape_next(tape, &item); e != ERR_MORE; e = tape_next(tape, &item)) {
        assert_ok(e);
        if (!tape_candles_take(t, &item, &why)) {
            fail_msg("%s: %.*s", why, (int)min_size(item.frame.len, 200), item.frame.ptr);
        }
    }
}

/* Feeds `text` in pieces of `piece` bytes. */
static void take_text(struct str text, size_t piece, struct tape_candles *t)
{
    struct tape_reader *tape = tape_new();
    while (text.len > 0) {
        struct str part = str_sub(text, 0, piece);
        tape_feed(tape, part);
        take_all(tape, t);
        text = str_from(text, part.len);
    }
    tape_end(tape);
    take_all(tape, t);
    assert_int_equal(tape_cut_bytes(tape), 0);
    tape_free(tape);
}

static void unpack(const char *path, struct buf *out)
{
    struct buf packed = {0};
    enum err e = OK;
    fixture_read(path, &packed); /* first: it skips the test where there are no fixtures */
    struct gunzip *g = gunzip_new();
    for (struct str in = buf_str(&packed); e == OK;) {
        e = gunzip_some(g, &in, out, (size_t)1 << 20);
    }
    assert_err(e, ERR_MORE);
    assert_ok(gunzip_end(g));
    gunzip_free(g);
    buf_fini(&packed);
}

static void csv_of(const struct tape_candles *t, const char *name, struct buf *out)
{
    for (size_t i = 0; i < tape_candles_instruments(t); i++) {
        struct tape_instrument x = tape_candles_instrument(t, i);
        if (str_eq(x.name, str_of(name))) {
            tape_candles_csv(x.rows, x.count, out);
            return;
        }
    }
    fail_msg("no trades of %s", name);
}

/* Added up from the tape by other means (the last two minutes are partial). */
static const char btc_minutes[] =
    "time_utc,open,high,low,close,volume,trades\n"
    "2024-08-08T23:54:00Z,61837.63,61855.37,61824,61828,12.43238,875\n"
    "2024-08-08T23:55:00Z,61828,61860.8,61780,61782.25,15.07702,1255\n"
    "2024-08-08T23:56:00Z,61782.25,61782.26,61723.99,61727.66,15.49778,1011\n"
    "2024-08-08T23:57:00Z,61727.66,61735.99,61651.01,61652.01,59.29235,2069\n"
    "2024-08-08T23:58:00Z,61652,61745.27,61583.22,61717.63,77.14202,3216\n"
    "2024-08-08T23:59:00Z,61717.64,61743.5,61666.17,61685.99,32.41946,1312\n"
    "2024-08-09T00:00:00Z,61686,61744.37,61630.88,61631.79,34.0818,1824\n"
    "2024-08-09T00:01:00Z,61631.79,61631.79,61556.04,61589.99,79.69369,2931\n"
    "2024-08-09T00:02:00Z,61590,61700,61590,61626.17,40.44064,1992\n"
    "2024-08-09T00:03:00Z,61626.17,61686,61608.3,61637.26,37.08509,1705\n"
    "2024-08-09T00:04:00Z,61637.26,61691.64,61602,61607.99,30.316,1461\n"
    "2024-08-09T00:05:00Z,61607.99,61608,61602.01,61602.02,4.43729,253\n";

TEST(a_real_tape_gives_its_minutes_exactly_whatever_the_reads)
{
    static const size_t pieces[] = {1, 7, 4096};
    struct buf first = {0}, second = {0}, csv = {0};
    unpack("ws/binance/spot_btcusdt_20240808.txt.gz", &first);
    unpack("ws/binance/spot_btcusdt_20240809.txt.gz", &second);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct tape_candles *t = tape_candles_new(INTERVAL_1M);
        take_text(buf_str(&first), pieces[i], t);
        take_text(buf_str(&second), pieces[i], t);
        assert_int_equal(tape_candles_instruments(t), 1);
        buf_clear(&csv);
        csv_of(t, "BTCUSDT", &csv);
        assert_buf(&csv, btc_minutes);
        tape_candles_free(t);
    }
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&csv);
}

static void check(const char *path, enum interval i, const char *name, const char *expected)
{
    struct buf text = {0}, csv = {0};
    unpack(path, &text);
    struct tape_candles *t = tape_candles_new(i);
    take_text(buf_str(&text), 4096, t);
    csv_of(t, name, &csv);
    assert_buf(&csv, expected);
    tape_candles_free(t);
    buf_fini(&text);
    buf_fini(&csv);
}

TEST(other_exchanges_tapes_have_candles_too)
{
    check("ws/coinbase/advanced_trade_20260809_btc_eth.jsonl.gz", INTERVAL_1M, "ETH-USD",
          "time_utc,open,high,low,close,volume,trades\n"
          "2026-08-09T21:05:00Z,1919.49,1919.5,1919.36,1919.5,9.09890893,21\n"
          "2026-08-09T21:06:00Z,1919.49,1919.49,1919.21,1919.38,3.91711045,11\n");
    check("ws/coinbase/exchange_20260707_btc_eth.ndjson.gz", INTERVAL_1M, "BTC-USD",
          "time_utc,open,high,low,close,volume,trades\n"
          "2026-07-07T22:58:00Z,63514.6,63519.28,63505.07,63510.15,0.8472447,288\n"
          "2026-07-07T22:59:00Z,63510.14,63510.15,63510.14,63510.14,0.0532287,56\n");
    check("ws/kraken/v2_20260707_btc_eth.ndjson.gz", INTERVAL_1H, "BTC/USD",
          "time_utc,open,high,low,close,volume,trades\n"
          "2026-07-07T23:00:00Z,63501.9,63501.9,63498,63498.1,0.56773246,12\n");
}

#define TRADE(id, time, price)                                                      \
    "{\"e\":\"trade\",\"E\":" time ",\"s\":\"BTCUSDT\",\"t\":" id ",\"p\":\"" price \
    "\",\"q\":\"0.10\",\"T\":" time ",\"m\":true,\"M\":true}"

TEST(trades_seen_twice_count_once_and_late_ones_go_where_they_belong)
{
    struct tape_candles *t = tape_candles_new(INTERVAL_1M);
    struct buf csv = {0};
    take_text(
        STR("1723161600000000000 " TRADE(
            "7", "1723161600100",
            "100.5") "\n"
                     "1723161600000000000 " TRADE(
                         "8", "1723161601000",
                         "101") "\n"
                                "1723161600000000000 " TRADE(
                                    "7", "1723161600100",
                                    "100.5") "\n"
                                             "1723161600000000000 " TRADE(
                                                 "8", "1723161601000",
                                                 "101") "\n"
                                                        "1723161600000000000 " TRADE(
                                                            "9", "1723161661000",
                                                            "102") "\n"
                                                                   "1723161600000000000 " TRADE(
                                                                       "10", "1723161602000",
                                                                       "99") "\n"
                                                                             "1723161600000000000"
                                                                             " " TRADE(
                                                                                 "11",
                                                                                 "1723161781000",
                                                                                 "103") "\n"
                                                                                        "1723161600"
                                                                                        "000000000"
                                                                                        " " TRADE(
                                                                                            "12",
                                                                                            "172316"
                                                                                            "160300"
                                                                                            "0",
                                                                                            "98") "\n"
                                                                                                  "1723161600000000000 " TRADE(
                                                                                                      "1",
                                                                                                      "1723161900000",
                                                                                                      "104") "\n"),
        5, t);
    csv_of(t, "BTCUSDT", &csv);
    assert_buf(&csv, "time_utc,open,high,low,close,volume,trades\n"
                     "2024-08-09T00:00:00Z,100.5,101,98,98,0.4,4\n"
                     "2024-08-09T00:01:00Z,102,102,102,102,0.1,1\n"
                     "2024-08-09T00:03:00Z,103,103,103,103,0.1,1\n"
                     "2024-08-09T00:05:00Z,104,104,104,104,0.1,1\n");
    tape_candles_free(t);
    buf_fini(&csv);
}

TEST(what_is_no_trade_in_dollars_is_told_apart)
{
    struct tape_candles *t = tape_candles_new(INTERVAL_1D);
    const char *why = "";
    struct tape_item item = {.kind = TAPE_TEXT, .source = STR("binance"), .frame = STR("{\"e\":")};
    assert_false(tape_candles_take(t, &item, &why));
    assert_true(strlen(why) > 0);
    item.source = STR("elsewhere");
    assert_false(tape_candles_take(t, &item, &why));
    assert_string_equal(why, "it is of no exchange that is known");
    item.kind = TAPE_HTTP;
    assert_true(tape_candles_take(t, &item, &why));
    take_text(STR("5 {\"e\":\"trade\",\"E\":1723161600000,\"s\":\"ETHBTC\",\"t\":1,\"p\":\"1\","
                  "\"q\":\"1\",\"T\":1723161600000,\"m\":true,\"M\":true}\n"),
              9, t);
    assert_int_equal(tape_candles_instruments(t), 0);
    assert_int_equal(tape_candles_passed_over(t), 1);
    tape_candles_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_tape_gives_its_minutes_exactly_whatever_the_reads),
        cmocka_unit_test(other_exchanges_tapes_have_candles_too),
        cmocka_unit_test(trades_seen_twice_count_once_and_late_ones_go_where_they_belong),
        cmocka_unit_test(what_is_no_trade_in_dollars_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
