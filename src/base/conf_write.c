/* What people read about the settings, all from the rows. SPDX-License-Identifier: MIT */
#include "base/conf.h"
#include "base/conf_value.h"

enum { HELP_COLUMN = 34 };

/* A value for a flag as --help names it. */
static void add_metavar(const struct conf_row *row, struct buf *out)
{
    switch (row->type) {
    case CONF_TEXT:
        buf_add_lit(out, "TEXT");
        return;
    case CONF_INT:
        buf_add_lit(out, "N");
        return;
    case CONF_BOOL:
        return;
    case CONF_CHOICE:
        buf_add_str(out, str_of(row->choices));
        return;
    case CONF_URL:
        buf_add_lit(out, "URL");
        return;
    case CONF_ADDR:
        buf_add_lit(out, "HOST:PORT");
        return;
    case CONF_LIST:
        buf_add_lit(out, "A,B,...");
        return;
    }
}

static void add_help_line(struct buf *line, const struct conf_row *row, struct buf *out)
{
    /* A long head has its meaning on the next line, so that the column stays where it is. */
    if (line->len + 2 > HELP_COLUMN) {
        buf_printf(out, "%s\n%*s", buf_text(line), HELP_COLUMN, "");
    } else {
        buf_printf(out, "%-*s", HELP_COLUMN, buf_text(line));
    }
    buf_add_str(out, str_of(row->help));
    if (row->unit) {
        buf_printf(out, " [%s]", row->unit);
    }
    if (row->fallback && !row->secret) {
        buf_printf(out, " (default: %s)", row->fallback);
    }
    buf_add_char(out, '\n');
}

void conf_write_help(const struct conf_row *rows, size_t count, struct buf *out)
{
    struct buf line = {0};
    bool secrets = false;
    for (size_t i = 0; i < count; i++) {
        secrets = secrets || rows[i].secret;
        if (rows[i].secret) {
            continue;
        }
        buf_clear(&line);
        buf_add_lit(&line, "  --");
        conf_value_flag(&rows[i], &line);
        buf_add_char(&line, ' ');
        add_metavar(&rows[i], &line);
        add_help_line(&line, &rows[i], out);
    }
    if (secrets) {
        buf_add_lit(out, "Only in the environment or .env:\n");
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].secret) {
            buf_clear(&line);
            buf_printf(&line, "  %s", rows[i].name);
            add_help_line(&line, &rows[i], out);
        }
    }
    buf_fini(&line);
}

/* Text within a table's cell. */
static void add_cell(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '|') {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, s.ptr[i]);
    }
}

void conf_write_markdown(const struct conf_row *rows, size_t count, struct buf *out)
{
    struct buf part = {0};
    buf_add_lit(out, "| setting | flag | value | default | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *r = &rows[i];
        buf_printf(out, "| `%s` | ", r->name);
        buf_clear(&part);
        conf_value_flag(r, &part);
        if (part.len) {
            buf_printf(out, "`--%s`", buf_text(&part));
        } else {
            buf_add_lit(out, "none (secret)");
        }
        buf_add_lit(out, " | ");
        buf_clear(&part);
        conf_value_describe(r, &part);
        add_cell(out, buf_str(&part));
        buf_add_lit(out, " | ");
        if (r->fallback) {
            buf_add_char(out, '`');
            add_cell(out, str_of(r->fallback));
            buf_add_char(out, '`');
        } else {
            buf_add_lit(out, "unset");
        }
        buf_add_lit(out, " | ");
        add_cell(out, str_of(r->help));
        buf_add_lit(out, " |\n");
    }
    buf_fini(&part);
}

/* A value of .env, in quotes when it needs them. */
static void add_env_value(struct buf *out, struct str s)
{
    bool plain = true;
    for (size_t i = 0; i < s.len; i++) {
        plain = plain && !strchr(" \t#'\"\\$", s.ptr[i]);
    }
    if (plain) {
        buf_add_str(out, s);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (strchr("\"\\$", s.ptr[i])) {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, s.ptr[i]);
    }
    buf_add_char(out, '"');
}

void conf_write_env(const struct conf_row *rows, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *r = &rows[i];
        buf_printf(out, "%s# %s Takes ", i ? "\n" : "", r->help);
        conf_value_describe(r, out);
        buf_printf(out, ".\n#%s=", r->name);
        add_env_value(out, str_of(r->fallback));
        buf_add_char(out, '\n');
    }
}
