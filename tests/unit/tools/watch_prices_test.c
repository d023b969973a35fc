/* SPDX-License-Identifier: MIT */
#include "tools/watch_prices.h"
#include "tools/watch_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW INT64_C(1795264496789) /* 2026-11-21T12:34:56.789Z */

static const char full[] =
    "{\"BTC\":{\"price\":95849.90,\"quote\":\"USD\",\"change_24h\":0.591,\"volume_24h\":2.17e9,"
    "\"high_24h\":96038.33,\"low_24h\":94704.91,\"bid\":95840,\"ask\":95850,"
    "\"timestamp\":\"2026-11-21T12:34:53.789Z\",\"stale\":false,\"reason\":null,"
    "\"sources\":[{\"used\":true},{\"used\":false},{\"used\":true}]},"
    "\"SHIB\":{\"price\":\"0.00001234\",\"change_24h\":-1.5,\"bid\":null,\"ask\":null,"
    "\"stale\":true,\"reason\":\"it has been silent for too long\",\"sources\":[{\"used\":false}]},"
    "\"NEW\":{\"price\":null,\"stale\":true,\"reason\":\"no feed has said anything yet\"}}";

static bool take(struct watch_prices *p, const char *data)
{
    struct json *root = NULL;
    assert_int_equal(json_parse(str_of(data), &root, NULL), OK);
    bool any = watch_prices_take(p, root);
    json_free(root);
    return any;
}

static struct buf shown(struct watch_prices *p, size_t columns, size_t lines)
{
    struct buf out = {0};
    struct watch_table t = {.columns = columns, .lines = lines, .server_ms = NOW};
    watch_prices_table(p, &t, &out);
    return out;
}

static bool holds(const struct buf *b, const char *text)
{
    return str_find_str(buf_str(b), str_of(text)) != SIZE_MAX;
}

static void a_wide_terminal_shows_all(void **state)
{
    (void)state;
    struct watch_prices p = {0};
    assert_true(take(&p, full));
    struct buf out = shown(&p, 170, 20);
    assert_true(holds(&out, "BTC"));
    assert_true(holds(&out, "95,849.90  ▲ +0.59 %     94,704.91     96,038.33      2.17 B"));
    assert_true(holds(&out, "95,840.00     95,850.00   0.010 %   2/3    3 s"));
    assert_true(holds(&out, "0.000012340")); /* five figures */
    assert_true(holds(&out, "STALE: it has been silent for too long"));
    assert_true(holds(&out, "  no feed has said anything yet"));
    assert_false(holds(&out, "\033"));
    buf_fini(&out);
}

static void a_narrow_one_drops_columns_in_their_order(void **state)
{
    static const struct {
        size_t columns;
        const char *title; /* the last that still stands */
        const char *gone;  /* the one that does not */
    } cases[] = {{150, "VOLUME $", ""},  {110, "ASK", "VOLUME $"}, {60, "BID/ASK", "ASK   BID"},
                 {44, "FEEDS", "BID"},   {38, "AGE", "FEEDS"},     {31, "24 H", "AGE"},
                 {20, "PRICE $", "24 H"}};
    (void)state;
    struct watch_prices p = {0};
    (void)take(&p, full);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = shown(&p, cases[i].columns, 20);
        assert_true(holds(&out, cases[i].title));
        assert_true(!cases[i].gone[0] || !holds(&out, cases[i].gone));
        buf_fini(&out);
    }
    struct buf out = shown(&p, 44, 20);
    assert_true(holds(&out, "\r\n   STALE: it has been silent for too long"));
    buf_fini(&out);
}

static void nothing_is_wider_or_longer_than_the_room(void **state)
{
    (void)state;
    struct watch_prices p = {0};
    (void)take(&p, full);
    (void)take(&p, "{\"RATHERLONGNAME\":{\"price\":12345678901234,\"change_24h\":-12345.6,"
                   "\"quote\":\"USDT\",\"reason\":\"\\u001b[2J\\n and so on and so forth\"}}");
    for (size_t columns = 1; columns < 180; columns++) {
        for (size_t lines = 0; lines < 12; lines++) {
            struct buf out = shown(&p, columns, lines);
            struct str rest = buf_str(&out), line;
            size_t count = 0;
            while (str_next(&rest, '\n', &line)) {
                count++;
                line.len -= str_ends(line, STR("\r"));
                assert_true(watch_columns(line) <= columns);
            }
            assert_true(count == 0 || count - 1 <= lines); /* each line has its end before it */
            assert_false(holds(&out, "\033"));
            buf_fini(&out);
        }
    }
}

