/* SPDX-License-Identifier: MIT */
#include "wire/engineio.h"

#include "tests/lib/test.h"

/* Reads a payload into "type:data;" of each packet, binary as hex behind a 'b'. */
static enum err read_all(enum eio_form form, struct str body, struct buf *out)
{
    struct eio_payload p;
    struct eio_packet packet;
    struct buf scratch = {0};
    enum err e = OK;
    /* An exact copy, so that a read past its end is seen. */
    char *exact = malloc(body.len ? body.len : 1);
    memcpy(exact, body.len ? body.ptr : "", body.len);
    buf_clear(out);
    eio_payload_begin(&p, form, str_make(exact, body.len));
    while ((e = eio_payload_next(&p, &scratch, &packet)) == OK) {
        (void)buf_printf(out, "%d%s:", (int)packet.type, packet.binary ? "b" : "");
        for (size_t i = 0; i < packet.data.len; i++) {
            (void)buf_printf(out, packet.binary ? "%02x" : "%c", (uint8_t)packet.data.ptr[i]);
        }
        (void)buf_add_char(out, ';');
    }
    buf_fini(&scratch);
    free(exact);
    return e;
}

static void check(enum eio_form form, struct str body, const char *packets)
{
    struct buf out = {0};
    assert_err(read_all(form, body, &out), ERR_NOT_FOUND);
    assert_string_equal(buf_text(&out), packets);
    buf_fini(&out);
}

static void check_bad(enum eio_form form, struct str body)
{
    struct buf out = {0};
    assert_err(read_all(form, body, &out), ERR_SYNTAX);
    buf_fini(&out);
}

TEST(payloads_of_revision_4_are_read)
{
    check(EIO_FORM_4, STR("4hello"), "4:hello;");
    check(EIO_FORM_4,
          STR("4test1\x1e"
              "4test2\x1e"
              "4"),
          "4:test1;4:test2;4:;");
    check(EIO_FORM_4,
          STR("4hello\x1e"
              "bAQIDBA=="),
          "4:hello;4b:01020304;");
    check(EIO_FORM_4, STR("bAQIDBA"), "4b:01020304;"); /* as some write it */
    check(EIO_FORM_4, STR("b"), "4b:;");
    check(EIO_FORM_4,
          STR("2probe\x1e"
              "3\x1e"
              "1"),
          "2:probe;3:;1:;");
    check(EIO_FORM_4, STR("4\xc3\xa9"), "4:\xc3\xa9;");
}

TEST(what_is_wrong_in_revision_4_is_refused)
{
    check_bad(EIO_FORM_4, STR(""));
    check_bad(EIO_FORM_4, STR("abc"));
    check_bad(EIO_FORM_4, STR("7"));
    check_bad(EIO_FORM_4, STR("4a\x1e"));
    check_bad(EIO_FORM_4, STR("\x1e"
                              "4a"));
    check_bad(EIO_FORM_4, STR("4\xff"));
    check_bad(EIO_FORM_4, STR("bA"));
    check_bad(EIO_FORM_4, STR("bAQ=D"));
    check_bad(EIO_FORM_4, STR("b===="));
    check_bad(EIO_FORM_4, STR("bAQ-_"));
}

TEST(payloads_of_revision_3_are_read)
{
    check(EIO_FORM_3, STR("6:4hello"), "4:hello;");
    check(EIO_FORM_3, STR("6:4hello10:b4AQIDBA==1:2"), "4:hello;4b:01020304;2:;");
    /* Lengths count UTF-16 units: an astral character has two. */
    check(EIO_FORM_3, STR("5:4\xc3\xa9\xf0\x9f\x98\x80x1:3"), "4:\xc3\xa9\xf0\x9f\x98\x80x;3:;");
    check(EIO_FORM_3_BYTES,
          STR("\x00\x06\xff"
              "4hello\x01\x05\xff\x04\x01\x02\x03\x04"),
          "4:hello;4b:01020304;");
}

