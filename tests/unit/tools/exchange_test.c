/* The exchanges' WebSockets on a virtual clock, without sockets. SPDX-License-Identifier: MIT */
#include "tools/exchange.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "tools/answer.h"
#include "wire/exchange.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

/* 2026-11-21T12:34:20Z */
#define NOW INT64_C(1795264460000)
#define MAX_FRAMES 20000

struct peer {
    struct exchange_session *session;
    char *frames[MAX_FRAMES];
    size_t count, pings;
    char ping[64];
    bool is_mute;  /* answers no pings */
    uint16_t code; /* 0: open; 1: cut */
    struct buf half;
};

struct world {
    struct clock clock;
    struct loop *loop;
    struct simulator *simulator;
    struct flow *flow;
    struct control *control;
    struct exchange *exchange;
};

static void on_send(void *conn, struct str text)
{
    struct peer *p = conn;
    assert_int_equal(p->code, 0);
    assert_true(p->count < MAX_FRAMES);
    p->frames[p->count++] = mem_copy_text(text.ptr, text.len);
}

static void on_ping(void *conn, struct str payload)
{
    struct peer *p = conn;
    snprintf(p->ping, sizeof(p->ping), "%.*s", STR_ARG(payload));
    p->pings++;
    if (!p->is_mute) {
        exchange_take_pong(p->session, payload);
    }
}

static void on_close(void *conn, uint16_t code, struct str reason)
{
    struct peer *p = conn;
    assert_true(reason.len > 0);
    p->code = code;
}

static void on_cut(void *conn, struct str text)
{
    struct peer *p = conn;
    p->code = 1;
    buf_add_str(&p->half, str_sub(text, 0, text.len / 2));
}

static const struct exchange_ops ops = {
    .send = on_send, .ping = on_ping, .close = on_close, .cut = on_cut};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    clock_init_virtual(&w->clock, 1000, NOW);
    assert_int_equal(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop),
                     OK);
    w->simulator = simulator_new(42);
    w->flow = flow_new(w->simulator, 1);
    w->control = control_new();
    w->exchange = exchange_new(&(struct exchange_opts){
        .loop = w->loop, .flow = w->flow, .control = w->control, .ops = &ops});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    exchange_free(w->exchange);
    control_free(w->control);
    flow_free(w->flow);
    simulator_free(w->simulator);
    loop_free(w->loop);
    free(w);
    return 0;
}

static struct peer *open_peer(struct world *w, enum venue v, const char *path, const char *query)
{
    struct peer *p = calloc(1, sizeof(*p));
    p->session = exchange_open(w->exchange, v, p, str_of(path), str_of(query));
    return p;
}

static void close_peer(struct peer *p)
{
    exchange_close(p->session);
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->frames[i]);
    }
    buf_fini(&p->half);
    free(p);
}

static void say(struct peer *p, const char *text)
{
    exchange_take(p->session, str_of(text));
}

static void run(struct world *w, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 5) {
        clock_advance_us(&w->clock, 5000);
        loop_turn(w->loop, 0);
    }
}

static void order(struct world *w, const char *json)
{
    struct buf error = {0};
    if (control_set(w->control, str_of(json), &error) != OK) {
        fail_msg("%s", buf_text(&error));
    }
    buf_fini(&error);
}

static bool has(const char *frame, const char *text)
{
    return strstr(frame, text) != NULL;
}

/* How many frames from `from` on hold the text. */
static size_t count_of(const struct peer *p, size_t from, const char *text)
{
    size_t n = 0;
    for (size_t i = from; i < p->count; i++) {
        n += has(p->frames[i], text);
    }
    return n;
}

