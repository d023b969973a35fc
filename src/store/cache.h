/* cache: two levels. L1 is in process: bounded, with TTL and least-recently-used eviction. L2 is
 * Redis when named. Keys are as in requirement C1 ("dashboard:summary"), with a prefix for demo and
 * replay so that they never share a key with live ("coincast:demo:dashboard:summary").
 *
 * Main thread. Hits and misses of each level are counted in the metrics.
 * SPDX-License-Identifier: MIT */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H
#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

struct redis;
struct cache;

/* `redis` may be NULL: L1 only. `max_bytes` and `max_entries` bound L1. */
struct cache *cache_new(struct loop *l, struct redis *redis, size_t max_entries, size_t max_bytes);
void cache_free(struct cache *c);
/* "" for live, "coincast:demo:", "coincast:replay:"; empties L1 when it changes. */
void cache_set_prefix(struct cache *c, struct str prefix);
/* L1 only; true and a slice that is valid until the next call when present and not older than its
 * TTL. `age_ms` may be NULL. */
bool cache_peek(struct cache *c, struct str key, struct str *value, uint64_t *age_ms);
/* L1, then L2. Always answers through `fn`, possibly before returning. ERR_NOT_FOUND: in neither;
 * ERR_UNAVAILABLE: L1 missed and Redis did not answer. */
typedef void (*cache_fn)(void *self, enum err e, struct str value);
void cache_get(struct cache *c, struct str key, cache_fn fn, void *self);
/* Both levels; L2 is told and not waited for. */
void cache_put(struct cache *c, struct str key, struct str value, uint32_t l1_ttl_ms,
               uint32_t l2_ttl_ms);
void cache_drop(struct cache *c, struct str key);

#endif
