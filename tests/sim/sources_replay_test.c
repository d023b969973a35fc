/* What providers answered, recorded and given again: the same values, refusals and marks at the
 * same times, of hours in which they were seldom well. SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/recorded.h"
#include "sources/sources.h"
#include "tests/lib/fake_fetch.h"

#define HOUR ((uint64_t)3600 * 1000)

/* One server's sources and what they said. */
struct stage {
    struct clock clock;
    struct loop *loop;
    struct sources *sources;
    struct summary summary;
    struct outlook outlook;
    struct buf said;
};

static void note(struct stage *s, const char *what, const char *name, const char *text)
{
    buf_printf(&s->said, "%lld %s %s %s\n", (long long)loop_wall_ms(s->loop), what, name, text);
}

static enum err on_value(void *self, const struct summary_report *r)
{
    struct stage *s = self;
    char text[200];
    enum err e = summary_apply(&s->summary, r, loop_wall_ms(s->loop));
    snprintf(text, sizeof(text), "%.17g %lld %s %s %d: %s", r->value, (long long)r->as_of_ms,
             r->provider, r->method, r->closes, err_text(e));
    note(s, "value", summary_field_name(r->field), text);
    return e;
}

static void on_failed(void *self, enum summary_field field, const char *why)
{
    struct stage *s = self;
    summary_fail(&s->summary, field, why);
    note(s, "failed", summary_field_name(field), why);
}

static enum err on_outlook(void *self, const struct outlook_report *r)
{
    struct stage *s = self;
    char text[100];
    enum err e = outlook_apply(&s->outlook, r, loop_wall_ms(s->loop));
    snprintf(text, sizeof(text), "%g %zu %s: %s", r->values->market_cap_change_24h_pct,
             r->values->topic_count, r->provider, err_text(e));
    note(s, "outlook", outlook_part_text(r->part), text);
    return e;
}

static void on_outlook_failed(void *self, enum outlook_part part, const char *why)
{
    struct stage *s = self;
    outlook_fail(&s->outlook, part, why);
    note(s, "failed", outlook_part_text(part), why);
}

static void stage_init(struct stage *s, uint64_t mono_ms)
{
    int64_t wall_ms = 0;
    *s = (struct stage){0};
    assert_ok(clock_parse_rfc3339(STR("2026-11-21T10:00:00Z"), &wall_ms));
    clock_init_virtual(&s->clock, mono_ms, wall_ms);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &s->clock}, &s->loop));
    summary_init(&s->summary, MODE_LIVE);
    outlook_init(&s->outlook, "not fetched yet");
}

/* `fetch` NULL: of a replay. */
static void stage_begin(struct stage *s, struct fetch *fetch, struct recorder *recorder,
                        uint64_t seed)
{
    s->sources = sources_new(&(struct sources_opts){
        .loop = s->loop,
        .fetch = fetch,
        .recorder = recorder,
        .seed = seed,
        .secret = {[PROVIDER_TAAPI] = fetch ? "s3cret" : NULL},
        .price_ttl_ms = 3000,
        .summary_ttl_ms = 30000,
        .value = on_value,
        .failed = on_failed,
        .outlook = on_outlook,
        .outlook_failed = on_outlook_failed,
        .self = s,
    });
}

static void stage_fini(struct stage *s)
{
    sources_free(s->sources);
    loop_free(s->loop);
    buf_fini(&s->said);
}

/* ---- providers that are seldom well ---- */

struct script {
    uint64_t chance;
    unsigned ill; /* of 100 answers */
    struct stage *stage;
};

static unsigned roll(struct script *s, unsigned sides)
{
    s->chance = s->chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->chance >> 33) % sides;
}

static void write_days(struct buf *out, int64_t wall_ms)
{
    int64_t today = wall_ms / DAILY_MS;
    buf_printf(out, "[");
    for (int64_t day = today - 149; day <= today; day++) {
        buf_printf(out, "%s[%lld,\"5\",\"9\",\"3\",\"%lld\",\"1\",0]", day > today - 149 ? "," : "",
                   (long long)(day * DAILY_MS), (long long)(5 + day * 7919 % 4));
    }
    buf_printf(out, "]");
}

