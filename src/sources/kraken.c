/* kraken: the ticker and daily candles of XBTUSD. Status is 200 even for errors: `error` decides.
 * The result's key is Kraken's own name of the pair (XXBTZUSD), so it is taken by position.
 *
 * The ticker's `o` is today's open (00:00 UTC), not the price 24 h ago: a 24 h change cannot be had
 * from it honestly, so none is given. SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider kraken_provider = {
    .name = "kraken",
    .title = "Kraken",
    .base_url = "https://api.kraken.com",
    .per_minute = 30,
    .burst = 2,
    .period_ms = 1500,
};

const struct endpoint kraken_ticker = {
    .provider = PROVIDER_KRAKEN,
    .name = "Ticker",
    .path = "/0/public/Ticker?pair=XBTUSD",
    .instrument = "XBTUSD",
    .method = "ticker XBTUSD",
    .fields = FIELD_BIT(FIELD_BTC_PRICE),
    .max_bytes = 64 << 10,
    .parse = kraken_parse_ticker,
};

const struct endpoint kraken_daily = {
    .provider = PROVIDER_KRAKEN,
    .name = "OHLC",
    .path = "/0/public/OHLC?pair=XBTUSD&interval=1440",
    .instrument = "XBTUSD",
    .method = "computed",
    .fields = FIELD_BIT(FIELD_RSI_14),
    .max_bytes = 512 << 10,
    .daily = true,
    .parse = kraken_parse_ohlc,
};

typedef enum err (*result_fn)(struct scan *s, struct reading *out, struct buf *why);

/* Errors begin with E, warnings with W; the first error is kept. */
static void read_errors(struct scan *s, struct buf *words)
{
    struct str raw;
    if (!scan_array(s)) {
        return;
    }
    while (scan_item(s)) {
        struct scan ahead = *s;
        if (words->len == 0 && scan_string(&ahead, &raw) && str_starts(raw, STR("E"))) {
            (void)read_words(s, words);
        }
    }
}

static enum err error_kind(struct str words)
{
    if (str_starts(words, STR("EGeneral:Temporary lockout"))) {
        return ERR_LIMIT;
    }
    if (str_starts(words, STR("EQuery:"))) {
        return ERR_NOT_FOUND;
    }
    return read_kind(words, ERR_UNAVAILABLE);
}

/* The envelope {"error":[],"result":{…}}. */
static enum err parse_envelope(struct str body, result_fn result, struct reading *out,
                               struct buf *why)
{
    struct scan s;
    struct str key;
    struct buf words = {0}, trouble = {0};
    enum err e = OK;
    bool has_result = false;
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("error"))) {
                read_errors(&s, &words);
            } else if (scan_string_is(key, STR("result")) && !has_result && scan_object(&s)) {
                has_result = true;
                e = result(&s, out, &trouble);
                if (e != OK) {
                    break;
                }
            }
        }
    }
    bool ended_early = e != OK && !s.error;
    enum err end = ended_early ? OK : read_end(&s, why);
    if (end != OK) {
        e = end;
    } else if (words.len > 0) {
        buf_printf(why, "Kraken says: %s", buf_text(&words));
        e = error_kind(buf_str(&words));
    } else if (e != OK) {
        buf_add_str(why, buf_str(&trouble));
    } else if (!has_result) {
        buf_printf(why, "Kraken's answer has no result");
        e = ERR_NOT_FOUND;
    }
    buf_fini(&words);
    buf_fini(&trouble);
    return e;
}

/* `c` is [price, lots] of the last trade. */
static void read_pair(struct scan *s, struct reading *out)
{
    struct str key;
    double value = 0;
    while (scan_key(s, &key)) {
        if (!scan_string_is(key, STR("c")) || !scan_array(s)) {
            continue;
        }
        bool first = true;
        while (scan_item(s)) {
            if (first && read_double(s, &value)) {
                reading_put(out, FIELD_BTC_PRICE, value);
            }
            first = false;
        }
    }
}

static enum err read_ticker(struct scan *s, struct reading *out, struct buf *why)
{
    struct str key;
    size_t pairs = 0;
    while (scan_key(s, &key)) {
        if (pairs++ == 0 && scan_object(s)) {
            read_pair(s, out);
        }
    }
    if (pairs != 1 || out->fields == 0) {
        buf_printf(why, "Kraken's answer has no price of XBTUSD");
        return ERR_NOT_FOUND;
    }
    return OK;
}

enum err kraken_parse_ticker(struct str body, struct reading *out, struct buf *why)
{
    return parse_envelope(body, read_ticker, out, why);
}

static enum err read_ohlc(struct scan *s, struct reading *out, struct buf *why)
{
    static const struct candle_shape shape = {
        .time_unit_ms = 1000, .open = 1, .high = 2, .low = 3, .close = 4, .volume = 6};
    struct str key;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("last")) || out->candle_count > 0) {
            continue;
        }
        enum err e = read_candles(s, &shape, out, why);
        if (e != OK) {
            return e;
        }
    }
    return OK;
}

enum err kraken_parse_ohlc(struct str body, struct reading *out, struct buf *why)
{
    enum err e = parse_envelope(body, read_ohlc, out, why);
    if (e == OK && out->candle_count == 0) {
        buf_printf(why, "Kraken's answer has no candles");
        e = ERR_NOT_FOUND;
    }
    return e;
}
