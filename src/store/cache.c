/* cache: L1 is a map from the bare key to an entry, and a list of entries in the order of use: the
 * newest at the end, so that what has to go is always at the front.
 *
 * An answer of L2 is handed out and not kept in L1: Redis does not say how old a value is, and L1
 * must. Whoever knows the age puts it. SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/metrics.h"
#include "store/redis.h"

#include <assert.h>

#define PREFIX_MAX 64
#define KEY_MAX 512

#define HITS(level)                                                                              \
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_cache_hits_total", "Values found, by level.", \
                    "level=\"" level "\"")
#define MISSES(level)                                                   \
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_cache_misses_total", \
                    "Values not found, by level.", "level=\"" level "\"")
static struct metric hits_l1 = HITS("l1");
static struct metric hits_l2 = HITS("l2");
static struct metric misses_l1 = MISSES("l1");
static struct metric misses_l2 = MISSES("l2");
static struct metric evictions = METRIC_COUNTER(
    "coincast_cache_evictions_total", "Values that left L1 before their time, to make room.");
static struct metric size_bytes =
    METRIC_GAUGE("coincast_cache_bytes", "Bytes held in L1, with its bookkeeping.");

struct entry {
    struct list node;
    char *key; /* owned */
    size_t key_len;
    char *value; /* owned */
    size_t value_len;
    uint64_t put_ms, until_ms;
};

struct cache {
    struct loop *loop;
    struct redis *redis;
    struct map entries;
    struct list used; /* least recently used first */
    size_t count, bytes, max_entries, max_bytes;
    char prefix[PREFIX_MAX + 1];
    struct buf key;      /* prefix and key, for L2 */
    struct list lookups; /* that wait for L2 */
};

struct lookup {
    struct list node;
    struct cache *cache; /* NULL: freed, or the prefix changed; the answer must not be used */
    cache_fn fn;
    void *self;
};

struct cache *cache_new(struct loop *l, struct redis *redis, size_t max_entries, size_t max_bytes)
{
    struct metric *all[] = {&hits_l1, &hits_l2, &misses_l1, &misses_l2, &evictions, &size_bytes};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        metric_register(all[i]);
    }
    assert(max_entries > 0 && max_bytes > 0);
    struct cache *c = mem_zero(sizeof(*c));
    c->loop = l;
    c->redis = redis;
    c->max_entries = max_entries;
    c->max_bytes = max_bytes;
    map_init(&c->entries, max_entries);
    list_init(&c->used);
    list_init(&c->lookups);
    buf_init(&c->key, PREFIX_MAX + KEY_MAX);
    return c;
}

/* What an entry costs: its texts, the map's copy of the key, and both structs. */
static size_t cost(size_t key_len, size_t value_len)
{
    return sizeof(struct entry) + sizeof(struct map_slot) + 2 * key_len + value_len;
}

static void drop_entry(struct cache *c, struct entry *owned_entry)
{
    map_remove(&c->entries, str_make(owned_entry->key, owned_entry->key_len));
    list_remove(&owned_entry->node);
    c->count--;
    c->bytes -= cost(owned_entry->key_len, owned_entry->value_len);
    metric_set(&size_bytes, (int64_t)c->bytes);
    mem_free(owned_entry->key);
    mem_free(owned_entry->value);
    mem_free(owned_entry);
}

static void drop_all(struct cache *c)
{
    while (!list_empty(&c->used)) {
        drop_entry(c, containerof(c->used.next, struct entry, node));
    }
}

/* Lookups under way belong to another prefix, or to nobody: each still gets its answer, a miss. */
static void disown_lookups(struct cache *c)
{
    for (struct list *node = list_pop(&c->lookups); node; node = list_pop(&c->lookups)) {
        containerof(node, struct lookup, node)->cache = NULL;
    }
}

void cache_free(struct cache *c)
{
    if (!c) {
        return;
    }
    list_each (it, &c->lookups) {
        containerof(it, struct lookup, node)->fn = NULL;
    }
    disown_lookups(c);
    drop_all(c);
    map_fini(&c->entries);
    buf_fini(&c->key);
    mem_free(c);
}

void cache_set_prefix(struct cache *c, struct str prefix)
{
    assert(prefix.len <= PREFIX_MAX);
    if (str_eq(prefix, str_of(c->prefix))) {
        return;
    }
    memcpy(c->prefix, prefix.ptr, prefix.len);
    c->prefix[prefix.len] = '\0';
    drop_all(c);
    disown_lookups(c);
}

