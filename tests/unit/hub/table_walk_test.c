/* A random walk of clients that want rows of a table, against a model.
 *
 * Every client has a set of keys, a form, perhaps deltas, a rate limit, repeats; sets change,
 * sockets fill up, epochs begin, messages get lost between the threads. A client applies what it is
 * given blindly, in the form it comes in. It must end with exactly the newest rows of its set,
 * never see a row become older, find the base of every delta to be the cursor that it has, and not
 * hear more often than it asked for. SPDX-License-Identifier: MIT */
#include "hub/hub.h"
#include "tests/unit/hub/rig.h"
#include "wire/deflate.h"
#include "wire/msgpack.h"
#include "wire/scan.h"

enum { CLIENTS = 28, KEYS = 12, FIELDS = 4, STEPS = 5000, REPEAT_MS = 2000 };

static const char *const fields[FIELDS] = {"v", "a", "b", "c"};
static const enum frame_form forms[] = {FORM_WS,          FORM_WS_DEFLATE,     FORM_SSE,
                                        FORM_MSGPACK,     FORM_SIO_WS,         FORM_SIO_WS_DEFLATE,
                                        FORM_SIO_PACKETS, FORM_MSGPACK_DEFLATE};

struct cell {
    char text[24]; /* JSON; "": absent */
};

struct view {
    enum frame_form form;
    bool plain; /* reads when it likes, so when it hears says nothing */
    bool wanted, delta, begins_anew;
    uint32_t interval_ms, repeat_ms;
    uint32_t keys[KEYS];
    size_t key_count; /* 0: all */
    struct cell rows[KEYS][FIELDS];
    uint64_t cursor, version[KEYS];
    uint64_t last_ms, messages, deltas, conflated;
    uint64_t disturbed_ms, paced; /* when it last joined or was slow; at the pace of its limit */
    /* What it is given first counts, so the pace holds from there on. */
};

struct walk {
    struct rig *rig;
    struct clock clock;
    struct loop *loop;
    struct hub *hub;
    struct mailbox *mail;
    const struct channel_info *prices;
    uint64_t random, version;
    struct cell truth[KEYS][FIELDS];
    struct client clients[CLIENTS];
    struct view views[CLIENTS];
    struct inflater *inflater;
};

static uint64_t roll(struct walk *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static bool in_set(const struct view *v, uint32_t key)
{
    for (size_t i = 0; i < v->key_count; i++) {
        if (v->keys[i] == key) {
            return true;
        }
    }
    return v->key_count == 0;
}

/* ---- the client's model ---- */

static int field_at(struct str name)
{
    for (int i = 0; i < FIELDS; i++) {
        if (str_eq(name, str_of(fields[i]))) {
            return i;
        }
    }
    fail_msg("unknown field %.*s", STR_ARG(name));
    return -1;
}

static void set_cell(struct cell *c, struct str raw)
{
    assert_true(raw.len < sizeof(c->text));
    memcpy(c->text, raw.ptr, raw.len);
    c->text[raw.len] = '\0';
}

static void hear_row(struct view *v, struct scan *s, struct str name, bool delta)
{
    struct str field;
    struct str raw;
    uint64_t key = 0;
    assert_int_equal(name.ptr[0], 'K');
    assert_ok(str_to_u64(str_from(name, 1), &key));
    assert_true(key < KEYS && in_set(v, (uint32_t)key));
    if (!delta) {
        memset(v->rows[key], 0, sizeof(v->rows[key]));
    }
    assert_true(scan_object(s));
    while (scan_key(s, &field)) {
        assert_true(scan_skip(s, &raw));
        set_cell(&v->rows[key][field_at(field)], raw);
    }
    uint64_t version = 0;
    assert_ok(str_to_u64(str_of(v->rows[key][0].text), &version));
    assert_true(version >= v->version[key]);
    v->version[key] = version;
}

static size_t known_rows(const struct view *v)
{
    size_t n = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        n += in_set(v, k) && v->rows[k][0].text[0];
    }
    return n;
}

