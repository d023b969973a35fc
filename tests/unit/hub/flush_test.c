/* Stalling, draining and the flush in slices. SPDX-License-Identifier: MIT */
#include "tests/unit/hub/rig.h"

static const struct fanout_opts plain_opts = {0};

TEST(slow_subscriber_keeps_latest_only)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "price", 0);
    c.room = 4;
    for (int i = 0; i < 100; i++) {
        rig_publish(rig, price, 0, 0);
        loop_turn(rig->loop, 0);
    }
    assert_int_equal(c.member.state, MEMBER_STALLED);
    client_open(&c);
    assert_texts(&c,
                 "price 1 |{\"type\":\"conflated\",\"channel\":\"price\",\"n\":98}|price 100 |");
    assert_int_equal(c.member.conflated, 98);
    rig_publish(rig, price, 0, 0);
    loop_turn(rig->loop, 0);
    assert_texts(&c, "price 101 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(each_key_of_a_state_channel_keeps_its_newest)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *market = rig_channel(rig, "market", CHANNEL_STATE);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "market", 0);
    c.room = 0;
    for (int i = 0; i < 3; i++) {
        rig_publish(rig, market, 1, 0);
        loop_turn(rig->loop, 0);
        rig_publish(rig, market, 2, 0);
    }
    client_open(&c);
    /* the first had to wait in the conn; of the other five two are given */
    assert_texts(&c, "market 1 |{\"type\":\"conflated\",\"channel\":\"market\",\"n\":3}|market 5 |"
                     "market 6 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(events_wait_for_a_slow_subscriber_in_order)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct channel_info *b = rig_channel(rig, "b", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    client_join(&c, FORM_WS, "b", 0);
    c.room = 5;
    rig_publish(rig, a, 0, 0);
    rig_publish(rig, b, 0, 0);
    loop_turn(rig->loop, 0);
    rig_publish(rig, a, 0, 0);
    rig_publish(rig, b, 0, 0);
    loop_turn(rig->loop, 0);
    client_open(&c);
    assert_texts(&c, "a 1 |b 2 |a 3 |b 4 |");
    assert_int_equal(c.member.gaps, 0);
    client_fini(&c);
    rig_free(rig);
}

TEST(what_the_history_lost_is_told_as_a_gap)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c;
    news->history_count = 2;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "news", 0);
    c.room = 4;
    for (int i = 0; i < 6; i++) {
        rig_publish(rig, news, 0, 0);
        loop_turn(rig->loop, 0);
    }
    client_open(&c);
    assert_texts(&c, "news 1 |{\"type\":\"gap\",\"channel\":\"news\",\"from\":\"e1-1\","
                     "\"to\":\"e1-4\"}|news 5 |news 6 |");
    assert_int_equal(c.member.gaps, 1);
    client_fini(&c);
    rig_free(rig);
}

TEST(everyone_learns_of_messages_that_were_lost_on_the_way)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c[2];
    for (int i = 0; i < 2; i++) {
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_WS, "news", 0);
    }
    rig_publish(rig, news, 0, 0);
    c[1].room = 4;
    loop_turn(rig->loop, 0);
    fanout_lost(rig->fanout, rig->seq = 7);
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0);
    client_open(&c[1]);
    for (int i = 0; i < 2; i++) {
        assert_texts(&c[i], "news 1 |{\"type\":\"gap\",\"channel\":\"news\",\"from\":\"e1-1\","
                            "\"to\":\"e1-7\"}|news 8 |");
        c[i].room = 3; /* and never again */
    }
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0);
    rig_publish(rig, news, 0, 0);
    for (int i = 0; i < 2; i++) {
        client_open(&c[i]);
        assert_texts(&c[i], "news 9 |news 10 |");
    }
    client_fini(&c[0]);
    client_fini(&c[1]);
    rig_free(rig);
}

TEST(a_new_epoch_is_no_gap_for_who_had_all_and_one_for_who_had_not)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c[2];
    for (int i = 0; i < 2; i++) {
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_WS, "news", 0);
    }
    rig_publish(rig, news, 0, 0);
    c[1].room = 4;
    loop_turn(rig->loop, 0);
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0);
    fanout_set_epoch(rig->fanout, STR("e2"), rig->seq);
    c[0].room = 0; /* stalls in the new epoch */
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0);
    client_open(&c[0]);
    client_open(&c[1]);
    assert_texts(&c[0], "news 1 |news 2 |news 3 |");
    assert_texts(&c[1], "news 1 |{\"type\":\"gap\",\"channel\":\"news\",\"from\":\"e2-1\","
                        "\"to\":\"e2-2\"}|news 3 |");
    client_fini(&c[0]);
    client_fini(&c[1]);
    rig_free(rig);
}

