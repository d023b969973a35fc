/* Channels, messages and subscriptions of one shard. SPDX-License-Identifier: MIT */
#include "hub/fanout.h"

#include "base/alloc.h"
#include "hub/fanout_in.h"
#include "wire/deflate.h"

#include <assert.h>

enum { CHANNELS_MAX = 20000 };

struct fanout *fanout_new(const struct fanout_opts *opts)
{
    struct fanout *f = mem_zero(sizeof(*f));
    f->opts = *opts;
    f->opts.slice = opts->slice ? opts->slice : 256;
    f->opts.max_subs = opts->max_subs ? opts->max_subs : 100;
    f->opts.drain_bytes = opts->drain_bytes ? opts->drain_bytes : (size_t)48 << 10;
    f->loop = opts->loop;
    map_init(&f->names, CHANNELS_MAX);
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

static struct chan *chan_named(struct fanout *f, struct str name, enum channel_class class)
{
    struct chan *c = map_get(&f->names, name);
    if (!c) {
        c = chan_new(name, class, f->chan_count, f->floor);
        if (map_put(&f->names, name, c) != OK) {
            chan_free(c);
            return NULL;
        }
        f->chan_count++;
    }
    return c;
}

void chan_release(struct fanout *f, struct chan *c)
{
    if (!c->info && c->group_count == 0) {
        map_remove(&f->names, c->name);
        chan_free(c);
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
        struct chan *c = chan_named(f, str_of(info->name), info->class);
        if (c) {
            c->info = info;
            c->class = info->class;
            if (c->class == CHANNEL_TABLE) {
                become_table(c);
            }
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
    if (!c) {
        f->floor = frame->seq; /* clients filled the table with names; nobody wants this one */
        return;
    }
    if (c->class == CHANNEL_TABLE) {
        chan_apply(c, frame);
        table_publish(f, c, frame);
        return;
    }
    /* Before the channel counts the message, or those who stall here would count as having it.
     * Downwards: a group that ends meanwhile is replaced by one that was looked at. */
    for (size_t i = c->group_count; i > 0; i--) {
        group_make_room(c->groups[i - 1].group);
    }
    chan_apply(c, frame);
    for (size_t i = 0; i < c->group_count; i++) {
        group_publish(c->groups[i].group, c->groups[i].sub, frame);
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

/* ---- subscriptions ---- */

/* The member's wants as they are now, with room for one more. */
static struct group_want *wants_of(const struct member *m, size_t more, size_t *count)
{
    size_t n = m->group ? m->group->sub_count : 0;
    struct group_want *wants = mem_array(n + more, sizeof(*wants));
    for (size_t i = 0; i < n; i++) {
        const struct gsub *s = &m->group->subs[i];
        wants[i] = (struct group_want){.chan = s->chan,
                                       .interval_ms = s->interval_ms,
                                       .repeat_ms = s->repeat_ms,
                                       .keys = keyset_ref(s->keys),
                                       .delta = s->delta};
    }
    *count = n;
    return wants;
}

static void wants_free(struct fanout *f, struct group_want *wants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        keyset_unref(&f->sets, wants[i].keys);
    }
    mem_free(wants);
}

static struct group_want want_of(struct fanout *f, struct chan *c, enum frame_form form,
                                 const struct fanout_sub *sub)
{
    bool deltas = form == FORM_WS || form == FORM_WS_DEFLATE || form == FORM_MSGPACK;
    bool poll = form == FORM_POLL;
    return (struct group_want){
        .chan = c,
        .interval_ms = poll ? 0 : sub->interval_ms,
        .repeat_ms = poll ? 0 : sub->repeat_ms,
        .keys = sub->key_count ? keyset_intern(&f->sets, sub->keys, sub->key_count) : NULL,
        .delta = sub->delta && deltas};
}

static bool names(const struct fanout_sub *subs, size_t count, const struct chan *c)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(subs[i].channel, c->name)) {
            return true;
        }
    }
    return false;
}

/* Gives a live member what its group still has for it: the rest of the log, and what is held back
 * of the channels not named in `subs`. False: it left over that. */
static bool settle(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t count)
{
    struct group *g = m->group;
    if (m->state != MEMBER_LIVE || g->form == FORM_POLL) {
        return true;
    }
    struct place *p = &g->live[m->slot];
    struct buf due = {0};
    if (p->pos < group_end(g)) {
        buf_add(&due, g->bytes.ptr + (p->pos - g->base), group_end(g) - p->pos);
    }
    for (size_t i = 0; i < g->sub_count; i++) {
        const struct gsub *s = &g->subs[i];
        for (size_t k = 0; k < s->held_count && !names(subs, count, s->chan); k++) {
            frame_append(s->held[k], g->form, (struct str){0}, f->deflater, &due);
        }
        if (s->table && !names(subs, count, s->chan)) {
            table_write_held(g, (uint32_t)i, &due);
        }
    }
    if (due.len) {
        p->pos = group_end(g);
        f->stats.deliveries++;
        f->stats.bytes += due.len;
        f->opts.ops->write(m, buf_str(&due));
    }
    buf_fini(&due);
    if (m->state == MEMBER_LIVE && f->opts.ops->pending(m) > 0) {
        fanout_stall(f, m);
    }
    return m->state != MEMBER_NONE;
}

/* What a stalled member has of a subscription of the group it goes to. */
static struct lag_sub lag_of(const struct member *m, const struct gsub *to)
{
    const struct chan *c = to->chan;
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        const struct gsub *from = &m->group->subs[i];
        if (from->chan == c && to->table) {
            uint64_t missed = from->table->rows_out - m->lag->subs[i].count;
            return (struct lag_sub){.seq = m->lag->subs[i].seq,
                                    .count = to->table->rows_out - missed};
        }
        if (from->chan == c) {
            return m->lag->subs[i];
        }
    }
    if (to->table) {
        return (struct lag_sub){.seq = to->table->base, .count = to->table->rows_out};
    }
    return (struct lag_sub){.seq = c->last_seq, .count = c->count};
}

