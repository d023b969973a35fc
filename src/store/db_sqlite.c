/* db on SQLite. All statements run on one queue of the worker pool, so SQLite never sees two
 * threads at once; the loop's thread only copies arguments and hands results out.
 *
 * A write is reported as OK after its statement was stepped to the end: only then SQLite has
 * committed, and with synchronous=FULL the log is on the disk.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/db.h"
#include "store/db_in.h"
#include "store/migrate.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 512
#define VALUE_MAX_BYTES ((size_t)16 << 20)
/* Statements that wait; beyond it callers are told ERR_LIMIT. */
#define WAITING_MAX 4096
#define REASON_LEN 160

static struct metric metric_ok =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_db_statements_total",
                    "Statements on the database by how they ended.", "result=\"ok\"");
static struct metric metric_failed =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_db_statements_total",
                    "Statements on the database by how they ended.", "result=\"failed\"");
static struct metric metric_latency = METRIC_HISTOGRAM(
    "coincast_db_statement_seconds", "Time from a statement's order to its result.", 1e-6);

enum statement { COUNTER_ADD, COUNTER_GET, VALUE_PUT, VALUE_GET, STATEMENT_COUNT };

static const char *const statements[STATEMENT_COUNT] = {
    [COUNTER_ADD] = "INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) "
                    "DO UPDATE SET value = value + excluded.value RETURNING value",
    [COUNTER_GET] = "SELECT value FROM counters WHERE name = ?1",
    [VALUE_PUT] = "INSERT INTO texts (key, value) VALUES (?1, ?2) ON CONFLICT (key) "
                  "DO UPDATE SET value = excluded.value",
    [VALUE_GET] = "SELECT value FROM texts WHERE key = ?1",
};

struct db {
    struct loop *loop;
    struct work_queue *queue;
    int lock_fd;
    sqlite3 *sqlite; /* used by the queue's jobs only, once open */
    sqlite3_stmt *prepared[STATEMENT_COUNT];
    size_t waiting; /* jobs whose `done` has not run */
    bool closing;
    bool healthy;
    char reason[REASON_LEN];
    int64_t since_ms;
};

struct db_job {
    struct job job;
    struct db *db;
    enum statement statement;
    char *key;
    size_t key_len;
    char *text; /* VALUE_PUT's value, VALUE_GET's answer; owned */
    size_t text_len;
    int64_t number; /* COUNTER_ADD's delta, then the counter */
    enum err result;
    char reason[REASON_LEN];
    uint64_t began_us;
    db_done_fn done;
    db_value_fn value_done;
    void *self;
    const struct db_order_ops *ops; /* NULL: one of the statements above */
    void *order;
};

/* ---- the folder ---- */

/* Makes the folder and what is above it; the last one is for our eyes only. */
static enum err make_folder(const char *folder, struct buf *error)
{
    struct buf path = {0};
    buf_add(&path, folder, strlen(folder));
    char *text = (char *)(uintptr_t)buf_text(&path);
    for (char *at = text + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(text, 0755); /* the last one tells what is wrong */
            *at = '/';
        }
    }
    int rc = mkdir(text, 0700);
    int why = errno;
    struct stat st;
    buf_fini(&path);
    if (rc == 0 || (why == EEXIST && stat(folder, &st) == 0 && S_ISDIR(st.st_mode))) {
        return OK;
    }
    buf_printf(error, "cannot make the data folder %s: %s", folder,
               why == EEXIST ? "something else has that name" : strerror(why));
    return err_from_errno(why);
}

static void say_who_holds(int fd, const char *folder, struct buf *error)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    uint64_t number = 0;
    struct str text = str_make(pid, n > 0 ? (size_t)n : 0);
    text = str_sub(text, 0, min_size(str_find(text, '\n', 0), text.len));
    if (str_to_u64(text, &number) == OK) {
        buf_printf(error, "the data folder %s is in use by process %llu", folder,
                   (unsigned long long)number);
    } else {
        buf_printf(error, "the data folder %s is in use by another process", folder);
    }
}

/* The lock lives as long as the descriptor, so a killed process never leaves it behind. The file
 * stays: removing it would let two processes lock two files of the same name. */
