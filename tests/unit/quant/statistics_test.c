/* Statistics, risk and performance by hand; golden_test.c has the recorded data.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "quant/performance.h"
#include "quant/risk.h"
#include "quant/statistics.h"

#include <math.h>

TEST(moments_by_hand)
{
    const double x[] = {1, 2, 3, 10};
    double v = 0;
    assert_int_equal(stat_mean(x, 4, &v), INDICATOR_OK);
    assert_near(v, 4, 1e-15);
    assert_int_equal(stat_sd(x, 4, &v), INDICATOR_OK);
    assert_near(v * v, 50.0 / 3, 1e-14);
    assert_int_equal(stat_skew(x, 4, &v), INDICATOR_OK);
    assert_near(v, (180.0 / 4) / pow(12.5, 1.5), 1e-14);
    assert_int_equal(stat_excess_kurtosis(x, 4, &v), INDICATOR_OK);
    assert_near(v, (1394.0 / 4) / (12.5 * 12.5) - 3, 1e-14);
}

TEST(too_few_and_unmoved_samples_have_no_number)
{
    const double same[] = {0.1, 0.1, 0.1, 0.1, 0.1};
    double v = 42;
    struct perf_market m;
    assert_int_equal(stat_mean(same, 0, &v), INDICATOR_TOO_FEW);
    assert_int_equal(stat_sd(same, 1, &v), INDICATOR_TOO_FEW);
    assert_int_equal(stat_skew(same, 2, &v), INDICATOR_TOO_FEW);
    assert_int_equal(stat_excess_kurtosis(same, 3, &v), INDICATOR_TOO_FEW);
    assert_int_equal(stat_skew(same, 5, &v), INDICATOR_NO_MOVEMENT);
    assert_int_equal(stat_excess_kurtosis(same, 5, &v), INDICATOR_NO_MOVEMENT);
    double many[PERF_MIN_RETURNS];
    for (size_t i = 0; i < PERF_MIN_RETURNS; i++) {
        many[i] = 0.1;
    }
    assert_int_equal(perf_sharpe(many, PERF_MIN_RETURNS, 0, 365, &v), INDICATOR_NO_MOVEMENT);
    assert_int_equal(perf_sortino(many, PERF_MIN_RETURNS, 0, 365, &v), INDICATOR_NO_MOVEMENT);
    many[3] = -0.1;
    assert_int_equal(perf_sharpe(many, PERF_MIN_RETURNS - 1, 0, 365, &v), INDICATOR_TOO_FEW);
    assert_int_equal(perf_sortino(many, PERF_MIN_RETURNS - 1, 0, 365, &v), INDICATOR_TOO_FEW);
    assert_int_equal(perf_calmar(same, 5, 365, &v), INDICATOR_NO_MOVEMENT);
    assert_int_equal(stat_correlation(same, same, 5, &v), INDICATOR_NO_MOVEMENT);
    assert_int_equal(perf_against(same, same, 5, 0, 365, &m), INDICATOR_NO_MOVEMENT);
    assert_int_equal(perf_against(same, same, 1, 0, 365, &m), INDICATOR_TOO_FEW);
    assert_true(v == 42);
}

TEST(quantiles_are_of_type_7)
{
    double x[10], v = 0;
    for (int i = 0; i < 10; i++) {
        x[i] = 10 - i;
    }
    stat_sort(x, 10);
    assert_true(x[0] == 1 && x[9] == 10);
    assert_int_equal(stat_quantile(x, 10, 0.05, &v), INDICATOR_OK);
    assert_near(v, 1.45, 1e-14);
    assert_int_equal(stat_quantile(x, 10, 0.25, &v), INDICATOR_OK);
    assert_near(v, 3.25, 1e-14);
    assert_int_equal(stat_quantile(x, 10, 0, &v), INDICATOR_OK);
    assert_near(v, 1, 0);
    assert_int_equal(stat_quantile(x, 10, 1, &v), INDICATOR_OK);
    assert_near(v, 10, 0);
    assert_int_equal(stat_quantile(x, 0, 0.5, &v), INDICATOR_TOO_FEW);
}

TEST(normal_quantiles_are_exact)
{
    /* R 4.2: qnorm(p), 16 digits */
    static const double cases[][2] = {
        {0.05, -1.6448536269514729}, {0.01, -2.3263478740408408}, {0.5, 0},
        {0.975, 1.959963984540054},  {1e-6, -4.753424308822899},  {0.3, -0.5244005127080409}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_near(stat_normal_quantile(cases[i][0]), cases[i][1], 1e-13);
    }
}

