/* SPDX-License-Identifier: MIT */
#include "tools/flow.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

/* 2026-11-21T12:34:00Z */
#define NOW INT64_C(1795264440000)
#define MINUTE (NOW / SIM_MINUTE_MS)

struct world {
    struct simulator *simulator;
    struct flow *flow;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->simulator = simulator_new(42);
    w->flow = flow_new(w->simulator, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    flow_free(w->flow);
    simulator_free(w->simulator);
    free(w);
    return 0;
}

static void its_ids_have_no_holes(void **state)
{
    struct world *w = *state;
    static const char *const symbols[] = {"BTC", "SHIB", "ADA", "S499"};
    for (size_t y = 0; y < ARRAY_LEN(symbols); y++) {
        size_t symbol = sim_find_symbol(str_of(symbols[y]));
        for (enum venue v = 0; v < VENUE_COUNT; v++) {
            /* over an hour's and a day's end */
            int64_t from = MINUTE / 1440 * 1440 - 90, last_ms = 0;
            uint64_t next = flow_minute(w->flow, v, symbol, from)->first_id;
            size_t trades = 0;
            for (int64_t minute = from; minute < from + 180; minute++) {
                const struct flow_minute *m = flow_minute(w->flow, v, symbol, minute);
                assert_int_equal(m->first_id, next);
                for (size_t i = 0; i < m->count; i++) {
                    const struct flow_trade *t = &m->trades[i];
                    assert_int_equal(t->id, next++);
                    assert_true(t->at_ms >= last_ms && t->at_ms / SIM_MINUTE_MS == minute);
                    assert_true(t->lots >= 1 && t->ticks >= 1);
                    last_ms = t->at_ms;
                    trades++;
                }
            }
            assert_true(trades > 50);
        }
    }
}

/* The candle of a span, summed from its trades. */
static void sum(struct flow *f, enum venue v, size_t symbol, int64_t from, int64_t to,
                struct sim_candle *out)
{
    int d = venue_price_decimals(v, symbol), l = venue_lot_decimals(v, symbol);
    *out = (struct sim_candle){0};
    for (int64_t minute = from; minute < to; minute++) {
        const struct flow_minute *m = flow_minute(f, v, symbol, minute);
        for (size_t i = 0; i < m->count; i++) {
            double price = venue_to_double(m->trades[i].ticks, d);
            double amount = venue_to_double(m->trades[i].lots, l);
            out->open = out->trades ? out->open : price;
            out->high = fmax(out->high, price);
            out->low = out->trades ? fmin(out->low, price) : price;
            out->close = price;
            out->volume += amount;
            out->volume_usd += amount * price;
            out->taker_buy += m->trades[i].buy ? amount : 0;
            out->trades++;
        }
    }
}

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 1e-9 * fmax(fabs(a), 1)) {
        fail_msg("%.12g is not %.12g", a, b);
    }
}

static void its_candles_are_what_the_trades_sum_to(void **state)
{
    struct world *w = *state;
    static const char *const symbols[] = {"BTC", "ETH", "USDC", "SHIB", "XLM", "S000", "S498"};
    static const int64_t spans[] = {1, 5, 15, 60, 240, 1440};
    size_t empty = 0;
    for (size_t y = 0; y < ARRAY_LEN(symbols); y++) {
        size_t symbol = sim_find_symbol(str_of(symbols[y]));
        for (enum venue v = 0; v < VENUE_COUNT; v++) {
            for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
                int64_t to = MINUTE / spans[i] * spans[i], from = to - spans[i];
                struct sim_candle want, have;
                sum(w->flow, v, symbol, from, to, &want);
                assert_true(flow_candle(w->flow, v, symbol, from * SIM_MINUTE_MS,
                                        to * SIM_MINUTE_MS, NOW, &have));
                assert_int_equal(have.trades, want.trades);
                assert_near(have.volume, want.volume);
                assert_near(have.taker_buy, want.taker_buy);
                empty += want.trades == 0;
                if (want.trades) {
                    assert_near(have.open, want.open);
                    assert_near(have.high, want.high);
                    assert_near(have.low, want.low);
                    assert_near(have.close, want.close);
                    assert_true(fabs(have.volume_usd / want.volume_usd - 1) < 0.02);
                }
                if (spans[i] == 1) {
                    assert_near(have.volume_usd, want.volume_usd);
                }
            }
        }
    }
    assert_true(empty < 20);
}

