/* Messages, subscriptions, rate limits, polls and cursors of one shard.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/hub/rig.h"

static const struct fanout_opts plain_opts = {0};

TEST(everyone_gets_what_was_published_in_order_and_once)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c[2];
    for (int i = 0; i < 2; i++) {
        client_init(rig, &c[i], i == 0);
        client_join(&c[i], FORM_WS, "news", 0);
    }
    rig_publish(rig, news, 0, 0);
    rig_publish(rig, news, 0, 0);
    rig_settle(rig, c, 2);
    assert_texts(&c[0], "news 1 |news 2 |");
    assert_texts(&c[1], "news 1 |news 2 |");
    client_fini(&c[0]);
    client_fini(&c[1]);
    rig_free(rig);
}

TEST(a_change_of_subscriptions_while_bytes_are_due_loses_and_doubles_nothing)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct channel_info *b = rig_channel(rig, "b", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, true);
    client_join(&c, FORM_WS, "a", 0);
    rig_publish(rig, a, 0, 0);
    client_join(&c, FORM_WS, "b", 0);
    rig_publish(rig, a, 0, 0);
    rig_publish(rig, b, 0, 0);
    assert_ok(fanout_unsubscribe(rig->fanout, &c.member, STR("a")));
    rig_publish(rig, a, 0, 0);
    rig_publish(rig, b, 0, 0);
    rig_settle(rig, &c, 1);
    assert_texts(&c, "a 1 |a 2 |b 3 |b 5 |");
    assert_err(fanout_unsubscribe(rig->fanout, &c.member, STR("a")), ERR_NOT_FOUND);
    client_fini(&c);
    rig_free(rig);
}

TEST(a_change_of_subscriptions_with_a_full_socket_keeps_the_order)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct channel_info *b = rig_channel(rig, "b", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    c.room = 3; /* the rest of the first message waits */
    rig_publish(rig, a, 0, 0);
    client_join(&c, FORM_WS, "b", 0);
    assert_int_equal(c.member.state, MEMBER_STALLED);
    rig_publish(rig, b, 0, 0);
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    client_open(&c);
    loop_turn(rig->loop, 0);
    assert_int_equal(c.member.state, MEMBER_LIVE);
    assert_texts(&c, "a 1 |b 2 |a 3 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(a_refused_subscription_leaves_no_channel_behind)
{
    struct rig *rig = rig_new(IO_EPOLL, (struct fanout_opts){.max_subs = 1});
    struct fanout_stats stats;
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    assert_err(fanout_subscribe(rig->fanout, &c.member, FORM_WS,
                                &(struct fanout_sub){.channel = STR("b")}),
               ERR_LIMIT);
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.channels, 1);
    assert_err(fanout_subscribe(rig->fanout, &c.member, FORM_WS,
                                &(struct fanout_sub){.channel = STR("b"), .unlimited = true}),
               OK);
    client_fini(&c);
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.channels, 0);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(stats.members, 0);
    rig_free(rig);
}

TEST(a_member_may_leave_inside_every_write)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct fanout_stats stats;
    struct client c;
    /* in the flush */
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    c.leaves_on_write = true;
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    assert_int_equal(c.member.state, MEMBER_NONE);
    client_fini(&c);
    /* while its subscriptions change */
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    rig_publish(rig, a, 0, 0);
    c.leaves_on_write = true;
    assert_err(fanout_subscribe(rig->fanout, &c.member, FORM_WS,
                                &(struct fanout_sub){.channel = STR("b")}),
               ERR_CLOSED);
    client_fini(&c);
    /* while it drains */
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    c.room = 0;
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    rig_publish(rig, a, 0, 0);
    c.leaves_on_write = true;
    client_open(&c);
    assert_int_equal(c.member.state, MEMBER_NONE);
    client_fini(&c);
    /* when the log is full */
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    c.leaves_on_write = true;
    for (int i = 0; i < 12; i++) {
        rig_publish(rig, a, 0, 200000);
    }
    assert_int_equal(c.member.state, MEMBER_NONE);
    client_fini(&c);
    /* when messages were lost */
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "a", 0);
    c.leaves_on_write = true;
    fanout_lost(rig->fanout, rig->seq += 5);
    assert_int_equal(c.member.state, MEMBER_NONE);
    client_fini(&c);
    fanout_stats(rig->fanout, &stats);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(stats.members, 0);
    assert_int_equal(stats.stalled, 0);
    rig_free(rig);
}

