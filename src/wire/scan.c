/* The reader keeps one bit a level for what it is (array or object) and one for whether anything
 * was read in it yet; the place in the grammar follows from these and from value_due. Values that
 * nobody takes are passed over by the same code that takes them, so that all of the text is
 * validated.
 *
 * Places: before a value (the document's, a member's, an item's: value_due is set) or behind one.
 * SPDX-License-Identifier: MIT */
#include "wire/scan.h"

#include "wire/utf8.h"

/* What a byte within a string means. */
enum { PLAIN, QUOTE, ESCAPE, CONTROL, HIGH };

static const uint8_t in_string[256] = {
    [0 ... 0x1f] = CONTROL,
    ['"'] = QUOTE,
    ['\\'] = ESCAPE,
    [0x80 ... 0xff] = HIGH,
};

static bool fail(struct scan *s, const char *at, const char *why)
{
    if (!s->error) {
        s->error = why;
    }
    s->at = s->end = at; /* nothing is left to read: every later call fails without asking */
    return false;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where the blanks at `at` end; compact text, the usual kind, has none. */
static inline const char *blanks(const char *at, const char *end)
{
    if (likely(at<end && * at> ' ')) {
        return at;
    }
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

void scan_begin(struct scan *s, struct str text)
{
    static const char nothing[1] = "";
    const char *start = text.ptr ? text.ptr : nothing;
    *s = (struct scan){.end = start + text.len, .start = start, .value_due = true};
    s->at = blanks(start, s->end);
}

/* ---- values ---- */

/* Index of the first byte at or after `at` that is not plain within a string. */
static inline const char *plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101ULL;
    const uint64_t high = 0x8080808080808080ULL;
    while (end - at >= 8) {
        uint64_t w;
        memcpy(&w, at, sizeof(w));
        uint64_t quote = w ^ (ones * '"');
        uint64_t slash = w ^ (ones * '\\');
        uint64_t hit = ((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & high;
        if (hit) {
            /* Borrows only run upwards, so the lowest mark is a true one. */
            if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
                return at + __builtin_ctzll(hit) / 8;
            }
            break;
        }
        at += 8;
    }
    while (at < end && in_string[(unsigned char)*at] == PLAIN) {
        at++;
    }
    return at;
}

static int hex(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* `at` stands on a backslash; gives what follows the escape, NULL if it is none. */
static const char *pass_escape(const char *at, const char *end)
{
    if (end - at < 2) {
        return NULL;
    }
    if (at[1] != 'u') {
        return memchr("\"\\/bfnrt", at[1], 8) ? at + 2 : NULL;
    }
    if (end - at < 6) {
        return NULL;
    }
    for (int i = 2; i < 6; i++) {
        if (hex(at[i]) < 0) {
            return NULL;
        }
    }
    return at + 6;
}

/* `at` stands on a byte above 127; gives what follows the run of such bytes, NULL if they are not
 * whole characters. */
static const char *pass_high(const char *at, const char *end)
{
    const char *from = at;
    uint8_t due = 0;
    uint32_t range = 0;
    while (at < end && (unsigned char)*at >= 0x80) {
        at++;
    }
    size_t len = (size_t)(at - from);
    return utf8_check(&due, &range, from, len) == len && due == 0 ? at : NULL;
}

/* What follows the string that starts at `at`, its quotes included; NULL when it failed. */
static inline const char *pass_string(struct scan *s, const char *at, struct str *raw)
{
    const char *from = ++at;
    const char *end = s->end;
    for (;;) {
        at = plain(at, end);
        if (at == end) {
            fail(s, at, "string without an end");
            return NULL;
        }
        if (likely(*at == '"')) {
            *raw = str_make(from, (size_t)(at - from));
            return at + 1;
        }
        uint8_t what = in_string[(unsigned char)*at];
        const char *next = what == ESCAPE ? pass_escape(at, end)
                           : what == HIGH ? pass_high(at, end)
                                          : NULL;
        if (!next) {
            fail(s, at,
                 what == ESCAPE ? "bad escape"
                 : what == HIGH ? "not UTF-8"
                                : "control byte in a string");
            return NULL;
        }
        at = next;
    }
}

static inline const char *digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at)) {
        at++;
    }
    return at;
}

