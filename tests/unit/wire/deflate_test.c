/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "wire/deflate.h"

static const struct deflate_policy shared = {.shared = true, .server_window_bits = 10};
static const struct deflate_policy own = {.server_window_bits = 15};

/* The response to an offer; "-" when there is none, "!" when the header is malformed. */
static const char *answer(const char *offers, const struct deflate_policy *policy,
                          struct deflate_params *out)
{
    static struct buf response;
    buf_clear(&response);
    enum err e = deflate_negotiate(str_of(offers), policy, out, &response);
    if (e == ERR_NOT_FOUND || e == ERR_SYNTAX) {
        assert_int_equal(response.len, 0);
        buf_add_str(&response, str_of(e == ERR_SYNTAX ? "!" : "-"));
    } else {
        assert_int_equal(e, OK);
    }
    static char text[256];
    snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&response)));
    buf_fini(&response);
    return text;
}

static void offers_are_answered(void **state)
{
    (void)state;
#define PMD "permessage-deflate"
#define NONE "; server_no_context_takeover; client_no_context_takeover"
    static const struct {
        const char *offer, *when_shared, *when_own;
    } rows[] = {
        {PMD, PMD NONE, PMD},
        {"Permessage-Deflate", PMD NONE, PMD},
        {PMD "; client_max_window_bits", PMD NONE, PMD},
        {PMD ";client_max_window_bits=12", PMD NONE "; client_max_window_bits=12",
         PMD "; client_max_window_bits=12"},
        {PMD "; client_max_window_bits=\"8\"", PMD NONE "; client_max_window_bits=8",
         PMD "; client_max_window_bits=8"},
        {PMD "; server_max_window_bits=15", PMD NONE "; server_max_window_bits=10",
         PMD "; server_max_window_bits=15"},
        {PMD " ; server_max_window_bits = 10", PMD NONE "; server_max_window_bits=10",
         PMD "; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=9", "-", PMD "; server_max_window_bits=9"},
        {PMD "; server_max_window_bits=8", "-", "-"},
        {PMD "; server_max_window_bits=8, " PMD, PMD NONE, PMD},
        {PMD "; server_no_context_takeover", PMD NONE, PMD "; server_no_context_takeover"},
        {PMD "; client_no_context_takeover", PMD NONE, PMD "; client_no_context_takeover"},
        {"foo, bar; x=1, " PMD ", baz", PMD NONE, PMD},
        {",, " PMD ",", PMD NONE, PMD},
        {"", "-", "-"},
        {"x-webkit-deflate-frame", "-", "-"},
        {"permessage-deflate2", "-", "-"},
        /* declined: unknown, doubled, or not a value it may have */
        {PMD "; foo", "-", "-"},
        {PMD "; foo=1", "-", "-"},
        {PMD "; server_no_context_takeover; server_no_context_takeover", "-", "-"},
        {PMD "; server_no_context_takeover=1", "-", "-"},
        {PMD "; client_no_context_takeover=true", "-", "-"},
        {PMD "; server_max_window_bits", "-", "-"},
        {PMD "; server_max_window_bits=7", "-", "-"},
        {PMD "; server_max_window_bits=16", "-", "-"},
        {PMD "; server_max_window_bits=010", "-", "-"},
        {PMD "; server_max_window_bits=+9", "-", "-"},
        {PMD "; server_max_window_bits=10; server_max_window_bits=10", "-", "-"},
        {PMD "; client_max_window_bits=7", "-", "-"},
        {PMD "; client_max_window_bits=115", "-", "-"},
        {PMD "; client_max_window_bits; client_max_window_bits=9", "-", "-"},
        /* malformed */
        {PMD ";", "!", "!"},
        {PMD "; =1", "!", "!"},
        {PMD "; a=", "!", "!"},
        {PMD "; a=\"", "!", "!"},
        {PMD "; a=\"\"", "!", "!"},
        {PMD "; a=\"x y\"", "!", "!"},
        {PMD " " PMD, "!", "!"},
        {PMD ", @", "!", "!"},
        {"; a", "!", "!"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct deflate_params p;
        assert_string_equal(answer(rows[i].offer, &shared, &p), rows[i].when_shared);
        assert_string_equal(answer(rows[i].offer, &own, &p), rows[i].when_own);
    }
}

static void parameters_come_out_of_the_negotiation(void **state)
{
    (void)state;
    struct deflate_params p;
    answer("permessage-deflate; client_max_window_bits=12", &shared, &p);
    assert_true(p.server_no_context_takeover && p.client_no_context_takeover);
    assert_int_equal(p.server_max_window_bits, 10);
    assert_int_equal(p.client_max_window_bits, 12);
    answer("permessage-deflate; server_max_window_bits=11; client_max_window_bits", &own, &p);
    assert_false(p.server_no_context_takeover || p.client_no_context_takeover);
    assert_int_equal(p.server_max_window_bits, 11);
    assert_int_equal(p.client_max_window_bits, 15);
}

static void every_prefix_of_an_offer_is_safe(void **state)
{
    (void)state;
    static const char text[] = "a; b=\"c\", permessage-deflate; server_max_window_bits=\"12\"";
    for (size_t n = 0; n < sizeof(text); n++) {
        char *exact = malloc(n ? n : 1);
        struct deflate_params p;
        struct buf b = {0};
        memcpy(exact, text, n);
        enum err e = deflate_negotiate(str_make(exact, n), &own, &p, &b);
        assert_true(e == OK || e == ERR_NOT_FOUND || e == ERR_SYNTAX);
        buf_fini(&b);
        free(exact);
    }
}

static void answers_to_our_offer_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
        struct deflate_params params;
    } rows[] = {
        {PMD, OK, {false, false, 15, 15}},
        {PMD NONE, OK, {true, true, 15, 15}},
        {PMD "; server_max_window_bits=8; client_max_window_bits=9", OK, {false, false, 8, 9}},
        {PMD "; client_max_window_bits", ERR_PROTOCOL, {0}},
        {PMD "; client_max_window_bits=8", ERR_PROTOCOL, {0}},
        {PMD "; server_max_window_bits", ERR_PROTOCOL, {0}},
        {PMD "; foo", ERR_PROTOCOL, {0}},
        {PMD ", " PMD, ERR_PROTOCOL, {0}},
        {PMD ",", ERR_PROTOCOL, {0}},
        {"foo", ERR_PROTOCOL, {0}},
        {"", ERR_PROTOCOL, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct deflate_params p = {0};
        assert_int_equal(deflate_accept(str_of(rows[i].text), &p), rows[i].err);
        assert_memory_equal(&p, &rows[i].params, sizeof(p));
    }
    struct deflate_params p;
    struct buf response = {0};
    assert_int_equal(deflate_negotiate(deflate_offer(), &shared, &p, &response), OK);
    assert_int_equal(deflate_accept(buf_str(&response), &p), OK);
    buf_fini(&response);
}

