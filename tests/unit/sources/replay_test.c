/* Replay under virtual time: the same callbacks at the same virtual times, at any speed.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/replay.h"

/* ---- a player that writes down all that happens ---- */

struct player {
    struct clock clock;
    struct loop *loop;
    struct replay *replay;
    struct timer each_100_ms, once;
    struct defer defer, defer_again;
    struct buf log;
    uint64_t in_item;
    bool takes_event_time;
    bool stop_at_end;
};

static void note(struct player *p, const char *what)
{
    buf_printf(&p->log, "%llu %lld %llu %s\n", (unsigned long long)clock_mono_us(&p->clock),
               (long long)clock_wall_us(&p->clock), (unsigned long long)loop_now_us(p->loop), what);
}

static void on_100_ms(void *self)
{
    struct player *p = self;
    note(p, "each 100 ms");
    timer_start(p->loop, &p->each_100_ms, loop_now_ms(p->loop) + 100, on_100_ms, p);
}

static void on_once(void *self)
{
    note(self, "once");
}

static void on_defer_again(void *self)
{
    struct player *p = self;
    note(p, "deferred again");
    timer_start(p->loop, &p->once, loop_now_ms(p->loop), on_once, p);
}

static void on_defer(void *self)
{
    struct player *p = self;
    note(p, "deferred");
    loop_defer(p->loop, &p->defer_again, on_defer_again, p);
}

static void on_item(void *self, const struct tape_item *item)
{
    struct player *p = self;
    char what[64];
    snprintf(what, sizeof(what), "item %.*s", (int)min_size(item->frame.len, 40), item->frame.ptr);
    note(p, what);
    if (++p->in_item % 3 == 0) {
        loop_defer(p->loop, &p->defer, on_defer, p);
    }
}

static int64_t on_event_time(void *self, const struct tape_item *item)
{
    struct player *p = self;
    size_t at = str_find_str(item->frame, STR("\"T\":"));
    int64_t ms = 0;
    if (!p->takes_event_time || at == SIZE_MAX ||
        str_to_i64(str_sub(item->frame, at + 4, 13), &ms) != OK) {
        return 0;
    }
    return ms * 1000000;
}

static void on_ended(void *self)
{
    struct player *p = self;
    buf_printf(&p->log, "ended\n");
    if (p->stop_at_end) {
        loop_stop(p->loop);
    }
}

static void begin(struct player *p, const char *paths, double speed)
{
    struct buf error = {0};
    clock_init_virtual(&p->clock, 5000, 77);
    const struct loop_opts lo = {.clock = &p->clock, .quiet_fallback = true};
    assert_ok(loop_new(&lo, &p->loop));
    const struct replay_opts o = {.loop = p->loop,
                                  .clock = &p->clock,
                                  .paths = paths,
                                  .speed = speed,
                                  .self = p,
                                  .item = on_item,
                                  .event_time = on_event_time,
                                  .ended = on_ended};
    assert_ok(replay_open(&o, &p->replay, &error));
    assert_int_equal(error.len, 0);
}

static void end(struct player *p)
{
    timer_stop(p->loop, &p->each_100_ms);
    timer_stop(p->loop, &p->once);
    replay_free(p->replay);
    loop_free(p->loop);
    buf_fini(&p->log);
}

static void play(struct player *p, const char *paths, double speed)
{
    begin(p, paths, speed);
    p->stop_at_end = true;
    timer_start(p->loop, &p->each_100_ms, 5100, on_100_ms, p);
    replay_run(p->replay);
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "wbe");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

/* ---- tests ---- */

TEST(every_event_stands_at_its_own_virtual_time)
{
    static const char tape[] = "1700000000000000000 a\n"
                               "1700000000100000000 b\n"
                               "1700000000099000000 c\n" /* before b: right behind it */
                               "1700000000150000999 d\n"
                               "not a line\n"
                               "1700000000300000000 e\n"
                               "17000000";
    struct player p = {0};
    struct replay_stats stats;
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.txt", dir);
    write_file(path, tape, sizeof(tape) - 1);
    play(&p, path, 0);
    assert_buf(&p.log, "5000000 1700000000000000 5000000 item a\n"
                       "5100000 1700000000100000 5100000 each 100 ms\n"
                       "5100000 1700000000100000 5100000 item b\n"
                       "5100000 1700000000100000 5100000 item c\n"
                       "5100000 1700000000100000 5100000 deferred\n"
                       "5100000 1700000000100000 5100000 deferred again\n"
                       "5100000 1700000000100000 5100000 once\n"
                       "5150000 1700000000150000 5150000 item d\n"
                       "5200000 1700000000200000 5200000 each 100 ms\n"
                       "5300000 1700000000300000 5300000 each 100 ms\n"
                       "5300000 1700000000300000 5300000 item e\n"
                       "ended\n");
    replay_stats(p.replay, &stats);
    assert_int_equal(stats.items, 5);
    assert_int_equal(stats.left_out, 2);
    assert_int_equal(stats.backwards, 1);
    assert_true(stats.ended);
    end(&p);
    test_remove_dir(dir);
}

