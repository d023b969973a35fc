/* SPDX-License-Identifier: MIT */
#include "api/sio.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/lib/test.h"

struct rig {
    struct clock clock;
    struct loop *loop;
    struct sio_memory *memory;
};

static struct rig *rig_new(void)
{
    struct rig *r = mem_zero(sizeof(*r));
    clock_init_virtual(&r->clock, 1000, 0);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &r->clock}, &r->loop));
    r->memory = sio_memory_new(r->loop, NULL);
    return r;
}

static void rig_free(struct rig *r)
{
    sio_memory_free(r->memory);
    loop_free(r->loop);
    mem_free(r);
}

static void pass(struct rig *r, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 1000) {
        clock_advance_us(&r->clock, 1000000);
        loop_turn(r->loop, 0);
    }
}

static void tell(struct rig *r, const char *pid, uint64_t owner, size_t keys, bool gone)
{
    struct sio_state *s = mem_zero(sizeof(*s));
    snprintf(s->pid, sizeof(s->pid), "%s", pid);
    s->owner = owner;
    s->key_count = keys;
    s->keys = mem_array(keys + 1, sizeof(*s->keys));
    s->channels = mem_copy_text("", 0);
    s->gone = gone;
    letter_sio_state(r->memory, s, 0);
}

static bool knows(struct rig *r, const char *pid)
{
    return sio_memory_find(r->memory, str_of(pid)) != NULL;
}

TEST(who_left_is_remembered_for_two_minutes)
{
    struct rig *r = rig_new();
    tell(r, "a", 1, 3, false);
    pass(r, 600000);
    assert_true(knows(r, "a"));
    tell(r, "a", 1, 4, true);
    assert_int_equal(sio_memory_find(r->memory, STR("a"))->key_count, 4);
    pass(r, 115000);
    assert_true(knows(r, "a"));
    pass(r, 40000);
    assert_false(knows(r, "a"));
    rig_free(r);
}

/* A client that lost its network comes back before the server knows that the old connection is
 * dead; when it finds out, that says nothing about the new one. */
TEST(the_late_end_of_an_old_connection_forgets_nobody)
{
    struct rig *r = rig_new();
    tell(r, "a", 1, 3, false);
    tell(r, "a", 2, 5, false);
    tell(r, "a", 1, 3, true);
    assert_int_equal(sio_memory_find(r->memory, STR("a"))->key_count, 5);
    pass(r, 600000);
    assert_true(knows(r, "a"));
    tell(r, "a", 2, 5, true);
    pass(r, 160000);
    assert_false(knows(r, "a"));
    rig_free(r);
}

TEST(it_has_a_ceiling_and_forgets_first_who_left_first)
{
    struct rig *r = rig_new();
    char pid[16];
    enum { KEYS = 20000, MANY = 2000 }; /* 160 MB all together */
    tell(r, "here", 1, KEYS, false);
    for (uint64_t i = 0; i < MANY; i++) {
        snprintf(pid, sizeof(pid), "%u", (unsigned)i);
        tell(r, pid, 2 + i, KEYS, true);
    }
    assert_true(knows(r, "here"));
    assert_false(knows(r, "0"));
    assert_true(knows(r, "1999"));
    assert_true(sio_memory_bytes(r->memory) <= SIO_MEMORY_BYTES);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_left_is_remembered_for_two_minutes),
        cmocka_unit_test(the_late_end_of_an_old_connection_forgets_nobody),
        cmocka_unit_test(it_has_a_ceiling_and_forgets_first_who_left_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
