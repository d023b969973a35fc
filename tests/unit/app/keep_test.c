/* SPDX-License-Identifier: MIT */
#include "app/keep.h"

#include "base/clock.h"
#include "tests/lib/test.h"

#define AS_OF "2024-11-21T10:00:00.000Z"
#define KEPT(mode, price, provider, as_of)                                              \
    "{\"btc_price\":" price ",\"fear_greed_index\":50,\"rsi_14\":null,\"mode\":\"" mode \
    "\",\"sources\":{\"btc_price\":{\"provider\":" provider ",\"as_of\":\"" as_of       \
    "\",\"age_s\":3,\"method\":\"ticker_24h BTCUSDT\"}}}"

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_ok(clock_parse_rfc3339(str_of(text), &ms));
    return ms;
}

TEST(live_has_no_prefix_and_the_others_their_own)
{
    assert_int_equal(keep_prefix(MODE_LIVE).len, 0);
    assert_str(keep_prefix(MODE_DEMO), "coincast:demo:");
    assert_str(keep_prefix(MODE_REPLAY), "coincast:replay:");
}

TEST(a_kept_number_comes_back_with_its_true_age)
{
    struct summary s;
    int64_t now_ms = at(AS_OF) + 45000;
    summary_init(&s, MODE_LIVE);
    assert_int_equal(keep_restore(&s, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), now_ms),
                     1);
    const struct summary_value *v = &s.fields[FIELD_BTC_PRICE];
    assert_true(v->known);
    assert_near(v->value, 91234.56, 0);
    assert_int_equal(v->as_of_ms, at(AS_OF));
    assert_string_equal(v->provider, "binance");
    assert_string_equal(v->method, "ticker_24h BTCUSDT");
    assert_false(summary_is_stale(&s, FIELD_BTC_PRICE, now_ms));
    assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, now_ms + 15001));
    /* a value without a source, and an unknown one, are not taken */
    assert_false(s.fields[FIELD_FEAR_GREED].known);
    assert_false(s.fields[FIELD_RSI_14].known);
}

TEST(a_kept_number_was_not_received_now_and_forgives_no_failure)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    summary_fail(&s, FIELD_BTC_PRICE, "Binance cannot be reached");
    assert_int_equal(
        keep_restore(&s, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), at(AS_OF) + 1000), 1);
    assert_int_equal(s.last_updated_ms, at(AS_OF));
    assert_true(summary_is_stale(&s, FIELD_BTC_PRICE, at(AS_OF) + 1000));
    assert_string_equal(s.fields[FIELD_BTC_PRICE].reason, "Binance cannot be reached");
}

/* Without Redis: a cache that has nothing at the start, and what was put later. */
static int restored_count;
static void count_restored(void *self UNUSED)
{
    restored_count++;
}

TEST(without_anything_kept_puts_go_through_under_the_modes_prefix)
{
    struct loop *loop = NULL;
    struct summary s;
    struct keep k;
    struct str value;
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL}, &loop));
    struct cache *cache = cache_new(loop, NULL, 10, 10000);
    summary_init(&s, MODE_LIVE);
    restored_count = 0;
    keep_start(&k, loop, cache, &s, count_restored, NULL);
    keep_put(&k, STR("live"));
    assert_true(cache_peek(cache, KEEP_KEY, &value, NULL));
    assert_str(value, "live");
    summary_set_mode(&s, MODE_DEMO);
    keep_mode_changed(&k);
    assert_false(cache_peek(cache, KEEP_KEY, &value, NULL));
    keep_put(&k, STR("demo"));
    assert_true(cache_peek(cache, KEEP_KEY, &value, NULL));
    assert_str(value, "demo");
    assert_int_equal(restored_count, 0);
    assert_int_equal(loop_next_timer_ms(loop), UINT64_MAX);
    keep_stop(&k);
    cache_free(cache);
    loop_free(loop);
}

