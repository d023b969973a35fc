/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <pthread.h>

#include "tests/lib/test.h"

static struct metric jobs = METRIC_COUNTER("test_jobs_total", "Jobs, with a \\ and a\nbreak.");
static struct metric depth = METRIC_GAUGE("test_depth", "Depth.");
static struct metric silent = METRIC_GAUGE("test_silent", "Never touched.");
static struct metric declared = METRIC_COUNTER("test_declared_total", "Registered only.");
static struct metric latency = METRIC_HISTOGRAM("test_latency_seconds", "Latency.", 1e-6);
static struct metric sizes = METRIC_HISTOGRAM("test_size_bytes", "Sizes.", 1);
static struct metric shared = METRIC_COUNTER("test_shared_total", "From all threads.");
static struct metric spread = METRIC_HISTOGRAM("test_spread", "From all threads.", 1);
static struct metric reasons[] = {
    METRIC_LABELLED(METRIC_KIND_COUNTER, "test_closed_total", "Closed.", "reason=\"slow\""),
    METRIC_LABELLED(METRIC_KIND_COUNTER, "test_closed_total", "Closed.", "reason=\"idle\""),
};

/* The exposed text as a buf that the caller frees. */
static struct buf exposed(void)
{
    struct buf out = {0};
    metrics_write(&out);
    return out;
}

TEST(counters_and_gauges_hold_their_value)
{
    metric_add(&jobs, 2);
    metric_add(&jobs, 3);
    metric_set(&depth, 9);
    metric_add(&depth, -4);
    assert_int_equal(metric_get(&jobs), 5);
    assert_int_equal(metric_get(&depth), 5);
    struct buf out = exposed();
    assert_contains(buf_str(&out), "# HELP test_jobs_total Jobs, with a \\\\ and a\\nbreak.\n"
                                   "# TYPE test_jobs_total counter\ntest_jobs_total 5\n");
    assert_contains(buf_str(&out), "# TYPE test_depth gauge\ntest_depth 5\n");
    buf_fini(&out);
}

TEST(only_the_touched_and_the_registered_are_exposed)
{
    metric_register(&declared);
    metric_register(&declared);
    struct buf out = exposed();
    assert_contains(buf_str(&out), "\ntest_declared_total 0\n");
    assert_int_equal(str_find_str(buf_str(&out), STR("test_silent")), SIZE_MAX);
    assert_int_equal(metric_get(&silent), 0);
    buf_fini(&out);
}

TEST(a_family_has_one_head_and_sorted_labels)
{
    metric_add(&reasons[0], 1);
    metric_add(&reasons[1], 2);
    struct buf out = exposed();
    assert_contains(buf_str(&out), "# HELP test_closed_total Closed.\n"
                                   "# TYPE test_closed_total counter\n"
                                   "test_closed_total{reason=\"idle\"} 2\n"
                                   "test_closed_total{reason=\"slow\"} 1\n");
    buf_fini(&out);
}

TEST(quantiles_are_exact_to_an_eighth)
{
    static struct metric empty = METRIC_HISTOGRAM("test_empty", "Empty.", 1);
    assert_true(metric_quantile(&empty, 0.5) == 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        metric_observe(&latency, i * 100);
    }
    for (int percent = 1; percent <= 100; percent++) {
        double exact = percent * 1000.0;
        assert_near(metric_quantile(&latency, percent / 100.0), exact, exact * 0.125);
    }
}

TEST(any_sample_has_a_bucket)
{
    static const uint64_t samples[] = {0, 1, 3, 4, 5, 7, 8, 1000, UINT32_MAX, UINT64_MAX};
    static struct metric any[ARRAY_LEN(samples)];
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        any[i] = (struct metric)METRIC_HISTOGRAM("test_any", "Any.", 1);
        metric_observe(&any[i], samples[i]);
        double sample = (double)samples[i];
        assert_near(metric_quantile(&any[i], 0.5), sample, sample * 0.125);
    }
}

TEST(buckets_are_cumulative_with_inclusive_ends)
{
    metric_observe(&sizes, 0);
    metric_observe(&sizes, 1);
    metric_observe(&sizes, 7);
    metric_observe(&sizes, 8);
    metric_observe(&sizes, 8);
    struct buf out = exposed();
    assert_contains(buf_str(&out), "# TYPE test_size_bytes histogram\n"
                                   "test_size_bytes_bucket{le=\"1\"} 2\n"
                                   "test_size_bytes_bucket{le=\"7\"} 3\n"
                                   "test_size_bytes_bucket{le=\"15\"} 5\n"
                                   "test_size_bytes_bucket{le=\"+Inf\"} 5\n"
                                   "test_size_bytes_sum 24\n"
                                   "test_size_bytes_count 5\n");
    buf_fini(&out);
}

TEST(names_come_out_sorted)
{
    struct buf out = exposed();
    struct str rest = buf_str(&out);
    struct str line;
    struct str last = {0};
    size_t heads = 0;
    while (str_next(&rest, '\n', &line)) {
        if (str_starts(line, STR("# HELP "))) {
            struct str name = str_from(line, 7);
            name = str_sub(name, 0, str_find(name, ' ', 0));
            assert_true(str_cmp(last, name) < 0);
            last = name;
            heads++;
        }
    }
    assert_true(heads > 3);
    buf_fini(&out);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *count_much(void *self)
{
    (void)self;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(&shared, 1);
        metric_observe(&spread, (uint64_t)i);
    }
    return NULL;
}

TEST(threads_lose_no_count)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL), 0);
    }
    struct buf meanwhile = exposed();
    buf_fini(&meanwhile);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(metric_get(&shared), THREADS * ROUNDS);
    struct buf out = exposed();
    assert_contains(buf_str(&out), "\ntest_spread_count 80000\n");
    assert_contains(buf_str(&out), "\ntest_spread_sum 799960000\n");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_hold_their_value),
        cmocka_unit_test(only_the_touched_and_the_registered_are_exposed),
        cmocka_unit_test(a_family_has_one_head_and_sorted_labels),
        cmocka_unit_test(quantiles_are_exact_to_an_eighth),
        cmocka_unit_test(any_sample_has_a_bucket),
        cmocka_unit_test(buckets_are_cumulative_with_inclusive_ends),
        cmocka_unit_test(names_come_out_sorted),
        cmocka_unit_test(threads_lose_no_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
