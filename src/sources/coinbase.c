/* coinbase: Coinbase Exchange's 24 h statistics and daily candles of BTC-USD. The change is
 * computed from open and last, both of the same rolling 24 h; the answer carries no time of its
 * own. SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider coinbase_provider = {
    .name = "coinbase",
    .title = "Coinbase",
    .base_url = "https://api.exchange.coinbase.com",
    .per_minute = 60,
    .burst = 5,
    .period_ms = 500,
};

const struct endpoint coinbase_stats = {
    .provider = PROVIDER_COINBASE,
    .name = "stats",
    .path = "/products/BTC-USD/stats",
    .instrument = "BTC-USD",
    .method = "stats_24h BTC-USD",
    .fields = FIELD_BIT(FIELD_BTC_PRICE) | FIELD_BIT(FIELD_BTC_CHANGE_24H),
    .max_bytes = 64 << 10,
    .parse = coinbase_parse_stats,
};

const struct endpoint coinbase_daily = {
    .provider = PROVIDER_COINBASE,
    .name = "candles",
    .path = "/products/BTC-USD/candles?granularity=86400",
    .instrument = "BTC-USD",
    .method = "computed",
    .fields = FIELD_BIT(FIELD_RSI_14),
    .max_bytes = 256 << 10,
    .daily = true,
    .parse = coinbase_parse_candles,
};

static enum err say_error(struct buf *words, struct buf *why)
{
    buf_printf(why, "Coinbase says: %s", words->len ? buf_text(words) : "an error without words");
    return read_kind(buf_str(words), str_eq_nocase(buf_str(words), STR("NotFound"))
                                         ? ERR_NOT_FOUND
                                         : ERR_UNAVAILABLE);
}

enum err coinbase_parse_stats(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    struct buf words = {0};
    double last = 0, open = 0;
    bool is_error = false;
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("last"))) {
                (void)read_double(&s, &last);
            } else if (scan_string_is(key, STR("open"))) {
                (void)read_double(&s, &open);
            } else if (scan_string_is(key, STR("message"))) {
                is_error = read_words(&s, &words);
            }
        }
    }
    enum err e = read_end(&s, why);
    if (e == OK && is_error) {
        e = say_error(&words, why);
    } else if (e == OK && !(last > 0)) {
        buf_printf(why, "Coinbase's answer has no price of BTC-USD");
        e = ERR_NOT_FOUND;
    } else if (e == OK) {
        reading_put(out, FIELD_BTC_PRICE, last);
        if (open > 0) {
            reading_put(out, FIELD_BTC_CHANGE_24H, 100 * (last / open - 1));
        }
    }
    buf_fini(&words);
    return e;
}

enum err coinbase_parse_candles(struct str body, struct reading *out, struct buf *why)
{
    static const struct candle_shape shape = {
        .time_unit_ms = 1000, .low = 1, .high = 2, .open = 3, .close = 4, .volume = 5};
    struct scan s;
    struct str key;
    struct buf words = {0};
    enum err e = OK;
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("message"))) {
                (void)read_words(&s, &words);
            }
        }
        e = read_end(&s, why);
        e = e == OK ? say_error(&words, why) : e;
    } else {
        e = read_candles(&s, &shape, out, why);
        if (s.error) {
            buf_clear(why);
            e = OK; /* read_end() says it better */
        }
        e = e == OK ? read_end(&s, why) : e;
    }
    buf_fini(&words);
    return e;
}