static enum err lock_folder(const char *folder, int *out_fd, struct buf *error)
{
    struct buf path = {0};
    buf_printf(&path, "%s/coincast.lock", folder);
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int why = errno;
    buf_fini(&path);
    if (fd < 0) {
        buf_printf(error, "cannot write in the data folder %s: %s", folder, strerror(why));
        return err_from_errno(why);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        why = errno;
        if (why == EWOULDBLOCK) {
            say_who_holds(fd, folder, error);
        } else {
            buf_printf(error, "cannot lock the data folder %s: %s", folder, strerror(why));
        }
        close(fd);
        return why == EWOULDBLOCK ? ERR_BUSY : err_from_errno(why);
    }
    char pid[16];
    int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        why = errno;
        buf_printf(error, "cannot write %s/coincast.lock: %s", folder, strerror(why));
        close(fd);
        return err_from_errno(why);
    }
    *out_fd = fd;
    return OK;
}

/* ---- opening ---- */

static enum err err_from_sqlite(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    case SQLITE_CONSTRAINT:
        return ERR_RANGE; /* a counter that left 64 bits */
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return ERR_DENIED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_SYNTAX;
    default:
        return ERR_IO;
    }
}

static enum err run_sql(sqlite3 *s, const char *sql)
{
    return err_from_sqlite(sqlite3_exec(s, sql, NULL, NULL, NULL));
}

/* The single text or number that a pragma answers. */
static enum err ask_pragma(sqlite3 *s, const char *sql, struct buf *answer)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
    }
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        buf_printf(answer, "%s", text ? text : "");
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? OK : err_from_sqlite(rc);
}

static enum err run_migration(sqlite3 *s, int version)
{
    struct buf sql = {0};
    buf_printf(&sql, "BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;",
               migrate_step(version)->sql, version);
    enum err e = run_sql(s, buf_text(&sql));
    buf_fini(&sql);
    if (e != OK && !sqlite3_get_autocommit(s)) {
        (void)sqlite3_exec(s, "ROLLBACK", NULL, NULL, NULL);
    }
    return e;
}

static enum err migrate(sqlite3 *s, struct buf *error)
{
    struct buf text = {0};
    uint64_t version = 0;
    enum err e = ask_pragma(s, "PRAGMA user_version", &text);
    if (e == OK) {
        e = str_to_u64(buf_str(&text), &version);
    }
    buf_fini(&text);
    if (e != OK) {
        return e;
    }
    if (version > (uint64_t)migrate_version()) {
        buf_printf(error,
                   "the database is of version %llu, this program knows up to %d: it was "
                   "written by a newer coincast",
                   (unsigned long long)version, migrate_version());
        return ERR_UNSUPPORTED;
    }
    for (int next = (int)version + 1; next <= migrate_version() && e == OK; next++) {
        e = run_migration(s, next);
        if (e == OK) {
            log_info("db", "migrated", "version=%d what=%s", next,
                     log_quote(str_of(migrate_step(next)->what)));
        }
    }
    return e;
}

static enum err set_up(sqlite3 *s, struct buf *error)
{
    struct buf mode = {0};
    enum err e = ask_pragma(s, "PRAGMA journal_mode = WAL", &mode);
    if (e == OK && !str_eq(buf_str(&mode), STR("wal"))) {
        buf_printf(error, "the file system of the data folder does not allow SQLite's WAL mode");
        e = ERR_UNSUPPORTED;
    }
    buf_fini(&mode);
    if (e == OK) {
        e = run_sql(s, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                       "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;");
    }
    return e == OK ? migrate(s, error) : e;
}

static enum err open_database(struct db *d, const char *folder, struct buf *error)
{
    struct buf path = {0};
    buf_printf(&path, "%s/coincast.db", folder);
    /* Made here first, because SQLite would let everybody read it. */
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
    size_t said = error->len;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    enum err e = err_from_sqlite(sqlite3_open_v2(buf_text(&path), &d->sqlite, flags, NULL));
    if (e == OK) {
        sqlite3_busy_timeout(d->sqlite, 2000); /* somebody looks into it with sqlite3(1) */
        e = set_up(d->sqlite, error);
    }
    for (size_t i = 0; i < STATEMENT_COUNT && e == OK; i++) {
        e = err_from_sqlite(sqlite3_prepare_v3(d->sqlite, statements[i], -1,
                                               SQLITE_PREPARE_PERSISTENT, &d->prepared[i], NULL));
    }
    if (e != OK && error->len == said) {
        buf_printf(error, "cannot open %s: %s", buf_text(&path), sqlite3_errmsg(d->sqlite));
    }
    buf_fini(&path);
    return e;
}

