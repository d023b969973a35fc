/* The sources as a whole under a virtual clock: scripted providers, hours in milliseconds. What is
 * asserted here is what callers and providers see: never more requests than allowed whatever anyone
 * does, the right one asked next, and every value named and marked.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/loop.h"
#include "sources/sources.h"
#include "tests/lib/fake_fetch.h"
#include "tests/lib/memory_store.h"

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define STAMPS 90000

/* How one end point behaves. */
struct script {
    int status;       /* 0: well */
    const char *body; /* instead of a good one */
    const char *retry_after, *etag, *upstream, *used_weight;
    uint64_t delay_ms; /* 0: 20 */
    enum err err;
    double price; /* tickers; 0: the world's */
};

struct world {
    struct clock clock;
    struct loop *loop;
    struct fake_fetch fetch;
    struct memory_store *disk;
    struct budget_store store;
    struct timer sync;
    struct sources *sources;
    struct summary summary;
    struct outlook outlook;
    struct weight weight; /* of Binance, as its feed would share it */
    struct sources_opts opts;
    struct script scripts[ENDPOINT_COUNT];
    double price;
    uint64_t asked_ms[ENDPOINT_COUNT][STAMPS];
    size_t asked[ENDPOINT_COUNT];
    unsigned conditional, modes, refreshed, not_refreshed;
    char why[200], last_url[300], last_header[100];
    uint64_t chance;
};

static uint32_t roll(struct world *w, uint32_t sides)
{
    w->chance = w->chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->chance >> 33) % sides;
}

static enum endpoint_id endpoint_of(struct str url)
{
    static const struct {
        const char *part;
        enum endpoint_id id;
    } parts[] = {
        {"/ticker/24hr", EP_BINANCE_TICKER},
        {"/stats", EP_COINBASE_STATS},
        {"/Ticker?", EP_KRAKEN_TICKER},
        {"/simple/price", EP_COINGECKO_PRICE},
        {"/global", EP_COINGECKO_GLOBAL},
        {"/fng/", EP_ALTERNATIVE_FNG},
        {"/rsi?", EP_TAAPI_RSI},
        {"/klines", EP_BINANCE_DAILY},
        {"/candles", EP_COINBASE_DAILY},
        {"/OHLC", EP_KRAKEN_DAILY},
        {"/coins/markets?", EP_COINGECKO_MARKETS},
        {"/search/trending", EP_COINGECKO_TRENDING},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_find_str(url, str_of(parts[i].part)) != SIZE_MAX) {
            return parts[i].id;
        }
    }
    fail_msg("unknown URL %.*s", STR_ARG(url));
    return ENDPOINT_COUNT;
}

/* 300 days up to the one under way; every provider's own row shape. */
static void write_days(struct buf *out, const char *format, int64_t wall_ms, int64_t unit_ms)
{
    int64_t today = wall_ms / DAILY_MS;
    for (int64_t day = today - 299; day <= today; day++) {
        int close = 50000 + (int)((day * 7919) % 1000);
        buf_printf(out, day > today - 299 ? "," : "");
        buf_printf(out, format, (long long)(day * DAILY_MS / unit_ms), close);
    }
}

static void write_body(struct world *w, enum endpoint_id id, struct buf *out)
{
    long long wall_ms = clock_wall_ms(&w->clock);
    double price = w->scripts[id].price != 0 ? w->scripts[id].price : w->price;
    switch (id) {
    case EP_BINANCE_TICKER:
        buf_printf(out,
                   "{\"symbol\":\"BTCUSDT\",\"lastPrice\":\"%.2f\","
                   "\"priceChangePercent\":\"1.250\",\"closeTime\":%lld}",
                   price, wall_ms);
        return;
    case EP_COINBASE_STATS:
        buf_printf(out, "{\"open\":\"%.2f\",\"last\":\"%.2f\",\"volume\":\"1\"}", price / 1.02,
                   price);
        return;
    case EP_KRAKEN_TICKER:
        buf_printf(out,
                   "{\"error\":[],\"result\":{\"XXBTZUSD\":{\"c\":[\"%.1f\",\"1\"],"
                   "\"o\":\"1\"}}}",
                   price);
        return;
    case EP_COINGECKO_PRICE:
        buf_printf(out,
                   "{\"bitcoin\":{\"usd\":%.0f,\"usd_24h_change\":1.5,"
                   "\"last_updated_at\":%lld}}",
                   price, wall_ms / 1000);
        return;
    case EP_COINGECKO_GLOBAL:
        buf_printf(out,
                   "{\"data\":{\"total_market_cap\":{\"usd\":2142953338976.9612},"
                   "\"total_volume\":{\"usd\":91234567890},"
                   "\"market_cap_change_percentage_24h_usd\":-1.25,\"updated_at\":%lld}}",
                   wall_ms / 1000);
        return;
    case EP_ALTERNATIVE_FNG:
        buf_printf(out,
                   "{\"name\":\"Fear and Greed Index\",\"data\":[{\"value\":\"12\","
                   "\"timestamp\":\"%lld\",\"time_until_update\":\"%lld\"}],"
                   "\"metadata\":{\"error\":null}}",
                   wall_ms / DAILY_MS * 86400,
                   (long long)(daily_next_close_ms(wall_ms) - wall_ms) / 1000);
        return;
    case EP_TAAPI_RSI:
        buf_printf(out, "{\"value\":65.73211579249397}");
        return;
    case EP_BINANCE_DAILY:
        buf_printf(out, "[");
        write_days(out, "[%1$lld,\"%2$d\",\"%2$d\",\"%2$d\",\"%2$d\",\"1\",0]", wall_ms, 1);
        buf_printf(out, "]");
        return;
    case EP_COINBASE_DAILY:
        buf_printf(out, "[");
        write_days(out, "[%1$lld,%2$d,%2$d,%2$d,%2$d,1]", wall_ms, 1000);
        buf_printf(out, "]");
        return;
    case EP_KRAKEN_DAILY:
        buf_printf(out, "{\"error\":[],\"result\":{\"XXBTZUSD\":[");
        write_days(out, "[%1$lld,\"%2$d\",\"%2$d\",\"%2$d\",\"%2$d\",\"%2$d\",\"1\",3]", wall_ms,
                   1000);
        buf_printf(out, "],\"last\":1}}");
        return;
    case EP_COINGECKO_MARKETS:
        buf_printf(out, "[");
        for (int i = 0; i < 30; i++) { /* 10 each: up, down, pegged */
            static const char *const kinds[] = {"up", "dn", "usd"};
            buf_printf(out,
                       "%s{\"id\":\"c%d\",\"symbol\":\"%s%d\",\"current_price\":7,"
                       "\"price_change_percentage_24h\":%d}",
                       i ? "," : "", i, kinds[i % 3], i, i % 3 == 0 ? 2 : -1);
        }
        buf_printf(out, "]");
        return;
    case EP_COINGECKO_TRENDING:
        buf_printf(out, "{\"coins\":[{\"item\":{\"name\":\"Some\",\"symbol\":\"som\"}}]}");
        return;
    case ENDPOINT_COUNT:
        return;
    }
}

