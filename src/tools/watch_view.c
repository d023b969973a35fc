/* SPDX-License-Identifier: MIT */
#include "tools/watch_view.h"

#include "base/clock.h"
#include "base/json.h"

#include <math.h>

struct row {
    const char *key, *label;
};
static const struct row rows[WATCH_FIELDS] = {
    {"btc_price", "BTC price"},    {"btc_change_24h", "BTC 24 h"},     {"market_cap", "Market cap"},
    {"volume_24h", "Volume 24 h"}, {"fear_greed_index", "Fear&Greed"}, {"rsi_14", "RSI 14"},
};

/* ---- taking messages ---- */

static void copy_text(char *out, size_t size, const struct json *v)
{
    struct str s;
    if (json_get_str(v, &s)) {
        snprintf(out, size, "%.*s", STR_ARG(s));
    }
}

static bool list_holds(const struct json *list, const char *text)
{
    struct str s;
    for (size_t i = 0; i < json_count(list); i++) {
        if (json_get_str(json_at(list, i), &s) && str_eq(s, str_of(text))) {
            return true;
        }
    }
    return false;
}

/* Seconds since the message was made. The server's clock may differ from ours by anything, so the
 * message that came quickest is the measure. */
static double kept_for(struct watch_view *v, const struct json *root, int64_t wall_ms)
{
    struct str text;
    int64_t made_ms;
    if (!json_get_str(json_get(root, "timestamp"), &text) ||
        clock_parse_rfc3339(text, &made_ms) != OK) {
        return 0;
    }
    int64_t ahead = made_ms - wall_ms;
    if (!v->has_ahead || ahead > v->ahead_ms) {
        v->has_ahead = true;
        v->ahead_ms = ahead;
    }
    return (double)(v->ahead_ms - ahead) / 1000;
}

/* Fields that the data does not name stay: a delta or a price says only some. */
static bool take_summary(struct watch_view *v, const struct json *data, uint64_t now_ms,
                         double kept_s)
{
    bool any = false;
    for (size_t i = 0; i < WATCH_FIELDS; i++) {
        const struct json *value = NULL, *member = NULL;
        struct str key;
        size_t at = 0;
        bool named = false;
        while (!named && json_each(data, &at, &key, &member)) {
            named = str_eq(key, str_of(rows[i].key));
            value = member;
        }
        if (!named) {
            continue;
        }
        struct watch_field f = {.age_s = -1, .received_ms = now_ms};
        const struct json *source = json_get(json_get(data, "sources"), rows[i].key);
        f.known = json_get_double(value, &f.value);
        f.stale = list_holds(json_get(data, "stale"), rows[i].key);
        (void)json_get_double(json_get(source, "age_s"), &f.age_s);
        if (f.age_s >= 0) {
            f.age_s += kept_s;
        }
        struct str as_of;
        if (json_get_str(json_get(source, "as_of"), &as_of) &&
            clock_parse_rfc3339(as_of, &f.as_of_ms) == OK && f.as_of_ms < v->fields[i].as_of_ms) {
            continue; /* a snapshot that was made before what we have */
        }
        copy_text(f.provider, sizeof(f.provider), json_get(source, "provider"));
        copy_text(f.method, sizeof(f.method), json_get(source, "method"));
        copy_text(f.reason, sizeof(f.reason), json_get(source, "reason"));
        v->fields[i] = f;
        any = true;
    }
    return any;
}

static struct watch_price *price_of(struct watch_view *v, struct str symbol)
{
    for (size_t i = 0; i < v->price_count; i++) {
        if (str_eq(symbol, str_of(v->prices[i].symbol))) {
            return &v->prices[i];
        }
    }
    if (v->price_count == WATCH_SYMBOLS || symbol.len >= sizeof(v->prices[0].symbol)) {
        return NULL;
    }
    struct watch_price *p = &v->prices[v->price_count++];
    *p = (struct watch_price){0};
    snprintf(p->symbol, sizeof(p->symbol), "%.*s", STR_ARG(symbol));
    return p;
}

static bool take_prices(struct watch_view *v, const struct json *data)
{
    size_t at = 0;
    struct str symbol;
    const struct json *entry;
    bool any = false;
    while (json_each(data, &at, &symbol, &entry)) {
        struct watch_price *p = json_kind(entry) == JSON_OBJECT ? price_of(v, symbol) : NULL;
        if (!p) {
            continue;
        }
        if (json_get(entry, "price")) {
            p->known = json_get_number_or_text(json_get(entry, "price"), &p->price);
        }
        if (json_get(entry, "change_24h")) {
            p->has_change = json_get_number_or_text(json_get(entry, "change_24h"), &p->change_pct);
        }
        (void)json_get_bool(json_get(entry, "stale"), &p->stale);
        any = true;
    }
    return any;
}

