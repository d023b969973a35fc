/* Any bytes through the reader, and what the reader took back through the writer: the text must
 * read again as the same tree. Any bytes as a string must come out as valid JSON.
 * SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_DEPTH = 60 };

static void write_value(struct json_writer *w, const struct json *v, unsigned depth)
{
    struct str s = {0};
    double number = 0;
    int64_t whole = 0;
    bool truth = false;
    size_t at = 0;
    const struct json *member = NULL;
    switch (json_kind(v)) {
    case JSON_NULL:
        json_null(w);
        return;
    case JSON_BOOL:
        assert(json_get_bool(v, &truth));
        json_bool(w, truth);
        return;
    case JSON_NUMBER:
        if (json_get_i64(v, &whole)) {
            json_i64(w, whole);
        } else {
            assert(json_get_double(v, &number));
            json_double(w, number);
        }
        return;
    case JSON_STRING:
        assert(json_get_str(v, &s));
        json_str(w, s);
        return;
    case JSON_ARRAY:
        json_array(w);
        for (; at < json_count(v) && depth < MAX_DEPTH; at++) {
            write_value(w, json_at(v, at), depth + 1);
        }
        json_array_end(w);
        return;
    case JSON_OBJECT:
        json_object(w);
        while (depth < MAX_DEPTH && json_each(v, &at, &s, &member)) {
            json_key(w, s.ptr);
            write_value(w, member, depth + 1);
        }
        json_object_end(w);
        return;
    }
}

/* `json` read and written again. */
static bool rewrite(struct str json, struct buf *out)
{
    struct json *root = NULL;
    struct json_writer w;
    char error[JSON_ERROR_LEN];
    if (json_parse(json, &root, error) != OK) {
        return false;
    }
    json_begin(&w, out);
    write_value(&w, root, 0);
    json_free(root);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_make((const char *)data, size);
    struct buf once = {0};
    struct buf twice = {0};
    if (rewrite(input, &once)) {
        bool again = rewrite(buf_str(&once), &twice);
        assert(again);
        assert(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_clear(&once);
    json_escape(&once, input);
    assert(str_is_utf8(buf_str(&once)));
    /* \u0000 is the one escape that jansson refuses. */
    struct json *root = NULL;
    enum err e = json_parse(buf_str(&once), &root, NULL);
    assert(e == OK || memchr(data, 0, size));
    json_free(e == OK ? root : NULL);
    if (size >= sizeof(double)) {
        double value;
        memcpy(&value, data, sizeof(value));
        buf_clear(&once);
        json_add_double(&once, value);
        double back = 0;
        if (str_to_double(buf_str(&once), &back) == OK) {
            assert(memcmp(&back, &value, sizeof(value)) == 0);
        } else {
            assert(str_eq(buf_str(&once), STR("null")));
        }
    }
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
