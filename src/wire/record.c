/* SPDX-License-Identifier: MIT */
#include "wire/record.h"

#include "base/json.h"
#include "wire/scan.h"

#define VERSION 1

static const char *const kinds[RECORD_KIND_COUNT] = {
    [RECORD_HTTP] = "http",
    [RECORD_WS_OPEN] = "ws_open",
    [RECORD_WS_TEXT] = "ws_text",
    [RECORD_WS_CLOSE] = "ws_close",
};

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const char *record_kind_text(enum record_kind k)
{
    return k < RECORD_KIND_COUNT ? kinds[k] : "";
}

static void add_base64(struct buf *out, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = min_size(bytes.len - i, 3);
        uint32_t bits = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        bits |= left > 1 ? (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(unsigned char)bytes.ptr[i + 2] : 0;
        buf_add_char(out, digits64[bits >> 18]);
        buf_add_char(out, digits64[bits >> 12 & 63]);
        buf_add_char(out, left > 1 ? digits64[bits >> 6 & 63] : '=');
        buf_add_char(out, left > 2 ? digits64[bits & 63] : '=');
    }
}

static bool read_base64(struct str text, struct buf *out)
{
    if (text.len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t bits = 0;
        size_t pad = 0;
        for (size_t j = 0; j < 4; j++) {
            char c = text.ptr[i + j];
            const char *at = c && c != '=' ? strchr(digits64, c) : NULL;
            bool may_pad = c == '=' && i + 4 == text.len && j >= 2;
            if (!at && !may_pad) {
                return false;
            }
            if (at && pad > 0) {
                return false;
            }
            pad += at ? 0 : 1;
            bits = bits << 6 | (at ? (uint32_t)(at - digits64) : 0);
        }
        const char bytes[3] = {(char)(bits >> 16 & 255), (char)(bits >> 8 & 255),
                               (char)(bits & 255)};
        buf_add(out, bytes, 3 - pad);
    }
    return true;
}

void record_write(struct buf *out, const struct record *r)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "v");
    json_i64(&w, VERSION);
    json_key(&w, "t");
    json_i64(&w, r->time_ns);
    json_key(&w, "source");
    json_str(&w, r->source);
    json_key(&w, "kind");
    json_text(&w, record_kind_text(r->kind));
    if (r->url.len > 0) {
        json_key(&w, "url");
        json_str(&w, r->url);
    }
    if (r->purpose.len > 0) {
        json_key(&w, "for");
        json_str(&w, r->purpose);
    }
    if (r->error.len > 0) {
        json_key(&w, "error");
        json_str(&w, r->error);
    }
    if (r->status != 0) {
        json_key(&w, "status");
        json_i64(&w, r->status);
    }
    if (r->header_count > 0) {
        json_key(&w, "headers");
        json_array(&w);
        for (size_t i = 0; i < r->header_count; i++) {
            json_array(&w);
            json_str(&w, r->headers[i].name);
            json_str(&w, r->headers[i].value);
            json_array_end(&w);
        }
        json_array_end(&w);
    }
    if (str_is_utf8(r->body)) {
        json_key(&w, "body");
        json_str(&w, r->body);
    } else {
        struct buf base64 = {0};
        add_base64(&base64, r->body);
        json_key(&w, "body64");
        json_str(&w, buf_str(&base64));
        buf_fini(&base64);
    }
    json_object_end(&w);
    buf_add_char(out, '\n');
}

/* A string value: a slice of the line when it has no escapes, else of `scratch`, which was given
 * room for the whole line beforehand, so that it does not move. */
static bool take_text(struct scan *s, struct buf *scratch, struct str *out)
{
    struct str raw;
    if (!scan_string(s, &raw)) {
        return false;
    }
    if (str_find(raw, '\\', 0) == SIZE_MAX) {
        *out = raw;
        return true;
    }
    size_t from = scratch->len;
    if (scan_unescape(raw, scratch) != OK) {
        return false;
    }
    *out = str_make(scratch->ptr + from, scratch->len - from);
    return true;
}

