/* SPDX-License-Identifier: MIT */
#include "tools/analysis.h"

#include "base/alloc.h"
#include "base/json.h"
#include "market/signal.h"
#include "quant/atr.h"
#include "quant/average.h"
#include "quant/bollinger.h"
#include "quant/drawdown.h"
#include "quant/macd.h"
#include "quant/momentum.h"
#include "quant/performance.h"
#include "quant/risk.h"
#include "quant/statistics.h"
#include "quant/volatility.h"
#include "quant/vwap.h"

#include <math.h>

#define DAY_MS 86400000.0
/* What the server keeps of a symbol, so that both begin their hysteresis alike. */
#define SETTLE_CANDLES 1000

struct report {
    const struct series *s;
    struct json_writer json, reasons;
    struct buf reasons_text;
    double *closes;
    size_t returns; /* of the statistics */
    double values[ANALYSIS_RETURNS], sorted[ANALYSIS_RETURNS], logs[ANALYSIS_RETURNS];
    const double *from; /* the closes they are made of: returns + 1 */
    double per_year;    /* steps a year; NaN: unknown */
};

static void put_reason(struct report *r, const char *key, const char *why)
{
    json_key(&r->reasons, key);
    json_text(&r->reasons, why);
}

/* A number, or null and why. `need` and `have` are said where there is too little. */
static void put(struct report *r, const char *key, enum indicator_gap gap, double value,
                size_t need, size_t have)
{
    char why[96];
    json_key(&r->json, key);
    if (gap == INDICATOR_OK && isfinite(value)) {
        json_double(&r->json, value);
        return;
    }
    json_null(&r->json);
    if (gap == INDICATOR_TOO_FEW) {
        snprintf(why, sizeof(why), "insufficient data: %zu of %zu", have, need);
        put_reason(r, key, why);
    } else if (gap != INDICATOR_OK) {
        put_reason(r, key, indicator_gap_text(gap));
    } else {
        put_reason(r, key, isnan(r->per_year) ? "the interval is unknown" : "not a finite number");
    }
}

static void put_time(struct report *r, const char *key, int64_t unix_ms)
{
    json_key(&r->json, key);
    json_time(&r->json, unix_ms);
}

/* ---- indicators ---- */

static void put_averages(struct report *r)
{
    static const struct {
        const char *key;
        uint32_t period;
        bool simple;
    } rows[] = {{"ema_12", 12, false}, {"ema_20", 20, false}, {"ema_26", 26, false},
                {"ema_50", 50, false}, {"sma_20", 20, true},  {"sma_50", 50, true},
                {"sma_200", 200, true}};
    size_t n = r->s->count;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double v = 0;
        enum indicator_gap gap = rows[i].simple ? sma_of(r->closes, n, rows[i].period, &v)
                                                : ema_of(r->closes, n, rows[i].period, &v);
        put(r, rows[i].key, gap, v, rows[i].period, n);
    }
}

static void put_indicators(struct report *r)
{
    size_t n = r->s->count;
    double v = 0;
    struct macd_value macd = {0};
    struct bollinger_value bands = {0};
    struct drawdown high = {0};
    json_key(&r->json, "indicators");
    json_object(&r->json);
    enum indicator_gap gap = rsi_of(r->closes, n, 14, RSI_MIN_CLOSES, &v);
    put(r, "rsi_14", gap, v, RSI_MIN_CLOSES, n);
    put_averages(r);
    gap = macd_of(r->closes, n, &macd);
    put(r, "macd", gap, macd.line, 34, n);
    put(r, "macd_signal", gap, macd.signal, 34, n);
    put(r, "macd_histogram", gap, macd.histogram, 34, n);
    gap = atr_of(r->s->bars, n, 14, &v);
    put(r, "atr_14", gap, v, 15, n);
    gap = bollinger_of(r->closes, n, &bands);
    put(r, "bollinger_lower", gap, bands.lower, 20, n);
    put(r, "bollinger_middle", gap, bands.middle, 20, n);
    put(r, "bollinger_upper", gap, bands.upper, 20, n);
    gap = bollinger_percent_b_of(r->closes, n, &v);
    put(r, "bollinger_percent_b", gap, v, 20, n);
    gap = vwap_of(r->s->bars, n, 20, &v);
    put(r, "vwap_20", gap, v, 20, n);
    gap = momentum_of(r->closes, n, 10, &v);
    put(r, "momentum_10", gap, v, 11, n);
    gap = drawdown_of(r->closes, n, &high);
    put(r, "highest_close", gap, high.high, 1, n);
    put(r, "distance_from_high", gap, high.now, 1, n);
    json_object_end(&r->json);
}

