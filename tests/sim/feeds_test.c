/* The feeds under a virtual clock, against exchanges that the test plays: what is found dead and
 * when, how often it is tried again, that nothing is lost or doubled while connections change, and
 * what comes of holes. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/alloc.h"
#include "base/log.h"
#include "sources/feeds.h"
#include "tests/lib/fake_fetch.h"
#include "tests/lib/fake_link.h"

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define WALL_MS 1780000000000LL
#define TRADES_MAX 4000
#define SENDS_MAX 4000
#define CONNS_MAX 4000

static struct world {
    struct clock clock;
    struct loop *loop;
    struct fake_link link;
    struct fake_fetch fetch;
    struct market *market;
    struct feeds *feeds;
    uint32_t btc, eth;
    /* the exchanges */
    int refuse[MARKET_VENUES]; /* status of handshakes; 0: well */
    bool silent[MARKET_VENUES], no_beats[MARKET_VENUES], mute_answers;
    uint64_t next_id[MARKET_VENUES]; /* of BTC */
    struct timer pulse;
    uint64_t pulse_ms, pulses;
    int64_t skew_ms; /* of the exchanges' clocks against ours */
    const char *bad_product;
    bool name_bad;
    /* what was seen */
    struct {
        uint64_t ms;
        enum market_venue venue;
    } opens[CONNS_MAX];
    size_t open_count;
    struct {
        uint64_t ms;
        unsigned conn;
        size_t streams;
    } sends[SENDS_MAX];
    size_t send_count;
    uint64_t ids[TRADES_MAX]; /* of BTC's trades at Binance, as handed up */
    size_t trade_count, late_count, tick_count;
    uint64_t late_ids[TRADES_MAX];
    int64_t last_exchange_ms;
    size_t confirms[MARKET_VENUES], gaps;
    uint64_t down_ms[MARKET_VENUES];
    const char *down_reason[MARKET_VENUES];
    int rest_status;
    struct buf rest_body;
    char rest_url[300];
    int64_t pages[8][2]; /* of Coinbase's hours: first and last that were asked for */
    size_t page_count;
    const char *list_body, *used_weight; /* of Binance; NULL: none */
    unsigned klines;
    struct weight weight; /* of Binance, which others share */
    size_t history_rows;
    unsigned asked;
    int64_t asked_from_ms, asked_to_ms, gap_from_ms, gap_to_ms;
    struct feed_health health[MARKET_VENUES];
    char reason[MARKET_VENUES][200];
    size_t health_at;
} * w;

static uint64_t now(void)
{
    return loop_now_ms(w->loop);
}

static void pass(uint64_t ms)
{
    fake_loop_run(w->loop, now() + ms);
}

/* ---- the exchanges ---- */

static enum market_venue venue_of_conn(const struct link_conn *c)
{
    struct str url = buf_str(&c->url);
    return str_find_str(url, STR("binance")) != SIZE_MAX    ? MARKET_BINANCE
           : str_find_str(url, STR("coinbase")) != SIZE_MAX ? MARKET_COINBASE
                                                            : MARKET_KRAKEN;
}

static int on_opening(void *self, struct link_conn *c)
{
    (void)self;
    enum market_venue v = venue_of_conn(c);
    if (w->open_count < CONNS_MAX) {
        w->opens[w->open_count].ms = now() - 20;
        w->opens[w->open_count++].venue = v;
    }
    return w->refuse[v];
}

static size_t count_of(struct str text, const char *part)
{
    size_t count = 0;
    struct str rest = text;
    for (size_t at = str_find_str(rest, str_of(part)); at != SIZE_MAX;
         at = str_find_str(rest, str_of(part))) {
        rest = str_from(rest, at + strlen(part));
        count++;
    }
    return count;
}

static void answer_coinbase(struct link_conn *c, struct str text)
{
    char frame[300];
    if (w->bad_product && str_find_str(text, str_of(w->bad_product)) != SIZE_MAX) {
        snprintf(frame, sizeof(frame),
                 "{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"%s\"}",
                 w->name_bad ? "NOPE-USD is not a valid product" : "something is wrong");
        fake_link_text(c, frame);
        return;
    }
    fake_link_text(c, "{\"type\":\"subscriptions\",\"channels\":[]}");
}

static void on_sent(void *self, struct link_conn *c, struct str text)
{
    (void)self;
    char frame[100];
    if (w->send_count < SENDS_MAX) {
        w->sends[w->send_count].ms = now();
        w->sends[w->send_count].conn = c->number;
        w->sends[w->send_count++].streams = count_of(text, "@");
    }
    bool on = count_of(text, "\"SUBSCRIBE\"") + count_of(text, "\"subscribe\"") > 0;
    if (count_of(text, "\"btcusdt@trade\"") + count_of(text, "\"BTC-USD\"") +
            count_of(text, "\"BTC/USD\"") >
        0) {
        c->world = on ? w : NULL; /* it gets the trades of BTC */
    }
    if (w->mute_answers) {
        return;
    }
    if (venue_of_conn(c) == MARKET_BINANCE) {
        size_t at = str_find_str(text, STR("\"id\":"));
        snprintf(frame, sizeof(frame), "{\"result\":null,%.*s", STR_ARG(str_from(text, at)));
        fake_link_text(c, frame);
    } else if (venue_of_conn(c) == MARKET_COINBASE) {
        answer_coinbase(c, text);
    }
}

