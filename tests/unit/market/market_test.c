/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/market.h"

#include <math.h>

#define T0 ((int64_t)1723161240000)

struct rig {
    struct market *m;
    uint32_t btc, usdt;
    int64_t now_ms;
    int changes[8], trades;
};

static void on_changed(void *self, uint32_t symbol)
{
    struct rig *r = self;
    r->changes[symbol]++;
}

static void on_trade(void *self, const struct tick *t UNUSED)
{
    struct rig *r = self;
    r->trades++;
}

static struct decimal dec(const char *text)
{
    struct decimal d;
    assert_ok(decimal_read(str_of(text), &d));
    return d;
}

static void begin(struct rig *r)
{
    *r = (struct rig){.now_ms = T0};
    struct market_opts opts = {.listener = {.changed = on_changed, .trade = on_trade, .self = r}};
    r->m = market_new(&opts);
    assert_ok(market_add_symbol(r->m, STR("BTC"), &r->btc));
    assert_ok(market_add_symbol(r->m, STR("USDT"), &r->usdt));
}

static struct tick tick(const struct rig *r, enum tick_kind kind, enum market_venue v,
                        uint32_t symbol)
{
    return (struct tick){.kind = kind,
                         .venue = v,
                         .symbol = symbol,
                         .usdt = v == MARKET_BINANCE,
                         .exchange_ms = r->now_ms,
                         .received_ms = r->now_ms,
                         .change_24h_pct = NAN,
                         .volume_24h = NAN,
                         .quote_volume_24h = NAN,
                         .high_24h = NAN,
                         .low_24h = NAN};
}

static struct tick a_trade(const struct rig *r, enum market_venue v, const char *price)
{
    struct tick t = tick(r, TICK_TRADE, v, r->btc);
    t.price = dec(price);
    t.quantity = dec("0.5");
    return t;
}

static enum err apply(struct rig *r, const struct tick *t)
{
    return market_apply(r->m, t, r->now_ms);
}

static enum err trade(struct rig *r, enum market_venue v, const char *price)
{
    struct tick t = a_trade(r, v, price);
    return apply(r, &t);
}

static enum err book(struct rig *r, enum market_venue v, const char *bid, const char *ask)
{
    struct tick t = tick(r, TICK_BOOK, v, r->btc);
    t.bid = dec(bid);
    t.ask = dec(ask);
    return apply(r, &t);
}

static void rate(struct rig *r, enum market_venue v, const char *price)
{
    struct tick t = tick(r, TICK_TRADE, v, r->usdt);
    t.usdt = false;
    t.price = dec(price);
    t.quantity = dec("100");
    assert_ok(apply(r, &t));
}

static const struct quote *btc(const struct rig *r)
{
    return market_quote(r->m, r->btc);
}

static void expect_price(const struct rig *r, const char *digits)
{
    char text[DECIMAL_TEXT_LEN + 1];
    decimal_text(btc(r)->price, text);
    assert_string_equal(text, digits);
}

TEST(symbols_get_ids_in_order_and_any_case_finds_them)
{
    struct rig r;
    uint32_t id = 99;
    begin(&r);
    assert_int_equal(r.btc, 0);
    assert_ok(market_add_symbol(r.m, STR("btc"), &id));
    assert_int_equal(id, r.btc);
    assert_int_equal(market_find(r.m, STR("bTc")), r.btc);
    assert_int_equal(market_find(r.m, STR("ETH")), MARKET_NO_SYMBOL);
    assert_string_equal(market_symbol(r.m, r.btc), "BTC");
    assert_err(market_add_symbol(r.m, STR(""), &id), ERR_SYNTAX);
    assert_err(market_add_symbol(r.m, STR("BTC-USD"), &id), ERR_SYNTAX);
    assert_err(market_add_symbol(r.m, STR("ABCDEFGHIJKLMNOP"), &id), ERR_SYNTAX);
    assert_int_equal(market_count(r.m), 2);
    market_free(r.m);

    struct market_opts small = {.max_symbols = 1};
    struct market *m = market_new(&small);
    assert_ok(market_add_symbol(m, STR("ABCDEFGHIJKLMNO"), &id));
    assert_err(market_add_symbol(m, STR("B"), &id), ERR_LIMIT);
    market_free(m);
}

