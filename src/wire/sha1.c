/* SPDX-License-Identifier: MIT */
#include "wire/sha1.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdatomic.h>

/* Looked up once: by name each time it is twice the work of the digest. */
static _Atomic(EVP_MD *) method;

static void refuse(void)
{
    fprintf(stderr, "coincast: the crypto library refuses SHA-1, no WebSocket is possible\n");
    abort();
}

static EVP_MD *find_method(void)
{
    EVP_MD *found = EVP_MD_fetch(NULL, "SHA1", NULL), *none = NULL;
    if (!found) {
        refuse();
    }
    if (!atomic_compare_exchange_strong(&method, &none, found)) {
        EVP_MD_free(found); /* another thread was first */
        return none;
    }
    return found;
}

void sha1_prepare(void)
{
    uint8_t digest[SHA1_LEN];
    sha1((struct str){0}, digest);
}

void sha1(struct str bytes, uint8_t out[SHA1_LEN])
{
    unsigned len = 0;
    EVP_MD *md = atomic_load_explicit(&method, memory_order_acquire);
    if (!md) {
        md = find_method();
    }
    if (EVP_Digest(bytes.ptr, bytes.len, out, &len, md, NULL) != 1 || len != SHA1_LEN) {
        refuse();
    }
}

void base64(const uint8_t *bytes, size_t len, char *out)
{
    assert(len <= 1 << 20);
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
}
