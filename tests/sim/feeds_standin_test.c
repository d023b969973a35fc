/* The feeds against the stand-in exchanges, over real sockets on loopback: libcurl, handshakes,
 * frames, REST, in one process and on one loop. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/feeds.h"
#include "tools/upstream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

struct rig {
    struct loop *loop;
    struct upstream *upstream;
    uint16_t port;
    struct link *link;
    struct fetch *fetch;
    struct market *market;
    struct feeds *feeds;
    char ws[64], kraken_ws[64], rest[64];
    uint32_t btc, eth;
    size_t ticks[MARKET_VENUES], trades[MARKET_VENUES], accepted[MARKET_VENUES];
    size_t late, gaps, doubled, confirms, downs, history_rows, offered;
    uint64_t last_id[MARKET_VENUES];
    bool holes;
    enum market_mode mode;
    struct feed_health health[MARKET_VENUES];
    size_t health_count;
};

static void on_tick(void *self, const struct tick *t)
{
    struct rig *r = self;
    enum err e = market_apply(r->market, t, loop_wall_ms(r->loop));
    r->ticks[t->venue]++;
    r->accepted[t->venue] += e == OK;
    r->doubled += e == ERR_EXISTS;
    if (t->kind == TICK_TRADE && t->symbol == r->btc) {
        r->holes = r->holes || (r->last_id[t->venue] && t->id != r->last_id[t->venue] + 1);
        r->last_id[t->venue] = t->id;
        r->trades[t->venue]++;
    }
}

static void on_late(void *self, const struct tick *t)
{
    (void)t;
    ((struct rig *)self)->late++;
}

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    struct rig *r = self;
    r->confirms++;
    market_confirm(r->market, v, symbol, loop_wall_ms(r->loop));
}

static void on_down(void *self, enum market_venue v, uint32_t symbol, const char *reason)
{
    struct rig *r = self;
    r->downs++;
    market_down(r->market, v, symbol, reason);
}

static void on_gap(void *self, enum market_venue v, uint32_t symbol, int64_t from_ms, int64_t to_ms)
{
    (void)v;
    (void)symbol;
    assert_true(from_ms <= to_ms);
    ((struct rig *)self)->gaps++;
}

static void on_history(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                       const struct candle *rows, size_t count)
{
    struct rig *r = self;
    (void)v;
    assert_int_equal(symbol, r->btc);
    for (size_t k = 0; k < count; k++) {
        assert_true(rows[k].open_ms % interval_ms(i) == 0 && rows[k].open.mantissa > 0);
    }
    r->history_rows += count;
}

static void on_mode(void *self, enum market_mode mode)
{
    struct rig *r = self;
    assert_int_equal(r->ticks[0] + r->ticks[1] + r->ticks[2], 0); /* before anything of it */
    r->mode = mode;
}

static void on_offered(void *self, struct str symbol)
{
    assert_true(symbol.len > 0);
    ((struct rig *)self)->offered++;
}

static void on_health(void *self, const struct feed_health *h)
{
    struct rig *r = self;
    r->health[r->health_count++] = *h;
}

static void look(struct rig *r)
{
    r->health_count = 0;
    feeds_health_each(r->feeds, on_health, r);
    assert_int_equal(r->health_count, MARKET_VENUES);
}

static void start(struct rig *r)
{
    struct buf error = {0};
    *r = (struct rig){.mode = MODE_LIVE};
    assert_ok(loop_new(&(struct loop_opts){.quiet_fallback = true}, &r->loop));
    assert_ok(upstream_start(
        &(struct upstream_opts){
            .loop = r->loop, .listen = "127.0.0.1:0", .seed = 42, .rate = 20, .quiet = true},
        &r->upstream, &r->port, &error));
    buf_fini(&error);
    assert_ok(link_curl_new(r->loop, NULL, &r->link));
    assert_ok(fetch_curl_new(r->loop, NULL, &r->fetch));
    r->market = market_new(&(struct market_opts){0});
    assert_ok(market_add_symbol(r->market, STR("BTC"), &r->btc));
    assert_ok(market_add_symbol(r->market, STR("ETH"), &r->eth));
    snprintf(r->ws, sizeof(r->ws), "ws://127.0.0.1:%u", (unsigned)r->port);
    snprintf(r->kraken_ws, sizeof(r->kraken_ws), "ws://127.0.0.1:%u/v2", (unsigned)r->port);
    snprintf(r->rest, sizeof(r->rest), "http://127.0.0.1:%u", (unsigned)r->port);
    struct feeds_opts opts = {.loop = r->loop,
                              .link = r->link,
                              .fetch = r->fetch,
                              .market = r->market,
                              .ws_url = {r->ws, r->ws, r->kraken_ws},
                              .rest_url = {r->rest, r->rest, r->rest},
                              .mode = MODE_LIVE,
                              .seed = 7,
                              .tick = on_tick,
                              .late = on_late,
                              .confirm = on_confirm,
                              .down = on_down,
                              .gap = on_gap,
                              .history = on_history,
                              .mode_changed = on_mode,
                              .offered = on_offered,
                              .self = r};
    r->feeds = feeds_new(&opts);
    feeds_watch(r->feeds, r->btc, true);
    feeds_watch(r->feeds, r->eth, true);
    feeds_start(r->feeds);
}

