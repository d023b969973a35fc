/* Each indicator as a stream against its batch, on every recorded file and at every close.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/quant/rig.h"

#include "quant/atr.h"
#include "quant/average.h"
#include "quant/bollinger.h"
#include "quant/drawdown.h"
#include "quant/macd.h"
#include "quant/momentum.h"
#include "quant/statistics.h"
#include "quant/volatility.h"
#include "quant/vwap.h"

#include <math.h>

/* The batch is asked at each close of the first ones, where the seeds are, then now and then. */
static bool is_asked(size_t i, size_t count)
{
    return i < 250 || i % 997 == 0 || i + 1 == count;
}

struct streams {
    struct sma sma;
    struct ema ema;
    struct rsi rsi;
    struct macd macd;
    struct bollinger bollinger;
    struct atr atr;
    struct momentum momentum;
    struct drawdown drawdown;
    struct realised realised;
    struct ewma ewma;
};

static void start(struct streams *s)
{
    sma_init(&s->sma, 20);
    ema_init(&s->ema, 26);
    rsi_init(&s->rsi, 14);
    macd_init(&s->macd, 12, 26, 9);
    bollinger_init(&s->bollinger, 20, 2);
    atr_init(&s->atr, 14);
    momentum_init(&s->momentum, 10);
    drawdown_init(&s->drawdown);
    realised_init(&s->realised);
    ewma_init(&s->ewma, EWMA_LAMBDA_DAILY);
}

static void feed(struct streams *s, size_t i)
{
    double close = rig_closes[i];
    assert_ok(sma_add(&s->sma, close));
    assert_ok(ema_add(&s->ema, close));
    assert_ok(rsi_add(&s->rsi, close));
    assert_ok(macd_add(&s->macd, close));
    assert_ok(bollinger_add(&s->bollinger, close));
    assert_ok(atr_add(&s->atr, &rig_bars[i]));
    assert_ok(momentum_add(&s->momentum, close));
    assert_ok(drawdown_add(&s->drawdown, close));
    if (i > 0) {
        assert_ok(realised_add(&s->realised, close / rig_closes[i - 1] - 1));
        assert_ok(ewma_add(&s->ewma, close / rig_closes[i - 1] - 1));
    }
}

/* Same answer, and the same double where there is one. Pointers, for the batch writes its number
 * while the arguments are made. */
static void same(enum indicator_gap a, const double *x, enum indicator_gap b, const double *y)
{
    assert_int_equal(a, b);
    assert_true(a != INDICATOR_OK || *x == *y);
}

static void compare(const struct streams *s, size_t n, const double *returns)
{
    const double *c = rig_closes;
    double x = 0, y = 0;
    struct macd_value m = {0}, m2 = {0};
    struct bollinger_value b = {0}, b2 = {0};
    struct drawdown d;
    enum indicator_gap gap = sma_value(&s->sma, &x);
    same(gap, &x, sma_of(c, n, 20, &y), &y);
    gap = ema_value(&s->ema, &x);
    same(gap, &x, ema_of(c, n, 26, &y), &y);
    gap = rsi_value(&s->rsi, 0, &x);
    same(gap, &x, rsi_of(c, n, 14, 0, &y), &y);
    gap = atr_value(&s->atr, &x);
    same(gap, &x, atr_of(rig_bars, n, 14, &y), &y);
    gap = momentum_value(&s->momentum, &x);
    same(gap, &x, momentum_of(c, n, 10, &y), &y);
    gap = realised_value(&s->realised, &x);
    same(gap, &x, realised_of(returns, n - 1, &y), &y);
    gap = ewma_value(&s->ewma, &x);
    same(gap, &x, ewma_of(returns, n - 1, EWMA_LAMBDA_DAILY, &y), &y);
    gap = macd_value(&s->macd, &m);
    same(gap, &m.histogram, macd_of(c, n, &m2), &m2.histogram);
    gap = bollinger_value(&s->bollinger, &b);
    same(gap, &b.upper, bollinger_of(c, n, &b2), &b2.upper);
    gap = bollinger_percent_b(&s->bollinger, &x);
    same(gap, &x, bollinger_percent_b_of(c, n, &y), &y);
    assert_int_equal(drawdown_of(c, n, &d), INDICATOR_OK);
    assert_true(d.now == s->drawdown.now && d.worst == s->drawdown.worst);
    assert_int_equal(d.recovered_at, s->drawdown.recovered_at);
}

TEST(streams_equal_batches_on_every_file)
{
    static double returns[RIG_BARS_MAX];
    for (size_t f = 0; f < ARRAY_LEN(rig_files); f++) {
        struct streams s;
        test_case(rig_files[f]);
        size_t count = rig_read(rig_files[f]);
        stat_returns(rig_closes, count, returns);
        start(&s);
        for (size_t i = 0; i < count; i++) {
            feed(&s, i);
            if (is_asked(i, count)) {
                compare(&s, i + 1, returns);
            }
        }
    }
    test_case(NULL);
}

