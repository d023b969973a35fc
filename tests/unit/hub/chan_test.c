/* SPDX-License-Identifier: MIT */
#include "hub/chan.h"

#include "tests/lib/test.h"

static struct channel_info news = {
    .class = CHANNEL_EVENT, .history_count = 3, .history_bytes = 100, .history_ms = 1000};
static struct channel_info prices = {.class = CHANNEL_STATE};

static void apply(struct chan *c, struct channel_info *info, uint32_t key, uint64_t seq,
                  uint64_t at_ms, size_t len)
{
    char text[128] = {0};
    struct frame *f = frame_new(info, key, seq, at_ms, str_make(text, len), (struct str){0});
    c->info = info;
    chan_apply(c, f);
    frame_unref(f);
}

/* The seqs above `seq` as digits. */
static void after(const struct chan *c, uint64_t seq, size_t max_bytes, const char *expected)
{
    struct frame_list l = {0};
    struct buf text = {0};
    chan_after(c, seq, max_bytes, &l);
    frame_list_sort(&l);
    for (size_t i = 0; i < l.count; i++) {
        buf_add_u64(&text, l.frames[i]->seq);
    }
    assert_buf(&text, expected);
    buf_fini(&text);
    frame_list_fini(&l);
}

TEST(a_state_channel_keeps_the_newest_of_each_key)
{
    struct chan *c = chan_new(STR("s"), CHANNEL_STATE, 0, 0);
    apply(c, &prices, 7, 1, 0, 1);
    apply(c, &prices, 9, 2, 0, 1);
    apply(c, &prices, 7, 3, 0, 1);
    after(c, 0, SIZE_MAX, "23");
    after(c, 2, SIZE_MAX, "3");
    assert_int_equal(c->count, 3);
    chan_free(c);
}

TEST(a_history_is_bounded_by_count_bytes_and_age)
{
    struct chan *c = chan_new(STR("e"), CHANNEL_EVENT, 0, 0);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        apply(c, &news, 0, seq, 0, 1);
    }
    after(c, 0, SIZE_MAX, "234");
    assert_int_equal(c->trimmed_seq, 1);
    apply(c, &news, 0, 5, 0, 99);
    after(c, 0, SIZE_MAX, "45");
    apply(c, &news, 0, 6, 1001, 1);
    after(c, 0, SIZE_MAX, "6");
    chan_trim(c, 2001);
    after(c, 0, SIZE_MAX, "6");
    chan_trim(c, 2002);
    after(c, 0, SIZE_MAX, "");
    assert_int_equal(c->trimmed_seq, 6);
    chan_free(c);
}

TEST(the_newest_stays_however_large_it_is)
{
    struct chan *c = chan_new(STR("e"), CHANNEL_EVENT, 0, 0);
    apply(c, &news, 0, 1, 0, 120);
    after(c, 0, SIZE_MAX, "1");
    chan_free(c);
}

TEST(a_list_of_events_ends_when_it_is_large_enough)
{
    struct chan *c = chan_new(STR("e"), CHANNEL_EVENT, 0, 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        apply(c, &news, 0, seq, 0, 10);
    }
    after(c, 0, 20, "12");
    after(c, 0, 21, "123");
    after(c, 1, 1, "2");
    after(c, 3, 100, "");
    chan_free(c);
}

TEST(after_a_reset_nothing_older_is_known)
{
    struct chan *c = chan_new(STR("e"), CHANNEL_EVENT, 0, 0);
    apply(c, &news, 0, 1, 0, 10);
    chan_reset(c, 8);
    after(c, 0, SIZE_MAX, "");
    assert_int_equal(c->trimmed_seq, 8);
    assert_int_equal(c->last_seq, 8);
    assert_int_equal(c->bytes, 0);
    chan_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_channel_keeps_the_newest_of_each_key),
        cmocka_unit_test(a_history_is_bounded_by_count_bytes_and_age),
        cmocka_unit_test(the_newest_stays_however_large_it_is),
        cmocka_unit_test(a_list_of_events_ends_when_it_is_large_enough),
        cmocka_unit_test(after_a_reset_nothing_older_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
