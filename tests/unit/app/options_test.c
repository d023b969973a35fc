/* SPDX-License-Identifier: MIT */
#include "app/options.h"

#include "tests/lib/test.h"

static struct options options;
static struct conf *conf;
static struct buf error;

static int release(void **state)
{
    (void)state;
    conf_free(conf);
    conf = NULL;
    buf_fini(&error);
    return 0;
}

static enum err load(char **argv, char **env)
{
    struct conf_inputs in = {.argv = argv, .env = env, .foreign = option_foreign};
    while (argv && argv[in.argc]) {
        in.argc++;
    }
    release(NULL);
    memset(&options, 0x55, sizeof(options));
    return conf_load(option_rows, option_count, &options, &in, &conf, &error);
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

TEST(the_defaults_are_those_of_the_contract)
{
    assert_ok(load(NULL, NULL));
    assert_string_equal(options.listen, "127.0.0.1:8000");
    assert_string_equal(options.source, "live");
    assert_string_equal(options.data_dir, "./data");
    assert_int_equal(options.profile, 0);
    assert_int_equal(options.price_ttl_ms, 3000);
    assert_int_equal(options.summary_ttl_ms, 30000);
    assert_int_equal(options.drain_ms, 3000);
    assert_int_equal(options.max_message, 65536);
    assert_int_equal(options.ping_interval_ms, 25000);
    assert_int_equal(options.ping_timeout_ms, 20000);
    assert_int_equal(options.per_minute[PROVIDER_COINGECKO], 10);
    assert_int_equal(options.per_month[PROVIDER_COINGECKO], 10000);
    assert_int_equal(options.per_minute[PROVIDER_TAAPI], 4);
    assert_int_equal(options.per_month[PROVIDER_TAAPI], -1);
    assert_int_equal(options.per_minute[PROVIDER_ALTERNATIVE], 10);
    assert_false(options.limit_loopback);
    assert_null(options.redis_url);
    assert_null(options.api_token);
    for (int p = 0; p < PROVIDER_COUNT; p++) {
        assert_null(options.url[p]);
    }
}

/* A default that the row itself would refuse, or a field used by two rows, shows here. */
TEST(every_row_stands_for_itself)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct conf_row *r = &option_rows[i];
        test_case(r->name);
        assert_true(r->bare || strncmp(r->name, "COINCAST_", 9) == 0);
        assert_true(r->help[0] && r->help[strlen(r->help) - 1] == '.');
        assert_true(r->offset < sizeof(struct options));
        for (size_t j = i + 1; j < option_count; j++) {
            assert_string_not_equal(r->name, option_rows[j].name);
            assert_int_not_equal(r->offset, option_rows[j].offset);
        }
        for (const char *const *foreign = option_foreign; *foreign; foreign++) {
            assert_string_not_equal(r->name, *foreign);
        }
    }
    test_case(NULL);
}

TEST(each_provider_has_its_own_three_settings)
{
    static const struct {
        const char *name;
        enum provider_id id;
    } cases[] = {
        {"COINGECKO", PROVIDER_COINGECKO}, {"ALTERNATIVE", PROVIDER_ALTERNATIVE},
        {"TAAPI", PROVIDER_TAAPI},         {"BINANCE", PROVIDER_BINANCE},
        {"COINBASE", PROVIDER_COINBASE},   {"KRAKEN", PROVIDER_KRAKEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char url[80], minute[80], month[80];
        test_case(cases[i].name);
        snprintf(url, sizeof(url), "COINCAST_%s_URL=http://127.0.0.1:1/x", cases[i].name);
        snprintf(minute, sizeof(minute), "COINCAST_%s_PER_MINUTE=7", cases[i].name);
        snprintf(month, sizeof(month), "COINCAST_%s_PER_MONTH=77", cases[i].name);
        assert_ok(load(NULL, WORDS(url, minute, month)));
        for (int p = 0; p < PROVIDER_COUNT; p++) {
            bool it = p == (int)cases[i].id;
            assert_int_equal(options.url[p] != NULL, it);
            assert_int_equal(options.per_minute[p] == 7, it);
            assert_int_equal(options.per_month[p] == 77, it);
        }
        assert_string_equal(options.url[cases[i].id], "http://127.0.0.1:1/x");
    }
    test_case(NULL);
}

TEST(what_is_wrong_is_refused_with_what_would_be_right)
{
    static const struct {
        char *variable;
        const char *part;
    } cases[] = {
        {"COINCAST_SOURCE=tomorrow", "one of live, demo, auto, none"},
        {"COINCAST_LOG=loud", "debug, info, warn or error"},
        {"COINCAST_ORIGINS=example.org", "origins such as https://example.org"},
        {"COINCAST_SHARDS=65", "from 0 to 64"},
        {"COINCAST_BINANCE_URL=ws://x", "http"},
        {"COINCAST_PROFILE=fast", "islands, redis or classic"},
        {"COINCAST_SHRADS=1", "COINCAST_SHARDS"},
        {"REDIS_URL=http://x", "redis"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].variable);
        assert_int_not_equal(load(NULL, WORDS(cases[i].variable)), OK);
        assert_contains(buf_str(&error), cases[i].part);
        assert_int_equal(str_find(buf_str(&error), '\n', 0), SIZE_MAX);
    }
    test_case(NULL);
}

