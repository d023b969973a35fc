/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/ws.h"

/* What a decoder said, as one line of text a test can compare: data pieces are joined. */
struct said {
    struct buf text;
    bool in_data;
};

static const char *opcode_name(enum ws_opcode opcode)
{
    return opcode == WS_TEXT ? "text" : opcode == WS_BINARY ? "binary" : "?";
}

static void note(struct said *s, const struct ws_item *item)
{
    if (item->kind == WS_ITEM_DATA) {
        if (!s->in_data) {
            buf_printf(&s->text, "%s%s:", item->deflated ? "deflated " : "",
                       opcode_name(item->opcode));
        }
        s->in_data = true;
        assert_true(item->data.len > 0);
        buf_add_str(&s->text, item->data);
        return;
    }
    if (item->kind == WS_ITEM_END) {
        if (!s->in_data) {
            buf_printf(&s->text, "%s%s:", item->deflated ? "deflated " : "",
                       opcode_name(item->opcode));
        }
        buf_add_lit(&s->text, ";");
        s->in_data = false;
        return;
    }
    /* A control frame does not end the message it interrupts: shown in brackets. */
    buf_printf(&s->text, "[%s",
               item->kind == WS_ITEM_PING    ? "ping "
               : item->kind == WS_ITEM_PONG  ? "pong "
               : item->kind == WS_ITEM_CLOSE ? "close "
                                             : "error ");
    if (item->kind == WS_ITEM_CLOSE || item->kind == WS_ITEM_ERROR) {
        buf_printf(&s->text, "%u ", item->code);
    }
    if (item->kind == WS_ITEM_ERROR) {
        assert_non_null(item->reason);
    } else {
        buf_add_str(&s->text, item->data);
    }
    buf_add_lit(&s->text, "]");
}

/* Feeds bytes cut in pieces of `step` (the first piece is `first` long); false after an error. */
static bool feed(struct ws_decoder *d, struct str input, size_t first, size_t step, struct said *s)
{
    size_t at = 0;
    size_t n = first;
    while (at < input.len) {
        n = min_size(n ? n : step, input.len - at);
        char *copy = mem_copy_text(input.ptr + at, n);
        char *bytes = copy;
        size_t len = n;
        struct ws_item item;
        do {
            ws_decode(d, &bytes, &len, &item);
            if (item.kind != WS_ITEM_NONE) {
                note(s, &item);
            }
        } while (item.kind != WS_ITEM_NONE && item.kind != WS_ITEM_ERROR);
        mem_free(copy);
        if (item.kind == WS_ITEM_ERROR) {
            return false;
        }
        assert_int_equal(len, 0);
        at += n;
        n = step;
    }
    return true;
}

/* After an error, how much of the unfinished message came out before depends on the pieces. */
static struct str comparable(struct buf *text)
{
    struct str all = buf_str(text);
    size_t error = str_find_str(all, STR("[error"));
    if (error == SIZE_MAX) {
        return all;
    }
    size_t keep = error;
    while (keep > 0 && all.ptr[keep - 1] != ';' && all.ptr[keep - 1] != ']') {
        keep--;
    }
    memmove(text->ptr + keep, text->ptr + error, all.len - error);
    text->len = keep + all.len - error;
    return buf_str(text);
}

/* Decodes whole, byte by byte, and cut at every place: the same each time, and as expected. */
static void expect(struct ws_decoder settings, struct str input, const char *expected)
{
    for (size_t cut = 0; cut <= input.len + 1; cut++) {
        struct ws_decoder d = settings;
        struct said s = {0};
        bool fine = cut > input.len ? feed(&d, input, 1, 1, &s)
                                    : feed(&d, input, cut, max_size(input.len, 1), &s);
        struct str said = comparable(&s.text);
        if (!str_eq(said, str_of(expected))) {
            fail_msg("cut at %zu: \"%.*s\", expected \"%s\"", cut, STR_ARG(said), expected);
        }
        if (fine && said.len && said.ptr[said.len - 1] == ';') {
            assert_true(ws_decoder_idle(&d));
        }
        buf_fini(&s.text);
    }
}

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
static const struct ws_decoder server = {0};
static const struct ws_decoder client = {.client = true};