TEST(nothing_said_is_unknown_with_a_reason)
{
    struct rig r;
    begin(&r);
    const struct quote *q = btc(&r);
    assert_false(q->known);
    assert_true(strlen(q->reason) > 0 && strlen(q->feeds[MARKET_KRAKEN].reason) > 0);
    assert_true(isnan(q->change_24h_pct) && isnan(q->volume_24h_usd) && isnan(q->spread_pct));
    assert_true(isnan(market_usdt_rate(r.m)));
    struct tick t = tick(&r, TICK_DAY, MARKET_KRAKEN, r.btc); /* figures, but no price */
    t.change_24h_pct = 1;
    assert_ok(apply(&r, &t));
    assert_false(btc(&r)->known);
    market_free(r.m);
}

TEST(median_of_one_two_and_three_feeds)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_KRAKEN, "1");
    assert_ok(trade(&r, MARKET_COINBASE, "61837.630"));
    expect_price(&r, "61837.63");
    assert_true(isnan(btc(&r)->spread_pct));
    assert_ok(trade(&r, MARKET_KRAKEN, "61840.4"));
    expect_price(&r, "61839.02"); /* 61839.015, to the places that feeds use, half to even */
    assert_near(btc(&r)->spread_pct, (61840.4 / 61837.63 - 1) * 100, 1e-12);
    assert_ok(trade(&r, MARKET_BINANCE, "61839.01"));
    expect_price(&r, "61839.01");
    assert_int_equal(btc(&r)->used, 7);
    assert_ok(trade(&r, MARKET_BINANCE, "61900"));
    expect_price(&r, "61840.4");
    market_free(r.m);
}

TEST(usdt_is_converted_at_the_live_rate)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_COINBASE, "0.999");
    rate(&r, MARKET_KRAKEN, "0.9992");
    assert_near(market_usdt_rate(r.m), 0.9991, 1e-12);
    assert_ok(trade(&r, MARKET_BINANCE, "60000.01"));
    assert_false(btc(&r)->usdt);
    expect_price(&r, "59946.01"); /* 59946.009991 */
    assert_near(btc(&r)->feeds[MARKET_BINANCE].price_usd, 60000.01 * 0.9991, 1e-6);
    /* Another rate shows with the next market_age(), not with each of its own ticks. */
    int before = r.changes[r.btc];
    rate(&r, MARKET_COINBASE, "0.9992");
    assert_int_equal(r.changes[r.btc], before);
    market_age(r.m, r.now_ms);
    assert_int_equal(r.changes[r.btc], before + 1);
    expect_price(&r, "59952.01");
    market_free(r.m);
}

TEST(one_venue_can_t_spoil_the_rate_that_converts_the_others)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_COINBASE, "0.999");
    rate(&r, MARKET_KRAKEN, "1.05"); /* 5 % off: not their mean */
    assert_near(market_usdt_rate(r.m), 0.999, 1e-12);
    assert_true(market_quote(r.m, r.usdt)->feeds[MARKET_KRAKEN].outlier);
    rate(&r, MARKET_KRAKEN, "1.001");
    assert_near(market_usdt_rate(r.m), 1.0, 1e-12);
    market_free(r.m);
}

TEST(without_a_rate_the_price_stays_in_usdt_and_says_so)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_BINANCE, "60000.01"));
    assert_true(btc(&r)->known && btc(&r)->usdt);
    expect_price(&r, "60000.01");
    assert_true(isnan(btc(&r)->feeds[MARKET_BINANCE].price_usd));
    assert_true(isnan(btc(&r)->volume_24h_usd));
    assert_string_equal(btc(&r)->reason, "the USDT/USD rate is not known: the price is in USDT");
    /* A feed in USD is the price then, alone. */
    assert_ok(trade(&r, MARKET_COINBASE, "59000"));
    assert_false(btc(&r)->usdt);
    assert_string_equal(btc(&r)->reason, "");
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE);
    expect_price(&r, "59000");
    /* The first rate shows at once. */
    rate(&r, MARKET_KRAKEN, "0.98");
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE | 1 << MARKET_BINANCE);
    /* And that it is gone, too. */
    market_down(r.m, MARKET_KRAKEN, r.usdt, "connection lost");
    assert_true(isnan(market_usdt_rate(r.m)));
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE);
    market_free(r.m);
}

