/* SPDX-License-Identifier: MIT */
#include "hub/hub.h"

#include "base/alloc.h"
#include "base/map.h"
#include "hub/rows.h"

#include <assert.h>
#include <stdatomic.h>

enum { MAX_SHARDS = 64, MAX_BACKLOG = 65536 };

/* What one letter carries: frames, each with a reference of its own. */
struct parcel {
    size_t count, cap;
    struct frame **frames;
};

struct shard {
    struct fanout *fanout;
    struct mailbox *mail;
    /* Not yet taken by the mailbox, in the order in which it goes out. */
    uint64_t lost_seq; /* messages up to here were dropped; 0: none */
    char *epoch;       /* owned; a new epoch; NULL: none */
    uint64_t epoch_seq;
    struct parcel *backlog;
};

struct hub {
    struct hub_opts opts;
    struct map channels; /* name -> struct channel_info * */
    struct rows **tables;
    size_t table_count;
    size_t channel_count;
    char epoch[20];
    uint64_t epoch_number;
    uint64_t seq;
    _Atomic uint64_t newest; /* the same, for the shards */
    struct shard shards[MAX_SHARDS];
    size_t shard_count;
    struct defer flush;
    struct timer retry;
    hub_tap_fn tap;
    void *tap_self;
    uint64_t dropped;
};

/* Epochs are the start's wall time in base 36, so that a later start never repeats an earlier one.
 */
static void make_epoch(struct hub *h)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint64_t value = (uint64_t)loop_wall_ms(h->opts.loop);
    value = value > h->epoch_number ? value : h->epoch_number + 1;
    h->epoch_number = value;
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = digits[value % 36];
        value /= 36;
    } while (value);
    memcpy(h->epoch, text + at, sizeof(text) - at);
    h->epoch[sizeof(text) - at] = '\0';
}

struct hub *hub_new(const struct hub_opts *opts)
{
    struct hub *h = mem_zero(sizeof(*h));
    h->opts = *opts;
    h->opts.max_channels = opts->max_channels ? opts->max_channels : 10000;
    h->opts.history_count = opts->history_count ? opts->history_count : 10000;
    h->opts.history_bytes = opts->history_bytes ? opts->history_bytes : (size_t)4 << 20;
    h->opts.history_ms = opts->history_ms ? opts->history_ms : 600000;
    map_init(&h->channels, h->opts.max_channels);
    make_epoch(h);
    return h;
}

static void parcel_free(struct parcel *p)
{
    for (size_t i = 0; p && i < p->count; i++) {
        frame_unref(p->frames[i]);
    }
    if (p) {
        mem_free(p->frames);
        mem_free(p);
    }
}

void hub_free(struct hub *h)
{
    if (!h) {
        return;
    }
    loop_undefer(&h->flush);
    timer_stop(h->opts.loop, &h->retry);
    for (size_t i = 0; i < h->shard_count; i++) {
        parcel_free(h->shards[i].backlog);
        mem_free(h->shards[i].epoch);
    }
    for (size_t i = 0; i < h->table_count; i++) {
        rows_free(h->tables[i]);
    }
    mem_free(h->tables);
    size_t at = 0;
    struct str name;
    void *value = NULL;
    while (map_next(&h->channels, &at, &name, &value)) {
        struct channel_info *info = value;
        mem_free(info->name);
        mem_free(info->type);
        mem_free(info->event);
        mem_free(info);
    }
    map_fini(&h->channels);
    mem_free(h);
}

/* ---- letters, run on the shard's thread ---- */

static void deliver(void *self, void *owned_arg, uint64_t number)
{
    struct fanout *f = self;
    struct parcel *p = owned_arg;
    (void)number;
    for (size_t i = 0; i < p->count; i++) {
        fanout_apply(f, p->frames[i]);
    }
    parcel_free(p);
}

static void deliver_epoch(void *self, void *owned_arg, uint64_t number)
{
    fanout_set_epoch(self, str_of(owned_arg), number);
    mem_free(owned_arg);
}

