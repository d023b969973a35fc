/* The main half of live markets on a virtual clock: what it publishes, and what it asks for.
 * SPDX-License-Identifier: MIT */
#include "api/letters.h"
#include "api/market_messages.h"
#include "base/alloc.h"
#include "tests/lib/test.h"

#include <math.h>

#define WALL 1767225600000 /* 2026-01-01T00:00:00Z */

struct world {
    struct clock clock;
    struct loop *loop;
    struct mailbox *mail;
    struct hub *hub;
    struct market *market;
    struct candles *candles;
    struct summary summary;
    struct api_settings settings;
    struct api_main *api;
    struct buf published; /* a line a message: the channel and the payload */
    struct buf wanted;
    uint32_t btc, eth;
};

static void tap(void *self, const struct frame *f, struct str cursor)
{
    struct world *w = self;
    (void)cursor;
    buf_printf(&w->published, "%s %.*s\n", f->channel->name, STR_ARG(frame_payload(f)));
}

static void want(void *self, struct str symbol, bool wanted)
{
    struct world *w = self;
    buf_printf(&w->wanted, "%c%.*s ", wanted ? '+' : '-', STR_ARG(symbol));
}

static int health(void *self, struct json_writer *w)
{
    (void)self;
    (void)w;
    return 0;
}

static void changed(void *self, uint32_t symbol)
{
    struct world *w = self;
    if (w->api) {
        api_main_quote_changed(w->api, symbol);
    }
}

static struct world *world_new(bool sources)
{
    struct world *w = mem_zero(sizeof(*w));
    clock_init_virtual(&w->clock, 5000, WALL);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    loop_turn(w->loop, 0);
    w->mail = mailbox_new(w->loop, 16);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    hub_tap(w->hub, tap, w);
    w->market = market_new(&(struct market_opts){.listener = {.changed = changed, .self = w}});
    w->candles = candles_new(&(struct candles_opts){0});
    summary_init(&w->summary, MODE_DEMO);
    w->settings = (struct api_settings){
        .sources = sources, .dashboard_ms = 1 << 30, .btc_price_ms = 1 << 30, .version = "0"};
    w->api = api_main_new(&(struct api_main_opts){.loop = w->loop,
                                                  .mail = w->mail,
                                                  .hub = w->hub,
                                                  .summary = &w->summary,
                                                  .market = w->market,
                                                  .candles = w->candles,
                                                  .settings = &w->settings,
                                                  .health = health,
                                                  .want = want,
                                                  .self = w,
                                                  .io_name = "epoll"});
    assert_non_null(w->api);
    assert_ok(market_add_symbol(w->market, STR("BTC"), &w->btc));
    assert_ok(market_add_symbol(w->market, STR("ETH"), &w->eth));
    return w;
}

static void world_free(struct world *w)
{
    api_main_free(w->api);
    candles_free(w->candles);
    market_free(w->market);
    hub_free(w->hub);
    mailbox_free(w->mail);
    loop_free(w->loop);
    buf_fini(&w->published);
    buf_fini(&w->wanted);
    mem_free(w);
}

static void turn(struct world *w, uint32_t ms)
{
    clock_advance_us(&w->clock, (uint64_t)ms * 1000);
    loop_turn(w->loop, 0);
}

static int64_t now(const struct world *w)
{
    return clock_wall_ms(&w->clock);
}

static void trade(struct world *w, uint32_t symbol, uint64_t id, struct decimal price)
{
    struct tick t = {.kind = TICK_TRADE,
                     .venue = MARKET_COINBASE,
                     .symbol = symbol,
                     .exchange_ms = now(w),
                     .received_ms = now(w),
                     .id = id,
                     .price = price,
                     .quantity = {1, 0},
                     .change_24h_pct = NAN,
                     .volume_24h = NAN,
                     .quote_volume_24h = NAN,
                     .high_24h = NAN,
                     .low_24h = NAN};
    candles_trade(w->candles, &t);
    assert_ok(market_apply(w->market, &t, now(w)));
}

static size_t lines(const struct world *w, const char *beginning)
{
    struct str rest = buf_str(&w->published);
    struct str line;
    size_t n = 0;
    while (str_next(&rest, '\n', &line)) {
        n += str_starts(line, str_of(beginning));
    }
    return n;
}

