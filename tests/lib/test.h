/* test: what every unit test includes: cmocka, its prelude, and a few helpers of our own.
 *
 * A test is TEST(name_of_a_behaviour) { … }, a program lists them with cmocka_unit_test() in
 * main(). Nothing here sleeps; fixtures are recorded answers outside the repository and may be
 * absent. SPDX-License-Identifier: MIT */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Exit code of a program that could not run any of its tests; ctest counts it as skipped. */
#define TEST_SKIPPED_PROGRAM 77

/* The head of a test function. */
#define TEST(name) static void name(void **state UNUSED)

/* The slice or the buf's content is exactly this text. */
#define assert_str(actual, expected) test_assert_str((actual), (expected), __FILE__, __LINE__)
#define assert_buf(actual, expected) \
    test_assert_str(buf_str(actual), (expected), __FILE__, __LINE__)
/* The slice or the buf's content holds this text somewhere. */
#define assert_contains(actual, part) test_assert_contains((actual), (part), __FILE__, __LINE__)
/* An enum err; failures print both texts. */
#define assert_err(actual, expected) test_assert_err((actual), (expected), __FILE__, __LINE__)
#define assert_ok(actual) test_assert_err((actual), OK, __FILE__, __LINE__)
/* |actual - expected| <= tolerance, all doubles. */
#define assert_near(actual, expected, tolerance) \
    test_assert_near((actual), (expected), (tolerance), __FILE__, __LINE__)
/* Within a loop over cases: the name that the helpers above print when one fails; NULL: none. */
void test_case(const char *name);

void test_assert_str(struct str actual, const char *expected, const char *file, int line);
void test_assert_contains(struct str actual, const char *part, const char *file, int line);
void test_assert_err(enum err actual, enum err expected, const char *file, int line);
void test_assert_near(double actual, double expected, double tolerance, const char *file, int line);

/* The whole file `path` below $COINCAST_FIXTURES into `out`. Skips the running test when the
 * variable is not set; fails it when the file can't be read. */
void fixture_read(const char *path, struct buf *out);
/* The same; a name that ends in .gz is unpacked by gzip(1). */
void fixture_read_plain(const char *path, struct buf *out);
/* $COINCAST_FIXTURES, or NULL. */
const char *fixture_root(void);
/* Any file; paths are from the repository's root, where ctest starts the tests. */
bool test_read_file(const char *path, struct buf *out);

/* A new folder below $TMPDIR or /tmp for this test; test_remove_dir() takes it away again with all
 * it holds. Borrowed until the next call. */
const char *test_make_dir(void);
void test_remove_dir(const char *path);

#endif