static void a_delta_sets_what_it_names(void **state)
{
    (void)state;
    struct watch_prices p = {0};
    (void)take(&p, full);
    assert_true(take(&p, "{\"BTC\":{\"price\":96000,\"bid\":null},\"SHIB\":{\"stale\":false,"
                         "\"reason\":null}}"));
    assert_int_equal(p.count, 3);
    assert_true(p.rows[0].price == 96000 && p.rows[0].bid != p.rows[0].bid);
    assert_true(p.rows[0].ask == 95850 && p.rows[0].used == 2 && p.rows[0].feeds == 3);
    assert_true(!p.rows[1].stale && p.rows[1].reason[0] == '\0');
    assert_false(take(&p, "{}"));
    assert_false(take(&p, "{\"BTC\":7,\"ETH\":{}}"));
    assert_int_equal(p.count, 3);
}

static struct watch_prices many(size_t count)
{
    struct watch_prices p = {0};
    for (size_t i = 0; i < count; i++) {
        char data[64];
        snprintf(data, sizeof(data), "{\"S%03zu\":{\"price\":%zu}}", i, i + 1);
        (void)take(&p, data);
    }
    return p;
}

static void rows_that_have_no_room_are_moved_to(void **state)
{
    (void)state;
    struct watch_prices p = many(50);
    struct buf out = shown(&p, 80, 12); /* ten rows */
    assert_true(holds(&out, "prices 1 to 10 of 50") && holds(&out, "S009"));
    assert_false(holds(&out, "S010"));
    buf_fini(&out);
    static const struct {
        enum watch_move move;
        size_t top;
    } moves[] = {{WATCH_UP, 0},    {WATCH_DOWN, 1},       {WATCH_PAGE_DOWN, 10}, {WATCH_PAGE_UP, 1},
                 {WATCH_LAST, 40}, {WATCH_PAGE_DOWN, 40}, {WATCH_UP, 39},        {WATCH_FIRST, 0}};
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        watch_prices_move(&p, moves[i].move);
        out = shown(&p, 80, 12);
        assert_int_equal(p.top, moves[i].top);
        assert_int_equal(p.shown, 10);
        buf_fini(&out);
    }
    watch_prices_move(&p, WATCH_LAST);
    out = shown(&p, 80, 100); /* the terminal grew: all of it */
    assert_int_equal(p.top, 0);
    assert_int_equal(p.shown, 50);
    buf_fini(&out);
}

static void no_more_rows_than_there_is_memory_for(void **state)
{
    (void)state;
    struct watch_prices p = many(WATCH_SYMBOLS);
    assert_false(take(&p, "{\"ONEMORE\":{\"price\":1}}"));
    assert_true(take(&p, "{\"S999\":{\"price\":5}}"));
    assert_int_equal(p.count, WATCH_SYMBOLS);
    assert_true(p.rows[999].price == 5);
}

static void a_pipe_gets_the_rows_that_changed(void **state)
{
    (void)state;
    struct watch_prices p = {0};
    struct buf out = {0};
    (void)take(&p, full);
    watch_prices_lines(&p, NOW, "demo", &out);
    assert_string_equal(
        buf_text(&out),
        "2026-11-21T12:34:56.789Z mode=demo symbol=BTC price=95849.9 quote=USD change_24h=0.591 "
        "bid=95840 ask=95850 feeds=2/3\n"
        "2026-11-21T12:34:56.789Z mode=demo symbol=SHIB price=0.00001234 quote=unknown "
        "change_24h=-1.5 bid=null ask=null feeds=0/1 stale=\"it has been silent for too long\"\n"
        "2026-11-21T12:34:56.789Z mode=demo symbol=NEW price=null quote=unknown change_24h=null "
        "bid=null ask=null feeds=0/0 stale=\"no feed has said anything yet\"\n");
    buf_clear(&out);
    (void)take(&p, "{\"BTC\":{\"price\":96000}}");
    watch_prices_lines(&p, NOW, "demo", &out);
    assert_true(holds(&out, "symbol=BTC price=96000 "));
    assert_false(holds(&out, "SHIB"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_terminal_shows_all),
        cmocka_unit_test(a_narrow_one_drops_columns_in_their_order),
        cmocka_unit_test(nothing_is_wider_or_longer_than_the_room),
        cmocka_unit_test(a_delta_sets_what_it_names),
        cmocka_unit_test(rows_that_have_no_room_are_moved_to),
        cmocka_unit_test(no_more_rows_than_there_is_memory_for),
        cmocka_unit_test(a_pipe_gets_the_rows_that_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
