/* SPDX-License-Identifier: MIT */
#include "market/daily.h"

#include "quant/indicator.h"

static int by_time(const void *a, const void *b)
{
    const struct daily_candle *x = a, *y = b;
    return (x->open_ms > y->open_ms) - (x->open_ms < y->open_ms);
}

size_t daily_closed_run(struct daily_candle *candles, size_t count, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (candles[i].open_ms % DAILY_MS == 0 && candles[i].open_ms <= now_ms - DAILY_MS) {
            candles[kept++] = candles[i];
        }
    }
    if (kept == 0) {
        return 0;
    }
    qsort(candles, kept, sizeof(*candles), by_time);
    size_t start = 0, end = 1;
    for (size_t i = 1; i < kept; i++) {
        if (candles[i].open_ms == candles[end - 1].open_ms) {
            candles[end - 1] = candles[i];
            continue;
        }
        if (candles[i].open_ms != candles[end - 1].open_ms + DAILY_MS) {
            start = end;
        }
        candles[end++] = candles[i];
    }
    memmove(candles, candles + start, (end - start) * sizeof(*candles));
    return end - start;
}

enum err daily_rsi14(const struct daily_candle *candles, size_t count, double *value,
                     struct buf *why)
{
    struct rsi r;
    rsi_init(&r, 14);
    for (size_t i = 0; i < count; i++) {
        if (rsi_add(&r, candles[i].close) != OK) {
            buf_printf(why, "a daily close is not a price");
            return ERR_RANGE;
        }
    }
    switch (rsi_value(&r, RSI_MIN_CLOSES, value)) {
    case INDICATOR_OK:
        return OK;
    case INDICATOR_TOO_FEW:
        buf_printf(why, "only %zu of %d daily closes are known", count, RSI_MIN_CLOSES);
        return ERR_MORE;
    case INDICATOR_NO_MOVEMENT:
    case INDICATOR_NO_VOLUME:
        buf_printf(why, "no movement in %zu daily closes", count);
        return ERR_RANGE;
    }
    return ERR_RANGE;
}

int64_t daily_next_close_ms(int64_t now_ms)
{
    int64_t day = now_ms / DAILY_MS;
    if (now_ms % DAILY_MS < 0) {
        day--;
    }
    return (day + 1) * DAILY_MS;
}