/* ---- compression and inflation ---- */

/* Text that repeats a little, and bytes that do not. */
static void fill(struct buf *b, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        buf_add_char(b, (char)(seed >> 31 ? seed >> 24 : 'a' + i % 7));
    }
}

static void messages_come_back_whole_at_every_window_and_cut(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5, 200, 1000, 40000};
    for (unsigned bits = 9; bits <= 15; bits++) {
        for (unsigned reset = 0; reset < 2; reset++) {
            struct deflater *d = deflater_new((uint8_t)bits, 6, 8);
            struct inflater *i = inflater_new((uint8_t)bits);
            for (size_t k = 0; k < 2 * ARRAY_LEN(sizes); k++) {
                struct buf message = {0};
                struct buf packed = {0};
                struct buf back = {0};
                fill(&message, sizes[k / 2], (uint32_t)k / 4);
                assert_int_equal(deflater_message(d, buf_str(&message), reset, &packed), OK);
                size_t step = 1 + k * 37;
                for (size_t at = 0; at < packed.len; at += step) {
                    bool last = at + step >= packed.len;
                    struct str piece = str_sub(buf_str(&packed), at, step);
                    assert_int_equal(inflater_piece(i, piece, last, reset, &back), OK);
                }
                assert_true(str_eq(buf_str(&message), buf_str(&back)));
                buf_fini(&message);
                buf_fini(&packed);
                buf_fini(&back);
            }
            deflater_free(d);
            inflater_free(i);
        }
    }
}

