/* rows: what the main thread knows of one table: the newest text of each field of each key, and the
 * message that last changed it. Makes the frames of the table. Only hub.c includes it.
 * SPDX-License-Identifier: MIT */
#ifndef HUB_ROWS_H
#define HUB_ROWS_H
#include "hub/hub.h"

struct rows;

struct rows *rows_new(const struct channel_info *channel);
void rows_free(struct rows *r);
const struct channel_info *rows_channel(const struct rows *r);
/* Forgets all rows: a new epoch. */
void rows_reset(struct rows *r);
/* The next frame has all rows, each as if all of it had changed: a shard lost messages. */
void rows_resend(struct rows *r);

struct rows_head {
    uint64_t seq; /* the frame's, if there is one */
    uint64_t at_ms;
    int64_t wall_ms;
    const char *mode; /* NULL: none */
    const char *cursor;
};
/* Takes the values over and gives the frame of what changed, with one reference for the caller;
 * NULL when nothing did. */
struct frame *rows_apply(struct rows *r, const struct hub_row *rows, size_t count,
                         const struct rows_head *head);

#endif