static void write_trade(enum market_venue v, uint64_t id, char out[400])
{
    int64_t at_ms = loop_wall_ms(w->loop) + w->skew_ms;
    char time[CLOCK_RFC3339_LEN + 1];
    unsigned long long n = id;
    clock_format_rfc3339(at_ms, time);
    if (v == MARKET_BINANCE) {
        snprintf(out, 400,
                 "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"s\":"
                 "\"BTCUSDT\",\"t\":%llu,\"p\":\"60000.5\",\"q\":\"0.1\",\"T\":%lld,\"m\":true}}",
                 (long long)at_ms, n, (long long)at_ms);
    } else if (v == MARKET_COINBASE) {
        snprintf(out, 400,
                 "{\"type\":\"match\",\"trade_id\":%llu,\"side\":\"sell\",\"size\":\"0.1\","
                 "\"price\":\"60000\",\"product_id\":\"BTC-USD\",\"time\":\"%s\"}",
                 n, time);
    } else {
        snprintf(out, 400,
                 "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\","
                 "\"side\":\"buy\",\"price\":60000.1,\"qty\":0.1,\"trade_id\":%llu,"
                 "\"timestamp\":\"%s\"}]}",
                 n, time);
    }
}

static void send_to_all(enum market_venue v, const char *frame, bool subscribed)
{
    list_each (node, &w->link.conns) {
        struct link_conn *c = containerof(node, struct link_conn, node);
        if (venue_of_conn(c) == v && (c->world || !subscribed)) {
            fake_link_text(c, frame);
        }
    }
}

/* A trade of BTC at a venue, to all who subscribed there. */
static void trade(enum market_venue v)
{
    char frame[400];
    write_trade(v, w->next_id[v]++, frame);
    send_to_all(v, frame, true);
}

static void beat(enum market_venue v)
{
    char frame[200];
    if (v == MARKET_COINBASE) {
        snprintf(frame, sizeof(frame),
                 "{\"type\":\"heartbeat\",\"last_trade_id\":%llu,\"product_id\":\"BTC-USD\","
                 "\"time\":\"2026-06-01T00:00:00Z\"}",
                 (unsigned long long)w->next_id[v] - 1);
        send_to_all(v, frame, true);
    } else if (v == MARKET_KRAKEN) {
        send_to_all(v, "{\"channel\":\"heartbeat\"}", false);
    }
}

static void on_pulse(void *self)
{
    (void)self;
    w->pulses++;
    for (int v = 0; v < MARKET_VENUES; v++) {
        if (w->silent[v]) {
            continue;
        }
        trade((enum market_venue)v);
        if (!w->no_beats[v]) {
            beat((enum market_venue)v);
        }
    }
    timer_start(w->loop, &w->pulse, now() + w->pulse_ms, on_pulse, NULL);
}

static void note_page(struct str url)
{
    size_t start = str_find_str(url, STR("granularity=3600&start="));
    size_t end = str_find_str(url, STR("&end="));
    if (start == SIZE_MAX || end == SIZE_MAX || w->page_count == ARRAY_LEN(w->pages)) {
        return;
    }
    int64_t *page = w->pages[w->page_count++];
    start += strlen("granularity=3600&start=");
    assert_ok(clock_parse_rfc3339(str_sub(url, start, end - start), &page[0]));
    assert_ok(clock_parse_rfc3339(str_from(url, end + 5), &page[1]));
}

static void on_fetch(void *self, const struct fetch_request *request, struct fake_answer *out)
{
    (void)self;
    snprintf(w->rest_url, sizeof(w->rest_url), "%.*s", STR_ARG(request->url));
    bool list = count_of(request->url, "exchangeInfo") + count_of(request->url, "AssetPairs") > 0 ||
                str_ends(request->url, STR("/products"));
    out->status = list ? 500 : w->rest_status;
    if (w->list_body && count_of(request->url, "exchangeInfo") > 0) {
        out->status = 200;
        buf_add_str(&out->body, str_of(w->list_body));
    }
    w->klines += count_of(request->url, "/klines") > 0;
    note_page(request->url);
    out->used_weight = w->used_weight;
    if (!list) {
        buf_add_str(&out->body, buf_str(&w->rest_body));
    }
}

/* ---- what comes up ---- */

static void on_tick(void *self, const struct tick *t)
{
    (void)self;
    w->tick_count++;
    assert_true(t->kind != TICK_TRADE || t->price.mantissa > 0);
    if (t->kind == TICK_TRADE && t->venue == MARKET_BINANCE && t->symbol == w->btc) {
        if (w->trade_count < TRADES_MAX) {
            w->ids[w->trade_count] = t->id;
        }
        w->trade_count++;
        w->last_exchange_ms = t->exchange_ms;
    }
}

static void on_late(void *self, const struct tick *t)
{
    (void)self;
    assert_int_equal(t->kind, TICK_TRADE);
    w->late_ids[w->late_count++] = t->id;
}

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    (void)self;
    w->confirms[v] += symbol == w->btc;
}

static void on_down(void *self, enum market_venue v, uint32_t symbol, const char *reason)
{
    (void)self;
    if (symbol == w->btc || strcmp(reason, "not offered there") == 0) {
        w->down_ms[v] = now();
        w->down_reason[v] = reason;
    }
}

static void on_gap(void *self, enum market_venue v, uint32_t symbol, int64_t from_ms, int64_t to_ms)
{
    (void)self;
    (void)v;
    (void)symbol;
    assert_true(from_ms > 0 && from_ms <= to_ms);
    w->gap_from_ms = from_ms;
    w->gap_to_ms = to_ms;
    w->gaps++;
}

static void on_history(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                       const struct candle *rows, size_t count)
{
    (void)self;
    (void)v;
    (void)symbol;
    (void)i;
    (void)rows;
    w->history_rows += count;
}

static void on_asked(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                     int64_t from_ms, int64_t to_ms)
{
    (void)self;
    (void)v;
    (void)symbol;
    (void)i;
    w->asked_from_ms = from_ms;
    w->asked_to_ms = to_ms;
    w->asked++;
}

static void on_health(void *self, const struct feed_health *h)
{
    (void)self;
    snprintf(w->reason[w->health_at], sizeof(w->reason[0]), "%s", h->reason);
    w->health[w->health_at++] = *h;
}