/* 200 returns -1.00, -0.99 … 0.99, as per cent. */
static void fill(double *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r[i] = ((double)i - 100) / 10000;
    }
}

TEST(value_at_risk_by_hand)
{
    double r[300], v = 42;
    fill(r, 200);
    assert_int_equal(risk_var(r, 99, 0.95, &v), INDICATOR_TOO_FEW);
    assert_int_equal(risk_cvar(r, 99, 0.95, &v), INDICATOR_TOO_FEW);
    assert_int_equal(risk_var_normal(r, 99, 0.95, &v), INDICATOR_TOO_FEW);
    assert_int_equal(risk_var(r, 200, 0.99, &v), INDICATOR_TOO_FEW);
    assert_true(v == 42);
    /* h = 199*0.05 = 9.95: -0.009005; at or below it are the first ten, mean -0.00955 */
    assert_int_equal(risk_var(r, 200, 0.95, &v), INDICATOR_OK);
    assert_near(v, 0.009005, 1e-15);
    assert_int_equal(risk_cvar(r, 200, 0.95, &v), INDICATOR_OK);
    assert_near(v, 0.00955, 1e-15);
    fill(r, 300);
    assert_int_equal(risk_var(r, 300, 0.99, &v), INDICATOR_OK);
    assert_near(v, 0.009701, 1e-15);
    for (size_t i = 0; i < 300; i++) {
        r[i] = 0.5;
    }
    assert_int_equal(risk_var_normal(r, 300, 0.95, &v), INDICATOR_NO_MOVEMENT);
    /* The quantile itself is in the tail. */
    assert_int_equal(risk_cvar(r, 300, 0.95, &v), INDICATOR_OK);
    assert_near(v, -0.5, 1e-15);
    fill(r, 200);
    bool fell_back = false;
    v = 42;
    assert_int_equal(risk_var_cornish_fisher(r, 99, 0.95, &v, &fell_back), INDICATOR_TOO_FEW);
    assert_int_equal(risk_var_cornish_fisher(r, 200, 0.99, &v, &fell_back), INDICATOR_TOO_FEW);
    assert_true(v == 42);
}

TEST(cornish_fisher_keeps_to_its_domain)
{
    assert_true(risk_cornish_fisher_valid(0, 0));
    assert_true(risk_cornish_fisher_valid(0, 7.999));
    assert_false(risk_cornish_fisher_valid(0, 8.001));
    assert_false(risk_cornish_fisher_valid(0, -0.1));
    assert_false(risk_cornish_fisher_valid(1, 0));
    /* roots of the condition, found by halving in another program */
    assert_false(risk_cornish_fisher_valid(1, 1.5690));
    assert_true(risk_cornish_fisher_valid(1, 1.5691));
    assert_true(risk_cornish_fisher_valid(-1, 8.8753));
    assert_false(risk_cornish_fisher_valid(-1, 8.8754));
    assert_true(risk_cornish_fisher_valid(0.5, 8.2214));
    assert_false(risk_cornish_fisher_valid(0.5, 8.2215));
    assert_true(risk_cornish_fisher_valid(-0.262364045019, 6.316004416));
}

TEST(cornish_fisher_falls_back_to_history_and_says_so)
{
    double r[200], v = 0, historical = 0, normal = 0;
    bool fell_back = false;
    fill(r, 200);
    r[199] = 5; /* one day beyond all others: K near 195 */
    assert_int_equal(risk_var_cornish_fisher(r, 200, 0.95, &v, &fell_back), INDICATOR_OK);
    assert_true(fell_back);
    assert_int_equal(risk_var(r, 200, 0.95, &historical), INDICATOR_OK);
    assert_true(v == historical);
    assert_int_equal(risk_var_cornish_fisher(r, 99, 0.95, &v, &fell_back), INDICATOR_TOO_FEW);
    /* fat tails on both sides: smaller than normal at 95 % */
    fill(r, 200);
    for (int i = 0; i < 6; i++) {
        r[i] = -0.03;
        r[199 - i] = 0.03;
    }
    assert_int_equal(risk_var_cornish_fisher(r, 200, 0.95, &v, &fell_back), INDICATOR_OK);
    assert_int_equal(risk_var_normal(r, 200, 0.95, &normal), INDICATOR_OK);
    assert_false(fell_back);
    assert_true(v < normal);
}

