/* tls_memory: where OpenSSL keeps a session. What it allocates when one is made and during the
 * handshake lies together, in a slab. That also tells where the state of its ciphers is, which the
 * library does not say: so that it can be brought near before a write.
 * SPDX-License-Identifier: MIT */
#ifndef NET_TLS_MEMORY_H
#define NET_TLS_MEMORY_H
#include "base/base.h"

/* The contexts and states of AES-GCM that came last, the newer one first; NULL: there was none.
 * They may be freed long since: for prefetch_l2() only. */
struct tls_memory {
    const char *contexts[2];
    const char *states[2];
    const char *unpaired; /* a context whose state has not come yet */
};

/* Finds out how large they are, unless another part of the program used the library before
 * tls_init(): then nothing is noted or kept together. Before any session, on one thread; a second
 * time it does nothing. */
void tls_memory_learn(void);
/* What this thread makes the library allocate from now on belongs to a session: it is kept with the
 * others', and ciphers are noted there. NULL: no more. */
void tls_memory_watch(struct tls_memory *m);
/* Brings a context and its state near; NULL: there is none. */
void tls_memory_soon(const char *context, const char *state);

#endif
