/* The readers of the exchanges' frames over every frame of the recorded sessions.
 * SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "wire/exchange.h"
#include "wire/scan.h"

#define SEEN_MAX 1000

static struct {
    struct exchange_event e[SEEN_MAX];
    size_t count;
} seen;

static void keep(void *self, const struct exchange_event *e)
{
    (void)self;
    assert_true(seen.count < SEEN_MAX);
    seen.e[seen.count++] = *e;
}

struct kinds {
    const char *name; /* as the list of the recordings counts them */
    size_t frames;
};

struct tape {
    const char *path;
    enum venue venue;
    struct kinds kinds[8];
};

/* The counts are those of the recordings' own list. */
static const struct tape tapes[] = {
    {"ws/binance/spot_btcusdt_20240808.txt.gz",
     VENUE_BINANCE,
     {{"book", 28040}, {"trade", 9757}, {"depthUpdate", 3451}, {"book snapshot", 1}}},
    {"ws/binance/spot_btcusdt_20240809.txt.gz",
     VENUE_BINANCE,
     {{"book", 45134}, {"trade", 10147}, {"depthUpdate", 3044}}},
    {"ws/binance/spot_ethusdt_20240808.txt.gz",
     VENUE_BINANCE,
     {{"book", 24077}, {"trade", 6106}, {"depthUpdate", 3434}, {"book snapshot", 1}}},
    {"ws/binance/session_20211012_4sym.jsonl.gz",
     VENUE_BINANCE,
     {{"depthUpdate", 177}, {"book", 84}, {"trade", 2}, {"candle", 2}}},
    {"ws/coinbase/advanced_trade_20260809_btc_eth.jsonl.gz",
     VENUE_COINBASE,
     {{"l2_data", 775}, {"day", 160}, {"trade", 59}, {"heartbeat", 25}, {"candle", 6}, {"ack", 5}}},
    {"ws/coinbase/exchange_20210417_other6.jsonl.gz",
     VENUE_COINBASE,
     {{"l2update", 5899}, {"day", 42}, {"trade", 42}, {"snapshot", 6}, {"ack", 3}}},
    {"ws/coinbase/exchange_20260707_btc_eth.ndjson.gz",
     VENUE_COINBASE,
     {{"l2update", 1898}, {"trade", 437}, {"heartbeat", 118}, {"snapshot", 2}, {"ack", 1}}},
    {"ws/kraken/v2_20260707_btc_eth.ndjson.gz",
     VENUE_KRAKEN,
     {{"book", 2962}, {"heartbeat", 23}, {"trade", 10}, {"ack", 4}, {"status", 1}}},
};

/* What is known of a tape's trades: ids of an instrument rise by one. */
static struct {
    struct {
        char instrument[16];
        uint64_t last;
    } of[16];
    size_t count, holes;
} ids;

static void follow_ids(const struct exchange_event *e)
{
    size_t i = 0;
    assert_true(e->instrument.len < sizeof(ids.of[0].instrument));
    while (i < ids.count && !str_eq(str_of(ids.of[i].instrument), e->instrument)) {
        i++;
    }
    if (i == ids.count) {
        assert_true(ids.count < ARRAY_LEN(ids.of));
        memcpy(ids.of[ids.count++].instrument, e->instrument.ptr, e->instrument.len);
    } else if (!e->snapshot && ids.of[i].last + 1 != e->first_id) {
        ids.holes++;
    }
    ids.of[i].last = e->id > ids.of[i].last ? e->id : ids.of[i].last;
}

static const char *name_of(const struct exchange_event *e, char scratch[64])
{
    static const char *const names[] = {"trade", "book",    "day",    "candle",   "heartbeat",
                                        "ack",   "refused", "status", "shutdown", NULL};
    if (e->kind != EX_IGNORED) {
        return names[e->kind];
    }
    snprintf(scratch, 64, "%.*s", STR_ARG(e->text));
    return scratch;
}

