/* SPDX-License-Identifier: MIT */
#include "app/check_text.h"

#include "app/options.h"
#include "tests/lib/test.h"

TEST(a_line_has_mark_name_detail_and_time)
{
    struct buf out = {0};
    check_text_line(CHECK_OK, "binance", STR("btc_price 1"), 84, &out);
    check_text_line(CHECK_FAIL, "alternative.me", STR("answered with HTTP status 500"), 0, &out);
    check_text_line(CHECK_SKIP, "tls", STR("not set"), -1, &out);
    assert_buf(&out, "ok   binance        btc_price 1 (84 ms)\n"
                     "FAIL alternative.me answered with HTTP status 500 (0 ms)\n"
                     "skip tls            not set\n");
    buf_fini(&out);
}

TEST(a_reading_names_its_fields_and_rounds)
{
    struct buf out = {0};
    struct reading r = {.fields = FIELD_BIT(FIELD_BTC_PRICE) | FIELD_BIT(FIELD_BTC_CHANGE_24H)};
    r.value[FIELD_BTC_PRICE] = 91234.5;
    r.value[FIELD_BTC_CHANGE_24H] = -1.2345;
    r.value[FIELD_RSI_14] = 50;
    check_text_reading(&r, &out);
    assert_buf(&out, "btc_price 91234.5, btc_change_24h -1.23");
    buf_clear(&out);
    r = (struct reading){.fields = FIELD_BIT(FIELD_MARKET_CAP)};
    r.value[FIELD_MARKET_CAP] = 2313123456789.25;
    check_text_reading(&r, &out);
    assert_buf(&out, "market_cap 2.31e+12");
    buf_clear(&out);
    r = (struct reading){.candle_count = 300};
    check_text_reading(&r, &out);
    assert_buf(&out, "300 daily candles");
    buf_fini(&out);
}

TEST(settings_show_origin_and_value_but_no_secret)
{
    struct options o;
    struct conf *c = NULL;
    struct buf error = {0};
    struct buf out = {0};
    char *argv[] = {"--shards", "3"};
    char *env[] = {"TAAPI_SECRET=hunter2", NULL};
    struct conf_inputs in = {.argc = 2, .argv = argv, .env = env};
    assert_ok(conf_load(option_rows, option_count, &o, &in, &c, &error));
    assert_int_equal(check_text_settings(c, option_rows, option_count, &o, false, &out), 2);
    assert_buf(&out, "COINCAST_SHARDS                 flag        3\n"
                     "TAAPI_SECRET                    environment ***\n");
    buf_clear(&out);
    assert_int_equal(check_text_settings(c, option_rows, option_count, &o, true, &out),
                     option_count);
    assert_contains(buf_str(&out), "COINCAST_LISTEN                 default     127.0.0.1:8000\n");
    assert_contains(buf_str(&out), "REDIS_URL                       default     (unset)\n");
    struct str rest = buf_str(&out);
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        assert_true(line.len <= 80 || str_starts(line, STR("COINCAST_SYMBOLS ")));
    }
    conf_free(c);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_mark_name_detail_and_time),
        cmocka_unit_test(a_reading_names_its_fields_and_rounds),
        cmocka_unit_test(settings_show_origin_and_value_but_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
