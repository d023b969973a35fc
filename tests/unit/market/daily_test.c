/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "market/daily.h"

static struct daily_candle day(int64_t number, double close)
{
    return (struct daily_candle){
        .open_ms = number * DAILY_MS, .open = close, .high = close, .low = close, .close = close};
}

TEST(open_candle_is_dropped_until_its_day_is_over)
{
    struct daily_candle c[] = {day(1, 10), day(2, 11), day(3, 12)};
    assert_int_equal(daily_closed_run(c, 3, 4 * DAILY_MS - 1), 2);
    struct daily_candle d[] = {day(1, 10), day(2, 11), day(3, 12)};
    assert_int_equal(daily_closed_run(d, 3, 4 * DAILY_MS), 3);
}

TEST(order_does_not_matter_and_doubles_count_once)
{
    struct daily_candle c[] = {day(3, 12), day(1, 10), day(2, 11), day(3, 12)};
    assert_int_equal(daily_closed_run(c, 4, 9 * DAILY_MS), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c[i].open_ms, (i + 1) * DAILY_MS);
    }
}

TEST(only_what_follows_the_last_hole_counts)
{
    struct daily_candle c[] = {day(1, 10), day(2, 11), day(4, 12), day(5, 13)};
    assert_int_equal(daily_closed_run(c, 4, 9 * DAILY_MS), 2);
    assert_int_equal(c[0].open_ms, 4 * DAILY_MS);
    struct daily_candle odd = day(7, 1);
    odd.open_ms += 1;
    assert_int_equal(daily_closed_run(&odd, 1, 9 * DAILY_MS), 0);
    assert_int_equal(daily_closed_run(NULL, 0, 0), 0);
}

TEST(rsi_says_why_it_is_none)
{
    struct daily_candle c[120];
    struct buf why = {0};
    double value = 42;
    for (int i = 0; i < 120; i++) {
        c[i] = day(i, 100 + i % 7);
    }
    assert_err(daily_rsi14(c, 99, &value, &why), ERR_MORE);
    assert_buf(&why, "only 99 of 100 daily closes are known");
    assert_ok(daily_rsi14(c, 100, &value, &why));
    assert_true(value > 0 && value < 100);
    for (int i = 0; i < 120; i++) {
        c[i] = day(i, 100);
    }
    buf_clear(&why);
    assert_err(daily_rsi14(c, 120, &value, &why), ERR_RANGE);
    assert_buf(&why, "no movement in 120 daily closes");
    buf_fini(&why);
}

TEST(next_close_is_the_next_utc_midnight)
{
    int64_t noon = 0, midnight = 0;
    assert_ok(clock_parse_rfc3339(STR("2026-06-06T13:55:22Z"), &noon));
    assert_ok(clock_parse_rfc3339(STR("2026-06-07T00:00:00Z"), &midnight));
    assert_int_equal(daily_next_close_ms(noon), midnight);
    assert_int_equal(daily_next_close_ms(midnight), midnight + DAILY_MS);
    assert_int_equal(daily_next_close_ms(-1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_candle_is_dropped_until_its_day_is_over),
        cmocka_unit_test(order_does_not_matter_and_doubles_count_once),
        cmocka_unit_test(only_what_follows_the_last_hole_counts),
        cmocka_unit_test(rsi_says_why_it_is_none),
        cmocka_unit_test(next_close_is_the_next_utc_midnight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
