/* SPDX-License-Identifier: MIT */
#include "tools/answer.h"

#include "tools/fixtures.h"
#include "wire/http1.h"

#include <math.h>

struct end_point {
    const char *target;
    enum provider provider;
    const char *path; /* one part may be '*' */
    void (*answer)(const struct answer_call *c);
};

static const struct end_point end_points[] = {
    {"coingecko/ping", PROVIDER_COINGECKO, "/api/v3/ping", answer_coingecko_ping},
    {"coingecko/global", PROVIDER_COINGECKO, "/api/v3/global", answer_coingecko_global},
    {"coingecko/simple/price", PROVIDER_COINGECKO, "/api/v3/simple/price",
     answer_coingecko_simple_price},
    {"coingecko/coins/markets", PROVIDER_COINGECKO, "/api/v3/coins/markets",
     answer_coingecko_markets},
    {"coingecko/search/trending", PROVIDER_COINGECKO, "/api/v3/search/trending",
     answer_coingecko_trending},
    {"alternative/fng", PROVIDER_ALTERNATIVE, "/fng", answer_alternative_fng},
    {"taapi/rsi", PROVIDER_TAAPI, "/rsi", answer_taapi_rsi},
    {"binance/ticker/24hr", PROVIDER_BINANCE, "/api/v3/ticker/24hr", answer_binance_ticker_24h},
    {"binance/ticker/price", PROVIDER_BINANCE, "/api/v3/ticker/price", answer_binance_ticker_price},
    {"binance/klines", PROVIDER_BINANCE, "/api/v3/klines", answer_binance_klines},
    {"binance/trades", PROVIDER_BINANCE, "/api/v3/trades", answer_binance_trades},
    {"binance/historicalTrades", PROVIDER_BINANCE, "/api/v3/historicalTrades",
     answer_binance_historical_trades},
    {"binance/aggTrades", PROVIDER_BINANCE, "/api/v3/aggTrades", answer_binance_agg_trades},
    {"binance/exchangeInfo", PROVIDER_BINANCE, "/api/v3/exchangeInfo",
     answer_binance_exchange_info},
    {"binance/time", PROVIDER_BINANCE, "/api/v3/time", answer_binance_time},
    {"coinbase/products", PROVIDER_COINBASE, "/products", answer_coinbase_products},
    {"coinbase/ticker", PROVIDER_COINBASE, "/products/*/ticker", answer_coinbase_ticker},
    {"coinbase/stats", PROVIDER_COINBASE, "/products/*/stats", answer_coinbase_stats},
    {"coinbase/candles", PROVIDER_COINBASE, "/products/*/candles", answer_coinbase_candles},
    {"coinbase/trades", PROVIDER_COINBASE, "/products/*/trades", answer_coinbase_trades},
    {"kraken/Ticker", PROVIDER_KRAKEN, "/0/public/Ticker", answer_kraken_ticker},
    {"kraken/OHLC", PROVIDER_KRAKEN, "/0/public/OHLC", answer_kraken_ohlc},
    {"kraken/Trades", PROVIDER_KRAKEN, "/0/public/Trades", answer_kraken_trades},
    {"kraken/AssetPairs", PROVIDER_KRAKEN, "/0/public/AssetPairs", answer_kraken_asset_pairs},
    {"kraken/Time", PROVIDER_KRAKEN, "/0/public/Time", answer_kraken_time},
    /* WebSockets: no request is answered here, orders to misbehave name them (exchange.h) */
    {"binance/ws", PROVIDER_BINANCE, "", NULL},
    {"coinbase/ws", PROVIDER_COINBASE, "", NULL},
    {"kraken/ws", PROVIDER_KRAKEN, "", NULL},
    {"kraken/SystemStatus", PROVIDER_KRAKEN, "/0/public/SystemStatus", answer_kraken_system_status},
};

void answer_init(struct answer *a)
{
    *a = (struct answer){.status = 200, .content_type = "application/json; charset=utf-8"};
}

void answer_fini(struct answer *a)
{
    buf_fini(&a->headers);
    buf_fini(&a->body);
}