TEST(secrets_are_no_flags_and_never_shown)
{
    static const char *const secrets[] = {"REDIS_URL", "TAAPI_SECRET", "COINGECKO_API_KEY",
                                          "COINCAST_API_TOKEN", "COINCAST_PROXY"};
    size_t found = 0;
    for (size_t i = 0; i < option_count; i++) {
        found += option_rows[i].secret;
    }
    assert_int_equal(found, ARRAY_LEN(secrets));
    assert_err(load(WORDS("--api-token", "t0p"), NULL), ERR_DENIED);
    assert_contains(buf_str(&error), "COINCAST_API_TOKEN is a secret");
    assert_int_equal(str_find_str(buf_str(&error), STR("t0p")), SIZE_MAX);
    assert_int_not_equal(load(NULL, WORDS("REDIS_URL=ftp://:t0p@h")), OK);
    assert_int_equal(str_find_str(buf_str(&error), STR("t0p")), SIZE_MAX);
}

TEST(what_tests_and_the_wider_design_set_does_not_stop_a_start)
{
    const char *const *names = NULL;
    assert_ok(load(NULL, WORDS("COINCAST_BIN=/x", "COINCAST_FIXTURES=/y",
                               "DATABASE_URL=postgres:", "COINCAST_BINANCE_WS_URL=ws://127.0.0.1:1",
                               "COINCAST_COINBASE_WS_URL=ws://127.0.0.1:1",
                               "COINCAST_KRAKEN_WS_URL=ws://127.0.0.1:1/v2", "COINCAST_SYMBOLS=BTC",
                               "COINCAST_TOKEN_SECRET=s")));
    assert_int_equal(conf_foreign(conf, &names), 3);
    assert_string_equal(options.symbols, "BTC");
    assert_string_equal(options.ws_url[MARKET_KRAKEN], "ws://127.0.0.1:1/v2");
    assert_string_equal(options.fixtures, "/y");
}

TEST(a_source_is_one_of_four_words_or_a_file)
{
    enum source_kind kind = SOURCE_NONE;
    struct str file = {0};
    assert_true(source_parse(STR("replay:a.jsonl,b.gz"), &kind, &file));
    assert_int_equal(kind, SOURCE_REPLAY);
    assert_true(str_eq(file, STR("a.jsonl,b.gz")));
    assert_false(source_parse(STR("replay:"), &kind, &file));
    assert_false(source_parse(STR("replay"), &kind, &file));
    kind = SOURCE_NONE;
    assert_true(source_parse(STR("live"), &kind, NULL));
    assert_int_equal(kind, SOURCE_LIVE);
    assert_true(source_parse(STR("demo"), &kind, NULL));
    assert_int_equal(kind, SOURCE_DEMO);
    assert_true(source_parse(STR("auto"), &kind, NULL));
    assert_int_equal(kind, SOURCE_AUTO);
    assert_true(source_parse(STR("none"), &kind, NULL));
    assert_int_equal(kind, SOURCE_NONE);
    assert_false(source_parse(STR("LIVE"), &kind, NULL));
    assert_false(source_parse(STR(""), &kind, NULL));
    assert_int_equal(kind, SOURCE_NONE);
}

#define UNIT(name) cmocka_unit_test_teardown(name, release)

TEST(a_speed_is_a_number_or_max)
{
    double speed = -1;
    assert_int_equal(speed_parse(STR("max"), &speed), OK);
    assert_true(speed == 0);
    assert_int_equal(speed_parse(STR("2.5"), &speed), OK);
    assert_true(speed == 2.5);
    assert_int_equal(speed_parse(STR("0"), &speed), ERR_SYNTAX);
    assert_int_equal(speed_parse(STR("-1"), &speed), ERR_SYNTAX);
    assert_int_equal(speed_parse(STR("fast"), &speed), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_defaults_are_those_of_the_contract),
        UNIT(every_row_stands_for_itself),
        UNIT(each_provider_has_its_own_three_settings),
        UNIT(what_is_wrong_is_refused_with_what_would_be_right),
        UNIT(secrets_are_no_flags_and_never_shown),
        UNIT(what_tests_and_the_wider_design_set_does_not_stop_a_start),
        UNIT(a_source_is_one_of_four_words_or_a_file),
        cmocka_unit_test(a_speed_is_a_number_or_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
