/* Kraken REST: one envelope {"error":[],"result":{...}}, HTTP 200 even for errors, numbers as text,
 * keys in its own names unless assetVersion=1. SPDX-License-Identifier: MIT */
#include "tools/answer.h"
#include "tools/frames.h"

#include <math.h>
#include <time.h>

#define MAX_ROWS 720

/* What it calls a coin in pair names. */
static struct str coin_name(const struct sim_symbol *y)
{
    return str_of(strcmp(y->symbol, "BTC") == 0    ? "XBT"
                  : strcmp(y->symbol, "DOGE") == 0 ? "XDG"
                                                   : y->symbol);
}

/* XBTUSD, XXBTZUSD, XBT/USD, BTC/USD and BTCUSD are one pair. */
static bool is_pair(const struct sim_symbol *y, struct str pair)
{
    if (str_eq(pair, str_of(y->kraken))) {
        return true;
    }
    if (!str_ends(pair, STR("USD"))) {
        return false;
    }
    struct str coin = str_sub(pair, 0, pair.len - 3);
    if (str_ends(coin, STR("/"))) {
        coin = str_sub(coin, 0, coin.len - 1);
    }
    return str_eq(coin, coin_name(y)) || str_eq(coin, str_of(y->symbol));
}

size_t answer_kraken_pair(struct str pair)
{
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (is_pair(sim_symbol_at(i), pair)) {
            return i;
        }
    }
    return SIZE_MAX;
}

void answer_kraken_error(const struct answer_call *c, const char *what)
{
    buf_clear(&c->out->body);
    buf_printf(&c->out->body, "{\"error\":[\"%s\"]}", what);
}

void answer_kraken_key(const struct answer_call *c, size_t symbol)
{
    const struct sim_symbol *y = sim_symbol_at(symbol);
    struct buf version = {0};
    if (answer_param(c, "assetVersion", &version) && str_eq(buf_str(&version), STR("1"))) {
        buf_printf(&c->out->body, "\"%s/USD\":", y->symbol);
    } else {
        buf_printf(&c->out->body, "\"%s\":", y->kraken);
    }
    buf_fini(&version);
}

static double mean_price(const struct sim_candle *k)
{
    return k->volume > 0 ? k->volume_usd / k->volume : k->close;
}

/* "v":["today","24 h"] and the like. */
static void add_two(struct buf *b, const char *name, double today, double day, int decimals)
{
    buf_printf(b, "\"%s\":[\"%.*f\",\"%.*f\"],", name, decimals, today, decimals, day);
}

static void add_ticker(const struct answer_call *c, size_t i)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    struct buf *b = &c->out->body;
    struct frame_day whole_day;
    struct sim_candle day, today;
    int64_t midnight = c->now_ms / SIM_DAY_MS * SIM_DAY_MS;
    answer_kraken_key(c, i);
    if (!frame_day_of(c->flow, VENUE_KRAKEN, i, c->now_ms, &whole_day) ||
        !flow_candle(c->flow, VENUE_KRAKEN, i, midnight, c->now_ms + 1, c->now_ms, &today)) {
        buf_add_lit(b, "null"); /* before there was a market */
        return;
    }
    int digits = y->decimals < 5 ? 5 : y->decimals; /* padded, as it does */
    day = whole_day.day;
    struct frame_quote q = frame_quote_of(&whole_day.last);
    int price = venue_price_decimals(VENUE_KRAKEN, i), lot = venue_lot_decimals(VENUE_KRAKEN, i);
    double bid_lots = venue_to_double(q.bid_lots, lot), ask_lots = venue_to_double(q.ask_lots, lot);
    buf_printf(b, "{\"a\":[\"%.*f\",\"%.0f\",\"%.3f\"],\"b\":[\"%.*f\",\"%.0f\",\"%.3f\"],", digits,
               venue_to_double(q.ask, price), fmax(ask_lots, 1), ask_lots, digits,
               venue_to_double(q.bid, price), fmax(bid_lots, 1), bid_lots);
    buf_printf(b, "\"c\":[\"%.*f\",\"%.8f\"],", digits,
               venue_to_double(whole_day.last.ticks, price),
               venue_to_double(whole_day.last.lots, lot));
    add_two(b, "v", today.volume, day.volume, 8);
    add_two(b, "p", mean_price(&today), mean_price(&day), digits);
    buf_printf(b, "\"t\":[%llu,%llu],", (unsigned long long)today.trades,
               (unsigned long long)day.trades);
    add_two(b, "l", today.low, day.low, digits);
    add_two(b, "h", today.high, day.high, digits);
    buf_printf(b, "\"o\":\"%.*f\"}", digits, today.open);
}