TEST(an_outlier_of_three_is_left_out_and_counted)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_KRAKEN, "1");
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    assert_ok(trade(&r, MARKET_KRAKEN, "100.2"));
    assert_ok(trade(&r, MARKET_BINANCE, "102.5"));
    assert_true(btc(&r)->feeds[MARKET_BINANCE].outlier);
    assert_false(btc(&r)->feeds[MARKET_BINANCE].used);
    assert_int_equal(btc(&r)->outliers, 1);
    assert_int_equal(btc(&r)->feeds[MARKET_BINANCE].outliers, 1);
    expect_price(&r, "100.1");
    assert_near(btc(&r)->spread_pct, 2.5, 1e-9);
    assert_ok(trade(&r, MARKET_BINANCE, "102.2")); /* 1.996 % of the median */
    assert_false(btc(&r)->feeds[MARKET_BINANCE].outlier);
    assert_int_equal(btc(&r)->outliers, 1);
    market_free(r.m);
}

TEST(of_two_far_apart_the_one_near_the_last_price_counts)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_KRAKEN, "100"));
    assert_ok(trade(&r, MARKET_COINBASE, "100000"));
    expect_price(&r, "100");
    assert_true(btc(&r)->feeds[MARKET_COINBASE].outlier);
    assert_int_equal(btc(&r)->outliers, 1);
    market_free(r.m);
}

TEST(a_silent_feed_never_looks_alive)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    r.now_ms += 4000;
    assert_ok(trade(&r, MARKET_KRAKEN, "101"));
    market_age(r.m, T0 + 10000);
    assert_true(btc(&r)->feeds[MARKET_COINBASE].fresh);
    market_age(r.m, T0 + 10001);
    assert_false(btc(&r)->feeds[MARKET_COINBASE].fresh);
    assert_true(strlen(btc(&r)->feeds[MARKET_COINBASE].reason) > 0);
    expect_price(&r, "101");
    assert_false(btc(&r)->stale);
    int before = r.changes[r.btc];
    market_age(r.m, T0 + 14000);
    assert_int_equal(r.changes[r.btc], before);
    market_age(r.m, T0 + 14001);
    assert_true(btc(&r)->stale && btc(&r)->known);
    assert_true(strlen(btc(&r)->reason) > 0);
    expect_price(&r, "101"); /* stands, with its age */
    assert_true(btc(&r)->exchange_ms == T0 + 4000);
    assert_int_equal(r.changes[r.btc], before + 1);
    market_confirm(r.m, MARKET_KRAKEN, MARKET_NO_SYMBOL, T0 + 20000);
    assert_false(btc(&r)->stale);
    assert_string_equal(btc(&r)->reason, "");
    assert_int_equal(btc(&r)->used, 1 << MARKET_KRAKEN);
    market_free(r.m);
}

TEST(a_feed_that_is_down_says_why_until_it_speaks)
{
    struct rig r;
    begin(&r);
    assert_ok(book(&r, MARKET_COINBASE, "99", "101"));
    market_down(r.m, MARKET_COINBASE, MARKET_NO_SYMBOL, "connection lost");
    assert_true(btc(&r)->stale);
    assert_string_equal(btc(&r)->reason, "connection lost");
    assert_true(decimal_is_zero(btc(&r)->feeds[MARKET_COINBASE].bid));
    expect_price(&r, "100");
    r.now_ms += 1000;
    assert_ok(trade(&r, MARKET_COINBASE, "102"));
    assert_false(btc(&r)->stale);
    market_down(r.m, MARKET_COINBASE, r.btc, "refused");
    market_confirm(r.m, MARKET_COINBASE, MARKET_NO_SYMBOL, r.now_ms + 1);
    assert_true(btc(&r)->stale); /* the connection lives, this symbol's feed does not */
    market_confirm(r.m, MARKET_COINBASE, r.btc, r.now_ms + 2);
    assert_false(btc(&r)->stale);
    market_free(r.m);
}

TEST(heartbeats_do_not_keep_a_price_alive_while_what_comes_is_rejected)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    struct tick ahead = a_trade(&r, MARKET_COINBASE, "101");
    ahead.exchange_ms += 700000; /* the venue's clock is wrong */
    for (int i = 0; i < 11; i++) {
        r.now_ms += 1000;
        assert_int_equal(apply(&r, &ahead), ERR_RANGE);
        market_confirm(r.m, MARKET_COINBASE, MARKET_NO_SYMBOL, r.now_ms);
        market_confirm(r.m, MARKET_COINBASE, r.btc, r.now_ms);
        market_age(r.m, r.now_ms);
        assert_int_equal(btc(&r)->stale, i == 10);
    }
    assert_string_equal(btc(&r)->reason, "what it says is not plausible");
    expect_price(&r, "100");
    assert_true(btc(&r)->exchange_ms == T0);
    r.now_ms += 1000;
    assert_ok(trade(&r, MARKET_COINBASE, "101"));
    assert_false(btc(&r)->stale);
    r.now_ms += 9000;
    market_confirm(r.m, MARKET_COINBASE, MARKET_NO_SYMBOL, r.now_ms);
    market_age(r.m, r.now_ms + 9000);
    assert_false(btc(&r)->stale);
    market_free(r.m);
}

