/* SPDX-License-Identifier: MIT */
#include "base/conf_file.h"

static struct str trim_left(struct str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = str_from(s, 1);
    }
    return s;
}

/* Letters, digits and underscores, not a digit first: what a shell would take. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return s.len > 0;
}

/* Up to a # that begins the value or follows a blank. */
static struct str plain_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '#' && (i == 0 || s.ptr[i - 1] == ' ' || s.ptr[i - 1] == '\t')) {
            s.len = i;
        }
    }
    return str_trim(s);
}

static char unescape(char c)
{
    static const char from[] = "ntr\"\\$";
    static const char to[] = "\n\t\r\"\\$";
    const char *at = c ? strchr(from, c) : NULL;
    return at ? to[at - from] : '\0';
}

/* The value in quotes that `s` starts with, into `out`. NULL, or what is wrong. */
static const char *quoted_value(struct str s, struct buf *out)
{
    char quote = s.ptr[0];
    size_t i = 1;
    for (; i < s.len && s.ptr[i] != quote; i++) {
        if (quote == '"' && s.ptr[i] == '\\') {
            char meant = i + 1 < s.len ? unescape(s.ptr[i + 1]) : '\0';
            if (!meant) {
                return "after \\ only n t r \" \\ $ may stand; single quotes keep a \\ as it is";
            }
            buf_add_char(out, meant);
            i++;
        } else {
            buf_add_char(out, s.ptr[i]);
        }
    }
    if (i >= s.len) {
        return "the quote must be closed on the same line";
    }
    struct str behind = trim_left(str_from(s, i + 1));
    if (behind.len && behind.ptr[0] != '#') {
        return "only a comment may stand behind the closing quote";
    }
    return NULL;
}

/* One line's entry; `*name` stays empty when it has none. NULL, or what is wrong. */
static const char *parse_line(struct str line, struct str *name, struct buf *value)
{
    line = str_trim(line);
    *name = (struct str){0};
    if (line.len == 0 || line.ptr[0] == '#') {
        return NULL;
    }
    if (str_starts(line, STR("export ")) || str_starts(line, STR("export\t"))) {
        line = trim_left(str_from(line, 7));
    }
    size_t equals = str_find(line, '=', 0);
    struct str left = str_trim(str_sub(line, 0, equals));
    if (equals == SIZE_MAX || !is_name(left)) {
        return "must be NAME=VALUE or a comment after #";
    }
    struct str right = trim_left(str_from(line, equals + 1));
    if (right.len && (right.ptr[0] == '"' || right.ptr[0] == '\'')) {
        const char *wrong = quoted_value(right, value);
        if (wrong) {
            return wrong;
        }
    } else {
        buf_add_str(value, plain_value(right));
    }
    *name = left;
    return NULL;
}

enum err conf_file_parse(struct str text, struct buf *error, void *self, conf_entry_fn fn)
{
    struct buf value = {0};
    struct str line;
    enum err e = OK;
    if (str_starts(text, STR("\xEF\xBB\xBF"))) {
        text = str_from(text, 3);
    }
    for (size_t number = 1; e == OK && str_next(&text, '\n', &line); number++) {
        struct str name;
        if (str_ends(line, STR("\r"))) {
            line.len--;
        }
        buf_clear(&value);
        const char *wrong = parse_line(line, &name, &value);
        if (wrong) {
            buf_printf(error, "line %zu: %s", number, wrong);
            e = ERR_SYNTAX;
        } else if (name.len && !fn(self, name, buf_str(&value), number)) {
            e = ERR_DENIED;
        }
    }
    buf_fini(&value);
    return e;
}
