/* Recorded sessions through the feeds, as a replay does: every trade once and in order, no gap
 * where there was none, and the same again when it is played twice. And what is recorded of a
 * connection. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/feeds.h"
#include "tests/lib/fake_link.h"

struct play {
    struct clock clock;
    struct loop *loop;
    struct market *market;
    struct feeds *feeds;
    size_t trades, others, late, gaps, offered, candles, downs;
    int64_t newest_ms; /* of history */
    uint64_t sum;      /* of everything handed up, in order */
};

static void mix(struct play *p, uint64_t value)
{
    p->sum = (p->sum ^ value) * 1099511628211ULL;
}

static void on_tick(void *self, const struct tick *t)
{
    struct play *p = self;
    p->trades += t->kind == TICK_TRADE;
    p->others += t->kind != TICK_TRADE;
    mix(p, t->id);
    mix(p, (uint64_t)t->price.mantissa);
    mix(p, (uint64_t)t->bid.mantissa);
    mix(p, (uint64_t)t->exchange_ms);
    mix(p, t->symbol);
}

static void on_late(void *self, const struct tick *t)
{
    struct play *p = self;
    p->late += t->id;
}

static void on_offered(void *self, struct str symbol)
{
    struct play *p = self;
    assert_true(symbol.len > 0);
    p->offered++;
}

static void on_history(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                       const struct candle *rows, size_t count)
{
    struct play *p = self;
    assert_int_equal(v, MARKET_BINANCE);
    assert_int_equal(i, INTERVAL_1M);
    assert_string_equal(market_symbol(p->market, symbol), "BTC");
    p->candles += count;
    p->newest_ms = rows[count - 1].open_ms;
}

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    mix(self, (uint64_t)v * 1000 + symbol);
}

static void on_down(void *self, enum market_venue v, uint32_t symbol, const char *reason)
{
    struct play *p = self;
    assert_int_equal(v, MARKET_BINANCE);
    assert_string_equal(market_symbol(p->market, symbol), "BTC");
    assert_string_equal(reason, "the connection broke");
    p->downs++;
}

static void on_gap(void *self, enum market_venue v, uint32_t symbol, int64_t from_ms, int64_t to_ms)
{
    (void)v;
    (void)symbol;
    (void)from_ms;
    (void)to_ms;
    ((struct play *)self)->gaps++;
}

static void play_init(struct play *p)
{
    *p = (struct play){0};
    clock_init_virtual(&p->clock, 1000, 1723161253000);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &p->clock}, &p->loop));
    p->market = market_new(&(struct market_opts){0});
    p->feeds = feeds_new(&(struct feeds_opts){.loop = p->loop,
                                              .market = p->market,
                                              .mode = MODE_REPLAY,
                                              .tick = on_tick,
                                              .late = on_late,
                                              .confirm = on_confirm,
                                              .down = on_down,
                                              .gap = on_gap,
                                              .history = on_history,
                                              .offered = on_offered,
                                              .self = p});
    feeds_start(p->feeds);
}

static void play_fini(struct play *p)
{
    feeds_free(p->feeds);
    market_free(p->market);
    loop_free(p->loop);
}

/* Lines of `<ns> <frame>`, or bare frames. */
static void play_tape(struct play *p, enum market_venue v, const char *path)
{
    struct buf command = {0};
    char *line = NULL;
    size_t cap = 0;
    buf_printf(&command, "gzip -dc '%s/%s'", fixture_root(), path);
    FILE *pipe = popen(buf_text(&command), "r");
    assert_non_null(pipe);
    for (ssize_t n = getline(&line, &cap, pipe); n > 0; n = getline(&line, &cap, pipe)) {
        struct str frame = str_make(line, (size_t)n - 1);
        if (frame.ptr[0] != '{') {
            frame = str_from(frame, str_find(frame, ' ', 0) + 1);
        }
        feeds_replay_frame(p->feeds, v, frame);
        clock_advance_us(&p->clock, 8000);
        loop_turn(p->loop, 0);
    }
    assert_int_equal(pclose(pipe), 0);
    free(line); /* getline's own */
    buf_fini(&command);
}

TEST(a_recorded_session_gives_every_trade_once_and_the_same_each_time)
{
    uint64_t sum = 0;
    if (!fixture_root()) {
        skip();
    }
    for (int round = 0; round < 2; round++) {
        struct play p;
        play_init(&p);
        play_tape(&p, MARKET_BINANCE, "ws/binance/spot_btcusdt_20240808.txt.gz");
        play_tape(&p, MARKET_BINANCE, "ws/binance/spot_btcusdt_20240809.txt.gz");
        assert_int_equal(p.trades, 19904);
        assert_int_equal(p.others, 28040 + 45134);
        play_tape(&p, MARKET_COINBASE, "ws/coinbase/exchange_20260707_btc_eth.ndjson.gz");
        play_tape(&p, MARKET_KRAKEN, "ws/kraken/v2_20260707_btc_eth.ndjson.gz");
        assert_true(p.trades > 19904 + 435);
        assert_int_equal(p.gaps + p.downs, 0);
        assert_true(round == 0 || p.sum == sum);
        sum = p.sum;
        play_fini(&p);
    }
}

