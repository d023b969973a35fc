/* Which proxy is between us and a host. SPDX-License-Identifier: MIT */
#include "sources/outward.h"

#include "tests/lib/test.h"

static const char *set[8]; /* "name=value" */

static char *env(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(set) && set[i]; i++) {
        if (strncmp(set[i], name, len) == 0 && set[i][len] == '=') {
            return (char *)(uintptr_t)(set[i] + len + 1);
        }
    }
    return NULL;
}

static void assert_proxy(const struct outward *o, const char *scheme, const char *host,
                         const char *url, const char *from)
{
    struct outward_proxy p = outward_proxy_of(o, env, str_of(scheme), str_of(host));
    if (!url) {
        assert_null(p.url);
        assert_null(p.from);
        return;
    }
    assert_non_null(p.url);
    assert_string_equal(p.url, url);
    assert_string_equal(p.from, from);
}

static int no_env(void **state)
{
    (void)state;
    memset(set, 0, sizeof(set));
    return 0;
}

TEST(none_is_set)
{
    assert_proxy(NULL, "https", "api.kraken.com", NULL, NULL);
    set[0] = "https_proxy=";
    assert_proxy(NULL, "https", "api.kraken.com", NULL, NULL);
}

TEST(the_environment_by_scheme)
{
    set[0] = "http_proxy=http://plain:1";
    set[1] = "HTTPS_PROXY=http://secure:2";
    assert_proxy(NULL, "https", "h.test", "http://secure:2", "HTTPS_PROXY");
    assert_proxy(NULL, "wss", "h.test", "http://secure:2", "HTTPS_PROXY");
    assert_proxy(NULL, "http", "h.test", "http://plain:1", "http_proxy");
    assert_proxy(NULL, "ws", "h.test", "http://plain:1", "http_proxy");
    set[2] = "https_proxy=http://small:3";
    assert_proxy(NULL, "wss", "h.test", "http://small:3", "https_proxy");
    set[0] = "HTTP_PROXY=http://plain:1"; /* may come from a request's header */
    assert_proxy(NULL, "ws", "h.test", NULL, NULL);
    set[0] = "ALL_PROXY=socks5h://all:4";
    assert_proxy(NULL, "ws", "h.test", "socks5h://all:4", "ALL_PROXY");
}

TEST(the_setting_comes_before_the_environment_and_behind_exemptions)
{
    const struct outward o = {.proxy = "socks5h://own:1"};
    set[0] = "https_proxy=http://other:2";
    assert_proxy(&o, "https", "h.test", "socks5h://own:1", "COINCAST_PROXY");
    assert_proxy(&o, "ws", "h.test", "socks5h://own:1", "COINCAST_PROXY");
    assert_proxy(&o, "wss", "127.0.0.1", NULL, NULL);
    assert_proxy(&o, "wss", "127.9.9.9", NULL, NULL);
    assert_proxy(&o, "wss", "::1", NULL, NULL);
    assert_proxy(&o, "wss", "localhost", NULL, NULL);
    set[1] = "NO_PROXY=h.test";
    assert_proxy(&o, "https", "h.test", NULL, NULL);
    assert_proxy(&o, "https", "g.test", "socks5h://own:1", "COINCAST_PROXY");
}

TEST(exemptions)
{
    static const struct {
        const char *list, *host;
        bool exempt;
    } cases[] = {
        {"*", "a.test", true},
        {"a.test", "a.test", true},
        {"A.Test", "a.tesT", true},
        {"a.test", "a.test.", true},
        {"a.test", "b.a.test", true},
        {".a.test", "b.a.test", true},
        {".a.test", "a.test", true},
        {"a.test", "ba.test", false},
        {"b.a.test", "a.test", false},
        {"x, a.test ,y", "a.test", true},
        {"x a.test", "a.test", true},
        {"", "a.test", false},
        {",, ,", "a.test", false},
        {".", "a.test", false},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.30", false},
        {"2.3", "10.1.2.3", false},
        {"10.0.0.0/8", "10.1.2.3", true},
        {"10.0.0.0/15", "10.1.2.3", true},
        {"10.0.0.0/16", "10.1.2.3", false},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/x", "10.0.0.0", false},
        {"0.0.0.0/0", "10.1.2.3", true},
        {"0.0.0.0/0", "a.test", false},
        {"0.0.0.0/0", "fd00::1", false},
        {"fd00::/8", "fd12::1", true},
        {"[fd00::1]", "fd00::1", true},
        {"fd00::1", "fd00:0::1", true},
        {"fd00::/16", "fd01::1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (outward_is_exempt(str_of(cases[i].list), str_of(cases[i].host)) != cases[i].exempt) {
            fail_msg("\"%s\" and %s", cases[i].list, cases[i].host);
        }
    }
}

TEST(users_and_passwords_are_not_shown)
{
    static const struct {
        const char *url, *shown, *secret;
    } cases[] = {
        {"http://h:1", "http://h:1", ""},
        {"http://u:p@h:1", "http://***@h:1", "u:p"},
        {"http://u:p@q/r@h:1/", "http://***@h:1/",
         "u:p@q/r"}, /* should be %2F, but is no less secret */
        {"http://u:p@q@h:1/", "http://***@h:1/", "u:p@q"},
        {"u:p@h:1", "***@h:1", "u:p"},
        {"h:1", "h:1", ""},
        {"", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        outward_mask_proxy(&out, str_of(cases[i].url));
        assert_buf(&out, cases[i].shown);
        assert_true(str_eq(outward_proxy_secret(str_of(cases[i].url)), str_of(cases[i].secret)));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(none_is_set, no_env),
        cmocka_unit_test_setup(the_environment_by_scheme, no_env),
        cmocka_unit_test_setup(the_setting_comes_before_the_environment_and_behind_exemptions,
                               no_env),
        cmocka_unit_test(exemptions),
        cmocka_unit_test(users_and_passwords_are_not_shown),
    };
    return cmocka_run_group_tests_name("outward", tests, NULL, NULL);
}
