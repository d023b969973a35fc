/* SPDX-License-Identifier: MIT */
#include "tools/watch_prices.h"

#include "base/clock.h"
#include "tools/watch_text.h"

#include <math.h>

/* ---- taking rows ---- */

/* Messages name the rows in one order, so the one behind the last is tried first. */
static struct watch_price *row_of(struct watch_prices *p, struct str symbol, size_t last)
{
    for (size_t i = 0; i < p->count; i++) {
        struct watch_price *row = &p->rows[(last + 1 + i) % p->count];
        if (str_eq(symbol, str_of(row->symbol))) {
            return row;
        }
    }
    if (p->count == WATCH_SYMBOLS || symbol.len >= sizeof(p->rows[0].symbol)) {
        return NULL;
    }
    struct watch_price *row = &p->rows[p->count++];
    *row = (struct watch_price){.price = NAN,
                                .change_pct = NAN,
                                .bid = NAN,
                                .ask = NAN,
                                .high = NAN,
                                .low = NAN,
                                .volume = NAN};
    snprintf(row->symbol, sizeof(row->symbol), "%.*s", STR_ARG(symbol));
    return row;
}

static void take_text(char *out, size_t size, const struct json *v)
{
    struct str s = STR("");
    (void)json_get_str(v, &s);
    snprintf(out, size, "%.*s", STR_ARG(s));
}

static void take_feeds(struct watch_price *row, const struct json *sources)
{
    row->feeds = row->used = 0;
    for (size_t i = 0; i < json_count(sources); i++) {
        bool used = false;
        (void)json_get_bool(json_get(json_at(sources, i), "used"), &used);
        row->feeds++;
        row->used += used;
    }
}

static void take_member(struct watch_price *row, struct str key, const struct json *v)
{
    const struct {
        const char *key;
        double *number;
    } numbers[] = {{"price", &row->price},      {"change_24h", &row->change_pct},
                   {"bid", &row->bid},          {"ask", &row->ask},
                   {"high_24h", &row->high},    {"low_24h", &row->low},
                   {"volume_24h", &row->volume}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (str_eq(key, str_of(numbers[i].key))) {
            *numbers[i].number = NAN;
            (void)json_get_number_or_text(v, numbers[i].number);
            return;
        }
    }
    struct str time;
    if (str_eq(key, STR("quote"))) {
        take_text(row->quote, sizeof(row->quote), v);
    } else if (str_eq(key, STR("reason"))) {
        take_text(row->reason, sizeof(row->reason), v);
    } else if (str_eq(key, STR("stale"))) {
        (void)json_get_bool(v, &row->stale);
    } else if (str_eq(key, STR("sources"))) {
        take_feeds(row, v);
    } else if (str_eq(key, STR("timestamp"))) {
        row->timestamp_ms = 0;
        if (json_get_str(v, &time) && clock_parse_rfc3339(time, &row->timestamp_ms) != OK) {
            row->timestamp_ms = 0;
        }
    }
}

bool watch_prices_take(struct watch_prices *p, const struct json *data)
{
    size_t at = 0;
    struct str symbol;
    const struct json *entry;
    bool any = false;
    size_t last = WATCH_SYMBOLS;
    while (json_each(data, &at, &symbol, &entry)) {
        struct watch_price *row =
            json_kind(entry) == JSON_OBJECT && json_count(entry) ? row_of(p, symbol, last) : NULL;
        last = row ? (size_t)(row - p->rows) : last;
        size_t member_at = 0;
        struct str key;
        const struct json *v;
        while (row && json_each(entry, &member_at, &key, &v)) {
            take_member(row, key, v);
            row->changed = any = true;
        }
    }
    return any;
}

/* ---- moving ---- */

void watch_prices_move(struct watch_prices *p, enum watch_move move)
{
    size_t page = p->shown > 1 ? p->shown - 1 : 1;
    size_t step = move == WATCH_UP || move == WATCH_DOWN ? 1 : page;
    switch (move) {
    case WATCH_UP:
    case WATCH_PAGE_UP:
        p->top -= min_size(step, p->top);
        break;
    case WATCH_DOWN:
    case WATCH_PAGE_DOWN:
        p->top += step;
        break;
    case WATCH_FIRST:
        p->top = 0;
        break;
    case WATCH_LAST:
        p->top = p->count;
        break;
    }
}

/* ---- cells ---- */

struct cell {
    struct buf text;
    const char *code; /* ANSI, or "" */
    int64_t server_ms;
};

static void price_cell(struct cell *c, const struct watch_price *row, double value)
{
    if (!isnan(value)) {
        /* as many decimals as the row's price, so that what is compared stands alike */
        watch_add_like(&c->text, value, isnan(row->price) ? value : row->price);
    }
}

