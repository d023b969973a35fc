/* keys: interned sets of row keys: the same set is one object however many groups want it.
 * Only the files of the fan-out include it. SPDX-License-Identifier: MIT */
#ifndef HUB_KEYS_H
#define HUB_KEYS_H
#include "base/map.h"

struct keyset {
    uint32_t refs;
    uint32_t count;
    uint32_t keys[]; /* rising */
};

/* The set of these keys (in any order, doubles are fine) out of `sets`, with a reference for the
 * caller. `count` is above 0. */
struct keyset *keyset_intern(struct map *sets, const uint32_t *keys, size_t count);
struct keyset *keyset_ref(struct keyset *k); /* NULL stays NULL */
void keyset_unref(struct map *sets, struct keyset *k);
/* Like keyset_intern() for `old` with keys added or taken out; NULL when none is left. */
struct keyset *keyset_change(struct map *sets, const struct keyset *old, const uint32_t *keys,
                             size_t count, bool add);

#endif
