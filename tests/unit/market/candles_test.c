/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/candles.h"

#include <math.h>

#define MIN ((int64_t)60000)
#define HOUR (60 * MIN)
#define DAY (24 * HOUR)
/* 2024-08-09T00:00:00Z */
#define MIDNIGHT ((int64_t)1723161600000)

struct told {
    enum interval i;
    struct candle c;
};

struct rig {
    struct candles *c;
    struct told closed[4096];
    size_t closes, changes;
    unsigned alive; /* a bit per venue */
    uint64_t id;
};

static void on_closed(void *self, uint32_t symbol UNUSED, enum interval i, const struct candle *c)
{
    struct rig *r = self;
    r->closed[r->closes % ARRAY_LEN(r->closed)] = (struct told){i, *c};
    r->closes++;
}

static void on_changed(void *self, uint32_t symbol UNUSED, enum interval i UNUSED,
                       const struct candle *c UNUSED)
{
    struct rig *r = self;
    r->changes++;
}

static void begin_keep(struct rig *r, size_t keep)
{
    memset(r, 0, sizeof(*r));
    struct candles_opts opts = {
        .keep = keep, .listener = {.closed = on_closed, .changed = on_changed, .self = r}};
    r->c = candles_new(&opts);
}

static struct rig *begin(void)
{
    static struct rig r;
    begin_keep(&r, 0);
    return &r;
}

static struct decimal dec(const char *text)
{
    struct decimal d;
    assert_ok(decimal_read(str_of(text), &d));
    return d;
}

static struct tick a_trade(int64_t at_ms, uint64_t id, const char *price, const char *quantity)
{
    return (struct tick){.kind = TICK_TRADE,
                         .venue = MARKET_BINANCE,
                         .exchange_ms = at_ms,
                         .received_ms = at_ms,
                         .id = id,
                         .taker = TICK_SIDE_BUY,
                         .price = dec(price),
                         .quantity = dec(quantity)};
}

static void trade(struct rig *r, int64_t at_ms, const char *price, const char *quantity)
{
    struct tick t = a_trade(at_ms, ++r->id, price, quantity);
    candles_trade(r->c, &t);
}

/* Minutes from MIDNIGHT on are whole from then on: the hole of the first hour is said to be empty.
 */
static void start_whole(struct rig *r)
{
    trade(r, MIDNIGHT - MIN, "100", "1");
    candles_asked(r->c, 0, MARKET_BINANCE, 0, MIDNIGHT);
}

static const struct candle *row(const struct rig *r, enum interval i, int64_t open_ms)
{
    size_t n;
    const struct candle *rows = candles_series(r->c, 0, i, &n);
    for (size_t k = 0; k < n; k++) {
        if (k > 0) {
            assert_true(rows[k - 1].open_ms < rows[k].open_ms);
        }
        if (rows[k].open_ms == open_ms) {
            return &rows[k];
        }
    }
    return NULL;
}

static void expect_row(const struct candle *c, const char *ohlcv, uint32_t trades, unsigned flags)
{
    struct buf text = {0};
    assert_non_null(c);
    const struct decimal *numbers[] = {&c->open, &c->high, &c->low, &c->close, &c->volume};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        buf_printf(&text, "%s", i ? " " : "");
        decimal_write(&text, *numbers[i]);
    }
    assert_buf(&text, ohlcv);
    assert_int_equal(c->trades, trades);
    assert_int_equal(c->flags, flags);
    buf_fini(&text);
}

static struct candle history(int64_t open_ms, const char *open, const char *high, const char *low,
                             const char *close, const char *volume)
{
    return (struct candle){.open_ms = open_ms,
                           .open = dec(open),
                           .high = dec(high),
                           .low = dec(low),
                           .close = dec(close),
                           .volume = dec(volume),
                           .taker_buy = NAN,
                           .trades = 3};
}

TEST(intervals_have_names_and_lengths)
{
    assert_int_equal(interval_of(STR("15m")), INTERVAL_15M);
    assert_int_equal(interval_of(STR("1M")), INTERVALS);
    for (unsigned i = 0; i < INTERVALS; i++) {
        assert_int_equal(interval_of(str_of(interval_name((enum interval)i))), i);
        assert_true(i == 0 ||
                    interval_ms((enum interval)i) % interval_ms((enum interval)(i - 1)) == 0);
    }
    assert_true(interval_ms(INTERVAL_1D) == DAY);
}

TEST(trades_make_all_intervals_and_volume_is_exact)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT, "100.10", "0.1");
    trade(r, MIDNIGHT + 59999, "99", "0.2");
    trade(r, MIDNIGHT + 60000, "105.5", "0.3");
    trade(r, MIDNIGHT + 61000, "101", "0.4");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "100.1 100.1 99 99 0.3", 2, 0);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + MIN), "105.5 105.5 101 101 0.7", 2, 0);
    for (unsigned i = INTERVAL_5M; i < INTERVALS; i++) {
        expect_row(row(r, (enum interval)i, MIDNIGHT), "100.1 105.5 99 101 1", 4, 0);
    }
    assert_near(row(r, INTERVAL_1D, MIDNIGHT)->quote_volume, 10.01 + 19.8 + 31.65 + 40.4, 1e-9);
    assert_near(row(r, INTERVAL_1D, MIDNIGHT)->taker_buy, 1, 1e-12);
    assert_int_equal(candles_venue(r->c, 0), MARKET_BINANCE);
    assert_true(r->changes >= 24);
    candles_free(r->c);
}

