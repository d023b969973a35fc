/* SPDX-License-Identifier: MIT */
#include "net/wheel.h"

#define TICK_NEVER UINT32_MAX

/* The first tick at or after that time. */
static uint32_t tick_of(const struct wheel *w, uint64_t at_ms)
{
    if (at_ms == WHEEL_NEVER) {
        return TICK_NEVER;
    }
    uint64_t since = at_ms > w->base_ms ? at_ms - w->base_ms : 0;
    return (uint32_t)min_u64((since + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS, TICK_NEVER - 1);
}

/* Puts a node that stands in no list into the slot where it is looked at next. */
static void place(struct wheel *w, struct wheel_node *n)
{
    if (n->due == TICK_NEVER) {
        n->placed = TICK_NEVER;
        list_push(&w->never, &n->list);
        return;
    }
    uint32_t last = w->tick + WHEEL_SLOTS - 1;
    n->placed = n->due <= w->tick ? w->tick + 1 : n->due < last ? n->due : last;
    list_push(&w->slots[n->placed % WHEEL_SLOTS], &n->list);
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&w->slots[i]);
    }
    list_init(&w->never);
    w->base_ms = now_ms;
    w->tick = 0;
}

void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms)
{
    n->due = tick_of(w, at_ms);
    place(w, n);
}

void wheel_remove(struct wheel_node *n)
{
    list_remove(&n->list);
}

void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t at_ms)
{
    n->due = tick_of(w, at_ms);
    if (n->due < n->placed) {
        list_remove(&n->list);
        place(w, n);
    }
}

static void turn_slot(struct wheel *w, struct list *slot, wheel_fn fn, void *self)
{
    struct list now;
    list_init(&now);
    list_splice(&now, slot);
    struct list *it;
    while ((it = list_pop(&now))) {
        struct wheel_node *n = containerof(it, struct wheel_node, list);
        bool fires = n->due <= w->tick;
        if (fires) {
            n->due = TICK_NEVER;
        }
        place(w, n);
        if (fires) {
            fn(self, n);
        }
    }
}

void wheel_turn(struct wheel *w, uint64_t now_ms, wheel_fn fn, void *self)
{
    uint64_t since = now_ms > w->base_ms ? now_ms - w->base_ms : 0;
    uint32_t now = (uint32_t)min_u64(since / WHEEL_TICK_MS, TICK_NEVER - WHEEL_SLOTS);
    if (now <= w->tick) {
        return;
    }
    uint32_t from = w->tick + 1;
    uint32_t count = now - w->tick < WHEEL_SLOTS ? now - w->tick : WHEEL_SLOTS;
    w->tick = now;
    for (uint32_t i = 0; i < count; i++) {
        turn_slot(w, &w->slots[(from + i) % WHEEL_SLOTS], fn, self);
    }
}

uint64_t wheel_next_ms(const struct wheel *w)
{
    for (uint32_t i = 1; i <= WHEEL_SLOTS; i++) {
        if (!list_empty(&w->slots[(w->tick + i) % WHEEL_SLOTS])) {
            return w->base_ms + (uint64_t)(w->tick + i) * WHEEL_TICK_MS;
        }
    }
    return WHEEL_NEVER;
}

static void each_in(struct list *l, wheel_fn fn, void *self)
{
    list_each (it, l) {
        fn(self, containerof(it, struct wheel_node, list));
    }
}

void wheel_each(struct wheel *w, wheel_fn fn, void *self)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        each_in(&w->slots[i], fn, self);
    }
    each_in(&w->never, fn, self);
}