static void write_well(struct script *s, struct str url, struct buf *out)
{
    long long wall_ms = loop_wall_ms(s->stage->loop);
    if (str_find_str(url, STR("/ticker/24hr")) != SIZE_MAX) {
        bool half = roll(s, 4) == 0; /* of what is asked: the next one is asked for the rest */
        buf_printf(out, "{\"symbol\":\"BTCUSDT\",\"lastPrice\":\"%u\"%s,\"closeTime\":%lld}",
                   60000 + roll(s, 900), half ? "" : ",\"priceChangePercent\":\"1.25\"", wall_ms);
    } else if (str_find_str(url, STR("/stats")) != SIZE_MAX) {
        buf_printf(out, "{\"open\":\"60000\",\"last\":\"%u\",\"volume\":\"1\"}",
                   60000 + roll(s, 9));
    } else if (str_find_str(url, STR("/global")) != SIZE_MAX) {
        buf_printf(out, "{\"data\":{\"total_market_cap\":{\"usd\":2142953338976.9612},");
        buf_printf(out, roll(s, 3) ? "\"total_volume\":{\"usd\":91234567890}," : "");
        buf_printf(out, "\"market_cap_change_percentage_24h_usd\":-1.25,\"updated_at\":%lld}}",
                   wall_ms / 1000);
    } else if (str_find_str(url, STR("/fng/")) != SIZE_MAX) {
        buf_printf(out, "{\"data\":[{\"value\":\"12\",\"timestamp\":\"%lld\"}]}",
                   wall_ms / DAILY_MS * 86400);
    } else if (str_find_str(url, STR("/rsi?")) != SIZE_MAX) {
        buf_printf(out, "{\"value\":%u.5}", 20 + roll(s, 60));
    } else if (str_find_str(url, STR("/klines")) != SIZE_MAX) {
        write_days(out, wall_ms);
    } else {
        buf_printf(out, "{\"error\":[\"EGeneral:not scripted\"]}");
    }
}

static void answer(void *self, const struct fetch_request *request, struct fake_answer *out)
{
    static const int statuses[] = {429, 500, 503, 404, 418, 200, 200};
    static const enum err errors[] = {ERR_TIMEOUT, ERR_REFUSED, ERR_CLOSED, ERR_TLS, ERR_IO};
    struct script *s = self;
    out->delay_ms = 5 + roll(s, 3000);
    if (roll(s, 100) >= s->ill) {
        if (request->etag.len > 0 && roll(s, 2)) {
            out->status = 304;
            return;
        }
        out->etag = "\"a\"";
        write_well(s, request->url, &out->body);
        return;
    }
    if (roll(s, 3) == 0) {
        out->err = errors[roll(s, ARRAY_LEN(errors))];
        return;
    }
    out->status = statuses[roll(s, ARRAY_LEN(statuses))];
    out->retry_after = out->status == 429 && roll(s, 2) ? "7" : NULL;
    buf_printf(&out->body, roll(s, 2) ? "<html>busy</html>" : "{\"data\":{\"tot");
}

/* ---- the two runs ---- */

static void run_live(const char *path, unsigned ill, struct stage *s)
{
    struct fake_fetch fetch;
    struct recorder *recorder = NULL;
    struct buf error = {0};
    struct script script = {.chance = 20261121 + ill, .ill = ill, .stage = s};
    stage_init(s, 5000);
    fake_fetch_init(&fetch, s->loop);
    fetch.answer = answer;
    fetch.self = &script;
    assert_ok(recorder_open(s->loop, path, &recorder, &error));
    stage_begin(s, &fetch.base, recorder, 4711);
    sources_start(s->sources);
    fake_loop_run(s->loop, 5000 + 12 * HOUR);
    sources_stop(s->sources);
    fake_fetch_fini(&fetch);
    recorder_close(recorder);
    buf_fini(&error);
}

