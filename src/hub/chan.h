/* chan: one channel on one shard: its newest messages, its history, and the groups that want it.
 * Only the files of the fan-out include it. SPDX-License-Identifier: MIT */
#ifndef HUB_CHAN_H
#define HUB_CHAN_H
#include "hub/table.h"

struct group;

struct chan_group {
    struct group *group;
    uint32_t sub; /* place in the group's subscriptions */
};

struct chan {
    uint32_t index;                  /* on this shard */
    const struct channel_info *info; /* NULL: clients named it, nobody has published yet */
    struct str name;                 /* owned text */
    enum channel_class class;
    uint64_t count;      /* messages so far */
    uint64_t last_seq;   /* of the newest message */
    struct frame **last; /* state: the newest message of each key */
    size_t last_count;
    struct table *table; /* table: its rows; NULL: it is none, or nothing was published yet */
    struct frame **ring; /* event: history, oldest at head */
    size_t head, kept, cap, bytes;
    uint64_t trimmed_seq; /* newest message that is in no history any more */
    struct chan_group *groups;
    size_t group_count, group_cap;
};

/* `seq`: what was before is not known here. */
struct chan *chan_new(struct str name, enum channel_class class, uint32_t index, uint64_t seq);
void chan_free(struct chan *c);
/* A message arrived: newest of its key or keys, or into the history. */
void chan_apply(struct chan *c, struct frame *f);
/* Drops what is over the history's bounds at that time. */
void chan_trim(struct chan *c, uint64_t now_ms);
/* Forgets everything (a new epoch); nothing up to `seq` can be had any more. */
void chan_reset(struct chan *c, uint64_t seq);
/* Forgets the history: messages up to `seq` never came. */
void chan_lose(struct chan *c, uint64_t seq);
/* All that is kept with a seq above `seq`, oldest first, appended to a growing array of borrowed
 * frames. State channels give the newest of each key; of an event channel's history only as many
 * as begin within the first `max_bytes`. */
struct frame_list {
    struct frame **frames;
    size_t count, cap;
};
void frame_list_add(struct frame_list *l, struct frame *f);
void frame_list_sort(struct frame_list *l);
void frame_list_fini(struct frame_list *l);
void chan_after(const struct chan *c, uint64_t seq, size_t max_bytes, struct frame_list *out);

#endif
