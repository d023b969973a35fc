/* Coinbase Exchange: numbers are text without trailing zeros, but candles are JSON numbers; times
 * are ISO with microseconds. SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "tools/answer.h"
#include "tools/frames.h"

#include <math.h>

#define MAX_ROWS 300

static void text_field(struct buf *b, const char *name, double value, int decimals)
{
    buf_printf(b, "\"%s\":\"", name);
    answer_fixed(b, value, decimals, true);
    buf_add_lit(b, "\",");
}

void answer_coinbase_products(const struct answer_call *c)
{
    struct buf *b = &c->out->body;
    buf_add_char(b, '[');
    for (size_t i = 0, count = 0; i < SIM_SYMBOLS; i++) {
        const struct sim_symbol *y = sim_symbol_at(i);
        if (!venue_lists(VENUE_COINBASE, i)) {
            continue;
        }
        buf_printf(b,
                   "%s{\"id\":\"%s-USD\",\"base_currency\":\"%s\",\"quote_currency\":\"USD\","
                   "\"quote_increment\":\"%.*f\",\"base_increment\":\"0.00000001\","
                   "\"display_name\":\"%s-USD\",\"min_market_funds\":\"1\",\"margin_enabled\":"
                   "false,\"post_only\":false,\"limit_only\":false,\"cancel_only\":false,"
                   "\"status\":\"online\",\"status_message\":\"\",\"trading_disabled\":false}",
                   count++ ? "," : "", y->symbol, y->symbol, y->decimals, 1 / pow(10, y->decimals),
                   y->symbol);
    }
    buf_add_char(b, ']');
}

/* Finds the product of the path or writes the error. */
bool answer_coinbase_product(const struct answer_call *c, size_t *product)
{
    *product = venue_find(VENUE_COINBASE, c->name);
    if (*product == SIZE_MAX) {
        answer_text(c, 404, "{\"message\":\"NotFound\"}");
    }
    return *product != SIZE_MAX;
}

/* The last day, or the error that there is none. */
static bool last_day(const struct answer_call *c, size_t product, struct frame_day *d)
{
    if (!frame_day_of(c->flow, VENUE_COINBASE, product, c->now_ms, d)) {
        answer_text(c, 404, "{\"message\":\"NotFound\"}");
        return false;
    }
    return true;
}

static void units_field(struct buf *b, const char *name, int64_t units, int decimals)
{
    buf_printf(b, "\"%s\":\"", name);
    venue_add_units(b, units, decimals, decimals, true);
    buf_add_lit(b, "\",");
}

void answer_coinbase_ticker(const struct answer_call *c)
{
    size_t product;
    struct frame_day d;
    if (!answer_coinbase_product(c, &product) || !last_day(c, product, &d)) {
        return;
    }
    struct frame_quote q = frame_quote_of(&d.last);
    struct buf *b = &c->out->body;
    int price = venue_price_decimals(VENUE_COINBASE, product);
    buf_add_char(b, '{');
    units_field(b, "ask", q.ask, price);
    units_field(b, "bid", q.bid, price);
    text_field(b, "volume", d.day.volume, 8);
    buf_printf(b, "\"trade_id\":%llu,", (unsigned long long)d.last.id);
    units_field(b, "price", d.last.ticks, price);
    units_field(b, "size", d.last.lots, venue_lot_decimals(VENUE_COINBASE, product));
    buf_add_lit(b, "\"time\":\"");
    frame_add_time(b, d.last.at_ms, flow_trade_us(&d.last));
    buf_add_lit(b, "\",\"rfq_volume\":\"0\"}");
}

