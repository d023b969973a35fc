/* SPDX-License-Identifier: MIT */
#include "api/channels.h"

#include "tests/lib/test.h"

TEST(channels_are_told_apart)
{
    static const struct {
        const char *name;
        enum channel_kind kind;
    } cases[] = {
        {"dashboard_update", KIND_STANDARD},
        {"price_updates", KIND_PRICES},
        {"ticker", KIND_MARKET},
        {"trading_signal", KIND_MARKET},
        {"candles:btc:1m", KIND_CANDLES},
        {"app:candles:x", KIND_CUSTOM},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct channel_name c;
        test_case(cases[i].name);
        assert_ok(channel_read(str_of(cases[i].name), &c, NULL));
        assert_int_equal(c.kind, cases[i].kind);
    }
    test_case(NULL);
}

TEST(a_candle_channel_has_its_symbol_in_upper_case)
{
    struct channel_name c;
    char text[CHANNEL_NAME_MAX];
    struct str name = STR("candles:pepe:4h");
    assert_ok(channel_read(name, &c, NULL));
    assert_str(c.symbol, "pepe");
    assert_int_equal(c.interval, INTERVAL_4H);
    assert_str(channel_canonical(name, &c, text), "candles:PEPE:4h");
    assert_ok(channel_read(STR("app:abc"), &c, NULL));
    assert_str(channel_canonical(STR("app:abc"), &c, text), "app:abc");
}

TEST(what_is_no_channel_is_refused_with_the_right_form)
{
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"", "price_updates"},
        {"trading_signal:standing", "Unknown channel"},
        {"prices", "Unknown channel"},
        {"", "No \"channel\" is named"},
        {"candles:BTC", "candles:SYMBOL:INTERVAL"},
        {"candles::1m", "candles:SYMBOL:INTERVAL"},
        {"candles:BTC:2m", "1m, 5m"},
        {"candles:B-C:1m", "candles:SYMBOL:INTERVAL"},
        {"candles:A1234567890123456:1m", "candles:SYMBOL:INTERVAL"},
        {"app:", "1 to 100"},
        {"app:a b", "1 to 100"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct channel_name c;
        const char *why = NULL;
        test_case(cases[i].name);
        assert_err(channel_read(str_of(cases[i].name), &c, &why), ERR_SYNTAX);
        assert_contains(str_of(why), cases[i].part);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_told_apart),
        cmocka_unit_test(a_candle_channel_has_its_symbol_in_upper_case),
        cmocka_unit_test(what_is_no_channel_is_refused_with_the_right_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
