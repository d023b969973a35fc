/* SPDX-License-Identifier: MIT */
#include "market/series.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>

static const char header[] = "time_utc,open,high,low,close,volume";
static const char *const columns[] = {"time_utc", "open", "high", "low", "close", "volume"};
#define COLUMNS ARRAY_LEN(columns)
#define SHOWN 40 /* bytes of a bad cell in a note */

struct row {
    struct bar bar;
    size_t line;
};

struct rows {
    struct row *list;
    size_t count, room;
    size_t notes;
    size_t columns; /* as many as the header names, COLUMNS or more */
};

static struct buf *note(struct series *s, struct rows *r, size_t line)
{
    if (r->notes++ >= SERIES_NOTES) {
        return NULL;
    }
    buf_printf(&s->notes, "line %zu: ", line);
    return &s->notes;
}

static void note_cell(struct series *s, struct rows *r, size_t line, size_t column, struct str cell,
                      const char *what)
{
    struct buf *b = note(s, r, line);
    if (b) {
        buf_printf(b, "%s ", columns[column]);
        json_escape(b, str_sub(cell, 0, SHOWN));
        buf_printf(b, " %s\n", what);
    }
}

/* Why the cells are no bar is noted. */
static bool read_row(struct series *s, struct rows *r, struct str text, struct row *out)
{
    struct str cells[COLUMNS], cell;
    size_t count = 0;
    bool more = true;
    while (more && count <= r->columns) {
        more = str_find(text, ',', 0) != SIZE_MAX;
        if (!str_next(&text, ',', &cell)) {
            cell = (struct str){0};
        }
        if (count < COLUMNS) {
            cells[count] = str_trim(cell);
        }
        count++;
    }
    if (count != r->columns) {
        struct buf *b = note(s, r, out->line);
        if (b) {
            buf_printf(b, "%s of %zu columns\n", count < r->columns ? "fewer" : "more", r->columns);
        }
        return false;
    }
    double *const values[] = {&out->bar.open, &out->bar.high, &out->bar.low, &out->bar.close,
                              &out->bar.volume};
    if (clock_parse_rfc3339(cells[0], &out->bar.open_ms) != OK) {
        note_cell(s, r, out->line, 0, cells[0], "is no time as 2026-06-05T00:00:00Z");
        return false;
    }
    for (size_t i = 1; i < COLUMNS; i++) {
        bool is_volume = i == COLUMNS - 1;
        if (str_to_double(cells[i], values[i - 1]) != OK || *values[i - 1] < 0 ||
            (!is_volume && *values[i - 1] == 0)) {
            note_cell(s, r, out->line, i, cells[i], is_volume ? "is no volume" : "is no price");
            return false;
        }
    }
    if (!bar_is_sound(&out->bar)) {
        struct buf *b = note(s, r, out->line);
        if (b) {
            buf_add_lit(b, "low <= open, close <= high does not hold\n");
        }
        return false;
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->bar.open_ms != y->bar.open_ms) {
        return x->bar.open_ms < y->bar.open_ms ? -1 : 1;
    }
    return (x->line > y->line) - (x->line < y->line);
}

/* Sorted rows to bars: the last of each time, and the smallest step. */
static void take_rows(struct series *s, struct rows *r)
{
    qsort(r->list, r->count, sizeof(*r->list), by_time);
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (kept > 0 && r->list[kept - 1].bar.open_ms == r->list[i].bar.open_ms) {
            struct buf *b = note(s, r, r->list[i].line);
            if (b) {
                buf_printf(b, "the same time as line %zu, which it replaces\n",
                           r->list[kept - 1].line);
            }
            s->doubles++;
            kept--;
        }
        r->list[kept++] = r->list[i];
    }
    s->count = kept;
    s->bars = mem_array(kept, sizeof(*s->bars));
    for (size_t i = 0; i < kept; i++) {
        s->bars[i] = r->list[i].bar;
        int64_t step = i > 0 ? s->bars[i].open_ms - s->bars[i - 1].open_ms : INT64_MAX;
        if (i > 0 && (s->interval_ms == 0 || step < s->interval_ms)) {
            s->interval_ms = step;
        }
    }
}

static void count_holes(struct series *s, struct rows *r)
{
    for (size_t i = 1; i < s->count; i++) {
        int64_t step = s->bars[i].open_ms - s->bars[i - 1].open_ms;
        if (step == s->interval_ms) {
            continue;
        }
        /* a step that is no multiple lacks a candle as well */
        int64_t missing = (step + s->interval_ms - 1) / s->interval_ms - 1;
        struct buf *b = r ? note(s, r, r->list[i].line) : NULL;
        s->holes++;
        s->missing += (size_t)missing;
        if (b) {
            buf_printf(b, "%" PRId64 " candle%s missing before it\n", missing,
                       missing == 1 ? "" : "s");
        }
    }
}

