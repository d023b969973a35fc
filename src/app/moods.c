/* SPDX-License-Identifier: MIT */
#include "app/moods.h"

#include "base/alloc.h"
#include "market/signal.h"

#define SIGNAL_INTERVAL INTERVAL_1H

enum {
    MINUTE_MS = 60000,
    BARS_MAX = 2 * SIGNAL_BARS, /* so many are looked at when hysteresis is found anew */
};

struct mood {
    struct signal_state state;
    bool settled; /* the state follows from the history before */
    bool due;     /* history came; to be worked out at the end of the turn */
};

struct moods {
    struct moods_opts opts;
    struct api_main *api;
    struct mood *moods; /* by symbol id */
    size_t count;
    struct defer defer;
    struct timer minute;
    struct bar *bars;
};

static struct mood *mood_of(struct moods *m, uint32_t symbol)
{
    if (symbol >= m->count) {
        size_t count = max_size(symbol + 1, m->count * 2);
        m->moods = mem_resize(m->moods, count * sizeof(*m->moods));
        memset(m->moods + m->count, 0, (count - m->count) * sizeof(*m->moods));
        m->count = count;
    }
    return &m->moods[symbol];
}

/* ---- signals ---- */

static size_t bars_of(struct moods *m, uint32_t symbol)
{
    size_t count = 0;
    const struct candle *rows = candles_series(m->opts.candles, symbol, SIGNAL_INTERVAL, &count);
    size_t first = count > BARS_MAX ? count - BARS_MAX : 0;
    for (size_t i = first; i < count; i++) {
        m->bars[i - first] = (struct bar){.open_ms = rows[i].open_ms,
                                          .open = decimal_double(rows[i].open),
                                          .high = decimal_double(rows[i].high),
                                          .low = decimal_double(rows[i].low),
                                          .close = decimal_double(rows[i].close),
                                          .volume = decimal_double(rows[i].volume)};
    }
    return count - first;
}

static void work_out(struct moods *m, uint32_t symbol)
{
    struct mood *mood = mood_of(m, symbol);
    size_t count = bars_of(m, symbol);
    int64_t now = loop_wall_ms(m->opts.loop);
    int64_t step = interval_ms(SIGNAL_INTERVAL);
    struct signal s;
    mood->due = false;
    if (!mood->settled && count >= SIGNAL_BARS) {
        signal_settle(&mood->state, m->bars, count, step, now);
        mood->settled = true;
    }
    signal_of(&mood->state, m->bars, count, step, now, &s);
    if (m->api) {
        api_main_signal(m->api, symbol, &s, signal_due(&mood->state, &s));
    }
}

static void work_out_due(void *self)
{
    struct moods *m = self;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->moods[i].due) {
            work_out(m, i);
        }
    }
}

static void note_due(struct moods *m, uint32_t symbol, enum interval i)
{
    if (i == SIGNAL_INTERVAL) {
        mood_of(m, symbol)->due = true;
        loop_defer(m->opts.loop, &m->defer, work_out_due, m);
    }
}

void moods_candle_closed(struct moods *m, uint32_t symbol, enum interval i)
{
    note_due(m, symbol, i);
}

void moods_history_came(struct moods *m, uint32_t symbol, enum interval i)
{
    if (i == SIGNAL_INTERVAL) {
        mood_of(m, symbol)->settled = false;
    }
    note_due(m, symbol, i);
}

/* A signal also changes by nothing happening: its candles grow old. */
static void minute_due(void *self)
{
    struct moods *m = self;
    for (uint32_t i = 0; i < market_count(m->opts.market); i++) {
        if (market_quote(m->opts.market, i)->known) {
            note_due(m, i, SIGNAL_INTERVAL);
        }
    }
    timer_start(m->opts.loop, &m->minute, loop_now_ms(m->opts.loop) + MINUTE_MS, minute_due, m);
}

/* ---- life ---- */

struct moods *moods_new(const struct moods_opts *opts)
{
    struct moods *m = mem_zero(sizeof(*m));
    m->opts = *opts;
    m->bars = mem_array(BARS_MAX, sizeof(*m->bars));
    return m;
}

void moods_attach(struct moods *m, struct api_main *api)
{
    m->api = api;
    timer_start(m->opts.loop, &m->minute, loop_now_ms(m->opts.loop) + MINUTE_MS, minute_due, m);
}

void moods_reset(struct moods *m)
{
    if (m->count) {
        memset(m->moods, 0, m->count * sizeof(*m->moods));
    }
}

void moods_stop(struct moods *m)
{
    timer_stop(m->opts.loop, &m->minute);
    loop_undefer(&m->defer);
    m->api = NULL;
}

void moods_free(struct moods *m)
{
    if (m) {
        moods_stop(m);
        mem_free(m->bars);
        mem_free(m->moods);
        mem_free(m);
    }
}
