/* A random walk of clients against a model, on both I/O back ends.
 *
 * Every client notes which channels it wants. Of an event channel it must see each message that was
 * published while it was subscribed, in order, or a gap notice that covers it; of a state channel a
 * rising sequence that ends with the newest, and of one without a rate limit as many messages and
 * conflated ones as there were. SPDX-License-Identifier: MIT */
#include "tests/unit/hub/rig.h"

enum { WALK_CLIENTS = 12, WALK_CHANNELS = 4, WALK_STEPS = 4000, WALK_MESSAGES = 8000 };

struct view {
    bool wanted;
    uint64_t joined; /* seq when it subscribed */
    uint64_t last;   /* newest it saw, or was told to be lost */
    uint64_t seen, spared, count;
};

struct walk {
    struct rig *rig;
    uint64_t random;
    struct channel_info *channels[WALK_CHANNELS];
    uint8_t published[WALK_MESSAGES]; /* seq -> channel + 1; 0: lost on the way */
    struct client clients[WALK_CLIENTS];
    struct view views[WALK_CLIENTS][WALK_CHANNELS];
    uint32_t limits[WALK_CLIENTS];
};

static uint64_t roll(struct walk *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static int channel_at(const struct walk *w, struct str name)
{
    for (int i = 0; i < WALK_CHANNELS; i++) {
        if (str_starts(name, str_of(w->channels[i]->name))) {
            return i;
        }
    }
    fail_msg("unknown channel %.*s", STR_ARG(name));
    return -1;
}

static uint64_t number_after(struct str text, const char *mark)
{
    size_t at = str_find_str(text, str_of(mark));
    uint64_t value = 0;
    assert_true(at != SIZE_MAX);
    for (at += strlen(mark); at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        value = value * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    return value;
}

/* No message of the channel stands between what was seen and `seq`. */
static void check_no_hole(const struct walk *w, const struct view *v, int channel, uint64_t seq)
{
    for (uint64_t s = max_u64(v->last, v->joined) + 1; s < seq; s++) {
        if (w->published[s] == channel + 1) {
            fail_msg("%s %llu is missing before %llu", w->channels[channel]->name,
                     (unsigned long long)s, (unsigned long long)seq);
        }
    }
}

static void look(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    size_t at = 0;
    struct str text;
    while (client_next(c, &at, &text)) {
        if (str_eq(text, STR("answer"))) {
            continue;
        }
        bool gap = str_starts(text, STR("{\"type\":\"gap\""));
        if (str_starts(text, STR("{\"type\":\"conflated\""))) {
            size_t name = str_find_str(text, STR("\"channel\":\"")) + 11;
            w->views[i][channel_at(w, str_from(text, name))].spared += number_after(text, "\"n\":");
            continue;
        }
        struct str name = text;
        if (gap) {
            name = str_from(text, str_find_str(text, STR("\"channel\":\"")) + 11);
        }
        int channel = channel_at(w, name);
        struct view *v = &w->views[i][channel];
        bool event = w->channels[channel]->class == CHANNEL_EVENT;
        assert_true(v->wanted);
        if (gap) {
            assert_true(event);
            check_no_hole(w, v, channel, number_after(text, "\"from\":\"e1-") + 1);
            v->last = max_u64(v->last, number_after(text, "\"to\":\"e1-"));
            continue;
        }
        uint64_t seq = number_after(text, " ");
        assert_int_equal(w->published[seq], channel + 1);
        assert_true(event || w->limits[i] ? seq >= v->last : seq > v->last);
        if (event) {
            assert_true(seq > v->last && seq > v->joined);
            check_no_hole(w, v, channel, seq);
        }
        v->last = seq;
        v->seen++;
    }
    buf_drop(&c->got, at);
}

/* Everything is read and nothing is under way: the sums must be right. */
static void come_to_rest(struct walk *w)
{
    for (int i = 0; i < WALK_CLIENTS; i++) {
        if (w->clients[i].fd < 0) {
            client_open(&w->clients[i]);
        }
    }
    rig_turn(w->rig, 1000);
    rig_settle(w->rig, w->clients, WALK_CLIENTS);
    rig_turn(w->rig, 1000);
    rig_settle(w->rig, w->clients, WALK_CLIENTS);
    for (int i = 0; i < WALK_CLIENTS; i++) {
        look(w, i);
        assert_int_equal(w->clients[i].got.len, 0);
        for (int k = 0; k < WALK_CHANNELS; k++) {
            struct view *v = &w->views[i][k];
            if (!v->wanted) {
                continue;
            }
            assert_int_equal(w->clients[i].member.state, MEMBER_LIVE);
            if (w->channels[k]->class == CHANNEL_EVENT) {
                check_no_hole(w, v, k, w->rig->seq + 1);
                continue;
            }
            uint64_t newest = w->rig->seq;
            while (newest > v->joined && w->published[newest] != k + 1) {
                newest--;
            }
            assert_true(newest == v->joined || v->last == newest);
            if (!w->limits[i]) {
                assert_int_equal(v->seen + v->spared, v->count);
            }
        }
    }
}

static void publish_some(struct walk *w)
{
    for (uint64_t n = roll(w, 6); n > 0 && w->rig->seq + 1 < WALK_MESSAGES; n--) {
        int k = (int)roll(w, WALK_CHANNELS);
        w->published[w->rig->seq + 1] = (uint8_t)(k + 1);
        for (int i = 0; i < WALK_CLIENTS; i++) {
            w->views[i][k].count++;
        }
        rig_publish(w->rig, w->channels[k], 0, roll(w, 20) ? roll(w, 100) : roll(w, 9000));
    }
}

/* Clients are answered while messages come, and the answers are sent in front of them. */
static void answer_and_publish(struct walk *w)
{
    for (uint64_t n = roll(w, 4); n > 0; n--) {
        client_answer(&w->clients[roll(w, WALK_CLIENTS)], "answer");
    }
    publish_some(w);
    for (int i = 0; i < WALK_CLIENTS; i++) {
        client_send(&w->clients[i]);
    }
    loop_turn(w->rig->loop, 0);
}

static void change_some(struct walk *w)
{
    int i = (int)roll(w, WALK_CLIENTS);
    int k = (int)roll(w, WALK_CHANNELS);
    struct view *v = &w->views[i][k];
    struct client *c = &w->clients[i];
    client_read(c);
    look(w, i);
    if (v->wanted) {
        if (c->waiting.len || c->member.state == MEMBER_STALLED) {
            return; /* the model would have to know what is under way */
        }
        assert_ok(fanout_unsubscribe(w->rig->fanout, &c->member, str_of(w->channels[k]->name)));
        if (c->fd < 0) {
            client_open(c);
        }
        rig_settle(w->rig, w->clients, WALK_CLIENTS); /* what was due to it before */
        look(w, i);
        v->wanted = false;
    } else {
        *v = (struct view){.wanted = true, .joined = w->rig->seq};
        client_join(c, FORM_WS, w->channels[k]->name, w->limits[i]);
    }
}

static void walk(enum io_kind io, uint64_t seed)
{
    struct walk *w = mem_zero(sizeof(*w));
    w->rig = rig_new(io, (struct fanout_opts){.slice = 3, .log_bytes = 4000});
    w->random = seed;
    w->channels[0] = rig_channel(w->rig, "ea", CHANNEL_EVENT);
    w->channels[1] = rig_channel(w->rig, "eb", CHANNEL_EVENT);
    w->channels[2] = rig_channel(w->rig, "sa", CHANNEL_STATE);
    w->channels[3] = rig_channel(w->rig, "sb", CHANNEL_STATE);
    w->channels[1]->history_count = 20;
    for (int i = 0; i < WALK_CLIENTS; i++) {
        client_init(w->rig, &w->clients[i], i % 2 == 0);
        w->limits[i] = i % 4 == 3 ? 50 : 0;
    }
    for (int step = 0; step < WALK_STEPS; step++) {
        int i = (int)roll(w, WALK_CLIENTS);
        switch (roll(w, 8)) {
        case 0:
            change_some(w);
            break;
        case 1:
            if (w->clients[i].fd < 0) {
                w->clients[i].room = roll(w, 400);
            }
            break;
        case 2:
        case 3:
            client_read(&w->clients[i]);
            if (w->clients[i].fd < 0) {
                client_open(&w->clients[i]);
                look(w, i);
            }
            break;
        case 4:
            rig_turn(w->rig, roll(w, 60));
            break;
        default:
            answer_and_publish(w);
        }
        if (step % 500 == 499) {
            come_to_rest(w);
        }
    }
    for (int i = 0; i < WALK_CLIENTS; i++) {
        client_fini(&w->clients[i]);
    }
    rig_free(w->rig);
    mem_free(w);
}

TEST(a_random_walk_loses_and_doubles_nothing_epoll)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        walk(IO_EPOLL, seed * 7919);
    }
}

TEST(a_random_walk_loses_and_doubles_nothing_uring)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        walk(IO_URING, seed * 104729);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_walk_loses_and_doubles_nothing_epoll),
        cmocka_unit_test(a_random_walk_loses_and_doubles_nothing_uring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
