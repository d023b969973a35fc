/* memory_store: where budgets keep their counts, in memory, with a disk that a test holds in its
 * hand: what was asked is done only by memory_store_sync(), and memory_store_crash() loses what was
 * not. The fields are those of struct budget_store, whose functions they are.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_LIB_MEMORY_STORE_H
#define TESTS_LIB_MEMORY_STORE_H
#include "base/buf.h"
#include "base/err.h"

typedef void (*memory_number_fn)(void *self, enum err e, int64_t value);
typedef void (*memory_text_fn)(void *self, enum err e, struct str value);

struct memory_store;
struct memory_store *memory_store_new(void);
void memory_store_free(struct memory_store *m);
/* Does all that was asked, in order, and answers. */
void memory_store_sync(struct memory_store *m);
/* Forgets what was asked and not done: the process died. Nothing is answered. */
void memory_store_crash(struct memory_store *m);
/* From now on everything is answered with this. */
void memory_store_break(struct memory_store *m, enum err e);
/* What is on the disk; 0 when absent. */
int64_t memory_store_count(const struct memory_store *m, const char *name);

void memory_store_add(void *m, struct str name, int64_t delta, memory_number_fn done, void *arg);
void memory_store_get(void *m, struct str name, memory_number_fn done, void *arg);
void memory_store_text_put(void *m, struct str key, struct str value, memory_number_fn done,
                           void *arg);
void memory_store_text_get(void *m, struct str key, memory_text_fn done, void *arg);

#define MEMORY_STORE_TABLE(m)                                                                 \
    {                                                                                         \
        (m), memory_store_add, memory_store_get, memory_store_text_put, memory_store_text_get \
    }

#endif
