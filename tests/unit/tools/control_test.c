/* SPDX-License-Identifier: MIT */
#include "tools/control.h"

#include "tools/answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = control_new();
    return 0;
}

static int teardown(void **state)
{
    control_free(*state);
    return 0;
}

static enum err set(struct control *c, const char *json)
{
    struct buf error = {0};
    enum err e = control_set(c, str_of(json), &error);
    assert_true((e == OK) == (error.len == 0));
    buf_fini(&error);
    return e;
}

static size_t target(const char *path)
{
    size_t t = answer_target_of(str_of(path));
    assert_true(t != SIZE_MAX);
    return t;
}

static void a_fault_ends_after_its_times(void **state)
{
    struct control *c = *state;
    size_t global = target("/api/v3/global");
    assert_int_equal(
        set(c, "{\"target\":\"coingecko/global\",\"fault\":\"429\",\"value\":60,\"times\":2}"), OK);
    assert_int_equal(control_take(c, target("/fng")).fault, FAULT_NONE);
    assert_int_equal(control_take(c, global).fault, FAULT_429);
    assert_int_equal(control_take(c, global).value, 60);
    assert_int_equal(control_take(c, global).fault, FAULT_NONE);
}

static void a_fault_without_times_stays_until_none(void **state)
{
    struct control *c = *state;
    size_t klines = target("/api/v3/klines");
    assert_int_equal(set(c, "{\"target\":\"binance/klines\",\"fault\":\"silence\"}"), OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(control_take(c, klines).fault, FAULT_SILENCE);
    }
    assert_int_equal(set(c, "{\"target\":\"binance/klines\",\"fault\":\"none\"}"), OK);
    assert_int_equal(control_take(c, klines).fault, FAULT_NONE);
}

static void the_most_exact_target_counts(void **state)
{
    struct control *c = *state;
    assert_int_equal(set(c, "{\"target\":\"*\",\"fault\":\"garbage\"}"), OK);
    assert_int_equal(set(c, "{\"target\":\"kraken\",\"fault\":\"5xx\",\"value\":502}"), OK);
    assert_int_equal(set(c, "{\"target\":\"Kraken/ohlc\",\"fault\":\"half\",\"times\":1}"), OK);
    assert_int_equal(control_take(c, target("/0/public/OHLC")).fault, FAULT_HALF);
    assert_int_equal(control_take(c, target("/0/public/OHLC")).fault, FAULT_5XX);
    assert_int_equal(control_take(c, target("/0/public/Time")).value, 502);
    assert_int_equal(control_take(c, target("/fng")).fault, FAULT_GARBAGE);
    assert_int_equal(control_take(c, SIZE_MAX).fault, FAULT_GARBAGE);
}

static void wrong_orders_change_nothing_and_say_what_would_be_right(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{",
        "{\"target\":\"nobody/else\",\"fault\":\"cut\"}",
        "{\"fault\":\"cut\"}",
        "{\"target\":\"taapi/rsi\"}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"explode\"}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"latency\"}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"latency\",\"value\":-1}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"5xx\",\"value\":200}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"cut\",\"times\":\"x\"}",
        "{\"target\":\"taapi/rsi\",\"fault\":\"cut\",\"times\":-1}",
    };
    struct control *c = *state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_not_equal(set(c, wrong[i]), OK);
    }
    assert_int_equal(control_take(c, target("/rsi")).fault, FAULT_NONE);
}

static void a_web_socket_has_faults_of_its_own(void **state)
{
    struct control *c = *state;
    size_t ws = answer_target_named("kraken/ws");
    assert_true(answer_target_is_ws(ws));
    assert_int_equal(set(c, "{\"target\":\"kraken/OHLC\",\"fault\":\"skip\"}"), ERR_RANGE);
    assert_int_equal(set(c, "{\"target\":\"*\",\"fault\":\"skip\"}"), ERR_RANGE);
    assert_int_equal(set(c, "{\"target\":\"kraken/ws\",\"fault\":\"skew\"}"), ERR_RANGE);
    assert_int_equal(set(c, "{\"target\":\"kraken/ws\",\"fault\":\"skew\",\"value\":-5}"), OK);
    assert_int_equal(control_peek(c, ws).value, -5);
    assert_int_equal(
        set(c, "{\"target\":\"kraken/ws\",\"fault\":\"skip\",\"value\":2,\"times\":1}"), OK);
    assert_int_equal(control_peek(c, ws).fault, FAULT_SKIP);
    assert_int_equal(control_peek(c, ws).fault, FAULT_SKIP); /* looking takes nothing */
    control_use(c, ws);
    assert_int_equal(control_peek(c, ws).fault, FAULT_NONE);
    assert_int_equal(set(c, "{\"target\":\"kraken\",\"fault\":\"silence\"}"), OK);
    assert_int_equal(control_peek(c, ws).fault, FAULT_SILENCE);
}

static void it_shows_what_is_set_and_what_was_asked(void **state)
{
    struct control *c = *state;
    struct buf out = {0};
    struct json *root;
    int64_t n = -1;
    struct str text = STR("");
    assert_int_equal(set(c, "{\"target\":\"alternative/fng\",\"fault\":\"latency\",\"value\":50}"),
                     OK);
    (void)control_take(c, target("/fng/"));
    (void)control_take(c, target("/fng/"));
    (void)control_take(c, SIZE_MAX);
    control_write(c, false, &out);
    assert_int_equal(json_parse(buf_str(&out), &root, NULL), OK);
    const struct json *asked = json_get(root, "requests");
    assert_true(json_get_i64(json_get(asked, "alternative/fng"), &n) && n == 2);
    assert_true(json_get_i64(json_get(asked, "coingecko/global"), &n) && n == 0);
    assert_true(json_get_i64(json_get(asked, "unknown"), &n) && n == 1);
    const struct json *fault = json_at(json_get(root, "faults"), 0);
    assert_true(json_get_str(json_get(fault, "fault"), &text) && str_eq(text, STR("latency")));
    assert_int_equal(json_kind(json_get(fault, "times")), JSON_NULL);
    json_free(root);
    buf_fini(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_fault_ends_after_its_times),
        T(a_fault_without_times_stays_until_none),
        T(the_most_exact_target_counts),
        T(wrong_orders_change_nothing_and_say_what_would_be_right),
        T(a_web_socket_has_faults_of_its_own),
        T(it_shows_what_is_set_and_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
