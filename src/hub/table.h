/* table: the newest rows of one table on one shard, who wants which of them, and writing messages
 * out of them. Only the files of the fan-out include it. SPDX-License-Identifier: MIT */
#ifndef HUB_TABLE_H
#define HUB_TABLE_H
#include "hub/frame.h"

struct group;

/* A row inside the frame that brought it. */
struct row {
    struct frame *frame; /* NULL: there is none */
    uint32_t at;         /* in frame->rows */
};

/* That group has the key at position `at` of the set of its subscription `sub`. */
struct want {
    struct group *group;
    uint32_t sub, at;
};
struct wants {
    struct want *of;
    uint32_t count, cap;
};

struct table {
    struct row *rows;    /* by key */
    struct wants *wants; /* by key */
    size_t cap;          /* of both */
    struct wants all;    /* groups that want every row; their `at` means nothing */
    uint64_t top_seq;    /* of the newest row; 0: no rows */
};

struct table *table_new(void);
void table_free(struct table *t);
/* The rows of a frame become the newest of their keys. */
void table_apply(struct table *t, struct frame *f);
/* Forgets the rows. */
void table_reset(struct table *t);
/* Room in both arrays for that key. */
void table_reserve(struct table *t, uint32_t key);
uint64_t row_seq(const struct row *r); /* 0: there is none */

/* Rows for one message, borrowed from a table. */
struct picks {
    const struct row **rows;
    size_t count, cap;
};
void picks_add(struct picks *p, const struct row *r);
void picks_fini(struct picks *p);

/* Messages that were written, for others who want the same rows; while the table stays as it is. */
struct memo {
    const struct table *table;
    uint64_t top_seq;
    struct memo_slot *slots;
    size_t cap, count;
    struct buf bytes;
    struct buf json; /* of the message that is being written */
};
void memo_fini(struct memo *m);

struct table_message {
    const struct table *table;
    const struct channel_info *channel;
    const struct picks *picks; /* at least one */
    enum frame_form form;
    struct str epoch;
    uint64_t seq; /* of the cursor */
    bool late;    /* a higher seq went out before: no id for those who come back */
    bool delta;   /* only what changed since `base` */
    uint64_t base;
};
void table_write(const struct table_message *m, struct deflater *deflater, struct memo *memo,
                 struct buf *out);

#endif