TEST(a_candle_closes_when_it_is_late_and_not_before)
{
    struct rig *r = begin();
    start_whole(r);
    r->closes = 0;
    trade(r, MIDNIGHT + 30000, "100", "1");
    candles_time(r->c, MIDNIGHT + MIN + 1999);
    size_t before = r->closes; /* what ended at midnight */
    assert_int_equal(before, INTERVALS);
    candles_time(r->c, MIDNIGHT + MIN + 2000);
    assert_int_equal(r->closes, before + 1);
    assert_int_equal(r->closed[before].i, INTERVAL_1M);
    expect_row(&r->closed[before].c, "100 100 100 100 1", 1, CANDLE_CLOSED);
    candles_time(r->c, MIDNIGHT + 3 * MIN + 2000); /* empty minutes give nothing */
    assert_int_equal(r->closes, before + 1);
    size_t n;
    candles_series(r->c, 0, INTERVAL_1M, &n);
    assert_int_equal(n, 2);
    /* A trade's time is the exchange's clock, too. */
    trade(r, MIDNIGHT + 4 * MIN, "101", "1");
    candles_time(r->c, MIDNIGHT + 5 * MIN);
    trade(r, MIDNIGHT + 5 * MIN + 2000, "102", "1");
    assert_int_equal(r->closes, before + 3);
    assert_int_equal(r->closed[before + 1].i, INTERVAL_1M);
    assert_int_equal(r->closed[before + 2].i, INTERVAL_5M);
    expect_row(&r->closed[before + 2].c, "100 101 100 101 2", 2, CANDLE_CLOSED);
    candles_free(r->c);
}

/* Candles that our clock closed too early are open again, and close when it is time. */
TEST(candles_close_in_time_after_our_clock_was_set_back)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 1000, "100", "1");
    candles_time(r->c, MIDNIGHT + HOUR + 5000); /* an hour ahead */
    assert_true(row(r, INTERVAL_1H, MIDNIGHT)->flags & CANDLE_CLOSED);
    candles_time(r->c, MIDNIGHT + 5000);
    r->closes = r->changes = 0;
    trade(r, MIDNIGHT + 6000, "101", "1");
    assert_int_equal(r->closes, 0);
    assert_int_equal(r->changes, INTERVALS);
    expect_row(row(r, INTERVAL_1H, MIDNIGHT), "100 101 100 101 2", 2, 0);
    candles_time(r->c, MIDNIGHT + MIN + 1999);
    assert_int_equal(r->closes, 0);
    candles_time(r->c, MIDNIGHT + MIN + 2000);
    assert_int_equal(r->closes, 1);
    expect_row(&r->closed[0].c, "100 101 100 101 2", 2, CANDLE_CLOSED);
    /* What trades say of the time holds: theirs is the exchange's clock. */
    trade(r, MIDNIGHT + 10 * MIN, "102", "1");
    candles_time(r->c, MIDNIGHT + 8 * MIN);
    candles_time(r->c, MIDNIGHT + 7 * MIN);
    assert_int_equal(row(r, INTERVAL_5M, MIDNIGHT)->flags, CANDLE_CLOSED);
    candles_free(r->c);
}

/* One trade with a time far ahead would else close all candles until then, and amend them with
 * every trade that follows. */
TEST(a_trade_from_the_future_does_not_close_the_present)
{
    struct rig *r = begin();
    start_whole(r);
    candles_time(r->c, MIDNIGHT + 1000);
    trade(r, MIDNIGHT + 1000, "100", "1");
    trade(r, MIDNIGHT + 9 * MIN, "101", "1");
    r->closes = 0;
    trade(r, MIDNIGHT + 2000, "102", "1");
    assert_int_equal(r->closes, 0);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "100 102 100 102 2", 2, 0);
    candles_time(r->c, MIDNIGHT + MIN + 2000);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "100 102 100 102 2", 2, CANDLE_CLOSED);
    /* A minute ahead the exchange's clock may well be. */
    trade(r, MIDNIGHT + 2 * MIN + 2000, "103", "1");
    trade(r, MIDNIGHT + MIN + 5000, "104", "1");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + MIN), "104 104 104 104 1", 1,
               CANDLE_CLOSED | CANDLE_AMENDED);
    candles_free(r->c);
}

TEST(midnight_closes_each_interval_once_and_begins_new_ones)
{
    struct rig *r = begin();
    trade(r, MIDNIGHT - DAY, "100", "1");
    candles_asked(r->c, 0, MARKET_BINANCE, 0, MIDNIGHT);
    trade(r, MIDNIGHT - 1, "110", "1");
    trade(r, MIDNIGHT, "120", "1");
    r->closes = 0;
    candles_time(r->c, MIDNIGHT + 2000);
    assert_int_equal(r->closes, INTERVALS);
    for (unsigned i = 0; i < INTERVALS; i++) {
        assert_int_equal(r->closed[i].i, i);
        assert_true(r->closed[i].c.open_ms == MIDNIGHT - interval_ms((enum interval)i));
        expect_row(row(r, (enum interval)i, MIDNIGHT), "120 120 120 120 1", 1, 0);
    }
    /* The day began with its first trade: whole. */
    assert_true(r->closed[INTERVAL_1D].c.flags & CANDLE_CLOSED);
    candles_free(r->c);
}

TEST(a_late_trade_within_two_seconds_still_counts_in_its_minute)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 50000, "100", "1");
    trade(r, MIDNIGHT + MIN + 1500, "105", "1");
    trade(r, MIDNIGHT + 59000, "99", "1"); /* 2.5 s behind the newest, but not yet closed */
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "100 100 99 99 2", 2, 0);
    trade(r, MIDNIGHT + 40000, "98", "1");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "98 100 98 99 3", 3, 0);
    expect_row(row(r, INTERVAL_5M, MIDNIGHT), "98 105 98 105 4", 4, 0);
    struct candles_stats st;
    candles_stats(r->c, &st);
    assert_int_equal(st.amended, 0);
    assert_int_equal(st.late, 2);
    candles_free(r->c);
}

