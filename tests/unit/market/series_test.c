/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "base/clock.h"
#include "market/series.h"

#define HEAD "time_utc,open,high,low,close,volume\n"
#define HOUR_MS 3600000

static int64_t at(const char *time)
{
    int64_t ms = 0;
    assert_ok(clock_parse_rfc3339(str_of(time), &ms));
    return ms;
}

static struct series read_text(const char *text)
{
    struct series s;
    struct buf error = {0};
    enum err e = series_read(&s, str_of(text), &error);
    if (e != OK) {
        print_error("%s\n", buf_text(&error));
    }
    buf_fini(&error);
    assert_ok(e);
    return s;
}

TEST(rows_become_bars_in_order_of_time)
{
    struct series s = read_text("\xEF\xBB\xBF" HEAD "2024-01-01T02:00:00Z,3,4,2,3.5,0\r\n"
                                "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\r\n"
                                "\n2024-01-01T01:00:00Z, 2 ,3,1,2.5,1e2");
    assert_int_equal(s.count, 3);
    assert_int_equal(s.interval_ms, HOUR_MS);
    assert_int_equal(s.bars[0].open_ms, at("2024-01-01T00:00:00Z"));
    assert_true(s.bars[1].open == 2 && s.bars[1].high == 3 && s.bars[1].low == 1 &&
                s.bars[1].close == 2.5 && s.bars[1].volume == 100);
    assert_true(s.bars[2].close == 3.5);
    assert_int_equal(s.bad + s.doubles + s.holes, 0);
    assert_buf(&s.notes, "");
    series_fini(&s);
}

TEST(what_is_wrong_is_noted_with_its_line)
{
    struct series s = read_text(HEAD "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n"
                                     "yesterday,1,2,0.5,1.5,10\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,nan,10\n"
                                     "2024-01-01T01:00:00Z,0,2,0.5,1,10\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,1,-1\n"
                                     "2024-01-01T01:00:00Z,1,2,1.5,1,1\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,1\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,1,\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,1,1,1\n"
                                     "2024-01-01T01:00:00Z,1,2,0.5,1.25,10\n"
                                     "2024-01-01T04:00:00Z,1,2,0.5,1.5,10\n"
                                     "2024-01-01T00:00:00Z,1,2,0.5,1.75,10\n");
    assert_buf(&s.notes, "line 3: time_utc \"yesterday\" is no time as 2026-06-05T00:00:00Z\n"
                         "line 4: close \"nan\" is no price\n"
                         "line 5: open \"0\" is no price\n"
                         "line 6: volume \"-1\" is no volume\n"
                         "line 7: low <= open, close <= high does not hold\n"
                         "line 8: fewer of 6 columns\n"
                         "line 9: volume \"\" is no volume\n"
                         "line 10: more of 6 columns\n"
                         "line 13: the same time as line 2, which it replaces\n"
                         "line 12: 2 candles missing before it\n");
    assert_int_equal(s.count, 3);
    assert_int_equal(s.bad, 8);
    assert_int_equal(s.doubles, 1);
    assert_int_equal(s.holes, 1);
    assert_int_equal(s.missing, 2);
    assert_true(s.bars[0].close == 1.75);
    series_fini(&s);
}

TEST(notes_end_and_say_how_many_more)
{
    struct buf text = {0};
    buf_add_lit(&text, HEAD "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n");
    for (int i = 0; i < SERIES_NOTES + 3; i++) {
        buf_add_lit(&text, "x,1,2,0.5,1.5,10\n");
    }
    struct series s = read_text(buf_text(&text));
    assert_int_equal(s.bad, SERIES_NOTES + 3);
    assert_contains(buf_str(&s.notes), "line 22: ");
    assert_int_equal(str_find_str(buf_str(&s.notes), STR("line 23: ")), SIZE_MAX);
    assert_true(str_ends(buf_str(&s.notes), STR("and 3 more\n")));
    series_fini(&s);
    buf_fini(&text);
}

