/* Trades into candles. Each trade is put into the candle of each interval straight away: six small
 * additions, and no sum is ever made anew. SPDX-License-Identifier: MIT */
#include "market/candles.h"

#include "base/alloc.h"
#include "market/candles_in.h"

#include <assert.h>
#include <math.h>

#define KEEP 1000
#define LATE_MS 2000
/* A venue silent for so long has lost its series; a series so young may still get a better one. */
#define SILENT_MS MINUTE_MS
/* A trade that is further ahead of our clock says nothing about the exchange's. */
#define AHEAD_MS MINUTE_MS
/* So quiet a market may be whose feed is alive. */
#define QUIET_MS HOUR_MS

struct candles *candles_new(const struct candles_opts *opts)
{
    struct candles *c = mem_zero(sizeof(*c));
    c->opts = *opts;
    c->opts.keep = opts->keep ? opts->keep : KEEP;
    c->opts.late_ms = opts->late_ms ? opts->late_ms : LATE_MS;
    return c;
}

void candles_forget(struct candles *c, uint32_t symbol)
{
    if (symbol < c->count && c->symbols[symbol]) {
        for (unsigned i = 0; i < INTERVALS; i++) {
            candle_rows_fini(&c->symbols[symbol]->series[i]);
        }
        mem_free(c->symbols[symbol]);
        c->symbols[symbol] = NULL;
    }
}

void candles_reset(struct candles *c)
{
    for (uint32_t id = 0; id < c->count; id++) {
        candles_forget(c, id);
    }
    mem_free(c->symbols);
    c->symbols = NULL;
    c->count = 0;
    c->now_ms = 0;
    c->stats = (struct candles_stats){0};
}

void candles_free(struct candles *c)
{
    if (c) {
        candles_reset(c);
        mem_free(c);
    }
}

struct symbol_candles *candles_symbol(struct candles *c, uint32_t symbol)
{
    assert(symbol != MARKET_NO_SYMBOL);
    if (symbol >= c->count) {
        size_t count = max_size((size_t)symbol + 1, c->count * 2);
        c->symbols = mem_resize(c->symbols, count * sizeof(struct symbol_candles *));
        memset(c->symbols + c->count, 0, (count - c->count) * sizeof(struct symbol_candles *));
        c->count = count;
    }
    if (!c->symbols[symbol]) {
        struct symbol_candles *s = mem_zero(sizeof(*s));
        s->venue = MARKET_VENUES;
        s->live_ms = NEVER_MS;
        s->next_close_ms = NEVER_MS;
        for (unsigned i = 0; i < INTERVALS; i++) {
            s->since_ms[i] = NEVER_MS;
        }
        c->symbols[symbol] = s;
    }
    return c->symbols[symbol];
}

static const struct symbol_candles *known_symbol(const struct candles *c, uint32_t symbol)
{
    return symbol < c->count ? c->symbols[symbol] : NULL;
}

const struct candle *candles_series(const struct candles *c, uint32_t symbol, enum interval i,
                                    size_t *count)
{
    const struct symbol_candles *s = known_symbol(c, symbol);
    *count = s ? s->series[i].count : 0;
    return *count > 0 ? candle_rows_all(&s->series[i]) : NULL;
}

enum market_venue candles_venue(const struct candles *c, uint32_t symbol)
{
    const struct symbol_candles *s = known_symbol(c, symbol);
    return s ? s->venue : MARKET_VENUES;
}

void candles_stats(const struct candles *c, struct candles_stats *out)
{
    *out = c->stats;
}

void candles_tell_closed(struct candles *c, uint32_t symbol, enum interval i,
                         const struct candle *row)
{
    if (c->opts.listener.closed) {
        c->opts.listener.closed(c->opts.listener.self, symbol, i, row);
    }
}