/* What follows a number at `at`; NULL if there is none (RFC 8259, section 6). */
static inline const char *pass_number(const char *at, const char *end)
{
    const char *from = at + (at < end && *at == '-');
    at = digits(from, end);
    if (at == from || (*from == '0' && at - from > 1)) {
        return NULL;
    }
    if (at < end && *at == '.') {
        from = at + 1;
        at = digits(from, end);
        if (at == from) {
            return NULL;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        from = at + 1;
        from += from < end && (*from == '+' || *from == '-');
        at = digits(from, end);
        if (at == from) {
            return NULL;
        }
    }
    return at;
}

/* ---- places ---- */

static enum scan_kind kind_of(char c)
{
    switch (c) {
    case '{':
        return SCAN_OBJECT;
    case '[':
        return SCAN_ARRAY;
    case '"':
        return SCAN_STRING;
    case 't':
        return SCAN_TRUE;
    case 'f':
        return SCAN_FALSE;
    case 'n':
        return SCAN_NULL;
    default:
        return c == '-' || is_digit(c) ? SCAN_NUMBER : SCAN_ERROR;
    }
}

/* Whether a value of that kind stands here. */
static inline bool here(struct scan *s, char first)
{
    return s->value_due && s->at < s->end && *s->at == first;
}

enum scan_kind scan_peek(struct scan *s)
{
    if (s->error) {
        return SCAN_ERROR;
    }
    enum scan_kind kind = s->value_due && s->at < s->end ? kind_of(*s->at) : SCAN_ERROR;
    if (kind == SCAN_ERROR) {
        fail(s, s->at, s->at == s->end ? "value missing" : "not a value");
    }
    return kind;
}

/* A value was taken, `at` is what follows it. */
static inline bool taken(struct scan *s, const char *at)
{
    s->value_due = false;
    s->at = blanks(at, s->end);
    return true;
}

static bool take_word(struct scan *s, const char *word, size_t len)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        return fail(s, s->at, "not a value");
    }
    return taken(s, s->at + len);
}

static bool enter(struct scan *s, bool array)
{
    if (s->depth == SCAN_MAX_DEPTH) {
        return fail(s, s->at, "nested too deep");
    }
    uint64_t bit = 1ULL << s->depth++;
    s->is_array = array ? s->is_array | bit : s->is_array & ~bit;
    s->first |= bit;
    return taken(s, s->at + 1);
}

bool scan_object(struct scan *s)
{
    return here(s, '{') && enter(s, false);
}

bool scan_array(struct scan *s)
{
    return here(s, '[') && enter(s, true);
}

/* Only while depth > 0. */
static inline bool innermost_is_array(const struct scan *s)
{
    return s->is_array >> (s->depth - 1) & 1;
}

/* Behind a value in the innermost object or array: where the next one stands (its comma, if one has
 * to be, is passed over); NULL at the end (which is consumed) or on error. */
static inline const char *next_in(struct scan *s, bool array)
{
    const char *at = s->at;
    char close = array ? ']' : '}';
    if (s->error) {
        return NULL;
    }
    if (s->depth == 0 || innermost_is_array(s) != array) {
        fail(s, at, array ? "not within an array" : "not within an object");
        return NULL;
    }
    uint64_t bit = 1ULL << (s->depth - 1);
    if (at == s->end) {
        fail(s, at, array ? "array without an end" : "object without an end");
        return NULL;
    }
    if (*at == close) {
        s->depth--;
        taken(s, at + 1);
        return NULL;
    }
    if (s->first & bit) {
        s->first &= ~bit;
        return at;
    }
    if (*at != ',') {
        fail(s, at, "comma missing");
        return NULL;
    }
    at = blanks(at + 1, s->end);
    if (at == s->end || *at == close) {
        fail(s, at, "nothing behind the comma");
        return NULL;
    }
    return at;
}

bool scan_key(struct scan *s, struct str *key)
{
    if (s->value_due && !scan_skip(s, NULL)) {
        return false;
    }
    const char *at = next_in(s, false);
    if (!at) {
        return false;
    }
    if (*at != '"') {
        return fail(s, at, "key missing");
    }
    struct str raw;
    at = pass_string(s, at, &raw);
    if (!at) {
        return false;
    }
    at = blanks(at, s->end);
    if (at == s->end || *at != ':') {
        return fail(s, at, "colon missing");
    }
    s->at = blanks(at + 1, s->end);
    s->value_due = true;
    *key = raw;
    return true;
}

bool scan_item(struct scan *s)
{
    if (s->value_due && !scan_skip(s, NULL)) {
        return false;
    }
    const char *at = next_in(s, true);
    if (!at) {
        return false;
    }
    s->at = at;
    s->value_due = true;
    return true;
}

/* ---- taking values ---- */

bool scan_string(struct scan *s, struct str *raw)
{
    const char *after = here(s, '"') ? pass_string(s, s->at, raw) : NULL;
    return after && taken(s, after);
}

bool scan_number(struct scan *s, struct str *number)
{
    if (!s->value_due || s->at == s->end || kind_of(*s->at) != SCAN_NUMBER) {
        return false;
    }
    const char *after = pass_number(s->at, s->end);
    if (!after) {
        return fail(s, s->at, "bad number");
    }
    *number = str_make(s->at, (size_t)(after - s->at));
    return taken(s, after);
}

bool scan_bool(struct scan *s, bool *value)
{
    bool yes = here(s, 't');
    if (!yes && !here(s, 'f')) {
        return false;
    }
    if (!(yes ? take_word(s, "true", 4) : take_word(s, "false", 5))) {
        return false;
    }
    *value = yes;
    return true;
}

