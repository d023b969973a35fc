/* db_in: how other files of the store have orders of their own run on the database's worker. Not
 * for others. SPDX-License-Identifier: MIT */
#ifndef STORE_DB_IN_H
#define STORE_DB_IN_H
#include "store/db.h"

struct sqlite3;

/* An order: `run` on the worker, then `done` on the loop unless the database is closing, then
 * `free`. */
struct db_order_ops {
    /* SQLite's result code (SQLITE_OK when well). A transaction left open is rolled back. */
    int (*run)(struct sqlite3 *s, void *order);
    void (*done)(void *order, enum err e);
    void (*free)(void *order);
};

/* `refused` other than OK: not run, `done` gets it, in its turn. */
void db_submit(struct db *d, const struct db_order_ops *ops, void *owned_order, enum err refused);

#endif
