/* Rates of many keys, with time as a number. SPDX-License-Identifier: MIT */
#include "base/throttle.h"

#include "base/thread.h"
#include "tests/lib/test.h"

enum { SECOND = 1000000 };

static unsigned take_all(struct throttle *t, struct str key, uint64_t now_us, uint64_t *wait_us)
{
    unsigned taken = 0;
    while (throttle_take(t, key, now_us, wait_us)) {
        taken++;
    }
    return taken;
}

TEST(a_key_may_burst_and_then_gains_at_its_rate)
{
    struct throttle *t = throttle_new(100, 200);
    uint64_t now = 5 * SECOND;
    uint64_t wait_us = 0;
    assert_int_equal(take_all(t, STR("a"), now, &wait_us), 200);
    assert_int_equal(wait_us, SECOND / 100);
    assert_false(throttle_take(t, STR("a"), now + wait_us - 1, &wait_us));
    assert_true(throttle_take(t, STR("a"), now + SECOND / 100, &wait_us));
    assert_int_equal(take_all(t, STR("a"), now + SECOND / 2, &wait_us), 49);
    assert_int_equal(take_all(t, STR("a"), now + 60 * (uint64_t)SECOND, &wait_us), 200);
    assert_int_equal(take_all(t, STR("b"), now, &wait_us), 200); /* has nothing to do with it */
    throttle_free(t);
    throttle_free(NULL);
}

TEST(a_clock_that_is_a_little_behind_on_another_thread_does_no_harm)
{
    struct throttle *t = throttle_new(1, 1);
    uint64_t wait_us = 0;
    assert_true(throttle_take(t, STR("a"), 2 * SECOND, &wait_us));
    assert_false(throttle_take(t, STR("a"), 2 * SECOND - 500, &wait_us));
    assert_int_equal(wait_us, SECOND + 500);
    assert_true(throttle_take(t, STR("a"), 3 * SECOND, &wait_us));
    throttle_free(t);
}

/* More keys than there are places: they all may, and whoever came last is still held to its rate.
 */
TEST(many_keys_have_room_and_refuse_nobody_for_anothers_doing)
{
    struct throttle *t = throttle_new(1, 2);
    uint64_t wait_us = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        assert_true(throttle_take(t, str_make((const char *)&i, sizeof(i)), SECOND, &wait_us));
    }
    assert_int_equal(take_all(t, STR("last"), SECOND, &wait_us), 2);
    assert_false(throttle_take(t, STR("last"), SECOND, &wait_us));
    throttle_free(t);
}

struct taker {
    struct throttle *t;
    unsigned taken;
};

static void take_many(void *self)
{
    struct taker *one = self;
    uint64_t wait_us = 0;
    for (int i = 0; i < 10000; i++) {
        one->taken += throttle_take(one->t, STR("shared"), SECOND, &wait_us);
    }
}

TEST(threads_share_one_bucket)
{
    struct throttle *t = throttle_new(1, 1000);
    struct taker takers[4];
    struct thread *threads[4];
    unsigned all = 0;
    uint64_t wait_us = 0;
    assert_true(throttle_take(t, STR("shared"), SECOND, &wait_us)); /* it has its place */
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        takers[i] = (struct taker){.t = t};
        assert_ok(thread_start("taker", take_many, &takers[i], &threads[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        thread_join(threads[i]);
        all += takers[i].taken;
    }
    assert_int_equal(all, 999);
    throttle_free(t);
}

enum { NEW_KEYS = 3000 };

static void take_of_each(void *arg)
{
    struct taker *self = arg;
    uint64_t wait_us = 0;
    for (uint32_t i = 0; i < NEW_KEYS; i++) {
        self->taken += take_all(self->t, str_make((const char *)&i, sizeof(i)), SECOND, &wait_us);
    }
}

/* The first requests of an address come to several threads at once. */
TEST(threads_that_meet_a_new_key_give_no_more_than_its_burst)
{
    struct taker takers[3];
    struct thread *threads[ARRAY_LEN(takers)];
    for (int round = 0; round < 5; round++) {
        struct throttle *t = throttle_new(1, 2);
        unsigned all = 0;
        for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
            takers[i] = (struct taker){.t = t};
            assert_ok(thread_start("taker", take_of_each, &takers[i], &threads[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
            thread_join(threads[i]);
            all += takers[i].taken;
        }
        assert_int_equal(all, 2 * NEW_KEYS);
        throttle_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_may_burst_and_then_gains_at_its_rate),
        cmocka_unit_test(a_clock_that_is_a_little_behind_on_another_thread_does_no_harm),
        cmocka_unit_test(many_keys_have_room_and_refuse_nobody_for_anothers_doing),
        cmocka_unit_test(threads_share_one_bucket),
        cmocka_unit_test(threads_that_meet_a_new_key_give_no_more_than_its_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