void answer_coinbase_stats(const struct answer_call *c)
{
    size_t product;
    struct frame_day day;
    struct sim_candle d, month = {0};
    if (!answer_coinbase_product(c, &product) || !last_day(c, product, &day)) {
        return;
    }
    const struct sim_symbol *y = sim_symbol_at(product);
    struct buf *b = &c->out->body;
    d = day.day;
    int64_t from = c->now_ms / SIM_DAY_MS * SIM_DAY_MS - 29 * SIM_DAY_MS;
    buf_add_char(b, '{');
    text_field(b, "open", d.open, y->decimals);
    text_field(b, "high", d.high, y->decimals);
    text_field(b, "low", d.low, y->decimals);
    text_field(b, "last", d.close, y->decimals);
    text_field(b, "volume", d.volume, 8);
    (void)flow_candle(c->flow, VENUE_COINBASE, product, from, c->now_ms + 1, c->now_ms, &month);
    buf_add_lit(b, "\"volume_30day\":\"");
    answer_fixed(b, month.volume, 8, true);
    buf_add_lit(b, "\",\"rfq_volume_24hour\":\"0\",\"rfq_volume_30day\":\"0\"}");
}

/* ---- candles ---- */

/* Unix seconds or RFC 3339. Absent: false with no error. */
static bool time_param(const struct answer_call *c, const char *name, int64_t *ms, bool *bad)
{
    struct buf text = {0};
    bool given = answer_param(c, name, &text);
    int64_t value = 0;
    if (given && str_to_i64(buf_str(&text), &value) == OK) {
        *bad |= value < 0 || value > INT64_C(100000000000);
        *ms = *bad ? 0 : value * 1000;
    } else if (given && clock_parse_rfc3339(buf_str(&text), &value) == OK) {
        *ms = value;
    } else {
        *bad |= given;
    }
    buf_fini(&text);
    return given;
}

static void candle_rows(const struct answer_call *c, size_t product, int64_t each, int64_t start,
                        int64_t end)
{
    const struct sim_symbol *y = sim_symbol_at(product);
    struct buf *b = &c->out->body;
    int rows = 0;
    buf_add_char(b, '[');
    for (int64_t open = end / each * each; open >= start && rows < MAX_ROWS; open -= each) {
        struct sim_candle k;
        if (!flow_candle(c->flow, VENUE_COINBASE, product, open, open + each, c->now_ms, &k) ||
            k.trades == 0) {
            continue; /* empty buckets are left out */
        }
        buf_printf(b, "%s[%lld,", rows++ ? "," : "", (long long)(open / 1000));
        const double prices[] = {k.low, k.high, k.open, k.close};
        for (size_t i = 0; i < ARRAY_LEN(prices); i++) {
            answer_fixed(b, prices[i], y->decimals, true);
            buf_add_char(b, ',');
        }
        answer_fixed(b, k.volume, 8, true);
        buf_add_char(b, ']');
    }
    buf_add_char(b, ']');
}

void answer_coinbase_candles(const struct answer_call *c)
{
    static const int64_t allowed[] = {60, 300, 900, 3600, 21600, 86400};
    size_t product;
    int64_t granularity = 60, start = 0, end = c->now_ms;
    bool bad = false, known = false;
    if (!answer_coinbase_product(c, &product)) {
        return;
    }
    bool numeric = answer_param_i64(c, "granularity", &granularity);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        known |= numeric && granularity == allowed[i];
    }
    bool has_start = time_param(c, "start", &start, &bad);
    bool has_end = time_param(c, "end", &end, &bad);
    int64_t each = granularity * 1000;
    if (!known) {
        answer_text(c, 400, "{\"message\":\"Unsupported granularity\"}");
    } else if (bad || (has_start && has_end && end < start)) {
        answer_text(c, 400, "{\"message\":\"Invalid start or end\"}");
    } else if (has_start && (end - start) / each > MAX_ROWS) {
        answer_text(c, 400,
                    "{\"message\":\"granularity too small for the requested time range. Count of "
                    "aggregations requested exceeds 300\"}");
    } else {
        end = end < c->now_ms ? end : c->now_ms;
        if (!has_start) {
            start = (end / each - (MAX_ROWS - 1)) * each;
        }
        candle_rows(c, product, each, start < SIM_FIRST_MS ? SIM_FIRST_MS : start, end);
    }
}
