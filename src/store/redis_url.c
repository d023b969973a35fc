/* SPDX-License-Identifier: MIT */
#include "store/redis_url.h"

#define DEFAULT_PORT 6379
/* Redis itself stops at its setting `databases`; this only keeps typing errors out. */
#define DB_MAX 65535

static enum err refuse(struct buf *error, const char *sentence)
{
    buf_printf(error, "%s", sentence);
    return ERR_SYNTAX;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Percent-decodes into `out`, NUL-terminated; false: bad escape, NUL inside, or longer than `max`.
 */
static bool decode(struct str text, char *out, size_t max)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3 || hex_digit(text.ptr[i + 1]) < 0 ||
                hex_digit(text.ptr[i + 2]) < 0) {
                return false;
            }
            c = (char)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2]));
            i += 2;
        }
        if (c == '\0' || len == max) {
            return false;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return true;
}

static bool host_is_sane(struct str host, bool bracketed)
{
    if (host.len == 0 || host.len > REDIS_URL_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        bool more = bracketed ? c == ':' || c == '.' || c == '%' : c == '.' || c == '-' || c == '_';
        if (!letter && !digit && !more) {
            return false;
        }
    }
    return true;
}

static enum err parse_user(struct str text, struct redis_url *u, struct buf *error)
{
    size_t colon = str_find(text, ':', 0);
    if (colon == SIZE_MAX) {
        return refuse(error, "a password is written with a colon before it: "
                             "redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST");
    }
    if (!decode(str_sub(text, 0, colon), u->user, REDIS_URL_SECRET_MAX) ||
        !decode(str_from(text, colon + 1), u->password, REDIS_URL_SECRET_MAX)) {
        return refuse(error,
                      "user and password hold at most 512 bytes each; other than letters and "
                      "digits they are written as %XX");
    }
    if (u->user[0] && !u->password[0]) {
        return refuse(error, "a user needs a password: redis://USER:PASSWORD@HOST");
    }
    return OK;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static enum err parse_place(struct str text, struct redis_url *u, struct buf *error)
{
    bool bracketed = text.len && text.ptr[0] == '[';
    size_t end = bracketed ? str_find(text, ']', 0) : str_find(text, ':', 0);
    if (bracketed && end == SIZE_MAX) {
        return refuse(error, "the IPv6 address lacks its closing bracket: redis://[::1]:6379");
    }
    struct str host =
        bracketed ? str_sub(text, 1, end - 1) : str_sub(text, 0, end == SIZE_MAX ? text.len : end);
    struct str rest = bracketed ? str_from(text, end + 1) : str_from(text, host.len);
    if (!host_is_sane(host, bracketed)) {
        return refuse(error, "a host name or address is needed: redis://HOST:6379");
    }
    uint64_t port = DEFAULT_PORT;
    if (rest.len && (rest.ptr[0] != ':' || str_to_u64(str_from(rest, 1), &port) != OK ||
                     port == 0 || port > UINT16_MAX)) {
        return refuse(error, "the port is a number from 1 to 65535: redis://HOST:6379");
    }
    memcpy(u->host, host.ptr, host.len);
    u->host[host.len] = '\0';
    u->port = (uint16_t)port;
    return OK;
}

enum err redis_url_parse(struct str text, struct redis_url *out, struct buf *error)
{
    struct redis_url u = {0};
    if (str_starts(text, STR("rediss://"))) {
        return refuse(error, "TLS to Redis (rediss://) is not supported; use redis:// on a trusted "
                             "network or through a tunnel");
    }
    if (!str_starts(text, STR("redis://"))) {
        return refuse(error, "it starts with redis://, as in redis://127.0.0.1:6379/0");
    }
    struct str rest = str_from(text, sizeof("redis://") - 1);
    size_t slash = str_find(rest, '/', 0);
    struct str authority = str_sub(rest, 0, slash == SIZE_MAX ? rest.len : slash);
    struct str path = slash == SIZE_MAX ? STR("") : str_from(rest, slash + 1);

    /* The last @ ends the user part, so that a password with a bare @ is taken as meant. */
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < authority.len; i++) {
        if (authority.ptr[i] == '@') {
            at = i;
        }
    }
    enum err e = at == SIZE_MAX ? OK : parse_user(str_sub(authority, 0, at), &u, error);
    if (e == OK) {
        e = parse_place(at == SIZE_MAX ? authority : str_from(authority, at + 1), &u, error);
    }
    if (e != OK) {
        return e;
    }
    uint64_t db = 0;
    if (path.len && (str_to_u64(path, &db) != OK || db > DB_MAX)) {
        return refuse(error, "the part behind the host is a database number: redis://HOST:6379/0");
    }
    u.db = (uint32_t)db;
    *out = u;
    return OK;
}