TEST(a_later_trade_amends_and_the_candle_is_told_again)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 50000, "100", "1");
    trade(r, MIDNIGHT + MIN + 30000, "105", "1");
    r->closes = 0;
    trade(r, MIDNIGHT + 59000, "99", "2");
    assert_int_equal(r->closes, 1); /* the longer ones are open */
    expect_row(&r->closed[0].c, "100 100 99 99 3", 2, CANDLE_CLOSED | CANDLE_AMENDED);
    expect_row(row(r, INTERVAL_1H, MIDNIGHT), "100 105 99 105 4", 3, 0);
    /* Also into a minute that had none. */
    trade(r, MIDNIGHT + 10 * MIN, "106", "1");
    r->closes = 0;
    trade(r, MIDNIGHT + 3 * MIN, "104", "1");
    assert_int_equal(r->closes, 2);
    expect_row(&r->closed[0].c, "104 104 104 104 1", 1, CANDLE_CLOSED | CANDLE_AMENDED);
    expect_row(&r->closed[1].c, "100 105 99 104 5", 4, CANDLE_CLOSED | CANDLE_AMENDED);
    struct candles_stats st;
    candles_stats(r->c, &st);
    assert_int_equal(st.amended, 3);
    candles_free(r->c);
}

TEST(candles_under_way_at_the_start_are_gaps)
{
    struct rig *r = begin();
    trade(r, MIDNIGHT + 90 * MIN + 20000, "100", "1");
    for (unsigned i = 0; i < INTERVALS; i++) {
        int64_t open_ms = MIDNIGHT + 90 * MIN;
        expect_row(row(r, (enum interval)i, open_ms - open_ms % interval_ms((enum interval)i)),
                   "100 100 100 100 1", 1, CANDLE_GAP);
    }
    trade(r, MIDNIGHT + 91 * MIN, "101", "1");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + 91 * MIN), "101 101 101 101 1", 1, 0);
    trade(r, MIDNIGHT + 95 * MIN, "102", "1");
    expect_row(row(r, INTERVAL_5M, MIDNIGHT + 95 * MIN), "102 102 102 102 1", 1, 0);
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms, to_ms;
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + HOUR && to_ms == MIDNIGHT + 91 * MIN);
    candles_free(r->c);
}

TEST(a_gap_is_asked_for_and_repaired_exactly)
{
    struct rig *r = begin();
    uint32_t symbol = 9;
    enum market_venue v = MARKET_VENUES;
    int64_t from_ms = 0, to_ms = 0;
    start_whole(r);
    trade(r, MIDNIGHT + 1000, "100", "1");
    trade(r, MIDNIGHT + MIN + 1000, "101", "1");
    candles_gap(r->c, 0, MARKET_COINBASE, MIDNIGHT, MIDNIGHT + MIN); /* not the series' venue */
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT)->flags, 0);
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + MIN + 1500, MIDNIGHT + 3 * MIN + 10);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms)); /* not over yet */
    trade(r, MIDNIGHT + 3 * MIN + 20000, "104", "1");
    trade(r, MIDNIGHT + 4 * MIN + 2000, "103", "1");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + MIN), "101 101 101 101 1", 1,
               CANDLE_GAP | CANDLE_CLOSED);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + 3 * MIN), "104 104 104 104 1", 1,
               CANDLE_GAP | CANDLE_CLOSED);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT + 4 * MIN)->flags, 0);
    assert_int_equal(row(r, INTERVAL_1D, MIDNIGHT)->flags, CANDLE_GAP);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_int_equal(symbol, 0);
    assert_int_equal(v, MARKET_BINANCE);
    assert_true(from_ms == MIDNIGHT + MIN && to_ms == MIDNIGHT + 4 * MIN);
    r->closes = 0;
    struct candle rows[] = {
        history(MIDNIGHT + 3 * MIN, "104", "107", "104", "106", "2.5"),
        history(MIDNIGHT + MIN, "101", "101", "95", "96", "4"),
    };
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 2), 2);
    assert_int_equal(r->closes, 2);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT + MIN), "101 101 95 96 4", 3,
               CANDLE_CLOSED | CANDLE_REPAIRED | CANDLE_HISTORY);
    expect_row(row(r, INTERVAL_5M, MIDNIGHT), "100 107 95 103 8.5", 8, CANDLE_REPAIRED);
    expect_row(row(r, INTERVAL_1D, MIDNIGHT), "100 107 95 103 8.5", 8, CANDLE_REPAIRED);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    /* Trades go on, and one that history has already does not count twice. */
    trade(r, MIDNIGHT + 3 * MIN + 30000, "105", "1");
    trade(r, MIDNIGHT + 4 * MIN + 3000, "109", "1");
    expect_row(row(r, INTERVAL_1D, MIDNIGHT), "100 109 95 109 9.5", 9, CANDLE_REPAIRED);
    struct candles_stats st;
    candles_stats(r->c, &st);
    assert_int_equal(st.gaps, 1);
    assert_int_equal(st.repaired, 2); /* this one, and that of the start */
    candles_free(r->c);
}

TEST(a_closed_candle_that_turns_out_to_have_a_gap_is_told_again)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 1000, "100", "1");
    candles_time(r->c, MIDNIGHT + 2 * MIN);
    r->closes = 0;
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + 5000, MIDNIGHT + 6000);
    assert_int_equal(r->closes, 1);
    expect_row(&r->closed[0].c, "100 100 100 100 1", 1, CANDLE_CLOSED | CANDLE_GAP);
    candles_free(r->c);
}