TEST(columns_behind_the_volume_are_not_read_but_counted)
{
    struct buf error = {0};
    struct series s = {0};
    assert_ok(series_read(&s,
                          STR("time_utc,open,high,low,close,volume,trades,x\n"
                              "2024-01-01T00:00:00Z,1,2,0.5,1.5,10,7,no number\n"
                              "2024-01-01T01:00:00Z,1,2,0.5,1.5,10,7\n"
                              "2024-01-01T02:00:00Z,1,2,0.5,1.5,10,7,8,9\n"),
                          &error));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.bad, 2);
    assert_buf(&s.notes, "line 3: fewer of 8 columns\nline 4: more of 8 columns\n");
    series_fini(&s);
    buf_fini(&error);
}

TEST(what_is_no_candle_file_is_refused_in_one_line)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "the file is empty: expected the header time_utc,open,high,low,close,volume"},
        {"date,price\n1,2\n", "line 1: expected the header time_utc,open,high,low,close,volume"},
        {"time_utc,open,high,low,close\n",
         "line 1: expected the header time_utc,open,high,low,close,volume"},
        {HEAD, "no candles behind the header"},
        {HEAD "2024-01-01T00:00:00Z,1,2,0.5,abc,10\n",
         "no candles: line 2: close \"abc\" is no price"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct series s;
        struct buf error = {0};
        test_case(cases[i].text);
        assert_err(series_read(&s, str_of(cases[i].text), &error), ERR_SYNTAX);
        assert_buf(&error, cases[i].error);
        assert_null(s.bars);
        buf_fini(&error);
    }
    test_case(NULL);
}

TEST(longer_candles_are_made_of_whole_ones)
{
    struct buf text = {0};
    struct series day;
    buf_add_lit(&text, HEAD);
    for (int i = 1; i < 60; i++) {
        if (i != 50) {
            buf_printf(&text, "2024-01-%02dT%02d:00:00Z,%d,%d,%d,%d,1\n", 1 + i / 24, i % 24,
                       100 + i, 101 + i, 99 + i, 100 + i);
        }
    }
    struct series s = read_text(buf_text(&text));
    assert_ok(series_resample(&s, 24 * HOUR_MS, &day));
    /* of the first day an hour is missing at its start, the last is not over */
    assert_int_equal(day.count, 1);
    assert_int_equal(day.bars[0].open_ms, at("2024-01-02T00:00:00Z"));
    assert_true(day.bars[0].open == 124 && day.bars[0].high == 148 && day.bars[0].low == 123 &&
                day.bars[0].close == 147 && day.bars[0].volume == 24);
    series_fini(&day);
    assert_err(series_resample(&s, HOUR_MS + 1, &day), ERR_RANGE);
    assert_err(series_resample(&s, HOUR_MS / 2, &day), ERR_RANGE);
    series_fini(&s);
    buf_fini(&text);
}

TEST(intervals_have_a_number_and_a_unit)
{
    assert_int_equal(series_interval(STR("1m")), 60000);
    assert_int_equal(series_interval(STR("4h")), 4 * HOUR_MS);
    assert_int_equal(series_interval(STR("1d")), 24 * HOUR_MS);
    assert_int_equal(series_interval(STR("d")), 0);
    assert_int_equal(series_interval(STR("0h")), 0);
    assert_int_equal(series_interval(STR("1x")), 0);
    assert_int_equal(series_interval(STR("-1h")), 0);
}

TEST(recorded_files_have_the_holes_that_their_readme_names)
{
    struct buf text = {0}, error = {0};
    struct series s;
    fixture_read("ohlcv/hourly/BTCUSDT_202107_202209.csv", &text);
    assert_ok(series_read(&s, buf_str(&text), &error));
    assert_int_equal(s.count, 10962);
    assert_int_equal(s.holes, 2);
    assert_int_equal(s.missing, 6);
    assert_int_equal(s.interval_ms, HOUR_MS);
    assert_buf(&s.notes, "line 1036: 4 candles missing before it\n"
                         "line 2165: 2 candles missing before it\n");
    series_fini(&s);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_bars_in_order_of_time),
        cmocka_unit_test(what_is_wrong_is_noted_with_its_line),
        cmocka_unit_test(notes_end_and_say_how_many_more),
        cmocka_unit_test(columns_behind_the_volume_are_not_read_but_counted),
        cmocka_unit_test(what_is_no_candle_file_is_refused_in_one_line),
        cmocka_unit_test(longer_candles_are_made_of_whole_ones),
        cmocka_unit_test(intervals_have_a_number_and_a_unit),
        cmocka_unit_test(recorded_files_have_the_holes_that_their_readme_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