void answer_kraken_pairs(const struct answer_call *c,
                         void (*add)(const struct answer_call *c, size_t symbol))
{
    struct buf pairs = {0};
    bool chosen[SIM_SYMBOLS] = {false}, given = answer_param(c, "pair", &pairs), ok = true;
    struct str rest = buf_str(&pairs), one;
    size_t count = 0;
    c->out->content_type = "application/json";
    while (given && str_next(&rest, ',', &one)) {
        size_t i = answer_kraken_pair(one);
        ok = ok && i != SIZE_MAX;
        if (i != SIZE_MAX) {
            chosen[i] = true;
        }
    }
    if (!ok) {
        answer_kraken_error(c, "EQuery:Unknown asset pair");
    } else {
        buf_add_lit(&c->out->body, "{\"error\":[],\"result\":{");
        for (size_t i = 0; i < SIM_SYMBOLS; i++) {
            if (chosen[i] || !given) {
                buf_add_str(&c->out->body, count++ ? STR(",") : STR(""));
                add(c, i);
            }
        }
        buf_add_lit(&c->out->body, "}}");
    }
    buf_fini(&pairs);
}

void answer_kraken_ticker(const struct answer_call *c)
{
    answer_kraken_pairs(c, add_ticker);
}

/* At most 720 rows whatever `since` says, the last one open; `last` is the newest closed one. */
static void add_rows(const struct answer_call *c, size_t i, int64_t each, int64_t since)
{
    struct buf *b = &c->out->body;
    int digits = venue_price_decimals(VENUE_KRAKEN, i);
    int64_t newest = c->now_ms / each * each, first = newest - (MAX_ROWS - 1) * each;
    size_t rows = 0;
    buf_add_lit(b, "{\"error\":[],\"result\":{");
    answer_kraken_key(c, i);
    buf_add_char(b, '[');
    for (int64_t open = first < SIM_FIRST_MS ? SIM_FIRST_MS : first; open <= newest; open += each) {
        struct sim_candle k;
        if (open / 1000 <= since ||
            !flow_candle(c->flow, VENUE_KRAKEN, i, open, open + each, c->now_ms, &k)) {
            continue;
        }
        double mean = k.volume > 0 ? mean_price(&k) : 0;
        buf_printf(b, "%s[%lld,\"%.*f\",\"%.*f\",\"%.*f\",\"%.*f\",\"%.*f\",\"%.8f\",%llu]",
                   rows++ ? "," : "", (long long)(open / 1000), digits, k.open, digits, k.high,
                   digits, k.low, digits, k.close, digits, mean, k.volume,
                   (unsigned long long)k.trades);
    }
    buf_printf(b, "],\"last\":%lld}}", (long long)((newest - each) / 1000));
}

void answer_kraken_ohlc(const struct answer_call *c)
{
    static const int64_t allowed[] = {1, 5, 15, 30, 60, 240, 1440, 10080, 21600};
    struct buf pair = {0};
    int64_t interval = 1, since = -1;
    bool known = false, numeric = answer_param_i64(c, "interval", &interval) &&
                                  answer_param_i64(c, "since", &since);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        known |= numeric && interval == allowed[i];
    }
    c->out->content_type = "application/json";
    if (!answer_param(c, "pair", &pair)) {
        answer_kraken_error(c, "EGeneral:Invalid arguments");
    } else if (answer_kraken_pair(buf_str(&pair)) == SIZE_MAX) {
        answer_kraken_error(c, "EQuery:Unknown asset pair");
    } else if (!known) {
        answer_kraken_error(c, "EGeneral:Invalid arguments");
    } else {
        add_rows(c, answer_kraken_pair(buf_str(&pair)), interval * SIM_MINUTE_MS, since);
    }
    buf_fini(&pair);
}

void answer_kraken_time(const struct answer_call *c)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(c->now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    c->out->content_type = "application/json";
    buf_printf(&c->out->body,
               "{\"error\":[],\"result\":{\"unixtime\":%lld,\"rfc1123\":\"%.3s, %02d %.3s %02d "
               "%02d:%02d:%02d +0000\"}}",
               (long long)seconds, days + (ptrdiff_t)tm.tm_wday * 3, tm.tm_mday,
               months + (ptrdiff_t)tm.tm_mon * 3, tm.tm_year % 100, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
}

void answer_kraken_system_status(const struct answer_call *c)
{
    time_t seconds = (time_t)(c->now_ms / 1000);
    struct tm tm;
    char time[32];
    gmtime_r(&seconds, &tm);
    strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &tm);
    c->out->content_type = "application/json";
    buf_printf(&c->out->body,
               "{\"error\":[],\"result\":{\"status\":\"online\",\"timestamp\":\"%s\"}}", time);
}