TEST(prices_of_one_turn_are_one_message_in_order_of_symbol)
{
    struct world *w = world_new(true);
    api_main_symbol_watched(w->api, w->btc, true);
    api_main_symbol_watched(w->api, w->eth, true);
    trade(w, w->eth, 1, (struct decimal){350012, 2});
    trade(w, w->btc, 1, (struct decimal){9500010, 2});
    trade(w, w->btc, 2, (struct decimal){9500011, 2});
    assert_int_equal(w->published.len, 0); /* only marked */
    turn(w, 1);
    assert_int_equal(lines(w, ""), 1);
    struct str text = buf_str(&w->published);
    assert_contains(
        text,
        "price_updates {\"type\":\"price_updates\",\"data\":{\"BTC\":{\"symbol\":"
        "\"BTC\",\"price\":95000.11,\"quote\":\"USD\",\"change_24h\":null,"
        "\"volume_24h\":null,\"high_24h\":null,\"low_24h\":null,\"bid\":null,"
        "\"ask\":null,\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"stale\":false,"
        "\"reason\":null,\"spread_pct\":null,\"feeds\":1,\"outliers\":0,\"sources\":[{\"feed\":"
        "\"coinbase\","
        "\"instrument\":\"BTC-USD\",\"quote\":\"USD\",\"fresh\":true,\"used\":true}]},\"ETH\":{");
    assert_contains(text, "\"price\":3500.12");
    assert_contains(text, "\"mode\":\"demo\"");
    world_free(w);
}

TEST(a_price_that_nobody_confirms_becomes_stale_with_a_reason)
{
    struct world *w = world_new(true);
    trade(w, w->btc, 1, (struct decimal){95000, 0});
    turn(w, 1);
    buf_clear(&w->published);
    turn(w, 30000);
    market_age(w->market, now(w));
    turn(w, 1);
    assert_contains(buf_str(&w->published), "\"stale\":true,\"reason\":\"");
    world_free(w);
}

TEST(the_ticker_follows_a_change_once_a_second)
{
    struct world *w = world_new(true);
    for (uint64_t i = 1; i <= 30; i++) {
        trade(w, w->btc, i, (struct decimal){95000 + (int64_t)i, 0});
        turn(w, 100);
    }
    size_t sent = lines(w, "ticker ");
    assert_true(sent == 2 || sent == 3);
    turn(w, 1000);
    sent = lines(w, "ticker ");
    turn(w, 5000); /* nothing changed */
    assert_int_equal(lines(w, "ticker "), sent);
    world_free(w);
}

static void watch_minutes(struct world *w, uint32_t key, bool on)
{
    letter_want(w->api, NULL, want_number((struct want_id){key, INTERVAL_1M, on}));
}

TEST(open_candles_are_sent_while_somebody_watches_and_four_times_a_second_at_most)
{
    struct world *w = world_new(true);
    size_t count = 0;
    trade(w, w->btc, 1, (struct decimal){95000, 0});
    const struct candle *rows = candles_series(w->candles, w->btc, INTERVAL_1M, &count);
    assert_int_equal(count, 1);
    api_main_candle(w->api, w->btc, INTERVAL_1M, rows, false);
    turn(w, 300);
    assert_int_equal(lines(w, "candles:"), 0);
    watch_minutes(w, 0, true); /* BTC was told first */
    assert_int_equal(lines(w, "candles:BTC:1m "), 1);
    assert_contains(buf_str(&w->published), "\"closed\":false");
    for (uint64_t i = 2; i <= 21; i++) { /* a second */
        trade(w, w->btc, i, (struct decimal){95000, 0});
        rows = candles_series(w->candles, w->btc, INTERVAL_1M, &count);
        api_main_candle(w->api, w->btc, INTERVAL_1M, &rows[count - 1], false);
        turn(w, 50);
    }
    size_t sent = lines(w, "candles:BTC:1m ") - 1;
    assert_true(sent >= 3 && sent <= 4);
    watch_minutes(w, 0, false);
    turn(w, 300);
    sent = lines(w, "candles:BTC:1m ");
    struct candle closed = rows[count - 1];
    api_main_candle(w->api, w->btc, INTERVAL_1M, &closed, false);
    turn(w, 300);
    assert_int_equal(lines(w, "candles:BTC:1m "), sent);
    closed.flags = CANDLE_CLOSED;
    api_main_candle(w->api, w->btc, INTERVAL_1M, &closed, true);
    assert_int_equal(lines(w, "candles:BTC:1m "), sent + 1);
    closed.flags = CANDLE_CLOSED | CANDLE_HISTORY;
    api_main_candle(w->api, w->btc, INTERVAL_1M, &closed, true);
    assert_int_equal(lines(w, "candles:BTC:1m "), sent + 1);
    world_free(w);
}

