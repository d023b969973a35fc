/* SPDX-License-Identifier: MIT */
#include "tools/answer.h"

#include "tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

/* 2026-11-21T12:34:56.789Z */
#define NOW INT64_C(1795264496789)

struct market {
    struct answer_world world;
    struct answer answer;
    struct json *root;
};

static int setup(void **state)
{
    struct market *m = calloc(1, sizeof(*m));
    m->world.simulator = simulator_new(42);
    m->world.flow = flow_new(m->world.simulator, 1);
    answer_init(&m->answer);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct market *m = *state;
    json_free(m->root);
    answer_fini(&m->answer);
    flow_free(m->world.flow);
    simulator_free(m->world.simulator);
    free(m);
    return 0;
}

/* Asks and reads the body as JSON. */
static const struct json *ask_at(struct market *m, const char *target, int64_t now)
{
    struct str t = str_of(target);
    size_t mark = str_find(t, '?', 0);
    json_free(m->root);
    m->root = NULL;
    answer_fini(&m->answer);
    answer_init(&m->answer);
    struct answer_request r = {.is_get = true,
                               .path = mark == SIZE_MAX ? t : str_sub(t, 0, mark),
                               .query = mark == SIZE_MAX ? STR("") : str_from(t, mark + 1)};
    answer_make(&m->world, &r, now, &m->answer);
    char error[JSON_ERROR_LEN] = "";
    if (json_parse(buf_str(&m->answer.body), &m->root, error) != OK) {
        fail_msg("%s: %s in %s", target, error, buf_text(&m->answer.body));
    }
    return m->root;
}

static const struct json *ask(struct market *m, const char *target)
{
    return ask_at(m, target, NOW);
}

static double number(const struct json *v)
{
    double out = NAN;
    assert_true(json_get_number_or_text(v, &out));
    return out;
}

static void assert_text(const struct json *v, const char *want)
{
    struct str s = STR("(no text)");
    (void)json_get_str(v, &s);
    if (!str_eq(s, str_of(want))) {
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(s), want);
    }
}

static bool has_header(const struct market *m, const char *line)
{
    return str_find_str(buf_str(&m->answer.headers), str_of(line)) != SIZE_MAX;
}

static bool near(double a, double b, double part)
{
    return fabs(a - b) <= fabs(b) * part;
}

static void all_providers_tell_the_same_price(void **state)
{
    struct market *m = *state;
    double binance = number(json_get(ask(m, "/api/v3/ticker/price?symbol=BTCUSDT"), "price"));
    double full = number(json_get(ask(m, "/api/v3/ticker/24hr?symbol=BTCUSDT"), "lastPrice"));
    double coinbase = number(json_get(ask(m, "/products/BTC-USD/ticker"), "price"));
    const struct json *k = json_get(ask(m, "/0/public/Ticker?pair=XBTUSD"), "result");
    double kraken = number(json_at(json_get(json_get(k, "XXBTZUSD"), "c"), 0));
    double gecko = number(json_get(
        json_get(ask(m, "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"), "bitcoin"), "usd"));
    assert_true(binance == full);
    assert_true(near(coinbase, binance, 2e-4));
    assert_true(near(kraken, binance, 2e-4));
    assert_true(near(gecko, binance, 0.03)); /* up to a minute old */
}

static void all_providers_tell_the_same_change_of_a_day(void **state)
{
    struct market *m = *state;
    double binance =
        number(json_get(ask(m, "/api/v3/ticker/24hr?symbol=ETHUSDT"), "priceChangePercent"));
    const struct json *s = ask(m, "/products/ETH-USD/stats");
    double coinbase = (number(json_get(s, "last")) / number(json_get(s, "open")) - 1) * 100;
    const struct json *g =
        ask(m, "/api/v3/simple/price?ids=ethereum&vs_currencies=usd&include_24hr_change=true");
    double gecko = number(json_get(json_get(g, "ethereum"), "usd_24h_change"));
    assert_true(fabs(binance - coinbase) < 0.05);
    assert_true(fabs(binance - gecko) < 1.5);
}

