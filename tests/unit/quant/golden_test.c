/* The golden values of the market page, C4 (R with TTR, numpy and scipy), over the whole of quant.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/quant/rig.h"

#include "quant/atr.h"
#include "quant/average.h"
#include "quant/bollinger.h"
#include "quant/drawdown.h"
#include "quant/macd.h"
#include "quant/performance.h"
#include "quant/risk.h"
#include "quant/statistics.h"
#include "quant/volatility.h"

#include <math.h>

#define YEAR 365

/* The last 365 simple returns of a daily file, and the 366 closes they are made of. */
static double closes[YEAR + 1], returns[YEAR], sorted[YEAR];

static void read_year(const char *path)
{
    size_t count = rig_read(path);
    memcpy(closes, rig_closes + count - YEAR - 1, sizeof(closes));
    stat_returns(closes, YEAR + 1, returns);
    memcpy(sorted, returns, sizeof(sorted));
    stat_sort(sorted, YEAR);
}

#define assert_value(call, variable, expected)  \
    do {                                        \
        assert_int_equal((call), INDICATOR_OK); \
        assert_close((variable), (expected));   \
    } while (0)

TEST(indicators_of_btc)
{
    size_t n = rig_read("ohlcv/daily/BTCUSDT.csv");
    double v = 0;
    struct macd_value macd = {0};
    struct bollinger_value bands = {0};
    assert_value(ema_of(rig_closes, n, 12, &v), v, 69301.2939618);
    assert_value(ema_of(rig_closes, n, 26, &v), v, 72797.9233202);
    assert_value(sma_of(rig_closes, n, 20, &v), v, 73270.572);
    assert_value(macd_of(rig_closes, n, &macd), macd.line, -3496.62935843);
    assert_close(macd.signal, -1970.26905913);
    assert_close(macd.histogram, -1526.3602993);
    assert_value(bollinger_of(rig_closes, n, &bands), bands.lower, 63220.508795);
    assert_close(bands.upper, 83320.635205);
    assert_value(bollinger_percent_b_of(rig_closes, n, &v), v, -0.107662944543);
    assert_value(atr_of(rig_bars, n, 14, &v), v, 2530.24743245);
}

TEST(moments_and_volatility_of_btc)
{
    double v = 0, logs[YEAR];
    read_year("ohlcv/daily/BTCUSDT.csv");
    assert_value(stat_mean(returns, YEAR, &v), v, -0.00113999805262);
    assert_value(stat_sd(returns, YEAR, &v), v, 0.0223879090178);
    assert_value(realised_of(returns, YEAR, &v), v, 0.0223879090178);
    assert_close(v * sqrt(365), 0.42772040122);
    stat_log_returns(closes, YEAR + 1, logs);
    assert_value(stat_sd(logs, YEAR, &v), v * sqrt(365), 0.430384738702);
    assert_value(stat_skew(returns, YEAR, &v), v, -0.262364045019);
    assert_value(stat_excess_kurtosis(returns, YEAR, &v), v, 6.316004416);
    assert_value(ewma_of(returns, YEAR, EWMA_LAMBDA_DAILY, &v), v, 0.0244543029517);
}

TEST(risk_of_btc)
{
    double v = 0;
    bool fell_back = true;
    read_year("ohlcv/daily/BTCUSDT.csv");
    assert_value(risk_var(sorted, YEAR, 0.95, &v), v, 0.0359830601839);
    assert_value(risk_var(sorted, YEAR, 0.99, &v), v, 0.057809314836);
    assert_value(risk_cvar(sorted, YEAR, 0.95, &v), v, 0.052389995913);
    assert_value(risk_var_normal(returns, YEAR, 0.95, &v), v, 0.0379648314004);
    assert_value(risk_var_cornish_fisher(sorted, YEAR, 0.95, &v, &fell_back), v, 0.0367519505174);
    assert_false(fell_back);
}

TEST(ratios_of_btc)
{
    double v = 0;
    struct drawdown d = {0};
    read_year("ohlcv/daily/BTCUSDT.csv");
    assert_value(perf_sharpe(returns, YEAR, 0, 365, &v), v, -0.972830119906);
    assert_value(perf_sortino(returns, YEAR, 0, 365, &v), v, -1.30509814383);
    assert_value(drawdown_of(closes, YEAR + 1, &d), d.worst, -0.510210291248);
    assert_value(perf_cagr(closes, YEAR + 1, 365, &v), v, -0.398509861423);
    assert_value(perf_calmar(closes, YEAR + 1, 365, &v), v, -0.781069822107);
}