TEST(a_symbol_that_is_offered_is_asked_for_until_a_minute_after_the_last)
{
    struct world *w = world_new(true);
    api_main_symbol_watched(w->api, w->btc, true);
    api_main_symbol_offered(w->api, STR("PEPE"));
    api_main_symbol_offered(w->api, STR("BTC"));
    for (uint32_t key = 0; key < 3; key++) { /* the third is nobody's */
        letter_want(w->api, NULL, want_number((struct want_id){key, WANT_PRICE, true}));
        letter_want(w->api, NULL, want_number((struct want_id){key, WANT_PRICE, true}));
    }
    assert_buf(&w->wanted, "+PEPE ");
    letter_want(w->api, NULL, want_number((struct want_id){1, WANT_PRICE, false}));
    for (int i = 0; i < 12; i++) {
        turn(w, 10000);
    }
    assert_buf(&w->wanted, "+PEPE ");
    letter_want(w->api, NULL, want_number((struct want_id){1, WANT_PRICE, false}));
    for (int i = 0; i < 5; i++) {
        turn(w, 10000);
    }
    assert_buf(&w->wanted, "+PEPE ");
    turn(w, 10000);
    turn(w, 10000);
    assert_buf(&w->wanted, "+PEPE -PEPE ");
    world_free(w);
}

TEST(candles_of_a_symbol_are_a_reason_to_ask_for_it)
{
    struct world *w = world_new(true);
    api_main_symbol_offered(w->api, STR("PEPE"));
    watch_minutes(w, 0, true);
    letter_want(w->api, NULL, want_number((struct want_id){0, WANT_PRICE, true}));
    assert_buf(&w->wanted, "+PEPE ");
    letter_want(w->api, NULL, want_number((struct want_id){0, WANT_PRICE, false}));
    for (int i = 0; i < 12; i++) {
        turn(w, 10000);
    }
    assert_buf(&w->wanted, "+PEPE ");
    watch_minutes(w, 0, false);
    for (int i = 0; i < 7; i++) {
        turn(w, 10000);
    }
    assert_buf(&w->wanted, "+PEPE -PEPE ");
    world_free(w);
}

TEST(a_signal_is_a_message_when_it_changed_and_repeated_while_it_stands)
{
    struct world *w = world_new(true);
    struct signal s = {.side = SIGNAL_BUY,
                       .strength = 0.4,
                       .score = 0.4,
                       .quality = SIGNAL_GOOD,
                       .candle_ms = WALL - 3600000,
                       .n = 210,
                       .interval = "1h",
                       .reason = "because"};
    api_main_start(w->api);
    api_main_signal(w->api, w->btc, &s, false);
    assert_int_equal(lines(w, "trading_signal"), 0);
    api_main_signal(w->api, w->btc, &s, true);
    assert_int_equal(lines(w, "trading_signal "), 1);
    assert_contains(buf_str(&w->published),
                    "\"data\":{\"symbol\":\"BTC\",\"signal\":\"BUY\",\"strength\":0.4,\"reason\":"
                    "\"because\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"mode\":\"demo\"");
    assert_contains(buf_str(&w->published), "\"repeat\":false");
    turn(w, 15000);
    assert_int_equal(lines(w, "trading_signal "), 1);
    assert_contains(buf_str(&w->published), "\"repeat\":true");
    s.side = SIGNAL_HOLD;
    api_main_signal(w->api, w->btc, &s, true);
    buf_clear(&w->published);
    turn(w, 15000);
    assert_int_equal(lines(w, "trading_signal"), 0);
    world_free(w);
}

TEST(a_plain_hub_publishes_none_of_it)
{
    struct world *w = world_new(false);
    trade(w, w->btc, 1, (struct decimal){95000, 0});
    api_main_symbol_offered(w->api, STR("PEPE"));
    api_main_signal(w->api, w->btc, &(struct signal){.side = SIGNAL_BUY}, true);
    api_main_start(w->api);
    turn(w, 1);
    turn(w, 20000);
    assert_int_equal(w->published.len, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_of_one_turn_are_one_message_in_order_of_symbol),
        cmocka_unit_test(a_price_that_nobody_confirms_becomes_stale_with_a_reason),
        cmocka_unit_test(the_ticker_follows_a_change_once_a_second),
        cmocka_unit_test(
            open_candles_are_sent_while_somebody_watches_and_four_times_a_second_at_most),
        cmocka_unit_test(a_symbol_that_is_offered_is_asked_for_until_a_minute_after_the_last),
        cmocka_unit_test(candles_of_a_symbol_are_a_reason_to_ask_for_it),
        cmocka_unit_test(a_signal_is_a_message_when_it_changed_and_repeated_while_it_stands),
        cmocka_unit_test(a_plain_hub_publishes_none_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
