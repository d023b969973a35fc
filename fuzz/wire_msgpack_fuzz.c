/* MessagePack from outside, and JSON on its way to it: what is taken is valid JSON, and packing
 * that and reading it back changes nothing any more. SPDX-License-Identifier: MIT */
#include "wire/msgpack.h"
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

/* Numbers may be written otherwise the first time; then they stay. */
static void check_stays(struct str json)
{
    struct buf packed = {0};
    struct buf text = {0};
    struct scan s;
    scan_begin(&s, json);
    check(scan_skip(&s, NULL) && scan_end(&s) == OK);
    check(msgpack_of_json(json, &packed) == OK);
    check(msgpack_to_json(buf_str(&packed), &text) == OK);
    struct buf again = {0};
    check(msgpack_of_json(buf_str(&text), &again) == OK);
    check(str_eq(buf_str(&packed), buf_str(&again)));
    buf_fini(&packed);
    buf_fini(&text);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct buf out;
    buf_init(&out, 1 << 20);
    if (msgpack_to_json(bytes, &out) == OK) {
        check_stays(buf_str(&out));
    } else {
        check(out.len == 0);
    }
    buf_clear(&out);
    if (msgpack_of_json(bytes, &out) == OK) {
        struct buf text = {0};
        check(msgpack_to_json(buf_str(&out), &text) == OK);
        check_stays(buf_str(&text));
        buf_fini(&text);
    }
    buf_fini(&out);
    return 0;
}
