/* One pass over the head, line by line; each line is judged as soon as its bytes are there, so that
 * junk is refused before a head is complete. A head that needs more bytes is parsed anew with them:
 * heads nearly always come in one piece, and no state has to live between two calls.
 * SPDX-License-Identifier: MIT */
#include "wire/http1.h"

#include <assert.h>

#define DEFAULT_MAX_HEAD (16 * 1024)
#define DEFAULT_MAX_TARGET (8 * 1024)
#define MAX_METHOD 32

/* What a byte may be part of. */
enum {
    TOKEN = 1,  /* RFC 9110, 5.6.2 */
    TARGET = 2, /* visible ASCII but '#' (browsers leave '|', '{', '"' and the like as they are) */
    FIELD = 4,  /* a header's value: visible, space, tab, and bytes above 127 */
    HOST = 8,   /* reg-name, IP literal and port */
};

#define F FIELD
#define T (FIELD | TARGET)
#define H (FIELD | TARGET | HOST)
#define N (FIELD | TARGET | TOKEN)
#define A (FIELD | TARGET | TOKEN | HOST)
static const uint8_t classes[256] = {
    ['\t'] = F,        [' '] = F, ['!'] = A,         ['"'] = T,  ['#'] = FIELD | TOKEN,
    ['$'] = A,         ['%'] = A, ['&'] = A,         ['\''] = A, ['('] = H,
    [')'] = H,         ['*'] = A, ['+'] = A,         [','] = H,  ['-'] = A,
    ['.'] = A,         ['/'] = T, ['0' ... '9'] = A, [':'] = H,  [';'] = H,
    ['<'] = T,         ['='] = H, ['>'] = T,         ['?'] = T,  ['@'] = T,
    ['A' ... 'Z'] = A, ['['] = H, ['\\'] = T,        [']'] = H,  ['^'] = N,
    ['_'] = A,         ['`'] = N, ['a' ... 'z'] = A, ['{'] = T,  ['|'] = N,
    ['}'] = T,         ['~'] = A, [128 ... 255] = F,
};
#undef F
#undef T
#undef H
#undef N
#undef A

static inline bool is(char c, unsigned class)
{
    return classes[(unsigned char)c] & class;
}

/* First byte at or after `at` that is not of the class; SIZE_MAX is never given. */
static inline size_t span(struct str s, size_t at, unsigned class)
{
    while (at < s.len && is(s.ptr[at], class)) {
        at++;
    }
    return at;
}

static bool all_of(struct str s, unsigned class)
{
    return span(s, 0, class) == s.len;
}

/* The same for FIELD, eight bytes at a time: stops at the first control byte. */
static size_t span_field(struct str s, size_t at)
{
    const uint64_t ones = 0x0101010101010101ULL;
    const uint64_t high = 0x8080808080808080ULL;
    while (s.len - at >= 8) {
        uint64_t w;
        memcpy(&w, s.ptr + at, sizeof(w));
        uint64_t del = w ^ (ones * 0x7f);
        /* A high bit stays set where a byte is below 0x20, or is 0x7f. */
        uint64_t hit = ((w - ones * 0x20) & ~w & high) | ((del - ones) & ~del & high);
        if (hit) {
            break;
        }
        at += 8;
    }
    return span(s, at, FIELD);
}

/* ---- what requests and responses share ---- */

/* A head being read, and why it was refused. */
struct head {
    struct str bytes; /* cut to the limit */
    size_t at;
    size_t max_headers;
    bool cut; /* there were more bytes than the limit allows */
    enum err err;
    unsigned status;
    const char *reason;
};

static bool refuse(struct head *h, enum err err, unsigned status, const char *reason)
{
    h->err = err;
    h->status = status;
    h->reason = reason;
    return false;
}

static bool bad(struct head *h, const char *reason)
{
    return refuse(h, ERR_SYNTAX, 400, reason);
}

/* The bytes ended within the head. */
static bool more(struct head *h)
{
    return h->cut ? refuse(h, ERR_LIMIT, 431, "head too large") : refuse(h, ERR_MORE, 0, NULL);
}

static void head_init(struct head *h, struct str bytes, const struct http_limits *limits)
{
    size_t max = limits && limits->max_head ? limits->max_head : DEFAULT_MAX_HEAD;
    *h = (struct head){.bytes = bytes, .max_headers = HTTP_MAX_HEADERS};
    if (limits && limits->max_headers && limits->max_headers < HTTP_MAX_HEADERS) {
        h->max_headers = limits->max_headers;
    }
    if (bytes.len >= max) {
        h->bytes.len = max;
        h->cut = true;
    }
}

