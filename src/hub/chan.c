/* SPDX-License-Identifier: MIT */
#include "hub/chan.h"

#include "base/alloc.h"

struct chan *chan_new(struct str name, enum channel_class class, uint32_t index, uint64_t seq)
{
    struct chan *c = mem_zero(sizeof(*c));
    c->name = str_make(mem_copy_text(name.ptr, name.len), name.len);
    c->class = class;
    c->index = index;
    c->last_seq = c->trimmed_seq = seq;
    return c;
}

static struct frame *oldest(const struct chan *c)
{
    return c->ring[c->head];
}

static void drop_oldest(struct chan *c)
{
    struct frame *f = oldest(c);
    c->trimmed_seq = f->seq;
    c->bytes -= f->len;
    c->head = (c->head + 1) % c->cap;
    c->kept--;
    frame_unref(f);
}

void chan_lose(struct chan *c, uint64_t seq)
{
    while (c->kept) {
        drop_oldest(c);
    }
    c->trimmed_seq = seq;
}

void chan_reset(struct chan *c, uint64_t seq)
{
    chan_lose(c, seq);
    for (size_t i = 0; i < c->last_count; i++) {
        frame_unref(c->last[i]);
    }
    if (c->table) {
        table_reset(c->table);
    }
    c->last_count = 0;
    c->last_seq = seq;
}

void chan_free(struct chan *c)
{
    if (c) {
        chan_reset(c, 0);
        table_free(c->table);
        mem_free(c->last);
        mem_free(c->ring);
        mem_free(c->groups);
        mem_free((char *)(uintptr_t)c->name.ptr);
        mem_free(c);
    }
}

void chan_trim(struct chan *c, uint64_t now_ms)
{
    while (c->kept && oldest(c)->at_ms + c->info->history_ms < now_ms) {
        drop_oldest(c);
    }
}

static void push(struct chan *c, struct frame *f)
{
    if (c->kept == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct frame **ring = mem_array(cap, sizeof(struct frame *));
        for (size_t i = 0; i < c->kept; i++) {
            ring[i] = c->ring[(c->head + i) % c->cap];
        }
        mem_free(c->ring);
        c->ring = ring;
        c->head = 0;
        c->cap = cap;
    }
    c->ring[(c->head + c->kept++) % c->cap] = frame_ref(f);
    c->bytes += f->len;
}

static void keep_last(struct chan *c, struct frame *f)
{
    for (size_t i = 0; i < c->last_count; i++) {
        if (c->last[i]->key == f->key) {
            frame_unref(c->last[i]);
            c->last[i] = frame_ref(f);
            return;
        }
    }
    c->last = mem_resize(c->last, (c->last_count + 1) * sizeof(struct frame *));
    c->last[c->last_count++] = frame_ref(f);
}

void chan_apply(struct chan *c, struct frame *f)
{
    c->count++;
    c->last_seq = f->seq;
    if (c->class == CHANNEL_STATE) {
        keep_last(c, f);
        return;
    }
    if (c->class == CHANNEL_TABLE) {
        table_apply(c->table, f);
        return;
    }
    push(c, f);
    while (c->kept > 1 && (c->kept > c->info->history_count || c->bytes > c->info->history_bytes)) {
        drop_oldest(c);
    }
    chan_trim(c, f->at_ms);
}

void frame_list_add(struct frame_list *l, struct frame *f)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->frames = mem_resize(l->frames, l->cap * sizeof(struct frame *));
    }
    l->frames[l->count++] = f;
}

static int by_seq(const void *a, const void *b)
{
    const struct frame *fa = *(struct frame *const *)a;
    const struct frame *fb = *(struct frame *const *)b;
    return fa->seq < fb->seq ? -1 : fa->seq > fb->seq;
}

void frame_list_sort(struct frame_list *l)
{
    if (l->count > 1) {
        qsort(l->frames, l->count, sizeof(struct frame *), by_seq);
    }
}

void frame_list_fini(struct frame_list *l)
{
    mem_free(l->frames);
    *l = (struct frame_list){0};
}

void chan_after(const struct chan *c, uint64_t seq, size_t max_bytes, struct frame_list *out)
{
    for (size_t i = 0; i < c->last_count; i++) {
        if (c->last[i]->seq > seq) {
            frame_list_add(out, c->last[i]);
        }
    }
    /* The history is in order of seq: find the first one above by halving. */
    size_t low = 0;
    size_t high = c->kept;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->ring[(c->head + mid) % c->cap]->seq > seq) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    size_t bytes = 0;
    for (size_t i = low; i < c->kept && bytes < max_bytes; i++) {
        struct frame *f = c->ring[(c->head + i) % c->cap];
        frame_list_add(out, f);
        bytes += f->len;
    }
}
