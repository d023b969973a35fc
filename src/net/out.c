/* SPDX-License-Identifier: MIT */
#include "net/out.h"

#include "base/alloc.h"

#define SMALL_CAP (OUT_SMALL - sizeof(struct out))

static struct out *out_new(struct out_pool *p, size_t cap)
{
    struct out *o = p->free;
    if (cap <= SMALL_CAP && o) {
        p->free = o->next_free;
        p->count--;
    } else {
        cap = max_size(cap, SMALL_CAP);
        o = mem_alloc(sizeof(*o) + cap);
        o->cap = cap;
    }
    o->next_free = NULL;
    o->len = o->sent = 0;
    return o;
}

void out_pool_fini(struct out_pool *p)
{
    while (p->free) {
        struct out *o = p->free;
        p->free = o->next_free;
        mem_free(o);
    }
    p->count = 0;
}

/* A larger one with what is still to be sent. */
static void out_grow(struct out_pool *p, struct out **o, size_t more)
{
    struct out *old = *o;
    size_t pending = out_pending(old);
    struct out *fresh = out_new(p, max_size(pending + more, old->cap * 2));
    memcpy(fresh->bytes, old->bytes + old->sent, pending);
    fresh->len = pending;
    out_release(p, o);
    *o = fresh;
}

char *out_room(struct out_pool *p, struct out **o, size_t more)
{
    if (!*o) {
        *o = out_new(p, more);
    }
    struct out *out = *o;
    if (more > out->cap - out->len) {
        if (out->sent >= out->len / 2 && more <= out->cap - out_pending(out)) {
            memmove(out->bytes, out->bytes + out->sent, out_pending(out));
            out->len -= out->sent;
            out->sent = 0;
        } else {
            out_grow(p, o, more);
        }
    }
    return (*o)->bytes + (*o)->len;
}

void out_add(struct out_pool *p, struct out **o, const void *bytes, size_t len)
{
    if (len) {
        memcpy(out_room(p, o, len), bytes, len);
        out_added(*o, len);
    }
}

void out_release(struct out_pool *p, struct out **o)
{
    struct out *out = *o;
    *o = NULL;
    if (!out) {
        return;
    }
    if (out->cap == SMALL_CAP && p->count < OUT_POOLED) {
        out->next_free = p->free;
        p->free = out;
        p->count++;
    } else {
        mem_free(out);
    }
}
