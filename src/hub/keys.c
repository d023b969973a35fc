/* SPDX-License-Identifier: MIT */
#include "hub/keys.h"

#include "base/alloc.h"

#include <assert.h>

static int by_key(const void *a, const void *b)
{
    uint32_t ka = *(const uint32_t *)a;
    uint32_t kb = *(const uint32_t *)b;
    return ka < kb ? -1 : ka > kb;
}

/* Sorts and drops doubles; gives how many are left. */
static size_t tidy(uint32_t *keys, size_t count)
{
    size_t kept = 0;
    qsort(keys, count, sizeof(*keys), by_key);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || keys[kept - 1] != keys[i]) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}

static struct str text_of(const uint32_t *keys, size_t count)
{
    return str_make((const char *)keys, count * sizeof(*keys));
}

/* `keys` are tidy. */
static struct keyset *intern(struct map *sets, const uint32_t *keys, size_t count)
{
    struct keyset *k = map_get(sets, text_of(keys, count));
    if (!k) {
        k = mem_alloc(sizeof(*k) + count * sizeof(*keys));
        *k = (struct keyset){.count = (uint32_t)count};
        memcpy(k->keys, keys, count * sizeof(*keys));
        enum err e = map_put(sets, text_of(keys, count), k);
        assert(e == OK); /* the map has no ceiling: sets are bounded by subscriptions */
        (void)e;
    }
    k->refs++;
    return k;
}

struct keyset *keyset_intern(struct map *sets, const uint32_t *keys, size_t count)
{
    uint32_t *copy = mem_array(count, sizeof(*copy));
    memcpy(copy, keys, count * sizeof(*copy));
    struct keyset *k = intern(sets, copy, tidy(copy, count));
    mem_free(copy);
    return k;
}

struct keyset *keyset_ref(struct keyset *k)
{
    if (k) {
        k->refs++;
    }
    return k;
}

void keyset_unref(struct map *sets, struct keyset *k)
{
    if (k && --k->refs == 0) {
        map_remove(sets, text_of(k->keys, k->count));
        mem_free(k);
    }
}

static bool holds(const uint32_t *sorted, size_t count, uint32_t key)
{
    return count && bsearch(&key, sorted, count, sizeof(*sorted), by_key);
}

struct keyset *keyset_change(struct map *sets, const struct keyset *old, const uint32_t *keys,
                             size_t count, bool add)
{
    uint32_t *all = mem_array(old->count + count + 1, sizeof(*all));
    struct keyset *k = NULL;
    size_t n = 0;
    if (add) {
        memcpy(all, old->keys, old->count * sizeof(*all));
        memcpy(all + old->count, keys, count * sizeof(*all));
        n = tidy(all, old->count + count);
    } else {
        uint32_t *gone = mem_array(count + 1, sizeof(*gone));
        memcpy(gone, keys, count * sizeof(*gone));
        size_t gone_count = tidy(gone, count);
        for (size_t i = 0; i < old->count; i++) {
            if (!holds(gone, gone_count, old->keys[i])) {
                all[n++] = old->keys[i];
            }
        }
        mem_free(gone);
    }
    if (n) {
        k = intern(sets, all, n);
    }
    mem_free(all);
    return k;
}