/* Gives how many rows it was. */
static size_t hear_data(struct view *v, struct str data, bool delta)
{
    struct scan s;
    struct str name;
    size_t rows = 0;
    scan_begin(&s, data);
    assert_true(scan_object(&s));
    while (scan_key(&s, &name)) {
        hear_row(v, &s, name, delta);
        rows++;
    }
    assert_ok(scan_end(&s));
    return rows;
}

static uint64_t seq_of(struct str cursor)
{
    uint64_t seq = 0;
    assert_ok(str_to_u64(str_from(cursor, str_find(cursor, '-', 0) + 1), &seq));
    return seq;
}

static void note_message(struct walk *w, struct view *v)
{
    uint64_t now = loop_now_ms(w->rig->loop);
    if (!v->plain && v->interval_ms && v->last_ms >= v->disturbed_ms && now > v->disturbed_ms) {
        assert_true(now - v->last_ms >= v->interval_ms);
        v->paced++;
    }
    v->last_ms = now;
    v->messages++;
}

/* An object as WebSocket, SSE and MessagePack clients get it. */
static void hear_object(struct walk *w, struct view *v, struct str json)
{
    struct str data = {0}, base = {0}, cursor = {0}, type = {0}, key, raw;
    bool delta = false;
    struct scan s;
    scan_begin(&s, json);
    assert_true(scan_object(&s));
    while (scan_key(&s, &key)) {
        if (str_eq(key, STR("delta"))) {
            assert_true(scan_bool(&s, &delta) && delta);
            continue;
        }
        assert_true(scan_skip(&s, &raw));
        struct str *to = str_eq(key, STR("data"))     ? &data
                         : str_eq(key, STR("base"))   ? &base
                         : str_eq(key, STR("cursor")) ? &cursor
                         : str_eq(key, STR("type"))   ? &type
                                                      : &raw;
        *to = to == &data ? raw : str_sub(raw, 1, raw.len - 2);
    }
    assert_ok(scan_end(&s));
    if (str_eq(type, STR("conflated"))) {
        v->conflated++;
        v->begins_anew = v->delta && v->form != FORM_SSE; /* which has no deltas */
        return;
    }
    assert_str(type, "prices");
    assert_true(!delta || v->delta);
    if (delta) {
        assert_int_equal(seq_of(base), v->cursor);
        assert_contains(json, "\"channel\":\"prices\"");
        v->deltas++;
    } else {
        assert_contains(json, "\"mode\":\"demo\"");
    }
    v->cursor = seq_of(cursor);
    note_message(w, v);
    size_t rows = hear_data(v, data, delta);
    if (v->begins_anew) {
        assert_true(!delta && rows == known_rows(v));
        v->begins_anew = false;
    }
}

/* 42["market",{...},"e-1"], or a notice. */
static void hear_packet(struct walk *w, struct view *v, struct str packet)
{
    struct scan s;
    struct str event = {0};
    struct str data = {0};
    struct str cursor = {0};
    assert_true(str_starts(packet, STR("42[")));
    scan_begin(&s, str_from(packet, 2));
    assert_true(scan_array(&s) && scan_item(&s) && scan_string(&s, &event));
    assert_true(scan_item(&s) && scan_skip(&s, &data));
    if (str_eq(event, STR("conflated"))) {
        v->conflated++;
    } else {
        assert_str(event, "market");
        note_message(w, v);
        hear_data(v, data, false);
        if (scan_item(&s)) {
            assert_true(scan_string(&s, &cursor));
            assert_true(seq_of(cursor) >= v->cursor);
            v->cursor = seq_of(cursor);
        }
    }
}

/* ---- from bytes to messages ---- */

static void hear_frame(struct walk *w, struct view *v, uint8_t head, struct str payload)
{
    struct buf text = {0};
    struct buf inflated = {0};
    if (head & 0x40) {
        assert_ok(inflater_piece(w->inflater, payload, true, true, &inflated));
        payload = buf_str(&inflated);
    }
    bool packed = v->form == FORM_MSGPACK || v->form == FORM_MSGPACK_DEFLATE;
    assert_int_equal(head & 0x0f, packed ? 2 : 1);
    if (packed) {
        assert_ok(msgpack_to_json(payload, &text));
        payload = buf_str(&text);
    }
    if (v->form == FORM_SIO_WS || v->form == FORM_SIO_WS_DEFLATE) {
        hear_packet(w, v, payload);
    } else {
        hear_object(w, v, payload);
    }
    buf_fini(&text);
    buf_fini(&inflated);
}

