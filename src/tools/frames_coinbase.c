/* SPDX-License-Identifier: MIT */
#include "tools/frames.h"
#include "tools/rng.h"

#include <inttypes.h>
#include <math.h>

/* `sequence` counts all messages of a product, most of which (orders) nobody here sees. */
#define MESSAGES_A_TRADE 9

static void key_units(struct buf *b, const char *key, int64_t units, int decimals, bool trim)
{
    buf_printf(b, ",\"%s\":\"", key);
    venue_add_units(b, units, decimals, decimals, trim);
    buf_add_char(b, '"');
}

/* An order's id, by the trade and the side that it was on. */
static void order_id(struct buf *b, const char *key, uint64_t trade_id, uint64_t side)
{
    struct rng r;
    rng_seed(&r, rng_mix(trade_id, side));
    uint64_t high = rng_next(&r), low = rng_next(&r);
    buf_printf(
        b, ",\"%s\":\"%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64 "\"",
        key, high >> 32, high >> 16 & 0xffff, high & 0xfff, 0x8000 | (low >> 48 & 0x3fff),
        low & 0xffffffffffff);
}

static void stamp(struct buf *b, int64_t at_ms, unsigned us_part)
{
    buf_add_lit(b, ",\"time\":\"");
    frame_add_time(b, at_ms, us_part);
    buf_add_char(b, '"');
}

static void product(struct buf *b, size_t symbol)
{
    buf_add_lit(b, ",\"product_id\":\"");
    venue_add_name(VENUE_COINBASE, symbol, b);
    buf_add_char(b, '"');
}

static void sequence(struct buf *b, uint64_t trade_id, uint64_t behind)
{
    buf_add_lit(b, ",\"sequence\":");
    buf_add_u64(b, trade_id * MESSAGES_A_TRADE + behind);
}

void frame_coinbase_match(struct buf *b, size_t symbol, const struct flow_trade *t, bool first)
{
    buf_printf(b, "{\"type\":\"%s\",\"trade_id\":%" PRIu64, first ? "last_match" : "match", t->id);
    order_id(b, "maker_order_id", t->id, 1);
    order_id(b, "taker_order_id", t->id, 2);
    /* the maker's side: he sold when the taker bought */
    buf_add_str(b, t->buy ? STR(",\"side\":\"sell\"") : STR(",\"side\":\"buy\""));
    key_units(b, "size", t->lots, venue_lot_decimals(VENUE_COINBASE, symbol), true);
    key_units(b, "price", t->ticks, venue_price_decimals(VENUE_COINBASE, symbol), true);
    product(b, symbol);
    sequence(b, t->id, 0);
    stamp(b, t->at_ms, flow_trade_us(t));
    buf_add_char(b, '}');
}

static void price_field(struct buf *b, const char *key, double value, size_t symbol)
{
    /* back to whole ticks: that is exact */
    int decimals = venue_price_decimals(VENUE_COINBASE, symbol);
    key_units(b, key, llround(value * pow(10, decimals)), decimals, true);
}

void frame_coinbase_ticker(struct buf *b, size_t symbol, const struct frame_day *d,
                           double volume_30d)
{
    const struct flow_trade *t = &d->last;
    struct frame_quote q = frame_quote_of(t);
    int price = venue_price_decimals(VENUE_COINBASE, symbol);
    int lot = venue_lot_decimals(VENUE_COINBASE, symbol);
    buf_add_lit(b, "{\"type\":\"ticker\"");
    sequence(b, t->id, 0);
    product(b, symbol);
    key_units(b, "price", t->ticks, price, true);
    price_field(b, "open_24h", d->day.open, symbol);
    buf_printf(b, ",\"volume_24h\":\"%.8f\"", d->day.volume);
    price_field(b, "low_24h", d->day.low, symbol);
    price_field(b, "high_24h", d->day.high, symbol);
    buf_printf(b, ",\"volume_30d\":\"%.8f\"", volume_30d);
    key_units(b, "best_bid", q.bid, price, true);
    key_units(b, "best_bid_size", q.bid_lots, lot, false);
    key_units(b, "best_ask", q.ask, price, true);
    key_units(b, "best_ask_size", q.ask_lots, lot, false);
    buf_add_str(b, t->buy ? STR(",\"side\":\"buy\"") : STR(",\"side\":\"sell\""));
    stamp(b, t->at_ms, flow_trade_us(t));
    buf_printf(b, ",\"trade_id\":%" PRIu64, t->id);
    key_units(b, "last_size", t->lots, lot, true);
    buf_add_char(b, '}');
}

void frame_coinbase_heartbeat(struct buf *b, size_t symbol, const struct flow_trade *last,
                              int64_t now_ms)
{
    buf_printf(b, "{\"type\":\"heartbeat\",\"last_trade_id\":%" PRIu64, last->id);
    product(b, symbol);
    sequence(b, last->id, MESSAGES_A_TRADE - 1);
    stamp(b, now_ms, 0);
    buf_add_char(b, '}');
}
