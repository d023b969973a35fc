/* Single trades as the three exchanges list them, and what pairs Kraken has.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "tools/answer.h"
#include "tools/frames.h"

#include <inttypes.h>
#include <math.h>

#define MAX_TRADES 1000

/* ---- Binance ---- */

static void price_and_amount(struct buf *b, const struct flow_trade *t, size_t symbol,
                             const char *price_key, const char *amount_key)
{
    buf_printf(b, ",\"%s\":\"", price_key);
    venue_add_units(b, t->ticks, venue_price_decimals(VENUE_BINANCE, symbol), 8, false);
    buf_printf(b, "\",\"%s\":\"", amount_key);
    venue_add_units(b, t->lots, venue_lot_decimals(VENUE_BINANCE, symbol), 8, false);
    buf_add_char(b, '"');
}

static void binance_trade(struct buf *b, const struct flow_trade *t, size_t symbol)
{
    double price = venue_to_double(t->ticks, venue_price_decimals(VENUE_BINANCE, symbol));
    double amount = venue_to_double(t->lots, venue_lot_decimals(VENUE_BINANCE, symbol));
    buf_printf(b, "{\"id\":%" PRIu64, t->id);
    price_and_amount(b, t, symbol, "price", "qty");
    buf_printf(
        b, ",\"quoteQty\":\"%.8f\",\"time\":%" PRId64 ",\"isBuyerMaker\":%s,\"isBestMatch\":true}",
        price * amount, t->at_ms, t->buy ? "false" : "true");
}

static void binance_agg_trade(struct buf *b, const struct flow_trade *t, size_t symbol)
{
    buf_printf(b, "{\"a\":%" PRIu64, t->id);
    price_and_amount(b, t, symbol, "p", "q");
    buf_printf(b, ",\"f\":%" PRIu64 ",\"l\":%" PRIu64 ",\"T\":%" PRId64 ",\"m\":%s,\"M\":true}",
               t->id, t->id, t->at_ms, t->buy ? "false" : "true");
}

/* Where a list begins: -1 is not given. */
struct start {
    int64_t id, from_ms, to_ms;
};

static void binance_list(const struct answer_call *c, const struct start *s, size_t symbol,
                         int64_t limit,
                         void (*write)(struct buf *b, const struct flow_trade *t, size_t symbol))
{
    struct flow_trade *list = mem_array(MAX_TRADES, sizeof(*list));
    size_t max = limit > MAX_TRADES ? MAX_TRADES : (size_t)limit;
    int64_t now = s->to_ms >= 0 && s->to_ms < c->now_ms ? s->to_ms : c->now_ms;
    size_t n = s->id >= 0 ? flow_from_id(c->flow, VENUE_BINANCE, symbol, (uint64_t)s->id, c->now_ms,
                                         list, max)
               : s->from_ms >= 0
                   ? flow_from_time(c->flow, VENUE_BINANCE, symbol, s->from_ms, now, list, max)
                   : flow_before_id(c->flow, VENUE_BINANCE, symbol, UINT64_MAX, now, list, max);
    buf_add_char(&c->out->body, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&c->out->body, i ? STR(",") : STR(""));
        write(&c->out->body, &list[i], symbol);
    }
    buf_add_char(&c->out->body, ']');
    mem_free(list);
}