static void answer(void *self, const struct fetch_request *request, struct fake_answer *out)
{
    struct world *w = self;
    enum endpoint_id id = endpoint_of(request->url);
    const struct script *s = &w->scripts[id];
    snprintf(w->last_url, sizeof(w->last_url), "%.*s", STR_ARG(request->url));
    snprintf(w->last_header, sizeof(w->last_header), "%.*s", STR_ARG(request->header));
    assert_true(w->asked[id] < STAMPS);
    w->asked_ms[id][w->asked[id]++] = loop_now_ms(w->loop);
    out->err = s->err;
    out->delay_ms = s->delay_ms ? s->delay_ms : 20;
    out->retry_after = s->retry_after;
    out->etag = s->etag;
    out->upstream = s->upstream;
    out->used_weight = s->used_weight;
    if (s->etag && str_eq(request->etag, str_of(s->etag))) {
        w->conditional++;
        out->status = 304;
        return;
    }
    out->status = s->status ? s->status : 200;
    if (s->body) {
        buf_add_str(&out->body, str_of(s->body));
    } else {
        write_body(w, id, &out->body);
    }
}

/* ---- what the app would do with what comes up ---- */

static enum err on_value(void *self, const struct summary_report *r)
{
    struct world *w = self;
    return summary_apply(&w->summary, r, loop_wall_ms(w->loop));
}

static void on_failed(void *self, enum summary_field field, const char *why)
{
    summary_fail(&((struct world *)self)->summary, field, why);
}

static enum err on_outlook(void *self, const struct outlook_report *r)
{
    struct world *w = self;
    return outlook_apply(&w->outlook, r, loop_wall_ms(w->loop));
}

static void on_outlook_failed(void *self, enum outlook_part part, const char *why)
{
    outlook_fail(&((struct world *)self)->outlook, part, why);
}

static void on_mode(void *self, enum market_mode mode)
{
    struct world *w = self;
    w->modes++;
    summary_set_mode(&w->summary, mode);
    outlook_init(&w->outlook, "not fetched yet");
}

static void on_refreshed(void *self, bool refreshed, const char *why)
{
    struct world *w = self;
    w->refreshed += refreshed ? 1 : 0;
    w->not_refreshed += refreshed ? 0 : 1;
    snprintf(w->why, sizeof(w->why), "%s", why);
}

/* ---- a disk that needs 3 ms ---- */

static void on_sync(void *self)
{
    memory_store_sync(((struct world *)self)->disk);
}

static void sync_soon(struct world *w)
{
    if (!timer_active(&w->sync)) {
        timer_start(w->loop, &w->sync, loop_now_ms(w->loop) + 3, on_sync, w);
    }
}

static void disk_add(void *self, struct str name, int64_t delta, budget_done_fn done, void *arg)
{
    struct world *w = self;
    memory_store_add(w->disk, name, delta, done, arg);
    sync_soon(w);
}

static void disk_get(void *self, struct str name, budget_done_fn done, void *arg)
{
    struct world *w = self;
    memory_store_get(w->disk, name, done, arg);
    sync_soon(w);
}

static void disk_put(void *self, struct str key, struct str value, budget_done_fn done, void *arg)
{
    struct world *w = self;
    memory_store_text_put(w->disk, key, value, done, arg);
    sync_soon(w);
}

static void disk_read(void *self, struct str key, budget_text_fn done, void *arg)
{
    struct world *w = self;
    memory_store_text_get(w->disk, key, done, arg);
    sync_soon(w);
}

/* ---- the world ---- */

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    int64_t wall_ms = 0;
    assert_non_null(w);
    assert_ok(clock_parse_rfc3339(STR("2026-11-21T10:00:00Z"), &wall_ms));
    clock_init_virtual(&w->clock, 5000, wall_ms);
    struct loop_opts opts = {.io = IO_EPOLL, .clock = &w->clock};
    assert_ok(loop_new(&opts, &w->loop));
    fake_fetch_init(&w->fetch, w->loop);
    w->fetch.answer = answer;
    w->fetch.self = w;
    w->disk = memory_store_new();
    w->store = (struct budget_store){w, disk_add, disk_get, disk_put, disk_read};
    w->price = 61056.47;
    w->chance = 20261121;
    w->opts = (struct sources_opts){
        .loop = w->loop,
        .fetch = &w->fetch.base,
        .store = &w->store,
        .price_ttl_ms = 3000,
        .summary_ttl_ms = 30000,
        .seed = 4711,
        .weight = {[PROVIDER_BINANCE] = &w->weight},
        .value = on_value,
        .failed = on_failed,
        .outlook = on_outlook,
        .outlook_failed = on_outlook_failed,
        .mode_changed = on_mode,
        .self = w,
    };
    return w;
}

static void world_start(struct world *w)
{
    summary_init(&w->summary, w->opts.mode);
    outlook_init(&w->outlook, "not fetched yet");
    w->sources = sources_new(&w->opts);
    sources_start(w->sources);
}

static void world_stop(struct world *w)
{
    sources_stop(w->sources);
    timer_stop(w->loop, &w->sync);
    memory_store_crash(w->disk);
    sources_free(w->sources);
    w->sources = NULL;
}

static void world_free(struct world *w)
{
    world_stop(w);
    fake_fetch_fini(&w->fetch);
    memory_store_free(w->disk);
    loop_free(w->loop);
    free(w);
}

static void pass(struct world *w, uint64_t ms)
{
    fake_loop_run(w->loop, loop_now_ms(w->loop) + ms);
}

static bool fresh(const struct world *w, enum summary_field f)
{
    return !summary_is_stale(&w->summary, f, loop_wall_ms(w->loop));
}

static const struct summary_value *field(const struct world *w, enum summary_field f)
{
    return &w->summary.fields[f];
}

static void all(struct world *w, struct script script)
{
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        w->scripts[i] = script;
    }
}

/* ---- tests ---- */