/* ---- statistics ---- */

static void put_risk(struct report *r)
{
    static const struct {
        double confidence;
        const char *var, *cvar, *normal, *bent, *method;
    } rows[] = {
        {0.95, "var_95", "cvar_95", "var_95_normal", "var_95_cornish_fisher",
         "var_95_cornish_fisher_method"},
        {0.99, "var_99", "cvar_99", "var_99_normal", "var_99_cornish_fisher",
         "var_99_cornish_fisher_method"},
    };
    size_t n = r->returns;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double v = 0, p = rows[i].confidence;
        size_t need = risk_min_returns(p);
        bool fell_back = false;
        enum indicator_gap gap = risk_var(r->sorted, n, p, &v);
        put(r, rows[i].var, gap, v, need, n);
        gap = risk_cvar(r->sorted, n, p, &v);
        put(r, rows[i].cvar, gap, v, need, n);
        gap = risk_var_normal(r->values, n, p, &v);
        put(r, rows[i].normal, gap, v, need, n);
        gap = risk_var_cornish_fisher(r->sorted, n, p, &v, &fell_back);
        put(r, rows[i].bent, gap, v, need, n);
        json_key(&r->json, rows[i].method);
        json_text(&r->json, gap != INDICATOR_OK ? NULL
                            : fell_back ? "historical: skew and kurtosis are outside the domain"
                                        : "cornish_fisher");
        if (gap != INDICATOR_OK) {
            put_reason(r, rows[i].method, "no value");
        }
    }
}

/* The worst fall of the window, with the times of its peak, trough and recovery. */
static void put_drawdown(struct report *r, const struct bar *bars)
{
    struct drawdown d = {0};
    enum indicator_gap gap = drawdown_of(r->from, r->returns + 1, &d);
    put(r, "max_drawdown", gap, d.worst, 1, r->returns + 1);
    static const char *const keys[] = {"max_drawdown_peak", "max_drawdown_trough",
                                       "max_drawdown_recovered"};
    const uint64_t at[] = {d.peak_at, d.trough_at, d.recovered_at};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (gap == INDICATOR_OK && d.worst < 0 && at[i] != DRAWDOWN_NEVER) {
            put_time(r, keys[i], bars[at[i]].open_ms);
        } else {
            json_key(&r->json, keys[i]);
            json_null(&r->json);
            put_reason(r, keys[i], d.worst < 0 ? "not recovered" : "it never fell below a high");
        }
    }
}

/* Rolling: each of the last returns against the value at risk of the 365 before it. */
static void put_kupiec(struct report *r)
{
    size_t n = r->s->count, exceptions = 0;
    double lr = 0, p = 0, *all = mem_array(n, sizeof(*all));
    enum indicator_gap gap = INDICATOR_TOO_FEW;
    size_t need = ANALYSIS_RETURNS + ANALYSIS_TESTED;
    stat_returns(r->closes, n, all);
    if (n > need) {
        for (size_t i = n - 1 - ANALYSIS_TESTED; i < n - 1; i++) {
            double window[ANALYSIS_RETURNS], var;
            memcpy(window, all + i - ANALYSIS_RETURNS, sizeof(window));
            stat_sort(window, ANALYSIS_RETURNS);
            if (risk_var(window, ANALYSIS_RETURNS, 0.95, &var) == INDICATOR_OK) {
                exceptions += all[i] < -var;
            }
        }
        gap = risk_kupiec(exceptions, ANALYSIS_TESTED, 0.95, &lr, &p);
    }
    put(r, "var_95_exceptions", gap, (double)exceptions, need, n - 1);
    put(r, "var_95_tested", gap, ANALYSIS_TESTED, need, n - 1);
    put(r, "kupiec_lr", gap, lr, need, n - 1);
    put(r, "kupiec_p", gap, p, need, n - 1);
    mem_free(all);
}

