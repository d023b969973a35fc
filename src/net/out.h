/* out: the bytes a conn still has to send, contiguous so that one send takes them all.
 *
 * A pool recycles the small ones: a conn borrows one for the length of a turn and an idle conn has
 * none. A larger one is the heap's. SPDX-License-Identifier: MIT */
#ifndef NET_OUT_H
#define NET_OUT_H
#include "base/base.h"

#define OUT_SMALL 1024
#define OUT_POOLED 256

struct out {
    struct out *next_free;
    size_t cap, len;
    size_t sent; /* bytes at the front that are gone already */
    char bytes[];
};

struct out_pool {
    struct out *free;
    size_t count;
};

void out_pool_fini(struct out_pool *p);
/* Room for `more` bytes behind what is there; *o may be NULL before. Write there, then out_added().
 * The pointer holds until the next call. */
char *out_room(struct out_pool *p, struct out **o, size_t more);
void out_add(struct out_pool *p, struct out **o, const void *bytes, size_t len);
/* Gives it back; *o is NULL then. */
void out_release(struct out_pool *p, struct out **o);

static inline void out_added(struct out *o, size_t len)
{
    o->len += len;
}

/* Bytes that still have to be sent. */
static inline size_t out_pending(const struct out *o)
{
    return o ? o->len - o->sent : 0;
}

#endif