TEST(first_round_asks_all_at_once_and_fills_every_field)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, 100);
    assert_int_equal(w->fetch.started, 4);
    assert_int_equal(w->fetch.most_under_way, 4);
    assert_true(summary_complete(&w->summary));
    for (int f = 0; f < FIELD_COUNT; f++) {
        assert_true(fresh(w, (enum summary_field)f));
    }
    assert_true(field(w, FIELD_BTC_PRICE)->value == 61056.47);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "binance");
    assert_string_equal(field(w, FIELD_BTC_PRICE)->method, "ticker_24h BTCUSDT");
    assert_string_equal(field(w, FIELD_MARKET_CAP)->provider, "coingecko");
    assert_string_equal(field(w, FIELD_RSI_14)->provider, "binance");
    assert_string_equal(field(w, FIELD_RSI_14)->method, "computed");
    assert_int_equal(field(w, FIELD_RSI_14)->closes, 299);
    assert_true(sources_answered(w->sources));
    world_free(w);
}

TEST(price_is_asked_every_10_s_and_the_rest_in_its_own_time)
{
    struct world *w = world_new();
    world_start(w);
    for (int i = 0; i < 60; i++) { /* someone looks on */
        pass(w, MINUTE);
        sources_note_demand(w->sources);
        assert_true(fresh(w, FIELD_BTC_PRICE));
    }
    assert_in_range(w->asked[EP_BINANCE_TICKER], 340, 361);
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL], 6, 7);
    assert_int_equal(w->asked[EP_COINGECKO_PRICE], 0);
    assert_int_equal(w->asked[EP_COINBASE_STATS], 0);
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 1);
    assert_int_equal(w->asked[EP_BINANCE_DAILY], 1);
    world_free(w);
}

TEST(nobody_looking_slows_the_price_but_keeps_it_fresh)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, 15 * MINUTE);
    size_t before = w->asked[EP_BINANCE_TICKER];
    pass(w, 30 * MINUTE);
    assert_in_range(w->asked[EP_BINANCE_TICKER] - before, 55, 61);
    assert_true(fresh(w, FIELD_BTC_PRICE));
    before = w->asked[EP_BINANCE_TICKER];
    sources_note_demand(w->sources);
    pass(w, 5 * MINUTE);
    assert_in_range(w->asked[EP_BINANCE_TICKER] - before, 28, 32);
    world_free(w);
}

TEST(index_and_rsi_come_again_when_the_day_has_ended)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, 14 * HOUR - 10 * SECOND);
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 1);
    assert_int_equal(w->asked[EP_BINANCE_DAILY], 1);
    int64_t as_of = field(w, FIELD_RSI_14)->as_of_ms;
    pass(w, 90 * MINUTE);
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 2);
    assert_int_equal(w->asked[EP_BINANCE_DAILY], 2);
    assert_int_equal(field(w, FIELD_RSI_14)->as_of_ms, as_of + DAILY_MS);
    world_free(w);
}

TEST(next_exchange_answers_in_the_same_round)
{
    struct world *w = world_new();
    w->scripts[EP_BINANCE_TICKER].status = 500;
    world_start(w);
    pass(w, 100);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "coinbase");
    assert_near(field(w, FIELD_BTC_CHANGE_24H)->value, 2, 0.01);
    assert_true(fresh(w, FIELD_BTC_PRICE) && fresh(w, FIELD_BTC_CHANGE_24H));
    pass(w, 40 * SECOND);
    size_t asked = w->asked[EP_BINANCE_TICKER];
    assert_int_equal(
        asked, 4); /* daily candles came behind the first; three in a row opened its breaker */
    pass(w, 10 * SECOND);
    assert_int_equal(w->asked[EP_BINANCE_TICKER], asked);
    w->scripts[EP_BINANCE_TICKER].status = 0;
    pass(w, 30 * SECOND);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "binance");
    world_free(w);
}

TEST(change_that_kraken_cannot_give_comes_from_coingecko_once_a_minute)
{
    struct world *w = world_new();
    w->scripts[EP_BINANCE_TICKER].status = 503;
    w->scripts[EP_COINBASE_STATS].err = ERR_TIMEOUT;
    world_start(w);
    pass(w, 10 * MINUTE);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "kraken");
    assert_string_equal(field(w, FIELD_BTC_CHANGE_24H)->provider, "coingecko");
    assert_true(field(w, FIELD_BTC_CHANGE_24H)->value == 1.5);
    assert_in_range(w->asked[EP_COINGECKO_PRICE], 8, 10);
    for (size_t i = 1; i < w->asked[EP_COINGECKO_PRICE]; i++) {
        assert_true(w->asked_ms[EP_COINGECKO_PRICE][i] - w->asked_ms[EP_COINGECKO_PRICE][i - 1] >=
                    MINUTE);
    }
    world_free(w);
}

TEST(implausible_price_is_refused_and_the_next_source_asked)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, SECOND);
    w->scripts[EP_BINANCE_TICKER].price = 3 * w->price;
    pass(w, 12 * SECOND);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "coinbase");
    assert_true(field(w, FIELD_BTC_PRICE)->value == w->price);
    assert_true(w->summary.rejected >= 1);
    assert_true(fresh(w, FIELD_BTC_PRICE));
    /* A real crash is confirmed by the second source in the same round. */
    w->scripts[EP_BINANCE_TICKER].price = 0;
    pass(w, 12 * SECOND);
    w->price = 20000;
    pass(w, 12 * SECOND);
    assert_true(field(w, FIELD_BTC_PRICE)->value == 20000);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "coinbase");
    world_free(w);
}

TEST(first_fetch_has_three_attempts_5_s_apart)
{
    struct world *w = world_new();
    w->scripts[EP_ALTERNATIVE_FNG].err = ERR_REFUSED;
    world_start(w);
    pass(w, 18 * SECOND);
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 3);
    const uint64_t *at = w->asked_ms[EP_ALTERNATIVE_FNG];
    assert_in_range(at[1] - at[0], 5000, 5100);
    assert_in_range(at[2] - at[1], 5000, 5100);
    assert_false(field(w, FIELD_FEAR_GREED)->known);
    assert_string_equal(field(w, FIELD_FEAR_GREED)->reason,
                        "Alternative.me: the connection was refused");
    w->scripts[EP_ALTERNATIVE_FNG].err = OK;
    pass(w, 30 * SECOND);
    assert_true(fresh(w, FIELD_FEAR_GREED));
    world_free(w);
}

TEST(retry_after_is_obeyed)
{
    struct world *w = world_new();
    w->scripts[EP_COINGECKO_GLOBAL] =
        (struct script){.status = 429,
                        .retry_after = "137",
                        .body = "{\"status\":{\"error_code\":429,\"error_message\":"
                                "\"You've exceeded the Rate Limit.\"}}"};
    world_start(w);
    pass(w, 137 * SECOND);
    assert_int_equal(w->asked[EP_COINGECKO_GLOBAL], 1);
    assert_non_null(strstr(field(w, FIELD_MARKET_CAP)->reason, "exceeded the Rate Limit"));
    w->scripts[EP_COINGECKO_GLOBAL].status = 0;
    w->scripts[EP_COINGECKO_GLOBAL].body = NULL;
    pass(w, SECOND);
    assert_int_equal(w->asked[EP_COINGECKO_GLOBAL], 2);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    world_free(w);
}