TEST(after_a_feed_was_down_its_last_trade_is_no_price_of_now)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_KRAKEN, "100"));
    market_down(r.m, MARKET_KRAKEN, MARKET_NO_SYMBOL, "connection lost");
    expect_price(&r, "100");
    r.now_ms += 5000;
    struct tick day = tick(&r, TICK_DAY, MARKET_KRAKEN, r.btc); /* the first thing it says again */
    day.price = dec("103");
    assert_ok(apply(&r, &day));
    assert_false(btc(&r)->stale);
    expect_price(&r, "103");
    assert_true(btc(&r)->exchange_ms == r.now_ms);
    market_down(r.m, MARKET_KRAKEN, MARKET_NO_SYMBOL, "connection lost");
    r.now_ms += 5000;
    assert_ok(book(&r, MARKET_KRAKEN, "104", "104.02"));
    expect_price(&r, "104.01");
    market_free(r.m);
}

TEST(a_change_of_mode_does_not_forget_why_a_feed_is_down)
{
    struct rig r;
    begin(&r);
    market_down(r.m, MARKET_BINANCE, MARKET_NO_SYMBOL, "blocked by region");
    market_down(r.m, MARKET_KRAKEN, r.btc, "not offered there");
    market_reset(r.m);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    assert_string_equal(btc(&r)->feeds[MARKET_BINANCE].reason, "blocked by region");
    assert_string_equal(btc(&r)->feeds[MARKET_KRAKEN].reason, "not offered there");
    market_free(r.m);
}

TEST(one_feed_going_down_does_not_wake_another_that_is_silent)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    r.now_ms += 5000;
    assert_ok(trade(&r, MARKET_KRAKEN, "101"));
    market_age(r.m, T0 + 12000);
    assert_false(btc(&r)->feeds[MARKET_COINBASE].fresh);
    market_down(r.m, MARKET_KRAKEN, MARKET_NO_SYMBOL, "connection lost");
    assert_false(btc(&r)->feeds[MARKET_COINBASE].fresh);
    assert_true(btc(&r)->stale);
    market_free(r.m);
}

TEST(an_old_trade_gives_way_to_the_book_and_then_to_other_feeds)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    assert_ok(book(&r, MARKET_COINBASE, "101", "101.01"));
    expect_price(&r, "100");
    r.now_ms = T0 + 60001;
    market_confirm(r.m, MARKET_COINBASE, MARKET_NO_SYMBOL, r.now_ms);
    market_age(r.m, r.now_ms);
    expect_price(&r, "101.005");
    assert_ok(book(&r, MARKET_COINBASE, "50", "101.01")); /* too wide to have a middle */
    expect_price(&r, "100");
    assert_false(btc(&r)->stale);
    assert_ok(trade(&r, MARKET_KRAKEN, "103"));
    expect_price(&r, "103");
    assert_int_equal(btc(&r)->used, 1 << MARKET_KRAKEN);
    market_free(r.m);
}

TEST(clocks_behind_and_ahead_do_not_matter)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.exchange_ms = r.now_ms + 1270; /* our clock is behind, as recorded */
    assert_ok(apply(&r, &t));
    assert_false(btc(&r)->stale);
    assert_true(btc(&r)->exchange_ms == T0 + 1270);
    t = a_trade(&r, MARKET_KRAKEN, "101");
    t.exchange_ms = r.now_ms - 1270;
    assert_ok(apply(&r, &t));
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE | 1 << MARKET_KRAKEN);
    t.exchange_ms = r.now_ms + 600000;
    assert_ok(apply(&r, &t));
    t.exchange_ms = r.now_ms + 600001;
    assert_err(apply(&r, &t), ERR_RANGE);
    market_age(r.m, r.now_ms - 5000); /* our clock was set back */
    assert_false(btc(&r)->stale);
    market_free(r.m);
}

