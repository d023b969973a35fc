/* SPDX-License-Identifier: MIT */
#include "app/archive.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"

enum {
    GATHER_MAX = 2000,
    GATHER_MS = 2000,
    PRUNE_MS = 3600000,
};

/* A question to the database that is under way. */
struct question {
    struct list node;
    struct archive *archive;
    uint32_t symbol;
    enum market_venue venue; /* of a load */
    enum interval interval;
    size_t count;
    enum market_mode mode;
    api_candles_done_fn done; /* of a read; NULL: it is a load */
    void *done_self;
};

struct archive {
    struct archive_opts opts;
    enum market_mode mode;
    struct stored_candle *rows;
    size_t count;
    struct timer flush_timer, prune_timer;
    struct list questions;
    uint64_t lost;
};

/* ---- names ---- */

static bool kept(const struct archive *a)
{
    return a->opts.db && a->mode != MODE_REPLAY;
}

/* False: the name has no room for the mark. */
static bool symbol_name(const struct archive *a, uint32_t symbol, char out[16])
{
    const char *name = market_symbol(a->opts.market, symbol);
    return snprintf(out, 16, "%s%s", a->mode == MODE_DEMO ? "~" : "", name) < 16;
}

static void to_text(struct decimal d, char out[24])
{
    char text[DECIMAL_TEXT_LEN + 1];
    decimal_text(d, text);
    snprintf(out, 24, "%s", text);
}

static bool from_text(const char *text, struct decimal *out)
{
    return decimal_read(str_of(text), out) == OK;
}

/* MARKET_VENUES: none of ours. */
static enum market_venue venue_named(const char *name)
{
    enum market_venue v = 0;
    while (v < MARKET_VENUES && strcmp(name, market_venue_name(v)) != 0) {
        v++;
    }
    return v;
}

static bool read_row(const struct stored_candle *r, struct candle *c)
{
    enum market_venue venue = venue_named(r->venue);
    *c = (struct candle){.open_ms = r->open_ms,
                         .quote_volume = r->quote_volume,
                         .taker_buy = r->taker_buy,
                         .trades = r->trades,
                         .flags = (uint8_t)(r->flags | CANDLE_HISTORY),
                         .venue = (uint8_t)venue};
    return venue != MARKET_VENUES && from_text(r->open, &c->open) && from_text(r->high, &c->high) &&
           from_text(r->low, &c->low) && from_text(r->close, &c->close) &&
           from_text(r->volume, &c->volume);
}

/* ---- keeping ---- */

static void put_done(void *self, enum err e, int64_t value)
{
    struct archive *a = self;
    (void)value;
    if (e != OK && a->lost++ == 0) {
        log_warn("archive", "candles could not be kept", "reason=\"%s\"", err_text(e));
    }
}

void archive_flush(struct archive *a)
{
    timer_stop(a->opts.loop, &a->flush_timer);
    if (a->count > 0) {
        db_candles_put(a->opts.db, a->rows, a->count, put_done, a);
        a->count = 0;
    }
}

static void flush_due(void *self)
{
    archive_flush(self);
}

void archive_put(struct archive *a, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct stored_candle *r = &a->rows[a->count];
    if (!kept(a) || !(c->flags & CANDLE_CLOSED) || !symbol_name(a, symbol, r->symbol)) {
        return;
    }
    snprintf(r->venue, sizeof(r->venue), "%s", market_venue_name((enum market_venue)c->venue));
    snprintf(r->interval, sizeof(r->interval), "%s", interval_name(i));
    r->open_ms = c->open_ms;
    to_text(c->open, r->open);
    to_text(c->high, r->high);
    to_text(c->low, r->low);
    to_text(c->close, r->close);
    to_text(c->volume, r->volume);
    r->quote_volume = c->quote_volume;
    r->taker_buy = c->taker_buy;
    r->trades = c->trades;
    r->flags = c->flags;
    if (++a->count == GATHER_MAX) {
        archive_flush(a);
    } else if (!timer_active(&a->flush_timer)) {
        timer_start(a->opts.loop, &a->flush_timer, loop_now_ms(a->opts.loop) + GATHER_MS, flush_due,
                    a);
    }
}

size_t archive_fill(struct archive *a, uint32_t symbol, enum market_venue v, enum interval i,
                    const struct candle *rows, size_t count)
{
    int64_t from_ms = INT64_MAX;
    int64_t to_ms = INT64_MIN;
    size_t taken = candles_fill(a->opts.candles, symbol, v, i, rows, count);
    for (size_t k = 0; k < count; k++) {
        from_ms = rows[k].open_ms < from_ms ? rows[k].open_ms : from_ms;
        to_ms = rows[k].open_ms > to_ms ? rows[k].open_ms : to_ms;
    }
    const struct candle *all = candles_series(a->opts.candles, symbol, i, &count);
    for (size_t k = 0; taken && k < count; k++) {
        if (all[k].flags & CANDLE_HISTORY && all[k].open_ms >= from_ms && all[k].open_ms <= to_ms) {
            archive_put(a, symbol, i, &all[k]);
        }
    }
    return taken;
}

