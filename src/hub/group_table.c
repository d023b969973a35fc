/* What groups want of tables: the index from keys to groups, what is dirty, and one message out of
 * it when it is due.
 *
 * A publish marks its rows in the groups that want them, found by the rows' keys; only these groups
 * are looked at. A group then sends, or waits for its rate limit with the bits set.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "hub/fanout_in.h"

/* Deltas: a full message at least every 60 s, also when the rate limit or a busy turn holds the
 * message back a little. */
enum { FULL_EVERY_MS = 55000 };

/* ---- the index ---- */

static uint32_t wants_add(struct wants *w, struct want want)
{
    if (w->count == w->cap) {
        /* Growing by a quarter: ten thousand sets make this most of what a set costs. */
        w->cap = w->cap + (w->cap >> 2) + 2;
        w->of = mem_resize(w->of, w->cap * sizeof(*w->of));
    }
    w->of[w->count] = want;
    return w->count++;
}

/* The hole is filled from the end. */
static void wants_remove(struct wants *w, uint32_t slot)
{
    struct want moved = w->of[--w->count];
    w->of[slot] = moved;
    moved.group->subs[moved.sub].table->slots[moved.at] = slot;
}

static struct gtable *gtable_new(const struct keyset *keys)
{
    size_t slots = keys ? keys->count : 1;
    size_t words = keys ? (slots + 63) / 64 : 0;
    size_t head = (sizeof(struct gtable) + slots * sizeof(uint32_t) + 7) & ~(size_t)7;
    struct gtable *t = mem_zero(head + words * sizeof(uint64_t));
    if (keys) {
        t->dirty = (uint64_t *)(void *)((char *)t + head);
        t->dirty_words = (uint32_t)words;
    }
    return t;
}

/* ---- rows of a set ---- */

static size_t set_size(const struct gsub *s)
{
    return s->keys ? s->keys->count : s->chan->table->cap;
}

static const struct row *row_at(const struct gsub *s, size_t at)
{
    return &s->chan->table->rows[s->keys ? s->keys->keys[at] : at];
}

static bool is_dirty(const struct gtable *t, size_t at)
{
    return at / 64 < t->dirty_words && (t->dirty[at / 64] >> (at % 64) & 1);
}

static void clear_dirty(struct gtable *t)
{
    for (size_t i = 0; i < t->dirty_words; i++) {
        t->dirty[i] = 0;
    }
    t->dirty_count = 0;
}

static void pick_all(const struct gsub *s, struct picks *out)
{
    out->count = 0;
    for (size_t i = 0; i < set_size(s); i++) {
        if (row_at(s, i)->frame) {
            picks_add(out, row_at(s, i));
        }
    }
}

static void pick_dirty(const struct gsub *s, struct picks *out)
{
    const struct gtable *t = s->table;
    out->count = 0;
    for (size_t word = 0; word < t->dirty_words; word++) {
        for (uint64_t bits = t->dirty[word]; bits; bits &= bits - 1) {
            picks_add(out, row_at(s, word * 64 + (size_t)__builtin_ctzll(bits)));
        }
    }
}

static uint64_t top_of(const struct picks *p, uint64_t seq)
{
    for (size_t i = 0; i < p->count; i++) {
        seq = max_u64(seq, row_seq(p->rows[i]));
    }
    return seq;
}

void table_attach(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    struct table *table = s->chan->table;
    struct gtable *t = s->table = gtable_new(s->keys);
    struct want want = {.group = g, .sub = sub};
    if (!s->keys) {
        t->slots[0] = wants_add(&table->all, want);
    }
    for (uint32_t i = 0; s->keys && i < s->keys->count; i++) {
        want.at = i;
        table_reserve(table, s->keys->keys[i]);
        t->slots[i] = wants_add(&table->wants[s->keys->keys[i]], want);
    }
    uint64_t now = loop_now_ms(g->fanout->loop);
    for (size_t i = 0; i < set_size(s); i++) {
        t->base = max_u64(t->base, row_seq(row_at(s, i)));
    }
    t->last_out_ms = now;
    t->full_due_ms = now + FULL_EVERY_MS;
    if (s->repeat_ms) {
        group_wake_at(g, now + s->repeat_ms);
    }
    if (s->delta) {
        group_wake_at(g, t->full_due_ms);
    }
}

void table_detach(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    struct table *table = s->chan->table;
    if (!s->keys) {
        wants_remove(&table->all, s->table->slots[0]);
        mem_free(s->table->dirty);
    }
    for (uint32_t i = 0; s->keys && i < s->keys->count; i++) {
        wants_remove(&table->wants[s->keys->keys[i]], s->table->slots[i]);
    }
    mem_free(s->table);
    s->table = NULL;
}

