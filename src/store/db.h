/* db: state on disk. SQLite (WAL, full sync) in the data folder, on a worker; completions come back
 * on the loop. What `done` reports as OK survives kill -9 and a power cut.
 * SPDX-License-Identifier: MIT */
#ifndef STORE_DB_H
#define STORE_DB_H
#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "base/work.h"

struct db;
typedef void (*db_done_fn)(void *self, enum err e, int64_t value);
typedef void (*db_value_fn)(void *self, enum err e, struct str value);

/* Makes the folder when missing, locks it (ERR_BUSY: another instance holds it, `error` names its
 * process), opens and migrates the database. Blocks: call at start. */
enum err db_open(const char *folder, struct work_pool *pool, struct loop *loop, struct db **out,
                 struct buf *error) MUST_CHECK;
/* Turns the loop until the writes under way are done, so not from one of its callbacks. Callbacks
 * not yet delivered are dropped. */
void db_close(struct db *d);

/* Each order is answered once, later, on the loop; `done` may be NULL. ERR_LIMIT: a name over 512
 * bytes, a value over 16 MiB, or too much waits already. ERR_RANGE: the counter would leave 64
 * bits; it keeps its value. */

/* Adds to a named counter (starts at 0); `value` is the new one. */
void db_counter_add(struct db *d, struct str name, int64_t delta, db_done_fn done, void *self);
void db_counter_get(struct db *d, struct str name, db_done_fn done, void *self);
/* A named text, replaced whole. ERR_NOT_FOUND when absent. */
void db_value_put(struct db *d, struct str key, struct str value, db_done_fn done, void *self);
void db_value_get(struct db *d, struct str key, db_value_fn done, void *self);
/* ---- candles ---- */

/* A closed candle. Numbers that must stay exact are texts. */
struct stored_candle {
    char symbol[16], venue[16], interval[8]; /* "BTC", "binance", "1m" */
    int64_t open_ms;
    char open[24], high[24], low[24], close[24], volume[24];
    double quote_volume, taker_buy; /* NaN: unknown */
    uint32_t trades;                /* 0: unknown */
    uint32_t flags;                 /* enum candle_flag of market/candles.h */
};
#define DB_CANDLES_MAX 10000
/* `rows` live until it returns. */
typedef void (*db_candles_fn)(void *self, enum err e, const struct stored_candle *rows,
                              size_t count);

/* Adds or replaces candles, all or none; `rows` are copied. `value`: how many. ERR_LIMIT: more than
 * DB_CANDLES_MAX. */
void db_candles_put(struct db *d, const struct stored_candle *rows, size_t count, db_done_fn done,
                    void *self);
/* The newest `limit` (at most DB_CANDLES_MAX) that open in [from_ms, to_ms), oldest first. */
void db_candles_get(struct db *d, struct str symbol, struct str interval, int64_t from_ms,
                    int64_t to_ms, size_t limit, db_candles_fn done, void *self);
/* Forgets the candles of an interval that open before; `value`: how many. How long each interval is
 * kept stands in db_candles_keep_ms(). */
void db_candles_prune(struct db *d, struct str interval, int64_t before_ms, db_done_fn done,
                      void *self);
/* 1m 30 days, 5m 90, 15m 180, 1h two years (730 days); 0: for ever (4h, 1d, and what is no interval
 * of ours). */
int64_t db_candles_keep_ms(struct str interval);

/* ok (`reason` is ""), or why not, for /api/health; since when (Unix ms). */
bool db_healthy(const struct db *d, const char **reason, int64_t *since_ms);

#endif