/* Everything but the struct; all of it may be absent. */
static void close_all(struct db *d)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(d->prepared[i]);
    }
    sqlite3_close(d->sqlite);
    if (d->lock_fd >= 0) {
        close(d->lock_fd);
    }
}

enum err db_open(const char *folder, struct work_pool *pool, struct loop *loop, struct db **out,
                 struct buf *error)
{
    struct db *d = mem_zero(sizeof(*d));
    d->lock_fd = -1;
    enum err e = make_folder(folder, error);
    if (e == OK) {
        e = lock_folder(folder, &d->lock_fd, error);
    }
    if (e == OK) {
        e = open_database(d, folder, error);
    }
    if (e != OK) {
        close_all(d);
        mem_free(d);
        return e;
    }
    d->loop = loop;
    d->queue = work_queue_new(pool, loop);
    d->healthy = true;
    d->since_ms = loop_wall_ms(loop);
    metric_register(&metric_ok);
    metric_register(&metric_failed);
    log_info("db", "opened", "folder=%s version=%d", log_quote(str_of(folder)), migrate_version());
    *out = d;
    return OK;
}

void db_close(struct db *d)
{
    if (!d) {
        return;
    }
    d->closing = true;
    while (d->waiting || !work_queue_idle(d->queue)) {
        loop_turn(d->loop, 20);
    }
    work_queue_free(d->queue);
    close_all(d);
    mem_free(d);
}

bool db_healthy(const struct db *d, const char **reason, int64_t *since_ms)
{
    *reason = d->reason;
    *since_ms = d->since_ms;
    return d->healthy;
}

/* ---- statements: run() on a worker, done() on the loop ---- */

static void take_row(struct db_job *j, sqlite3_stmt *st)
{
    if (j->statement == VALUE_GET) {
        const void *bytes = sqlite3_column_blob(st, 0);
        j->text_len = (size_t)sqlite3_column_bytes(st, 0);
        j->text = mem_copy_text(bytes, j->text_len);
    } else {
        j->number = sqlite3_column_int64(st, 0);
    }
}

static void run_order(struct db_job *j)
{
    sqlite3 *s = j->db->sqlite;
    int rc = j->ops->run(s, j->order);
    j->result = err_from_sqlite(rc);
    if (j->result != OK) {
        snprintf(j->reason, sizeof(j->reason), "%s", sqlite3_errmsg(s));
    }
    if (!sqlite3_get_autocommit(s)) {
        (void)sqlite3_exec(s, "ROLLBACK", NULL, NULL, NULL);
    }
}

