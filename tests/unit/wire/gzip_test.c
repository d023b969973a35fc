/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "wire/gzip.h"

/* How gzip -n begins. */
static const char head_of_gzip[] = "\x1f\x8b\x08";

static void read_corpus(const char *name, struct buf *out)
{
    char path[128];
    snprintf(path, sizeof(path), "fuzz/corpus/wire_gzip/%s", name);
    assert_true(test_read_file(path, out));
    assert_true(str_starts(buf_str(out), str_of(head_of_gzip)));
}

/* Feeds pieces of `piece` bytes, asks for `room` at a time. */
static enum err unpack(struct str all, size_t piece, size_t room, struct buf *out)
{
    struct gunzip *g = gunzip_new();
    enum err e = ERR_MORE;
    while (all.len > 0 && e == ERR_MORE) {
        struct str in = str_sub(all, 0, piece);
        all = str_from(all, in.len);
        do {
            size_t before = out->len;
            e = gunzip_some(g, &in, out, room);
            assert_true(out->len - before <= room);
        } while (e == OK);
        assert_true(e != ERR_MORE || in.len == 0);
    }
    e = e == ERR_MORE ? gunzip_end(g) : e;
    gunzip_free(g);
    return e;
}

static void check(struct str all, enum err expected, const char *text)
{
    static const size_t pieces[] = {1, 2, 7, 4096};
    static const size_t rooms[] = {1, 5, 65536};
    for (size_t i = 0; i < ARRAY_LEN(pieces) * ARRAY_LEN(rooms); i++) {
        struct buf out = {0};
        assert_err(unpack(all, pieces[i % ARRAY_LEN(pieces)], rooms[i / ARRAY_LEN(pieces)], &out),
                   expected);
        if (text) {
            assert_buf(&out, text);
        }
        buf_fini(&out);
    }
}

TEST(one_member_comes_out_whatever_the_pieces)
{
    struct buf in = {0};
    read_corpus("one.gz", &in);
    check(buf_str(&in), OK, "hello hello hello\n");
    buf_fini(&in);
}

TEST(members_follow_each_other)
{
    struct buf in = {0};
    read_corpus("two_members.gz", &in);
    check(buf_str(&in), OK, "first\nsecond\n");
    buf_fini(&in);
}

TEST(what_is_not_gzip_passes_through)
{
    check(STR("a line\nof text\n"), OK, "a line\nof text\n");
    check(STR(""), OK, "");
}

TEST(a_cut_or_damaged_file_is_told_after_what_was_good)
{
    struct buf in = {0};
    read_corpus("one.gz", &in);
    for (size_t cut = 1; cut < in.len; cut++) {
        check(str_sub(buf_str(&in), 0, cut), ERR_SYNTAX, NULL);
    }
    in.ptr[in.len - 6] ^= 1; /* the checksum */
    check(buf_str(&in), ERR_SYNTAX, "hello hello hello\n");
    in.len = 0;
    read_corpus("trailing.gz", &in);
    check(buf_str(&in), ERR_SYNTAX, "hello hello hello\n");
    buf_fini(&in);
}

TEST(a_bomb_is_given_out_in_small_parts)
{
    struct buf in = {0};
    struct buf out;
    struct gunzip *g = gunzip_new();
    size_t total = 0;
    read_corpus("zeros.gz", &in);
    struct str rest = buf_str(&in);
    buf_init(&out, 1000);
    for (enum err e = OK; e == OK; total += out.len) {
        buf_clear(&out);
        e = gunzip_some(g, &rest, &out, 1000);
        assert_true(e == OK || e == ERR_MORE);
    }
    assert_int_equal(total, 40000);
    assert_ok(gunzip_end(g));
    gunzip_free(g);
    buf_fini(&in);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_member_comes_out_whatever_the_pieces),
        cmocka_unit_test(members_follow_each_other),
        cmocka_unit_test(what_is_not_gzip_passes_through),
        cmocka_unit_test(a_cut_or_damaged_file_is_told_after_what_was_good),
        cmocka_unit_test(a_bomb_is_given_out_in_small_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
