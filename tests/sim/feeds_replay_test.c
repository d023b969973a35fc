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
    size_t trades, others, gaps;
    uint64_t sum; /* of everything handed up, in order */
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

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    mix(self, (uint64_t)v * 1000 + symbol);
}

static void on_down(void *self, enum market_venue v, uint32_t symbol, const char *reason)
{
    (void)self;
    (void)v;
    (void)symbol;
    fail_msg("nothing is down in a replay: %s", reason);
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
                                              .confirm = on_confirm,
                                              .down = on_down,
                                              .gap = on_gap,
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
        assert_int_equal(p.gaps, 0);
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
        cmocka_unit_test(a_connection_is_recorded_from_its_handshake_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
