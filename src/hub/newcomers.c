/* Newcomers: members that were given the state of a rate-limited subscription less than its
 * interval ago, so that the next message of their group may come too soon for them.
 *
 *   joins                 the group's messages, an interval apart
 *     |                      |                          |
 *     s ---- not yet --------x -------------------------o---->     s: state, x: stands aside
 *     <----- interval ------------->                               o: gets all since s, then is one
 *                                                                     like the others
 * The group makes its message as ever. Who stands aside has its position put behind it, and is owed
 * what it says; at the group's next one it gets a message of its own in its place, with all that it
 * lacks, the same for all who are owed. So nobody hears sooner than an interval after anything, no
 * other member waits for it, and nothing is lost: what is owed comes also when the group has
 * nothing to say.
 *
 * Only live members are in these lists; who stalls takes the seq along.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "hub/fanout_in.h"

#include <assert.h>

struct newcomer {
    struct member *member;
    uint64_t seq;      /* it has everything up to here */
    uint64_t until_ms; /* nothing before */
    bool owed;         /* it has stood aside */
};

struct newcomers {
    uint32_t count, cap;
    struct newcomer all[];
};

static uint32_t count_of(const struct gsub *s)
{
    return s->newcomers ? s->newcomers->count : 0;
}

/* Downwards: whoever goes meanwhile is replaced by one that was looked at. */
static uint32_t next_down(const struct gsub *s, uint32_t i)
{
    return i - 1 < count_of(s) ? i - 1 : count_of(s);
}

static void take_out(struct gsub *s, uint32_t at)
{
    struct newcomers *n = s->newcomers;
    n->all[at].member->newcomer--;
    n->all[at] = n->all[--n->count];
    if (n->count == 0) {
        mem_free(n);
        s->newcomers = NULL;
    }
}

/* Those whose time is over and who took part in all of it: they are like the others. */
static void take_out_old(struct gsub *s, uint64_t now)
{
    for (uint32_t i = count_of(s); i > 0; i--) {
        const struct newcomer *n = &s->newcomers->all[i - 1];
        if (!n->owed && n->until_ms <= now) {
            take_out(s, i - 1);
        }
    }
}

static void put_in(struct gsub *s, const struct newcomer *one, uint64_t now)
{
    bool full = !s->newcomers;
    if (s->newcomers && s->newcomers->count == s->newcomers->cap) {
        /* A few places are not enough: it would be looked through each time. */
        uint32_t few = s->newcomers->cap / 4;
        take_out_old(s, now);
        full = !s->newcomers || s->newcomers->cap - s->newcomers->count <= few;
    }
    struct newcomers *n = s->newcomers;
    if (full) {
        uint32_t count = n ? n->count : 0;
        uint32_t cap = count + (count >> 1) + 1;
        n = mem_resize(n, sizeof(*n) + cap * sizeof(n->all[0]));
        n->count = count;
        n->cap = cap;
        s->newcomers = n;
    }
    n->all[n->count++] = *one;
    one->member->newcomer++;
}

static struct newcomer *find(const struct gsub *s, const struct member *m)
{
    for (uint32_t i = m->newcomer ? count_of(s) : 0; i > 0; i--) {
        if (s->newcomers->all[i - 1].member == m) {
            return &s->newcomers->all[i - 1];
        }
    }
    return NULL;
}

/* Whether there is something that a new member is given first. */
static bool has_state(const struct chan *c, const struct keyset *keys)
{
    const struct table *t = c->table;
    if (!t || !keys) {
        return t ? t->top_seq > 0 : c->last_count > 0;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->keys[i] < t->cap && t->rows[keys->keys[i]].frame) {
            return true;
        }
    }
    return false;
}

/* Up to where everybody has everything whom the group owes no more than what it holds back. */
static uint64_t seq_of_all(const struct gsub *s)
{
    uint64_t seq = s->table ? s->table->base : s->chan->last_seq;
    for (size_t i = 0; i < s->held_count; i++) {
        seq = min_u64(seq, s->held[i]->seq - 1);
    }
    return seq;
}

void newcomers_add(struct group *g, struct member *m)
{
    uint64_t now = loop_now_ms(g->fanout->loop);
    newcomers_remove(g, m);
    for (size_t i = 0; i < g->sub_count; i++) {
        struct gsub *s = &g->subs[i];
        struct newcomer one = {.member = m, .seq = seq_of_all(s), .until_ms = now + s->interval_ms};
        if (s->interval_ms == 0 || s->next_due_ms >= one.until_ms || !has_state(s->chan, s->keys)) {
            continue;
        }
        if (g->live_count == 1) {
            s->next_due_ms = one.until_ms; /* nobody else would wait for it */
        } else {
            put_in(s, &one, now);
        }
    }
}