static void the_same_seed_and_time_give_the_same_bytes(void **state)
{
    static const char *const paths[] = {
        "/api/v3/global",
        "/api/v3/coins/markets?vs_currency=usd&sparkline=true",
        "/api/v3/search/trending",
        "/fng/?limit=0",
        "/rsi?secret=x&exchange=binance&symbol=BTC/USDT&interval=1d",
        "/api/v3/ticker/24hr",
        "/api/v3/klines?symbol=SOLUSDT&interval=1h&limit=40",
        "/api/v3/exchangeInfo",
        "/api/v3/time",
        "/products",
        "/products/DOGE-USD/candles?granularity=3600",
        "/0/public/OHLC?pair=XDGUSD&interval=1440",
        "/0/public/Time",
        "/0/public/SystemStatus"};
    struct market *m = *state;
    struct market other = {.world.simulator = simulator_new(42)};
    other.world.flow = flow_new(other.world.simulator, 1);
    answer_init(&other.answer);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)ask(&other, paths[ARRAY_LEN(paths) - 1 - i]); /* caches filled in another order */
    }
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)ask(m, paths[i]);
        (void)ask(&other, paths[i]);
        assert_int_equal(m->answer.status, 200);
        assert_true(str_eq(buf_str(&m->answer.body), buf_str(&other.answer.body)));
        assert_true(has_header(m, "X-Coincast-Upstream: simulated\r\n"));
    }
    struct buf before = {0};
    (void)ask(m, "/api/v3/ticker/24hr");
    buf_add_str(&before, buf_str(&m->answer.body));
    (void)ask_at(m, "/api/v3/ticker/24hr", NOW + 1000);
    assert_false(str_eq(buf_str(&before), buf_str(&m->answer.body)));
    buf_fini(&before);
    json_free(other.root);
    answer_fini(&other.answer);
    flow_free(other.world.flow);
    simulator_free(other.world.simulator);
}

static void daily_klines_reach_back_500_days_and_end_in_the_present(void **state)
{
    struct market *m = *state;
    const struct json *rows = ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=500");
    assert_int_equal(json_count(rows), 500);
    for (size_t i = 1; i < 500; i++) {
        const struct json *a = json_at(rows, i - 1), *b = json_at(rows, i);
        assert_true(number(json_at(b, 0)) - number(json_at(a, 0)) == 86400000.0);
        assert_true(number(json_at(a, 4)) == number(json_at(b, 1)));
        assert_int_equal(json_kind(json_at(a, 1)), JSON_STRING);
        assert_int_equal(json_kind(json_at(a, 8)), JSON_NUMBER);
    }
    double close = number(json_at(json_at(rows, 499), 4));
    double time = number(json_at(json_at(rows, 499), 6));
    assert_true(time > (double)NOW); /* the newest row is the open candle */
    assert_true(close == number(json_get(ask(m, "/api/v3/ticker/price?symbol=BTCUSDT"), "price")));
}

