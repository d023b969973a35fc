/* tally: how many of something each key has, for all threads together: the connections of an
 * address, say. Guarded by a lock of its own that is held for a look-up: for what happens once in
 * a client's life, not with every message. SPDX-License-Identifier: MIT */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H
#include "base/str.h"

struct tally;

/* At most so many keys at a time that have any. */
struct tally *tally_new(size_t max_keys);
/* When nobody uses it any more. NULL is fine. */
void tally_free(struct tally *t);
/* One more. False: it has `most` already, or there are too many keys. */
bool tally_add(struct tally *t, struct str key, size_t most) MUST_CHECK;
/* One less; it has one. */
void tally_remove(struct tally *t, struct str key);
size_t tally_count(struct tally *t, struct str key);

#endif
