/* SPDX-License-Identifier: MIT */
#include "tools/player.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

struct peer {
    char *frames[64];
    size_t count;
};

static void on_send(void *conn, struct str text)
{
    struct peer *p = conn;
    assert_true(p->count < ARRAY_LEN(p->frames));
    p->frames[p->count++] = mem_copy_text(text.ptr, text.len);
}

static const struct exchange_ops ops = {.send = on_send};

struct world {
    struct clock clock;
    struct reel *reel;
    struct player player;
    char file[64];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    clock_init_virtual(&w->clock, 1000, INT64_C(1795264460000));
    struct loop_opts opts = {.io = IO_EPOLL, .clock = &w->clock};
    assert_int_equal(loop_new(&opts, &w->player.loop), OK);
    w->player.ops = &ops;
    w->player.speed = 1;
    snprintf(w->file, sizeof(w->file), "/tmp/coincast-player-XXXXXX");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    reel_free(w->reel);
    loop_free(w->player.loop);
    free(w);
    return 0;
}

static enum err load(struct world *w, const char *text, struct buf *error)
{
    int fd = mkstemp(w->file);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    enum err e = reel_open(w->file, &w->reel, error);
    unlink(w->file);
    w->player.reel = w->reel;
    return e;
}

static void run(struct world *w, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        clock_advance_us(&w->clock, 10000);
        loop_turn(w->player.loop, 0);
    }
}

static void forget(struct peer *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->frames[i]);
    }
    p->count = 0;
}

static const char stamped[] =
    "1723161254000000000 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"t\":1}}\n"
    "1723161255000000000 {\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\"}}\n"
    "1723161256000000000 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"t\":2}}\n";

