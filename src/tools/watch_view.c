/* SPDX-License-Identifier: MIT */
#include "tools/watch_view.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/watch_text.h"

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

/* A change of mode must not show old numbers under a new name. */
static void take_mode(struct watch_view *v, const struct json *root)
{
    char mode[sizeof(v->mode)] = "";
    copy_text(mode, sizeof(mode), json_get(root, "mode"));
    if (mode[0] && strcmp(mode, v->mode) != 0) {
        memset(v->fields, 0, sizeof(v->fields));
        v->prices = (struct watch_prices){0};
        snprintf(v->mode, sizeof(v->mode), "%s", mode);
    }
}

/* What is wrong with what was asked for. All rows come again behind a reply: any that stood from an
 * earlier connection go. */
static bool take_reply(struct watch_view *v, const struct json *root)
{
    const struct json *unknown = json_get(root, "unknown");
    struct buf note = {0};
    struct str s;
    if (json_get_str(json_get(root, "error"), &s)) {
        buf_add_str(&note, s);
    } else {
        v->prices.count = 0;
    }
    for (size_t i = 0; i < json_count(unknown); i++) {
        if (json_get_str(json_at(unknown, i), &s)) {
            buf_printf(&note, "%s%.*s", i ? ", " : "unknown symbols: ", STR_ARG(s));
        }
    }
    snprintf(v->note, sizeof(v->note), "%s", buf_text(&note));
    buf_fini(&note);
    return v->note[0] != '\0';
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
        take_mode(v, root); /* a delta names none, and has no time of sending */
        (void)kept_for(v, root, wall_ms);
        change = watch_prices_take(&v->prices, data) ? WATCH_PRICES : WATCH_NOTHING;
    } else if (str_eq(type, STR("subscribed")) || str_eq(type, STR("error"))) {
        (void)kept_for(v, root, wall_ms);
        change = take_reply(v, root) ? WATCH_NOTE : WATCH_NOTHING;
    } else if (str_eq(type, STR("server_shutdown"))) {
        change = WATCH_SHUTDOWN;
    }
    json_free(root);
    return change;
}

static const char *mood(double value)
{
    return value <= 25   ? "extreme fear"
           : value <= 46 ? "fear"
           : value < 55  ? "neutral"
           : value <= 75 ? "greed"
                         : "extreme greed";
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
        watch_add_price(out, f->value);
        break;
    case 1:
        watch_add_change(out, f->value);
        break;
    case 2:
    case 3:
        buf_add_lit(out, "$");
        watch_add_big(out, f->value);
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
    buf_printf(&b, "%s %s ", s->look->columns >= 50 ? " coincast " : "", mode_text(v->mode));
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
        watch_pad(&b, 0, 36);
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
    if (f->known && !wide) {
        watch_add_age(&b, age_of(f, s->look->now_ms)); /* the end may be cut */
        buf_add_lit(&b, "  ");
    }
    if (f->known) {
        buf_printf(&b, "%s%s%s", f->provider[0] ? f->provider : "source unknown",
                   f->method[0] ? " " : "", f->method);
    }
    if (f->known && wide) {
        buf_add_lit(&b, "  ");
        watch_add_age(&b, age_of(f, s->look->now_ms));
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

void watch_view_screen(struct watch_view *v, const struct watch_look *look, struct buf *out)
{
    struct screen s = {.out = out, .look = look};
    put_head(&s, v);
    for (size_t i = 0; i < WATCH_FIELDS; i++) {
        put_field(&s, v, i);
    }
    if (v->note[0]) {
        struct buf b = {0};
        buf_printf(&b, " %s", v->note);
        put_line(&s, "33", buf_str(&b));
        buf_fini(&b);
    }
    struct watch_table table = {.columns = look->columns,
                                .lines = look->rows - s.line,
                                .color = look->color,
                                .server_ms = v->has_ahead ? look->wall_ms + v->ahead_ms : 0};
    watch_prices_table(&v->prices, &table, out);
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