bool scan_null(struct scan *s)
{
    return here(s, 'n') && take_word(s, "null", 4);
}

bool scan_number_or_text(struct scan *s, struct str *number)
{
    if (!here(s, '"')) {
        return scan_number(s, number);
    }
    const char *from = s->at + 1;
    const char *after = pass_number(from, s->end);
    if (!after || after == s->end || *after != '"') {
        return false;
    }
    *number = str_make(from, (size_t)(after - from));
    return taken(s, after + 1);
}

/* Takes a value that is no object and no array. */
static bool skip_scalar(struct scan *s)
{
    struct str raw;
    bool value;
    switch (scan_peek(s)) {
    case SCAN_STRING:
        return scan_string(s, &raw);
    case SCAN_NUMBER:
        return scan_number(s, &raw);
    case SCAN_TRUE:
    case SCAN_FALSE:
        return scan_bool(s, &value);
    case SCAN_NULL:
        return scan_null(s);
    case SCAN_OBJECT:
    case SCAN_ARRAY:
    case SCAN_ERROR:
        break;
    }
    return false;
}

bool scan_skip(struct scan *s, struct str *raw)
{
    const char *from = s->at;
    uint32_t depth = s->depth;
    struct str key;
    if (!s->value_due) {
        return fail(s, s->at, "no value here");
    }
    do {
        if (s->value_due) {
            enum scan_kind kind = scan_peek(s);
            (void)(kind == SCAN_OBJECT || kind == SCAN_ARRAY ? enter(s, kind == SCAN_ARRAY)
                                                             : skip_scalar(s));
        } else {
            (void)(innermost_is_array(s) ? scan_item(s) : scan_key(s, &key));
        }
    } while (!s->error && (s->depth > depth || s->value_due));
    if (s->error) {
        return false;
    }
    if (raw) {
        const char *to = s->at;
        while (to[-1] == ' ' || to[-1] == '\n' || to[-1] == '\r' || to[-1] == '\t') {
            to--; /* no value ends with a blank, so this stops within it */
        }
        *raw = str_make(from, (size_t)(to - from));
    }
    return true;
}

enum err scan_end(struct scan *s)
{
    struct str key;
    if (s->value_due) {
        (void)scan_skip(s, NULL);
    }
    /* Walks on to the end of what the caller left early. */
    while (!s->error && s->depth > 0) {
        (void)(innermost_is_array(s) ? scan_item(s) : scan_key(s, &key));
    }
    if (!s->error && s->at < s->end) {
        fail(s, s->at, "text behind the document");
    }
    return s->error ? ERR_SYNTAX : OK;
}

/* ---- escapes ---- */

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 4 | (unsigned)hex(at[i]);
    }
    return value;
}

static size_t encode(unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Takes the escape at the start of `*raw` and gives its bytes; 0: none. */
static size_t take_escape(struct str *raw, char out[4])
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *end = raw->ptr + raw->len;
    const char *after = pass_escape(raw->ptr, end);
    if (!after) {
        return 0;
    }
    unsigned c = 0;
    if (raw->ptr[1] != 'u') {
        c = (unsigned char)to[(const char *)memchr(from, raw->ptr[1], 8) - from];
    } else {
        c = hex4(raw->ptr + 2);
        if (c >= 0xd800 && c <= 0xdfff) {
            const char *pair = after < end && *after == '\\' ? pass_escape(after, end) : NULL;
            unsigned low = pair && after[1] == 'u' ? hex4(after + 2) : 0;
            if (c <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                after = pair;
            } else {
                c = 0xfffd;
            }
        }
    }
    *raw = str_make(after, (size_t)(end - after));
    return encode(c, out);
}

enum err scan_unescape(struct str raw, struct buf *out)
{
    size_t before = out->len;
    enum err e = OK;
    while (raw.len && e == OK) {
        char bytes[4];
        size_t n = min_size(str_find(raw, '\\', 0), raw.len);
        const char *from = raw.ptr;
        if (n) {
            raw = str_make(raw.ptr + n, raw.len - n);
        } else {
            from = bytes;
            n = take_escape(&raw, bytes);
        }
        e = n == 0 ? ERR_SYNTAX : buf_add(out, from, n) ? OK : ERR_LIMIT;
    }
    if (e != OK) {
        out->len = before;
    }
    return e;
}

bool scan_string_is(struct str raw, struct str text)
{
    while (raw.len) {
        char bytes[4];
        size_t n = 1;
        if (*raw.ptr == '\\') {
            n = take_escape(&raw, bytes);
        } else {
            bytes[0] = *raw.ptr;
            raw = str_make(raw.ptr + 1, raw.len - 1);
        }
        if (n == 0 || n > text.len || memcmp(bytes, text.ptr, n) != 0) {
            return false;
        }
        text = str_make(text.ptr + n, text.len - n);
    }
    return text.len == 0;
}