/* Checks that the ids behind `key` in the frames with `text` rise by one each; gives how many. */
static size_t contiguous(const struct peer *p, const char *text, const char *key, uint64_t *last)
{
    uint64_t before = 0;
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++) {
        const char *at = has(p->frames[i], text) ? strstr(p->frames[i], key) : NULL;
        for (; at; at = strstr(at + 1, key)) {
            uint64_t id = strtoull(at + strlen(key), NULL, 10);
            if (before) {
                assert_int_equal(id, before + 1);
            }
            before = id;
            n++;
        }
    }
    if (last) {
        *last = before;
    }
    return n;
}

/* ---- fields: exactly those of frames that were recorded ---- */

static void add_shape(const struct json *v, struct buf *out)
{
    size_t at = 0;
    struct str key;
    const struct json *member;
    switch (json_kind(v)) {
    case JSON_OBJECT:
        buf_add_char(out, '{');
        while (json_each(v, &at, &key, &member)) {
            buf_add_str(out, key);
            buf_add_char(out, ':');
            add_shape(member, out);
        }
        buf_add_char(out, '}');
        break;
    case JSON_ARRAY:
        buf_add_char(out, '[');
        add_shape(json_at(v, 0), out);
        buf_add_char(out, ']');
        break;
    case JSON_STRING:
        buf_add_char(out, 's');
        break;
    case JSON_NUMBER:
        buf_add_char(out, 'n');
        break;
    case JSON_BOOL:
        buf_add_char(out, 'b');
        break;
    case JSON_NULL:
        buf_add_char(out, '0');
        break;
    }
}

static void assert_shape(const char *have, const char *want)
{
    struct buf a = {0}, b = {0};
    struct json *root = NULL;
    assert_int_equal(json_parse(str_of(have), &root, NULL), OK);
    add_shape(root, &a);
    json_free(root);
    assert_int_equal(json_parse(str_of(want), &root, NULL), OK);
    add_shape(root, &b);
    json_free(root);
    if (!str_eq(buf_str(&a), buf_str(&b))) {
        fail_msg("%s\nis not as\n%s", have, want);
    }
    buf_fini(&a);
    buf_fini(&b);
}

static const char *find(const struct peer *p, const char *text)
{
    for (size_t i = 0; i < p->count; i++) {
        if (has(p->frames[i], text)) {
            return p->frames[i];
        }
    }
    fail_msg("no frame with %s", text);
    return "";
}