static void binance_trades(const struct answer_call *c, bool takes_id, bool takes_times,
                           void (*write)(struct buf *b, const struct flow_trade *t, size_t symbol))
{
    struct buf name = {0};
    struct start s = {-1, -1, -1};
    int64_t limit = 500;
    size_t symbol = SIZE_MAX;
    if (!answer_param(c, "symbol", &name)) {
        answer_binance_error(
            c, 400, -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.");
    } else if ((symbol = venue_find(VENUE_BINANCE, buf_str(&name))) == SIZE_MAX) {
        answer_binance_error(c, 400, -1121, "Invalid symbol.");
    } else if (!answer_param_i64(c, "limit", &limit) || limit < 1 ||
               (takes_id && !answer_param_i64(c, "fromId", &s.id)) ||
               (takes_times && (!answer_param_i64(c, "startTime", &s.from_ms) ||
                                !answer_param_i64(c, "endTime", &s.to_ms)))) {
        answer_binance_error(c, 400, -1100, "Illegal characters found in a parameter.");
    } else {
        binance_list(c, &s, symbol, limit, write);
    }
    buf_fini(&name);
}

void answer_binance_trades(const struct answer_call *c)
{
    answer_binance_weigh(c, 25);
    binance_trades(c, false, false, binance_trade);
}

void answer_binance_historical_trades(const struct answer_call *c)
{
    answer_binance_weigh(c, 25);
    binance_trades(c, true, false, binance_trade);
}

void answer_binance_agg_trades(const struct answer_call *c)
{
    answer_binance_weigh(c, 4);
    binance_trades(c, true, true, binance_agg_trade);
}

/* ---- Coinbase: newest first; `after` an id are the older ones ---- */

static void coinbase_trade(struct buf *b, const struct flow_trade *t, size_t product)
{
    buf_printf(b, "{\"trade_id\":%" PRIu64 ",\"side\":\"%s\",\"size\":\"", t->id,
               t->buy ? "sell" : "buy"); /* the maker's */
    int lot = venue_lot_decimals(VENUE_COINBASE, product);
    int price = venue_price_decimals(VENUE_COINBASE, product);
    venue_add_units(b, t->lots, lot, 8, false);
    buf_add_lit(b, "\",\"price\":\"");
    venue_add_units(b, t->ticks, price, 8, false);
    buf_add_lit(b, "\",\"time\":\"");
    frame_add_time(b, t->at_ms, flow_trade_us(t));
    buf_add_lit(b, "\"}");
}

void answer_coinbase_trades(const struct answer_call *c)
{
    size_t product;
    int64_t limit = MAX_TRADES, after = -1, before = 0;
    if (!answer_coinbase_product(c, &product)) {
        return;
    }
    if (!answer_param_i64(c, "limit", &limit) || !answer_param_i64(c, "after", &after) ||
        !answer_param_i64(c, "before", &before) || limit < 1 || before < 0) {
        answer_text(c, 400, "{\"message\":\"Invalid limit, after or before\"}");
        return;
    }
    struct flow_trade *list = mem_array(MAX_TRADES, sizeof(*list));
    size_t n =
        flow_before_id(c->flow, VENUE_COINBASE, product, after < 0 ? UINT64_MAX : (uint64_t)after,
                       c->now_ms, list, limit > MAX_TRADES ? MAX_TRADES : (size_t)limit);
    size_t first = 0;
    while (first < n && list[first].id <= (uint64_t)before) {
        first++;
    }
    if (first < n) {
        buf_printf(&c->out->headers, "CB-BEFORE: %" PRIu64 "\r\nCB-AFTER: %" PRIu64 "\r\n",
                   list[n - 1].id, list[first].id);
    }
    buf_add_char(&c->out->body, '[');
    for (size_t i = n; i-- > first;) {
        coinbase_trade(&c->out->body, &list[i], product);
        buf_add_str(&c->out->body, i > first ? STR(",") : STR(""));
    }
    buf_add_char(&c->out->body, ']');
    mem_free(list);
}

/* ---- Kraken: `since` is a time in nanoseconds, and `last` the one to go on with ---- */

static int64_t time_ns(const struct flow_trade *t)
{
    return t->at_ms * 1000000 + (int64_t)flow_trade_us(t) * 1000;
}

static void kraken_trade(struct buf *b, const struct flow_trade *t, size_t symbol)
{
    int price = venue_price_decimals(VENUE_KRAKEN, symbol);
    int64_t ns = time_ns(t);
    buf_add_lit(b, "[\"");
    venue_add_units(b, t->ticks, price, price < 5 ? 5 : price, false);
    buf_add_lit(b, "\",\"");
    venue_add_units(b, t->lots, venue_lot_decimals(VENUE_KRAKEN, symbol), 8, false);
    buf_printf(b, "\",%" PRId64 ".%06" PRId64 ",\"%s\",\"%s\",\"\",%" PRIu64 "]", ns / 1000000000,
               ns % 1000000000 / 1000, t->buy ? "b" : "s", t->id % 4 ? "l" : "m", t->id);
}

static void kraken_list(const struct answer_call *c, size_t symbol, int64_t since, int64_t count)
{
    struct buf *b = &c->out->body;
    struct flow_trade *list = mem_array(MAX_TRADES, sizeof(*list));
    size_t max = count > MAX_TRADES ? MAX_TRADES : (size_t)count, first = 0;
    size_t n = since < 0
                   ? flow_before_id(c->flow, VENUE_KRAKEN, symbol, UINT64_MAX, c->now_ms, list, max)
                   : flow_from_time(c->flow, VENUE_KRAKEN, symbol, since / 1000000, c->now_ms, list,
                                    MAX_TRADES);
    while (since >= 0 && first < n && time_ns(&list[first]) <= since) {
        first++;
    }
    if (since >= 0 && n - first > max) {
        n = first + max;
        /* those of one moment stay together, for `last` is a time */
        while (n > first + 1 && list[n - 1].at_ms == list[n].at_ms) {
            n--;
        }
    }
    buf_add_lit(b, "{\"error\":[],\"result\":{");
    answer_kraken_key(c, symbol);
    buf_add_char(b, '[');
    for (size_t i = first; i < n; i++) {
        buf_add_str(b, i > first ? STR(",") : STR(""));
        kraken_trade(b, &list[i], symbol);
    }
    buf_printf(b, "],\"last\":\"%" PRId64 "\"}}",
               n > first   ? time_ns(&list[n - 1])
               : since < 0 ? 0
                           : since);
    mem_free(list);
}

void answer_kraken_trades(const struct answer_call *c)
{
    struct buf pair = {0};
    int64_t since = -1, count = MAX_TRADES;
    c->out->content_type = "application/json";
    if (!answer_param(c, "pair", &pair) || !answer_param_i64(c, "since", &since) ||
        !answer_param_i64(c, "count", &count) || count < 1) {
        answer_kraken_error(c, "EGeneral:Invalid arguments");
    } else if (answer_kraken_pair(buf_str(&pair)) == SIZE_MAX) {
        answer_kraken_error(c, "EQuery:Unknown asset pair");
    } else {
        /* a small number is seconds */
        kraken_list(c, answer_kraken_pair(buf_str(&pair)),
                    since > 0 && since < INT64_C(100000000000) ? since * 1000000000 : since, count);
    }
    buf_fini(&pair);
}

static void kraken_pair(const struct answer_call *c, size_t i)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    const char *coin = strcmp(y->symbol, "BTC") == 0    ? "XBT"
                       : strcmp(y->symbol, "DOGE") == 0 ? "XDG"
                                                        : y->symbol;
    int price = venue_price_decimals(VENUE_KRAKEN, i), lot = venue_lot_decimals(VENUE_KRAKEN, i);
    answer_kraken_key(c, i);
    buf_printf(&c->out->body,
               "{\"altname\":\"%sUSD\",\"wsname\":\"%s/USD\",\"aclass_base\":\"currency\",\"base\":"
               "\"%s\",\"aclass_quote\":\"currency\",\"quote\":\"ZUSD\",\"lot\":\"unit\","
               "\"pair_decimals\":%d,\"cost_decimals\":5,\"lot_decimals\":%d,\"lot_multiplier\":1,"
               "\"ordermin\":\"%.*f\",\"costmin\":\"0.5\",\"tick_size\":\"%.*f\",\"status\":"
               "\"online\"}",
               coin, coin, coin, price, lot, lot, pow(10, -lot), price, pow(10, -price));
}

void answer_kraken_asset_pairs(const struct answer_call *c)
{
    answer_kraken_pairs(c, kraken_pair);
}
