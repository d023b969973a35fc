/* frame_walk: finds the frames in a server's WebSocket bytes for as little as possible: it reads
 * headers, shows the beginning of each payload where it lies, and steps over the rest. Only a frame
 * whose beginning is cut by the end of a read is copied, and only that beginning. A load client
 * counts millions of frames a second with it; whoever needs the content takes wire/ws.h.
 *
 * A zeroed struct is at the start of a stream. SPDX-License-Identifier: MIT */
#ifndef TOOLS_FRAME_WALK_H
#define TOOLS_FRAME_WALK_H
#include "base/err.h"
#include "base/str.h"

/* Bytes of payload that are always shown whole when the frame has them. */
#define FRAME_WALK_HEAD 512
/* A compressed frame is shown whole; a larger one than this breaks the stream. */
#define FRAME_WALK_MAX_DEFLATED (1U << 20)

struct frame_walk {
    uint64_t skip;  /* payload bytes still to step over */
    uint8_t *carry; /* owned; the cut beginning of a frame; NULL between reads that end well */
    uint32_t carry_len, carry_cap;
};

struct frame_seen {
    uint8_t opcode;
    bool fin, deflated;
    struct str head; /* the payload's beginning; all of it when deflated; gone after the call */
    uint64_t payload_len;
};

/* `self` may not be fed again, but frame_walk_fini() is allowed. */
typedef void (*frame_seen_fn)(void *self, const struct frame_seen *frame);

/* ERR_PROTOCOL: a masked frame or an extension nobody asked for; ERR_LIMIT: a compressed one beyond
 * the limit. Stops early when the callback ends the walk with frame_walk_fini() and `*stop`. */
enum err frame_walk_feed(struct frame_walk *w, const char *bytes, size_t len, const bool *stop,
                         frame_seen_fn fn, void *self) MUST_CHECK;
void frame_walk_fini(struct frame_walk *w);

#endif
