/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/recorder.h"
#include "wire/tape.h"

#include <sys/stat.h>

struct place {
    struct loop *loop;
    struct clock clock;
    char dir[200], path[256];
};

static void place_init(struct place *p)
{
    clock_init_virtual(&p->clock, 0, 1780753800000);
    struct loop_opts opts = {.io = IO_EPOLL, .clock = &p->clock};
    assert_ok(loop_new(&opts, &p->loop));
    snprintf(p->dir, sizeof(p->dir), "%s", test_make_dir());
    snprintf(p->path, sizeof(p->path), "%s/rec.jsonl", p->dir);
}

static void place_fini(struct place *p)
{
    loop_free(p->loop);
    test_remove_dir(p->dir);
}

static struct recorder *record_items(struct place *p, int from, int count)
{
    struct recorder *r = NULL;
    struct buf error = {0};
    assert_ok(recorder_open(p->loop, p->path, &r, &error));
    for (int i = from; i < from + count; i++) {
        const struct record item = {
            .time_ns = i, .source = STR("binance"), .kind = RECORD_WS_TEXT, .body = STR("tick")};
        recorder_add(r, &item);
    }
    loop_turn(p->loop, 0);
    buf_fini(&error);
    return r;
}

/* Items 0.. in order, each line whole; gives their number. */
static int count_items(struct place *p)
{
    struct buf text = {0}, scratch = {0};
    struct record item;
    int count = 0;
    assert_true(test_read_file(p->path, &text));
    assert_true(text.len == 0 || text.ptr[text.len - 1] == '\n');
    struct str rest = buf_str(&text), line;
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        assert_ok(record_read(line, &item, &scratch));
        assert_int_equal(item.time_ns, count);
        count++;
    }
    buf_fini(&text);
    buf_fini(&scratch);
    return count;
}

TEST(items_are_in_the_file_at_the_end_of_the_turn)
{
    struct place p;
    struct stat st;
    place_init(&p);
    struct recorder *r = record_items(&p, 0, 50);
    assert_int_equal(count_items(&p), 50);
    assert_int_equal(recorder_items(r), 50);
    assert_int_equal(stat(p.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    recorder_close(r);
    place_fini(&p);
}

TEST(cut_line_of_an_earlier_run_is_removed_and_appending_goes_on)
{
    struct place p;
    place_init(&p);
    recorder_close(record_items(&p, 0, 3));
    FILE *f = fopen(p.path, "a");
    assert_non_null(f);
    fputs("{\"v\":1,\"t\":3,\"source\":\"bin", f);
    fclose(f);
    recorder_close(record_items(&p, 3, 2));
    assert_int_equal(count_items(&p), 5);
    place_fini(&p);
}

TEST(file_of_something_else_is_refused_and_left_alone)
{
    struct place p;
    struct recorder *r = NULL;
    struct buf error = {0}, text = {0};
    place_init(&p);
    FILE *f = fopen(p.path, "w");
    assert_non_null(f);
    fputs("dear diary,\nno line break at the end", f);
    fclose(f);
    assert_err(recorder_open(p.loop, p.path, &r, &error), ERR_SYNTAX);
    assert_contains(buf_str(&error), "something else than a recording");
    assert_true(test_read_file(p.path, &text));
    assert_buf(&text, "dear diary,\nno line break at the end");
    buf_fini(&error);
    buf_fini(&text);
    place_fini(&p);
}

TEST(closing_writes_what_is_gathered)
{
    struct place p;
    struct recorder *r = NULL;
    struct buf error = {0};
    place_init(&p);
    assert_ok(recorder_open(p.loop, p.path, &r, &error));
    const struct record item = {.time_ns = 0, .source = STR("x"), .kind = RECORD_WS_TEXT};
    recorder_add(r, &item);
    recorder_close(r);
    loop_turn(p.loop, 0);
    assert_int_equal(count_items(&p), 1);
    place_fini(&p);
}

TEST(an_item_that_no_reader_would_take_is_left_out)
{
    struct place p;
    struct recorder *r = NULL;
    struct buf error = {0};
    place_init(&p);
    assert_ok(recorder_open(p.loop, p.path, &r, &error));
    char *huge = malloc(TAPE_LINE_MAX);
    assert_non_null(huge);
    memset(huge, 'x', TAPE_LINE_MAX);
    struct record item = {.source = STR("binance"), .kind = RECORD_HTTP, .status = 200};
    recorder_add(r, &item);
    item.body = str_make(huge, TAPE_LINE_MAX);
    recorder_add(r, &item);
    item = (struct record){.time_ns = 1, .source = STR("binance"), .kind = RECORD_WS_TEXT};
    recorder_add(r, &item);
    recorder_close(r);
    assert_int_equal(count_items(&p), 2);
    free(huge);
    place_fini(&p);
}

TEST(full_disk_stops_recording_and_nothing_else)
{
    struct place p;
    const char *reason = NULL;
    place_init(&p);
    snprintf(p.path, sizeof(p.path), "/dev/full");
    struct recorder *r = record_items(&p, 0, 1);
    assert_false(recorder_healthy(r, &reason));
    assert_contains(str_of(reason), "No space left");
    assert_int_equal(recorder_items(r), 0);
    recorder_close(r);
    place_fini(&p);
}

TEST(place_that_cannot_be_written_is_said)
{
    struct place p;
    struct recorder *r = NULL;
    struct buf error = {0};
    place_init(&p);
    assert_true(recorder_open(p.loop, "/nowhere/at/all", &r, &error) != OK);
    assert_contains(buf_str(&error), "cannot record to /nowhere/at/all: No such file");
    const struct record item = {.time_ns = 0, .source = STR("x"), .kind = RECORD_WS_TEXT};
    recorder_add(NULL, &item); /* no recorder: nothing happens */
    buf_fini(&error);
    place_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_in_the_file_at_the_end_of_the_turn),
        cmocka_unit_test(cut_line_of_an_earlier_run_is_removed_and_appending_goes_on),
        cmocka_unit_test(file_of_something_else_is_refused_and_left_alone),
        cmocka_unit_test(closing_writes_what_is_gathered),
        cmocka_unit_test(an_item_that_no_reader_would_take_is_left_out),
        cmocka_unit_test(full_disk_stops_recording_and_nothing_else),
        cmocka_unit_test(place_that_cannot_be_written_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