static void symbol_cell(struct cell *c, const struct watch_price *row)
{
    buf_printf(&c->text, " %s", row->symbol);
    c->code = "1";
}

static void last_cell(struct cell *c, const struct watch_price *row)
{
    price_cell(c, row, row->price);
    c->code = row->stale ? "33" : "1";
}

static void change_cell(struct cell *c, const struct watch_price *row)
{
    if (!isnan(row->change_pct)) {
        watch_add_change(&c->text, row->change_pct);
        c->code = row->change_pct >= 0.005 ? "32" : row->change_pct <= -0.005 ? "31" : "";
    }
}

static void spread_cell(struct cell *c, const struct watch_price *row)
{
    double middle = (row->bid + row->ask) / 2;
    if (!isnan(middle) && middle > 0) {
        buf_printf(&c->text, "%.3f %%", (row->ask - row->bid) / middle * 100);
    }
}

static void feeds_cell(struct cell *c, const struct watch_price *row)
{
    buf_printf(&c->text, "%u/%u", row->used, row->feeds);
    c->code = row->used < row->feeds ? "33" : "";
}

static void age_cell(struct cell *c, const struct watch_price *row)
{
    if (row->timestamp_ms && c->server_ms) {
        double age_s = (double)(c->server_ms - row->timestamp_ms) / 1000;
        watch_add_span(&c->text, age_s > 0 ? age_s : 0);
    }
}

static void bid_cell(struct cell *c, const struct watch_price *row)
{
    price_cell(c, row, row->bid);
}

static void ask_cell(struct cell *c, const struct watch_price *row)
{
    price_cell(c, row, row->ask);
}

static void low_cell(struct cell *c, const struct watch_price *row)
{
    price_cell(c, row, row->low);
}

static void high_cell(struct cell *c, const struct watch_price *row)
{
    price_cell(c, row, row->high);
}

static void volume_cell(struct cell *c, const struct watch_price *row)
{
    if (!isnan(row->volume)) {
        watch_add_big(&c->text, row->volume);
    }
}

/* ---- columns ---- */

/* In the order they stand; `rank` is the order they are taken in while there is room. */
struct column {
    const char *title;
    size_t width, rank;
    void (*fill)(struct cell *c, const struct watch_price *row);
};
static const struct column columns[] = {
    {" SYMBOL", 7, 0, symbol_cell},  {"PRICE $", 13, 1, last_cell},
    {"24 H", 11, 2, change_cell},    {"LOW 24 H", 14, 7, low_cell},
    {"HIGH 24 H", 14, 7, high_cell}, {"VOLUME $", 12, 7, volume_cell},
    {"BID", 14, 6, bid_cell},        {"ASK", 14, 6, ask_cell},
    {"BID/ASK", 10, 5, spread_cell}, {"FEEDS", 6, 4, feeds_cell},
    {"AGE", 7, 3, age_cell},
};
enum { COLUMNS = ARRAY_LEN(columns), RANKS = 8, REASON_MIN = 24, LONG_SYMBOL = 5 };

struct layout {
    size_t widths[COLUMNS]; /* 0: not shown */
    size_t width;           /* of the shown ones */
    size_t reason;          /* columns left for it behind them; 0: it has a line of its own */
};

static struct layout lay_out(size_t room)
{
    struct layout l = {0};
    bool full = false;
    for (size_t rank = 0; rank < RANKS && !full; rank++) {
        size_t more = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            more += columns[i].rank == rank ? columns[i].width : 0;
        }
        /* a wide screen keeps room for reasons; the symbol stands on any */
        size_t spare = rank > 5 ? REASON_MIN : 0;
        full = rank > 0 && l.width + more + spare > room;
        for (size_t i = 0; i < COLUMNS && !full; i++) {
            l.widths[i] = columns[i].rank == rank ? columns[i].width : l.widths[i];
        }
        l.width += full ? 0 : more;
    }
    if (room >= l.width + LONG_SYMBOL) {
        l.widths[0] += LONG_SYMBOL;
        l.width += LONG_SYMBOL;
    }
    l.reason = room >= l.width + REASON_MIN ? room - l.width - 2 : 0;
    return l;
}

static size_t lines_of(const struct watch_price *row, const struct layout *l)
{
    return row->reason[0] && l->reason == 0 ? 2 : 1;
}

static void put_row(const struct watch_price *row, const struct layout *l,
                    const struct watch_table *t, struct buf *out)
{
    struct watch_line line = {.out = out, .columns = t->columns, .color = t->color};
    buf_add_lit(out, "\r\n");
    for (size_t i = 0; i < COLUMNS; i++) {
        struct cell c = {.code = "", .server_ms = t->server_ms};
        if (l->widths[i] == 0) {
            continue;
        }
        columns[i].fill(&c, row);
        if (c.text.len == 0) {
            buf_add_lit(&c.text, "-");
        }
        watch_cell(&line, row->stale ? "33" : c.code, buf_str(&c.text), l->widths[i],
                   i == 0 ? WATCH_LEFT : WATCH_RIGHT);
        buf_fini(&c.text);
    }
}