void table_joined(struct group *g)
{
    for (uint32_t i = 0; i < g->sub_count; i++) {
        struct gtable *t = g->subs[i].table;
        if (t && (t->dirty_count || t->base == 0)) {
            t->full_next = true;
        }
    }
}

void table_forget(struct gsub *s)
{
    clear_dirty(s->table);
    s->table->base = 0;
    s->table->full_next = true;
}

/* ---- messages ---- */

static struct table_message message_of(const struct group *g, const struct gsub *s,
                                       const struct picks *picks)
{
    return (struct table_message){.table = s->chan->table,
                                  .channel = s->chan->info,
                                  .picks = picks,
                                  .form = g->form,
                                  .epoch = str_of(g->fanout->epoch),
                                  .seq = top_of(picks, s->table->base)};
}

static void append_picks(struct group *g, uint32_t sub, bool delta)
{
    struct fanout *f = g->fanout;
    const struct gsub *s = &g->subs[sub];
    struct table_message m = message_of(g, s, &f->picks);
    size_t before = g->bytes.len;
    uint64_t origin_us = 0;
    m.late = m.seq < g->top_seq;
    m.delta = delta;
    m.base = s->table->base;
    g->top_seq = max_u64(g->top_seq, m.seq);
    if (g->live_count == 0) {
        return; /* the stalled ones take it from the rows when they drain */
    }
    table_write(&m, f->deflater, &f->memo, &g->bytes);
    for (size_t i = 0; i < f->picks.count; i++) {
        if (row_seq(f->picks.rows[i]) == m.seq) {
            origin_us = f->picks.rows[i]->frame->origin_us;
        }
    }
    group_logged(
        g, before,
        &(struct log_entry){
            .seq = m.seq, .from = s->table->base, .sub = sub, .rows = s->table->dirty_count},
        origin_us);
}

/* One message with what is dirty, or with all rows. The caller has pinned the group. */
static void emit(struct group *g, uint32_t sub, bool all)
{
    struct fanout *f = g->fanout;
    struct gsub *s = &g->subs[sub];
    struct gtable *t = s->table;
    uint64_t now = loop_now_ms(f->loop);
    group_make_room(g);
    if (unlikely(s->newcomers)) {
        newcomers_stand_aside(g, sub);
    }
    bool full = s->delta && (t->full_next || t->full_due_ms <= now);
    if (all || full) {
        pick_all(s, &f->picks);
    } else {
        pick_dirty(s, &f->picks);
    }
    s->next_due_ms = now + s->interval_ms;
    t->last_out_ms = now;
    if (f->picks.count == 0) {
        return;
    }
    if (all || full) {
        t->full_next = false;
        t->full_due_ms = now + FULL_EVERY_MS;
    }
    append_picks(g, sub, s->delta && !all && !full);
    t->base = top_of(&f->picks, t->base);
    t->rows_out += t->dirty_count;
    clear_dirty(t);
    if (unlikely(s->newcomers)) {
        newcomers_pass_by(g, sub);
        newcomers_serve(g, sub);
    }
}

static void mark(struct fanout *f, struct want w, uint32_t key)
{
    struct gsub *s = &w.group->subs[w.sub];
    struct gtable *t = s->table;
    size_t at = s->keys ? w.at : key;
    if (at / 64 >= t->dirty_words) {
        uint32_t words = (uint32_t)(at / 64 + 1);
        t->dirty = mem_resize(t->dirty, words * sizeof(*t->dirty));
        memset(t->dirty + t->dirty_words, 0, (words - t->dirty_words) * sizeof(*t->dirty));
        t->dirty_words = words;
    }
    t->dirty_count += !is_dirty(t, at);
    t->dirty[at / 64] |= (uint64_t)1 << (at % 64);
    if (!t->touched) {
        t->touched = true;
        group_pin(w.group);
        wants_add(&f->touched, w);
    }
}

void table_publish(struct fanout *f, struct chan *c, struct frame *frame)
{
    uint64_t now = loop_now_ms(f->loop);
    f->touched.count = 0;
    for (uint32_t i = 0; i < frame->rows->count; i++) {
        uint32_t key = frame->rows->rows[i].key;
        const struct wants *w = &c->table->wants[key];
        for (uint32_t k = 0; k < w->count; k++) {
            mark(f, w->of[k], key);
        }
        for (uint32_t k = 0; k < c->table->all.count; k++) {
            mark(f, c->table->all.of[k], key);
        }
    }
    for (uint32_t i = 0; i < f->touched.count; i++) {
        struct group *g = f->touched.of[i].group;
        uint32_t sub = f->touched.of[i].sub;
        g->subs[sub].table->touched = false;
        if (g->subs[sub].interval_ms == 0 || g->subs[sub].next_due_ms <= now) {
            emit(g, sub, false);
        } else {
            group_wake_at(g, g->subs[sub].next_due_ms);
        }
        group_unpin(g);
    }
}