static void put_statistics(struct report *r)
{
    size_t n = r->returns;
    double v = 0, year = sqrt(r->per_year);
    json_key(&r->json, "statistics");
    json_object(&r->json);
    json_put_count(&r->json, "returns", n);
    enum indicator_gap gap = stat_mean(r->values, n, &v);
    put(r, "mean", gap, v, 1, n);
    gap = stat_sd(r->values, n, &v);
    put(r, "sd", gap, v, 2, n);
    put(r, "volatility", gap, v * year, 2, n);
    gap = stat_sd(r->logs, n, &v);
    put(r, "volatility_log", gap, v * year, 2, n);
    gap = ewma_of(r->values, n, EWMA_LAMBDA_DAILY, &v);
    put(r, "ewma_volatility", gap, v, 1, n);
    put(r, "ewma_volatility_annual", gap, v * year, 1, n);
    gap = stat_skew(r->values, n, &v);
    put(r, "skew", gap, v, 3, n);
    gap = stat_excess_kurtosis(r->values, n, &v);
    put(r, "excess_kurtosis", gap, v, 4, n);
    put_risk(r);
    put_kupiec(r);
    gap = perf_sharpe(r->values, n, 0, r->per_year, &v);
    put(r, "sharpe", gap, v, PERF_MIN_RETURNS, n);
    gap = perf_sortino(r->values, n, 0, r->per_year, &v);
    put(r, "sortino", gap, v, PERF_MIN_RETURNS, n);
    put_drawdown(r, r->s->bars + (r->s->count - n - 1));
    put(r, "total_return", n > 0 ? INDICATOR_OK : INDICATOR_TOO_FEW, r->from[n] / r->from[0] - 1, 1,
        n);
    gap = perf_cagr(r->from, n + 1, r->per_year, &v);
    put(r, "cagr", gap, v, 1, n);
    gap = perf_calmar(r->from, n + 1, r->per_year, &v);
    put(r, "calmar", gap, v, 1, n);
    json_object_end(&r->json);
}

/* ---- against a market ---- */

/* Returns of steps that both have: no step over a hole of either. The last ones stay. */
static size_t join(const struct series *a, const struct series *b, double *x, double *y)
{
    size_t n = 0, j = b->count;
    for (size_t i = a->count; i-- > 1 && n < ANALYSIS_RETURNS;) {
        int64_t at = a->bars[i].open_ms, before = at - a->interval_ms;
        while (j > 0 && b->bars[j - 1].open_ms > at) {
            j--;
        }
        if (j >= 2 && b->bars[j - 1].open_ms == at && b->bars[j - 2].open_ms == before &&
            a->bars[i - 1].open_ms == before) {
            n++;
            x[ANALYSIS_RETURNS - n] = a->bars[i].close / a->bars[i - 1].close - 1;
            y[ANALYSIS_RETURNS - n] = b->bars[j - 1].close / b->bars[j - 2].close - 1;
        }
    }
    return n;
}

static void put_market(struct report *r, struct str name, const struct series *market)
{
    double x[ANALYSIS_RETURNS], y[ANALYSIS_RETURNS];
    struct perf_market m = {0};
    size_t n = join(r->s, market, x, y), skip = ANALYSIS_RETURNS - n;
    enum indicator_gap gap = perf_against(x + skip, y + skip, n, 0, r->per_year, &m);
    json_key(&r->json, "market");
    json_object(&r->json);
    json_key(&r->json, "name");
    json_str(&r->json, name);
    json_put_count(&r->json, "joined_returns", n);
    put(r, "beta", gap, m.beta, 2, n);
    put(r, "correlation", gap, m.correlation, 2, n);
    put(r, "alpha", gap, m.alpha, 2, n);
    json_object_end(&r->json);
}

/* ---- the rest ---- */

static void put_signal(struct report *r)
{
    const struct series *s = r->s;
    struct signal_state state = {0};
    struct signal result;
    json_key(&r->json, "signal");
    if (s->interval_ms == 0) {
        json_null(&r->json);
        put_reason(r, "signal", "the interval is unknown");
        return;
    }
    int64_t now_ms = s->bars[s->count - 1].open_ms + s->interval_ms;
    size_t count = min_size(s->count, SETTLE_CANDLES);
    const struct bar *bars = s->bars + (s->count - count);
    signal_settle(&state, bars, count, s->interval_ms, now_ms);
    signal_of(&state, bars, count, s->interval_ms, now_ms, &result);
    json_object(&r->json);
    json_key(&r->json, "signal");
    json_text(&r->json, signal_side_text(result.side));
    json_key(&r->json, "strength");
    json_double(&r->json, result.strength);
    json_key(&r->json, "score");
    json_double(&r->json, result.score);
    json_key(&r->json, "reason");
    json_text(&r->json, result.reason);
    json_key(&r->json, "components");
    json_object(&r->json);
    for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
        json_key(&r->json, signal_part_text(p));
        json_double(&r->json, result.components[p].contribution);
    }
    json_object_end(&r->json);
    json_key(&r->json, "data_quality");
    json_text(&r->json, signal_quality_text(result.quality));
    json_object_end(&r->json);
}

