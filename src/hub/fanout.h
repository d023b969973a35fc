/* fanout: one shard's side of the hub: who wants what, and getting it to them.
 *
 * Idea. Members with exactly the same subscriptions and wire format form a *group*. A group keeps
 * one short byte log of what was published to it since its last complete flush, and a dense array
 * of its live members with each one's position in that log. Publishing appends the encoded bytes
 * once a group; a flush gives every live member the contiguous bytes from its position to the end
 * in one send. Sixteen messages to ten thousand clients are sixteen appends and ten thousand sends,
 * and no client has a queue.
 *
 * A member whose socket is full leaves the array: it is *stalled*. It owns the tail of the one
 * frame that was cut, and the seq up to which it was served: nothing else is kept for it. When it
 * drains, it gets the newest message of each state channel it missed, after a `conflated` notice,
 * and of event channels what the channel's history still has, after a `gap` notice where that is
 * not all.
 *
 * A subscription of a table names the keys of the rows it wants. Of those the group keeps which
 * changed and are not yet sent (a bitmap), and puts one message together from the newest rows when
 * it is due: at once, or at the pace of its rate limit. With `delta` that message has only the
 * fields that changed since the group's last one.
 *
 * Invariants.
 *  1. A live member's position lies in [log.base, log.base + log.len]; when a flush is complete all
 *     stand at the end and the log is emptied.
 *  2. A member is in exactly one group, live or stalled, or in none.
 *  3. A live plain member has no bytes waiting in its conn when the flush reaches it: whoever has
 *     gets fanout_stall() first. So bytes never overtake each other.
 *  4. A stalled member's `seq` never exceeds the fanout's, and no message above it was given to it.
 *  5. A message that a rate limit holds back is newer than all that was appended of its channel.
 *  6. Of a table: a key's bit is set exactly while its newest row is above the group's base, the
 *     seq up to which the group was served; all its members have the same, or will get a full one,
 *     or are newcomers that are owed the rest.
 *  7. Frames are referenced by channels (last, history, rows) and held slots only; logs hold
 * copies.
 *
 * Everything belongs to the shard's thread. SPDX-License-Identifier: MIT */
#ifndef HUB_FANOUT_H
#define HUB_FANOUT_H
#include "base/loop.h"
#include "hub/frame.h"

struct fanout;
struct group;
struct lag;

#define CURSOR_LEN 40 /* an epoch of at most 19 characters, '-', 20 digits */

enum member_state { MEMBER_NONE, MEMBER_LIVE, MEMBER_STALLED };

/* One client of the fan-out, embedded in the owner's session. Zeroed before its first use. */
struct member {
    struct stream *stream; /* plain socket for direct sends; NULL: bytes go through ops->write */
    uint32_t conflated;    /* messages this client was spared so far */
    uint32_t gaps;         /* gap notices so far */
    /* private */
    struct group *group;
    struct lag *lag; /* while stalled */
    uint32_t slot;   /* in the group's array, while live */
    uint8_t state;
    uint16_t newcomer; /* in so many of its group's lists of newcomers */
};

/* Inside these the member that is named may leave; nothing else of the fan-out may be called. */
struct fanout_ops {
    /* Takes framed bytes in order, none too, and tries the socket at once with all that waits;
     * what it does not take waits on, and fanout_drained() follows when that is gone. */
    void (*write)(struct member *m, struct str bytes);
    /* Bytes that wait for this member. */
    size_t (*pending)(struct member *m);
    /* The socket refused bytes that wait still: fanout_drained() follows. */
    bool (*congested)(const struct member *m);
    /* The socket is broken: the owner will close it and call fanout_leave(). */
    void (*broken)(struct member *m);
    /* The poll of these members is answered with this JSON body; they have left already. */
    void (*polled)(void *self, struct member **members, size_t count, struct str body);
    /* For members without a stream, many at a time: `queue` takes framed bytes in order without
     * trying the socket, `flush` then gives all that was queued to the sockets in one go; until
     * then the bytes stay where they are. True: nobody has bytes waiting after it. NULL: each is
     * written by itself. */
    void (*queue)(struct member *m, struct str bytes);
    bool (*flush)(void *self);
    /* `queue` follows soon for this member: a hint to bring near what that touches. May be NULL. */
    void (*soon)(struct member *m);
};

struct fanout_opts {
    struct loop *loop;
    const struct fanout_ops *ops;
    void *self;
    size_t slice;       /* sends per turn before reads get their chance; 0: 256 */
    size_t max_subs;    /* subscriptions a member; 0: 100 */
    size_t drain_bytes; /* most that is written to a draining client at once; 0: 48 KiB */
    size_t log_bytes;  /* a group's log that is larger is emptied: who is behind stalls; 0: 1 MiB */
    int deflate_level; /* 0: 1 */
    uint8_t window_bits; /* of compressed frames; 0: 12 */
};

struct fanout *fanout_new(const struct fanout_opts *opts);
/* All members must have left. */
void fanout_free(struct fanout *f);

/* ---- from the hub ---- */

/* A message; keeps its own reference. */
void fanout_apply(struct fanout *f, struct frame *frame);
/* A new epoch: last values and histories are forgotten. Messages below `seq` that never came count
 * as lost. Waiting polls are answered with a reset. */
void fanout_set_epoch(struct fanout *f, struct str epoch, uint64_t seq);
/* Where the hub keeps the number of its newest message; borrowed, read by the shard's thread. */
void fanout_set_newest(struct fanout *f, const _Atomic uint64_t *newest);
/* Messages up to `seq` were lost on the way here: everyone learns of the gap, waiting polls by a
 * reset. */
