/* SPDX-License-Identifier: MIT */
#include "tools/watch_text.h"
#include "tools/watch_view.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WALL INT64_C(1795264496789) /* 2026-11-21T12:34:56.789Z */

static const char dashboard[] =
    "{\"type\":\"dashboard_update\",\"mode\":\"demo\",\"data\":{\"btc_price\":68123.45,"
    "\"btc_change_24h\":-1.5,\"market_cap\":2.5e12,\"volume_24h\":9.1e10,"
    "\"fear_greed_index\":55,\"rsi_14\":null,\"stale\":[\"market_cap\",\"rsi_14\"],\"sources\":{"
    "\"btc_price\":{\"provider\":\"binance\",\"method\":\"ticker_24h\",\"age_s\":3.2},"
    "\"market_cap\":{\"provider\":\"coingecko\",\"age_s\":4000,\"reason\":\"too many requests\"},"
    "\"rsi_14\":{\"provider\":null,\"age_s\":null,\"reason\":\"not fetched yet\"}}}}";

static struct buf shown(struct watch_view *v, size_t columns, size_t rows, bool color,
                        uint64_t now_ms)
{
    struct buf out = {0};
    struct watch_look look = {.columns = columns,
                              .rows = rows,
                              .color = color,
                              .url = "ws://127.0.0.1:8000/ws",
                              .now_ms = now_ms,
                              .wall_ms = WALL};
    watch_view_screen(v, &look, &out);
    return out;
}

static bool holds(const struct buf *b, const char *text)
{
    return str_find_str(buf_str(b), str_of(text)) != SIZE_MAX;
}

static void it_shows_value_source_age_and_why_stale(void **state)
{
    (void)state;
    struct watch_view v = {0};
    assert_int_equal(watch_view_take(&v, str_of(dashboard), 1000, WALL), WATCH_SUMMARY);
    struct buf out = shown(&v, 100, 40, false, 8000);
    assert_true(holds(&out, "DEMO: SIMULATED DATA"));
    assert_true(holds(&out, "$68,123.45"));
    assert_true(holds(&out, "binance ticker_24h  10 s old")); /* 3.2 s, and 7 s went by */
    assert_true(holds(&out, "▼ -1.50 %"));
    assert_true(holds(&out, "$2.500 T"));
    assert_true(holds(&out, "STALE  coingecko  67 min old"));
    assert_true(holds(&out, "too many requests"));
    assert_true(holds(&out, "55 greed"));
    assert_true(holds(&out, "unknown") && holds(&out, "not fetched yet"));
    assert_false(holds(&out, "\033"));
    buf_fini(&out);
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    struct watch_view v = {.link = "not connected: nobody listens there; again in 1.5 s"};
    (void)watch_view_take(&v, str_of(dashboard), 0, WALL);
    (void)watch_view_take(&v,
                          STR("{\"type\":\"price_updates\",\"mode\":\"demo\",\"data\":{\"BTC\":{"
                              "\"price\":68123.45,\"change_24h\":1.25},\"SHIB\":{\"price\":"
                              "0.0000061,\"change_24h\":-0.5,\"stale\":true}}}"),
                          0, WALL);
    for (size_t columns = 1; columns < 140; columns++) {
        struct buf out = shown(&v, columns, 12, false, 0);
        struct str rest = buf_str(&out), line;
        size_t lines = 0;
        while (str_next(&rest, '\n', &line)) {
            lines++;
            if (str_ends(line, STR("\r"))) {
                line.len--;
            }
            assert_true(watch_columns(line) <= columns);
        }
        assert_true(lines <= 12);
        buf_fini(&out);
    }
    struct buf out = shown(&v, 40, 40, true, 0);
    assert_true(holds(&out, "BTC price   $68,123.45") && holds(&out, "\033["));
    assert_true(holds(&out, "DEMO: SIMULATED DATA, NOT A MARKET"));
    assert_true(holds(&out, "SHIB") && holds(&out, "0.0000061000"));
    buf_fini(&out);
}

static void a_partial_update_keeps_the_other_numbers(void **state)
{
    (void)state;
    struct watch_view v = {0};
    (void)watch_view_take(&v, str_of(dashboard), 0, WALL);
    assert_int_equal(
        watch_view_take(&v,
                        STR("{\"type\":\"btc_price_update\",\"mode\":\"demo\",\"data\":{"
                            "\"btc_price\":70000,\"btc_change_24h\":null}}"),
                        500, WALL),
        WATCH_BTC);
    assert_true(v.fields[0].value == 70000 && !v.fields[1].known);
    assert_true(v.fields[2].known && v.fields[2].value == 2.5e12);
}

static struct str dated(struct buf *b, const char *made, const char *as_of, double price)
{
    buf_clear(b);
    buf_printf(b,
               "{\"type\":\"btc_price_update\",\"mode\":\"live\",\"timestamp\":\"%s\",\"data\":{"
               "\"btc_price\":%.0f,\"sources\":{\"btc_price\":{\"as_of\":\"%s\",\"age_s\":1}}}}",
               made, price, as_of);
    return buf_str(b);
}

