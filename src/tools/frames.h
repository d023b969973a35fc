/* frames: the messages of the three exchanges' WebSockets, field by field as they send them, from
 * the simulated market. Pure text: each function appends one JSON object. `now_ms` is the time the
 * venue's own clock shows when it sends.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_FRAMES_H
#define TOOLS_FRAMES_H
#include "tools/flow.h"

/* One symbol of one venue at a moment: its last trade and its last 24 hours. */
struct frame_day {
    struct flow_trade last;
    struct sim_candle day;
    uint64_t first_id; /* of the day */
};
/* False before there was a market. */
bool frame_day_of(struct flow *f, enum venue v, size_t symbol, int64_t now_ms,
                  struct frame_day *out);

/* Best bid and ask after a trade: it took one side, the other stands a tick away. */
struct frame_quote {
    int64_t bid, ask, bid_lots, ask_lots;
};
struct frame_quote frame_quote_of(const struct flow_trade *last);

void frame_binance_trade(struct buf *b, size_t symbol, const struct flow_trade *t, int64_t now_ms);
/* Every trade is an aggregate of its own here, with the trade's id. */
void frame_binance_agg_trade(struct buf *b, size_t symbol, const struct flow_trade *t,
                             int64_t now_ms);
void frame_binance_book_ticker(struct buf *b, size_t symbol, const struct flow_trade *last);
void frame_binance_mini_ticker(struct buf *b, size_t symbol, const struct frame_day *d,
                               int64_t now_ms);
void frame_binance_ticker(struct buf *b, size_t symbol, const struct frame_day *d, int64_t now_ms);
/* `first_id` of the candle's first trade; with no trades both ids are -1. */
void frame_binance_kline(struct buf *b, size_t symbol, const struct sim_candle *k,
                         uint64_t first_id, bool closed, int64_t now_ms);
void frame_binance_shutdown(struct buf *b, int64_t now_ms);

/* `first`: as the last_match that follows a subscription. */
void frame_coinbase_match(struct buf *b, size_t symbol, const struct flow_trade *t, bool first);
/* `volume_30d`: coins in 30 days. */
void frame_coinbase_ticker(struct buf *b, size_t symbol, const struct frame_day *d,
                           double volume_30d);
void frame_coinbase_heartbeat(struct buf *b, size_t symbol, const struct flow_trade *last,
                              int64_t now_ms);

void frame_kraken_status(struct buf *b, uint64_t connection_id);
void frame_kraken_trades(struct buf *b, size_t symbol, const struct flow_trade *t, size_t count,
                         bool snapshot);
void frame_kraken_ticker(struct buf *b, size_t symbol, const struct frame_day *d, bool snapshot);

/* RFC 3339 with six digits of the second: `us_part` (0..999) are the last three. */
void frame_add_time(struct buf *b, int64_t unix_ms, unsigned us_part);

#endif