/* Bytes of the first frame; 0: it is not whole. */
static size_t take_frame(struct walk *w, struct view *v, struct str got)
{
    const uint8_t *p = (const uint8_t *)got.ptr;
    size_t head = got.len < 2 ? 0 : p[1] == 127 ? 10 : p[1] == 126 ? 4 : 2;
    if (head == 0 || got.len < head) {
        return 0;
    }
    uint64_t len = head == 2 ? p[1] : 0;
    for (size_t i = 2; i < head; i++) {
        len = len << 8 | p[i];
    }
    if (got.len - head < len) {
        return 0;
    }
    hear_frame(w, v, p[0], str_make(got.ptr + head, len));
    return head + len;
}

static size_t take_chunk(struct walk *w, struct view *v, struct str got)
{
    size_t line = str_find_str(got, STR("\r\n"));
    size_t end = str_find_str(got, STR("\n\n\r\n"));
    if (line == SIZE_MAX || end == SIZE_MAX) {
        return 0;
    }
    struct str event = str_sub(got, line + 2, end - line - 2);
    size_t data = str_find_str(event, STR("\ndata: "));
    assert_true(data != SIZE_MAX);
    hear_object(w, v, str_from(event, data + 7));
    return end + 4;
}

static size_t take_packet(struct walk *w, struct view *v, struct str got)
{
    struct scan s;
    if (got.len < 4) {
        return 0;
    }
    assert_int_equal(got.ptr[0], 0x1e);
    size_t next = str_find(got, 0x1e, 1);
    struct str packet = str_sub(got, 1, next == SIZE_MAX ? SIZE_MAX : next - 1);
    scan_begin(&s, str_from(packet, 2));
    if (!scan_skip(&s, NULL) || scan_end(&s) != OK) {
        return 0;
    }
    hear_packet(w, v, packet);
    return 1 + packet.len;
}

static void look(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    struct view *v = &w->views[i];
    size_t at = 0;
    for (size_t n = 1; n && at < c->got.len; at += n) {
        struct str got = str_from(buf_str(&c->got), at);
        n = v->form == FORM_SSE           ? take_chunk(w, v, got)
            : v->form == FORM_SIO_PACKETS ? take_packet(w, v, got)
                                          : take_frame(w, v, got);
    }
    buf_drop(&c->got, at);
}

static void open_up(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    if (w->views[i].plain) {
        client_read(c);
        look(w, i);
        return;
    }
    if (c->waiting.len || c->member.state == MEMBER_STALLED) {
        w->views[i].disturbed_ms = loop_now_ms(w->rig->loop);
    }
    client_open(c);
    look(w, i);
}

/* Who reads, reads at once: the model counts on when things came. */
static void everyone_looks(struct walk *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (w->clients[i].fd < 0) {
            look(w, i);
        }
    }
}

/* ---- the world ---- */

/* All that is under way is read. */
static void settle_all(struct walk *w)
{
    rig_settle(w->rig, w->clients, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        look(w, i);
    }
}

static void turn(struct walk *w, uint64_t ms)
{
    /* Flushes that are cut into slices end before time goes on: the model measures it. */
    for (int i = 0; i < 2 * CLIENTS && ms; i++) {
        loop_turn(w->rig->loop, 0);
    }
    everyone_looks(w);
    clock_advance_us(&w->clock, ms * 1000);
    loop_turn(w->loop, 0);
    rig_turn(w->rig, ms);
}

/* A field's next text; unknown now and then. What was known and is not any more shows as null. */
static void change_field(struct walk *w, struct cell *c)
{
    if (roll(w, 6) == 0) {
        set_cell(c, c->text[0] ? STR("null") : STR(""));
        return;
    }
    snprintf(c->text, sizeof(c->text), "\"%s%llu\"", roll(w, 2) ? "x" : "longer-text-",
             (unsigned long long)roll(w, 3));
}

