/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

#include "tests/lib/test.h"

TEST(a_virtual_clock_moves_only_when_told)
{
    struct clock c;
    clock_init_virtual(&c, 500, 1000000);
    assert_int_equal(clock_mono_ms(&c), 500);
    assert_int_equal(clock_wall_ms(&c), 1000000);
    clock_advance_us(&c, 1500);
    assert_int_equal(clock_mono_us(&c), 501500);
    assert_int_equal(clock_wall_us(&c), 1000001500);
    assert_int_equal(clock_mono_us(&c), 501500);
}

TEST(a_virtual_clock_that_is_released_goes_on_from_where_it_stood)
{
    struct clock c;
    clock_init_virtual(&c, 500, 1000000);
    clock_set_wall_us(&c, 2000000000);
    assert_int_equal(clock_mono_ms(&c), 500);
    assert_int_equal(clock_wall_us(&c), 2000000000);
    uint64_t before_us = clock_mono_us(clock_real());
    clock_release(&c);
    assert_false(c.is_virtual);
    while (clock_mono_us(&c) < 501000) {
    }
    uint64_t passed_us = clock_mono_us(clock_real()) - before_us;
    assert_true(passed_us >= 1000);
    assert_true(clock_mono_us(&c) <= 500000 + clock_mono_us(clock_real()) - before_us);
    int64_t wall_us = clock_wall_us(&c);
    assert_true(wall_us >= 2000000000 && wall_us < 2000000000 + 60000000);
    clock_release(&c); /* nothing more happens */
    assert_true(clock_mono_us(&c) >= 501000 && clock_mono_us(&c) < 500000 + 60000000);
}

TEST(the_real_clock_is_the_machines)
{
    uint64_t before = clock_mono_us(clock_real());
    assert_true(clock_mono_us(clock_real()) >= before);
    int64_t seconds = clock_wall_ms(clock_real()) / 1000;
    int64_t now = (int64_t)time(NULL);
    assert_true(now - seconds <= 1 && seconds - now <= 1);
}

TEST(rfc3339_is_written_as_the_system_would)
{
    /* every 37 days and some, from 1900 to 2200 */
    for (int64_t t = -2208988800; t < 7258118400; t += 3200000 + 54321) {
        char expected[40];
        char text[CLOCK_RFC3339_LEN + 1];
        time_t seconds = (time_t)t;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
        clock_format_rfc3339(t * 1000 + 7, text);
        assert_string_equal(text, expected);
        int64_t back = 0;
        assert_ok(clock_parse_rfc3339(str_of(text), &back));
        assert_true(back == t * 1000 + 7);
    }
}

TEST(rfc3339_is_read_in_its_forms)
{
    static const struct {
        const char *text;
        enum err e;
        int64_t unix_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", OK, 0},
        {"2026-06-05T23:59:59.999Z", OK, 1780703999999},
        {"2026-06-05T23:59:59.9999999Z", OK, 1780703999999},
        {"2026-06-05t23:59:59.9z", OK, 1780703999900},
        {"2026-06-05 23:59:59Z", OK, 1780703999000},
        {"2026-06-06T01:59:59+02:00", OK, 1780703999000},
        {"2026-06-05T18:29:59-05:30", OK, 1780703999000},
        {"2024-02-29T00:00:00Z", OK, 1709164800000},
        {"2023-02-29T00:00:00Z", ERR_RANGE, 0},
        {"1900-02-29T00:00:00Z", ERR_RANGE, 0},
        {"2026-13-01T00:00:00Z", ERR_RANGE, 0},
        {"2026-00-01T00:00:00Z", ERR_RANGE, 0},
        {"2026-04-31T00:00:00Z", ERR_RANGE, 0},
        {"2026-06-05T24:00:00Z", ERR_RANGE, 0},
        {"2026-06-05T23:59:59", ERR_SYNTAX, 0},
        {"2026-06-05T23:59:59.Z", ERR_SYNTAX, 0},
        {"2026-06-05T23:59:59Zx", ERR_SYNTAX, 0},
        {"2026-06-05T23:59:59+2:00", ERR_SYNTAX, 0},
        {"2026-06-05T23:59:59+24:00", ERR_SYNTAX, 0},
        {"2026/06/05T23:59:59Z", ERR_SYNTAX, 0},
        {"+026-06-05T23:59:59Z", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t unix_ms = 0;
        test_case(cases[i].text);
        assert_err(clock_parse_rfc3339(str_of(cases[i].text), &unix_ms), cases[i].e);
        assert_true(unix_ms == cases[i].unix_ms);
    }
    test_case(NULL);
}

TEST(http_dates_are_read)
{
    static const struct {
        const char *text;
        enum err e;
        int64_t unix_ms;
    } cases[] = {
        {"Tue, 18 May 2021 14:01:12 GMT", OK, 1621346472000},
        {"Thu, 01 Jan 1970 00:00:00 GMT", OK, 0},
        {"Thu, 30 Feb 2021 00:00:00 GMT", ERR_RANGE, 0},
        {"Tue, 18 Mai 2021 14:01:12 GMT", ERR_SYNTAX, 0},
        {"Tue, 18 anF 2021 14:01:12 GMT", ERR_SYNTAX, 0},
        {"Tue, 18 May 2021 14:01:12 UTC", ERR_SYNTAX, 0},
        {"Tuesday, 18-May-21 14:01:12 GMT", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t unix_ms = 0;
        test_case(cases[i].text);
        assert_err(clock_parse_http_date(str_of(cases[i].text), &unix_ms), cases[i].e);
        assert_true(unix_ms == cases[i].unix_ms);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_virtual_clock_moves_only_when_told),
        cmocka_unit_test(a_virtual_clock_that_is_released_goes_on_from_where_it_stood),
        cmocka_unit_test(the_real_clock_is_the_machines),
        cmocka_unit_test(rfc3339_is_written_as_the_system_would),
        cmocka_unit_test(rfc3339_is_read_in_its_forms),
        cmocka_unit_test(http_dates_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
