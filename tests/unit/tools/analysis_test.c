/* What `coincast analyse` prints, and what it refuses. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/json.h"
#include "tools/analysis.h"
#include "tools/candle_file.h"
#include "tools/tools.h"

#include <math.h>
#include <unistd.h>

static struct json *analyse(const char *text, const char *market_text)
{
    struct series s, market = {0};
    struct buf out = {0}, error = {0};
    struct json *root = NULL;
    char why[JSON_ERROR_LEN] = "";
    assert_ok(series_read(&s, str_of(text), &error));
    if (market_text) {
        assert_ok(series_read(&market, str_of(market_text), &error));
    }
    analysis_write(&out, STR("X"), &s, STR("M"), market_text ? &market : NULL);
    if (json_parse(buf_str(&out), &root, why) != OK) {
        print_error("%s\n", why);
    }
    assert_non_null(root);
    series_fini(&s);
    series_fini(&market);
    buf_fini(&out);
    return root;
}

static double number(const struct json *root, const char *group, const char *key)
{
    double v = NAN;
    if (!json_get_double(json_get(json_get(root, group), key), &v)) {
        print_error("%s.%s is no number\n", group, key);
    }
    return v;
}

static struct str reason(const struct json *root, const char *key)
{
    struct str s = {0};
    json_get_str(json_get(json_get(root, "reasons"), key), &s);
    return s;
}

/* `count` days, close(i) from `price`. */
static void write_days(struct buf *out, size_t count, double (*price)(size_t i))
{
    buf_add_lit(out, "time_utc,open,high,low,close,volume\n");
    for (size_t i = 0; i < count; i++) {
        double c = price(i);
        buf_printf(out, "20%02zu-%02zu-%02zuT00:00:00Z,%.17g,%.17g,%.17g,%.17g,3\n", 10 + i / 336,
                   1 + i / 28 % 12, 1 + i % 28, c, c, c, c);
    }
}

static double flat(size_t i)
{
    (void)i;
    return 61056.47;
}

static double saw(size_t i)
{
    return 100 + (double)(i * 7 % 13);
}

static double double_saw(size_t i)
{
    return i == 0 ? 100 : 100 + 2 * (double)(i * 7 % 13);
}

TEST(golden_values_come_out)
{
    static const struct {
        const char *group, *key;
        double value;
    } cases[] = {
        {"indicators", "rsi_14", 15.6208880512},
        {"indicators", "ema_12", 69301.2939618},
        {"indicators", "ema_26", 72797.9233202},
        {"indicators", "sma_20", 73270.572},
        {"indicators", "macd", -3496.62935843},
        {"indicators", "macd_signal", -1970.26905913},
        {"indicators", "macd_histogram", -1526.3602993},
        {"indicators", "atr_14", 2530.24743245},
        {"indicators", "bollinger_lower", 63220.508795},
        {"indicators", "bollinger_upper", 83320.635205},
        {"indicators", "bollinger_percent_b", -0.107662944543},
        {"statistics", "volatility", 0.42772040122},
        {"statistics", "volatility_log", 0.430384738702},
        {"statistics", "var_95", 0.0359830601839},
        {"statistics", "var_99", 0.057809314836},
        {"statistics", "cvar_95", 0.052389995913},
        {"statistics", "var_95_normal", 0.0379648314004},
        {"statistics", "var_95_cornish_fisher", 0.0367519505174},
        {"statistics", "ewma_volatility", 0.0244543029517},
        {"statistics", "sharpe", -0.972830119906},
        {"statistics", "sortino", -1.30509814383},
        {"statistics", "max_drawdown", -0.510210291248},
        {"statistics", "total_return", -0.398509861423},
        {"statistics", "calmar", -0.781069822107},
        {"statistics", "var_95_exceptions", 36},
        {"market", "beta", 1},
        {"market", "correlation", 1},
    };
    struct buf text = {0};
    fixture_read("ohlcv/daily/BTCUSDT.csv", &text);
    struct json *root = analyse(buf_text(&text), buf_text(&text));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].key);
        assert_near(number(root, cases[i].group, cases[i].key), cases[i].value,
                    1e-9 * fabs(cases[i].value));
    }
    test_case(NULL);
    assert_near(number(root, "statistics", "kupiec_lr"), 0.00724121013428, 1e-12);
    json_free(root);
    buf_fini(&text);
}

TEST(ltc_falls_back_to_history_and_says_so)
{
    struct buf text = {0};
    struct str method = {0};
    fixture_read("ohlcv/daily/LTCUSDT.csv", &text);
    struct json *root = analyse(buf_text(&text), NULL);
    const struct json *statistics = json_get(root, "statistics");
    assert_true(json_get_str(json_get(statistics, "var_95_cornish_fisher_method"), &method));
    assert_str(method, "historical: skew and kurtosis are outside the domain");
    assert_true(number(root, "statistics", "var_95") ==
                number(root, "statistics", "var_95_cornish_fisher"));
    json_free(root);
    buf_fini(&text);
}