void newcomers_remove(struct group *g, struct member *m)
{
    for (size_t i = 0; m->newcomer && i < g->sub_count; i++) {
        struct newcomer *n = find(&g->subs[i], m);
        if (n) {
            take_out(&g->subs[i], (uint32_t)(n - g->subs[i].newcomers->all));
        }
    }
    assert(!m->newcomer);
}

uint64_t newcomers_seq(const struct group *g, uint32_t sub, const struct member *m, uint64_t seq)
{
    const struct newcomer *n = find(&g->subs[sub], m);
    return n && n->owed ? min_u64(n->seq, seq) : seq;
}

void newcomers_forget(struct gsub *s)
{
    for (uint32_t i = 0; i < count_of(s); i++) {
        s->newcomers->all[i].seq = 0;
    }
}

bool newcomers_owed(const struct gsub *s)
{
    for (uint32_t i = 0; i < count_of(s); i++) {
        if (s->newcomers->all[i].owed) {
            return true;
        }
    }
    return false;
}

/* ---- what they are owed ---- */

/* The newest of all above `seq`. */
static void write_since(struct group *g, uint32_t sub, uint64_t seq, struct buf *out)
{
    struct fanout *f = g->fanout;
    struct frame_list list = {0};
    if (g->subs[sub].table) {
        table_write_since(g, sub, seq, out);
        return;
    }
    chan_after(g->subs[sub].chan, seq, SIZE_MAX, &list);
    frame_list_sort(&list);
    for (size_t i = 0; i < list.count; i++) {
        struct frame *frame = list.frames[i];
        bool late = frame->seq < g->top_seq;
        frame_append(frame, g->form, late ? (struct str){0} : str_of(f->epoch), f->deflater, out);
    }
    frame_list_fini(&list);
}

bool newcomers_settle(struct group *g, uint32_t sub, struct member *m, struct buf *out)
{
    struct gsub *s = &g->subs[sub];
    struct newcomer *n = find(s, m);
    if (!n || !n->owed) {
        return false;
    }
    write_since(g, sub, n->seq, out);
    n->seq = g->fanout->seq;
    n->until_ms = loop_now_ms(g->fanout->loop) + s->interval_ms;
    n->owed = false;
    return true;
}

/* Gives a live member bytes at once. It may stall or leave. */
static void give(struct group *g, struct member *m, struct str bytes)
{
    struct fanout *f = g->fanout;
    g->live[m->slot].pos = group_end(g);
    if (bytes.len) {
        f->stats.deliveries++;
        f->stats.sends++;
        f->stats.bytes += bytes.len;
        f->opts.ops->write(m, bytes);
        if (m->state == MEMBER_LIVE && f->opts.ops->pending(m) > 0) {
            fanout_stall(f, m);
        }
    }
}

/* Gives it the rest of the log. */
static void bring_up(struct group *g, struct member *m)
{
    uint64_t pos = g->live[m->slot].pos;
    give(g, m, str_make(g->bytes.ptr + (pos - g->base), group_end(g) - pos));
}

void newcomers_stand_aside(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    take_out_old(s, loop_now_ms(g->fanout->loop));
    for (uint32_t i = count_of(s); i > 0; i = next_down(s, i)) {
        bring_up(g, s->newcomers->all[i - 1].member);
    }
}

void newcomers_pass_by(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    uint64_t now = loop_now_ms(g->fanout->loop);
    bool later = false;
    for (uint32_t i = 0; i < count_of(s); i++) {
        struct newcomer *n = &s->newcomers->all[i];
        g->live[n->member->slot].pos = group_end(g);
        n->owed = true;
        later = later || n->until_ms > now;
    }
    if (later) {
        group_wake_at(g, s->next_due_ms);
    }
}

static bool is_due(const struct newcomer *n, uint64_t now)
{
    return n->owed && n->until_ms <= now;
}

void newcomers_serve(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    uint64_t now = loop_now_ms(g->fanout->loop);
    uint64_t seq = UINT64_MAX;
    struct buf bytes = {0};
    for (uint32_t i = 0; i < count_of(s); i++) {
        const struct newcomer *n = &s->newcomers->all[i];
        seq = is_due(n, now) ? min_u64(seq, n->seq) : seq;
    }
    if (seq == UINT64_MAX) {
        return;
    }
    write_since(g, sub, seq, &bytes);
    for (uint32_t i = count_of(s); i > 0; i = next_down(s, i)) {
        struct member *m = s->newcomers->all[i - 1].member;
        if (!is_due(&s->newcomers->all[i - 1], now)) {
            continue;
        }
        bring_up(g, m);
        /* Who stalled over it took along what it is owed. */
        if (i <= count_of(s) && s->newcomers->all[i - 1].member == m &&
            is_due(&s->newcomers->all[i - 1], now)) {
            take_out(s, i - 1);
            give(g, m, buf_str(&bytes));
        }
    }
    buf_fini(&bytes);
}
