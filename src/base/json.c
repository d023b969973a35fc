/* The gate to jansson, and the writer. jansson.h has names of its own that base/json.h uses too;
 * they are moved aside while it is read. SPDX-License-Identifier: MIT */
#define json_object jansson_object
#define json_array jansson_array
#define json_null jansson_null
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef json_object
#undef json_array
#undef json_null
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NULL

#include "base/json.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"

enum { MAX_DEPTH = 64, MAX_DECIMALS = 22 };

/* Every one of these is exact in binary, so dividing an exact integer by it rounds only once. */
static const double power_of_ten[MAX_DECIMALS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- writing ---- */

void json_begin(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

/* Puts the comma before a key or an array's value. */
static void separate(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) {
        return;
    }
    uint64_t bit = (uint64_t)1 << (w->depth - 1);
    if (w->has_items & bit) {
        buf_add_char(w->out, ',');
    }
    w->has_items |= bit;
}

static void open_level(struct json_writer *w, char bracket)
{
    separate(w);
    assert(w->depth < MAX_DEPTH);
    w->has_items &= ~((uint64_t)1 << w->depth);
    w->depth++;
    buf_add_char(w->out, bracket);
}

static void close_level(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_add_char(w->out, bracket);
}

void json_object(struct json_writer *w)
{
    open_level(w, '{');
}

void json_object_end(struct json_writer *w)
{
    close_level(w, '}');
}

void json_array(struct json_writer *w)
{
    open_level(w, '[');
}

void json_array_end(struct json_writer *w)
{
    close_level(w, ']');
}

void json_key(struct json_writer *w, const char *key)
{
    assert(w->depth > 0 && !w->after_key);
    separate(w);
    json_escape(w->out, str_of(key));
    buf_add_char(w->out, ':');
    w->after_key = true;
}

void json_str(struct json_writer *w, struct str s)
{
    separate(w);
    json_escape(w->out, s);
}

void json_text(struct json_writer *w, const char *text)
{
    if (text) {
        json_str(w, str_of(text));
    } else {
        json_null(w);
    }
}

void json_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_add_str(w->out, value ? STR("true") : STR("false"));
}

void json_i64(struct json_writer *w, int64_t value)
{
    separate(w);
    buf_add_i64(w->out, value);
}

void json_double(struct json_writer *w, double value)
{
    separate(w);
    json_add_double(w->out, value);
}

void json_null(struct json_writer *w)
{
    separate(w);
    buf_add_lit(w->out, "null");
}

void json_time(struct json_writer *w, int64_t unix_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(unix_ms, text);
    json_str(w, str_make(text, CLOCK_RFC3339_LEN));
}

void json_time_or_null(struct json_writer *w, int64_t unix_ms)
{
    if (unix_ms > 0) {
        json_time(w, unix_ms);
    } else {
        json_null(w);
    }
}

void json_put_count(struct json_writer *w, const char *key, uint64_t count)
{
    json_key(w, key);
    json_i64(w, (int64_t)count);
}

void json_put_time(struct json_writer *w, const char *key, int64_t unix_ms)
{
    json_key(w, key);
    json_time_or_null(w, unix_ms);
}

void json_raw(struct json_writer *w, struct str json)
{
    separate(w);
    buf_add_str(w->out, json);
}

/* `scaled` / 10^decimals in plain notation. */
static void add_scaled(struct buf *out, bool negative, uint64_t scaled, int decimals)
{
    char text[48];
    size_t at = sizeof(text);
    int written = 0;
    do {
        if (written == decimals && decimals > 0) {
            text[--at] = '.';
        }
        text[--at] = (char)('0' + scaled % 10);
        scaled /= 10;
        written++;
    } while (scaled || written <= decimals);
    if (negative) {
        text[--at] = '-';
    }
    buf_add(out, text + at, sizeof(text) - at);
}

/* Numbers of at most 15 significant digits, which is nearly every price: the least count of
 * decimals whose nearest integer divides back to the very same double is the shortest text, because
 * among 15 digits no two texts read as one double. False: it takes more digits. */
