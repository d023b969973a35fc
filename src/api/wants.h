/* wants: what the members of one shard want of symbols that are watched on demand only, and of
 * candle channels: counted, so that the main half hears of the first and of the last.
 *
 * A wanted thing is a number: key * WANT_SLOTS + slot (letters.h). Each session holds the numbers
 * it counts for. Nothing is lost when the main half's mailbox is full: it is told a second later.
 * Shard thread. SPDX-License-Identifier: MIT */
#ifndef API_WANTS_H
#define API_WANTS_H
#include "base/loop.h"

struct wants {
    struct {
        uint32_t count;
        bool told;
    } * of; /* owned, by number */
    size_t size;
    struct loop *loop;
    struct timer retry;
    /* Tells the main half; false: not now. */
    bool (*tell)(void *self, uint32_t number, bool on);
    void *self;
};

/* What one session holds. Zeroed: nothing. */
struct held {
    uint32_t *numbers; /* owned */
    uint32_t count;
};

void wants_fini(struct wants *w);
/* Holds one more; false: held already. */
bool wants_add(struct wants *w, struct held *h, uint32_t number);
/* Lets one go; false: was not held. */
bool wants_remove(struct wants *w, struct held *h, uint32_t number);
/* Lets go of all. */
void wants_drop(struct wants *w, struct held *h);

#endif