/* Gives the number of answers. */
static size_t run_replay(const char *path, struct stage *s)
{
    struct buf file = {0};
    struct buf scratch = {0};
    struct str line;
    size_t count = 0;
    stage_init(s, 987654321);
    stage_begin(s, NULL, NULL, 1);
    assert_true(test_read_file(path, &file));
    assert_true(str_find_str(buf_str(&file), STR("s3cret")) == SIZE_MAX);
    struct str rest = buf_str(&file);
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        struct record item;
        struct fetch_answer a;
        assert_ok(record_read(line, &item, &scratch));
        assert_true(recorded_read(&item, &a));
        clock_advance_us(&s->clock, (uint64_t)(item.time_ns / 1000 - clock_wall_us(&s->clock)));
        loop_turn(s->loop, 0);
        assert_true(sources_take_recorded(s->sources, item.source, item.url, &a));
        loop_turn(s->loop, 0);
        count++;
    }
    buf_fini(&scratch);
    buf_fini(&file);
    return count;
}

/* A round that began when nobody might be asked: no answer came, so a recording has none of it. */
static bool is_of_no_answer(struct str line)
{
    return str_find_str(line, STR(" failed ")) != SIZE_MAX &&
           str_find_str(line, STR(" is not asked after failures: ")) != SIZE_MAX;
}

/* Everything that was said is said again, in order; gives how much of no answer was not. */
static size_t assert_same(const struct stage *live, const struct stage *replayed)
{
    struct str a = buf_str(&live->said);
    struct str b = buf_str(&replayed->said);
    struct str one, two;
    size_t left_out = 0;
    bool has_two = str_next(&b, '\n', &two);
    while (str_next(&a, '\n', &one)) {
        if (has_two && str_eq(one, two)) {
            has_two = str_next(&b, '\n', &two);
        } else if (is_of_no_answer(one)) {
            left_out++;
        } else {
            fail_msg("said:     %.*s\nreplayed: %.*s", STR_ARG(one), STR_ARG(two));
        }
    }
    assert_false(has_two);
    return left_out;
}

static void assert_same_numbers(const struct stage *live, const struct stage *replayed)
{
    for (int f = 0; f < FIELD_COUNT; f++) {
        const struct summary_value *a = &live->summary.fields[f];
        const struct summary_value *b = &replayed->summary.fields[f];
        assert_true(a->known && b->known && a->value == b->value && a->as_of_ms == b->as_of_ms);
        assert_string_equal(a->provider, b->provider);
        assert_int_equal(a->received_ms, b->received_ms);
    }
}

TEST(hours_of_answers_are_given_again_as_they_came)
{
    /* Of 100 answers so many are ill. With most of them so, our waits after failures, which are
     * partly chance, decide who is asked next and what a failure is called: not the numbers. */
    static const unsigned ills[] = {0, 10, 60};
    char path[300];
    const char *dir = test_make_dir();
    for (size_t i = 0; i < ARRAY_LEN(ills); i++) {
        struct stage live, replayed;
        snprintf(path, sizeof(path), "%s/%u", dir, ills[i]);
        run_live(path, ills[i], &live);
        assert_true(run_replay(path, &replayed) > 1000);
        assert_same_numbers(&live, &replayed);
        if (ills[i] < 50) {
            assert_in_range(assert_same(&live, &replayed), 0, ills[i] * 5);
        }
        stage_fini(&live);
        stage_fini(&replayed);
    }
    test_remove_dir(dir);
}

static bool take(struct stage *s, const char *source, const char *url, int status, const char *body)
{
    const struct fetch_answer a = {.why = "", .status = status, .body = str_of(body)};
    return sources_take_recorded(s->sources, str_of(source), str_of(url), &a);
}