/* Takes CR LF. */
static bool line_end(struct head *h)
{
    if (h->at == h->bytes.len) {
        return more(h);
    }
    if (h->bytes.ptr[h->at] != '\r') {
        return bad(h, "control byte or bare line feed");
    }
    if (h->at + 1 == h->bytes.len) {
        return more(h);
    }
    if (h->bytes.ptr[h->at + 1] != '\n') {
        return bad(h, "bare carriage return");
    }
    h->at += 2;
    return true;
}

static bool one_header(struct head *h, struct http_header *out)
{
    size_t name = h->at;
    size_t colon = span(h->bytes, name, TOKEN);
    if (colon == h->bytes.len) {
        return more(h);
    }
    if (h->bytes.ptr[colon] != ':') {
        char c = h->bytes.ptr[colon];
        bool blank = c == ' ' || c == '\t';
        return bad(h, !blank          ? "bad header name"
                      : colon == name ? "folded header line"
                                      : "space before the colon");
    }
    if (colon == name) {
        return bad(h, "empty header name");
    }
    h->at = span_field(h->bytes, colon + 1);
    out->name = str_sub(h->bytes, name, colon - name);
    out->value = str_trim(str_sub(h->bytes, colon + 1, h->at - colon - 1));
    return line_end(h);
}

/* All header lines and the empty one behind them. */
static bool all_headers(struct head *h, struct http_header *headers, size_t *count)
{
    size_t n = 0;
    for (;;) {
        if (h->at == h->bytes.len) {
            return more(h);
        }
        if (h->bytes.ptr[h->at] == '\r') {
            *count = n;
            return line_end(h);
        }
        if (n == h->max_headers) {
            return refuse(h, ERR_LIMIT, 431, "too many headers");
        }
        if (!one_header(h, &headers[n])) {
            return false;
        }
        n++;
    }
}

/* What the headers say about how the message ends, and what becomes of the connection. */
struct framing {
    bool has_length, chunked, close, keep_alive, upgrade, websocket, expect_continue;
    size_t hosts;
    struct str host;
    uint64_t content_length;
};

static bool note_length(struct head *h, struct framing *f, struct str value)
{
    if (f->has_length) {
        return bad(h, "Content-Length twice");
    }
    if (str_to_u64(value, &f->content_length) != OK) {
        return bad(h, "bad Content-Length");
    }
    f->has_length = true;
    return true;
}

static bool note_coding(struct head *h, struct framing *f, struct str value)
{
    if (f->chunked) {
        return bad(h, "Transfer-Encoding twice");
    }
    if (!str_eq_nocase(value, STR("chunked"))) {
        return refuse(h, ERR_UNSUPPORTED, 501, "transfer coding other than chunked");
    }
    f->chunked = true;
    return true;
}

static bool note_expect(struct head *h, struct framing *f, struct str value)
{
    if (!str_eq_nocase(value, STR("100-continue"))) {
        return refuse(h, ERR_UNSUPPORTED, 417, "expectation not known");
    }
    f->expect_continue = true;
    return true;
}

/* The length of a name tells most headers apart from the few that matter here. */
static bool note_header(struct head *h, struct framing *f, const struct http_header *header,
                        bool request)
{
    struct str name = header->name;
    struct str value = header->value;
    if (name.len == 4 && request && str_eq_nocase(name, STR("Host"))) {
        f->hosts++;
        f->host = value;
    } else if (name.len == 6 && request && str_eq_nocase(name, STR("Expect"))) {
        return note_expect(h, f, value);
    } else if (name.len == 7 && str_eq_nocase(name, STR("Upgrade"))) {
        f->websocket = f->websocket || http_has_token(value, STR("websocket"));
    } else if (name.len == 10 && str_eq_nocase(name, STR("Connection"))) {
        f->close = f->close || http_has_token(value, STR("close"));
        f->keep_alive = f->keep_alive || http_has_token(value, STR("keep-alive"));
        f->upgrade = f->upgrade || http_has_token(value, STR("upgrade"));
    } else if (name.len == 14 && str_eq_nocase(name, STR("Content-Length"))) {
        return note_length(h, f, value);
    } else if (name.len == 17 && str_eq_nocase(name, STR("Transfer-Encoding"))) {
        return note_coding(h, f, value);
    }
    return true;
}

static bool read_framing(struct head *h, struct framing *f, const struct http_header *headers,
                         size_t count, uint8_t minor, bool request)
{
    for (size_t i = 0; i < count; i++) {
        if (!note_header(h, f, &headers[i], request)) {
            return false;
        }
    }
    if (f->chunked && f->has_length) {
        return bad(h, "Content-Length together with Transfer-Encoding");
    }
    if (f->chunked && minor == 0) {
        return bad(h, "Transfer-Encoding in HTTP/1.0");
    }
    return true;
}

