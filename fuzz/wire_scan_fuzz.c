/* The JSON reader: skipping a document and walking it by hand must judge it alike.
 * SPDX-License-Identifier: MIT */
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static void unescape(struct str raw)
{
    struct buf out = {0};
    check(scan_unescape(raw, &out) == OK);
    check(str_is_utf8(buf_str(&out)));
    check(scan_string_is(raw, buf_str(&out)));
    buf_fini(&out);
}

/* Takes the next value, whatever it is, by the calls for its kind. */
static void walk(struct scan *s)
{
    struct str text;
    bool value;
    double number;
    switch (scan_peek(s)) {
    case SCAN_OBJECT:
        check(!scan_array(s));
        if (scan_object(s)) {
            while (scan_key(s, &text)) {
                unescape(text);
                walk(s);
            }
        }
        break;
    case SCAN_ARRAY:
        check(!scan_object(s));
        if (scan_array(s)) {
            while (scan_item(s)) {
                walk(s);
            }
        }
        break;
    case SCAN_STRING:
        check(!scan_number(s, &text));
        if (scan_number_or_text(s, &text)) {
            check(str_to_double(text, &number) != ERR_SYNTAX);
        } else if (scan_string(s, &text)) {
            unescape(text);
        }
        break;
    case SCAN_NUMBER:
        if (scan_number_or_text(s, &text)) {
            check(str_to_double(text, &number) != ERR_SYNTAX);
        }
        break;
    case SCAN_TRUE:
    case SCAN_FALSE:
        (void)scan_bool(s, &value);
        break;
    case SCAN_NULL:
        (void)scan_null(s);
        break;
    case SCAN_ERROR:
        check(s->error != NULL);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct scan skipping;
    struct scan walking;
    struct str raw;
    scan_begin(&skipping, text);
    bool skipped = scan_skip(&skipping, &raw);
    enum err e = scan_end(&skipping);
    scan_begin(&walking, text);
    walk(&walking);
    check(scan_end(&walking) == e);
    if (e == OK) {
        struct scan again;
        check(skipped && str_is_utf8(text));
        /* the slice of a value is a document itself */
        scan_begin(&again, raw);
        check(scan_skip(&again, NULL) && scan_end(&again) == OK);
    }
    return 0;
}