/* A change of mode must not show old numbers under a new name. */
static void take_mode(struct watch_view *v, const struct json *root)
{
    char mode[sizeof(v->mode)] = "";
    copy_text(mode, sizeof(mode), json_get(root, "mode"));
    if (mode[0] && strcmp(mode, v->mode) != 0) {
        memset(v->fields, 0, sizeof(v->fields));
        v->price_count = 0;
        snprintf(v->mode, sizeof(v->mode), "%s", mode);
    }
}

enum watch_change watch_view_take(struct watch_view *v, struct str message, uint64_t now_ms,
                                  int64_t wall_ms)
{
    struct json *root = NULL;
    struct str type = STR("");
    enum watch_change change = WATCH_NOTHING;
    if (json_parse(message, &root, NULL) != OK) {
        return WATCH_NOTHING;
    }
    const struct json *data = json_get(root, "data");
    (void)json_get_str(json_get(root, "type"), &type);
    bool summary = str_eq(type, STR("dashboard_update")) || str_eq(type, STR("welcome"));
    if (summary || str_eq(type, STR("btc_price_update"))) {
        take_mode(v, root);
        if (take_summary(v, data, now_ms, kept_for(v, root, wall_ms))) {
            change = summary ? WATCH_SUMMARY : WATCH_BTC;
        }
    } else if (str_eq(type, STR("price_updates"))) {
        take_mode(v, root);
        change = take_prices(v, data) ? WATCH_PRICES : WATCH_NOTHING;
    } else if (str_eq(type, STR("server_shutdown"))) {
        change = WATCH_SHUTDOWN;
    }
    json_free(root);
    return change;
}

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

/* ---- numbers for people ---- */

/* 1234567.8 as 1,234,567.80 */
static void add_grouped(struct buf *out, double value, int decimals)
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

static void add_price(struct buf *out, double price)
{
    int decimals = price >= 100 ? 2 : price >= 1 ? 4 : price >= 0.01 ? 6 : 10;
    add_grouped(out, price, decimals);
}

static void add_big(struct buf *out, double usd)
{
    if (usd >= 1e12) {
        buf_printf(out, "%.3f T", usd / 1e12);
    } else if (usd >= 1e9) {
        buf_printf(out, "%.2f B", usd / 1e9);
    } else {
        add_grouped(out, usd, 0);
    }
}

static const char *mood(double value)
{
    return value <= 25   ? "extreme fear"
           : value <= 46 ? "fear"
           : value < 55  ? "neutral"
           : value <= 75 ? "greed"
                         : "extreme greed";
}

static void add_change(struct buf *out, double pct)
{
    buf_printf(out, "%s%+.2f %%", pct > 0 ? "▲ " : pct < 0 ? "▼ " : "", pct);
}

static void add_value(struct buf *out, size_t i, const struct watch_field *f)
{
    if (!f->known) {
        buf_add_lit(out, "unknown");
        return;
    }
    switch (i) {
    case 0:
        buf_add_lit(out, "$");
        add_price(out, f->value);
        break;
    case 1:
        add_change(out, f->value);
        break;
    case 2:
    case 3:
        buf_add_lit(out, "$");
        add_big(out, f->value);
        break;
    case 4:
        buf_printf(out, "%.0f %s", f->value, mood(f->value));
        break;
    default:
        buf_printf(out, "%.2f", f->value);
        break;
    }
}

static double age_of(const struct watch_field *f, uint64_t now_ms)
{
    return f->age_s < 0 ? -1 : f->age_s + (double)(now_ms - f->received_ms) / 1000;
}

static void add_age(struct buf *out, double age_s)
{
    if (age_s < 0) {
        buf_add_lit(out, "age unknown");
    } else if (age_s < 120) {
        buf_printf(out, "%.0f s old", age_s);
    } else if (age_s < 7200) {
        buf_printf(out, "%.0f min old", age_s / 60);
    } else {
        buf_printf(out, "%.1f h old", age_s / 3600);
    }
}

/* ---- the screen ---- */

struct screen {
    struct buf *out;
    const struct watch_look *look;
    size_t line; /* written so far */
};

/* A line of one colour (an ANSI code, or ""), cut to the width; nothing beyond the last row. */
static void put_line(struct screen *s, const char *code, struct str text)
{
    if (s->line >= s->look->rows) {
        return;
    }
    buf_add_str(s->out, s->line++ ? STR("\r\n") : STR(""));
    bool colored = s->look->color && code[0];
    if (colored) {
        buf_printf(s->out, "\033[%sm", code);
    }
    watch_add_cut(s->out, text, s->look->columns);
    if (colored) {
        buf_add_lit(s->out, "\033[0m");
    }
}

static void pad_to(struct buf *b, size_t from, size_t columns)
{
    size_t have = watch_columns(str_from(buf_str(b), from));
    while (have++ < columns) {
        buf_add_char(b, ' ');
    }
}

