/* Objects of a few sizes side by side, and what becomes of freed ones. SPDX-License-Identifier: MIT
 */
#include "base/slab.h"

#include "base/alloc.h"
#include "base/thread.h"
#include "tests/lib/test.h"

enum { ROOM = 4 << 20 };

TEST(objects_lie_side_by_side_each_at_a_line_of_its_own)
{
    struct slab *s = slab_new(ROOM);
    assert_non_null(s);
    char *a = slab_take(s, 1), *b = slab_take(s, 65), *c = slab_take(s, SLAB_OBJECT_MAX);
    assert_int_equal((uintptr_t)a % CACHE_LINE, 0);
    assert_ptr_equal(b, a + 64);
    assert_ptr_equal(c, b + 128);
    assert_int_equal(slab_size_of(s, a), 64);
    assert_int_equal(slab_size_of(s, b), 128);
    assert_int_equal(slab_size_of(s, c), SLAB_OBJECT_MAX);
    memset(a, 1, 64), memset(b, 2, 128), memset(c, 3, SLAB_OBJECT_MAX);
    assert_int_equal(a[63], 1);
    assert_int_equal(b[127], 2);
    assert_true(slab_holds(s, a) && slab_holds(s, c + SLAB_OBJECT_MAX - 1));
    assert_false(slab_holds(s, s));
    assert_false(slab_holds(s, NULL));
    slab_free(s);
    slab_free(NULL);
}

TEST(the_next_of_a_size_gets_what_was_freed_last)
{
    struct slab *s = slab_new(ROOM);
    void *a = slab_take(s, 200), *b = slab_take(s, 256), *other = slab_take(s, 64);
    slab_give(s, a);
    slab_give(s, b);
    slab_give(s, other);
    assert_ptr_equal(slab_take(s, 193), b);
    assert_ptr_equal(slab_take(s, 256), a);
    assert_ptr_equal(slab_take(s, 0), other);
    slab_free(s);
}

TEST(what_is_taken_counts_as_memory_in_use)
{
    struct slab *s = slab_new(ROOM);
    size_t before = slabs_in_use();
    size_t all_before = mem_in_use();
    void *a = slab_take(s, 1000);
    assert_int_equal(slabs_in_use(), before + 1024);
    assert_int_equal(mem_in_use(), all_before + 1024);
    slab_give(s, a);
    assert_int_equal(slabs_in_use(), before);
    slab_free(s);
}

TEST(too_large_and_too_many_are_refused)
{
    struct slab *s = slab_new(ROOM);
    size_t n = 0;
    assert_null(slab_take(s, SLAB_OBJECT_MAX + 1));
    while (slab_take(s, SLAB_OBJECT_MAX)) {
        n++;
    }
    /* Two chunks of 2 MiB, each with a table of 32 KiB. */
    assert_int_equal(n, 2 * ((2 << 20) - (32 << 10)) / SLAB_OBJECT_MAX);
    assert_null(slab_take(s, SLAB_OBJECT_MAX));
    slab_free(s);
    assert_null(slab_new(SIZE_MAX / 2)); /* so many addresses there are not */
}

/* Each fills what it has with its own sign: nobody else may have it. */
static void come_and_go(void *self)
{
    static _Atomic char signs;
    struct slab *s = self;
    char *held[16] = {0};
    char sign = ++signs;
    for (size_t i = 0; i < 20000; i++) {
        size_t at = i * 7 % ARRAY_LEN(held), size = 64 * (1 + i % 3);
        if (held[at]) {
            if (held[at][8] != sign || held[at][63] != sign) {
                abort();
            }
            slab_give(s, held[at]);
        }
        held[at] = slab_take(s, size);
        if (!held[at]) {
            abort();
        }
        memset(held[at], sign, size);
    }
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        slab_give(s, held[i]);
    }
}

TEST(threads_share_one)
{
    struct slab *s = slab_new(ROOM);
    size_t before = slabs_in_use();
    struct thread *threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_ok(thread_start("slab", come_and_go, s, &threads[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        thread_join(threads[i]);
    }
    assert_int_equal(slabs_in_use(), before);
    slab_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_lie_side_by_side_each_at_a_line_of_its_own),
        cmocka_unit_test(the_next_of_a_size_gets_what_was_freed_last),
        cmocka_unit_test(what_is_taken_counts_as_memory_in_use),
        cmocka_unit_test(too_large_and_too_many_are_refused),
        cmocka_unit_test(threads_share_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