static void run(struct job *job)
{
    struct db_job *j = containerof(job, struct db_job, job);
    if (j->result != OK) {
        return; /* refused before it was queued */
    }
    if (j->ops) {
        run_order(j);
        return;
    }
    sqlite3_stmt *st = j->db->prepared[j->statement];
    sqlite3_bind_text(st, 1, j->key, (int)j->key_len, SQLITE_STATIC);
    if (j->statement == COUNTER_ADD) {
        sqlite3_bind_int64(st, 2, j->number);
    } else if (j->statement == VALUE_PUT) {
        sqlite3_bind_blob(st, 2, j->text, (int)j->text_len, SQLITE_STATIC);
    }
    bool found = false;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        found = true;
        take_row(j, st);
        rc = sqlite3_step(st); /* the commit of a write happens here */
    }
    j->result = err_from_sqlite(rc);
    if (j->result != OK) {
        snprintf(j->reason, sizeof(j->reason), "%s", sqlite3_errmsg(j->db->sqlite));
    } else if (!found && j->statement == VALUE_GET) {
        j->result = ERR_NOT_FOUND;
    } else if (!found && j->statement == COUNTER_GET) {
        j->number = 0;
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

/* A caller's mistake (ERR_RANGE, ERR_LIMIT without words of SQLite) says nothing about our health.
 */
static void note_health(struct db *d, const struct db_job *j)
{
    bool failed = j->result != OK && j->result != ERR_NOT_FOUND;
    metric_add(failed ? &metric_failed : &metric_ok, 1);
    if (failed && (!j->reason[0] || j->result == ERR_RANGE)) {
        return;
    }
    if (failed) {
        snprintf(d->reason, sizeof(d->reason), "%s", j->reason);
        log_error("db", "statement failed", "reason=%s", log_quote(str_of(j->reason)));
    } else {
        d->reason[0] = '\0';
    }
    if (d->healthy == failed) {
        d->healthy = !failed;
        d->since_ms = loop_wall_ms(d->loop);
    }
}

static void done(struct job *job)
{
    struct db_job *j = containerof(job, struct db_job, job);
    struct db *d = j->db;
    d->waiting--;
    metric_observe(&metric_latency, loop_exact_us(d->loop) - j->began_us);
    note_health(d, j);
    bool closing = d->closing; /* the callback may close the database */
    if (j->done && !closing) {
        j->done(j->self, j->result, j->result == OK ? j->number : 0);
    }
    if (j->value_done && !closing) {
        j->value_done(j->self, j->result,
                      str_make(j->result == OK ? j->text : "", j->result == OK ? j->text_len : 0));
    }
    if (j->ops) {
        if (!closing) {
            j->ops->done(j->order, j->result);
        }
        j->ops->free(j->order);
    }
    mem_free(j->key);
    mem_free(j->text);
    mem_free(j);
}

static void queue(struct db *d, struct db_job *j)
{
    assert(!d->closing);
    j->db = d;
    j->job.run = run;
    j->job.done = done;
    j->began_us = loop_exact_us(d->loop);
    d->waiting++;
    work_submit(d->queue, &j->job);
}

/* Takes `owned_job` on, or tells it why not when its turn comes. */
static void submit(struct db *d, struct db_job *owned_job, struct str key, struct str text)
{
    struct db_job *j = owned_job;
    if (key.len > NAME_MAX_BYTES || text.len > VALUE_MAX_BYTES || d->waiting >= WAITING_MAX) {
        j->result = ERR_LIMIT;
    } else {
        j->key = mem_copy_text(key.ptr, key.len);
        j->key_len = key.len;
        j->text = text.ptr ? mem_copy_text(text.ptr, text.len) : NULL;
        j->text_len = text.len;
    }
    queue(d, j);
}

void db_submit(struct db *d, const struct db_order_ops *ops, void *owned_order, enum err refused)
{
    struct db_job *j = mem_zero(sizeof(*j));
    j->ops = ops;
    j->order = owned_order;
    j->result = refused == OK && d->waiting >= WAITING_MAX ? ERR_LIMIT : refused;
    queue(d, j);
}

static struct db_job *job_new(enum statement statement, db_done_fn done_fn, void *self)
{
    struct db_job *j = mem_zero(sizeof(*j));
    j->statement = statement;
    j->done = done_fn;
    j->self = self;
    return j;
}

void db_counter_add(struct db *d, struct str name, int64_t delta, db_done_fn done_fn, void *self)
{
    struct db_job *j = job_new(COUNTER_ADD, done_fn, self);
    j->number = delta;
    submit(d, j, name, (struct str){0});
}

void db_counter_get(struct db *d, struct str name, db_done_fn done_fn, void *self)
{
    submit(d, job_new(COUNTER_GET, done_fn, self), name, (struct str){0});
}

void db_value_put(struct db *d, struct str key, struct str value, db_done_fn done_fn, void *self)
{
    submit(d, job_new(VALUE_PUT, done_fn, self), key, value.ptr ? value : STR(""));
}

void db_value_get(struct db *d, struct str key, db_value_fn done_fn, void *self)
{
    struct db_job *j = job_new(VALUE_GET, NULL, self);
    j->value_done = done_fn;
    submit(d, j, key, (struct str){0});
}