static const char *mode_text(const char *mode)
{
    return strcmp(mode, "demo") == 0     ? "DEMO: SIMULATED DATA, NOT A MARKET"
           : strcmp(mode, "replay") == 0 ? "REPLAY: RECORDED DATA, NOT NOW"
           : strcmp(mode, "live") == 0   ? "LIVE"
           : mode[0]                     ? mode
                                         : "mode not known yet";
}

static void put_head(struct screen *s, const struct watch_view *v)
{
    struct buf b = {0};
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(s->look->wall_ms, time);
    bool live = strcmp(v->mode, "live") == 0;
    buf_printf(&b, " coincast  %s ", mode_text(v->mode));
    put_line(s, live ? "1;30;42" : "1;30;43", buf_str(&b));
    buf_clear(&b);
    buf_printf(&b, " %.8s UTC  %s", time + 11, v->link);
    put_line(s, v->connected ? "" : "1;31", buf_str(&b));
    buf_clear(&b);
    buf_printf(&b, " %s", s->look->url);
    put_line(s, "2", buf_str(&b));
    put_line(s, "", STR(""));
    buf_fini(&b);
}

static void put_field(struct screen *s, const struct watch_view *v, size_t i)
{
    const struct watch_field *f = &v->fields[i];
    struct buf b = {0};
    buf_printf(&b, " %-12s", rows[i].label);
    add_value(&b, i, f);
    bool wide = s->look->columns >= 72;
    if (wide) {
        pad_to(&b, 0, 36);
    }
    const char *code = !f->known || f->stale ? "33" : i == 1 ? (f->value < 0 ? "31" : "32") : "1";
    if (f->stale) {
        buf_add_str(&b, wide ? STR("STALE  ") : STR("  STALE"));
    }
    if (!wide) {
        put_line(s, code, buf_str(&b));
        buf_clear(&b);
        buf_add_lit(&b, "   ");
        code = "2";
    }
    if (f->known) {
        buf_printf(&b, "%s%s%s  ", f->provider[0] ? f->provider : "source unknown",
                   f->method[0] ? " " : "", f->method);
        add_age(&b, age_of(f, s->look->now_ms));
    }
    if (wide || f->known) {
        put_line(s, code, buf_str(&b));
    }
    if (f->reason[0]) {
        buf_clear(&b);
        buf_printf(&b, "   %s", f->reason);
        put_line(s, "33", buf_str(&b));
    }
    buf_fini(&b);
}

/* As many to a line as fit. */
static void put_prices(struct screen *s, const struct watch_view *v)
{
    enum { CELL = 36 };
    struct buf b = {0};
    size_t per_line = max_size(s->look->columns / CELL, 1);
    for (size_t i = 0; i < v->price_count; i++) {
        const struct watch_price *p = &v->prices[i];
        size_t from = b.len;
        buf_printf(&b, " %-6s", p->symbol);
        if (p->known) {
            add_price(&b, p->price);
        } else {
            buf_add_lit(&b, "unknown");
        }
        pad_to(&b, from, 21);
        if (p->has_change) {
            buf_add_char(&b, ' ');
            add_change(&b, p->change_pct);
        }
        buf_add_str(&b, p->stale ? STR(" STALE") : STR(""));
        pad_to(&b, from, CELL);
        if ((i + 1) % per_line == 0 || i + 1 == v->price_count) {
            put_line(s, "", buf_str(&b));
            buf_clear(&b);
        }
    }
    buf_fini(&b);
}

void watch_view_screen(const struct watch_view *v, const struct watch_look *look, struct buf *out)
{
    struct screen s = {.out = out, .look = look};
    put_head(&s, v);
    for (size_t i = 0; i < WATCH_FIELDS; i++) {
        put_field(&s, v, i);
    }
    if (v->price_count > 0) {
        put_line(&s, "", STR(""));
        put_prices(&s, v);
    }
}

void watch_view_line(const struct watch_view *v, const struct watch_look *look, struct buf *out)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(look->wall_ms, time);
    buf_printf(out, "%s mode=", time);
    watch_add_cut(out, str_of(v->mode[0] ? v->mode : "unknown"), 16);
    for (size_t i = 0; i < WATCH_FIELDS; i++) {
        const struct watch_field *f = &v->fields[i];
        buf_printf(out, " %s=", rows[i].key);
        if (!f->known) {
            buf_add_lit(out, "null");
        } else {
            json_add_double(out, f->value);
            buf_add_char(out, '(');
            watch_add_cut(out, str_of(f->provider[0] ? f->provider : "unknown"), 32);
            double age = age_of(f, look->now_ms);
            if (age >= 0) {
                buf_printf(out, ",%.0fs", age);
            }
            buf_add_str(out, f->stale ? STR(",stale)") : STR(")"));
        }
    }
}
