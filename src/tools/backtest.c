/* SPDX-License-Identifier: MIT */
#include "tools/backtest.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "market/signal.h"
#include "quant/drawdown.h"
#include "quant/performance.h"
#include "quant/statistics.h"
#include "tools/rng.h"

#include <math.h>

#define YEAR_MS (365 * 86400000.0)

/* What each traded candle did to the value, as a factor, fees within. */
struct path {
    size_t count;
    double *strategy, *hold;
    bool *inside;
    double per_year;
};

static int year_of(int64_t unix_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    uint64_t year = 0;
    clock_format_rfc3339(unix_ms, text);
    return str_to_u64(str_make(text, 4), &year) == OK ? (int)year : 0;
}

struct backtest_range backtest_wilson(size_t wins, size_t count)
{
    if (count == 0) {
        return (struct backtest_range){NAN, NAN, NAN};
    }
    double n = (double)count, p = (double)wins / n, z = -stat_normal_quantile(0.025);
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return (struct backtest_range){p, fmax(0, middle - half), fmin(1, middle + half)};
}

/* ---- the walk over the candles ---- */

struct position {
    bool inside;
    double entry; /* the open it was bought at */
};

static void leave(struct backtest *b, struct position *p, double price, double fee)
{
    b->trades++;
    b->wins += (1 - fee) * (1 - fee) * price / p->entry > 1;
    p->inside = false;
}

/* The factor of one candle whose position was decided at the close before it. */
static double step(struct backtest *b, struct position *p, bool wanted, const struct bar *bar,
                   double close_before, double fee)
{
    if (p->inside && wanted) {
        return bar->close / close_before;
    }
    if (wanted) {
        *p = (struct position){true, bar->open};
        return (1 - fee) * bar->close / bar->open;
    }
    if (p->inside) {
        leave(b, p, bar->open, fee);
        return (1 - fee) * bar->open / close_before;
    }
    return 1;
}

static void count_decision(struct backtest *b, const struct signal *s)
{
    if (s->quality != SIGNAL_GOOD) {
        b->unfit++;
        return;
    }
    switch (s->side) {
    case SIGNAL_BUY:
        b->buy++;
        break;
    case SIGNAL_SELL:
        b->sell++;
        break;
    case SIGNAL_HOLD:
        b->held++;
        break;
    }
}

static struct backtest_year *year_at(struct backtest *b, int year)
{
    if (b->year_count == 0 || b->years[b->year_count - 1].year != year) {
        b->years[b->year_count++] = (struct backtest_year){.year = year, .strategy = 1, .hold = 1};
    }
    return &b->years[b->year_count - 1];
}

static void walk(const struct series *s, double fee, struct path *path, struct backtest *b)
{
    struct signal_state state = {0};
    struct position p = {0};
    for (size_t t = SIGNAL_BARS; t < s->count; t++) {
        const struct bar *bar = &s->bars[t], *before = bar - 1;
        size_t i = t - SIGNAL_BARS;
        struct signal decision;
        /* asked with the candles up to the one before, at its close: this one isn't known yet */
        signal_of(&state, s->bars, t, s->interval_ms, before->open_ms + s->interval_ms, &decision);
        count_decision(b, &decision);
        bool was_inside = p.inside;
        path->strategy[i] = step(b, &p, decision.side == SIGNAL_BUY, bar, before->close, fee);
        path->inside[i] = p.inside;
        path->hold[i] = i == 0 ? (1 - fee) * bar->close / bar->open : bar->close / before->close;
        if (t + 1 == s->count) {
            path->hold[i] *= 1 - fee;
            if (p.inside) {
                leave(b, &p, bar->close, fee);
                path->strategy[i] *= 1 - fee;
            }
        }
        struct backtest_year *y = year_at(b, year_of(bar->open_ms));
        y->strategy *= path->strategy[i];
        y->hold *= path->hold[i];
        y->exposure += path->inside[i];
        y->trades += path->inside[i] && !was_inside;
    }
}

static void finish_years(const struct series *s, struct backtest *b)
{
    size_t t = SIGNAL_BARS;
    for (size_t k = 0; k < b->year_count; k++) {
        size_t candles = 0;
        while (t < s->count && year_of(s->bars[t].open_ms) == b->years[k].year) {
            candles++;
            t++;
        }
        b->years[k].exposure /= (double)candles;
        b->years[k].strategy -= 1;
        b->years[k].hold -= 1;
    }
}

