/* health: how the components of /api/health are written, and what they come to together. Main
 * thread. SPDX-License-Identifier: MIT */
#ifndef APP_HEALTH_H
#define APP_HEALTH_H
#include "base/json.h"
#include "sources/host.h"

/* Components written one after the other, to be judged together; begin with {.w = w}. */
struct health_walk {
    struct json_writer *w;
    int count, down, unwell;
};

/* Counts a component and opens its object: name, status, reason (null when empty), since (Unix ms;
 * null when 0). Further members may follow; the caller closes the object. */
void health_begin(struct health_walk *walk, const char *name, enum health_status status,
                  const char *reason, int64_t since_ms);
/* A component without further members that is well or degraded. */
void health_write(struct health_walk *walk, const char *name, bool ok, const char *reason,
                  int64_t since_ms);
/* A member {used, limit}; limit null when 0: there is none. */
void health_used(struct json_writer *w, const char *key, uint64_t used, uint64_t limit);
/* 2 when all of them are down, 1 when one is not well, else 0. */
int health_verdict(const struct health_walk *walk);

#endif