/* A frame as a client sends it, whatever it breaks. */
static void raw_frame(struct buf *out, unsigned first, bool masked, struct str payload)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, WS_TEXT, false, payload.len);
    header[0] = (uint8_t)first;
    header[1] |= masked ? 0x80 : 0;
    buf_add(out, header, n);
    if (masked) {
        buf_add(out, key, 4);
    }
    buf_add_str(out, payload);
    if (masked) {
        ws_mask(out->ptr + out->len - payload.len, payload.len, key, 0);
    }
}

/* ---- the examples of RFC 6455, 5.7 ---- */

static void rfc_examples_are_read(void **state)
{
    (void)state;
    expect(client, STR("\x81\x05\x48\x65\x6c\x6c\x6f"), "text:Hello;");
    expect(server, STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "text:Hello;");
    expect(client, STR("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), "text:Hello;");
    expect(client, STR("\x89\x05\x48\x65\x6c\x6c\x6f"), "[ping Hello]");
    expect(server, STR("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "[pong Hello]");
}

static void lengths_around_each_form_are_read_and_written(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 127, 128, 65535, 65536, 65537};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned masked = 0; masked < 2; masked++) {
            struct buf payload = {0};
            struct buf frame = {0};
            struct said s = {0};
            for (size_t n = 0; n < sizes[i]; n++) {
                buf_add_char(&payload, (char)('a' + n % 26));
            }
            ws_frame(&frame, WS_BINARY, true, false, buf_str(&payload), masked ? key : NULL);
            size_t header = sizes[i] < 126 ? 2 : sizes[i] <= 65535 ? 4 : 10;
            assert_int_equal(frame.len, header + (masked ? 4 : 0) + sizes[i]);
            struct ws_decoder d = masked ? server : client;
            assert_true(feed(&d, buf_str(&frame), 1000, 997, &s));
            assert_true(ws_decoder_idle(&d));
            assert_int_equal(s.text.len, 7 + sizes[i] + 1);
            if (sizes[i]) {
                assert_memory_equal(s.text.ptr + 7, payload.ptr, sizes[i]);
            }
            buf_fini(&payload);
            buf_fini(&frame);
            buf_fini(&s.text);
        }
    }
}

static void control_frames_pass_between_fragments(void **state)
{
    (void)state;
    struct buf b = {0};
    raw_frame(&b, 0x01, true, STR("He"));
    raw_frame(&b, 0x89, true, STR("1"));
    raw_frame(&b, 0x00, true, STR(""));
    raw_frame(&b, 0x8a, true, STR(""));
    raw_frame(&b, 0x80, true, STR("llo"));
    raw_frame(&b, 0x82, true, STR(""));
    expect(server, buf_str(&b), "text:He[ping 1][pong ]llo;binary:;");
    buf_fini(&b);
}

static void character_may_be_cut_by_fragments_and_control_frames(void **state)
{
    (void)state;
    struct buf b = {0};
    raw_frame(&b, 0x01, true, STR("\xf0\x9f"));
    raw_frame(&b, 0x89, true, STR("x"));
    raw_frame(&b, 0x00, true, STR("\x98"));
    raw_frame(&b, 0x80, true, STR("\x80!"));
    struct ws_decoder d = server;
    struct said s = {0};
    assert_true(feed(&d, buf_str(&b), 1, 1, &s));
    assert_string_equal(buf_text(&s.text), "text:\xf0\x9f[ping x]\x98\x80!;");
    buf_fini(&b);
    buf_fini(&s.text);
}

/* ---- violations ---- */

static void masking_rules_hold_for_both_roles(void **state)
{
    (void)state;
    expect(server, STR("\x81\x05Hello"), "[error 1002 ]");
    expect(client, STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "[error 1002 ]");
    expect(server, STR("\x88\x00"), "[error 1002 ]");
}

static void reserved_bits_are_refused(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits < 8; bits++) {
        struct buf b = {0};
        raw_frame(&b, 0x81 | bits << 4, true, STR("x"));
        expect(server, buf_str(&b), "[error 1002 ]");
        struct ws_decoder d = server;
        d.deflate = true;
        expect(d, buf_str(&b), bits == 4 ? "deflated text:x;" : "[error 1002 ]");
        buf_fini(&b);
    }
    struct ws_decoder d = client;
    d.deflate = true;
    expect(d, STR("\xc9\x00"), "[error 1002 ]");
    expect(d, STR("\x41\x01x\xc0\x01y"), "[error 1002 ]");
    expect(d, STR("\x41\x01\xffx\x80\x01\xff"), "[error 1002 ]");
    expect(d, STR("\x41\x01\xff\x80\x01\xff"), "deflated text:\xff\xff;");
    expect(d, STR("\xc2\x00"), "deflated binary:;");
}