TEST(items_without_a_time_take_the_events_or_go_right_behind_the_one_before)
{
    static const char tape[] = "{\"x\":0}\n"
                               "{\"T\":1700000000500}\n"
                               "{\"x\":1}\n"
                               "{\"T\":1700000000700}\n";
    struct player p = {.takes_event_time = true};
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.ndjson", dir);
    write_file(path, tape, sizeof(tape) - 1);
    play(&p, path, 0);
    assert_buf(&p.log, "5000000 1700000000500000 5000000 item {\"x\":0}\n"
                       "5000000 1700000000500000 5000000 item {\"T\":1700000000500}\n"
                       "5000000 1700000000500000 5000000 item {\"x\":1}\n"
                       "5000000 1700000000500000 5000000 deferred\n"
                       "5000000 1700000000500000 5000000 deferred again\n"
                       "5000000 1700000000500000 5000000 once\n"
                       "5100000 1700000000600000 5100000 each 100 ms\n"
                       "5200000 1700000000700000 5200000 each 100 ms\n"
                       "5200000 1700000000700000 5200000 item {\"T\":1700000000700}\n"
                       "ended\n");
    end(&p);
    /* Nothing tells a time: the wall clock stays where it was. */
    struct player q = {0};
    play(&q, path, 0);
    assert_true(str_starts(buf_str(&q.log), STR("5000000 77000 5000000 item {\"x\":0}\n")));
    end(&q);
    test_remove_dir(dir);
}

/* A pseudo-random tape of `count` items, up to 15 ms apart, in two files. */
static void write_tapes(const char *first, const char *second, size_t count)
{
    struct buf text = {0};
    int64_t time_ns = 1700000000000000000;
    uint32_t x = 12345;
    for (size_t i = 0; i < count; i++) {
        x = x * 1664525 + 1013904223;
        time_ns += (x >> 8) % 5 == 0 ? 0 : (int64_t)(x >> 8) % 15000000 - 10000;
        buf_printf(&text, "%lld {\"n\":%zu}\n", (long long)time_ns, i);
        if (i == count / 2) {
            write_file(first, text.ptr, text.len);
            buf_clear(&text);
        }
    }
    write_file(second, text.ptr, text.len);
    buf_fini(&text);
}

static void check_speeds(const char *paths, uint64_t items)
{
    static const double speeds[] = {0, 0, 100000, 1000};
    struct buf first = {0};
    for (size_t i = 0; i < ARRAY_LEN(speeds); i++) {
        struct player p = {0};
        struct replay_stats stats;
        play(&p, paths, speeds[i]);
        replay_stats(p.replay, &stats);
        assert_int_equal(stats.items, items);
        if (i == 0) {
            buf_add_str(&first, buf_str(&p.log));
        }
        assert_true(str_eq(buf_str(&p.log), buf_str(&first)));
        end(&p);
    }
    buf_fini(&first);
}

TEST(the_log_is_the_same_byte_for_byte_at_any_speed)
{
    char first[256], second[256], both[600];
    const char *dir = test_make_dir();
    snprintf(first, sizeof(first), "%s/a.txt", dir);
    snprintf(second, sizeof(second), "%s/b.txt", dir);
    snprintf(both, sizeof(both), "%s,%s", first, second);
    write_tapes(first, second, 20000); /* some 150 virtual seconds */
    check_speeds(both, 20000);
    test_remove_dir(dir);
}

TEST(a_real_session_is_the_same_at_any_speed)
{
    char paths[1024];
    if (!fixture_root()) {
        skip();
    }
    snprintf(
        paths, sizeof(paths),
        "%s/ws/binance/spot_btcusdt_20240808.txt.gz,%s/ws/binance/spot_btcusdt_20240809.txt.gz",
        fixture_root(), fixture_root());
    check_speeds(paths, 41249 + 58325);
}

/* ---- pace, letters, and the end ---- */

TEST(a_speed_is_kept_in_real_time)
{
    static const char tape[] = "1700000000000000000 a\n1700000002000000000 b\n";
    struct player p = {0};
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.txt", dir);
    write_file(path, tape, sizeof(tape) - 1);
    uint64_t start_us = clock_mono_us(clock_real());
    play(&p, path, 20);
    /* Early by less than the millisecond that waits are counted in; late the machine may be. */
    assert_true(clock_mono_us(clock_real()) - start_us >= 99000);
    end(&p);
    test_remove_dir(dir);
}

