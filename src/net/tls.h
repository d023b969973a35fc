/* tls: the one gate to OpenSSL: sessions that turn plain bytes into records and back, without
 * touching a socket. Arriving ciphertext is read from where it lies; what is to be sent is
 * collected in an `out` of the server's pool. SPDX-License-Identifier: MIT */
#ifndef NET_TLS_H
#define NET_TLS_H
#include "base/err.h"
#include "net/net.h"
#include "net/out.h"

struct tls_session;

/* Up to here what is written goes into one record. */
#define TLS_SMALL 512

/* A client's context. Checks the server's certificate against those of `ca_file` (PEM); NULL: not
 * at all, which only a load test of one's own server may do. */
enum err tls_context_new_client(const char *ca_file, struct tls_context **out,
                                struct buf *error) MUST_CHECK;

/* A server's or a client's end, as the context is. */
struct tls_session *tls_session_new(struct tls_context *context, struct out_pool *pool);
void tls_session_free(struct tls_session *t);
/* From now on its output comes from and goes back to that pool. */
void tls_set_pool(struct tls_session *t, struct out_pool *pool);
/* Ciphertext that arrived; call tls_read() until it says ERR_MORE, before `bytes` go away. */
void tls_feed(struct tls_session *t, const char *bytes, size_t len);
/* Next plain bytes. ERR_MORE: nothing more; ERR_CLOSED: close_notify came; ERR_TLS: broken (an
 * alert may be due), see tls_error(). Also drives the handshake. */
enum err tls_read(struct tls_session *t, char *out, size_t cap, size_t *got) MUST_CHECK;
/* The handshake is done. */
bool tls_ready(const struct tls_session *t);
/* A write follows: tls_near() some sessions before tls_soon(), which reads the session, and that a
 * few before the write. Hints, they bring near what the write will touch: between two messages to
 * the same client thousands of sends push all of it out of the cache. */
void tls_near(const struct tls_session *t);
void tls_soon(const struct tls_session *t);
/* Encrypts; gives the bytes taken, 0 before the handshake is done or when broken. */
size_t tls_write(struct tls_session *t, const char *bytes, size_t len);
/* The handshake is done, and nothing waits in tls_out(). */
bool tls_is_clear(const struct tls_session *t);
/* As tls_write(), of a clear session, for at most TLS_SMALL bytes, and what is to be sent goes to
 * `out`, which has room for `cap`: *put bytes. 0 of them and some taken: it did not fit, and waits
 * in tls_out(). */
size_t tls_write_to(struct tls_session *t, struct str bytes, char *out, size_t cap, size_t *put);
/* Writes close_notify. */
void tls_end(struct tls_session *t);
/* Ciphertext that has to be sent. */
struct out **tls_out(struct tls_session *t);
/* Fixed text of what went wrong last. */
const char *tls_error(const struct tls_session *t);

#endif