TEST(a_stalled_client_owns_at_most_64_kib)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "news", 0);
    c.room = 10;
    for (int i = 0; i < 200; i++) {
        rig_publish(rig, news, 0, 4000);
        loop_turn(rig->loop, 0);
    }
    size_t at = 0;
    struct str text;
    for (int i = 0; i < 1000 && c.member.state == MEMBER_STALLED; i++) {
        c.room = 1000;
        rig_take(&c);
        fanout_drained(rig->fanout, &c.member);
    }
    assert_int_equal(c.member.state, MEMBER_LIVE);
    assert_true(c.most <= 64 << 10);
    for (int i = 1; i <= 200; i++) {
        char start[32];
        assert_true(client_next(&c, &at, &text));
        snprintf(start, sizeof(start), "news %d ", i);
        assert_true(str_starts(text, str_of(start)));
    }
    assert_false(client_next(&c, &at, &text));
    client_fini(&c);
    rig_free(rig);
}

TEST(a_client_behind_work_is_given_no_more_than_a_helping_at_once)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "news", 0);
    c.room = 4000;
    for (int i = 0; i < 100; i++) {
        rig_publish(rig, news, 0, 4000);
    }
    loop_turn(rig->loop, 0);
    assert_true(c.most <= 64 << 10);
    client_open(&c);
    size_t at = 0;
    struct str text;
    int count = 0;
    while (client_next(&c, &at, &text)) {
        count++;
    }
    assert_int_equal(count, 100);
    client_fini(&c);
    rig_free(rig);
}

TEST(who_stalls_on_a_full_log_misses_nothing)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct channel_info *b = rig_channel(rig, "b", CHANNEL_EVENT);
    struct channel_info *s = rig_channel(rig, "s", CHANNEL_STATE);
    struct client c;
    a->history_bytes = 16 << 20;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    client_join(&c, FORM_WS, "b", 0);
    client_join(&c, FORM_WS, "s", 0);
    c.room = 4;
    for (int i = 0; i < 6; i++) {
        rig_publish(rig, a, 0, 200000);
    }
    rig_publish(rig, b, 0, 0); /* the one that finds the log full */
    rig_publish(rig, s, 0, 0);
    client_open(&c);
    loop_turn(rig->loop, 0);
    assert_texts(&c, "a 1|a 2|a 3|a 4|a 5|a 6|b 7 |s 8 |");
    client_fini(&c);
    rig_free(rig);
}

/* Else it waited for ever: a conn that sends an answer without having to wait says nothing. */
TEST(who_stalls_behind_an_answer_that_nobody_tried_to_send_goes_on)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct client c;
    a->history_bytes = 16 << 20;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    client_answer(&c, "pong");
    for (int i = 0; i < 7; i++) { /* the last finds the log full */
        rig_publish(rig, a, 0, 200000);
    }
    client_open(&c);
    loop_turn(rig->loop, 0);
    assert_texts(&c, "pong|a 1|a 2|a 3|a 4|a 5|a 6|a 7|");

    client_answer(&c, "pong");
    fanout_lost(rig->fanout, rig->seq += 2);
    client_open(&c);
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    assert_texts(&c, "pong|{\"type\":\"gap\",\"channel\":\"a\",\"from\":\"e1-7\",\"to\":\"e1-9\"}|"
                     "a 10 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(who_joins_behind_a_full_socket_is_not_sent_past_what_waits)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    c.room = 3;
    client_answer(&c, "pong");
    client_send(&c);
    client_join(&c, FORM_WS, "a", 0);
    c.room = SIZE_MAX; /* the client read; its conn was not told yet */
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    assert_int_equal(c.got.len, 3);
    client_open(&c);
    assert_texts(&c, "pong|a 1 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(what_is_published_between_slices_goes_out_with_the_rest)
{
    struct rig *rig = rig_new(IO_EPOLL, (struct fanout_opts){.slice = 1});
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct fanout_stats stats;
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_init(rig, &c[i], i == 1);
        client_join(&c[i], FORM_WS, "news", 0);
    }
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0); /* the first has it */
    rig_publish(rig, news, 0, 0);
    rig_settle(rig, c, 3);
    for (int i = 0; i < 3; i++) {
        assert_texts(&c[i], "news 1 |news 2 |");
    }
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.sends, 4); /* two for the first, one for each other */
    assert_int_equal(stats.log_bytes, 0);
    for (int i = 0; i < 3; i++) {
        client_fini(&c[i]);
    }
    rig_free(rig);
}

