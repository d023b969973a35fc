/* list: doubly linked, intrusive. A list is a struct list that points to itself when empty; a node
 * that is in no list is zeroed or points to itself. Nothing is allocated, nothing is owned.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include "base/base.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l || !l->next;
}

/* Whether the node stands in some list. */
static inline bool list_linked(const struct list *node)
{
    return node->next && node->next != node;
}

static inline void list_insert(struct list *prev, struct list *node)
{
    node->prev = prev;
    node->next = prev->next;
    prev->next->prev = node;
    prev->next = node;
}

static inline void list_push(struct list *l, struct list *node)
{
    list_insert(l->prev, node);
}

/* Takes the node out; fine when it is in none. */
static inline void list_remove(struct list *node)
{
    if (node->next) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    list_init(node);
}

/* The first node, taken out; NULL when empty. */
static inline struct list *list_pop(struct list *l)
{
    if (list_empty(l)) {
        return NULL;
    }
    struct list *node = l->next;
    list_remove(node);
    return node;
}

/* Moves all of `from` behind what `to` has. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Walks nodes; `it` may be removed (and freed) inside, its successor may not. */
#define list_each(it, l)                                                \
    for (struct list *it = (l)->next, *it##_next = it->next; it != (l); \
         it = it##_next, it##_next = it->next)

#endif
