/* record: the line format of recordings (docs/RECORDING.md): one JSON object a line, one line an
 * item that came from upstream. A line counts when it ends in a newline; what follows the last
 * newline is an item whose writing was cut off.
 *
 * Pure: writing appends to a buf, reading gives slices of the line or of `scratch`.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum record_kind {
    RECORD_HTTP,     /* an answer: url, purpose, status, headers, body; or error instead of those */
    RECORD_WS_OPEN,  /* a handshake succeeded: url, headers */
    RECORD_WS_TEXT,  /* a text message: body */
    RECORD_WS_CLOSE, /* the connection ended: status is the close code (1006: without one) */
    RECORD_KIND_COUNT,
};
/* "http", "ws_open", "ws_text", "ws_close". */
const char *record_kind_text(enum record_kind k);

#define RECORD_HEADERS_MAX 8
struct record {
    int64_t time_ns; /* Unix time of receipt */
    struct str source;
    enum record_kind kind;
    struct str url;     /* secrets masked; empty: none */
    struct str purpose; /* what was asked ("for"), where `url` alone does not tell; empty: none */
    struct str error;   /* in a word, why a request got no answer; empty: it got one */
    int status;         /* 0: none */
    struct {
        struct str name, value;
    } headers[RECORD_HEADERS_MAX];
    size_t header_count;
    struct str body; /* any bytes */
};

/* Appends the line with its newline. A body that is not UTF-8 is written in base64. */
void record_write(struct buf *out, const struct record *r);
/* Reads one line (without its newline). Slices point into `line` or `scratch` (cleared first), and
 * live until either changes. Unknown members and headers beyond the maximum are passed over.
 * ERR_SYNTAX: not a whole item, ERR_UNSUPPORTED: of a later format version. */
enum err record_read(struct str line, struct record *out, struct buf *scratch) MUST_CHECK;

#endif