static void deliver_lost(void *self, void *owned_arg, uint64_t number)
{
    (void)owned_arg;
    fanout_lost(self, number);
}

/* ---- towards the shards ---- */

static void flush_again(void *self)
{
    hub_flush(self);
}

/* False: the mailbox is full. */
static bool flush_shard(struct shard *s)
{
    if (s->lost_seq) {
        if (!mailbox_post(s->mail, deliver_lost, s->fanout, NULL, s->lost_seq)) {
            return false;
        }
        s->lost_seq = 0;
    }
    if (s->epoch) {
        if (!mailbox_post(s->mail, deliver_epoch, s->fanout, s->epoch, s->epoch_seq)) {
            return false;
        }
        s->epoch = NULL;
    }
    if (s->backlog) {
        if (!mailbox_post(s->mail, deliver, s->fanout, s->backlog, 0)) {
            return false;
        }
        s->backlog = NULL;
    }
    return true;
}

void hub_flush(struct hub *h)
{
    bool left = false;
    for (size_t i = 0; i < h->shard_count; i++) {
        left = !flush_shard(&h->shards[i]) || left;
    }
    if (left) {
        timer_start(h->opts.loop, &h->retry, loop_now_ms(h->opts.loop) + 1, flush_again, h);
    }
}

/* A shard that does not keep up for 65,536 messages is told that it lost them: state channels go on
 * with their next value, tables with all rows in their next message, event channels show the gap.
 */
static void drop_backlog(struct hub *h, struct shard *s)
{
    /* Behind an epoch that waits as well, its number says what was lost. */
    uint64_t *lost = s->epoch ? &s->epoch_seq : &s->lost_seq;
    *lost = s->backlog->frames[s->backlog->count - 1]->seq;
    h->dropped += s->backlog->count;
    for (size_t i = 0; i < h->table_count; i++) {
        rows_resend(h->tables[i]);
    }
    parcel_free(s->backlog);
    s->backlog = NULL;
}

static void enqueue(struct hub *h, struct shard *s, struct frame *f)
{
    if (s->backlog && s->backlog->count >= MAX_BACKLOG) {
        drop_backlog(h, s);
    }
    if (!s->backlog) {
        s->backlog = mem_zero(sizeof(*s->backlog));
    }
    struct parcel *p = s->backlog;
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4;
        p->frames = mem_resize(p->frames, p->cap * sizeof(struct frame *));
    }
    p->frames[p->count++] = frame_ref(f);
}

void hub_add_shard(struct hub *h, struct fanout *f, struct mailbox *mail)
{
    if (h->shard_count < MAX_SHARDS) {
        h->shards[h->shard_count++] = (struct shard){.fanout = f, .mail = mail};
        fanout_set_newest(f, &h->newest);
        fanout_set_epoch(f, str_of(h->epoch), h->seq);
    }
}

/* ---- channels and messages ---- */

const struct channel_info *hub_find(const struct hub *h, struct str name)
{
    return map_get(&h->channels, name);
}

static enum err channel_new(struct hub *h, const struct channel_info *want, struct str name,
                            struct str type, struct str event, const struct channel_info **out)
{
    struct channel_info *info = mem_alloc(sizeof(*info));
    enum err e = map_put(&h->channels, name, info);
    if (e != OK) {
        mem_free(info);
        return e;
    }
    *info = *want;
    info->id = (uint32_t)h->channel_count++;
    info->name = mem_copy_text(name.ptr, name.len);
    info->type = mem_copy_text(type.ptr, type.len);
    info->event = mem_copy_text(event.ptr, event.len);
    info->history_count = h->opts.history_count;
    info->history_bytes = h->opts.history_bytes;
    info->history_ms = h->opts.history_ms;
    *out = info;
    return OK;
}

enum err hub_channel(struct hub *h, struct str name, struct str type, enum channel_class class,
                     const struct channel_info **out)
{
    const struct channel_info *info = map_get(&h->channels, name);
    if (info) {
        *out = info;
        return OK;
    }
    return channel_new(h, &(struct channel_info){.class = class}, name, type, type, out);
}

