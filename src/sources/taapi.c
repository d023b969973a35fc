/* taapi: RSI-14 as TAAPI.io computes it. Free use is one call in 15 s, and the secret travels in
 * the query, so it is masked wherever an URL is shown. A limit may come with status 429 or with 200
 * and an error for a body: only `value` counts. SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider taapi_provider = {
    .name = "taapi",
    .title = "TAAPI.io",
    .base_url = "https://api.taapi.io",
    .per_minute = 4,
    .burst = 1,
    .period_ms = 15500,
    .durable = true,
    .wants_secret = true,
};

const struct endpoint taapi_rsi = {
    .provider = PROVIDER_TAAPI,
    .name = "rsi",
    .path = "/rsi?secret={secret}&exchange=binance&symbol=BTC/USDT&interval=1d",
    .instrument = "BTC/USDT",
    .method = "rsi 1d BTC/USDT",
    .fields = FIELD_BIT(FIELD_RSI_14),
    .max_bytes = 64 << 10,
    .parse = taapi_parse_rsi,
};

/* `error` is text; `errors` a list of texts. The first one is told. */
static void read_errors(struct scan *s, struct buf *words)
{
    if (read_words(s, words) || !scan_array(s)) {
        return;
    }
    while (scan_item(s)) {
        if (words->len == 0) {
            (void)read_words(s, words);
        }
    }
}

enum err taapi_parse_rsi(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    struct buf words = {0};
    double value = 0;
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("value"))) {
                if (read_double(&s, &value)) {
                    reading_put(out, FIELD_RSI_14, value);
                }
            } else if (scan_string_is(key, STR("error")) || scan_string_is(key, STR("errors"))) {
                read_errors(&s, &words);
            }
        }
    }
    enum err e = read_end(&s, why);
    if (e == OK && words.len > 0) {
        buf_printf(why, "TAAPI.io says: %s", buf_text(&words));
        e = read_kind(buf_str(&words), ERR_UNAVAILABLE);
    } else if (e == OK && out->fields == 0) {
        buf_printf(why, "TAAPI.io's answer has no value");
        e = ERR_NOT_FOUND;
    } else if (e == OK && (value < 0 || value > 100)) {
        buf_printf(why, "TAAPI.io's RSI is outside 0 to 100");
        e = ERR_RANGE;
    }
    buf_fini(&words);
    return e;
}
