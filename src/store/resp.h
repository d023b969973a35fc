/* resp: what Redis says and is told on the wire (RESP2). Answers are read by hiredis, whose one
 * gate this is; commands are written here, straight into a buf.
 *
 * Pure: no socket, no clock. Nothing that is asked in this program is answered with an array, so
 * arrays are refused before their claimed size costs anything. SPDX-License-Identifier: MIT */
#ifndef STORE_RESP_H
#define STORE_RESP_H
#include "base/buf.h"

enum resp_kind { RESP_TEXT, RESP_STATUS, RESP_ERROR, RESP_INTEGER, RESP_NIL };

struct resp_reply {
    enum resp_kind kind;
    struct str text; /* of RESP_TEXT, RESP_STATUS and RESP_ERROR */
    int64_t integer;
};

struct resp;

/* A reader that holds at most `max_bytes` of an answer that is not whole yet. */
struct resp *resp_new(size_t max_bytes);
void resp_free(struct resp *r);
/* ERR_LIMIT: more came than it may hold. Once it failed it stays failed. */
enum err resp_feed(struct resp *r, struct str bytes) MUST_CHECK;
/* OK: the next answer; its text is valid until the next call. ERR_MORE: none is whole.
 * ERR_PROTOCOL: nonsense, `why` says which and lives as long as the reader. */
enum err resp_next(struct resp *r, struct resp_reply *out, const char **why) MUST_CHECK;

/* Appends a command; false (and nothing appended) beyond the buf's ceiling. */
bool resp_command(struct buf *out, const struct str *words, size_t count);

#endif
