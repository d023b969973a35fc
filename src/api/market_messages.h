/* market_messages: live markets as JSON: prices, ticker, candles, signals. The same objects on all
 * transports and in REST answers. Unknown is null, and a reason stands beside it. Pure: time, mode
 * and cursors are arguments. SPDX-License-Identifier: MIT */
#ifndef API_MARKET_MESSAGES_H
#define API_MARKET_MESSAGES_H
#include "base/json.h"
#include "market/candles.h"
#include "market/figures.h"
#include "market/market.h"
#include "market/sentiment.h"
#include "market/signal.h"

/* ---- price_updates ---- */

enum {
    PRICE_SYMBOL,
    PRICE_PRICE,
    PRICE_QUOTE,
    PRICE_CHANGE_24H,
    PRICE_VOLUME_24H,
    PRICE_HIGH_24H,
    PRICE_LOW_24H,
    PRICE_BID,
    PRICE_ASK,
    PRICE_TIMESTAMP,
    PRICE_STALE,
    PRICE_REASON,
    PRICE_SPREAD_PCT,
    PRICE_FEEDS,
    PRICE_OUTLIERS,
    PRICE_SOURCES,
    PRICE_FIELDS
};
/* Their names, in order. */
extern const char *const price_fields[PRICE_FIELDS];
/* Appends the JSON texts of a row's fields, one behind the other; ends[i] is where field i ends in
 * `out`. */
void message_price_values(struct buf *out, size_t ends[PRICE_FIELDS], const char *symbol,
                          const struct quote *q);

/* ---- the whole market ---- */

/* The data of `ticker`. */
void message_ticker(struct buf *out, const struct market *m, int64_t now_ms, const char *mode);

/* ---- one symbol ---- */

/* The answer of GET /api/v1/assets/:symbol. `q` NULL: nobody watches it; `venue` MARKET_VENUES: no
 * candles yet; `signal` JSON text, empty: none yet. */
struct asset_text {
    const char *symbol;
    bool watched, offered;
    const struct quote *q;
    enum market_venue venue;
    struct str signal;
    const char *mode;
};
void message_asset(struct buf *out, const struct asset_text *a, int64_t now_ms);

/* ---- candles ---- */

struct candles_text {
    const char *symbol;
    enum interval interval;
    enum market_venue venue; /* MARKET_VENUES: unknown */
    bool usdt;
};
/* Members "symbol","interval","venue","quote", without braces. */
void message_candles_head(struct json_writer *w, const struct candles_text *t);
/* One candle as an object. */
/* `head`: the venue that the text around it names; a candle of another one says so itself. */
void message_candle(struct json_writer *w, const struct candle *c, enum market_venue head);

/* Members "candles","first_time","last_time","indicators","reasons", without braces. */
void message_figures(struct json_writer *w, const struct figures *f);

/* ---- signals ---- */

/* The data of trading_signal. `now_ms` 0: no time. `repeat`: it stands, nothing changed. */
void message_signal(struct buf *out, const char *symbol, const struct signal *s, int64_t now_ms,
                    const char *mode, bool repeat);

/* The data of sentiment_update. */
void message_sentiment(struct buf *out, const struct sentiment *s, int64_t now_ms,
                       const char *mode);

/* ---- envelopes ---- */

/* {type[,channel],data,timestamp,mode,cursor}; gives where `data` stands in `out`. Texts may be
 * NULL to be left out (type, mode: never). */
struct str message_envelope(struct buf *out, const char *type, const char *channel, struct str data,
                            int64_t now_ms, const char *mode, const char *cursor);

#endif
