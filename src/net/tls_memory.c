/* SPDX-License-Identifier: MIT */
#include "net/tls_memory.h"

#include "base/slab.h"
#include "net/net.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>

/* There in builds with AddressSanitizer only. */
extern void __asan_init(void) __attribute__((weak));

enum { SESSIONS_ROOM = 1 << 30 }; /* 65,000 sessions of 16 KiB; more are the heap's */

static _Thread_local struct tls_memory *watching;
static bool told; /* the library allocates through us */
static bool learned;
static _Thread_local bool learning;
static size_t first, largest; /* of what came while learning */
static size_t context_bytes, state_bytes;
static struct slab *_Atomic kept;

static void note(struct tls_memory *m, const char *p, size_t bytes)
{
    if (bytes == context_bytes) {
        m->unpaired = p;
    } else if (bytes == state_bytes) {
        m->states[1] = m->states[0];
        m->states[0] = p;
        if (m->unpaired) { /* else a context that there was got new keys */
            m->contexts[1] = m->contexts[0];
            m->contexts[0] = m->unpaired;
            m->unpaired = NULL;
        }
    }
}

static bool is_kept(const void *p)
{
    struct slab *slab = atomic_load_explicit(&kept, memory_order_acquire);
    return slab && slab_holds(slab, p);
}

static void *allocate(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    struct slab *slab = watching ? atomic_load_explicit(&kept, memory_order_acquire) : NULL;
    void *p = slab && bytes ? slab_take(slab, bytes) : NULL;
    if (!p && bytes) {
        p = malloc(bytes);
    }
    if (unlikely(watching != NULL)) {
        note(watching, p, bytes);
    }
    if (unlikely(learning)) {
        first = first ? first : bytes;
        largest = max_size(largest, bytes);
    }
    return p;
}

static void release(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (is_kept(p)) {
        slab_give(kept, p);
    } else {
        free(p);
    }
}

static void *move_out(void *old, size_t bytes)
{
    void *p = allocate(bytes, NULL, 0);
    if (p) {
        memcpy(p, old, min_size(bytes, slab_size_of(kept, old)));
        slab_give(kept, old);
    }
    return p;
}

static void *reallocate(void *old, size_t bytes, const char *file, int line)
{
    if (!old) {
        return allocate(bytes, file, line);
    }
    if (!bytes) {
        release(old, file, line);
        return NULL;
    }
    return is_kept(old) ? move_out(old, bytes) : realloc(old, bytes);
}

void tls_init(void)
{
    told = CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;
}

/* The first cipher of a kind makes the library load that kind; the second takes its context, and
 * then nothing larger than its state. */
static void learn_cipher(void)
{
    static const unsigned char zero[32];
    for (int round = 0; round < 2; round++) {
        first = largest = 0;
        learning = true;
        EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
        int began = EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, zero, zero);
        learning = false;
        if (began == 1 && round == 1) {
            context_bytes = first;
            state_bytes = largest;
        }
        EVP_CIPHER_CTX_free(cipher);
    }
}

void tls_memory_learn(void)
{
    if (!told || learned) {
        return;
    }
    learned = true;
    learn_cipher();
    if (!__asan_init) { /* which is to watch each object on its own */
        atomic_store_explicit(&kept, slab_new(SESSIONS_ROOM), memory_order_release);
    }
}

void tls_memory_watch(struct tls_memory *m)
{
    watching = m;
}

static void near(const char *p, size_t bytes)
{
    for (size_t at = 0; p && at < bytes; at += CACHE_LINE) {
        prefetch_l2(p + at);
    }
}

void tls_memory_soon(const char *context, const char *state)
{
    near(context, context_bytes);
    near(state, state_bytes);
}