TEST(throttling_without_a_time_closes_a_host_for_5_min)
{
    static const struct {
        int status;
        const char *retry_after, *body;
    } cases[] = {
        {429, NULL, "{}"},
        {429, "0", "<html>slow down</html>"},
        {418, NULL, ""},
        {403, NULL, "{\"status\":{\"error_code\":429,\"error_message\":\"rate limit\"}}"},
        {403, NULL, "<h1>Too many requests</h1>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        w->scripts[EP_COINGECKO_GLOBAL] = (struct script){
            .status = cases[i].status, .retry_after = cases[i].retry_after, .body = cases[i].body};
        world_start(w);
        pass(w, 5 * MINUTE);
        assert_int_equal(w->asked[EP_COINGECKO_GLOBAL], 1);
        pass(w, 10 * SECOND);
        assert_int_equal(w->asked[EP_COINGECKO_GLOBAL], 2);
        world_free(w);
    }
}

TEST(other_refusals_open_a_breaker_after_3_in_a_row)
{
    static const int statuses[] = {403, 451, 500};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct world *w = world_new();
        w->scripts[EP_ALTERNATIVE_FNG] = (struct script){.status = statuses[i], .body = "no"};
        world_start(w);
        pass(w, 11 * SECOND); /* three attempts, 5 s apart */
        assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 3);
        pass(w, 30 * SECOND); /* 20 s and up to a quarter more */
        assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 4);
        world_free(w);
    }
}

TEST(value_of_a_failing_source_stays_and_is_marked)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, SECOND);
    all(w, (struct script){.status = 500, .body = "oops"});
    pass(w, 11 * MINUTE);
    for (int f = 0; f < FIELD_FEAR_GREED; f++) {
        assert_true(field(w, (enum summary_field)f)->known);
        assert_false(fresh(w, (enum summary_field)f));
        assert_non_null(strstr(field(w, (enum summary_field)f)->reason, "HTTP status 500"));
    }
    assert_true(fresh(w, FIELD_FEAR_GREED)); /* not asked again yet */
    all(w, (struct script){0});
    pass(w, 12 * MINUTE);
    for (int f = 0; f < FIELD_COUNT; f++) {
        assert_true(fresh(w, (enum summary_field)f));
    }
    world_free(w);
}

TEST(any_number_of_refreshes_cost_one_fetch)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, 40 * SECOND + 500);
    unsigned before = w->fetch.started;
    for (int i = 0; i < 1000; i++) {
        sources_refresh(w->sources, on_refreshed, w);
    }
    assert_int_equal(w->refreshed, 0); /* never from inside */
    pass(w, 200);
    assert_int_equal(w->refreshed, 1000);
    assert_int_equal(w->fetch.started - before, 4);
    /* All is younger than its TTL now. */
    sources_refresh(w->sources, on_refreshed, w);
    pass(w, 200);
    assert_int_equal(w->not_refreshed, 1);
    assert_string_equal(w->why, "everything is younger than its time to live");
    assert_int_equal(w->fetch.started - before, 4);
    /* 4 s later the price is older than its 3 s, the rest is not. */
    pass(w, 4 * SECOND);
    sources_refresh(w->sources, on_refreshed, w);
    pass(w, 200);
    assert_int_equal(w->refreshed, 1001);
    assert_int_equal(w->fetch.started - before, 5);
    world_free(w);
}

TEST(our_own_limit_makes_no_number_stale)
{
    struct world *w = world_new();
    w->opts.summary_ttl_ms = 0;
    w->opts.per_minute[PROVIDER_COINGECKO] = 2;
    world_start(w);
    for (int i = 0; i < 20; i++) {
        pass(w, SECOND);
        sources_refresh(w->sources, on_refreshed, w);
    }
    pass(w, SECOND);
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL], 1, 2);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    /* What a failure stands in the way of is. */
    w->scripts[EP_COINGECKO_GLOBAL] = (struct script){.status = 429};
    pass(w, MINUTE);
    sources_refresh(w->sources, on_refreshed, w);
    pass(w, SECOND);
    assert_false(fresh(w, FIELD_MARKET_CAP));
    world_free(w);
}

TEST(raised_ceiling_lets_refreshes_come_closer_together)
{
    struct world *w = world_new();
    w->opts.summary_ttl_ms = 0;
    w->opts.per_minute[PROVIDER_ALTERNATIVE] = 200;
    world_start(w);
    pass(w, SECOND);
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], i);
        sources_refresh(w->sources, on_refreshed, w);
        pass(w, 100);
    }
    world_free(w);
}

TEST(refresh_that_gets_nothing_says_why)
{
    struct world *w = world_new();
    all(w, (struct script){.status = 429});
    world_start(w);
    pass(w, 10 * SECOND);
    unsigned before = w->fetch.started;
    sources_refresh(w->sources, on_refreshed, w);
    pass(w, SECOND);
    assert_int_equal(w->not_refreshed, 1);
    assert_non_null(strstr(w->why, "is not asked after failures"));
    assert_int_equal(w->fetch.started, before);
    world_free(w);
}

/* Whether any 60 s hold more than `limit` of the requests to a provider. */
static void assert_minute_limit(struct world *w, enum provider_id provider, size_t limit)
{
    static uint64_t at[ENDPOINT_COUNT * STAMPS];
    size_t next[ENDPOINT_COUNT] = {0}, count = 0, first = 0;
    for (;;) { /* merge the end points' own sorted lists */
        int best = -1;
        for (int i = 0; i < ENDPOINT_COUNT; i++) {
            if (endpoint_row((enum endpoint_id)i)->provider == provider && next[i] < w->asked[i] &&
                (best < 0 || w->asked_ms[i][next[i]] < w->asked_ms[best][next[best]])) {
                best = i;
            }
        }
        if (best < 0) {
            break;
        }
        at[count] = w->asked_ms[best][next[best]++];
        while (at[first] + MINUTE <= at[count]) {
            first++;
        }
        count++;
        assert_true(count - first <= limit);
    }
}

