/* scan: a validating single-pass JSON reader that keeps the exact digits and the raw slices.
 *
 * Pull style, no allocation: the caller walks objects and arrays of one document and takes slices
 * of its text. Everything passed over is validated (RFC 8259, UTF-8, depth), so a document that
 * ended with scan_end() was well-formed whole. After the first error every call fails.
 *
 *     scan_begin(&s, text);
 *     if (scan_object(&s)) while (scan_key(&s, &key)) { if key is "p" scan_number(&s, &digits);
 * else scan_skip(&s, &raw); } if (scan_end(&s) != OK) ... SPDX-License-Identifier: MIT */
#ifndef WIRE_SCAN_H
#define WIRE_SCAN_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define SCAN_MAX_DEPTH 32

enum scan_kind {
    SCAN_ERROR,
    SCAN_OBJECT,
    SCAN_ARRAY,
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL,
};

struct scan {
    const char *at, *end, *start;
    const char *error; /* NULL, or what is wrong; position is at - start */
    /* private */
    uint32_t depth;
    uint64_t is_array;
    uint64_t first; /* a bit per depth: nothing read in it yet */
    bool value_due; /* a key was read, its value was not */
};

void scan_begin(struct scan *s, struct str text);
/* What the next value is; does not move. */
enum scan_kind scan_peek(struct scan *s);
/* Enter; false when the next value is not one (nothing is consumed, no error). */
bool scan_object(struct scan *s);
bool scan_array(struct scan *s);
/* Next member of the object entered last: its key, escapes not resolved, without quotes. False at
 * its end (which is consumed) or on error. A value not taken is skipped. */
bool scan_key(struct scan *s, struct str *key);
/* Whether the array entered last has another value; false at its end (consumed) or on error. A
 * value not taken is skipped. */
bool scan_item(struct scan *s);
/* Take a value of that kind; false when it is another (not consumed, no error). */
bool scan_string(struct scan *s, struct str *raw); /* between the quotes, escapes not resolved */
bool scan_number(struct scan *s, struct str *digits);
bool scan_bool(struct scan *s, bool *value);
bool scan_null(struct scan *s);
/* A number, or a string that holds exactly a JSON number. */
bool scan_number_or_text(struct scan *s, struct str *digits);
/* Takes the next value whatever it is, validated; `raw` (may be NULL) is its text. */
bool scan_skip(struct scan *s, struct str *raw);
/* The document is over: OK, or ERR_SYNTAX (see `error`), also for anything behind it. */
enum err scan_end(struct scan *s) MUST_CHECK;

/* Resolves escapes of a raw string into `out` as UTF-8 (lone surrogates become U+FFFD). */
enum err scan_unescape(struct str raw, struct buf *out) MUST_CHECK;
/* Whether a raw string equals `text` after resolving escapes. */
bool scan_string_is(struct str raw, struct str text);

#endif