void candles_trim(const struct candles *c, struct symbol_candles *s)
{
    for (unsigned i = 0; i < INTERVALS; i++) {
        int64_t *since_ms = &s->since_ms[i];
        if (candle_rows_trim(&s->series[i], c->opts.keep) &&
            *since_ms < candle_rows_all(&s->series[i])->open_ms) {
            *since_ms = candle_rows_all(&s->series[i])->open_ms;
        }
    }
    int64_t oldest_ms = s->clock_ms - (int64_t)c->opts.keep * MINUTE_MS;
    size_t gone = 0;
    while (gone < s->hole_count && s->holes[gone].to_ms <= oldest_ms) {
        gone++;
    }
    s->hole_count -= gone;
    memmove(s->holes, s->holes + gone, s->hole_count * sizeof(*s->holes));
    if (s->hole_count > 0 && s->holes[0].from_ms < oldest_ms) {
        s->holes[0].from_ms = grid(oldest_ms, MINUTE_MS);
    }
}

/* ---- closing ---- */

static int64_t close_ms(const struct candles *c, const struct candle *row, enum interval i)
{
    return row->open_ms + interval_ms(i) + (int64_t)c->opts.late_ms;
}

/* The first row that may be open: what is before it was due at the last closing. */
static size_t first_open(const struct candles *c, const struct symbol_candles *s, enum interval i)
{
    const struct candle *rows = candle_rows_all(&s->series[i]);
    size_t at = s->series[i].count;
    while (at > 0 && (close_ms(c, &rows[at - 1], i) > s->closed_to_ms ||
                      !(rows[at - 1].flags & CANDLE_CLOSED))) {
        at--;
    }
    return at;
}

static void plan_close(const struct candles *c, struct symbol_candles *s)
{
    s->next_close_ms = NEVER_MS;
    for (unsigned i = 0; i < INTERVALS; i++) {
        const struct candle *rows = candle_rows_all(&s->series[i]);
        for (size_t at = first_open(c, s, i); at < s->series[i].count; at++) {
            int64_t due_ms = close_ms(c, &rows[at], i);
            if (!(rows[at].flags & CANDLE_CLOSED) && due_ms < s->next_close_ms) {
                s->next_close_ms = due_ms;
            }
        }
    }
}

void candles_close_due(struct candles *c, uint32_t symbol, struct symbol_candles *s)
{
    if (s->clock_ms < s->next_close_ms) {
        return;
    }
    for (unsigned i = 0; i < INTERVALS; i++) {
        for (size_t at = first_open(c, s, i); at < s->series[i].count; at++) {
            struct candle *row = candle_rows_all(&s->series[i]) + at;
            if (!(row->flags & CANDLE_CLOSED) && close_ms(c, row, i) <= s->clock_ms) {
                row->flags |= CANDLE_CLOSED;
                candles_tell_closed(c, symbol, i, row);
            }
        }
    }
    s->closed_to_ms = s->clock_ms;
    candles_trim(c, s);
    plan_close(c, s);
}

/* What the exchange's clock is at least, by a trade of that time. */
static int64_t believed(const struct candles *c, int64_t at_ms)
{
    return c->now_ms && at_ms > c->now_ms + AHEAD_MS ? c->now_ms + AHEAD_MS : at_ms;
}

/* Our clock was set back: the exchange's is where its trades say, and what was closed early is open
 * again. */
static void set_back(const struct candles *c, struct symbol_candles *s)
{
    int64_t heard_ms = believed(c, s->heard_ms);
    s->clock_ms = heard_ms > c->now_ms ? heard_ms : c->now_ms;
    for (unsigned i = 0; i < INTERVALS; i++) {
        struct candle *rows = candle_rows_all(&s->series[i]);
        for (size_t at = s->series[i].count; at > 0 && close_ms(c, &rows[at - 1], i) > s->clock_ms;
             at--) {
            rows[at - 1].flags &= (uint8_t) ~(CANDLE_CLOSED | CANDLE_AMENDED);
        }
    }
    s->closed_to_ms = s->clock_ms;
    plan_close(c, s);
}

void candles_time(struct candles *c, int64_t now_ms)
{
    bool is_back = now_ms < c->now_ms;
    c->now_ms = now_ms;
    for (uint32_t id = 0; id < c->count; id++) {
        struct symbol_candles *s = c->symbols[id];
        if (s && is_back && now_ms < s->clock_ms) {
            set_back(c, s);
        } else if (s && now_ms > s->clock_ms) {
            s->clock_ms = now_ms;
            candles_close_due(c, id, s);
        }
    }
}

/* ---- the venue ---- */

