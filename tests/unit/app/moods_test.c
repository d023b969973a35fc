/* Signals out of candles on a virtual clock: when, from which candles, and how often they are told.
 * SPDX-License-Identifier: MIT */
#include "app/moods.h"

#include "base/alloc.h"
#include "tests/lib/test.h"

#define HOUR ((int64_t)3600000)
#define DAY (24 * HOUR)
#define WALL ((int64_t)1767225600000) /* 2026-01-01T00:00:00Z */
#define HOURS 220

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
    struct moods *moods;
    struct buf signals;   /* a line a message of trading_signal */
    struct buf sentiment; /* the newest */
    uint32_t btc;
    uint64_t id;
};

static void tap(void *self, const struct frame *f, struct str cursor UNUSED)
{
    struct world *w = self;
    if (str_eq(str_of(f->channel->name), STR("trading_signal"))) {
        buf_printf(&w->signals, "%.*s\n", STR_ARG(frame_payload(f)));
    } else if (str_eq(str_of(f->channel->name), STR("sentiment_update"))) {
        buf_clear(&w->sentiment);
        buf_add_str(&w->sentiment, frame_payload(f));
    }
}

static int health(void *self UNUSED, struct json_writer *w UNUSED)
{
    return 0;
}

static void on_closed(void *self, uint32_t symbol, enum interval i, const struct candle *c UNUSED)
{
    struct world *w = self;
    moods_candle_closed(w->moods, symbol, i);
}

static struct decimal whole(int64_t value)
{
    return (struct decimal){.mantissa = value};
}

static void give_history(struct world *w)
{
    struct candle rows[HOURS];
    for (int i = 0; i < HOURS; i++) {
        struct decimal price = whole(1000 + i); /* it rises and rises: BUY */
        rows[i] = (struct candle){.open_ms = WALL - (HOURS - i) * HOUR,
                                  .open = price,
                                  .high = price,
                                  .low = price,
                                  .close = price,
                                  .volume = whole(1),
                                  .flags = CANDLE_CLOSED};
    }
    assert_int_equal(
        candles_fill(w->candles, w->btc, MARKET_COINBASE, INTERVAL_1H, rows, HOURS) > 0, true);
    moods_history_came(w->moods, w->btc, INTERVAL_1H);
    loop_turn(w->loop, 0);
}

static struct world *world_new(void)
{
    struct world *w = mem_zero(sizeof(*w));
    clock_init_virtual(&w->clock, 5000, WALL);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    w->mail = mailbox_new(w->loop, 16);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    hub_tap(w->hub, tap, w);
    w->market = market_new(&(struct market_opts){0});
    w->candles = candles_new(&(struct candles_opts){.listener = {.closed = on_closed, .self = w}});
    assert_ok(market_add_symbol(w->market, STR("BTC"), &w->btc));
    summary_init(&w->summary, MODE_DEMO);
    w->settings = (struct api_settings){
        .sources = true, .dashboard_ms = 1 << 30, .btc_price_ms = 1 << 30, .version = "0"};
    w->api = api_main_new(&(struct api_main_opts){.loop = w->loop,
                                                  .mail = w->mail,
                                                  .hub = w->hub,
                                                  .summary = &w->summary,
                                                  .market = w->market,
                                                  .candles = w->candles,
                                                  .settings = &w->settings,
                                                  .health = health,
                                                  .self = w,
                                                  .io_name = "epoll"});
    assert_non_null(w->api);
    w->moods = moods_new(&(struct moods_opts){
        .loop = w->loop, .market = w->market, .candles = w->candles, .summary = &w->summary});
    moods_attach(w->moods, w->api);
    candles_time(w->candles, WALL + 5000);
    return w;
}

static void world_free(struct world *w)
{
    moods_free(w->moods);
    api_main_free(w->api);
    candles_free(w->candles);
    market_free(w->market);
    hub_free(w->hub);
    mailbox_free(w->mail);
    loop_free(w->loop);
    buf_fini(&w->signals);
    buf_fini(&w->sentiment);
    mem_free(w);
}

