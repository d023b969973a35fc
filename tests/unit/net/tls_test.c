/* TLS over real sockets against OpenSSL's client: echo of little and much, a reader that stops,
 * ALPN, old versions, garbage, a clean end. The certificate is made here.
 * SPDX-License-Identifier: MIT */
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

/* ---- tests ---- */

static void requests_are_answered_over_tls(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct peer p = peer_new(rig);
    struct buf in = {0};
    assert_true(handshake(rig, &p));
    assert_true(SSL_version(p.ssl) >= TLS1_2_VERSION);
    peer_send(rig, &p,
              STR("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /bye HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_false(peer_wait(rig, &p, &in, 100000));
    assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 2);
    assert_int_equal(rig_count(&in, "/hello"), 1);
    assert_true(str_ends(buf_str(&in), STR("bye")));
    peer_free(&p);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
    tls_context_free(t);
}

static void much_goes_round(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 16384, 65536, 3000000};
    struct tls_context *t = make_context();
    struct net_opts opts = {.tls = t, .max_message = 4 << 20};
    struct rig *rig = rig_new(rig_io(state), false, opts);
    struct peer p = peer_new(rig);
    upgrade(rig, &p);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text = {0}, out = {0}, want = {0}, in = {0};
        for (size_t k = 0; k < sizes[i]; k++) {
            (void)buf_add_char(&text, (char)('a' + k % 23));
        }
        ws_frame(&out, WS_TEXT, true, false, buf_str(&text), mask);
        ws_frame(&want, WS_TEXT, true, false, buf_str(&text), NULL);
        peer_send(rig, &p, buf_str(&out));
        assert_true(peer_wait(rig, &p, &in, want.len));
        assert_true(str_eq(buf_str(&in), buf_str(&want)));
        buf_fini(&text), buf_fini(&out), buf_fini(&want), buf_fini(&in);
    }
    assert_true(conn_is_tls(rig->last));
    assert_null(conn_stream(rig->last));
    assert_int_equal(conn_pending(rig->last), 0);
    peer_free(&p);
    rig_free(rig);
    tls_context_free(t);
}

static void a_slow_tls_reader_catches_up(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct peer p = peer_new(rig);
    struct buf in = {0};
    upgrade(rig, &p);
    struct buf out = {0};
    ws_frame(&out, WS_TEXT, true, false, STR("x"), mask);
    peer_send(rig, &p, buf_str(&out));
    assert_true(peer_wait(rig, &p, &in, 3));
    char *block = mem_zero(50000);
    size_t total = 0;
    while (!rig->congested && total < (64 << 20)) {
        conn_write(rig->last, str_make(block, 50000));
        total += 50000;
        rig_turn(rig);
    }
    assert_int_equal(rig->congested, 1);
    conn_write_now(rig->last, STR("end"));
    buf_clear(&in);
    assert_true(peer_wait(rig, &p, &in, total + 3));
    assert_true(str_ends(buf_str(&in), STR("\0\0end")));
    assert_true(rig_wait_count(rig, &rig->drained, 1));
    assert_int_equal(rig->congested, 1);
    mem_free(block);
    buf_fini(&in), buf_fini(&out);
    peer_free(&p);
    rig_free(rig);
    tls_context_free(t);
}

static void a_conn_may_be_handed_over_with_its_session(void **state)
{
    struct tls_context *t = make_context();
    struct rig *there = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    rig->there = there;
    struct peer p = peer_new(rig);
    struct buf in = {0};
    assert_true(handshake(rig, &p));
    peer_send(rig, &p,
              STR("GET /first HTTP/1.1\r\nHost: x\r\n\r\nPOST /move HTTP/1.1\r\nHost: x\r\n"
                  "Content-Length: 4\r\n\r\nbodyGET /bye HTTP/1.1\r\nHo"));
    for (int i = 0; i < 3; i++) {
        rig_turn(rig);
    }
    peer_send(rig, &p, STR("st: x\r\n\r\n"));
    assert_false(peer_wait(rig, &p, &in, 100000));
    assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(rig_count(&in, "HTTP/1.1 200 OK\r\n"), 3);
    assert_int_equal(rig_count(&in, "\r\n\r\nbody"), 1);
    assert_true(str_ends(buf_str(&in), STR("bye")));
    assert_string_equal(buf_text(&there->heard), "POST /move\nGET /bye\n");
    peer_free(&p);
    rig_wait_conns(rig, 0);
    buf_fini(&in);
    rig_free(rig);
    rig_free(there);
    tls_context_free(t);
}

static void only_our_protocols_are_spoken(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    struct peer p = peer_new(rig);
    SSL_set_alpn_protos(p.ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    assert_true(handshake(rig, &p));
    SSL_get0_alpn_selected(p.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    peer_free(&p);
    p = peer_new(rig);
    SSL_set_alpn_protos(p.ssl, (const unsigned char *)"\x02h2", 3);
    assert_false(handshake(rig, &p));
    peer_free(&p);
    p = peer_new(rig);
    SSL_set_security_level(p.ssl, 0);
    SSL_set_min_proto_version(p.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(p.ssl, TLS1_1_VERSION);
    assert_false(handshake(rig, &p));
    peer_free(&p);
    rig_wait_conns(rig, 0);
    rig_free(rig);
    tls_context_free(t);
}

static void garbage_ends_with_an_alert(void **state)
{
    struct tls_context *t = make_context();
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){.tls = t});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rig_wait_end(rig, fd, &in));
    assert_int_equal(rig->requests, 0);
    close(fd);
    rig_wait_conns(rig, 0);
    assert_string_equal(rig->closed_why, "TLS failed");
    buf_fini(&in);
    rig_free(rig);
    tls_context_free(t);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    struct pem a = make_pem(), b = make_pem();
    struct tls_context *t = NULL;
    struct buf error = {0};
    assert_int_equal(tls_context_new("no-such.pem", a.key, &t, &error), ERR_TLS);
    assert_true(str_find_str(buf_str(&error), STR("no-such.pem")) != SIZE_MAX);
    buf_clear(&error);
    assert_int_equal(tls_context_new(a.cert, b.key, &t, &error), ERR_TLS);
    assert_true(error.len > 0);
    assert_null(t);
    buf_fini(&error);
    pem_close(&a), pem_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(requests_are_answered_over_tls),
        BOTH(much_goes_round),
        BOTH(a_slow_tls_reader_catches_up),
        BOTH(only_our_protocols_are_spoken),
        BOTH(a_conn_may_be_handed_over_with_its_session),
        BOTH(garbage_ends_with_an_alert),
        cmocka_unit_test(wrong_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
