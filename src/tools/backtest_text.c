/* SPDX-License-Identifier: MIT */
#include "tools/backtest_text.h"

#include "base/clock.h"
#include "market/signal.h"

#include <math.h>

const char backtest_caution[] =
    "The past of one rule on one file. No promise about what comes, and not financial advice.";

/* ---- JSON ---- */

static void put(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    json_double(w, value);
}

static void put_range(struct json_writer *w, const char *key, const struct backtest_range *r)
{
    json_key(w, key);
    json_object(w);
    put(w, "value", r->value);
    put(w, "low_95", r->low);
    put(w, "high_95", r->high);
    json_object_end(w);
}

static void put_side(struct json_writer *w, const char *key, const struct backtest_side *s)
{
    json_key(w, key);
    json_object(w);
    put(w, "total_return", s->total);
    put_range(w, "return_per_year", &s->per_year);
    put(w, "max_drawdown", s->max_drawdown);
    put(w, "sharpe", s->sharpe);
    json_object_end(w);
}

static void put_years(struct json_writer *w, const struct backtest *b)
{
    json_key(w, "years");
    json_array(w);
    for (size_t i = 0; i < b->year_count; i++) {
        const struct backtest_year *y = &b->years[i];
        json_object(w);
        json_key(w, "year");
        json_i64(w, y->year);
        put(w, "strategy", y->strategy);
        put(w, "buy_and_hold", y->hold);
        put(w, "exposure", y->exposure);
        json_put_count(w, "trades", y->trades);
        json_object_end(w);
    }
    json_array_end(w);
}

void backtest_json(struct json_writer *w, struct str name, const struct series *s,
                   const struct backtest *b)
{
    char interval[8];
    signal_interval_text(s->interval_ms, interval);
    json_object(w);
    json_key(w, "name");
    json_str(w, name);
    json_key(w, "interval");
    json_text(w, interval);
    json_key(w, "first_time");
    json_time(w, b->first_ms);
    json_key(w, "last_time");
    json_time(w, b->last_ms);
    json_put_count(w, "candles", b->candles);
    json_put_count(w, "decisions_buy", b->buy);
    json_put_count(w, "decisions_sell", b->sell);
    json_put_count(w, "decisions_hold", b->held);
    json_put_count(w, "decisions_unfit", b->unfit);
    json_put_count(w, "trades", b->trades);
    json_put_count(w, "wins", b->wins);
    put_range(w, "hit_rate", &b->hit_rate);
    put(w, "exposure", b->exposure);
    put_side(w, "strategy", &b->strategy);
    put_side(w, "buy_and_hold", &b->hold);
    put_range(w, "excess_per_year", &b->excess);
    put_years(w, b);
    json_object_end(w);
}

/* ---- lines ---- */

static void say_pct(struct buf *out, double fraction)
{
    if (isfinite(fraction)) {
        buf_printf(out, "%+.1f %%", 100 * fraction);
    } else {
        buf_add_lit(out, "unknown");
    }
}

static void say_range(struct buf *out, const struct backtest_range *r)
{
    say_pct(out, r->value);
    if (isfinite(r->value)) {
        buf_printf(out, " (95 %%: %+.1f to %+.1f)", 100 * r->low, 100 * r->high);
    }
}

static void say_side(struct buf *out, const char *label, const struct backtest_side *s)
{
    buf_printf(out, "  %-13s ", label);
    say_pct(out, s->total);
    buf_add_lit(out, " in all, ");
    say_range(out, &s->per_year);
    buf_add_lit(out, " a year, max drawdown ");
    say_pct(out, s->max_drawdown);
    if (isfinite(s->sharpe)) {
        buf_printf(out, ", Sharpe %.2f", s->sharpe);
    }
    buf_add_char(out, '\n');
}

void backtest_table(struct buf *out, struct str name, const struct series *s,
                    const struct backtest *b)
{
    char interval[8], first[CLOCK_RFC3339_LEN + 1], last[CLOCK_RFC3339_LEN + 1];
    signal_interval_text(s->interval_ms, interval);
    clock_format_rfc3339(b->first_ms, first);
    clock_format_rfc3339(b->last_ms, last);
    buf_printf(out, "%.*s %s, %.10s to %.10s, %zu candles\n", STR_ARG(name), interval, first, last,
               b->candles);
    say_side(out, "signal", &b->strategy);
    say_side(out, "buy and hold", &b->hold);
    buf_printf(out, "  %-13s ", "difference");
    say_range(out, &b->excess);
    buf_printf(out, " a year\n  %-13s %zu, %zu gained: hit rate ", "trades", b->trades, b->wins);
    if (b->trades > 0) {
        buf_printf(out, "%.1f %% (95 %%: %.1f to %.1f)", 100 * b->hit_rate.value,
                   100 * b->hit_rate.low, 100 * b->hit_rate.high);
    } else {
        buf_add_lit(out, "unknown");
    }
    buf_printf(out,
               "\n  %-13s %.1f %% of the time; BUY %zu, SELL %zu, HOLD %zu, data not fit %zu\n",
               "in the market", 100 * b->exposure, b->buy, b->sell, b->held, b->unfit);
    buf_printf(out, "  %-6s %12s %14s %9s %7s\n", "year", "signal", "buy and hold", "exposure",
               "trades");
    for (size_t i = 0; i < b->year_count; i++) {
        const struct backtest_year *y = &b->years[i];
        buf_printf(out, "  %-6d %+10.1f %% %+12.1f %% %7.1f %% %7zu\n", y->year, 100 * y->strategy,
                   100 * y->hold, 100 * y->exposure, y->trades);
    }
}
