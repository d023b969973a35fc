/* Gaps of candles, and filling them from history.
 *
 * A hole is a range of minutes of which trades are missing. A longer candle is made anew of the
 * next shorter ones, a handful each, so that a repaired minute repairs 5m, 15m, ... 1d in turn; it
 * counts as whole when all of its time is known, no hole touches it, and none of its parts has a
 * gap. SPDX-License-Identifier: MIT */
#include "market/candles.h"

#include "base/alloc.h"
#include "market/candles_in.h"

#include <assert.h>

/* ---- what is known ---- */

int64_t candles_known_since(const struct symbol_candles *s, enum interval i)
{
    int64_t since_ms = NEVER_MS;
    for (unsigned j = 0; j <= (unsigned)i; j++) {
        since_ms = s->since_ms[j] < since_ms ? s->since_ms[j] : since_ms;
    }
    return since_ms;
}

static int64_t end_of(const struct symbol_candles *s, enum interval i)
{
    const struct candle_rows *series = &s->series[i];
    return series->count ? candle_rows_all(series)[series->count - 1].open_ms + interval_ms(i) : 0;
}

int64_t candles_last_end(const struct symbol_candles *s)
{
    int64_t end_ms = end_of(s, INTERVAL_1M);
    for (unsigned i = INTERVAL_5M; end_ms == 0 && i < INTERVALS; i++) {
        end_ms = end_of(s, (enum interval)i);
    }
    return end_ms;
}

bool candles_has_hole(const struct symbol_candles *s, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < s->hole_count; i++) {
        if (s->holes[i].from_ms < to_ms && s->holes[i].to_ms > from_ms) {
            return true;
        }
    }
    return false;
}

static void remove_hole(struct symbol_candles *s, size_t at)
{
    s->hole_count--;
    memmove(s->holes + at, s->holes + at + 1, (s->hole_count - at) * sizeof(*s->holes));
}

void candles_add_hole(struct symbol_candles *s, int64_t from_ms, int64_t to_ms)
{
    struct hole h = {.from_ms = from_ms, .to_ms = to_ms};
    if (from_ms >= to_ms) {
        return;
    }
    for (size_t i = 0; i < s->hole_count;) {
        if (s->holes[i].from_ms <= h.to_ms && s->holes[i].to_ms >= h.from_ms) {
            h.from_ms = s->holes[i].from_ms < h.from_ms ? s->holes[i].from_ms : h.from_ms;
            h.to_ms = s->holes[i].to_ms > h.to_ms ? s->holes[i].to_ms : h.to_ms;
            remove_hole(s, i);
        } else {
            i++;
        }
    }
    if (s->hole_count == HOLES_MAX) { /* one wider hole asks for too much, which does no harm */
        s->holes[1].from_ms = s->holes[0].from_ms;
        remove_hole(s, 0);
        candles_add_hole(s, h.from_ms, h.to_ms);
        return;
    }
    size_t at = s->hole_count;
    for (; at > 0 && s->holes[at - 1].from_ms > h.from_ms; at--) {
        s->holes[at] = s->holes[at - 1];
    }
    s->holes[at] = h;
    s->hole_count++;
}

/* Takes [from_ms, to_ms) out of the holes; gives how many vanished. */
static uint64_t close_holes(struct symbol_candles *s, int64_t from_ms, int64_t to_ms)
{
    uint64_t vanished = 0;
    for (size_t i = 0; i < s->hole_count;) {
        struct hole *h = &s->holes[i];
        int64_t end_ms = h->to_ms;
        if (h->from_ms >= to_ms || h->to_ms <= from_ms) {
            i++;
        } else if (from_ms <= h->from_ms && to_ms >= h->to_ms) {
            remove_hole(s, i);
            vanished++;
        } else if (from_ms <= h->from_ms) {
            h->from_ms = to_ms;
            i++;
        } else {
            h->to_ms = from_ms;
            if (end_ms > to_ms) {
                candles_add_hole(s, to_ms, end_ms);
                return vanished; /* it was inside one hole, so it touches no other */
            }
            i++;
        }
    }
    return vanished;
}

/* ---- gaps ---- */

void candles_mark_gap(struct candles *c, uint32_t symbol, int64_t from_ms, int64_t to_ms)
{
    struct symbol_candles *s = c->symbols[symbol];
    for (unsigned i = 0; i < INTERVALS; i++) {
        struct candle_rows *series = &s->series[i];
        int64_t first_ms = grid(from_ms, interval_ms((enum interval)i));
        for (size_t at = candle_rows_at(series, first_ms); at < series->count; at++) {
            struct candle *row = candle_rows_all(series) + at;
            if (row->open_ms >= to_ms) {
                break;
            }
            if (!(row->flags & (CANDLE_GAP | CANDLE_HISTORY))) {
                row->flags |= CANDLE_GAP;
                if (row->flags & CANDLE_CLOSED) {
                    candles_tell_closed(c, symbol, (enum interval)i, row);
                }
            }
        }
    }
}