struct knock {
    struct player *player;
    struct collect_hook hook;
    uint64_t seen_us;
};

static void on_turn(void *self)
{
    struct knock *k = self;
    uint64_t now_us = clock_mono_us(&k->player->clock);
    assert_true(now_us >= k->seen_us);
    k->seen_us = now_us;
    note(k->player, "turn");
}

TEST(what_comes_from_other_threads_is_served_while_waiting_and_moves_no_time)
{
    static const char tape[] = "1700000000000000000 a\n1700000001000000000 b\n";
    struct player p = {.stop_at_end = true};
    struct knock k = {.player = &p};
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.txt", dir);
    write_file(path, tape, sizeof(tape) - 1);
    begin(&p, path, 10);
    loop_add_collect(p.loop, &k.hook, on_turn, &k);
    loop_wake(p.loop); /* as another thread would */
    replay_run(p.replay);
    /* Between the two items there was a turn for the wake-up, at the time of the first. */
    assert_contains(buf_str(&p.log), "item a\n5000000 1700000000000000 5000000 turn\n"
                                     "5000000 1700000000000000 5000000 turn\n");
    assert_contains(buf_str(&p.log), "6000000 1700000001000000 6000000 item b\n");
    loop_remove_collect(&k.hook);
    end(&p);
    test_remove_dir(dir);
}

struct later {
    struct player *player;
    struct timer timer;
    int64_t wall_ms;
};

static void on_later(void *self)
{
    struct later *x = self;
    x->wall_ms = loop_wall_ms(x->player->loop);
    loop_stop(x->player->loop);
}

TEST(after_the_end_time_runs_on_from_there)
{
    static const char tape[] = "1700000000000000000 a\n1700000009000000000 b\n";
    struct player p = {0};
    struct later x = {.player = &p};
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.txt", dir);
    write_file(path, tape, sizeof(tape) - 1);
    begin(&p, path, 0);
    timer_start(p.loop, &x.timer, 5000 + 9000 + 20, on_later, &x);
    replay_run(p.replay);
    assert_contains(buf_str(&p.log), "14000000 1700000009000000 14000000 item b\nended\n");
    assert_true(x.wall_ms >= 1700000009020 && x.wall_ms < 1700000009020 + 60000);
    assert_false(p.clock.is_virtual);
    end(&p);
    test_remove_dir(dir);
}

TEST(a_stop_ends_a_replay_under_way)
{
    static const char tape[] = "1700000000000000000 a\n1800000000000000000 b\n";
    struct player p = {0};
    char path[256];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape.txt", dir);
    write_file(path, tape, sizeof(tape) - 1);
    begin(&p, path, 1);
    loop_stop(p.loop);
    replay_run(p.replay);
    struct replay_stats stats;
    replay_stats(p.replay, &stats);
    assert_false(stats.ended);
    end(&p);
    test_remove_dir(dir);
}

TEST(files_that_cannot_be_read_are_named)
{
    struct replay *r = NULL;
    struct buf error = {0};
    struct clock clock;
    struct loop *l = NULL;
    clock_init_virtual(&clock, 0, 0);
    const struct loop_opts lo = {.clock = &clock, .quiet_fallback = true};
    assert_ok(loop_new(&lo, &l));
    struct replay_opts o = {.loop = l, .clock = &clock, .paths = "/nowhere/tape"};
    assert_err(replay_open(&o, &r, &error), ERR_NOT_FOUND);
    assert_buf(&error, "cannot read /nowhere/tape: No such file or directory");
    buf_clear(&error);
    o.paths = "/tmp";
    assert_err(replay_open(&o, &r, &error), ERR_NOT_FOUND);
    assert_buf(&error, "cannot read /tmp: it is a folder");
    buf_fini(&error);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_stands_at_its_own_virtual_time),
        cmocka_unit_test(items_without_a_time_take_the_events_or_go_right_behind_the_one_before),
        cmocka_unit_test(the_log_is_the_same_byte_for_byte_at_any_speed),
        cmocka_unit_test(a_real_session_is_the_same_at_any_speed),
        cmocka_unit_test(a_speed_is_kept_in_real_time),
        cmocka_unit_test(what_comes_from_other_threads_is_served_while_waiting_and_moves_no_time),
        cmocka_unit_test(after_the_end_time_runs_on_from_there),
        cmocka_unit_test(a_stop_ends_a_replay_under_way),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
