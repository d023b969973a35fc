/* What clients of a table are given, word for word. SPDX-License-Identifier: MIT */
#include "hub/hub.h"
#include "tests/unit/hub/rig.h"

static const char *const fields[] = {"p", "q"};

struct world {
    struct rig *rig;
    struct clock clock;
    struct loop *loop;
    struct hub *hub;
    struct mailbox *mail;
    const struct channel_info *prices;
    struct client c;
};

static struct world *world_new(void)
{
    struct world *w = mem_zero(sizeof(*w));
    clock_init_virtual(&w->clock, 5000, 36); /* the epoch is "10" */
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    loop_turn(w->loop, 0);
    w->rig = rig_new(IO_EPOLL, (struct fanout_opts){0});
    w->mail = mailbox_new(w->rig->loop, 1);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    hub_add_shard(w->hub, w->rig->fanout, w->mail);
    assert_ok(
        hub_table(w->hub, STR("prices"), STR("prices"), STR("market"), fields, 2, &w->prices));
    client_init(w->rig, &w->c, false);
    return w;
}

static void world_free(struct world *w)
{
    client_fini(&w->c);
    mailbox_free(w->mail);
    rig_free(w->rig);
    hub_free(w->hub);
    loop_free(w->loop);
    mem_free(w);
}

static void settle_all(struct world *w, uint64_t ms)
{
    clock_advance_us(&w->clock, 2000);
    loop_turn(w->loop, 0);
    rig_turn(w->rig, ms);
}

/* A row "A", "B", .. of two values. */
static void say(struct world *w, uint32_t key, const char *p, const char *q)
{
    char name = (char)('A' + key);
    struct str values[] = {str_of(p), str_of(q)};
    struct hub_row row = {.key = key, .name = str_make(&name, 1), .values = values};
    hub_publish_rows(w->hub, w->prices, &row, 1, 0, "demo", loop_now_us(w->rig->loop));
}

static void join_as(struct world *w, struct client *c, enum frame_form form, struct fanout_sub sub)
{
    sub.channel = STR("prices");
    assert_ok(fanout_subscribe(w->rig->fanout, &c->member, form, &sub));
}

static void join(struct world *w, enum frame_form form, struct fanout_sub sub)
{
    join_as(w, &w->c, form, sub);
}

#define TIME ",\"timestamp\":\"1970-01-01T00:00:00.000Z\""

TEST(rows_come_whole_and_only_those_of_the_set_that_changed)
{
    struct world *w = world_new();
    uint32_t keys[] = {1, 0, 1};
    say(w, 0, "1", "2");
    settle_all(w, 1);
    join(w, FORM_WS, (struct fanout_sub){.keys = keys, .key_count = 3});
    say(w, 0, "1", "2"); /* as it was: nothing is published */
    say(w, 2, "7", "7"); /* not wanted */
    say(w, 1, "3", "");
    settle_all(w, 1);
    assert_texts(&w->c, "{\"type\":\"prices\",\"data\":{\"B\":{\"p\":3}}" TIME
                        ",\"mode\":\"demo\",\"cursor\":\"10-3\"}|");
    world_free(w);
}

TEST(a_delta_has_what_changed_and_null_for_what_became_unknown)
{
    struct world *w = world_new();
    join(w, FORM_WS, (struct fanout_sub){.delta = true});
    say(w, 0, "1", "2");
    settle_all(w, 1);
    say(w, 0, "1", "");
    settle_all(w, 1);
    say(w, 1, "5", "");
    settle_all(w, 1);
    assert_texts(&w->c,
                 "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":1,\"q\":2}}" TIME
                 ",\"mode\":\"demo\",\"cursor\":\"10-1\"}|"
                 "{\"type\":\"prices\",\"channel\":\"prices\",\"delta\":true,\"base\":\"10-1\","
                 "\"data\":{\"A\":{\"q\":null}},\"cursor\":\"10-2\"}|"
                 "{\"type\":\"prices\",\"channel\":\"prices\",\"delta\":true,\"base\":\"10-2\","
                 "\"data\":{\"B\":{\"p\":5}},\"cursor\":\"10-3\"}|");
    world_free(w);
}