TEST(part_of_a_gap_repaired_leaves_the_rest)
{
    struct rig *r = begin();
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    start_whole(r);
    trade(r, MIDNIGHT, "100", "1");
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + MIN, MIDNIGHT + 9 * MIN);
    trade(r, MIDNIGHT + 12 * MIN, "100", "1");
    struct candle middle = history(MIDNIGHT + 4 * MIN, "100", "100", "100", "100", "1");
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, &middle, 1), 1);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + MIN && to_ms == MIDNIGHT + 4 * MIN);
    candles_asked(r->c, 0, MARKET_BINANCE, from_ms, to_ms); /* nobody traded, says the venue */
    assert_int_equal(row(r, INTERVAL_5M, MIDNIGHT)->flags, CANDLE_CLOSED | CANDLE_REPAIRED);
    assert_true(row(r, INTERVAL_1H, MIDNIGHT)->flags & CANDLE_GAP);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + 5 * MIN && to_ms == MIDNIGHT + 10 * MIN);
    candles_asked(r->c, 0, MARKET_BINANCE, from_ms, to_ms);
    assert_int_equal(row(r, INTERVAL_1D, MIDNIGHT)->flags, CANDLE_REPAIRED);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    candles_free(r->c);
}

/* What is over of it need not wait for the rest. */
TEST(a_gap_that_goes_on_is_asked_for_as_far_as_it_is_over)
{
    struct rig *r = begin();
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    start_whole(r);
    trade(r, MIDNIGHT, "100", "1");
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + MIN, MIDNIGHT + 3 * MIN);
    candles_time(r->c, MIDNIGHT + 2 * MIN + 1999);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    candles_time(r->c, MIDNIGHT + 2 * MIN + 2000);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + MIN && to_ms == MIDNIGHT + 2 * MIN);
    candles_asked(r->c, 0, MARKET_BINANCE, from_ms, to_ms);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    candles_time(r->c, MIDNIGHT + 3 * MIN + 2000);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + 2 * MIN && to_ms == MIDNIGHT + 3 * MIN);
    candles_free(r->c);
}

/* Holes that nobody can fill (a coin given up, an exchange that does not answer) are asked in turn
 * with the others. */
TEST(a_gap_that_nobody_fills_does_not_keep_others_waiting)
{
    struct rig *r = begin();
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    start_whole(r);
    trade(r, MIDNIGHT, "100", "1");
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + MIN, MIDNIGHT + MIN);
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT + 5 * MIN, MIDNIGHT + 5 * MIN);
    struct tick other = a_trade(MIDNIGHT + 3 * MIN, 1, "7", "1");
    other.symbol = 1;
    candles_trade(r->c, &other); /* its hour up to now is a gap */
    candles_time(r->c, MIDNIGHT + 20 * MIN);
    static const int64_t expected[] = {0, 1, 5, 0, 1, 5};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
        assert_int_equal(from_ms, MIDNIGHT + expected[i] * MIN);
        assert_int_equal(symbol, i % 3 == 0);
    }
    candles_free(r->c);
}

TEST(history_fills_what_is_missing_and_leaves_the_rest)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 1000, "100", "1");
    trade(r, MIDNIGHT + 10 * MIN, "100", "1");
    struct candle rows[] = {
        history(MIDNIGHT, "1", "1", "1", "1", "1"),                /* ours is whole */
        history(MIDNIGHT + MIN + 1, "1", "1", "1", "1", "1"),      /* off the grid */
        history(MIDNIGHT + MIN, "5", "4", "1", "2", "1"),          /* high below open */
        history(MIDNIGHT + MIN, "0", "4", "0", "2", "1"),          /* no price */
        history(MIDNIGHT + 10 * MIN, "100", "100", "9", "9", "9"), /* still open */
        history(MIDNIGHT - 10 * MIN, "7", "8", "6", "7", "2"),
    };
    assert_int_equal(candles_fill(r->c, 0, MARKET_COINBASE, INTERVAL_1M, rows, 6), 0);
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 6), 1);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT - 10 * MIN), "7 8 6 7 2", 3,
               CANDLE_CLOSED | CANDLE_HISTORY);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "100 100 100 100 1", 1, CANDLE_CLOSED);
    expect_row(row(r, INTERVAL_5M, MIDNIGHT - 10 * MIN), "7 8 6 7 2", 3,
               CANDLE_CLOSED | CANDLE_HISTORY);
    assert_null(row(r, INTERVAL_1M, MIDNIGHT + MIN));
    candles_free(r->c);
}

TEST(the_open_day_is_whole_after_history_of_hours_and_minutes)
{
    struct rig *r = begin();
    int64_t now = MIDNIGHT + 3 * HOUR + 2 * MIN + 10000;
    candles_time(r->c, now);
    trade(r, now, "100", "1");
    trade(r, now + MIN, "101", "2");
    assert_true(row(r, INTERVAL_1D, MIDNIGHT)->flags & CANDLE_GAP);
    struct candle hours[] = {history(MIDNIGHT - HOUR, "50", "50", "40", "45", "10"),
                             history(MIDNIGHT, "45", "60", "45", "60", "10"),
                             history(MIDNIGHT + HOUR, "60", "200", "60", "90", "10"),
                             history(MIDNIGHT + 2 * HOUR, "90", "95", "90", "95", "10")};
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1H, hours, 4), 4);
    assert_true(row(r, INTERVAL_1D, MIDNIGHT)->flags & CANDLE_GAP);
    candles_time(r->c, now + MIN + 1);
    struct candle minutes[] = {
        history(MIDNIGHT + 3 * HOUR, "95", "96", "95", "96", "1"),
        history(MIDNIGHT + 3 * HOUR + 2 * MIN, "99", "100", "99", "100", "5")};
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, minutes, 2), 2);
    expect_row(row(r, INTERVAL_1D, MIDNIGHT), "45 200 45 101 38", 16, CANDLE_REPAIRED);
    trade(r, now + MIN + 100, "250", "1");
    expect_row(row(r, INTERVAL_1D, MIDNIGHT), "45 250 45 250 39", 17, CANDLE_REPAIRED);
    candles_free(r->c);
}

