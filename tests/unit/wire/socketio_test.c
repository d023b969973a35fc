/* SPDX-License-Identifier: MIT */
#include "wire/socketio.h"

#include "tests/lib/test.h"

/* Reads an exact copy, so that a read past its end is seen; gives a description. */
static enum err describe(struct str text, unsigned revision, struct buf *out)
{
    struct sio_packet p;
    const char *why = "";
    char *exact = malloc(text.len ? text.len : 1);
    memcpy(exact, text.len ? text.ptr : "", text.len);
    enum err e = sio_read(str_make(exact, text.len), revision, &p, &why);
    buf_clear(out);
    if (e == OK) {
        (void)buf_printf(out, "%d %u %.*s?%.*s #%.*s", (int)p.type, p.attachments, STR_ARG(p.nsp),
                         STR_ARG(p.query), STR_ARG(p.ack));
        if (p.event.len) {
            (void)buf_printf(out, " %s%.*s(%.*s)", p.event_is_number ? "n" : "", STR_ARG(p.event),
                             STR_ARG(p.args));
        } else {
            (void)buf_printf(out, " %.*s", STR_ARG(p.data));
        }
    } else {
        assert_true(why[0] != '\0');
    }
    free(exact);
    return e;
}

static void check(unsigned revision, struct str text, const char *expected)
{
    struct buf out = {0};
    test_case(text.ptr);
    assert_ok(describe(text, revision, &out));
    assert_string_equal(buf_text(&out), expected);
    test_case(NULL);
    buf_fini(&out);
}

static void check_bad(unsigned revision, struct str text, enum err expected)
{
    struct buf out = {0};
    test_case(text.ptr);
    assert_err(describe(text, revision, &out), expected);
    test_case(NULL);
    buf_fini(&out);
}

TEST(packets_are_read)
{
    check(5, STR("0"), "0 0 /? # ");
    check(5, STR("0{\"token\":\"123\"}"), "0 0 /? # {\"token\":\"123\"}");
    check(5, STR("0/random"), "0 0 /random? # ");
    check(5, STR("0/zz?token=1,"), "0 0 /zz?token=1? # ");
    check(5, STR("1/custom"), "1 0 /custom? # ");
    check(5, STR("1/custom,"), "1 0 /custom? # ");
    check(5, STR("2[\"message\",1,\"2\", {\"3\":[true]}]"),
          "2 0 /? # message(1,\"2\", {\"3\":[true]})");
    check(5, STR("2[7,\"x\"]"), "2 0 /? # n7(\"x\")");
    check(5, STR("2/chat,456[\"ev\"]"), "2 0 /chat? #456 ev()");
    check(5, STR("3456[]"), "3 0 /? #456 []");
    check(5, STR("4\"why\""), "4 0 /? # \"why\"");
    check(5,
          STR("52-/a,789[\"m\",{\"_placeholder\":true,\"num\":0},"
              "[{\"num\":1,\"_placeholder\":true}]]"),
          "5 2 /a? #789 m({\"_placeholder\":true,\"num\":0},"
          "[{\"num\":1,\"_placeholder\":true}])");
    check(5, STR("61-789[{\"_placeholder\":true,\"num\":0}]"),
          "6 1 /? #789 [{\"_placeholder\":true,\"num\":0}]");
}

TEST(revision_4_has_a_query_behind_the_namespace)
{
    check(4, STR("0/zz?token=1,"), "0 0 /zz?token=1 # ");
    check(4, STR("0"), "0 0 /? # ");
    check(4, STR("2/zz,[\"a\"]"), "2 0 /zz? # a()");
    check_bad(4, STR("0{}"), ERR_SYNTAX);
}

TEST(what_the_reference_refuses_is_refused)
{
    static const char *const bad[] = {
        "",
        "abc",
        "7",
        "2",
        "2[]",
        "2{}",
        "2[{}]",
        "2[null]",
        "2[\"connect\"]",
        "2[\"a\"",
        "2[\"a\"]x",
        "2abc[\"a\"]",
        "0null",
        "0\"x\"",
        "0[]",
        "1{}",
        "1/a,[]",
        "3[1]",
        "312",
        "5[\"a\"]",
        "5-[\"a\"]",
        "51[\"a\"]",
        "2/a[\"b\"]",
        "2[\"\\u0063onnect\"]",
        "2[\"a\",]",
        "2[\"\xff\"]",
        "2/\xff,[\"a\"]",
        "2[\"newListener\"]",
        "2[\"disconnecting\",1]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        check_bad(5, str_of(bad[i]), ERR_SYNTAX);
    }
}

TEST(placeholders_name_an_attachment_that_comes)
{
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true,\"num\":1}]"), ERR_SYNTAX);
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]"), ERR_SYNTAX);
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true,\"num\":-1}]"), ERR_SYNTAX);
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]"), ERR_SYNTAX);
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true}]"), ERR_SYNTAX);
    check_bad(5, STR("51-[\"a\",{\"_placeholder\":true,\"num\":0,\"num\":\"x\"}]"), ERR_SYNTAX);
    check(5, STR("51-[\"a\",{\"_placeholder\":false,\"num\":9}]"),
          "5 1 /? # a({\"_placeholder\":false,\"num\":9})");
}

TEST(limits_hold)
{
    struct buf text = {0}, out = {0};
    check_bad(5, STR("511-[\"a\"]"), ERR_LIMIT);
    check(5, STR("510-[\"a\"]"), "5 10 /? # a()");
    check_bad(5, STR("212345678901234567[\"a\"]"), ERR_LIMIT);
    check(5, STR("21234567890123456[\"a\"]"), "2 0 /? #1234567890123456 a()");
    for (int extra = 0; extra < 2; extra++) {
        buf_clear(&text);
        (void)buf_add_lit(&text, "0/");
        for (int i = 0; i < SIO_MAX_NAMESPACE - 1 + extra; i++) {
            (void)buf_add_char(&text, 'n');
        }
        assert_err(describe(buf_str(&text), 5, &out), extra ? ERR_LIMIT : OK);
    }
    buf_clear(&text);
    (void)buf_add_lit(&text, "2[\"a\",");
    for (int i = 0; i < 100000; i++) {
        (void)buf_add_char(&text, '[');
    }
    assert_err(describe(buf_str(&text), 5, &out), ERR_SYNTAX);
    buf_clear(&text);
    (void)buf_add_lit(&text, "51-[\"a\",");
    for (int i = 0; i < 100000; i++) {
        (void)buf_add_lit(&text, "{\"a\":");
    }
    assert_err(describe(buf_str(&text), 5, &out), ERR_SYNTAX);
    buf_fini(&text);
    buf_fini(&out);
}

TEST(packets_are_written)
{
    struct buf out = {0};
    sio_write(&out, SIO_EVENT, 0, STR("/"), (struct str){0}, STR("[\"a\"]"));
    (void)buf_add_char(&out, '|');
    sio_write(&out, SIO_BINARY_ACK, 2, STR("/c"), STR("12"), STR("[]"));
    (void)buf_add_char(&out, '|');
    sio_write(&out, SIO_CONNECT_ERROR, 0, STR("/r"), (struct str){0}, STR("{}"));
    assert_buf(&out, "2[\"a\"]|62-/c,12[]|4/r,{}");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_read),
        cmocka_unit_test(revision_4_has_a_query_behind_the_namespace),
        cmocka_unit_test(what_the_reference_refuses_is_refused),
        cmocka_unit_test(placeholders_name_an_attachment_that_comes),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(packets_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
