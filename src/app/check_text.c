/* SPDX-License-Identifier: MIT */
#include "app/check_text.h"

#include "base/json.h"

/* The names stand in a column; 80 columns leave the values more than half of the line. */
enum { NAME_COLUMN = 31, ORIGIN_COLUMN = 11 };

void check_text_line(enum check_mark mark, const char *name, struct str detail, int64_t took_ms,
                     struct buf *out)
{
    static const char *const marks[] = {
        [CHECK_OK] = "ok", [CHECK_FAIL] = "FAIL", [CHECK_SKIP] = "skip"};
    buf_printf(out, "%-4s %-14s %.*s", marks[mark], name, STR_ARG(detail));
    if (took_ms >= 0) {
        buf_printf(out, " (%lld ms)", (long long)took_ms);
    }
    buf_add_char(out, '\n');
}

size_t check_text_settings(const struct conf *c, const struct conf_row *rows, size_t count,
                           const void *settings, bool all, struct buf *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        enum conf_origin origin = conf_origin(c, rows[i].name);
        if (origin == CONF_FROM_DEFAULT && !all) {
            continue;
        }
        size_t before = 0;
        buf_printf(out, "%-*s %-*s ", NAME_COLUMN, rows[i].name, ORIGIN_COLUMN,
                   conf_origin_text(origin));
        before = out->len;
        conf_value_text(c, &rows[i], settings, out);
        buf_add_str(out, out->len == before ? STR("(unset)\n") : STR("\n"));
        shown++;
    }
    return shown;
}

void check_text_reading(const struct reading *r, struct buf *out)
{
    size_t before = out->len;
    struct json_writer w;
    for (int f = 0; f < FIELD_COUNT; f++) {
        if (r->fields & FIELD_BIT(f)) {
            buf_printf(out, "%s%s ", out->len > before ? ", " : "",
                       summary_field_name((enum summary_field)f));
            if (r->value[f] >= 1e9) {
                buf_printf(out, "%.3g", r->value[f]);
            } else {
                json_begin(&w, out);
                json_decimal(&w, r->value[f], 2);
            }
        }
    }
    if (r->candle_count) {
        buf_printf(out, "%s%zu daily candles", out->len > before ? ", " : "", r->candle_count);
    }
}