TEST(hours_of_history_make_whole_candles_of_4_hours_and_no_others)
{
    struct rig *r = begin();
    candles_time(r->c, MIDNIGHT + 9 * HOUR);
    struct candle newer[] = {history(MIDNIGHT + 3 * HOUR, "13", "13", "13", "13", "0.1"),
                             history(MIDNIGHT + 4 * HOUR, "20", "25", "19", "21", "0.2"),
                             history(MIDNIGHT + 6 * HOUR, "22", "24", "18", "23", "0.3"),
                             history(MIDNIGHT + 7 * HOUR, "23", "23", "22", "22", "0.4"),
                             history(MIDNIGHT + 8 * HOUR, "22", "22", "22", "22", "1")};
    struct candle older[] = {history(MIDNIGHT, "10", "15", "9", "11", "1"),
                             history(MIDNIGHT + HOUR, "11", "12", "8", "12", "2"),
                             history(MIDNIGHT + 2 * HOUR, "12", "13", "12", "13", "3")};
    assert_int_equal(candles_fill(r->c, 0, MARKET_COINBASE, INTERVAL_1H, newer, 5), 5);
    assert_null(row(r, INTERVAL_4H, MIDNIGHT)); /* its begin is not known */
    expect_row(row(r, INTERVAL_4H, MIDNIGHT + 4 * HOUR), "20 25 18 22 0.9", 9,
               CANDLE_CLOSED | CANDLE_HISTORY); /* an hour had no trades */
    assert_false(row(r, INTERVAL_4H, MIDNIGHT + 8 * HOUR)->flags & CANDLE_CLOSED);
    assert_int_equal(candles_fill(r->c, 0, MARKET_COINBASE, INTERVAL_1H, older, 3), 3);
    expect_row(row(r, INTERVAL_4H, MIDNIGHT), "10 15 8 13 6.1", 12, CANDLE_CLOSED | CANDLE_HISTORY);
    candles_free(r->c);
}

TEST(after_a_restart_the_time_between_is_a_gap)
{
    struct rig *r = begin();
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    struct candle rows[20];
    for (int i = 0; i < 20; i++) {
        rows[i] = history(MIDNIGHT + i * MIN, "100", "100", "100", "100", "1");
    }
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 20), 20);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    trade(r, MIDNIGHT + 45 * MIN + 30000, "110", "1");
    trade(r, MIDNIGHT + 46 * MIN + 2000, "110", "1");
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + 20 * MIN && to_ms == MIDNIGHT + 46 * MIN);
    assert_true(row(r, INTERVAL_1H, MIDNIGHT)->flags & CANDLE_GAP);
    assert_int_equal(row(r, INTERVAL_5M, MIDNIGHT + 10 * MIN)->flags & CANDLE_GAP, 0);
    candles_free(r->c);
}

TEST(the_first_venue_in_order_has_the_series_and_loses_it_by_silence)
{
    struct rig *r = begin();
    struct tick t = a_trade(MIDNIGHT, 1, "100", "1");
    t.venue = MARKET_KRAKEN;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_KRAKEN);
    struct candle past = history(MIDNIGHT - MIN, "100", "100", "100", "100", "1");
    assert_int_equal(candles_fill(r->c, 0, MARKET_KRAKEN, INTERVAL_1M, &past, 1), 1);
    t.venue = MARKET_COINBASE; /* comes first in the order, and the series is young */
    t.price = dec("200");
    t.exchange_ms += 5000;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_COINBASE);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "200 200 200 200 1", 1, CANDLE_GAP);
    t.venue = MARKET_KRAKEN;
    candles_trade(r->c, &t);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT)->trades, 1);
    t.venue = MARKET_COINBASE;
    t.exchange_ms = MIDNIGHT + 70 * MIN;
    candles_trade(r->c, &t);
    t.venue = MARKET_BINANCE; /* too late to come first: the other lives */
    t.exchange_ms += 60000;
    t.price = dec("300");
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_COINBASE);
    t.exchange_ms += 1;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_BINANCE);
    struct candles_stats st;
    candles_stats(r->c, &st);
    assert_int_equal(st.other_venue, 2);
    /* What is under way is of two venues: a gap. */
    expect_row(row(r, INTERVAL_1D, MIDNIGHT), "200 300 200 300 3", 3, CANDLE_GAP);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT + 71 * MIN)->venue, MARKET_BINANCE);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT + 70 * MIN)->venue, MARKET_COINBASE);
    /* History of the new venue replaces the old one's. */
    struct candle mine = history(MIDNIGHT + 70 * MIN, "290", "290", "290", "290", "9");
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, &mine, 1), 1);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT + 70 * MIN)->venue, MARKET_BINANCE);
    candles_free(r->c);
}

static bool is_alive(void *self, uint32_t symbol UNUSED, enum market_venue v)
{
    const struct rig *r = self;
    return r->alive & (1U << v);
}

