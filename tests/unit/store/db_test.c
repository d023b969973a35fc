/* SPDX-License-Identifier: MIT */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/migrate.h"

struct fixture {
    char folder[64];
    struct loop *loop;
    struct work_pool *pool;
    struct db *db;
};

struct got {
    int calls;
    enum err e;
    int64_t number;
    char text[64];
};

static void number_done(void *self, enum err e, int64_t value)
{
    struct got *g = self;
    g->calls++;
    g->e = e;
    g->number = value;
}

static void text_done(void *self, enum err e, struct str value)
{
    struct got *g = self;
    g->calls++;
    g->e = e;
    assert_true(value.len < sizeof(g->text));
    memcpy(g->text, value.ptr, value.len);
    g->text[value.len] = '\0';
}

static void wait_calls(struct fixture *f, const struct got *g, int calls)
{
    for (int i = 0; i < 2000 && g->calls < calls; i++) {
        loop_turn(f->loop, 10);
    }
    assert_int_equal(g->calls, calls);
}

static void begin(struct fixture *f)
{
    struct loop_opts opts = {.io = IO_EPOLL};
    assert_int_equal(loop_new(&opts, &f->loop), OK);
    f->pool = work_pool_new(2);
}

static void open_db(struct fixture *f)
{
    struct buf error = {0};
    enum err e = db_open(f->folder, f->pool, f->loop, &f->db, &error);
    if (e != OK) {
        fail_msg("%s", buf_text(&error));
    }
    buf_fini(&error);
}

static void end(struct fixture *f)
{
    db_close(f->db);
    work_pool_free(f->pool);
    loop_free(f->loop);
    f->db = NULL;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED,
                      struct FTW *ftw UNUSED)
{
    return remove(path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/coincast-db-XXXXXX");
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc = nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return rc;
}

static void counters_add_and_survive_reopening(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    begin(f);
    open_db(f);
    db_counter_get(f->db, STR("coingecko:2026-11"), number_done, &g);
    wait_calls(f, &g, 1);
    assert_int_equal(g.e, OK);
    assert_int_equal(g.number, 0);
    db_counter_add(f->db, STR("coingecko:2026-11"), 3, number_done, &g);
    db_counter_add(f->db, STR("coingecko:2026-11"), 4, number_done, &g);
    wait_calls(f, &g, 3);
    assert_int_equal(g.e, OK);
    assert_int_equal(g.number, 7);
    end(f);

    begin(f);
    open_db(f);
    db_counter_add(f->db, STR("coingecko:2026-11"), -2, number_done, &g);
    wait_calls(f, &g, 4);
    assert_int_equal(g.number, 5);
    end(f);
}

static void texts_are_replaced_whole_and_keep_every_byte(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    begin(f);
    open_db(f);
    db_value_get(f->db, STR("k"), text_done, &g);
    wait_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_NOT_FOUND);
    db_value_put(f->db, STR("k"), STR("a longer first text"), number_done, &g);
    db_value_put(f->db, STR("k"), str_make("a\0b\xff", 4), number_done, &g);
    db_value_get(f->db, STR("k"), text_done, &g);
    wait_calls(f, &g, 4);
    assert_int_equal(g.e, OK);
    assert_memory_equal(g.text, "a\0b\xff", 5);
    db_value_put(f->db, STR("k"), STR(""), number_done, &g);
    db_value_get(f->db, STR("k"), text_done, &g);
    wait_calls(f, &g, 6);
    assert_int_equal(g.e, OK);
    assert_string_equal(g.text, "");
    end(f);
}

static void a_counter_that_leaves_64_bits_is_refused_and_keeps_its_value(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    const char *reason;
    int64_t since;
    begin(f);
    open_db(f);
    db_counter_add(f->db, STR("c"), INT64_MAX, number_done, &g);
    db_counter_add(f->db, STR("c"), 1, number_done, &g);
    wait_calls(f, &g, 2);
    assert_int_equal(g.e, ERR_RANGE);
    db_counter_get(f->db, STR("c"), number_done, &g);
    wait_calls(f, &g, 3);
    assert_true(g.number == INT64_MAX);
    assert_true(db_healthy(f->db, &reason, &since));
    end(f);
}

static void names_and_values_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    begin(f);
    open_db(f);
    size_t len = ((size_t)16 << 20) + 1;
    char *big = calloc(1, len);
    db_counter_add(f->db, str_make(big, 513), 1, number_done, &g);
    assert_int_equal(g.calls, 0); /* never from inside the call */
    wait_calls(f, &g, 1);
    assert_int_equal(g.e, ERR_LIMIT);
    db_value_put(f->db, STR("k"), str_make(big, len), number_done, &g);
    wait_calls(f, &g, 2);
    assert_int_equal(g.e, ERR_LIMIT);
    db_value_put(f->db, STR("k"), str_make(big, len - 1), number_done, &g);
    wait_calls(f, &g, 3);
    assert_int_equal(g.e, OK);
    free(big);
    end(f);
}

static void a_locked_folder_is_refused_with_the_holders_pid(void **state)
{
    struct fixture *f = *state;
    begin(f);
    open_db(f);
    struct db *second = NULL;
    struct buf error = {0};
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(db_open(f->folder, f->pool, f->loop, &second, &error), ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(buf_text(&error), pid));
    assert_non_null(strstr(buf_text(&error), f->folder));
    buf_fini(&error);
    end(f);
    begin(f);
    open_db(f); /* the lock went with the first */
    end(f);
}