/* Greedy callers for whom nothing is ever fresh enough, and providers that misbehave at random. */
static void stress(struct world *w, uint64_t for_ms, bool restarts)
{
    static const struct script faults[] = {
        {.status = 500},
        {.status = 429, .retry_after = "7"},
        {.err = ERR_TIMEOUT, .delay_ms = 10000},
        {.body = "{\"half\":"},
        {.status = 403, .retry_after = "20"},
        {.status = 200, .body = "[]"},
        {.delay_ms = 9000},
    };
    w->opts.secret[PROVIDER_TAAPI] = "0123456789";
    w->opts.price_ttl_ms = 0;
    w->opts.summary_ttl_ms = 0;
    world_start(w);
    uint64_t end_ms = loop_now_ms(w->loop) + for_ms;
    while (loop_now_ms(w->loop) < end_ms) {
        pass(w, roll(w, 4) == 0 ? roll(w, 20000) : roll(w, 2000));
        unsigned callers = roll(w, 20);
        for (unsigned i = 0; i < callers; i++) {
            sources_refresh(w->sources, on_refreshed, w);
            sources_note_demand(w->sources);
        }
        if (roll(w, 50) == 0) {
            enum endpoint_id id = (enum endpoint_id)roll(w, ENDPOINT_COUNT);
            /* TAAPI's key stays good: refused once, it would not be asked again. */
            bool well = roll(w, 3) > 0 || id == EP_TAAPI_RSI;
            w->scripts[id] = well ? (struct script){0} : faults[roll(w, ARRAY_LEN(faults))];
        }
        if (restarts && roll(w, 300) == 0) { /* kill -9 and start again */
            world_stop(w);
            world_start(w);
        }
    }
}

TEST(no_caller_and_no_fault_gets_past_the_limits_in_a_day)
{
    struct world *w = world_new();
    stress(w, 24 * HOUR, false);
    assert_minute_limit(w, PROVIDER_COINGECKO, 10);
    assert_minute_limit(w, PROVIDER_ALTERNATIVE, 10);
    assert_minute_limit(w, PROVIDER_TAAPI, 4);
    assert_minute_limit(w, PROVIDER_BINANCE, 60);
    assert_minute_limit(w, PROVIDER_COINBASE, 60);
    assert_minute_limit(w, PROVIDER_KRAKEN, 30);
    /* The limits were really leant on, the month's too. */
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL] + w->asked[EP_COINGECKO_PRICE], 5000, 10000);
    assert_true(w->asked[EP_BINANCE_TICKER] > 10000);
    assert_true(w->asked[EP_TAAPI_RSI] > 3000);
    assert_true(w->refreshed > 10000 && w->not_refreshed > 0);
    world_free(w);
}

TEST(scarce_limits_hold_whenever_the_server_is_killed)
{
    struct world *w = world_new();
    stress(w, 12 * HOUR, true);
    assert_minute_limit(w, PROVIDER_COINGECKO, 10);
    assert_minute_limit(w, PROVIDER_ALTERNATIVE, 10);
    assert_minute_limit(w, PROVIDER_TAAPI, 4);
    assert_true(w->asked[EP_COINGECKO_GLOBAL] > 2000);
    world_free(w);
}

TEST(month_budget_holds_over_restarts)
{
    struct world *w = world_new();
    w->opts.per_month[PROVIDER_COINGECKO] = 25;
    for (int life = 0; life < 40; life++) {
        world_start(w);
        for (int i = 0; i < 20; i++) {
            pass(w, 31 * SECOND);
            sources_refresh(w->sources, on_refreshed, w);
        }
        world_stop(w);
    }
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL] + w->asked[EP_COINGECKO_PRICE], 1, 25);
    assert_in_range(memory_store_count(w->disk, "budget:live:coingecko:2026-11"),
                    w->asked[EP_COINGECKO_GLOBAL], 25);
    world_start(w);
    pass(w, 10 * SECOND);
    assert_non_null(strstr(field(w, FIELD_MARKET_CAP)->reason, "by the month is used up"));
    world_free(w);
}

TEST(profile_redis_asks_everything_every_5_min)
{
    struct world *w = world_new();
    w->opts.profile = PROFILE_REDIS;
    w->opts.secret[PROVIDER_TAAPI] = "0123456789";
    world_start(w);
    pass(w, HOUR);
    assert_in_range(w->asked[EP_BINANCE_TICKER], 11, 13);
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL], 11, 13);
    assert_in_range(w->asked[EP_ALTERNATIVE_FNG], 11, 13);
    assert_in_range(w->asked[EP_TAAPI_RSI], 11, 13);
    assert_int_equal(w->asked[EP_BINANCE_DAILY], 0);
    world_free(w);
}

TEST(reader_of_an_old_price_causes_one_fetch)
{
    struct world *w = world_new();
    w->opts.profile = PROFILE_CLASSIC;
    world_start(w);
    pass(w, 5 * MINUTE);
    sources_note_demand(w->sources);
    pass(w, 100);
    assert_int_equal(w->asked[EP_BINANCE_TICKER], 1);
    pass(w, 10 * SECOND);
    for (int i = 0; i < 100; i++) {
        sources_note_demand(w->sources);
    }
    pass(w, 100);
    for (int i = 0; i < 100; i++) {
        sources_note_demand(w->sources);
    }
    pass(w, 100);
    assert_int_equal(w->asked[EP_BINANCE_TICKER], 2);
    world_free(w);
}

TEST(profile_classic_waits_twice_the_failures_in_minutes)
{
    struct world *w = world_new();
    w->opts.profile = PROFILE_CLASSIC;
    w->scripts[EP_ALTERNATIVE_FNG].status = 500;
    world_start(w);
    pass(w, 12 * SECOND);
    const uint64_t *at = w->asked_ms[EP_ALTERNATIVE_FNG];
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 3);
    pass(w, 6 * MINUTE + SECOND);
    assert_int_equal(w->asked[EP_ALTERNATIVE_FNG], 4);
    assert_in_range(at[3] - at[2], 6 * MINUTE, 6 * MINUTE + SECOND);
    pass(w, 30 * HOUR);
    size_t n = w->asked[EP_ALTERNATIVE_FNG];
    assert_in_range(at[n - 1] - at[n - 2], 30 * MINUTE, 32 * MINUTE);
    world_free(w);
}

TEST(simulated_upstream_is_never_taken_for_live)
{
    struct world *w = world_new();
    all(w, (struct script){.upstream = "simulated"});
    world_start(w);
    pass(w, SECOND);
    assert_int_equal(w->modes, 1);
    assert_int_equal(sources_mode(w->sources), MODE_DEMO);
    assert_int_equal(w->summary.mode, MODE_DEMO);
    pass(w, MINUTE);
    assert_true(summary_complete(&w->summary));
    /* Nothing that was simulated counts against the live budget. */
    assert_int_equal(memory_store_count(w->disk, "budget:live:coingecko:2026-11"), 0);
    assert_true(memory_store_count(w->disk, "budget:demo:coingecko:2026-11") >= 1);
    all(w, (struct script){0}); /* the mark is gone: still not live */
    pass(w, 20 * MINUTE);
    assert_int_equal(sources_mode(w->sources), MODE_DEMO);
    w->scripts[EP_BINANCE_TICKER].upstream = "recorded";
    pass(w, MINUTE);
    assert_int_equal(sources_mode(w->sources), MODE_REPLAY);
    assert_int_equal(w->modes, 2);
    world_free(w);
}

