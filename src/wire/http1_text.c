/* The small texts of HTTP beside its heads: status phrases, escapes, queries, URLs.
 * SPDX-License-Identifier: MIT */
#include "wire/http1.h"

/* ---- status phrases (RFC 9110, 15; RFC 6585) ---- */

static const struct {
    unsigned status;
    const char *text;
} phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].text;
        }
    }
    return "Unknown";
}

/* ---- escapes and queries ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes one character of escaped text at `*at`; -1: a bad escape or a NUL. */
static int unescape(struct str s, size_t *at, bool form)
{
    char c = s.ptr[(*at)++];
    int value = (unsigned char)(form && c == '+' ? ' ' : c);
    if (c == '%') {
        int high = s.len - *at >= 2 ? hex(s.ptr[*at]) : -1;
        int low = high >= 0 ? hex(s.ptr[*at + 1]) : -1;
        value = low >= 0 ? high << 4 | low : -1;
        *at += 2;
    }
    return value == 0 ? -1 : value;
}

enum err http_decode(struct str s, bool form, struct buf *out)
{
    size_t before = out->len;
    for (size_t at = 0; at < s.len;) {
        int c = unescape(s, &at, form);
        if (c < 0 || !buf_add_char(out, (char)c)) {
            out->len = before;
            return c < 0 ? ERR_SYNTAX : ERR_LIMIT;
        }
    }
    return OK;
}

/* Whether escaped text stands for `plain`. */
static bool decodes_to(struct str escaped, struct str plain)
{
    size_t at = 0;
    for (size_t i = 0; i < plain.len; i++) {
        if (at >= escaped.len || unescape(escaped, &at, true) != (unsigned char)plain.ptr[i]) {
            return false;
        }
    }
    return at == escaped.len;
}

enum err http_query(struct str query, struct str name, struct buf *out)
{
    struct str pair;
    while (str_next(&query, '&', &pair)) {
        size_t equals = str_find(pair, '=', 0);
        struct str key = equals == SIZE_MAX ? pair : str_sub(pair, 0, equals);
        if (pair.len && decodes_to(key, name)) {
            return equals == SIZE_MAX ? OK : http_decode(str_from(pair, equals + 1), true, out);
        }
    }
    return ERR_NOT_FOUND;
}

/* ---- URLs ---- */

static const struct {
    struct str scheme;
    uint16_t port;
} schemes[] = {
    {{"http", 4}, 80},
    {{"https", 5}, 443},
    {{"ws", 2}, 80},
    {{"wss", 3}, 443},
};

static bool take_scheme(struct str *rest, struct http_url *out)
{
    size_t colon = str_find(*rest, ':', 0);
    if (colon == SIZE_MAX || !str_starts(str_from(*rest, colon), STR("://"))) {
        return false;
    }
    out->scheme = str_sub(*rest, 0, colon);
    *rest = str_from(*rest, colon + 3);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_eq_nocase(out->scheme, schemes[i].scheme)) {
            out->port = schemes[i].port;
            return true;
        }
    }
    return false;
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
}

/* Takes a name, an IPv4 address or a bracketed IPv6 address off the authority. */
static bool take_host(struct str *authority, struct http_url *out)
{
    size_t end = 0;
    if (str_starts(*authority, STR("["))) {
        end = str_find(*authority, ']', 1);
        if (end == SIZE_MAX || end == 1) {
            return false;
        }
        out->host = str_sub(*authority, 1, end - 1);
        *authority = str_from(*authority, end + 1);
        for (size_t i = 0; i < out->host.len; i++) {
            if (hex(out->host.ptr[i]) < 0 && out->host.ptr[i] != ':' && out->host.ptr[i] != '.') {
                return false;
            }
        }
        return true;
    }
    while (end < authority->len && is_name_char(authority->ptr[end])) {
        end++;
    }
    out->host = str_sub(*authority, 0, end);
    *authority = str_from(*authority, end);
    return end > 0;
}

static bool take_port(struct str text, struct http_url *out)
{
    uint64_t port = 0;
    if (text.len == 0) {
        return true;
    }
    if (text.ptr[0] != ':' || text.len > 6 || str_to_u64(str_from(text, 1), &port) != OK ||
        port == 0 || port > UINT16_MAX) {
        return false;
    }
    out->port = (uint16_t)port;
    return true;
}

enum err http_parse_url(struct str url, struct http_url *out)
{
    struct http_url u = {0};
    struct str rest = url;
    if (!take_scheme(&rest, &u)) {
        return ERR_SYNTAX;
    }
    size_t slash = str_find(rest, '/', 0);
    struct str authority = slash == SIZE_MAX ? rest : str_sub(rest, 0, slash);
    u.path_query = slash == SIZE_MAX ? (struct str){0} : str_from(rest, slash);
    if (!take_host(&authority, &u) || !take_port(authority, &u)) {
        return ERR_SYNTAX;
    }
    for (size_t i = 0; i < u.path_query.len; i++) {
        char c = u.path_query.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '#') {
            return ERR_SYNTAX;
        }
    }
    *out = u;
    return OK;
}