TEST(a_group_that_always_has_more_does_not_keep_the_others_waiting)
{
    struct rig *rig = rig_new(IO_EPOLL, (struct fanout_opts){.slice = 1});
    struct channel_info *busy = rig_channel(rig, "busy", CHANNEL_EVENT);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_WS, i < 2 ? "busy" : "news", 0);
    }
    rig_publish(rig, busy, 0, 0);
    rig_publish(rig, news, 0, 0);
    for (int i = 0; i < 10; i++) {
        loop_turn(rig->loop, 0);
        rig_publish(rig, busy, 0, 0);
    }
    assert_texts(&c[2], "news 2 |");
    for (int i = 0; i < 3; i++) {
        client_fini(&c[i]);
    }
    rig_free(rig);
}

TEST(a_broken_client_is_told_to_its_owner_and_harms_nobody)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_init(rig, &c[i], true);
        client_join(&c[i], FORM_WS, "news", 0);
    }
    close(c[1].fd);
    c[1].fd = dup(c[0].fd);
    rig_publish(rig, news, 0, 0);
    rig_publish(rig, news, 0, 0);
    loop_turn(rig->loop, 0);
    assert_true(c[1].broken);
    client_read(&c[0]);
    client_read(&c[2]);
    assert_texts(&c[0], "news 1 |news 2 |");
    assert_texts(&c[2], "news 1 |news 2 |");
    for (int i = 0; i < 3; i++) {
        client_fini(&c[i]);
    }
    rig_free(rig);
}

TEST(ten_thousand_groups_of_one_and_their_end_at_once)
{
    enum { COUNT = 10000 };
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client *c = mem_array(COUNT, sizeof(*c));
    struct fanout_stats stats;
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof(name), "own:%d", i);
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_WS, "news", 0);
        client_join(&c[i], FORM_WS, name, 0);
    }
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.groups, COUNT);
    assert_int_equal(stats.channels, COUNT + 1);
    rig_publish(rig, news, 0, 0);
    for (int i = 0; i < COUNT / 256 + 1; i++) {
        loop_turn(rig->loop, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_texts(&c[i], "news 1 |");
        client_fini(&c[i]);
    }
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(stats.channels, 1);
    assert_int_equal(stats.log_bytes, 0);
    mem_free(c);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_subscriber_keeps_latest_only),
        cmocka_unit_test(each_key_of_a_state_channel_keeps_its_newest),
        cmocka_unit_test(events_wait_for_a_slow_subscriber_in_order),
        cmocka_unit_test(what_the_history_lost_is_told_as_a_gap),
        cmocka_unit_test(everyone_learns_of_messages_that_were_lost_on_the_way),
        cmocka_unit_test(a_new_epoch_is_no_gap_for_who_had_all_and_one_for_who_had_not),
        cmocka_unit_test(a_stalled_client_owns_at_most_64_kib),
        cmocka_unit_test(a_client_behind_work_is_given_no_more_than_a_helping_at_once),
        cmocka_unit_test(who_stalls_on_a_full_log_misses_nothing),
        cmocka_unit_test(who_stalls_behind_an_answer_that_nobody_tried_to_send_goes_on),
        cmocka_unit_test(who_joins_behind_a_full_socket_is_not_sent_past_what_waits),
        cmocka_unit_test(what_is_published_between_slices_goes_out_with_the_rest),
        cmocka_unit_test(a_group_that_always_has_more_does_not_keep_the_others_waiting),
        cmocka_unit_test(a_broken_client_is_told_to_its_owner_and_harms_nobody),
        cmocka_unit_test(ten_thousand_groups_of_one_and_their_end_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
