/* Binance spot: numbers are text with eight decimals; every answer says the weight used in the
 * minute. SPDX-License-Identifier: MIT */
#include "tools/answer.h"
#include "tools/frames.h"

#include <math.h>

#define MAX_ROWS 1000

void answer_binance_error(const struct answer_call *c, unsigned status, int code,
                          const char *message)
{
    c->out->status = status;
    buf_clear(&c->out->body);
    buf_printf(&c->out->body, "{\"code\":%d,\"msg\":\"%s\"}", code, message);
}

/* Counts and says what a request costs. */
void answer_binance_weigh(const struct answer_call *c, unsigned weight)
{
    struct answer_world *w = c->world;
    int64_t minute = c->now_ms / SIM_MINUTE_MS;
    if (w->weight_minute != minute) {
        w->weight_minute = minute;
        w->weight_used = 0;
    }
    w->weight_used += weight;
    c->out->content_type = "application/json;charset=UTF-8";
    buf_printf(&c->out->headers,
               "X-MBX-USED-WEIGHT: %u\r\nX-MBX-USED-WEIGHT-1M: %u\r\n"
               "Cache-Control: no-cache, no-store, must-revalidate\r\n",
               w->weight_used, w->weight_used);
}

/* Which instruments are asked for: `symbol`, or `symbols` (a JSON list), or all. False: the error
 * is written. */
static bool choose(const struct answer_call *c, bool chosen[SIM_SYMBOLS], bool *single)
{
    struct buf one = {0}, list = {0};
    bool has_one = answer_param(c, "symbol", &one), has_list = answer_param(c, "symbols", &list);
    bool ok = true;
    *single = has_one;
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        chosen[i] = !has_one && !has_list && venue_lists(VENUE_BINANCE, i);
    }
    struct str rest = buf_str(has_one ? &one : &list), part;
    if (has_one && has_list) {
        answer_binance_error(c, 400, -1128, "Combination of optional parameters invalid.");
        ok = false;
    } else if (has_list && (rest.len < 2 || rest.ptr[0] != '[' || rest.ptr[rest.len - 1] != ']')) {
        answer_binance_error(c, 400, -1100, "Illegal characters found in parameter 'symbols'.");
        ok = false;
    } else if (has_list) {
        rest = str_sub(rest, 1, rest.len - 2);
    }
    while (ok && str_next(&rest, ',', &part)) {
        if (has_list && part.len > 2 && part.ptr[0] == '"' && part.ptr[part.len - 1] == '"') {
            part = str_sub(part, 1, part.len - 2);
        }
        size_t i = venue_find(VENUE_BINANCE, part);
        if (i == SIZE_MAX) {
            answer_binance_error(c, 400, -1121, "Invalid symbol.");
            ok = false;
        } else {
            chosen[i] = true;
        }
    }
    buf_fini(&one);
    buf_fini(&list);
    return ok;
}

static void price_field(struct buf *b, const char *name, double value)
{
    buf_printf(b, "\"%s\":\"%.8f\",", name, value);
}

static void ticker_24h(const struct answer_call *c, size_t i, bool full)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    struct buf *b = &c->out->body;
    struct frame_day day;
    if (!frame_day_of(c->flow, VENUE_BINANCE, i, c->now_ms, &day)) {
        buf_add_lit(b, "null"); /* before there was a market */
        return;
    }
    struct sim_candle d = day.day;
    struct frame_quote q = frame_quote_of(&day.last);
    int lots = venue_lot_decimals(VENUE_BINANCE, i);
    double mean = d.volume > 0 ? d.volume_usd / d.volume : d.close;
    buf_printf(b, "{\"symbol\":\"%sUSDT\",", y->symbol);
    if (full) {
        price_field(b, "priceChange", d.close - d.open);
        buf_printf(b, "\"priceChangePercent\":\"%.3f\",", (d.close / d.open - 1) * 100);
        price_field(b, "weightedAvgPrice", mean);
        price_field(b, "prevClosePrice", d.open);
        price_field(b, "lastPrice", d.close);
        price_field(b, "lastQty", venue_to_double(day.last.lots, lots));
        price_field(b, "bidPrice", venue_to_double(q.bid, y->decimals));
        price_field(b, "bidQty", venue_to_double(q.bid_lots, lots));
        price_field(b, "askPrice", venue_to_double(q.ask, y->decimals));
        price_field(b, "askQty", venue_to_double(q.ask_lots, lots));
    }
    price_field(b, "openPrice", d.open);
    price_field(b, "highPrice", d.high);
    price_field(b, "lowPrice", d.low);
    if (!full) {
        price_field(b, "lastPrice", d.close);
    }
    price_field(b, "volume", d.volume);
    price_field(b, "quoteVolume", d.volume_usd);
    buf_printf(
        b, "\"openTime\":%lld,\"closeTime\":%lld,\"firstId\":%llu,\"lastId\":%llu,\"count\":%llu}",
        (long long)(c->now_ms - SIM_DAY_MS), (long long)c->now_ms, (unsigned long long)day.first_id,
        (unsigned long long)day.last.id, (unsigned long long)d.trades);
}