void candles_gap(struct candles *c, uint32_t symbol, enum market_venue v, int64_t from_ms,
                 int64_t to_ms)
{
    struct symbol_candles *s = symbol < c->count ? c->symbols[symbol] : NULL;
    if (!s || s->venue != v || from_ms > to_ms) {
        return;
    }
    from_ms = grid(from_ms, MINUTE_MS);
    to_ms = grid(to_ms, MINUTE_MS) + MINUTE_MS;
    c->stats.gaps++;
    candles_add_hole(s, from_ms, to_ms);
    candles_mark_gap(c, symbol, from_ms, to_ms);
}

bool candles_next_gap(struct candles *c, uint32_t *symbol, enum market_venue *v, int64_t *from_ms,
                      int64_t *to_ms)
{
    struct hole *next = NULL;
    for (uint32_t id = 0; id < c->count; id++) {
        struct symbol_candles *s = c->symbols[id];
        for (size_t i = 0; s && i < s->hole_count; i++) {
            struct hole *h = &s->holes[i];
            int64_t over_ms = grid(s->clock_ms - (int64_t)c->opts.late_ms, MINUTE_MS);
            if (h->from_ms < over_ms && (!next || h->given < next->given ||
                                         (h->given == next->given && h->from_ms < next->from_ms))) {
                *symbol = id;
                *v = s->venue;
                *to_ms = h->to_ms < over_ms ? h->to_ms : over_ms;
                next = h;
            }
        }
    }
    if (next) {
        *from_ms = next->from_ms;
        next->given = ++c->turns;
    }
    return next != NULL;
}

/* ---- longer candles of shorter ones ---- */

struct sum {
    struct candle row;
    struct candle_edges edges;
    size_t parts;
    uint8_t some, all; /* flags */
    bool one_venue;
    bool trades_known;
};

static void add_part(struct sum *sum, const struct candle *part, const struct candle_edges *edges)
{
    struct candle *row = &sum->row;
    if (sum->parts++ == 0) {
        int64_t open_ms = row->open_ms;
        *row = *part;
        row->open_ms = open_ms;
        sum->edges = *edges;
        sum->some = sum->all = part->flags;
        sum->one_venue = true;
        sum->trades_known = part->trades > 0;
        return;
    }
    row->high = decimal_cmp(part->high, row->high) > 0 ? part->high : row->high;
    row->low = decimal_cmp(part->low, row->low) < 0 ? part->low : row->low;
    row->close = part->close;
    row->volume = decimal_add(row->volume, part->volume);
    row->quote_volume += part->quote_volume;
    row->taker_buy += part->taker_buy;
    row->trades += part->trades;
    sum->trades_known = sum->trades_known && part->trades > 0;
    sum->edges.last_ms = edges->last_ms;
    sum->edges.last_id = edges->last_id;
    sum->some |= part->flags;
    sum->all &= part->flags;
    sum->one_venue = sum->one_venue && part->venue == row->venue;
}

static void add_parts(const struct symbol_candles *s, enum interval i, struct sum *sum)
{
    const struct candle_rows *parts = &s->series[i - 1];
    int64_t end_ms = sum->row.open_ms + interval_ms(i);
    for (size_t at = candle_rows_at(parts, sum->row.open_ms);
         at < parts->count && candle_rows_all(parts)[at].open_ms < end_ms; at++) {
        add_part(sum, candle_rows_all(parts) + at, candle_rows_edges(parts) + at);
    }
    if (!sum->trades_known) {
        sum->row.trades = 0;
    }
}

/* All trades of the candle's time, as far as it is over, are in its parts. */
static bool is_whole(const struct symbol_candles *s, enum interval i, const struct sum *sum)
{
    int64_t open_ms = sum->row.open_ms;
    int64_t end_ms = open_ms + interval_ms(i);
    enum interval shorter = (enum interval)(i - 1);
    bool ends = s->live_ms != NEVER_MS || end_ms <= end_of(s, shorter);
    return ends && sum->one_venue && sum->row.venue == (uint8_t)s->venue &&
           !(sum->some & CANDLE_GAP) && candles_known_since(s, shorter) <= open_ms &&
           !candles_has_hole(s, open_ms, end_ms);
}