static bool add_short_decimal(struct buf *out, double value)
{
    double magnitude = fabs(value);
    if (magnitude >= 1e15 || magnitude < 1e-6) {
        return false;
    }
    for (int k = 0; k <= MAX_DECIMALS; k++) {
        double scaled = nearbyint(magnitude * power_of_ten[k]);
        if (scaled >= 1e15) {
            return false;
        }
        if (scaled / power_of_ten[k] == magnitude) {
            add_scaled(out, value < 0, (uint64_t)scaled, k);
            return true;
        }
    }
    return false;
}

void json_add_double(struct buf *out, double value)
{
    static const double exact_integers = 9007199254740992.0; /* 2^53 */
    char text[40];
    if (!isfinite(value)) {
        buf_add_lit(out, "null");
    } else if (value == 0) {
        buf_add_str(out, signbit(value) ? STR("-0.0") : STR("0"));
    } else if (fabs(value) < exact_integers && value == trunc(value)) {
        buf_add_i64(out, (int64_t)value);
    } else if (!add_short_decimal(out, value)) {
        int len = 0;
        for (int digits = 15; digits <= 17; digits++) {
            len = snprintf(text, sizeof(text), "%.*g", digits, value);
            if (strtod(text, NULL) == value) {
                break;
            }
        }
        buf_add(out, text, (size_t)len);
    }
}

/* The way of json_decimal() for what its quick one can't decide: let printf round. */
static void add_rounded(struct buf *out, double value, int decimals)
{
    char text[340]; /* 309 digits before the point, 15 behind */
    int n = snprintf(text, sizeof(text), "%.*f", decimals, value);
    struct str s = str_make(text, (size_t)n);
    if (decimals > 0) {
        while (s.ptr[s.len - 1] == '0') {
            s.len--;
        }
        if (s.ptr[s.len - 1] == '.') {
            s.len--;
        }
    }
    buf_add_str(out, str_eq(s, STR("-0")) ? STR("0") : s);
}

void json_decimal(struct json_writer *w, double value, int decimals)
{
    assert(decimals >= 0 && decimals <= 15);
    if (!isfinite(value)) {
        json_null(w);
        return;
    }
    separate(w);
    double exact = fabs(value) * power_of_ten[decimals];
    double rounded = nearbyint(exact);
    /* Below 10^12 the product is wrong by less than 10^-3: only near a half that could matter. */
    if (exact >= 1e12 || fabs(fabs(exact - rounded) - 0.5) < 1e-3) {
        add_rounded(w->out, value, decimals);
        return;
    }
    uint64_t scaled = (uint64_t)rounded;
    while (decimals > 0 && scaled % 10 == 0) {
        scaled /= 10;
        decimals--;
    }
    add_scaled(w->out, value < 0 && scaled > 0, scaled, decimals);
}

/* One byte that may not stand in a JSON string as it is. */
static void add_escaped(struct buf *out, unsigned char c)
{
    static const char short_forms[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(short_forms) - 1; i += 2) {
        if ((unsigned char)short_forms[i + 1] == c) {
            char text[2] = {'\\', short_forms[i]};
            buf_add(out, text, sizeof(text));
            return;
        }
    }
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_add(out, text, sizeof(text));
}

/* Length of the well-formed UTF-8 sequence `s` starts with; 0: there is none. */
static size_t sequence_len(struct str s)
{
    unsigned char lead = (unsigned char)s.ptr[0];
    size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    return len <= s.len && str_is_utf8(str_make(s.ptr, len)) ? len : 0;
}

void json_escape(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    size_t from = 0; /* what stands before `i` and after `from` goes out as it is */
    size_t i = 0;
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t len = c >= 0x80 ? sequence_len(str_from(s, i)) : 0;
        if (len) {
            i += len;
            continue;
        }
        buf_add(out, s.ptr + from, i - from);
        if (c >= 0x80) {
            buf_add_lit(out, "\xEF\xBF\xBD"); /* U+FFFD */
        } else {
            add_escaped(out, c);
        }
        from = ++i;
    }
    if (s.len > from) {
        buf_add(out, s.ptr + from, s.len - from);
    }
    buf_add_char(out, '"');
}

