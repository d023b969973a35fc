/* Each bucket is one time: that at which it will be full again (the generic cell rate algorithm of
 * ITU-T I.371). A token taken puts it off by the time in which one is gained; it may lie at most
 * the gain of a whole burst ahead.
 *
 * Two threads that meet in a place, or find one for the same key, at the same moment, may give a
 * token too many: no harm. SPDX-License-Identifier: MIT */
#include "base/throttle.h"

#include "base/alloc.h"

#include <assert.h>

enum { SETS = 4096, WAYS = 8 }; /* 512 KiB, of which only what is used is touched */

struct slot {
    uint64_t key;     /* its hash; 0: nobody's */
    uint64_t full_us; /* when the bucket is full again */
};

struct throttle {
    uint64_t gain_us; /* for one token */
    uint64_t most_us; /* that of all tokens but one */
    struct slot slots[SETS * WAYS];
};

struct throttle *throttle_new(uint32_t per_s, uint32_t burst)
{
    assert(per_s && burst);
    struct throttle *t = mem_zero(sizeof(*t));
    t->gain_us = max_u64(1000000 / per_s, 1);
    t->most_us = t->gain_us * (burst - 1);
    return t;
}

void throttle_free(struct throttle *t)
{
    mem_free(t);
}

/* The key's place, or the one of those it may have that is nearest to full. */
static struct slot *slot_of(struct throttle *t, uint64_t key, uint64_t now_us)
{
    struct slot *set = &t->slots[(key >> 32) % SETS * WAYS];
    struct slot *best = NULL;
    uint64_t best_us = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        if (__atomic_load_n(&set[i].key, __ATOMIC_RELAXED) == key) {
            return &set[i];
        }
        uint64_t full_us = __atomic_load_n(&set[i].full_us, __ATOMIC_RELAXED);
        if (full_us < best_us) {
            best_us = full_us;
            best = &set[i];
        }
    }
    __atomic_store_n(&best->key, key, __ATOMIC_RELAXED);
    __atomic_store_n(&best->full_us, now_us, __ATOMIC_RELAXED);
    return best;
}

bool throttle_take(struct throttle *t, struct str key, uint64_t now_us, uint64_t *wait_us)
{
    struct slot *s = slot_of(t, str_hash(key) | 1, now_us);
    uint64_t full_us = __atomic_load_n(&s->full_us, __ATOMIC_RELAXED);
    uint64_t from_us = 0;
    do {
        from_us = max_u64(full_us, now_us);
        if (from_us - now_us > t->most_us) {
            *wait_us = from_us - now_us - t->most_us;
            return false;
        }
    } while (!__atomic_compare_exchange_n(&s->full_us, &full_us, from_us + t->gain_us, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}
