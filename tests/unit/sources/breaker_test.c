/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/breaker.h"

static void fault(struct breaker *b, uint64_t now_ms)
{
    breaker_failed(b, BREAKER_FAULT, 0, 0, now_ms);
}

/* Lets the time pass and fails the trial. */
static uint64_t fail_trial(struct breaker *b)
{
    uint64_t at_ms = b->open_until_ms;
    assert_int_equal(breaker_wait_ms(b, at_ms), 0);
    breaker_begin(b, at_ms);
    assert_int_equal(b->state, BREAKER_HALF_OPEN);
    fault(b, at_ms);
    assert_int_equal(b->state, BREAKER_OPEN);
    return b->open_until_ms - at_ms;
}

TEST(third_failure_in_a_row_opens_for_20_s)
{
    struct breaker b;
    breaker_init(&b);
    fault(&b, 0);
    fault(&b, 0);
    breaker_succeeded(&b);
    fault(&b, 1000);
    fault(&b, 1000);
    assert_int_equal(b.state, BREAKER_CLOSED);
    fault(&b, 1000);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(breaker_wait_ms(&b, 1000), 20000);
}

TEST(wait_doubles_to_10_min_and_starts_anew_after_a_success)
{
    static const uint64_t waits[] = {40000, 80000, 160000, 320000, 600000, 600000, 600000};
    struct breaker b;
    breaker_init(&b);
    for (int i = 0; i < 3; i++) {
        fault(&b, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_int_equal(fail_trial(&b), waits[i]);
    }
    breaker_begin(&b, b.open_until_ms);
    breaker_succeeded(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    for (int i = 0; i < 3; i++) {
        fault(&b, 0);
    }
    assert_int_equal(breaker_wait_ms(&b, 0), 20000);
}

TEST(half_open_lets_one_trial_through)
{
    struct breaker b;
    breaker_init(&b);
    breaker_failed(&b, BREAKER_THROTTLED, 7000, 0, 0);
    assert_int_equal(breaker_wait_ms(&b, 6999), 1);
    breaker_begin(&b, 7000);
    assert_true(breaker_wait_ms(&b, 7000) == UINT64_MAX);
    breaker_abandon(&b, 7001);
    assert_int_equal(breaker_wait_ms(&b, 7001), 0);
    breaker_begin(&b, 7001);
    breaker_succeeded(&b);
    assert_int_equal(breaker_wait_ms(&b, 7001), 0);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

TEST(being_told_to_stop_opens_at_once)
{
    struct breaker b;
    breaker_init(&b);
    breaker_failed(&b, BREAKER_THROTTLED, 0, 12345, 0);
    assert_int_equal(breaker_wait_ms(&b, 0), 5 * 60 * 1000);
    breaker_init(&b);
    breaker_failed(&b, BREAKER_BLOCKED, 0, 0, 0);
    assert_int_equal(breaker_wait_ms(&b, 0), 10 * 60 * 1000);
}

TEST(retry_after_is_obeyed_to_the_millisecond_whatever_failed)
{
    struct breaker b;
    breaker_init(&b);
    breaker_failed(&b, BREAKER_FAULT, 17000, 999, 500);
    assert_int_equal(breaker_wait_ms(&b, 500), 17000);
    breaker_init(&b);
    breaker_failed(&b, BREAKER_THROTTLED, 1000, 999, 0);
    assert_int_equal(breaker_wait_ms(&b, 0), 1000);
    breaker_init(&b);
    breaker_failed(&b, BREAKER_THROTTLED, UINT64_MAX, 0, 0);
    assert_true(breaker_wait_ms(&b, 0) == BREAKER_RETRY_AFTER_MAX_MS);
}

TEST(late_answers_do_not_shorten_what_was_asked_for)
{
    struct breaker b;
    breaker_init(&b);
    breaker_failed(&b, BREAKER_THROTTLED, 60000, 0, 0);
    breaker_failed(&b, BREAKER_FAULT, 0, 0, 10);
    breaker_failed(&b, BREAKER_THROTTLED, 5000, 0, 20);
    assert_int_equal(b.open_until_ms, 60000);
}

TEST(jitter_only_adds_and_at_most_a_quarter)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t chance = 0; chance < 5000; chance += 7) {
        struct breaker b;
        breaker_init(&b);
        for (int i = 0; i < 3; i++) {
            breaker_failed(&b, BREAKER_FAULT, 0, chance, 0);
        }
        least = min_u64(least, b.open_until_ms);
        most = max_u64(most, b.open_until_ms);
    }
    assert_true(least >= 20000 && least < 20100);
    assert_true(most <= 25000 && most > 24900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(third_failure_in_a_row_opens_for_20_s),
        cmocka_unit_test(wait_doubles_to_10_min_and_starts_anew_after_a_success),
        cmocka_unit_test(half_open_lets_one_trial_through),
        cmocka_unit_test(being_told_to_stop_opens_at_once),
        cmocka_unit_test(retry_after_is_obeyed_to_the_millisecond_whatever_failed),
        cmocka_unit_test(late_answers_do_not_shorten_what_was_asked_for),
        cmocka_unit_test(jitter_only_adds_and_at_most_a_quarter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