static void frames_have_the_fields_of_real_ones(void **state)
{
    struct world *w = *state;
    struct peer *b = open_peer(w, VENUE_BINANCE, "/stream",
                               "streams=btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker/"
                               "btcusdt@miniTicker/btcusdt@ticker/btcusdt@kline_1m");
    struct peer *c = open_peer(w, VENUE_COINBASE, "/", "");
    struct peer *k = open_peer(w, VENUE_KRAKEN, "/v2", "");
    say(c, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"ticker\","
           "\"matches\",\"heartbeat\"]}");
    say(k, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"BTC/USD\"]},"
           "\"req_id\":1}");
    say(k, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"BTC/USD\"],"
           "\"snapshot\":false}}");
    run(w, 20000);
    assert_shape(
        find(b, "@trade"),
        "{\"stream\":\"\",\"data\":{\"e\":\"\",\"E\":1,\"s\":\"\",\"t\":1,\"p\":\"\",\"q\":"
        "\"\",\"T\":1,\"m\":true,\"M\":true}}");
    assert_shape(
        find(b, "@aggTrade"),
        "{\"stream\":\"\",\"data\":{\"e\":\"\",\"E\":1,\"s\":\"\",\"a\":1,\"p\":\"\",\"q\":"
        "\"\",\"f\":1,\"l\":1,\"T\":1,\"m\":true,\"M\":true}}");
    assert_shape(find(b, "@bookTicker"),
                 "{\"stream\":\"\",\"data\":{\"u\":1,\"s\":\"\",\"b\":\"\",\"B\":\"\",\"a\":\"\","
                 "\"A\":\"\"}}");
    assert_shape(find(b, "@miniTicker"),
                 "{\"stream\":\"\",\"data\":{\"e\":\"\",\"E\":1,\"s\":\"\",\"c\":\"\",\"o\":\"\","
                 "\"h\":\"\",\"l\":\"\",\"v\":\"\",\"q\":\"\"}}");
    assert_shape(
        find(b, "@ticker"),
        "{\"stream\":\"\",\"data\":{\"e\":\"\",\"E\":1,\"s\":\"\",\"p\":\"\",\"P\":\"\","
        "\"w\":\"\",\"x\":\"\",\"c\":\"\",\"Q\":\"\",\"b\":\"\",\"B\":\"\",\"a\":\"\","
        "\"A\":\"\",\"o\":\"\",\"h\":\"\",\"l\":\"\",\"v\":\"\",\"q\":\"\",\"O\":1,\"C\":1,"
        "\"F\":1,\"L\":1,\"n\":1}}");
    assert_shape(
        find(b, "@kline_1m"),
        "{\"stream\":\"\",\"data\":{\"e\":\"\",\"E\":1,\"s\":\"\",\"k\":{\"t\":1,\"T\":1,"
        "\"s\":\"\",\"i\":\"\",\"f\":1,\"L\":1,\"o\":\"\",\"c\":\"\",\"h\":\"\",\"l\":\"\","
        "\"v\":\"\",\"n\":1,\"x\":false,\"q\":\"\",\"V\":\"\",\"Q\":\"\",\"B\":\"\"}}}");
    assert_shape(find(c, "\"subscriptions\""),
                 "{\"type\":\"\",\"channels\":[{\"name\":\"\",\"product_ids\":[\"\"],"
                 "\"account_ids\":null}]}");
    assert_shape(find(c, "\"last_match\""),
                 "{\"type\":\"\",\"trade_id\":1,\"maker_order_id\":\"\",\"taker_order_id\":\"\","
                 "\"side\":\"\",\"size\":\"\",\"price\":\"\",\"product_id\":\"\",\"sequence\":1,"
                 "\"time\":\"\"}");
    assert_shape(
        find(c, "\"ticker\",\"seq"),
        "{\"type\":\"\",\"sequence\":1,\"product_id\":\"\",\"price\":\"\",\"open_24h\":\"\","
        "\"volume_24h\":\"\",\"low_24h\":\"\",\"high_24h\":\"\",\"volume_30d\":\"\","
        "\"best_bid\":\"\",\"best_bid_size\":\"\",\"best_ask\":\"\",\"best_ask_size\":\"\","
        "\"side\":\"\",\"time\":\"\",\"trade_id\":1,\"last_size\":\"\"}");
    assert_shape(find(c, "\"heartbeat\",\"last"),
                 "{\"type\":\"\",\"last_trade_id\":1,\"product_id\":\"\",\"sequence\":1,\"time\":"
                 "\"\"}");
    assert_shape(k->frames[0], "{\"channel\":\"\",\"type\":\"\",\"data\":[{\"version\":\"\","
                               "\"system\":\"\",\"api_version\":\"\",\"connection_id\":1}]}");
    assert_shape(k->frames[1],
                 "{\"method\":\"\",\"result\":{\"channel\":\"\",\"event_trigger\":\"\","
                 "\"snapshot\":true,\"symbol\":\"\"},\"success\":true,\"req_id\":1,\"time_in\":"
                 "\"\",\"time_out\":\"\"}");
    assert_shape(
        k->frames[2],
        "{\"channel\":\"\",\"type\":\"\",\"data\":[{\"symbol\":\"\",\"bid\":1,\"bid_qty\":"
        "1,\"ask\":1,\"ask_qty\":1,\"last\":1,\"volume\":1,\"vwap\":1,\"low\":1,\"high\":1,"
        "\"change\":1,\"change_pct\":1,\"trades\":1,\"timestamp\":\"\"}]}");
    assert_shape(find(k, "\"trade\",\"type\":\"update\""),
                 "{\"channel\":\"\",\"type\":\"\",\"data\":[{\"symbol\":\"\",\"side\":\"\","
                 "\"price\":1,\"qty\":1,\"ord_type\":\"\",\"trade_id\":1,\"timestamp\":\"\"}]}");
    close_peer(b);
    close_peer(c);
    close_peer(k);
}

