/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/sentiment.h"

#include <math.h>

#define NOW ((int64_t)1780704000000)
#define HOUR ((int64_t)3600000)

/* Nothing known but the index, of now. */
static struct sentiment_inputs only_index(int index)
{
    return (struct sentiment_inputs){.fear_greed = index,
                                     .fear_greed_as_of_ms = NOW,
                                     .market_cap_change_24h_pct = NAN,
                                     .btc_close = NAN,
                                     .btc_sma30 = NAN,
                                     .btc_sma90 = NAN,
                                     .btc_vol7 = NAN,
                                     .btc_vol90 = NAN};
}

static struct sentiment_inputs everything(void)
{
    return (struct sentiment_inputs){.fear_greed = 70,
                                     .fear_greed_as_of_ms = NOW,
                                     .market_cap_change_24h_pct = 2,
                                     .market_cap_as_of_ms = NOW,
                                     .advancers = 60,
                                     .decliners = 20,
                                     .unchanged = 20,
                                     .breadth_as_of_ms = NOW,
                                     .btc_close = 105,
                                     .btc_sma30 = 100,
                                     .btc_sma90 = 100,
                                     .btc_vol7 = 0.3,
                                     .btc_vol90 = 0.5,
                                     .btc_as_of_ms = NOW};
}