/* Else it would look alive for as long as the clock was wrong. */
TEST(a_feed_falls_silent_also_after_our_clock_was_set_back)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    market_age(r.m, T0 - 3600000);
    assert_false(btc(&r)->stale);
    market_age(r.m, T0 - 3600000 + 10000);
    assert_false(btc(&r)->stale);
    market_age(r.m, T0 - 3600000 + 10001);
    assert_true(btc(&r)->stale);
    /* A price that moved on meanwhile is compared with the last good one for a minute only. */
    r.now_ms = T0 - 3600000 + 60001;
    assert_ok(trade(&r, MARKET_COINBASE, "200"));
    market_free(r.m);
}

TEST(implausible_ticks_are_refused_and_counted)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    uint64_t version = btc(&r)->version;
    assert_err(trade(&r, MARKET_COINBASE, "0"), ERR_RANGE);
    assert_err(trade(&r, MARKET_COINBASE, "-5"), ERR_RANGE);
    assert_err(trade(&r, MARKET_COINBASE, "100000"), ERR_RANGE);
    assert_err(trade(&r, MARKET_COINBASE, "49.99"), ERR_RANGE);
    assert_err(book(&r, MARKET_COINBASE, "0", "0"), ERR_RANGE);
    assert_err(book(&r, MARKET_COINBASE, "101", "100"), ERR_RANGE);
    assert_err(book(&r, MARKET_COINBASE, "100000", "100001"), ERR_RANGE);
    assert_int_equal(btc(&r)->feeds[MARKET_COINBASE].rejected, 7);
    expect_price(&r, "100");
    assert_true(btc(&r)->version == version);
    assert_int_equal(r.trades, 1);
    assert_ok(trade(&r, MARKET_COINBASE, "150"));
    assert_ok(trade(&r, MARKET_KRAKEN, "80"));
    assert_ok(trade(&r, MARKET_COINBASE, "82")); /* 45 % down */
    assert_ok(trade(&r, MARKET_COINBASE, "123"));
    /* Far down, but another feed is there already (within 5 %). */
    assert_ok(trade(&r, MARKET_KRAKEN, "50"));
    assert_ok(trade(&r, MARKET_COINBASE, "52.5"));
    /* And a minute later nobody knows better. */
    r.now_ms += 60001;
    assert_ok(trade(&r, MARKET_COINBASE, "1000"));
    market_free(r.m);
}

TEST(rejected_ticks_are_no_sign_of_life)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    r.now_ms += 9000;
    assert_err(trade(&r, MARKET_COINBASE, "0"), ERR_RANGE);
    market_age(r.m, T0 + 10001);
    assert_true(btc(&r)->stale);
    market_free(r.m);
}

/* What comes late goes to the candles, and must not spoil them. */
TEST(a_late_trade_is_looked_over_too)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.id = 10;
    assert_ok(apply(&r, &t));
    t.id = 9;
    t.exchange_ms -= 5000;
    t.price = dec("99");
    assert_ok(market_late(r.m, &t, r.now_ms));
    assert_int_equal(r.trades, 2);
    expect_price(&r, "100");
    assert_int_equal(btc(&r)->feeds[MARKET_COINBASE].ticks, 1);
    t.price = dec("1");
    assert_err(market_late(r.m, &t, r.now_ms), ERR_RANGE);
    t.price = dec("99");
    t.exchange_ms = r.now_ms + 600001; /* would close all candles until then */
    assert_err(market_late(r.m, &t, r.now_ms), ERR_RANGE);
    t.exchange_ms = r.now_ms - 86400001;
    assert_err(market_late(r.m, &t, r.now_ms), ERR_RANGE);
    t.id = 11;
    assert_err(apply(&r, &t), ERR_RANGE);
    assert_int_equal(r.trades, 2);
    assert_int_equal(btc(&r)->feeds[MARKET_COINBASE].rejected, 4);
    market_free(r.m);
}

TEST(a_trade_id_counts_once_and_never_goes_back)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.id = 10;
    assert_ok(apply(&r, &t));
    assert_err(apply(&r, &t), ERR_EXISTS);
    t.id = 9;
    t.price = dec("90");
    assert_err(apply(&r, &t), ERR_EXISTS);
    expect_price(&r, "100");
    assert_int_equal(r.trades, 1);
    t.id = 11;
    assert_ok(apply(&r, &t));
    expect_price(&r, "90");
    t.venue = MARKET_KRAKEN; /* ids are a venue's own */
    assert_ok(apply(&r, &t));
    assert_int_equal(r.trades, 3);
    /* The venue counts anew: much newer, though the number is lower. */
    t.id = 3;
    t.exchange_ms += 60001;
    r.now_ms += 60001;
    assert_ok(apply(&r, &t));
    t.id = 4;
    assert_ok(apply(&r, &t));
    market_free(r.m);
}

