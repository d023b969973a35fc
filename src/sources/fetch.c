/* SPDX-License-Identifier: MIT */
#include "sources/fetch.h"

#include "base/clock.h"

static const struct fault {
    enum err err;
    const char *word, *why;
} faults[] = {
    {OK, "", ""},
    {ERR_LIMIT, "too_large", "the answer is larger than it may be"},
    {ERR_TIMEOUT, "timeout", "no complete answer within 10 s"},
    {ERR_REFUSED, "refused", "the connection was refused"},
    {ERR_NOT_FOUND, "no_host", "the host name is not known"},
    {ERR_TLS, "tls", "the secure connection failed or its certificate is not trusted"},
    {ERR_UNSUPPORTED, "address", "the address is not an http:// or https:// one"},
    {ERR_CLOSED, "closed", "the connection was closed before the answer was complete"},
    {ERR_IO, "failed", "the transfer failed"},
};

static const struct fault *fault_of(enum err e)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (faults[i].err == e) {
            return &faults[i];
        }
    }
    return fault_of(ERR_IO);
}

const char *fetch_why(enum err e)
{
    return fault_of(e)->why;
}

const char *fetch_error_word(enum err e)
{
    return fault_of(e)->word;
}

enum err fetch_error_of_word(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (str_eq(word, str_of(faults[i].word))) {
            return faults[i].err;
        }
    }
    return ERR_IO;
}

uint64_t fetch_retry_after_ms(struct str value, int64_t now_wall_ms)
{
    uint64_t seconds = 0;
    int64_t at_ms = 0;
    struct str text = str_trim(value);
    if (str_to_u64(text, &seconds) == OK) {
        return seconds > UINT64_MAX / 1000 ? UINT64_MAX : seconds * 1000;
    }
    if (clock_parse_http_date(text, &at_ms) == OK && at_ms > now_wall_ms) {
        return (uint64_t)(at_ms - now_wall_ms);
    }
    return 0;
}

void fetch_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_add_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

static bool carries_key(struct str name)
{
    static const char *const names[] = {
        "secret", "apikey", "api_key", "token", "key", "x_cg_demo_api_key", "x_cg_pro_api_key"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(name, str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* user:password@ between the scheme and the host. */
static struct str mask_userinfo(struct buf *out, struct str url)
{
    size_t scheme = str_find_str(url, STR("://"));
    if (scheme == SIZE_MAX) {
        return url;
    }
    struct str rest = str_from(url, scheme + 3);
    size_t end = min_size(min_size(str_find(rest, '/', 0), str_find(rest, '?', 0)), rest.len);
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < end; i++) {
        at = rest.ptr[i] == '@' ? i : at;
    }
    buf_add_str(out, str_sub(url, 0, scheme + 3));
    if (at == SIZE_MAX) {
        return rest;
    }
    buf_add_lit(out, "***@");
    return str_from(rest, at + 1);
}

void fetch_mask_url(struct buf *out, struct str url)
{
    struct str rest = mask_userinfo(out, url);
    size_t query = str_find(rest, '?', 0);
    if (query == SIZE_MAX) {
        buf_add_str(out, rest);
        return;
    }
    buf_add_str(out, str_sub(rest, 0, query));
    char before = '?';
    struct str params = str_from(rest, query + 1), param;
    while (str_next(&params, '&', &param)) {
        size_t equals = str_find(param, '=', 0);
        buf_add_char(out, before);
        before = '&';
        if (equals != SIZE_MAX && carries_key(str_sub(param, 0, equals))) {
            buf_add_str(out, str_sub(param, 0, equals + 1));
            buf_add_lit(out, "***");
        } else {
            buf_add_str(out, param);
        }
    }
}
