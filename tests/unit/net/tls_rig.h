/* TLS over real sockets: a certificate made here, OpenSSL's client. For tests of net.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_NET_TLS_RIG_H
#define TESTS_NET_TLS_RIG_H
#include "tests/unit/net/rig.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/mman.h>

#define UPGRADE                                                                    \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static const uint8_t mask[4] = {9, 8, 7, 6};

/* ---- a certificate, in memory ---- */

struct pem {
    int cert_fd, key_fd;
    char cert[32], key[32];
};

static struct pem make_pem(void)
{
    struct pem p;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(key && x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    p.cert_fd = memfd_create("cert", 0);
    p.key_fd = memfd_create("key", 0);
    FILE *cert = fdopen(dup(p.cert_fd), "w"), *pkey = fdopen(dup(p.key_fd), "w");
    assert_true(cert && pkey);
    assert_int_equal(PEM_write_X509(cert, x), 1);
    assert_int_equal(PEM_write_PrivateKey(pkey, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(cert), fclose(pkey);
    snprintf(p.cert, sizeof(p.cert), "/proc/self/fd/%d", p.cert_fd);
    snprintf(p.key, sizeof(p.key), "/proc/self/fd/%d", p.key_fd);
    X509_free(x);
    EVP_PKEY_free(key);
    return p;
}

static void pem_close(const struct pem *p)
{
    close(p->cert_fd), close(p->key_fd);
}

static struct tls_context *make_context(void)
{
    struct pem p = make_pem();
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
