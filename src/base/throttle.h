/* throttle: how often each of many keys may, for all threads together: the requests of an address,
 * say. A key has a bucket of `burst` tokens that gains `per_s` a second.
 *
 * The table has a fixed size and needs no lock. A bucket that is full again is as good as none, so
 * its place is free; where more keys than its share of the table holds are busy at once, the
 * one nearest to full is forgotten, and begins anew with a full bucket: nobody is ever refused for
 * another's doing. Time is the caller's, monotonic, microseconds, about the same on all threads.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_THROTTLE_H
#define BASE_THROTTLE_H
#include "base/str.h"

struct throttle;

/* Both at least 1. */
struct throttle *throttle_new(uint32_t per_s, uint32_t burst);
/* When nobody uses it any more. NULL is fine. */
void throttle_free(struct throttle *t);
/* Takes a token. False: there is none, and *wait_us says when there will be one. */
bool throttle_take(struct throttle *t, struct str key, uint64_t now_us,
                   uint64_t *wait_us) MUST_CHECK;

#endif
