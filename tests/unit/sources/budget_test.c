/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "sources/budget.h"
#include "tests/lib/memory_store.h"

#define MONTH "budget:live:coingecko:2026-11"

struct world {
    struct memory_store *disk;
    struct budget_store store;
    struct budget *budget;
    uint64_t now_ms;
    int64_t wall_ms;
    uint32_t last_ticket;
    enum err last_err;
    unsigned taken, loaded;
};

static void on_taken(void *self, uint32_t ticket, enum err e)
{
    struct world *w = self;
    w->last_ticket = ticket;
    w->last_err = e;
    w->taken++;
}

static void on_loaded(void *self)
{
    ((struct world *)self)->loaded++;
}

static void start(struct world *w, uint32_t per_minute, uint64_t per_month, const char *mode)
{
    struct budget_opts opts = {
        .name = "coingecko",
        .per_minute = per_minute,
        .per_month = per_month,
        .store = w->disk ? &w->store : NULL,
        .taken = on_taken,
        .loaded = on_loaded,
        .self = w,
    };
    w->budget = budget_new(&opts, mode, w->now_ms, w->wall_ms);
}

static void init(struct world *w, bool disk)
{
    *w = (struct world){.now_ms = 1000};
    assert_ok(clock_parse_rfc3339(STR("2026-11-21T10:00:00Z"), &w->wall_ms));
    if (disk) {
        w->disk = memory_store_new();
        w->store = (struct budget_store)MEMORY_STORE_TABLE(w->disk);
    }
}

static void fini(struct world *w)
{
    budget_free(w->budget);
    if (w->disk) {
        memory_store_free(w->disk);
    }
}

static void pass(struct world *w, uint64_t ms)
{
    w->now_ms += ms;
    w->wall_ms += (int64_t)ms;
}

static uint64_t wait(struct world *w)
{
    return budget_wait_ms(w->budget, w->now_ms, w->wall_ms);
}

TEST(minute_is_a_sliding_window)
{
    struct world w;
    init(&w, false);
    start(&w, 3, 0, "live");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait(&w), 0);
        assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
        pass(&w, 10000);
    }
    assert_int_equal(budget_minute_used(w.budget, w.now_ms), 3);
    /* 30 s after the first: it must be out of the window, with half a second to spare. */
    assert_int_equal(wait(&w), 30500);
    pass(&w, 30500);
    assert_int_equal(wait(&w), 0);
    assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    assert_int_equal(wait(&w), 10000);
    fini(&w);
}

TEST(request_goes_out_only_after_its_count_is_on_the_disk)
{
    struct world w;
    init(&w, true);
    start(&w, 10, 10000, "live");
    assert_true(wait(&w) > 0); /* not loaded yet */
    memory_store_sync(w.disk);
    assert_int_equal(w.loaded, 1);
    assert_int_equal(wait(&w), 0);
    assert_false(budget_take(w.budget, 7, w.now_ms, w.wall_ms));
    assert_int_equal(w.taken, 0);
    assert_int_equal(memory_store_count(w.disk, MONTH), 0);
    memory_store_sync(w.disk);
    assert_int_equal(w.taken, 1);
    assert_int_equal(w.last_ticket, 7);
    assert_ok(w.last_err);
    assert_int_equal(memory_store_count(w.disk, MONTH), 1);
    assert_true(budget_idle(w.budget) && budget_durable(w.budget));
    fini(&w);
}

TEST(kill_9_forgets_no_request_that_went_out)
{
    struct world w;
    init(&w, true);
    unsigned gone_out = 0;
    for (int life = 0; life < 20; life++) {
        start(&w, 100, 10000, "live");
        memory_store_sync(w.disk);
        for (int i = 0; i < life % 4; i++) {
            assert_int_equal(wait(&w), 0);
            assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
            memory_store_sync(w.disk);
            gone_out++;
        }
        assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms)); /* dies before it is durable */
        memory_store_crash(w.disk);
        budget_free(w.budget);
        w.budget = NULL;
        pass(&w, 1000);
    }
    assert_int_equal(memory_store_count(w.disk, MONTH), gone_out);
    fini(&w);
}

TEST(minute_holds_over_a_restart)
{
    struct world w;
    init(&w, true);
    start(&w, 3, 0, "live");
    memory_store_sync(w.disk);
    for (int i = 0; i < 3; i++) {
        assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
        memory_store_sync(w.disk);
        pass(&w, 1000);
    }
    budget_free(w.budget);
    pass(&w, 5000);
    w.now_ms = 50; /* another boot: the monotonic clock began anew */
    start(&w, 3, 0, "live");
    memory_store_sync(w.disk);
    assert_int_equal(budget_minute_used(w.budget, w.now_ms), 3);
    assert_int_equal(wait(&w), 60500 - 8000);
    pass(&w, 60500 - 8000);
    assert_int_equal(wait(&w), 0);
    fini(&w);
}