static void count_event(void *self, const struct exchange_event *e)
{
    size_t *counts = self;
    counts[e->kind]++;
}

/* Every frame is one that the server's own readers take. */
static void the_readers_of_the_server_take_all_frames(void **state)
{
    struct world *w = *state;
    size_t counts[EX_IGNORED + 1] = {0};
    struct peer *peers[VENUE_COUNT] = {
        open_peer(w, VENUE_BINANCE, "/stream",
                  "streams=btcusdt@trade/shibusdt@aggTrade/ethusdt@bookTicker/"
                  "btcusdt@miniTicker/s000usdt@ticker/btcusdt@kline_1m/!miniTicker@arr"),
        open_peer(w, VENUE_COINBASE, "/", ""), open_peer(w, VENUE_KRAKEN, "/v2", "")};
    say(peers[1], "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"SHIB-USD\",\"USDT-USD\"],"
                  "\"channels\":[\"ticker\",\"matches\",\"heartbeat\",\"ticker_batch\"]}");
    say(peers[1], "{\"type\":\"subscribe\",\"product_ids\":[\"XXX-USD\"],\"channels\":["
                  "\"ticker\"]}");
    say(peers[2], "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":["
                  "\"BTC/USD\",\"SHIB/USD\",\"XXX/USD\"]}}");
    say(peers[2], "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":["
                  "\"BTC/USD\",\"SHIB/USD\"],\"snapshot\":true}}");
    say(peers[0], "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@bookTicker\"],\"id\":7}");
    run(w, 60000);
    for (enum venue v = 0; v < VENUE_COUNT; v++) {
        for (size_t i = 0; i < peers[v]->count; i++) {
            const char *why = "";
            if (exchange_read_frame(v, str_of(peers[v]->frames[i]), count_event, counts, &why) !=
                OK) {
                fail_msg("%s: %s", why, peers[v]->frames[i]);
            }
        }
        close_peer(peers[v]);
    }
    assert_true(counts[EX_TRADE] > 100 && counts[EX_BOOK] > 30 && counts[EX_DAY] > 100);
    assert_true(counts[EX_CANDLE] > 20 && counts[EX_HEARTBEAT] > 50);
    assert_true(counts[EX_ACK] >= 6 && counts[EX_REFUSED] == 2);
    assert_int_equal(counts[EX_IGNORED], 0);
}

/* ---- trades ---- */

static void streams_and_rest_give_the_same_trades(void **state)
{
    struct world *w = *state;
    struct peer *b = open_peer(w, VENUE_BINANCE, "/ws/btcusdt@trade", "");
    struct peer *c = open_peer(w, VENUE_COINBASE, "/", "");
    struct peer *k = open_peer(w, VENUE_KRAKEN, "/v2", "");
    say(c, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"matches\"]}");
    say(k,
        "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"BTC/USD\"]}}");
    run(w, 150000); /* over two minutes' ends */
    uint64_t last;
    assert_true(contiguous(b, "\"e\":\"trade\"", "\"t\":", &last) > 150);
    assert_true(contiguous(c, "match\"", "\"trade_id\":", NULL) > 60);
    assert_true(contiguous(k, "\"trade\"", "\"trade_id\":", NULL) > 30);

    struct answer_world world = {.simulator = w->simulator, .flow = w->flow};
    struct answer a;
    char query[128], text[128];
    answer_init(&a);
    snprintf(query, sizeof(query), "symbol=BTCUSDT&fromId=%llu&limit=1", (unsigned long long)last);
    answer_make(&world,
                &(struct answer_request){.is_get = true,
                                         .path = STR("/api/v3/historicalTrades"),
                                         .query = str_of(query)},
                loop_wall_ms(w->loop), &a);
    const char *frame = b->frames[b->count - 1];
    const char *price = strstr(frame, "\"p\":\"") + 5, *amount = strstr(frame, "\"q\":\"") + 5;
    snprintf(text, sizeof(text), "\"price\":\"%.*s\",\"qty\":\"%.*s\"",
             (int)(strchr(price, '"') - price), price, (int)(strchr(amount, '"') - amount), amount);
    if (!has(buf_text(&a.body), text)) {
        fail_msg("%s\nhas not %s", buf_text(&a.body), text);
    }
    answer_fini(&a);
    close_peer(b);
    close_peer(c);
    close_peer(k);
}

/* The closed candle of the kline stream, the one that REST gives and the trades' own sum. */
static void the_candle_of_a_minute_is_the_same_everywhere(void **state)
{
    struct world *w = *state;
    struct peer *p = open_peer(w, VENUE_BINANCE, "/ws/ethusdt@trade/ethusdt@kline_1m", "");
    run(w, 105000);
    const char *closed = find(p, "\"x\":true"), *second = NULL;
    for (size_t i = 0; i < p->count; i++) {
        if (has(p->frames[i], "\"x\":true")) {
            second = p->frames[i];
        }
    }
    assert_ptr_not_equal(closed, second); /* of the minute that was seen whole */
    struct json *root = NULL;
    int64_t open_ms = 0, trades = 0, seen = 0;
    double volume = 0, sum = 0;
    assert_int_equal(json_parse(str_of(second), &root, NULL), OK);
    const struct json *k = json_get(root, "k");
    assert_true(json_get_i64(json_get(k, "t"), &open_ms));
    assert_true(json_get_i64(json_get(k, "n"), &trades));
    assert_true(json_get_number_or_text(json_get(k, "v"), &volume));
    json_free(root);
    for (size_t i = 0; i < p->count; i++) {
        int64_t at = 0;
        double amount = 0;
        assert_int_equal(json_parse(str_of(p->frames[i]), &root, NULL), OK);
        if (json_get_i64(json_get(root, "T"), &at) && at / 60000 == open_ms / 60000) {
            assert_true(json_get_number_or_text(json_get(root, "q"), &amount));
            sum += amount;
            seen++;
        }
        json_free(root);
    }
    assert_int_equal(seen, trades);
    assert_true(fabs(sum - volume) < 1e-8);
    struct sim_candle c;
    assert_true(flow_candle(w->flow, VENUE_BINANCE, 1, open_ms, open_ms + 60000,
                            loop_wall_ms(w->loop), &c));
    assert_int_equal(c.trades, (uint64_t)trades);
    assert_true(fabs(c.volume - volume) < 1e-8);
    close_peer(p);
}

/* ---- duties and limits ---- */

static void binance_pings_and_cuts_who_does_not_answer(void **state)
{
    struct world *w = *state;
    struct peer *good = open_peer(w, VENUE_BINANCE, "/ws", "");
    struct peer *bad = open_peer(w, VENUE_BINANCE, "/ws", "");
    bad->is_mute = true;
    for (int i = 0; i < 5; i++) {
        run(w, 20500);
        exchange_take_pong(bad->session, STR("something else"));
    }
    assert_int_equal(good->code, 0);
    assert_true(good->pings >= 5 && good->ping[0]);
    assert_int_equal(bad->code, 1008);
    close_peer(good);
    close_peer(bad);
}

static void binance_has_its_limits(void **state)
{
    struct world *w = *state;
    struct peer *p = open_peer(w, VENUE_BINANCE, "/ws", "");
    for (int i = 0; i < 5; i++) {
        say(p, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1}");
    }
    assert_int_equal(p->code, 0);
    run(w, 1100);
    say(p, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"nopeusdt@trade\"],\"id\":"
           "\"a\"}");
    assert_string_equal(p->frames[5], "{\"result\":null,\"id\":\"a\"}");
    say(p, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":2}");
    assert_string_equal(p->frames[6], "{\"result\":[\"btcusdt@trade\"],\"id\":2}");
    say(p, "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":3}");
    say(p, "nonsense");
    assert_true(has(p->frames[8], "Invalid JSON"));
    say(p, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":4}");
    assert_string_equal(p->frames[9], "{\"result\":[],\"id\":4}");
    run(w, 20);
    say(p, "{}");
    assert_int_equal(p->code, 1008);
    close_peer(p);

    struct buf many = {0};
    buf_add_lit(&many, "streams=");
    for (int i = 0; i < 1025; i++) {
        buf_add_lit(&many, "btcusdt@trade/");
    }
    p = open_peer(w, VENUE_BINANCE, "/stream", buf_text(&many));
    assert_int_equal(p->code, 1008);
    close_peer(p);
    buf_fini(&many);
}

static void coinbase_wants_a_subscription_and_refuses_it_whole(void **state)
{
    struct world *w = *state;
    struct peer *late = open_peer(w, VENUE_COINBASE, "/", "");
    struct peer *p = open_peer(w, VENUE_COINBASE, "/", "");
    say(p, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"XXX-USD\"],\"channels\":["
           "\"matches\"]}");
    assert_string_equal(p->frames[0], "{\"type\":\"error\",\"message\":\"Failed to subscribe\","
                                      "\"reason\":\"XXX-USD is not a valid product\"}");
    run(w, 4000);
    assert_int_equal(p->count, 1);
    say(p, "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"heartbeat\",\"product_ids\":["
           "\"S123-USD\"]}]}");
    run(w, 3000);
    assert_int_equal(late->code, 1008);
    assert_int_equal(p->code, 0);
    assert_int_equal(count_of(p, 0, "\"heartbeat\",\"last_trade_id\""), 3);
    say(p,
        "{\"type\":\"unsubscribe\",\"product_ids\":[\"S123-USD\"],\"channels\":[\"heartbeat\"]}");
    size_t before = p->count;
    run(w, 3000);
    assert_int_equal(p->count, before);
    close_peer(late);
    close_peer(p);
}

static void kraken_answers_each_symbol_and_beats_when_idle(void **state)
{
    struct world *w = *state;
    struct peer *p = open_peer(w, VENUE_KRAKEN, "/v2", "");
    say(p, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"S499/USD\","
           "\"XXX/USD\"],\"snapshot\":false},\"req_id\":7}");
    assert_true(has(p->frames[1], "\"symbol\":\"S499/USD\"},\"success\":true,\"req_id\":7"));
    assert_true(has(p->frames[2], "\"error\":\"Currency pair not supported XXX/USD\""));
    assert_true(has(p->frames[2], "\"success\":false"));
    say(p, "{\"method\":\"ping\",\"req_id\":8}");
    assert_true(has(p->frames[3], "{\"method\":\"pong\",\"req_id\":8,"));
    run(w, 10000);
    assert_true(count_of(p, 0, "{\"channel\":\"heartbeat\"}") >= 8);
    close_peer(p);
}

/* ---- orders ---- */

static void it_misbehaves_as_told(void **state)
{
    struct world *w = *state;
    struct peer *p = open_peer(w, VENUE_BINANCE, "/ws/btcusdt@trade", "");
    run(w, 10000);
    size_t before = p->count;
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"stall\"}");
    run(w, 30000);
    assert_int_equal(p->count, before);
    assert_int_equal(p->pings, 0);
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"none\"}");

    order(w, "{\"target\":\"binance/ws\",\"fault\":\"garbage\",\"times\":2}");
    run(w, 10000);
    assert_int_equal(count_of(p, before, "<html>"), 2);

    before = p->count;
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"double\",\"times\":1}");
    run(w, 5000);
    assert_string_equal(p->frames[before], p->frames[before + 1]);
    assert_string_not_equal(p->frames[before + 1], p->frames[before + 2]);

    before = p->count;
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"skip\",\"value\":3,\"times\":1}");
    run(w, 10000);
    uint64_t last = strtoull(strstr(p->frames[before - 1], "\"t\":") + 4, NULL, 10);
    uint64_t next = strtoull(strstr(p->frames[before], "\"t\":") + 4, NULL, 10);
    uint64_t then = strtoull(strstr(p->frames[before + 1], "\"t\":") + 4, NULL, 10);
    assert_int_equal(next, last + 4);
    assert_int_equal(then, next + 1);

    order(w, "{\"target\":\"binance/ws\",\"fault\":\"skew\",\"value\":-1270}");
    before = p->count;
    run(w, 5000);
    int64_t event = strtoll(strstr(p->frames[p->count - 1], "\"E\":") + 4, NULL, 10);
    assert_true(event <= loop_wall_ms(w->loop) - 1270 && event > loop_wall_ms(w->loop) - 6270);

    order(w, "{\"target\":\"binance/ws\",\"fault\":\"half\",\"times\":1}");
    run(w, 5000);
    assert_int_equal(p->code, 1);
    assert_true(p->half.len > 40);
    close_peer(p);

    p = open_peer(w, VENUE_BINANCE, "/ws/btcusdt@trade", "");
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"shutdown\",\"times\":1}");
    run(w, 5000);
    assert_true(has(p->frames[0], "{\"e\":\"serverShutdown\",\"E\":"));
    assert_int_equal(p->code, 1001);
    close_peer(p);

    p = open_peer(w, VENUE_COINBASE, "/", "");
    order(w, "{\"target\":\"coinbase/ws\",\"fault\":\"refuse\",\"times\":1}");
    say(p, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"matches\"]}");
    assert_true(has(p->frames[0], "BTC-USD is not a valid product"));
    order(w, "{\"target\":\"coinbase/ws\",\"fault\":\"drop\",\"times\":1}");
    say(p, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"matches\"]}");
    assert_int_equal(p->code, 1);
    close_peer(p);
}

