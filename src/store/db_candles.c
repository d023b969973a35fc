/* Candles in SQLite: orders that db_sqlite.c runs on its worker. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "store/db.h"
#include "store/db_in.h"

#include <math.h>
#include <sqlite3.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static const char put_sql[] =
    "INSERT OR REPLACE INTO candles (interval, symbol, open_ms, venue, open, high, low, close,"
    " volume, quote_volume, taker_buy, trades, flags)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
static const char get_sql[] =
    "SELECT interval, symbol, open_ms, venue, open, high, low, close, volume, quote_volume,"
    " taker_buy, trades, flags FROM candles WHERE interval = ?1 AND symbol = ?2"
    " AND open_ms >= ?3 AND open_ms < ?4 ORDER BY open_ms DESC LIMIT ?5";
/* Symbol by symbol along the key: else each round would read the whole table. */
static const char prune_sql[] =
    "WITH RECURSIVE s(symbol) AS (SELECT min(symbol) FROM candles WHERE interval = ?1 UNION ALL"
    " SELECT (SELECT min(symbol) FROM candles WHERE interval = ?1 AND symbol > s.symbol) FROM s"
    " WHERE s.symbol IS NOT NULL)"
    " DELETE FROM candles WHERE interval = ?1 AND open_ms < ?2"
    " AND symbol IN (SELECT symbol FROM s WHERE symbol IS NOT NULL)";

struct order {
    struct stored_candle *rows; /* put: copied; get: the answer */
    size_t count, limit;
    char symbol[16], interval[8];
    int64_t from_ms, to_ms;
    int64_t value;
    db_done_fn done;
    db_candles_fn rows_done;
    void *self;
};

int64_t db_candles_keep_ms(struct str interval)
{
    static const struct {
        const char *interval;
        int64_t days;
    } rows[] = {{"1m", 30}, {"5m", 90}, {"15m", 180}, {"1h", 730}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(interval, str_of(rows[i].interval))) {
            return rows[i].days * DAY_MS;
        }
    }
    return 0;
}

static void free_order(void *order)
{
    struct order *o = order;
    mem_free(o->rows);
    mem_free(o);
}

static void tell_value(void *order, enum err e)
{
    struct order *o = order;
    if (o->done) {
        o->done(o->self, e, e == OK ? o->value : 0);
    }
}

static void tell_rows(void *order, enum err e)
{
    struct order *o = order;
    if (o->rows_done) {
        o->rows_done(o->self, e, o->rows, e == OK ? o->count : 0);
    }
}

/* ---- on the worker ---- */

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_known(sqlite3_stmt *st, int at, double value)
{
    if (isnan(value)) {
        sqlite3_bind_null(st, at);
    } else {
        sqlite3_bind_double(st, at, value);
    }
}

static int put_row(sqlite3_stmt *st, const struct stored_candle *r)
{
    bind_text(st, 1, r->interval);
    bind_text(st, 2, r->symbol);
    sqlite3_bind_int64(st, 3, r->open_ms);
    bind_text(st, 4, r->venue);
    bind_text(st, 5, r->open);
    bind_text(st, 6, r->high);
    bind_text(st, 7, r->low);
    bind_text(st, 8, r->close);
    bind_text(st, 9, r->volume);
    bind_known(st, 10, r->quote_volume);
    bind_known(st, 11, r->taker_buy);
    sqlite3_bind_int64(st, 12, r->trades);
    sqlite3_bind_int64(st, 13, r->flags);
    int rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int run_put(sqlite3 *s, void *order)
{
    struct order *o = order;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s, put_sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(s, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    }
    for (size_t i = 0; i < o->count && rc == SQLITE_OK; i++) {
        rc = put_row(st, &o->rows[i]);
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(s, "COMMIT", NULL, NULL, NULL);
    }
    o->value = (int64_t)o->count;
    return rc;
}

static void take_text(sqlite3_stmt *st, int at, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    snprintf(out, size, "%s", text ? text : "");
}

static double known(sqlite3_stmt *st, int at)
{
    return sqlite3_column_type(st, at) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(st, at);
}

static void take_row(sqlite3_stmt *st, struct stored_candle *r)
{
    take_text(st, 0, r->interval, sizeof(r->interval));
    take_text(st, 1, r->symbol, sizeof(r->symbol));
    r->open_ms = sqlite3_column_int64(st, 2);
    take_text(st, 3, r->venue, sizeof(r->venue));
    take_text(st, 4, r->open, sizeof(r->open));
    take_text(st, 5, r->high, sizeof(r->high));
    take_text(st, 6, r->low, sizeof(r->low));
    take_text(st, 7, r->close, sizeof(r->close));
    take_text(st, 8, r->volume, sizeof(r->volume));
    r->quote_volume = known(st, 9);
    r->taker_buy = known(st, 10);
    r->trades = (uint32_t)sqlite3_column_int64(st, 11);
    r->flags = (uint32_t)sqlite3_column_int64(st, 12);
}

/* They came newest first. */
static void turn_round(struct stored_candle *rows, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct stored_candle r = rows[i];
        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = r;
    }
}