TEST(what_is_unknown_is_null_and_says_why)
{
    struct buf text = {0};
    write_days(&text, 1, saw);
    struct json *root = analyse(buf_text(&text), NULL);
    static const char *const nulls[][3] = {
        {"indicators", "rsi_14", "insufficient data: 1 of 100"},
        {"indicators", "macd_signal", "insufficient data: 1 of 34"},
        {"indicators", "atr_14", "insufficient data: 1 of 15"},
        {"statistics", "volatility", "insufficient data: 0 of 2"},
        {"statistics", "var_95", "insufficient data: 0 of 100"},
        {"statistics", "var_99", "insufficient data: 0 of 250"},
        {"statistics", "sharpe", "insufficient data: 0 of 30"},
        {"statistics", "max_drawdown_peak", "it never fell below a high"},
        {"statistics", "total_return", "insufficient data: 0 of 1"},
        {"statistics", "kupiec_p", "insufficient data: 0 of 1095"},
    };
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++) {
        test_case(nulls[i][1]);
        const struct json *v = json_get(json_get(root, nulls[i][0]), nulls[i][1]);
        assert_non_null(v);
        assert_int_equal(json_kind(v), JSON_NULL);
        assert_str(reason(root, nulls[i][1]), nulls[i][2]);
    }
    test_case(NULL);
    assert_str(reason(root, "interval"), "one candle has no interval");
    json_free(root);
    buf_fini(&text);
}

TEST(no_movement_is_no_ratio)
{
    struct buf text = {0};
    write_days(&text, 31, flat);
    struct json *root = analyse(buf_text(&text), buf_text(&text));
    assert_str(reason(root, "bollinger_percent_b"), "no movement");
    assert_str(reason(root, "sharpe"), "no movement");
    assert_str(reason(root, "sortino"), "no movement");
    assert_str(reason(root, "skew"), "no movement");
    assert_str(reason(root, "beta"), "no movement");
    assert_str(reason(root, "calmar"), "no movement");
    assert_true(number(root, "statistics", "volatility") == 0);
    assert_true(number(root, "statistics", "max_drawdown") == 0);
    assert_true(number(root, "indicators", "sma_20") == 61056.47);
    json_free(root);
    buf_clear(&text);
    write_days(&text, 128, flat);
    root = analyse(buf_text(&text), NULL);
    assert_str(reason(root, "rsi_14"), "no movement");
    assert_true(number(root, "indicators", "macd") == 0);
    json_free(root);
    buf_fini(&text);
}

TEST(only_steps_of_both_are_joined)
{
    struct buf a = {0}, b = {0};
    write_days(&a, 28, saw);
    write_days(&b, 28, double_saw);
    struct json *root = analyse(buf_text(&a), buf_text(&b));
    assert_near(number(root, "market", "joined_returns"), 27, 0);
    json_free(root);
    /* without the 10th of one: two steps are gone */
    size_t cut = str_find_str(buf_str(&b), STR("2010-01-10T"));
    size_t end = str_find(buf_str(&b), '\n', cut) + 1;
    memmove(b.ptr + cut, b.ptr + end, b.len - end);
    b.len -= end - cut;
    root = analyse(buf_text(&a), buf_text(&b));
    assert_near(number(root, "market", "joined_returns"), 25, 0);
    json_free(root);
    buf_fini(&a);
    buf_fini(&b);
}

TEST(wrong_files_are_refused_in_one_line)
{
    const char *dir = test_make_dir();
    struct buf path = {0}, error = {0};
    struct series s;
    buf_printf(&path, "%s/a.csv", dir);
    assert_err(candle_file_read(buf_text(&path), &s, &error), ERR_NOT_FOUND);
    assert_contains(buf_str(&error), "a.csv: cannot be read: No such file");
    buf_clear(&error);
    assert_true(candle_file_read(dir, &s, &error) != OK);
    assert_contains(buf_str(&error), "Is a directory");
    buf_clear(&error);
    FILE *f = fopen(buf_text(&path), "w");
    assert_non_null(f);
    fputs("time_utc,open,high,low,close,volume\n2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n"
          "2024-01-02T00:00:00Z,1,2,0.5,x,10\n2024-01-03T00:00:00Z,1,2,0.5,y,10\n",
          f);
    fclose(f);
    assert_err(candle_file_read(buf_text(&path), &s, &error), ERR_SYNTAX);
    assert_contains(buf_str(&error), "a.csv: line 3: close \"x\" is no price (and 1 more rows)");
    assert_str(candle_file_name(buf_text(&path)), "a");
    test_remove_dir(dir);
    buf_fini(&path);
    buf_fini(&error);
}

TEST(wrong_usage_ends_with_2)
{
    char *none[] = {NULL};
    char *two[] = {"a.csv", "b.csv"};
    char *unknown[] = {"--nonsense"};
    char *fee[] = {"--fee", "2", "a.csv"};
    char *interval[] = {"--interval=x", "a.csv"};
    char *missing[] = {"/nonexistent/a.csv"};
    assert_int_equal(tool_analyse(0, none), 2);
    assert_int_equal(tool_analyse(2, two), 2);
    assert_int_equal(tool_analyse(1, unknown), 2);
    assert_int_equal(tool_analyse(1, missing), 1);
    assert_int_equal(tool_backtest(0, none), 2);
    assert_int_equal(tool_backtest(1, unknown), 2);
    assert_int_equal(tool_backtest(3, fee), 2);
    assert_int_equal(tool_backtest(2, interval), 2);
    assert_int_equal(tool_backtest(1, missing), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values_come_out),
        cmocka_unit_test(ltc_falls_back_to_history_and_says_so),
        cmocka_unit_test(what_is_unknown_is_null_and_says_why),
        cmocka_unit_test(no_movement_is_no_ratio),
        cmocka_unit_test(only_steps_of_both_are_joined),
        cmocka_unit_test(wrong_files_are_refused_in_one_line),
        cmocka_unit_test(wrong_usage_ends_with_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