static bool stays_open(const struct framing *f, uint8_t minor)
{
    return !f->close && (minor >= 1 || f->keep_alive);
}

/* Takes "HTTP/1.x"; a higher minor version is served as 1.1 (RFC 9110, 2.5). */
static bool version(struct head *h, uint8_t *minor)
{
    static const char form[] = "HTTP/d.d";
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (h->at + i == h->bytes.len) {
            return more(h);
        }
        char c = h->bytes.ptr[h->at + i];
        if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i]) {
            return bad(h, "not an HTTP version");
        }
    }
    if (h->bytes.ptr[h->at + 5] != '1') {
        return refuse(h, ERR_UNSUPPORTED, 505, "HTTP version not supported");
    }
    *minor = h->bytes.ptr[h->at + 7] == '0' ? 0 : 1;
    h->at += sizeof(form) - 1;
    return true;
}

/* ---- requests ---- */

static const char *const methods[] = {
    [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",         [HTTP_DELETE] = "DELETE", [HTTP_PATCH] = "PATCH",
    [HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_text(enum http_method m)
{
    return m < HTTP_OTHER ? methods[m] : "OTHER";
}

static enum http_method method_of(struct str text)
{
    for (unsigned m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (str_eq(text, str_of(methods[m]))) {
            return (enum http_method)m;
        }
    }
    return HTTP_OTHER;
}

static bool take_method(struct head *h, struct http_request *out)
{
    size_t end = span(h->bytes, h->at, TOKEN);
    if (end - h->at > MAX_METHOD) {
        return refuse(h, ERR_UNSUPPORTED, 501, "method not known");
    }
    if (end == h->bytes.len) {
        return more(h);
    }
    if (end == h->at || h->bytes.ptr[end] != ' ') {
        return bad(h, "bad request line");
    }
    out->method_text = str_sub(h->bytes, h->at, end - h->at);
    out->method = method_of(out->method_text);
    h->at = end + 1;
    return true;
}

/* Splits "/path?query". */
static void split_path(struct http_request *out, struct str origin)
{
    size_t mark = str_find(origin, '?', 0);
    out->path = mark == SIZE_MAX ? origin : str_sub(origin, 0, mark);
    out->query = mark == SIZE_MAX ? (struct str){0} : str_from(origin, mark + 1);
}

/* absolute-form: what it names counts more than the Host header (RFC 9112, 3.2.2). */
static bool absolute_target(struct head *h, struct http_request *out)
{
    size_t scheme = str_find_str(out->target, STR("://"));
    struct str name = str_sub(out->target, 0, scheme == SIZE_MAX ? 0 : scheme);
    if (!str_eq_nocase(name, STR("http")) && !str_eq_nocase(name, STR("https"))) {
        return bad(h, "target is neither a path nor an http URL");
    }
    struct str rest = str_from(out->target, scheme + 3);
    size_t slash = 0;
    while (slash < rest.len && rest.ptr[slash] != '/' && rest.ptr[slash] != '?') {
        slash++;
    }
    out->host = str_sub(rest, 0, slash);
    rest = str_from(rest, slash);
    split_path(out, rest);
    if (out->path.len == 0) {
        out->path = STR("/");
    }
    return true;
}

static bool take_target(struct head *h, struct http_request *out, size_t max_target)
{
    size_t end = span(h->bytes, h->at, TARGET);
    if (end - h->at > max_target || (end == h->bytes.len && h->cut)) {
        return refuse(h, ERR_LIMIT, 414, "target too long");
    }
    if (end == h->bytes.len) {
        return more(h);
    }
    if (end == h->at || h->bytes.ptr[end] != ' ') {
        return bad(h, "bad target");
    }
    out->target = str_sub(h->bytes, h->at, end - h->at);
    h->at = end + 1;
    if (str_eq(out->method_text, STR("CONNECT"))) {
        return refuse(h, ERR_UNSUPPORTED, 501, "CONNECT is not served");
    }
    if (out->target.ptr[0] == '/') {
        split_path(out, out->target);
        return true;
    }
    if (str_eq(out->target, STR("*"))) {
        out->path = out->target;
        return out->method == HTTP_OPTIONS || bad(h, "target * is for OPTIONS only");
    }
    return absolute_target(h, out);
}

static bool check_host(struct head *h, const struct framing *f, struct http_request *out)
{
    if (f->hosts > 1) {
        return bad(h, "Host twice");
    }
    if (f->hosts == 0 && out->minor >= 1) {
        return bad(h, "Host missing");
    }
    if (f->hosts == 1 && (f->host.len == 0 || !all_of(f->host, HOST))) {
        return bad(h, "bad Host");
    }
    bool absolute = out->target.ptr[0] != '/' && out->target.ptr[0] != '*';
    if (absolute && (out->host.len == 0 || !all_of(out->host, HOST))) {
        return bad(h, "bad host in the target");
    }
    if (!absolute) {
        out->host = f->host;
    }
    return true;
}

static bool request_head(struct head *h, size_t max_target, struct http_request *out)
{
    struct framing f = {0};
    while (h->at < h->bytes.len && h->bytes.ptr[h->at] == '\r') {
        if (!line_end(h)) {
            return false;
        }
    }
    if (!take_method(h, out) || !take_target(h, out, max_target) || !version(h, &out->minor) ||
        !line_end(h) || !all_headers(h, out->headers, &out->header_count) ||
        !read_framing(h, &f, out->headers, out->header_count, out->minor, true) ||
        !check_host(h, &f, out)) {
        return false;
    }
    out->keep_alive = stays_open(&f, out->minor);
    out->chunked = f.chunked;
    out->has_length = f.has_length;
    out->content_length = f.content_length;
    /* HTTP/1.0 knows neither (RFC 9110, 7.8 and 10.1.1). */
    out->expect_continue = f.expect_continue && out->minor >= 1;
    out->upgrade_websocket = f.upgrade && f.websocket && out->minor >= 1;
    return true;
}

enum err http_parse_request(struct str bytes, const struct http_limits *limits,
                            struct http_request *out, size_t *head_len, unsigned *status,
                            const char **reason)
{
    struct head h;
    size_t max_target = limits && limits->max_target ? limits->max_target : DEFAULT_MAX_TARGET;
    head_init(&h, bytes, limits);
    /* All but the header table, which is long and only valid up to header_count. */
    memset(out, 0, offsetof(struct http_request, headers));
    if (!request_head(&h, max_target, out)) {
        if (h.err != ERR_MORE) {
            *status = h.status;
            *reason = h.reason;
        }
        return h.err;
    }
    *head_len = h.at;
    return OK;
}

/* ---- responses ---- */

static bool response_head(struct head *h, struct http_response *out)
{
    struct framing f = {0};
    if (!version(h, &out->minor)) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        if (h->at == h->bytes.len) {
            return more(h);
        }
        char c = h->bytes.ptr[h->at++];
        if (i == 0 ? c != ' ' : c < '0' || c > '9') {
            return bad(h, "bad status line");
        }
        out->status = i ? out->status * 10 + (unsigned)(c - '0') : 0;
    }
    if (out->status < 100 || out->status > 599) {
        return bad(h, "bad status code");
    }
    /* The reason is for people, and some servers leave out the space before an empty one. */
    if (h->at < h->bytes.len && h->bytes.ptr[h->at] == ' ') {
        h->at = span_field(h->bytes, h->at);
    }
    if (!line_end(h) || !all_headers(h, out->headers, &out->header_count) ||
        !read_framing(h, &f, out->headers, out->header_count, out->minor, false)) {
        return false;
    }
    out->keep_alive = stays_open(&f, out->minor);
    out->chunked = f.chunked;
    out->has_length = f.has_length;
    out->content_length = f.content_length;
    return true;
}

enum err http_parse_response(struct str bytes, const struct http_limits *limits,
                             struct http_response *out, size_t *head_len)
{
    struct head h;
    head_init(&h, bytes, limits);
    memset(out, 0, offsetof(struct http_response, headers));
    if (!response_head(&h, out)) {
        return h.err;
    }
    *head_len = h.at;
    return OK;
}

/* ---- looking things up ---- */

struct str http_header(const struct http_header *headers, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (headers[i].name.len == name.len && str_eq_nocase(headers[i].name, name)) {
            return headers[i].value;
        }
    }
    return (struct str){0};
}

struct str http_request_header(const struct http_request *r, struct str name)
{
    return http_header(r->headers, r->header_count, name);
}

bool http_request_header_all(const struct http_request *r, struct str name, struct buf *out)
{
    size_t found = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        if (r->headers[i].name.len == name.len && str_eq_nocase(r->headers[i].name, name)) {
            if (found++) {
                buf_add_lit(out, ", ");
            }
            buf_add_str(out, r->headers[i].value);
        }
    }
    return found > 0;
}

bool http_has_token(struct str list, struct str token)
{
    struct str part;
    while (str_next(&list, ',', &part)) {
        if (str_eq_nocase(str_trim(part), token)) {
            return true;
        }
    }
    return false;
}
