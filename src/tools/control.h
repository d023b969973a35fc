/* control: how the stand-in was told to misbehave, and what it was asked.
 *
 * A fault is set on a target: an end point ("coingecko/global"), a provider ("coingecko") or all
 * ("*"). The most exact one that is set counts. The WebSockets of the exchanges are end points too
 * ("binance/ws"): there a fault befalls frames instead of answers, `drop` and `stall` are other
 * names of cut and silence, and latency delays all that is sent. SPDX-License-Identifier: MIT */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H
#include "base/buf.h"

enum fault {
    FAULT_NONE,
    FAULT_LATENCY, /* value: milliseconds before the answer */
    FAULT_429,     /* value: Retry-After in seconds, when given */
    FAULT_5XX,     /* value: the status, default 503 */
    FAULT_GARBAGE, /* 200 with bytes that are no JSON */
    FAULT_HALF,    /* 200, well framed, with the first half of the body */
    FAULT_CUT,     /* the connection closes in the middle of the body */
    FAULT_SILENCE, /* no answer; the connection stays */
    /* only of WebSockets */
    FAULT_SKIP,     /* value: so many trades of a symbol in a row are left out (1) */
    FAULT_DOUBLE,   /* a frame comes twice */
    FAULT_SKEW,     /* value: milliseconds that the venue's clock is ahead, below 0: behind */
    FAULT_SHUTDOWN, /* says goodbye, then closes after value milliseconds (1000) */
    FAULT_REFUSE,   /* a symbol that is subscribed is not known */
};
const char *fault_text(enum fault f);

struct fault_setting {
    enum fault fault;
    int64_t value; /* -1: not given; of FAULT_SKEW always given */
    int64_t times; /* requests it still applies to; -1: until it is taken back */
};

struct control;
struct control *control_new(void);
void control_free(struct control *c);

/* Reads {target, fault, value?, times?}. On ERR_SYNTAX or ERR_RANGE `error` says what would be
 * right and nothing is changed. */
enum err control_set(struct control *c, struct str json, struct buf *error) MUST_CHECK;
/* A request came for this end point (SIZE_MAX: a path nobody has): counts it, and takes what is to
 * happen to it. */
struct fault_setting control_take(struct control *c, size_t target);
/* What is to happen to that end point as things stand, without taking it; then takes it. */
struct fault_setting control_peek(struct control *c, size_t target);
void control_use(struct control *c, size_t target);
/* A connection came for this WebSocket. */
void control_count(struct control *c, size_t target);
/* What is set and what was asked, as JSON. */
void control_write(const struct control *c, bool recorded, struct buf *out);

#endif