TEST(realised_volatility_is_the_sample_deviation)
{
    static double returns[RIG_BARS_MAX];
    double x = 0, y = 0;
    size_t count = rig_read(rig_files[2]);
    stat_returns(rig_closes, count, returns);
    assert_int_equal(realised_of(returns, count - 1, &x), INDICATOR_OK);
    assert_int_equal(stat_sd(returns, count - 1, &y), INDICATOR_OK);
    assert_near(x, y, 1e-12 * y);
}

/* ---- by hand ---- */

TEST(averages_by_hand)
{
    const double v[] = {1, 2, 3, 4, 8};
    double x = 0, sd = 0;
    assert_int_equal(sma_of(v, 2, 3, &x), INDICATOR_TOO_FEW);
    assert_int_equal(sma_of(v, 5, 3, &x), INDICATOR_OK);
    assert_near(x, 5, 1e-15);
    assert_int_equal(ema_of(v, 2, 3, &x), INDICATOR_TOO_FEW);
    assert_int_equal(ema_of(v, 3, 3, &x), INDICATOR_OK);
    assert_near(x, 2, 1e-15);
    assert_int_equal(ema_of(v, 5, 3, &x), INDICATOR_OK);
    assert_near(x, 5.5, 1e-15); /* (2+4)/2 = 3, (3+8)/2 */
    struct sma s;
    sma_init(&s, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_ok(sma_add(&s, v[i]));
    }
    assert_int_equal(sma_spread(&s, &x, &sd), INDICATOR_OK);
    assert_near(x, 3.6, 1e-15);
    assert_near(sd * sd, 5.84, 1e-14); /* divisor 5, not 4 */
}

TEST(no_movement_leaves_nothing_behind)
{
    double v[100], x = 42;
    struct macd_value m = {1, 1, 1};
    struct bollinger_value b = {0};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        v[i] = 61056.47;
    }
    assert_int_equal(macd_of(v, 100, &m), INDICATOR_OK);
    assert_true(m.line == 0 && m.signal == 0 && m.histogram == 0);
    assert_int_equal(bollinger_of(v, 100, &b), INDICATOR_OK);
    assert_true(b.lower == 61056.47 && b.middle == 61056.47 && b.upper == 61056.47);
    assert_int_equal(bollinger_percent_b_of(v, 100, &x), INDICATOR_NO_MOVEMENT);
    assert_true(x == 42);
}

TEST(true_range_looks_at_the_close_before)
{
    const struct bar b[] = {
        {.open = 10, .high = 11, .low = 9, .close = 10, .volume = 1},
        {.open = 15, .high = 16, .low = 14, .close = 15, .volume = 1}, /* 16 - 10 */
        {.open = 14, .high = 15, .low = 13, .close = 14, .volume = 1}, /* 2 */
        {.open = 10, .high = 10, .low = 8, .close = 9, .volume = 1},   /* 14 - 8 */
    };
    double x = 0;
    assert_int_equal(atr_of(b, 2, 2, &x), INDICATOR_TOO_FEW);
    assert_int_equal(atr_of(b, 3, 2, &x), INDICATOR_OK);
    assert_near(x, 4, 1e-15);
    assert_int_equal(atr_of(b, 4, 2, &x), INDICATOR_OK);
    assert_near(x, 5, 1e-15);
    struct bar odd = b[0];
    struct atr a;
    odd.low = 12;
    atr_init(&a, 2);
    assert_err(atr_add(&a, &odd), ERR_RANGE);
    assert_int_equal(a.bars, 0);
}

TEST(vwap_weighs_by_volume)
{
    struct vwap v;
    double x = 42;
    vwap_init(&v);
    assert_int_equal(vwap_value(&v, &x), INDICATOR_TOO_FEW);
    assert_ok(vwap_add(&v, 10, 0));
    assert_int_equal(vwap_value(&v, &x), INDICATOR_NO_VOLUME);
    assert_ok(vwap_add(&v, 20, 3));
    assert_ok(vwap_add(&v, 10, 1));
    assert_err(vwap_add(&v, -1, 1), ERR_RANGE);
    assert_err(vwap_add(&v, 1, -1), ERR_RANGE);
    assert_int_equal(vwap_value(&v, &x), INDICATOR_OK);
    assert_near(x, 17.5, 1e-14);
    const struct bar b[] = {{.open = 1, .high = 3, .low = 1, .close = 2, .volume = 7},
                            {.open = 4, .high = 6, .low = 2, .close = 4, .volume = 1},
                            {.open = 8, .high = 9, .low = 7, .close = 8, .volume = 3}};
    assert_int_equal(vwap_of(b, 3, 2, &x), INDICATOR_OK);
    assert_near(x, 7, 1e-14);
    assert_int_equal(vwap_of(b, 3, 4, &x), INDICATOR_TOO_FEW);
}

