/* Groups: the interned sets of subscriptions, their dense arrays and their logs.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "hub/fanout_in.h"

#include <assert.h>

enum { LOG_KEEP = 64 << 10 };

static int by_channel(const void *a, const void *b)
{
    uint32_t ia = ((const struct group_want *)a)->chan->index;
    uint32_t ib = ((const struct group_want *)b)->chan->index;
    return ia < ib ? -1 : ia > ib;
}

static void make_key(enum frame_form form, const struct group_want *wants, size_t count,
                     struct buf *out)
{
    buf_add_char(out, (char)form);
    for (size_t i = 0; i < count; i++) {
        const struct group_want *w = &wants[i];
        char options = (char)((w->keys ? 1 : 0) | (w->delta ? 2 : 0) | (w->repeat_ms ? 4 : 0));
        buf_add(out, &w->chan->index, sizeof(uint32_t));
        buf_add(out, &w->interval_ms, sizeof(uint32_t));
        buf_add_char(out, options);
        if (w->keys) {
            buf_add(out, &w->keys, sizeof(struct keyset *)); /* the same set is the same object */
        }
        if (w->repeat_ms) {
            buf_add(out, &w->repeat_ms, sizeof(uint32_t));
        }
    }
}

static void link_sub(struct group *g, uint32_t sub)
{
    struct chan *c = g->subs[sub].chan;
    if (c->group_count == c->group_cap) {
        c->group_cap = c->group_cap ? c->group_cap * 2 : 4;
        c->groups = mem_resize(c->groups, c->group_cap * sizeof(*c->groups));
    }
    g->subs[sub].chan_slot = (uint32_t)c->group_count;
    c->groups[c->group_count++] = (struct chan_group){.group = g, .sub = sub};
}

static void unlink_sub(struct gsub *s)
{
    struct chan *c = s->chan;
    struct chan_group moved = c->groups[--c->group_count];
    c->groups[s->chan_slot] = moved;
    moved.group->subs[moved.sub].chan_slot = s->chan_slot;
}

struct group *group_intern(struct fanout *f, enum frame_form form, struct group_want *wants,
                           size_t count)
{
    struct buf key = {0};
    qsort(wants, count, sizeof(*wants), by_channel);
    make_key(form, wants, count, &key);
    struct group *g = map_get(&f->groups, buf_str(&key));
    if (g) {
        buf_fini(&key);
        return g;
    }
    g = mem_zero(sizeof(*g) + count * sizeof(struct gsub));
    g->fanout = f;
    g->form = form;
    g->sub_count = count;
    list_init(&g->dirty);
    for (uint32_t i = 0; i < count; i++) {
        g->subs[i] = (struct gsub){.chan = wants[i].chan,
                                   .interval_ms = wants[i].interval_ms,
                                   .repeat_ms = wants[i].repeat_ms,
                                   .keys = keyset_ref(wants[i].keys),
                                   .delta = wants[i].delta};
        link_sub(g, i);
        if (wants[i].chan->table) {
            table_attach(g, i);
        }
    }
    g->key = str_make(mem_copy_text(key.ptr, key.len), key.len);
    buf_fini(&key);
    enum err e = map_put(&f->groups, g->key, g);
    assert(e == OK); /* the map has no ceiling: groups are bounded by members */
    (void)e;
    return g;
}

static void drop_held(struct gsub *s)
{
    for (size_t i = 0; i < s->held_count; i++) {
        frame_unref(s->held[i]);
    }
    mem_free(s->held);
    s->held = NULL;
    s->held_count = 0;
}

void group_drop_held(struct group *g)
{
    for (size_t i = 0; i < g->sub_count; i++) {
        drop_held(&g->subs[i]);
        newcomers_forget(&g->subs[i]);
        if (g->subs[i].table) {
            table_forget(&g->subs[i]);
        }
    }
}

/* A pin counts as one more member that is not live. */
void group_pin(struct group *g)
{
    g->stalled++;
}

void group_unpin(struct group *g)
{
    g->stalled--;
    group_release(g);
}

