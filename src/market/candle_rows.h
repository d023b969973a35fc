/* candle_rows: the candles of one symbol and interval in memory, by open time. Rows stand in one
 * piece, for readers get them as an array: it slides forward in its room and is moved back when the
 * room ends. Not for others than candles. SPDX-License-Identifier: MIT */
#ifndef MARKET_CANDLE_ROWS_H
#define MARKET_CANDLE_ROWS_H
#include "market/candles.h"

/* Which trades are the first and the last of a candle, so that their order of arrival does not
 * matter. */
struct candle_edges {
    int64_t first_ms, last_ms;
    uint64_t first_id, last_id;
};

struct candle_rows {
    struct candle *room;
    struct candle_edges *edges_room; /* in step with room */
    size_t begin, count, cap;
};

void candle_rows_fini(struct candle_rows *s);
static inline struct candle *candle_rows_all(const struct candle_rows *s)
{
    return s->room + s->begin;
}
static inline struct candle_edges *candle_rows_edges(const struct candle_rows *s)
{
    return s->edges_room + s->begin;
}
/* The first row that opens at or after `open_ms`; s->count: none. The newest are found fastest. */
size_t candle_rows_at(const struct candle_rows *s, int64_t open_ms);
/* The row that opens then; NULL: none. */
struct candle *candle_rows_find(const struct candle_rows *s, int64_t open_ms);
/* Makes room at `at` (0..count) for a row and gives it, zeroed. */
struct candle *candle_rows_insert(struct candle_rows *s, size_t at);
/* Forgets the oldest rows beyond `keep`; true: some went. */
bool candle_rows_trim(struct candle_rows *s, size_t keep);

#endif
