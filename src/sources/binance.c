/* binance: the spot market's rolling 24 h ticker and daily candles. Prices are in USDT, which is
 * not USD: the method says so. The limit is by weight (2 each here, of 6,000 a minute), so the
 * ceiling is our own modesty. SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider binance_provider = {
    .name = "binance",
    .title = "Binance",
    .base_url = "https://data-api.binance.vision",
    .per_minute = 60,
    .burst = 5,
    .period_ms = 500,
};

const struct endpoint binance_ticker = {
    .provider = PROVIDER_BINANCE,
    .name = "ticker/24hr",
    .path = "/api/v3/ticker/24hr?symbol=BTCUSDT",
    .instrument = "BTCUSDT",
    .method = "ticker_24h BTCUSDT",
    .fields = FIELD_BIT(FIELD_BTC_PRICE) | FIELD_BIT(FIELD_BTC_CHANGE_24H),
    .max_bytes = 64 << 10,
    .parse = binance_parse_ticker,
};

const struct endpoint binance_daily = {
    .provider = PROVIDER_BINANCE,
    .name = "klines",
    .path = "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=500",
    .instrument = "BTCUSDT",
    .method = "computed",
    .fields = FIELD_BIT(FIELD_RSI_14),
    .max_bytes = 512 << 10,
    .daily = true,
    .parse = binance_parse_klines,
};

/* {"code":-1003,"msg":"…"}: the code is told apart from its text, which changes. */
static enum err say_error(double code, struct buf *words, struct buf *why)
{
    buf_printf(why, "Binance says: %s", words->len ? buf_text(words) : "an error without words");
    if (code <= -1002.5 && code >= -1003.5) {
        return ERR_LIMIT;
    }
    if (code == 0 || (code <= -1001.5 && code >= -1002.5)) {
        return ERR_DENIED; /* a restricted location; unauthorised */
    }
    return code <= -1099.5 ? ERR_NOT_FOUND : read_kind(buf_str(words), ERR_UNAVAILABLE);
}

struct ticker {
    bool has_code, symbol_known, symbol_right;
    double code;
    struct buf words;
};

static void read_member(struct scan *s, struct str key, struct ticker *t, struct reading *out)
{
    double value = 0;
    struct str raw;
    if (scan_string_is(key, STR("lastPrice"))) {
        if (read_double(s, &value)) {
            reading_put(out, FIELD_BTC_PRICE, value);
        }
    } else if (scan_string_is(key, STR("priceChangePercent"))) {
        if (read_double(s, &value)) {
            reading_put(out, FIELD_BTC_CHANGE_24H, value);
        }
    } else if (scan_string_is(key, STR("closeTime"))) {
        (void)read_whole(s, &out->as_of_ms);
    } else if (scan_string_is(key, STR("symbol"))) {
        t->symbol_known = scan_string(s, &raw);
        t->symbol_right = t->symbol_known && scan_string_is(raw, STR("BTCUSDT"));
    } else if (scan_string_is(key, STR("code"))) {
        t->has_code = read_double(s, &t->code);
    } else if (scan_string_is(key, STR("msg"))) {
        (void)read_words(s, &t->words);
    }
}

enum err binance_parse_ticker(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    struct ticker t = {0};
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            read_member(&s, key, &t, out);
        }
    }
    enum err e = read_end(&s, why);
    if (e == OK && t.has_code) {
        e = say_error(t.code, &t.words, why);
    } else if (e == OK && (!(out->fields & FIELD_BIT(FIELD_BTC_PRICE)) || !t.symbol_right)) {
        buf_printf(why, "Binance's answer has no price of BTCUSDT");
        e = ERR_NOT_FOUND;
    }
    buf_fini(&t.words);
    return e;
}

enum err binance_parse_klines(struct str body, struct reading *out, struct buf *why)
{
    static const struct candle_shape shape = {
        .time_unit_ms = 1, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 5};
    struct scan s;
    struct str key;
    struct ticker t = {0};
    enum err e = OK;
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            read_member(&s, key, &t, out);
        }
        e = read_end(&s, why);
        e = e == OK ? say_error(t.has_code ? t.code : -1, &t.words, why) : e;
    } else {
        e = read_candles(&s, &shape, out, why);
        if (s.error) {
            buf_clear(why);
            e = OK; /* read_end() says it better */
        }
        e = e == OK ? read_end(&s, why) : e;
    }
    out->fields = 0;
    buf_fini(&t.words);
    return e;
}
