/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "wire/gzip.h"
#include "wire/tape.h"

/* ---- lines ---- */

/* One item (or refusal) a line: what a reader makes of `text`, fed in pieces of `piece` bytes. */
static void read_all(struct str text, size_t piece, struct buf *log)
{
    struct tape_reader *t = tape_new();
    struct tape_item item;
    while (text.len > 0) {
        /* An exact copy, so that a read past its end is seen. */
        struct str part = str_sub(text, 0, piece);
        char *exact = malloc(part.len);
        memcpy(exact, part.ptr, part.len);
        tape_feed(t, str_make(exact, part.len));
        free(exact);
        text = str_from(text, part.len);
        if (text.len == 0) {
            tape_end(t);
        }
        for (enum err e = tape_next(t, &item); e != ERR_MORE; e = tape_next(t, &item)) {
            if (e != OK) {
                buf_printf(log, "line %d: %s\n", (int)tape_line(t), tape_why(t));
                continue;
            }
            static const char *const kinds[] = {"http", "open", "text", "sent", "close"};
            buf_printf(log, "%lld %s %.*s|%.*s|%.*s|%.*s|%d\n", (long long)item.time_ns,
                       kinds[item.kind], STR_ARG(item.source), STR_ARG(item.connection),
                       STR_ARG(item.url), STR_ARG(item.frame), item.status);
        }
    }
    buf_printf(log, "%s, %d bad, %d cut\n", tape_form_text(tape_form(t)), (int)tape_bad_lines(t),
               (int)tape_cut_bytes(t));
    tape_free(t);
}

static void check(const char *corpus, const char *expected)
{
    static const size_t pieces[] = {1, 7, 64, SIZE_MAX};
    char path[128];
    struct buf text = {0}, log = {0};
    snprintf(path, sizeof(path), "fuzz/corpus/wire_tape/%s", corpus);
    assert_true(test_read_file(path, &text));
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        buf_clear(&log);
        read_all(buf_str(&text), pieces[i], &log);
        assert_buf(&log, expected);
    }
    buf_fini(&text);
    buf_fini(&log);
}

TEST(a_recording_of_ours_with_bad_lines_and_a_cut_end)
{
    check("recording.txt",
          "1780753800123456789 http coingecko||https://api.coingecko.com/api/v3/global|"
          "{\"data\":{}}|200\n"
          "1780753800200000000 open binance||wss://data-stream.binance.vision/"
          "stream?streams=btcusdt@trade||0\n"
          "1780753800210000000 text binance|||{\"stream\":\"btcusdt@trade\",\"data\":{}}|0\n"
          "line 4: it is of a later version of the format\n"
          "line 5: it is not an item of a recording\n"
          "1780753860000000000 close binance||||1006\n"
          "recording, 2 bad, 19 cut\n");
}

TEST(frames_behind_a_receive_time)
{
    check("stamped.txt",
          "1723161253937085768 text binance|||{\"stream\":\"btcusdt@trade\",\"data\":"
          "{\"e\":\"trade\"}}|0\n"
          "line 2: it does not begin with a time in nanoseconds\n"
          "line 3: it does not begin with a time in nanoseconds\n"
          "1723161254206652067 text binance|||{\"lastUpdateId\":5,\"bids\":[],\"asks\":[]}|0\n"
          "1723161254206652068 text binance|||{\"u\":1,\"s\":\"BTCUSDT\",\"b\":\"1\",\"B\":\"2\","
          "\"a\":\"3\",\"A\":\"4\"}|0\n"
          "stamped frames, 2 bad, 0 cut\n");
}

TEST(a_session_with_what_was_sent)
{
    check("session.txt",
          "1786309548031329000 open coinbase|C.ws.2|wss://advanced-trade-ws.coinbase.com||0\n"
          "1786309548174374800 sent coinbase||wss://advanced-trade-ws.coinbase.com|"
          "{\"type\":\"subscribe\"}|0\n"
          "1786309549000000000 text coinbase|||{\"channel\":\"heartbeats\",\"client_id\":\"\","
          "\"sequence_num\":0,\"events\":[]}|0\n"
          "line 4: it is not a line of a session with t and ts\n"
          "session, 1 bad, 0 cut\n");
}

TEST(bare_frames_have_no_time)
{
    check("bare.txt", "0 text kraken|||{\"channel\":\"heartbeat\"}|0\n"
                      "0 text kraken|||{\"channel\":\"trade\",\"type\":\"update\",\"data\":[]}|0\n"
                      "0 text kraken|||{\"method\":\"subscribe\",\"success\":true}|0\n"
                      "0 text coinbase|||{\"type\":\"match\",\"product_id\":\"BTC-USD\"}|0\n"
                      "line 5: it is not a JSON object\n"
                      "bare frames, 1 bad, 0 cut\n");
}

TEST(labelled_frames_say_whose_they_are)
{
    check("labelled.txt", "0 text kraken|||{\"method\":\"subscribe\",\"success\":true}|0\n"
                          "0 text binance|||{\"result\":null,\"id\":1}|0\n"
                          "0 text kraken|||{\"channel\":\"heartbeat\"}|0\n"
                          "line 4: it is not a frame as data with its venue\n"
                          "0 text |||{\"x\":1}|0\n"
                          "labelled frames, 1 bad, 0 cut\n");
}