static void klines_obey_their_range(void **state)
{
    struct market *m = *state;
    const struct json *rows = ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime="
                                     "1795219200001&endTime=1795219800000");
    assert_int_equal(json_count(rows), 10);
    assert_true(number(json_at(json_at(rows, 0), 0)) == 1795219260000.0);
    rows = ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1w&limit=3");
    assert_true(fmod(number(json_at(json_at(rows, 0), 0)) / 86400000 + 3, 7) == 0); /* Mondays */
    assert_int_equal(json_count(ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=5000")),
                     1000);
    assert_int_equal(
        json_count(ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1d&startTime=99999999999999")),
        0);
}

static void coinbase_and_kraken_candles_have_their_own_order(void **state)
{
    struct market *m = *state;
    const struct json *c = ask(m, "/products/BTC-USD/candles?granularity=86400");
    assert_int_equal(json_count(c), 300);
    const struct json *row = json_at(c, 1);
    assert_true(number(json_at(json_at(c, 0), 0)) > number(json_at(row, 0)));
    assert_true(number(json_at(row, 1)) <= number(json_at(row, 3)));
    assert_true(number(json_at(row, 2)) >= number(json_at(row, 4)));
    assert_int_equal(json_kind(json_at(row, 1)), JSON_NUMBER);
    double close = number(json_at(row, 4));
    c = json_get(ask(m, "/0/public/OHLC?pair=XBTUSD&interval=1440"), "result");
    const struct json *rows = json_get(c, "XXBTZUSD");
    assert_int_equal(json_count(rows), 720);
    row = json_at(rows, 718);
    assert_true(number(json_get(c, "last")) == number(json_at(row, 0)));
    assert_true(near(number(json_at(row, 4)), close, 2e-4));
    assert_int_equal(json_kind(json_at(row, 4)), JSON_STRING);
    assert_int_equal(json_kind(json_at(row, 7)), JSON_NUMBER);
}

static void global_is_as_of_the_last_ten_minutes(void **state)
{
    struct market *m = *state;
    const struct json *d = json_get(ask(m, "/api/v3/global"), "data");
    assert_true(number(json_get(d, "updated_at")) == floor((double)NOW / 600000) * 600);
    double usd = number(json_get(json_get(d, "total_market_cap"), "usd"));
    double btc = number(json_get(json_get(d, "total_market_cap"), "btc"));
    assert_true(usd > 5e11 && usd < 2e13);
    assert_true(usd / btc > 1000);
    assert_true(number(json_get(json_get(d, "market_cap_percentage"), "btc")) > 10);
    assert_true(number(json_get(json_get(d, "total_volume"), "usd")) > 1e9);
    assert_true(has_header(m, "Cache-Control: max-age=30, public, must-revalidate, s-maxage=60"));
}

static void coingecko_knows_its_own_etag(void **state)
{
    struct market *m = *state;
    (void)ask(m, "/api/v3/global");
    struct str headers = buf_str(&m->answer.headers);
    struct str etag = str_from(headers, str_find_str(headers, STR("ETag: ")) + 6);
    char kept[64];
    snprintf(kept, sizeof(kept), "%.*s", (int)str_find(etag, '\r', 0), etag.ptr);
    struct answer a;
    answer_init(&a);
    struct answer_request r = {
        .is_get = true, .path = STR("/api/v3/global"), .if_none_match = str_of(kept)};
    answer_make(&m->world, &r, NOW + 1000, &a);
    assert_int_equal(a.status, 304);
    assert_int_equal(a.body.len, 0);
    answer_fini(&a);
    answer_init(&a);
    answer_make(&m->world, &r, NOW + 600000, &a);
    assert_int_equal(a.status, 200);
    answer_fini(&a);
}

static void markets_page_and_sort(void **state)
{
    struct market *m = *state;
    const struct json *list = ask(m, "/api/v3/coins/markets?vs_currency=usd&per_page=10&page=2");
    assert_int_equal(json_count(list), 10);
    assert_true(number(json_get(json_at(list, 0), "market_cap_rank")) == 11);
    for (size_t i = 1; i < 10; i++) {
        assert_true(number(json_get(json_at(list, i - 1), "market_cap")) >=
                    number(json_get(json_at(list, i), "market_cap")));
    }
    list = ask(m, "/api/v3/coins/markets?vs_currency=usd&ids=bitcoin,tether&sparkline=true"
                  "&price_change_percentage=7d");
    assert_int_equal(json_count(list), 2);
    const struct json *btc = json_at(list, 0);
    assert_text(json_get(btc, "symbol"), "btc");
    assert_int_equal(json_count(json_get(json_get(btc, "sparkline_in_7d"), "price")), 168);
    assert_int_equal(json_kind(json_get(btc, "price_change_percentage_7d_in_currency")),
                     JSON_NUMBER);
    assert_true(number(json_get(btc, "high_24h")) >= number(json_get(btc, "low_24h")));
    assert_true(number(json_get(btc, "ath")) >= number(json_get(btc, "high_24h")));
}

static void a_blank_after_a_comma_loses_the_id(void **state)
{
    struct market *m = *state;
    const struct json *p =
        ask(m, "/api/v3/simple/price?ids=bitcoin,%20ethereum&vs_currencies=usd,eur");
    assert_int_equal(json_count(p), 1);
    assert_int_equal(json_count(json_get(p, "bitcoin")), 2);
    p = ask(m, "/api/v3/simple/price?ids=bitcoin,ethereum,nothing&vs_currencies=usd");
    assert_int_equal(json_count(p), 2);
}

static void fear_and_greed_is_text_newest_first(void **state)
{
    struct market *m = *state;
    const struct json *d = json_get(ask(m, "/fng/?limit=3"), "data");
    assert_int_equal(json_count(d), 3);
    assert_text(json_get(json_at(d, 0), "timestamp"), "1795219200");
    assert_text(json_get(json_at(d, 1), "timestamp"), "1795132800");
    assert_text(json_get(json_at(d, 0), "time_until_update"), "41103");
    assert_int_equal(json_kind(json_get(json_at(d, 1), "time_until_update")), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_at(d, 0), "value")), JSON_STRING);
    assert_int_equal(json_count(json_get(ask(m, "/fng"), "data")), 1);
    assert_true(json_count(json_get(ask(m, "/fng/?limit=0"), "data")) > 3000);
}

/* The number in `key` of an object, or at that place of a list. */
static int64_t id_of(const struct json *trade, const char *key, size_t place)
{
    int64_t id = -1;
    assert_true(json_get_i64(key ? json_get(trade, key) : json_at(trade, place), &id));
    return id;
}