TEST(a_hole_in_a_recording_is_a_gap_at_once)
{
    static const char *const frames[] = {
        "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":7,\"p\":\"5\",\"q\":\"1\",\"T\":1723161255342}",
        "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":9,\"p\":\"5\",\"q\":\"1\",\"T\":1723161255343}"};
    struct play p;
    play_init(&p);
    feeds_replay_frame(p.feeds, MARKET_BINANCE, str_of(frames[0]));
    feeds_replay_frame(p.feeds, MARKET_BINANCE, str_of(frames[1]));
    assert_int_equal(p.gaps, 1);
    assert_int_equal(p.trades, 2);
    assert_true(feeds_frame_time(MARKET_BINANCE, str_of(frames[0])) == 1723161255342);
    assert_true(feeds_frame_time(MARKET_KRAKEN, STR("{\"channel\":\"heartbeat\"}")) == 0);
    assert_true(feeds_frame_time(MARKET_KRAKEN, STR("{\"chan")) == 0);
    play_fini(&p);
}

/* ---- answers of REST ---- */

static void play_trade(struct play *p, unsigned id)
{
    struct buf frame = {0};
    buf_printf(&frame, "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":%u,\"p\":\"5\",\"q\":\"1\",", id);
    buf_printf(&frame, "\"T\":%lld}", (long long)loop_wall_ms(p->loop));
    feeds_replay_frame(p->feeds, MARKET_BINANCE, buf_str(&frame));
    buf_fini(&frame);
}

static void pass(struct play *p, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        clock_advance_us(&p->clock, 100000);
        loop_turn(p->loop, 0);
    }
}

static bool take(struct play *p, const char *purpose, int status, const char *body)
{
    const struct fetch_answer a = {.why = "", .status = status, .body = str_of(body)};
    return feeds_take_recorded(p->feeds, MARKET_BINANCE, str_of(purpose), &a);
}

/* From here on holes wait for their answers. */
static void begin_with_list(struct play *p)
{
    play_init(p);
    assert_true(take(p, "instruments", 200,
                     "{\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\"},"
                     "{\"symbol\":\"ETHUSDT\",\"status\":\"TRADING\"}]}"));
    assert_int_equal(p->offered, 2);
    play_trade(p, 7);
}

#define TRADE(id) \
    "{\"id\":" #id ",\"price\":\"5\",\"qty\":\"1\",\"time\":1723161255342,\"isBuyerMaker\":true}"

TEST(a_hole_is_filled_by_the_answer_that_the_recording_has)
{
    struct play p;
    begin_with_list(&p);
    play_trade(&p, 10);
    pass(&p, 60000);
    assert_int_equal(p.gaps, 0);
    assert_true(take(&p, "trades BTCUSDT 8 9", 200, "[" TRADE(8) "," TRADE(9) "]"));
    assert_int_equal(p.late, 8 + 9); /* they are no news */
    assert_int_equal(p.trades, 2);
    assert_true(take(&p, "trades BTCUSDT 8 9", 200, "[" TRADE(8) "," TRADE(9) "]"));
    assert_int_equal(p.late, 8 + 9); /* not twice */
    pass(&p, 600000);
    assert_int_equal(p.gaps, 0);
    play_fini(&p);
}

TEST(what_the_answer_does_not_fill_is_a_gap)
{
    struct play p;
    begin_with_list(&p);
    play_trade(&p, 10);
    assert_true(take(&p, "trades BTCUSDT 8 9", 200, "[" TRADE(8) "]"));
    assert_int_equal(p.late, 8);
    assert_int_equal(p.gaps, 1);
    play_trade(&p, 12);
    assert_true(take(&p, "trades BTCUSDT 11 11", 503, "busy"));
    assert_int_equal(p.gaps, 2);
    play_trade(&p, 14);
    pass(&p, 300000); /* so long may a venue want to be left alone */
    assert_int_equal(p.gaps, 2);
    pass(&p, 70000); /* no answer at all */
    assert_int_equal(p.gaps, 3);
    play_fini(&p);
}

TEST(a_trade_that_came_before_the_answer_counts_once)
{
    struct play p;
    begin_with_list(&p);
    play_trade(&p, 10);
    pass(&p, 400);
    play_trade(&p, 8); /* the connection that is replaced is behind */
    assert_int_equal(p.late, 8);
    assert_true(take(&p, "trades BTCUSDT 8 9", 200, "[" TRADE(8) "," TRADE(9) "]"));
    assert_int_equal(p.late, 8 + 9);
    assert_int_equal(p.gaps, 0);
    play_fini(&p);
}