TEST(a_trade_without_id_that_is_late_is_not_the_last_price)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    struct tick t = a_trade(&r, MARKET_COINBASE, "90");
    t.exchange_ms -= 1;
    assert_ok(apply(&r, &t));
    expect_price(&r, "100");
    assert_int_equal(r.trades, 2); /* its candle wants it */
    market_free(r.m);
}

TEST(the_version_rises_only_when_a_reader_sees_it)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    uint64_t version = btc(&r)->version;
    int changes = r.changes[r.btc];
    r.now_ms += 100;
    assert_ok(trade(&r, MARKET_COINBASE, "100.0"));
    market_confirm(r.m, MARKET_COINBASE, r.btc, r.now_ms);
    market_age(r.m, r.now_ms);
    assert_true(btc(&r)->version == version);
    assert_int_equal(r.changes[r.btc], changes);
    assert_true(btc(&r)->exchange_ms == r.now_ms); /* but its age is that of the newest trade */
    assert_ok(book(&r, MARKET_COINBASE, "99.9", "100.1"));
    assert_true(btc(&r)->version == version + 1);
    assert_int_equal(r.changes[r.btc], changes + 1);
    market_free(r.m);
}

TEST(bid_and_ask_are_medians_of_the_feeds_used_and_converted)
{
    struct rig r;
    char text[DECIMAL_TEXT_LEN + 1];
    begin(&r);
    rate(&r, MARKET_KRAKEN, "0.5");
    assert_ok(book(&r, MARKET_COINBASE, "100", "100.4"));
    assert_ok(book(&r, MARKET_BINANCE, "200.2", "200.62"));
    decimal_text(btc(&r)->bid, text);
    assert_string_equal(text, "100.05");
    decimal_text(btc(&r)->ask, text);
    assert_string_equal(text, "100.355");
    market_free(r.m);
}

TEST(figures_of_a_day_are_converted_and_summed)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_KRAKEN, "0.5");
    struct tick t = tick(&r, TICK_DAY, MARKET_BINANCE, r.btc);
    t.price = dec("200");
    t.change_24h_pct = 1.5;
    t.quote_volume_24h = 1000;
    t.high_24h = 220;
    t.low_24h = 180;
    assert_ok(apply(&r, &t));
    expect_price(&r, "100");
    assert_near(btc(&r)->volume_24h_usd, 500, 1e-9);
    assert_near(btc(&r)->high_24h, 110, 1e-9);
    t = tick(&r, TICK_DAY, MARKET_COINBASE, r.btc);
    t.price = dec("100");
    t.volume_24h = 3; /* base coin */
    assert_ok(apply(&r, &t));
    assert_near(btc(&r)->volume_24h_usd, 800, 1e-9);
    assert_near(btc(&r)->change_24h_pct, 1.5, 0);
    t.volume_24h = NAN; /* not said again: what was said holds */
    assert_ok(apply(&r, &t));
    assert_near(btc(&r)->volume_24h_usd, 800, 1e-9);
    /* Trades are newer than the figures. */
    assert_ok(trade(&r, MARKET_COINBASE, "101"));
    assert_ok(apply(&r, &t));
    assert_near(decimal_double(btc(&r)->feeds[MARKET_COINBASE].price), 101, 0);
    market_free(r.m);
}

TEST(huge_and_tiny_prices_survive_conversion)
{
    struct rig r;
    begin(&r);
    rate(&r, MARKET_KRAKEN, "0.5");
    assert_ok(trade(&r, MARKET_BINANCE, "0.000000001234"));
    expect_price(&r, "0.000000000617");
    r.now_ms += 60001;
    rate(&r, MARKET_KRAKEN, "0.5");
    assert_ok(trade(&r, MARKET_BINANCE, "123456789012.25"));
    assert_near(decimal_double(btc(&r)->price), 61728394506.125, 0.01);
    market_free(r.m);
}