TEST(within_a_minute_a_full_one_comes_though_nothing_changes)
{
    struct world *w = world_new();
    join(w, FORM_WS, (struct fanout_sub){.delta = true});
    say(w, 0, "1", "2");
    settle_all(w, 1);
    assert_texts(&w->c, "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":1,\"q\":2}}" TIME
                        ",\"mode\":\"demo\",\"cursor\":\"10-1\"}|");
    for (int i = 0; i < 59; i++) {
        settle_all(w, 1000);
    }
    assert_texts(&w->c, "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":1,\"q\":2}}" TIME
                        ",\"mode\":\"demo\",\"cursor\":\"10-1\"}|");
    say(w, 0, "6", "2");
    settle_all(w, 1);
    assert_texts(&w->c,
                 "{\"type\":\"prices\",\"channel\":\"prices\",\"delta\":true,\"base\":\"10-1\","
                 "\"data\":{\"A\":{\"p\":6}},\"cursor\":\"10-2\"}|");
    world_free(w);
}

TEST(a_stalled_client_is_told_what_it_was_spared_and_gets_one_message)
{
    struct world *w = world_new();
    join(w, FORM_WS, (struct fanout_sub){0});
    w->c.room = 0;
    say(w, 0, "1", "1");
    settle_all(w, 1);
    say(w, 0, "2", "1");
    say(w, 0, "3", "1");
    say(w, 1, "4", "1");
    settle_all(w, 1);
    client_open(&w->c);
    assert_int_equal(w->c.member.conflated, 1);
    assert_texts(
        &w->c,
        "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":1,\"q\":1}}" TIME
        ",\"mode\":\"demo\",\"cursor\":\"10-1\"}|"
        "{\"type\":\"conflated\",\"channel\":\"prices\",\"n\":1}|"
        "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":3,\"q\":1},\"B\":{\"p\":4,\"q\":1}}" TIME
        ",\"mode\":\"demo\",\"cursor\":\"10-4\"}|");
    world_free(w);
}

TEST(a_set_that_is_quiet_is_repeated_and_one_that_is_not_is_not)
{
    struct world *w = world_new();
    uint32_t key = 0;
    join(w, FORM_SIO_PACKETS, (struct fanout_sub){.keys = &key, .key_count = 1, .repeat_ms = 2000});
    say(w, 0, "1", "1");
    settle_all(w, 1500);
    rig_turn(w->rig, 1999); /* the first one came in the turn before */
    assert_buf(&w->c.got, "\x1e"
                          "42[\"market\",{\"A\":{\"p\":1,\"q\":1}},\"10-1\"]");
    buf_clear(&w->c.got);
    rig_turn(w->rig, 1);
    assert_buf(&w->c.got, "\x1e"
                          "42[\"market\",{\"A\":{\"p\":1,\"q\":1}},\"10-1\"]");
    world_free(w);
}

TEST(what_a_new_client_is_given_first_counts_against_its_rate)
{
    struct world *w = world_new();
    uint32_t key = 0, unknown = 1;
    say(w, 0, "1", "1");
    settle_all(w, 1);
    join(w, FORM_WS, (struct fanout_sub){.keys = &key, .key_count = 1, .interval_ms = 500});
    say(w, 0, "2", "1");
    settle_all(w, 2);
    rig_turn(w->rig, 497);
    assert_texts(&w->c, "");
    rig_turn(w->rig, 1);
    assert_texts(&w->c, "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":2,\"q\":1}}" TIME
                        ",\"mode\":\"demo\",\"cursor\":\"10-2\"}|");
    /* With nothing to be given first, the first message comes at once. */
    fanout_leave(w->rig->fanout, &w->c.member);
    join(w, FORM_WS, (struct fanout_sub){.keys = &unknown, .key_count = 1, .interval_ms = 500});
    say(w, 1, "3", "3");
    settle_all(w, 1);
    assert_texts(&w->c, "{\"type\":\"prices\",\"data\":{\"B\":{\"p\":3,\"q\":3}}" TIME
                        ",\"mode\":\"demo\",\"cursor\":\"10-3\"}|");
    world_free(w);
}

#define P(value, seq)                                                                            \
    "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":" value ",\"q\":1}}" TIME ",\"mode\":\"demo\"," \
    "\"cursor\":\"10-" seq "\"}|"

/* Two clients of one group, an interval of 500 ms; the second joins 300 ms after the first. */
TEST(who_joins_a_group_under_way_hears_nothing_for_an_interval_and_then_the_newest)
{
    struct world *w = world_new();
    struct fanout_sub sub = {.interval_ms = 500};
    struct client late;
    client_init(w->rig, &late, false);
    say(w, 0, "1", "1");
    settle_all(w, 1);
    join(w, FORM_WS, sub);
    rig_turn(w->rig, 300);
    join_as(w, &late, FORM_WS, sub);
    say(w, 0, "2", "1");
    settle_all(w, 200);
    assert_texts(&w->c, P("2", "2")); /* at 500 */
    assert_texts(&late, "");
    say(w, 0, "3", "1");
    settle_all(w, 499);
    assert_texts(&w->c, "");
    assert_texts(&late, "");
    rig_turn(w->rig, 1);
    assert_texts(&w->c, P("3", "3")); /* at 1000 */
    assert_texts(&late, P("3", "3"));
    say(w, 0, "4", "1");
    settle_all(w, 500);
    assert_texts(&w->c, P("4", "4"));
    assert_texts(&late, P("4", "4"));
    client_fini(&late);
    world_free(w);
}

