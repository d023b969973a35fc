/* Coinbase Exchange: docs.cdp.coinbase.com/exchange. One message subscribes matches, ticker and
 * heartbeat of many products; one product that is none makes all of it fail, and the error names
 * it. SPDX-License-Identifier: MIT */
#include "sources/feed_parse.h"

static void write_channels(struct buf *out, struct feed_row *const *rows, size_t count,
                           unsigned part, bool on, uint64_t id)
{
    (void)part;
    (void)id; /* answers carry none */
    buf_printf(out, "{\"type\":\"%s\",\"product_ids\":[", on ? "subscribe" : "unsubscribe");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s\"%s\"", i ? "," : "", rows[i]->instrument);
    }
    buf_printf(out, "],\"channels\":[\"matches\",\"ticker\",\"heartbeat\"]}");
}

/* ---- products ---- */

static void read_product(struct scan *s, feed_symbol_fn symbol, void *self)
{
    struct str key;
    struct str id = {0};
    struct str status = {0};
    struct str base;
    bool disabled = false;
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("id"))) {
            (void)scan_string(s, &id);
        } else if (str_eq(key, STR("status"))) {
            (void)scan_string(s, &status);
        } else if (str_eq(key, STR("trading_disabled"))) {
            (void)scan_bool(s, &disabled);
        }
    }
    /* Old answers have no status. */
    if (!disabled && (!status.ptr || str_eq(status, STR("online"))) &&
        feed_symbol_of(VENUE_COINBASE, id, &base)) {
        symbol(self, base);
    }
}

static enum err read_list(struct str body, feed_symbol_fn symbol, void *self, const char **why)
{
    struct scan s;
    scan_begin(&s, body);
    bool well = scan_array(&s);
    while (well && scan_item(&s)) {
        if (scan_object(&s)) {
            read_product(&s, symbol, self);
        }
    }
    return feed_parse_end(&s, well, "an answer that is no list of products", why);
}

/* ---- trades ---- */

/* Newest first, those older than `after`. */
static void trades_path(struct buf *out, const struct feed_row *row, const struct feed_hole *hole)
{
    buf_printf(out, "/products/%s/trades?after=%llu&limit=%llu", row->instrument,
               (unsigned long long)hole->to + 1, (unsigned long long)feed_hole_size(hole));
}

static bool read_trade(struct scan *s, struct exchange_event *e)
{
    struct str key;
    struct str side = {0};
    bool price = false;
    bool quantity = false;
    bool id = false;
    bool time = false;
    if (!scan_object(s)) {
        return false;
    }
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("trade_id"))) {
            id = feed_parse_u64(s, &e->id);
        } else if (str_eq(key, STR("price"))) {
            price = feed_parse_price(s, &e->price);
        } else if (str_eq(key, STR("size"))) {
            quantity = feed_parse_price(s, &e->quantity);
        } else if (str_eq(key, STR("time"))) {
            time = feed_parse_time_us(s, &e->time_us);
        } else if (str_eq(key, STR("side")) && scan_string(s, &side)) {
            /* the maker's, as that of a match */
            e->taker = str_eq(side, STR("buy"))    ? SIDE_SELL
                       : str_eq(side, STR("sell")) ? SIDE_BUY
                                                   : SIDE_UNKNOWN;
        }
    }
    return price && quantity && id && time;
}

static enum err read_trades(struct str body, exchange_event_fn trade, void *self, const char **why)
{
    return feed_parse_trades(body, read_trade, trade, self, why);
}

/* ---- candles ---- */

/* There are none of four hours: four of one hour are asked for each. */
static enum interval history_interval(enum interval i)
{
    return i == INTERVAL_4H ? INTERVAL_1H : i;
}

static void candles_path(struct buf *out, const struct feed_row *row, enum interval i, size_t count,
                         int64_t before_ms, int64_t now_ms)
{
    char start[CLOCK_RFC3339_LEN + 1];
    char end[CLOCK_RFC3339_LEN + 1];
    int64_t step_ms = interval_ms(i);
    int64_t end_ms = (before_ms > 0 ? before_ms : now_ms) / step_ms * step_ms;
    clock_format_rfc3339(end_ms - (int64_t)count * step_ms, start);
    clock_format_rfc3339(end_ms - step_ms, end); /* both are open times, and both count */
    buf_printf(out, "/products/%s/candles?granularity=%lld&start=%s&end=%s", row->instrument,
               (long long)step_ms / 1000, start, end);
}

/* [time s, low, high, open, close, volume] */
static bool read_candle(struct scan *s, struct candle *c)
{
    int64_t open_us = 0;
    bool well = scan_item(s) && feed_parse_time_us(s, &open_us) && scan_item(s) &&
                feed_parse_price(s, &c->low) && scan_item(s) && feed_parse_price(s, &c->high) &&
                scan_item(s) && feed_parse_price(s, &c->open) && scan_item(s) &&
                feed_parse_price(s, &c->close) && scan_item(s) && feed_parse_decimal(s, &c->volume);
    c->open_ms = open_us / 1000;
    return well;
}

static enum err read_candles(struct str body, feed_candle_fn candle, void *self, const char **why)
{
    return feed_parse_candles(body, read_candle, candle, self, why);
}

const struct feed_venue feed_venue_coinbase = {
    .id = VENUE_COINBASE,
    .ws_url = "wss://ws-feed.exchange.coinbase.com",
    .rest_url = "https://api.exchange.coinbase.com",
    .ws_path = "",
    .dead_ms = 5000,
    .needs_heartbeats = true,
    .answers_whole = true,
    .per_second = 4,
    .rows_a_connection = 500,
    .rows_a_message = 100,
    .parts = 1,
    .rest_burst = 3,
    .rest_period_ms = 334,
    .list_max_bytes = 8u << 20,
    .write = write_channels,
    .list_path = "/products",
    .read_list = read_list,
    .trades_path = trades_path,
    .read_trades = read_trades,
    .history_interval = history_interval,
    .history_max = 300,
    .candles_path = candles_path,
    .read_candles = read_candles,
    .leaves_out_quiet = true,
};
