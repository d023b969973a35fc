/* SPDX-License-Identifier: MIT */
#include "api/wants.h"

#include "tests/lib/test.h"

struct told {
    struct buf text; /* "+3 -3 " */
    bool full;
};

static bool tell(void *self, uint32_t number, bool on)
{
    struct told *t = self;
    if (t->full) {
        return false;
    }
    buf_printf(&t->text, "%c%u ", on ? '+' : '-', number);
    return true;
}

struct rig {
    struct clock clock;
    struct told told;
    struct wants wants;
};

static void begin(struct rig *r)
{
    *r = (struct rig){0};
    clock_init_virtual(&r->clock, 1000, 1767225600000);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &r->clock}, &r->wants.loop));
    r->wants.tell = tell;
    r->wants.self = &r->told;
}

static void end(struct rig *r)
{
    struct loop *l = r->wants.loop;
    wants_fini(&r->wants);
    buf_fini(&r->told.text);
    loop_free(l);
}

TEST(the_first_and_the_last_are_told)
{
    struct rig r;
    struct held a = {0};
    struct held b = {0};
    begin(&r);
    assert_true(wants_add(&r.wants, &a, 3));
    assert_false(wants_add(&r.wants, &a, 3));
    assert_true(wants_add(&r.wants, &b, 3));
    assert_true(wants_add(&r.wants, &b, 500));
    assert_true(wants_remove(&r.wants, &a, 3));
    assert_false(wants_remove(&r.wants, &a, 3));
    assert_buf(&r.told.text, "+3 +500 ");
    wants_drop(&r.wants, &b);
    assert_int_equal(b.count, 0);
    assert_null(b.numbers);
    assert_buf(&r.told.text, "+3 +500 -500 -3 ");
    end(&r);
}

TEST(what_could_not_be_told_is_told_later_as_it_then_stands)
{
    struct rig r;
    struct held a = {0};
    begin(&r);
    r.told.full = true;
    assert_true(wants_add(&r.wants, &a, 1));
    assert_true(wants_add(&r.wants, &a, 2));
    assert_true(wants_remove(&r.wants, &a, 2));
    loop_turn(r.wants.loop, 0);
    assert_int_equal(r.told.text.len, 0);
    r.told.full = false;
    clock_advance_us(&r.clock, 1000 * 1000);
    loop_turn(r.wants.loop, 0);
    assert_buf(&r.told.text, "+1 ");
    wants_drop(&r.wants, &a);
    assert_buf(&r.told.text, "+1 -1 ");
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_last_are_told),
        cmocka_unit_test(what_could_not_be_told_is_told_later_as_it_then_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