bool cache_peek(struct cache *c, struct str key, struct str *value, uint64_t *age_ms)
{
    struct entry *e = map_get(&c->entries, key);
    uint64_t now = loop_now_ms(c->loop);
    if (e && now >= e->until_ms) {
        drop_entry(c, e);
        e = NULL;
    }
    if (!e) {
        metric_add(&misses_l1, 1);
        return false;
    }
    list_remove(&e->node);
    list_push(&c->used, &e->node);
    metric_add(&hits_l1, 1);
    *value = str_make(e->value, e->value_len);
    if (age_ms) {
        *age_ms = now - e->put_ms;
    }
    return true;
}

/* The key as Redis knows it; valid until the next call. */
static struct str full_key(struct cache *c, struct str key)
{
    buf_clear(&c->key);
    buf_add_str(&c->key, str_of(c->prefix));
    buf_add_str(&c->key, key);
    return buf_str(&c->key);
}

static void from_l2(void *self, enum err e, struct str value)
{
    struct lookup *k = self;
    list_remove(&k->node);
    if (e == OK && !k->cache) {
        e = ERR_NOT_FOUND;
    }
    metric_add(e == OK ? &hits_l2 : &misses_l2, 1);
    if (e != OK && e != ERR_NOT_FOUND) {
        e = ERR_UNAVAILABLE;
    }
    if (k->fn) {
        k->fn(k->self, e, e == OK ? value : STR(""));
    }
    mem_free(k);
}

void cache_get(struct cache *c, struct str key, cache_fn fn, void *self)
{
    struct str value;
    if (cache_peek(c, key, &value, NULL)) {
        fn(self, OK, value);
        return;
    }
    if (!c->redis || key.len > KEY_MAX) {
        fn(self, ERR_NOT_FOUND, STR(""));
        return;
    }
    struct lookup *k = mem_zero(sizeof(*k));
    k->cache = c;
    k->fn = fn;
    k->self = self;
    list_push(&c->lookups, &k->node);
    redis_get(c->redis, full_key(c, key), from_l2, k);
}

static void put_l1(struct cache *c, struct str key, struct str value, uint32_t ttl_ms)
{
    size_t needed = cost(key.len, value.len);
    if (ttl_ms == 0 || needed > c->max_bytes) {
        return;
    }
    while (c->count >= c->max_entries || c->bytes + needed > c->max_bytes) {
        drop_entry(c, containerof(c->used.next, struct entry, node));
        metric_add(&evictions, 1);
    }
    struct entry *e = mem_zero(sizeof(*e));
    if (map_put(&c->entries, key, e) != OK) {
        mem_free(e); /* the map's ceiling is ours, so there is room; no value is lost if not */
        return;
    }
    e->key = mem_copy_text(key.ptr, key.len);
    e->key_len = key.len;
    e->value = mem_copy_text(value.ptr, value.len);
    e->value_len = value.len;
    e->put_ms = loop_now_ms(c->loop);
    e->until_ms = e->put_ms + ttl_ms;
    list_push(&c->used, &e->node);
    c->count++;
    c->bytes += needed;
    metric_set(&size_bytes, (int64_t)c->bytes);
}

void cache_put(struct cache *c, struct str key, struct str value, uint32_t l1_ttl_ms,
               uint32_t l2_ttl_ms)
{
    assert(key.len > 0 && key.len <= KEY_MAX);
    if (c->redis && l2_ttl_ms) {
        redis_set(c->redis, full_key(c, key), value, l2_ttl_ms, NULL, NULL);
    }
    /* The value may be a slice of the entry it replaces, so that goes last. */
    struct entry *old = map_remove(&c->entries, key);
    if (old) {
        list_remove(&old->node);
        c->count--;
        c->bytes -= cost(old->key_len, old->value_len);
    }
    put_l1(c, key, value, l1_ttl_ms);
    if (old) {
        mem_free(old->key);
        mem_free(old->value);
        mem_free(old);
        metric_set(&size_bytes, (int64_t)c->bytes);
    }
}

void cache_drop(struct cache *c, struct str key)
{
    struct entry *e = map_get(&c->entries, key);
    if (e) {
        drop_entry(c, e);
    }
    if (c->redis && key.len <= KEY_MAX) {
        redis_del(c->redis, full_key(c, key), NULL, NULL);
    }
}