/* Trades of that venue make the candles from now on. What was missed since the last known minute
 * (or in this hour, where nothing is known) is a hole that history can fill. */
static void take_venue(struct candles *c, uint32_t symbol, struct symbol_candles *s,
                       enum market_venue v, int64_t from_ms, int64_t at_ms)
{
    s->venue = v;
    s->live_ms = at_ms;
    s->heard_ms = at_ms;
    int64_t oldest_ms = grid(at_ms, HOUR_MS) - (int64_t)c->opts.keep * MINUTE_MS;
    int64_t to_ms = grid(at_ms, MINUTE_MS) + MINUTE_MS;
    from_ms = grid(from_ms, MINUTE_MS);
    if (from_ms < oldest_ms) { /* too much to ask for: what is before is not known any more */
        from_ms = oldest_ms;
        for (unsigned i = 0; i < INTERVALS; i++) {
            s->since_ms[i] = NEVER_MS;
        }
    }
    if (s->since_ms[INTERVAL_1M] > from_ms) {
        s->since_ms[INTERVAL_1M] = from_ms;
    }
    candles_add_hole(s, from_ms, to_ms);
    candles_mark_gap(c, symbol, from_ms, to_ms);
}

/* Where what is known of a series ended before `at_ms`. */
static int64_t known_until(const struct symbol_candles *s, int64_t at_ms)
{
    int64_t end_ms = candles_last_end(s);
    if (end_ms == 0) {
        return grid(at_ms, HOUR_MS);
    }
    return end_ms < at_ms ? end_ms : at_ms;
}

/* Candles of another venue than the series' are worth nothing while it is young. */
static void start_over(struct symbol_candles *s)
{
    for (unsigned i = 0; i < INTERVALS; i++) {
        candle_rows_fini(&s->series[i]);
        s->since_ms[i] = NEVER_MS;
    }
    s->hole_count = 0;
    s->next_close_ms = NEVER_MS;
}

static bool has_lost(const struct candles *c, uint32_t symbol, const struct symbol_candles *s,
                     int64_t at_ms)
{
    const struct candles_listener *l = &c->opts.listener;
    int64_t silent_ms = at_ms - s->heard_ms;
    return silent_ms > QUIET_MS ||
           (silent_ms > SILENT_MS && !(l->is_alive && l->is_alive(l->self, symbol, s->venue)));
}

/* Whether a trade of that venue counts. */
static bool heard(struct candles *c, const struct tick *t, struct symbol_candles *s, int64_t at_ms)
{
    if (t->venue == s->venue) {
        if (s->live_ms == NEVER_MS) {
            take_venue(c, t->symbol, s, t->venue, known_until(s, at_ms), at_ms);
        }
        s->heard_ms = at_ms > s->heard_ms ? at_ms : s->heard_ms;
        return true;
    }
    if (s->venue == MARKET_VENUES) {
        take_venue(c, t->symbol, s, t->venue, grid(at_ms, HOUR_MS), at_ms);
        return true;
    }
    if (s->heard_ms == 0) { /* the venue of history, which has not traded yet */
        s->heard_ms = at_ms;
    }
    if (!s->pinned && t->venue < s->venue && at_ms - s->live_ms < SILENT_MS) {
        start_over(s);
        take_venue(c, t->symbol, s, t->venue, grid(at_ms, HOUR_MS), at_ms);
        return true;
    }
    if (has_lost(c, t->symbol, s, at_ms)) {
        int64_t from_ms = known_until(s, s->heard_ms);
        take_venue(c, t->symbol, s, t->venue, grid(from_ms, HOUR_MS), at_ms);
        return true;
    }
    c->stats.other_venue++;
    return false;
}

/* ---- trades ---- */

struct seen {
    const struct tick *tick;
    int64_t at_ms;
    double price, quantity;
};

static bool is_before(int64_t a_ms, uint64_t a_id, int64_t b_ms, uint64_t b_id)
{
    return a_ms != b_ms ? a_ms < b_ms : a_id < b_id;
}

