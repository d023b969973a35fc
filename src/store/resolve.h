/* resolve: a host and a port to socket addresses, without making anyone wait.
 *
 * An address in digits is answered on the spot. A name goes to glibc's getaddrinfo_a, which asks on
 * threads of its own; the answer is fetched by polling, so no thread ever calls back into ours.
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef STORE_RESOLVE_H
#define STORE_RESOLVE_H
#include "base/base.h"
#include "base/err.h"

#include <sys/socket.h>

struct resolve_addr {
    struct sockaddr_storage addr;
    socklen_t len;
};

struct resolve;

struct resolve *resolve_new(const char *host, uint16_t port);
/* OK with 1..max addresses in `out`; ERR_MORE while the answer is on its way; ERR_NOT_FOUND with a
 * text that is never freed in `reason`. */
enum err resolve_poll(struct resolve *r, struct resolve_addr *out, size_t max, size_t *count,
                      const char **reason) MUST_CHECK;
/* Does not wait: what the resolver still works on is let go when it is done. */
void resolve_free(struct resolve *r);

#endif
