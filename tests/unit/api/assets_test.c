/* The table that scripts/embed-assets made of web/light, against the files themselves.
 * SPDX-License-Identifier: MIT */
#include "api/assets.h"

#include "tests/lib/test.h"

static const struct asset *find(const char *path)
{
    for (unsigned i = 0; i < assets_count; i++) {
        if (strcmp(assets[i].path, path) == 0) {
            return &assets[i];
        }
    }
    return NULL;
}

TEST(the_listed_files_are_there_byte_for_byte)
{
    struct buf paths = {0};
    struct buf content = {0};
    struct str line;
    unsigned count = 0;
    assert_true(test_read_file("web/light/PATHS", &paths));
    struct str rest = buf_str(&paths);
    while (str_next(&rest, '\n', &line)) {
        struct str file, url;
        if (!line.len || line.ptr[0] == '#') {
            continue;
        }
        assert_true(str_next(&line, ' ', &file) && str_next(&line, ' ', &url));
        char *path = strndup(url.ptr, url.len);
        const struct asset *a = find(path);
        test_case(path);
        assert_non_null(a);
        buf_clear(&content);
        buf_printf(&content, "web/light/%.*s", STR_ARG(file));
        char *name = strdup(buf_text(&content));
        assert_true(test_read_file(name, &content));
        assert_int_equal(a->plain_len, content.len);
        assert_memory_equal(a->plain, content.ptr, content.len);
        assert_str(str_trim(line), a->type);
        free(name);
        free(path);
        test_case(NULL);
        count++;
    }
    assert_int_equal(count, assets_count);
    buf_fini(&paths);
    buf_fini(&content);
}

TEST(tags_are_quoted_and_their_own)
{
    for (unsigned i = 0; i < assets_count; i++) {
        assert_int_equal(strlen(assets[i].etag), 22);
        assert_true(assets[i].etag[0] == '"' && assets[i].etag[21] == '"');
        for (unsigned k = 0; k < i; k++) {
            bool same = assets[i].plain_len == assets[k].plain_len &&
                        memcmp(assets[i].plain, assets[k].plain, assets[i].plain_len) == 0;
            assert_int_equal(strcmp(assets[i].etag, assets[k].etag) == 0, same);
        }
    }
}

TEST(gzip_is_gzip_and_smaller)
{
    for (unsigned i = 0; i < assets_count; i++) {
        const struct asset *a = &assets[i];
        if (!a->gzip) {
            assert_int_equal(a->gzip_len, 0);
            continue;
        }
        assert_true(a->gzip_len > 18 && a->gzip_len < a->plain_len);
        assert_memory_equal(a->gzip, "\x1f\x8b\x08", 3);
        /* the trailer's last four bytes: the plain length, little-endian (RFC 1952) */
        const unsigned char *end = a->gzip + a->gzip_len - 4;
        uint32_t length = (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 |
                          (uint32_t)end[3] << 24;
        assert_int_equal(length, a->plain_len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_listed_files_are_there_byte_for_byte),
        cmocka_unit_test(tags_are_quoted_and_their_own),
        cmocka_unit_test(gzip_is_gzip_and_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