TEST(a_first_line_of_no_form_does_not_decide_it)
{
    struct buf log = {0};
    read_all(STR("\n# notes\n5 {}\n"), 3, &log);
    assert_buf(&log,
               "line 2: it is of no known form\n5 text |||{}|0\nstamped frames, 1 bad, 0 cut\n");
    buf_fini(&log);
}

TEST(a_line_beyond_the_ceiling_is_refused_and_the_next_is_read)
{
    enum { PIECE = 1 << 20 };
    struct tape_reader *t = tape_new();
    struct tape_item item;
    char *piece = malloc(PIECE);
    memset(piece, 'x', PIECE);
    tape_feed(t, STR("1 "));
    for (size_t fed = 0; fed <= TAPE_LINE_MAX + PIECE; fed += PIECE) {
        assert_err(tape_next(t, &item), ERR_MORE);
        tape_feed(t, str_make(piece, PIECE));
    }
    tape_feed(t, STR("\n2 {}\n"));
    assert_err(tape_next(t, &item), ERR_LIMIT);
    assert_int_equal(tape_line(t), 1);
    assert_ok(tape_next(t, &item));
    assert_int_equal(item.time_ns, 2);
    assert_int_equal(tape_line(t), 2);
    /* And the longest that fits does. */
    char *line = malloc(TAPE_LINE_MAX + 1);
    memset(line, 'y', TAPE_LINE_MAX);
    memcpy(line, "3 ", 2);
    line[TAPE_LINE_MAX] = '\n';
    tape_feed(t, str_make(line, TAPE_LINE_MAX + 1));
    assert_ok(tape_next(t, &item));
    assert_true(item.frame.len == TAPE_LINE_MAX - 2);
    tape_end(t);
    assert_err(tape_next(t, &item), ERR_MORE);
    assert_int_equal(tape_bad_lines(t), 1);
    assert_int_equal(tape_cut_bytes(t), 0);
    free(line);
    free(piece);
    tape_free(t);
}

/* ---- venues ---- */

TEST(the_venue_of_a_message)
{
    static const struct {
        const char *frame;
        enum tape_venue expected;
    } cases[] = {
        {"{\"e\":\"trade\",\"E\":1}", TAPE_VENUE_BINANCE},
        {"{\"stream\":\"a@b\",\"data\":{}}", TAPE_VENUE_BINANCE},
        {"{\"u\":1,\"s\":\"X\",\"b\":\"1\",\"B\":\"1\",\"a\":\"1\",\"A\":\"1\"}",
         TAPE_VENUE_BINANCE},
        {"{\"u\":1,\"s\":\"X\",\"b\":\"1\",\"B\":\"1\",\"a\":\"1\"}", TAPE_VENUE_UNKNOWN},
        {"{\"lastUpdateId\":1}", TAPE_VENUE_BINANCE},
        {"{\"result\":null,\"id\":1}", TAPE_VENUE_UNKNOWN},
        {"{\"type\":\"ticker\",\"sequence\":1,\"product_id\":\"BTC-USD\"}", TAPE_VENUE_COINBASE},
        {"{\"type\":\"subscriptions\",\"channels\":[]}", TAPE_VENUE_COINBASE},
        {"{\"channel\":\"ticker\",\"timestamp\":\"\",\"sequence_num\":1,\"events\":[]}",
         TAPE_VENUE_COINBASE_ADVANCED},
        {"{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[]}", TAPE_VENUE_KRAKEN},
        {"{\"channel\":\"heartbeat\"}", TAPE_VENUE_KRAKEN},
        {"{\"error\":\"x\",\"method\":\"subscribe\",\"success\":false}", TAPE_VENUE_KRAKEN},
        {"{\"method\":\"pong\",\"time_in\":\"\"}", TAPE_VENUE_KRAKEN},
        {"{\"method\":\"SUBSCRIBE\",\"params\":[],\"id\":1}", TAPE_VENUE_UNKNOWN},
        {"{\"channel\":\"heartbeat\"", TAPE_VENUE_UNKNOWN},
        {"[]", TAPE_VENUE_UNKNOWN},
        {"", TAPE_VENUE_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].frame);
        assert_str(str_of(tape_venue_text(tape_venue_of_frame(str_of(cases[i].frame)))),
                   tape_venue_text(cases[i].expected));
        assert_int_equal(tape_venue_of_frame(str_of(cases[i].frame)), cases[i].expected);
    }
    test_case(NULL);
}

