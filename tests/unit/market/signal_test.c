/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "market/series.h"
#include "market/signal.h"

#include <math.h>

#define HOUR_MS ((int64_t)3600000)
#define START_MS ((int64_t)1704067200000) /* 2024-01-01T00:00:00Z */
#define COUNT 300

static struct bar bars[COUNT];
static const int64_t end_ms = START_MS + COUNT * HOUR_MS;

static struct bar bar_of(size_t i, double open, double close, double volume)
{
    return (struct bar){.open_ms = START_MS + (int64_t)i * HOUR_MS,
                        .open = open,
                        .high = fmax(open, close),
                        .low = fmin(open, close),
                        .close = close,
                        .volume = volume};
}

/* close(i) = 100 * (1 + step)^i */
static void fill(double step)
{
    double close = 100;
    for (size_t i = 0; i < COUNT; i++) {
        bars[i] = bar_of(i, close, close * (1 + step), 5);
        close = bars[i].close;
    }
}

/* Ups and downs that no one chose. */
static void fill_walk(uint64_t seed)
{
    double close = 100;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double ret = ((double)(seed >> 40) / (1 << 24) - 0.5) * 0.04;
        bars[i] = bar_of(i, close, close * (1 + ret), 1 + (double)(seed >> 20 & 1023));
        close = bars[i].close;
    }
}

static struct signal signal_at(size_t count, int64_t now_ms)
{
    struct signal_state memory = {0};
    struct signal s;
    signal_of(&memory, bars, count, HOUR_MS, now_ms, &s);
    return s;
}

static void assert_held(const struct signal *s, enum signal_quality q, const char *reason)
{
    assert_int_equal(s->side, SIGNAL_HOLD);
    assert_true(s->strength == 0 && s->score == 0);
    assert_int_equal(s->quality, q);
    assert_string_equal(s->reason, reason);
}

TEST(constant_price_holds_with_strength_0)
{
    for (size_t i = 0; i < COUNT; i++) {
        bars[i] = bar_of(i, 61056.47, 61056.47, 3.7);
    }
    struct signal s = signal_at(COUNT, end_ms);
    assert_held(&s, SIGNAL_GOOD,
                "no vote moves the score; volume 1.00 of its mean [1h candle 2024-01-13T11:00Z, "
                "210 candles]");
}

TEST(a_steady_rise_is_bought_and_a_steady_fall_sold)
{
    /* RSI is 100 and does not fall, so it has no vote; mean volume confirms by two thirds */
    fill(0.0025);
    struct signal s = signal_at(COUNT, end_ms);
    assert_int_equal(s.side, SIGNAL_BUY);
    assert_near(s.confirmation, 2.0 / 3, 1e-12);
    assert_near(s.components[SIGNAL_TREND].contribution, 0.35 * 2 / 3, 1e-12);
    assert_near(s.components[SIGNAL_MACD].contribution, 0.25, 1e-12);
    assert_near(s.components[SIGNAL_MOMENTUM].contribution, 0.15 * 2 / 3, 1e-12);
    assert_near(s.score, 0.35 * 2 / 3 + 0.25 + 0.1, 1e-12);
    assert_true(s.strength == s.score);
    assert_string_equal(s.reason,
                        "MACD above signal (+0.25), close>EMA20 close>EMA50 close>SMA200 "
                        "EMA20>EMA50 (+0.23), 10-candle change +2.53 % (+0.10); volume 1.00 of "
                        "its mean [1h candle 2024-01-13T11:00Z, 210 candles]");
    for (size_t i = 0; i < COUNT; i++) {
        bars[i] =
            bar_of(i, 100 - (double)(i * i) / 1000, 100 - (double)((i + 1) * (i + 1)) / 1000, 5);
    }
    s = signal_at(COUNT, end_ms);
    assert_int_equal(s.side, SIGNAL_SELL);
    assert_true(s.score < -0.4 && s.strength == -s.score);
    assert_contains(str_of(s.reason), "close<EMA20 close<EMA50 close<SMA200 EMA20<EMA50 (-0.23)");
}

