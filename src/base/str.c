/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>

static uint64_t hash_seed = 0x9E3779B97F4A7C15U;

struct str str_of(const char *text)
{
    return text ? str_make(text, strlen(text)) : (struct str){0};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_make(s.ptr, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = min_size(a.len, b.len);
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

struct str str_from(struct str s, size_t from)
{
    return from >= s.len ? (struct str){0} : str_make(s.ptr + from, s.len - from);
}

struct str str_sub(struct str s, size_t from, size_t len)
{
    struct str rest = str_from(s, from);
    rest.len = min_size(rest.len, len);
    return rest;
}

struct str str_trim(struct str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

size_t str_find(struct str s, char c, size_t from)
{
    if (from >= s.len) {
        return SIZE_MAX;
    }
    const char *at = memchr(s.ptr + from, c, s.len - from);
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

size_t str_find_str(struct str s, struct str needle)
{
    if (needle.len == 0) {
        return 0;
    }
    const char *at = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

bool str_next(struct str *rest, char sep, struct str *part)
{
    if (!rest->ptr) {
        return false;
    }
    size_t at = str_find(*rest, sep, 0);
    if (at == SIZE_MAX) {
        *part = *rest;
        *rest = (struct str){0};
        return part->len > 0;
    }
    *part = str_make(rest->ptr, at);
    *rest = str_make(rest->ptr + at + 1, rest->len - at - 1);
    return true;
}

enum err str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0) {
        return ERR_SYNTAX;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return ERR_SYNTAX;
        }
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value)) {
            return ERR_RANGE;
        }
    }
    *out = value;
    return OK;
}

enum err str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.len && s.ptr[0] == '-';
    uint64_t magnitude = 0;
    enum err e = str_to_u64(negative ? str_from(s, 1) : s, &magnitude);
    if (e != OK) {
        return e;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1U : 0U)) {
        return ERR_RANGE;
    }
    *out = negative ? (int64_t)(0U - magnitude) : (int64_t)magnitude;
    return OK;
}

static size_t digits(struct str s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9') {
        at++;
    }
    return at;
}

/* JSON's number grammar (RFC 8259, section 6), over the whole slice. */
static bool is_json_number(struct str s)
{
    size_t at = s.len && s.ptr[0] == '-' ? 1 : 0;
    size_t end = digits(s, at);
    if (end == at || (s.ptr[at] == '0' && end != at + 1)) {
        return false;
    }
    if (end < s.len && s.ptr[end] == '.') {
        at = end + 1;
        end = digits(s, at);
        if (end == at) {
            return false;
        }
    }
    if (end < s.len && (s.ptr[end] == 'e' || s.ptr[end] == 'E')) {
        at = end + 1;
        if (at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-')) {
            at++;
        }
        end = digits(s, at);
        if (end == at) {
            return false;
        }
    }
    return end == s.len;
}

enum err str_to_double(struct str s, double *out)
{
    char text[64];
    if (!is_json_number(s)) {
        return ERR_SYNTAX;
    }
    if (s.len >= sizeof(text)) {
        return ERR_RANGE;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    /* The program never calls setlocale(), so the decimal point stays a point. */
    double value = strtod(text, NULL);
    if (!isfinite(value)) {
        return ERR_RANGE;
    }
    *out = value;
    return OK;
}

uint64_t str_hash(struct str s)
{
    uint64_t h = 0xCBF29CE484222325U ^ hash_seed;
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001B3U;
    }
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93U;
    return h ^ (h >> 32);
}

void str_hash_seed(uint64_t seed)
{
    hash_seed = seed;
}

bool str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char diff = a.len == b.len ? 0 : 1;
    for (size_t i = 0; i < b.len; i++) {
        unsigned char ca = a.len ? (unsigned char)a.ptr[i % a.len] : 0;
        diff = (unsigned char)(diff | (ca ^ (unsigned char)b.ptr[i]));
    }
    return diff == 0;
}

bool str_is_utf8(struct str s)
{
    size_t i = 0;
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t n = 0;
        unsigned char low = 0x80;
        unsigned char high = 0xBF;
        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xC2 && c <= 0xDF) {
            n = 1;
        } else if (c >= 0xE0 && c <= 0xEF) {
            n = 2;
            low = c == 0xE0 ? 0xA0 : 0x80;
            high = c == 0xED ? 0x9F : 0xBF;
        } else if (c >= 0xF0 && c <= 0xF4) {
            n = 3;
            low = c == 0xF0 ? 0x90 : 0x80;
            high = c == 0xF4 ? 0x8F : 0xBF;
        } else {
            return false;
        }
        if (s.len - i <= n) {
            return false;
        }
        for (size_t k = 1; k <= n; k++) {
            unsigned char t = (unsigned char)s.ptr[i + k];
            if (t < low || t > high) {
                return false;
            }
            low = 0x80;
            high = 0xBF;
        }
        i += n + 1;
    }
    return true;
}