/* A coin that is seldom traded would else go from one venue to the other with every trade. */
TEST(a_quiet_market_does_not_lose_the_series_while_its_feed_is_alive)
{
    struct rig *r = begin();
    candles_free(r->c);
    r->c = candles_new(&(struct candles_opts){.listener = {.is_alive = is_alive, .self = r}});
    r->alive = 1U << MARKET_BINANCE | 1U << MARKET_KRAKEN;
    trade(r, MIDNIGHT, "100", "1");
    struct tick t = a_trade(MIDNIGHT + 30 * MIN, 1, "101", "1");
    t.venue = MARKET_KRAKEN;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_BINANCE);
    r->alive = 1U << MARKET_KRAKEN;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_KRAKEN);
    r->alive = 1U << MARKET_BINANCE | 1U << MARKET_KRAKEN;
    trade(r, MIDNIGHT + 90 * MIN, "100", "1");
    assert_int_equal(candles_venue(r->c, 0), MARKET_KRAKEN);
    trade(r, MIDNIGHT + 90 * MIN + 1, "100", "1"); /* an hour without any trade: it is dead there */
    assert_int_equal(candles_venue(r->c, 0), MARKET_BINANCE);
    candles_free(r->c);
}

TEST(history_of_whoever_traded_first_does_not_keep_a_better_venue_out)
{
    struct rig *r = begin();
    struct tick t = a_trade(MIDNIGHT, 1, "100", "1");
    t.venue = MARKET_KRAKEN;
    candles_trade(r->c, &t);
    struct candle old = history(MIDNIGHT - MIN, "90", "90", "90", "90", "9");
    assert_int_equal(candles_fill(r->c, 0, MARKET_KRAKEN, INTERVAL_1M, &old, 1), 1);
    t.venue = MARKET_BINANCE;
    t.exchange_ms += 5000;
    t.price = dec("200");
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_BINANCE);
    expect_row(row(r, INTERVAL_1M, MIDNIGHT), "200 200 200 200 1", 1, CANDLE_GAP);
    assert_int_equal(candles_fill(r->c, 0, MARKET_KRAKEN, INTERVAL_1M, &old, 1), 0);
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, &old, 1), 1);
    candles_free(r->c);
}

TEST(only_so_many_candles_are_kept)
{
    static struct rig rig;
    struct rig *r = &rig;
    size_t n;
    begin_keep(r, 10);
    for (int i = 0; i < 200; i++) {
        trade(r, MIDNIGHT + i * MIN, "100", "1");
    }
    const struct candle *rows = candles_series(r->c, 0, INTERVAL_1M, &n);
    assert_int_equal(n, 10);
    assert_true(rows[0].open_ms == MIDNIGHT + 190 * MIN);
    assert_true(rows[9].open_ms == MIDNIGHT + 199 * MIN);
    r->closes = 0;
    trade(r, MIDNIGHT + 5 * MIN, "1", "1"); /* of a minute long forgotten */
    assert_int_equal(r->closes, 0);
    candles_series(r->c, 0, INTERVAL_1M, &n);
    assert_int_equal(n, 10);
    expect_row(row(r, INTERVAL_1H, MIDNIGHT), "100 100 100 100 60", 60,
               CANDLE_CLOSED | CANDLE_GAP); /* the first minute */
    candles_free(r->c);
}

/* Of the time before we listened nothing is known, also where a trade of it comes late. */
TEST(a_late_trade_of_before_the_series_begins_makes_a_gap)
{
    struct rig *r = begin();
    start_whole(r);
    trade(r, MIDNIGHT + 5000, "100", "1");
    trade(r, MIDNIGHT - 2 * HOUR, "90", "1");
    expect_row(row(r, INTERVAL_1M, MIDNIGHT - 2 * HOUR), "90 90 90 90 1", 1,
               CANDLE_GAP | CANDLE_CLOSED | CANDLE_AMENDED);
    candles_free(r->c);
}

/* Of a long outage no more is asked for than is kept, and what was known before is not whole with
 * what comes after. */
TEST(after_days_of_silence_only_what_is_kept_is_asked_for)
{
    static struct rig rig;
    struct rig *r = &rig;
    begin_keep(r, 100);
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    struct candle day = history(MIDNIGHT - DAY, "100", "100", "100", "100", "1");
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1D, &day, 1), 1);
    trade(r, MIDNIGHT + 3 * DAY + 30000, "110", "1");
    candles_time(r->c, MIDNIGHT + 3 * DAY + 5 * MIN);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_int_equal(from_ms, MIDNIGHT + 3 * DAY - 95 * MIN);
    assert_int_equal(to_ms, MIDNIGHT + 3 * DAY + MIN);
    /* And when it is older than what is kept nobody asks for it any more. */
    trade(r, MIDNIGHT + 3 * DAY + 60 * MIN, "110", "1");
    candles_time(r->c, MIDNIGHT + 3 * DAY + 63 * MIN);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_int_equal(from_ms, MIDNIGHT + 3 * DAY - 37 * MIN);
    trade(r, MIDNIGHT + 3 * DAY + 120 * MIN, "110", "1");
    candles_time(r->c, MIDNIGHT + 3 * DAY + 123 * MIN);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    candles_free(r->c);
}

/* A series that history began stays with its venue, whoever trades first. */
TEST(history_decides_about_the_venue)
{
    struct rig *r = begin();
    struct candle old = history(MIDNIGHT - MIN, "90", "90", "90", "90", "9");
    assert_int_equal(candles_fill(r->c, 0, MARKET_KRAKEN, INTERVAL_1M, &old, 1), 1);
    struct tick t = a_trade(MIDNIGHT, 1, "100", "1");
    candles_trade(r->c, &t); /* of Binance */
    assert_int_equal(candles_venue(r->c, 0), MARKET_KRAKEN);
    t.venue = MARKET_KRAKEN;
    t.exchange_ms += 1000;
    candles_trade(r->c, &t);
    t.venue = MARKET_BINANCE;
    t.exchange_ms += 1000;
    candles_trade(r->c, &t);
    assert_int_equal(candles_venue(r->c, 0), MARKET_KRAKEN);
    candles_free(r->c);
}

