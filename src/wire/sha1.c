/* SPDX-License-Identifier: MIT */
#include "wire/sha1.h"

#include <assert.h>
#include <openssl/evp.h>

void sha1(struct str bytes, uint8_t out[SHA1_LEN])
{
    unsigned len = 0;
    if (EVP_Digest(bytes.ptr, bytes.len, out, &len, EVP_sha1(), NULL) != 1 || len != SHA1_LEN) {
        fprintf(stderr, "coincast: the crypto library refuses SHA-1, no WebSocket is possible\n");
        abort();
    }
}

void base64(const uint8_t *bytes, size_t len, char *out)
{
    assert(len <= 1 << 20);
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
}