void fanout_lost(struct fanout *f, uint64_t seq);

/* ---- members ---- */

struct fanout_sub {
    struct str channel;
    uint32_t interval_ms; /* least time between two messages of a state or table channel; 0: none */
    /* The rest is for tables. */
    const uint32_t *keys; /* rows wanted, in any order */
    size_t key_count;     /* 0: all rows, also future ones */
    bool delta;           /* WebSocket and MessagePack only, else not heeded */
    /* If nothing went out for that long, all rows of the set are sent again; 0: never. */
    uint32_t repeat_ms;
    bool unlimited; /* max_subs is not heeded: the owner has limits of its own */
};

/* Adds or replaces one subscription of a member (in `form`, the same for all of its). It is given
 * first what was due to it, also what a rate limit held back of its other channels; the caller
 * gives the state of the new one. Polls have no rate limits: one answer takes all there is.
 * ERR_LIMIT: too many subscriptions. ERR_CLOSED: it left meanwhile. */
enum err fanout_subscribe(struct fanout *f, struct member *m, enum frame_form form,
                          const struct fanout_sub *sub) MUST_CHECK;
/* The same for a whole set at once (its first). */
enum err fanout_join(struct fanout *f, struct member *m, enum frame_form form,
                     const struct fanout_sub *subs, size_t count) MUST_CHECK;
/* ERR_NOT_FOUND: was not subscribed. */
enum err fanout_unsubscribe(struct fanout *f, struct member *m, struct str channel) MUST_CHECK;
/* Unsubscribes from all of these channels that it has, in one step. */
void fanout_drop(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t count);
bool fanout_subscribed(const struct fanout *f, const struct member *m, struct str channel);
/* The subscription as it stands; its texts and keys (sorted, each once) are borrowed until the
 * member's subscriptions change. False: not subscribed. */
bool fanout_sub_of(const struct fanout *f, const struct member *m, struct str channel,
                   struct fanout_sub *out);
/* Adds keys to a table's subscription, or takes them out; the options stay. It is given what was
 * due to it before; the caller gives the rows of new keys (of the whole set when it has deltas).
 * All rows stay all rows when keys are added; from all rows none can be taken (ERR_UNSUPPORTED).
 * Without a key left it is unsubscribed. ERR_NOT_FOUND: not subscribed. ERR_CLOSED: it left
 * meanwhile. */
enum err fanout_sub_keys(struct fanout *f, struct member *m, struct str channel,
                         const uint32_t *keys, size_t count, bool add) MUST_CHECK;
size_t fanout_sub_count(const struct member *m);
/* Takes the member out of everything. */
void fanout_leave(struct fanout *f, struct member *m);
/* Its socket is full, or bytes wait for it that must go first. */
void fanout_stall(struct fanout *f, struct member *m);
/* Nothing waits any more: gives it what it missed. */
void fanout_drained(struct fanout *f, struct member *m);

/* ---- catching up ---- */

struct fanout_resume {
    bool recovered; /* all that was missed is in what was appended */
    bool reset;     /* the cursor is unknown or too old: snapshots instead */
    /* 0: all is there. Else it would be more than should be kept for a client at once: of messages
     * (not rows) only those up to this one. */
    uint64_t cut_seq;
};
/* Nothing more is appended once there is that much. */
#define FANOUT_COLLECT_BYTES ((size_t)1 << 20)
/* Reads a cursor. False: malformed, of another epoch, or from the future. */
bool fanout_cursor(const struct fanout *f, struct str cursor, uint64_t *seq);
/* The cursor is of this epoch and of a message that was published but has not come here yet: of
 * another shard, which was faster. */
bool fanout_cursor_ahead(const struct fanout *f, struct str cursor);
/* Appends what a client of that subscription should see first: the last value of each key of a
 * state channel, all rows of a table's set as one message; with `since` (may be NULL: none was
 * given) the messages of an event channel after it. */
struct fanout_resume fanout_catch_up(struct fanout *f, const struct fanout_sub *sub,
                                     const struct str *since, enum frame_form form,
                                     struct buf *out);
/* The same for many channels, in order of seq, up to FANOUT_COLLECT_BYTES. `state_too`: state
 * channels' last values and tables' rows even when they are not newer than `since`. Gives the
 * number of messages. */
size_t fanout_collect(struct fanout *f, const struct fanout_sub *subs, size_t count,
                      const struct str *since, bool state_too, enum frame_form form,
                      struct buf *out, struct fanout_resume *resume);
/* Gives a member that has just joined the same messages, but in helpings as its socket takes them,
 * as to one that was stalled: for what is too much to keep for it at once. Bytes that wait for it
 * must have been tried on the socket before, so that fanout_drained() follows. */
void fanout_replay(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t count,
                   const struct str *since);
/* Payload of the newest message of a state channel; empty when there is none. */
struct str fanout_last(struct fanout *f, struct str channel);
/* Cursor of now. */
void fanout_cursor_text(const struct fanout *f, char out[CURSOR_LEN + 1]);

/* ---- figures, for metrics and health ---- */

/* From the upstream bytes to the last socket of the member's group, at the last message that had
 * any; 0: none yet. */
uint64_t fanout_member_lag_us(const struct member *m);

struct fanout_stats {
    size_t groups, members, stalled, channels;
    uint64_t seq, deliveries, bytes, sends, stalls, conflated, gaps;
    size_t log_bytes;
};
void fanout_stats(const struct fanout *f, struct fanout_stats *out);

#endif