void group_release(struct group *g)
{
    struct fanout *f = g->fanout;
    if (g->live_count || g->stalled) {
        return;
    }
    timer_stop(f->loop, &g->timer);
    list_remove(&g->dirty);
    group_drop_held(g);
    for (size_t i = 0; i < g->sub_count; i++) {
        assert(!g->subs[i].newcomers);
        unlink_sub(&g->subs[i]);
        if (g->subs[i].table) {
            table_detach(g, (uint32_t)i);
        }
        keyset_unref(&f->sets, g->subs[i].keys);
        chan_release(f, g->subs[i].chan);
    }
    map_remove(&f->groups, g->key);
    mem_free((char *)(uintptr_t)g->key.ptr);
    mem_free(g->live);
    mem_free(g->entries);
    f->stats.log_bytes -= g->bytes.len;
    buf_fini(&g->bytes);
    mem_free(g);
}

/* ---- members ---- */

uint64_t group_end(const struct group *g)
{
    return g->base + g->bytes.len;
}

void group_add(struct group *g, struct member *m)
{
    if (g->live_count == g->live_cap) {
        /* Growing by an eighth: the array is most of what a subscription costs. */
        g->live_cap = g->live_cap + (g->live_cap >> 3) + 1;
        g->live = mem_resize(g->live, g->live_cap * sizeof(*g->live));
    }
    m->group = g;
    m->state = MEMBER_LIVE;
    m->slot = g->live_count;
    g->live[g->live_count++] =
        (struct place){.member = m, .stream = m->stream, .pos = group_end(g)};
    table_joined(g);
    newcomers_add(g, m);
}

static void move_place(struct group *g, uint32_t from, uint32_t to)
{
    if (from != to) {
        g->live[to] = g->live[from];
        g->live[to].member->slot = to;
    }
}

/* The part below `next` was served in this pass and must stay a prefix: the hole is filled from its
 * end, and that hole from the end of the array. */
void group_remove_live(struct group *g, struct member *m)
{
    uint32_t hole = m->slot;
    assert(m->state == MEMBER_LIVE && g->live[hole].member == m);
    newcomers_remove(g, m);
    if (hole < g->next) {
        move_place(g, g->next - 1, hole);
        hole = --g->next;
    }
    move_place(g, --g->live_count, hole);
    m->state = MEMBER_NONE;
    if (g->live_count == 0 && !g->lent) {
        group_empty_log(g);
    }
}

/* ---- the log ---- */

void group_empty_log(struct group *g)
{
    g->fanout->stats.log_bytes -= g->bytes.len;
    g->base = group_end(g);
    g->next = 0;
    g->entry_count = 0;
    if (g->bytes.cap > LOG_KEEP || g->live_count < 64) {
        buf_fini(&g->bytes); /* many small groups must not each keep a buffer */
    } else {
        buf_clear(&g->bytes);
    }
    if (g->live_count < 64) {
        mem_free(g->entries);
        g->entries = NULL;
        g->entry_cap = 0;
    }
    list_remove(&g->dirty);
}

/* All that are left in the array then stand at the end. */
static void stall_all_behind(struct group *g)
{
    for (uint32_t i = g->live_count; i > 0; i--) {
        struct place p = g->live[i - 1];
        if (p.pos < group_end(g)) {
            stall_at(g, p.member, p.pos);
        }
    }
    group_empty_log(g);
}

void group_make_room(struct group *g)
{
    if (g->bytes.len > g->fanout->opts.log_bytes && g->form != FORM_POLL) {
        group_pin(g);
        stall_all_behind(g);
        group_unpin(g);
    }
}

void group_logged(struct group *g, size_t before, const struct log_entry *entry, uint64_t origin_us)
{
    struct fanout *f = g->fanout;
    f->stats.log_bytes += g->bytes.len - before;
    if (g->entry_count == g->entry_cap) {
        g->entry_cap = g->entry_cap ? g->entry_cap * 2 : 2;
        g->entries = mem_resize(g->entries, g->entry_cap * sizeof(*g->entries));
    }
    g->entries[g->entry_count] = *entry;
    g->entries[g->entry_count++].end = group_end(g);
    if (!list_linked(&g->dirty)) {
        g->next = 0;
        g->began_us = loop_now_us(f->loop);
        g->origin_us = g->next_origin_us = 0;
        list_push(&f->dirty, &g->dirty);
    }
    uint64_t *origin = g->next == 0 ? &g->origin_us : &g->next_origin_us;
    if (origin_us && (*origin == 0 || origin_us < *origin)) {
        *origin = origin_us;
    }
    if (g->next == 0) {
        g->pass_end = group_end(g);
    }
}