static void look(void)
{
    w->health_at = 0;
    feeds_health_each(w->feeds, on_health, NULL);
}

/* ---- setting up ---- */

static int begin(void **state)
{
    (void)state;
    w = mem_zero(sizeof(*w));
    clock_init_virtual(&w->clock, 1000000, WALL_MS);
    log_set_clock(&w->clock);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    fake_link_init(&w->link, w->loop);
    w->link.opening = on_opening;
    w->link.sent = on_sent;
    fake_fetch_init(&w->fetch, w->loop);
    w->fetch.answer = on_fetch;
    w->rest_status = 500;
    w->market = market_new(&(struct market_opts){0});
    assert_ok(market_add_symbol(w->market, STR("BTC"), &w->btc));
    assert_ok(market_add_symbol(w->market, STR("ETH"), &w->eth));
    for (int v = 0; v < MARKET_VENUES; v++) {
        w->next_id[v] = 1000;
    }
    w->feeds = feeds_new(&(struct feeds_opts){.loop = w->loop,
                                              .link = &w->link.base,
                                              .fetch = &w->fetch.base,
                                              .market = w->market,
                                              .weight = {[MARKET_BINANCE] = &w->weight},
                                              .mode = MODE_LIVE,
                                              .seed = 11,
                                              .tick = on_tick,
                                              .late = on_late,
                                              .confirm = on_confirm,
                                              .down = on_down,
                                              .gap = on_gap,
                                              .history = on_history,
                                              .asked = on_asked});
    w->pulse_ms = 500;
    timer_start(w->loop, &w->pulse, now(), on_pulse, NULL);
    feeds_watch(w->feeds, w->btc, true);
    feeds_start(w->feeds);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    feeds_stop(w->feeds);
    feeds_free(w->feeds);
    fake_link_fini(&w->link);
    fake_fetch_fini(&w->fetch);
    market_free(w->market);
    timer_stop(w->loop, &w->pulse);
    loop_free(w->loop);
    log_set_clock(NULL);
    buf_fini(&w->rest_body);
    mem_free(w);
    return 0;
}

static struct link_conn *conn_of(enum market_venue v)
{
    list_each (node, &w->link.conns) {
        struct link_conn *c = containerof(node, struct link_conn, node);
        if (venue_of_conn(c) == v && c->open) {
            return c;
        }
    }
    return NULL;
}

static void assert_every_trade_once(void)
{
    assert_true(w->trade_count > 0 && w->trade_count <= TRADES_MAX);
    for (size_t i = 1; i < w->trade_count; i++) {
        assert_true(w->ids[i] == w->ids[i - 1] + 1);
    }
}

static void watch_name(const char *name)
{
    uint32_t id = 0;
    assert_ok(market_add_symbol(w->market, str_of(name), &id));
    feeds_watch(w->feeds, id, true);
}

/* ---- life and death ---- */

TEST(a_silent_feed_is_found_within_its_time)
{
    static const uint64_t dead_ms[MARKET_VENUES] = {60000, 5000, 10000};
    pass(10 * SECOND);
    assert_int_equal(w->link.open_now, 3);
    assert_true(w->confirms[0] >= 8 && w->confirms[1] >= 8 && w->confirms[2] >= 8);
    uint64_t since = now();
    memset(w->silent, true, sizeof(w->silent));
    size_t confirmed = w->confirms[0] + w->confirms[1] + w->confirms[2];
    pass(70 * SECOND);
    for (int v = 0; v < MARKET_VENUES; v++) {
        test_case(market_venue_name((enum market_venue)v));
        assert_string_equal(w->down_reason[v], "nothing comes from there");
    }
    test_case(NULL);
    /* silence is never taken for life */
    assert_true(w->confirms[0] + w->confirms[1] + w->confirms[2] <= confirmed + 3);
    look();
    assert_int_equal(w->health[0].status, HEALTH_DOWN);
    assert_contains(str_of(w->reason[0]), "no message for 60 s");
    assert_contains(str_of(w->reason[1]), "no heartbeat for 5 s");
    assert_contains(str_of(w->reason[2]), "no message for 10 s");
    assert_true(w->down_ms[0] - since <= dead_ms[0] + 600);
}

TEST(coinbase_trades_without_heartbeats_are_a_dead_feed)
{
    pass(10 * SECOND);
    uint64_t since = now();
    w->no_beats[MARKET_COINBASE] = true;
    pass(6 * SECOND);
    assert_true(w->down_ms[MARKET_COINBASE] > since + 4000);
    assert_true(w->down_ms[MARKET_COINBASE] - since <= 5600);
}

TEST(a_connection_made_anew_confirms_nothing_before_it_has_said_a_price)
{
    pass(5 * SECOND);
    memset(w->silent, true, sizeof(w->silent));
    for (int v = 0; v < MARKET_VENUES; v++) {
        fake_link_cut(conn_of((enum market_venue)v), 1006);
    }
    size_t before[MARKET_VENUES];
    memcpy(before, w->confirms, sizeof(before));
    for (int i = 0; i < 6; i++) { /* answers to subscriptions, and heartbeats */
        pass(500);
        beat(MARKET_COINBASE);
        beat(MARKET_KRAKEN);
    }
    assert_int_equal(w->link.open_now, 3);
    assert_memory_equal(w->confirms, before, sizeof(before));
    for (int v = 0; v < MARKET_VENUES; v++) {
        test_case(market_venue_name((enum market_venue)v));
        trade((enum market_venue)v);
        pass(1100);
        beat((enum market_venue)v);
        trade((enum market_venue)v);
        assert_true(w->confirms[v] > before[v]);
    }
    test_case(NULL);
}

TEST(pings_alone_keep_binance_alive)
{
    pass(5 * SECOND);
    w->silent[MARKET_BINANCE] = true;
    for (int i = 0; i < 20; i++) {
        pass(20 * SECOND);
        fake_link_ping(conn_of(MARKET_BINANCE));
    }
    assert_int_equal(w->down_ms[MARKET_BINANCE], 0);
}