TEST(taapi_comes_first_and_a_computed_value_when_it_fails)
{
    struct world *w = world_new();
    w->opts.secret[PROVIDER_TAAPI] = "se&cret";
    world_start(w);
    pass(w, SECOND);
    assert_string_equal(field(w, FIELD_RSI_14)->provider, "taapi");
    assert_true(field(w, FIELD_RSI_14)->value == 65.73211579249397);
    assert_int_equal(w->asked[EP_BINANCE_DAILY], 0);
    w->scripts[EP_TAAPI_RSI].body =
        "{\"error\":\"You have exceeded your request limit (TAAPI.IO rate-limit)!\"}";
    pass(w, 6 * MINUTE);
    assert_string_equal(field(w, FIELD_RSI_14)->provider, "binance");
    assert_string_equal(field(w, FIELD_RSI_14)->method, "computed");
    assert_true(fresh(w, FIELD_RSI_14));
    world_free(w);
}

static size_t taapi_health(struct world *w, struct host_health *out);

TEST(refused_secret_is_not_tried_again)
{
    struct world *w = world_new();
    struct host_health h;
    w->opts.secret[PROVIDER_TAAPI] = "wrong";
    w->scripts[EP_TAAPI_RSI] =
        (struct script){.status = 401, .body = "{\"error\":\"Unauthorized\"}"};
    world_start(w);
    pass(w, 5 * HOUR);
    assert_int_equal(w->asked[EP_TAAPI_RSI], 1);
    assert_string_equal(field(w, FIELD_RSI_14)->method, "computed");
    assert_int_equal(taapi_health(w, &h), PROVIDER_COUNT);
    assert_int_equal(h.status, HEALTH_DOWN);
    assert_non_null(strstr(h.reason, "Unauthorized"));
    assert_null(strstr(h.reason, "wrong"));
    world_free(w);
}

struct health_search {
    const char *name;
    struct host_health *out;
    size_t count;
};

static void on_health(void *self, const struct host_health *health)
{
    struct health_search *search = self;
    search->count++;
    if (strcmp(health->name, search->name) == 0) {
        *search->out = *health;
    }
}

static size_t taapi_health(struct world *w, struct host_health *out)
{
    struct health_search search = {"taapi", out, 0};
    sources_health_each(w->sources, on_health, &search);
    return search.count;
}

TEST(health_says_what_is_not_well_and_when_it_tries_again)
{
    struct world *w = world_new();
    struct host_health h = {0};
    struct health_search search = {"coingecko", &h, 0};
    world_start(w);
    pass(w, SECOND);
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.status, HEALTH_OK);
    assert_int_equal(h.minute_used, 1);
    assert_int_equal(h.minute_limit, 10);
    assert_int_equal(h.month_used, 1);
    assert_int_equal(h.month_limit, 10000);
    assert_int_equal(h.ok, 1);
    w->scripts[EP_COINGECKO_GLOBAL].status = 429;
    pass(w, 10 * MINUTE + 40 * SECOND);
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.status, HEALTH_DOWN);
    assert_string_equal(h.breaker, "open");
    assert_non_null(strstr(h.reason, "429"));
    assert_true(h.next_try_ms > loop_wall_ms(w->loop));
    assert_true(h.since_ms <= loop_wall_ms(w->loop));
    search.name = "kraken";
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.status, HEALTH_OK);
    assert_string_equal(h.reason, "standing by");
    search.name = "taapi";
    sources_health_each(w->sources, on_health, &search);
    assert_non_null(strstr(h.reason, "not configured"));
    world_free(w);
}

/* Price requests of Binance and of Coinbase in the next `ms`. */
static void assert_asked(struct world *w, uint64_t ms, size_t binance, size_t coinbase)
{
    size_t before[] = {w->asked[EP_BINANCE_TICKER], w->asked[EP_COINBASE_STATS]};
    pass(w, ms);
    assert_int_equal(w->asked[EP_BINANCE_TICKER] - before[0], binance);
    assert_int_equal(w->asked[EP_COINBASE_STATS] - before[1], coinbase);
}

TEST(a_limit_that_binance_says_is_nearly_used_up_is_left_alone_until_the_next_minute)
{
    struct world *w = world_new();
    struct host_health h = {0};
    struct health_search search = {"binance", &h, 0};
    w->weight.limit = 6000; /* the feed has read it */
    w->scripts[EP_BINANCE_TICKER].used_weight = "4799";
    world_start(w);
    sources_note_demand(w->sources);
    pass(w, 15 * SECOND); /* 10:00:15 */
    assert_int_equal(weight_used(&w->weight, loop_wall_ms(w->loop)), 4799);
    w->scripts[EP_BINANCE_TICKER].used_weight = "4800"; /* others use it up as well */
    assert_asked(w, 10 * SECOND, 1, 0);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "binance");
    w->scripts[EP_BINANCE_TICKER].used_weight = "20";
    assert_asked(w, 35 * SECOND, 0, 3); /* until 10:01:00 */
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "coinbase");
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.status, HEALTH_OK);
    assert_non_null(strstr(h.reason, "4800 of 6000"));
    assert_int_equal(h.next_try_ms % 60000, 1000);
    assert_asked(w, 20 * SECOND, 2, 0);
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.next_try_ms, 0);
    world_free(w);
}

TEST(what_the_feed_was_told_of_binances_limit_holds_the_scheduler_too)
{
    struct world *w = world_new();
    w->weight.limit = 6000;
    assert_int_equal(weight_note(&w->weight, STR("5000"), clock_wall_ms(&w->clock)), 61000);
    world_start(w);
    sources_note_demand(w->sources);
    pass(w, 59 * SECOND);
    assert_int_equal(w->asked[EP_BINANCE_TICKER] + w->asked[EP_BINANCE_DAILY], 0);
    assert_string_equal(field(w, FIELD_BTC_PRICE)->provider, "coinbase");
    assert_string_equal(field(w, FIELD_RSI_14)->provider, "coinbase");
    assert_asked(w, 20 * SECOND, 2, 0);
    world_free(w);
}

