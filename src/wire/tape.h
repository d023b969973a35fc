/* tape: reads what was recorded from upstream, line by line, from bytes that come in pieces of any
 * size. Five forms are told apart by the first line that is one of them:
 *
 *   recording  our own (docs/RECORDING.md)      {"v":1,"t":NS,"source":…,"kind":…}
 *   stamped    receive time in ns, then a frame  1723161253937085768 {"stream":…}
 *   session    {"t":"connect"|"send"|"recv","ts":SECONDS,"addr":…,"conn":…,"data":"the frame"}
 *   labelled   {"venue":"kraken","data":"the frame"}, without a time
 *   bare       the frame alone, without a time   {"channel":…}
 *
 * A line counts when it ends in a newline. A line that is not an item of that form is refused with
 * its number and the next one goes on; so is one longer than TAPE_LINE_MAX.
 *
 *     while (there are bytes) { tape_feed(t, bytes); while ((e = tape_next(t, &item)) != ERR_MORE)
 *     if (e == OK) use item, else say tape_line(t) and tape_why(t); }  tape_end(t); drain once more
 *
 * Pure; memory is bounded by TAPE_LINE_MAX and the largest piece. SPDX-License-Identifier: MIT */
#ifndef WIRE_TAPE_H
#define WIRE_TAPE_H
#include "wire/record.h"

#define TAPE_LINE_MAX ((size_t)16 << 20)

enum tape_form {
    TAPE_UNKNOWN,
    TAPE_RECORDING,
    TAPE_STAMPED,
    TAPE_SESSION,
    TAPE_LABELLED,
    TAPE_BARE
};

/* Whose wire format the frames of a connection have. */
enum tape_venue {
    TAPE_VENUE_UNKNOWN,
    TAPE_VENUE_BINANCE,
    TAPE_VENUE_COINBASE,          /* Exchange: ws-feed */
    TAPE_VENUE_COINBASE_ADVANCED, /* Advanced Trade */
    TAPE_VENUE_KRAKEN,            /* v2 */
};
/* "binance", "coinbase" (both), "kraken"; "" for unknown. */
const char *tape_venue_text(enum tape_venue v);
/* By the members of one received message, reading no more of it than it takes. TAPE_VENUE_UNKNOWN
 * for answers that look the same everywhere, other venues, and what is not JSON. */
enum tape_venue tape_venue_of_frame(struct str frame);
/* By the host of a URL. */
enum tape_venue tape_venue_of_url(struct str url);

enum tape_kind {
    TAPE_HTTP,  /* an answer: url, status, frame (the body), record */
    TAPE_OPEN,  /* a connection was made: url */
    TAPE_TEXT,  /* a message came: frame */
    TAPE_SENT,  /* a message went out (sessions only): frame */
    TAPE_CLOSE, /* the connection ended: status is the close code, 1006: without one */
};
struct tape_item {
    enum tape_kind kind;
    /* By the recording's source, the connection's address, the frame; else what was last known. */
    enum tape_venue venue;
    int64_t time_ns;       /* Unix time of receipt (of sending); 0: the tape does not say */
    struct str source;     /* the recording's; else the venue's name, "" for unknown */
    struct str connection; /* what a session calls it; "" when not said */
    struct str url;
    struct str frame;
    int status;
    const struct record *record; /* the whole line of a recording, with headers; else NULL */
};

struct tape_reader;
struct tape_reader *tape_new(void);
void tape_free(struct tape_reader *t);
/* Adds bytes (copied). Take all items before the next call, or memory grows. */
void tape_feed(struct tape_reader *t, struct str bytes);
/* No bytes will come. */
void tape_end(struct tape_reader *t);
/* The next line, empty ones passed over. OK: an item; its slices live until the next call of any
 * function here. ERR_MORE: no whole line is left. ERR_SYNTAX, ERR_UNSUPPORTED (of a later version),
 * ERR_LIMIT (too long): a bad line, see tape_why(); call again. */
enum err tape_next(struct tape_reader *t, struct tape_item *out) MUST_CHECK;

enum tape_form tape_form(const struct tape_reader *t);
const char *tape_form_text(enum tape_form f);
/* Number of the line that tape_next() gave last, from 1. */
uint64_t tape_line(const struct tape_reader *t);
/* What was wrong with the last bad line, without a full stop. */
const char *tape_why(const struct tape_reader *t);
/* Lines refused so far; an unfinished last one is not among them. */
uint64_t tape_bad_lines(const struct tape_reader *t);
/* After tape_end() and draining: bytes behind the last newline, which were left out. */
size_t tape_cut_bytes(const struct tape_reader *t);

#endif
