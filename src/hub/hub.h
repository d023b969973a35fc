/* hub: the main thread's side of the fan-out: which channels there are, and the one count of
 * messages.
 *
 * Publishing gives a message its place in that count (seq) and hands it, as one shared frame, to
 * every shard's fanout; all shards see the same messages in the same order. What was published in
 * one turn of the main loop travels as one letter.
 *
 * A cursor is "<epoch>-<seq>". The epoch changes when history starts anew or the mode of the data
 * changes, so that a cursor never means two things. Main thread only.
 * SPDX-License-Identifier: MIT */
#ifndef HUB_HUB_H
#define HUB_HUB_H
#include "base/loop.h"
#include "base/mailbox.h"
#include "hub/fanout.h"
#include "hub/frame.h"

struct hub;

struct hub_opts {
    struct loop *loop;
    size_t max_channels;  /* 0: 10,000 */
    size_t history_count; /* per event channel; 0: 10,000 messages */
    size_t history_bytes; /* 0: 4 MiB */
    uint64_t history_ms;  /* 0: 10 min */
};

struct hub *hub_new(const struct hub_opts *opts);
void hub_free(struct hub *h);
/* Adds a shard: its fanout, reached through its mailbox. Before anything is published. */
void hub_add_shard(struct hub *h, struct fanout *f, struct mailbox *mail);

/* The channel of that name, made when it is new. ERR_LIMIT: too many channels. */
enum err hub_channel(struct hub *h, struct str name, struct str type, enum channel_class class,
                     const struct channel_info **out) MUST_CHECK;
/* The same for a table; `fields` are the names of the members of a row, in order, and live as long
 * as the hub. `event` is what Socket.IO calls its messages. */
enum err hub_table(struct hub *h, struct str name, struct str type, struct str event,
                   const char *const *fields, size_t field_count,
                   const struct channel_info **out) MUST_CHECK;
/* NULL when there is none. */
const struct channel_info *hub_find(const struct hub *h, struct str name);

/* The seq that the next message will have, and cursors as text. */
uint64_t hub_next_seq(const struct hub *h);
void hub_cursor(const struct hub *h, uint64_t seq, char out[CURSOR_LEN + 1]);
/* Publishes; the payload carries the cursor of hub_next_seq(), taken just before. */
void hub_publish(struct hub *h, const struct channel_info *channel, uint32_t key,
                 struct str payload);
/* The same with what Socket.IO and the lag need: `data`, the slice of the payload that is the
 * message's data (empty: all of it), and the loop_now_us() of the upstream bytes that caused
 * it (0: none). */
void hub_publish_data(struct hub *h, const struct channel_info *channel, uint32_t key,
                      struct str payload, struct str data, uint64_t origin_us);

struct hub_row {
    uint32_t key;             /* at most TABLE_KEY_MAX */
    struct str name;          /* "BTC"; the same for each row of the key */
    const struct str *values; /* JSON text per field; empty: the field is left out */
};
/* Publishes rows of a table, each key at most once. What did not change is left out; nothing is
 * published when nothing is left. A field that was known and is not any more becomes null. `mode`
 * NULL: none is written. `origin_us`: loop_now_us() of the upstream bytes that caused it (0: none).
 */
void hub_publish_rows(struct hub *h, const struct channel_info *channel, const struct hub_row *rows,
                      size_t count, int64_t wall_ms, const char *mode, uint64_t origin_us);
/* Starts a new epoch: history, last values and rows of all shards are forgotten. */
void hub_new_epoch(struct hub *h);
/* Called for each published message, for the publish log. */
typedef void (*hub_tap_fn)(void *self, const struct frame *f, struct str cursor);
void hub_tap(struct hub *h, hub_tap_fn fn, void *self);
/* Hands over what was published so far in this turn. The loop does it by itself. */
void hub_flush(struct hub *h);
uint64_t hub_dropped(const struct hub *h);

#endif