/* ---- reading: struct json is never defined, it is jansson's json_t under another name ---- */

static const json_t *inside(const struct json *v)
{
    return (const json_t *)(const void *)v;
}

static const struct json *outside(const json_t *v)
{
    return (const struct json *)(const void *)v;
}

enum err json_parse(struct str text, struct json **root, char error[JSON_ERROR_LEN])
{
    static const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    const char *bytes = text.len ? text.ptr : "";
    json_error_t why;
    json_t *parsed = json_loadb(bytes, text.len, flags, &why);
    if (!parsed && json_error_code(&why) == json_error_numeric_overflow) {
        /* Supplies of some coins pass 2^63; one such number must not cost the whole answer. */
        parsed = json_loadb(bytes, text.len, flags | JSON_DECODE_INT_AS_REAL, &why);
    }
    if (!parsed) {
        if (error) {
            snprintf(error, JSON_ERROR_LEN, "line %d, column %d: %.120s", why.line, why.column,
                     why.text);
        }
        return ERR_SYNTAX;
    }
    *root = (struct json *)(void *)parsed;
    return OK;
}

void json_free(struct json *root)
{
    json_decref((json_t *)(void *)root);
}

enum json_kind json_kind(const struct json *v)
{
    if (!v) {
        return JSON_NULL;
    }
    switch (json_typeof(inside(v))) {
    case JANSSON_OBJECT:
        return JSON_OBJECT;
    case JANSSON_ARRAY:
        return JSON_ARRAY;
    case JANSSON_STRING:
        return JSON_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return JSON_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_BOOL;
    case JANSSON_NULL:
        return JSON_NULL;
    }
    return JSON_NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
    return outside(json_object_get(inside(object), key));
}

const struct json *json_at(const struct json *array, size_t index)
{
    return outside(json_array_get(inside(array), index));
}

size_t json_count(const struct json *array_or_object)
{
    const json_t *v = inside(array_or_object);
    return json_kind(array_or_object) == JSON_OBJECT ? json_object_size(v) : json_array_size(v);
}

bool json_each(const struct json *object, size_t *at, struct str *key, const struct json **value)
{
    /* jansson keeps the order of insertion; `*at` is the entry's iterator, 0 before the first. Its
     * functions take the object unconst but only look. */
    json_t *o = (json_t *)(uintptr_t)object;
    void *entry = *at == 0 ? json_object_iter(o) : json_object_iter_next(o, (void *)*at);
    *at = (size_t)entry;
    if (!entry) {
        return false;
    }
    *key = str_make(json_object_iter_key(entry), json_object_iter_key_len(entry));
    *value = outside(json_object_iter_value(entry));
    return true;
}

bool json_get_double(const struct json *v, double *out)
{
    if (json_kind(v) != JSON_NUMBER) {
        return false;
    }
    double value = json_number_value(inside(v));
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool json_get_i64(const struct json *v, int64_t *out)
{
    if (!v || json_typeof(inside(v)) != JSON_INTEGER) {
        return false;
    }
    *out = json_integer_value(inside(v));
    return true;
}

bool json_get_bool(const struct json *v, bool *out)
{
    if (json_kind(v) != JSON_BOOL) {
        return false;
    }
    *out = json_typeof(inside(v)) == JSON_TRUE;
    return true;
}

bool json_get_str(const struct json *v, struct str *out)
{
    if (json_kind(v) != JSON_STRING) {
        return false;
    }
    *out = str_make(json_string_value(inside(v)), json_string_length(inside(v)));
    return true;
}

bool json_get_number_or_text(const struct json *v, double *out)
{
    struct str text;
    if (json_get_str(v, &text)) {
        return str_to_double(text, out) == OK;
    }
    return json_get_double(v, out);
}