static void put_methods(struct report *r)
{
    static const char *const rows[][2] = {
        {"returns", "simple, c/c'-1, the last 365"},
        {"volatility", "sample deviation (n-1) times sqrt of the intervals in 365 days"},
        {"ewma_volatility", "per interval, lambda 0.94, begun with the first square"},
        {"var", "loss as a positive fraction, historical, quantile type 7, one interval"},
        {"cvar", "mean of the returns at or below the quantile"},
        {"sharpe", "risk-free rate 0"},
        {"sortino", "target 0, divisor all returns"},
        {"kupiec", "each of the last 730 returns against the historical 95 % of the 365 before"},
        {"rsi_14", "Wilder, from 100 closes on"},
        {"bollinger", "20, 2 population deviations"},
        {"vwap_20", "candles' (high+low+close)/3 weighed by volume: an estimate"},
        {"signal", "docs/SIGNALS.md; as of the last candle's close; not financial advice"},
    };
    json_key(&r->json, "methods");
    json_object(&r->json);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_key(&r->json, rows[i][0]);
        json_text(&r->json, rows[i][1]);
    }
    json_object_end(&r->json);
}

static void put_head(struct report *r, struct str name)
{
    const struct series *s = r->s;
    struct str notes = buf_str(&s->notes), line;
    char interval[8];
    json_key(&r->json, "name");
    json_str(&r->json, name);
    json_key(&r->json, "interval");
    if (s->interval_ms > 0) {
        signal_interval_text(s->interval_ms, interval);
        json_text(&r->json, interval);
    } else {
        json_null(&r->json);
        put_reason(r, "interval", "one candle has no interval");
    }
    put_time(r, "first_time", s->bars[0].open_ms);
    put_time(r, "last_time", s->bars[s->count - 1].open_ms);
    json_put_count(&r->json, "closes", s->count);
    json_put_count(&r->json, "doubles", s->doubles);
    json_put_count(&r->json, "holes", s->holes);
    json_put_count(&r->json, "missing", s->missing);
    json_key(&r->json, "warnings");
    json_array(&r->json);
    while (str_next(&notes, '\n', &line)) {
        json_str(&r->json, line);
    }
    json_array_end(&r->json);
}

static void prepare(struct report *r)
{
    size_t n = r->s->count;
    r->closes = mem_array(n, sizeof(*r->closes));
    for (size_t i = 0; i < n; i++) {
        r->closes[i] = r->s->bars[i].close;
    }
    r->returns = min_size(n - 1, ANALYSIS_RETURNS);
    r->from = r->closes + (n - 1 - r->returns);
    stat_returns(r->from, r->returns + 1, r->values);
    stat_log_returns(r->from, r->returns + 1, r->logs);
    memcpy(r->sorted, r->values, sizeof(r->sorted));
    stat_sort(r->sorted, r->returns);
    r->per_year = r->s->interval_ms > 0 ? 365 * DAY_MS / (double)r->s->interval_ms : NAN;
}

void analysis_write(struct buf *out, struct str name, const struct series *s,
                    struct str market_name, const struct series *market)
{
    struct report r = {.s = s};
    prepare(&r);
    json_begin(&r.json, out);
    json_begin(&r.reasons, &r.reasons_text);
    json_object(&r.json);
    json_object(&r.reasons);
    put_head(&r, name);
    put_indicators(&r);
    put_statistics(&r);
    if (market) {
        put_market(&r, market_name, market);
    }
    put_signal(&r);
    put_methods(&r);
    json_object_end(&r.reasons);
    json_key(&r.json, "reasons");
    json_raw(&r.json, buf_str(&r.reasons_text));
    json_object_end(&r.json);
    buf_add_char(out, '\n');
    buf_fini(&r.reasons_text);
    mem_free(r.closes);
}