TEST(ewma_begins_with_the_first_square)
{
    const double r[] = {0.02, -0.01};
    double x = 0;
    assert_int_equal(ewma_of(r, 0, 0.94, &x), INDICATOR_TOO_FEW);
    assert_int_equal(ewma_of(r, 1, 0.94, &x), INDICATOR_OK);
    assert_near(x, 0.02, 1e-17);
    assert_int_equal(ewma_of(r, 2, 0.94, &x), INDICATOR_OK);
    assert_near(x * x, 0.94 * 0.0004 + 0.06 * 0.0001, 1e-17);
}

TEST(momentum_looks_back_over_its_period)
{
    const double c[] = {10, 11, 12, 15};
    double x = 0;
    assert_int_equal(momentum_of(c, 3, 3, &x), INDICATOR_TOO_FEW);
    assert_int_equal(momentum_of(c, 4, 3, &x), INDICATOR_OK);
    assert_near(x, 0.5, 1e-15);
    assert_int_equal(momentum_of(c, 4, 1, &x), INDICATOR_OK);
    assert_near(x, 0.25, 1e-15);
}

TEST(drawdown_names_peak_trough_and_recovery)
{
    const double c[] = {100, 120, 90, 100, 120, 119, 60, 80};
    struct drawdown d;
    assert_int_equal(drawdown_of(c, 0, &d), INDICATOR_TOO_FEW);
    assert_int_equal(drawdown_of(c, 5, &d), INDICATOR_OK);
    assert_near(d.worst, -0.25, 1e-15);
    assert_int_equal(d.peak_at, 1);
    assert_int_equal(d.trough_at, 2);
    assert_int_equal(d.recovered_at, 4);
    assert_true(d.now == 0);
    assert_int_equal(drawdown_of(c, 8, &d), INDICATOR_OK);
    assert_near(d.worst, -0.5, 1e-15);
    assert_int_equal(d.peak_at, 1);
    assert_int_equal(d.trough_at, 6);
    assert_true(d.recovered_at == DRAWDOWN_NEVER);
    assert_near(d.now, 80.0 / 120 - 1, 1e-15);
    /* a first value counts as a high; after a value that is none the history begins anew */
    const double broken[] = {1000, NAN, 100, 80};
    assert_int_equal(drawdown_of(broken, 4, &d), INDICATOR_OK);
    assert_near(d.worst, -0.2, 1e-15);
    assert_int_equal(d.peak_at, 2);
}

TEST(what_is_no_number_is_refused)
{
    struct streams s;
    start(&s);
    assert_err(sma_add(&s.sma, NAN), ERR_RANGE);
    assert_err(ema_add(&s.ema, INFINITY), ERR_RANGE);
    assert_err(macd_add(&s.macd, NAN), ERR_RANGE);
    assert_err(bollinger_add(&s.bollinger, NAN), ERR_RANGE);
    assert_err(momentum_add(&s.momentum, 0), ERR_RANGE);
    assert_err(drawdown_add(&s.drawdown, -1), ERR_RANGE);
    assert_err(realised_add(&s.realised, NAN), ERR_RANGE);
    assert_err(ewma_add(&s.ewma, NAN), ERR_RANGE);
    assert_int_equal(s.sma.count + s.ema.count + s.macd.slow.count + s.momentum.closes +
                         s.drawdown.count + s.realised.count + s.ewma.count,
                     0);
}

enum { BEFORE = 60, BEHIND = 80, ALL = BEFORE + 1 + BEHIND };

static double wave(size_t i)
{
    return 100 + 10 * sin((double)i) + (double)i / 7;
}

/* The same number of the whole, with something impossible in its midst, as of what is behind it. */
static void assert_ends(const char *name, enum indicator_gap whole_gap, double whole,
                        enum indicator_gap behind_gap, double behind)
{
    test_case(name);
    assert_int_equal(whole_gap, INDICATOR_OK);
    assert_int_equal(behind_gap, INDICATOR_OK);
    assert_true(whole == behind);
    test_case(NULL);
}

#define ASSERT_ENDS(name, of_whole, of_behind)           \
    do {                                                 \
        double both[2] = {0, 1};                         \
        enum indicator_gap g[2];                         \
        double *out = &both[0];                          \
        g[0] = of_whole;                                 \
        out = &both[1];                                  \
        g[1] = of_behind;                                \
        assert_ends(name, g[0], both[0], g[1], both[1]); \
    } while (0)

