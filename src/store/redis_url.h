/* redis_url: redis://[[user]:password@]host[:port][/db] taken apart.
 *
 * Pure. User and password may be percent-encoded; the host is a name, an IPv4 address or an IPv6
 * address in brackets. Sentences about errors never repeat the text, which may hold a password.
 * SPDX-License-Identifier: MIT */
#ifndef STORE_REDIS_URL_H
#define STORE_REDIS_URL_H
#include "base/buf.h"

#define REDIS_URL_HOST_MAX 253
#define REDIS_URL_SECRET_MAX 512

struct redis_url {
    char host[REDIS_URL_HOST_MAX + 1]; /* without brackets */
    uint16_t port;
    uint32_t db;
    char user[REDIS_URL_SECRET_MAX + 1];     /* "": none */
    char password[REDIS_URL_SECRET_MAX + 1]; /* "": none */
};

/* ERR_SYNTAX with a sentence for people in `error`; `out` is written on success only. */
enum err redis_url_parse(struct str text, struct redis_url *out, struct buf *error) MUST_CHECK;

#endif
