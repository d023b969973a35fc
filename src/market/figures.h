/* figures: all indicators of a candle series at once, each with the reason when there is none.
 * Only closed candles count; a candle that cannot be (quant/bar.h) ends the history before it.
 * Definitions: the headers of quant. Pure. SPDX-License-Identifier: MIT */
#ifndef MARKET_FIGURES_H
#define MARKET_FIGURES_H
#include "market/candles.h"

enum figure_name {
    FIGURE_RSI_14,
    FIGURE_SMA_20,
    FIGURE_SMA_50,
    FIGURE_SMA_200,
    FIGURE_EMA_12,
    FIGURE_EMA_20,
    FIGURE_EMA_26,
    FIGURE_EMA_50,
    FIGURE_MACD,
    FIGURE_MACD_SIGNAL,
    FIGURE_MACD_HISTOGRAM,
    FIGURE_BOLLINGER_LOWER,
    FIGURE_BOLLINGER_MIDDLE,
    FIGURE_BOLLINGER_UPPER,
    FIGURE_BOLLINGER_PERCENT_B,
    FIGURE_ATR_14,
    FIGURE_VWAP_24,     /* of the last 24 candles, an estimate */
    FIGURE_MOMENTUM_10, /* a fraction over 10 candles */
    /* Of simple returns, fractions per candle. */
    FIGURE_VOLATILITY,
    FIGURE_EWMA_VOLATILITY, /* lambda 0.94 */
    FIGURE_DRAWDOWN,        /* from the series' high, 0 or negative */
    FIGURE_MAX_DRAWDOWN,
    FIGURES
};
const char *figure_text(enum figure_name f); /* "rsi_14" */

struct figure {
    double value;       /* NaN: none */
    const char *reason; /* why none, static text; "" else */
};
struct figures {
    size_t candles;            /* closed ones used */
    int64_t first_ms, last_ms; /* open times of them; meaningless without any */
    struct figure all[FIGURES];
};
/* `rows` oldest first. */
void figures_of(const struct candle *rows, size_t count, struct figures *out);

#endif