static void a_kept_snapshot_is_as_old_as_it_is(void **state)
{
    (void)state;
    struct watch_view v = {0};
    struct buf b = {0};
    /* the server's clock is an hour ahead of ours */
    (void)watch_view_take(&v, dated(&b, "2026-11-21T13:34:56.789Z", "2026-11-21T13:34:55Z", 5), 0,
                          WALL);
    assert_true(v.fields[0].value == 5 && v.fields[0].age_s == 1);
    (void)watch_view_take(&v, dated(&b, "2026-11-21T13:34:46.789Z", "2026-11-21T13:34:45Z", 4), 0,
                          WALL);
    assert_true(v.fields[0].value == 5); /* it has newer */
    (void)watch_view_take(&v, dated(&b, "2026-11-21T13:34:57.789Z", "2026-11-21T13:34:57Z", 6), 0,
                          WALL + 8000);
    assert_true(v.fields[0].value == 6 && v.fields[0].age_s == 8); /* it lay for 7 s */
    buf_fini(&b);
}

static void another_mode_forgets_the_numbers(void **state)
{
    (void)state;
    struct watch_view v = {0};
    (void)watch_view_take(&v, str_of(dashboard), 0, WALL);
    (void)watch_view_take(&v,
                          STR("{\"type\":\"btc_price_update\",\"mode\":\"live\",\"data\":{"
                              "\"btc_price\":70000}}"),
                          500, WALL);
    assert_string_equal(v.mode, "live");
    assert_true(v.fields[0].known && !v.fields[2].known);
}

static void a_reply_says_what_is_not_known(void **state)
{
    (void)state;
    struct watch_view v = {0};
    assert_int_equal(
        watch_view_take(&v, STR("{\"type\":\"subscribed\",\"unknown\":[\"NOPE\",\"X\"]}"), 0, WALL),
        WATCH_NOTE);
    struct buf out = shown(&v, 80, 24, false, 0);
    assert_true(holds(&out, " unknown symbols: NOPE, X"));
    buf_fini(&out);
    assert_int_equal(
        watch_view_take(&v, STR("{\"type\":\"error\",\"error\":\"None is known.\"}"), 0, WALL),
        WATCH_NOTE);
    assert_string_equal(v.note, "None is known.");
    assert_int_equal(watch_view_take(&v, STR("{\"type\":\"subscribed\"}"), 0, WALL), WATCH_NOTHING);
    assert_string_equal(v.note, "");
}

static void a_price_is_as_old_as_the_server_sees_it(void **state)
{
    (void)state;
    struct watch_view v = {0};
    /* the server's clock is an hour ahead of ours, and a delta has no time of sending */
    (void)watch_view_take(&v,
                          STR("{\"type\":\"price_updates\",\"mode\":\"demo\",\"timestamp\":"
                              "\"2026-11-21T13:34:56.789Z\",\"data\":{\"BTC\":{\"price\":5}}}"),
                          0, WALL);
    (void)watch_view_take(&v,
                          STR("{\"type\":\"price_updates\",\"delta\":true,\"data\":{\"BTC\":{"
                              "\"timestamp\":\"2026-11-21T13:34:15.789Z\"}}}"),
                          0, WALL);
    struct buf out = shown(&v, 80, 24, false, 0);
    assert_true(holds(&out, "41 s"));
    buf_fini(&out);
}

static void strange_messages_change_nothing(void **state)
{
    static const char *const strange[] = {
        "",
        "[]",
        "{",
        "{\"type\":\"dashboard_update\"}",
        "{\"type\":7,\"data\":{\"btc_price\":1}}",
        "{\"type\":\"price_updates\",\"data\":{\"BTC\":1,\"ANAMETHATISMUCHTOOLONG\":{}}}",
        "{\"type\":\"something\",\"data\":{\"btc_price\":1}}"};
    (void)state;
    struct watch_view v = {0}, before = {0};
    (void)watch_view_take(&v, str_of(dashboard), 0, WALL);
    before = v;
    for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
        assert_int_equal(watch_view_take(&v, str_of(strange[i]), 1, WALL), WATCH_NOTHING);
    }
    assert_memory_equal(&v, &before, sizeof(v));
}

static void a_server_cannot_move_the_cursor(void **state)
{
    (void)state;
    struct buf out = {0};
    watch_add_cut(&out, STR("a\033[2J\nb\xc2\x9b\x80"), 80);
    assert_string_equal(buf_text(&out), "a?[2J?b??");
    buf_clear(&out);
    watch_add_cut(&out, STR("比特币 é"), 5);
    assert_string_equal(buf_text(&out), "比特…");
    assert_int_equal(watch_columns(STR("e\xcc\x81")), 1);
    assert_int_equal(watch_columns(STR("比▲x")), 4);
    buf_fini(&out);
}

static void a_pipe_gets_one_line_with_sources(void **state)
{
    (void)state;
    struct watch_view v = {0};
    struct buf out = {0};
    (void)watch_view_take(&v, str_of(dashboard), 1000, WALL);
    struct watch_look look = {.now_ms = 2000, .wall_ms = WALL};
    watch_view_line(&v, &look, &out);
    assert_string_equal(
        buf_text(&out),
        "2026-11-21T12:34:56.789Z mode=demo btc_price=68123.45(binance,4s) "
        "btc_change_24h=-1.5(unknown) market_cap=2500000000000(coingecko,4001s,stale) "
        "volume_24h=91000000000(unknown) fear_greed_index=55(unknown) rsi_14=null");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shows_value_source_age_and_why_stale),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(a_partial_update_keeps_the_other_numbers),
        cmocka_unit_test(a_kept_snapshot_is_as_old_as_it_is),
        cmocka_unit_test(another_mode_forgets_the_numbers),
        cmocka_unit_test(a_reply_says_what_is_not_known),
        cmocka_unit_test(a_price_is_as_old_as_the_server_sees_it),
        cmocka_unit_test(strange_messages_change_nothing),
        cmocka_unit_test(a_server_cannot_move_the_cursor),
        cmocka_unit_test(a_pipe_gets_one_line_with_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