TEST(an_unanswered_subscription_ends_the_connection)
{
    w->mute_answers = true;
    w->silent[MARKET_BINANCE] = true;
    pass(12 * SECOND);
    assert_string_equal(w->down_reason[MARKET_BINANCE], "the venue does not answer");
}

TEST(tries_again_after_1_2_4_to_60_s_and_at_most_10_times_a_minute)
{
    w->refuse[MARKET_BINANCE] = -1;
    uint64_t last_ms = 0;
    uint64_t wait_ms = 1000;
    size_t tries = 0;
    pass(10 * MINUTE);
    for (size_t i = 0; i < w->open_count; i++) {
        if (w->opens[i].venue != MARKET_BINANCE) {
            continue;
        }
        if (last_ms) {
            uint64_t waited = w->opens[i].ms - last_ms;
            assert_true(waited >= wait_ms && waited <= wait_ms + wait_ms / 4 + 300);
            wait_ms = min_u64(wait_ms * 2, 60000);
        }
        last_ms = w->opens[i].ms;
        tries++;
    }
    assert_true(tries >= 12 && tries <= 16);
    w->refuse[MARKET_BINANCE] = 0; /* comes back; after a minute of health it begins anew */
    pass(4 * MINUTE);
    uint64_t cut_ms = now();
    fake_link_cut(conn_of(MARKET_BINANCE), 1006);
    pass(3 * SECOND);
    assert_true(w->opens[w->open_count - 1].ms - cut_ms <= 1500);
}

TEST(never_more_than_10_attempts_in_a_minute)
{
    char name[16];
    w->refuse[MARKET_BINANCE] = -1;
    for (int i = 0; i < 1500; i++) { /* five connections, each with a backoff of its own */
        snprintf(name, sizeof(name), "S%d", i);
        watch_name(name);
    }
    pass(5 * MINUTE);
    uint64_t times[CONNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < w->open_count; i++) {
        if (w->opens[i].venue == MARKET_BINANCE) {
            times[count++] = w->opens[i].ms;
        }
    }
    assert_true(count >= 20);
    for (size_t i = 10; i < count; i++) {
        assert_true(times[i] - times[i - 10] >= MINUTE);
    }
}

TEST(a_region_that_is_blocked_is_tried_every_ten_minutes)
{
    w->refuse[MARKET_BINANCE] = 451;
    pass(31 * MINUTE);
    size_t tries = 0;
    for (size_t i = 0; i < w->open_count; i++) {
        tries += w->opens[i].venue == MARKET_BINANCE;
    }
    assert_int_equal(tries, 4);
    assert_string_equal(w->down_reason[MARKET_BINANCE], "blocked by region");
    look();
    assert_int_equal(w->health[0].status, HEALTH_DOWN);
    assert_string_equal(w->reason[0], "blocked by region");
    assert_int_equal(w->health[1].status, HEALTH_OK);
}

TEST(ten_bad_frames_in_a_row_end_the_connection_and_no_zero_price_gets_up)
{
    static const char *const bad[] = {
        "{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"0\",\"q\":\"1\",\"T\":1780000000000}",
        "<html>", "{\"e\":\"tra", "", "{\"e\":\"novelty\"}"};
    pass(5 * SECOND);
    w->silent[MARKET_BINANCE] = true;
    size_t before = w->trade_count;
    struct link_conn *c = conn_of(MARKET_BINANCE);
    for (size_t i = 0; i < 9; i++) {
        fake_link_text(c, bad[i % ARRAY_LEN(bad)]);
    }
    trade(MARKET_BINANCE); /* a good one begins the count anew */
    for (size_t i = 0; i < 9; i++) {
        fake_link_text(c, bad[i % ARRAY_LEN(bad)]);
    }
    assert_true(c->open);
    look();
    assert_int_equal(w->health[0].status, HEALTH_DEGRADED);
    assert_int_equal(w->health[0].rejected, 18);
    fake_link_text(c, bad[0]);
    assert_false(c->open);
    assert_int_equal(w->trade_count, before + 1);
    assert_string_equal(w->down_reason[0], "it sends frames that nobody understands");
}

/* ---- turnover ---- */

TEST(an_announced_end_loses_and_doubles_nothing)
{
    pass(5 * SECOND);
    struct link_conn *old = conn_of(MARKET_BINANCE);
    fake_link_text(old, "{\"e\":\"serverShutdown\",\"E\":1780000000000}");
    w->pulse_ms = 50;
    pass(10 * SECOND);
    assert_false(old->open);
    assert_true(conn_of(MARKET_BINANCE) && conn_of(MARKET_BINANCE) != old);
    assert_int_equal(w->down_ms[MARKET_BINANCE], 0);
    assert_every_trade_once();
    look();
    assert_int_equal(w->health[0].turnovers, 1);
    assert_int_equal(w->health[0].reconnects, 0);
    assert_int_equal(w->health[0].gaps, 0);
    assert_true(w->health[0].doubled > 0); /* the overlap */
}

TEST(connections_are_replaced_before_a_day_is_over)
{
    w->refuse[MARKET_COINBASE] = w->refuse[MARKET_KRAKEN] = 451;
    w->pulse_ms = 20 * SECOND;
    pass(23 * HOUR - MINUTE);
    struct link_conn *old = conn_of(MARKET_BINANCE);
    assert_int_equal(old->number, 0);
    pass(3 * MINUTE);
    assert_false(old->open);
    assert_int_equal(w->down_ms[MARKET_BINANCE], 0);
    w->trade_count = min_size(w->trade_count, TRADES_MAX);
    assert_every_trade_once();
    look();
    assert_int_equal(w->health[0].turnovers, 1);
}