/* The row's values as a publisher says them; some rows are said again as they were. */
static bool next_row(struct walk *w, uint32_t k, struct str values[FIELDS])
{
    struct cell *row = w->truth[k];
    if (roll(w, 4)) {
        snprintf(row[0].text, sizeof(row[0].text), "%llu", (unsigned long long)++w->version);
        for (int i = 1; i < FIELDS; i++) {
            if (roll(w, 2)) {
                change_field(w, &row[i]);
            }
        }
    }
    for (int i = 0; i < FIELDS; i++) {
        values[i] = strcmp(row[i].text, "null") == 0 ? (struct str){0} : str_of(row[i].text);
    }
    return row[0].text[0] != '\0';
}

static void publish(struct walk *w)
{
    struct str values[KEYS][FIELDS];
    struct hub_row rows[KEYS];
    char names[KEYS][8];
    size_t count = 0;
    uint64_t density = 1 + roll(w, 4);
    for (uint32_t k = 0; k < KEYS; k++) {
        if (roll(w, 5) < density && next_row(w, k, values[count])) {
            snprintf(names[count], sizeof(names[count]), "K%u", k);
            rows[count] =
                (struct hub_row){.key = k, .name = str_of(names[count]), .values = values[count]};
            count++;
        }
    }
    hub_publish_rows(w->hub, w->prices, rows, count, 1700000000000, "demo", 0);
}

static void pick_keys(struct walk *w, struct view *v)
{
    v->key_count = 0;
    if (roll(w, 4) == 0) {
        return;
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        if (roll(w, 3) == 0) {
            v->keys[v->key_count++] = k;
        }
    }
    if (v->key_count == 0) {
        v->keys[v->key_count++] = (uint32_t)roll(w, KEYS);
    }
}

static struct fanout_sub sub_of(const struct view *v)
{
    return (struct fanout_sub){.channel = STR("prices"),
                               .interval_ms = v->interval_ms,
                               .keys = v->keys,
                               .key_count = v->key_count,
                               .delta = v->delta,
                               .repeat_ms = v->repeat_ms};
}

/* What is on the way to it is of the set that it had. */
static void read_old(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    c->room = SIZE_MAX;
    while (client_read(c) || c->waiting.len) {
        rig_take(c);
    }
    look(w, i);
}

/* As the api does it: what was due before, the state of the set, then what follows. */
static void subscribe(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    struct view *v = &w->views[i];
    struct buf first = {0};
    struct view was = *v;
    pick_keys(w, v);
    v->wanted = true;
    v->interval_ms = roll(w, 2) ? 0 : 100;
    v->delta = roll(w, 2);
    v->repeat_ms = roll(w, 4) ? 0 : REPEAT_MS;
    struct fanout_sub sub = sub_of(v);
    *v = was; /* what comes now is of the old set */
    fanout_catch_up(w->rig->fanout, &sub, NULL, v->form, &first);
    assert_ok(fanout_subscribe(w->rig->fanout, &c->member, v->form, &sub));
    read_old(w, i);
    v->wanted = true;
    v->interval_ms = sub.interval_ms;
    v->delta = sub.delta;
    v->repeat_ms = sub.repeat_ms;
    v->key_count = sub.key_count;
    memset(v->rows, 0, sizeof(v->rows));
    v->disturbed_ms = loop_now_ms(w->rig->loop);
    v->begins_anew = false;
    v->cursor = 0; /* of fewer rows it may be a lower one */
    v->last_ms = 0;
    if (first.len) {
        rig_write(&c->member, buf_str(&first));
        if (c->waiting.len) {
            fanout_stall(w->rig->fanout, &c->member);
        }
        look(w, i);
    }
    buf_fini(&first);
}

static void change(struct walk *w, int i)
{
    struct client *c = &w->clients[i];
    struct view *v = &w->views[i];
    if (v->plain) {
        settle_all(w);
    }
    /* the model would have to know what is under way */
    if (c->waiting.len || c->member.state == MEMBER_STALLED) {
        return;
    }
    struct view kept = *v;
    if (v->wanted && roll(w, 4) == 0) {
        assert_ok(fanout_unsubscribe(w->rig->fanout, &c->member, STR("prices")));
        if (c->waiting.len && !v->plain) {
            client_open(c);
        }
        read_old(w, i);
        kept = *v;
        *v = (struct view){.form = kept.form, .plain = kept.plain, .cursor = kept.cursor};
        v->messages = kept.messages;
        v->paced = kept.paced;
        v->deltas = kept.deltas;
        v->conflated = kept.conflated;
        return;
    }
    subscribe(w, i);
}

