/* frame: one message, immutable, counted, shared by all threads and clients.
 *
 * It holds the JSON text as every wire format needs it; a format adds its own few bytes around it
 * when the message enters a log (frame_append). Only what is work to make is kept: a compressed or
 * packed form is made once, by the first shard that needs it, and kept with the frame.
 *
 * A message of a table has rows. The frame then also says where each row and each of its fields
 * stands in the text and at which seq the field last changed, so that a shard can write any of its
 * rows, or only what changed in them since any seq, without knowing older messages.
 *
 * Counting is atomic; everything else is read-only once the frame is shared. This is the one
 * counted type of the program. SPDX-License-Identifier: MIT */
#ifndef HUB_FRAME_H
#define HUB_FRAME_H
#include "base/buf.h"

struct deflater;

enum channel_class {
    CHANNEL_STATE, /* newest wins: a client that was overtaken gets only the newest of each key */
    CHANNEL_EVENT, /* nothing is skipped silently: history, then a gap notice */
    CHANNEL_TABLE, /* rows with keys; each client has a set of them, and of each row newest wins */
};

/* What is known of a channel everywhere. Made by the hub, immutable, lives as long as the hub. */
struct channel_info {
    uint32_t id; /* 0.. in order of creation */
    enum channel_class class;
    char *name;  /* owned; "dashboard_update", "app:news" */
    char *type;  /* owned; the "type" of its messages, SSE's event name */
    char *event; /* owned; Socket.IO's event name; needs no escapes in JSON */
    size_t history_count;
    size_t history_bytes;
    uint64_t history_ms;
    const char *const *fields; /* of a table's rows; borrowed */
    size_t field_count;
};

/* Wire formats of a client. */
enum frame_form {
    FORM_WS,              /* an unmasked text frame of RFC 6455 */
    FORM_WS_DEFLATE,      /* the same, compressed when it is worth it */
    FORM_SSE,             /* an event, as a chunk of HTTP/1.1's chunked coding */
    FORM_POLL,            /* bare JSON, comma before all but the first */
    FORM_MSGPACK,         /* an unmasked binary frame: the same object as MessagePack */
    FORM_MSGPACK_DEFLATE, /* the same, compressed when it is worth it */
    FORM_SIO_WS,          /* a text frame with the packet 42["<event>",<data>,"<cursor>"] */
    FORM_SIO_WS_DEFLATE,  /* the same, compressed when it is worth it */
    FORM_SIO_PACKETS,     /* the packet bare behind a byte 0x1e, for polling: drop the first one */
    FORM_COUNT,
};

/* Keys of a table's rows are small numbers, for arrays are indexed by them. */
#define TABLE_KEY_MAX 65535

/* A field of a row. */
struct frame_field {
    uint64_t changed_seq; /* the message that last changed it; 0: it was never known */
    uint32_t at, len;     /* its JSON text in the payload; none when it was never known */
};

/* A row: "BTC":{"price":1,...} in the payload. */
struct frame_row {
    uint32_t key;
    uint32_t at, len;
    uint32_t name_len; /* of "BTC" at its start, with the quotes */
};

/* The rows of a table's message, in the order of its text. */
struct frame_rows {
    uint32_t count, field_count;
    uint32_t tail_at, tail_len; /* ,"timestamp":"...","mode":"..." in the payload */
    uint32_t time_len;          /* of the part of the tail that is the timestamp */
    struct frame_row *rows;
    struct frame_field *fields; /* field_count a row */
};

enum frame_pack {
    PACK_DEFLATED,
    PACK_MSGPACK,
    PACK_MSGPACK_DEFLATED,
    PACK_SIO_DEFLATED,
    PACK_COUNT
};

struct frame {
    uint64_t seq;   /* its place in the server's one count of messages */
    uint64_t at_ms; /* monotonic time of publishing */
    /* loop_now_us() when the upstream bytes came that caused it; 0: nothing upstream did */
    uint64_t origin_us;
    const struct channel_info *channel;
    uint32_t key;                  /* which slot of a state channel */
    const struct frame_rows *rows; /* owned; NULL: not of a table */
    /* private */
    uint32_t refs;
    uint32_t data_at, data_len;
    void *packed[PACK_COUNT]; /* atomic; whole frames of the wire, once somebody needed them */
    uint32_t len;
    char payload[];
};

/* Compressing pays from this size on; below it messages go plain. */
#define FRAME_DEFLATE_MIN 512
/* Deltas have their names from a fixed list and pay sooner. */
#define FRAME_DEFLATE_MIN_DELTA 128

/* One reference belongs to the caller. `data`: the slice of `payload` that is Socket.IO's argument;
 * empty: the whole payload is. */
struct frame *frame_new(const struct channel_info *channel, uint32_t key, uint64_t seq,
                        uint64_t at_ms, struct str payload, struct str data);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f);
struct str frame_payload(const struct frame *f);
/* Appends the message in a wire format. `epoch` is needed for SSE's id and Socket.IO's cursor
 * (empty: it goes without one); `deflater` for the compressed forms (NULL: stays plain). */
void frame_append(struct frame *f, enum frame_form form, struct str epoch,
                  struct deflater *deflater, struct buf *out);

/* A message that is no frame: put together from rows, or a notice. */
struct frame_text {
    struct str type;  /* SSE's event name */
    struct str event; /* Socket.IO's */
    struct str json;
    struct str data; /* slice of json; Socket.IO's argument; empty: all of it */
    uint64_t seq;
    size_t deflate_min; /* compressed from this size of JSON on; 0: never */
};
void frame_append_message(enum frame_form form, const struct frame_text *text, struct str epoch,
                          struct deflater *deflater, struct buf *out);
/* Appends a text that is no published message (notices, replies) in that format; `type` is its SSE
 * and Socket.IO event name. */
void frame_append_text(enum frame_form form, struct str type, struct str json, struct buf *out);

#endif
