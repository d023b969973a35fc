/* Binance's streams and what its REST adds: github.com/binance/binance-spot-api-docs. Streams are
 * asked for by SUBSCRIBE on a combined connection; a connection carries 1,024, we take three an
 * instrument. Five client messages a second, our pongs among them.
 * SPDX-License-Identifier: MIT */
#include "sources/feed_parse.h"

static void write_streams(struct buf *out, struct feed_row *const *rows, size_t count,
                          unsigned part, bool on, uint64_t id)
{
    static const char *const streams[] = {"trade", "bookTicker", "ticker"};
    (void)part;
    buf_printf(out, "{\"method\":\"%s\",\"params\":[", on ? "SUBSCRIBE" : "UNSUBSCRIBE");
    for (size_t i = 0; i < count * ARRAY_LEN(streams); i++) {
        buf_printf(out, "%s\"", i ? "," : "");
        for (const char *c = rows[i / ARRAY_LEN(streams)]->instrument; *c; c++) {
            buf_add_char(out, (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c));
        }
        buf_printf(out, "@%s\"", streams[i % ARRAY_LEN(streams)]);
    }
    buf_printf(out, "],\"id\":%llu}", (unsigned long long)id);
}

/* ---- exchangeInfo ---- */

static void read_symbol(struct scan *s, feed_symbol_fn symbol, void *self)
{
    struct str key;
    struct str name = {0};
    struct str status = {0};
    struct str base;
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("symbol"))) {
            (void)scan_string(s, &name);
        } else if (str_eq(key, STR("status"))) {
            (void)scan_string(s, &status);
        }
    }
    if (str_eq(status, STR("TRADING")) && feed_symbol_of(VENUE_BINANCE, name, &base)) {
        symbol(self, base);
    }
}

static enum err read_list(struct str body, feed_symbol_fn symbol, void *self, const char **why)
{
    struct scan s;
    struct str key;
    bool found = false;
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (!str_eq(key, STR("symbols")) || !scan_array(&s)) {
                continue;
            }
            found = true;
            while (scan_item(&s)) {
                if (scan_object(&s)) {
                    read_symbol(&s, symbol, self);
                }
            }
        }
    }
    return feed_parse_end(&s, found, "an answer without symbols", why);
}

/* The row of `rateLimits` for weight by one minute; it stands before the long list. */
static uint64_t read_limit(struct scan *s)
{
    struct str key, type = {0}, unit = {0};
    uint64_t count = 0, limit = 0;
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("rateLimitType"))) {
            (void)scan_string(s, &type);
        } else if (str_eq(key, STR("interval"))) {
            (void)scan_string(s, &unit);
        } else if (str_eq(key, STR("intervalNum"))) {
            (void)feed_parse_u64(s, &count);
        } else if (str_eq(key, STR("limit"))) {
            (void)feed_parse_u64(s, &limit);
        }
    }
    bool is = str_eq(type, STR("REQUEST_WEIGHT")) && str_eq(unit, STR("MINUTE")) && count == 1;
    return is && limit <= UINT32_MAX ? limit : 0;
}

static uint64_t read_weight_limit(struct str body)
{
    struct scan s;
    struct str key;
    uint64_t limit = 0;
    scan_begin(&s, body);
    if (!scan_object(&s)) {
        return 0;
    }
    while (limit == 0 && scan_key(&s, &key)) {
        bool is = str_eq(key, STR("rateLimits")) && scan_array(&s);
        while (is && limit == 0 && scan_item(&s)) {
            limit = scan_object(&s) ? read_limit(&s) : 0;
        }
    }
    return limit;
}

/* ---- trades ---- */

static void trades_path(struct buf *out, const struct feed_row *row, const struct feed_hole *hole)
{
    buf_printf(out, "/api/v3/historicalTrades?symbol=%s&fromId=%llu&limit=%llu", row->instrument,
               (unsigned long long)hole->from, (unsigned long long)feed_hole_size(hole));
}

