/* wheel: coarse deadlines for very many objects, one node of 24 bytes each and one place to turn.
 *
 * A deadline is moved later by storing a number; the node stays where it is and is looked at again
 * when its slot comes. It never fires early, and late by a tick at most. A node stands in exactly
 * one list of the wheel from wheel_add() to wheel_remove(), also without a deadline, so the wheel
 * is also the list of all objects. SPDX-License-Identifier: MIT */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H
#include "base/list.h"

#define WHEEL_SLOTS 512
#define WHEEL_TICK_MS 50
#define WHEEL_NEVER UINT64_MAX

struct wheel_node {
    struct list list;
    /* private: ticks */
    uint32_t placed, due;
};

struct wheel {
    /* private */
    struct list slots[WHEEL_SLOTS];
    struct list never;
    uint64_t base_ms;
    uint32_t tick; /* all slots up to this one are done */
};

typedef void (*wheel_fn)(void *self, struct wheel_node *n);

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms);
void wheel_remove(struct wheel_node *n);
/* Moves the deadline; WHEEL_NEVER: none. */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t at_ms);
/* Fires what is due. The node has no deadline when `fn` is called; any node may be moved or removed
 * inside. */
void wheel_turn(struct wheel *w, uint64_t now_ms, wheel_fn fn, void *self);
/* When wheel_turn() should be called next; WHEEL_NEVER: no need. */
uint64_t wheel_next_ms(const struct wheel *w);
/* Calls fn for every node; nodes may be moved and removed in `fn` only if it is not called again
 * for them, so callers collect first. */
void wheel_each(struct wheel *w, wheel_fn fn, void *self);

#endif