TEST(the_venue_of_a_url_is_by_its_host)
{
    assert_int_equal(tape_venue_of_url(STR("wss://stream.binance.com:9443/x")), TAPE_VENUE_BINANCE);
    assert_int_equal(tape_venue_of_url(STR("wss://ws-feed.pro.coinbase.com")), TAPE_VENUE_COINBASE);
    assert_int_equal(tape_venue_of_url(STR("wss://advanced-trade-ws.coinbase.com")),
                     TAPE_VENUE_COINBASE_ADVANCED);
    assert_int_equal(tape_venue_of_url(STR("wss://ws.kraken.com/v2")), TAPE_VENUE_KRAKEN);
    assert_int_equal(tape_venue_of_url(STR("ws://127.0.0.1:9/kraken")), TAPE_VENUE_UNKNOWN);
    assert_int_equal(tape_venue_of_url(STR("")), TAPE_VENUE_UNKNOWN);
}

/* ---- real tapes ---- */

struct totals {
    size_t kinds[TAPE_CLOSE + 1];
    size_t without_time, of_other_venue;
};

static void count(struct tape_reader *t, enum tape_venue venue, struct totals *out)
{
    struct tape_item item;
    for (enum err e = tape_next(t, &item); e != ERR_MORE; e = tape_next(t, &item)) {
        assert_ok(e);
        out->kinds[item.kind]++;
        out->without_time += item.time_ns == 0;
        out->of_other_venue += item.venue != venue;
    }
}

static void play(const char *path, enum tape_venue venue, size_t piece, struct totals *out)
{
    struct buf packed = {0}, plain = {0};
    fixture_read(path, &packed); /* first: it skips the test where there are no fixtures */
    struct gunzip *g = gunzip_new();
    struct tape_reader *t = tape_new();
    for (struct str rest = buf_str(&packed); rest.len > 0;) {
        struct str in = str_sub(rest, 0, piece);
        enum err e = OK;
        rest = str_from(rest, in.len);
        while (e == OK) {
            buf_clear(&plain);
            e = gunzip_some(g, &in, &plain, 32768);
            tape_feed(t, buf_str(&plain));
            count(t, venue, out);
        }
        assert_err(e, ERR_MORE);
    }
    assert_ok(gunzip_end(g));
    tape_end(t);
    count(t, venue, out);
    assert_int_equal(tape_bad_lines(t), 0);
    assert_int_equal(tape_cut_bytes(t), 0);
    tape_free(t);
    gunzip_free(g);
    buf_fini(&packed);
    buf_fini(&plain);
}

/* The counts are those of the fixtures' README. */
TEST(every_line_of_every_recorded_session_becomes_an_item)
{
    static const struct {
        const char *path;
        enum tape_venue venue;
        size_t text, open, sent, timeless;
    } files[] = {
        {"ws/binance/spot_btcusdt_20240808.txt.gz", TAPE_VENUE_BINANCE, 41249, 0, 0, 0},
        {"ws/binance/spot_btcusdt_20240809.txt.gz", TAPE_VENUE_BINANCE, 58325, 0, 0, 0},
        {"ws/binance/spot_ethusdt_20240808.txt.gz", TAPE_VENUE_BINANCE, 33618, 0, 0, 0},
        {"ws/binance/session_20211012_4sym.jsonl.gz", TAPE_VENUE_BINANCE, 265, 1, 0, 0},
        {"ws/coinbase/advanced_trade_20260809_btc_eth.jsonl.gz", TAPE_VENUE_COINBASE_ADVANCED, 1030,
         1, 5, 0},
        {"ws/coinbase/exchange_20210417_other6.jsonl.gz", TAPE_VENUE_COINBASE, 5992, 1, 3, 0},
        {"ws/coinbase/exchange_20260707_btc_eth.ndjson.gz", TAPE_VENUE_COINBASE, 2456, 0, 0, 2456},
        {"ws/kraken/v2_20260707_btc_eth.ndjson.gz", TAPE_VENUE_KRAKEN, 3000, 0, 0, 3000},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct totals a = {0}, b = {0};
        test_case(files[i].path);
        play(files[i].path, files[i].venue, 4096, &a);
        assert_int_equal(a.kinds[TAPE_TEXT], files[i].text);
        assert_int_equal(a.kinds[TAPE_OPEN], files[i].open);
        assert_int_equal(a.kinds[TAPE_SENT], files[i].sent);
        assert_int_equal(a.kinds[TAPE_HTTP] + a.kinds[TAPE_CLOSE], 0);
        assert_int_equal(a.without_time, files[i].timeless);
        assert_int_equal(a.of_other_venue, 0);
        if (files[i].text < 6000) {
            play(files[i].path, files[i].venue, 1, &b);
            assert_memory_equal(&a, &b, sizeof(a));
        }
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_of_ours_with_bad_lines_and_a_cut_end),
        cmocka_unit_test(frames_behind_a_receive_time),
        cmocka_unit_test(a_session_with_what_was_sent),
        cmocka_unit_test(bare_frames_have_no_time),
        cmocka_unit_test(labelled_frames_say_whose_they_are),
        cmocka_unit_test(a_first_line_of_no_form_does_not_decide_it),
        cmocka_unit_test(a_line_beyond_the_ceiling_is_refused_and_the_next_is_read),
        cmocka_unit_test(the_venue_of_a_message),
        cmocka_unit_test(the_venue_of_a_url_is_by_its_host),
        cmocka_unit_test(every_line_of_every_recorded_session_becomes_an_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