enum err hub_table(struct hub *h, struct str name, struct str type, struct str event,
                   const char *const *fields, size_t field_count, const struct channel_info **out)
{
    const struct channel_info *info = map_get(&h->channels, name);
    if (info) {
        *out = info;
        return OK;
    }
    struct channel_info want = {
        .class = CHANNEL_TABLE, .fields = fields, .field_count = field_count};
    enum err e = channel_new(h, &want, name, type, event, out);
    if (e == OK) {
        h->tables = mem_resize(h->tables, (h->table_count + 1) * sizeof(*h->tables));
        h->tables[h->table_count++] = rows_new(*out);
    }
    return e;
}

uint64_t hub_next_seq(const struct hub *h)
{
    return h->seq + 1;
}

void hub_cursor(const struct hub *h, uint64_t seq, char out[CURSOR_LEN + 1])
{
    snprintf(out, CURSOR_LEN + 1, "%s-%llu", h->epoch, (unsigned long long)seq);
}

/* Takes over the caller's reference. */
static void publish(struct hub *h, struct frame *f)
{
    atomic_store_explicit(&h->newest, f->seq, memory_order_release);
    for (size_t i = 0; i < h->shard_count; i++) {
        enqueue(h, &h->shards[i], f);
    }
    if (h->tap) {
        char cursor[CURSOR_LEN + 1];
        hub_cursor(h, f->seq, cursor);
        h->tap(h->tap_self, f, str_of(cursor));
    }
    frame_unref(f);
    loop_defer(h->opts.loop, &h->flush, flush_again, h);
}

void hub_publish_data(struct hub *h, const struct channel_info *channel, uint32_t key,
                      struct str payload, struct str data, uint64_t origin_us)
{
    struct frame *f = frame_new(channel, key, ++h->seq, loop_now_ms(h->opts.loop), payload, data);
    f->origin_us = origin_us;
    publish(h, f);
}

void hub_publish(struct hub *h, const struct channel_info *channel, uint32_t key,
                 struct str payload)
{
    hub_publish_data(h, channel, key, payload, (struct str){0}, 0);
}

void hub_publish_rows(struct hub *h, const struct channel_info *channel, const struct hub_row *rows,
                      size_t count, int64_t wall_ms, const char *mode, uint64_t origin_us)
{
    char cursor[CURSOR_LEN + 1];
    struct rows *table = NULL;
    for (size_t i = 0; i < h->table_count; i++) {
        table = rows_channel(h->tables[i]) == channel ? h->tables[i] : table;
    }
    assert(table);
    hub_cursor(h, h->seq + 1, cursor);
    struct frame *f = rows_apply(table, rows, count,
                                 &(struct rows_head){.seq = h->seq + 1,
                                                     .at_ms = loop_now_ms(h->opts.loop),
                                                     .wall_ms = wall_ms,
                                                     .mode = mode,
                                                     .cursor = cursor});
    if (f) {
        h->seq++;
        f->origin_us = origin_us;
        publish(h, f);
    }
}

void hub_new_epoch(struct hub *h)
{
    hub_flush(h);
    make_epoch(h);
    for (size_t i = 0; i < h->table_count; i++) {
        rows_reset(h->tables[i]);
    }
    for (size_t i = 0; i < h->shard_count; i++) {
        struct shard *s = &h->shards[i];
        if (s->backlog) {
            drop_backlog(h, s); /* of the old epoch: of no use to anyone now */
        }
        mem_free(s->epoch);
        s->epoch = mem_copy_text(h->epoch, strlen(h->epoch));
        s->epoch_seq = h->seq;
    }
    hub_flush(h);
}

void hub_tap(struct hub *h, hub_tap_fn fn, void *self)
{
    h->tap = fn;
    h->tap_self = self;
}

uint64_t hub_dropped(const struct hub *h)
{
    return h->dropped;
}
