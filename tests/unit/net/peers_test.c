/* Who a proxy says it speaks for, and one count for servers that share it.
 * SPDX-License-Identifier: MIT */
#include "base/tally.h"
#include "tests/lib/test.h"
#include "tests/unit/net/rig.h"

TEST(the_last_address_of_the_header_counts)
{
    static const struct {
        const char *text;
        size_t len; /* of the key; 0: none */
        bool loopback;
        uint8_t first, last;
    } cases[] = {
        {"192.0.2.7", 16, false, 0, 7},
        {"10.0.0.1, 192.0.2.8", 16, false, 0, 8},
        {" 192.0.2.9:4711 ", 16, false, 0, 9},
        {"1.2.3.4,\t2001:db8:0:9::1", 8, false, 0x20, 9},
        {"[2001:db8:0:9::1]", 8, false, 0x20, 9},
        {"[2001:db8:0:9::1]:4711", 8, false, 0x20, 9},
        {"::ffff:192.0.2.7", 16, false, 0, 7},
        {"127.0.0.1", 16, true, 0, 1},
        {"::1", 8, true, 0, 0},
        {"", 0, false, 0, 0},
        {"192.0.2.7,", 0, false, 0, 0},
        {"unknown", 0, false, 0, 0},
        {"192.0.2.256", 0, false, 0, 0},
        {"[", 0, false, 0, 0},
        {"1111111111111111111111111111111111111111111111111111111111", 0, false, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t peer[16] = {0};
        bool loopback = false;
        struct str key = net_forwarded_key(str_of(cases[i].text), peer, &loopback);
        assert_int_equal(key.len, cases[i].len);
        assert_int_equal(loopback, cases[i].loopback);
        if (key.len) {
            assert_int_equal((uint8_t)key.ptr[0], cases[i].first);
            assert_int_equal((uint8_t)key.ptr[key.len - 1], cases[i].last);
        }
    }
}

static void servers_that_share_a_count_let_an_address_in_as_often_as_one(void **state)
{
    struct tally *both = tally_new(100);
    struct net_opts opts = {.max_conns_per_ip = 3, .limit_loopback = true, .conns_of = both};
    struct rig *one = rig_new(rig_io(state), false, opts);
    struct rig *two = rig_new(rig_io(state), false, opts);
    struct buf in = {0};
    int a = rig_connect(one), b = rig_connect(two), c = rig_connect(two);
    rig_wait_conns(one, 1);
    rig_wait_conns(two, 2);
    int d = rig_connect(one);
    assert_true(rig_wait_end(one, d, &in));
    assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 429 ")));
    close(b), close(d);
    rig_wait_conns(two, 1);
    rig_wait_conns(one, 1);
    int e = rig_connect(one);
    rig_say(e, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    buf_clear(&in);
    assert_true(rig_wait_text(one, e, &in, "/hello"));
    close(a), close(c), close(e);
    rig_wait_conns(one, 0);
    rig_wait_conns(two, 0);
    uint8_t peer[16] = {0};
    bool loopback = false;
    assert_int_equal(tally_count(both, net_forwarded_key(STR("127.0.0.1"), peer, &loopback)), 0);
    buf_fini(&in);
    rig_free(one);
    rig_free(two);
    tally_free(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_address_of_the_header_counts),
        BOTH(servers_that_share_a_count_let_an_address_in_as_often_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