TEST(unchanged_answer_is_asked_for_conditionally_and_counts_as_new)
{
    struct world *w = world_new();
    w->scripts[EP_COINGECKO_GLOBAL].etag = "W/\"1a2b\"";
    world_start(w);
    pass(w, 25 * MINUTE);
    assert_int_equal(w->conditional, 2);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    assert_true(field(w, FIELD_MARKET_CAP)->received_ms > loop_wall_ms(w->loop) - 11 * 60000);
    world_free(w);
}

TEST(keys_travel_where_each_provider_wants_them)
{
    struct world *w = world_new();
    w->opts.secret[PROVIDER_COINGECKO] = "CG-key";
    w->opts.base_url[PROVIDER_COINGECKO] = "http://127.0.0.1:9/api/v3/";
    w->scripts[EP_COINGECKO_GLOBAL].delay_ms = 1;
    world_start(w);
    pass(w, 5); /* CoinGecko's request starts last: its count goes over the disk */
    sources_refresh(w->sources, on_refreshed, w);
    pass(w, 100);
    assert_true(w->asked[EP_COINGECKO_GLOBAL] >= 1);
    w->scripts[EP_BINANCE_TICKER].status = w->scripts[EP_COINBASE_STATS].status = 500;
    w->scripts[EP_KRAKEN_TICKER].status = 500;
    pass(w, 12 * SECOND);
    assert_string_equal(w->last_url,
                        "http://127.0.0.1:9/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"
                        "&include_24hr_change=true&include_last_updated_at=true");
    assert_string_equal(w->last_header, "x-cg-demo-api-key: CG-key");
    world_free(w);
}

TEST(live_feed_makes_rest_tickers_unnecessary)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, SECOND);
    size_t before = w->asked[EP_BINANCE_TICKER];
    for (int i = 0; i < 60; i++) {
        sources_note_feed_price(w->sources);
        pass(w, SECOND);
    }
    assert_int_equal(w->asked[EP_BINANCE_TICKER], before);
    pass(w, 12 * SECOND);
    assert_int_equal(w->asked[EP_BINANCE_TICKER], before + 1);
    world_free(w);
}

TEST(outlook_comes_behind_the_summary_and_names_its_source)
{
    struct world *w = world_new();
    w->scripts[EP_BINANCE_TICKER].upstream = "simulated"; /* known before anything is spent on it */
    world_start(w);
    pass(w, 2 * SECOND);
    assert_true(w->outlook.parts[OUTLOOK_MARKET_CAP].known); /* of the same answer as the value */
    assert_true(w->outlook.values.market_cap_change_24h_pct == -1.25);
    assert_string_equal(w->outlook.parts[OUTLOOK_MARKET_CAP].source, "coingecko global");
    assert_string_equal(w->outlook.parts[OUTLOOK_BREADTH].reason, "not fetched yet");
    assert_int_equal(w->asked[EP_COINGECKO_MARKETS] + w->asked[EP_COINGECKO_TRENDING], 0);
    pass(w, 4 * SECOND);
    const struct outlook_values *v = &w->outlook.values;
    assert_int_equal(v->advancers, 10);
    assert_int_equal(v->decliners, 10);
    assert_int_equal(v->unchanged, 0);
    assert_int_equal(v->topic_count, 1);
    assert_string_equal(v->topics[0].symbol, "SOM");
    assert_string_equal(w->outlook.parts[OUTLOOK_BREADTH].source, "coingecko coins/markets");
    pass(w, 4 * HOUR);
    assert_in_range(w->asked[EP_COINGECKO_MARKETS], 23, 25);
    assert_in_range(w->asked[EP_COINGECKO_TRENDING], 4, 5);
    for (int i = 0; i < 50; i++) { /* a refresh is about the summary */
        sources_refresh(w->sources, on_refreshed, w);
        pass(w, SECOND);
    }
    assert_in_range(w->asked[EP_COINGECKO_MARKETS], 23, 25);
    world_free(w);
}

/* Four simulated months on one thread: under the race detector they take minutes and show nothing.
 */
#ifndef __SANITIZE_THREAD__
static uint64_t requests(const struct world *w, enum provider_id provider)
{
    uint64_t count = 0;
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        bool of = endpoint_row((enum endpoint_id)i)->provider == provider;
        count += of ? w->asked[i] : 0;
    }
    return count;
}

TEST(a_month_of_any_profile_stays_within_coingeckos_limit)
{
    static const struct {
        enum sources_profile profile;
        unsigned global, breadth, trending; /* at least */
    } cases[] = {
        {PROFILE_ISLANDS, 4200, 4200, 700},
        {PROFILE_REDIS, 8400, 700, 230},
        {PROFILE_CLASSIC, 4200, 4200, 700},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        int64_t wall_ms = 0;
        assert_ok(clock_parse_rfc3339(STR("2026-12-01T00:00:00Z"), &wall_ms));
        clock_init_virtual(&w->clock, 5000, wall_ms);
        w->opts.profile = cases[i].profile;
        world_start(w);
        for (int minute = 0; minute < 31 * 24 * 60; minute++) {
            sources_note_feed_price(w->sources); /* as with exchanges connected */
            pass(w, MINUTE);
        }
        test_case(i == 0 ? "islands" : i == 1 ? "redis" : "classic");
        assert_in_range(requests(w, PROVIDER_COINGECKO), 9000, 10000);
        assert_in_range(w->asked[EP_COINGECKO_GLOBAL], cases[i].global, 8928);
        assert_in_range(w->asked[EP_COINGECKO_MARKETS], cases[i].breadth, 4464);
        assert_in_range(w->asked[EP_COINGECKO_TRENDING], cases[i].trending, 745);
        world_free(w);
    }
    test_case(NULL);
}

TEST(what_the_summary_needs_is_never_short_of_requests_for_the_outlook)
{
    struct world *w = world_new();
    int64_t wall_ms = 0;
    assert_ok(clock_parse_rfc3339(STR("2026-12-01T00:00:00Z"), &wall_ms));
    clock_init_virtual(&w->clock, 5000, wall_ms);
    w->opts.per_month[PROVIDER_COINGECKO] = 5000; /* global alone needs 4,464 */
    world_start(w);
    for (int minute = 0; minute < 31 * 24 * 60 - 5; minute++) {
        sources_note_feed_price(w->sources);
        pass(w, MINUTE);
        assert_true(fresh(w, FIELD_MARKET_CAP));
    }
    assert_in_range(requests(w, PROVIDER_COINGECKO), 4700, 5000);
    assert_in_range(w->asked[EP_COINGECKO_MARKETS] + w->asked[EP_COINGECKO_TRENDING], 300, 800);
    assert_contains(str_of(w->outlook.parts[OUTLOOK_BREADTH].reason), "kept for the summary");
    world_free(w);
}
#endif