TEST(who_stood_aside_is_given_what_it_lacks_also_when_nothing_more_comes)
{
    struct world *w = world_new();
    struct fanout_sub sub = {.interval_ms = 500, .delta = true};
    struct client late, gone;
    client_init(w->rig, &late, false);
    client_init(w->rig, &gone, false);
    say(w, 0, "1", "1");
    settle_all(w, 1);
    join(w, FORM_WS, sub);
    rig_turn(w->rig, 300);
    join_as(w, &late, FORM_WS, sub);
    join_as(w, &gone, FORM_WS, sub);
    say(w, 0, "2", "1");
    settle_all(w, 200);
    assert_texts(&w->c,
                 "{\"type\":\"prices\",\"channel\":\"prices\",\"delta\":true,\"base\":\"10-1\","
                 "\"data\":{\"A\":{\"p\":2}},\"cursor\":\"10-2\"}|");
    fanout_leave(w->rig->fanout, &gone.member);
    rig_turn(w->rig, 499);
    assert_texts(&late, "");
    rig_turn(w->rig, 1);
    assert_texts(&late, P("2", "2"));
    /* That was a message of the group's pace: the next one keeps its distance, and goes to both. */
    say(w, 0, "3", "1");
    settle_all(w, 499);
    assert_texts(&late, "");
    rig_turn(w->rig, 1);
    assert_texts(&late,
                 "{\"type\":\"prices\",\"channel\":\"prices\",\"delta\":true,\"base\":\"10-2\","
                 "\"data\":{\"A\":{\"p\":3}},\"cursor\":\"10-3\"}|");
    buf_clear(&w->c.got);
    assert_int_equal(late.member.newcomer, 0);
    client_fini(&gone);
    client_fini(&late);
    world_free(w);
}

TEST(who_changes_its_subscriptions_while_it_stands_aside_loses_nothing)
{
    struct world *w = world_new();
    struct fanout_sub sub = {.interval_ms = 500}, other = {.channel = STR("x")};
    struct client late;
    client_init(w->rig, &late, false);
    say(w, 0, "1", "1");
    settle_all(w, 1);
    join(w, FORM_WS, sub);
    rig_turn(w->rig, 300);
    join_as(w, &late, FORM_WS, sub);
    say(w, 0, "2", "1");
    settle_all(w, 200);
    assert_texts(&late, "");
    assert_ok(fanout_subscribe(w->rig->fanout, &late.member, FORM_WS, &other));
    assert_texts(&late, P("2", "2"));
    rig_turn(w->rig, 2000);
    assert_texts(&late, "");
    client_fini(&late);
    world_free(w);
}

TEST(keys_can_be_added_and_taken_out)
{
    struct world *w = world_new();
    uint32_t keys[] = {0, 1};
    struct fanout_sub sub;
    struct fanout *f = w->rig->fanout;
    struct member *m = &w->c.member;
    assert_err(fanout_sub_keys(f, m, STR("prices"), keys, 1, true), ERR_NOT_FOUND);
    join(w, FORM_WS, (struct fanout_sub){.keys = keys, .key_count = 1, .interval_ms = 50});
    assert_ok(fanout_sub_keys(f, m, STR("prices"), keys + 1, 1, true));
    assert_true(fanout_sub_of(f, m, STR("prices"), &sub));
    assert_int_equal(sub.key_count, 2);
    assert_int_equal(sub.interval_ms, 50);
    say(w, 1, "1", "1");
    settle_all(w, 1);
    say(w, 1, "2", "1"); /* held back, and given before the set changes */
    settle_all(w, 1);
    assert_ok(fanout_sub_keys(f, m, STR("prices"), keys, 1, false));
    struct buf texts = {0};
    client_texts(&w->c, &texts);
    assert_contains(buf_str(&texts), "{\"B\":{\"p\":2,\"q\":1}}");
    buf_fini(&texts);
    assert_ok(fanout_sub_keys(f, m, STR("prices"), keys, 2, false));
    assert_false(fanout_subscribed(f, m, STR("prices")));
    join(w, FORM_WS, (struct fanout_sub){0});
    assert_ok(fanout_sub_keys(f, m, STR("prices"), keys, 1, true));
    assert_err(fanout_sub_keys(f, m, STR("prices"), keys, 1, false), ERR_UNSUPPORTED);
    world_free(w);
}