TEST(volume_confirms_trend_and_momentum_and_nothing_else)
{
    static const struct {
        double last, factor;
    } cases[] = {{0, 0.5}, {5, 1}, {6, 1.1881}, {50, 1.5}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fill(0.0025);
        bars[COUNT - 1].volume = cases[i].last;
        struct signal s = signal_at(COUNT, end_ms);
        assert_near(s.confirmation, cases[i].factor / 1.5, 1e-4);
        assert_near(s.components[SIGNAL_TREND].contribution, 0.35 * s.confirmation, 1e-12);
        assert_near(s.components[SIGNAL_MOMENTUM].contribution, 0.15 * s.confirmation, 1e-12);
        assert_near(s.components[SIGNAL_MACD].contribution, 0.25, 1e-12);
    }
    fill(0.0025);
    for (size_t i = 0; i < COUNT; i++) {
        bars[i].volume = 0;
    }
    struct signal s = signal_at(COUNT, end_ms);
    assert_near(s.confirmation, 1.0 / 3, 1e-12);
    assert_contains(str_of(s.reason), "; no volume");
}

TEST(a_turn_after_a_fall_votes_by_rsi_and_bands)
{
    /* flat with a small swing, then a crash, then a first step up that is still below the band */
    for (size_t i = 0; i < COUNT; i++) {
        double close = 1000 + (i % 2 ? 1 : -1);
        bars[i] = bar_of(i, close, close, 5);
    }
    bars[COUNT - 2] = bar_of(COUNT - 2, 1000, 900, 5);
    bars[COUNT - 1] = bar_of(COUNT - 1, 900, 900.5, 5);
    struct signal s = signal_at(COUNT, end_ms);
    assert_true(s.components[SIGNAL_RSI].vote == 1);
    assert_near(s.components[SIGNAL_RSI].contribution, 0.15, 1e-12);
    assert_true(s.components[SIGNAL_BOLLINGER].vote == 1);
    assert_near(s.components[SIGNAL_BOLLINGER].contribution, 0.10, 1e-12);
    /* the other way round */
    bars[COUNT - 2] = bar_of(COUNT - 2, 1000, 1100, 5);
    bars[COUNT - 1] = bar_of(COUNT - 1, 1100, 1099.5, 5);
    s = signal_at(COUNT, end_ms);
    assert_true(s.components[SIGNAL_RSI].vote == -1);
    assert_true(s.components[SIGNAL_BOLLINGER].vote == -1);
    /* still falling: no vote */
    bars[COUNT - 2] = bar_of(COUNT - 2, 1000, 900, 5);
    bars[COUNT - 1] = bar_of(COUNT - 1, 900, 890, 5);
    s = signal_at(COUNT, end_ms);
    assert_true(s.components[SIGNAL_RSI].vote == 0);
    assert_true(s.components[SIGNAL_BOLLINGER].vote == 0);
}

TEST(weights_sum_to_1_and_contributions_to_the_score)
{
    double weights = 0;
    for (uint64_t seed = 1; seed < 50; seed++) {
        fill_walk(seed);
        struct signal s = signal_at(COUNT, end_ms);
        double score = 0;
        weights = 0;
        for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
            score += s.components[p].contribution;
            weights += s.components[p].weight;
            assert_true(fabs(s.components[p].vote) <= 1);
        }
        assert_true(score == s.score && s.strength == fabs(s.score));
        assert_int_equal(s.side, s.score > 0.1    ? SIGNAL_BUY
                                 : s.score < -0.1 ? SIGNAL_SELL
                                                  : SIGNAL_HOLD);
    }
    assert_near(weights, 1, 1e-15);
}

