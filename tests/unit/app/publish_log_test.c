/* SPDX-License-Identifier: MIT */
#include "app/publish_log.h"

#include "tests/lib/test.h"

struct world {
    struct clock clock;
    struct loop *loop;
    struct hub *hub;
    const struct channel_info *news, *prices;
    const char *dir;
    char path[256];
};

static void begin(struct world *w)
{
    *w = (struct world){.dir = test_make_dir()};
    clock_init_virtual(&w->clock, 5000, 1700000000000);
    assert_ok(loop_new(&(struct loop_opts){.clock = &w->clock, .quiet_fallback = true}, &w->loop));
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    assert_ok(hub_channel(w->hub, STR("app:news"), STR("message"), CHANNEL_EVENT, &w->news));
    assert_ok(hub_channel(w->hub, STR("prices"), STR("prices"), CHANNEL_STATE, &w->prices));
    snprintf(w->path, sizeof(w->path), "%s/publish.log", w->dir);
}

static void end(struct world *w)
{
    hub_free(w->hub);
    loop_free(w->loop);
    test_remove_dir(w->dir);
}

/* The line that a message with that payload must give, for the next seq. */
static void expect(struct world *w, struct buf *out, const char *channel, const char *payload)
{
    char cursor[CURSOR_LEN + 1];
    hub_cursor(w->hub, hub_next_seq(w->hub), cursor);
    buf_printf(out, "%s %s %s\n", cursor, channel, payload);
}

static void assert_file(const char *path, struct buf *expected)
{
    struct buf text = {0};
    assert_true(test_read_file(path, &text));
    assert_buf(&text, buf_text(expected));
    buf_fini(&text);
}

TEST(every_message_is_a_line_in_the_order_of_the_hub)
{
    struct world w;
    struct publish_log *p = NULL;
    struct buf error = {0}, expected = {0};
    begin(&w);
    assert_ok(publish_log_open(w.loop, w.hub, w.path, &p, &error));
    expect(&w, &expected, "app:news", "{\"a\":1}");
    hub_publish(w.hub, w.news, 0, STR("{\"a\":1}"));
    expect(&w, &expected, "prices", "{\"a\":{\"as_of\":\"x\"},\"b\":{\"as_of\":null,\"c\":1}}");
    hub_publish(w.hub, w.prices, 0,
                STR("{\"a\":{\"as_of\":\"x\",\"age_s\":0.5},"
                    "\"b\":{\"as_of\":null,\"age_s\":null,\"c\":1}}"));
    expect(&w, &expected, "app:news", "{\"a\":1,\"age_s\":2}");
    hub_publish(w.hub, w.news, 0, STR("{\"a\":1,\"age_s\":2}"));
    expect(&w, &expected, "app:news", "{  \"b\": \"\\n\" }");
    hub_publish(w.hub, w.news, 0, STR("{\r\n\"b\": \"\\n\"\n}"));
    publish_log_close(p);
    hub_publish(w.hub, w.news, 0, STR("{\"unheard\":1}"));
    assert_file(w.path, &expected);
    /* Opened again it goes on behind. */
    assert_ok(publish_log_open(w.loop, w.hub, w.path, &p, &error));
    expect(&w, &expected, "app:news", "{\"c\":1}");
    hub_publish(w.hub, w.news, 0, STR("{\"c\":1}"));
    publish_log_close(p);
    assert_file(w.path, &expected);
    buf_fini(&expected);
    end(&w);
}

TEST(lines_are_written_soon_in_real_time_while_the_clock_stands)
{
    struct world w;
    struct publish_log *p = NULL;
    struct buf error = {0}, expected = {0}, text = {0};
    begin(&w);
    assert_ok(publish_log_open(w.loop, w.hub, w.path, &p, &error));
    for (int round = 0; round < 2; round++) {
        uint64_t start_us = clock_mono_us(clock_real());
        expect(&w, &expected, "app:news", "{}");
        hub_publish(w.hub, w.news, 0, STR("{}"));
        do {
            loop_turn_real(w.loop, 1000);
            buf_clear(&text);
            assert_true(test_read_file(w.path, &text));
            assert_true(clock_mono_us(clock_real()) - start_us < 20000000);
        } while (text.len < expected.len);
        assert_buf(&text, buf_text(&expected));
    }
    publish_log_close(p);
    assert_file(w.path, &expected);
    buf_fini(&expected);
    buf_fini(&text);
    end(&w);
}

TEST(a_full_disk_stops_it_and_is_said)
{
    struct world w;
    struct publish_log *p = NULL;
    struct buf error = {0};
    const char *reason = NULL;
    begin(&w);
    assert_ok(publish_log_open(w.loop, w.hub, "/dev/full", &p, &error));
    assert_true(publish_log_healthy(p, &reason));
    struct buf large = {0};
    while (large.len < (size_t)300 << 10) {
        buf_add_lit(&large, "\"0123456789\",");
    }
    hub_publish(w.hub, w.news, 0, buf_str(&large));
    hub_publish(w.hub, w.news, 0, STR("{}"));
    assert_false(publish_log_healthy(p, &reason));
    assert_string_equal(reason, "publish log stopped: No space left on device");
    publish_log_close(p);
    publish_log_close(NULL);
    assert_true(publish_log_healthy(NULL, &reason));
    buf_fini(&large);
    end(&w);
}

TEST(a_file_that_cannot_be_made_is_named)
{
    struct world w;
    struct publish_log *p = NULL;
    struct buf error = {0};
    begin(&w);
    assert_err(publish_log_open(w.loop, w.hub, "/nowhere/x", &p, &error), ERR_NOT_FOUND);
    assert_buf(&error, "cannot write the publish log to /nowhere/x: No such file or directory");
    assert_null(p);
    buf_fini(&error);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_a_line_in_the_order_of_the_hub),
        cmocka_unit_test(lines_are_written_soon_in_real_time_while_the_clock_stands),
        cmocka_unit_test(a_full_disk_stops_it_and_is_said),
        cmocka_unit_test(a_file_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