TEST(unreachable_is_when_all_that_was_asked_has_failed)
{
    struct world *w = world_new();
    all(w, (struct script){.err = ERR_TIMEOUT, .delay_ms = 1000});
    world_start(w);
    pass(w, 500);
    assert_false(sources_unreachable(w->sources)); /* under way */
    world_free(w);

    w = world_new();
    all(w, (struct script){.err = ERR_UNAVAILABLE});
    world_start(w);
    pass(w, 500);
    assert_true(sources_unreachable(w->sources));
    world_free(w);

    w = world_new();
    all(w, (struct script){.status = 500});
    w->scripts[EP_ALTERNATIVE_FNG] = (struct script){0};
    world_start(w);
    pass(w, 500);
    assert_false(sources_unreachable(w->sources));
    world_free(w);
}

TEST(a_list_that_is_not_there_leaves_its_provider_well)
{
    struct world *w = world_new();
    struct host_health h = {0};
    struct health_search search = {"coingecko", &h, 0};
    w->scripts[EP_COINGECKO_MARKETS].status = w->scripts[EP_COINGECKO_TRENDING].status = 404;
    world_start(w);
    pass(w, 24 * HOUR);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    assert_in_range(w->asked[EP_COINGECKO_GLOBAL], 136, 145);
    assert_in_range(w->asked[EP_COINGECKO_MARKETS], 136, 155); /* no more than if it were well */
    assert_in_range(w->asked[EP_COINGECKO_TRENDING], 23, 32);
    assert_contains(str_of(w->outlook.parts[OUTLOOK_TRENDING].reason), "HTTP status 404");
    sources_health_each(w->sources, on_health, &search);
    assert_int_equal(h.status, HEALTH_OK);
    assert_string_equal(h.breaker, "closed");
    /* Throttling is the provider's word for all of them. */
    w->scripts[EP_COINGECKO_MARKETS].status = 429;
    pass(w, 11 * MINUTE);
    sources_health_each(w->sources, on_health, &search);
    assert_true(h.failed > 150);
    assert_int_equal(h.status, HEALTH_DOWN);
    world_free(w);
}

TEST(implausible_change_of_the_whole_market_is_not_used)
{
    struct world *w = world_new();
    w->scripts[EP_COINGECKO_GLOBAL].body =
        "{\"data\":{\"total_market_cap\":{\"usd\":2e12},\"total_volume\":{\"usd\":1e11},"
        "\"market_cap_change_percentage_24h_usd\":-160.8}}";
    world_start(w);
    pass(w, SECOND);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    assert_false(w->outlook.parts[OUTLOOK_MARKET_CAP].known);
    assert_contains(str_of(w->outlook.parts[OUTLOOK_MARKET_CAP].reason), "is implausible");
    w->scripts[EP_COINGECKO_GLOBAL].body =
        "{\"data\":{\"total_market_cap\":{\"usd\":2e12},\"total_volume\":{\"usd\":1e11}}}";
    pass(w, 11 * MINUTE);
    assert_true(fresh(w, FIELD_MARKET_CAP));
    assert_contains(str_of(w->outlook.parts[OUTLOOK_MARKET_CAP].reason), "does not have it");
    world_free(w);
}

TEST(stop_in_flight_leaves_nothing_behind)
{
    struct world *w = world_new();
    world_start(w);
    pass(w, 5);
    assert_true(w->fetch.under_way > 0);
    sources_refresh(w->sources, on_refreshed, w);
    sources_stop(w->sources);
    assert_int_equal(w->fetch.under_way, 0);
    pass(w, MINUTE);
    assert_int_equal(w->refreshed + w->not_refreshed, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_round_asks_all_at_once_and_fills_every_field),
        cmocka_unit_test(price_is_asked_every_10_s_and_the_rest_in_its_own_time),
        cmocka_unit_test(nobody_looking_slows_the_price_but_keeps_it_fresh),
        cmocka_unit_test(index_and_rsi_come_again_when_the_day_has_ended),
        cmocka_unit_test(next_exchange_answers_in_the_same_round),
        cmocka_unit_test(change_that_kraken_cannot_give_comes_from_coingecko_once_a_minute),
        cmocka_unit_test(implausible_price_is_refused_and_the_next_source_asked),
        cmocka_unit_test(first_fetch_has_three_attempts_5_s_apart),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(throttling_without_a_time_closes_a_host_for_5_min),
        cmocka_unit_test(other_refusals_open_a_breaker_after_3_in_a_row),
        cmocka_unit_test(value_of_a_failing_source_stays_and_is_marked),
        cmocka_unit_test(any_number_of_refreshes_cost_one_fetch),
        cmocka_unit_test(our_own_limit_makes_no_number_stale),
        cmocka_unit_test(raised_ceiling_lets_refreshes_come_closer_together),
        cmocka_unit_test(refresh_that_gets_nothing_says_why),
        cmocka_unit_test(no_caller_and_no_fault_gets_past_the_limits_in_a_day),
        cmocka_unit_test(scarce_limits_hold_whenever_the_server_is_killed),
        cmocka_unit_test(month_budget_holds_over_restarts),
        cmocka_unit_test(profile_redis_asks_everything_every_5_min),
        cmocka_unit_test(reader_of_an_old_price_causes_one_fetch),
        cmocka_unit_test(profile_classic_waits_twice_the_failures_in_minutes),
        cmocka_unit_test(simulated_upstream_is_never_taken_for_live),
        cmocka_unit_test(taapi_comes_first_and_a_computed_value_when_it_fails),
        cmocka_unit_test(refused_secret_is_not_tried_again),
        cmocka_unit_test(health_says_what_is_not_well_and_when_it_tries_again),
        cmocka_unit_test(
            a_limit_that_binance_says_is_nearly_used_up_is_left_alone_until_the_next_minute),
        cmocka_unit_test(what_the_feed_was_told_of_binances_limit_holds_the_scheduler_too),
        cmocka_unit_test(unchanged_answer_is_asked_for_conditionally_and_counts_as_new),
        cmocka_unit_test(keys_travel_where_each_provider_wants_them),
        cmocka_unit_test(live_feed_makes_rest_tickers_unnecessary),
        cmocka_unit_test(outlook_comes_behind_the_summary_and_names_its_source),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(a_month_of_any_profile_stays_within_coingeckos_limit),
        cmocka_unit_test(what_the_summary_needs_is_never_short_of_requests_for_the_outlook),
#endif
        cmocka_unit_test(unreachable_is_when_all_that_was_asked_has_failed),
        cmocka_unit_test(a_list_that_is_not_there_leaves_its_provider_well),
        cmocka_unit_test(implausible_change_of_the_whole_market_is_not_used),
        cmocka_unit_test(stop_in_flight_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
