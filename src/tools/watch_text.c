/* SPDX-License-Identifier: MIT */
#include "tools/watch_text.h"

#include <math.h>

/* ---- text in columns ---- */

/* One code point; *len 0 and '?' for a byte that starts none. Text was checked on the wire, but the
 * address comes from the command line. */
static uint32_t next_char(struct str s, size_t *len)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t n = p[0] < 0x80 ? 1 : (p[0] >> 5) == 6 ? 2 : (p[0] >> 4) == 14 ? 3 : 4;
    uint32_t code = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    *len = 1;
    if (n > s.len || !str_is_utf8(str_sub(s, 0, n))) {
        return '?';
    }
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (p[i] & 0x3fu);
    }
    *len = n;
    return code;
}

static size_t char_columns(uint32_t c)
{
    bool none = (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) ||
                (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0x20d0 && c <= 0x20ff);
    bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
    return none ? 0 : wide ? 2 : 1;
}

size_t watch_columns(struct str text)
{
    size_t columns = 0, len = 0;
    while (text.len > 0) {
        columns += char_columns(next_char(text, &len));
        text = str_from(text, len);
    }
    return columns;
}

void watch_add_cut(struct buf *out, struct str text, size_t columns)
{
    size_t left = columns, len = 0;
    bool cut = watch_columns(text) > columns;
    if (cut) {
        left = columns > 0 ? columns - 1 : 0;
    }
    while (text.len > 0) {
        uint32_t c = next_char(text, &len);
        bool bad = c < 0x20 || (c >= 0x7f && c < 0xa0) || (c == '?' && text.ptr[0] != '?') ||
                   (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        size_t need = bad ? 1 : char_columns(c);
        if (need > left) {
            break;
        }
        left -= need;
        buf_add_str(out, bad ? STR("?") : str_sub(text, 0, len));
        text = str_from(text, len);
    }
    if (cut && columns > 0) {
        buf_add_str(out, STR("…"));
    }
}

void watch_pad(struct buf *b, size_t from, size_t columns)
{
    size_t have = watch_columns(str_from(buf_str(b), from));
    while (have++ < columns) {
        buf_add_char(b, ' ');
    }
}

/* ---- numbers for people ---- */

/* 1234567.8 as 1,234,567.80 */
static void watch_add_grouped(struct buf *out, double value, int decimals)
{
    char digits[64];
    snprintf(digits, sizeof(digits), "%.*f", decimals, fabs(value));
    size_t whole = strcspn(digits, ".");
    buf_add_str(out, value < 0 ? STR("-") : STR(""));
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0) {
            buf_add_char(out, ',');
        }
        buf_add_char(out, digits[i]);
    }
    buf_add_str(out, str_of(digits + whole));
}

void watch_add_like(struct buf *out, double value, double like)
{
    int decimals = like >= 100 ? 2 : like >= 1 ? 4 : like >= 0.01 ? 6 : 10;
    if (like > 0 && like < 1e-5) {
        decimals = 4 - (int)floor(log10(like)); /* five figures */
    }
    watch_add_grouped(out, value, decimals < 15 ? decimals : 15);
}

void watch_add_price(struct buf *out, double price)
{
    watch_add_like(out, price, price);
}

void watch_add_big(struct buf *out, double usd)
{
    if (usd >= 1e12) {
        buf_printf(out, "%.3f T", usd / 1e12);
    } else if (usd >= 1e9) {
        buf_printf(out, "%.2f B", usd / 1e9);
    } else {
        watch_add_grouped(out, usd, 0);
    }
}

void watch_add_change(struct buf *out, double pct)
{
    buf_printf(out, "%s%+.2f %%", pct > 0 ? "▲ " : pct < 0 ? "▼ " : "", pct);
}

void watch_add_span(struct buf *out, double seconds)
{
    if (seconds < 120) {
        buf_printf(out, "%.0f s", seconds);
    } else if (seconds < 7200) {
        buf_printf(out, "%.0f min", seconds / 60);
    } else {
        buf_printf(out, "%.1f h", seconds / 3600);
    }
}

void watch_add_age(struct buf *out, double age_s)
{
    if (age_s < 0) {
        buf_add_lit(out, "age unknown");
    } else {
        watch_add_span(out, age_s);
        buf_add_lit(out, " old");
    }
}

/* ---- cells ---- */

void watch_cell(struct watch_line *line, const char *code, struct str text, size_t width,
                enum watch_align align)
{
    struct buf cell = {0};
    width = min_size(width, line->columns - line->used);
    watch_add_cut(&cell, text, width);
    size_t blanks = width - watch_columns(buf_str(&cell));
    bool colored = line->color && code[0] && cell.len > 0;
    line->used += width;
    for (size_t i = 0; align == WATCH_RIGHT && i < blanks; i++) {
        buf_add_char(line->out, ' ');
    }
    if (colored) {
        buf_printf(line->out, "\033[%sm", code);
    }
    buf_add_str(line->out, buf_str(&cell));
    buf_add_str(line->out, colored ? STR("\033[0m") : STR(""));
    for (size_t i = 0; align == WATCH_LEFT && i < blanks; i++) {
        buf_add_char(line->out, ' ');
    }
    buf_fini(&cell);
}