TEST(what_cannot_be_ends_the_history_before_it)
{
    double x[ALL];
    const double *behind = x + BEFORE + 1;
    struct macd_value m[2];
    struct drawdown d;
    for (size_t i = 0; i < ALL; i++) {
        x[i] = wave(i) * (i < BEFORE ? 50 : 1);
    }
    x[BEFORE] = NAN;
    /* Windows that reach back over it: there is too little. */
    double v = 42;
    assert_int_equal(sma_of(x, ALL, BEHIND + 1, &v), INDICATOR_TOO_FEW);
    assert_int_equal(ema_of(x, ALL, BEHIND + 1, &v), INDICATOR_TOO_FEW);
    assert_int_equal(momentum_of(x, ALL, BEHIND, &v), INDICATOR_TOO_FEW);
    assert_int_equal(rsi_of(x, ALL, 14, BEHIND + 1, &v), INDICATOR_TOO_FEW);
    assert_true(v == 42);
    ASSERT_ENDS("ema", ema_of(x, ALL, 20, out), ema_of(behind, BEHIND, 20, out));
    ASSERT_ENDS("rsi", rsi_of(x, ALL, 14, 20, out), rsi_of(behind, BEHIND, 14, 20, out));
    ASSERT_ENDS("realised", realised_of(x, ALL, out), realised_of(behind, BEHIND, out));
    ASSERT_ENDS("ewma", ewma_of(x, ALL, 0.94, out), ewma_of(behind, BEHIND, 0.94, out));
    assert_int_equal(macd_of(x, ALL, &m[0]), INDICATOR_OK);
    assert_int_equal(macd_of(behind, BEHIND, &m[1]), INDICATOR_OK);
    assert_true(m[0].line == m[1].line && m[0].signal == m[1].signal);
    assert_int_equal(macd_of(x, BEFORE + 1 + 33, &m[0]), INDICATOR_TOO_FEW);
    assert_int_equal(bollinger_percent_b_of(x, BEFORE + 1 + 19, &v), INDICATOR_TOO_FEW);
    /* Indices stay those of the array. */
    const double fall[] = {7, 0, 10, 5, 10};
    assert_int_equal(drawdown_of(fall, 5, &d), INDICATOR_OK);
    assert_int_equal(d.peak_at, 2);
    assert_int_equal(d.trough_at, 3);
    assert_int_equal(d.recovered_at, 4);
}

TEST(a_bar_that_cannot_be_ends_the_history_before_it)
{
    struct bar bars[ALL];
    double v = 42;
    for (size_t i = 0; i < ALL; i++) {
        double c = wave(i) * (i < BEFORE ? 50 : 1);
        bars[i] = (struct bar){(int64_t)i, c, c + 2, c - 1, c + 1, 3};
    }
    const struct bar *behind = bars + BEFORE + 1;
    const struct bar bad[] = {
        {0, 5, 6, 4, NAN, 1}, {0, 5, 6, 0, 5, 1},
        {0, 5, 6, 4, 5, -1},  {0, 3, 6, 4, 5, 1},
        {0, 5, 6, 4, 3, 1},   {0, 7, 6, 4, 5, 1},
        {0, 5, 6, 4, 7, 1},   {0, INFINITY, INFINITY, 4, 5, 1},
        {0, 5, 6, 4, 5, NAN}, {0, 5, NAN, 4, 5, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bars[BEFORE] = bad[i];
        assert_false(bar_is_sound(&bad[i]));
        ASSERT_ENDS("atr", atr_of(bars, ALL, 14, out), atr_of(behind, BEHIND, 14, out));
        assert_int_equal(vwap_of(bars, ALL, BEHIND + 1, &v), INDICATOR_TOO_FEW);
        assert_true(v == 42);
    }
    ASSERT_ENDS("vwap", vwap_of(bars, ALL, BEHIND, out), vwap_of(behind, BEHIND, BEHIND, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_equal_batches_on_every_file),
        cmocka_unit_test(realised_volatility_is_the_sample_deviation),
        cmocka_unit_test(averages_by_hand),
        cmocka_unit_test(no_movement_leaves_nothing_behind),
        cmocka_unit_test(true_range_looks_at_the_close_before),
        cmocka_unit_test(vwap_weighs_by_volume),
        cmocka_unit_test(ewma_begins_with_the_first_square),
        cmocka_unit_test(momentum_looks_back_over_its_period),
        cmocka_unit_test(drawdown_names_peak_trough_and_recovery),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(what_cannot_be_ends_the_history_before_it),
        cmocka_unit_test(a_bar_that_cannot_be_ends_the_history_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