static void make_of_parts(struct candles *c, uint32_t symbol, enum interval i, int64_t open_ms)
{
    struct symbol_candles *s = c->symbols[symbol];
    struct candle_rows *series = &s->series[i];
    struct candle *old = candle_rows_find(series, open_ms);
    struct sum sum = {.row = {.open_ms = open_ms}};
    if (old && !(old->flags & CANDLE_GAP) && old->venue == (uint8_t)s->venue) {
        return;
    }
    add_parts(s, i, &sum);
    bool whole = is_whole(s, i, &sum);
    if (old && !whole && decimal_cmp(sum.row.volume, old->volume) < 0) {
        return; /* the old one knows more, also of parts that are forgotten */
    }
    int64_t close_ms = open_ms + interval_ms(i) + (int64_t)c->opts.late_ms;
    bool begins_before = open_ms < candles_known_since(s, (enum interval)(i - 1));
    if (!old && begins_before && close_ms <= s->clock_ms && (sum.all & CANDLE_HISTORY)) {
        return; /* history begins within it: it is none, and what is older may make it */
    }
    unsigned flags = old ? old->flags & (CANDLE_CLOSED | CANDLE_AMENDED) : 0;
    flags |= close_ms <= s->clock_ms ? CANDLE_CLOSED : 0u;
    flags |= whole ? (sum.some & CANDLE_REPAIRED) | (old ? CANDLE_REPAIRED : 0u) : CANDLE_GAP;
    flags |= flags & CANDLE_CLOSED ? sum.all & CANDLE_HISTORY : 0u; /* else more is to come */
    sum.row.flags = (uint8_t)flags;
    size_t at = candle_rows_at(series, open_ms);
    if (!old) {
        old = candle_rows_insert(series, at);
    }
    *old = sum.row;
    candle_rows_edges(series)[at] = sum.edges;
    if (flags & CANDLE_CLOSED) {
        candles_tell_closed(c, symbol, i, old);
    } else if (close_ms < s->next_close_ms) {
        s->next_close_ms = close_ms;
    }
}

/* Makes all that is longer than `i` of what changed in [from_ms, to_ms). */
static void make_longer(struct candles *c, uint32_t symbol, enum interval i, int64_t from_ms,
                        int64_t to_ms)
{
    struct symbol_candles *s = c->symbols[symbol];
    for (unsigned longer = (unsigned)i + 1; longer < INTERVALS; longer++) {
        const struct candle_rows *parts = &s->series[longer - 1];
        int64_t step_ms = interval_ms((enum interval)longer);
        int64_t done_ms = -1;
        for (size_t at = candle_rows_at(parts, grid(from_ms, step_ms)); at < parts->count; at++) {
            int64_t open_ms = grid(candle_rows_all(parts)[at].open_ms, step_ms);
            if (open_ms >= to_ms) {
                break;
            }
            if (open_ms != done_ms) {
                make_of_parts(c, symbol, (enum interval)longer, open_ms);
                done_ms = open_ms;
            }
        }
    }
}

/* ---- history ---- */

static bool is_row(const struct candle *r, enum interval i, int64_t clock_ms)
{
    return r->open_ms > 0 && r->open_ms % interval_ms(i) == 0 && r->low.mantissa > 0 &&
           decimal_cmp(r->low, r->open) <= 0 && decimal_cmp(r->low, r->close) <= 0 &&
           decimal_cmp(r->high, r->open) >= 0 && decimal_cmp(r->high, r->close) >= 0 &&
           r->volume.mantissa >= 0 &&
           (clock_ms == 0 || r->open_ms + interval_ms(i) <= clock_ms); /* else it is open */
}

static int by_time(const void *a, const void *b)
{
    const struct candle *x = a, *y = b;
    return (x->open_ms > y->open_ms) - (x->open_ms < y->open_ms);
}

/* The rows that can be taken, by time; the caller frees them. */
static struct candle *sorted_rows(const struct candle *rows, size_t count, enum interval i,
                                  int64_t clock_ms, size_t *out_count)
{
    struct candle *sorted = mem_array(count, sizeof(*sorted));
    size_t n = 0;
    for (size_t k = 0; k < count; k++) {
        if (is_row(&rows[k], i, clock_ms)) {
            sorted[n++] = rows[k];
        }
    }
    qsort(sorted, n, sizeof(*sorted), by_time);
    *out_count = n;
    return sorted;
}