/* ---- figures ---- */

static void measure(const double *factors, const struct path *path, struct backtest_side *out)
{
    struct drawdown d;
    double value = 1, *returns = mem_array(path->count, sizeof(*returns));
    drawdown_init(&d);
    bool good = drawdown_add(&d, value) == OK;
    for (size_t i = 0; i < path->count; i++) {
        value *= factors[i];
        returns[i] = factors[i] - 1;
        good = good && drawdown_add(&d, value) == OK;
    }
    out->total = value - 1;
    out->max_drawdown = good ? d.worst : NAN;
    if (perf_sharpe(returns, path->count, 0, path->per_year, &out->sharpe) != INDICATOR_OK) {
        out->sharpe = NAN;
    }
    out->per_year.value = pow(value, path->per_year / (double)path->count) - 1;
    mem_free(returns);
}

static void take_range(double *sorted_out, size_t count, struct backtest_range *r)
{
    stat_sort(sorted_out, count);
    if (stat_quantile(sorted_out, count, 0.025, &r->low) != INDICATOR_OK ||
        stat_quantile(sorted_out, count, 0.975, &r->high) != INDICATOR_OK) {
        r->low = r->high = NAN;
    }
}

/* Stationary bootstrap (Politis and Romano 1994): blocks of geometric length on a ring, the same
 * candles for both sides, so that their difference keeps its pairing. */
static void resample(const struct path *path, const struct backtest_opts *opts, struct backtest *b)
{
    size_t n = path->count, m = opts->resamples;
    double *strategy = mem_array(m, sizeof(double)), *hold = mem_array(m, sizeof(double));
    double *excess = mem_array(m, sizeof(double)), *logs = mem_array(2 * n, sizeof(double));
    struct rng rng;
    rng_seed(&rng, opts->seed);
    for (size_t i = 0; i < n; i++) {
        logs[2 * i] = log(path->strategy[i]);
        logs[2 * i + 1] = log(path->hold[i]);
    }
    for (size_t k = 0; k < m; k++) {
        double sum = 0, hold_sum = 0;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            bool begins = i == 0 || rng_unit(&rng) < 1 / opts->block;
            at = begins ? (size_t)(rng_unit(&rng) * (double)n) : at + 1 < n ? at + 1 : 0;
            sum += logs[2 * at];
            hold_sum += logs[2 * at + 1];
        }
        double scale = path->per_year / (double)n;
        strategy[k] = exp(sum * scale) - 1;
        hold[k] = exp(hold_sum * scale) - 1;
        excess[k] = exp((sum - hold_sum) * scale) - 1;
    }
    take_range(strategy, m, &b->strategy.per_year);
    take_range(hold, m, &b->hold.per_year);
    take_range(excess, m, &b->excess);
    mem_free(strategy);
    mem_free(hold);
    mem_free(excess);
    mem_free(logs);
}

enum err backtest_run(const struct series *s, const struct backtest_opts *opts,
                      struct backtest *out)
{
    if (s->count < SIGNAL_BARS + 2) {
        return ERR_MORE;
    }
    int64_t first_ms = s->bars[SIGNAL_BARS].open_ms, last_ms = s->bars[s->count - 1].open_ms;
    if (s->interval_ms <= 0 || year_of(last_ms) - year_of(first_ms) >= BACKTEST_YEARS) {
        return ERR_RANGE;
    }
    struct path path = {.count = s->count - SIGNAL_BARS,
                        .per_year = YEAR_MS / (double)s->interval_ms};
    struct backtest b = {.first_ms = first_ms, .last_ms = last_ms, .candles = path.count};
    path.strategy = mem_array(path.count, sizeof(double));
    path.hold = mem_array(path.count, sizeof(double));
    path.inside = mem_array(path.count, sizeof(bool));
    walk(s, opts->fee, &path, &b);
    finish_years(s, &b);
    for (size_t i = 0; i < path.count; i++) {
        b.exposure += path.inside[i] ? 1.0 / (double)path.count : 0;
    }
    b.hit_rate = backtest_wilson(b.wins, b.trades);
    measure(path.strategy, &path, &b.strategy);
    measure(path.hold, &path, &b.hold);
    b.excess.value = (1 + b.strategy.per_year.value) / (1 + b.hold.per_year.value) - 1;
    resample(&path, opts, &b);
    mem_free(path.strategy);
    mem_free(path.hold);
    mem_free(path.inside);
    *out = b;
    return OK;
}