TEST(a_replacement_that_fails_leaves_the_old_connection_alone)
{
    pass(5 * SECOND);
    struct link_conn *old = conn_of(MARKET_BINANCE);
    w->refuse[MARKET_BINANCE] = -1;
    fake_link_text(old, "{\"e\":\"serverShutdown\",\"E\":1780000000000}");
    pass(40 * SECOND);
    assert_true(old->open);
    assert_int_equal(w->down_ms[MARKET_BINANCE], 0);
    w->refuse[MARKET_BINANCE] = 0;
    pass(40 * SECOND);
    assert_false(old->open);
    assert_int_equal(w->down_ms[MARKET_BINANCE], 0);
    assert_every_trade_once();
}

TEST(what_only_the_old_connection_delivers_is_no_gap)
{
    char frame[400];
    pass(5 * SECOND);
    w->silent[MARKET_BINANCE] = true;
    struct link_conn *c = conn_of(MARKET_BINANCE);
    uint64_t id = w->next_id[MARKET_BINANCE];
    write_trade(MARKET_BINANCE, id + 2, frame); /* as of the new connection, which is ahead */
    fake_link_text(c, frame);
    pass(200);
    write_trade(MARKET_BINANCE, id, frame);
    fake_link_text(c, frame);
    write_trade(MARKET_BINANCE, id + 1, frame);
    fake_link_text(c, frame);
    fake_link_text(c, frame); /* and once more */
    pass(3 * SECOND);
    assert_int_equal(w->gaps, 0);
    assert_int_equal(w->late_count, 2);
    assert_true(w->late_ids[0] == id && w->late_ids[1] == id + 1);
    look();
    assert_int_equal(w->health[0].doubled, 1);
}

/* ---- holes ---- */

static void miss(enum market_venue v, unsigned count)
{
    pass(5 * SECOND);
    w->silent[v] = true;
    w->next_id[v] += count;
    trade(v);
}

TEST(missed_trades_are_fetched_and_handed_up_in_order)
{
    pass(5 * SECOND);
    uint64_t id = w->next_id[MARKET_BINANCE] + 10; /* ten pulses until then */
    w->rest_status = 200;
    buf_printf(&w->rest_body,
               "[{\"id\":%llu,\"price\":\"1\",\"qty\":\"1\",\"time\":1780000000000,"
               "\"isBuyerMaker\":true},{\"id\":%llu,\"price\":\"2\",\"qty\":\"1\",\"time\":"
               "1780000000001,\"isBuyerMaker\":false}]",
               (unsigned long long)id + 1, (unsigned long long)id);
    miss(MARKET_BINANCE, 2);
    assert_int_equal(w->late_count, 0);
    pass(3 * SECOND);
    assert_true(w->next_id[MARKET_BINANCE] == id + 3);
    assert_contains(str_of(w->rest_url), "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=");
    assert_int_equal(w->late_count, 2);
    assert_true(w->late_ids[0] == id && w->late_ids[1] == id + 1);
    assert_int_equal(w->gaps, 0);
    look();
    assert_int_equal(w->health[0].gaps, 1);
    assert_int_equal(w->health[0].repaired, 2);
}

TEST(what_cannot_be_fetched_is_a_gap)
{
    miss(MARKET_BINANCE, 3);
    pass(3 * SECOND);
    assert_int_equal(w->gaps, 1);
    assert_int_equal(w->late_count, 0);
    look();
    assert_contains(str_of(w->reason[0]), "REST");
}

TEST(rest_waits_for_the_next_minute_when_the_venues_limit_is_nearly_used_up)
{
    w->list_body = "{\"rateLimits\":[{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\","
                   "\"intervalNum\":5,\"limit\":61000},{\"rateLimitType\":\"REQUEST_WEIGHT\","
                   "\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":1200}],\"symbols\":[{"
                   "\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\"}]}";
    w->used_weight = "20";
    pass(10 * MINUTE); /* the list that failed is asked again */
    look();
    assert_int_equal(w->health[0].weight_limit, 1200);
    assert_int_equal(w->health[1].weight_limit, 0); /* Coinbase has none */
    w->rest_status = 200;
    buf_add_lit(&w->rest_body, "[]");
    w->used_weight = "959";
    uint64_t late_ms = MINUTE - (uint64_t)loop_wall_ms(w->loop) % MINUTE;
    pass(late_ms + SECOND); /* a second into a minute */
    for (int i = 0; i < 4; i++) {
        feeds_ask_history(w->feeds, MARKET_BINANCE, w->btc, INTERVAL_1H, 10, 0);
    }
    pass(3 * SECOND);
    assert_int_equal(w->klines, 4);
    w->used_weight = "960"; /* others use it up as well */
    for (int i = 0; i < 4; i++) {
        feeds_ask_history(w->feeds, MARKET_BINANCE, w->btc, INTERVAL_1H, 10, 0);
    }
    pass(30 * SECOND);
    assert_int_equal(w->klines, 5);
    look();
    assert_int_equal(w->health[0].weight_used, 960);
    assert_contains(str_of(w->reason[0]), "960 of 1200 used up");
    w->used_weight = "2";
    pass(30 * SECOND);
    assert_int_equal(w->klines, 8);
    look();
    assert_string_equal(w->reason[0], "");
}

TEST(history_of_what_nobody_watches_any_more_is_not_asked_for)
{
    w->rest_status = 200;
    buf_add_lit(&w->rest_body, "[]");
    pass(5 * SECOND);
    feeds_watch(w->feeds, w->eth, true);
    pass(SECOND);
    for (int i = 0; i < 3; i++) {
        feeds_ask_history(w->feeds, MARKET_BINANCE, w->eth, INTERVAL_1H, 10, 0);
        feeds_ask_history(w->feeds, MARKET_BINANCE, w->btc, INTERVAL_1H, 10, 0);
    }
    feeds_watch(w->feeds, w->eth, false);
    pass(30 * SECOND);
    assert_int_equal(w->klines, 3);
}