static void trade(struct world *w, int64_t at_ms, struct decimal price)
{
    struct tick t = {.kind = TICK_TRADE,
                     .venue = MARKET_COINBASE,
                     .symbol = w->btc,
                     .exchange_ms = at_ms,
                     .received_ms = at_ms,
                     .id = ++w->id,
                     .price = price,
                     .quantity = whole(1)};
    candles_trade(w->candles, &t);
}

static size_t told(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->signals.len; i++) {
        n += w->signals.ptr[i] == '\n';
    }
    return n;
}

TEST(history_that_comes_again_is_no_news)
{
    struct world *w = world_new();
    give_history(w);
    assert_int_equal(told(w), 1);
    assert_contains(buf_str(&w->signals), "\"signal\":\"BUY\"");
    moods_history_came(w->moods, w->btc, INTERVAL_1H);
    loop_turn(w->loop, 0);
    assert_int_equal(told(w), 1);
    world_free(w);
}

/* Until two seconds after its end trades may still belong to it. */
TEST(a_candle_counts_when_it_is_closed_and_not_before)
{
    struct world *w = world_new();
    give_history(w);
    trade(w, WALL + 10000, whole(1)); /* a crash: the hour ends the BUY */
    buf_clear(&w->signals);
    clock_advance_us(&w->clock, (uint64_t)HOUR * 1000 + 1000000);
    candles_time(w->candles, WALL + HOUR + 1000);
    loop_turn(w->loop, 0); /* the minute's look at everything */
    moods_candle_closed(w->moods, w->btc, INTERVAL_1H);
    loop_turn(w->loop, 0);
    assert_int_equal(told(w), 0);
    clock_advance_us(&w->clock, 1000000);
    candles_time(w->candles, WALL + HOUR + 2000);
    loop_turn(w->loop, 0);
    assert_int_equal(told(w), 1);
    assert_contains(buf_str(&w->signals), "\"candle_time\":\"2026-01-01T00:00:00.000Z\"");
    world_free(w);
}

/* `missing`: the day so many days ago has no candle; 0: all have one. */
static void give_days(struct world *w, int count, int missing)
{
    struct candle rows[200];
    size_t n = 0;
    for (int ago = count; ago > 0; ago--) {
        if (ago == missing) {
            continue;
        }
        struct decimal price = whole(1000 + ago % 7);
        rows[n++] = (struct candle){.open_ms = WALL - ago * DAY,
                                    .open = price,
                                    .high = price,
                                    .low = price,
                                    .close = price,
                                    .volume = whole(1),
                                    .flags = CANDLE_CLOSED};
    }
    (void)candles_fill(w->candles, w->btc, MARKET_COINBASE, INTERVAL_1D, rows, n);
    moods_history_came(w->moods, w->btc, INTERVAL_1D);
    clock_advance_us(&w->clock, 1000);
    loop_turn(w->loop, 0);
}

/* Of days with a hole there is no mean of 90 days: the mood goes without, and says so. */
TEST(the_mood_of_broken_days_says_what_it_lacks)
{
    static const struct {
        int days, missing;
        bool known;
    } cases[] = {{90, 0, false}, {91, 0, true}, {150, 0, true}, {150, 40, false}, {150, 92, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        give_days(w, cases[i].days, cases[i].missing);
        struct str s = buf_str(&w->sentiment);
        char name[40];
        snprintf(name, sizeof(name), "%d days without %d", cases[i].days, cases[i].missing);
        test_case(name);
        assert_int_equal(str_find_str(s, STR("91 closed days of BTC in a row are needed")) ==
                             SIZE_MAX,
                         cases[i].known);
        assert_int_equal(str_find_str(s, STR("\"momentum\":{\"value\":null")) == SIZE_MAX,
                         cases[i].known);
        world_free(w);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_that_comes_again_is_no_news),
        cmocka_unit_test(the_mood_of_broken_days_says_what_it_lacks),
        cmocka_unit_test(a_candle_counts_when_it_is_closed_and_not_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
