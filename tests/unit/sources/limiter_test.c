/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/limiter.h"

TEST(burst_is_there_at_once_and_no_more)
{
    struct limiter l;
    limiter_init(&l, 3, 1000, 5000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(limiter_wait_ms(&l, 5000), 0);
        assert_true(limiter_take(&l, 5000));
    }
    assert_false(limiter_take(&l, 5000));
    assert_int_equal(limiter_wait_ms(&l, 5000), 1000);
}

TEST(one_token_comes_back_each_period)
{
    struct limiter l;
    limiter_init(&l, 2, 1000, 0);
    assert_true(limiter_take(&l, 0) && limiter_take(&l, 0));
    assert_false(limiter_take(&l, 999));
    assert_true(limiter_take(&l, 1000));
    assert_false(limiter_take(&l, 1999));
    assert_int_equal(limiter_wait_ms(&l, 1999), 1);
    assert_true(limiter_take(&l, 2000));
}

TEST(full_bucket_gains_nothing_while_it_waits)
{
    struct limiter l;
    limiter_init(&l, 1, 1000, 0);
    /* Full until 1999: the next token takes a whole period from the take on. */
    assert_true(limiter_take(&l, 1999));
    assert_false(limiter_take(&l, 2000));
    assert_int_equal(limiter_wait_ms(&l, 2000), 999);
    assert_true(limiter_take(&l, 2999));
}

TEST(shut_wins_over_tokens_and_never_shortens)
{
    struct limiter l;
    limiter_init(&l, 5, 10, 0);
    limiter_shut(&l, 300);
    limiter_shut(&l, 200);
    assert_int_equal(limiter_wait_ms(&l, 100), 200);
    assert_false(limiter_take(&l, 299));
    assert_true(limiter_take(&l, 300));
}

TEST(no_window_holds_more_than_burst_and_refill)
{
    struct limiter l;
    uint64_t taken[4096], seed = 99;
    size_t count = 0, first = 0;
    limiter_init(&l, 4, 700, 0);
    for (uint64_t now = 0; now < 1000000;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        now += seed >> 57;
        if (limiter_take(&l, now)) {
            taken[count++ % ARRAY_LEN(taken)] = now;
            while (taken[first] + 7000 <= now) {
                first++;
            }
            /* 7000 ms: 4 at once and at most 10 refilled */
            assert_true(count - first <= 14);
        }
    }
    assert_true(count > 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_is_there_at_once_and_no_more),
        cmocka_unit_test(one_token_comes_back_each_period),
        cmocka_unit_test(full_bucket_gains_nothing_while_it_waits),
        cmocka_unit_test(shut_wins_over_tokens_and_never_shortens),
        cmocka_unit_test(no_window_holds_more_than_burst_and_refill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