uint64_t table_release_due(struct group *g, uint32_t sub)
{
    struct gsub *s = &g->subs[sub];
    uint64_t now = loop_now_ms(g->fanout->loop);
    if (s->next_due_ms <= now) {
        if (s->table->dirty_count) {
            emit(g, sub, false);
        } else if (newcomers_owed(s)) {
            s->next_due_ms = now + s->interval_ms;
            newcomers_serve(g, sub);
        }
    }
    uint64_t repeat_ms = UINT64_MAX;
    if (s->repeat_ms) {
        if (max_u64(s->table->last_out_ms + s->repeat_ms, s->next_due_ms) <= now) {
            emit(g, sub, true);
        }
        repeat_ms = max_u64(s->table->last_out_ms + s->repeat_ms, s->next_due_ms);
    }
    uint64_t next_ms = repeat_ms;
    if (s->delta) {
        if (max_u64(s->table->full_due_ms, s->next_due_ms) <= now) {
            emit(g, sub, true); /* nothing changed, and yet */
            s->table->full_due_ms = now + FULL_EVERY_MS;
        }
        next_ms = min_u64(next_ms, max_u64(s->table->full_due_ms, s->next_due_ms));
    }
    return s->table->dirty_count || newcomers_owed(s) ? min_u64(next_ms, s->next_due_ms) : next_ms;
}

/* ---- single members ---- */

void table_write_held(struct group *g, uint32_t sub, struct buf *out)
{
    struct fanout *f = g->fanout;
    const struct gsub *s = &g->subs[sub];
    if (s->table->dirty_count == 0) {
        return;
    }
    bool full = s->delta && s->table->full_next;
    if (full) {
        pick_all(s, &f->picks);
    } else {
        pick_dirty(s, &f->picks);
    }
    struct table_message m = message_of(g, s, &f->picks);
    m.late = true;
    m.delta = s->delta && !full;
    m.base = s->table->base;
    table_write(&m, f->deflater, &f->memo, out);
}

size_t table_count_missed(struct group *g, uint32_t sub, uint64_t seq)
{
    const struct gsub *s = &g->subs[sub];
    size_t n = 0;
    for (size_t i = 0; i < set_size(s); i++) {
        n += row_seq(row_at(s, i)) > seq && !is_dirty(s->table, i);
    }
    return n;
}

static void write_above(struct group *g, uint32_t sub, uint64_t seq, bool dirty_too,
                        struct buf *out)
{
    struct fanout *f = g->fanout;
    const struct gsub *s = &g->subs[sub];
    f->picks.count = 0;
    for (size_t i = 0; i < set_size(s); i++) {
        const struct row *r = row_at(s, i);
        bool wanted = row_seq(r) > seq && (dirty_too || !is_dirty(s->table, i));
        if (r->frame && (s->delta || wanted)) {
            picks_add(&f->picks, r);
        }
    }
    if (f->picks.count) {
        struct table_message m = message_of(g, s, &f->picks);
        m.late = m.seq < g->top_seq;
        table_write(&m, f->deflater, &f->memo, out);
    }
}

void table_write_missed(struct group *g, uint32_t sub, uint64_t seq, struct buf *out)
{
    write_above(g, sub, seq, false, out);
}

void table_write_since(struct group *g, uint32_t sub, uint64_t seq, struct buf *out)
{
    write_above(g, sub, seq, true, out);
}

bool table_write_rows(struct fanout *f, struct chan *c, const struct fanout_sub *sub, uint64_t seq,
                      enum frame_form form, uint64_t top_seq, struct buf *out)
{
    struct keyset *keys =
        sub->key_count ? keyset_intern(&f->sets, sub->keys, sub->key_count) : NULL;
    size_t count = keys ? keys->count : c->table->cap;
    f->picks.count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t key = keys ? keys->keys[i] : i;
        if (key < c->table->cap && row_seq(&c->table->rows[key]) > seq) {
            picks_add(&f->picks, &c->table->rows[key]);
        }
    }
    keyset_unref(&f->sets, keys);
    if (f->picks.count == 0) {
        return false;
    }
    struct table_message m = {.table = c->table,
                              .channel = c->info,
                              .picks = &f->picks,
                              .form = form,
                              .epoch = str_of(f->epoch),
                              .seq = top_of(&f->picks, 0)};
    m.late = m.seq < top_seq;
    table_write(&m, f->deflater, &f->memo, out);
    return true;
}