static void count_frame(const struct tape *t, struct str frame, size_t counts[8])
{
    const char *why = NULL;
    char scratch[64];
    seen.count = 0;
    enum err err = exchange_read_frame(t->venue, frame, keep, NULL, &why);
    if (err != OK || seen.count == 0) {
        fail_msg("%s: %s: %.*s", t->path, why ? why : "no event", (int)min_size(frame.len, 300),
                 frame.ptr);
    }
    for (size_t i = 0; i < seen.count; i++) {
        const struct exchange_event *e = &seen.e[i];
        if (e->kind == EX_TRADE) {
            assert_true(e->taker != SIDE_UNKNOWN && e->id > 0 && e->time_us > 0);
            follow_ids(e);
        }
    }
    const char *name = name_of(&seen.e[0], scratch);
    for (size_t i = 0; i < 8; i++) {
        if (t->kinds[i].name && strcmp(t->kinds[i].name, name) == 0) {
            counts[i]++;
            return;
        }
    }
    fail_msg("%s: a frame of kind %s", t->path, name);
}

/* The frame in a line of a recording; empty: the line is something else. */
static struct str frame_of(const char *path, struct str line, struct buf *scratch)
{
    if (str_ends(str_of(path), STR(".txt.gz"))) {
        return str_from(line, str_find(line, ' ', 0) + 1);
    }
    if (str_ends(str_of(path), STR(".ndjson.gz"))) {
        return line;
    }
    struct scan s;
    struct str key;
    struct str data = {0};
    bool received = false;
    scan_begin(&s, line);
    assert_true(scan_object(&s));
    while (scan_key(&s, &key)) {
        struct str raw = {0};
        if (str_eq(key, STR("t")) && scan_string(&s, &raw)) {
            received = str_eq(raw, STR("recv"));
        } else if (str_eq(key, STR("data"))) {
            assert_true(scan_string(&s, &data));
        }
    }
    assert_ok(scan_end(&s));
    buf_clear(scratch);
    assert_ok(scan_unescape(data, scratch));
    return received ? buf_str(scratch) : (struct str){0};
}

static void walk(const struct tape *t)
{
    struct buf command = {0};
    struct buf scratch = {0};
    size_t counts[8] = {0};
    char *line = NULL;
    size_t cap = 0;
    memset(&ids, 0, sizeof(ids));
    buf_printf(&command, "gzip -dc '%s/%s'", fixture_root(), t->path);
    FILE *pipe = popen(buf_text(&command), "r");
    assert_non_null(pipe);
    for (ssize_t n = getline(&line, &cap, pipe); n > 0; n = getline(&line, &cap, pipe)) {
        struct str frame = frame_of(t->path, str_make(line, (size_t)n - 1), &scratch);
        if (frame.len > 0) {
            count_frame(t, frame, counts);
        }
    }
    assert_int_equal(pclose(pipe), 0);
    test_case(t->path);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(counts[i], t->kinds[i].frames);
    }
    assert_int_equal(ids.holes, 0);
    test_case(NULL);
    free(line); /* getline's own */
    buf_fini(&command);
    buf_fini(&scratch);
}

TEST(every_frame_of_the_recordings_is_understood_or_named)
{
    if (!fixture_root()) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(tapes); i++) {
        walk(&tapes[i]);
    }
}

TEST(single_recorded_frames_are_understood)
{
    struct buf file = {0};
    struct buf scratch = {0};
    size_t count = 0;
    struct str rest;
    struct str line;
    fixture_read("ws/single_frames.jsonl", &file);
    rest = buf_str(&file);
    while (str_next(&rest, '\n', &line)) {
        struct scan s;
        struct str key;
        struct str venue = {0};
        struct str data = {0};
        const char *why = NULL;
        if (line.len == 0) {
            continue;
        }
        scan_begin(&s, line);
        assert_true(scan_object(&s));
        while (scan_key(&s, &key)) {
            assert_true(scan_string(&s, str_eq(key, STR("venue")) ? &venue : &data));
        }
        assert_ok(scan_end(&s));
        buf_clear(&scratch);
        assert_ok(scan_unescape(data, &scratch));
        seen.count = 0;
        assert_true(venue_of(venue) < VENUE_COUNT);
        assert_ok(exchange_read_frame(venue_of(venue), buf_str(&scratch), keep, NULL, &why));
        assert_int_equal(seen.count, 1);
        assert_int_not_equal(seen.e[0].kind, EX_IGNORED);
        count++;
    }
    assert_int_equal(count, 15);
    buf_fini(&file);
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_of_the_recordings_is_understood_or_named),
        cmocka_unit_test(single_recorded_frames_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