TEST(prices_are_down_when_the_last_connection_of_their_venue_broke)
{
    struct play p;
    play_init(&p);
    feeds_replay_opened(p.feeds, MARKET_BINANCE);
    feeds_replay_opened(p.feeds, MARKET_KRAKEN);
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1006); /* it said nothing yet */
    feeds_replay_opened(p.feeds, MARKET_BINANCE);
    play_trade(&p, 7);
    feeds_replay_opened(p.feeds, MARKET_BINANCE); /* turned over */
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1006);
    feeds_replay_closed(p.feeds, MARKET_KRAKEN, 1006);
    assert_int_equal(p.downs, 0);
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1006);
    assert_int_equal(p.downs, 1);
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1006); /* a recording may begin in the middle */
    assert_int_equal(p.downs, 1);
    play_trade(&p, 8);
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1000); /* by the recording server, at its end */
    assert_int_equal(p.downs, 1);
    feeds_replay_closed(p.feeds, MARKET_BINANCE, 1011);
    assert_int_equal(p.downs, 2);
    play_fini(&p);
}

TEST(history_of_a_recording_is_what_was_over_then)
{
    static const char rows[] =
        "[[1723161120000,\"5\",\"6\",\"4\",\"5\",\"1\",1723161179999,\"5\",3,\"1\",\"5\",\"0\"],"
        "[1723161180000,\"5\",\"6\",\"4\",\"5\",\"1\",1723161239999,\"5\",3,\"1\",\"5\",\"0\"],"
        "[1723161240000,\"5\",\"6\",\"4\",\"5\",\"1\",1723161299999,\"5\",3,\"1\",\"5\",\"0\"]]";
    struct play p;
    play_init(&p); /* nobody watches BTC, and no frame named it */
    assert_true(take(&p, "candles BTCUSDT 1m 0", 200, rows));
    assert_int_equal(p.candles, 2);
    assert_true(p.newest_ms == 1723161180000);
    assert_true(take(&p, "candles BTCUSDT 1m 1723161180000", 200, rows));
    assert_int_equal(p.candles, 3);
    assert_true(take(&p, "candles BTCUSDT 1m 0", 429, rows));
    assert_int_equal(p.candles, 3);
    assert_false(take(&p, "candles BTCUSDT 7m 0", 200, rows));
    assert_false(take(&p, "candles NONSENSE 1m 0", 200, rows));
    assert_false(take(&p, "", 200, rows));
    play_fini(&p);
}

TEST(a_connection_is_recorded_from_its_handshake_to_its_end)
{
    static const char expected[] = "ws_open ws_text ws_close ";
    struct play p;
    struct fake_link link;
    struct buf error = {0};
    struct buf file = {0};
    struct buf scratch = {0};
    struct buf kinds = {0};
    struct recorder *recorder = NULL;
    uint32_t btc;
    char path[300];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/tape", dir);
    play_init(&p);
    feeds_free(p.feeds);
    fake_link_init(&link, p.loop);
    link.upstream = "simulated";
    assert_ok(recorder_open(p.loop, path, &recorder, &error));
    p.feeds = feeds_new(&(struct feeds_opts){.loop = p.loop,
                                             .link = &link.base,
                                             .recorder = recorder,
                                             .market = p.market,
                                             .tick = on_tick,
                                             .confirm = on_confirm,
                                             .down = on_down,
                                             .gap = on_gap,
                                             .self = &p});
    assert_ok(market_add_symbol(p.market, STR("BTC"), &btc));
    feeds_watch(p.feeds, btc, true);
    feeds_start(p.feeds);
    while (link.open_now < 3) {
        clock_advance_us(&p.clock, 10000);
        loop_turn(p.loop, 0);
    }
    list_each (node, &link.conns) {
        struct link_conn *c = containerof(node, struct link_conn, node);
        if (str_find_str(buf_str(&c->url), STR("kraken")) != SIZE_MAX) {
            fake_link_text(c, "{\"channel\":\"heartbeat\"}");
        }
    }
    feeds_free(p.feeds);
    p.feeds = NULL;
    recorder_close(recorder);
    assert_true(test_read_file(path, &file));
    struct str rest = buf_str(&file);
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        struct record r;
        if (line.len > 0) {
            assert_ok(record_read(line, &r, &scratch));
            if (str_eq(r.source, STR("kraken"))) {
                buf_printf(&kinds, "%s ", record_kind_text(r.kind));
                assert_true(r.time_ns > 1723161253000000000);
            }
            if (r.kind == RECORD_WS_OPEN) {
                assert_str(r.headers[0].value, "simulated");
            }
        }
    }
    assert_buf(&kinds, expected);
    fake_link_fini(&link);
    buf_fini(&kinds);
    buf_fini(&scratch);
    buf_fini(&file);
    buf_fini(&error);
    play_fini(&p);
    test_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_session_gives_every_trade_once_and_the_same_each_time),
        cmocka_unit_test(a_hole_in_a_recording_is_a_gap_at_once),
        cmocka_unit_test(a_hole_is_filled_by_the_answer_that_the_recording_has),
        cmocka_unit_test(what_the_answer_does_not_fill_is_a_gap),
        cmocka_unit_test(a_trade_that_came_before_the_answer_counts_once),
        cmocka_unit_test(prices_are_down_when_the_last_connection_of_their_venue_broke),
        cmocka_unit_test(history_of_a_recording_is_what_was_over_then),
        cmocka_unit_test(a_connection_is_recorded_from_its_handshake_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
