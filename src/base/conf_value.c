/* SPDX-License-Identifier: MIT */
#include "base/conf_value.h"

enum { MAX_PORT = 65535 };

static const struct str prefix = {"COINCAST_", 9};

void conf_value_flag(const struct conf_row *row, struct buf *out)
{
    struct str name = str_of(row->name);
    if (row->secret) {
        return;
    }
    if (str_starts(name, prefix)) {
        name = str_from(name, prefix.len);
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        buf_add_char(out, c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c);
    }
}

struct str conf_value_choice(const char *choices, int64_t index)
{
    struct str rest = str_of(choices);
    struct str part;
    while (str_next(&rest, '|', &part)) {
        if (index-- == 0) {
            return part;
        }
    }
    return (struct str){0};
}

/* "a, b or c" of "a|b|c", each with `suffix` behind. */
static void describe_choices(const char *choices, const char *suffix, struct buf *out)
{
    struct str rest = str_of(choices);
    struct str part;
    bool first = true;
    while (str_next(&rest, '|', &part)) {
        if (!first) {
            buf_add_str(out, rest.ptr ? STR(", ") : STR(" or "));
        }
        buf_printf(out, "%.*s%s", STR_ARG(part), suffix);
        first = false;
    }
}

static bool has_range(const struct conf_row *row)
{
    return row->min != 0 || row->max != 0;
}

void conf_value_describe(const struct conf_row *row, struct buf *out)
{
    switch (row->type) {
    case CONF_TEXT:
        buf_add_lit(out, "text without control characters");
        break;
    case CONF_INT:
        buf_add_lit(out, "a whole number");
        if (has_range(row)) {
            buf_printf(out, " from %lld to %lld", (long long)row->min, (long long)row->max);
        }
        if (row->unit) {
            buf_printf(out, " (%s)", row->unit);
        }
        break;
    case CONF_BOOL:
        buf_add_lit(out, "true or false");
        break;
    case CONF_CHOICE:
        describe_choices(row->choices, "", out);
        break;
    case CONF_URL:
        buf_add_lit(out, "a URL that starts with ");
        describe_choices(row->choices, "://", out);
        break;
    case CONF_ADDR:
        buf_add_lit(out, "HOST:PORT, [IPV6]:PORT or :PORT");
        break;
    case CONF_LIST:
        buf_add_lit(out, "a list separated by commas");
        break;
    }
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7F) {
            return false;
        }
    }
    return str_is_utf8(s);
}

static bool read_bool(struct str s, int64_t *number)
{
    static const char words[] = "0|1|false|true|no|yes|off|on";
    for (int64_t i = 0; i < 8; i++) {
        if (str_eq_nocase(s, conf_value_choice(words, i))) {
            *number = i % 2;
            return true;
        }
    }
    return false;
}

static bool read_choice(const char *choices, struct str s, int64_t *number)
{
    for (int64_t i = 0; conf_value_choice(choices, i).len; i++) {
        if (str_eq(s, conf_value_choice(choices, i))) {
            *number = i;
            return true;
        }
    }
    return false;
}

static bool is_port(struct str s)
{
    uint64_t port = 0;
    return s.len <= 5 && str_to_u64(s, &port) == OK && port <= MAX_PORT;
}

static bool all_of(struct str s, const char *extra)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || !strchr(extra, c))) {
            return false;
        }
    }
    return true;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT; `*has_host` and `*has_port` say what was there. */
static bool is_authority(struct str s, bool *has_host, bool *has_port)
{
    struct str host = s;
    struct str port = {0};
    *has_port = false;
    if (s.len && s.ptr[0] == '[') {
        size_t end = str_find(s, ']', 0);
        if (end == SIZE_MAX || end < 3) {
            return false;
        }
        host = str_sub(s, 1, end - 1);
        port = str_from(s, end + 1);
        *has_host = true;
        *has_port = port.len > 0;
        return all_of(host, ":.%") && str_find(host, ':', 0) != SIZE_MAX &&
               (port.len == 0 || (port.ptr[0] == ':' && is_port(str_from(port, 1))));
    }
    size_t colon = str_find(s, ':', 0);
    if (colon != SIZE_MAX) {
        host = str_sub(s, 0, colon);
        *has_port = true;
        if (!is_port(str_from(s, colon + 1))) {
            return false;
        }
    }
    *has_host = host.len > 0;
    return all_of(host, "-._");
}

static bool is_addr(struct str s)
{
    bool has_host = false;
    bool has_port = false;
    return is_authority(s, &has_host, &has_port) && has_port;
}

static bool is_url(const char *schemes, struct str s)
{
    int64_t scheme = 0;
    bool has_host = false;
    bool has_port = false;
    size_t at = str_find_str(s, STR("://"));
    if (at == SIZE_MAX || !read_choice(schemes, str_sub(s, 0, at), &scheme)) {
        return false;
    }
    struct str rest = str_from(s, at + 3);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] == ' ') {
            return false;
        }
    }
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end])) {
        end++;
    }
    struct str authority = str_sub(rest, 0, end);
    size_t user = str_find(authority, '@', 0);
    if (user != SIZE_MAX) {
        authority = str_from(authority, user + 1);
    }
    if (!is_authority(authority, &has_host, &has_port)) {
        return false;
    }
    /* What is asked over the network names a host; a database may be found by its path alone. */
    bool over_network = str_find_str(STR("http https ws wss"), str_sub(s, 0, at)) != SIZE_MAX;
    return has_host || (!over_network && end < rest.len);
}

/* Parts without blanks at their ends, empty ones left out. */
static void normalise_list(struct str raw, struct buf *text)
{
    struct str part;
    size_t start = text->len;
    while (str_next(&raw, ',', &part)) {
        part = str_trim(part);
        if (part.len) {
            if (text->len > start) {
                buf_add_char(text, ',');
            }
            buf_add_str(text, part);
        }
    }
}

static bool read_by_type(const struct conf_row *row, struct str raw, int64_t *number)
{
    switch (row->type) {
    case CONF_TEXT:
    case CONF_LIST:
        return true;
    case CONF_INT:
        return str_to_i64(raw, number) == OK &&
               (!has_range(row) || (*number >= row->min && *number <= row->max));
    case CONF_BOOL:
        return read_bool(raw, number);
    case CONF_CHOICE:
        return read_choice(row->choices, raw, number);
    case CONF_URL:
        return is_url(row->choices, raw);
    case CONF_ADDR:
        return is_addr(raw);
    }
    return false;
}

bool conf_value_read(const struct conf_row *row, struct str raw, struct buf *text, int64_t *number,
                     struct buf *why)
{
    size_t start = text->len;
    *number = 0;
    if (!is_plain(raw) || !read_by_type(row, raw, number)) {
        buf_add_lit(why, "must be ");
        conf_value_describe(row, why);
        return false;
    }
    if (raw.len == 0 && row->type == CONF_TEXT && row->fallback) {
        buf_add_lit(why, "must not be empty"); /* the program counts on there being one */
        return false;
    }
    if (row->type == CONF_LIST) {
        normalise_list(raw, text);
    } else {
        buf_add_str(text, raw);
    }
    struct str accepted = str_from(buf_str(text), start);
    if (row->check && accepted.len && !row->check(accepted, why)) {
        if (why->len == 0) {
            buf_add_lit(why, "is not acceptable");
        }
        return false;
    }
    return true;
}