TEST(any_number_may_leave_inside_one_flush)
{
    enum { MANY = 600 };
    struct rig *rig = rig_new(IO_EPOLL, (struct fanout_opts){.slice = 1000});
    struct channel_info *a = rig_channel(rig, "a", CHANNEL_EVENT);
    struct client *c = mem_array(MANY, sizeof(*c));
    for (int i = 0; i < MANY; i++) {
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_WS, "a", 0);
        c[i].leaves_on_write = i % 10 != 0;
    }
    rig_publish(rig, a, 0, 0);
    loop_turn(rig->loop, 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(c[i].member.state, i % 10 ? MEMBER_NONE : MEMBER_LIVE);
        assert_texts(&c[i], "a 1 |");
        client_fini(&c[i]);
    }
    mem_free(c);
    rig_free(rig);
}

/* ---- rate limits ---- */

TEST(a_rate_limit_gives_the_newest_and_at_most_one_an_interval)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct client c;
    struct buf texts = {0};
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "price", 100);
    uint64_t last_ms = 0;
    int given = 0;
    for (int i = 0; i < 200; i++) {
        rig_turn(rig, 10);
        rig_publish(rig, price, 0, 0);
        loop_turn(rig->loop, 0);
        client_texts(&c, &texts);
        if (texts.len) {
            assert_int_equal(str_find(buf_str(&texts), '|', 0), texts.len - 1);
            assert_true(!given++ || loop_now_ms(rig->loop) - last_ms >= 100);
            last_ms = loop_now_ms(rig->loop);
        }
    }
    assert_in_range(given, 18, 21);
    rig_publish(rig, price, 0, 0);
    rig_turn(rig, 100);
    rig_turn(rig, 100);
    client_texts(&c, &texts);
    assert_contains(buf_str(&texts), "price 201 |");
    buf_fini(&texts);
    client_fini(&c);
    rig_free(rig);
}

TEST(a_message_that_was_held_is_not_given_twice_to_one_who_drained)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "price", 100);
    c.room = 4;
    rig_publish(rig, price, 0, 0);
    rig_turn(rig, 1);
    assert_int_equal(c.member.state, MEMBER_STALLED);
    rig_publish(rig, price, 0, 0);
    client_open(&c);
    rig_turn(rig, 1);
    rig_turn(rig, 200);
    rig_turn(rig, 200);
    assert_texts(&c, "price 1 |price 2 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(who_joins_under_way_stands_aside_once_and_then_gets_the_newest_of_each_key)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *market = rig_channel(rig, "market", CHANNEL_STATE);
    struct client first, late, leaver;
    client_init(rig, &first, false);
    client_init(rig, &late, false);
    client_init(rig, &leaver, false);
    client_join(&first, FORM_WS, "market", 100);
    rig_publish(rig, market, 1, 0); /* at once: there was nothing to be given first */
    rig_turn(rig, 50);
    client_join(&late, FORM_WS, "market", 100);
    client_join(&leaver, FORM_WS, "market", 100);
    leaver.leaves_on_write = true;
    rig_publish(rig, market, 1, 0);
    rig_publish(rig, market, 2, 0);
    rig_turn(rig, 50);
    assert_texts(&first, "market 1 |market 2 |market 3 |");
    assert_texts(&late, "");
    rig_publish(rig, market, 1, 0);
    rig_turn(rig, 99);
    assert_texts(&late, "");
    rig_turn(rig, 1);
    assert_texts(&first, "market 4 |");
    assert_texts(&late, "market 3 |market 4 |");
    assert_texts(&leaver, "market 3 |market 4 |");
    assert_int_equal(leaver.member.state, MEMBER_NONE);
    rig_publish(rig, market, 2, 0);
    rig_turn(rig, 100);
    assert_texts(&first, "market 5 |");
    assert_texts(&late, "market 5 |");
    client_fini(&leaver);
    client_fini(&late);
    client_fini(&first);
    rig_free(rig);
}

