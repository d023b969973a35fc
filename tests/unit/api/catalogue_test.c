/* SPDX-License-Identifier: MIT */
#include "api/catalogue.h"

#include "tests/lib/test.h"

static struct catalogue *some(void)
{
    static const struct catalogue_entry entries[] = {
        {.name = "SOL", .key = 2, .flags = SYMBOL_OFFERED},
        {.name = "BTC", .key = 0, .flags = SYMBOL_WATCHED | SYMBOL_OFFERED},
        {.name = "ETH", .key = 1, .flags = SYMBOL_WATCHED},
    };
    return catalogue_new(entries, ARRAY_LEN(entries));
}

TEST(a_symbol_is_found_in_any_case)
{
    struct catalogue *c = some();
    assert_int_equal(catalogue_find(c, STR("btc"))->key, 0);
    assert_int_equal(catalogue_find(c, STR("Sol"))->key, 2);
    assert_string_equal(catalogue_find(c, STR("eTH"))->name, "ETH");
    assert_null(catalogue_find(c, STR("BT")));
    assert_null(catalogue_find(c, STR("")));
    assert_null(catalogue_find(c, STR("A1234567890123456")));
    assert_null(catalogue_find(NULL, STR("BTC")));
    catalogue_unref(c);
}

TEST(a_list_holds_each_symbol_once_and_names_the_unknown)
{
    struct catalogue *c = some();
    struct symbols s = {0};
    static const char *const names[] = {"btc", "SOL", "nope", "BTC", "Nope", "a\"b", "sol"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_ok(symbols_add(&s, c, str_of(names[i])));
    }
    assert_int_equal(s.count, 2);
    assert_int_equal(s.keys[0], 0);
    assert_int_equal(s.keys[1], 2);
    assert_buf(&s.unknown, "\"NOPE\",\"A\\\"B\"");
    assert_int_equal(s.unknown_count, 2);
    symbols_fini(&s);
    catalogue_unref(c);
}

TEST(a_list_has_at_most_so_many_different_symbols)
{
    struct catalogue *c = some();
    struct symbols s = {0};
    char name[16];
    for (int i = 0; i < SYMBOLS_MAX - 1; i++) {
        int n = snprintf(name, sizeof(name), "X%d", i);
        assert_ok(symbols_add(&s, c, str_make(name, (size_t)n)));
    }
    assert_ok(symbols_add(&s, c, STR("ETH")));
    assert_err(symbols_add(&s, c, STR("BTC")), ERR_LIMIT);
    assert_err(symbols_add(&s, c, STR("Y")), ERR_LIMIT);
    assert_ok(symbols_add(&s, c, STR("eth"))); /* named already */
    assert_ok(symbols_add(&s, c, STR("x7")));
    assert_int_equal(s.named, SYMBOLS_MAX);
    symbols_fini(&s);
    catalogue_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_symbol_is_found_in_any_case),
        cmocka_unit_test(a_list_holds_each_symbol_once_and_names_the_unknown),
        cmocka_unit_test(a_list_has_at_most_so_many_different_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
