/* SPDX-License-Identifier: MIT */
#include "app/archive.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/lib/test.h"

#include <math.h>

struct rig {
    struct clock clock;
    struct loop *loop;
    struct work_pool *pool;
    struct db *db;
    struct market *market;
    struct candles *candles;
    struct archive *archive;
    char dir[64];
    int loads;
    size_t missing; /* as last told */
};

static void on_loaded(void *self, uint32_t symbol UNUSED, enum market_venue v UNUSED,
                      enum interval i UNUSED, size_t missing)
{
    struct rig *r = self;
    r->loads++;
    r->missing = missing;
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
                                                    .loaded = on_loaded,
                                                    .self = r});
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
    struct candle rows[16];
};

static void note_answer(void *self, const struct candle *rows, size_t count, const char *problem)
{
    struct answer *a = self;
    a->calls++;
    a->venue = count ? (enum market_venue)rows[0].venue : MARKET_VENUES;
    a->count = count;
    a->has_problem = problem != NULL;
    assert_true(count <= ARRAY_LEN(a->rows));
    memcpy(a->rows, rows, count * sizeof(*rows));
}

static struct candle candle_of(int64_t open_ms, const char *price)
{
    struct candle c = {.open_ms = open_ms, .taker_buy = NAN, .flags = CANDLE_CLOSED};
    assert_ok(decimal_read(str_of(price), &c.open));
    c.high = c.low = c.close = c.volume = c.open;
    return c;
}

static void put_one(struct rig *r, uint32_t symbol, enum market_venue v)
{
    struct candle c = candle_of(60000, "1");
    c.venue = (uint8_t)v;
    archive_put(r->archive, symbol, INTERVAL_1M, &c);
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

/* Rows of REST for minutes that our own trades have made whole, or that cannot be, do not take the
 * place of what is known; what was missing is kept as repaired. */
TEST(of_history_only_what_was_taken_is_kept)
{
    struct rig *r = rig_new(false);
    uint32_t symbol = 0;
    assert_ok(market_add_symbol(r->market, STR("BTC"), &symbol));
    archive_set_mode(r->archive, MODE_DEMO);
    struct tick t = {.kind = TICK_TRADE, .venue = MARKET_COINBASE, .taker = TICK_SIDE_BUY, .id = 1};
    assert_ok(decimal_read(STR("100"), &t.price));
    t.quantity = t.price;
    int64_t hour = 3600000;
    for (int64_t at_ms = hour; at_ms <= hour + 240000; at_ms += 60000, t.id++) {
        t.exchange_ms = at_ms + 1000;
        candles_trade(r->candles, &t);
    }
    candles_gap(r->candles, symbol, MARKET_COINBASE, hour + 120000, hour + 120000);
    candles_time(r->candles, hour + 400000);
    struct candle rows[] = {candle_of(hour, "7"), candle_of(hour + 60000, "7"),
                            candle_of(hour + 120000, "7"), candle_of(hour + 180000, "7")};
    assert_ok(decimal_read(STR("8"), &rows[3].low)); /* above the rest: cannot be */
    assert_int_equal(archive_fill(r->archive, symbol, MARKET_COINBASE, INTERVAL_1M, rows, 4), 2);
    archive_flush(r->archive);
    struct answer a = {0};
    archive_read(r->archive, symbol, INTERVAL_1M, 0, 2 * hour, 10, note_answer, &a);
    for (int i = 0; i < 1000 && !a.calls; i++) {
        loop_turn(r->loop, 10);
    }
    /* The first minute was a gap as well: we came into it. */
    assert_int_equal(a.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(a.rows[i].open_ms, hour + (int64_t)i * 120000);
        assert_int_equal(a.rows[i].venue, MARKET_COINBASE);
        assert_int_equal(a.rows[i].flags, CANDLE_CLOSED | CANDLE_REPAIRED | CANDLE_HISTORY);
    }
    archive_stop(r->archive);
    rig_free(r);
}

/* That the database has no row of a minute does not mean that nobody traded: we may not have run.
 */
TEST(what_the_database_does_not_have_is_a_gap)
{
    struct rig *r = rig_new(false);
    uint32_t symbol = 0;
    int64_t now = loop_wall_ms(r->loop);
    int64_t start = now - now % 300000 - 1200000;
    assert_ok(market_add_symbol(r->market, STR("BTC"), &symbol));
    archive_set_mode(r->archive, MODE_DEMO);
    for (int minute = 0; minute < 20; minute++) {
        if (minute < 6 || minute > 8) {
            struct candle c = candle_of(start + minute * 60000, "1");
            archive_put(r->archive, symbol, INTERVAL_1M, &c);
        }
    }
    archive_flush(r->archive);
    archive_load(r->archive, symbol, MARKET_BINANCE, INTERVAL_1M, 30);
    size_t count = 0;
    for (int i = 0; i < 1000 && !count; i++) {
        loop_turn(r->loop, 10);
        (void)candles_series(r->candles, symbol, INTERVAL_1M, &count);
    }
    assert_int_equal(count, 17);
    const struct candle *fives = candles_series(r->candles, symbol, INTERVAL_5M, &count);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fives[i].flags & CANDLE_GAP, i == 1 ? CANDLE_GAP : 0);
    }
    uint32_t missing = 0;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    candles_time(r->candles, start + 21 * 60000);
    assert_true(candles_next_gap(r->candles, &missing, &v, &from_ms, &to_ms));
    assert_int_equal(from_ms, start + 6 * 60000);
    assert_int_equal(to_ms, start + 9 * 60000);
    archive_stop(r->archive);
    rig_free(r);
}

/* What is not there, or there with a gap, is asked of the exchange. */
TEST(a_stored_gap_is_asked_for_again)
{
    for (int gaps = 0; gaps < 2; gaps++) {
        struct rig *r = rig_new(false);
        uint32_t symbol = 0;
        int64_t now = loop_wall_ms(r->loop);
        int64_t hour = now - now % 3600000;
        assert_ok(market_add_symbol(r->market, STR("BTC"), &symbol));
        archive_set_mode(r->archive, MODE_DEMO);
        for (int ago = 1; ago <= 10; ago++) {
            struct candle c = candle_of(hour - ago * 3600000, "1");
            c.flags |= gaps && ago == 5 ? CANDLE_GAP : 0;
            archive_put(r->archive, symbol, INTERVAL_1H, &c);
        }
        archive_flush(r->archive);
        archive_load(r->archive, symbol, MARKET_BINANCE, INTERVAL_1H, 10);
        for (int i = 0; i < 1000 && !r->loads; i++) {
            loop_turn(r->loop, 10);
        }
        assert_int_equal(r->loads, 1);
        if (gaps) {
            assert_int_equal(r->missing, 10);
        } else {
            assert_true(r->missing <= 2); /* the hour may have turned meanwhile */
        }
        archive_stop(r->archive);
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_another_mode_are_not_given_out),
        cmocka_unit_test(a_row_keeps_its_venue),
        cmocka_unit_test(a_stored_gap_is_asked_for_again),
        cmocka_unit_test(what_the_database_does_not_have_is_a_gap),
        cmocka_unit_test(of_history_only_what_was_taken_is_kept),
        cmocka_unit_test(a_stopped_archive_writes_nothing_while_the_database_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
