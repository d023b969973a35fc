/* load_stamp: what the load tool writes into each message it publishes, and how it finds it again
 * in whatever envelope a server put around it: when it was to be sent (CLOCK_MONOTONIC,
 * microseconds) and its number. Both have fixed widths, so that all messages of a run have one
 * size. SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_STAMP_H
#define TOOLS_LOAD_STAMP_H
#include "base/buf.h"

struct load_stamp {
    uint64_t sent_us;
    uint64_t n; /* below 10^10 */
};

/* The smallest and largest data the tool makes. */
#define LOAD_STAMP_MIN 48
#define LOAD_DATA_MAX ((size_t)60 * 1024)

/* Appends a JSON object of exactly `size` bytes: the stamp, then filling that looks like prices, so
 * that it compresses as market data does. */
void load_stamp_write(struct buf *out, struct load_stamp stamp, size_t size);
/* Finds a stamp in `text`. `*hint` remembers where the last one was, as all envelopes of a run are
 * alike; start with 0. */
bool load_stamp_find(struct str text, size_t *hint, struct load_stamp *out) MUST_CHECK;

#endif