static struct candle *open_row(struct symbol_candles *s, enum interval i, size_t at,
                               int64_t open_ms, const struct seen *t)
{
    struct candle *row = candle_rows_insert(&s->series[i], at);
    struct decimal price = t->tick->price;
    *row = (struct candle){.open_ms = open_ms,
                           .open = price,
                           .high = price,
                           .low = price,
                           .close = price,
                           .venue = (uint8_t)s->venue};
    candle_rows_edges(&s->series[i])[at] =
        (struct candle_edges){.first_ms = INT64_MAX, .last_ms = INT64_MIN};
    if (open_ms < candles_known_since(s, i) ||
        candles_has_hole(s, open_ms, open_ms + interval_ms(i))) {
        row->flags |= CANDLE_GAP;
    }
    return row;
}

static void add_trade(struct candle *row, struct candle_edges *edges, const struct seen *t)
{
    const struct tick *tick = t->tick;
    if (is_before(t->at_ms, tick->id, edges->first_ms, edges->first_id)) {
        row->open = tick->price;
        edges->first_ms = t->at_ms;
        edges->first_id = tick->id;
    }
    if (!is_before(t->at_ms, tick->id, edges->last_ms, edges->last_id)) {
        row->close = tick->price;
        edges->last_ms = t->at_ms;
        edges->last_id = tick->id;
    }
    row->high = decimal_cmp(tick->price, row->high) > 0 ? tick->price : row->high;
    row->low = decimal_cmp(tick->price, row->low) < 0 ? tick->price : row->low;
    row->volume = decimal_add(row->volume, tick->quantity);
    row->quote_volume += t->price * t->quantity;
    row->taker_buy += tick->taker == TICK_SIDE_BUY    ? t->quantity
                      : tick->taker == TICK_SIDE_SELL ? 0
                                                      : (double)NAN;
    row->trades++;
}

/* Into the candle of one interval; false: it has the trade already, by history. */
static bool put_trade(struct candles *c, struct symbol_candles *s, enum interval i,
                      const struct seen *t)
{
    struct candle_rows *series = &s->series[i];
    int64_t open_ms = grid(t->at_ms, interval_ms(i));
    size_t at = candle_rows_at(series, open_ms);
    struct candle *row = at < series->count ? candle_rows_all(series) + at : NULL;
    bool is_new = !row || row->open_ms != open_ms;
    if (is_new) {
        if (at == 0 && series->count >= c->opts.keep) {
            return false; /* older than all we remember */
        }
        row = open_row(s, i, at, open_ms, t);
    } else if (row->flags & CANDLE_HISTORY) {
        return false;
    }
    if (row->venue != (uint8_t)s->venue) {
        row->flags |= CANDLE_GAP;
    }
    add_trade(row, &candle_rows_edges(series)[at], t);
    if (close_ms(c, row, i) <= s->clock_ms) {
        row->flags |= CANDLE_CLOSED | CANDLE_AMENDED;
        c->stats.amended++;
        candles_tell_closed(c, t->tick->symbol, i, row);
        return true;
    }
    if (is_new && close_ms(c, row, i) < s->next_close_ms) {
        s->next_close_ms = close_ms(c, row, i);
    }
    if (c->opts.listener.changed) {
        c->opts.listener.changed(c->opts.listener.self, t->tick->symbol, i, row);
    }
    return true;
}

void candles_trade(struct candles *c, const struct tick *t)
{
    struct symbol_candles *s = candles_symbol(c, t->symbol);
    struct seen seen = {.tick = t,
                        .at_ms = t->exchange_ms ? t->exchange_ms : t->received_ms,
                        .price = decimal_double(t->price),
                        .quantity = decimal_double(t->quantity)};
    if (t->kind != TICK_TRADE || !heard(c, t, s, seen.at_ms)) {
        return;
    }
    int64_t clock_ms = believed(c, seen.at_ms);
    if (clock_ms > s->clock_ms) {
        s->clock_ms = clock_ms;
        candles_close_due(c, t->symbol, s);
    }
    c->stats.trades++;
    c->stats.late += seen.at_ms + (int64_t)c->opts.late_ms < s->clock_ms;
    /* A minute that history gave has all its trades, and so have the longer ones made of it. */
    for (unsigned i = 0; i < INTERVALS; i++) {
        if (!put_trade(c, s, i, &seen) && i == INTERVAL_1M) {
            return;
        }
    }
    if (s->series[INTERVAL_1M].count > c->opts.keep) {
        candles_trim(c, s);
    }
}
