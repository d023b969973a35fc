/* archive: closed candles to the database and back. Simulated data keeps names of its own ("~BTC"),
 * so that it never comes back as live; replays are not kept. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_ARCHIVE_H
#define APP_ARCHIVE_H
#include "api/api.h"
#include "market/candles.h"
#include "market/summary.h"
#include "store/db.h"

struct archive;

struct archive_opts {
    struct loop *loop;
    struct db *db; /* NULL: nothing is kept */
    struct market *market;
    struct candles *candles;
    /* What the database had of a series is in the candles now; `missing` closed candles up to now
     * are still to be asked for. */
    void (*loaded)(void *self, uint32_t symbol, enum market_venue v, enum interval i,
                   size_t missing);
    void *self;
};

struct archive *archive_new(const struct archive_opts *opts);
/* Writes what is gathered first. */
void archive_set_mode(struct archive *a, enum market_mode mode);
/* Keeps one as its own venue's, within two seconds. */
void archive_put(struct archive *a, uint32_t symbol, enum interval i, const struct candle *c);
/* candles_fill() with rows of REST; what the series took of them is kept, not what it refused or
 * knows better by its own trades. Gives how many were taken. */
size_t archive_fill(struct archive *a, uint32_t symbol, enum market_venue v, enum interval i,
                    const struct candle *rows, size_t count);
/* Fills the newest `count` candles of a series; `loaded` follows, possibly at once. */
void archive_load(struct archive *a, uint32_t symbol, enum market_venue v, enum interval i,
                  size_t count);
/* api_main_opts.older_candles */
void archive_read(struct archive *a, uint32_t symbol, enum interval i, int64_t from_ms,
                  int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self);
/* Hands what is gathered to the database. */
void archive_flush(struct archive *a);
/* Hands over what is gathered, and asks and writes nothing more. Before the database is closed. */
void archive_stop(struct archive *a);
/* The database is closed: what was asked of it is not answered any more. */
void archive_free(struct archive *a);

#endif