TEST(a_change_of_subscriptions_gives_what_a_rate_limit_held_back)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "price", 100);
    rig_publish(rig, price, 0, 0);
    rig_turn(rig, 1);
    rig_publish(rig, price, 0, 0);
    client_join(&c, FORM_WS, "news", 0);
    rig_turn(rig, 500);
    assert_texts(&c, "price 1 |price 2 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(held_messages_of_many_keys_come_in_the_order_of_publishing)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *market = rig_channel(rig, "market", CHANNEL_STATE);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_WS, "market", 100);
    rig_publish(rig, market, 1, 0);
    rig_publish(rig, market, 1, 0);
    rig_publish(rig, market, 2, 0);
    rig_publish(rig, market, 1, 0);
    rig_turn(rig, 1);
    rig_turn(rig, 200);
    assert_texts(&c, "market 1 |market 3 |market 4 |");
    client_fini(&c);
    rig_free(rig);
}

TEST(an_event_that_was_held_back_has_no_id_lower_than_one_before)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct client c;
    client_init(rig, &c, false);
    client_join(&c, FORM_SSE, "news", 100);
    client_join(&c, FORM_SSE, "price", 100);
    rig_publish(rig, price, 0, 0);
    rig_publish(rig, price, 0, 0);
    rig_publish(rig, news, 0, 0);
    rig_turn(rig, 1);
    rig_turn(rig, 200);
    assert_contains(buf_str(&c.got), "id: e1-3\ndata: news 3 ");
    assert_contains(buf_str(&c.got), "event: price\ndata: price 2 ");
    client_fini(&c);
    rig_free(rig);
}

/* Clients may name channels that nobody has published to; with these they can't keep out the ones
 * that somebody does. */
TEST(names_that_clients_made_up_leave_room_for_real_channels)
{
    enum { MANY = 16001 };
    static char names[MANY][16];
    static struct fanout_sub subs[MANY];
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct client c[2];
    client_init(rig, &c[0], false);
    client_init(rig, &c[1], false);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "app:%zu", i);
        subs[i] = (struct fanout_sub){.channel = str_of(names[i]), .unlimited = true};
    }
    assert_err(fanout_join(rig->fanout, &c[0].member, FORM_WS, subs, MANY), ERR_LIMIT);
    assert_ok(fanout_join(rig->fanout, &c[0].member, FORM_WS, subs, MANY - 1));
    assert_err(fanout_join(rig->fanout, &c[1].member, FORM_WS, &subs[MANY - 1], 1), ERR_LIMIT);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    rig_say(rig, price, 0, "1");
    client_join(&c[1], FORM_POLL, "price", 0);
    rig_say(rig, price, 0, "2");
    loop_turn(rig->loop, 0);
    assert_contains(buf_str(&c[1].poll), "[2]");
    fanout_leave(rig->fanout, &c[0].member);
    assert_ok(
        fanout_join(rig->fanout, &c[0].member, FORM_WS, subs, MANY - 1)); /* counted rightly */
    client_fini(&c[0]);
    client_fini(&c[1]);
    rig_free(rig);
}

/* ---- polls ---- */

TEST(a_poll_is_answered_once_for_all_with_all_of_the_turn)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        client_init(rig, &c[i], false);
        client_join(&c[i], FORM_POLL, "price", 1000); /* a limit would keep the newest back */
    }
    rig_say(rig, price, 0, "1");
    rig_say(rig, price, 0, "2");
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->polled, 1);
    for (int i = 0; i < 3; i++) {
        assert_buf(&c[i].poll, "{\"cursor\":\"e1-2\",\"reset\":false,\"messages\":[1,2]}");
        client_fini(&c[i]);
    }
    rig_free(rig);
}

