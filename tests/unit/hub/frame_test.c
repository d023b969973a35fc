/* SPDX-License-Identifier: MIT */
#include "hub/frame.h"

#include "tests/lib/test.h"
#include "wire/deflate.h"

static struct channel_info news = {.name = (char *)(uintptr_t) "app:news",
                                   .type = (char *)(uintptr_t) "message",
                                   .event = (char *)(uintptr_t) "message",
                                   .class = CHANNEL_EVENT};

static void append_once(const char *payload, enum frame_form form, const char *epoch,
                        struct buf *out)
{
    struct frame *f = frame_new(&news, 0, 7, 0, str_of(payload), (struct str){0});
    frame_append(f, form, str_of(epoch), NULL, out);
    frame_unref(f);
}

TEST(a_websocket_client_gets_one_unmasked_text_frame)
{
    struct buf out = {0};
    append_once("{\"a\":1}", FORM_WS, "e", &out);
    assert_buf(&out, "\x81\x07{\"a\":1}");
    buf_fini(&out);
}

TEST(an_sse_client_gets_an_event_in_a_chunk_of_its_own)
{
    struct buf out = {0};
    append_once("{\"a\":1}", FORM_SSE, "e", &out);
    assert_buf(&out, "00000026\r\nevent: message\nid: e-7\ndata: {\"a\":1}\n\n\r\n");
    assert_int_equal(0x26, strlen("event: message\nid: e-7\ndata: {\"a\":1}\n\n"));
    buf_fini(&out);
}

TEST(without_an_epoch_an_event_has_no_id)
{
    struct buf out = {0};
    append_once("1", FORM_SSE, "", &out);
    assert_buf(&out, "00000018\r\nevent: message\ndata: 1\n\n\r\n");
    buf_fini(&out);
}

TEST(line_ends_in_a_payload_do_not_end_the_event)
{
    struct buf out = {0};
    append_once("{\n\"a\":\r\n1\r}", FORM_SSE, "e", &out);
    assert_contains(buf_str(&out), "\ndata: {\ndata: \"a\":\ndata: 1\ndata: }\n\n\r\n");
    buf_fini(&out);
}

TEST(poll_messages_are_parted_by_commas)
{
    struct buf out = {0};
    append_once("1", FORM_POLL, "e", &out);
    append_once("2", FORM_POLL, "e", &out);
    frame_append_text(FORM_POLL, STR("x"), STR("3"), &out);
    assert_buf(&out, "1,2,3");
    buf_fini(&out);
}

TEST(a_notice_has_no_id)
{
    struct buf out = {0};
    frame_append_text(FORM_SSE, STR("gap"), STR("{}"), &out);
    assert_buf(&out, "00000015\r\nevent: gap\ndata: {}\n\n\r\n");
    buf_clear(&out);
    frame_append_text(FORM_WS_DEFLATE, STR("gap"), STR("{}"), &out);
    assert_buf(&out, "\x81\x02{}");
    buf_fini(&out);
}

TEST(a_compressed_frame_is_made_once_and_inflates_to_the_same_text)
{
    struct buf text = {0};
    struct buf out = {0};
    struct buf back = {0};
    for (int i = 0; i < 200; i++) {
        buf_printf(&text, "{\"price\":%d},", i);
    }
    struct frame *f = frame_new(&news, 0, 7, 0, buf_str(&text), (struct str){0});
    struct deflater *d = deflater_new(12, 1, 5);
    frame_append(f, FORM_WS_DEFLATE, STR("e"), d, &out);
    void *made = f->packed[PACK_DEFLATED];
    size_t len = out.len;
    assert_non_null(made);
    assert_true(len < text.len);
    frame_append(f, FORM_WS_DEFLATE, STR("e"), NULL, &out); /* of another shard: nothing to make */
    assert_ptr_equal(f->packed[PACK_DEFLATED], made);
    assert_int_equal(out.len, 2 * len);
    assert_memory_equal(out.ptr, out.ptr + len, len);
    assert_int_equal((uint8_t)out.ptr[0], 0xc1);
    assert_int_equal((uint8_t)out.ptr[1], 126);
    struct inflater *in = inflater_new(12);
    assert_ok(inflater_piece(in, str_make(out.ptr + 4, len - 4), true, true, &back));
    assert_true(str_eq(buf_str(&back), buf_str(&text)));
    inflater_free(in);
    deflater_free(d);
    frame_unref(f);
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&back);
}