/* Page after page in each venue's way, without a hole and without one twice. */
static void trades_can_be_paged_through(void **state)
{
    struct market *m = *state;
    char target[160];
    const struct json *page = ask(m, "/api/v3/historicalTrades?symbol=ETHUSDT&limit=1");
    int64_t next = id_of(json_at(page, 0), "id", 0) - 40;
    for (int i = 0; i < 5; i++) {
        snprintf(target, sizeof(target),
                 "/api/v3/historicalTrades?symbol=ETHUSDT&limit=9&fromId=%lld", (long long)next);
        page = ask(m, target);
        assert_int_equal(json_count(page), i < 4 ? 9 : 5); /* the last of them is the newest */
        for (size_t k = 0; k < json_count(page); k++) {
            assert_int_equal(id_of(json_at(page, k), "id", 0), next++);
        }
    }
    page = ask(m, "/products/ETH-USD/trades?limit=7");
    int64_t before = id_of(json_at(page, 0), "trade_id", 0) + 1;
    for (int i = 0; i < 5; i++) {
        snprintf(target, sizeof(target), "/products/ETH-USD/trades?limit=7&after=%lld",
                 (long long)before);
        page = ask(m, target);
        assert_int_equal(json_count(page), 7);
        for (size_t k = 0; k < 7; k++) {
            assert_int_equal(id_of(json_at(page, k), "trade_id", 0), --before);
        }
    }
    struct str since = STR("");
    int64_t last = -1;
    snprintf(target, sizeof(target), "/0/public/Trades?pair=ETHUSD&count=6&since=%lld",
             (long long)(NOW / 1000 - 600));
    for (int i = 0; i < 4; i++) {
        const struct json *result = json_get(ask(m, target), "result");
        page = json_get(result, "XETHZUSD");
        assert_true(json_count(page) > 0);
        for (size_t k = 0; k < json_count(page); k++) {
            int64_t id = id_of(json_at(page, k), NULL, 6);
            assert_true(last < 0 || id == last + 1);
            last = id;
        }
        assert_true(json_get_str(json_get(result, "last"), &since));
        snprintf(target, sizeof(target), "/0/public/Trades?pair=ETHUSD&count=6&since=%.*s",
                 STR_ARG(since));
    }
    (void)ask(m, "/0/public/AssetPairs?pair=XBTUSD,NOPEUSD");
    assert_true(str_find_str(buf_str(&m->answer.body), STR("EQuery:Unknown asset pair")) !=
                SIZE_MAX);
}

static void rsi_needs_a_secret_and_fits_the_candles(void **state)
{
    struct market *m = *state;
    (void)ask(m, "/rsi?exchange=binance&symbol=BTC/USDT&interval=1d");
    assert_int_equal(m->answer.status, 401);
    const struct json *v = ask(m, "/rsi?secret=s&exchange=binance&symbol=BTC%2FUSDT&interval=1d");
    double value = number(json_get(v, "value"));
    const struct json *rows = ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=500");
    double gain = 0, loss = 0;
    for (size_t i = 1; i < 499; i++) {
        double d = number(json_at(json_at(rows, i), 4)) - number(json_at(json_at(rows, i - 1), 4));
        double keep = i <= 14 ? 1 : 13.0 / 14;
        gain = gain * keep + (d > 0 ? d : 0) / 14;
        loss = loss * keep + (d < 0 ? -d : 0) / 14;
    }
    assert_true(fabs(value - 100 * gain / (gain + loss)) < 1e-3);
    (void)ask(m, "/rsi?secret=s&exchange=binance&symbol=NOPE/USDT&interval=1d");
    assert_int_equal(m->answer.status, 400);
    v = ask(m, "/rsi?secret=s&exchange=binance&symbol=BTC/USDT&interval=1h&backtracks=3");
    assert_int_equal(json_count(v), 3);
    assert_true(number(json_get(json_at(v, 2), "backtrack")) == 2);
}