static bool take_row(struct candles *c, uint32_t symbol, enum interval i, const struct candle *r)
{
    struct symbol_candles *s = c->symbols[symbol];
    struct candle_rows *series = &s->series[i];
    int64_t end_ms = r->open_ms + interval_ms(i);
    size_t at = candle_rows_at(series, r->open_ms);
    struct candle *old = candle_rows_find(series, r->open_ms);
    bool was_hole = candles_has_hole(s, r->open_ms, end_ms);
    unsigned flags = CANDLE_CLOSED | CANDLE_HISTORY;
    if (old && old->venue == (uint8_t)s->venue &&
        (!(old->flags & CANDLE_GAP) || (r->flags & CANDLE_GAP))) {
        return false;
    }
    if (r->flags & CANDLE_GAP) { /* stored so: still to be repaired */
        flags = CANDLE_CLOSED | CANDLE_GAP;
    } else if (was_hole || (old && old->flags & CANDLE_GAP)) {
        flags |= CANDLE_REPAIRED;
    }
    flags |= r->flags & (CANDLE_REPAIRED | CANDLE_AMENDED);
    bool tell = old || was_hole;
    if (!old) {
        old = candle_rows_insert(series, at);
    }
    *old = *r;
    old->flags = (uint8_t)flags;
    old->venue = (uint8_t)s->venue;
    candle_rows_edges(series)[at] =
        (struct candle_edges){.first_ms = r->open_ms, .last_ms = end_ms, .last_id = UINT64_MAX};
    if (tell) {
        candles_tell_closed(c, symbol, i, old);
    }
    return true;
}

/* That all candles of an interval in [from_ms, to_ms) are known. Time between it and what was known
 * is a hole of minutes, and with longer ones the end of what is known. */
static void note_known(struct symbol_candles *s, enum interval i, int64_t from_ms, int64_t to_ms)
{
    int64_t since_ms = candles_known_since(s, i);
    int64_t end_ms = s->live_ms != NEVER_MS ? NEVER_MS : end_of(s, i);
    int64_t *own_ms = &s->since_ms[i];
    if (since_ms != NEVER_MS && to_ms < since_ms) {
        if (i == INTERVAL_1M) {
            candles_add_hole(s, to_ms, since_ms);
            *own_ms = from_ms;
        }
    } else if (since_ms != NEVER_MS && end_ms != 0 && from_ms > end_ms) {
        if (i == INTERVAL_1M) {
            candles_add_hole(s, end_ms, from_ms);
        } else {
            *own_ms = from_ms;
        }
    } else if (from_ms < *own_ms) {
        *own_ms = from_ms;
    }
}

/* Between the first and the last of these minutes all are known but those that say gap. */
static uint64_t close_but_gaps(struct symbol_candles *s, const struct candle *rows, size_t count)
{
    uint64_t vanished = 0;
    int64_t from_ms = rows[0].open_ms;
    for (size_t k = 0; k < count; k++) {
        int64_t end_ms = rows[k].open_ms + MINUTE_MS;
        if (!(rows[k].flags & CANDLE_GAP)) {
            continue;
        }
        if (from_ms < rows[k].open_ms) {
            vanished += close_holes(s, from_ms, rows[k].open_ms);
        }
        candles_add_hole(s, rows[k].open_ms, end_ms);
        from_ms = end_ms;
    }
    int64_t to_ms = rows[count - 1].open_ms + MINUTE_MS;
    return vanished + (from_ms < to_ms ? close_holes(s, from_ms, to_ms) : 0);
}

size_t candles_fill(struct candles *c, uint32_t symbol, enum market_venue v, enum interval i,
                    const struct candle *rows, size_t count)
{
    assert(v < MARKET_VENUES && i < INTERVALS);
    struct symbol_candles *s = candles_symbol(c, symbol);
    if (count == 0 || (s->venue != v && s->venue != MARKET_VENUES)) {
        return 0;
    }
    int64_t clock_ms = s->clock_ms > c->now_ms ? s->clock_ms : c->now_ms;
    size_t taken = 0;
    struct candle *sorted = sorted_rows(rows, count, i, clock_ms, &count);
    if (count > 0) {
        int64_t from_ms = sorted[0].open_ms;
        int64_t to_ms = sorted[count - 1].open_ms + interval_ms(i);
        s->pinned = s->pinned || s->venue == MARKET_VENUES;
        s->venue = v;
        s->clock_ms = clock_ms > to_ms ? clock_ms : to_ms;
        note_known(s, i, from_ms, to_ms);
        for (size_t k = 0; k < count; k++) {
            taken += take_row(c, symbol, i, &sorted[k]);
        }
        if (i == INTERVAL_1M) {
            c->stats.repaired += close_but_gaps(s, sorted, count);
        }
        make_longer(c, symbol, i, from_ms, to_ms);
        candles_close_due(c, symbol, s);
        candles_trim(c, s);
    }
    mem_free(sorted);
    return taken;
}

void candles_asked(struct candles *c, uint32_t symbol, enum market_venue v, int64_t from_ms,
                   int64_t to_ms)
{
    struct symbol_candles *s = symbol < c->count ? c->symbols[symbol] : NULL;
    if (s && s->venue == v && from_ms < to_ms) {
        c->stats.repaired += close_holes(s, from_ms, to_ms);
        make_longer(c, symbol, INTERVAL_1M, from_ms, to_ms);
    }
}
