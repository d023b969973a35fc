/* fanout_in: the insides of the fan-out, shared by fanout.c (channels, messages, subscriptions),
 * group.c (groups, members, logs) and flush.c (sending, stalling, draining).
 * SPDX-License-Identifier: MIT */
#ifndef HUB_FANOUT_IN_H
#define HUB_FANOUT_IN_H
#include "base/map.h"
#include "hub/chan.h"
#include "hub/fanout.h"

/* A live member in its group's dense array: all that a send needs, without touching the member. */
struct place {
    struct member *member;
    struct stream *stream;
    uint64_t pos;
};

/* A subscription of a group. */
struct gsub {
    struct chan *chan;
    uint32_t interval_ms;
    uint32_t chan_slot; /* in chan->groups */
    uint64_t next_due_ms;
    struct frame **held; /* rate-limited: the newest of each key, until it is due */
    size_t held_count;
};

struct log_entry {
    uint64_t seq;
    uint64_t end; /* absolute position behind the message */
    uint32_t sub;
};

struct group {
    struct fanout *fanout;
    struct list dirty;
    enum frame_form form;
    struct str key; /* owned; in fanout->groups */
    struct place *live;
    uint32_t live_count, live_cap;
    uint32_t stalled;
    /* the log */
    struct buf bytes;
    uint64_t base;    /* absolute position of bytes.ptr[0] */
    uint64_t top_seq; /* highest of all that was ever appended */
    struct log_entry *entries;
    size_t entry_count, entry_cap;
    /* the flush under way: members below `next` were given all up to `pass_end` */
    uint32_t next;
    uint64_t pass_end;
    uint64_t began_us;  /* when the first message of the log came */
    struct timer timer; /* for held messages */
    size_t sub_count;
    struct gsub subs[];
};

/* What a stalled member was last served, a pair per subscription of its group. */
struct lag_sub {
    uint64_t seq;
    uint64_t count;
};
struct lag {
    struct lag_sub subs[1];
};

struct fanout {
    struct fanout_opts opts;
    struct loop *loop;
    struct flush_hook hook;
    struct map names;    /* -> struct chan * */
    struct chan **by_id; /* the hub's channel ids -> chan */
    size_t by_id_count;
    uint32_t chan_count;
    struct map groups; /* key -> struct group * */
    struct list dirty;
    struct deflater *deflater;
    char epoch[20];
    uint64_t seq;
    uint64_t floor; /* nothing up to here can be had of a channel that is new on this shard */
    struct fanout_stats stats;
    struct stream_out *out; /* one slice */
    struct buf scratch;
};

/* ---- group.c ---- */

struct group_want {
    struct chan *chan;
    uint32_t interval_ms;
};
/* The group of that set (sorted by channel), made when new. */
struct group *group_intern(struct fanout *f, enum frame_form form, struct group_want *wants,
                           size_t count);
/* Puts a member of no group in as live, at the end of the log. */
void group_add(struct group *g, struct member *m);
/* Takes a live member out of the array; an unfinished pass stays right. */
void group_remove_live(struct group *g, struct member *m);
/* Keeps the group while members may leave under the caller's hands. */
void group_pin(struct group *g);
void group_unpin(struct group *g);
/* Frees the group when nobody is in it, and the channels that only it wanted. */
void group_release(struct group *g);
/* Forgets what rate limits hold back. */
void group_drop_held(struct group *g);
/* Before a message: a log that is full is emptied, whoever is behind stalls. May free the group. */
void group_make_room(struct group *g);
/* A message for subscription `sub` of the group. */
void group_publish(struct group *g, uint32_t sub, struct frame *frame);
uint64_t group_end(const struct group *g);
void group_empty_log(struct group *g);

/* ---- fanout.c ---- */

/* A channel that only clients' wishes made goes with the last one who wanted it. */
void chan_release(struct fanout *f, struct chan *c);

/* ---- flush.c ---- */

bool fanout_flush(void *self);
struct lag *lag_new(const struct group *g);
/* A live member that stood at `pos` becomes stalled. */
void stall_at(struct group *g, struct member *m, uint64_t pos);
/* Answers the polls of the group and frees it. */
void answer_polls(struct group *g, bool reset);

#endif