static void leave_group(struct fanout *f, struct member *m)
{
    struct group *g = m->group;
    if (m->state == MEMBER_LIVE) {
        group_remove_live(g, m);
    } else if (m->state == MEMBER_STALLED) {
        g->stalled--;
        f->stats.stalled--;
        mem_free(m->lag);
        m->lag = NULL;
    }
    m->group = NULL;
    m->state = MEMBER_NONE;
    group_release(g);
}

/* Moves a member to the group of `wants`, live as live and stalled as stalled. */
static void move(struct fanout *f, struct member *m, enum frame_form form, struct group_want *wants,
                 size_t count)
{
    struct lag *lag = NULL;
    /* The new group first: it holds the channels while the old one may go. */
    struct group *g = group_intern(f, form, wants, count);
    if (g == m->group) {
        table_joined(g); /* it was given the newest of what was replaced by the same */
        return;
    }
    group_pin(g);
    if (m->state == MEMBER_STALLED) {
        lag = lag_new(g);
        for (uint32_t i = 0; i < g->sub_count; i++) {
            lag->subs[i] = lag_of(m, &g->subs[i]);
        }
    }
    if (m->group) {
        leave_group(f, m);
    }
    if (lag) {
        m->group = g;
        m->lag = lag;
        m->state = MEMBER_STALLED;
        f->stats.stalled++;
        return; /* the pin becomes its place */
    }
    group_add(g, m);
    group_unpin(g);
}

enum err fanout_subscribe(struct fanout *f, struct member *m, enum frame_form form,
                          const struct fanout_sub *sub)
{
    return fanout_join(f, m, form, sub, 1);
}

static bool keys_valid(const struct fanout_sub *sub)
{
    for (size_t i = 0; i < sub->key_count; i++) {
        if (sub->keys[i] > TABLE_KEY_MAX) {
            return false;
        }
    }
    return true;
}

enum err fanout_join(struct fanout *f, struct member *m, enum frame_form form,
                     const struct fanout_sub *subs, size_t more)
{
    size_t count = 0;
    if (!settle(f, m, subs, more)) {
        return ERR_CLOSED;
    }
    struct group_want *wants = wants_of(m, more, &count);
    enum err e = OK;
    for (size_t i = 0; i < more && e == OK; i++) {
        struct chan *c = chan_named(f, subs[i].channel, CHANNEL_EVENT);
        size_t at = 0;
        while (at < count && wants[at].chan != c) {
            at++;
        }
        if (!c || at >= f->opts.max_subs || !keys_valid(&subs[i])) {
            if (c) {
                chan_release(f, c);
            }
            e = ERR_LIMIT;
            break;
        }
        keyset_unref(&f->sets, at < count ? wants[at].keys : NULL);
        wants[at] = want_of(f, c, form, &subs[i]);
        count = max_size(count, at + 1);
    }
    if (e == OK) {
        f->stats.members += m->group ? 0 : 1;
        move(f, m, form, wants, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            chan_release(f, wants[i].chan);
        }
    }
    wants_free(f, wants, count);
    return e;
}

