/* SPDX-License-Identifier: MIT */
#include "tools/tape_candles.h"

#include "base/alloc.h"
#include "base/clock.h"

/* A lower trade id so much newer than the last one begins a new count, else it was there already.
 */
#define NEW_COUNT_MS 60000

struct instrument {
    enum venue venue;
    char *name, *symbol; /* owned */
    struct candle *rows; /* owned; by time */
    size_t count, cap;
    uint64_t last_id;
    int64_t last_ms;
};

struct tape_candles {
    enum interval interval;
    struct candles *candles; /* its symbols are our instruments, by index */
    struct instrument *list; /* owned */
    size_t count, cap;
    uint64_t passed_over;
    const struct tape_item *item; /* being taken */
};

/* ---- candles ---- */

/* The row of that time, made when new. Late trades go to rows further back. */
static struct candle *row_at(struct instrument *x, int64_t open_ms)
{
    size_t at = x->count;
    while (at > 0 && x->rows[at - 1].open_ms >= open_ms) {
        at--;
    }
    if (at < x->count && x->rows[at].open_ms == open_ms) {
        return &x->rows[at];
    }
    if (x->count == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->rows = mem_resize(x->rows, x->cap * sizeof(*x->rows));
    }
    memmove(x->rows + at + 1, x->rows + at, (x->count - at) * sizeof(*x->rows));
    x->count++;
    return &x->rows[at];
}

static void on_candle(void *self, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct tape_candles *t = self;
    if (i == t->interval) {
        *row_at(&t->list[symbol], c->open_ms) = *c;
    }
}

struct tape_candles *tape_candles_new(enum interval interval)
{
    struct tape_candles *t = mem_zero(sizeof(*t));
    t->interval = interval;
    t->candles = candles_new(
        &(struct candles_opts){.listener = {.closed = on_candle, .changed = on_candle, .self = t}});
    return t;
}

void tape_candles_free(struct tape_candles *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        mem_free(t->list[i].name);
        mem_free(t->list[i].symbol);
        mem_free(t->list[i].rows);
    }
    mem_free(t->list);
    candles_free(t->candles);
    mem_free(t);
}

/* ---- trades ---- */

/* SIZE_MAX: not quoted in dollars. */
static size_t find(struct tape_candles *t, enum venue v, struct str name)
{
    struct str symbol;
    enum quote_unit quote;
    for (size_t i = 0; i < t->count; i++) {
        if (t->list[i].venue == v && str_eq(str_of(t->list[i].name), name)) {
            return i;
        }
    }
    if (!exchange_split(v, name, &symbol, &quote)) {
        return SIZE_MAX;
    }
    symbol = exchange_symbol_of(v, symbol);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->list = mem_resize(t->list, t->cap * sizeof(*t->list));
    }
    t->list[t->count] = (struct instrument){
        .venue = v,
        .name = mem_copy_text(name.ptr, name.len),
        .symbol = mem_copy_text(symbol.ptr, symbol.len),
    };
    return t->count++;
}

/* Whether the trade was not there yet. */
static bool is_new(struct instrument *x, uint64_t id, int64_t at_ms)
{
    if (id != 0 && id <= x->last_id && at_ms - x->last_ms < NEW_COUNT_MS) {
        return false;
    }
    x->last_id = id;
    x->last_ms = at_ms;
    return true;
}

static void on_event(void *self, const struct exchange_event *e)
{
    static const enum tick_side sides[] = {
        [SIDE_UNKNOWN] = TICK_SIDE_UNKNOWN,
        [SIDE_BUY] = TICK_SIDE_BUY,
        [SIDE_SELL] = TICK_SIDE_SELL,
    };
    struct tape_candles *t = self;
    if (e->kind != EX_TRADE || e->snapshot) {
        return;
    }
    enum venue v = venue_of(t->item->source);
    size_t at = find(t, v, e->instrument);
    if (at == SIZE_MAX) {
        t->passed_over++;
        return;
    }
    int64_t received_ms = t->item->time_ns / 1000000;
    int64_t at_ms = e->time_us ? e->time_us / 1000 : received_ms;
    if (!is_new(&t->list[at], e->id, at_ms)) {
        return;
    }
    const struct tick tick = {
        .kind = TICK_TRADE,
        .venue = (enum market_venue)v,
        .symbol = (uint32_t)at,
        .exchange_ms = at_ms,
        .received_ms = received_ms,
        .id = e->id,
        .taker = sides[e->taker],
        .price = e->price,
        .quantity = e->quantity,
    };
    candles_trade(t->candles, &tick);
}

bool tape_candles_take(struct tape_candles *t, const struct tape_item *item, const char **why)
{
    enum venue v = venue_of(item->source);
    if (item->kind != TAPE_TEXT) {
        return true;
    }
    if (v == VENUE_COUNT) {
        *why = "it is of no exchange that is known";
        return false;
    }
    t->item = item;
    enum err e = exchange_read_frame(v, item->frame, on_event, t, why);
    t->item = NULL;
    return e == OK;
}

/* ---- results ---- */

size_t tape_candles_instruments(const struct tape_candles *t)
{
    return t->count;
}

struct tape_instrument tape_candles_instrument(const struct tape_candles *t, size_t at)
{
    const struct instrument *x = &t->list[at];
    return (struct tape_instrument){.venue = x->venue,
                                    .name = str_of(x->name),
                                    .symbol = str_of(x->symbol),
                                    .rows = x->rows,
                                    .count = x->count};
}

uint64_t tape_candles_passed_over(const struct tape_candles *t)
{
    return t->passed_over;
}

void tape_candles_csv(const struct candle *rows, size_t count, struct buf *out)
{
    buf_add_lit(out, "time_utc,open,high,low,close,volume,trades\n");
    for (size_t i = 0; i < count; i++) {
        const struct candle *c = &rows[i];
        const struct decimal numbers[] = {c->open, c->high, c->low, c->close, c->volume};
        char time[CLOCK_RFC3339_LEN + 1];
        clock_format_rfc3339(c->open_ms, time);
        buf_printf(out, "%.19sZ", time); /* without milliseconds: candles open on whole minutes */
        for (size_t j = 0; j < ARRAY_LEN(numbers); j++) {
            buf_add_char(out, ',');
            decimal_write(out, numbers[j]);
        }
        buf_printf(out, ",%u\n", c->trades);
    }
}
