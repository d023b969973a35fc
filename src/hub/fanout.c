/* Channels and messages of one shard, and what of them clients catch up on.
 * SPDX-License-Identifier: MIT */
#include "hub/fanout.h"

#include "base/alloc.h"
#include "hub/fanout_in.h"
#include "wire/deflate.h"

#include <assert.h>
#include <stdatomic.h>

/* Channels that are published are bounded by the hub; these are what only clients named. */
enum { WISHED_MAX = 16000 };

struct fanout *fanout_new(const struct fanout_opts *opts)
{
    struct fanout *f = mem_zero(sizeof(*f));
    f->opts = *opts;
    f->opts.slice = opts->slice ? opts->slice : 256;
    f->opts.max_subs = opts->max_subs ? opts->max_subs : 100;
    f->opts.drain_bytes = opts->drain_bytes ? opts->drain_bytes : (size_t)48 << 10;
    f->opts.log_bytes = opts->log_bytes ? opts->log_bytes : (size_t)1 << 20;
    f->loop = opts->loop;
    map_init(&f->names, 0);
    map_init(&f->groups, 0);
    map_init(&f->sets, 0);
    list_init(&f->dirty);
    f->deflater = deflater_new(opts->window_bits ? opts->window_bits : 12,
                               opts->deflate_level ? opts->deflate_level : 1, 5);
    f->out = mem_array(f->opts.slice, sizeof(*f->out));
    f->sent = mem_array(f->opts.slice, sizeof(*f->sent));
    loop_add_flush(f->loop, &f->hook, fanout_flush, f);
    return f;
}

void fanout_free(struct fanout *f)
{
    if (!f) {
        return;
    }
    size_t at = 0;
    struct str name;
    void *value = NULL;
    assert(f->groups.count == 0 && f->sets.count == 0);
    loop_remove_flush(&f->hook);
    while (map_next(&f->names, &at, &name, &value)) {
        chan_free(value);
    }
    map_fini(&f->names);
    map_fini(&f->groups);
    map_fini(&f->sets);
    picks_fini(&f->picks);
    memo_fini(&f->memo);
    mem_free(f->touched.of);
    deflater_free(f->deflater);
    buf_fini(&f->scratch);
    mem_free(f->by_id);
    mem_free(f->out);
    mem_free(f->sent);
    mem_free(f);
}

/* ---- channels ---- */

static struct chan *channel_new(struct fanout *f, struct str name, enum channel_class class)
{
    struct chan *c = chan_new(name, class, f->chan_count++, f->floor);
    enum err e = map_put(&f->names, name, c);
    assert(e == OK); /* the map has no ceiling */
    (void)e;
    return c;
}

struct chan *chan_wished(struct fanout *f, struct str name)
{
    struct chan *c = map_get(&f->names, name);
    if (!c && f->wished < WISHED_MAX) {
        c = channel_new(f, name, CHANNEL_EVENT);
        f->wished++;
    }
    return c;
}

void chan_release(struct fanout *f, struct chan *c)
{
    if (!c->info && c->group_count == 0) {
        map_remove(&f->names, c->name);
        chan_free(c);
        f->wished--;
    }
}

/* The first message of a channel says what it is; groups may want it for long. */
static void become_table(struct chan *c)
{
    c->table = table_new();
    for (size_t i = 0; i < c->group_count; i++) {
        table_attach(c->groups[i].group, c->groups[i].sub);
        table_joined(c->groups[i].group);
    }
}

static struct chan *chan_of(struct fanout *f, const struct channel_info *info)
{
    if (info->id >= f->by_id_count) {
        size_t count = max_size(info->id + 1, f->by_id_count * 2);
        f->by_id = mem_resize(f->by_id, count * sizeof(struct chan *));
        memset(f->by_id + f->by_id_count, 0, (count - f->by_id_count) * sizeof(struct chan *));
        f->by_id_count = count;
    }
    if (!f->by_id[info->id]) {
        struct chan *c = map_get(&f->names, str_of(info->name));
        if (c) {
            f->wished--;
        } else {
            c = channel_new(f, str_of(info->name), info->class);
        }
        c->info = info;
        c->class = info->class;
        if (c->class == CHANNEL_TABLE) {
            become_table(c);
        }
        f->by_id[info->id] = c;
    }
    return f->by_id[info->id];
}

/* ---- from the hub ---- */

void fanout_apply(struct fanout *f, struct frame *frame)
{
    struct chan *c = chan_of(f, frame->channel);
    f->seq = frame->seq;
    if (c->class == CHANNEL_TABLE) {
        chan_apply(c, frame);
        table_publish(f, c, frame);
        return;
    }
    /* Before the channel counts the message, or those who stall here would count as having it.
     * Downwards, both: a group that ends meanwhile is replaced by one that was looked at. */
    for (size_t i = c->group_count; i > 0; i--) {
        group_make_room(c->groups[i - 1].group);
    }
    chan_apply(c, frame);
    for (size_t i = c->group_count; i > 0; i--) {
        group_publish(c->groups[i - 1].group, c->groups[i - 1].sub, frame);
    }
}

void fanout_set_epoch(struct fanout *f, struct str epoch, uint64_t seq)
{
    size_t at = 0;
    struct str name;
    void *value = NULL;
    size_t len = min_size(epoch.len, sizeof(f->epoch) - 1);
    if (f->epoch[0] && seq > f->seq) {
        fanout_lost(f, seq); /* the rest of the old epoch */
    }
    memcpy(f->epoch, epoch.ptr, len);
    f->epoch[len] = '\0';
    f->seq = f->floor = seq;
    while (map_next(&f->names, &at, &name, &value)) {
        chan_reset(value, seq);
    }
    at = 0;
    while (map_next(&f->groups, &at, &name, &value)) {
        struct group *g = value;
        group_drop_held(g);
        if (g->form == FORM_POLL) {
            answer_polls(g, true);
        }
    }
}