size_t answer_target_count(void)
{
    return ARRAY_LEN(end_points);
}

const char *answer_target_name(size_t target)
{
    return end_points[target].target;
}

size_t answer_target_named(const char *name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(end_points) && strcmp(end_points[i].target, name) != 0) {
        i++;
    }
    return i;
}

bool answer_target_is_ws(size_t target)
{
    return !end_points[target].answer;
}

enum provider answer_target_provider(size_t target)
{
    return end_points[target].provider;
}

/* Part by part; '*' takes one part whatever it is. */
static bool path_matches(struct str pattern, struct str path, struct str *name)
{
    struct str want, have;
    while (str_next(&pattern, '/', &want)) {
        if (!str_next(&path, '/', &have)) {
            return false;
        }
        if (str_eq(want, STR("*")) && have.len > 0) {
            *name = have;
        } else if (!str_eq(want, have)) {
            return false;
        }
    }
    return path.len == 0;
}

/* The public services answer with and without a slash at the end. */
static struct str without_slash(struct str path)
{
    return path.len > 1 && path.ptr[path.len - 1] == '/' ? str_sub(path, 0, path.len - 1) : path;
}

static size_t find_end_point(struct str path, struct str *name)
{
    path = without_slash(path);
    for (size_t i = 0; i < ARRAY_LEN(end_points); i++) {
        if (end_points[i].answer && path_matches(str_of(end_points[i].path), path, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t answer_target_of(struct str path)
{
    struct str name;
    return find_end_point(path, &name);
}

/* ---- parameters and numbers ---- */

bool answer_param(const struct answer_call *c, const char *name, struct buf *out)
{
    buf_clear(out);
    return http_query(c->query, str_of(name), out) == OK && out->len > 0;
}

bool answer_param_i64(const struct answer_call *c, const char *name, int64_t *out)
{
    struct buf text = {0};
    int64_t value = *out;
    bool ok = !answer_param(c, name, &text) || str_to_i64(buf_str(&text), &value) == OK;
    buf_fini(&text);
    *out = value;
    return ok;
}

bool answer_param_is_true(const struct answer_call *c, const char *name)
{
    struct buf text = {0};
    bool is = answer_param(c, name, &text) &&
              (str_eq_nocase(buf_str(&text), STR("true")) || str_eq(buf_str(&text), STR("1")));
    buf_fini(&text);
    return is;
}

void answer_text(const struct answer_call *c, unsigned status, const char *text)
{
    c->out->status = status;
    buf_add_str(&c->out->body, str_of(text));
}

bool answer_list_has(struct str list, struct str part)
{
    struct str one;
    while (str_next(&list, ',', &one)) {
        if (str_eq(one, part)) {
            return true;
        }
    }
    return false;
}

void answer_fixed(struct buf *out, double value, int decimals, bool trim)
{
    size_t before = out->len;
    buf_printf(out, "%.*f", decimals, value);
    if (trim && decimals > 0 && !out->failed) {
        while (out->ptr[out->len - 1] == '0') {
            out->len--;
        }
        out->len -= out->ptr[out->len - 1] == '.';
    }
    if (str_eq(str_from(buf_str(out), before), STR("-0"))) {
        out->len = before;
        buf_add_char(out, '0');
    }
}

/* ---- errors in the providers' words ---- */

static enum provider provider_of_unknown(struct str path)
{
    if (str_starts(path, STR("/0/"))) {
        return PROVIDER_KRAKEN;
    }
    if (str_starts(path, STR("/products"))) {
        return PROVIDER_COINBASE;
    }
    return str_starts(path, STR("/api/v3/")) ? PROVIDER_COINGECKO : PROVIDER_NONE;
}

static void not_found(enum provider p, struct answer *a)
{
    const char *text = "{\"error\":\"no provider has such a path\"}";
    a->status = 404;
    switch (p) {
    case PROVIDER_COINGECKO:
        text = "{\"error\":\"Incorrect path. Please check https://www.coingecko.com/api/\"}";
        break;
    case PROVIDER_COINBASE:
        text = "{\"message\":\"NotFound\"}";
        break;
    case PROVIDER_KRAKEN:
        a->status = 200; /* it judges in the body */
        text = "{\"error\":[\"EGeneral:Unknown method\"]}";
        break;
    case PROVIDER_BINANCE:
        text = "{\"code\":-1000,\"msg\":\"An unknown error occurred while processing the "
               "request.\"}";
        break;
    case PROVIDER_NONE:
    case PROVIDER_ALTERNATIVE:
    case PROVIDER_TAAPI:
        break;
    }
    buf_add_str(&a->body, str_of(text));
}

static const char *limited_text(enum provider p)
{
    switch (p) {
    case PROVIDER_COINGECKO:
        return "{\"status\":{\"error_code\":429,\"error_message\":\"You've exceeded the Rate "
               "Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our "
               "API plans for higher rate limits.\"}}";
    case PROVIDER_TAAPI:
        return "{\"error\":\"429: You have exceeded your request limit (TAAPI.IO rate-limit)!\"}";
    case PROVIDER_BINANCE:
        return "{\"code\":-1003,\"msg\":\"Too much request weight used; current limit is 6000 "
               "request weight per 1 MINUTE. Please use WebSocket Streams for live updates to "
               "avoid polling the API.\"}";
    case PROVIDER_COINBASE:
        return "{\"message\":\"Public rate limit exceeded\"}";
    case PROVIDER_KRAKEN:
        return "{\"error\":[\"EAPI:Rate limit exceeded\"]}";
    case PROVIDER_NONE:
    case PROVIDER_ALTERNATIVE:
        break;
    }
    return "{\"error\":\"Too many requests\"}";
}

static const char *broken_text(enum provider p)
{
    switch (p) {
    case PROVIDER_COINGECKO:
        return "{\"status\":500,\"error\":\"Internal Server Error\"}";
    case PROVIDER_BINANCE:
        return "{\"code\":-1001,\"msg\":\"Internal error; unable to process your request. Please "
               "try again.\"}";
    case PROVIDER_COINBASE:
        return "{\"message\":\"Internal server error\"}";
    case PROVIDER_KRAKEN:
        return "{\"error\":[\"EService:Unavailable\"]}";
    case PROVIDER_NONE:
    case PROVIDER_ALTERNATIVE:
    case PROVIDER_TAAPI:
        break;
    }
    return "{\"error\":\"Internal Server Error\"}";
}

void answer_fault(enum provider p, unsigned status, struct answer *a)
{
    a->status = status;
    buf_add_str(&a->body, str_of(status == 429 ? limited_text(p) : broken_text(p)));
}

/* ---- the answer ---- */

void answer_mark(struct answer *a, bool recorded)
{
    buf_printf(&a->headers, "X-Coincast-Upstream: %s\r\n", recorded ? "recorded" : "simulated");
}

void answer_make(struct answer_world *w, const struct answer_request *r, int64_t now_ms,
                 struct answer *a)
{
    struct answer_call c = {.world = w,
                            .simulator = w->simulator,
                            .flow = w->flow,
                            .path = r->path,
                            .query = r->query,
                            .if_none_match = r->if_none_match,
                            .now_ms = now_ms,
                            .out = a};
    size_t target = find_end_point(r->path, &c.name);
    enum provider p =
        target == SIZE_MAX ? provider_of_unknown(r->path) : end_points[target].provider;
    if (!r->is_get) {
        a->status = 405;
        buf_add_lit(&a->headers, "Allow: GET, HEAD\r\n");
        buf_add_lit(&a->body, "{\"error\":\"only GET is answered here\"}");
    } else if (w->fixtures) {
        const struct fixture *f = fixtures_choose(w->fixtures, without_slash(r->path), r->query);
        if (f) {
            fixture_answer(f, r->if_none_match, a);
        } else {
            not_found(p, a);
        }
    } else if (target == SIZE_MAX || w->is_tape) {
        not_found(p, a);
    } else {
        end_points[target].answer(&c);
    }
    answer_mark(a, w->fixtures || w->is_tape);
}