enum err fanout_unsubscribe(struct fanout *f, struct member *m, struct str channel)
{
    size_t count = 0;
    if (!fanout_subscribed(f, m, channel)) {
        return ERR_NOT_FOUND;
    }
    if (!settle(f, m, &(struct fanout_sub){.channel = channel}, 1)) {
        return OK;
    }
    struct group_want *wants = wants_of(m, 0, &count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(wants[i].chan->name, channel)) {
            wants[kept++] = wants[i];
        } else {
            keyset_unref(&f->sets, wants[i].keys);
        }
    }
    if (kept) {
        move(f, m, m->group->form, wants, kept);
    } else {
        fanout_leave(f, m);
    }
    wants_free(f, wants, kept);
    return OK;
}

static const struct gsub *sub_named(const struct fanout *f, const struct member *m,
                                    struct str channel)
{
    const struct chan *c = map_get(&f->names, channel);
    for (size_t i = 0; m->group && i < m->group->sub_count; i++) {
        if (m->group->subs[i].chan == c) {
            return &m->group->subs[i];
        }
    }
    return NULL;
}

bool fanout_sub_of(const struct fanout *f, const struct member *m, struct str channel,
                   struct fanout_sub *out)
{
    const struct gsub *s = sub_named(f, m, channel);
    if (s) {
        *out = (struct fanout_sub){.channel = s->chan->name,
                                   .interval_ms = s->interval_ms,
                                   .keys = s->keys ? s->keys->keys : NULL,
                                   .key_count = s->keys ? s->keys->count : 0,
                                   .delta = s->delta,
                                   .repeat_ms = s->repeat_ms};
    }
    return s != NULL;
}

/* Moves it to the same subscriptions with another set of keys in one of them. */
static void replace_keys(struct fanout *f, struct member *m, const struct chan *c,
                         struct keyset *owned_keys)
{
    size_t count = 0;
    struct group_want *wants = wants_of(m, 0, &count);
    for (size_t i = 0; i < count; i++) {
        if (wants[i].chan == c) {
            keyset_unref(&f->sets, wants[i].keys);
            wants[i].keys = owned_keys;
        }
    }
    move(f, m, m->group->form, wants, count);
    wants_free(f, wants, count);
}

enum err fanout_sub_keys(struct fanout *f, struct member *m, struct str channel,
                         const uint32_t *keys, size_t count, bool add)
{
    const struct gsub *s = sub_named(f, m, channel);
    if (!s) {
        return ERR_NOT_FOUND;
    }
    if (!keys_valid(&(struct fanout_sub){.keys = keys, .key_count = count})) {
        return ERR_LIMIT;
    }
    if (!s->keys) {
        return add ? OK : ERR_UNSUPPORTED;
    }
    struct keyset *changed = keyset_change(&f->sets, s->keys, keys, count, add);
    if (!changed) {
        return fanout_unsubscribe(f, m, channel);
    }
    if (!settle(f, m, NULL, 0)) {
        keyset_unref(&f->sets, changed);
        return ERR_CLOSED;
    }
    replace_keys(f, m, map_get(&f->names, channel), changed);
    return OK;
}

bool fanout_subscribed(const struct fanout *f, const struct member *m, struct str channel)
{
    return sub_named(f, m, channel) != NULL;
}

size_t fanout_sub_count(const struct member *m)
{
    return m->group ? m->group->sub_count : 0;
}

void fanout_leave(struct fanout *f, struct member *m)
{
    if (m->group) {
        f->stats.members--;
        leave_group(f, m);
    }
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
    return read_cursor(f, cursor, &value) && value > f->seq;
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
    for (size_t i = 0; i < list.count; i++) {
        frame_append(list.frames[i], form, str_of(f->epoch), f->deflater, out);
    }
    size_t n = list.count;
    uint64_t top_seq = n ? list.frames[n - 1]->seq : 0;
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