static bool take_int(struct scan *s, int64_t *out)
{
    struct str digits;
    return scan_number(s, &digits) && str_to_i64(digits, out) == OK;
}

static bool take_kind(struct scan *s, enum record_kind *out)
{
    struct str raw;
    if (!scan_string(s, &raw)) {
        return false;
    }
    for (int k = 0; k < RECORD_KIND_COUNT; k++) {
        if (str_eq(raw, str_of(kinds[k]))) {
            *out = (enum record_kind)k;
            return true;
        }
    }
    return false;
}

static bool take_headers(struct scan *s, struct buf *scratch, struct record *out)
{
    if (!scan_array(s)) {
        return false;
    }
    while (scan_item(s)) {
        struct str name, value;
        if (out->header_count >= RECORD_HEADERS_MAX) {
            continue;
        }
        if (!scan_array(s) || !scan_item(s) || !take_text(s, scratch, &name) || !scan_item(s) ||
            !take_text(s, scratch, &value) || scan_item(s)) {
            return false;
        }
        out->headers[out->header_count].name = name;
        out->headers[out->header_count++].value = value;
    }
    return true;
}

static bool take_body64(struct scan *s, struct buf *scratch, struct str *out)
{
    struct str raw;
    size_t from = scratch->len;
    if (!scan_string(s, &raw) || !read_base64(raw, scratch)) {
        return false;
    }
    *out = str_make(scratch->ptr + from, scratch->len - from);
    return true;
}

/* One member; `seen` gets a bit for each that an item must have: version, time, source, kind. */
static bool take_member(struct scan *s, struct str key, struct record *r, struct buf *scratch,
                        int64_t *version, unsigned *seen)
{
    int64_t number = 0;
    if (str_eq(key, STR("v"))) {
        *seen |= 1;
        return take_int(s, version);
    }
    if (str_eq(key, STR("t"))) {
        *seen |= 2;
        return take_int(s, &r->time_ns);
    }
    if (str_eq(key, STR("source"))) {
        *seen |= 4;
        return take_text(s, scratch, &r->source);
    }
    if (str_eq(key, STR("kind"))) {
        *seen |= 8;
        return take_kind(s, &r->kind);
    }
    if (str_eq(key, STR("url"))) {
        return take_text(s, scratch, &r->url);
    }
    if (str_eq(key, STR("for"))) {
        return take_text(s, scratch, &r->purpose);
    }
    if (str_eq(key, STR("error"))) {
        return take_text(s, scratch, &r->error);
    }
    if (str_eq(key, STR("status"))) {
        bool fits = take_int(s, &number) && number >= 0 && number <= 99999;
        r->status = fits ? (int)number : 0;
        return fits;
    }
    if (str_eq(key, STR("headers"))) {
        r->header_count = 0;
        return take_headers(s, scratch, r);
    }
    if (str_eq(key, STR("body"))) {
        return take_text(s, scratch, &r->body);
    }
    if (str_eq(key, STR("body64"))) {
        return take_body64(s, scratch, &r->body);
    }
    return scan_skip(s, NULL);
}

enum err record_read(struct str line, struct record *out, struct buf *scratch)
{
    struct scan s;
    struct str key;
    struct record r = {0};
    int64_t version = 0;
    unsigned seen = 0;
    bool well = true;
    buf_clear(scratch);
    /* Resolved text is never longer than its escapes; a lone surrogate "\ud800" gives 3 bytes of 6.
     */
    if (!buf_reserve(scratch, line.len)) {
        return ERR_LIMIT;
    }
    scan_begin(&s, line);
    if (!scan_object(&s)) {
        return ERR_SYNTAX;
    }
    while (well && scan_key(&s, &key)) {
        well = take_member(&s, key, &r, scratch, &version, &seen);
    }
    if (!well || scan_end(&s) != OK || (seen & 1) == 0) {
        return ERR_SYNTAX;
    }
    if (version != VERSION) {
        return ERR_UNSUPPORTED;
    }
    if (seen != 15) {
        return ERR_SYNTAX;
    }
    *out = r;
    return OK;
}