static int run_get(sqlite3 *s, void *order)
{
    struct order *o = order;
    sqlite3_stmt *st = NULL;
    size_t cap = 0;
    int rc = sqlite3_prepare_v2(s, get_sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }
    bind_text(st, 1, o->interval);
    bind_text(st, 2, o->symbol);
    sqlite3_bind_int64(st, 3, o->from_ms);
    sqlite3_bind_int64(st, 4, o->to_ms);
    sqlite3_bind_int64(st, 5, (int64_t)o->limit);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (o->count == cap) {
            cap = cap ? cap * 2 : 64;
            o->rows = mem_resize(o->rows, cap * sizeof(*o->rows));
        }
        take_row(st, &o->rows[o->count++]);
    }
    sqlite3_finalize(st);
    turn_round(o->rows, o->count);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int run_prune(sqlite3 *s, void *order)
{
    struct order *o = order;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s, prune_sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }
    bind_text(st, 1, o->interval);
    sqlite3_bind_int64(st, 2, o->to_ms);
    rc = sqlite3_step(st);
    sqlite3_finalize(st);
    o->value = sqlite3_changes(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- orders ---- */

static const struct db_order_ops put_ops = {run_put, tell_value, free_order};
static const struct db_order_ops get_ops = {run_get, tell_rows, free_order};
static const struct db_order_ops prune_ops = {run_prune, tell_value, free_order};

static enum err copy_name(char *out, size_t size, struct str name)
{
    if (name.len >= size) {
        return ERR_LIMIT;
    }
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return OK;
}

void db_candles_put(struct db *d, const struct stored_candle *rows, size_t count, db_done_fn done,
                    void *self)
{
    struct order *o = mem_zero(sizeof(*o));
    enum err e = count > DB_CANDLES_MAX ? ERR_LIMIT : OK;
    o->done = done;
    o->self = self;
    if (e == OK && count > 0) {
        o->count = count;
        o->rows = mem_array(count, sizeof(*rows));
        memcpy(o->rows, rows, count * sizeof(*rows));
    }
    db_submit(d, &put_ops, o, e);
}

void db_candles_get(struct db *d, struct str symbol, struct str interval, int64_t from_ms,
                    int64_t to_ms, size_t limit, db_candles_fn done, void *self)
{
    struct order *o = mem_zero(sizeof(*o));
    enum err e = copy_name(o->symbol, sizeof(o->symbol), symbol);
    if (e == OK) {
        e = copy_name(o->interval, sizeof(o->interval), interval);
    }
    o->from_ms = from_ms;
    o->to_ms = to_ms;
    o->limit = min_size(limit, DB_CANDLES_MAX);
    o->rows_done = done;
    o->self = self;
    db_submit(d, &get_ops, o, e);
}

void db_candles_prune(struct db *d, struct str interval, int64_t before_ms, db_done_fn done,
                      void *self)
{
    struct order *o = mem_zero(sizeof(*o));
    enum err e = copy_name(o->interval, sizeof(o->interval), interval);
    o->to_ms = before_ms;
    o->done = done;
    o->self = self;
    db_submit(d, &prune_ops, o, e);
}
