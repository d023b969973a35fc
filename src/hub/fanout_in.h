/* fanout_in: the insides of the fan-out, shared by fanout.c (channels, messages), subs.c
 * (subscriptions), group.c (groups, members, logs), group_table.c (what groups want of tables),
 * newcomers.c (who must not hear so soon), flush.c (sending) and stall.c (stalling, draining).
 * SPDX-License-Identifier: MIT */
#ifndef HUB_FANOUT_IN_H
#define HUB_FANOUT_IN_H
#include "base/map.h"
#include "hub/chan.h"
#include "hub/fanout.h"
#include "hub/keys.h"

/* A live member in its group's dense array: all that a send needs, without touching the member. */
struct place {
    struct member *member;
    struct stream *stream;
    uint64_t pos;
};

/* What a group has of a table: of each key it wants a bit, set while the newest row is not sent.
 * The bits stand at the place of the key in the set, or at the key itself when all rows are wanted.
 */
struct gtable {
    uint64_t base;        /* everything up to this seq went out; 0: there were no rows */
    uint64_t rows_out;    /* rows in messages so far */
    uint64_t last_out_ms; /* when the last message went out */
    uint64_t full_due_ms; /* deltas: when the next message has to be a full one */
    uint64_t *dirty;      /* for a set behind the slots, in this piece of memory */
    uint32_t dirty_words, dirty_count;
    bool full_next;   /* deltas: so must the next one, whenever it comes */
    bool touched;     /* in fanout->touched */
    uint32_t slots[]; /* of each key in table->wants; for all rows one, in table->all */
};

/* A subscription of a group. */
struct gsub {
    struct chan *chan;
    uint32_t interval_ms;
    uint32_t repeat_ms;
    struct keyset *keys; /* NULL: all rows */
    bool delta;
    struct gtable *table; /* once the channel is known to be a table */
    uint32_t chan_slot;   /* in chan->groups */
    uint64_t next_due_ms;
    struct newcomers *newcomers; /* NULL: none */
    struct frame **held;         /* rate-limited: the newest of each key, until it is due */
    size_t held_count;
};

