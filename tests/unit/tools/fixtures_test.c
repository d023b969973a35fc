/* SPDX-License-Identifier: MIT */
#include "tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct fixtures *f, const char *name, const char *url, int status,
                const char *recorded_at)
{
    struct buf meta = {0};
    buf_printf(
        &meta,
        "{\"request\":{\"url\":\"%s\"},\"response\":{\"status\":%d,\"headers\":{\"ETag\":"
        "\"W/\\\"%s\\\"\",\"Set-Cookie\":\"a=b\",\"Transfer-Encoding\":\"chunked\",\"Date\":"
        "\"Tue, 18 May 2021 14:01:12 GMT\",\"Age\":\"1\\r\\nX: y\"}},\"recorded_at\":\"%s\"}",
        url, status, name, recorded_at);
    assert_int_equal(fixtures_add(f, str_of(name), buf_str(&meta), STR("{\"a\":1}")), OK);
    buf_fini(&meta);
}

static void assert_chosen(const struct fixtures *f, const char *path, const char *query,
                          const char *name)
{
    const struct fixture *x = fixtures_choose(f, str_of(path), str_of(query));
    assert_non_null(x);
    if (!str_eq(fixture_name(x), str_of(name))) {
        fail_msg("%s?%s: %.*s, not %s", path, query, STR_ARG(fixture_name(x)), name);
    }
}

static void the_best_match_wins(void **state)
{
    (void)state;
    struct fixtures *f = fixtures_new();
    add(f, "error_b", "https://h/p?a=1&b=2", 200, "2026");
    add(f, "plain", "https://h/p", 200, "2026");
    add(f, "one", "https://h/p?a=1", 200, "2026");
    add(f, "two", "https://h/p?a=1&b=2", 200, "2026");
    add(f, "gone", "https://h/p?a=1&b=2&c=3", 429, "2026");
    add(f, "doc", "https://h/p?a=1", 200, "documentation example");
    add(f, "any", "https://h/coins/{id}/x/", 200, "2026");
    add(f, "exact", "https://h/coins/bitcoin/x (parameters inferred)", 200, "2026");
    assert_chosen(f, "/p", "", "plain");
    assert_chosen(f, "/p", "a=9", "plain");
    assert_chosen(f, "/p", "z=1&a=1", "one");
    assert_chosen(f, "/p", "b=2&a=1", "two");
    assert_chosen(f, "/p/", "%62=2&a=1", "two");
    assert_chosen(f, "/p", "a=1&b=2&c=3", "gone"); /* most equal parameters come first */
    assert_chosen(f, "/coins/bitcoin/x", "", "exact");
    assert_chosen(f, "/coins/ethereum/x", "", "any");
    assert_null(fixtures_choose(f, STR("/coins//x"), STR("")));
    assert_null(fixtures_choose(f, STR("/p/q"), STR("")));
    assert_null(fixtures_choose(f, STR("/"), STR("")));
    fixtures_free(f);
}

static void headers_that_mean_something_stay_as_recorded(void **state)
{
    (void)state;
    struct fixtures *f = fixtures_new();
    struct answer a;
    add(f, "x", "https://h/p", 200, "2026");
    const struct fixture *x = fixtures_choose(f, STR("/p"), STR(""));
    answer_init(&a);
    fixture_answer(x, STR(""), &a);
    assert_string_equal(buf_text(&a.headers),
                        "ETag: W/\"x\"\r\nDate: Tue, 18 May 2021 14:01:12 GMT\r\n");
    assert_true(str_eq(buf_str(&a.body), STR("{\"a\":1}")));
    answer_fini(&a);
    answer_init(&a);
    fixture_answer(x, STR("W/\"x\""), &a);
    assert_int_equal(a.status, 304);
    assert_int_equal(a.body.len, 0);
    answer_fini(&a);
    fixtures_free(f);
}

static void what_is_no_recording_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{\"request\":{\"url\":\"https://h/p\"}}",
        "{\"request\":{\"url\":\"nothing\"},\"response\":{\"status\":200}}",
        "{\"request\":{\"url\":\"https://h\"},\"response\":{\"status\":200}}",
        "{\"request\":{\"url\":\"https://h/p\"},\"response\":{\"status\":99}}",
    };
    struct fixtures *f = fixtures_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_not_equal(fixtures_add(f, STR("n"), str_of(bad[i]), STR("")), OK);
    }
    assert_int_equal(fixtures_count(f), 0);
    fixtures_free(f);
    struct buf error = {0};
    assert_int_equal(fixtures_open("/nowhere/at/all", &f, &error), ERR_NOT_FOUND);
    assert_true(error.len > 0);
    buf_fini(&error);
}

static void the_shared_recordings_answer_what_our_server_asks(void **state)
{
    (void)state;
    const char *root = getenv("COINCAST_FIXTURES");
    if (!root || !root[0]) {
        skip();
    }
    struct fixtures *f;
    struct buf error = {0};
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s/http", root);
    assert_int_equal(fixtures_open(folder, &f, &error), OK);
    assert_true(fixtures_count(f) > 50);
    assert_chosen(f, "/api/v3/global", "", "coingecko/global_20210518");
    assert_chosen(f, "/api/v3/simple/price",
                  "ids=bitcoin&vs_currencies=usd&include_24hr_change=true",
                  "coingecko/simple_price_btc_0");
    assert_chosen(f, "/api/v3/coins/markets", "vs_currency=usd&order=market_cap_desc",
                  "coingecko/coins_markets_57_20220106");
    assert_chosen(f, "/fng/", "limit=1", "alternative_me/fng_limit1");
    assert_chosen(f, "/fng/", "limit=0", "alternative_me/fng_history_20210101_20260606");
    assert_chosen(f, "/rsi", "secret=s&exchange=binance&symbol=BTC/USDT&interval=1h",
                  "taapi/rsi_ok");
    assert_chosen(f, "/api/v3/ticker/24hr", "symbol=BTCUSDT", "binance/ticker24_BTCUSDT");
    assert_chosen(f, "/api/v3/klines", "symbol=BTCUSDT&interval=1d&limit=500",
                  "binance/klines_BTCUSDT_1d_last500");
    assert_chosen(f, "/0/public/OHLC", "pair=XBTUSD&interval=1440", "kraken/ohlc_1d_202608");
    struct answer a;
    answer_init(&a);
    fixture_answer(
        fixtures_choose(f, STR("/api/v3/klines"), STR("symbol=BTCUSDT&interval=1d&limit=500")),
        STR(""), &a);
    assert_int_equal(a.body.len, 93974); /* as the description says of the inflated body */
    answer_fini(&a);
    fixtures_free(f);
    buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_match_wins),
        cmocka_unit_test(headers_that_mean_something_stay_as_recorded),
        cmocka_unit_test(what_is_no_recording_is_refused),
        cmocka_unit_test(the_shared_recordings_answer_what_our_server_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
