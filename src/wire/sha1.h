/* sha1: SHA-1 and base64, for the opening handshake of RFC 6455 only (nothing here guards a
 * secret). The gate to OpenSSL in this folder. SPDX-License-Identifier: MIT */
#ifndef WIRE_SHA1_H
#define WIRE_SHA1_H
#include "base/str.h"

#define SHA1_LEN 20
/* Characters of the base64 of `len` bytes. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Has the crypto library load what it needs, a millisecond's work that the first client would wait
 * for. Any thread; a second time it does nothing. Ends the program when there is no SHA-1. */
void sha1_prepare(void);
/* The digest of the bytes. Any thread. Ends the program when the crypto library has no SHA-1. */
void sha1(struct str bytes, uint8_t out[SHA1_LEN]);
/* Writes BASE64_LEN(len) characters (RFC 4648, padded) and a NUL; len is at most 1 MiB. */
void base64(const uint8_t *bytes, size_t len, char *out);

#endif