static void ticker_price(const struct answer_call *c, size_t i, bool full)
{
    struct flow_trade last;
    (void)full;
    if (!flow_last(c->flow, VENUE_BINANCE, i, c->now_ms, &last)) {
        buf_add_lit(&c->out->body, "null");
        return;
    }
    buf_printf(&c->out->body, "{\"symbol\":\"%sUSDT\",\"price\":\"%.8f\"}",
               sim_symbol_at(i)->symbol,
               venue_to_double(last.ticks, venue_price_decimals(VENUE_BINANCE, i)));
}

static void tickers(const struct answer_call *c,
                    void (*entry)(const struct answer_call *c, size_t i, bool full))
{
    bool chosen[SIM_SYMBOLS], single;
    size_t count = 0;
    if (!choose(c, chosen, &single)) {
        return;
    }
    struct buf kind = {0};
    bool full = !answer_param(c, "type", &kind) || !str_eq(buf_str(&kind), STR("MINI"));
    buf_fini(&kind);
    buf_add_str(&c->out->body, single ? STR("") : STR("["));
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (chosen[i]) {
            buf_add_str(&c->out->body, count++ ? STR(",") : STR(""));
            entry(c, i, full);
        }
    }
    buf_add_str(&c->out->body, single ? STR("") : STR("]"));
}

/* How many instruments a ticker request names, for its weight. */
static size_t asked_for(const struct answer_call *c)
{
    struct buf text = {0};
    size_t count = answer_param(c, "symbol", &text) ? 1 : 0;
    if (!count && answer_param(c, "symbols", &text)) {
        struct str rest = buf_str(&text), part;
        while (str_next(&rest, ',', &part)) {
            count++;
        }
    }
    buf_fini(&text);
    return count;
}

void answer_binance_ticker_24h(const struct answer_call *c)
{
    size_t count = asked_for(c);
    answer_binance_weigh(c, count == 0 || count > 100 ? 80 : count > 20 ? 40 : 2);
    tickers(c, ticker_24h);
}

void answer_binance_ticker_price(const struct answer_call *c)
{
    answer_binance_weigh(c, asked_for(c) == 1 ? 2 : 4);
    tickers(c, ticker_price);
}

/* ---- klines ---- */

struct interval {
    const char *name;
    int64_t minutes;
    int64_t offset_minutes; /* of the grid: weeks begin on Monday */
};
static const struct interval intervals[] = {
    {"1m", 1, 0},    {"3m", 3, 0},    {"5m", 5, 0},    {"15m", 15, 0},      {"30m", 30, 0},
    {"1h", 60, 0},   {"2h", 120, 0},  {"4h", 240, 0},  {"6h", 360, 0},      {"8h", 480, 0},
    {"12h", 720, 0}, {"1d", 1440, 0}, {"3d", 4320, 0}, {"1w", 10080, 5760},
};

static const struct interval *find_interval(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
        if (str_eq(name, str_of(intervals[i].name))) {
            return &intervals[i];
        }
    }
    return NULL;
}

static void kline(struct buf *b, const struct sim_candle *k, int64_t each_ms)
{
    buf_printf(b,
               "[%lld,\"%.8f\",\"%.8f\",\"%.8f\",\"%.8f\",\"%.8f\",%lld,\"%.8f\",%llu,\"%.8f\","
               "\"%.8f\",\"0\"]",
               (long long)k->open_ms, k->open, k->high, k->low, k->close, k->volume,
               (long long)(k->open_ms + each_ms - 1), k->volume_usd, (unsigned long long)k->trades,
               k->taker_buy, k->taker_buy_usd);
}

struct range {
    int64_t start, end, limit; /* start and end -1: not given */
};

