/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "wire/tape_files.h"

static const char *dir;
static char path_a[256], path_b[256], both[600];

static int make_dir(void **state UNUSED)
{
    dir = test_make_dir();
    snprintf(path_a, sizeof(path_a), "%s/a", dir);
    snprintf(path_b, sizeof(path_b), "%s/b", dir);
    snprintf(both, sizeof(both), "%s,%s", path_a, path_b);
    return 0;
}

static int remove_dir(void **state UNUSED)
{
    test_remove_dir(dir);
    return 0;
}

static void write_file(const char *path, struct str bytes)
{
    FILE *f = fopen(path, "wbe");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    fclose(f);
}

static void read_corpus(const char *name, struct buf *out)
{
    char path[128];
    snprintf(path, sizeof(path), "fuzz/corpus/%s", name);
    assert_true(test_read_file(path, out));
}

/* All frames and complaints, with the folder's name cut off the latter. */
static void read_all(const char *paths, struct buf *log)
{
    struct tape_files *f;
    struct tape_item item;
    struct buf error = {0};
    assert_ok(tape_files_open(str_of(paths), &f, &error));
    for (enum err e = tape_files_next(f, &item); e != ERR_NOT_FOUND;
         e = tape_files_next(f, &item)) {
        struct str why = tape_files_complaint(f);
        buf_add_str(log, e == OK ? item.frame : str_from(why, strlen(dir) + 1));
        buf_add_char(log, '\n');
    }
    buf_printf(log, "%d left out\n", (int)tape_files_left_out(f));
    assert_err(tape_files_next(f, &item), ERR_NOT_FOUND);
    tape_files_free(f);
    buf_fini(&error);
}

TEST(files_follow_each_other_each_in_its_own_form)
{
    struct buf log = {0};
    write_file(path_a, STR("5 {\"a\":1}\n6 {\"a\":2}\n7 {\"a"));
    write_file(path_b, STR("{\"b\":1}\nx\n{\"b\":2}\n"));
    read_all(both, &log);
    assert_buf(&log, "{\"a\":1}\n{\"a\":2}\na: 5 bytes behind the last line end are left out\n"
                     "{\"b\":1}\nb line 2: it is not a JSON object\n{\"b\":2}\n2 left out\n");
    buf_fini(&log);
}

TEST(compressed_files_are_read_as_far_as_they_are_whole)
{
    struct buf gz = {0}, log = {0};
    read_corpus("wire_gzip/heartbeat.gz", &gz);
    write_file(path_a, buf_str(&gz));
    write_file(path_b, str_sub(buf_str(&gz), 0, gz.len - 4));
    read_all(both, &log);
    assert_buf(&log, "{\"channel\":\"heartbeat\"}\n{\"channel\":\"heartbeat\"}\n"
                     "b: the compressed data is cut off, so its end is missing\n1 left out\n");
    buf_clear(&log);
    gz.ptr[gz.len - 8] ^= 1; /* the checksum */
    write_file(path_a, buf_str(&gz));
    read_all(path_a, &log);
    assert_buf(&log, "a: the compressed data is damaged, the rest is left out\n"
                     "{\"channel\":\"heartbeat\"}\n1 left out\n");
    buf_fini(&gz);
    buf_fini(&log);
}

TEST(an_empty_file_has_no_items)
{
    struct buf log = {0};
    write_file(path_a, STR(""));
    read_all(path_a, &log);
    assert_buf(&log, "0 left out\n");
    buf_fini(&log);
}

TEST(what_cannot_be_opened_is_said_at_once)
{
    struct tape_files *f = NULL;
    struct buf error = {0}, many = {0};
    assert_err(tape_files_open(STR(""), &f, &error), ERR_NOT_FOUND);
    assert_buf(&error, "no file is named");
    buf_clear(&error);
    assert_err(tape_files_open(STR("/nowhere/x"), &f, &error), ERR_NOT_FOUND);
    assert_buf(&error, "cannot read /nowhere/x: No such file or directory");
    buf_clear(&error);
    write_file(path_a, STR(""));
    for (int i = 0; i <= TAPE_FILES_MAX; i++) {
        buf_printf(&many, "%s,", path_a);
    }
    assert_err(tape_files_open(buf_str(&many), &f, &error), ERR_LIMIT);
    assert_buf(&error, "more than 64 files");
    assert_null(f);
    buf_fini(&error);
    buf_fini(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_follow_each_other_each_in_its_own_form),
        cmocka_unit_test(compressed_files_are_read_as_far_as_they_are_whole),
        cmocka_unit_test(an_empty_file_has_no_items),
        cmocka_unit_test(what_cannot_be_opened_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