TEST(rest_waits_when_somebody_else_was_told_that_the_limit_is_nearly_used_up)
{
    struct weight *shared = &w->weight;
    shared->limit = 6000;
    w->rest_status = 200;
    buf_add_lit(&w->rest_body, "[]");
    w->used_weight = "40";
    pass(MINUTE - (uint64_t)loop_wall_ms(w->loop) % MINUTE + 10 * SECOND);
    assert_true(weight_note(shared, STR("4900"), loop_wall_ms(w->loop)) > 0);
    feeds_ask_history(w->feeds, MARKET_BINANCE, w->btc, INTERVAL_1H, 10, 0);
    pass(50 * SECOND); /* the first second of the next minute */
    assert_int_equal(w->klines, 0);
    look();
    assert_contains(str_of(w->reason[0]), "4900 of 6000 used up");
    pass(2 * SECOND);
    assert_int_equal(w->klines, 1);
    assert_int_equal(weight_used(shared, loop_wall_ms(w->loop)), 40); /* and the other way round */
}

/* Coinbase has no candles of 4 hours. */
static void assert_pages(size_t count, int64_t before_ms, size_t pages)
{
    const int64_t hour_ms = interval_ms(INTERVAL_1H), step_ms = interval_ms(INTERVAL_4H);
    w->page_count = 0;
    feeds_ask_history(w->feeds, MARKET_COINBASE, w->btc, INTERVAL_4H, count, before_ms);
    int64_t end_ms = before_ms ? before_ms : loop_wall_ms(w->loop);
    int64_t from_ms = end_ms / step_ms * step_ms - (int64_t)count * step_ms;
    pass(5 * SECOND);
    assert_int_equal(w->page_count, pages);
    for (size_t i = 0; i < pages; i++) {
        assert_int_equal(w->pages[i][0] % step_ms, 0);
        assert_in_range(w->pages[i][1] - w->pages[i][0], 0, 299 * hour_ms);
        assert_int_equal(w->pages[i][1], end_ms / hour_ms * hour_ms - hour_ms);
        end_ms = w->pages[i][0];
    }
    assert_int_equal(end_ms, from_ms);
}

TEST(hours_for_candles_of_4_hours_are_asked_from_whole_ones_on_and_without_a_hole)
{
    const int64_t step_ms = interval_ms(INTERVAL_4H);
    w->rest_status = 200;
    buf_add_lit(&w->rest_body, "[]");
    int64_t into_ms = loop_wall_ms(w->loop) % step_ms;
    pass((uint64_t)(step_ms - into_ms) + 2 * HOUR +
         7 * MINUTE);        /* 2:07 of four hours have passed */
    assert_pages(299, 0, 4); /* 1,198 hours, 298 at first */
    assert_pages(74, 0, 1);
    assert_pages(75, 0, 2);
    assert_pages(1, 0, 1);
    assert_pages(75, loop_wall_ms(w->loop) / step_ms * step_ms, 1);
    pass(HOUR);
    assert_pages(299, 0, 4);
    pass(HOUR);
    assert_pages(299, 0, 4);
    assert_pages(75, 0, 1); /* just over */
    w->page_count = 0;
    feeds_ask_history(w->feeds, MARKET_COINBASE, w->btc, INTERVAL_4H, 100000, 0);
    pass(10 * SECOND);
    assert_int_equal(w->page_count, 4);
}

/* Asks for five minutes that ended `ago_ms` before now; `rows` is the answer. */
static void ask_minutes(enum market_venue v, uint64_t ago_ms, const char *rows)
{
    int64_t before_ms = loop_wall_ms(w->loop) - (int64_t)ago_ms;
    w->rest_status = 200;
    buf_clear(&w->rest_body);
    buf_add_str(&w->rest_body, str_of(rows));
    w->asked = 0;
    w->history_rows = 0;
    feeds_ask_history(w->feeds, v, w->btc, INTERVAL_1M, 5, before_ms - before_ms % (int64_t)MINUTE);
    pass(3 * SECOND);
}

static int64_t minute_ago(int64_t minutes)
{
    int64_t now_ms = loop_wall_ms(w->loop);
    return now_ms - now_ms % (int64_t)MINUTE - minutes * (int64_t)MINUTE;
}

/* Coinbase has no row for a minute without trades: an empty answer is one. */
TEST(minutes_that_nobody_traded_in_are_known_as_such)
{
    pass(30 * SECOND);
    int64_t end_ms = minute_ago(10);
    ask_minutes(MARKET_COINBASE, 10 * MINUTE, "[]");
    assert_int_equal(w->history_rows, 0);
    assert_int_equal(w->asked, 1);
    assert_int_equal(w->asked_from_ms, end_ms - 5 * (int64_t)MINUTE);
    assert_int_equal(w->asked_to_ms, end_ms);
    /* What is just over may still come. */
    int64_t before_ms = minute_ago(0);
    ask_minutes(MARKET_COINBASE, 0, "[]");
    assert_int_equal(w->asked_to_ms, before_ms - (int64_t)MINUTE);
    /* Binance has rows of all minutes: that it has none says nothing. */
    ask_minutes(MARKET_BINANCE, 10 * MINUTE, "[]");
    assert_int_equal(w->asked, 0);
    /* Rows say what they are, also where nobody traded. */
    char rows[300];
    int64_t at_ms = minute_ago(12);
    snprintf(
        rows, sizeof(rows),
        "[[%lld,\"60000\",\"60000\",\"60000\",\"60000\",\"0\",%lld,\"0\",0,\"0\",\"0\",\"0\"],"
        "[%lld,\"60000\",\"60001\",\"60000\",\"60000\",\"1\",%lld,\"60000\",2,\"0\",\"0\",\"0\"]]",
        (long long)at_ms, (long long)at_ms + 59999, (long long)(at_ms + 60000),
        (long long)at_ms + 119999);
    ask_minutes(MARKET_BINANCE, 10 * MINUTE, rows);
    assert_int_equal(w->history_rows, 1);
    assert_int_equal(w->asked, 1);
    assert_int_equal(w->asked_from_ms, at_ms);
    assert_int_equal(w->asked_to_ms, at_ms + 2 * (int64_t)MINUTE);
}