static void errors_have_each_providers_shape(void **state)
{
    struct market *m = *state;
    assert_text(json_get(ask(m, "/api/v3/coins/markets"), "error"),
                "Missing parameter vs_currency");
    assert_int_equal(m->answer.status, 422);
    assert_text(json_get(ask(m, "/api/v3/simple/price"), "error"), "Missing parameter ids");
    assert_int_equal(m->answer.status, 422);
    assert_true(number(json_get(ask(m, "/api/v3/klines?symbol=NOPE&interval=1d"), "code")) ==
                -1121);
    assert_int_equal(m->answer.status, 400);
    assert_true(number(json_get(ask(m, "/api/v3/klines?symbol=BTCUSDT&interval=7m"), "code")) ==
                -1120);
    assert_true(number(json_get(ask(m, "/api/v3/klines?interval=1d"), "code")) == -1102);
    assert_true(number(json_get(ask(m, "/api/v3/ticker/24hr?symbols=BTCUSDT"), "code")) == -1100);
    assert_text(json_get(ask(m, "/products/NOPE-USD/ticker"), "message"), "NotFound");
    assert_int_equal(m->answer.status, 404);
    assert_text(json_get(ask(m, "/products/BTC-USD/candles?granularity=7"), "message"),
                "Unsupported granularity");
    assert_int_equal(m->answer.status, 400);
    assert_text(json_at(json_get(ask(m, "/0/public/Ticker?pair=NOPE"), "error"), 0),
                "EQuery:Unknown asset pair");
    assert_int_equal(m->answer.status, 200);
    (void)ask(m, "/no/such/path");
    assert_int_equal(m->answer.status, 404);
    assert_int_equal(answer_target_of(STR("/no/such/path")), SIZE_MAX);
}

static void hostile_parameters_do_no_harm(void **state)
{
    static const char *const targets[] = {
        "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=9223372036854775807",
        "/api/v3/klines?symbol=BTCUSDT&interval=1d&startTime=-9223372036854775808",
        "/api/v3/klines?symbol=BTCUSDT&interval=1d&endTime=0",
        "/api/v3/coins/markets?vs_currency=usd&per_page=250&page=9223372036854775807",
        "/api/v3/coins/markets?vs_currency=usd&per_page=250&page=1000000",
        "/products/BTC-USD/candles?granularity=60&start=9223372036854775807&end=1",
        "/products/BTC-USD/candles?granularity=60&start=x&end=%00",
        "/products/BTC-USD/candles?granularity=86400&start=0&end=1795219200",
        "/0/public/OHLC?pair=XBTUSD&interval=1&since=9223372036854775807",
        "/fng/?limit=-9223372036854775808",
        "/rsi?secret=s&exchange=b&symbol=/&interval=1w",
        "/rsi?secret=s&exchange=b&symbol=BTC/USDT&interval=1w",
        "/rsi?secret=s&exchange=b&symbol=BTC/USDT&interval=1d&backtracks=99999",
        "/api/v3/ticker/24hr?symbols=[\"BTCUSDT\",,\"\"]",
        "/products//ticker",
        "/products/BTC-USD/trades?after=9223372036854775807&limit=1000",
        "/products/BTC-USD/trades?after=x&limit=-1",
        "/api/v3/aggTrades?symbol=BTCUSDT&startTime=9223372036854775807&endTime=0",
        "/api/v3/aggTrades?symbol=S400USDT&startTime=0&limit=5000",
        "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=9223372036854775807",
        "/0/public/Trades?pair=XBTUSD&since=9223372036854775807",
        "/0/public/Trades?pair=S400USD&since=1&count=1",
        "/%zz",
    };
    struct market *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        (void)ask(m, targets[i]);
        assert_in_range(m->answer.status, 200, 599);
    }
    (void)ask_at(m, "/api/v3/ticker/24hr", 0); /* a clock that stands at 1970 */
    (void)ask_at(m, "/0/public/Ticker", 0);
    (void)ask_at(m, "/products/BTC-USD/candles?granularity=60", 0);
}

static void binance_counts_weight_by_the_minute(void **state)
{
    struct market *m = *state;
    (void)ask(m, "/api/v3/ticker/24hr?symbol=BTCUSDT");
    assert_true(has_header(m, "X-MBX-USED-WEIGHT-1M: 2\r\n"));
    (void)ask(m, "/api/v3/exchangeInfo");
    assert_true(has_header(m, "X-MBX-USED-WEIGHT-1M: 22\r\n"));
    (void)ask_at(m, "/api/v3/time", NOW + 60000);
    assert_true(has_header(m, "X-MBX-USED-WEIGHT-1M: 1\r\n"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_providers_tell_the_same_price),
        T(all_providers_tell_the_same_change_of_a_day),
        T(the_same_seed_and_time_give_the_same_bytes),
        T(daily_klines_reach_back_500_days_and_end_in_the_present),
        T(klines_obey_their_range),
        T(coinbase_and_kraken_candles_have_their_own_order),
        T(global_is_as_of_the_last_ten_minutes),
        T(coingecko_knows_its_own_etag),
        T(markets_page_and_sort),
        T(a_blank_after_a_comma_loses_the_id),
        T(fear_and_greed_is_text_newest_first),
        T(trades_can_be_paged_through),
        T(rsi_needs_a_secret_and_fits_the_candles),
        T(errors_have_each_providers_shape),
        T(hostile_parameters_do_no_harm),
        T(binance_counts_weight_by_the_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
