/* SPDX-License-Identifier: MIT */
#include "market/figures.h"

#include "base/alloc.h"
#include "quant/atr.h"
#include "quant/bollinger.h"
#include "quant/drawdown.h"
#include "quant/indicator.h"
#include "quant/macd.h"
#include "quant/momentum.h"
#include "quant/statistics.h"
#include "quant/volatility.h"
#include "quant/vwap.h"

#include <math.h>

#define EWMA_LAMBDA 0.94

static const char *const names[FIGURES] = {
    [FIGURE_RSI_14] = "rsi_14",
    [FIGURE_SMA_20] = "sma_20",
    [FIGURE_SMA_50] = "sma_50",
    [FIGURE_SMA_200] = "sma_200",
    [FIGURE_EMA_12] = "ema_12",
    [FIGURE_EMA_20] = "ema_20",
    [FIGURE_EMA_26] = "ema_26",
    [FIGURE_EMA_50] = "ema_50",
    [FIGURE_MACD] = "macd",
    [FIGURE_MACD_SIGNAL] = "macd_signal",
    [FIGURE_MACD_HISTOGRAM] = "macd_histogram",
    [FIGURE_BOLLINGER_LOWER] = "bollinger_lower",
    [FIGURE_BOLLINGER_MIDDLE] = "bollinger_middle",
    [FIGURE_BOLLINGER_UPPER] = "bollinger_upper",
    [FIGURE_BOLLINGER_PERCENT_B] = "bollinger_percent_b",
    [FIGURE_ATR_14] = "atr_14",
    [FIGURE_VWAP_24] = "vwap_24",
    [FIGURE_MOMENTUM_10] = "momentum_10",
    [FIGURE_VOLATILITY] = "volatility",
    [FIGURE_EWMA_VOLATILITY] = "ewma_volatility",
    [FIGURE_DRAWDOWN] = "drawdown",
    [FIGURE_MAX_DRAWDOWN] = "max_drawdown",
};

const char *figure_text(enum figure_name f)
{
    return names[f];
}

static void set(struct figures *out, enum figure_name f, enum indicator_gap gap, double value)
{
    out->all[f] = gap == INDICATOR_OK ? (struct figure){value, ""}
                                      : (struct figure){NAN, indicator_gap_text(gap)};
}

/* The same series in three shapes. */
struct shapes {
    struct bar *bars;
    double *closes, *returns;
    size_t count;
};

static void averages(const struct shapes *s, struct figures *out)
{
    static const struct {
        enum figure_name name;
        uint32_t period;
    } simple[] = {{FIGURE_SMA_20, 20}, {FIGURE_SMA_50, 50}, {FIGURE_SMA_200, 200}},
      smooth[] = {
          {FIGURE_EMA_12, 12}, {FIGURE_EMA_20, 20}, {FIGURE_EMA_26, 26}, {FIGURE_EMA_50, 50}};
    double v = NAN;
    for (size_t i = 0; i < ARRAY_LEN(simple); i++) {
        enum indicator_gap gap = sma_of(s->closes, s->count, simple[i].period, &v);
        set(out, simple[i].name, gap, v);
    }
    for (size_t i = 0; i < ARRAY_LEN(smooth); i++) {
        enum indicator_gap gap = ema_of(s->closes, s->count, smooth[i].period, &v);
        set(out, smooth[i].name, gap, v);
    }
}

static void bands(const struct shapes *s, struct figures *out)
{
    struct macd_value m = {0};
    struct bollinger_value b = {0};
    double v = NAN;
    enum indicator_gap gap = macd_of(s->closes, s->count, &m);
    set(out, FIGURE_MACD, gap, m.line);
    set(out, FIGURE_MACD_SIGNAL, gap, m.signal);
    set(out, FIGURE_MACD_HISTOGRAM, gap, m.histogram);
    gap = bollinger_of(s->closes, s->count, &b);
    set(out, FIGURE_BOLLINGER_LOWER, gap, b.lower);
    set(out, FIGURE_BOLLINGER_MIDDLE, gap, b.middle);
    set(out, FIGURE_BOLLINGER_UPPER, gap, b.upper);
    gap = bollinger_percent_b_of(s->closes, s->count, &v);
    set(out, FIGURE_BOLLINGER_PERCENT_B, gap, v);
}

static void others(const struct shapes *s, struct figures *out)
{
    struct drawdown d = {0};
    size_t returns = s->count ? s->count - 1 : 0;
    double v = NAN;
    enum indicator_gap gap = rsi_of(s->closes, s->count, 14, RSI_MIN_CLOSES, &v);
    set(out, FIGURE_RSI_14, gap, v);
    gap = atr_of(s->bars, s->count, 14, &v);
    set(out, FIGURE_ATR_14, gap, v);
    gap = vwap_of(s->bars, s->count, 24, &v);
    set(out, FIGURE_VWAP_24, gap, v);
    gap = momentum_of(s->closes, s->count, 10, &v);
    set(out, FIGURE_MOMENTUM_10, gap, v);
    gap = realised_of(s->returns, returns, &v);
    set(out, FIGURE_VOLATILITY, gap, v);
    gap = ewma_of(s->returns, returns, EWMA_LAMBDA, &v);
    set(out, FIGURE_EWMA_VOLATILITY, gap, v);
    gap = drawdown_of(s->closes, s->count, &d);
    set(out, FIGURE_DRAWDOWN, gap, d.now);
    set(out, FIGURE_MAX_DRAWDOWN, gap, d.worst);
}

static struct bar bar_of_candle(const struct candle *c)
{
    return (struct bar){
        .open_ms = c->open_ms,
        .open = decimal_double(c->open),
        .high = decimal_double(c->high),
        .low = decimal_double(c->low),
        .close = decimal_double(c->close),
        .volume = decimal_double(c->volume),
    };
}

void figures_of(const struct candle *rows, size_t count, struct figures *out)
{
    struct shapes s = {
        .bars = mem_array(count + 1, sizeof(*s.bars)),
        .closes = mem_array(count + 1, sizeof(*s.closes)),
        .returns = mem_array(count + 1, sizeof(*s.returns)),
    };
    *out = (struct figures){0};
    for (size_t i = 0; i < count; i++) {
        struct bar bar = bar_of_candle(&rows[i]);
        if (!(rows[i].flags & CANDLE_CLOSED)) {
            continue;
        }
        if (!bar_is_sound(&bar)) {
            s.count = 0;
            continue;
        }
        s.bars[s.count] = bar;
        s.closes[s.count++] = bar.close;
    }
    if (s.count) {
        stat_returns(s.closes, s.count, s.returns);
        out->first_ms = s.bars[0].open_ms;
        out->last_ms = s.bars[s.count - 1].open_ms;
    }
    out->candles = s.count;
    averages(&s, out);
    bands(&s, out);
    others(&s, out);
    mem_free(s.returns);
    mem_free(s.closes);
    mem_free(s.bars);
}