/* What the database kept as a gap is one still; it is asked for, and repaired. */
TEST(a_stored_gap_stays_one_until_it_is_repaired)
{
    struct rig *r = begin();
    uint32_t symbol;
    enum market_venue v;
    int64_t from_ms = 0, to_ms = 0;
    struct candles_stats st;
    struct candle rows[5];
    for (int i = 0; i < 5; i++) {
        rows[i] = history(MIDNIGHT + i * MIN, "100", "100", "100", "100", "1");
    }
    rows[2].flags = CANDLE_CLOSED | CANDLE_GAP;
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 5), 5);
    candles_time(r->c, MIDNIGHT + 6 * MIN);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT + 2 * MIN)->flags, CANDLE_CLOSED | CANDLE_GAP);
    assert_int_equal(row(r, INTERVAL_5M, MIDNIGHT)->flags, CANDLE_CLOSED | CANDLE_GAP);
    candles_stats(r->c, &st);
    assert_int_equal(st.repaired, 0);
    /* The same again, as from a second reading, changes nothing. */
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 5), 0);
    assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    assert_true(from_ms == MIDNIGHT + 2 * MIN && to_ms == MIDNIGHT + 3 * MIN);
    rows[2] = history(MIDNIGHT + 2 * MIN, "100", "120", "100", "100", "3");
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows + 2, 1), 1);
    expect_row(row(r, INTERVAL_5M, MIDNIGHT), "100 120 100 100 7", 15,
               CANDLE_CLOSED | CANDLE_REPAIRED | CANDLE_HISTORY);
    assert_false(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
    candles_stats(r->c, &st);
    assert_int_equal(st.repaired, 1);
    /* A gap of ids over what history gave says nothing new of it. */
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT, MIDNIGHT);
    assert_int_equal(row(r, INTERVAL_1M, MIDNIGHT)->flags, CANDLE_CLOSED | CANDLE_HISTORY);
    candles_free(r->c);
}

/* Two stretches of history, given one by one: of what lies between nothing is known. */
TEST(time_between_two_stretches_of_history_is_a_gap)
{
    for (int later_first = 0; later_first < 2; later_first++) {
        struct rig *r = begin();
        uint32_t symbol;
        enum market_venue v;
        int64_t from_ms = 0, to_ms = 0;
        struct candle rows[2] = {history(MIDNIGHT, "1", "1", "1", "1", "1"),
                                 history(MIDNIGHT + 4 * MIN, "1", "1", "1", "1", "1")};
        candles_time(r->c, MIDNIGHT + 5 * MIN);
        for (int i = 0; i < 2; i++) {
            const struct candle *c = &rows[later_first ? 1 - i : i];
            assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, c, 1), 1);
        }
        candles_time(r->c, MIDNIGHT + 6 * MIN);
        assert_true(candles_next_gap(r->c, &symbol, &v, &from_ms, &to_ms));
        assert_true(from_ms == MIDNIGHT + MIN && to_ms == MIDNIGHT + 4 * MIN);
        assert_true(row(r, INTERVAL_5M, MIDNIGHT)->flags & CANDLE_GAP);
        candles_free(r->c);
    }
}

/* A sum that one part does not know is not known; nor is one of a volume below 0. */
TEST(unknown_parts_make_unknown_sums)
{
    struct rig *r = begin();
    struct candle rows[5];
    for (int i = 0; i < 5; i++) {
        rows[i] = history(MIDNIGHT + i * MIN, "100", "100", "100", "100", "1");
    }
    rows[3].trades = 0;
    rows[4].volume = dec("-1");
    assert_int_equal(candles_fill(r->c, 0, MARKET_BINANCE, INTERVAL_1M, rows, 5), 4);
    expect_row(row(r, INTERVAL_5M, MIDNIGHT), "100 100 100 100 4", 0, CANDLE_GAP);
    candles_free(r->c);
}

TEST(a_symbol_that_is_forgotten_begins_anew_and_the_others_go_on)
{
    struct rig *r = begin();
    size_t count = 0;
    trade(r, MIDNIGHT, "100", "1");
    struct tick other = a_trade(MIDNIGHT, 1, "5", "1");
    other.symbol = 3;
    candles_trade(r->c, &other);
    candles_gap(r->c, 0, MARKET_BINANCE, MIDNIGHT, MIDNIGHT);
    candles_forget(r->c, 0);
    candles_forget(r->c, 1); /* was never there */
    candles_forget(r->c, 900);
    assert_null(candles_series(r->c, 0, INTERVAL_1M, &count));
    assert_int_equal(count, 0);
    assert_int_equal(candles_venue(r->c, 0), MARKET_VENUES);
    assert_int_equal(candles_series(r->c, 3, INTERVAL_1M, &count)->open.mantissa, 5);
    struct tick kraken = a_trade(MIDNIGHT + MIN, 7, "101", "2");
    kraken.venue = MARKET_KRAKEN; /* nobody has the series now */
    candles_trade(r->c, &kraken);
    const struct candle *rows = candles_series(r->c, 0, INTERVAL_1M, &count);
    assert_int_equal(count, 1);
    assert_int_equal(rows->open_ms, MIDNIGHT + MIN);
    candles_free(r->c);
}

TEST(reset_forgets_everything)
{
    struct rig *r = begin();
    size_t n;
    trade(r, MIDNIGHT, "100", "1");
    candles_reset(r->c);
    assert_null(candles_series(r->c, 0, INTERVAL_1M, &n));
    assert_int_equal(candles_venue(r->c, 0), MARKET_VENUES);
    trade(r, MIDNIGHT - DAY, "5", "1"); /* the clock is forgotten, too */
    expect_row(row(r, INTERVAL_1M, MIDNIGHT - DAY), "5 5 5 5 1", 1, CANDLE_GAP);
    candles_free(r->c);
}

/* ---- any order within the late window gives the same ---- */