TEST(scores_are_those_of_another_program)
{
    /* Written in another language from the rule alone, with all votes in play. */
    static const double first[] = {-0.719242902208202, -0.061008786294732, -0.427475648389885,
                                   -0.137551234110219, -0.010358256263826, -0.524914977632956,
                                   -0.144690833328024, 0.494503238785896};
    double sum = 0;
    size_t votes[SIGNAL_PARTS] = {0};
    for (uint64_t seed = 1; seed < 400; seed++) {
        fill_walk(seed);
        struct signal s = signal_at(COUNT, end_ms);
        sum += s.score;
        if (seed <= ARRAY_LEN(first)) {
            assert_near(s.score, first[seed - 1], 1e-12);
        }
        for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
            votes[p] += s.components[p].vote != 0;
        }
    }
    assert_near(sum, -2.727965274036, 1e-9);
    for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
        test_case(signal_part_text(p));
        assert_true(votes[p] > 0);
    }
    test_case(NULL);
}

TEST(same_candles_give_the_same_bytes_in_any_order_of_the_file)
{
    struct buf in_order = {0}, shuffled = {0}, error = {0};
    size_t order[COUNT];
    uint64_t seed = 99;
    fill_walk(5);
    for (size_t i = 0; i < COUNT; i++) {
        order[i] = i;
    }
    for (size_t i = COUNT - 1; i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)(seed >> 33) % (i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    buf_add_lit(&in_order, "time_utc,open,high,low,close,volume\n");
    buf_add_str(&shuffled, buf_str(&in_order));
    for (size_t i = 0; i < COUNT; i++) {
        for (int k = 0; k < 2; k++) {
            const struct bar *b = &bars[k ? order[i] : i];
            long long hours = (long long)((b->open_ms - START_MS) / HOUR_MS);
            buf_printf(k ? &shuffled : &in_order,
                       "2024-01-%02lldT%02lld:00:00Z,%.17g,%.17g,%.17g,%.17g,%.17g\n",
                       1 + hours / 24, hours % 24, b->open, b->high, b->low, b->close, b->volume);
        }
    }
    struct series a, b;
    struct signal first, second, direct = signal_at(COUNT, end_ms);
    struct signal_state memory = {0};
    assert_ok(series_read(&a, buf_str(&in_order), &error));
    assert_ok(series_read(&b, buf_str(&shuffled), &error));
    assert_int_equal(a.count, COUNT);
    signal_of(&memory, a.bars, a.count, HOUR_MS, end_ms, &first);
    memory = (struct signal_state){0};
    signal_of(&memory, b.bars, b.count, HOUR_MS, end_ms, &second);
    assert_string_equal(first.reason, second.reason);
    assert_true(first.score == second.score && first.score == direct.score);
    assert_memory_equal(&first.components, &second.components, sizeof(first.components));
    series_fini(&a);
    series_fini(&b);
    buf_fini(&in_order);
    buf_fini(&shuffled);
}

TEST(no_candle_is_used_before_its_close)
{
    fill_walk(11);
    struct signal before = signal_at(COUNT - 1, end_ms - 1);
    bars[COUNT - 1].close = 1e6;
    bars[COUNT - 1].high = 1e6;
    struct signal open = signal_at(COUNT, end_ms - 1);
    assert_string_equal(open.reason, before.reason);
    assert_true(open.score == before.score);
    assert_int_equal(open.candle_ms, bars[COUNT - 2].open_ms);
    struct signal closed = signal_at(COUNT, end_ms);
    assert_int_equal(closed.candle_ms, bars[COUNT - 1].open_ms);
    assert_true(closed.score != open.score);
}

TEST(only_the_newest_210_candles_matter)
{
    fill_walk(3);
    struct signal long_one = signal_at(COUNT, end_ms), short_one;
    struct signal_state memory = {0};
    signal_of(&memory, bars + COUNT - SIGNAL_BARS, SIGNAL_BARS, HOUR_MS, end_ms, &short_one);
    assert_string_equal(long_one.reason, short_one.reason);
    assert_true(long_one.score == short_one.score);
}

TEST(too_few_candles_hold_and_say_how_many)
{
    fill(0.0025);
    struct signal s = signal_at(96, START_MS + 96 * HOUR_MS);
    assert_held(&s, SIGNAL_TOO_FEW,
                "insufficient data: 96 of 210 candles [1h candle 2024-01-04T23:00Z, 96 candles]");
    s = signal_at(SIGNAL_BARS, START_MS + SIGNAL_BARS * HOUR_MS);
    assert_int_equal(s.quality, SIGNAL_GOOD);
    struct signal_state memory = {0};
    signal_of(&memory, NULL, 0, HOUR_MS, end_ms, &s);
    assert_held(&s, SIGNAL_TOO_FEW, "insufficient data: 0 of 210 candles");
}

TEST(a_stale_end_holds_and_says_how_old)
{
    fill(0.0025);
    struct signal s = signal_at(COUNT, end_ms + 2 * HOUR_MS - 1);
    assert_int_equal(s.quality, SIGNAL_GOOD);
    s = signal_at(COUNT, end_ms + 2 * HOUR_MS);
    assert_int_equal(s.quality, SIGNAL_STALE);
    s = signal_at(COUNT, end_ms + 3 * HOUR_MS);
    assert_held(&s, SIGNAL_STALE,
                "stale: last candle 3 h old [1h candle 2024-01-13T11:00Z, 210 candles]");
}

TEST(a_hole_in_the_last_30_holds_and_says_where)
{
    fill(0.0025);
    /* 270..299 are the last 30; the candle before them is missing */
    memmove(&bars[1], &bars[0], 269 * sizeof(*bars));
    bars[0] = bars[1];
    bars[0].open_ms -= HOUR_MS;
    struct signal s = signal_at(COUNT, end_ms);
    assert_int_equal(s.quality, SIGNAL_GOOD);
    /* the second of them is */
    fill(0.0025);
    memmove(&bars[1], &bars[0], 271 * sizeof(*bars));
    bars[0] = bars[1];
    bars[0].open_ms -= HOUR_MS;
    s = signal_at(COUNT, end_ms);
    assert_int_equal(s.quality, SIGNAL_GAP);
    /* four of them are missing */
    fill(0.0025);
    memmove(&bars[4], &bars[0], 276 * sizeof(*bars));
    for (size_t i = 0; i < 4; i++) {
        bars[i].open_ms = bars[4].open_ms - (int64_t)(4 - i) * HOUR_MS;
    }
    s = signal_at(COUNT, end_ms);
    assert_held(&s, SIGNAL_GAP,
                "gap 12:00-16:00 on 2024-01-12 [1h candle 2024-01-13T11:00Z, 210 candles]");
}

TEST(candles_that_cannot_be_hold)
{
    fill(0.0025);
    bars[COUNT - 100].close = NAN;
    struct signal s = signal_at(COUNT, end_ms);
    assert_held(&s, SIGNAL_UNSOUND,
                "unsound candle 2024-01-09T08:00Z [1h candle 2024-01-13T11:00Z, 210 candles]");
    fill(0.0025);
    bars[COUNT - 5].open_ms = bars[COUNT - 6].open_ms;
    s = signal_at(COUNT, end_ms);
    assert_int_equal(s.quality, SIGNAL_UNSOUND);
}

TEST(a_side_is_left_later_than_it_is_entered)
{
    /* walks until one has each: a score between the bands, seen from all three sides */
    int kept = 0;
    for (uint64_t seed = 1; seed < 400; seed++) {
        struct signal s;
        fill_walk(seed);
        for (int from = SIGNAL_HOLD; from <= SIGNAL_SELL; from++) {
            struct signal_state memory = {.side = (enum signal_side)from};
            signal_of(&memory, bars, COUNT, HOUR_MS, end_ms, &s);
            enum signal_side expected = s.score > 0.1                             ? SIGNAL_BUY
                                        : s.score < -0.1                          ? SIGNAL_SELL
                                        : from == SIGNAL_BUY && s.score >= 0.05   ? SIGNAL_BUY
                                        : from == SIGNAL_SELL && s.score <= -0.05 ? SIGNAL_SELL
                                                                                  : SIGNAL_HOLD;
            assert_int_equal(s.side, expected);
            assert_int_equal(memory.side, expected);
            bool is_kept = s.side != SIGNAL_HOLD && s.strength <= 0.1;
            kept += is_kept;
            assert_int_equal(str_starts(str_of(s.reason), STR("kept until |score| is below 0.05")),
                             is_kept);
        }
    }
    assert_true(kept > 0);
}

TEST(bad_data_ends_a_standing_side)
{
    struct signal_state memory = {.side = SIGNAL_BUY};
    struct signal s;
    fill(0.0025);
    signal_of(&memory, bars, 10, HOUR_MS, START_MS + 10 * HOUR_MS, &s);
    assert_int_equal(memory.side, SIGNAL_HOLD);
}

TEST(settling_gives_the_state_of_one_who_was_there)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct signal_state there = {0}, later = {0};
        struct signal a, b;
        fill_walk(seed);
        for (size_t n = SIGNAL_BARS; n <= COUNT; n++) {
            signal_of(&there, bars, n, HOUR_MS, START_MS + (int64_t)n * HOUR_MS, &a);
        }
        signal_settle(&later, bars, COUNT, HOUR_MS, end_ms);
        signal_of(&later, bars, COUNT, HOUR_MS, end_ms, &b);
        assert_int_equal(a.side, b.side);
        assert_string_equal(a.reason, b.reason);
    }
}