TEST(too_many_missed_trades_are_a_gap_at_once)
{
    miss(MARKET_BINANCE, 100000);
    assert_int_equal(w->gaps, 1);
}

/* An id out of any order hides the trades behind it for a minute: that is said. */
TEST(trades_hidden_by_an_id_that_cannot_be_are_a_gap)
{
    pass(5 * SECOND);
    uint64_t id = w->next_id[MARKET_BINANCE];
    w->next_id[MARKET_BINANCE] = id + 1000000000;
    trade(MARKET_BINANCE);
    assert_int_equal(w->gaps, 1);
    w->next_id[MARKET_BINANCE] = id;
    size_t before = w->trade_count;
    int64_t from_ms = loop_wall_ms(w->loop);
    pass(59 * SECOND);
    assert_int_equal(w->trade_count, before);
    pass(3 * SECOND);
    assert_true(w->trade_count > before);
    assert_int_equal(w->gaps, 2);
    assert_int_equal(w->gap_from_ms, from_ms);
    assert_true(w->gap_to_ms > from_ms + (int64_t)MINUTE);
}

TEST(a_heartbeat_that_knows_of_a_trade_we_have_not_is_a_hole_after_2_s)
{
    pass(5 * SECOND);
    w->silent[MARKET_COINBASE] = true;
    w->next_id[MARKET_COINBASE]++;
    beat(MARKET_COINBASE);
    pass(1500);
    assert_false(strstr(w->rest_url, "/trades?") != NULL);
    beat(MARKET_COINBASE);
    pass(2 * SECOND);
    assert_non_null(strstr(w->rest_url, "/products/BTC-USD/trades?after="));
    assert_int_equal(w->gaps, 1);
}

TEST(marks_older_than_the_subscription_are_no_trades)
{
    pass(5 * SECOND);
    w->silent[MARKET_COINBASE] = true;
    size_t before = w->tick_count;
    fake_link_text(conn_of(MARKET_COINBASE),
                   "{\"type\":\"last_match\",\"trade_id\":5,\"side\":\"buy\",\"size\":\"1\","
                   "\"price\":\"2\",\"product_id\":\"BTC-USD\",\"time\":\"2026-05-01T00:00:00Z\"}");
    assert_int_equal(w->tick_count, before);
    look();
    assert_int_equal(w->health[1].doubled, 0);
}

/* Three trades in one frame, as Kraken begins a subscription. */
static void kraken_snapshot(uint64_t from)
{
    char frame[600];
    struct buf text = {0};
    buf_printf(&text, "{\"channel\":\"trade\",\"type\":\"snapshot\",\"data\":[");
    for (uint64_t i = 0; i < 3; i++) {
        buf_printf(&text,
                   "%s{\"symbol\":\"BTC/USD\",\"side\":\"buy\",\"price\":1,\"qty\":1,"
                   "\"trade_id\":%llu,\"timestamp\":\"2026-05-28T20:26:00Z\"}",
                   i ? "," : "", (unsigned long long)(from + i));
    }
    buf_printf(&text, "]}");
    snprintf(frame, sizeof(frame), "%s", buf_text(&text));
    fake_link_text(conn_of(MARKET_KRAKEN), frame);
    buf_fini(&text);
}

TEST(what_a_subscription_begins_with_fills_what_was_missed_but_is_not_news)
{
    w->silent[MARKET_KRAKEN] = true;
    pass(2 * SECOND);
    size_t before = w->tick_count;
    kraken_snapshot(1000);
    assert_int_equal(w->tick_count, before);
    w->next_id[MARKET_KRAKEN] = 1003;
    trade(MARKET_KRAKEN);
    size_t ticks = w->tick_count;
    kraken_snapshot(1002); /* as after a reconnection: the last of it is new */
    assert_int_equal(w->tick_count, ticks + 1);
    assert_int_equal(w->gaps, 0);
}

/* ---- subscribing ---- */

TEST(a_product_that_is_none_does_not_take_the_others_with_it)
{
    for (int named = 0; named < 2; named++) {
        w->name_bad = named;
        w->bad_product = "\"NOPE-USD\"";
        watch_name("NOPE");
        pass(10 * SECOND);
        assert_string_equal(w->down_reason[MARKET_COINBASE], "not offered there");
        look();
        assert_int_equal(w->health[1].status, HEALTH_OK);
        assert_int_equal(w->health[1].symbols, 2); /* BTC and USDT */
        if (!named) {
            (void)finish(NULL);
            (void)begin(NULL);
        }
    }
}

TEST(kraken_refuses_one_symbol_at_a_time)
{
    watch_name("NOPE");
    pass(5 * SECOND);
    fake_link_text(conn_of(MARKET_KRAKEN),
                   "{\"method\":\"subscribe\",\"result\":{\"channel\":\"ticker\",\"symbol\":"
                   "\"NOPE/USD\"},\"success\":false,\"error\":\"Currency pair not supported\"}");
    assert_string_equal(w->down_reason[MARKET_KRAKEN], "not offered there");
    pass(5 * SECOND);
    look();
    assert_int_equal(w->health[2].symbols, 2);
}

