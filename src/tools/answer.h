/* answer: what the providers would say, as a function of the request and the time.
 *
 * Each provider has a file (answer_coingecko.c and so on) that writes its exact wire format from
 * the simulated market, or from recorded answers when fixtures are given: then nothing is
 * simulated, and what was not recorded is not found. All providers share one address; their paths
 * do not collide, but for /api/v3/ping (CoinGecko answers it; nobody needs Binance's).
 *
 * One thread; nothing here reads a clock. SPDX-License-Identifier: MIT */
#ifndef TOOLS_ANSWER_H
#define TOOLS_ANSWER_H
#include "base/json.h"
#include "tools/flow.h"

struct fixtures;

/* Whose shape an answer has. */
enum provider {
    PROVIDER_NONE,
    PROVIDER_COINGECKO,
    PROVIDER_ALTERNATIVE,
    PROVIDER_TAAPI,
    PROVIDER_BINANCE,
    PROVIDER_COINBASE,
    PROVIDER_KRAKEN,
};

/* Where answers come from; lives as long as the stand-in. */
struct answer_world {
    struct simulator *simulator;     /* used when there are no fixtures */
    struct flow *flow;               /* its trades */
    const struct fixtures *fixtures; /* NULL: simulated */
    bool is_tape;                    /* a capture is played: what was not recorded is not found */
    /* private: Binance's weight of the minute under way */
    int64_t weight_minute;
    unsigned weight_used;
};

struct answer_request {
    bool is_get;            /* GET or HEAD */
    struct str path, query; /* not decoded */
    struct str if_none_match;
};

struct answer {
    unsigned status;
    const char *content_type;
    struct buf headers; /* further lines, each "Name: value\r\n" */
    struct buf body;
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);

/* An end point: "coingecko/global". Index into the table of all. */
size_t answer_target_count(void);
const char *answer_target_name(size_t target);
enum provider answer_target_provider(size_t target);
/* By its name; the count: there is none. */
size_t answer_target_named(const char *name);
/* It is no path that is asked but the WebSocket of an exchange. */
bool answer_target_is_ws(size_t target);
/* The end point a path belongs to; SIZE_MAX: none. */
size_t answer_target_of(struct str path);

/* The answer, complete but for what the server adds (length, connection). `a` is initialised. */
void answer_make(struct answer_world *w, const struct answer_request *r, int64_t now_ms,
                 struct answer *a);
/* The provider's own words for 429, or for a failure of its servers. */
void answer_fault(enum provider p, unsigned status, struct answer *a);
/* The line every answer carries: that it comes from the stand-in. */
void answer_mark(struct answer *a, bool recorded);

/* ---- for the providers' files ---- */

struct answer_call {
    struct answer_world *world;
    struct simulator *simulator;
    struct flow *flow;
    struct str path, query;
    struct str name; /* the part of the path that matched '*' */
    struct str if_none_match;
    int64_t now_ms;
    struct answer *out;
};

/* The decoded value of a parameter; false when absent or empty. Replaces `out`'s content. */
bool answer_param(const struct answer_call *c, const char *name, struct buf *out);
/* A parameter that is a whole number: false when it is there and is none. Absent: `*out` stays. */
bool answer_param_i64(const struct answer_call *c, const char *name, int64_t *out) MUST_CHECK;
/* true, 1 */
bool answer_param_is_true(const struct answer_call *c, const char *name);
/* Sets the status and appends the text to the body. */
void answer_text(const struct answer_call *c, unsigned status, const char *text);
/* Whether a comma-separated list holds the part, exactly. */
bool answer_list_has(struct str list, struct str part);
/* Text of fixed decimals; without trailing zeros when `trim`. */
void answer_fixed(struct buf *out, double value, int decimals, bool trim);

/* For the parts of a provider that stand in several files. */
void answer_binance_error(const struct answer_call *c, unsigned status, int code,
                          const char *message);
void answer_binance_weigh(const struct answer_call *c, unsigned weight);
bool answer_coinbase_product(const struct answer_call *c, size_t *product);
void answer_kraken_error(const struct answer_call *c, const char *what);
void answer_kraken_key(const struct answer_call *c, size_t symbol);
/* "XBTUSD" in any of its spellings; SIZE_MAX: no pair of it. */
size_t answer_kraken_pair(struct str pair);
/* The whole answer: each symbol that the parameter `pair` names, all without it, is added as a
 * member of the result; an error when one is no pair. */
void answer_kraken_pairs(const struct answer_call *c,
                         void (*add)(const struct answer_call *c, size_t symbol));

void answer_coingecko_ping(const struct answer_call *c);
void answer_coingecko_global(const struct answer_call *c);
void answer_coingecko_simple_price(const struct answer_call *c);
void answer_coingecko_markets(const struct answer_call *c);
void answer_coingecko_trending(const struct answer_call *c);
void answer_alternative_fng(const struct answer_call *c);
void answer_taapi_rsi(const struct answer_call *c);
void answer_binance_ticker_24h(const struct answer_call *c);
void answer_binance_ticker_price(const struct answer_call *c);
void answer_binance_klines(const struct answer_call *c);
void answer_binance_trades(const struct answer_call *c);
void answer_binance_historical_trades(const struct answer_call *c);
void answer_binance_agg_trades(const struct answer_call *c);
void answer_binance_exchange_info(const struct answer_call *c);
void answer_binance_time(const struct answer_call *c);
void answer_coinbase_products(const struct answer_call *c);
void answer_coinbase_ticker(const struct answer_call *c);
void answer_coinbase_stats(const struct answer_call *c);
void answer_coinbase_candles(const struct answer_call *c);
void answer_coinbase_trades(const struct answer_call *c);
void answer_kraken_ticker(const struct answer_call *c);
void answer_kraken_ohlc(const struct answer_call *c);
void answer_kraken_trades(const struct answer_call *c);
void answer_kraken_asset_pairs(const struct answer_call *c);
void answer_kraken_time(const struct answer_call *c);
void answer_kraken_system_status(const struct answer_call *c);

#endif