TEST(month_ends_and_the_next_one_is_new)
{
    struct world w;
    init(&w, true);
    start(&w, 100, 5, "live");
    memory_store_sync(w.disk);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(wait(&w), 0);
        assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
        memory_store_sync(w.disk);
    }
    int64_t december = 0;
    assert_ok(clock_parse_rfc3339(STR("2026-12-01T00:00:00Z"), &december));
    assert_int_equal(wait(&w), december - w.wall_ms);
    pass(&w, (uint64_t)(december - w.wall_ms) - 1);
    assert_int_equal(wait(&w), 1);
    pass(&w, 1);
    assert_true(wait(&w) > 0); /* reads what December has used */
    memory_store_sync(w.disk);
    assert_int_equal(wait(&w), 0);
    assert_int_equal(budget_month_used(w.budget), 0);
    assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    memory_store_sync(w.disk);
    assert_int_equal(memory_store_count(w.disk, "budget:live:coingecko:2026-12"), 1);
    assert_int_equal(memory_store_count(w.disk, MONTH), 5);
    fini(&w);
}

static uint64_t spare_wait(struct world *w)
{
    return budget_spare_wait_ms(w->budget, w->now_ms, w->wall_ms);
}

TEST(what_can_be_done_without_leaves_half_of_the_minute)
{
    struct world w;
    init(&w, false);
    start(&w, 4, 0, "live");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spare_wait(&w), 0);
        assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    }
    assert_int_equal(wait(&w), 0);
    assert_true(spare_wait(&w) > 0);
    assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    assert_true(wait(&w) > 0 && spare_wait(&w) == wait(&w));
    pass(&w, 60500);
    assert_int_equal(spare_wait(&w), 0);
    fini(&w);
}

TEST(what_can_be_done_without_keeps_pace_with_the_month)
{
    const uint64_t day_ms = 24 * 3600 * 1000;
    struct world w;
    init(&w, false);
    assert_ok(clock_parse_rfc3339(STR("2026-11-01T00:00:00Z"), &w.wall_ms));
    start(&w, 6000, 1000, "live");
    for (int i = 0; i < 20; i++) { /* a fiftieth at once */
        assert_int_equal(spare_wait(&w), 0);
        assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    }
    assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    /* The rest but a fiftieth is for 30 days: one in 45 minutes. */
    assert_in_range(spare_wait(&w), 44 * 60000, 46 * 60000);
    assert_int_equal(wait(&w), 0); /* others may go on */
    pass(&w, 15 * day_ms);
    assert_int_equal(spare_wait(&w), 0);
    for (int i = 0; i < 480; i++) {
        assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    }
    assert_true(spare_wait(&w) > 0);
    pass(&w, 15 * day_ms - 1000); /* a second before the end a fiftieth is left */
    for (int i = 0; i < 478; i++) {
        assert_int_equal(spare_wait(&w), 0);
        assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    }
    pass(&w, 500);
    assert_int_equal(budget_month_used(w.budget), 979);
    assert_int_equal(spare_wait(&w), 0);
    assert_true(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    assert_true(spare_wait(&w) > 0);
    assert_int_equal(wait(&w), 0);
    fini(&w);
}

TEST(modes_never_share_a_count)
{
    struct world w;
    init(&w, true);
    start(&w, 100, 10, "live");
    memory_store_sync(w.disk);
    assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    memory_store_sync(w.disk);
    budget_set_mode(w.budget, "demo", w.now_ms, w.wall_ms);
    memory_store_sync(w.disk);
    assert_int_equal(budget_month_used(w.budget), 0);
    /* The one that showed that upstream is simulated was counted as live. */
    budget_give_back(w.budget, "live", w.wall_ms);
    assert_false(budget_take(w.budget, 1, w.now_ms, w.wall_ms));
    memory_store_sync(w.disk);
    assert_int_equal(memory_store_count(w.disk, MONTH), 0);
    assert_int_equal(memory_store_count(w.disk, "budget:demo:coingecko:2026-11"), 2);
    assert_int_equal(budget_month_used(w.budget), 2);
    fini(&w);
}

TEST(disk_that_fails_is_told_and_counting_goes_on)
{
    struct world w;
    init(&w, true);
    start(&w, 2, 10, "live");
    memory_store_sync(w.disk);
    memory_store_break(w.disk, ERR_IO);
    assert_false(budget_take(w.budget, 3, w.now_ms, w.wall_ms));
    memory_store_sync(w.disk);
    assert_int_equal(w.last_ticket, 3);
    assert_err(w.last_err, ERR_IO);
    assert_false(budget_durable(w.budget));
    assert_int_equal(budget_month_used(w.budget), 1);
    fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minute_is_a_sliding_window),
        cmocka_unit_test(request_goes_out_only_after_its_count_is_on_the_disk),
        cmocka_unit_test(kill_9_forgets_no_request_that_went_out),
        cmocka_unit_test(minute_holds_over_a_restart),
        cmocka_unit_test(month_ends_and_the_next_one_is_new),
        cmocka_unit_test(what_can_be_done_without_leaves_half_of_the_minute),
        cmocka_unit_test(what_can_be_done_without_keeps_pace_with_the_month),
        cmocka_unit_test(modes_never_share_a_count),
        cmocka_unit_test(disk_that_fails_is_told_and_counting_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