static void without_takeover_each_message_stands_alone(void **state)
{
    (void)state;
    struct deflater *d = deflater_new(10, 1, 8);
    struct buf first = {0};
    struct buf second = {0};
    struct buf third = {0};
    struct str text = STR("the same text twice, the same text twice");
    assert_int_equal(deflater_message(d, text, true, &first), OK);
    assert_int_equal(deflater_message(d, text, true, &second), OK);
    assert_true(str_eq(buf_str(&first), buf_str(&second)));
    /* with takeover the second is shorter, and a reset afterwards forgets it */
    assert_int_equal(deflater_message(d, text, false, &third), OK);
    buf_clear(&third);
    assert_int_equal(deflater_message(d, text, false, &third), OK);
    assert_true(third.len < second.len);
    buf_clear(&third);
    assert_int_equal(deflater_message(d, text, true, &third), OK);
    assert_true(str_eq(buf_str(&first), buf_str(&third)));
    deflater_free(d);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&third);
}

static void empty_messages_are_one_byte(void **state)
{
    (void)state;
    struct deflater *d = deflater_new(15, 6, 8);
    struct inflater *i = inflater_new(15);
    struct buf b = {0};
    struct buf back = {0};
    for (int k = 0; k < 4; k++) {
        buf_clear(&b);
        assert_int_equal(deflater_message(d, STR(""), k == 3, &b), OK);
        assert_int_equal(b.len, k == 0 || k == 3 ? b.len : 1);
        assert_int_equal(inflater_piece(i, buf_str(&b), true, false, &back), OK);
        assert_int_equal(back.len, 0);
    }
    assert_int_equal(b.len, 1);
    assert_int_equal(b.ptr[0], 0);
    deflater_free(d);
    inflater_free(i);
    buf_fini(&b);
    buf_fini(&back);
}

/* The examples of RFC 7692, 7.2.3. */
static void rfc_examples_are_inflated(void **state)
{
    (void)state;
    static const struct {
        struct str packed, text;
        bool reset;
    } rows[] = {
        {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7}, {"Hello", 5}, true},
        {{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11}, {"Hello", 5}, true},
        {{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8}, {"Hello", 5}, true},
        {{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13}, {"Hello", 5}, false},
        {{"\xf2\x00\x11\x00\x00", 5}, {"Hello", 5}, true}, /* refers to the message before */
        {{"\x00", 1}, {"", 0}, true},
        {{"\xf3\x48\xcd\xc9\xc9\x07\x00", 7}, {"Hello", 5}, false}, /* ends with a final block */
        {{"\xf2\x00\x11\x00\x00", 5}, {"Hello", 5}, true},
    };
    for (size_t step = 1; step < 15; step++) {
        struct inflater *i = inflater_new(15);
        for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
            struct buf out = {0};
            for (size_t at = 0; at < rows[r].packed.len; at += step) {
                assert_int_equal(inflater_piece(i, str_sub(rows[r].packed, at, step),
                                                at + step >= rows[r].packed.len, rows[r].reset,
                                                &out),
                                 OK);
            }
            assert_true(str_eq(buf_str(&out), rows[r].text));
            buf_fini(&out);
        }
        inflater_free(i);
    }
}

