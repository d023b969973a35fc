/* What is read of a publish body, and of the parameters of streams and polls.
 * SPDX-License-Identifier: MIT */
#include "api/letters.h"
#include "api/wishes.h"
#include "base/alloc.h"
#include "tests/lib/test.h"

static enum err read_body(const char *body, struct post **post, char why[POST_PROBLEM_LEN])
{
    *post = mem_zero(sizeof(**post));
    return post_read(*post, str_of(body), why);
}

TEST(one_message_or_a_list_is_taken_byte_for_byte)
{
    struct post *p = NULL;
    char why[POST_PROBLEM_LEN];
    assert_ok(read_body("{\"data\": {\"a\" : 1.50 },\"x\":[1],\"channel\":\"app:a\"}", &p, why));
    assert_int_equal(p->count, 1);
    assert_str(p->items[0].channel, "app:a");
    assert_str(p->items[0].data, "{\"a\" : 1.50 }");
    post_free(p);
    assert_ok(read_body(" [{\"channel\":\"app:a\",\"data\":null}, {\"channel\":\"app:b-_.:9\","
                        "\"data\":\"\\u00e9\"}] ",
                        &p, why));
    assert_int_equal(p->count, 2);
    assert_str(p->items[0].data, "null");
    assert_str(p->items[1].data, "\"\\u00e9\"");
    post_free(p);
    assert_ok(read_body("[]", &p, why));
    assert_int_equal(p->count, 0);
    post_free(p);
}

TEST(what_is_wrong_with_a_body_is_said)
{
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"", "not JSON"},
        {"1", "must be {"},
        {"\"x\"", "must be {"},
        {"{", "not JSON"},
        {"{\"channel\":\"app:a\",\"data\":1} x", "not JSON"},
        {"{\"channel\":\"app:a\",\"data\":}", "not JSON"},
        {"{\"channel\":\"app:a\",\"data\":01}", "not JSON"},
        {"[{\"channel\":\"app:a\",\"data\":1},]", "not JSON"},
        {"{\"channel\":\"app:a\"}", "Message 0 has no data"},
        {"{\"data\":1}", "Message 0: channel must be \"app:\""},
        {"{\"channel\":1,\"data\":1}", "Message 0: channel must be a string"},
        {"{\"channel\":\"dashboard_update\",\"data\":1}", "Message 0: channel must be \"app:\""},
        {"{\"channel\":\"app:\",\"data\":1}", "Message 0: channel must be \"app:\""},
        {"{\"channel\":\"app:a b\",\"data\":1}", "Message 0: channel must be \"app:\""},
        {"[{\"channel\":\"app:a\",\"data\":1},7]", "Message 1 is no object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct post *p = NULL;
        char why[POST_PROBLEM_LEN] = "";
        test_case(cases[i].body);
        assert_err(read_body(cases[i].body, &p, why), ERR_SYNTAX);
        assert_contains(str_of(why), cases[i].part);
        post_free(p);
    }
    test_case(NULL);
}

TEST(a_list_has_ten_thousand_messages_at_most)
{
    for (int more = 0; more < 2; more++) {
        struct buf body = {0};
        struct post *p = NULL;
        char why[POST_PROBLEM_LEN] = "";
        buf_add_char(&body, '[');
        for (int i = 0; i < 10000 + more; i++) {
            buf_printf(&body, "%s{\"channel\":\"app:a\",\"data\":%d}", i ? "," : "", i);
        }
        buf_add_char(&body, ']');
        assert_err(read_body(buf_text(&body), &p, why), more ? ERR_SYNTAX : OK);
        if (more) {
            assert_contains(str_of(why), "at most 10000");
        } else {
            assert_int_equal(p->count, 10000);
            assert_str(p->items[9999].data, "9999");
        }
        post_free(p);
        buf_fini(&body);
    }
}

/* ---- streams and polls ---- */

TEST(wishes_are_read_from_the_query)
{
    struct wishes w = {0};
    const char *why = NULL;
    assert_ok(wishes_read(&w, NULL, STR("channels=app%3Aa,%20dashboard_update&max_hz=3&since=e-7"),
                          (struct str){0}, &why));
    assert_int_equal(w.count, 2);
    assert_str(w.subs[0].channel, "app:a");
    assert_str(w.subs[1].channel, "dashboard_update");
    assert_int_equal(w.subs[0].interval_ms, 334); /* never more than 3 a second */
    assert_true(w.has_since);
    assert_buf(&w.since, "e-7");
    wishes_fini(&w);
    w = (struct wishes){0};
    assert_ok(wishes_read(&w, NULL, STR("since=e-7"), STR("e-9"), &why));
    assert_int_equal(w.count, 2);
    assert_str(w.subs[0].channel, "dashboard_update");
    assert_str(w.subs[1].channel, "btc_price_update");
    assert_buf(&w.since, "e-9"); /* the browser's own place is the later one */
    wishes_fini(&w);
    w = (struct wishes){0};
    assert_ok(wishes_read(&w, NULL, STR("max_hz=1e-300"), (struct str){0}, &why));
    assert_int_equal(w.subs[0].interval_ms, UINT32_MAX);
    assert_false(w.has_since);
    wishes_fini(&w);
}

TEST(wishes_that_make_no_sense_are_refused)
{
    static const char *const bad[] = {"max_hz=0",        "max_hz=-1",         "max_hz=1001",
                                      "max_hz=x",        "max_hz=nan",        "max_hz=inf",
                                      "channels=nobody", "channels=app:a,,x", "channels=app:%2",
                                      "channels=app:%00"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct wishes w = {0};
        const char *why = NULL;
        test_case(bad[i]);
        assert_err(wishes_read(&w, NULL, str_of(bad[i]), (struct str){0}, &why), ERR_SYNTAX);
        assert_non_null(why);
        wishes_fini(&w);
    }
    test_case(NULL);
}

TEST(at_most_a_hundred_channels_are_named)
{
    for (int count = 100; count <= 101; count++) {
        struct wishes w = {0};
        struct buf query = {0};
        const char *why = NULL;
        buf_add_lit(&query, "channels=");
        for (int i = 0; i < count; i++) {
            buf_printf(&query, "%sapp:%d", i ? "," : "", i);
        }
        assert_err(wishes_read(&w, NULL, buf_str(&query), (struct str){0}, &why),
                   count > 100 ? ERR_SYNTAX : OK);
        wishes_fini(&w);
        buf_fini(&query);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_or_a_list_is_taken_byte_for_byte),
        cmocka_unit_test(what_is_wrong_with_a_body_is_said),
        cmocka_unit_test(a_list_has_ten_thousand_messages_at_most),
        cmocka_unit_test(wishes_are_read_from_the_query),
        cmocka_unit_test(wishes_that_make_no_sense_are_refused),
        cmocka_unit_test(at_most_a_hundred_channels_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