TEST(an_answer_is_known_by_its_path_whatever_was_asked_for_it)
{
    static const char global[] = "{\"data\":{\"total_market_cap\":{\"usd\":2142953338976.9612},"
                                 "\"total_volume\":{\"usd\":91234567890}}}";
    struct stage s;
    stage_init(&s, 0);
    stage_begin(&s, NULL, NULL, 1);
    assert_true(take(&s, "coingecko", "http://127.0.0.1:9/api/v3/global", 200, global));
    assert_true(s.summary.fields[FIELD_MARKET_CAP].value == 2142953338976.9612);
    assert_true(take(&s, "taapi",
                     "https://api.taapi.io/rsi?secret=***&exchange=binance&symbol=BTC/USDT"
                     "&interval=1d",
                     200, "{\"value\":65.5}"));
    assert_true(s.summary.fields[FIELD_RSI_14].value == 65.5);
    /* Of somebody else, of nothing that we ask, of a feed. */
    assert_false(take(&s, "binance", "http://127.0.0.1:9/api/v3/global", 200, global));
    assert_false(take(&s, "coingecko", "http://127.0.0.1:9/api/v3/coins/list", 200, global));
    assert_false(
        take(&s, "binance", "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=401", 200, ""));
    /* What failed is marked, and its value stays. */
    assert_true(take(&s, "coingecko", "/global", 503, "<html>"));
    assert_true(s.summary.fields[FIELD_MARKET_CAP].failed);
    assert_string_equal(s.summary.fields[FIELD_MARKET_CAP].reason,
                        "CoinGecko answered with HTTP status 503");
    assert_true(s.summary.fields[FIELD_MARKET_CAP].value == 2142953338976.9612);
    stage_fini(&s);
}

TEST(an_answer_to_somebody_passed_over_joins_the_round)
{
    struct stage s;
    stage_init(&s, 0);
    stage_begin(&s, NULL, NULL, 1);
    const struct summary_value *price = &s.summary.fields[FIELD_BTC_PRICE];
    const struct summary_value *change = &s.summary.fields[FIELD_BTC_CHANGE_24H];
    assert_true(take(&s, "binance", "/api/v3/ticker/24hr?symbol=BTCUSDT", 200,
                     "{\"symbol\":\"BTCUSDT\",\"lastPrice\":\"61000\"}"));
    assert_false(change->known);
    /* Coinbase would have been next, and Kraken; they were not asked then. */
    static const char gecko[] = "/simple/price?ids=bitcoin&vs_currencies=usd"
                                "&include_24hr_change=true&include_last_updated_at=true";
    static const char body[] = "{\"bitcoin\":{\"usd\":61050,\"usd_24h_change\":1.5}}";
    assert_true(take(&s, "coingecko", gecko, 200, body));
    assert_string_equal(price->provider, "binance");
    assert_string_equal(change->provider, "coingecko");
    /* The next round takes all of it. */
    assert_true(take(&s, "coingecko", gecko, 200, body));
    assert_string_equal(price->provider, "coingecko");
    stage_fini(&s);
}

TEST(reasons_name_those_who_were_not_asked)
{
    static const struct {
        const char *source, *url;
    } rest[] = {{"binance", "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=500"},
                {"coinbase", "/products/BTC-USD/candles?granularity=86400"},
                {"kraken", "/0/public/OHLC?pair=XBTUSD&interval=1440"}};
    struct stage s;
    stage_init(&s, 0);
    stage_begin(&s, NULL, NULL, 1); /* without a secret for TAAPI: the recording server had one */
    const struct summary_value *rsi = &s.summary.fields[FIELD_RSI_14];
    assert_true(
        take(&s, "taapi", "/rsi?secret=***&exchange=binance&symbol=BTC/USDT&interval=1d", 429, ""));
    assert_false(rsi->failed); /* three others may have it */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
            assert_false(rsi->failed && round == 0);
            assert_true(take(&s, rest[i].source, rest[i].url, 500, ""));
        }
        assert_true(rsi->failed);
        assert_contains(str_of(rsi->reason), round == 0 ? "TAAPI.io answered with HTTP status 429; "
                                                        : "TAAPI.io is not asked after failures: ");
    }
    stage_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_known_by_its_path_whatever_was_asked_for_it),
        cmocka_unit_test(an_answer_to_somebody_passed_over_joins_the_round),
        cmocka_unit_test(reasons_name_those_who_were_not_asked),
        cmocka_unit_test(hours_of_answers_are_given_again_as_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