static void latency_delays_what_was_traded(void **state)
{
    struct world *w = *state;
    order(w, "{\"target\":\"binance/ws\",\"fault\":\"latency\",\"value\":800}");
    struct peer *p = open_peer(w, VENUE_BINANCE, "/ws/btcusdt@trade", "");
    int64_t least = INT64_MAX;
    for (int i = 0; i < 2000; i++) {
        size_t before = p->count;
        run(w, 5);
        for (size_t k = before; k < p->count; k++) {
            int64_t at = strtoll(strstr(p->frames[k], "\"T\":") + 4, NULL, 10);
            int64_t late = loop_wall_ms(w->loop) - at;
            least = late < least ? late : least;
        }
    }
    assert_true(p->count > 10 && least >= 800 && least < 900);
    close_peer(p);
}

static void all_minis_are_those_that_moved(void **state)
{
    struct world *w = *state;
    struct peer *p = open_peer(w, VENUE_BINANCE, "/ws/!miniTicker@arr", "");
    run(w, 3000);
    assert_int_equal(p->count, 3);
    struct json *root = NULL;
    assert_int_equal(json_parse(str_of(p->frames[1]), &root, NULL), OK);
    size_t count = json_count(root);
    if (count < 5 || count > 500) {
        fail_msg("%zu symbols", count);
    }
    json_free(root);
    close_peer(p);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(frames_have_the_fields_of_real_ones),
        T(the_readers_of_the_server_take_all_frames),
        T(streams_and_rest_give_the_same_trades),
        T(the_candle_of_a_minute_is_the_same_everywhere),
        T(binance_pings_and_cuts_who_does_not_answer),
        T(binance_has_its_limits),
        T(coinbase_wants_a_subscription_and_refuses_it_whole),
        T(kraken_answers_each_symbol_and_beats_when_idle),
        T(it_misbehaves_as_told),
        T(latency_delays_what_was_traded),
        T(all_minis_are_those_that_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
