/* SPDX-License-Identifier: MIT */
#include "tools/frame_walk.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Written here and not with wire/ws.h, so that an error in one place can't hide in the other. */
static void add_frame(struct buf *out, uint8_t first, const char *payload, size_t len)
{
    buf_add_char(out, (char)first);
    if (len < 126) {
        buf_add_char(out, (char)len);
    } else if (len < 65536) {
        buf_add(out, (char[]){126, (char)(len >> 8), (char)len}, 3);
    } else {
        buf_add(out, (char[]){127, 0, 0, 0, 0, 0, (char)(len >> 16), (char)(len >> 8), (char)len},
                9);
    }
    buf_add(out, payload, len);
}

struct log {
    struct buf text;
    size_t frames;
    bool stop;
    size_t stop_after;
};

static void note(void *self, const struct frame_seen *f)
{
    struct log *log = self;
    size_t shown = min_size(f->head.len, 3);
    buf_printf(&log->text, "%u%s%s %llu/%zu %.*s;", f->opcode, f->fin ? "" : "-",
               f->deflated ? "z" : "", (unsigned long long)f->payload_len, f->head.len, (int)shown,
               f->head.ptr);
    log->frames++;
    log->stop = log->frames == log->stop_after;
}

static void sample(struct buf *out)
{
    static char large[70000];
    memset(large, 'x', sizeof large);
    add_frame(out, 0x81, "hello", 5);
    add_frame(out, 0x89, "", 0);
    add_frame(out, 0x81, large, 125);
    add_frame(out, 0x82, large, 126);
    add_frame(out, 0x81, large, 4000);
    add_frame(out, 0xc1, large, 2000);
    add_frame(out, 0x01, "abc", 3);
    add_frame(out, 0x81, large, 70000);
    add_frame(out, 0x81, "end", 3);
}

static const char expected[] = "1 5/5 hel;9 0/0 ;1 125/125 xxx;2 126/126 xxx;1 4000/512 xxx;"
                               "1z 2000/2000 xxx;1- 3/3 abc;1 70000/512 xxx;1 3/3 end;";

static void finds_the_same_frames_however_the_bytes_are_cut(void **state)
{
    (void)state;
    struct buf bytes = {0};
    sample(&bytes);
    static const size_t cuts[] = {1, 2, 3, 7, 64, 511, 512, 513, 4096, 100000};
    for (size_t c = 0; c < ARRAY_LEN(cuts); c++) {
        struct frame_walk w = {0};
        struct log log = {0};
        for (size_t at = 0; at < bytes.len; at += cuts[c]) {
            size_t len = min_size(cuts[c], bytes.len - at);
            assert_int_equal(frame_walk_feed(&w, bytes.ptr + at, len, &log.stop, note, &log), OK);
        }
        assert_string_equal(buf_text(&log.text), expected);
        assert_null(w.carry);
        frame_walk_fini(&w);
        buf_fini(&log.text);
    }
    buf_fini(&bytes);
}

static void refuses_masked_frames_and_unknown_extensions(void **state)
{
    (void)state;
    static const char masked[] = {(char)0x81, (char)0x80}, reserved[] = {(char)0xa1, 0};
    struct frame_walk w = {0};
    struct log log = {0};
    assert_int_equal(frame_walk_feed(&w, masked, 2, &log.stop, note, &log), ERR_PROTOCOL);
    assert_int_equal(frame_walk_feed(&w, reserved, 2, &log.stop, note, &log), ERR_PROTOCOL);
    assert_int_equal(log.frames, 0);
}

static void refuses_a_compressed_frame_beyond_the_limit(void **state)
{
    (void)state;
    static const char huge[] = {(char)0xc1, 127, 0, 0, 0, 0, 1, 0, 0, 0};
    struct frame_walk w = {0};
    struct log log = {0};
    assert_int_equal(frame_walk_feed(&w, huge, sizeof huge, &log.stop, note, &log), ERR_LIMIT);
}

static void stops_when_told(void **state)
{
    (void)state;
    struct buf bytes = {0};
    sample(&bytes);
    struct frame_walk w = {0};
    struct log log = {.stop_after = 2};
    assert_int_equal(frame_walk_feed(&w, bytes.ptr, bytes.len, &log.stop, note, &log), OK);
    assert_int_equal(log.frames, 2);
    buf_fini(&log.text);
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_same_frames_however_the_bytes_are_cut),
        cmocka_unit_test(refuses_masked_frames_and_unknown_extensions),
        cmocka_unit_test(refuses_a_compressed_frame_beyond_the_limit),
        cmocka_unit_test(stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