TEST(a_first_look_and_a_return_give_the_rows_of_the_set_as_one_message)
{
    struct world *w = world_new();
    uint32_t keys[] = {2, 0, 9};
    struct str since = STR("10-1");
    struct fanout_sub sub = {.channel = STR("prices"), .keys = keys, .key_count = 3};
    struct fanout_resume resume;
    struct buf out = {0};
    say(w, 0, "1", "1");
    say(w, 1, "2", "2");
    say(w, 2, "3", "3");
    settle_all(w, 1);
    fanout_catch_up(w->rig->fanout, &sub, NULL, FORM_POLL, &out);
    assert_buf(
        &out, "{\"type\":\"prices\",\"data\":{\"A\":{\"p\":1,\"q\":1},\"C\":{\"p\":3,\"q\":3}}" TIME
              ",\"mode\":\"demo\",\"cursor\":\"10-3\"}");
    buf_clear(&out);
    assert_int_equal(
        fanout_collect(w->rig->fanout, &sub, 1, &since, false, FORM_POLL, &out, &resume), 1);
    assert_true(resume.recovered);
    assert_contains(buf_str(&out), "\"data\":{\"C\":{\"p\":3,\"q\":3}}");
    buf_fini(&out);
    world_free(w);
}

TEST(rows_that_a_shard_lost_come_with_the_next_message)
{
    struct world *w = world_new();
    join(w, FORM_WS, (struct fanout_sub){.delta = true});
    const struct channel_info *other = NULL;
    assert_ok(hub_channel(w->hub, STR("x"), STR("x"), CHANNEL_STATE, &other));
    say(w, 0, "1", "1");
    settle_all(w, 1);
    buf_clear(&w->c.got);
    hub_publish(w->hub, other, 0, STR("fills the mailbox"));
    loop_turn(w->loop, 0);
    say(w, 0, "2", "1"); /* stays behind and is dropped */
    for (int i = 0; i < 65536; i++) {
        hub_publish(w->hub, other, 0, STR("."));
    }
    assert_true(hub_dropped(w->hub) > 0);
    for (int i = 0; i < 5; i++) {
        settle_all(w, 5);
    }
    say(w, 1, "3", "1");
    settle_all(w, 5);
    struct buf texts = {0};
    client_texts(&w->c, &texts);
    assert_contains(buf_str(&texts), "{\"A\":{\"p\":2,\"q\":1},\"B\":{\"p\":3,\"q\":1}}");
    buf_fini(&texts);
    world_free(w);
}

TEST(the_lag_is_that_from_the_upstream_bytes_to_the_last_socket)
{
    struct world *w = world_new();
    join(w, FORM_WS, (struct fanout_sub){0});
    assert_int_equal(fanout_member_lag_us(&w->c.member), 0);
    say(w, 0, "1", "1"); /* at the shard's time now */
    settle_all(w, 7);
    assert_int_equal(fanout_member_lag_us(&w->c.member), 7000);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_whole_and_only_those_of_the_set_that_changed),
        cmocka_unit_test(a_delta_has_what_changed_and_null_for_what_became_unknown),
        cmocka_unit_test(within_a_minute_a_full_one_comes_though_nothing_changes),
        cmocka_unit_test(a_stalled_client_is_told_what_it_was_spared_and_gets_one_message),
        cmocka_unit_test(a_set_that_is_quiet_is_repeated_and_one_that_is_not_is_not),
        cmocka_unit_test(what_a_new_client_is_given_first_counts_against_its_rate),
        cmocka_unit_test(
            who_joins_a_group_under_way_hears_nothing_for_an_interval_and_then_the_newest),
        cmocka_unit_test(who_stood_aside_is_given_what_it_lacks_also_when_nothing_more_comes),
        cmocka_unit_test(who_changes_its_subscriptions_while_it_stands_aside_loses_nothing),
        cmocka_unit_test(keys_can_be_added_and_taken_out),
        cmocka_unit_test(a_first_look_and_a_return_give_the_rows_of_the_set_as_one_message),
        cmocka_unit_test(rows_that_a_shard_lost_come_with_the_next_message),
        cmocka_unit_test(the_lag_is_that_from_the_upstream_bytes_to_the_last_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
