/* alternative: Alternative.me's Fear & Greed index, one value a day at 00:00 UTC. All numbers come
 * as text, newest first; `time_until_update` (seconds) stands on the first item only.
 * SPDX-License-Identifier: MIT */
#include "sources/read.h"

const struct provider alternative_provider = {
    .name = "alternative.me",
    .title = "Alternative.me",
    .base_url = "https://api.alternative.me",
    .per_minute = 10,
    .burst = 2,
    .period_ms = 5000,
    .durable = true,
};

const struct endpoint alternative_fng = {
    .provider = PROVIDER_ALTERNATIVE,
    .name = "fng",
    .path = "/fng/?limit=1",
    .method = "fng",
    .fields = FIELD_BIT(FIELD_FEAR_GREED),
    .max_bytes = 64 << 10,
    .parse = alternative_parse_fng,
};

static void read_item(struct scan *s, struct reading *out)
{
    struct str key;
    double value = 0;
    int64_t unix_s = 0;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("value"))) {
            if (read_double(s, &value)) {
                reading_put(out, FIELD_FEAR_GREED, value);
            }
        } else if (scan_string_is(key, STR("timestamp"))) {
            if (read_whole(s, &unix_s) && unix_s < (int64_t)1 << 40) {
                out->as_of_ms = unix_s * 1000;
            }
        } else if (scan_string_is(key, STR("time_until_update"))) {
            if (read_whole(s, &unix_s) && unix_s <= 7 * 86400) {
                out->next_in_ms = unix_s * 1000;
            }
        }
    }
}

/* The newest item; older ones are passed over. */
static void read_data(struct scan *s, struct reading *out)
{
    bool first = true;
    if (!scan_array(s)) {
        return;
    }
    while (scan_item(s)) {
        if (first && scan_object(s)) {
            read_item(s, out);
        }
        first = false;
    }
}

static void read_metadata(struct scan *s, struct buf *words)
{
    struct str key;
    if (!scan_object(s)) {
        return;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("error"))) {
            (void)read_words(s, words);
        }
    }
}

enum err alternative_parse_fng(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    struct str key;
    struct buf words = {0};
    reading_clear(out);
    scan_begin(&s, body);
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("data"))) {
                read_data(&s, out);
            } else if (scan_string_is(key, STR("metadata"))) {
                read_metadata(&s, &words);
            }
        }
    }
    enum err e = read_end(&s, why);
    if (e == OK && words.len > 0) {
        buf_printf(why, "Alternative.me says: %s", buf_text(&words));
        e = read_kind(buf_str(&words), ERR_UNAVAILABLE);
    } else if (e == OK && out->fields == 0) {
        buf_printf(why, "Alternative.me's answer has no index value");
        e = ERR_NOT_FOUND;
    } else if (e == OK &&
               (out->value[FIELD_FEAR_GREED] < 0 || out->value[FIELD_FEAR_GREED] > 100)) {
        buf_printf(why, "Alternative.me's index is outside 0 to 100");
        e = ERR_RANGE;
    }
    buf_fini(&words);
    return e;
}
