/* SPDX-License-Identifier: MIT */
#include "base/tally.h"

#include "base/alloc.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>

struct tally {
    pthread_mutex_t lock;
    struct map counts; /* numbers for pointers */
};

struct tally *tally_new(size_t max_keys)
{
    struct tally *t = mem_zero(sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    map_init(&t->counts, max_keys);
    return t;
}

void tally_free(struct tally *t)
{
    if (t) {
        map_fini(&t->counts);
        pthread_mutex_destroy(&t->lock);
        mem_free(t);
    }
}

bool tally_add(struct tally *t, struct str key, size_t most)
{
    pthread_mutex_lock(&t->lock);
    uintptr_t count = (uintptr_t)map_get(&t->counts, key);
    bool fits = count < most && map_put(&t->counts, key, (void *)(count + 1)) == OK;
    pthread_mutex_unlock(&t->lock);
    return fits;
}

void tally_remove(struct tally *t, struct str key)
{
    pthread_mutex_lock(&t->lock);
    uintptr_t count = (uintptr_t)map_remove(&t->counts, key);
    assert(count);
    if (count > 1) {
        (void)!map_put(&t->counts, key, (void *)(count - 1)); /* it was there: it fits */
    }
    pthread_mutex_unlock(&t->lock);
}

size_t tally_count(struct tally *t, struct str key)
{
    pthread_mutex_lock(&t->lock);
    uintptr_t count = (uintptr_t)map_get(&t->counts, key);
    pthread_mutex_unlock(&t->lock);
    return count;
}