TEST(demand_that_comes_and_goes_takes_effect_within_a_second)
{
    pass(5 * SECOND);
    size_t before = w->send_count;
    feeds_watch(w->feeds, w->eth, true);
    pass(SECOND);
    assert_int_equal(w->send_count, before + 4); /* one each, and two for Kraken's channels */
    feeds_watch(w->feeds, w->eth, false);
    pass(SECOND);
    assert_int_equal(w->send_count, before + 8);
    assert_int_equal(feeds_watched(w->feeds), 2);
    feeds_watch(w->feeds, w->btc, false);
    pass(2 * SECOND);
    assert_int_equal(w->link.open_now, 2); /* Binance has nothing left, USDT stays elsewhere */
    size_t ticks = w->tick_count;
    pass(2 * SECOND);
    assert_int_equal(w->tick_count, ticks);
}

TEST(what_nobody_watches_is_not_fresh_and_comes_back_only_with_a_price)
{
    pass(5 * SECOND);
    feeds_watch(w->feeds, w->btc, false);
    for (int v = 0; v < MARKET_VENUES; v++) {
        assert_string_equal(w->down_reason[v], "nobody watches it now");
    }
    pass(5 * SECOND);
    memset(w->silent, true, sizeof(w->silent));
    size_t before[MARKET_VENUES];
    memcpy(before, w->confirms, sizeof(before));
    feeds_watch(w->feeds, w->btc, true);
    for (int i = 0; i < 6; i++) {
        pass(500);
        beat(MARKET_COINBASE);
        beat(MARKET_KRAKEN);
    }
    assert_memory_equal(w->confirms, before, sizeof(before));
    trade(MARKET_KRAKEN);
    pass(1100);
    beat(MARKET_KRAKEN);
    assert_true(w->confirms[MARKET_KRAKEN] > before[MARKET_KRAKEN]);
}

TEST(five_hundred_symbols_keep_to_the_limits_of_messages_and_streams)
{
    char name[16];
    size_t streams[CONNS_MAX] = {0};
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "S%d", i);
        watch_name(name);
    }
    pass(20 * SECOND);
    unsigned binance = 0;
    list_each (node, &w->link.conns) {
        struct link_conn *c = containerof(node, struct link_conn, node);
        if (venue_of_conn(c) == MARKET_BINANCE) {
            binance++;
            for (size_t i = 0; i < w->send_count; i++) {
                streams[c->number] += w->sends[i].conn == c->number ? w->sends[i].streams : 0;
            }
            assert_true(streams[c->number] <= 1024);
        }
    }
    assert_int_equal(binance, 2);
    size_t all = 0;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        all += streams[i];
    }
    assert_int_equal(all, 501 * 3);
    for (size_t i = 0; i < w->send_count; i++) {
        size_t in_a_second = 0;
        for (size_t k = i; k < w->send_count; k++) {
            in_a_second +=
                w->sends[k].conn == w->sends[i].conn && w->sends[k].ms <= w->sends[i].ms + 1000;
        }
        assert_true(in_a_second <= 4); /* and a pong is five */
    }
}

/* ---- clocks ---- */

TEST(our_clock_may_be_behind_the_exchanges)
{
    w->skew_ms = 1270;
    pass(5 * SECOND);
    look();
    assert_int_equal(w->health[0].lag_ms, -1270);
    assert_true(w->last_exchange_ms > loop_wall_ms(w->loop));
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_silent_feed_is_found_within_its_time),
        IN_WORLD(coinbase_trades_without_heartbeats_are_a_dead_feed),
        IN_WORLD(a_connection_made_anew_confirms_nothing_before_it_has_said_a_price),
        IN_WORLD(pings_alone_keep_binance_alive),
        IN_WORLD(an_unanswered_subscription_ends_the_connection),
        IN_WORLD(tries_again_after_1_2_4_to_60_s_and_at_most_10_times_a_minute),
        IN_WORLD(never_more_than_10_attempts_in_a_minute),
        IN_WORLD(a_region_that_is_blocked_is_tried_every_ten_minutes),
        IN_WORLD(ten_bad_frames_in_a_row_end_the_connection_and_no_zero_price_gets_up),
        IN_WORLD(an_announced_end_loses_and_doubles_nothing),
        IN_WORLD(connections_are_replaced_before_a_day_is_over),
        IN_WORLD(a_replacement_that_fails_leaves_the_old_connection_alone),
        IN_WORLD(what_only_the_old_connection_delivers_is_no_gap),
        IN_WORLD(missed_trades_are_fetched_and_handed_up_in_order),
        IN_WORLD(what_cannot_be_fetched_is_a_gap),
        IN_WORLD(rest_waits_for_the_next_minute_when_the_venues_limit_is_nearly_used_up),
        IN_WORLD(history_of_what_nobody_watches_any_more_is_not_asked_for),
        IN_WORLD(rest_waits_when_somebody_else_was_told_that_the_limit_is_nearly_used_up),
        IN_WORLD(hours_for_candles_of_4_hours_are_asked_from_whole_ones_on_and_without_a_hole),
        IN_WORLD(minutes_that_nobody_traded_in_are_known_as_such),
        IN_WORLD(too_many_missed_trades_are_a_gap_at_once),
        IN_WORLD(trades_hidden_by_an_id_that_cannot_be_are_a_gap),
        IN_WORLD(a_heartbeat_that_knows_of_a_trade_we_have_not_is_a_hole_after_2_s),
        IN_WORLD(marks_older_than_the_subscription_are_no_trades),
        IN_WORLD(what_a_subscription_begins_with_fills_what_was_missed_but_is_not_news),
        IN_WORLD(a_product_that_is_none_does_not_take_the_others_with_it),
        IN_WORLD(kraken_refuses_one_symbol_at_a_time),
        IN_WORLD(demand_that_comes_and_goes_takes_effect_within_a_second),
        IN_WORLD(what_nobody_watches_is_not_fresh_and_comes_back_only_with_a_price),
        IN_WORLD(five_hundred_symbols_keep_to_the_limits_of_messages_and_streams),
        IN_WORLD(our_clock_may_be_behind_the_exchanges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
