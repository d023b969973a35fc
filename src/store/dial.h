/* dial: a TCP connection to a host and port, made without making anyone wait: the name is resolved,
 * then its addresses are tried one after the other, a second each.
 *
 * A dial ends exactly once, with a connected non-blocking socket or with a reason, unless it is
 * stopped. Embedded; main thread. SPDX-License-Identifier: MIT */
#ifndef STORE_DIAL_H
#define STORE_DIAL_H
#include "base/loop.h"
#include "store/resolve.h"

#define DIAL_ADDRS_MAX 8

/* `owned_fd` >= 0: connected; else -1 and `reason` says why not (valid during the call). */
typedef void (*dial_fn)(void *self, int owned_fd, const char *reason);

struct dial {
    /* private */
    struct loop *loop;
    dial_fn fn;
    void *self;
    struct resolve *resolve;
    struct resolve_addr addrs[DIAL_ADDRS_MAX];
    size_t addr_count, addr_next;
    uint64_t began_ms;
    int fd; /* while connecting; -1 else */
    struct watch watch;
    struct timer timer;
};

void dial_init(struct dial *d, struct loop *l);
/* Not while one is under way. `fn` is called from a later event, where the dial may be started
 * again or its memory be freed. */
void dial_start(struct dial *d, const char *host, uint16_t port, dial_fn fn, void *self);
/* Gives up without a call; fine when nothing is under way. */
void dial_stop(struct dial *d);

#endif