TEST(labels_change_exactly_at_the_bounds_of_the_index)
{
    static const struct {
        int index;
        const char *mood, *label;
    } cases[] = {
        {0, "VERY_BEARISH", "Extreme Fear"},
        {25, "VERY_BEARISH", "Extreme Fear"},
        {26, "BEARISH", "Fear"},
        {46, "BEARISH", "Fear"},
        {47, "NEUTRAL", "Neutral"},
        {54, "NEUTRAL", "Neutral"},
        {55, "BULLISH", "Greed"},
        {75, "BULLISH", "Greed"},
        {76, "VERY_BULLISH", "Extreme Greed"},
        {100, "VERY_BULLISH", "Extreme Greed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sentiment_inputs in = only_index(cases[i].index);
        struct sentiment s;
        sentiment_make(&in, NOW, &s);
        assert_true(s.available);
        assert_string_equal(s.mood, cases[i].mood);
        assert_string_equal(sentiment_index_label(cases[i].index), cases[i].label);
        assert_int_equal(s.fear_greed, cases[i].index);
        assert_near(s.score, (cases[i].index - 50) / 50.0, 1e-12);
        assert_near(s.confidence, 0.35, 1e-12);
    }
    assert_null(sentiment_index_label(-1));
    assert_null(sentiment_index_label(101));
}

TEST(overall_turns_at_its_bounds)
{
    static const struct {
        int index;
        const char *overall;
    } cases[] = {{42, "BEARISH"}, {43, "NEUTRAL"}, {57, "NEUTRAL"}, {58, "BULLISH"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sentiment_inputs in = only_index(cases[i].index);
        struct sentiment s;
        sentiment_make(&in, NOW, &s);
        assert_string_equal(s.overall, cases[i].overall);
    }
}

TEST(the_score_is_the_weighted_mean_of_all_parts)
{
    struct sentiment_inputs in = everything();
    struct sentiment s;
    double weights = 0;
    sentiment_make(&in, NOW, &s);
    double m = tanh(0.5 * 0.05 / 0.10 + 0.5 * 0.05 / 0.20);
    double v[] = {0.4, 0.5, m, 0.4, 0.4};
    for (unsigned p = 0; p < SENTIMENT_PARTS; p++) {
        assert_near(s.parts[p].value, v[p], 1e-12);
        assert_string_equal(s.parts[p].reason, "");
        weights += sentiment_part_weight((enum sentiment_part)p);
    }
    assert_near(weights, 1, 1e-12);
    assert_near(s.score, 0.35 * 0.4 + 0.25 * 0.5 + 0.20 * m + 0.15 * 0.4 + 0.05 * 0.4, 1e-12);
    double mean = (0.4 + 0.5 + m + 0.4 + 0.4) / 5, squares = 0;
    for (int p = 0; p < 5; p++) {
        squares += (v[p] - mean) * (v[p] - mean);
    }
    assert_near(s.confidence, 1 - sqrt(squares / 5), 1e-12);
    assert_string_equal(s.overall, "BULLISH");
    assert_string_equal(s.mood, "BULLISH");
    assert_int_equal(s.fear_greed_estimated, -1); /* the official one is there */
}

TEST(without_a_source_confidence_falls_and_the_reason_is_said)
{
    struct sentiment_inputs full = everything();
    struct sentiment all;
    sentiment_make(&full, NOW, &all);
    for (int without = 0; without < 4; without++) {
        struct sentiment_inputs in = everything();
        struct sentiment s;
        int64_t *as_of[] = {&in.fear_greed_as_of_ms, &in.breadth_as_of_ms, &in.market_cap_as_of_ms,
                            &in.btc_as_of_ms};
        static const enum sentiment_part part[] = {SENTIMENT_FEAR_GREED, SENTIMENT_BREADTH,
                                                   SENTIMENT_MARKET_CAP, SENTIMENT_MOMENTUM};
        *as_of[without] = 0;
        sentiment_make(&in, NOW, &s);
        assert_true(s.available);
        assert_false(s.parts[part[without]].present);
        assert_true(isnan(s.parts[part[without]].value));
        assert_string_equal(s.parts[part[without]].reason, "not known yet");
        assert_true(s.confidence < all.confidence - 0.1);
    }
}

TEST(nothing_known_is_not_available)
{
    struct sentiment_inputs in = only_index(50);
    struct sentiment s;
    in.fear_greed_as_of_ms = 0;
    sentiment_make(&in, NOW, &s);
    assert_false(s.available);
    assert_null(s.overall);
    assert_null(s.mood);
    assert_true(isnan(s.score));
    assert_int_equal(s.fear_greed, -1);
    assert_int_equal(s.fear_greed_estimated, -1);
    assert_near(s.confidence, 0, 0);
    assert_int_equal(s.topic_count, 0);
}

TEST(an_old_index_is_unknown_and_only_estimated)
{
    struct sentiment_inputs in = everything();
    struct sentiment s;
    in.fear_greed_as_of_ms = NOW - 26 * HOUR;
    sentiment_make(&in, NOW, &s);
    assert_int_equal(s.fear_greed, 70);
    in.fear_greed_as_of_ms--;
    sentiment_make(&in, NOW, &s);
    assert_int_equal(s.fear_greed, -1);
    assert_string_equal(s.parts[SENTIMENT_FEAR_GREED].reason, "too old");
    assert_int_equal(s.fear_greed_estimated, 68); /* 50 + 50 tanh(0.375) = 67.9 */
    in.btc_sma90 = NAN;
    sentiment_make(&in, NOW, &s);
    assert_int_equal(s.fear_greed_estimated, -1);
}

TEST(confidence_fades_with_age)
{
    struct sentiment_inputs in = only_index(60);
    struct sentiment s;
    in.fear_greed_as_of_ms = NOW - 13 * HOUR;
    sentiment_make(&in, NOW, &s);
    assert_near(s.confidence, 0.35 * exp(-0.5), 1e-12);
    in.fear_greed_as_of_ms = NOW + HOUR; /* a clock ahead of ours is no better than now */
    sentiment_make(&in, NOW, &s);
    assert_near(s.confidence, 0.35, 1e-12);
}

TEST(parts_are_cut_off_and_odd_inputs_are_none)
{
    struct sentiment_inputs in = everything();
    struct sentiment s;
    in.market_cap_change_24h_pct = -40;
    in.btc_vol7 = 5;
    in.fear_greed = 101;
    in.advancers = 2;
    in.decliners = in.unchanged = 1;
    sentiment_make(&in, NOW, &s);
    assert_near(s.parts[SENTIMENT_MARKET_CAP].value, -1, 0);
    assert_near(s.parts[SENTIMENT_VOLATILITY].value, -1, 0);
    assert_false(s.parts[SENTIMENT_FEAR_GREED].present);
    assert_false(s.parts[SENTIMENT_BREADTH].present);
    in.unchanged = 50; /* calm is a breadth, too */
    in.advancers = in.decliners = 0;
    in.market_cap_change_24h_pct = NAN;
    in.btc_vol90 = 0;
    sentiment_make(&in, NOW, &s);
    assert_true(s.parts[SENTIMENT_BREADTH].present);
    assert_near(s.parts[SENTIMENT_BREADTH].value, 0, 0);
    assert_false(s.parts[SENTIMENT_MARKET_CAP].present);
    assert_false(s.parts[SENTIMENT_VOLATILITY].present);
    assert_true(strlen(s.parts[SENTIMENT_VOLATILITY].reason) > 0);
}

TEST(each_part_says_where_it_is_from_or_why_it_is_missing)
{
    struct sentiment_inputs in = everything();
    struct sentiment s;
    in.sources[SENTIMENT_BREADTH] = "coingecko coins/markets";
    in.reasons[SENTIMENT_BREADTH] = "CoinGecko answered with HTTP status 500";
    in.sources[SENTIMENT_MARKET_CAP] = "coingecko global";
    in.market_cap_as_of_ms = NOW - HOUR;
    in.reasons[SENTIMENT_MARKET_CAP] = "CoinGecko: time-out";
    in.btc_as_of_ms = 0;
    in.reasons[SENTIMENT_MOMENTUM] = "91 days are needed";
    sentiment_make(&in, NOW, &s);
    /* A failure since then takes nothing from a value that is young. */
    assert_true(s.parts[SENTIMENT_BREADTH].present);
    assert_string_equal(s.parts[SENTIMENT_BREADTH].source, "coingecko coins/markets");
    assert_string_equal(s.parts[SENTIMENT_BREADTH].reason, "");
    assert_false(s.parts[SENTIMENT_MARKET_CAP].present);
    assert_string_equal(s.parts[SENTIMENT_MARKET_CAP].source, "coingecko global");
    assert_string_equal(s.parts[SENTIMENT_MARKET_CAP].reason, "too old: CoinGecko: time-out");
    assert_string_equal(s.parts[SENTIMENT_MOMENTUM].reason, "91 days are needed");
    assert_string_equal(s.parts[SENTIMENT_VOLATILITY].reason, "not known yet");
    assert_string_equal(s.parts[SENTIMENT_VOLATILITY].source, "");
}

TEST(topics_are_copied_up_to_their_ceiling)
{
    struct sentiment_topic topics[SENTIMENT_TOPICS_MAX + 3] = {
        {.symbol = "PEPE", .name = "Pepe", .change_24h_pct = 12.5}};
    struct sentiment_inputs in = only_index(50);
    struct sentiment s;
    in.topics = topics;
    in.topic_count = ARRAY_LEN(topics);
    in.topics_source = "coingecko search/trending";
    in.topics_as_of_ms = NOW - HOUR;
    sentiment_make(&in, NOW, &s);
    assert_string_equal(s.topics_source, "coingecko search/trending");
    assert_int_equal(s.topics_as_of_ms, NOW - HOUR);
    assert_int_equal(s.topic_count, SENTIMENT_TOPICS_MAX);
    assert_string_equal(s.topics[0].symbol, "PEPE");
    assert_near(s.topics[0].change_24h_pct, 12.5, 0);
    assert_string_equal(s.topics_reason, "");
    in.topic_count = 0; /* of nothing there is no source */
    in.topics_reason = "CoinGecko: time-out";
    sentiment_make(&in, NOW, &s);
    assert_string_equal(s.topics_reason, "CoinGecko: time-out");
    assert_string_equal(s.topics_source, "");
    assert_int_equal(s.topics_as_of_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_change_exactly_at_the_bounds_of_the_index),
        cmocka_unit_test(overall_turns_at_its_bounds),
        cmocka_unit_test(the_score_is_the_weighted_mean_of_all_parts),
        cmocka_unit_test(without_a_source_confidence_falls_and_the_reason_is_said),
        cmocka_unit_test(nothing_known_is_not_available),
        cmocka_unit_test(an_old_index_is_unknown_and_only_estimated),
        cmocka_unit_test(confidence_fades_with_age),
        cmocka_unit_test(parts_are_cut_off_and_odd_inputs_are_none),
        cmocka_unit_test(each_part_says_where_it_is_from_or_why_it_is_missing),
        cmocka_unit_test(topics_are_copied_up_to_their_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