static void reserved_opcodes_are_refused(void **state)
{
    (void)state;
    static const unsigned reserved[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        char frame[] = {(char)(0x80 | reserved[i]), 0};
        expect(client, str_make(frame, 2), "[error 1002 ]");
    }
}

static void control_frames_are_whole_and_short(void **state)
{
    (void)state;
    struct buf b = {0};
    char big[126] = {0};
    expect(client, STR("\x09\x00"), "[error 1002 ]");
    expect(client, STR("\x0a\x00"), "[error 1002 ]");
    expect(client, STR("\x08\x00"), "[error 1002 ]");
    memset(big, 'p', sizeof(big));
    raw_frame(&b, 0x89, false, str_make(big, 126));
    expect(client, buf_str(&b), "[error 1002 ]");
    buf_clear(&b);
    raw_frame(&b, 0x89, false, str_make(big, 125));
    struct ws_decoder d = client;
    struct said s = {0};
    assert_true(feed(&d, buf_str(&b), 3, 7, &s));
    assert_int_equal(s.text.len, 6 + 125 + 1);
    assert_memory_equal(s.text.ptr + 6, big, 125);
    expect(client, STR("\x88\x7f"), "[error 1002 ]");
    buf_fini(&b);
    buf_fini(&s.text);
}

static void lengths_must_be_minimal_and_below_two_to_the_63(void **state)
{
    (void)state;
    expect(client, STR("\x82\x7e\x00\x7d"), "[error 1002 ]");
    expect(client, STR("\x82\x7e\x00\x00"), "[error 1002 ]");
    expect(client, STR("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), "[error 1002 ]");
    expect(client, STR("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05"), "[error 1002 ]");
    expect(client, STR("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "[error 1002 ]");
    expect(client, STR("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), "[error 1002 ]");
    /* the greatest there is: fine until its bytes fail to come */
    expect(client, STR("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffxy"), "binary:xy");
}

static void fragments_must_follow_a_start_and_each_other(void **state)
{
    (void)state;
    expect(client, STR("\x80\x01x"), "[error 1002 ]");
    expect(client, STR("\x00\x01x"), "[error 1002 ]");
    expect(client, STR("\x01\x01x\x81\x01y"), "[error 1002 ]");
    expect(client, STR("\x01\x01x\x02\x01y"), "[error 1002 ]");
    expect(client, STR("\x81\x01x\x80\x01y"), "text:x;[error 1002 ]");
}

static void close_frames_are_judged(void **state)
{
    (void)state;
    expect(client, STR("\x88\x00"), "[close 1005 ]");
    expect(client, STR("\x88\x01\x03"), "[error 1002 ]");
    expect(client, STR("\x88\x02\x03\xe8"), "[close 1000 ]");
    expect(client,
           STR("\x88\x05\x03\xe9"
               "bye"),
           "[close 1001 bye]");
    expect(client, STR("\x88\x04\x03\xe8\xc3\xa9"), "[close 1000 \xc3\xa9]");
    expect(client, STR("\x88\x03\x03\xe8\xc3"), "[error 1007 ]");
    expect(client, STR("\x88\x04\x03\xe8\xc0\x80"), "[error 1007 ]");
    for (uint32_t code = 0; code <= 65535; code++) {
        bool allowed =
            (code >= 3000 && code <= 4999) ||
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
        assert_int_equal(ws_close_code_valid((uint16_t)code), allowed);
        char frame[4] = {(char)0x88, 2, (char)(code >> 8), (char)(code & 0xff)};
        char *bytes = frame;
        size_t len = 4;
        struct ws_decoder d = client;
        struct ws_item item;
        ws_decode(&d, &bytes, &len, &item);
        assert_int_equal(item.kind, allowed ? WS_ITEM_CLOSE : WS_ITEM_ERROR);
        assert_int_equal(item.code, allowed ? code : 1002);
    }
}

static void limits_end_the_connection(void **state)
{
    (void)state;
    struct ws_decoder d = client;
    d.max_message = 5;
    expect(d, STR("\x82\x05hello"), "binary:hello;");
    expect(d, STR("\x82\x06"), "[error 1009 ]");
    expect(d, STR("\x02\x03hel\x80\x03"), "[error 1009 ]");
    expect(d, STR("\x02\x03hel\x80\x02lo\x82\x05world"), "binary:hello;binary:world;");
    d.max_message = 0;
    d.max_fragments = 2;
    expect(d, STR("\x02\x01x\x00\x01x\x80\x01x"), "[error 1008 ]");
    expect(d, STR("\x02\x01x\x89\x00\x80\x01y\x82\x00"), "binary:x[ping ]y;binary:;");
}

static void message_length_does_not_wrap(void **state)
{
    (void)state;
    struct ws_decoder d = client;
    char header[] = "\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
    struct ws_item item;
    /* as if 2^63 + 1 bytes of fragments had come */
    d.message_opcode = WS_BINARY;
    d.message_len = (1ULL << 63) + 1;
    char *bytes = header;
    size_t len = 10;
    ws_decode(&d, &bytes, &len, &item);
    assert_int_equal(item.kind, WS_ITEM_ERROR);
    assert_int_equal(item.code, WS_CLOSE_TOO_LARGE);
}

static void error_is_final(void **state)
{
    (void)state;
    struct ws_decoder d = client;
    struct ws_item item;
    char bad[] = "\xff\x81\x00";
    char *bytes = bad;
    size_t len = 3;
    ws_decode(&d, &bytes, &len, &item);
    assert_int_equal(item.kind, WS_ITEM_ERROR);
    ws_decode(&d, &bytes, &len, &item);
    assert_int_equal(item.kind, WS_ITEM_ERROR);
    assert_false(ws_decoder_idle(&d));
}

/* ---- UTF-8 ---- */

/* The plain definition (RFC 3629), to hold the fast one against: how long a valid prefix of
 * characters, started ones included, `s` has. */
static size_t valid_prefix(const uint8_t *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint8_t c = s[i];
        size_t n = c < 0x80                 ? 0
                   : c >= 0xc2 && c <= 0xdf ? 1
                   : c >= 0xe0 && c <= 0xef ? 2
                   : c >= 0xf0 && c <= 0xf4 ? 3
                                            : 9;
        if (n == 9) {
            return i;
        }
        for (size_t k = 1; k <= n; k++) {
            if (i + k == len) {
                return len;
            }
            uint8_t low = 0x80;
            uint8_t high = 0xbf;
            if (k == 1) {
                low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
                high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
            }
            if (s[i + k] < low || s[i + k] > high) {
                return i + k;
            }
        }
        i += n + 1;
    }
    return len;
}

static void utf8_is_judged_at_the_first_wrong_byte(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfe, 0xff};
    enum { E = ARRAY_LEN(edges) };
    for (size_t n = 0; n < (size_t)E * E * E * E; n++) {
        uint8_t text[4] = {edges[n % E], edges[n / E % E], edges[n / E / E % E],
                           edges[n / E / E / E]};
        size_t valid = valid_prefix(text, 4);
        uint8_t s = 0;
        uint32_t code = 0;
        for (size_t i = 0; i < 4; i++) {
            bool ok = ws_utf8_check(&s, &code, (char *)&text[i], 1);
            assert_int_equal(ok, i < valid);
            if (!ok) {
                break;
            }
        }
        s = 0;
        code = 0;
        assert_int_equal(ws_utf8_check(&s, &code, (char *)text, 4), valid == 4);
        if (valid == 4) {
            assert_int_equal(s == 0, str_is_utf8(str_make((char *)text, 4)));
        }
    }
}

static void long_ascii_around_characters_is_checked(void **state)
{
    (void)state;
    char text[128];
    for (size_t at = 0; at + 3 <= sizeof(text); at++) {
        uint8_t s = 0;
        uint32_t code = 0;
        memset(text, 'a', sizeof(text));
        memcpy(text + at, "\xe2\x82\xac", 3);
        assert_true(ws_utf8_check(&s, &code, text, sizeof(text)));
        assert_int_equal(s, 0);
        text[at + 2] = 'a';
        assert_false(ws_utf8_check(&s, &code, text, sizeof(text)));
    }
}

static void bad_text_fails_before_the_frame_is_whole(void **state)
{
    (void)state;
    expect(client, STR("\x81\x7e\x01\x00ok\xc0"), "[error 1007 ]");
    expect(client, STR("\x81\x7e\x01\x00\xed\xa0"), "[error 1007 ]");
    expect(client, STR("\x81\x7e\x01\x00\xf4\x90"), "[error 1007 ]");
    expect(client, STR("\x81\x01\xc3"), "[error 1007 ]");
    expect(client, STR("\x01\x01\xc3\x80\x00"), "[error 1007 ]");
    expect(client, STR("\x01\x01\xc3\x80\x01\xa9"), "text:\xc3\xa9;");
    expect(client, STR("\x82\x01\xc3"), "binary:\xc3;");
    /* the state does not leak into the next message */
    expect(client, STR("\x01\x02\xe2\x82\x80\x01\xac\x81\x01x"), "text:\xe2\x82\xac;text:x;");
}

/* ---- encoding ---- */

static void masking_is_the_same_at_every_length_and_offset(void **state)
{
    (void)state;
    char fast[100];
    for (size_t len = 0; len <= sizeof(fast) - 8; len++) {
        for (uint32_t offset = 0; offset < 8; offset++) {
            char *at = fast + offset % 3; /* not aligned */
            memset(fast, 'z', sizeof(fast));
            ws_mask(at, len, key, offset);
            for (size_t i = 0; i < len; i++) {
                assert_int_equal((uint8_t)at[i], 'z' ^ key[(i + offset) & 3]);
            }
            assert_int_equal(at[len], 'z');
        }
    }
}

static void headers_are_written_in_their_shortest_form(void **state)
{
    (void)state;
    uint8_t h[WS_HEADER_MAX];
    assert_int_equal(ws_header(h, WS_TEXT, false, 125), 2);
    assert_memory_equal(h, "\x81\x7d", 2);
    assert_int_equal(ws_header(h, WS_BINARY, true, 126), 4);
    assert_memory_equal(h, "\xc2\x7e\x00\x7e", 4);
    assert_int_equal(ws_header(h, WS_TEXT, false, 65535), 4);
    assert_memory_equal(h, "\x81\x7e\xff\xff", 4);
    assert_int_equal(ws_header(h, WS_TEXT, false, 65536), 10);
    assert_memory_equal(h, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
}

static void frame_that_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    ws_frame(&b, WS_TEXT, true, false, STR("12345678"), NULL);
    assert_int_equal(b.len, 10);
    ws_frame(&b, WS_TEXT, true, false, STR(""), NULL);
    assert_true(b.failed);
    assert_int_equal(b.len, 10);
    buf_fini(&b);
    buf_init(&b, 10);
    ws_frame(&b, WS_TEXT, true, false, STR("123456789"), NULL);
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void fragments_are_written_without_fin(void **state)
{
    (void)state;
    struct buf b = {0};
    ws_frame(&b, WS_TEXT, false, false, STR("a"), NULL);
    ws_frame(&b, WS_CONTINUATION, false, false, STR("b"), NULL);
    ws_frame(&b, WS_CONTINUATION, true, false, STR("c"), NULL);
    assert_memory_equal(b.ptr,
                        "\x01\x01"
                        "a\x00\x01"
                        "b\x80\x01"
                        "c",
                        9);
    expect(client, buf_str(&b), "text:abc;");
    buf_fini(&b);
}

static void close_reason_is_cut_to_whole_characters(void **state)
{
    (void)state;
    struct buf b = {0};
    struct buf reason = {0};
    ws_close_frame(&b, WS_CLOSE_NO_CODE, STR("dropped"), NULL);
    assert_int_equal(b.len, 2);
    assert_memory_equal(b.ptr, "\x88\x00", 2);
    buf_clear(&b);
    ws_close_frame(&b, WS_CLOSE_GOING_AWAY, STR("bye"), key);
    expect(server, buf_str(&b), "[close 1001 bye]");
    for (size_t ascii = 115; ascii <= 125; ascii++) {
        buf_clear(&b);
        buf_clear(&reason);
        for (size_t i = 0; i < ascii; i++) {
            buf_add_char(&reason, 'r');
        }
        buf_add_lit(&reason, "\xf0\x9f\x98\x80");
        ws_close_frame(&b, WS_CLOSE_NORMAL, buf_str(&reason), NULL);
        size_t kept = ascii + 4 <= 123 ? ascii + 4 : min_size(ascii, 123);
        assert_int_equal(b.len, 2 + 2 + kept);
        struct ws_decoder d = client;
        struct said s = {0};
        assert_true(feed(&d, buf_str(&b), 0, b.len, &s));
        buf_fini(&s.text);
    }
    buf_fini(&b);
    buf_fini(&reason);
}

static void handshake_keys(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN + 1];
    char made[WS_KEY_LEN + 1];
    ws_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_make_key((const uint8_t *)"the sample nonce", made);
    assert_string_equal(made, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_true(ws_key_valid(str_of(made)));
    assert_false(ws_key_valid(STR("")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ===")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQAA")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25j.Q==")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZ===")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_examples_are_read),
        cmocka_unit_test(lengths_around_each_form_are_read_and_written),
        cmocka_unit_test(control_frames_pass_between_fragments),
        cmocka_unit_test(character_may_be_cut_by_fragments_and_control_frames),
        cmocka_unit_test(masking_rules_hold_for_both_roles),
        cmocka_unit_test(reserved_bits_are_refused),
        cmocka_unit_test(reserved_opcodes_are_refused),
        cmocka_unit_test(control_frames_are_whole_and_short),
        cmocka_unit_test(lengths_must_be_minimal_and_below_two_to_the_63),
        cmocka_unit_test(fragments_must_follow_a_start_and_each_other),
        cmocka_unit_test(close_frames_are_judged),
        cmocka_unit_test(limits_end_the_connection),
        cmocka_unit_test(message_length_does_not_wrap),
        cmocka_unit_test(error_is_final),
        cmocka_unit_test(utf8_is_judged_at_the_first_wrong_byte),
        cmocka_unit_test(long_ascii_around_characters_is_checked),
        cmocka_unit_test(bad_text_fails_before_the_frame_is_whole),
        cmocka_unit_test(masking_is_the_same_at_every_length_and_offset),
        cmocka_unit_test(headers_are_written_in_their_shortest_form),
        cmocka_unit_test(frame_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(fragments_are_written_without_fin),
        cmocka_unit_test(close_reason_is_cut_to_whole_characters),
        cmocka_unit_test(handshake_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