/* With a start: the first `limit` rows from it; else the last ones before the end. */
static void klines(const struct answer_call *c, size_t symbol, const struct interval *v,
                   const struct range *r)
{
    int64_t each = v->minutes * SIM_MINUTE_MS, offset = v->offset_minutes * SIM_MINUTE_MS;
    int64_t end = r->end >= 0 && r->end < c->now_ms ? r->end : c->now_ms;
    int64_t last = (end - offset) / each * each + offset;
    int64_t first = last - (r->limit - 1) * each;
    if (r->start >= 0) {
        int64_t start = r->start < SIM_FIRST_MS ? SIM_FIRST_MS : r->start;
        first = (start - offset + each - 1) / each * each + offset;
        last = last < first + (r->limit - 1) * each ? last : first + (r->limit - 1) * each;
    }
    size_t rows = 0;
    buf_add_char(&c->out->body, '[');
    for (int64_t open = first; open <= last; open += each) {
        struct sim_candle k;
        if (open >= SIM_FIRST_MS &&
            flow_candle(c->flow, VENUE_BINANCE, symbol, open, open + each, c->now_ms, &k)) {
            buf_add_str(&c->out->body, rows++ ? STR(",") : STR(""));
            kline(&c->out->body, &k, each);
        }
    }
    buf_add_char(&c->out->body, ']');
}

void answer_binance_klines(const struct answer_call *c)
{
    struct buf symbol = {0}, interval = {0};
    struct range r = {-1, -1, 500};
    const struct interval *v = NULL;
    answer_binance_weigh(c, 2);
    if (!answer_param(c, "symbol", &symbol)) {
        answer_binance_error(
            c, 400, -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.");
    } else if (!answer_param(c, "interval", &interval)) {
        answer_binance_error(
            c, 400, -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.");
    } else if (venue_find(VENUE_BINANCE, buf_str(&symbol)) == SIZE_MAX) {
        answer_binance_error(c, 400, -1121, "Invalid symbol.");
    } else if (!(v = find_interval(buf_str(&interval)))) {
        answer_binance_error(c, 400, -1120, "Invalid interval.");
    } else if (!answer_param_i64(c, "limit", &r.limit) ||
               !answer_param_i64(c, "startTime", &r.start) ||
               !answer_param_i64(c, "endTime", &r.end) || r.limit < 1 || r.start > INT64_MAX / 4 ||
               r.end > INT64_MAX / 4) {
        answer_binance_error(c, 400, -1100, "Illegal characters found in a parameter.");
    } else {
        r.limit = r.limit > MAX_ROWS ? MAX_ROWS : r.limit;
        klines(c, venue_find(VENUE_BINANCE, buf_str(&symbol)), v, &r);
    }
    buf_fini(&symbol);
    buf_fini(&interval);
}

/* ---- exchange ---- */

static void instrument(const struct answer_call *c, size_t i)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    double tick = 1 / pow(10, y->decimals);
    buf_printf(&c->out->body,
               "{\"symbol\":\"%sUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"%s\","
               "\"baseAssetPrecision\":8,\"quoteAsset\":\"USDT\",\"quotePrecision\":8,"
               "\"quoteAssetPrecision\":8,\"orderTypes\":[\"LIMIT\",\"MARKET\"],"
               "\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\"filters\":["
               "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"%.8f\",\"maxPrice\":"
               "\"1000000.00000000\",\"tickSize\":\"%.8f\"},{\"filterType\":\"LOT_SIZE\","
               "\"minQty\":\"0.00001000\",\"maxQty\":\"9000000000.00000000\",\"stepSize\":"
               "\"0.00001000\"}],\"permissions\":[]}",
               y->symbol, y->symbol, tick, tick);
}

void answer_binance_exchange_info(const struct answer_call *c)
{
    bool chosen[SIM_SYMBOLS], single;
    size_t count = 0;
    answer_binance_weigh(c, 20);
    if (!choose(c, chosen, &single)) {
        return;
    }
    buf_printf(&c->out->body,
               "{\"timezone\":\"UTC\",\"serverTime\":%lld,\"rateLimits\":[{\"rateLimitType\":"
               "\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":6000},"
               "{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,"
               "\"limit\":61000}],\"exchangeFilters\":[],\"symbols\":[",
               (long long)c->now_ms);
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (chosen[i]) {
            buf_add_str(&c->out->body, count++ ? STR(",") : STR(""));
            instrument(c, i);
        }
    }
    buf_add_lit(&c->out->body, "]}");
}

void answer_binance_time(const struct answer_call *c)
{
    answer_binance_weigh(c, 1);
    buf_printf(&c->out->body, "{\"serverTime\":%lld}", (long long)c->now_ms);
}
