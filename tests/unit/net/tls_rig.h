/* TLS over real sockets: a certificate made here, OpenSSL's client. For tests of net.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_NET_TLS_RIG_H
#define TESTS_NET_TLS_RIG_H
#include "tests/lib/pem.h"
#include "tests/unit/net/rig.h"

#include <fcntl.h>
#include <openssl/ssl.h>

#define UPGRADE                                                                    \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static const uint8_t mask[4] = {9, 8, 7, 6};

static struct tls_context *make_context(void)
{
    struct pem p = pem_new();
    struct tls_context *t = NULL;
    struct buf error = {0};
    enum err e = tls_context_new(p.cert, p.key, &t, &error);
    if (e != OK) {
        fail_msg("%s", buf_text(&error));
    }
    pem_close(&p);
    return t;
}

/* ---- a client ---- */

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static struct peer peer_new(struct rig *rig)
{
    struct peer p = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = rig_connect(rig)};
    p.ssl = SSL_new(p.ctx);
    assert_int_equal(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
    SSL_set_fd(p.ssl, p.fd);
    SSL_set_connect_state(p.ssl);
    SSL_set_mode(p.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return p;
}

static void peer_free(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
}

static bool handshake(struct rig *rig, struct peer *p)
{
    for (int i = 0; i < RIG_TURNS; i++) {
        int n = SSL_do_handshake(p->ssl);
        if (n == 1) {
            return true;
        }
        int why = SSL_get_error(p->ssl, n);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            return false;
        }
        rig_turn(rig);
    }
    return false;
}

static void peer_send(struct rig *rig, struct peer *p, struct str bytes)
{
    size_t at = 0;
    for (int i = 0; i < 100000 && at < bytes.len; i++) {
        size_t n = 0;
        if (SSL_write_ex(p->ssl, bytes.ptr + at, bytes.len - at, &n) == 1) {
            at += n;
        } else {
            rig_turn(rig);
        }
    }
    assert_int_equal(at, bytes.len);
}

/* Reads until `len` bytes are there; false at the end of the stream. */
static bool peer_wait(struct rig *rig, struct peer *p, struct buf *in, size_t len)
{
    char bytes[16384];
    for (int i = 0; i < 100000 && in->len < len; i++) {
        size_t n = 0;
        if (SSL_read_ex(p->ssl, bytes, sizeof(bytes), &n) == 1) {
            (void)buf_add(in, bytes, n);
            continue;
        }
        int why = SSL_get_error(p->ssl, 0);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            return false;
        }
        rig_turn(rig);
    }
    return in->len >= len;
}

static void upgrade(struct rig *rig, struct peer *p)
{
    struct buf in = {0};
    assert_true(handshake(rig, p));
    peer_send(rig, p, STR(UPGRADE));
    assert_true(peer_wait(rig, p, &in, 129));
    assert_true(str_starts(buf_str(&in), STR("HTTP/1.1 101 ")));
    assert_true(str_ends(buf_str(&in), STR("\r\n\r\n")));
    buf_fini(&in);
}

#endif
