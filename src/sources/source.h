/* source: the vocabulary of this folder: which providers there are, what end points are asked of
 * them, and what an answer says. A provider is data (rows of `struct endpoint`) plus one pure parse
 * function an end point, which judges by the body.
 *
 * Belongs to the main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_SOURCE_H
#define SOURCES_SOURCE_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "market/daily.h"
#include "market/outlook.h"
#include "market/summary.h"

enum provider_id {
    PROVIDER_COINGECKO,
    PROVIDER_ALTERNATIVE,
    PROVIDER_TAAPI,
    PROVIDER_BINANCE,
    PROVIDER_COINBASE,
    PROVIDER_KRAKEN,
    PROVIDER_COUNT,
};

struct provider {
    const char *name;     /* "coingecko": in `sources`, logs, metrics, health */
    const char *title;    /* "CoinGecko": in sentences for people */
    const char *base_url; /* the public one */
    uint32_t per_minute;  /* default ceiling of requests in any 60 s */
    uint64_t per_month;   /* default; 0: none */
    /* Bucket that keeps requests apart within the minute; goes up with a ceiling that is raised. */
    uint32_t burst, period_ms;
    bool durable;           /* counts are kept on disk: the ceilings are scarce */
    bool wants_secret;      /* not asked at all without one */
    const char *key_header; /* the secret goes into this header; NULL: nowhere or into the path */
};

enum endpoint_id {
    EP_BINANCE_TICKER,
    EP_COINBASE_STATS,
    EP_KRAKEN_TICKER,
    EP_COINGECKO_PRICE,
    EP_COINGECKO_GLOBAL,
    EP_ALTERNATIVE_FNG,
    EP_TAAPI_RSI,
    EP_BINANCE_DAILY,
    EP_COINBASE_DAILY,
    EP_KRAKEN_DAILY,
    EP_COINGECKO_MARKETS,
    EP_COINGECKO_TRENDING,
    ENDPOINT_COUNT,
};

/* What can be asked for: the summary's fields, and behind them the parts of the outlook. */
#define FIELD_BIT(f) (1u << (f))
#define OUTLOOK_BIT(p) (1u << (FIELD_COUNT + (p)))

/* What one answer says. */
struct reading {
    uint32_t fields; /* FIELD_BIT of what is in `value`, OUTLOOK_BIT of what is in `outlook` */
    double value[FIELD_COUNT];
    struct outlook_values outlook;
    int64_t as_of_ms;   /* the provider's own time; 0: it gives none */
    int64_t next_in_ms; /* the provider says when the next value is due; 0: it does not */
    /* Daily candles as they came (any order, the open one among them). */
    size_t candle_count;
    struct daily_candle candles[DAILY_MAX];
};

/* Reads a body. Always gives whole sentences in `why` on failure, never a secret:
 * ERR_LIMIT the provider says that we ask too much · ERR_DENIED it refuses the key or the plan ·
 * ERR_UNAVAILABLE it says that it is unwell, or anything else in its own words · ERR_NOT_FOUND the
 * asked-for item is not in the answer · ERR_RANGE a value that cannot be · ERR_SYNTAX not what was
 * to be expected here (cut off, not JSON, another shape). */
typedef enum err (*parse_fn)(struct str body, struct reading *out, struct buf *why);

struct endpoint {
    enum provider_id provider;
    const char *name;       /* "global" */
    const char *path;       /* behind the base URL; "{secret}": the secret, percent-encoded */
    const char *instrument; /* the provider's name of what is asked; NULL: none */
    const char *method;     /* of the summary's source: "ticker_24h BTCUSDT" */
    uint32_t fields;        /* FIELD_BIT and OUTLOOK_BIT of what an answer gives */
    uint32_t apart_ms;      /* never asked again sooner than this */
    uint32_t max_bytes;     /* of an answer, inflated */
    bool daily;             /* gives daily candles, from which RSI-14 is computed */
    /* The summary can do without: asked only with what it leaves of the provider's limits, and a
     * failure that is this end point's own says nothing about the provider. */
    bool spare;
    parse_fn parse;
};

const struct provider *provider_row(enum provider_id id);
const struct endpoint *endpoint_row(enum endpoint_id id);

/* ---- one file a provider: its rows and its parsers ---- */

extern const struct provider coingecko_provider, alternative_provider, taapi_provider,
    binance_provider, coinbase_provider, kraken_provider;
extern const struct endpoint coingecko_price, coingecko_global, alternative_fng, taapi_rsi,
    binance_ticker, binance_daily, coinbase_stats, coinbase_daily, kraken_ticker, kraken_daily,
    coingecko_markets, coingecko_trending;

enum err coingecko_parse_price(struct str body, struct reading *out, struct buf *why);
enum err coingecko_parse_global(struct str body, struct reading *out, struct buf *why);
enum err coingecko_parse_markets(struct str body, struct reading *out, struct buf *why);
enum err coingecko_parse_trending(struct str body, struct reading *out, struct buf *why);
enum err alternative_parse_fng(struct str body, struct reading *out, struct buf *why);
enum err taapi_parse_rsi(struct str body, struct reading *out, struct buf *why);
enum err binance_parse_ticker(struct str body, struct reading *out, struct buf *why);
enum err binance_parse_klines(struct str body, struct reading *out, struct buf *why);
enum err coinbase_parse_stats(struct str body, struct reading *out, struct buf *why);
enum err coinbase_parse_candles(struct str body, struct reading *out, struct buf *why);
enum err kraken_parse_ticker(struct str body, struct reading *out, struct buf *why);
enum err kraken_parse_ohlc(struct str body, struct reading *out, struct buf *why);

#endif