/* Live members find out like stalled ones: by being served from the channels. */
static void stall_all(struct fanout *f, struct group *g)
{
    group_pin(g);
    for (uint32_t i = g->live_count; i > 0; i--) {
        fanout_stall(f, g->live[i - 1].member);
    }
    group_unpin(g);
}

void fanout_lost(struct fanout *f, uint64_t seq)
{
    size_t at = 0;
    struct str name;
    void *value = NULL;
    f->seq = f->floor = seq;
    while (map_next(&f->names, &at, &name, &value)) {
        struct chan *c = value;
        if (c->class == CHANNEL_EVENT) {
            chan_lose(c, seq);
        }
    }
    at = 0;
    while (map_next(&f->groups, &at, &name, &value)) {
        struct group *g = value;
        if (g->form == FORM_POLL) {
            answer_polls(g, true);
        } else {
            stall_all(f, g);
        }
    }
    /* Last, for it says what those who were live had. */
    at = 0;
    while (map_next(&f->names, &at, &name, &value)) {
        struct chan *c = value;
        c->last_seq = c->class == CHANNEL_EVENT ? seq : c->last_seq;
    }
}

void fanout_set_newest(struct fanout *f, const _Atomic uint64_t *newest)
{
    f->newest = newest;
}

/* ---- catching up ---- */

static bool read_cursor(const struct fanout *f, struct str cursor, uint64_t *seq)
{
    size_t dash = str_find(cursor, '-', 0);
    return dash != SIZE_MAX && str_eq(str_sub(cursor, 0, dash), str_of(f->epoch)) &&
           str_to_u64(str_from(cursor, dash + 1), seq) == OK;
}

bool fanout_cursor(const struct fanout *f, struct str cursor, uint64_t *seq)
{
    uint64_t value = 0;
    if (!read_cursor(f, cursor, &value) || value > f->seq) {
        return false;
    }
    *seq = value;
    return true;
}

bool fanout_cursor_ahead(const struct fanout *f, struct str cursor)
{
    uint64_t value = 0;
    return f->newest && read_cursor(f, cursor, &value) && value > f->seq &&
           value <= atomic_load_explicit(f->newest, memory_order_acquire);
}

size_t fanout_collect(struct fanout *f, const struct fanout_sub *subs, size_t count,
                      const struct str *since, bool state_too, enum frame_form form,
                      struct buf *out, struct fanout_resume *resume)
{
    struct frame_list list = {0};
    uint64_t seq = 0;
    bool known = since && fanout_cursor(f, *since, &seq);
    *resume = (struct fanout_resume){.recovered = known, .reset = since && !known};
    for (size_t i = 0; i < count; i++) {
        struct chan *c = map_get(&f->names, subs[i].channel);
        if (!c || !c->info) {
            if (known && seq < f->floor) {
                *resume = (struct fanout_resume){.reset = true};
            }
            continue;
        }
        chan_trim(c, loop_now_ms(f->loop));
        if (c->class == CHANNEL_TABLE) {
            continue;
        }
        if (c->class == CHANNEL_STATE) {
            chan_after(c, state_too || !known ? 0 : seq, SIZE_MAX, &list);
        } else if (known && c->trimmed_seq > seq) {
            resume->recovered = false;
            resume->reset = true;
            chan_after(c, c->trimmed_seq, SIZE_MAX, &list);
        } else if (since) {
            chan_after(c, known ? seq : 0, SIZE_MAX, &list);
        }
    }
    frame_list_sort(&list);
    size_t n = 0;
    for (size_t start = out->len; n < list.count && out->len - start <= FANOUT_COLLECT_BYTES; n++) {
        frame_append(list.frames[n], form, str_of(f->epoch), f->deflater, out);
    }
    uint64_t top_seq = n ? list.frames[n - 1]->seq : 0;
    resume->cut_seq = n < list.count ? top_seq : 0;
    for (size_t i = 0; i < count; i++) {
        struct chan *c = map_get(&f->names, subs[i].channel);
        if (c && c->table) {
            n +=
                table_write_rows(f, c, &subs[i], state_too || !known ? 0 : seq, form, top_seq, out);
        }
    }
    f->stats.deliveries += n;
    frame_list_fini(&list);
    return n;
}

struct fanout_resume fanout_catch_up(struct fanout *f, const struct fanout_sub *sub,
                                     const struct str *since, enum frame_form form, struct buf *out)
{
    struct fanout_resume resume;
    (void)fanout_collect(f, sub, 1, since, true, form, out, &resume);
    return resume;
}

struct str fanout_last(struct fanout *f, struct str channel)
{
    const struct chan *c = map_get(&f->names, channel);
    return c && c->last_count ? frame_payload(c->last[0]) : (struct str){0};
}

void fanout_cursor_text(const struct fanout *f, char out[CURSOR_LEN + 1])
{
    snprintf(out, CURSOR_LEN + 1, "%s-%llu", f->epoch, (unsigned long long)f->seq);
}

uint64_t fanout_member_lag_us(const struct member *m)
{
    return m->group ? m->group->lag_us : 0;
}

void fanout_stats(const struct fanout *f, struct fanout_stats *out)
{
    *out = f->stats;
    out->groups = f->groups.count;
    out->channels = f->names.count;
    out->seq = f->seq;
}
