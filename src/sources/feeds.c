/* SPDX-License-Identifier: MIT */
#include "sources/feeds.h"

#include "base/alloc.h"
#include "base/log.h"
#include "sources/feed.h"

_Static_assert((int)VENUE_BINANCE == (int)MARKET_BINANCE &&
                   (int)VENUE_COINBASE == (int)MARKET_COINBASE &&
                   (int)VENUE_KRAKEN == (int)MARKET_KRAKEN &&
                   (int)VENUE_COUNT == (int)MARKET_VENUES,
               "the market and the wire count venues alike");

uint32_t feeds_chance(struct feeds *f)
{
    /* xorshift64*: chance for jitter, not for secrets */
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return (uint32_t)((f->random * 2685821657736338717ULL) >> 32);
}

void feeds_mark(struct feeds *f, struct str upstream)
{
    enum market_mode mode = str_eq(upstream, STR("simulated"))  ? MODE_DEMO
                            : str_eq(upstream, STR("recorded")) ? MODE_REPLAY
                                                                : f->mode;
    if (mode != f->mode) {
        f->mode = mode;
        log_warn("feeds", "upstream says that its data is not live", "mode=%s",
                 market_mode_text(mode));
        if (f->opts.mode_changed) {
            f->opts.mode_changed(f->opts.self, mode);
        }
    }
}

struct feeds *feeds_new(const struct feeds_opts *opts)
{
    static const struct feed_venue *const venues[VENUE_COUNT] = {
        &feed_venue_binance, &feed_venue_coinbase, &feed_venue_kraken};
    struct feeds *f = mem_zero(sizeof(*f));
    f->opts = *opts;
    f->mode = opts->mode;
    f->random = opts->seed | 1;
    for (int v = 0; v < VENUE_COUNT; v++) {
        venue_feed_init(&f->venues[v], f, venues[v], opts->ws_url[v], opts->rest_url[v]);
    }
    return f;
}

static void on_tick(void *self)
{
    struct feeds *f = self;
    for (int v = 0; v < VENUE_COUNT && f->running; v++) {
        venue_feed_tick(&f->venues[v]);
    }
    if (f->running) {
        timer_start(f->opts.loop, &f->timer, loop_now_ms(f->opts.loop) + FEED_TICK_MS, on_tick, f);
    }
}

void feeds_start(struct feeds *f)
{
    uint32_t usdt = 0;
    f->running = true;
    if (market_add_symbol(f->opts.market, STR("USDT"), &usdt) == OK) {
        feeds_watch(f, usdt, true);
    }
    timer_start(f->opts.loop, &f->timer, loop_now_ms(f->opts.loop), on_tick, f);
}

void feeds_stop(struct feeds *f)
{
    f->running = false;
    timer_stop(f->opts.loop, &f->timer);
    for (int v = 0; v < VENUE_COUNT; v++) {
        venue_feed_stop(&f->venues[v]);
    }
}

void feeds_free(struct feeds *f)
{
    if (!f) {
        return;
    }
    if (f->running) {
        feeds_stop(f);
    }
    for (int v = 0; v < VENUE_COUNT; v++) {
        venue_feed_fini(&f->venues[v]);
    }
    map_fini(&f->told);
    mem_free(f);
}

void feeds_watch(struct feeds *f, uint32_t symbol, bool wanted)
{
    bool is_usdt = str_eq(str_of(market_symbol(f->opts.market, symbol)), STR("USDT"));
    for (int v = 0; v < VENUE_COUNT; v++) {
        struct feed_row *row = feed_row_of(&f->venues[v], symbol);
        bool was_wanted = row && row->wanted;
        if (row) {
            row->wanted = wanted || is_usdt;
        }
        if (was_wanted && !row->wanted) {
            row->seen = false; /* when it is wanted again, only a new price counts */
            f->opts.down(f->opts.self, (enum market_venue)v, symbol, "nobody watches it now");
        }
    }
}

size_t feeds_watched(const struct feeds *f)
{
    struct map symbols = {0};
    for (int v = 0; v < VENUE_COUNT; v++) {
        for (size_t i = 0; i < f->venues[v].row_count; i++) {
            struct feed_row *row = f->venues[v].rows[i];
            const char *name = market_symbol(f->opts.market, row->symbol);
            if (row->wanted && map_put(&symbols, str_of(name), row) != OK) {
                abort(); /* it has no ceiling */
            }
        }
    }
    size_t count = symbols.count;
    map_fini(&symbols);
    return count;
}

void feeds_ask_history(struct feeds *f, enum market_venue v, uint32_t symbol, enum interval i,
                       size_t count, int64_t before_ms)
{
    struct feed_row *row = feed_row_of(&f->venues[v], symbol);
    if (row && f->opts.fetch && count > 0) {
        feed_rest_history(&f->venues[v], row, i, count, before_ms);
    }
}

void feeds_replay_frame(struct feeds *f, enum market_venue v, struct str frame)
{
    feed_take_frame(&f->venues[v], NULL, frame);
}

void feeds_replay_opened(struct feeds *f, enum market_venue v)
{
    f->venues[v].replay_connections++;
}

void feeds_replay_closed(struct feeds *f, enum market_venue v, int code)
{
    struct venue_feed *vf = &f->venues[v];
    vf->replay_connections -= vf->replay_connections > 0;
    for (size_t i = 0; i < vf->row_count; i++) {
        struct feed_row *row = vf->rows[i];
        if (row->seen && code != 1000 && vf->replay_connections == 0) {
            row->seen = false;
            f->opts.down(f->opts.self, v, row->symbol, "the connection broke");
        }
    }
}

/* The part of a hole of ours that the answer is for; false: it is filled, or given up. */
static bool claim_hole(struct feed_row *row, struct feed_hole *asked)
{
    for (size_t i = 0; i < row->hole_count; i++) {
        struct feed_hole *hole = &row->holes[i];
        if (hole->from <= asked->to && hole->to >= asked->from) {
            hole->asked = true;
            *asked = *hole;
            return true;
        }
    }
    return false;
}

bool feeds_take_recorded(struct feeds *f, enum market_venue v, struct str purpose,
                         const struct fetch_answer *a)
{
    struct venue_feed *vf = &f->venues[v];
    struct str instrument;
    struct feed_job job;
    if (!feed_purpose_read(purpose, &instrument, &job)) {
        return false;
    }
    vf->rest.recorded = true;
    if (job.kind != JOB_LIST) {
        struct feed_row *row = feed_row_find(vf, instrument);
        row = row ? row : feed_row_adopt(vf, instrument);
        if (!row || (job.kind == JOB_REPAIR && !claim_hole(row, &job.hole))) {
            return row != NULL;
        }
        job.row = row->index;
    }
    (void)feed_rest_take(vf, &job, a); /* it has said what was wrong */
    return true;
}

static void first_time(void *self, const struct exchange_event *e)
{
    int64_t *ms = self;
    int64_t us = e->sent_us ? e->sent_us : e->time_us;
    *ms = *ms == 0 ? us / 1000 : *ms;
}

int64_t feeds_frame_time(enum market_venue v, struct str frame)
{
    int64_t ms = 0;
    const char *why;
    enum err e = exchange_read_frame((enum venue)v, frame, first_time, &ms, &why);
    return e == OK ? ms : 0;
}

void feeds_health_each(struct feeds *f, feeds_health_fn fn, void *self)
{
    for (int v = 0; v < VENUE_COUNT; v++) {
        struct feed_health health;
        venue_feed_health(&f->venues[v], &health);
        fn(self, &health);
    }
}