TEST(figures_that_cannot_be_are_refused_one_by_one)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.quantity.mantissa = -1;
    assert_err(apply(&r, &t), ERR_RANGE);
    t = tick(&r, TICK_DAY, MARKET_COINBASE, r.btc);
    t.price = dec("-100");
    assert_err(apply(&r, &t), ERR_RANGE);
    t.price = dec("100");
    t.change_24h_pct = -100.1;
    t.volume_24h = -1;
    assert_ok(apply(&r, &t));
    assert_true(isnan(btc(&r)->change_24h_pct) && isnan(btc(&r)->volume_24h_usd));
    t.change_24h_pct = -100;
    t.volume_24h = 0;
    assert_ok(apply(&r, &t));
    assert_true(btc(&r)->change_24h_pct == -100 && btc(&r)->volume_24h_usd == 0);
    market_free(r.m);
}

TEST(a_book_wider_than_a_tenth_says_no_price)
{
    struct rig r;
    begin(&r);
    assert_ok(book(&r, MARKET_KRAKEN, "100", "110.1"));
    assert_false(btc(&r)->known);
    assert_ok(book(&r, MARKET_KRAKEN, "100", "110"));
    expect_price(&r, "105");
    market_free(r.m);
}

/* A jump is believed when a feed that is fresh says about the same. */
TEST(only_a_fresh_feed_within_a_twentieth_agrees)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_KRAKEN, "200"));
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    assert_err(trade(&r, MARKET_COINBASE, "211"), ERR_RANGE);
    assert_ok(trade(&r, MARKET_COINBASE, "210"));
    assert_ok(trade(&r, MARKET_COINBASE, "140"));
    r.now_ms += 10001;
    market_age(r.m, r.now_ms);
    assert_err(trade(&r, MARKET_COINBASE, "211"), ERR_RANGE);
    assert_err(trade(&r, MARKET_COINBASE, "210.5"), ERR_RANGE);
    market_free(r.m);
}

TEST(the_time_of_a_price_is_the_newest_of_the_feeds_used)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.exchange_ms = T0 - 100;
    assert_ok(apply(&r, &t));
    t = a_trade(&r, MARKET_KRAKEN, "100");
    t.exchange_ms = T0 - 200;
    t.received_us = 77;
    assert_ok(apply(&r, &t));
    assert_int_equal(btc(&r)->exchange_ms, T0 - 100);
    assert_int_equal(btc(&r)->received_us, 77);
    r.now_ms += 1000;
    t = a_trade(&r, MARKET_KRAKEN, "100.5");
    t.exchange_ms = 0; /* it says none */
    assert_ok(apply(&r, &t));
    assert_int_equal(btc(&r)->exchange_ms, T0 + 1000);
    market_free(r.m);
}

/* A trade an hour old by the exchange's clock is no price of now, whenever it came. */
TEST(a_trade_is_as_old_as_the_exchange_says)
{
    struct rig r;
    begin(&r);
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    struct tick t = a_trade(&r, MARKET_KRAKEN, "101");
    t.exchange_ms = T0 - 60001;
    assert_ok(apply(&r, &t));
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE);
    t.exchange_ms = T0 - 60000;
    assert_ok(apply(&r, &t));
    assert_int_equal(btc(&r)->used, 1 << MARKET_COINBASE | 1 << MARKET_KRAKEN);
    market_free(r.m);
}

TEST(what_holds_only_while_somebody_says_it_goes_with_the_feed)
{
    struct rig r;
    begin(&r);
    struct tick t = tick(&r, TICK_DAY, MARKET_COINBASE, r.btc);
    t.price = dec("100");
    t.volume_24h = 5;
    assert_ok(apply(&r, &t));
    assert_ok(book(&r, MARKET_COINBASE, "99", "101"));
    r.now_ms += 5000;
    t = tick(&r, TICK_DAY, MARKET_KRAKEN, r.btc);
    t.price = dec("100");
    t.volume_24h = 7;
    assert_ok(apply(&r, &t));
    assert_ok(book(&r, MARKET_KRAKEN, "99", "101"));
    assert_true(btc(&r)->volume_24h_usd == 1200 && btc(&r)->spread_pct == 0);
    market_age(r.m, T0 + 10001);
    assert_true(btc(&r)->volume_24h_usd == 700 && isnan(btc(&r)->spread_pct));
    market_age(r.m, T0 + 15001);
    assert_true(btc(&r)->stale && isnan(btc(&r)->volume_24h_usd) && isnan(btc(&r)->spread_pct));
    assert_true(decimal_is_zero(btc(&r)->bid) && decimal_is_zero(btc(&r)->ask));
    expect_price(&r, "100");
    market_free(r.m);
}

