/* SPDX-License-Identifier: MIT */
#include "net/wheel.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct thing {
    struct wheel_node node;
    uint64_t at_ms, fired_ms;
    unsigned times;
};

static uint64_t now_ms;
static struct wheel wheel;

static void fire(void *self, struct wheel_node *n)
{
    struct thing *t = containerof(n, struct thing, node);
    (void)self;
    t->fired_ms = now_ms;
    t->times++;
}

static void deadlines_fire_once_and_never_early(void **state)
{
    enum { COUNT = 3000 };
    static struct thing things[COUNT];
    (void)state;
    now_ms = 5000;
    wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < COUNT; i++) {
        things[i] = (struct thing){.at_ms = now_ms + i * 37 % 90000};
        wheel_add(&wheel, &things[i].node, things[i].at_ms);
    }
    for (size_t i = 0; i < COUNT; i += 3) { /* later, sooner and never */
        things[i].at_ms = i % 2 ? things[i].at_ms + 40000 : now_ms + 100;
        wheel_set(&wheel, &things[i].node, things[i].at_ms);
    }
    wheel_set(&wheel, &things[1].node, WHEEL_NEVER);
    while (now_ms < 5000 + 140000) {
        uint64_t next_ms = wheel_next_ms(&wheel);
        now_ms = next_ms == WHEEL_NEVER ? now_ms + 1000 : next_ms;
        wheel_turn(&wheel, now_ms, fire, NULL);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i == 1) {
            assert_int_equal(things[i].times, 0);
            continue;
        }
        assert_int_equal(things[i].times, 1);
        assert_true(things[i].fired_ms >= things[i].at_ms);
        assert_true(things[i].fired_ms <= things[i].at_ms + 2 * WHEEL_TICK_MS);
    }
}

static void a_leap_fires_all_that_is_due(void **state)
{
    struct thing soon = {0}, late = {0};
    (void)state;
    now_ms = 0;
    wheel_init(&wheel, now_ms);
    wheel_add(&wheel, &soon.node, 100);
    wheel_add(&wheel, &late.node, 10000000);
    now_ms = 9999000; /* many turns of the wheel at once */
    wheel_turn(&wheel, now_ms, fire, NULL);
    assert_int_equal(soon.times, 1);
    assert_int_equal(late.times, 0);
    now_ms = 10000100;
    wheel_turn(&wheel, now_ms, fire, NULL);
    assert_int_equal(late.times, 1);
}

static struct thing others[3];

static void fire_and_remove(void *self, struct wheel_node *n)
{
    (void)n;
    (*(unsigned *)self)++;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        wheel_remove(&others[i].node);
    }
}

static void all_may_be_removed_in_a_callback(void **state)
{
    unsigned fired = 0;
    (void)state;
    wheel_init(&wheel, 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        wheel_add(&wheel, &others[i].node, 100);
    }
    wheel_turn(&wheel, 200, fire_and_remove, &fired);
    assert_int_equal(fired, 1);
    assert_int_equal(wheel_next_ms(&wheel), WHEEL_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_fire_once_and_never_early),
        cmocka_unit_test(a_leap_fires_all_that_is_due),
        cmocka_unit_test(all_may_be_removed_in_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
