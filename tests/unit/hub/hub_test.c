/* The main thread's side: one count, several shards, full mailboxes, epochs. One thread turns all
 * loops by hand. SPDX-License-Identifier: MIT */
#include "hub/hub.h"

#include "tests/unit/hub/rig.h"

struct world {
    struct rig *shards[2];
    struct mailbox *mail[2];
    struct clock clock;
    struct loop *loop;
    struct hub *hub;
    struct client clients[2];
};

static struct world *world_new(size_t letters)
{
    struct world *w = mem_zero(sizeof(*w));
    clock_init_virtual(&w->clock, 5000, 1700000000000);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    loop_turn(w->loop, 0);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    for (int i = 0; i < 2; i++) {
        w->shards[i] = rig_new(IO_EPOLL, (struct fanout_opts){0});
        w->mail[i] = mailbox_new(w->shards[i]->loop, letters);
        hub_add_shard(w->hub, w->shards[i]->fanout, w->mail[i]);
        client_init(w->shards[i], &w->clients[i], false);
        client_join(&w->clients[i], FORM_WS, "news", 0);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        client_fini(&w->clients[i]);
        mailbox_free(w->mail[i]);
        rig_free(w->shards[i]);
    }
    hub_free(w->hub);
    loop_free(w->loop);
    mem_free(w);
}

static void main_turn(struct world *w)
{
    clock_advance_us(&w->clock, 2000);
    loop_turn(w->loop, 0);
}

static void shard_turns(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        rig_turn(w->shards[i], 1);
    }
}

static const struct channel_info *news_of(struct world *w)
{
    const struct channel_info *news = NULL;
    assert_ok(hub_channel(w->hub, STR("news"), STR("message"), CHANNEL_EVENT, &news));
    return news;
}

TEST(all_shards_get_the_same_messages_in_one_letter_a_turn)
{
    struct world *w = world_new(16);
    const struct channel_info *news = news_of(w);
    char cursor[CURSOR_LEN + 1];
    char shard_cursor[CURSOR_LEN + 1];
    hub_publish(w->hub, news, 0, STR("1"));
    hub_publish(w->hub, news, 0, STR("2"));
    main_turn(w);
    assert_int_equal(mailbox_depth(w->mail[0]), 1);
    shard_turns(w);
    hub_cursor(w->hub, hub_next_seq(w->hub) - 1, cursor);
    for (int i = 0; i < 2; i++) {
        assert_texts(&w->clients[i], "1|2|");
        fanout_cursor_text(w->shards[i]->fanout, shard_cursor);
        assert_string_equal(shard_cursor, cursor);
    }
    world_free(w);
}

TEST(a_full_mailbox_only_delays)
{
    struct world *w = world_new(1);
    const struct channel_info *news = news_of(w);
    hub_publish(w->hub, news, 0, STR("1"));
    main_turn(w);
    hub_publish(w->hub, news, 0, STR("2"));
    main_turn(w);
    hub_publish(w->hub, news, 0, STR("3"));
    main_turn(w);
    shard_turns(w);
    assert_texts(&w->clients[0], "1|");
    main_turn(w);
    shard_turns(w);
    assert_texts(&w->clients[0], "2|3|");
    assert_texts(&w->clients[1], "1|2|3|");
    assert_int_equal(hub_dropped(w->hub), 0);
    world_free(w);
}

TEST(a_shard_that_does_not_keep_up_is_told_what_it_lost)
{
    struct world *w = world_new(1);
    const struct channel_info *news = news_of(w);
    char expected[256];
    char from[CURSOR_LEN + 1];
    char to[CURSOR_LEN + 1];
    hub_publish(w->hub, news, 0, STR("1"));
    main_turn(w);
    shard_turns(w);
    hub_publish(w->hub, news, 0, STR("2"));
    hub_flush(w->hub); /* the one letter that has room */
    for (int i = 0; i < 3 * 65536; i++) {
        hub_publish(w->hub, news, 0, STR("lost"));
    }
    assert_int_equal(hub_dropped(w->hub), 2 * 2 * 65536); /* of two shards, each once */
    hub_cursor(w->hub, 2, from);
    hub_cursor(w->hub, 2 + 3 * 65536, to);
    hub_new_epoch(w->hub); /* the third lot belongs to the old epoch */
    hub_publish(w->hub, news, 0, STR("last"));
    for (int i = 0; i < 10; i++) {
        shard_turns(w);
        main_turn(w);
    }
    snprintf(expected, sizeof(expected),
             "1|2|{\"type\":\"gap\",\"channel\":\"news\",\"from\":\"%s\",\"to\":\"%s\"}|", from,
             to);
    struct buf texts = {0};
    client_texts(&w->clients[1], &texts);
    assert_true(str_starts(buf_str(&texts), str_of(expected)));
    assert_true(str_ends(buf_str(&texts), STR("|last|")));
    assert_int_equal(w->clients[1].member.gaps, 1);
    assert_int_equal(hub_dropped(w->hub), 3 * 2 * 65536);
    buf_fini(&texts);
    world_free(w);
}

TEST(a_new_epoch_comes_between_the_messages_of_the_two)
{
    struct world *w = world_new(16);
    const struct channel_info *news = news_of(w);
    char old[CURSOR_LEN + 1];
    char cursor[CURSOR_LEN + 1];
    uint64_t seq = 0;
    hub_publish(w->hub, news, 0, STR("1"));
    hub_cursor(w->hub, 1, old);
    hub_new_epoch(w->hub);
    hub_publish(w->hub, news, 0, STR("2"));
    main_turn(w);
    shard_turns(w);
    assert_texts(&w->clients[0], "1|2|");
    assert_false(fanout_cursor(w->shards[0]->fanout, str_of(old), &seq));
    hub_cursor(w->hub, 2, cursor);
    assert_true(fanout_cursor(w->shards[0]->fanout, str_of(cursor), &seq));
    assert_int_equal(seq, 2);
    assert_int_equal(w->clients[0].member.gaps, 0);
    world_free(w);
}

TEST(channels_are_found_again_and_limited)
{
    struct world *w = world_new(16);
    struct hub *small = hub_new(&(struct hub_opts){.loop = w->loop, .max_channels = 1});
    const struct channel_info *a = NULL;
    const struct channel_info *b = NULL;
    assert_ok(hub_channel(small, STR("a"), STR("message"), CHANNEL_EVENT, &a));
    assert_ok(hub_channel(small, STR("a"), STR("message"), CHANNEL_EVENT, &b));
    assert_ptr_equal(a, b);
    assert_ptr_equal(hub_find(small, STR("a")), a);
    assert_err(hub_channel(small, STR("b"), STR("message"), CHANNEL_EVENT, &b), ERR_LIMIT);
    hub_free(small);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shards_get_the_same_messages_in_one_letter_a_turn),
        cmocka_unit_test(a_full_mailbox_only_delays),
        cmocka_unit_test(a_shard_that_does_not_keep_up_is_told_what_it_lost),
        cmocka_unit_test(a_new_epoch_comes_between_the_messages_of_the_two),
        cmocka_unit_test(channels_are_found_again_and_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