TEST(that_a_feed_fell_silent_is_news_also_where_its_price_was_not_used)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_KRAKEN, "100");
    t.exchange_ms = T0 - 90000;
    assert_ok(apply(&r, &t));
    r.now_ms += 5000;
    assert_ok(trade(&r, MARKET_COINBASE, "100"));
    int before = r.changes[r.btc];
    uint64_t version = btc(&r)->version;
    market_age(r.m, T0 + 10001); /* Kraken */
    assert_false(btc(&r)->feeds[MARKET_KRAKEN].fresh);
    assert_int_equal(r.changes[r.btc], before + 1);
    assert_true(btc(&r)->version > version);
    market_free(r.m);
}

TEST(reset_forgets_quotes_and_ids_of_trades_but_not_symbols)
{
    struct rig r;
    begin(&r);
    struct tick t = a_trade(&r, MARKET_COINBASE, "100");
    t.id = 10;
    assert_ok(apply(&r, &t));
    uint64_t version = btc(&r)->version;
    market_reset(r.m);
    assert_false(btc(&r)->known);
    assert_true(btc(&r)->version > version);
    assert_int_equal(market_find(r.m, STR("BTC")), r.btc);
    t.id = 2;
    t.price = dec("5");
    assert_ok(apply(&r, &t));
    expect_price(&r, "5");
    market_free(r.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_get_ids_in_order_and_any_case_finds_them),
        cmocka_unit_test(nothing_said_is_unknown_with_a_reason),
        cmocka_unit_test(median_of_one_two_and_three_feeds),
        cmocka_unit_test(usdt_is_converted_at_the_live_rate),
        cmocka_unit_test(one_venue_can_t_spoil_the_rate_that_converts_the_others),
        cmocka_unit_test(without_a_rate_the_price_stays_in_usdt_and_says_so),
        cmocka_unit_test(an_outlier_of_three_is_left_out_and_counted),
        cmocka_unit_test(of_two_far_apart_the_one_near_the_last_price_counts),
        cmocka_unit_test(a_silent_feed_never_looks_alive),
        cmocka_unit_test(a_feed_that_is_down_says_why_until_it_speaks),
        cmocka_unit_test(heartbeats_do_not_keep_a_price_alive_while_what_comes_is_rejected),
        cmocka_unit_test(after_a_feed_was_down_its_last_trade_is_no_price_of_now),
        cmocka_unit_test(a_change_of_mode_does_not_forget_why_a_feed_is_down),
        cmocka_unit_test(one_feed_going_down_does_not_wake_another_that_is_silent),
        cmocka_unit_test(an_old_trade_gives_way_to_the_book_and_then_to_other_feeds),
        cmocka_unit_test(clocks_behind_and_ahead_do_not_matter),
        cmocka_unit_test(a_feed_falls_silent_also_after_our_clock_was_set_back),
        cmocka_unit_test(implausible_ticks_are_refused_and_counted),
        cmocka_unit_test(rejected_ticks_are_no_sign_of_life),
        cmocka_unit_test(a_late_trade_is_looked_over_too),
        cmocka_unit_test(a_trade_id_counts_once_and_never_goes_back),
        cmocka_unit_test(a_trade_without_id_that_is_late_is_not_the_last_price),
        cmocka_unit_test(the_version_rises_only_when_a_reader_sees_it),
        cmocka_unit_test(bid_and_ask_are_medians_of_the_feeds_used_and_converted),
        cmocka_unit_test(figures_of_a_day_are_converted_and_summed),
        cmocka_unit_test(huge_and_tiny_prices_survive_conversion),
        cmocka_unit_test(figures_that_cannot_be_are_refused_one_by_one),
        cmocka_unit_test(a_book_wider_than_a_tenth_says_no_price),
        cmocka_unit_test(only_a_fresh_feed_within_a_twentieth_agrees),
        cmocka_unit_test(the_time_of_a_price_is_the_newest_of_the_feeds_used),
        cmocka_unit_test(a_trade_is_as_old_as_the_exchange_says),
        cmocka_unit_test(what_holds_only_while_somebody_says_it_goes_with_the_feed),
        cmocka_unit_test(that_a_feed_fell_silent_is_news_also_where_its_price_was_not_used),
        cmocka_unit_test(reset_forgets_quotes_and_ids_of_trades_but_not_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
