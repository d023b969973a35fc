/* SPDX-License-Identifier: MIT */
#include "net/tls_memory.h"

#include "net/net.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static _Thread_local struct tls_memory *watching;
static bool told; /* the library allocates through us */
static _Thread_local bool learning;
static size_t first, largest; /* of what came while learning */
static size_t context_bytes, state_bytes;

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

static void *allocate(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    void *p = bytes ? malloc(bytes) : NULL;
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
    free(p);
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
    return realloc(old, bytes);
}

void tls_init(void)
{
    told = CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;
}

/* The first cipher of a kind makes the library load that kind; the second takes its context, and
 * then nothing larger than its state. */
void tls_memory_learn(void)
{
    static const unsigned char zero[32];
    for (int round = 0; told && !state_bytes && round < 2; round++) {
        learning = round == 1;
        EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
        if (EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, zero, zero) == 1 && learning) {
            context_bytes = first;
            state_bytes = largest;
        }
        learning = false;
        EVP_CIPHER_CTX_free(cipher);
    }
}

void tls_memory_watch(struct tls_memory *m)
{
    watching = m;
}

static void near(const char *p, size_t bytes)
{
    for (size_t at = 0; p && at < bytes; at += CACHE_LINE) {
        prefetch(p + at);
    }
}

void tls_memory_soon(const struct tls_memory *m, int which)
{
    near(m->contexts[which], context_bytes);
    near(m->states[which], state_bytes);
}