/* The child reports each sum that `done` gave it, then waits to be killed in the middle of more. */
static void child_counts(struct fixture *f, int report_fd)
{
    struct got g = {0};
    struct loop_opts opts = {.io = IO_EPOLL};
    struct buf error = {0};
    if (loop_new(&opts, &f->loop) != OK) {
        _exit(2);
    }
    f->pool = work_pool_new(1);
    if (db_open(f->folder, f->pool, f->loop, &f->db, &error) != OK) {
        _exit(3);
    }
    for (int n = 1;; n++) {
        db_counter_add(f->db, STR("c"), 1, number_done, &g);
        while (g.calls < n) {
            loop_turn(f->loop, 100);
        }
        if (g.e != OK || write(report_fd, &g.number, sizeof(g.number)) < 0) {
            _exit(4);
        }
    }
}

static void what_done_reported_survives_sigkill(void **state)
{
    struct fixture *f = *state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipe_fds[0]);
        child_counts(f, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    int64_t reported = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(read(pipe_fds[0], &reported, sizeof(reported)), sizeof(reported));
    }
    kill(child, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    int64_t more = 0; /* said before the signal came */
    while (read(pipe_fds[0], &more, sizeof(more)) == sizeof(more)) {
        reported = more;
    }
    close(pipe_fds[0]);

    struct got g = {0};
    begin(f);
    open_db(f); /* the killed process left no lock */
    db_counter_get(f->db, STR("c"), number_done, &g);
    wait_calls(f, &g, 1);
    assert_true(g.number >= reported && g.number <= reported + 1);
    end(f);
}

static void close_finishes_writes_and_drops_their_callbacks(void **state)
{
    struct fixture *f = *state;
    struct got g = {0};
    begin(f);
    open_db(f);
    for (int i = 0; i < 50; i++) {
        db_counter_add(f->db, STR("c"), 1, number_done, &g);
    }
    end(f);
    assert_int_equal(g.calls, 0);
    begin(f);
    open_db(f);
    db_counter_get(f->db, STR("c"), number_done, &g);
    wait_calls(f, &g, 1);
    assert_int_equal(g.number, 50);
    end(f);
}

static void the_folder_is_made_and_private(void **state)
{
    struct fixture *f = *state;
    char top[64];
    memcpy(top, f->folder, sizeof(top));
    struct stat st;
    struct buf path = {0};
    strncat(f->folder, "/a/b", sizeof(f->folder) - strlen(f->folder) - 1);
    begin(f);
    open_db(f);
    assert_int_equal(stat(f->folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    buf_printf(&path, "%s/coincast.db", f->folder);
    assert_int_equal(stat(buf_text(&path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    buf_fini(&path);
    end(f);
    memcpy(f->folder, top, sizeof(top));
}

/* Writes `bytes` over the head of the database file. */
static void spoil(struct fixture *f, long at, const char *bytes, size_t len)
{
    struct buf path = {0};
    buf_printf(&path, "%s/coincast.db", f->folder);
    int fd = open(buf_text(&path), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
    buf_fini(&path);
}

static void expect_refusal(struct fixture *f, enum err want, const char *hint)
{
    struct buf error = {0};
    begin(f);
    assert_int_equal(db_open(f->folder, f->pool, f->loop, &f->db, &error), want);
    assert_non_null(strstr(buf_text(&error), hint));
    buf_fini(&error);
    work_pool_free(f->pool);
    loop_free(f->loop);
}

static void a_newer_database_is_refused(void **state)
{
    struct fixture *f = *state;
    begin(f);
    open_db(f);
    end(f);
    spoil(f, 60, "\0\0\x7f\x00", 4); /* user_version, big-endian, in the file's header */
    expect_refusal(f, ERR_UNSUPPORTED, "newer");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[200];
    memset(text, 'x', sizeof(text));
    spoil(f, 0, text, sizeof(text));
    expect_refusal(f, ERR_SYNTAX, "not a database");
}

static void a_folder_that_is_a_file_is_refused(void **state)
{
    struct fixture *f = *state;
    spoil(f, 0, "x", 1);
    size_t len = strlen(f->folder);
    strncat(f->folder, "/coincast.db", sizeof(f->folder) - len - 1);
    expect_refusal(f, ERR_EXISTS, "something else has that name");
    f->folder[len] = '\0';
}

static void every_migration_says_what_it_does(void **state UNUSED)
{
    for (int v = 1; v <= migrate_version(); v++) {
        assert_true(strlen(migrate_step(v)->what) > 0);
        assert_true(str_ends(str_of(migrate_step(v)->sql), STR(";")));
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(
            what_done_reported_survives_sigkill), /* forks: first, while there are no threads */
        IN_FOLDER(counters_add_and_survive_reopening),
        IN_FOLDER(texts_are_replaced_whole_and_keep_every_byte),
        IN_FOLDER(a_counter_that_leaves_64_bits_is_refused_and_keeps_its_value),
        IN_FOLDER(names_and_values_are_bounded),
        IN_FOLDER(a_locked_folder_is_refused_with_the_holders_pid),
        IN_FOLDER(close_finishes_writes_and_drops_their_callbacks),
        IN_FOLDER(the_folder_is_made_and_private),
        IN_FOLDER(a_newer_database_is_refused),
        IN_FOLDER(a_file_that_is_no_database_is_refused),
        IN_FOLDER(a_folder_that_is_a_file_is_refused),
        cmocka_unit_test(every_migration_says_what_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