TEST(polls_learn_of_a_new_epoch_and_of_losses_by_a_reset)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct client c[2];
    client_init(rig, &c[0], false);
    client_join(&c[0], FORM_POLL, "price", 0);
    fanout_set_epoch(rig->fanout, STR("e2"), 0);
    assert_buf(&c[0].poll, "{\"cursor\":\"e2-0\",\"reset\":true,\"messages\":[]}");
    client_init(rig, &c[1], false);
    client_join(&c[1], FORM_POLL, "price", 0);
    fanout_lost(rig->fanout, 9);
    assert_buf(&c[1].poll, "{\"cursor\":\"e2-9\",\"reset\":true,\"messages\":[]}");
    client_fini(&c[0]);
    client_fini(&c[1]);
    rig_free(rig);
}

/* ---- cursors ---- */

static void collect(struct rig *rig, const char *channel, const char *since, struct buf *out,
                    struct fanout_resume *resume)
{
    struct fanout_sub sub = {.channel = str_of(channel)};
    struct str cursor = str_of(since);
    buf_clear(out);
    (void)fanout_collect(rig->fanout, &sub, 1, since ? &cursor : NULL, false, FORM_POLL, out,
                         resume);
}

TEST(a_cursor_recovers_exactly_what_was_missed)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct channel_info *price = rig_channel(rig, "price", CHANNEL_STATE);
    struct fanout_resume resume;
    struct buf out = {0};
    for (int i = 0; i < 3; i++) {
        rig_say(rig, news, 0, i == 0 ? "\"n1\"" : i == 1 ? "\"n3\"" : "\"n5\"");
        rig_say(rig, price, 0, "\"p\"");
    }
    collect(rig, "news", "e1-1", &out, &resume);
    assert_true(resume.recovered && !resume.reset);
    assert_buf(&out, "\"n3\",\"n5\"");
    collect(rig, "news", "e1-6", &out, &resume);
    assert_true(resume.recovered && !resume.reset);
    assert_buf(&out, "");
    collect(rig, "news", NULL, &out, &resume);
    assert_true(!resume.recovered && !resume.reset);
    assert_buf(&out, "");
    collect(rig, "price", "e1-5", &out, &resume);
    assert_buf(&out, "\"p\"");
    buf_fini(&out);
    rig_free(rig);
}

TEST(more_than_a_client_should_get_at_once_is_cut_and_says_where)
{
    static char big[100002];
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct fanout_resume resume;
    struct buf out = {0};
    char since[32] = "e1-1";
    size_t got = 0;
    int turns = 0;
    memset(big, 'x', sizeof(big) - 1);
    big[0] = big[sizeof(big) - 2] = '"';
    news->history_bytes = 64 << 20;
    for (int i = 0; i < 30; i++) {
        rig_say(rig, news, 0, i ? big : "\"first\"");
    }
    do {
        collect(rig, "news", since, &out, &resume);
        assert_true(resume.recovered && !resume.reset);
        assert_true(out.len <= FANOUT_COLLECT_BYTES + sizeof(big));
        got += (out.len + 1) / sizeof(big);
        snprintf(since, sizeof(since), "e1-%llu", (unsigned long long)resume.cut_seq);
        turns++;
    } while (resume.cut_seq && turns < 10);
    assert_int_equal(got, 29);
    assert_int_equal(turns, 3);
    buf_fini(&out);
    rig_free(rig);
}

