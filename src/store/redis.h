/* redis: an asynchronous client that may lose its server at any time. Reconnects with exponential
 * backoff and jitter (250 ms to 30 s); a command has 1 s; a server that hangs is cut, one that
 * answers nonsense counts as down. Nobody waits for it, also not for its name.
 *
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H
#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

struct redis;

/* redis://[[user]:password@]host[:port][/db]; ERR_SYNTAX with a sentence in `error`. The first
 * connection is tried in the background. */
enum err redis_new(struct loop *l, struct str url, struct redis **out,
                   struct buf *error) MUST_CHECK;
/* Commands still open are told ERR_CLOSED first. Allowed in a command's own callback. */
void redis_free(struct redis *r);
bool redis_ready(const struct redis *r);
/* For /api/health: up (`reason` is "") or why not, and since when (Unix ms). */
bool redis_healthy(const struct redis *r, const char **reason, int64_t *since_ms);

typedef void (*redis_fn)(void *self, enum err e, struct str value);
/* Each command is answered once, never from inside the call; `fn` may be NULL. ERR_UNAVAILABLE in
 * the same turn when down; ERR_NOT_FOUND (also of a redis_del); ERR_TIMEOUT; ERR_PROTOCOL;
 * ERR_CLOSED; ERR_REFUSED with Redis' own words in `value`; ERR_LIMIT when too much waits already.
 * A TTL of 0 means for ever. */
void redis_get(struct redis *r, struct str key, redis_fn fn, void *self);
void redis_set(struct redis *r, struct str key, struct str value, uint32_t ttl_ms, redis_fn fn,
               void *self);
void redis_del(struct redis *r, struct str key, redis_fn fn, void *self);
void redis_ping(struct redis *r, redis_fn fn, void *self);

#endif
