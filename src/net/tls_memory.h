/* tls_memory: where OpenSSL keeps the state of a session's ciphers. The library does not say, but
 * what it allocates during the handshake tells: so that it can be brought near before a write.
 * SPDX-License-Identifier: MIT */
#ifndef NET_TLS_MEMORY_H
#define NET_TLS_MEMORY_H
#include "base/base.h"

/* The contexts and states of AES-GCM that came last, the newer one first; NULL: there was none.
 * They may be freed long since: for prefetch() only. */
struct tls_memory {
    const char *contexts[2];
    const char *states[2];
    const char *unpaired; /* a context whose state has not come yet */
};

/* Finds out how large they are, unless another part of the program used the library before
 * tls_init(): then nothing is noted. Before any session, on one thread. */
void tls_memory_learn(void);
/* What this thread makes the library allocate from now on is noted there; NULL: no more. */
void tls_memory_watch(struct tls_memory *m);
/* Brings one context and its state near: `which` as above. */
void tls_memory_soon(const struct tls_memory *m, int which);

#endif
