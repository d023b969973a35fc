/* Candles against recorded data: the daily candles of Binance are the sums of its minutes and of
 * its hours, and a tape of trades gives the minutes that others computed of it (market notes C4).
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "market/candles.h"

#include <math.h>

#define MINUTE ((int64_t)60000)
#define DAY ((int64_t)86400000)

/* The lines of a fixture, gzipped or not. */
static FILE *open_fixture(const char *path)
{
    struct buf command = {0};
    const char *root = fixture_root();
    if (!root) {
        skip();
    }
    buf_printf(&command, "gzip -dcf '%s/%s'", root, path);
    FILE *f = popen(buf_text(&command), "r");
    buf_fini(&command);
    assert_non_null(f);
    return f;
}

static struct decimal number(struct str *line)
{
    struct str part = {0};
    struct decimal d = {0};
    assert_true(str_next(line, ',', &part));
    assert_ok(decimal_read(part, &d));
    return d;
}

static struct candle read_row(struct str line)
{
    struct candle c = {.taker_buy = NAN};
    struct str time = {0};
    assert_true(str_next(&line, ',', &time));
    assert_ok(clock_parse_rfc3339(time, &c.open_ms));
    c.open = number(&line);
    c.high = number(&line);
    c.low = number(&line);
    c.close = number(&line);
    c.volume = number(&line);
    return c;
}

static struct candle *read_csv(const char *path, size_t *count)
{
    FILE *f = open_fixture(path);
    char line[256];
    size_t cap = 65536, n = 0;
    struct candle *rows = mem_array(cap, sizeof(*rows));
    assert_non_null(fgets(line, sizeof(line), f)); /* the header */
    while (fgets(line, sizeof(line), f)) {
        assert_true(n < cap);
        rows[n++] = read_row(str_make(line, strcspn(line, "\r\n")));
    }
    assert_int_equal(pclose(f), 0);
    assert_true(n > 0);
    *count = n;
    return rows;
}

static const struct candle *find_day(const struct candle *rows, size_t count, int64_t open_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].open_ms == open_ms) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Gives how many whole days were compared. */
static size_t compare_days(const struct candles *c, const char *daily_path)
{
    size_t n, m, compared = 0;
    const struct candle *days = candles_series(c, 0, INTERVAL_1D, &n);
    struct candle *daily = read_csv(daily_path, &m);
    for (size_t i = 0; i < n; i++) {
        const struct candle *a = &days[i];
        const struct candle *b = find_day(daily, m, a->open_ms);
        if (a->flags & CANDLE_GAP || !(a->flags & CANDLE_CLOSED)) {
            assert_true(i == 0 || i == n - 1); /* only where the file begins and ends */
            continue;
        }
        assert_non_null(b);
        assert_int_equal(decimal_cmp(a->open, b->open), 0);
        assert_int_equal(decimal_cmp(a->high, b->high), 0);
        assert_int_equal(decimal_cmp(a->low, b->low), 0);
        assert_int_equal(decimal_cmp(a->close, b->close), 0);
        double volume = decimal_double(b->volume);
        if (decimal_cmp(a->volume, b->volume) != 0) {
            assert_near(decimal_double(a->volume), volume, 4e-15 * volume);
        }
        compared++;
    }
    mem_free(daily);
    return compared;
}

static void compare_history(const char *path, enum interval i, const char *daily, size_t want)
{
    size_t count;
    struct candles_opts opts = {.keep = 100000};
    struct candle *rows = read_csv(path, &count); /* first, for it may skip the test */
    struct candles *c = candles_new(&opts);
    test_case(path);
    assert_int_equal(candles_fill(c, 0, MARKET_BINANCE, i, rows, count), count);
    candles_time(c, rows[count - 1].open_ms + interval_ms(i) + 2000);
    assert_int_equal(compare_days(c, daily), want);
    mem_free(rows);
    candles_free(c);
}

TEST(minutes_sum_up_to_the_days_of_the_exchange)
{
    compare_history("ohlcv/minute/binance_BTCUSDT_1m_20250301_20250401.csv.gz", INTERVAL_1M,
                    "ohlcv/daily/BTCUSDT.csv", 30);
    compare_history("ohlcv/minute/binance_ETHUSDT_1m_20250301_20250401.csv.gz", INTERVAL_1M,
                    "ohlcv/daily/ETHUSDT.csv", 30);
    compare_history("ohlcv/minute/binance_ETHUSDT_1m_20240501_20240604.csv.gz", INTERVAL_1M,
                    "ohlcv/daily/ETHUSDT.csv", 33);
    /* With two outages of the exchange: minutes that nobody has. */
    compare_history("ohlcv/minute/binance_BTCUSDT_1m_20210326_20210430.csv.gz", INTERVAL_1M,
                    "ohlcv/daily/BTCUSDT.csv", 34);
}

