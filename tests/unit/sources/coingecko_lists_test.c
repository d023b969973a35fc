/* CoinGecko's lists of coins: which are counted, which are left out, and what nobody may be told.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "sources/source.h"

#include <math.h>

static struct reading reading;

static void read_recorded(parse_fn parse, const char *path)
{
    struct buf body = {0}, why = {0};
    fixture_read(path, &body);
    assert_ok(parse(buf_str(&body), &reading, &why));
    assert_int_equal(why.len, 0);
    buf_fini(&body);
    buf_fini(&why);
}

/* Puts `coin` behind five that are counted as risen. */
static enum err markets_with(const char *coin, struct buf *why)
{
    struct buf body = {0};
    buf_add_char(&body, '[');
    for (int i = 0; i < 5; i++) {
        buf_printf(
            &body,
            "{\"symbol\":\"c%d\",\"current_price\":2.5,\"price_change_percentage_24h\":0.1},", i);
    }
    buf_add_str(&body, str_of(coin));
    buf_add_char(&body, ']');
    buf_clear(why);
    enum err e = coingecko_parse_markets(buf_str(&body), &reading, why);
    assert_true((e == OK) == (why->len == 0));
    buf_fini(&body);
    return e;
}

TEST(recorded_coins_are_counted_without_the_pegged_ones)
{
    int64_t newest_ms = 0;
    read_recorded(coingecko_parse_markets, "http/coingecko/coins_markets_57_20220106.json");
    /* 57 coins, all of which fell that day; USDC is one of them and is not counted. */
    assert_int_equal(reading.outlook.decliners, 56);
    assert_int_equal(reading.outlook.advancers, 0);
    assert_int_equal(reading.outlook.unchanged, 0);
    assert_ok(clock_parse_rfc3339(STR("2022-01-06T06:57:30.121Z"), &newest_ms));
    assert_int_equal(reading.as_of_ms, newest_ms);
    assert_int_equal(reading.fields, OUTLOOK_BIT(OUTLOOK_BREADTH));
}

TEST(a_coin_counts_by_its_change_or_not_at_all)
{
    static const struct {
        const char *coin;
        size_t advancers, decliners, unchanged; /* of it */
    } cases[] = {
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":0.1}", 1, 0, 0},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":0.0999}", 0, 0, 1},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":-0.0999}", 0, 0, 1},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":-0.1}", 0, 1, 0},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":-100}", 0, 1, 0},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":5,\"current_price\":1}", 1, 0, 0},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":null}", 0, 0, 0},
        {"{\"symbol\":\"a\"}", 0, 0, 0},
        {"{\"price_change_percentage_24h\":3}", 0, 0, 0}, /* of what? */
        {"{\"symbol\":\"usdt\",\"price_change_percentage_24h\":3}", 0, 0, 0},
        {"{\"symbol\":\"DAI\",\"price_change_percentage_24h\":3}", 0, 0, 0},
        {"{\"symbol\":\"susds\",\"price_change_percentage_24h\":3}", 0, 0, 0},
        {"{\"symbol\":\"eurc\",\"price_change_percentage_24h\":3}", 0, 0, 0},
        {"{\"symbol\":\"x\",\"price_change_percentage_24h\":0.2,\"current_price\":1.001,"
         "\"low_24h\":0.999,\"high_24h\":1.002}",
         0, 0, 0}, /* stood at a dollar all day */
        {"{\"symbol\":\"x\",\"price_change_percentage_24h\":0.2,\"current_price\":1.001,"
         "\"low_24h\":0.9,\"high_24h\":1.002}",
         1, 0, 0}, /* passed by it */
    };
    struct buf why = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].coin);
        assert_ok(markets_with(cases[i].coin, &why));
        assert_int_equal(reading.outlook.advancers, 5 + cases[i].advancers);
        assert_int_equal(reading.outlook.decliners, cases[i].decliners);
        assert_int_equal(reading.outlook.unchanged, cases[i].unchanged);
    }
    test_case(NULL);
    buf_fini(&why);
}

