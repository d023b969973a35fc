/* L1 under a virtual clock; what L2 adds is tested with Redis itself in redis_test.c.
 * SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct clock clock;
    struct loop *loop;
    struct cache *cache;
};

static void start(struct fixture *f, size_t max_entries, size_t max_bytes)
{
    clock_init_virtual(&f->clock, 1000, 1700000000000);
    struct loop_opts opts = {.io = IO_EPOLL, .clock = &f->clock};
    assert_int_equal(loop_new(&opts, &f->loop), OK);
    f->cache = cache_new(f->loop, NULL, max_entries, max_bytes);
}

static void stop(struct fixture *f)
{
    cache_free(f->cache);
    loop_free(f->loop);
}

static void pass_ms(struct fixture *f, uint64_t ms)
{
    clock_advance_us(&f->clock, ms * 1000);
    loop_turn(f->loop, 0);
}

static bool holds(struct fixture *f, const char *key, const char *value)
{
    struct str got;
    if (!cache_peek(f->cache, str_of(key), &got, NULL)) {
        return false;
    }
    assert_true(str_eq(got, str_of(value)));
    return true;
}

static void put(struct fixture *f, const char *key, const char *value, uint32_t ttl_ms)
{
    cache_put(f->cache, str_of(key), str_of(value), ttl_ms, 0);
}

static void value_lives_exactly_its_ttl(void **state UNUSED)
{
    struct fixture f;
    struct str value;
    uint64_t age = 99;
    start(&f, 10, 10000);
    put(&f, "price", "61000", 3000);
    assert_true(cache_peek(f.cache, STR("price"), &value, &age));
    assert_int_equal(age, 0);
    pass_ms(&f, 2999);
    assert_true(cache_peek(f.cache, STR("price"), &value, &age));
    assert_int_equal(age, 2999);
    assert_true(str_eq(value, STR("61000")));
    pass_ms(&f, 1);
    assert_false(cache_peek(f.cache, STR("price"), &value, &age));
    stop(&f);
}

static void replacing_starts_the_ttl_again(void **state UNUSED)
{
    struct fixture f;
    start(&f, 10, 10000);
    put(&f, "k", "old", 1000);
    pass_ms(&f, 900);
    put(&f, "k", "new", 1000);
    pass_ms(&f, 900);
    assert_true(holds(&f, "k", "new"));
    stop(&f);
}

static void a_value_can_be_replaced_by_a_slice_of_itself(void **state UNUSED)
{
    struct fixture f;
    struct str value;
    start(&f, 10, 10000);
    put(&f, "k", "0123456789", 1000);
    assert_true(cache_peek(f.cache, STR("k"), &value, NULL));
    cache_put(f.cache, STR("k"), str_sub(value, 3, 4), 1000, 0);
    assert_true(holds(&f, "k", "3456"));
    stop(&f);
}

static void least_recently_used_goes_first(void **state UNUSED)
{
    struct fixture f;
    start(&f, 3, 10000);
    put(&f, "a", "1", 1000);
    put(&f, "b", "2", 1000);
    put(&f, "c", "3", 1000);
    assert_true(holds(&f, "a", "1")); /* now b is the oldest */
    put(&f, "d", "4", 1000);
    assert_false(holds(&f, "b", "2"));
    assert_true(holds(&f, "a", "1"));
    assert_true(holds(&f, "c", "3"));
    assert_true(holds(&f, "d", "4"));
    stop(&f);
}

static void bytes_are_bounded(void **state UNUSED)
{
    struct fixture f;
    char big[2048];
    memset(big, 'x', sizeof(big));
    start(&f, 100, 3000);
    put(&f, "small", "1", 1000);
    cache_put(f.cache, STR("big"), str_make(big, sizeof(big)), 1000, 0);
    assert_true(holds(&f, "small", "1"));
    cache_put(f.cache, STR("big2"), str_make(big, sizeof(big)), 1000, 0); /* no room for both */
    struct str value;
    assert_false(cache_peek(f.cache, STR("big"), &value, NULL));
    assert_true(cache_peek(f.cache, STR("big2"), &value, NULL));
    assert_int_equal(value.len, sizeof(big));
    stop(&f);
}

static void a_value_larger_than_all_room_is_not_kept_and_evicts_nobody(void **state UNUSED)
{
    struct fixture f;
    char big[4096];
    memset(big, 'x', sizeof(big));
    start(&f, 100, 3000);
    put(&f, "other", "1", 1000);
    put(&f, "k", "old", 1000);
    cache_put(f.cache, STR("k"), str_make(big, sizeof(big)), 1000, 0);
    struct str value;
    assert_false(cache_peek(f.cache, STR("k"), &value, NULL)); /* the old value is wrong now */
    assert_true(holds(&f, "other", "1"));
    stop(&f);
}

static void drop_forgets_and_ttl_0_keeps_nothing(void **state UNUSED)
{
    struct fixture f;
    start(&f, 10, 10000);
    put(&f, "k", "v", 1000);
    cache_drop(f.cache, STR("k"));
    cache_drop(f.cache, STR("never there"));
    assert_false(holds(&f, "k", "v"));
    put(&f, "k", "v", 1000);
    put(&f, "k", "v", 0);
    assert_false(holds(&f, "k", "v"));
    stop(&f);
}

static void another_prefix_empties_it_the_same_does_not(void **state UNUSED)
{
    struct fixture f;
    start(&f, 10, 10000);
    put(&f, "dashboard:summary", "live", 1000);
    cache_set_prefix(f.cache, STR(""));
    assert_true(holds(&f, "dashboard:summary", "live"));
    cache_set_prefix(f.cache, STR("coincast:demo:"));
    assert_false(holds(&f, "dashboard:summary", "live"));
    put(&f, "dashboard:summary", "demo", 1000);
    cache_set_prefix(f.cache, STR("coincast:demo:"));
    assert_true(holds(&f, "dashboard:summary", "demo"));
    stop(&f);
}

struct got {
    int calls;
    enum err e;
};

static void take(void *self, enum err e, struct str value UNUSED)
{
    struct got *g = self;
    g->calls++;
    g->e = e;
}

static void without_redis_get_answers_at_once(void **state UNUSED)
{
    struct fixture f;
    struct got g = {0};
    start(&f, 10, 10000);
    cache_get(f.cache, STR("k"), take, &g);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.e, ERR_NOT_FOUND);
    put(&f, "k", "v", 1000);
    cache_get(f.cache, STR("k"), take, &g);
    assert_int_equal(g.calls, 2);
    assert_int_equal(g.e, OK);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_lives_exactly_its_ttl),
        cmocka_unit_test(replacing_starts_the_ttl_again),
        cmocka_unit_test(a_value_can_be_replaced_by_a_slice_of_itself),
        cmocka_unit_test(least_recently_used_goes_first),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(a_value_larger_than_all_room_is_not_kept_and_evicts_nobody),
        cmocka_unit_test(drop_forgets_and_ttl_0_keeps_nothing),
        cmocka_unit_test(another_prefix_empties_it_the_same_does_not),
        cmocka_unit_test(without_redis_get_answers_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