TEST(short_messages_stay_plain)
{
    struct buf out = {0};
    struct deflater *d = deflater_new(12, 1, 5);
    struct frame *f = frame_new(&news, 0, 7, 0, STR("short"), (struct str){0});
    frame_append(f, FORM_WS_DEFLATE, STR("e"), d, &out);
    assert_buf(&out, "\x81\x05short");
    assert_null(f->packed[PACK_DEFLATED]);
    frame_unref(f);
    deflater_free(d);
    buf_fini(&out);
}

/* A message as published, its data named. */
static struct frame *news_frame(size_t padding)
{
    struct buf text = {0};
    buf_add_lit(&text, "{\"type\":\"message\",\"data\":{\"n\":1,\"pad\":\"");
    for (size_t i = 0; i < padding; i++) {
        buf_add_char(&text, 'x');
    }
    buf_add_lit(&text, "\"}}");
    struct str payload = buf_str(&text);
    struct frame *f = frame_new(&news, 0, 7, 0, payload, str_sub(payload, 25, payload.len - 26));
    buf_fini(&text);
    return f;
}

TEST(socket_io_gets_an_event_with_the_data_and_the_cursor_last)
{
    struct buf out = {0};
    struct frame *f = news_frame(0);
    frame_append(f, FORM_SIO_WS, STR("e"), NULL, &out);
    assert_buf(&out, "\x81\x24"
                     "42[\"message\",{\"n\":1,\"pad\":\"\"},\"e-7\"]");
    buf_clear(&out);
    frame_append(f, FORM_SIO_WS, (struct str){0}, NULL, &out);
    assert_contains(buf_str(&out), "\"pad\":\"\"}]");
    buf_clear(&out);
    frame_append(f, FORM_SIO_PACKETS, STR("e"), NULL, &out);
    frame_append_text(FORM_SIO_PACKETS, STR("conflated"), STR("{\"n\":2}"), &out);
    assert_buf(&out, "\x1e"
                     "42[\"message\",{\"n\":1,\"pad\":\"\"},\"e-7\"]"
                     "\x1e"
                     "42[\"conflated\",{\"n\":2}]");
    frame_unref(f);
    buf_clear(&out);
    append_once("[1]", FORM_SIO_WS, "e", &out); /* no data named: all of it is the argument */
    assert_buf(&out, "\x81\x17"
                     "42[\"message\",[1],\"e-7\"]");
    buf_fini(&out);
}

TEST(a_compressed_packet_is_made_once_and_only_with_its_cursor)
{
    struct buf out = {0};
    struct buf back = {0};
    struct deflater *d = deflater_new(12, 1, 5);
    struct inflater *in = inflater_new(12);
    struct frame *f = news_frame(1000);
    frame_append(f, FORM_SIO_WS_DEFLATE, (struct str){0}, d, &out);
    assert_null(f->packed[PACK_SIO_DEFLATED]);
    buf_clear(&out);
    frame_append(f, FORM_SIO_WS_DEFLATE, STR("e"), d, &out);
    assert_non_null(f->packed[PACK_SIO_DEFLATED]);
    assert_true(out.len < 100);
    assert_int_equal((uint8_t)out.ptr[0], 0xc1);
    assert_ok(inflater_piece(in, str_make(out.ptr + 2, out.len - 2), true, true, &back));
    assert_true(str_starts(buf_str(&back), STR("42[\"message\",{\"n\":1,\"pad\":\"xxx")));
    assert_true(str_ends(buf_str(&back), STR("x\"},\"e-7\"]")));
    frame_unref(f);
    inflater_free(in);
    deflater_free(d);
    buf_fini(&out);
    buf_fini(&back);
}