static void check_rest(struct walk *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        open_up(w, i);
    }
    for (int k = 0; k < 8; k++) {
        turn(w, 60);
        settle_all(w);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct view *v = &w->views[i];
        assert_int_equal(w->clients[i].got.len, 0);
        for (uint32_t k = 0; k < KEYS && v->wanted; k++) {
            for (int n = 0; n < FIELDS && in_set(v, k); n++) {
                if (strcmp(v->rows[k][n].text, w->truth[k][n].text) != 0) {
                    fail_msg("client %d form %d: K%u.%s is %s, not %s", i, v->form, k, fields[n],
                             v->rows[k][n].text, w->truth[k][n].text);
                }
            }
        }
    }
}

static struct walk *walk_new(uint64_t seed)
{
    struct walk *w = mem_zero(sizeof(*w));
    w->random = seed;
    w->rig = rig_new(IO_EPOLL, (struct fanout_opts){.slice = 5, .log_bytes = 2000});
    clock_init_virtual(&w->clock, 5000, 1700000000000);
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &w->clock}, &w->loop));
    loop_turn(w->loop, 0);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop});
    w->mail = mailbox_new(w->rig->loop, 8);
    hub_add_shard(w->hub, w->rig->fanout, w->mail);
    assert_ok(
        hub_table(w->hub, STR("prices"), STR("prices"), STR("market"), fields, FIELDS, &w->prices));
    w->inflater = inflater_new(12);
    for (int i = 0; i < CLIENTS; i++) {
        client_init(w->rig, &w->clients[i], i % 4 == 3);
        w->views[i].plain = i % 4 == 3;
        w->views[i].form = forms[((size_t)i + (size_t)i / ARRAY_LEN(forms)) % ARRAY_LEN(forms)];
    }
    return w;
}

static void walk_free(struct walk *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        client_fini(&w->clients[i]);
    }
    struct fanout_stats stats;
    fanout_stats(w->rig->fanout, &stats);
    assert_int_equal(stats.groups, 0);
    mailbox_free(w->mail);
    rig_free(w->rig);
    hub_free(w->hub);
    loop_free(w->loop);
    inflater_free(w->inflater);
    mem_free(w);
}

static void new_epoch(struct walk *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        open_up(w, i);
    }
    turn(w, 0);
    settle_all(w);
    hub_new_epoch(w->hub);
    turn(w, 0);
    settle_all(w);
    memset(w->truth, 0, sizeof(w->truth));
    for (int i = 0; i < CLIENTS; i++) {
        memset(w->views[i].rows, 0, sizeof(w->views[i].rows));
    }
}

static void step(struct walk *w)
{
    int i = (int)roll(w, CLIENTS);
    switch (roll(w, 10)) {
    case 0:
        change(w, i);
        break;
    case 1:
    case 2:
        w->clients[i].room = roll(w, 600);
        break;
    case 3:
    case 4:
        open_up(w, i);
        break;
    case 5:
        turn(w, roll(w, 70));
        break;
    case 6:
        if (roll(w, 150) == 0) {
            new_epoch(w);
        }
        break;
    default:
        for (uint64_t n = 1 + roll(w, 3); n > 0; n--) {
            publish(w);
        }
        turn(w, roll(w, 3) ? 0 : 5);
    }
    everyone_looks(w);
}

static void run(uint64_t seed)
{
    struct walk *w = walk_new(seed);
    uint64_t deltas = 0;
    uint64_t conflated = 0;
    uint64_t paced = 0;
    for (int i = 0; i < STEPS; i++) {
        step(w);
        if (i % 250 == 249) {
            check_rest(w);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        deltas += w->views[i].deltas;
        conflated += w->views[i].conflated;
        paced += w->views[i].paced;
    }
    assert_true(deltas > 500 && conflated > 100 && paced > 100); /* the walk went where it should */
    walk_free(w);
}

TEST(whoever_applies_what_comes_has_the_newest_rows_of_the_set)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed * 7919);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_applies_what_comes_has_the_newest_rows_of_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