static void append(struct group *g, uint32_t sub, struct frame *frame)
{
    struct fanout *f = g->fanout;
    bool late = frame->seq < g->top_seq; /* was held back while others went out */
    g->top_seq = max_u64(g->top_seq, frame->seq);
    if (g->live_count == 0) {
        return; /* the stalled ones take it from the channel when they drain */
    }
    size_t before = g->bytes.len;
    /* A late one has no id: it would lead a client that comes back to what it has already. */
    frame_append(frame, g->form, late ? (struct str){0} : str_of(f->epoch), f->deflater, &g->bytes);
    group_logged(g, before,
                 &(struct log_entry){.seq = frame->seq, .from = frame->seq - 1, .sub = sub},
                 frame->origin_us);
}

/* ---- rate limits: the newest of each key waits until its subscription is due ---- */

static void hold(struct gsub *s, struct frame *frame)
{
    for (size_t i = 0; i < s->held_count; i++) {
        if (s->held[i]->key == frame->key) {
            frame_unref(s->held[i]);
            s->held[i] = frame_ref(frame);
            return;
        }
    }
    s->held = mem_resize(s->held, (s->held_count + 1) * sizeof(*s->held));
    s->held[s->held_count++] = frame_ref(frame);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t sa = (*(struct frame *const *)a)->seq;
    uint64_t sb = (*(struct frame *const *)b)->seq;
    return sa > sb ? -1 : sa < sb;
}

static void release_held(struct group *g, uint32_t sub, uint64_t now)
{
    struct gsub *s = &g->subs[sub];
    s->next_due_ms = now + s->interval_ms;
    if (s->held_count) {
        newcomers_stand_aside(g, sub);
        qsort(s->held, s->held_count, sizeof(*s->held), newest_first);
        for (size_t k = s->held_count; k > 0; k--) {
            append(g, sub, s->held[k - 1]);
        }
        drop_held(s);
        newcomers_pass_by(g, sub);
    }
    newcomers_serve(g, sub);
}

static void release_due(void *self)
{
    struct group *g = self;
    uint64_t now = loop_now_ms(g->fanout->loop);
    uint64_t next = UINT64_MAX;
    group_pin(g);
    group_make_room(g);
    for (uint32_t i = 0; i < g->sub_count; i++) {
        struct gsub *s = &g->subs[i];
        if (s->table) {
            next = min_u64(next, table_release_due(g, i));
            continue;
        }
        if (s->held_count == 0 && !newcomers_owed(s)) {
            continue;
        }
        if (s->next_due_ms <= now) {
            release_held(g, i, now);
        }
        if (s->held_count || newcomers_owed(s)) {
            next = min_u64(next, s->next_due_ms);
        }
    }
    if (next != UINT64_MAX) {
        timer_start(g->fanout->loop, &g->timer, next, release_due, g);
    }
    group_unpin(g);
}

void group_wake_at(struct group *g, uint64_t at_ms)
{
    if (!timer_active(&g->timer) || g->timer.at_ms > at_ms) {
        timer_start(g->fanout->loop, &g->timer, at_ms, release_due, g);
    }
}

/* The same where there are newcomers. May free the group. */
static void append_past(struct group *g, uint32_t sub, struct frame *frame)
{
    group_pin(g);
    newcomers_stand_aside(g, sub);
    append(g, sub, frame);
    newcomers_pass_by(g, sub);
    newcomers_serve(g, sub);
    group_unpin(g);
}

void group_publish(struct group *g, uint32_t sub, struct frame *frame)
{
    struct gsub *s = &g->subs[sub];
    uint64_t now = loop_now_ms(g->fanout->loop);
    bool limited = s->interval_ms && s->chan->class == CHANNEL_STATE;
    if (!limited || (s->next_due_ms <= now && s->held_count == 0)) {
        s->next_due_ms = now + s->interval_ms;
        if (unlikely(s->newcomers)) {
            append_past(g, sub, frame);
        } else {
            append(g, sub, frame);
        }
        return;
    }
    hold(s, frame);
    group_wake_at(g, s->next_due_ms);
}
