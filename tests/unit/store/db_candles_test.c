/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/alloc.h"
#include "store/db.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct rig {
    char folder[128];
    struct loop *loop;
    struct work_pool *pool;
    struct db *db;
    int calls;
    enum err e;
    int64_t value;
    struct stored_candle rows[64];
    size_t count;
};

static void value_done(void *self, enum err e, int64_t value)
{
    struct rig *r = self;
    r->calls++;
    r->e = e;
    r->value = value;
}

static void rows_done(void *self, enum err e, const struct stored_candle *rows, size_t count)
{
    struct rig *r = self;
    r->calls++;
    r->e = e;
    r->count = count;
    for (size_t i = 0; i < count && i < ARRAY_LEN(r->rows); i++) {
        r->rows[i] = rows[i];
    }
}

static void open_db(struct rig *r)
{
    struct loop_opts opts = {.io = IO_EPOLL};
    struct buf error = {0};
    assert_ok(loop_new(&opts, &r->loop));
    r->pool = work_pool_new(1);
    assert_ok(db_open(r->folder, r->pool, r->loop, &r->db, &error));
    buf_fini(&error);
}

static void close_db(struct rig *r)
{
    db_close(r->db);
    work_pool_free(r->pool);
    loop_free(r->loop);
}

static struct rig *begin(void)
{
    static struct rig r;
    memset(&r, 0, sizeof(r));
    snprintf(r.folder, sizeof(r.folder), "%s", test_make_dir());
    return &r;
}

static void wait_one(struct rig *r)
{
    r->calls = 0;
    for (int i = 0; i < 2000 && r->calls == 0; i++) {
        loop_turn(r->loop, 10);
    }
    assert_int_equal(r->calls, 1);
}

static struct stored_candle candle(const char *symbol, const char *interval, int64_t open_ms,
                                   const char *close)
{
    struct stored_candle c = {.venue = "binance",
                              .open_ms = open_ms,
                              .open = "61837.63",
                              .high = "61855.37",
                              .low = "0.000000000000000001",
                              .volume = "123456789.12345678",
                              .quote_volume = 1e6 / 3,
                              .taker_buy = NAN,
                              .trades = 875,
                              .flags = 17};
    snprintf(c.symbol, sizeof(c.symbol), "%s", symbol);
    snprintf(c.interval, sizeof(c.interval), "%s", interval);
    snprintf(c.close, sizeof(c.close), "%s", close);
    return c;
}

static void put(struct rig *r, const struct stored_candle *rows, size_t count)
{
    db_candles_put(r->db, rows, count, value_done, r);
    wait_one(r);
    assert_ok(r->e);
    assert_int_equal(r->value, count);
}

static void get(struct rig *r, const char *symbol, const char *interval, int64_t from, int64_t to,
                size_t limit)
{
    db_candles_get(r->db, str_of(symbol), str_of(interval), from, to, limit, rows_done, r);
    wait_one(r);
    assert_ok(r->e);
}

TEST(candles_come_back_as_they_were_and_survive_reopening)
{
    struct rig *r = begin();
    open_db(r);
    struct stored_candle rows[] = {candle("BTC", "1m", 120000, "3"),
                                   candle("BTC", "1m", 60000, "2"), candle("ETH", "1m", 60000, "7"),
                                   candle("BTC", "5m", 0, "9")};
    rows[0].taker_buy = 0.5;
    put(r, rows, 4);
    close_db(r);
    open_db(r);
    get(r, "BTC", "1m", 0, 999999, 100);
    assert_int_equal(r->count, 2);
    const struct stored_candle *c = &r->rows[0];
    assert_true(c->open_ms == 60000 && r->rows[1].open_ms == 120000);
    assert_string_equal(c->symbol, "BTC");
    assert_string_equal(c->interval, "1m");
    assert_string_equal(c->venue, "binance");
    assert_string_equal(c->open, "61837.63");
    assert_string_equal(c->high, "61855.37");
    assert_string_equal(c->low, "0.000000000000000001");
    assert_string_equal(c->close, "2");
    assert_string_equal(c->volume, "123456789.12345678");
    assert_true(c->quote_volume == 1e6 / 3);
    assert_true(isnan(c->taker_buy));
    assert_true(r->rows[1].taker_buy == 0.5);
    assert_int_equal(c->trades, 875);
    assert_int_equal(c->flags, 17);
    close_db(r);
    test_remove_dir(r->folder);
}

TEST(the_newest_of_a_range_come_oldest_first)
{
    struct rig *r = begin();
    struct stored_candle rows[20];
    open_db(r);
    for (int i = 0; i < 20; i++) {
        rows[i] = candle("BTC", "1m", i * 60000, "1");
    }
    put(r, rows, 20);
    get(r, "BTC", "1m", 60000, 10 * 60000, 3);
    assert_int_equal(r->count, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(r->rows[i].open_ms == (7 + i) * 60000);
    }
    get(r, "BTC", "1m", 60000, 60001, 3);
    assert_int_equal(r->count, 1);
    get(r, "XRP", "1m", 0, INT64_MAX, 3);
    assert_int_equal(r->count, 0);
    close_db(r);
    test_remove_dir(r->folder);
}