TEST(messagepack_goes_as_a_binary_frame_that_is_made_once)
{
    struct buf out = {0};
    struct frame *f = frame_new(&news, 0, 7, 0, STR("{\"a\":1}"), (struct str){0});
    frame_append(f, FORM_MSGPACK, STR("e"), NULL, &out);
    const void *made = f->packed[PACK_MSGPACK];
    assert_non_null(made);
    frame_append(f, FORM_MSGPACK, STR("e"), NULL, &out);
    assert_ptr_equal(f->packed[PACK_MSGPACK], made);
    frame_append_text(FORM_MSGPACK, STR("gap"), STR("[]"), &out);
    assert_buf(&out, "\x82\x04\x81\xa1"
                     "a\x01\x82\x04\x81\xa1"
                     "a\x01\x82\x01\x90");
    frame_unref(f);
    buf_fini(&out);
}

TEST(messagepack_is_compressed_by_the_rule_of_json)
{
    struct buf text = {0}, plain = {0}, out = {0}, back = {0};
    struct deflater *d = deflater_new(12, 1, 5);
    struct inflater *in = inflater_new(12);
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, "%s{\"price\":%d}", i ? "," : "[", i);
    }
    buf_add_char(&text, ']');
    struct frame *f = frame_new(&news, 0, 7, 0, buf_str(&text), (struct str){0});
    frame_append(f, FORM_MSGPACK, STR("e"), d, &plain);
    frame_append(f, FORM_MSGPACK_DEFLATE, STR("e"), d, &out);
    assert_non_null(f->packed[PACK_MSGPACK_DEFLATED]);
    assert_true(out.len < plain.len / 2);
    assert_int_equal((uint8_t)out.ptr[0], 0xc2);
    assert_int_equal((uint8_t)out.ptr[1], 126);
    assert_ok(inflater_piece(in, str_from(buf_str(&out), 4), true, true, &back));
    assert_true(str_eq(buf_str(&back), str_from(buf_str(&plain), 4)));
    frame_unref(f);
    /* A delta pays sooner; what would not get smaller goes as it is. */
    struct str row =
        STR("{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}");
    struct frame_text t = {.json = row, .deflate_min = FRAME_DEFLATE_MIN_DELTA};
    buf_clear(&out);
    frame_append_message(FORM_MSGPACK_DEFLATE, &t, STR("e"), d, &out);
    assert_int_equal((uint8_t)out.ptr[0], 0xc2);
    t.deflate_min = FRAME_DEFLATE_MIN;
    buf_clear(&out);
    frame_append_message(FORM_MSGPACK_DEFLATE, &t, STR("e"), d, &out);
    assert_int_equal((uint8_t)out.ptr[0], 0x82);
    t = (struct frame_text){.json = STR("[1]"), .deflate_min = 1};
    buf_clear(&out);
    frame_append_message(FORM_MSGPACK_DEFLATE, &t, STR("e"), d, &out);
    assert_buf(&out, "\x82\x02\x91\x01");
    inflater_free(in);
    deflater_free(d);
    buf_fini(&text), buf_fini(&plain), buf_fini(&out), buf_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_websocket_client_gets_one_unmasked_text_frame),
        cmocka_unit_test(an_sse_client_gets_an_event_in_a_chunk_of_its_own),
        cmocka_unit_test(without_an_epoch_an_event_has_no_id),
        cmocka_unit_test(line_ends_in_a_payload_do_not_end_the_event),
        cmocka_unit_test(poll_messages_are_parted_by_commas),
        cmocka_unit_test(a_notice_has_no_id),
        cmocka_unit_test(a_compressed_frame_is_made_once_and_inflates_to_the_same_text),
        cmocka_unit_test(short_messages_stay_plain),
        cmocka_unit_test(socket_io_gets_an_event_with_the_data_and_the_cursor_last),
        cmocka_unit_test(a_compressed_packet_is_made_once_and_only_with_its_cursor),
        cmocka_unit_test(messagepack_goes_as_a_binary_frame_that_is_made_once),
        cmocka_unit_test(messagepack_is_compressed_by_the_rule_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
