/* Counts that threads share. SPDX-License-Identifier: MIT */
#include "base/tally.h"

#include "base/thread.h"
#include "tests/lib/test.h"

TEST(a_key_has_at_most_so_many_and_an_empty_one_leaves_no_trace)
{
    struct tally *t = tally_new(2);
    assert_true(tally_add(t, STR("a"), 2));
    assert_true(tally_add(t, STR("a"), 2));
    assert_false(tally_add(t, STR("a"), 2));
    assert_true(tally_add(t, STR("a"), 3));
    assert_true(tally_add(t, STR("b"), 1));
    assert_false(tally_add(t, STR("c"), 1)); /* one key too many */
    assert_int_equal(tally_count(t, STR("a")), 3);
    assert_int_equal(tally_count(t, STR("c")), 0);
    tally_remove(t, STR("b"));
    assert_true(tally_add(t, STR("c"), 1));
    tally_remove(t, STR("a"));
    assert_int_equal(tally_count(t, STR("a")), 2);
    tally_free(t);
    tally_free(NULL);
}

static void come_and_go(void *self)
{
    struct tally *t = self;
    for (int i = 0; i < 20000; i++) {
        if (tally_add(t, STR("one"), 3)) {
            if (tally_count(t, STR("one")) > 3) {
                abort();
            }
            tally_remove(t, STR("one"));
        }
    }
}

TEST(threads_never_have_more_together_and_all_is_given_back)
{
    struct tally *t = tally_new(10);
    struct thread *threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_ok(thread_start("tally", come_and_go, t, &threads[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        thread_join(threads[i]);
    }
    assert_int_equal(tally_count(t, STR("one")), 0);
    tally_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_at_most_so_many_and_an_empty_one_leaves_no_trace),
        cmocka_unit_test(threads_never_have_more_together_and_all_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