TEST(an_unknown_cursor_is_a_reset)
{
    static const char *const bad[] = {"",      "e1",  "e1-",   "e1-x",  "e1-99",
                                      "e2-1",  "-1",  "e1--1", "e1-1 ", "e1-18446744073709551616",
                                      "e11-1", "E1-1"};
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct fanout_resume resume;
    struct buf out = {0};
    rig_say(rig, news, 0, "1");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_case(bad[i]);
        collect(rig, "news", bad[i], &out, &resume);
        assert_true(!resume.recovered && resume.reset);
        assert_buf(&out, "1");
    }
    test_case(NULL);
    buf_fini(&out);
    rig_free(rig);
}

TEST(a_cursor_older_than_the_history_is_a_reset)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct fanout_resume resume;
    struct buf out = {0};
    news->history_count = 2;
    for (int i = 0; i < 4; i++) {
        rig_say(rig, news, 0, "0");
    }
    collect(rig, "news", "e1-1", &out, &resume);
    assert_true(!resume.recovered && resume.reset);
    assert_buf(&out, "0,0");
    collect(rig, "news", "e1-2", &out, &resume);
    assert_true(resume.recovered && !resume.reset);
    rig_turn(rig, 60001); /* too old now */
    collect(rig, "news", "e1-2", &out, &resume);
    assert_true(!resume.recovered && resume.reset);
    assert_buf(&out, "");
    buf_fini(&out);
    rig_free(rig);
}

TEST(after_a_loss_no_older_cursor_recovers_on_any_channel)
{
    struct rig *rig = rig_new(IO_EPOLL, plain_opts);
    struct channel_info *news = rig_channel(rig, "news", CHANNEL_EVENT);
    struct fanout_resume resume;
    struct buf out = {0};
    rig_say(rig, news, 0, "1");
    fanout_lost(rig->fanout, rig->seq = 10);
    collect(rig, "news", "e1-1", &out, &resume);
    assert_true(resume.reset);
    collect(rig, "unheard", "e1-1", &out, &resume);
    assert_true(resume.reset);
    collect(rig, "unheard", "e1-10", &out, &resume);
    assert_true(resume.recovered);
    rig_say(rig, rig_channel(rig, "late", CHANNEL_EVENT), 0, "2");
    collect(rig, "late", "e1-9", &out, &resume);
    assert_true(resume.reset);
    buf_fini(&out);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_gets_what_was_published_in_order_and_once),
        cmocka_unit_test(a_change_of_subscriptions_while_bytes_are_due_loses_and_doubles_nothing),
        cmocka_unit_test(a_change_of_subscriptions_with_a_full_socket_keeps_the_order),
        cmocka_unit_test(a_refused_subscription_leaves_no_channel_behind),
        cmocka_unit_test(a_member_may_leave_inside_every_write),
        cmocka_unit_test(any_number_may_leave_inside_one_flush),
        cmocka_unit_test(a_rate_limit_gives_the_newest_and_at_most_one_an_interval),
        cmocka_unit_test(a_message_that_was_held_is_not_given_twice_to_one_who_drained),
        cmocka_unit_test(
            who_joins_under_way_stands_aside_once_and_then_gets_the_newest_of_each_key),
        cmocka_unit_test(a_change_of_subscriptions_gives_what_a_rate_limit_held_back),
        cmocka_unit_test(held_messages_of_many_keys_come_in_the_order_of_publishing),
        cmocka_unit_test(an_event_that_was_held_back_has_no_id_lower_than_one_before),
        cmocka_unit_test(a_poll_is_answered_once_for_all_with_all_of_the_turn),
        cmocka_unit_test(polls_learn_of_a_new_epoch_and_of_losses_by_a_reset),
        cmocka_unit_test(a_cursor_recovers_exactly_what_was_missed),
        cmocka_unit_test(names_that_clients_made_up_leave_room_for_real_channels),
        cmocka_unit_test(more_than_a_client_should_get_at_once_is_cut_and_says_where),
        cmocka_unit_test(an_unknown_cursor_is_a_reset),
        cmocka_unit_test(a_cursor_older_than_the_history_is_a_reset),
        cmocka_unit_test(after_a_loss_no_older_cursor_recovers_on_any_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
