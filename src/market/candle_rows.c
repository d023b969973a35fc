/* SPDX-License-Identifier: MIT */
#include "market/candle_rows.h"

#include "base/alloc.h"

#include <assert.h>

#define FIRST_CAP 16

void candle_rows_fini(struct candle_rows *s)
{
    mem_free(s->room);
    mem_free(s->edges_room);
    *s = (struct candle_rows){0};
}

size_t candle_rows_at(const struct candle_rows *s, int64_t open_ms)
{
    const struct candle *rows = candle_rows_all(s);
    size_t low = 0, high = s->count;
    if (high > 0 && rows[high - 1].open_ms <= open_ms) {
        return rows[high - 1].open_ms == open_ms ? high - 1 : high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].open_ms < open_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct candle *candle_rows_find(const struct candle_rows *s, int64_t open_ms)
{
    size_t at = candle_rows_at(s, open_ms);
    return at < s->count && candle_rows_all(s)[at].open_ms == open_ms ? candle_rows_all(s) + at
                                                                      : NULL;
}

static void make_room(struct candle_rows *s)
{
    if (s->begin + s->count < s->cap) {
        return;
    }
    if (s->begin > s->count / 4) { /* so that moving costs little per row */
        memmove(s->room, candle_rows_all(s), s->count * sizeof(*s->room));
        memmove(s->edges_room, candle_rows_edges(s), s->count * sizeof(*s->edges_room));
        s->begin = 0;
        return;
    }
    s->cap = s->cap ? s->cap + s->cap / 2 : FIRST_CAP;
    s->room = mem_resize(s->room, s->cap * sizeof(*s->room));
    s->edges_room = mem_resize(s->edges_room, s->cap * sizeof(*s->edges_room));
}

struct candle *candle_rows_insert(struct candle_rows *s, size_t at)
{
    assert(at <= s->count);
    make_room(s);
    struct candle *row = candle_rows_all(s) + at;
    struct candle_edges *edges = candle_rows_edges(s) + at;
    memmove(row + 1, row, (s->count - at) * sizeof(*row));
    memmove(edges + 1, edges, (s->count - at) * sizeof(*edges));
    *row = (struct candle){0};
    *edges = (struct candle_edges){0};
    s->count++;
    return row;
}

bool candle_rows_trim(struct candle_rows *s, size_t keep)
{
    if (s->count <= keep) {
        return false;
    }
    s->begin += s->count - keep;
    s->count = keep;
    return true;
}
