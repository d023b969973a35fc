/* SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "tests/lib/test.h"

static struct http_request request_of(const char *host, const char *name, const char *value)
{
    struct http_request r = {.host = str_of(host)};
    if (name) {
        r.headers[r.header_count++] =
            (struct http_header){.name = str_of(name), .value = str_of(value)};
    }
    return r;
}

TEST(an_origin_is_absent_the_same_or_named)
{
    static const struct {
        const char *origin, *host;
        bool tls, allowed;
    } cases[] = {
        {NULL, "a.example", false, true},
        {"http://a.example", "a.example", false, true},
        {"http://A.example", "a.example", false, true},
        {"http://a.example:8000", "a.example:8000", false, true},
        {"http://a.example", "a.example:8000", false, false},
        {"https://a.example", "a.example", false, false},
        {"https://a.example", "a.example", true, true},
        {"http://a.example", "a.example", true, false},
        {"null", "a.example", false, false},
        {"", "a.example", false, false},
        {"http://", "", false, false},
        {"https://listed.example", "a.example", false, true},
        {"https://LISTED.example", "a.example", false, true},
        {"https://second.example", "a.example", false, true},
        {"https://listed.example.evil", "a.example", false, false},
        {"http://evil.example", "a.example", false, false},
    };
    struct api_settings s = {.origins = "https://listed.example , https://second.example"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].origin);
        struct http_request r =
            request_of(cases[i].host, cases[i].origin ? "Origin" : NULL, cases[i].origin);
        assert_int_equal(origin_allowed(&s, &r, cases[i].tls, NULL), cases[i].allowed);
    }
    test_case(NULL);
}

TEST(only_a_foreign_origin_that_is_allowed_gets_headers)
{
    struct api_settings s = {.origins = "*"};
    struct buf cors = {0};
    struct http_request r = request_of("a.example", "Origin", "http://a.example");
    assert_true(origin_allowed(&s, &r, false, &cors));
    assert_int_equal(cors.len, 0);
    r = request_of("a.example", "Origin", "null"); /* never, whatever is listed */
    assert_false(origin_allowed(&s, &r, false, &cors));
    assert_int_equal(cors.len, 0);
    r = request_of("a.example", "Origin", "https://b.example");
    assert_true(origin_allowed(&s, &r, false, &cors));
    assert_buf(&cors, "Access-Control-Allow-Origin: https://b.example\r\nVary: Origin\r\n");
    buf_fini(&cors);
}

TEST(a_server_of_its_own_machine_knows_its_names)
{
    static const char *const good[] = {"localhost",    "LOCALHOST:8000",    "127.0.0.1",
                                       "127.0.0.1:80", "127.1.2.3",         "[::1]",
                                       "[::1]:8000",   "app.localhost:8000"};
    static const char *const bad[] = {"127.evil.example",
                                      "127.0.0.1.evil.example",
                                      "evil.example",
                                      "[::2]",
                                      "[::1]evil",
                                      "127.",
                                      "localhost.evil",
                                      "192.168.0.1",
                                      ""};
    struct api_settings s = {.loopback_only = true};
    struct api_settings open = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        test_case(good[i]);
        struct http_request r = request_of(good[i], NULL, NULL);
        assert_true(host_allowed(&s, &r));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_case(bad[i]);
        struct http_request r = request_of(bad[i], NULL, NULL);
        assert_false(host_allowed(&s, &r));
        assert_true(host_allowed(&open, &r));
    }
    test_case(NULL);
}

TEST(a_token_is_none_wrong_or_right)
{
    static const struct {
        const char *value;
        enum token_check expected;
    } cases[] = {
        {NULL, TOKEN_NONE},
        {"", TOKEN_NONE},
        {"Basic secret", TOKEN_NONE},
        {"Bearer", TOKEN_NONE},
        {"Bearer ", TOKEN_WRONG},
        {"Bearer secre", TOKEN_WRONG},
        {"Bearer secret!", TOKEN_WRONG},
        {"Bearer SECRET", TOKEN_WRONG},
        {"Bearer secret", TOKEN_RIGHT},
        {"bearer  secret ", TOKEN_RIGHT},
    };
    struct api_settings s = {.token = "secret"};
    struct api_settings off = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].value);
        struct http_request r =
            request_of("x", cases[i].value ? "Authorization" : NULL, cases[i].value);
        assert_int_equal(check_token(&s, &r), cases[i].expected);
        assert_int_not_equal(check_token(&off, &r), TOKEN_RIGHT);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_absent_the_same_or_named),
        cmocka_unit_test(only_a_foreign_origin_that_is_allowed_gets_headers),
        cmocka_unit_test(a_server_of_its_own_machine_knows_its_names),
        cmocka_unit_test(a_token_is_none_wrong_or_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
