/* Each bucket is one time: that at which it will be full again (the generic cell rate algorithm of
 * ITU-T I.371). A token taken puts it off by the time in which one is gained; it may lie at most
 * the gain of a whole burst ahead.
 *
 * Where two threads find another place for the same key at the same moment, a token too many may be
 * given: no harm. SPDX-License-Identifier: MIT */
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
    for (;;) {
        struct slot *best = NULL;
        uint64_t best_us = UINT64_MAX, best_key = 0;
        for (size_t i = 0; i < WAYS; i++) {
            uint64_t theirs = __atomic_load_n(&set[i].key, __ATOMIC_RELAXED);
            if (theirs == key) {
                return &set[i];
            }
            /* Nobody's first: in one just claimed no token may have been counted yet. */
            uint64_t full_us =
                theirs ? max_u64(__atomic_load_n(&set[i].full_us, __ATOMIC_RELAXED), 1) : 0;
            if (full_us < best_us) {
                best_us = full_us;
                best_key = theirs;
                best = &set[i];
            }
        }
        /* Whoever comes second looks again, and finds it. A time that has passed is as good as now:
         * nothing is written over what another thread takes meanwhile. */
        if (__atomic_compare_exchange_n(&best->key, &best_key, key, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            if (best_us > now_us) {
                __atomic_compare_exchange_n(&best->full_us, &best_us, now_us, false,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED);
            }
            return best;
        }
    }
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
