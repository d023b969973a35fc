/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "sources/fetch.h"

TEST(retry_after_is_seconds_or_a_date)
{
    int64_t now_ms = 0;
    assert_ok(clock_parse_rfc3339(STR("2021-05-18T14:01:12Z"), &now_ms));
    static const struct {
        const char *value;
        uint64_t expected_ms;
    } cases[] = {
        {"17", 17000},
        {" 120 ", 120000},
        {"0", 0},
        {"", 0},
        {"-5", 0},
        {"1.5", 0},
        {"soon", 0},
        {"Tue, 18 May 2021 14:02:12 GMT", 60000},
        {"Tue, 18 May 2021 14:01:12 GMT", 0},
        {"Mon, 17 May 2021 14:01:12 GMT", 0},
        {"18446744073709551615", UINT64_MAX},
        {"99999999999999999999999", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].value);
        assert_true(fetch_retry_after_ms(str_of(cases[i].value), now_ms) == cases[i].expected_ms);
    }
    test_case(NULL);
}

TEST(secrets_in_urls_are_masked)
{
    static const struct {
        const char *url, *expected;
    } cases[] = {
        {"https://api.taapi.io/rsi?secret=abc&symbol=BTC/USDT",
         "https://api.taapi.io/rsi?secret=***&symbol=BTC/USDT"},
        {"https://h/p?a=1&x_cg_demo_api_key=k&b=2", "https://h/p?a=1&x_cg_demo_api_key=***&b=2"},
        {"https://h/p?APIKEY=k", "https://h/p?APIKEY=***"},
        {"https://user:pass@h:1/p?q=a@b", "https://***@h:1/p?q=a@b"},
        {"http://h/a@b", "http://h/a@b"},
        {"http://h?secret=x", "http://h?secret=***"},
        {"no url", "no url"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        fetch_mask_url(&out, str_of(cases[i].url));
        assert_buf(&out, cases[i].expected);
        buf_fini(&out);
    }
}

TEST(secrets_are_escaped_for_a_query)
{
    struct buf out = {0};
    fetch_escape(&out, STR("a-Z_0.9~&=?/ \xc3\xa9%"));
    assert_buf(&out, "a-Z_0.9~%26%3D%3F%2F%20%C3%A9%25");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(secrets_in_urls_are_masked),
        cmocka_unit_test(secrets_are_escaped_for_a_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
