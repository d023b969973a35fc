/* json: writing is ours (straight into a buf); reading a whole document goes through jansson, whose
 * one gate this is. The hot paths use wire/scan instead.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/buf.h"

/* ---- writing: commas are put by the writer; nesting up to 64 ---- */

struct json_writer {
    struct buf *out;
    /* private */
    uint64_t has_items; /* a bit per depth */
    unsigned depth;
    bool after_key;
};

/* jansson exports functions of the same three names and calls them itself; without a link name of
 * their own ours would be called in their place. */
#define JSON_LINK_NAME(name) __asm__("coincast_" name)

void json_begin(struct json_writer *w, struct buf *out);
void json_object(struct json_writer *w) JSON_LINK_NAME("json_object");
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w) JSON_LINK_NAME("json_array");
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_str(struct json_writer *w, struct str s);
void json_text(struct json_writer *w, const char *text); /* NULL writes null */
void json_bool(struct json_writer *w, bool value);
void json_i64(struct json_writer *w, int64_t value);
/* Shortest text that reads back as the same double; null when not finite. */
void json_double(struct json_writer *w, double value);
/* Rounded to `decimals` (0..15), trailing zeros dropped; null when not finite. */
void json_decimal(struct json_writer *w, double value, int decimals);
void json_null(struct json_writer *w) JSON_LINK_NAME("json_null");
/* RFC 3339 with milliseconds. */
void json_time(struct json_writer *w, int64_t unix_ms);
/* The same; null when there is no time (0). */
void json_time_or_null(struct json_writer *w, int64_t unix_ms);
/* A member: its key, then what json_i64() and json_time_or_null() write. */
void json_put_count(struct json_writer *w, const char *key, uint64_t count);
void json_put_time(struct json_writer *w, const char *key, int64_t unix_ms);
/* Text that is JSON already. */
void json_raw(struct json_writer *w, struct str json);
/* `s` as a JSON string with its quotes, straight into a buf. Invalid UTF-8 becomes U+FFFD. */
void json_escape(struct buf *out, struct str s);
/* `value` as json_double() writes it. */
void json_add_double(struct buf *out, double value);

/* ---- reading ---- */

struct json; /* a value; members are borrowed from the root */

/* Parses a whole document (duplicate keys refused, depth and size bounded by jansson's own and
 * `text.len`). On ERR_SYNTAX `error` (may be NULL, 160 bytes) says where and what. Free the root.
 */
#define JSON_ERROR_LEN 160
enum err json_parse(struct str text, struct json **root, char error[JSON_ERROR_LEN]) MUST_CHECK;
void json_free(struct json *root);

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
/* All accept NULL, which behaves as an absent value. */
enum json_kind json_kind(const struct json *v);
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *array, size_t index);
size_t json_count(const struct json *array_or_object);
/* Walks an object: start with *at = 0. */
bool json_each(const struct json *object, size_t *at, struct str *key, const struct json **value);
/* False (and *out untouched) when the kind is another. Numbers: finite only. */
bool json_get_double(const struct json *v, double *out);
bool json_get_i64(const struct json *v, int64_t *out);
bool json_get_bool(const struct json *v, bool *out);
bool json_get_str(const struct json *v, struct str *out);
/* A number, or a string that holds one (providers send both). */
bool json_get_number_or_text(const struct json *v, double *out);

#endif
