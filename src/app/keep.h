/* keep: the last summary in the two-level cache (key "dashboard:summary"), and back out of it at
 * the start, each number with the age it really has.
 *
 * What was kept is asked for before anything is put over it: at the start Redis is not connected
 * yet, so the question is repeated until it is answered, nothing is left to fill in, or
 * KEEP_PATIENCE_MS are over. Puts of that time are held back, the newest goes in afterwards. The
 * same after a change of mode, under the new mode's prefix. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_KEEP_H
#define APP_KEEP_H
#include "base/loop.h"
#include "market/summary.h"
#include "store/cache.h"

#define KEEP_KEY STR("dashboard:summary")
#define KEEP_L1_MS 30000
#define KEEP_L2_MS 3600000
#define KEEP_ASK_MS 250
#define KEEP_PATIENCE_MS 60000

struct keep {
    struct loop *loop;
    struct cache *cache;
    struct summary *summary;
    void (*restored)(void *self); /* numbers came back */
    void *self;
    /* private */
    struct timer timer;
    uint64_t until_ms;
    bool asking; /* an answer is on its way */
    bool again;  /* and it is of the mode before */
    bool restoring, stopped;
    struct buf held;
};

/* Takes the mode's prefix and begins to ask. The loop, cache and summary outlive it. */
void keep_start(struct keep *k, struct loop *loop, struct cache *cache, struct summary *summary,
                void (*restored)(void *self), void *self);
/* The summary as it is now, for the next start. Nothing happens before keep_start(): a replay and a
 * plain hub keep nothing. */
void keep_put(struct keep *k, struct str summary);
/* After summary_set_mode(). The same holds. */
void keep_mode_changed(struct keep *k);
/* Before the cache goes. Zeroed is fine. */
void keep_stop(struct keep *k);

/* "" for live, else the prefix that keeps simulated and recorded data apart. */
struct str keep_prefix(enum market_mode mode);
/* Fills fields that are not known yet from a kept summary object; gives how many. What is not
 * understood is left out. */
int keep_restore(struct summary *s, struct str kept, int64_t now_ms);

#endif