static void bad_streams_are_refused_and_forgotten(void **state)
{
    (void)state;
    static const struct str bad[] = {
        {"\x07", 1},                         /* block of a reserved kind */
        {"\x00\x05\x00\x00\x00", 5},         /* stored length and its complement differ */
        {"\xf2\x00\x11\x00\x00", 5},         /* refers to what never was */
        {"\xf2\x48\xcd", 3},                 /* cut within a block */
        {"\x00\x05\x00\xfa\xff\x48\x65", 7}, /* cut within a stored block */
        {"", 0},
    };
    struct inflater *i = inflater_new(15);
    struct buf out = {0};
    buf_add_lit(&out, "kept");
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        assert_int_equal(inflater_piece(i, bad[k], true, false, &out), ERR_SYNTAX);
        assert_int_equal(out.len, 4);
        assert_int_equal(
            inflater_piece(i, str_make("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), true, true, &out), OK);
        assert_int_equal(out.len, 9);
        out.len = 4;
    }
    inflater_free(i);
    buf_fini(&out);
}

static void bombs_end_at_the_ceiling(void **state)
{
    (void)state;
    struct deflater *d = deflater_new(15, 9, 8);
    struct inflater *i = inflater_new(15);
    struct buf zeros = {0};
    struct buf packed = {0};
    struct buf out;
    for (size_t n = 0; n < 1 << 20; n++) {
        buf_add_char(&zeros, 0);
    }
    assert_int_equal(deflater_message(d, buf_str(&zeros), true, &packed), OK);
    assert_true(packed.len < 2000);
    buf_init(&out, 1 << 20);
    assert_int_equal(inflater_piece(i, buf_str(&packed), true, true, &out), OK);
    assert_int_equal(out.len, 1 << 20);
    buf_fini(&out);
    buf_init(&out, (1 << 20) - 1);
    assert_int_equal(inflater_piece(i, buf_str(&packed), true, true, &out), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    assert_true(out.cap <= (1 << 20) - 1);
    buf_fini(&out);
    deflater_free(d);
    inflater_free(i);
    buf_fini(&zeros);
    buf_fini(&packed);
}

static void full_output_stops_compression(void **state)
{
    (void)state;
    struct deflater *d = deflater_new(15, 6, 8);
    struct buf message = {0};
    fill(&message, 5000, 7);
    for (size_t max = 1; max < 40; max++) {
        struct buf out;
        buf_init(&out, max);
        buf_add_lit(&out, "x");
        assert_int_equal(deflater_message(d, buf_str(&message), true, &out), ERR_LIMIT);
        assert_int_equal(out.len, 1);
        buf_fini(&out);
    }
    struct buf out = {0};
    assert_int_equal(deflater_message(d, buf_str(&message), true, &out), OK);
    buf_fini(&out);
    deflater_free(d);
    buf_fini(&message);
}

static void memory_is_counted(void **state)
{
    (void)state;
    struct deflater *small = deflater_new(9, 1, 1);
    struct deflater *large = deflater_new(15, 6, 8);
    struct inflater *i = inflater_new(15);
    struct buf out = {0};
    size_t before = inflater_bytes(i);
    assert_true(deflater_bytes(small) < deflater_bytes(large));
    assert_in_range(deflater_bytes(large), 200000, 300000);
    assert_int_equal(inflater_piece(i, STR("\xf2\x48"), false, false, &out), OK);
    assert_true(inflater_bytes(i) >= before);
    deflater_free(small);
    deflater_free(large);
    deflater_free(NULL);
    inflater_free(i);
    inflater_free(NULL);
    buf_fini(&out);
}

static void gzip_bodies_are_inflated(void **state)
{
    (void)state;
    static const char hello[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xf3\x48\xcd\xc9\xc9\x07"
                                "\x00\x82\x89\xd1\xf7\x05\x00\x00\x00";
    struct str body = str_make(hello, sizeof(hello) - 1);
    struct buf out = {0};
    struct buf twice = {0};
    assert_int_equal(gzip_inflate(body, &out), OK);
    assert_true(str_eq(buf_str(&out), STR("Hello")));
    buf_clear(&out);
    for (size_t n = 0; n < body.len; n++) {
        assert_int_equal(gzip_inflate(str_sub(body, 0, n), &out), ERR_SYNTAX);
    }
    buf_add_str(&twice, body);
    buf_add_str(&twice, body);
    assert_int_equal(gzip_inflate(buf_str(&twice), &out), OK);
    assert_true(str_eq(buf_str(&out), STR("HelloHello")));
    twice.ptr[twice.len - 5] ^= 1; /* its checksum */
    assert_int_equal(gzip_inflate(buf_str(&twice), &out), ERR_SYNTAX);
    twice.len = body.len;
    buf_add_lit(&twice, "junk");
    assert_int_equal(gzip_inflate(buf_str(&twice), &out), ERR_SYNTAX);
    buf_fini(&out);
    buf_init(&out, 4);
    assert_int_equal(gzip_inflate(body, &out), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    buf_fini(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_answered),
        cmocka_unit_test(parameters_come_out_of_the_negotiation),
        cmocka_unit_test(every_prefix_of_an_offer_is_safe),
        cmocka_unit_test(answers_to_our_offer_are_checked),
        cmocka_unit_test(messages_come_back_whole_at_every_window_and_cut),
        cmocka_unit_test(without_takeover_each_message_stands_alone),
        cmocka_unit_test(empty_messages_are_one_byte),
        cmocka_unit_test(rfc_examples_are_inflated),
        cmocka_unit_test(bad_streams_are_refused_and_forgotten),
        cmocka_unit_test(bombs_end_at_the_ceiling),
        cmocka_unit_test(full_output_stops_compression),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(gzip_bodies_are_inflated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