TEST(contributions_sum_to_the_volatility)
{
    const double w[] = {0.5, 0.3, 0.2};
    const double c[] = {0.04, 0.01, 0.00, 0.01, 0.09, -0.02, 0.00, -0.02, 0.16};
    const double none[] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    double v = 0, parts[3];
    assert_int_equal(risk_portfolio(w, c, 3, &v, parts), INDICATOR_OK);
    assert_near(v * v, 0.25 * 0.04 + 0.09 * 0.09 + 0.04 * 0.16 + 2 * (0.15 * 0.01 - 0.06 * 0.02),
                1e-16);
    assert_near(parts[0] + parts[1] + parts[2], v, 1e-16);
    assert_near(parts[0], 0.5 * (0.5 * 0.04 + 0.3 * 0.01) / v, 1e-16);
    assert_int_equal(risk_portfolio(w, none, 3, &v, parts), INDICATOR_NO_MOVEMENT);
    assert_int_equal(risk_portfolio(w, none, 0, &v, NULL), INDICATOR_TOO_FEW);
}

TEST(kupiec_by_hand)
{
    double lr = 0, p = 0;
    assert_int_equal(risk_kupiec(0, 0, 0.95, &lr, &p), INDICATOR_TOO_FEW);
    assert_int_equal(risk_kupiec(5, 100, 0.95, &lr, &p), INDICATOR_OK);
    assert_near(lr, 0, 1e-12);
    assert_near(p, 1, 1e-5);
    assert_int_equal(risk_kupiec(0, 100, 0.95, &lr, &p), INDICATOR_OK);
    assert_near(lr, -200 * log(0.95), 1e-12);
    assert_int_equal(risk_kupiec(10, 10, 0.95, &lr, &p), INDICATOR_OK);
    assert_near(lr, -20 * log(0.05), 1e-11);
    assert_true(p < 1e-9);
}

TEST(ratios_by_hand)
{
    const double r[] = {0.02, -0.01, 0.03, -0.02};
    const double market[] = {0.01, -0.005, 0.015, -0.01};
    const double values[] = {100, 150, 75, 120};
    double v = 0;
    struct perf_market m = {0};
    double eight_times[32];
    for (size_t i = 0; i < 32; i++) {
        eight_times[i] = r[i % 4];
    }
    assert_int_equal(perf_sharpe(eight_times, 32, 0, 4, &v), INDICATOR_OK);
    assert_near(v, 0.005 / sqrt(8 * 0.0017 / 31) * 2, 1e-13);
    assert_int_equal(perf_sharpe(eight_times, 32, 0.02, 4, &v), INDICATOR_OK);
    assert_near(v, 0, 1e-13);
    /* the divisor is all of them, not the half that lost */
    assert_int_equal(perf_sortino(eight_times, 32, 0, 4, &v), INDICATOR_OK);
    assert_near(v, 0.005 / sqrt(0.0005 / 4) * 2, 1e-13);
    assert_int_equal(perf_cagr(values, 4, 3, &v), INDICATOR_OK);
    assert_near(v, 0.2, 1e-14);
    assert_int_equal(perf_calmar(values, 4, 3, &v), INDICATOR_OK);
    assert_near(v, 0.4, 1e-14);
    assert_int_equal(perf_against(r, market, 4, 0.04, 4, &m), INDICATOR_OK);
    assert_near(m.beta, 2, 1e-13);
    assert_near(m.correlation, 1, 1e-13);
    assert_near(m.alpha, 4 * (0.005 - 0.01 - 2 * (0.0025 - 0.01)), 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_by_hand),
        cmocka_unit_test(too_few_and_unmoved_samples_have_no_number),
        cmocka_unit_test(quantiles_are_of_type_7),
        cmocka_unit_test(normal_quantiles_are_exact),
        cmocka_unit_test(value_at_risk_by_hand),
        cmocka_unit_test(cornish_fisher_keeps_to_its_domain),
        cmocka_unit_test(cornish_fisher_falls_back_to_history_and_says_so),
        cmocka_unit_test(contributions_sum_to_the_volatility),
        cmocka_unit_test(kupiec_by_hand),
        cmocka_unit_test(ratios_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
