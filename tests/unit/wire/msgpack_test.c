/* SPDX-License-Identifier: MIT */
#include "wire/msgpack.h"

#include "tests/lib/test.h"

static void assert_packed(const char *json, struct str expected)
{
    struct buf out = {0};
    test_case(json);
    assert_ok(msgpack_of_json(str_of(json), &out));
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.ptr, expected.ptr, expected.len);
    buf_fini(&out);
    test_case(NULL);
}

/* There and back gives the same text. */
static void assert_returns(const char *json, const char *back)
{
    struct buf packed = {0};
    struct buf text = {0};
    test_case(json);
    assert_ok(msgpack_of_json(str_of(json), &packed));
    assert_ok(msgpack_to_json(buf_str(&packed), &text));
    assert_buf(&text, back);
    buf_fini(&text);
    buf_fini(&packed);
    test_case(NULL);
}

TEST(values_become_what_the_format_has_for_them)
{
    assert_packed("{\"a\":1}", STR("\x81\xa1"
                                   "a\x01"));
    assert_packed("[null,true,false,-1,200]", STR("\x95\xc0\xc3\xc2\xff\xcc\xc8"));
    assert_packed("18446744073709551615", STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_packed("1.5", STR("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"));
    assert_packed(" [ ] ", STR("\x90"));
    assert_packed("\"\\u00e4\\n\"", STR("\xa3\xc3\xa4\n"));
}

TEST(what_was_packed_comes_back)
{
    assert_returns("{\"type\":\"x\",\"list\":[1,[2,{\"deep\":{}}],\"\"],\"n\":-0.25}",
                   "{\"type\":\"x\",\"list\":[1,[2,{\"deep\":{}}],\"\"],\"n\":-0.25}");
    assert_returns("[9007199254740993,-9223372036854775808,1e3,18446744073709551616]",
                   "[9007199254740993,-9223372036854775808,1000,1.8446744073709552e+19]");
    assert_returns("{\"a\\\"b\":\"\\u0001\"}", "{\"a\\\"b\":\"\\u0001\"}");
}

TEST(long_texts_and_many_members_keep_their_lengths)
{
    struct buf json = {0};
    struct buf packed = {0};
    struct buf text = {0};
    buf_add_lit(&json, "{\"text\":\"");
    for (int i = 0; i < 70000; i++) {
        buf_add_char(&json, 'x');
    }
    buf_add_lit(&json, "\",\"list\":[0");
    for (int i = 1; i < 70000; i++) {
        buf_printf(&json, ",%d", i);
    }
    buf_add_lit(&json, "]}");
    assert_ok(msgpack_of_json(buf_str(&json), &packed));
    assert_ok(msgpack_to_json(buf_str(&packed), &text));
    assert_true(str_eq(buf_str(&json), buf_str(&text)));
    buf_fini(&json);
    buf_fini(&packed);
    buf_fini(&text);
}

TEST(what_is_no_json_changes_nothing)
{
    struct buf out = {0};
    buf_add_lit(&out, "kept");
    assert_err(msgpack_of_json(STR("{\"a\":}"), &out), ERR_SYNTAX);
    assert_err(msgpack_of_json(STR("[1] 2"), &out), ERR_SYNTAX);
    assert_err(msgpack_of_json(STR(""), &out), ERR_SYNTAX);
    assert_err(msgpack_of_json(STR("[1,1e999]"), &out), ERR_RANGE);
    assert_buf(&out, "kept");
    buf_fini(&out);
}

TEST(bytes_that_are_cut_lie_or_can_not_be_said_are_refused)
{
    static const struct {
        const char *name;
        struct str bytes;
        enum err why;
    } cases[] = {
        {"nothing", {"", 0}, ERR_SYNTAX},
        {"cut", {"\x92\x01", 2}, ERR_SYNTAX},
        {"more behind it", {"\x01\x01", 2}, ERR_SYNTAX},
        {"four billion values", {"\xdd\xff\xff\xff\xff\x01", 6}, ERR_SYNTAX},
        {"four billion pairs", {"\xdf\xff\xff\xff\xff\x01", 6}, ERR_SYNTAX},
        {"a text longer than all", {"\xdb\xff\xff\xff\xff\x01", 6}, ERR_SYNTAX},
        {"no such type", {"\xc1", 1}, ERR_SYNTAX},
        {"no utf-8", {"\xa1\xff", 2}, ERR_SYNTAX},
        {"binary", {"\xc4\x01x", 3}, ERR_UNSUPPORTED},
        {"an extension", {"\xd4\x01x", 3}, ERR_UNSUPPORTED},
        {"a number as key", {"\x81\x01\x01", 3}, ERR_UNSUPPORTED},
        {"infinity", {"\xca\x7f\x80\x00\x00", 5}, ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        test_case(cases[i].name);
        assert_err(msgpack_to_json(cases[i].bytes, &out), cases[i].why);
        assert_int_equal(out.len, 0);
        buf_fini(&out);
    }
    test_case(NULL);
}

TEST(nesting_and_size_have_a_limit)
{
    struct buf deep = {0};
    struct buf out = {0};
    for (int i = 0; i < MSGPACK_MAX_DEPTH; i++) {
        buf_add_char(&deep, '\x91');
    }
    buf_add_char(&deep, '\x01');
    assert_ok(msgpack_to_json(buf_str(&deep), &out));
    deep.ptr[MSGPACK_MAX_DEPTH] = '\x91';
    buf_add_char(&deep, '\x01');
    buf_clear(&out);
    assert_err(msgpack_to_json(buf_str(&deep), &out), ERR_SYNTAX);
    buf_fini(&out);
    buf_init(&out, 4);
    assert_err(msgpack_to_json(STR("\x95\x01\x02\x03\x04\x05"), &out), ERR_LIMIT);
    assert_err(msgpack_of_json(STR("[1,2,3,4,5]"), &out), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    buf_fini(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_what_the_format_has_for_them),
        cmocka_unit_test(what_was_packed_comes_back),
        cmocka_unit_test(long_texts_and_many_members_keep_their_lengths),
        cmocka_unit_test(what_is_no_json_changes_nothing),
        cmocka_unit_test(bytes_that_are_cut_lie_or_can_not_be_said_are_refused),
        cmocka_unit_test(nesting_and_size_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
