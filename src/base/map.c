/* Linear probing over a power of two of slots. A removed entry leaves a grave, so that walks and
 * probes stay valid while entries go; graves vanish when the table is rebuilt.
 * SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <assert.h>

#include "base/alloc.h"

enum { GRAVE = 1, FIRST_CAP = 8 };

void map_init(struct map *m, size_t max)
{
    *m = (struct map){.max = max};
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++) {
        mem_free(m->slots[i].key);
    }
    mem_free(m->slots);
    *m = (struct map){.max = m->max};
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->count == 0) {
        return NULL;
    }
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];
        if (!s->key) {
            if (s->hash != GRAVE) {
                return NULL;
            }
        } else if (s->hash == hash && str_eq(str_make(s->key, s->key_len), key)) {
            return s;
        }
    }
}

/* The first slot without a key on the way of `hash`. */
static struct map_slot *free_slot(const struct map *m, uint64_t hash)
{
    size_t mask = m->cap - 1;
    size_t i = hash & mask;
    while (m->slots[i].key) {
        i = (i + 1) & mask;
    }
    return &m->slots[i];
}

/* Makes room for one more; a quarter of the slots always stays truly empty, so probes end. */
static void make_room(struct map *m)
{
    if ((m->used + 1) * 4 <= m->cap * 3) {
        return;
    }
    struct map old = *m;
    m->cap = FIRST_CAP;
    while ((old.count + 1) * 2 > m->cap) {
        m->cap *= 2;
    }
    m->slots = mem_array(m->cap, sizeof(*m->slots));
    m->used = old.count;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].key) {
            *free_slot(m, old.slots[i].hash) = old.slots[i];
        }
    }
    mem_free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, str_hash(key));
    return s ? s->value : NULL;
}

enum err map_put(struct map *m, struct str key, void *value)
{
    assert(value);
    uint64_t hash = str_hash(key);
    struct map_slot *s = find(m, key, hash);
    if (s) {
        s->value = value;
        return OK;
    }
    if (m->max && m->count >= m->max) {
        return ERR_LIMIT;
    }
    make_room(m);
    s = free_slot(m, hash);
    if (s->hash != GRAVE) {
        m->used++;
    }
    *s = (struct map_slot){mem_copy_text(key.ptr, key.len), key.len, hash, value};
    m->count++;
    assert(m->count <= m->used && m->used < m->cap);
    return OK;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, str_hash(key));
    if (!s) {
        return NULL;
    }
    void *value = s->value;
    mem_free(s->key);
    *s = (struct map_slot){.hash = GRAVE};
    m->count--;
    return value;
}

bool map_next(const struct map *m, size_t *at, struct str *key, void **value)
{
    while (*at < m->cap) {
        const struct map_slot *s = &m->slots[(*at)++];
        if (s->key) {
            *key = str_make(s->key, s->key_len);
            *value = s->value;
            return true;
        }
    }
    return false;
}