/* What is older than its interval is kept (docs/OPERATIONS.md) goes. */
static void prune_due(void *self)
{
    struct archive *a = self;
    for (int i = 0; i < INTERVALS; i++) {
        struct str name = str_of(interval_name((enum interval)i));
        int64_t keep_ms = db_candles_keep_ms(name);
        if (keep_ms > 0) {
            db_candles_prune(a->opts.db, name, loop_wall_ms(a->opts.loop) - keep_ms, NULL, NULL);
        }
    }
    timer_start(a->opts.loop, &a->prune_timer, loop_now_ms(a->opts.loop) + PRUNE_MS, prune_due, a);
}

/* ---- reading ---- */

/* Run by run, the newest first: of what lies between two runs nobody knows whether nothing was
 * traded or we were not there, so to the series it is a gap. */
static void fill_runs(const struct question *q, const struct candle *rows, size_t count)
{
    size_t end = count;
    for (size_t i = count; i > 0; i--) {
        bool begins =
            i == 1 || rows[i - 1].open_ms != rows[i - 2].open_ms + interval_ms(q->interval);
        if (begins) {
            (void)candles_fill(q->archive->opts.candles, q->symbol, q->venue, q->interval,
                               rows + i - 1, end - (i - 1));
            end = i - 1;
        }
    }
}

static void loaded(struct question *q, const struct candle *rows, size_t count)
{
    struct archive *a = q->archive;
    int64_t step = interval_ms(q->interval);
    size_t missing = q->count;
    if (count > 0) {
        int64_t behind = loop_wall_ms(a->opts.loop) - rows[count - 1].open_ms - step;
        size_t newer = behind > 0 ? (size_t)(behind / step) + 1 : 1;
        size_t whole = 0;
        for (size_t i = 0; i < count; i++) {
            whole += !(rows[i].flags & CANDLE_GAP);
        }
        fill_runs(q, rows, count);
        missing = whole + newer >= q->count ? min_size(newer, q->count) : q->count;
    }
    a->opts.loaded(a->opts.self, q->symbol, q->venue, q->interval, missing);
}

static void on_rows(void *self, enum err e, const struct stored_candle *rows, size_t count)
{
    struct question *q = self;
    struct archive *a = q->archive;
    struct candle *candles = mem_array(count + 1, sizeof(*candles));
    size_t n = 0;
    const char *problem = q->mode != a->mode ? "The source of the data has just changed; ask again."
                          : e != OK          ? "The database could not be read; see /api/health."
                                             : NULL;
    for (size_t i = 0; !problem && i < count; i++) {
        bool read = read_row(&rows[i], &candles[n]);
        n += read && (q->done || candles[n].venue == (uint8_t)q->venue);
    }
    list_remove(&q->node);
    if (q->done) {
        q->done(q->done_self, candles, n, problem);
    } else if (q->mode == a->mode) {
        loaded(q, candles, n);
    }
    mem_free(candles);
    mem_free(q);
}

static void ask(struct archive *a, struct question q, int64_t from_ms, int64_t to_ms)
{
    struct question *owned = mem_zero(sizeof(*owned));
    char name[16];
    *owned = q;
    owned->archive = a;
    owned->mode = a->mode;
    list_push(&a->questions, &owned->node);
    if (!kept(a) || !symbol_name(a, q.symbol, name)) {
        on_rows(owned, OK, NULL, 0);
        return;
    }
    db_candles_get(a->opts.db, str_of(name), str_of(interval_name(q.interval)), from_ms, to_ms,
                   q.count, on_rows, owned);
}

void archive_load(struct archive *a, uint32_t symbol, enum market_venue v, enum interval i,
                  size_t count)
{
    int64_t now = loop_wall_ms(a->opts.loop);
    ask(a, (struct question){.symbol = symbol, .venue = v, .interval = i, .count = count},
        now - (int64_t)count * interval_ms(i), now);
}

void archive_read(struct archive *a, uint32_t symbol, enum interval i, int64_t from_ms,
                  int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self)
{
    ask(a,
        (struct question){
            .symbol = symbol, .interval = i, .count = limit, .done = done, .done_self = done_self},
        from_ms, to_ms);
}

/* ---- life ---- */

struct archive *archive_new(const struct archive_opts *opts)
{
    struct archive *a = mem_zero(sizeof(*a));
    a->opts = *opts;
    a->rows = mem_array(GATHER_MAX, sizeof(*a->rows));
    list_init(&a->questions);
    if (opts->db) {
        timer_start(opts->loop, &a->prune_timer, loop_now_ms(opts->loop) + GATHER_MS, prune_due, a);
    }
    return a;
}

void archive_set_mode(struct archive *a, enum market_mode mode)
{
    archive_flush(a);
    a->mode = mode;
}

void archive_stop(struct archive *a)
{
    archive_flush(a);
    timer_stop(a->opts.loop, &a->prune_timer);
    a->opts.db = NULL;
}

void archive_free(struct archive *a)
{
    if (!a) {
        return;
    }
    archive_stop(a);
    for (struct list *node = list_pop(&a->questions); node; node = list_pop(&a->questions)) {
        mem_free(containerof(node, struct question, node));
    }
    mem_free(a->rows);
    mem_free(a);
}
