/* Kraken v2: numbers are JSON numbers. SPDX-License-Identifier: MIT */
#include "tools/frames.h"

#include <inttypes.h>

static void units(struct buf *b, const char *key, int64_t value, int decimals)
{
    buf_add_str(b, str_of(key));
    venue_add_units(b, value, decimals, decimals, false);
}

void frame_kraken_status(struct buf *b, uint64_t connection_id)
{
    buf_printf(b,
               "{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"version\":\"2.0.10\","
               "\"system\":\"online\",\"api_version\":\"v2\",\"connection_id\":%" PRIu64 "}]}",
               connection_id);
}

void frame_kraken_trades(struct buf *b, size_t symbol, const struct flow_trade *t, size_t count,
                         bool snapshot)
{
    buf_add_str(b, snapshot ? STR("{\"channel\":\"trade\",\"type\":\"snapshot\",\"data\":[")
                            : STR("{\"channel\":\"trade\",\"type\":\"update\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        buf_add_str(b, i ? STR(",{\"symbol\":\"") : STR("{\"symbol\":\""));
        venue_add_name(VENUE_KRAKEN, symbol, b);
        buf_add_str(b, t[i].buy ? STR("\",\"side\":\"buy\"") : STR("\",\"side\":\"sell\""));
        units(b, ",\"price\":", t[i].ticks, venue_price_decimals(VENUE_KRAKEN, symbol));
        units(b, ",\"qty\":", t[i].lots, venue_lot_decimals(VENUE_KRAKEN, symbol));
        buf_add_str(b, t[i].id % 4 ? STR(",\"ord_type\":\"limit\",\"trade_id\":")
                                   : STR(",\"ord_type\":\"market\",\"trade_id\":"));
        buf_add_u64(b, t[i].id);
        buf_add_lit(b, ",\"timestamp\":\"");
        frame_add_time(b, t[i].at_ms, flow_trade_us(&t[i]));
        buf_add_lit(b, "\"}");
    }
    buf_add_lit(b, "]}");
}

void frame_kraken_ticker(struct buf *b, size_t symbol, const struct frame_day *d, bool snapshot)
{
    const struct sim_candle *c = &d->day;
    const struct flow_trade *t = &d->last;
    struct frame_quote q = frame_quote_of(t);
    int price = venue_price_decimals(VENUE_KRAKEN, symbol);
    int lot = venue_lot_decimals(VENUE_KRAKEN, symbol);
    buf_printf(b, "{\"channel\":\"ticker\",\"type\":\"%s\",\"data\":[{\"symbol\":\"",
               snapshot ? "snapshot" : "update");
    venue_add_name(VENUE_KRAKEN, symbol, b);
    units(b, "\",\"bid\":", q.bid, price);
    units(b, ",\"bid_qty\":", q.bid_lots, lot);
    units(b, ",\"ask\":", q.ask, price);
    units(b, ",\"ask_qty\":", q.ask_lots, lot);
    units(b, ",\"last\":", t->ticks, price);
    buf_printf(b,
               ",\"volume\":%.8f,\"vwap\":%.*f,\"low\":%.*f,\"high\":%.*f,\"change\":%.*f,"
               "\"change_pct\":%.2f,\"trades\":%" PRIu64 ",\"timestamp\":\"",
               c->volume, price, c->volume > 0 ? c->volume_usd / c->volume : c->close, price,
               c->low, price, c->high, price, c->close - c->open, (c->close / c->open - 1) * 100,
               c->trades);
    frame_add_time(b, t->at_ms, flow_trade_us(t));
    buf_add_lit(b, "\"}]}");
}