/* How many columns; 0: it is no header of these. */
static size_t read_header(struct str line)
{
    struct str cell, rest = line;
    size_t i = 0;
    while (str_next(&rest, ',', &cell)) {
        if (i < COLUMNS && !str_eq_nocase(str_trim(cell), str_of(columns[i]))) {
            return 0;
        }
        i++;
    }
    return i < COLUMNS ? 0 : i;
}

static enum err read_lines(struct series *s, struct rows *r, struct str text, struct buf *error)
{
    struct str line;
    size_t number = 0;
    if (str_starts(text, STR("\xEF\xBB\xBF"))) {
        text = str_from(text, 3);
    }
    while (str_next(&text, '\n', &line)) {
        number++;
        line = str_sub(line, 0, line.len - (str_ends(line, STR("\r")) ? 1 : 0));
        if (number == 1) {
            r->columns = read_header(line);
            if (r->columns == 0) {
                buf_printf(error, "line 1: expected the header %s", header);
                return ERR_SYNTAX;
            }
            continue;
        }
        if (str_trim(line).len == 0) {
            continue;
        }
        if (r->count == SERIES_MAX) {
            buf_printf(error, "line %zu: more than %d candles", number, SERIES_MAX);
            return ERR_LIMIT;
        }
        if (r->count == r->room) {
            r->room = r->room ? 2 * r->room : 1024;
            r->list = mem_resize(r->list, r->room * sizeof(*r->list));
        }
        r->list[r->count].line = number;
        if (read_row(s, r, line, &r->list[r->count])) {
            r->count++;
        } else {
            s->bad++;
        }
    }
    if (number == 0) {
        buf_printf(error, "the file is empty: expected the header %s", header);
        return ERR_SYNTAX;
    }
    if (r->count == 0) {
        struct str first, notes = buf_str(&s->notes);
        if (str_next(&notes, '\n', &first)) {
            buf_printf(error, "no candles: %.*s", STR_ARG(first));
        } else {
            buf_add_lit(error, "no candles behind the header");
        }
        return ERR_SYNTAX;
    }
    return OK;
}

enum err series_read(struct series *s, struct str text, struct buf *error)
{
    struct rows r = {0};
    *s = (struct series){0};
    enum err e = read_lines(s, &r, text, error);
    if (e == OK) {
        take_rows(s, &r);
        count_holes(s, &r);
        if (r.notes > SERIES_NOTES) {
            buf_printf(&s->notes, "and %zu more\n", r.notes - SERIES_NOTES);
        }
    } else {
        series_fini(s);
    }
    mem_free(r.list);
    return e;
}

void series_fini(struct series *s)
{
    mem_free(s->bars);
    buf_fini(&s->notes);
    *s = (struct series){0};
}

static int64_t floor_to(int64_t ms, int64_t interval_ms)
{
    int64_t rest = ms % interval_ms;
    return ms - (rest < 0 ? rest + interval_ms : rest);
}

enum err series_resample(const struct series *s, int64_t interval_ms, struct series *out)
{
    if (s->interval_ms == 0 || interval_ms < s->interval_ms || interval_ms % s->interval_ms != 0) {
        return ERR_RANGE;
    }
    *out = (struct series){.interval_ms = interval_ms};
    out->bars = mem_array(s->count, sizeof(*out->bars));
    int64_t parts = interval_ms / s->interval_ms, seen = 0;
    struct bar bar = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct bar *b = &s->bars[i];
        int64_t open_ms = floor_to(b->open_ms, interval_ms);
        if (seen == 0 || open_ms != bar.open_ms) {
            bar = *b;
            bar.open_ms = open_ms;
            seen = 0;
        } else {
            bar.high = b->high > bar.high ? b->high : bar.high;
            bar.low = b->low < bar.low ? b->low : bar.low;
            bar.close = b->close;
            bar.volume += b->volume;
        }
        if (++seen == parts) {
            out->bars[out->count++] = bar;
            seen = 0;
        }
    }
    count_holes(out, NULL);
    return OK;
}

int64_t series_interval(struct str text)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    uint64_t n = 0;
    if (text.len < 2 || str_to_u64(str_sub(text, 0, text.len - 1), &n) != OK || n == 0 ||
        n > 1000) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text.ptr[text.len - 1] == units[i].unit) {
            return (int64_t)n * units[i].ms;
        }
    }
    return 0;
}
