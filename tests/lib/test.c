/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

static const char *case_name;

void test_case(const char *name)
{
    case_name = name;
}

static void print_case(void)
{
    if (case_name) {
        print_error("in case \"%s\":\n", case_name);
    }
}

void test_assert_str(struct str actual, const char *expected, const char *file, int line)
{
    if (!str_eq(actual, str_of(expected))) {
        print_case();
        print_error("got      \"%.*s\"\nexpected \"%s\"\n", STR_ARG(actual), expected);
        _fail(file, line);
    }
}

void test_assert_contains(struct str actual, const char *part, const char *file, int line)
{
    if (str_find_str(actual, str_of(part)) == SIZE_MAX) {
        print_case();
        print_error("got \"%.*s\"\nwithout \"%s\"\n", STR_ARG(actual), part);
        _fail(file, line);
    }
}

void test_assert_err(enum err actual, enum err expected, const char *file, int line)
{
    if (actual != expected) {
        print_case();
        print_error("got \"%s\", expected \"%s\"\n", err_text(actual), err_text(expected));
        _fail(file, line);
    }
}

void test_assert_near(double actual, double expected, double tolerance, const char *file, int line)
{
    /* Written so that a NaN fails. */
    if (!(fabs(actual - expected) <= tolerance)) {
        print_case();
        print_error("got %.17g, expected %.17g within %g\n", actual, expected, tolerance);
        _fail(file, line);
    }
}

const char *fixture_root(void)
{
    const char *root = getenv("COINCAST_FIXTURES");
    return root && *root ? root : NULL;
}

static bool read_all(FILE *f, struct buf *out)
{
    buf_clear(out);
    size_t got = 0;
    do {
        out->len += got;
        assert_true(buf_reserve(out, 1 << 16));
        got = fread(out->ptr + out->len, 1, 1 << 16, f);
    } while (got > 0);
    return !ferror(f);
}

bool test_read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    bool good = read_all(f, out);
    fclose(f);
    return good;
}

void fixture_read(const char *path, struct buf *out)
{
    struct buf full = {0};
    const char *root = fixture_root();
    if (!root) {
        skip();
    }
    buf_printf(&full, "%s/%s", root, path);
    bool good = test_read_file(buf_text(&full), out);
    if (!good) {
        print_error("cannot read the fixture %s\n", buf_text(&full));
    }
    buf_fini(&full);
    assert_true(good);
}

void fixture_read_plain(const char *path, struct buf *out)
{
    if (!str_ends(str_of(path), STR(".gz"))) {
        fixture_read(path, out);
        return;
    }
    if (!fixture_root()) {
        skip();
    }
    struct buf command = {0};
    buf_printf(&command, "gzip -dc '%s/%s'", fixture_root(), path);
    FILE *pipe = popen(buf_text(&command), "r");
    assert_non_null(pipe);
    assert_true(read_all(pipe, out));
    assert_int_equal(pclose(pipe), 0);
    buf_fini(&command);
}

const char *test_make_dir(void)
{
    static char path[512];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/coincast-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

void test_remove_dir(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}
