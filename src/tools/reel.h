/* reel: a recorded capture of WebSocket sessions, whole in memory: what came from each venue, when,
 * and on which subscription. Reads all forms of wire/tape.h, gzipped or not.
 *
 * A capture without receive times (bare frames) is timed by the times that its frames tell.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_REEL_H
#define TOOLS_REEL_H
#include "base/buf.h"
#include "base/err.h"
#include "tools/venue.h"

struct reel_frame {
    int64_t at_ns;   /* after the first of its venue */
    struct str text; /* as received */
    /* What one subscribes to for it: "btcusdt@trade", "matches BTC-USD", "trade BTC/USD", and of
     * Coinbase's Advanced Trade the channel alone; empty: everybody gets it. */
    struct str key;
};

struct reel {
    struct reel_frame *frames[VENUE_COUNT]; /* owned, in order of the tape */
    size_t count[VENUE_COUNT];
    /* private */
    size_t room[VENUE_COUNT];
    struct buf text;
};

/* On failure `error` gets the sentence; ERR_SYNTAX: it holds nothing that could be played. */
enum err reel_open(const char *file, struct reel **out, struct buf *error) MUST_CHECK;
void reel_free(struct reel *r);

/* The channel of Coinbase that a subscription's name or a frame's type belongs to: "matches" for
 * last_match, "level2" for level2_batch; others stay. */
struct str reel_coinbase_channel(struct str name);

#endif