static bool read_trade(struct scan *s, struct exchange_event *e)
{
    struct str key;
    bool price = false;
    bool quantity = false;
    bool id = false;
    bool time = false;
    bool maker = false;
    if (!scan_object(s)) {
        return false;
    }
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("id"))) {
            id = feed_parse_u64(s, &e->id);
        } else if (str_eq(key, STR("price"))) {
            price = feed_parse_price(s, &e->price);
        } else if (str_eq(key, STR("qty"))) {
            quantity = feed_parse_price(s, &e->quantity);
        } else if (str_eq(key, STR("time"))) {
            time = feed_parse_time_us(s, &e->time_us);
        } else if (str_eq(key, STR("isBuyerMaker")) && scan_bool(s, &maker)) {
            e->taker = maker ? SIDE_SELL : SIDE_BUY;
        }
    }
    return price && quantity && id && time;
}

static enum err read_trades(struct str body, exchange_event_fn trade, void *self, const char **why)
{
    return feed_parse_trades(body, read_trade, trade, self, why);
}

/* ---- candles ---- */

static enum interval history_interval(enum interval i)
{
    return i;
}

static void candles_path(struct buf *out, const struct feed_row *row, enum interval i, size_t count,
                         int64_t before_ms, int64_t now_ms)
{
    (void)now_ms;
    buf_printf(out, "/api/v3/klines?symbol=%s&interval=%s&limit=%zu", row->instrument,
               interval_name(i), before_ms ? count : min_size(count + 1, 1000));
    if (before_ms > 0) {
        buf_printf(out, "&endTime=%lld", (long long)before_ms - interval_ms(i));
    }
}

/* [open time, o, h, l, c, volume, close time, quote volume, trades, taker buys, ..., ...] */
static bool read_candle(struct scan *s, struct candle *c)
{
    int64_t open_us = 0;
    uint64_t trades = 0;
    bool well = scan_item(s) && feed_parse_time_us(s, &open_us) && scan_item(s) &&
                feed_parse_price(s, &c->open) && scan_item(s) && feed_parse_price(s, &c->high) &&
                scan_item(s) && feed_parse_price(s, &c->low) && scan_item(s) &&
                feed_parse_price(s, &c->close) && scan_item(s) &&
                feed_parse_decimal(s, &c->volume) && scan_item(s) && scan_skip(s, NULL) &&
                scan_item(s) && feed_parse_double(s, &c->quote_volume) && scan_item(s) &&
                feed_parse_u64(s, &trades) && scan_item(s) && feed_parse_double(s, &c->taker_buy);
    c->open_ms = open_us / 1000;
    c->trades = trades < UINT32_MAX ? (uint32_t)trades : UINT32_MAX;
    return well;
}

static enum err read_candles(struct str body, feed_candle_fn candle, void *self, const char **why)
{
    return feed_parse_candles(body, read_candle, candle, self, why);
}

const struct feed_venue feed_venue_binance = {
    .id = VENUE_BINANCE,
    .ws_url = "wss://data-stream.binance.vision",
    .rest_url = "https://data-api.binance.vision",
    .ws_path = "/stream",
    .dead_ms = 60000,
    .frames_confirm = true,
    .answers_whole = true,
    .per_second = 4, /* and a pong */
    .rows_a_connection = 1024 / 3,
    .rows_a_message = 50,
    .parts = 1,
    .rest_burst = 10,
    .rest_period_ms = 100,
    .list_max_bytes = 32u << 20,
    .write = write_streams,
    .list_path = "/api/v3/exchangeInfo?symbolStatus=TRADING&showPermissionSets=false",
    .read_list = read_list,
    .read_weight_limit = read_weight_limit,
    .trades_path = trades_path,
    .read_trades = read_trades,
    .history_interval = history_interval,
    .history_max = 1000,
    .candles_path = candles_path,
    .read_candles = read_candles,
    .newest_is_open = true,
};
