/* Candle fixtures for tests of the maths: the recorded files as bars and closes.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_QUANT_RIG_H
#define TESTS_UNIT_QUANT_RIG_H
#include "tests/lib/test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "quant/bar.h"

#define RIG_BARS_MAX 12000

static struct bar rig_bars[RIG_BARS_MAX];
static double rig_closes[RIG_BARS_MAX];

static const char *const rig_files[] UNUSED = {
    "ohlcv/daily/ADAUSDT.csv",
    "ohlcv/daily/BNBUSDT.csv",
    "ohlcv/daily/BTCUSDT.csv",
    "ohlcv/daily/DOGEUSDT.csv",
    "ohlcv/daily/ETHUSDT.csv",
    "ohlcv/daily/LINKUSDT.csv",
    "ohlcv/daily/LTCUSDT.csv",
    "ohlcv/daily/SOLUSDT.csv",
    "ohlcv/daily/TRXUSDT.csv",
    "ohlcv/daily/XRPUSDT.csv",
    "ohlcv/hourly/ADAUSDT_202107_202209.csv",
    "ohlcv/hourly/BNBUSDT_202107_202209.csv",
    "ohlcv/hourly/BTCUSDT_202107_202209.csv",
    "ohlcv/hourly/ETHUSDT_202107_202209.csv",
};

/* Fills rig_bars and rig_closes; skips the test without fixtures. */
static size_t rig_read(const char *path)
{
    struct buf text = {0};
    size_t count = 0;
    fixture_read(path, &text);
    struct str rest = buf_str(&text), line, cell = {0};
    assert_true(str_next(&rest, '\n', &line));
    while (str_next(&rest, '\n', &line)) {
        struct bar *b = &rig_bars[count];
        double *const values[] = {&b->open, &b->high, &b->low, &b->close, &b->volume};
        assert_true(count < RIG_BARS_MAX && str_next(&line, ',', &cell));
        assert_ok(clock_parse_rfc3339(cell, &b->open_ms));
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            assert_true(str_next(&line, ',', &cell));
            assert_ok(str_to_double(str_trim(cell), values[i]));
        }
        rig_closes[count++] = b->close;
    }
    buf_fini(&text);
    return count;
}

/* Relative nearness, as the golden values are given with 12 digits. */
#define assert_close(actual, expected) \
    assert_near((actual), (expected), 1e-9 * ((expected) < 0 ? -(expected) : (expected)))

#endif