static void put_reason(const struct watch_price *row, const struct layout *l,
                       const struct watch_table *t, struct buf *out)
{
    struct buf text = {0};
    bool in_other = row->quote[0] && strcmp(row->quote, "USD") != 0;
    struct watch_line line = {.out = out, .columns = t->columns, .color = t->color};
    if (in_other && l->reason) {
        buf_printf(&text, "in %s%s", row->quote, row->reason[0] ? "; " : "");
    }
    if (row->reason[0]) {
        buf_printf(&text, "%s%s", row->stale && !isnan(row->price) ? "STALE: " : "", row->reason);
    }
    if (l->reason) {
        line.columns = l->reason;
        buf_add_lit(out, "  ");
    } else {
        buf_add_lit(out, "\r\n");
        watch_cell(&line, "", STR(""), 3, WATCH_LEFT);
    }
    watch_cell(&line, "33", buf_str(&text), watch_columns(buf_str(&text)), WATCH_LEFT);
    buf_fini(&text);
}

static void put_titles(const struct watch_prices *p, const struct layout *l,
                       const struct watch_table *t, struct buf *out)
{
    struct watch_line line = {.out = out, .columns = t->columns, .color = t->color};
    buf_add_lit(out, "\r\n");
    if (p->shown < p->count) {
        struct buf where = {0};
        buf_printf(&where, " prices %zu to %zu of %zu (arrow keys)", p->top + 1, p->top + p->shown,
                   p->count);
        watch_cell(&line, "2", buf_str(&where), line.columns, WATCH_LEFT);
        buf_fini(&where);
    }
    buf_add_lit(out, "\r\n");
    line.used = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        watch_cell(&line, "2", str_of(columns[i].title), l->widths[i],
                   i == 0 ? WATCH_LEFT : WATCH_RIGHT);
    }
}

/* `top` is moved back until the rows behind it fill the room. */
static void settle(struct watch_prices *p, const struct layout *l, size_t lines)
{
    size_t used = 0, first = p->count;
    while (first > 0 && used + lines_of(&p->rows[first - 1], l) <= lines) {
        used += lines_of(&p->rows[--first], l);
    }
    p->top = min_size(p->top, first);
    p->shown = 0;
    for (used = 0; p->top + p->shown < p->count; p->shown++) {
        used += lines_of(&p->rows[p->top + p->shown], l);
        if (used > lines) {
            break;
        }
    }
}

void watch_prices_table(struct watch_prices *p, const struct watch_table *t, struct buf *out)
{
    struct layout l = lay_out(t->columns);
    p->shown = 0;
    if (p->count == 0 || t->lines < 3) {
        return;
    }
    settle(p, &l, t->lines - 2);
    put_titles(p, &l, t, out);
    for (size_t i = p->top; i < p->top + p->shown; i++) {
        const struct watch_price *row = &p->rows[i];
        put_row(row, &l, t, out);
        if (row->reason[0] || l.reason) {
            put_reason(row, &l, t, out);
        }
    }
}

/* ---- a pipe ---- */

static void add_number(struct buf *out, const char *name, double value)
{
    buf_printf(out, " %s=", name);
    json_add_double(out, value); /* null when it is not known */
}

void watch_prices_lines(struct watch_prices *p, int64_t wall_ms, const char *mode, struct buf *out)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(wall_ms, time);
    for (size_t i = 0; i < p->count; i++) {
        struct watch_price *row = &p->rows[i];
        if (!row->changed) {
            continue;
        }
        row->changed = false;
        buf_printf(out, "%s mode=", time);
        watch_add_cut(out, str_of(mode[0] ? mode : "unknown"), 16);
        buf_add_lit(out, " symbol=");
        watch_add_cut(out, str_of(row->symbol), sizeof(row->symbol));
        add_number(out, "price", row->price);
        buf_add_lit(out, " quote=");
        watch_add_cut(out, str_of(row->quote[0] ? row->quote : "unknown"), sizeof(row->quote));
        add_number(out, "change_24h", row->change_pct);
        add_number(out, "bid", row->bid);
        add_number(out, "ask", row->ask);
        buf_printf(out, " feeds=%u/%u", row->used, row->feeds);
        if (row->stale) {
            buf_add_lit(out, " stale=\"");
            watch_add_cut(out, str_of(row->reason), sizeof(row->reason));
            buf_add_char(out, '"');
        }
        buf_add_char(out, '\n');
    }
}
