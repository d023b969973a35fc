/* Kraken's WebSocket v2 and REST: docs.kraken.com. Channels are subscribed one by one, answers come
 * for each symbol. REST writes BTC as XBT and DOGE as XDG, wraps everything in `error` and
 * `result`, and is judged by `error`. SPDX-License-Identifier: MIT */
#include "sources/feed_parse.h"

enum { PART_TICKER, PART_TRADE, PARTS };

static void write_channel(struct buf *out, struct feed_row *const *rows, size_t count,
                          unsigned part, bool on, uint64_t id)
{
    buf_printf(out, "{\"method\":\"%s\",\"params\":{\"channel\":\"%s\",\"symbol\":[",
               on ? "subscribe" : "unsubscribe", part == PART_TICKER ? "ticker" : "trade");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s\"%s\"", i ? "," : "", rows[i]->instrument);
    }
    buf_printf(out, "]");
    if (part == PART_TICKER) {
        buf_printf(out, ",\"event_trigger\":\"bbo\"");
    }
    buf_printf(out, "%s},\"req_id\":%llu}", on ? ",\"snapshot\":true" : "", (unsigned long long)id);
}

/* XBTUSD, XDGUSD, ETHUSD */
static void add_pair(struct buf *out, const struct feed_row *row)
{
    struct str name = str_of(row->instrument);
    size_t slash = str_find(name, '/', 0);
    struct str base = str_sub(name, 0, slash);
    buf_add_str(out, str_eq(base, STR("BTC"))    ? STR("XBT")
                     : str_eq(base, STR("DOGE")) ? STR("XDG")
                                                 : base);
    buf_add_str(out, str_from(name, slash + 1));
}

/* ---- the envelope ---- */

/* Enters the object that is the document's result. ERR_UNAVAILABLE: it says an error, or has none.
 */
static enum err enter_result(struct str body, struct scan *s, const char **why)
{
    struct str key;
    struct str result = {0};
    bool refused = false;
    scan_begin(s, body);
    if (scan_object(s)) {
        while (scan_key(s, &key)) {
            if (str_eq(key, STR("error")) && scan_array(s)) {
                while (scan_item(s)) {
                    refused = true;
                }
            } else if (str_eq(key, STR("result")) && scan_peek(s) == SCAN_OBJECT) {
                (void)scan_skip(s, &result);
            }
        }
    }
    enum err e =
        feed_parse_end(s, !refused && result.ptr, refused ? "it says an error" : "no result", why);
    if (e == OK) {
        scan_begin(s, result);
        (void)scan_object(s);
    }
    return e;
}

/* `*rows` is the list of the one pair of the result; its name is Kraken's own, `last` stands beside
 * it. */
static enum err find_rows(struct str body, struct str *rows, const char **why)
{
    struct scan s;
    struct str key;
    enum err e = enter_result(body, &s, why);
    *rows = (struct str){0};
    while (e == OK && !rows->ptr && scan_key(&s, &key)) {
        if (!str_eq(key, STR("last")) && scan_peek(&s) == SCAN_ARRAY) {
            (void)scan_skip(&s, rows);
        }
    }
    return e == OK ? feed_parse_end(&s, rows->ptr, "a result without a list", why) : e;
}

/* ---- AssetPairs ---- */

static void read_pair(struct scan *s, feed_symbol_fn symbol, void *self)
{
    struct str key;
    struct str name = {0};
    struct str status = {0};
    struct str base;
    while (scan_key(s, &key)) {
        if (str_eq(key, STR("wsname"))) {
            (void)scan_string(s, &name);
        } else if (str_eq(key, STR("status"))) {
            (void)scan_string(s, &status);
        }
    }
    if ((!status.ptr || str_eq(status, STR("online"))) &&
        feed_symbol_of(VENUE_KRAKEN, name, &base)) {
        symbol(self, base);
    }
}

static enum err read_list(struct str body, feed_symbol_fn symbol, void *self, const char **why)
{
    struct scan s;
    struct str key;
    enum err e = enter_result(body, &s, why);
    while (e == OK && scan_key(&s, &key)) {
        if (scan_object(&s)) {
            read_pair(&s, symbol, self);
        }
    }
    return e;
}

/* ---- trades ---- */

