/* SPDX-License-Identifier: MIT */
#include "api/command.h"

#include "tests/lib/test.h"

TEST(a_command_is_read_in_any_order_of_members)
{
    struct command c;
    char problem[COMMAND_PROBLEM_LEN];
    assert_ok(
        command_read(STR("{\"params\":{\"since\":\"e-1\",\"max_hz\":2.5,\"x\":{}},\"id\":[1, 2],"
                         "\"channel\":\"app:a\",\"type\":\"subscribe\",\"more\":null}"),
                     &c, problem));
    assert_str(c.type, "subscribe");
    assert_str(c.id, "[1, 2]");
    assert_str(c.channel, "app:a");
    assert_str(c.since, "e-1");
    assert_near(c.max_hz, 2.5, 0);
    assert_ok(
        command_read(STR("{\"type\":\"ping\",\"timestamp\":1.50,\"params\":null}"), &c, problem));
    assert_str(c.timestamp, "1.50");
    assert_null(c.since.ptr);
    assert_ok(command_read(STR("{}"), &c, problem));
    assert_int_equal(c.type.len, 0);
}

TEST(symbols_are_looked_up_escapes_and_all)
{
    static const struct catalogue_entry entries[] = {{.name = "BTC", .key = 7},
                                                     {.name = "ETH", .key = 3}};
    struct catalogue *catalogue = catalogue_new(entries, ARRAY_LEN(entries));
    struct symbols symbols = {0};
    struct command c;
    char problem[COMMAND_PROBLEM_LEN];
    assert_ok(command_read(STR("{\"params\":{\"delta\":true,\"symbols\":[\"eth\", \"B\\u0054c\","
                               "\"x\" ,\"ETH\"]},\"type\":\"subscribe\"}"),
                           &c, problem));
    assert_true(c.delta);
    assert_ok(command_symbols(&c, catalogue, &symbols));
    assert_int_equal(symbols.count, 2);
    assert_int_equal(symbols.keys[0], 3);
    assert_int_equal(symbols.keys[1], 7);
    assert_buf(&symbols.unknown, "\"X\"");
    symbols_fini(&symbols);
    assert_ok(command_read(STR("{\"params\":{\"symbols\":null,\"delta\":null}}"), &c, problem));
    assert_null(c.symbols.ptr);
    assert_false(c.delta);
    catalogue_unref(catalogue);
}

TEST(what_is_wrong_is_said_and_the_id_kept)
{
    static const struct {
        const char *text, *part, *id;
    } cases[] = {
        {"", "Not understood", ""},
        {"[]", "must be a JSON object", ""},
        {"hello", "Not understood", ""},
        {"{\"type\":\"ping\"", "byte 14", ""},
        {"{\"id\":1,\"type\":\"ping\"} x", "byte", ""},
        {"{\"id\":1,\"type\":2}", "type must be a string", "1"},
        {"{\"id\":\"a\",\"channel\":{}}", "channel must be a string", "\"a\""},
        {"{\"id\":1,\"token\":1}", "token must be a string", "1"},
        {"{\"params\":3,\"id\":7}", "params must be an object", "7"},
        {"{\"id\":1,\"params\":{\"max_hz\":0}}", "max_hz must be", "1"},
        {"{\"id\":1,\"params\":{\"max_hz\":1001}}", "max_hz must be", "1"},
        {"{\"id\":1,\"params\":{\"max_hz\":\"2\"}}", "max_hz must be", "1"},
        {"{\"id\":1,\"params\":{\"since\":2}}", "since must be", "1"},
        {"{\"id\":1,\"params\":{\"symbols\":\"BTC\"}}", "list of at least one string", "1"},
        {"{\"id\":1,\"params\":{\"symbols\":[]}}", "list of at least one string", "1"},
        {"{\"id\":1,\"params\":{\"symbols\":[\"BTC\",1]}}", "list of at least one string", "1"},
        {"{\"id\":1,\"params\":{\"delta\":1}}", "delta must be", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct command c;
        char problem[COMMAND_PROBLEM_LEN] = "";
        test_case(cases[i].text);
        assert_err(command_read(str_of(cases[i].text), &c, problem), ERR_SYNTAX);
        assert_contains(str_of(problem), cases[i].part);
        assert_str(c.id, cases[i].id);
    }
    test_case(NULL);
}

TEST(an_interval_never_allows_more_than_was_asked_for)
{
    assert_int_equal(interval_of_hz(0), 0);
    assert_int_equal(interval_of_hz(1000), 1);
    assert_int_equal(interval_of_hz(999), 2);
    assert_int_equal(interval_of_hz(1), 1000);
    assert_int_equal(interval_of_hz(0.5), 2000);
    assert_int_equal(interval_of_hz(5e-324), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_read_in_any_order_of_members),
        cmocka_unit_test(symbols_are_looked_up_escapes_and_all),
        cmocka_unit_test(what_is_wrong_is_said_and_the_id_kept),
        cmocka_unit_test(an_interval_never_allows_more_than_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