TEST(only_news_is_due)
{
    struct signal_state memory = {0};
    struct signal s = {.side = SIGNAL_BUY, .strength = 0.3};
    assert_true(signal_due(&memory, &s));
    assert_false(signal_due(&memory, &s));
    s.strength = 0.39;
    assert_false(signal_due(&memory, &s));
    s.strength = 0.4;
    assert_true(signal_due(&memory, &s));
    s.strength = 0.3;
    assert_true(signal_due(&memory, &s));
    s.side = SIGNAL_HOLD;
    assert_true(signal_due(&memory, &s));
}

TEST(intervals_have_short_names)
{
    char text[8];
    signal_interval_text(24 * HOUR_MS, text);
    assert_string_equal(text, "1d");
    signal_interval_text(4 * HOUR_MS, text);
    assert_string_equal(text, "4h");
    signal_interval_text(15 * 60000, text);
    assert_string_equal(text, "15m");
    signal_interval_text(90000, text);
    assert_string_equal(text, "90s");
    signal_interval_text(1, text);
    assert_string_equal(text, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_price_holds_with_strength_0),
        cmocka_unit_test(a_steady_rise_is_bought_and_a_steady_fall_sold),
        cmocka_unit_test(volume_confirms_trend_and_momentum_and_nothing_else),
        cmocka_unit_test(a_turn_after_a_fall_votes_by_rsi_and_bands),
        cmocka_unit_test(weights_sum_to_1_and_contributions_to_the_score),
        cmocka_unit_test(scores_are_those_of_another_program),
        cmocka_unit_test(same_candles_give_the_same_bytes_in_any_order_of_the_file),
        cmocka_unit_test(no_candle_is_used_before_its_close),
        cmocka_unit_test(only_the_newest_210_candles_matter),
        cmocka_unit_test(too_few_candles_hold_and_say_how_many),
        cmocka_unit_test(a_stale_end_holds_and_says_how_old),
        cmocka_unit_test(a_hole_in_the_last_30_holds_and_says_where),
        cmocka_unit_test(candles_that_cannot_be_hold),
        cmocka_unit_test(a_side_is_left_later_than_it_is_entered),
        cmocka_unit_test(bad_data_ends_a_standing_side),
        cmocka_unit_test(settling_gives_the_state_of_one_who_was_there),
        cmocka_unit_test(only_news_is_due),
        cmocka_unit_test(intervals_have_short_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
