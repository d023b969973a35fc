/* coingecko: market capitalisation and volume of the whole market; the price of last resort. Its
 * lists of coins are in coingecko_lists.c.
 * Free answers are cached for 60 s on its side and every request counts, failed ones too, so the
 * ceilings are a minute's and a month's. SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider coingecko_provider = {
    .name = "coingecko",
    .title = "CoinGecko",
    .base_url = "https://api.coingecko.com/api/v3",
    .per_minute = 10,
    .per_month = 10000,
    .burst = 4,
    .period_ms = 2000,
    .durable = true,
    .key_header = "x-cg-demo-api-key",
};

const struct endpoint coingecko_price = {
    .provider = PROVIDER_COINGECKO,
    .name = "simple/price",
    .path = "/simple/price?ids=bitcoin&vs_currencies=usd&include_24hr_change=true"
            "&include_last_updated_at=true",
    .instrument = "bitcoin",
    .method = "simple_price bitcoin",
    .fields = FIELD_BIT(FIELD_BTC_PRICE) | FIELD_BIT(FIELD_BTC_CHANGE_24H),
    .apart_ms = 60000,
    .max_bytes = 64 << 10,
    .parse = coingecko_parse_price,
};

const struct endpoint coingecko_global = {
    .provider = PROVIDER_COINGECKO,
    .name = "global",
    .path = "/global",
    .method = "global",
    .fields =
        FIELD_BIT(FIELD_MARKET_CAP) | FIELD_BIT(FIELD_VOLUME_24H) | OUTLOOK_BIT(OUTLOOK_MARKET_CAP),
    .max_bytes = 256 << 10,
    .parse = coingecko_parse_global,
};

/* `status` is a number beside `error`, or an object with code and words of its own. */
static void read_status(struct scan *s, int64_t *code, struct buf *words)
{
    struct str key;
    if (read_whole(s, code) || !scan_object(s)) {
        return;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("error_code"))) {
            (void)read_whole(s, code);
        } else if (scan_string_is(key, STR("error_message"))) {
            (void)read_words(s, words);
        }
    }
}

/* The documented error shapes, before anything else is looked for: {"error":"…"},
 * {"status":500,"error":"…"}, {"status":{"error_code":429,"error_message":"…"}}, and the same
 * status object inside `error`. OK: it is not one of them. */
static enum err parse_error(struct str body, struct buf *why)
{
    struct scan s;
    struct str key;
    struct buf words = {0};
    int64_t code = 0;
    bool is_error = false;
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            bool is_status = scan_string_is(key, STR("status"));
            if (!is_status && !scan_string_is(key, STR("error"))) {
                continue;
            }
            is_error = true;
            if (is_status) {
                read_status(&s, &code, &words);
            } else if (!read_words(&s, &words) && scan_object(&s)) {
                while (scan_key(&s, &key)) {
                    if (scan_string_is(key, STR("status"))) {
                        read_status(&s, &code, &words);
                    }
                }
            }
        }
    }
    enum err e = read_end(&s, why);
    if (e == OK && is_error) {
        buf_printf(why, "CoinGecko says: %s",
                   words.len ? buf_text(&words) : "an error without words");
        e = code == 429 ? ERR_LIMIT : read_kind(buf_str(&words), ERR_UNAVAILABLE);
        e = code >= 10002 && code <= 10011 ? ERR_DENIED : e;
    }
    buf_fini(&words);
    return e;
}

enum err coingecko_open(struct str body, struct scan *s, struct reading *out, struct buf *why)
{
    reading_clear(out);
    enum err e = parse_error(body, why);
    if (e == OK) {
        scan_begin(s, body);
    }
    return e;
}

static void read_as_of(struct scan *s, struct reading *out)
{
    int64_t unix_s = 0;
    if (read_whole(s, &unix_s) && unix_s < (int64_t)1 << 40) {
        out->as_of_ms = unix_s * 1000;
    }
}

static void read_price(struct scan *s, struct reading *out)
{
    struct str key;
    double value = 0;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("usd"))) {
            if (read_double(s, &value)) {
                reading_put(out, FIELD_BTC_PRICE, value);
            }
        } else if (scan_string_is(key, STR("usd_24h_change"))) {
            if (read_double(s, &value)) {
                reading_put(out, FIELD_BTC_CHANGE_24H, value);
            }
        } else if (scan_string_is(key, STR("last_updated_at"))) {
            read_as_of(s, out);
        }
    }
}

enum err coingecko_parse_price(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    enum err e = coingecko_open(body, &s, out, why);
    if (e != OK) {
        return e;
    }
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("bitcoin")) && scan_object(&s)) {
                read_price(&s, out);
            }
        }
    }
    e = read_end(&s, why);
    if (e == OK && !(out->fields & FIELD_BIT(FIELD_BTC_PRICE))) {
        buf_printf(why, "CoinGecko's answer has no price of bitcoin");
        e = ERR_NOT_FOUND;
    }
    return e;
}

/* `{"usd":…}` among many currencies. */
static void read_usd(struct scan *s, enum summary_field field, struct reading *out)
{
    struct str key;
    double value = 0;
    if (!scan_object(s)) {
        return;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("usd")) && read_double(s, &value)) {
            reading_put(out, field, value);
        }
    }
}

static void read_global(struct scan *s, struct reading *out)
{
    struct str key;
    double value = 0;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("total_market_cap"))) {
            read_usd(s, FIELD_MARKET_CAP, out);
        } else if (scan_string_is(key, STR("market_cap_change_percentage_24h_usd"))) {
            if (read_double(s, &value)) {
                out->outlook.market_cap_change_24h_pct = value;
                out->fields |= OUTLOOK_BIT(OUTLOOK_MARKET_CAP);
            }
        } else if (scan_string_is(key, STR("total_volume"))) {
            read_usd(s, FIELD_VOLUME_24H, out);
        } else if (scan_string_is(key, STR("updated_at"))) {
            read_as_of(s, out);
        }
    }
}

enum err coingecko_parse_global(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    enum err e = coingecko_open(body, &s, out, why);
    if (e != OK) {
        return e;
    }
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("data")) && scan_object(&s)) {
                read_global(&s, out);
            }
        }
    }
    e = read_end(&s, why);
    if (e == OK && !(out->fields & ~OUTLOOK_BIT(OUTLOOK_MARKET_CAP))) {
        buf_printf(why, "CoinGecko's answer has neither market capitalisation nor volume in USD");
        e = ERR_NOT_FOUND;
    }
    return e;
}