/* Every minute of a day of a small symbol: those with 0, 1, 2 and 3 trades too. */
static void minutes_of_few_trades_are_right_too(void **state)
{
    struct world *w = *state;
    size_t symbol = sim_find_symbol(STR("S450")), seen[5] = {0};
    for (int64_t minute = MINUTE - 1441; minute < MINUTE - 1; minute++) {
        struct sim_candle want, have;
        sum(w->flow, VENUE_COINBASE, symbol, minute, minute + 2, &want);
        /* two minutes, so that it is not summed from trades itself */
        assert_true(flow_candle(w->flow, VENUE_COINBASE, symbol, minute * SIM_MINUTE_MS,
                                (minute + 2) * SIM_MINUTE_MS, NOW, &have));
        assert_int_equal(have.trades, want.trades);
        size_t n = flow_minute(w->flow, VENUE_COINBASE, symbol, minute)->count;
        seen[n > 4 ? 4 : n]++;
        if (want.trades) {
            assert_near(have.high, want.high);
            assert_near(have.low, want.low);
            assert_near(have.close, want.close);
        } else {
            assert_true(have.open > 0 && have.open == have.close && have.volume == 0);
        }
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void a_minute_under_way_has_what_happened_so_far(void **state)
{
    struct world *w = *state;
    size_t symbol = 0;
    uint64_t first, before = 0;
    for (int64_t ms = 0; ms < SIM_MINUTE_MS; ms += 7919) {
        struct sim_candle c, day;
        assert_true(
            flow_candle(w->flow, VENUE_BINANCE, symbol, NOW, NOW + SIM_MINUTE_MS, NOW + ms, &c));
        const struct flow_minute *m = flow_minute(w->flow, VENUE_BINANCE, symbol, MINUTE);
        struct flow_trade last;
        assert_true(flow_last(w->flow, VENUE_BINANCE, symbol, NOW + ms, &last));
        size_t n = 0;
        while (n < m->count && m->trades[n].at_ms <= NOW + ms) {
            n++;
        }
        assert_int_equal(c.trades, n);
        assert_int_equal(last.id, m->first_id + n - 1);
        assert_true(flow_last_day(w->flow, VENUE_BINANCE, symbol, NOW + ms, &day, &first));
        assert_int_equal(first + day.trades - 1, last.id);
        assert_true(day.trades >= before);
        before = day.trades;
    }
}

static void an_id_leads_to_its_minute(void **state)
{
    struct world *w = *state;
    for (enum venue v = 0; v < VENUE_COUNT; v++) {
        for (int64_t minute = MINUTE - 3000; minute < MINUTE; minute += 37) {
            const struct flow_minute *m = flow_minute(w->flow, v, 1, minute);
            if (m->count) {
                uint64_t first = m->first_id, last = m->first_id + m->count - 1;
                assert_int_equal(flow_minute_of_id(w->flow, v, 1, first), minute);
                assert_int_equal(flow_minute_of_id(w->flow, v, 1, last), minute);
            }
        }
        assert_true(flow_minute_of_id(w->flow, v, 1, 0) == INT64_MIN);
        assert_true(flow_minute_of_id(w->flow, v, 1, UINT64_MAX) == INT64_MIN);
    }
}

static void another_flow_of_that_seed_is_the_same(void **state)
{
    struct world *w = *state;
    struct simulator *simulator = simulator_new(42);
    struct flow *other = flow_new(simulator, 1), *fast = flow_new(simulator, 50);
    (void)flow_minute(other, VENUE_KRAKEN, 3, MINUTE + 5); /* another order of questions */
    struct flow_minute a = *flow_minute(w->flow, VENUE_KRAKEN, 3, MINUTE);
    struct flow_minute b = *flow_minute(other, VENUE_KRAKEN, 3, MINUTE);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.trades[i].ticks, b.trades[i].ticks);
        assert_int_equal(a.trades[i].lots, b.trades[i].lots);
        assert_int_equal(a.trades[i].buy, b.trades[i].buy);
    }
    size_t many = flow_minute(fast, VENUE_BINANCE, 0, MINUTE)->count;
    size_t few = flow_minute(other, VENUE_BINANCE, 0, MINUTE)->count;
    assert_true(many > few * 48 && many < few * 52);
    flow_free(other);
    flow_free(fast);
    simulator_free(simulator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_ids_have_no_holes, setup, teardown),
        cmocka_unit_test_setup_teardown(its_candles_are_what_the_trades_sum_to, setup, teardown),
        cmocka_unit_test_setup_teardown(minutes_of_few_trades_are_right_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_minute_under_way_has_what_happened_so_far, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_id_leads_to_its_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(another_flow_of_that_seed_is_the_same, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
