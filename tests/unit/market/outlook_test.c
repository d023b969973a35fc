/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/outlook.h"

#include <math.h>

#define NOW ((int64_t)1780704000000)

static enum err apply(struct outlook *o, enum outlook_part part, const struct outlook_values *v,
                      int64_t as_of_ms)
{
    struct outlook_report r = {part, v, as_of_ms, "coingecko", "global"};
    return outlook_apply(o, &r, NOW);
}

TEST(nothing_is_known_until_it_is_said)
{
    struct outlook o;
    outlook_init(&o, "not fetched yet");
    for (int p = 0; p < OUTLOOK_PARTS; p++) {
        assert_false(o.parts[p].known);
        assert_int_equal(o.parts[p].as_of_ms, 0);
        assert_string_equal(o.parts[p].reason, "not fetched yet");
        assert_string_equal(o.parts[p].source, "");
    }
    assert_true(isnan(o.values.market_cap_change_24h_pct));
}

TEST(each_part_is_taken_alone_and_names_its_source)
{
    struct outlook o;
    struct outlook_values v = {.market_cap_change_24h_pct = -1.6,
                               .advancers = 60,
                               .decliners = 30,
                               .unchanged = 10,
                               .topics = {{.symbol = "BONK"}},
                               .topic_count = 1};
    outlook_init(&o, "not fetched yet");
    assert_ok(apply(&o, OUTLOOK_MARKET_CAP, &v, NOW - 5000));
    assert_true(o.values.market_cap_change_24h_pct == -1.6);
    assert_int_equal(o.parts[OUTLOOK_MARKET_CAP].as_of_ms, NOW - 5000);
    assert_string_equal(o.parts[OUTLOOK_MARKET_CAP].source, "coingecko global");
    assert_string_equal(o.parts[OUTLOOK_MARKET_CAP].reason, "");
    assert_false(o.parts[OUTLOOK_BREADTH].known || o.parts[OUTLOOK_TRENDING].known);
    assert_int_equal(o.values.advancers + o.values.topic_count, 0);
    assert_ok(apply(&o, OUTLOOK_BREADTH, &v, 0));
    assert_int_equal(o.values.advancers, 60);
    assert_int_equal(o.parts[OUTLOOK_BREADTH].as_of_ms, NOW); /* it gave no time */
    assert_ok(apply(&o, OUTLOOK_TRENDING, &v, NOW + 3600000));
    assert_string_equal(o.values.topics[0].symbol, "BONK");
    assert_int_equal(o.parts[OUTLOOK_TRENDING].as_of_ms, NOW); /* no clock is ahead of now */
}

TEST(what_cannot_be_is_refused_and_what_was_known_stays)
{
    static const double changes[] = {NAN, INFINITY, -INFINITY, 100, -100, 1e300};
    struct outlook o;
    struct outlook_values good = {.market_cap_change_24h_pct = 2, .advancers = 5};
    outlook_init(&o, "not fetched yet");
    assert_ok(apply(&o, OUTLOOK_MARKET_CAP, &good, NOW));
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct outlook_values bad = {.market_cap_change_24h_pct = changes[i]};
        assert_err(apply(&o, OUTLOOK_MARKET_CAP, &bad, NOW), ERR_RANGE);
        assert_true(o.values.market_cap_change_24h_pct == 2);
        assert_true(o.parts[OUTLOOK_MARKET_CAP].known);
        assert_contains(str_of(o.parts[OUTLOOK_MARKET_CAP].reason), "coingecko said of the change");
    }
    assert_ok(apply(&o, OUTLOOK_BREADTH, &good, NOW));
    struct outlook_values few = {.advancers = 3, .decliners = 1};
    assert_err(apply(&o, OUTLOOK_BREADTH, &few, NOW), ERR_RANGE);
    assert_int_equal(o.values.advancers, 5);
    assert_err(apply(&o, OUTLOOK_TRENDING, &few, NOW), ERR_RANGE);
    few.topic_count = SENTIMENT_TOPICS_MAX + 1;
    assert_err(apply(&o, OUTLOOK_TRENDING, &few, NOW), ERR_RANGE);
    assert_false(o.parts[OUTLOOK_TRENDING].known);
}

TEST(a_failure_keeps_the_value_and_a_success_forgets_the_failure)
{
    struct outlook o;
    struct outlook_values v = {.advancers = 50, .decliners = 50};
    outlook_init(&o, "not fetched yet");
    assert_ok(apply(&o, OUTLOOK_BREADTH, &v, NOW - 1000));
    outlook_fail(&o, OUTLOOK_BREADTH, "CoinGecko answered with HTTP status 500");
    assert_true(o.parts[OUTLOOK_BREADTH].known);
    assert_int_equal(o.parts[OUTLOOK_BREADTH].as_of_ms, NOW - 1000);
    assert_contains(str_of(o.parts[OUTLOOK_BREADTH].reason), "HTTP status 500");
    assert_ok(apply(&o, OUTLOOK_BREADTH, &v, NOW));
    assert_string_equal(o.parts[OUTLOOK_BREADTH].reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_until_it_is_said),
        cmocka_unit_test(each_part_is_taken_alone_and_names_its_source),
        cmocka_unit_test(what_cannot_be_is_refused_and_what_was_known_stays),
        cmocka_unit_test(a_failure_keeps_the_value_and_a_success_forgets_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