TEST(a_list_that_cannot_be_is_refused_whole)
{
    static const struct {
        const char *coin;
        enum err expected;
        const char *why;
    } cases[] = {
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":-100.1}", ERR_RANGE, "coin 6 of"},
        {"{\"symbol\":\"a\",\"price_change_percentage_24h\":1e7}", ERR_RANGE, "cannot be"},
        {"{\"symbol\":\"a\",\"current_price\":-1}", ERR_RANGE, "cannot be"},
        {"7", ERR_SYNTAX, "coin 6 of"},
        {"[]", ERR_SYNTAX, "coin 6 of"},
        {"{\"symbol\":\"a\"", ERR_SYNTAX, "cut off"},
    };
    struct buf why = {0}, body = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].coin);
        assert_err(markets_with(cases[i].coin, &why), cases[i].expected);
        assert_contains(buf_str(&why), cases[i].why);
        assert_int_equal(reading.fields, 0);
    }
    test_case(NULL);
    buf_clear(&why);
    assert_err(coingecko_parse_markets(STR("{}"), &reading, &why), ERR_SYNTAX);
    buf_clear(&why);
    assert_err(coingecko_parse_markets(STR("[]"), &reading, &why), ERR_NOT_FOUND);
    assert_contains(buf_str(&why), "only 0 coins");
    buf_add_char(&body, '[');
    for (int i = 0; i <= 250; i++) {
        buf_printf(&body, "%s{}", i ? "," : "");
    }
    buf_add_char(&body, ']');
    buf_clear(&why);
    assert_err(coingecko_parse_markets(buf_str(&body), &reading, &why), ERR_SYNTAX);
    assert_contains(buf_str(&why), "coin 251 of");
    buf_fini(&why);
    buf_fini(&body);
}

TEST(only_the_100_largest_count)
{
    struct buf why = {0}, body = {0};
    buf_add_char(&body, '[');
    for (int i = 0; i < 150; i++) { /* every fifth is pegged: 100 of the first 125 are left */
        buf_printf(&body, "%s{\"symbol\":\"%s%d\",\"price_change_percentage_24h\":%d}",
                   i ? "," : "", i % 5 == 0 ? "usd" : "c", i, i < 125 ? 1 : -1);
    }
    buf_add_char(&body, ']');
    assert_ok(coingecko_parse_markets(buf_str(&body), &reading, &why));
    assert_int_equal(reading.outlook.advancers, 100);
    assert_int_equal(reading.outlook.decliners, 0);
    assert_int_equal(reading.as_of_ms, 0); /* it gives no time */
    buf_fini(&why);
    buf_fini(&body);
}

TEST(recorded_trending_coins_keep_their_order)
{
    static const char *const symbols[] = {"MATIC", "SHIB", "SAFEMOON", "SOL",
                                          "CAKE",  "XRP",  "SUSHI"};
    const struct outlook_values *v = &reading.outlook;
    read_recorded(coingecko_parse_trending, "http/coingecko/search_trending.json");
    assert_int_equal(v->topic_count, ARRAY_LEN(symbols));
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        assert_string_equal(v->topics[i].symbol, symbols[i]);
        assert_true(isnan(v->topics[i].change_24h_pct)); /* 2021 did not say */
    }
    assert_string_equal(v->topics[0].name, "Polygon");

    read_recorded(coingecko_parse_trending, "http/coingecko/oas2026_search_trending.json");
    assert_int_equal(v->topic_count, 2);
    assert_string_equal(v->topics[0].symbol, "BONK");
    assert_true(v->topics[0].change_24h_pct == -3.2712597351582655);
    assert_string_equal(v->topics[1].symbol, ""); /* a category */
    assert_string_equal(v->topics[1].name, "Base Native");
    assert_true(v->topics[1].change_24h_pct == 0.14714515711689605);
}