/* From a moment on, in ns; the trade before the hole is among them. */
static void trades_path(struct buf *out, const struct feed_row *row, const struct feed_hole *hole)
{
    buf_printf(out, "/0/public/Trades?pair=");
    add_pair(out, row);
    buf_printf(out, "&since=%lld&count=1000", ((long long)hole->from_ms - 1) * 1000000);
}

/* [price, volume, time s, b or s, m or l, "", id] */
static bool read_trade(struct scan *s, struct exchange_event *e)
{
    struct str side = {0};
    bool well = scan_array(s) && scan_item(s) && feed_parse_price(s, &e->price) && scan_item(s) &&
                feed_parse_price(s, &e->quantity) && scan_item(s) &&
                feed_parse_time_us(s, &e->time_us) && scan_item(s) && scan_string(s, &side) &&
                scan_item(s) && scan_skip(s, NULL) && scan_item(s) && scan_skip(s, NULL) &&
                scan_item(s) && feed_parse_u64(s, &e->id);
    e->taker = str_eq(side, STR("b"))   ? SIDE_BUY
               : str_eq(side, STR("s")) ? SIDE_SELL
                                        : SIDE_UNKNOWN;
    while (well && scan_item(s)) {
    }
    return well;
}

static enum err read_trades(struct str body, exchange_event_fn trade, void *self, const char **why)
{
    struct str rows;
    enum err e = find_rows(body, &rows, why);
    return e == OK ? feed_parse_trades(rows, read_trade, trade, self, why) : e;
}

/* ---- candles ---- */

static enum interval history_interval(enum interval i)
{
    return i;
}

/* Only the newest 720 are there, whatever is asked. */
static void candles_path(struct buf *out, const struct feed_row *row, enum interval i, size_t count,
                         int64_t before_ms, int64_t now_ms)
{
    int64_t end_ms = before_ms > 0 ? before_ms : now_ms;
    buf_printf(out, "/0/public/OHLC?pair=");
    add_pair(out, row);
    buf_printf(out, "&interval=%lld&since=%lld", (long long)interval_ms(i) / 60000,
               ((long long)end_ms - (long long)(count + 1) * interval_ms(i)) / 1000);
}

/* [time s, open, high, low, close, vwap, volume, count] */
static bool read_candle(struct scan *s, struct candle *c)
{
    int64_t open_us = 0;
    double vwap = 0;
    uint64_t trades = 0;
    bool well = scan_item(s) && feed_parse_time_us(s, &open_us) && scan_item(s) &&
                feed_parse_price(s, &c->open) && scan_item(s) && feed_parse_price(s, &c->high) &&
                scan_item(s) && feed_parse_price(s, &c->low) && scan_item(s) &&
                feed_parse_price(s, &c->close) && scan_item(s) && feed_parse_double(s, &vwap) &&
                scan_item(s) && feed_parse_decimal(s, &c->volume) && scan_item(s) &&
                feed_parse_u64(s, &trades);
    c->open_ms = open_us / 1000;
    c->quote_volume = vwap * decimal_double(c->volume);
    c->trades = trades < UINT32_MAX ? (uint32_t)trades : UINT32_MAX;
    return well;
}

static enum err read_candles(struct str body, feed_candle_fn candle, void *self, const char **why)
{
    struct str rows;
    enum err e = find_rows(body, &rows, why);
    return e == OK ? feed_parse_candles(rows, read_candle, candle, self, why) : e;
}

const struct feed_venue feed_venue_kraken = {
    .id = VENUE_KRAKEN,
    .ws_url = "wss://ws.kraken.com/v2",
    .rest_url = "https://api.kraken.com",
    .ws_path = "",
    .dead_ms = 10000,
    .frames_confirm = true,
    .per_second = 4,
    .rows_a_connection = 500,
    .rows_a_message = 100,
    .parts = PARTS,
    .rest_burst = 1,
    .rest_period_ms = 1000,
    .list_max_bytes = 8u << 20,
    .write = write_channel,
    .list_path = "/0/public/AssetPairs",
    .read_list = read_list,
    .trades_path = trades_path,
    .read_trades = read_trades,
    .history_interval = history_interval,
    .history_max = 720,
    .candles_path = candles_path,
    .read_candles = read_candles,
    .newest_is_open = true,
};
