/* frame: one message, immutable, counted, shared by all threads and clients.
 *
 * It holds the JSON text as every wire format needs it; a format adds its own few bytes around it
 * when the message enters a log (frame_append). Only the compressed form is work worth keeping: it
 * is made once, by the first shard that needs it, and kept with the frame.
 *
 * Counting is atomic; everything else is read-only after frame_new(). This is the one counted type
 * of the program. SPDX-License-Identifier: MIT */
#ifndef HUB_FRAME_H
#define HUB_FRAME_H
#include "base/buf.h"

struct deflater;

enum channel_class {
    CHANNEL_STATE, /* newest wins: a client that was overtaken gets only the newest of each key */
    CHANNEL_EVENT, /* nothing is skipped silently: history, then a gap notice */
};

/* What is known of a channel everywhere. Made by the hub, immutable, lives as long as the hub. */
struct channel_info {
    uint32_t id; /* 0.. in order of creation */
    enum channel_class class;
    char *name; /* owned; "dashboard_update", "app:news" */
    char *type; /* owned; the "type" of its messages, SSE's event name */
    size_t history_count;
    size_t history_bytes;
    uint64_t history_ms;
};

/* Wire formats of a client. */
enum frame_form {
    FORM_WS,         /* an unmasked text frame of RFC 6455 */
    FORM_WS_DEFLATE, /* the same, compressed when it is worth it */
    FORM_SSE,        /* an event, as a chunk of HTTP/1.1's chunked coding */
    FORM_POLL,       /* bare JSON, comma before all but the first */
    FORM_COUNT,
};

struct frame {
    uint64_t seq;   /* its place in the server's one count of messages */
    uint64_t at_ms; /* monotonic time of publishing */
    const struct channel_info *channel;
    uint32_t key; /* which slot of a state channel */
    /* private */
    uint32_t refs;
    void *deflated; /* atomic; the compressed WebSocket frame, once somebody needed it */
    uint32_t len;
    char payload[];
};

/* Compressing pays from this size on; below it messages go plain. */
#define FRAME_DEFLATE_MIN 512

/* One reference belongs to the caller. */
struct frame *frame_new(const struct channel_info *channel, uint32_t key, uint64_t seq,
                        uint64_t at_ms, struct str payload);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f);
struct str frame_payload(const struct frame *f);
/* Appends the message in a wire format. `epoch` is needed for SSE's id (empty: the event goes
 * without one); `deflater` for FORM_WS_DEFLATE (NULL: stays plain). */
void frame_append(struct frame *f, enum frame_form form, struct str epoch,
                  struct deflater *deflater, struct buf *out);
/* Appends a text that is no published message (notices, replies) in that format; `type` is its SSE
 * event name. */
void frame_append_text(enum frame_form form, struct str type, struct str json, struct buf *out);

#endif