static void stop(struct rig *r)
{
    feeds_stop(r->feeds);
    feeds_free(r->feeds);
    r->link->ops->free(r->link);
    r->fetch->ops->free(r->fetch);
    market_free(r->market);
    upstream_stop(r->upstream);
    for (int i = 0; i < 400 && !upstream_is_idle(r->upstream); i++) {
        loop_turn(r->loop, 5);
    }
    upstream_free(r->upstream);
    loop_free(r->loop);
}

/* Turns the loop until the condition holds; fails when it does not within 30 s. */
#define until(rig, condition)                                                                     \
    do {                                                                                          \
        uint64_t end_ms = loop_now_ms((rig)->loop) + 30000;                                       \
        while (!(condition)) {                                                                    \
            if (loop_now_ms((rig)->loop) >= end_ms) {                                             \
                look(rig);                                                                        \
                fail_msg("not within 30 s: %s (%s; %s; %s)", #condition, (rig)->health[0].reason, \
                         (rig)->health[1].reason, (rig)->health[2].reason);                       \
            }                                                                                     \
            loop_turn((rig)->loop, 20);                                                           \
        }                                                                                         \
    } while (0)

/* Sets a fault of the stand-in. */
static void misbehave(struct rig *r, const char *body)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(r->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct buf request = {0};
    char answer[512] = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    buf_printf(&request,
               "POST /_control HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(body), body);
    assert_int_equal(write(fd, request.ptr, request.len), request.len);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (read(fd, answer, sizeof(answer) - 1) <= 0) {
        loop_turn(r->loop, 20);
    }
    assert_contains(str_of(answer), " 200 ");
    close(fd);
    buf_fini(&request);
}

TEST(all_venues_deliver_and_the_mode_is_said_before)
{
    struct rig r;
    start(&r);
    until(&r, r.trades[0] > 20 && r.trades[1] > 5 && r.trades[2] > 5);
    assert_int_equal(r.mode, MODE_DEMO);
    assert_false(r.holes);
    assert_int_equal(r.doubled + r.gaps, 0);
    assert_true(r.offered > 3);
    look(&r);
    for (int v = 0; v < MARKET_VENUES; v++) {
        test_case(r.health[v].name);
        assert_int_equal(r.accepted[v], r.ticks[v]);
        assert_string_equal(r.health[v].reason, "");
        assert_int_equal(r.health[v].status, HEALTH_OK);
        assert_int_equal(r.health[v].rejected, 0);
        assert_int_equal(r.health[v].connections, 1);
        assert_true(r.health[v].has_lag);
    }
    test_case(NULL);
    const struct quote *q = market_quote(r.market, r.btc);
    assert_true(q->known && !q->stale);
    assert_int_equal(q->used, 7);
    stop(&r);
}

TEST(history_of_all_venues_is_closed_candles)
{
    struct rig r;
    start(&r);
    for (int v = 0; v < MARKET_VENUES; v++) {
        size_t before = r.history_rows;
        feeds_ask_history(r.feeds, (enum market_venue)v, r.btc, INTERVAL_1M, 60, 0);
        until(&r, r.history_rows > before + 20);
    }
    stop(&r);
}

TEST(a_connection_that_breaks_comes_back_and_what_was_missed_is_fetched_or_a_gap)
{
    struct rig r;
    start(&r);
    until(&r, r.trades[0] > 5);
    misbehave(&r, "{\"target\":\"binance/ws\",\"fault\":\"cut\",\"times\":1}");
    until(&r, r.downs > 0);
    size_t before = r.trades[0];
    until(&r, r.trades[0] > before + 5 && (r.late > 0 || r.gaps > 0));
    look(&r);
    assert_int_equal(r.health[0].reconnects, 1);
    assert_true(r.health[0].gaps >= 1);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_venues_deliver_and_the_mode_is_said_before),
        cmocka_unit_test(history_of_all_venues_is_closed_candles),
        cmocka_unit_test(
            a_connection_that_breaks_comes_back_and_what_was_missed_is_fetched_or_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
