/* SPDX-License-Identifier: MIT */
#include "tools/frames.h"

#define DIGITS 8

static void text_units(struct buf *b, const char *key, int64_t units, int decimals)
{
    buf_add_str(b, str_of(key));
    venue_add_units(b, units, decimals, DIGITS, false);
    buf_add_char(b, '"');
}

static void integer(struct buf *b, const char *key, int64_t value)
{
    buf_add_str(b, str_of(key));
    buf_add_i64(b, value);
}

/* {"e":"trade","E":1,"s":"BTCUSDT" */
static void head(struct buf *b, const char *event, size_t symbol, int64_t now_ms)
{
    buf_add_lit(b, "{\"e\":\"");
    buf_add_str(b, str_of(event));
    integer(b, "\",\"E\":", now_ms);
    buf_add_lit(b, ",\"s\":\"");
    venue_add_name(VENUE_BINANCE, symbol, b);
    buf_add_char(b, '"');
}

static void price_and_amount(struct buf *b, size_t symbol, const struct flow_trade *t)
{
    text_units(b, ",\"p\":\"", t->ticks, venue_price_decimals(VENUE_BINANCE, symbol));
    text_units(b, ",\"q\":\"", t->lots, venue_lot_decimals(VENUE_BINANCE, symbol));
}

static void time_and_side(struct buf *b, const struct flow_trade *t)
{
    integer(b, ",\"T\":", t->at_ms);
    buf_add_str(b, t->buy ? STR(",\"m\":false,\"M\":true}") : STR(",\"m\":true,\"M\":true}"));
}

void frame_binance_trade(struct buf *b, size_t symbol, const struct flow_trade *t, int64_t now_ms)
{
    head(b, "trade", symbol, now_ms);
    integer(b, ",\"t\":", (int64_t)t->id);
    price_and_amount(b, symbol, t);
    time_and_side(b, t);
}

void frame_binance_agg_trade(struct buf *b, size_t symbol, const struct flow_trade *t,
                             int64_t now_ms)
{
    head(b, "aggTrade", symbol, now_ms);
    integer(b, ",\"a\":", (int64_t)t->id);
    price_and_amount(b, symbol, t);
    integer(b, ",\"f\":", (int64_t)t->id);
    integer(b, ",\"l\":", (int64_t)t->id);
    time_and_side(b, t);
}

void frame_binance_book_ticker(struct buf *b, size_t symbol, const struct flow_trade *last)
{
    struct frame_quote q = frame_quote_of(last);
    int price = venue_price_decimals(VENUE_BINANCE, symbol);
    int lot = venue_lot_decimals(VENUE_BINANCE, symbol);
    integer(b, "{\"u\":", (int64_t)last->id * 3);
    buf_add_lit(b, ",\"s\":\"");
    venue_add_name(VENUE_BINANCE, symbol, b);
    text_units(b, "\",\"b\":\"", q.bid, price);
    text_units(b, ",\"B\":\"", q.bid_lots, lot);
    text_units(b, ",\"a\":\"", q.ask, price);
    text_units(b, ",\"A\":\"", q.ask_lots, lot);
    buf_add_char(b, '}');
}

static void number(struct buf *b, const char *key, double value)
{
    buf_printf(b, ",\"%s\":\"%.8f\"", key, value);
}

void frame_binance_mini_ticker(struct buf *b, size_t symbol, const struct frame_day *d,
                               int64_t now_ms)
{
    head(b, "24hrMiniTicker", symbol, now_ms);
    number(b, "c", d->day.close);
    number(b, "o", d->day.open);
    number(b, "h", d->day.high);
    number(b, "l", d->day.low);
    number(b, "v", d->day.volume);
    number(b, "q", d->day.volume_usd);
    buf_add_char(b, '}');
}

void frame_binance_ticker(struct buf *b, size_t symbol, const struct frame_day *d, int64_t now_ms)
{
    const struct sim_candle *c = &d->day;
    struct frame_quote q = frame_quote_of(&d->last);
    int price = venue_price_decimals(VENUE_BINANCE, symbol);
    int lot = venue_lot_decimals(VENUE_BINANCE, symbol);
    head(b, "24hrTicker", symbol, now_ms);
    number(b, "p", c->close - c->open);
    buf_printf(b, ",\"P\":\"%.3f\"", (c->close / c->open - 1) * 100);
    number(b, "w", c->volume > 0 ? c->volume_usd / c->volume : c->close);
    number(b, "x", c->open);
    number(b, "c", c->close);
    text_units(b, ",\"Q\":\"", d->last.lots, lot);
    text_units(b, ",\"b\":\"", q.bid, price);
    text_units(b, ",\"B\":\"", q.bid_lots, lot);
    text_units(b, ",\"a\":\"", q.ask, price);
    text_units(b, ",\"A\":\"", q.ask_lots, lot);
    number(b, "o", c->open);
    number(b, "h", c->high);
    number(b, "l", c->low);
    number(b, "v", c->volume);
    number(b, "q", c->volume_usd);
    integer(b, ",\"O\":", now_ms - SIM_DAY_MS);
    integer(b, ",\"C\":", now_ms);
    integer(b, ",\"F\":", (int64_t)d->first_id);
    integer(b, ",\"L\":", (int64_t)d->last.id);
    integer(b, ",\"n\":", (int64_t)c->trades);
    buf_add_char(b, '}');
}

void frame_binance_kline(struct buf *b, size_t symbol, const struct sim_candle *k,
                         uint64_t first_id, bool closed, int64_t now_ms)
{
    int64_t first = k->trades ? (int64_t)first_id : -1;
    head(b, "kline", symbol, now_ms);
    integer(b, ",\"k\":{\"t\":", k->open_ms);
    integer(b, ",\"T\":", k->open_ms + SIM_MINUTE_MS - 1);
    buf_add_lit(b, ",\"s\":\"");
    venue_add_name(VENUE_BINANCE, symbol, b);
    buf_add_lit(b, "\",\"i\":\"1m\"");
    integer(b, ",\"f\":", first);
    integer(b, ",\"L\":", k->trades ? first + (int64_t)k->trades - 1 : -1);
    number(b, "o", k->open);
    number(b, "c", k->close);
    number(b, "h", k->high);
    number(b, "l", k->low);
    number(b, "v", k->volume);
    integer(b, ",\"n\":", (int64_t)k->trades);
    buf_add_str(b, closed ? STR(",\"x\":true") : STR(",\"x\":false"));
    number(b, "q", k->volume_usd);
    number(b, "V", k->taker_buy);
    number(b, "Q", k->taker_buy_usd);
    buf_add_lit(b, ",\"B\":\"0\"}}");
}

void frame_binance_shutdown(struct buf *b, int64_t now_ms)
{
    integer(b, "{\"e\":\"serverShutdown\",\"E\":", now_ms);
    buf_add_char(b, '}');
}