TEST(hours_sum_up_to_the_days_of_the_exchange)
{
    compare_history("ohlcv/hourly/BTCUSDT_202107_202209.csv", INTERVAL_1H,
                    "ohlcv/daily/BTCUSDT.csv", 457);
    compare_history("ohlcv/hourly/ETHUSDT_202107_202209.csv", INTERVAL_1H,
                    "ohlcv/daily/ETHUSDT.csv", 457);
    compare_history("ohlcv/hourly/BNBUSDT_202107_202209.csv", INTERVAL_1H,
                    "ohlcv/daily/BNBUSDT.csv", 457);
    compare_history("ohlcv/hourly/ADAUSDT_202107_202209.csv", INTERVAL_1H,
                    "ohlcv/daily/ADAUSDT.csv", 457);
}

/* The way trades take: each minute as four of them. */
TEST(trades_sum_up_to_the_days_of_the_exchange)
{
    size_t count;
    struct candle *rows =
        read_csv("ohlcv/minute/binance_BTCUSDT_1m_20250301_20250401.csv.gz", &count);
    struct candles_opts opts = {0};
    struct candles *c = candles_new(&opts);
    struct tick t = {.kind = TICK_TRADE, .venue = MARKET_BINANCE};
    for (size_t i = 0; i < count; i++) {
        const struct decimal prices[] = {rows[i].open, rows[i].high, rows[i].low, rows[i].close};
        for (size_t k = 0; k < ARRAY_LEN(prices); k++) {
            t.exchange_ms = rows[i].open_ms + (int64_t)k * 19999;
            t.id++;
            t.price = prices[k];
            t.quantity = k == 2 ? rows[i].volume : (struct decimal){0};
            candles_trade(c, &t);
        }
    }
    candles_time(c, rows[count - 1].open_ms + MINUTE + 2000);
    assert_int_equal(compare_days(c, "ohlcv/daily/BTCUSDT.csv"), 30);
    mem_free(rows);
    candles_free(c);
}

static struct str member(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    assert_non_null(at);
    at += strlen(name);
    at += *at == '"';
    return str_make(at, strcspn(at, "\","));
}

static size_t play_tape(struct candles *c, const char *path)
{
    FILE *f = open_fixture(path);
    static char line[1 << 20];
    size_t trades = 0;
    uint64_t at_ms;
    while (fgets(line, sizeof(line), f)) {
        struct tick t = {.kind = TICK_TRADE, .venue = MARKET_BINANCE};
        if (!strstr(line, "\"e\":\"trade\"")) {
            continue;
        }
        assert_ok(str_to_u64(member(line, "\"T\":"), &at_ms));
        assert_ok(str_to_u64(member(line, "\"t\":"), &t.id));
        assert_ok(decimal_read(member(line, "\"p\":"), &t.price));
        assert_ok(decimal_read(member(line, "\"q\":"), &t.quantity));
        t.exchange_ms = (int64_t)at_ms;
        candles_trade(c, &t);
        trades++;
    }
    assert_int_equal(pclose(f), 0);
    return trades;
}

TEST(a_tape_over_midnight_gives_its_known_minutes)
{
    static const char *const want[] = {
        "23:54 61837.63 61855.37 61824 61828 12.43238 875",
        "23:55 61828 61860.8 61780 61782.25 15.07702 1255",
        "23:56 61782.25 61782.26 61723.99 61727.66 15.49778 1011",
        "23:57 61727.66 61735.99 61651.01 61652.01 59.29235 2069",
        "23:58 61652 61745.27 61583.22 61717.63 77.14202 3216",
        "23:59 61717.64 61743.5 61666.17 61685.99 32.41946 1312",
        "00:00 61686 61744.37 61630.88 61631.79 34.0818 1824",
        "00:01 61631.79 61631.79 61556.04 61589.99 79.69369 2931",
        "00:02 61590 61700 61590 61626.17 40.44064 1992",
        "00:03 61626.17 61686 61608.3 61637.26 37.08509 1705",
        "00:04 61637.26 61691.64 61602 61607.99 30.316 1461",
    };
    struct candles_opts opts = {0};
    if (!fixture_root()) {
        skip();
    }
    struct candles *c = candles_new(&opts);
    size_t trades = play_tape(c, "ws/binance/spot_btcusdt_20240808.txt.gz");
    trades += play_tape(c, "ws/binance/spot_btcusdt_20240809.txt.gz");
    assert_int_equal(trades, 19904);
    size_t n;
    const struct candle *rows = candles_series(c, 0, INTERVAL_1M, &n);
    assert_true(n >= ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct buf text = {0};
        int64_t minute = rows[i].open_ms % DAY / MINUTE;
        buf_printf(&text, "%02d:%02d", (int)(minute / 60), (int)(minute % 60));
        const struct decimal *numbers[] = {&rows[i].open, &rows[i].high, &rows[i].low,
                                           &rows[i].close, &rows[i].volume};
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
            buf_printf(&text, " ");
            decimal_write(&text, *numbers[k]);
        }
        buf_printf(&text, " %u", (unsigned)rows[i].trades);
        assert_buf(&text, want[i]);
        buf_fini(&text);
        assert_int_equal(rows[i].flags & CANDLE_GAP, i == 0 ? CANDLE_GAP : 0);
    }
    candles_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minutes_sum_up_to_the_days_of_the_exchange),
        cmocka_unit_test(hours_sum_up_to_the_days_of_the_exchange),
        cmocka_unit_test(trades_sum_up_to_the_days_of_the_exchange),
        cmocka_unit_test(a_tape_over_midnight_gives_its_known_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
