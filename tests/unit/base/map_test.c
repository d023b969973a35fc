/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include "tests/lib/test.h"

static int values[1000];

static struct str key_of(int i, char text[16])
{
    int n = snprintf(text, 16, "key-%d", i);
    return str_make(text, (size_t)n);
}

static void fill(struct map *m, int count)
{
    char text[16];
    for (int i = 0; i < count; i++) {
        assert_ok(map_put(m, key_of(i, text), &values[i]));
    }
}

TEST(zeroed_map_is_empty)
{
    struct map m = {0};
    size_t at = 0;
    struct str key;
    void *value = NULL;
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_false(map_next(&m, &at, &key, &value));
    map_fini(&m);
}

TEST(keeps_what_was_put_while_it_grows)
{
    struct map m = {0};
    char text[16];
    fill(&m, 1000);
    assert_int_equal(m.count, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_ptr_equal(map_get(&m, key_of(i, text)), &values[i]);
    }
    assert_null(map_get(&m, STR("key-1000")));
    map_fini(&m);
    assert_null(map_get(&m, STR("key-1")));
}

TEST(copies_its_keys)
{
    struct map m = {0};
    char key[] = "BTC";
    assert_ok(map_put(&m, str_of(key), &values[0]));
    key[0] = 'X';
    assert_ptr_equal(map_get(&m, STR("BTC")), &values[0]);
    assert_null(map_get(&m, STR("XTC")));
    map_fini(&m);
}

TEST(put_replaces)
{
    struct map m = {0};
    assert_ok(map_put(&m, STR("a"), &values[0]));
    assert_ok(map_put(&m, STR("a"), &values[1]));
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_get(&m, STR("a")), &values[1]);
    map_fini(&m);
}

TEST(empty_key_and_key_with_nul_are_keys)
{
    struct map m = {0};
    assert_ok(map_put(&m, STR(""), &values[0]));
    assert_ok(map_put(&m, STR("a\0b"), &values[1]));
    assert_ptr_equal(map_get(&m, STR("")), &values[0]);
    assert_ptr_equal(map_get(&m, STR("a\0b")), &values[1]);
    assert_null(map_get(&m, STR("a")));
    map_fini(&m);
}

TEST(refuses_beyond_its_ceiling_but_replaces)
{
    struct map m;
    map_init(&m, 2);
    assert_ok(map_put(&m, STR("a"), &values[0]));
    assert_ok(map_put(&m, STR("b"), &values[1]));
    assert_err(map_put(&m, STR("c"), &values[2]), ERR_LIMIT);
    assert_ok(map_put(&m, STR("b"), &values[3]));
    assert_ptr_equal(map_remove(&m, STR("a")), &values[0]);
    assert_ok(map_put(&m, STR("c"), &values[2]));
    map_fini(&m);
}

TEST(coming_and_going_does_not_grow_it)
{
    struct map m = {0};
    char text[16];
    for (int i = 0; i < 100000; i++) {
        assert_ok(map_put(&m, key_of(i, text), &values[0]));
        assert_ptr_equal(map_remove(&m, key_of(i, text)), &values[0]);
    }
    assert_int_equal(m.count, 0);
    assert_true(m.cap <= 16);
    map_fini(&m);
}

TEST(walk_gives_each_once_and_allows_removal_of_the_given)
{
    struct map m = {0};
    bool seen[100] = {0};
    size_t at = 0;
    struct str key;
    void *value = NULL;
    fill(&m, 100);
    while (map_next(&m, &at, &key, &value)) {
        size_t i = (size_t)((int *)value - values);
        assert_false(seen[i]);
        seen[i] = true;
        if (i % 2 == 0) {
            assert_ptr_equal(map_remove(&m, key), value);
        }
    }
    assert_int_equal(m.count, 50);
    for (size_t i = 0; i < 100; i++) {
        char text[16];
        assert_true(seen[i]);
        assert_int_equal(map_get(&m, key_of((int)i, text)) != NULL, i % 2);
    }
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_map_is_empty),
        cmocka_unit_test(keeps_what_was_put_while_it_grows),
        cmocka_unit_test(copies_its_keys),
        cmocka_unit_test(put_replaces),
        cmocka_unit_test(empty_key_and_key_with_nul_are_keys),
        cmocka_unit_test(refuses_beyond_its_ceiling_but_replaces),
        cmocka_unit_test(coming_and_going_does_not_grow_it),
        cmocka_unit_test(walk_gives_each_once_and_allows_removal_of_the_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