TEST(trending_is_sorted_by_score_and_odd_entries_are_left_out)
{
    struct buf why = {0};
    const struct outlook_values *v = &reading.outlook;
    static const char body[] =
        "{\"coins\":[{\"item\":{\"name\":\"Third\",\"symbol\":\"c\",\"score\":2}},7,"
        "{\"item\":{\"name\":\"\",\"symbol\":\"x\",\"score\":0}},{\"item\":{\"name\":\"No "
        "symbol\"}},"
        "{\"other\":{\"name\":\"Not inside\",\"symbol\":\"y\"}},"
        "{\"item\":{\"name\":\"First\",\"symbol\":\"a\",\"score\":0,"
        "\"data\":{\"price_change_percentage_24h\":{\"btc\":9,\"usd\":\"2.5\"}}}},"
        "{\"item\":{\"name\":\"Second\",\"symbol\":\"b\",\"score\":1,"
        "\"data\":{\"price_change_percentage_24h\":{\"usd\":-250}}}}],"
        "\"categories\":[{\"name\":\"Cat\"},{\"id\":3}],\"nfts\":[{\"name\":\"None of ours\"}]}";
    assert_ok(coingecko_parse_trending(str_of(body), &reading, &why));
    assert_int_equal(v->topic_count, 4);
    assert_string_equal(v->topics[0].symbol, "A");
    assert_true(v->topics[0].change_24h_pct == 2.5);
    assert_string_equal(v->topics[1].name, "Second");
    assert_true(isnan(v->topics[1].change_24h_pct)); /* nothing falls by 250 % */
    assert_string_equal(v->topics[2].name, "Third");
    assert_string_equal(v->topics[3].name, "Cat");
    buf_fini(&why);
}

TEST(trending_lists_are_bounded_and_categories_alone_are_none)
{
    struct buf why = {0}, body = {0};
    buf_add_lit(&body, "{\"coins\":[");
    for (int i = 0; i < 40; i++) { /* backwards: the best come last */
        buf_printf(&body, "%s{\"item\":{\"name\":\"n%d\",\"symbol\":\"s%d\",\"score\":%d}}",
                   i ? "," : "", i, i, 39 - i);
    }
    buf_add_lit(&body, "],\"categories\":[");
    for (int i = 0; i < 9; i++) {
        buf_printf(&body, "%s{\"name\":\"k%d\"}", i ? "," : "", i);
    }
    buf_add_lit(&body, "]}");
    assert_ok(coingecko_parse_trending(buf_str(&body), &reading, &why));
    assert_int_equal(reading.outlook.topic_count, SENTIMENT_TOPICS_MAX);
    assert_string_equal(reading.outlook.topics[0].symbol, "S39");
    assert_string_equal(reading.outlook.topics[14].symbol, "S25");
    assert_string_equal(reading.outlook.topics[15].name, "k0");
    assert_string_equal(reading.outlook.topics[19].name, "k4");
    assert_err(coingecko_parse_trending(STR("{\"coins\":[],\"categories\":[{\"name\":\"k\"}]}"),
                                        &reading, &why),
               ERR_NOT_FOUND);
    assert_int_equal(reading.fields, 0);
    buf_fini(&why);
    buf_fini(&body);
}

TEST(long_and_foreign_names_are_cut_at_a_character)
{
    struct buf why = {0}, body = {0};
    buf_add_lit(&body, "{\"coins\":[{\"item\":{\"symbol\":\"\xc3\x9f\xc3\x9f\xc3\x9f\xc3\x9f"
                       "\xc3\x9f\xc3\x9f\xc3\x9f\xc3\x9f\",\"name\":\"a\\u0000\\n");
    for (int i = 0; i < 60; i++) {
        buf_add_lit(&body, "\xe2\x82\xac");
    }
    buf_add_lit(&body, "\"}}]}");
    assert_ok(coingecko_parse_trending(buf_str(&body), &reading, &why));
    const struct sentiment_topic *t = &reading.outlook.topics[0];
    assert_int_equal(strlen(t->symbol), 14);
    assert_int_equal(strlen(t->name), 45); /* a, two blanks, 14 signs of three bytes */
    assert_true(str_is_utf8(str_of(t->name)) && str_is_utf8(str_of(t->symbol)));
    assert_true(strncmp(t->name, "a  \xe2\x82\xac", 6) == 0);
    buf_fini(&why);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_coins_are_counted_without_the_pegged_ones),
        cmocka_unit_test(a_coin_counts_by_its_change_or_not_at_all),
        cmocka_unit_test(a_list_that_cannot_be_is_refused_whole),
        cmocka_unit_test(only_the_100_largest_count),
        cmocka_unit_test(recorded_trending_coins_keep_their_order),
        cmocka_unit_test(trending_is_sorted_by_score_and_odd_entries_are_left_out),
        cmocka_unit_test(trending_lists_are_bounded_and_categories_alone_are_none),
        cmocka_unit_test(long_and_foreign_names_are_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