static void it_plays_what_was_subscribed_with_its_times(void **state)
{
    struct world *w = *state;
    struct buf error = {0};
    struct peer raw = {0}, wrapped = {0};
    assert_int_equal(load(w, stamped, &error), OK);
    assert_int_equal(w->reel->count[VENUE_BINANCE], 3);
    struct playback *a = player_open(&w->player, VENUE_BINANCE, &raw, STR("/ws"), STR(""));
    run(w, 3000);
    assert_int_equal(raw.count, 0); /* nothing was subscribed */
    player_take(a, STR("{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":5}"));
    assert_string_equal(raw.frames[0], "{\"result\":null,\"id\":5}");
    struct playback *b = player_open(&w->player, VENUE_BINANCE, &wrapped, STR("/stream"),
                                     STR("streams=btcusdt@depth/btcusdt@trade"));
    run(w, 500);
    assert_int_equal(raw.count, 2);
    assert_string_equal(raw.frames[1], "{\"e\":\"trade\",\"t\":1}");
    run(w, 1400);
    assert_int_equal(raw.count, 2);
    assert_int_equal(wrapped.count, 2);
    run(w, 200);
    assert_int_equal(raw.count, 3);
    assert_string_equal(wrapped.frames[2],
                        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"t\":2}}");
    player_close(a);
    player_close(b);
    forget(&raw);
    forget(&wrapped);
}

static void bare_frames_have_the_times_they_tell(void **state)
{
    struct world *w = *state;
    struct buf error = {0};
    struct peer p = {0};
    assert_int_equal(
        load(w,
             "{\"type\":\"subscriptions\",\"channels\":[]}\n"
             "{\"type\":\"match\",\"trade_id\":1,\"product_id\":\"BTC-USD\",\"sequence\":1,"
             "\"side\":\"buy\",\"time\":\"2026-07-07T22:58:16.100000Z\"}\n"
             "{\"type\":\"match\",\"trade_id\":9,\"product_id\":\"ETH-USD\",\"sequence\":1,"
             "\"side\":\"buy\",\"time\":\"2026-07-07T22:58:16.200000Z\"}\n"
             "{\"type\":\"match\",\"trade_id\":2,\"product_id\":\"BTC-USD\",\"sequence\":2,"
             "\"side\":\"buy\",\"time\":\"2026-07-07T22:58:17.100000Z\"}\n",
             &error),
        OK);
    struct playback *b = player_open(&w->player, VENUE_COINBASE, &p, STR("/"), STR(""));
    player_take(b, STR("{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":["
                       "\"matches\"]}"));
    assert_string_equal(p.frames[0], "{\"type\":\"subscriptions\",\"channels\":[{\"name\":"
                                     "\"matches\",\"product_ids\":[\"BTC-USD\"],\"account_ids\":"
                                     "null}]}");
    run(w, 900);
    assert_int_equal(p.count, 2);
    run(w, 200);
    assert_int_equal(p.count, 3);
    assert_non_null(strstr(p.frames[2], "\"trade_id\":2"));
    player_close(b);
    forget(&p);
    w->player.speed = 0; /* all at once */
    b = player_open(&w->player, VENUE_COINBASE, &p, STR("/"), STR(""));
    player_take(b,
                STR("{\"type\":\"subscribe\",\"channels\":[{\"name\":\"matches\",\"product_ids\":"
                    "[\"BTC-USD\",\"ETH-USD\"]}]}"));
    run(w, 20);
    assert_int_equal(p.count, 4);
    player_close(b);
    forget(&p);
}

static void a_file_that_is_no_capture_is_said(void **state)
{
    struct world *w = *state;
    struct buf error = {0};
    assert_int_equal(load(w, "one\ntwo\n", &error), ERR_SYNTAX);
    assert_non_null(strstr(buf_text(&error), "no capture"));
    buf_clear(&error);
    assert_int_equal(reel_open("/nowhere/at/all", &w->reel, &error), ERR_NOT_FOUND);
    buf_fini(&error);
}

static void a_cut_compressed_capture_is_played_as_far_as_it_goes(void **state)
{
    struct world *w = *state;
    struct buf error = {0};
    char path[512], head[20000];
    const char *folder = getenv("COINCAST_FIXTURES");
    if (!folder) {
        skip();
    }
    snprintf(path, sizeof(path), "%s/ws/binance/spot_btcusdt_20240808.txt.gz", folder);
    FILE *in = fopen(path, "rbe");
    assert_non_null(in);
    assert_int_equal(fread(head, 1, sizeof(head), in), sizeof(head));
    assert_int_equal(fclose(in), 0);
    int fd = mkstemp(w->file);
    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    close(fd);
    assert_int_equal(reel_open(w->file, &w->reel, &error), OK);
    unlink(w->file);
    assert_int_equal(w->reel->count[VENUE_BINANCE], 354);
    buf_fini(&error);
}

static void it_reads_the_recorded_captures(void **state)
{
    static const struct {
        const char *file;
        enum venue venue;
        size_t least;
    } tapes[] = {
        {"ws/binance/spot_btcusdt_20240808.txt.gz", VENUE_BINANCE, 41000},
        {"ws/binance/session_20211012_4sym.jsonl.gz", VENUE_BINANCE, 260},
        {"ws/coinbase/exchange_20260707_btc_eth.ndjson.gz", VENUE_COINBASE, 2450},
        {"ws/coinbase/exchange_20210417_other6.jsonl.gz", VENUE_COINBASE, 5900},
        {"ws/coinbase/advanced_trade_20260809_btc_eth.jsonl.gz", VENUE_COINBASE, 1000},
        {"ws/kraken/v2_20260707_btc_eth.ndjson.gz", VENUE_KRAKEN, 2990},
    };
    struct world *w = *state;
    const char *folder = getenv("COINCAST_FIXTURES");
    if (!folder) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(tapes); i++) {
        struct buf error = {0};
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, tapes[i].file);
        if (reel_open(path, &w->reel, &error) != OK) {
            fail_msg("%s", buf_text(&error));
        }
        size_t n = w->reel->count[tapes[i].venue];
        const struct reel_frame *frames = w->reel->frames[tapes[i].venue];
        if (n < tapes[i].least) {
            fail_msg("%s: %zu frames", tapes[i].file, n);
        }
        for (size_t k = 1; k < n; k++) {
            assert_true(frames[k].at_ns >= frames[k - 1].at_ns);
        }
        assert_int_equal(frames[0].at_ns, 0);
        assert_true(frames[n - 1].at_ns > INT64_C(10000000000));
        assert_true(frames[n - 1].key.len > 0);
        reel_free(w->reel);
        w->reel = NULL;
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(it_plays_what_was_subscribed_with_its_times),
        T(bare_frames_have_the_times_they_tell),
        T(a_file_that_is_no_capture_is_said),
        T(a_cut_compressed_capture_is_played_as_far_as_it_goes),
        T(it_reads_the_recorded_captures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