struct log_entry {
    uint64_t seq;
    uint64_t from; /* of a table: all its rows up to here went out before; else seq - 1 */
    uint64_t end;  /* absolute position behind the message */
    uint32_t sub;
    uint32_t rows; /* of a table: how many it brought */
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
    bool lent;        /* `bytes` are read until the owner's flush: they stay, whoever leaves */
    uint64_t base;    /* absolute position of bytes.ptr[0] */
    uint64_t top_seq; /* highest of all that was ever appended */
    struct log_entry *entries;
    size_t entry_count, entry_cap;
    /* the flush under way: members below `next` were given all up to `pass_end` */
    uint32_t next;
    uint64_t pass_end;
    uint64_t began_us; /* when the first message of the log came */
    /* oldest upstream bytes behind this pass and the next one; 0: none */
    uint64_t origin_us, next_origin_us;
    uint64_t lag_us;    /* at the last pass that had any; 0: none yet */
    struct timer timer; /* for what is held, and for repeats */
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

/* Whose a send of a slice is. */
struct sent {
    struct group *group;
    uint32_t at; /* place in its array */
};

struct fanout {
    struct fanout_opts opts;
    struct loop *loop;
    struct flush_hook hook;
    struct map names;    /* -> struct chan * */
    struct chan **by_id; /* the hub's channel ids -> chan */
    size_t by_id_count;
    uint32_t chan_count;
    size_t wished;     /* of names: channels that nobody has published to */
    struct map groups; /* key -> struct group * */
    struct map sets;   /* keys -> struct keyset * */
    struct list dirty;
    struct wants touched; /* groups that the message of a table concerns, while it is applied */
    struct picks picks;
    struct memo memo;
    struct deflater *deflater;
    char epoch[20];
    uint64_t seq;
    const _Atomic uint64_t *newest; /* the hub's: `seq` gets there; NULL: nobody said */
    uint64_t floor; /* nothing up to here can be had of a channel that is new on this shard */
    struct fanout_stats stats;
    struct stream_out *out; /* one slice */
    struct sent *sent;      /* whose each of it is */
    struct buf scratch;
};

/* ---- group.c ---- */

struct group_want {
    struct chan *chan;
    uint32_t interval_ms, repeat_ms;
    struct keyset *keys; /* a reference of its own */
    bool delta;
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
/* What was appended to the log behind `before` bytes is a message; puts the group on the list of
 * those that have something to send. */
void group_logged(struct group *g, size_t before, const struct log_entry *entry,
                  uint64_t origin_us);
/* Sees to it that the timer fires at `at_ms` at the latest. */
void group_wake_at(struct group *g, uint64_t at_ms);
/* A message for subscription `sub` of the group. May free the group. */
void group_publish(struct group *g, uint32_t sub, struct frame *frame);
uint64_t group_end(const struct group *g);
void group_empty_log(struct group *g);

/* ---- group_table.c ---- */

/* The channel of that subscription is a table: rows are looked up for it from now on. */
void table_attach(struct group *g, uint32_t sub);
void table_detach(struct group *g, uint32_t sub);
/* A message of a table: to all groups that want one of its rows. */
void table_publish(struct fanout *f, struct chan *c, struct frame *frame);
/* What is due of the subscription now goes out; UINT64_MAX, or when it wants to be asked again. */
uint64_t table_release_due(struct group *g, uint32_t sub);
/* A member that has the newest of all rows is or becomes one of the group. */
void table_joined(struct group *g);
/* The rows were forgotten. */
void table_forget(struct gsub *s);
/* Appends what is held back, as to all members of the group. */
void table_write_held(struct group *g, uint32_t sub, struct buf *out);
/* Appends what a member lacks that was served up to `seq`: the newest of each row that the group is
 * not going to send anyway; deltas begin anew with all rows. */
void table_write_missed(struct group *g, uint32_t sub, uint64_t seq, struct buf *out);
/* How many rows the group is not going to send anyway are above `seq`. */
size_t table_count_missed(struct group *g, uint32_t sub, uint64_t seq);
/* All rows of the set above `seq` as one message; `top_seq`: the highest seq that went before it.
 * False: there are none. */
bool table_write_rows(struct fanout *f, struct chan *c, const struct fanout_sub *sub, uint64_t seq,
                      enum frame_form form, uint64_t top_seq, struct buf *out);

/* The newest of each row above `seq`, also of those that the group is going to send; deltas begin
 * anew. */
void table_write_since(struct group *g, uint32_t sub, uint64_t seq, struct buf *out);

/* ---- newcomers.c ---- */

/* A live member has, or is given in this turn, all but what the group holds back. */
void newcomers_add(struct group *g, struct member *m);
/* It is not live any more. */
void newcomers_remove(struct group *g, struct member *m);
/* Up to where it has everything: `seq`, or less when it is owed something. */
uint64_t newcomers_seq(const struct group *g, uint32_t sub, const struct member *m, uint64_t seq);
/* A new epoch: they have nothing. */
void newcomers_forget(struct gsub *s);
/* Whether somebody waits for the subscription to be due. */
bool newcomers_owed(const struct gsub *s);
/* Appends all that it is owed, also what the group holds back; false: nothing. */
bool newcomers_settle(struct group *g, uint32_t sub, struct member *m, struct buf *out);
/* In front of a message of a subscription that is limited, behind it, and at the end of it, or
 * when it is due and there is none. Members may stall or leave inside the first and the last: the
 * caller has pinned the group, and looks for picks and scratch again. */
void newcomers_stand_aside(struct group *g, uint32_t sub);
void newcomers_pass_by(struct group *g, uint32_t sub);
void newcomers_serve(struct group *g, uint32_t sub);

/* ---- fanout.c ---- */

/* The channel of that name, made when it is new; NULL: clients named too many that nobody has
 * published to. */
struct chan *chan_wished(struct fanout *f, struct str name);
/* A channel that only clients' wishes made goes with the last one who wanted it. */
void chan_release(struct fanout *f, struct chan *c);

/* ---- flush.c ---- */

bool fanout_flush(void *self);
/* Answers the polls of the group and frees it. */
void answer_polls(struct group *g, bool reset);

/* ---- stall.c ---- */

struct lag *lag_new(const struct group *g);
/* A live member becomes stalled that was given all up to absolute position `boundary`. */
void become_stalled(struct group *g, struct member *m, uint64_t boundary);
/* A live member that stood at `pos` becomes stalled. */
void stall_at(struct group *g, struct member *m, uint64_t pos);

#endif
