/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "sources/feed.h"
#include "sources/recorded.h"

/* Records one answer to a file and reads it back; `item` and `scratch` keep what `a` points to. */
static void there_and_back(const struct fetch_answer *in, const char *url, const char *purpose,
                           struct record *item, struct fetch_answer *out, struct buf *line,
                           struct buf *scratch)
{
    struct clock clock;
    struct loop *loop = NULL;
    struct recorder *recorder = NULL;
    struct buf error = {0};
    char path[300];
    const char *dir = test_make_dir();
    snprintf(path, sizeof(path), "%s/rec.jsonl", dir);
    clock_init_virtual(&clock, 0, 1780753800000);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &clock}, &loop));
    assert_ok(recorder_open(loop, path, &recorder, &error));
    recorded_write(recorder, &clock, "taapi", str_of(url), str_of(purpose), in);
    recorder_close(recorder);
    loop_free(loop);
    buf_clear(line);
    assert_true(test_read_file(path, line));
    assert_ok(record_read(str_sub(buf_str(line), 0, line->len - 1), item, scratch));
    assert_true(recorded_read(item, out));
    buf_fini(&error);
    test_remove_dir(dir);
}

TEST(an_answer_comes_back_with_all_that_it_is_judged_by)
{
    const struct fetch_answer in = {
        .why = "",
        .status = 429,
        .body = STR("{\"a\":1}"),
        .etag = STR("W/\"1\""),
        .retry_after = STR("7"),
        .upstream = STR("simulated"),
        .date = STR("Tue, 18 May 2021 14:01:12 GMT"),
        .content_type = STR("application/json"),
        .used_weight = STR("22"),
    };
    struct record item;
    struct fetch_answer out;
    struct buf line = {0};
    struct buf scratch = {0};
    there_and_back(&in, "https://u:p@h/rsi?secret=s3cret&x=1", "instruments", &item, &out, &line,
                   &scratch);
    assert_int_equal(item.time_ns, 1780753800000000000);
    assert_str(item.source, "taapi");
    assert_str(item.url, "https://***@h/rsi?secret=***&x=1");
    assert_str(item.purpose, "instruments");
    assert_int_equal(out.err, OK);
    assert_int_equal(out.status, 429);
    assert_str(out.body, "{\"a\":1}");
    assert_str(out.etag, "W/\"1\"");
    assert_str(out.retry_after, "7");
    assert_str(out.upstream, "simulated");
    assert_str(out.date, "Tue, 18 May 2021 14:01:12 GMT");
    assert_str(out.content_type, "application/json");
    assert_str(out.used_weight, "22");
    buf_fini(&line);
    buf_fini(&scratch);
}

TEST(a_request_without_an_answer_comes_back_as_what_went_wrong)
{
    static const enum err errors[] = {ERR_LIMIT, ERR_TIMEOUT,     ERR_REFUSED, ERR_NOT_FOUND,
                                      ERR_TLS,   ERR_UNSUPPORTED, ERR_CLOSED,  ERR_IO};
    struct record item;
    struct fetch_answer out;
    struct buf line = {0};
    struct buf scratch = {0};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        /* Half an answer is none. */
        const struct fetch_answer in = {
            .err = errors[i], .why = fetch_why(errors[i]), .status = 200, .body = STR("{\"a\"")};
        there_and_back(&in, "http://h/", "", &item, &out, &line, &scratch);
        assert_err(out.err, errors[i]);
        assert_string_equal(out.why, in.why);
        assert_int_equal(out.status, 0);
        assert_int_equal(out.body.len, 0);
    }
    const struct fetch_answer exact = {.err = ERR_TLS, .why = "the certificate has expired: 1"};
    there_and_back(&exact, "http://h/", "", &item, &out, &line, &scratch);
    assert_str(item.error, "tls: the certificate has expired: 1");
    assert_err(out.err, ERR_TLS);
    assert_string_equal(out.why, exact.why);
    assert_err(fetch_error_of_word(STR("of a later version")), ERR_IO);
    assert_string_equal(fetch_error_word(ERR_PROTOCOL), "failed");
    buf_fini(&line);
    buf_fini(&scratch);
}

TEST(what_is_no_answer_is_refused)
{
    struct fetch_answer out;
    assert_false(recorded_read(&(struct record){.kind = RECORD_WS_CLOSE, .status = 200}, &out));
    assert_false(recorded_read(&(struct record){.kind = RECORD_HTTP}, &out));
    assert_false(recorded_read(
        &(struct record){.kind = RECORD_HTTP, .status = 200, .error = STR("timeout")}, &out));
    assert_true(recorded_read(&(struct record){.kind = RECORD_HTTP, .status = 304}, &out));
}

TEST(what_was_asked_of_a_venue_can_be_read_back)
{
    const struct feed_job jobs[] = {
        {.kind = JOB_LIST},
        {.kind = JOB_REPAIR, .hole = {.from = 8, .to = 1007}},
        {.kind = JOB_HISTORY, .interval = INTERVAL_4H, .before_ms = 1780753800000},
        {.kind = JOB_HISTORY, .interval = INTERVAL_1M},
    };
    static const char *const texts[] = {"instruments", "trades BTC/USD 8 1007",
                                        "candles BTC/USD 4h 1780753800000", "candles BTC/USD 1m 0"};
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        struct buf text = {0};
        struct feed_job job;
        struct str instrument;
        feed_purpose_write(&text, "BTC/USD", &jobs[i]);
        assert_buf(&text, texts[i]);
        assert_true(feed_purpose_read(buf_str(&text), &instrument, &job));
        assert_str(instrument, i == 0 ? "" : "BTC/USD");
        assert_int_equal(job.kind, jobs[i].kind);
        assert_int_equal(job.interval, jobs[i].interval);
        assert_true(job.before_ms == jobs[i].before_ms && job.hole.from == jobs[i].hole.from &&
                    job.hole.to == jobs[i].hole.to);
        buf_fini(&text);
    }
}

TEST(words_that_nobody_asked_with_are_refused)
{
    static const char *const texts[] = {
        "",
        "instruments BTC",
        "trades",
        "trades BTC 8",
        "trades BTC 9 8",
        "trades BTC 0 8",
        "trades BTC 8 1008",
        "trades BTC 8 9 10",
        "trades  8 9",
        "trades BTC -8 9",
        "trades BTC 8 18446744073709551616",
        "candles BTC",
        "candles BTC 1m",
        "candles BTC 1m -5",
        "candles BTC 2m 0",
        "candles BTC 1m 0 0",
        "candle BTC 1m 0",
    };
    struct feed_job job;
    struct str instrument;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (feed_purpose_read(str_of(texts[i]), &instrument, &job)) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_with_all_that_it_is_judged_by),
        cmocka_unit_test(a_request_without_an_answer_comes_back_as_what_went_wrong),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(what_was_asked_of_a_venue_can_be_read_back),
        cmocka_unit_test(words_that_nobody_asked_with_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
