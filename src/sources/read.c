/* SPDX-License-Identifier: MIT */
#include "sources/read.h"

#include <math.h>

#define WORDS_MAX 120
#define CELLS_MAX 16

bool read_double(struct scan *s, double *out)
{
    struct str digits;
    double value = 0;
    if (!scan_number_or_text(s, &digits) || str_to_double(digits, &value) != OK) {
        return false;
    }
    *out = value;
    return true;
}

bool read_whole(struct scan *s, int64_t *out)
{
    double value = 0;
    if (!read_double(s, &value) || value < 0 || value > 9007199254740992.0) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

bool read_words(struct scan *s, struct buf *out)
{
    struct str raw;
    struct buf text = {0};
    if (!scan_string(s, &raw)) {
        return false;
    }
    if (scan_unescape(raw, &text) != OK) {
        buf_clear(&text);
    }
    size_t len = text.len;
    if (len > WORDS_MAX) {
        len = WORDS_MAX;
        while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_add_char(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
    buf_fini(&text);
    return true;
}

enum err read_end(struct scan *s, struct buf *why)
{
    if (scan_end(s) != OK) {
        buf_printf(why, "the answer is cut off or not JSON (%s at byte %zu)",
                   s->error ? s->error : "error", (size_t)(s->at - s->start));
        return ERR_SYNTAX;
    }
    return OK;
}

static bool contains_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++) {
        if (str_eq_nocase(str_sub(s, i, needle.len), needle)) {
            return true;
        }
    }
    return false;
}

enum err read_kind(struct str words, enum err other)
{
    static const char *const signs[] = {"rate limit", "rate-limit", "request limit",
                                        "too many requests", "too much request"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (contains_nocase(words, str_of(signs[i]))) {
            return ERR_LIMIT;
        }
    }
    return other;
}

/* Numbers of one row; further cells of any kind are passed over. */
static size_t read_row(struct scan *s, double cells[CELLS_MAX])
{
    size_t count = 0;
    if (!scan_array(s)) {
        return 0;
    }
    bool numbers = true;
    while (scan_item(s)) {
        if (numbers && count < CELLS_MAX && read_double(s, &cells[count])) {
            count++;
        } else {
            numbers = false;
        }
    }
    return count;
}

static bool candle_can_be(const struct daily_candle *c)
{
    return c->low > 0 && c->low <= fmin(c->open, c->close) && c->high >= fmax(c->open, c->close) &&
           c->volume >= 0;
}

enum err read_candles(struct scan *s, const struct candle_shape *shape, struct reading *out,
                      struct buf *why)
{
    double cells[CELLS_MAX];
    unsigned last = shape->volume > shape->close ? shape->volume : shape->close;
    out->candle_count = 0;
    if (!scan_array(s)) {
        buf_printf(why, "there is no list of candles where it should be");
        return ERR_SYNTAX;
    }
    while (scan_item(s)) {
        if (out->candle_count >= DAILY_MAX) {
            buf_printf(why, "more than %d candles came", DAILY_MAX);
            return ERR_RANGE;
        }
        if (read_row(s, cells) <= last || cells[0] < 0 || cells[0] > 9e15) {
            buf_printf(why, "candle %zu has not the cells it should have", out->candle_count + 1);
            return ERR_SYNTAX;
        }
        struct daily_candle c = {
            .open_ms = (int64_t)cells[0] * shape->time_unit_ms,
            .open = cells[shape->open],
            .high = cells[shape->high],
            .low = cells[shape->low],
            .close = cells[shape->close],
            .volume = cells[shape->volume],
        };
        if (!candle_can_be(&c)) {
            buf_printf(why, "candle %zu cannot be", out->candle_count + 1);
            return ERR_RANGE;
        }
        out->candles[out->candle_count++] = c;
    }
    return OK;
}

void reading_put(struct reading *out, enum summary_field field, double value)
{
    out->fields |= FIELD_BIT(field);
    out->value[field] = value;
}

void reading_clear(struct reading *out)
{
    out->fields = 0;
    out->as_of_ms = 0;
    out->next_in_ms = 0;
    out->candle_count = 0;
    out->outlook = (struct outlook_values){.market_cap_change_24h_pct = NAN};
}
