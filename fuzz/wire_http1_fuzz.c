/* HTTP/1.1: heads, chunked bodies, URLs, queries. Byte 0: which; byte 1: where to cut.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static bool inside(struct str s, struct str text)
{
    return s.len == 0 || (s.ptr >= text.ptr && s.ptr + s.len <= text.ptr + text.len);
}

static void check_headers(const struct http_header *headers, size_t count, struct str head)
{
    for (size_t i = 0; i < count; i++) {
        check(headers[i].name.len > 0 && inside(headers[i].name, head));
        check(inside(headers[i].value, head));
        check(str_find(headers[i].value, '\n', 0) == SIZE_MAX);
        check(str_find(headers[i].value, '\r', 0) == SIZE_MAX);
    }
}

static void request(struct str text, size_t cut)
{
    struct http_request r;
    size_t head_len = 0;
    unsigned status = 0;
    const char *reason = NULL;
    enum err e = http_parse_request(text, NULL, &r, &head_len, &status, &reason);
    if (e == OK) {
        struct str head = str_sub(text, 0, head_len);
        check(head_len <= text.len && r.path.len > 0 && inside(r.target, head));
        check(inside(r.query, head) && inside(r.host, head) && inside(r.method_text, head));
        check(!(r.chunked && r.has_length));
        check(r.minor == 0 || r.host.len > 0);
        check_headers(r.headers, r.header_count, head);
        check(http_parse_request(head, NULL, &r, &head_len, &status, &reason) == OK);
        /* no shorter part of it is taken for the whole */
        head.len = min_size(cut, head.len - 1);
        check(http_parse_request(head, NULL, &r, &head_len, &status, &reason) == ERR_MORE);
    } else {
        check(e == ERR_MORE || (status >= 400 && reason));
    }
}

static void response(struct str text)
{
    struct http_response r;
    size_t head_len = 0;
    if (http_parse_response(text, NULL, &r, &head_len) == OK) {
        check(head_len <= text.len && r.status >= 100 && r.status <= 599);
        check_headers(r.headers, r.header_count, str_sub(text, 0, head_len));
    }
}

/* Reads a part of a body; false after an error. */
static bool part(struct http_chunked *c, struct str text, struct buf *out, bool *done)
{
    char *copy = mem_copy_text(text.ptr, text.len);
    char *bytes = copy;
    size_t len = text.len;
    struct str piece;
    enum err e;
    do {
        e = http_chunked_next(c, &bytes, &len, 1000, &piece, done);
        if (e == OK) {
            buf_add_str(out, piece);
        }
    } while (e == OK && piece.len);
    check(e != OK || *done || len == 0);
    mem_free(copy);
    return e == OK;
}

static void chunked(struct str text, size_t cut)
{
    struct http_chunked one = {0};
    struct http_chunked two = {0};
    struct buf a = {0};
    struct buf b = {0};
    bool done_a = false;
    bool done_b = false;
    cut = min_size(cut, text.len);
    bool fine_a = part(&one, text, &a, &done_a);
    bool fine_b = part(&two, str_sub(text, 0, cut), &b, &done_b) &&
                  (done_b || part(&two, str_from(text, cut), &b, &done_b));
    check(fine_a == fine_b && done_a == done_b);
    check(str_eq(buf_str(&a), buf_str(&b)) && a.len <= 1000);
    buf_fini(&a);
    buf_fini(&b);
}

static void url(struct str text)
{
    struct http_url u;
    if (http_parse_url(text, &u) == OK) {
        check(u.port > 0 && u.host.len > 0 && inside(u.host, text) && inside(u.path_query, text));
        check(u.path_query.len == 0 || u.path_query.ptr[0] == '/');
    }
}

static void query(struct str text, size_t cut)
{
    struct buf out;
    buf_init(&out, 100);
    (void)!http_query(text, STR("a"), &out);
    check(out.len <= text.len);
    buf_clear(&out);
    if (http_decode(text, cut & 1, &out) == OK) {
        check(!out.len || !memchr(out.ptr, 0, out.len));
    } else {
        check(out.len == 0);
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str text = str_make((const char *)data + 2, size - 2);
    switch (data[0] % 5) {
    case 0:
        request(text, data[1]);
        break;
    case 1:
        response(text);
        break;
    case 2:
        chunked(text, data[1]);
        break;
    case 3:
        url(text);
        break;
    case 4:
        query(text, data[1]);
        break;
    }
    return 0;
}
