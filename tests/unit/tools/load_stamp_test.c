/* SPDX-License-Identifier: MIT */
#include "tools/load_stamp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void is_found_in_any_envelope(void **state)
{
    (void)state;
    static const size_t sizes[] = {LOAD_STAMP_MIN, 49, 80, 200, 4096};
    size_t hint = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text = {0};
        buf_printf(&text, "%.*s", (int)(i * 7), "42[\"message\",{\"channel\":\"a\",\"d\":");
        size_t before = text.len;
        struct load_stamp in = {.sent_us = 1234567890 + i, .n = 42 + i}, out = {0};
        load_stamp_write(&text, in, sizes[i]);
        assert_int_equal(text.len - before, sizes[i]);
        buf_add_lit(&text, ",\"cursor\":\"x-1\"}");
        assert_true(load_stamp_find(buf_str(&text), &hint, &out));
        assert_int_equal(out.sent_us, in.sent_us);
        assert_int_equal(out.n, in.n);
        assert_int_equal(hint, before);
        buf_fini(&text);
    }
}

static void is_a_json_object_of_price_like_text(void **state)
{
    (void)state;
    struct buf text = {0};
    load_stamp_write(&text, (struct load_stamp){7, 1}, 67);
    struct str head = STR("{\"t\":\"0000000000000007\",\"n\":\"0000000001\",\"p\":\"");
    assert_memory_equal(text.ptr, head.ptr, head.len);
    for (size_t i = head.len; i < text.len - 2; i++) {
        assert_non_null(strchr("0123456789.,", text.ptr[i]));
    }
    assert_memory_equal(text.ptr + text.len - 2, "\"}", 2);
    buf_fini(&text);
}

static void other_text_has_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{\"type\":\"welcome\"}",
        "{\"t\":\"123",
        "{\"t\":\"000000123456789x\",\"n\":\"0000000042\",\"p\":\"\"}",
        "{\"t\":\"0000001234567890\",\"n\":\"00000000-2\",\"p\":\"\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t hint = 5;
        struct load_stamp out;
        assert_false(load_stamp_find(str_of(texts[i]), &hint, &out));
        assert_int_equal(hint, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_in_any_envelope),
        cmocka_unit_test(is_a_json_object_of_price_like_text),
        cmocka_unit_test(other_text_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
