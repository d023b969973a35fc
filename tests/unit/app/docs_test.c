/* What people read about the settings is what the table of rows says. With WRITE_DOCS=1 in the
 * environment the texts are written instead of compared (scripts/write-docs does that).
 * SPDX-License-Identifier: MIT */
#include "app/options.h"
#include "tests/lib/test.h"

static const char begin_mark[] = "<!-- settings: written by scripts/write-docs -->\n";
static const char end_mark[] = "<!-- end of settings -->\n";

static void read_file(const char *path, struct buf *out)
{
    char piece[4096];
    size_t n = 0;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
        buf_add(out, piece, n);
    }
    fclose(f);
}

static void write_file(const char *path, struct str text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

/* `path` holds exactly `owned_expected`, or is made so. A failed test leaves its function at once:
 * everything is freed before, or the leaks hide what failed. */
static void check_file(const char *path, struct buf *owned_expected)
{
    struct buf found = {0};
    if (getenv("WRITE_DOCS")) {
        write_file(path, buf_str(owned_expected));
    }
    read_file(path, &found);
    bool same = str_eq(buf_str(&found), buf_str(owned_expected));
    buf_fini(&found);
    buf_fini(owned_expected);
    if (!same) {
        fail_msg("%s differs from the table of settings; run scripts/write-docs", path);
    }
}

TEST(env_example_is_what_the_rows_say)
{
    struct buf text = {0};
    conf_write_env(option_rows, option_count, &text);
    check_file(".env.example", &text);
}

TEST(the_table_in_operations_is_what_the_rows_say)
{
    static const char path[] = "docs/OPERATIONS.md";
    struct buf page = {0};
    struct buf expected = {0};
    read_file(path, &page);
    size_t begin = str_find_str(buf_str(&page), str_of(begin_mark));
    size_t end = str_find_str(buf_str(&page), str_of(end_mark));
    assert_true(begin != SIZE_MAX && end != SIZE_MAX && begin < end);
    buf_add(&expected, page.ptr, begin + sizeof(begin_mark) - 1);
    conf_write_markdown(option_rows, option_count, &expected);
    buf_add(&expected, page.ptr + end, page.len - end);
    buf_fini(&page);
    check_file(path, &expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(env_example_is_what_the_rows_say),
        cmocka_unit_test(the_table_in_operations_is_what_the_rows_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
