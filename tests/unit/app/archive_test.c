/* SPDX-License-Identifier: MIT */
#include "app/archive.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/lib/test.h"

struct rig {
    struct clock clock;
    struct loop *loop;
    struct work_pool *pool;
    struct db *db;
    struct market *market;
    struct candles *candles;
    struct archive *archive;
    char dir[64];
};

static void nothing_loaded(void *self UNUSED, uint32_t symbol UNUSED, enum market_venue v UNUSED,
                           enum interval i UNUSED, size_t missing UNUSED)
{
}

static struct rig *rig_new(bool is_virtual)
{
    struct rig *r = mem_zero(sizeof(*r));
    struct buf error = {0};
    snprintf(r->dir, sizeof(r->dir), "%s", test_make_dir());
    clock_init_virtual(&r->clock, 1000, 0);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = is_virtual ? &r->clock : NULL},
                       &r->loop));
    r->pool = work_pool_new(1);
    assert_ok(db_open(r->dir, r->pool, r->loop, &r->db, &error));
    r->market = market_new(&(struct market_opts){0});
    r->candles = candles_new(&(struct candles_opts){0});
    r->archive = archive_new(&(struct archive_opts){.loop = r->loop,
                                                    .db = r->db,
                                                    .market = r->market,
                                                    .candles = r->candles,
                                                    .loaded = nothing_loaded});
    return r;
}

static void rig_free(struct rig *r)
{
    db_close(r->db);
    archive_free(r->archive);
    candles_free(r->candles);
    market_free(r->market);
    work_pool_free(r->pool);
    loop_free(r->loop);
    test_remove_dir(r->dir);
    mem_free(r);
}

/* db_close() turns the loop for the writes under way: timers that are due then must not write. */
TEST(a_stopped_archive_writes_nothing_while_the_database_closes)
{
    struct rig *r = rig_new(true);
    archive_stop(r->archive);
    clock_advance_us(&r->clock, (uint64_t)5 * 3600 * 1000000);
    db_counter_add(r->db, STR("something"), 1, NULL, NULL); /* there is something to wait for */
    rig_free(r);
}

struct answer {
    int calls;
    size_t count;
    bool has_problem;
    enum market_venue venue; /* of the first */
};

static void note_answer(void *self, const struct candle *rows, size_t count, const char *problem)
{
    struct answer *a = self;
    a->calls++;
    a->venue = count ? (enum market_venue)rows[0].venue : MARKET_VENUES;
    a->count = count;
    a->has_problem = problem != NULL;
}

static void put_one(struct rig *r, uint32_t symbol, enum market_venue v)
{
    struct candle c = {.open_ms = 60000, .flags = CANDLE_CLOSED};
    assert_ok(decimal_read(STR("1"), &c.open));
    c.high = c.low = c.close = c.volume = c.open;
    archive_put(r->archive, symbol, v, INTERVAL_1M, &c);
    archive_flush(r->archive);
}

static struct answer read_back(struct rig *r, uint32_t symbol, enum market_mode then)
{
    struct answer a = {0};
    archive_read(r->archive, symbol, INTERVAL_1M, 0, 1000000, 10, note_answer, &a);
    archive_set_mode(r->archive, then);
    for (int i = 0; i < 1000 && !a.calls; i++) {
        loop_turn(r->loop, 10);
    }
    assert_int_equal(a.calls, 1);
    return a;
}

/* What is simulated must not be given out as live, also not when the mode changes in between. */
TEST(rows_of_another_mode_are_not_given_out)
{
    struct rig *r = rig_new(false);
    uint32_t symbol = 0;
    assert_ok(market_add_symbol(r->market, STR("BTC"), &symbol));
    archive_set_mode(r->archive, MODE_DEMO);
    put_one(r, symbol, MARKET_BINANCE);
    struct answer a = read_back(r, symbol, MODE_DEMO);
    assert_int_equal(a.count, 1);
    assert_false(a.has_problem);
    a = read_back(r, symbol, MODE_LIVE);
    assert_int_equal(a.count, 0);
    assert_true(a.has_problem);
    archive_stop(r->archive);
    rig_free(r);
}

/* A candle of one exchange must not be given out as another's. */
TEST(a_row_keeps_its_venue)
{
    struct rig *r = rig_new(false);
    uint32_t symbol = 0;
    assert_ok(market_add_symbol(r->market, STR("BTC"), &symbol));
    archive_set_mode(r->archive, MODE_DEMO);
    put_one(r, symbol, MARKET_KRAKEN);
    struct answer a = read_back(r, symbol, MODE_DEMO);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.venue, MARKET_KRAKEN);
    archive_stop(r->archive);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_another_mode_are_not_given_out),
        cmocka_unit_test(a_row_keeps_its_venue),
        cmocka_unit_test(a_stopped_archive_writes_nothing_while_the_database_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