TEST(a_candle_given_again_replaces_the_old_one)
{
    struct rig *r = begin();
    open_db(r);
    struct stored_candle c = candle("BTC", "1h", 3600000, "1");
    put(r, &c, 1);
    c = candle("BTC", "1h", 3600000, "2");
    snprintf(c.venue, sizeof(c.venue), "kraken");
    put(r, &c, 1);
    get(r, "BTC", "1h", 0, INT64_MAX, 10);
    assert_int_equal(r->count, 1);
    assert_string_equal(r->rows[0].close, "2");
    assert_string_equal(r->rows[0].venue, "kraken");
    close_db(r);
    test_remove_dir(r->folder);
}

TEST(pruning_forgets_old_ones_of_all_symbols_and_of_one_interval)
{
    struct rig *r = begin();
    open_db(r);
    struct stored_candle rows[] = {
        candle("AAA", "1m", 1000, "1"), candle("AAA", "1m", 2000, "1"),
        candle("BBB", "1m", 1000, "1"), candle("ZZZ", "1m", 1000, "1"),
        candle("ZZZ", "1h", 1000, "1"),
    };
    put(r, rows, 5);
    db_candles_prune(r->db, STR("1m"), 2000, value_done, r);
    wait_one(r);
    assert_ok(r->e);
    assert_int_equal(r->value, 3);
    get(r, "AAA", "1m", 0, INT64_MAX, 10);
    assert_int_equal(r->count, 1);
    assert_true(r->rows[0].open_ms == 2000);
    get(r, "ZZZ", "1h", 0, INT64_MAX, 10);
    assert_int_equal(r->count, 1);
    db_candles_prune(r->db, STR("15m"), INT64_MAX, value_done, r);
    wait_one(r);
    assert_int_equal(r->value, 0);
    close_db(r);
    test_remove_dir(r->folder);
}

TEST(orders_are_bounded)
{
    struct rig *r = begin();
    open_db(r);
    struct stored_candle *many = mem_array(DB_CANDLES_MAX + 1, sizeof(*many));
    for (int i = 0; i <= DB_CANDLES_MAX; i++) {
        many[i] = candle("BTC", "1m", i * 60000, "1");
    }
    db_candles_put(r->db, many, DB_CANDLES_MAX + 1, value_done, r);
    wait_one(r);
    assert_err(r->e, ERR_LIMIT);
    put(r, many, DB_CANDLES_MAX);
    mem_free(many);
    db_candles_get(r->db, STR("ABCDEFGHIJKLMNOP"), STR("1m"), 0, 1, 1, rows_done, r);
    wait_one(r);
    assert_err(r->e, ERR_LIMIT);
    const char *reason;
    int64_t since_ms;
    assert_true(db_healthy(r->db, &reason, &since_ms)); /* callers' mistakes are not its own */
    close_db(r);
    test_remove_dir(r->folder);
}

TEST(each_interval_has_its_time)
{
    int64_t day = 86400000;
    assert_true(db_candles_keep_ms(STR("1m")) == 30 * day);
    assert_true(db_candles_keep_ms(STR("5m")) == 90 * day);
    assert_true(db_candles_keep_ms(STR("15m")) == 180 * day);
    assert_true(db_candles_keep_ms(STR("1h")) == 730 * day);
    assert_true(db_candles_keep_ms(STR("4h")) == 0);
    assert_true(db_candles_keep_ms(STR("1d")) == 0);
}

/* Puts pairs of candles for ever, and says each pair that is told to be there. */
static void child_puts(struct rig *r, int report_fd)
{
    open_db(r);
    for (int64_t n = 0;; n++) {
        struct stored_candle rows[] = {candle("BTC", "1m", n * 60000, "1"),
                                       candle("ETH", "1m", n * 60000, "1")};
        db_candles_put(r->db, rows, 2, value_done, r);
        wait_one(r);
        if (r->e != OK || write(report_fd, &n, sizeof(n)) < 0) {
            _exit(4);
        }
    }
}

TEST(what_was_acknowledged_survives_sigkill_and_batches_are_whole)
{
    struct rig *r = begin();
    int fds[2];
    int64_t last = 0, more = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        child_puts(r, fds[1]);
    }
    close(fds[1]);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(read(fds[0], &last, sizeof(last)), sizeof(last));
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(fds[0], &more, sizeof(more)) == sizeof(more)) {
        last = more;
    }
    close(fds[0]);
    open_db(r);
    get(r, "BTC", "1m", 0, INT64_MAX, DB_CANDLES_MAX);
    size_t btc = r->count;
    get(r, "ETH", "1m", 0, INT64_MAX, DB_CANDLES_MAX);
    assert_int_equal(r->count, btc);
    assert_true(btc == (size_t)last + 1 || btc == (size_t)last + 2);
    close_db(r);
    test_remove_dir(r->folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* forks: first, while there are no threads */
        cmocka_unit_test(what_was_acknowledged_survives_sigkill_and_batches_are_whole),
        cmocka_unit_test(candles_come_back_as_they_were_and_survive_reopening),
        cmocka_unit_test(the_newest_of_a_range_come_oldest_first),
        cmocka_unit_test(a_candle_given_again_replaces_the_old_one),
        cmocka_unit_test(pruning_forgets_old_ones_of_all_symbols_and_of_one_interval),
        cmocka_unit_test(orders_are_bounded),
        cmocka_unit_test(each_interval_has_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
