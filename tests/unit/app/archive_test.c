/* SPDX-License-Identifier: MIT */
#include "app/archive.h"

#include "base/clock.h"
#include "tests/lib/test.h"

static void nothing_loaded(void *self UNUSED, uint32_t symbol UNUSED, enum market_venue v UNUSED,
                           enum interval i UNUSED, size_t missing UNUSED)
{
}

/* db_close() turns the loop for the writes under way: timers that are due then must not write. */
TEST(a_stopped_archive_writes_nothing_while_the_database_closes)
{
    struct clock clock;
    struct loop *l = NULL;
    struct db *db = NULL;
    struct buf error = {0};
    const char *dir = test_make_dir();
    clock_init_virtual(&clock, 1000, 0);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &clock}, &l));
    struct work_pool *pool = work_pool_new(1);
    assert_ok(db_open(dir, pool, l, &db, &error));
    struct market *market = market_new(&(struct market_opts){0});
    struct candles *candles = candles_new(&(struct candles_opts){0});
    struct archive *a = archive_new(&(struct archive_opts){
        .loop = l, .db = db, .market = market, .candles = candles, .loaded = nothing_loaded});
    archive_stop(a);
    clock_advance_us(&clock, (uint64_t)5 * 3600 * 1000000);
    db_counter_add(db, STR("something"), 1, NULL,
                   NULL); /* so that there is something to wait for */
    db_close(db);
    archive_free(a);
    candles_free(candles);
    market_free(market);
    work_pool_free(pool);
    loop_free(l);
    buf_fini(&error);
    test_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_archive_writes_nothing_while_the_database_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