TEST(three_other_coins)
{
    static const struct {
        const char *path;
        double rsi, volatility, var, cvar, drawdown, sharpe;
    } cases[] = {
        {"ohlcv/daily/ETHUSDT.csv", 13.0537776737, 0.6766916739, 0.053330436396, 0.078104978408,
         -0.672314349751, -0.2855066292},
        {"ohlcv/daily/SOLUSDT.csv", 16.5362715452, 0.7213810244, 0.057131736926, 0.082503446766,
         -0.742868686869, -0.7720625596},
        {"ohlcv/daily/DOGEUSDT.csv", 19.2404362292, 0.7956462623, 0.057216622915, 0.089278005414,
         -0.718432510885, -0.5320160221},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double v = 0;
        struct drawdown d = {0};
        test_case(cases[i].path);
        size_t n = rig_read(cases[i].path);
        assert_value(rsi_of(rig_closes, n, 14, RSI_MIN_CLOSES, &v), v, cases[i].rsi);
        read_year(cases[i].path);
        assert_value(stat_sd(returns, YEAR, &v), v * sqrt(365), cases[i].volatility);
        assert_value(risk_var(sorted, YEAR, 0.95, &v), v, cases[i].var);
        assert_value(risk_cvar(sorted, YEAR, 0.95, &v), v, cases[i].cvar);
        assert_value(drawdown_of(closes, YEAR + 1, &d), d.worst, cases[i].drawdown);
        assert_value(perf_sharpe(returns, YEAR, 0, 365, &v), v, cases[i].sharpe);
    }
    test_case(NULL);
}

TEST(eth_on_btc_and_a_portfolio_of_both)
{
    double btc[YEAR], covariance[4], parts[2], v = 0;
    const double weights[] = {0.6, 0.4};
    struct perf_market m = {0};
    read_year("ohlcv/daily/BTCUSDT.csv");
    memcpy(btc, returns, sizeof(btc));
    read_year("ohlcv/daily/ETHUSDT.csv");
    assert_value(perf_against(returns, btc, YEAR, 0, 365, &m), m.beta, 1.35362360446);
    assert_close(m.correlation, 0.855592662874);
    assert_close(m.alpha, 0.370041860825);
    assert_int_equal(stat_covariance(btc, btc, YEAR, &covariance[0]), INDICATOR_OK);
    assert_int_equal(stat_covariance(btc, returns, YEAR, &covariance[1]), INDICATOR_OK);
    assert_int_equal(stat_covariance(returns, returns, YEAR, &covariance[3]), INDICATOR_OK);
    covariance[2] = covariance[1];
    assert_value(risk_portfolio(weights, covariance, 2, &v, parts), v, 0.0265862442697);
    assert_close(parts[0], 0.0129115388516);
    assert_close(parts[1], 0.0136747054181);
}

TEST(kupiec_of_the_rolling_var_of_btc)
{
    enum { DAYS = 730 };
    size_t n = rig_read("ohlcv/daily/BTCUSDT.csv"), exceptions = 0;
    static double all[RIG_BARS_MAX];
    double var = 0, lr = 0, p = 0;
    stat_returns(rig_closes, n, all);
    for (size_t i = n - 1 - DAYS; i < n - 1; i++) {
        memcpy(sorted, all + i - YEAR, sizeof(sorted));
        stat_sort(sorted, YEAR);
        assert_int_equal(risk_var(sorted, YEAR, 0.95, &var), INDICATOR_OK);
        exceptions += all[i] < -var;
    }
    assert_int_equal(exceptions, 36);
    assert_int_equal(risk_kupiec(exceptions, DAYS, 0.95, &lr, &p), INDICATOR_OK);
    /* the difference of two sums near 290: its last digits are theirs */
    assert_near(lr, 0.00724121013428, 1e-12);
    assert_near(p, 0.932, 5e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indicators_of_btc),
        cmocka_unit_test(moments_and_volatility_of_btc),
        cmocka_unit_test(risk_of_btc),
        cmocka_unit_test(ratios_of_btc),
        cmocka_unit_test(three_other_coins),
        cmocka_unit_test(eth_on_btc_and_a_portfolio_of_both),
        cmocka_unit_test(kupiec_of_the_rolling_var_of_btc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