TEST(what_is_wrong_in_revision_3_is_refused)
{
    check_bad(EIO_FORM_3, STR("abc"));
    check_bad(EIO_FORM_3, STR(""));
    check_bad(EIO_FORM_3, STR("0:"));
    check_bad(EIO_FORM_3, STR("7:4hello"));
    check_bad(EIO_FORM_3, STR("2:4\xf0\x9f\x98\x80")); /* splits a pair */
    check_bad(EIO_FORM_3, STR("6:4hello6"));
    check_bad(EIO_FORM_3, STR("99999999999:4"));
    check_bad(EIO_FORM_3, STR("3:b3A"));
    check_bad(EIO_FORM_3, STR("2:4\xff"));
    check_bad(EIO_FORM_3_BYTES, STR("\x00\x07\xff"
                                    "4hello"));
    check_bad(EIO_FORM_3_BYTES, STR("\x02\x01\xff"
                                    "4"));
    check_bad(EIO_FORM_3_BYTES, STR("\x00\xff"
                                    "4"));
    check_bad(EIO_FORM_3_BYTES, STR("\x01\x01\xff"
                                    "4")); /* a digit is no type byte */
    check_bad(EIO_FORM_3_BYTES, STR("\x00\x02\xff"
                                    "4\xff"));
}

static void add(enum eio_form form, const char *expected, size_t len)
{
    struct buf out = {0};
    size_t cost = eio_payload_cost(form, false, STR("4\xf0\x9f\x98\x80")) +
                  eio_payload_cost(form, true, STR("\x01\x02\x03\x04"));
    eio_payload_add(&out, form, false, STR("4\xf0\x9f\x98\x80"));
    eio_payload_add(&out, form, true, STR("\x01\x02\x03\x04"));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.ptr, expected, len);
    assert_true(out.len <= cost);
    buf_fini(&out);
}

TEST(payloads_are_written)
{
    add(EIO_FORM_4,
        "4\xf0\x9f\x98\x80\x1e"
        "bAQIDBA==",
        15);
    add(EIO_FORM_3,
        "3:4\xf0\x9f\x98\x80"
        "10:b4AQIDBA==",
        20);
    add(EIO_FORM_3_BYTES,
        "\x00\x05\xff"
        "4\xf0\x9f\x98\x80\x01\x05\xff\x04\x01\x02\x03\x04",
        16);
}

TEST(long_binary_comes_back_as_it_was)
{
    struct buf bytes = {0}, payload = {0}, scratch = {0};
    for (unsigned i = 0; i < 200001; i++) {
        (void)buf_add_char(&bytes, (char)(i * 7 + i / 251));
    }
    eio_payload_add(&payload, EIO_FORM_4, true, buf_str(&bytes));
    struct eio_payload p;
    struct eio_packet packet;
    eio_payload_begin(&p, EIO_FORM_4, buf_str(&payload));
    assert_ok(eio_payload_next(&p, &scratch, &packet));
    assert_true(packet.binary && str_eq(packet.data, buf_str(&bytes)));
    buf_fini(&bytes);
    buf_fini(&payload);
    buf_fini(&scratch);
}

TEST(packets_of_websockets_are_read)
{
    struct eio_packet p;
    assert_ok(eio_read_packet(EIO_FORM_4, false, STR("4a"), &p));
    assert_true(p.type == EIO_MESSAGE && !p.binary && str_eq(p.data, STR("a")));
    assert_ok(eio_read_packet(EIO_FORM_4, true, STR("\x01\x02"), &p));
    assert_true(p.binary && p.data.len == 2);
    assert_ok(eio_read_packet(EIO_FORM_3, true, STR("\x04\x01\x02"), &p));
    assert_true(p.binary && str_eq(p.data, STR("\x01\x02")));
    assert_err(eio_read_packet(EIO_FORM_3, true, STR("\x01\x02"), &p), ERR_SYNTAX);
    assert_err(eio_read_packet(EIO_FORM_3, true, STR(""), &p), ERR_SYNTAX);
    assert_err(eio_read_packet(EIO_FORM_4, false, STR(""), &p), ERR_SYNTAX);
    assert_err(eio_read_packet(EIO_FORM_4, false, STR("b"), &p), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_revision_4_are_read),
        cmocka_unit_test(what_is_wrong_in_revision_4_is_refused),
        cmocka_unit_test(payloads_of_revision_3_are_read),
        cmocka_unit_test(what_is_wrong_in_revision_3_is_refused),
        cmocka_unit_test(payloads_are_written),
        cmocka_unit_test(long_binary_comes_back_as_it_was),
        cmocka_unit_test(packets_of_websockets_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