#define PROP_TRADES 600

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int by_arrival(const void *a, const void *b)
{
    const struct tick *x = a, *y = b;
    return (x->received_ms > y->received_ms) - (x->received_ms < y->received_ms);
}

static void make_prop_trades(struct tick *trades, uint64_t *seed)
{
    int64_t at_ms = MIDNIGHT - 4 * MIN;
    for (size_t i = 0; i < PROP_TRADES; i++) {
        char price[16], quantity[16];
        at_ms +=
            (int64_t)(next_random(seed) % 4) * 500; /* some at the same time: their ids decide */
        snprintf(price, sizeof(price), "%d.%02d", 100 + (int)(next_random(seed) % 50),
                 (int)(next_random(seed) % 100));
        snprintf(quantity, sizeof(quantity), "0.%05d", (int)(next_random(seed) % 100000));
        trades[i] = a_trade(at_ms, i + 2, price, quantity);
    }
}

TEST(any_order_within_the_late_window_gives_the_same_candles)
{
    static struct rig straight, mixed;
    static struct tick trades[PROP_TRADES];
    uint64_t seed = 42;
    for (int round = 0; round < 20; round++) {
        make_prop_trades(trades, &seed);
        begin_keep(&straight, 0);
        begin_keep(&mixed, 0);
        struct tick first = a_trade(MIDNIGHT - 5 * MIN, 1, "100", "1");
        candles_trade(straight.c, &first);
        candles_trade(mixed.c, &first);
        for (size_t i = 0; i < PROP_TRADES; i++) {
            candles_trade(straight.c, &trades[i]);
            trades[i].received_ms += (int64_t)(next_random(&seed) % 2000);
        }
        qsort(trades, PROP_TRADES, sizeof(trades[0]), by_arrival);
        for (size_t i = 0; i < PROP_TRADES; i++) {
            candles_trade(mixed.c, &trades[i]);
        }
        candles_time(straight.c, MIDNIGHT + DAY + HOUR);
        candles_time(mixed.c, MIDNIGHT + DAY + HOUR);
        for (unsigned i = 0; i < INTERVALS; i++) {
            size_t n, m;
            const struct candle *a = candles_series(straight.c, 0, (enum interval)i, &n);
            const struct candle *b = candles_series(mixed.c, 0, (enum interval)i, &m);
            assert_int_equal(n, m);
            for (size_t k = 0; k < n; k++) {
                assert_true(a[k].open_ms == b[k].open_ms);
                assert_int_equal(decimal_cmp(a[k].open, b[k].open), 0);
                assert_int_equal(decimal_cmp(a[k].high, b[k].high), 0);
                assert_int_equal(decimal_cmp(a[k].low, b[k].low), 0);
                assert_int_equal(decimal_cmp(a[k].close, b[k].close), 0);
                assert_int_equal(decimal_cmp(a[k].volume, b[k].volume), 0);
                assert_near(a[k].quote_volume, b[k].quote_volume, 1e-9);
                assert_int_equal(a[k].trades, b[k].trades);
                assert_int_equal(a[k].flags, b[k].flags);
            }
        }
        candles_free(straight.c);
        candles_free(mixed.c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_have_names_and_lengths),
        cmocka_unit_test(trades_make_all_intervals_and_volume_is_exact),
        cmocka_unit_test(a_candle_closes_when_it_is_late_and_not_before),
        cmocka_unit_test(candles_close_in_time_after_our_clock_was_set_back),
        cmocka_unit_test(a_trade_from_the_future_does_not_close_the_present),
        cmocka_unit_test(midnight_closes_each_interval_once_and_begins_new_ones),
        cmocka_unit_test(a_late_trade_within_two_seconds_still_counts_in_its_minute),
        cmocka_unit_test(a_later_trade_amends_and_the_candle_is_told_again),
        cmocka_unit_test(candles_under_way_at_the_start_are_gaps),
        cmocka_unit_test(a_gap_is_asked_for_and_repaired_exactly),
        cmocka_unit_test(a_closed_candle_that_turns_out_to_have_a_gap_is_told_again),
        cmocka_unit_test(part_of_a_gap_repaired_leaves_the_rest),
        cmocka_unit_test(a_gap_that_goes_on_is_asked_for_as_far_as_it_is_over),
        cmocka_unit_test(a_gap_that_nobody_fills_does_not_keep_others_waiting),
        cmocka_unit_test(history_fills_what_is_missing_and_leaves_the_rest),
        cmocka_unit_test(the_open_day_is_whole_after_history_of_hours_and_minutes),
        cmocka_unit_test(hours_of_history_make_whole_candles_of_4_hours_and_no_others),
        cmocka_unit_test(after_a_restart_the_time_between_is_a_gap),
        cmocka_unit_test(the_first_venue_in_order_has_the_series_and_loses_it_by_silence),
        cmocka_unit_test(a_quiet_market_does_not_lose_the_series_while_its_feed_is_alive),
        cmocka_unit_test(history_of_whoever_traded_first_does_not_keep_a_better_venue_out),
        cmocka_unit_test(only_so_many_candles_are_kept),
        cmocka_unit_test(a_late_trade_of_before_the_series_begins_makes_a_gap),
        cmocka_unit_test(after_days_of_silence_only_what_is_kept_is_asked_for),
        cmocka_unit_test(history_decides_about_the_venue),
        cmocka_unit_test(a_stored_gap_stays_one_until_it_is_repaired),
        cmocka_unit_test(time_between_two_stretches_of_history_is_a_gap),
        cmocka_unit_test(unknown_parts_make_unknown_sums),
        cmocka_unit_test(a_symbol_that_is_forgotten_begins_anew_and_the_others_go_on),
        cmocka_unit_test(reset_forgets_everything),
        cmocka_unit_test(any_order_within_the_late_window_gives_the_same_candles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