TEST(what_the_cache_has_is_filled_in_at_once)
{
    struct loop *loop = NULL;
    struct summary s;
    struct keep k;
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL}, &loop));
    struct cache *cache = cache_new(loop, NULL, 10, 10000);
    summary_init(&s, MODE_LIVE);
    cache_put(cache, KEEP_KEY, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), 1000, 0);
    restored_count = 0;
    keep_start(&k, loop, cache, &s, count_restored, NULL);
    assert_int_equal(restored_count, 1);
    assert_true(s.fields[FIELD_BTC_PRICE].known);
    keep_stop(&k);
    cache_free(cache);
    loop_free(loop);
}

TEST(what_never_began_keeps_nothing_and_stops)
{
    struct keep k = {0};
    keep_put(&k, STR("{}"));
    keep_mode_changed(&k);
    assert_false(k.restoring);
    keep_stop(&k);
}

TEST(a_computed_rsi_keeps_how_it_was_computed)
{
    struct summary s;
    summary_init(&s, MODE_LIVE);
    assert_int_equal(
        keep_restore(&s,
                     STR("{\"rsi_14\":56.5,\"mode\":\"live\",\"sources\":{\"rsi_14\":{\"provider\":"
                         "\"kraken\",\"as_of\":\"" AS_OF "\",\"method\":\"computed\",\"closes\":"
                         "300}}}"),
                     at(AS_OF) + 1),
        1);
    assert_string_equal(s.fields[FIELD_RSI_14].method, "computed");
    assert_int_equal(s.fields[FIELD_RSI_14].closes, 300);
}

TEST(what_is_known_already_is_newer_than_what_was_kept)
{
    struct summary s;
    int64_t now_ms = at(AS_OF) + 1000;
    summary_init(&s, MODE_LIVE);
    struct summary_report r = {
        .field = FIELD_BTC_PRICE, .value = 91000, .as_of_ms = now_ms, .provider = "kraken"};
    assert_ok(summary_apply(&s, &r, now_ms));
    assert_int_equal(keep_restore(&s, STR(KEPT("live", "91234.56", "\"binance\"", AS_OF)), now_ms),
                     0);
    assert_near(s.fields[FIELD_BTC_PRICE].value, 91000, 0);
}

TEST(what_is_not_understood_or_not_ours_is_left_out)
{
    static const char *const cases[] = {
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        "{\"mode\":\"live\"}",
        "{\"mode\":7,\"btc_price\":1}",
        KEPT("demo", "91234.56", "\"binance\"", AS_OF), /* another mode */
        KEPT("live", "-1", "\"binance\"", AS_OF),       /* impossible */
        KEPT("live", "0", "\"binance\"", AS_OF),
        KEPT("live", "\"91234\"", "\"binance\"", AS_OF), /* another type */
        KEPT("live", "91234.56", "null", AS_OF),
        KEPT("live", "91234.56", "\"binance\"", "yesterday"),
        KEPT("live", "91234.56", "\"binance\"", "2024-11-21T10:00:01.001Z"), /* the future */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct summary s;
        test_case(cases[i]);
        summary_init(&s, MODE_LIVE);
        assert_int_equal(keep_restore(&s, str_of(cases[i]), at(AS_OF) + 1000), 0);
        for (int f = 0; f < FIELD_COUNT; f++) {
            assert_false(s.fields[f].known);
        }
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_has_no_prefix_and_the_others_their_own),
        cmocka_unit_test(a_kept_number_comes_back_with_its_true_age),
        cmocka_unit_test(a_kept_number_was_not_received_now_and_forgives_no_failure),
        cmocka_unit_test(without_anything_kept_puts_go_through_under_the_modes_prefix),
        cmocka_unit_test(what_the_cache_has_is_filled_in_at_once),
        cmocka_unit_test(what_never_began_keeps_nothing_and_stops),
        cmocka_unit_test(a_computed_rsi_keeps_how_it_was_computed),
        cmocka_unit_test(what_is_known_already_is_newer_than_what_was_kept),
        cmocka_unit_test(what_is_not_understood_or_not_ours_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
