/* SPDX-License-Identifier: MIT */
#include "app/health.h"

void health_begin(struct health_walk *walk, const char *name, enum health_status status,
                  const char *reason, int64_t since_ms)
{
    struct json_writer *w = walk->w;
    walk->count++;
    walk->down += status == HEALTH_DOWN;
    walk->unwell += status != HEALTH_OK;
    json_object(w);
    json_key(w, "name");
    json_text(w, name);
    json_key(w, "status");
    json_text(w, health_status_text(status));
    json_key(w, "reason");
    json_text(w, reason && reason[0] ? reason : NULL);
    json_put_time(w, "since", since_ms);
}

void health_write(struct health_walk *walk, const char *name, bool ok, const char *reason,
                  int64_t since_ms)
{
    health_begin(walk, name, ok ? HEALTH_OK : HEALTH_DEGRADED, reason, since_ms);
    json_object_end(walk->w);
}

void health_used(struct json_writer *w, const char *key, uint64_t used, uint64_t limit)
{
    json_key(w, key);
    json_object(w);
    json_put_count(w, "used", used);
    json_key(w, "limit");
    if (limit) {
        json_i64(w, (int64_t)limit);
    } else {
        json_null(w);
    }
    json_object_end(w);
}

int health_verdict(const struct health_walk *walk)
{
    if (walk->count && walk->down == walk->count) {
        return 2;
    }
    return walk->unwell ? 1 : 0;
}
