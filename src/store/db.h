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
/* ok (`reason` is ""), or why not, for /api/health; since when (Unix ms). */
bool db_healthy(const struct db *d, const char **reason, int64_t *since_ms);

#endif
