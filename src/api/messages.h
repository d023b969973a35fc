/* messages: the state of the world as JSON, exactly as the contracts write it. One place, so that
 * the shapes on all transports are the same. Pure: time and cursors are arguments.
 * SPDX-License-Identifier: MIT */
#ifndef API_MESSAGES_H
#define API_MESSAGES_H
#include "base/json.h"
#include "market/summary.h"

/* What ends most messages: timestamp, mode (NULL: left out) and cursor (NULL: left out), as members
 * of the object under way. */
void message_stamp(struct json_writer *w, int64_t now_ms, const char *mode, const char *cursor);
/* The summary object: the six numbers, last_updated, mode, stale, sources, reasons. `extra` (may be
 * empty) is further members, JSON text that starts with a comma. */
void message_summary(struct buf *out, const struct summary *s, int64_t now_ms, struct str extra);
/* {type:"dashboard_update", data, timestamp, mode, source, cursor} */
void message_dashboard(struct buf *out, const struct summary *s, int64_t now_ms, const char *source,
                       const char *cursor);
/* {type:"btc_price_update", data:{btc_price, btc_change_24h, ...}, timestamp, mode, cursor} */
void message_btc_price(struct buf *out, const struct summary *s, int64_t now_ms,
                       const char *cursor);
/* {type:"welcome", data, timestamp, message, mode, cursor}; `data` is a summary object. */
void message_welcome(struct buf *out, struct str data, const char *mode, int64_t now_ms,
                     const char *cursor);
/* {type:"message", channel, data, timestamp, cursor}; `data` byte for byte. */
void message_custom(struct buf *out, struct str channel, struct str data, int64_t now_ms,
                    const char *cursor);

struct error_text {
    const char *code;      /* one of contracts 5 */
    const char *message;   /* a sentence for people: what was wrong, what would be right */
    int64_t retry_after_s; /* < 0: null */
    struct str id;         /* raw JSON of the request's id; empty: none */
};
void message_error(struct buf *out, const struct error_text *e, int64_t now_ms);
/* Problem details (RFC 9457) as a body. */
void message_problem(struct buf *out, unsigned status, const char *title, const char *detail);
/* A weak validator over what a reader would call the content: values, modes and marks, not ages. */
void message_summary_etag(const struct summary *s, int64_t now_ms, bool refreshed, char out[24]);

#endif
