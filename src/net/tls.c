/* The gate to OpenSSL. A BIO of our own reads from the slice that has just arrived and writes into
 * an `out`, so a session at rest holds no buffers (SSL_MODE_RELEASE_BUFFERS) and no socket.
 * SPDX-License-Identifier: MIT */
#include "net/tls.h"

#include "base/alloc.h"
#include "net/tls_memory.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    bool client;
};

struct tls_session {
    /* What a write touches is one cache line. */
    SSL *ssl;
    struct out *cipher;
    struct target *target; /* while tls_write_to() is under way */
    struct {               /* to be hinted at only */
        const BIO *bio;
        const char *resumption; /* where it was when the handshake ended */
        const char *context, *state;
    } hints;
    bool ready; /* the handshake is over; there is no second one */
    bool small; /* records are limited to TLS_SMALL */

    struct out_pool *pool;
    struct tls_memory ciphers; /* of the handshake */
    const char *in;            /* arrived, not read yet */
    size_t in_len;
    const char *error;
};

static_assert(offsetof(struct tls_session, pool) <= CACHE_LINE, "one cache line");

enum { LARGE_RECORD = 16384 };

/* Where tls_write_to() wants the records. */
struct target {
    char *bytes;
    size_t cap, len;
};

/* ---- hints ---- */

void tls_near(const struct tls_session *t)
{
    prefetch(t);
}

void tls_soon(const struct tls_session *t)
{
    /* Where in the library's session a write reads and changes something (OpenSSL 3.0; valgrind
     * --tool=lackey --trace-mem=yes over one SSL_write_ex() tells). With another version they are
     * other lines of the same memory: no gain, no harm. */
    static const uint16_t touched[] = {0x000, 0x040, 0x080,  0x180,  0x2c0,  0x4c0, 0x840,
                                       0x880, 0x900, 0x9c0,  0xa00,  0xa80,  0xb80, 0xc40,
                                       0xc80, 0xcc0, 0x1c80, 0x1cc0, 0x1d00, 0x1d40};
    const char *session = (const char *)t->ssl;
    for (size_t i = 0; i < ARRAY_LEN(touched); i++) {
        prefetch_l2(session + touched[i]);
    }
    if (t->ready) {
        prefetch_l2(t->hints.bio);
        prefetch_l2((const char *)t->hints.bio + CACHE_LINE);
        prefetch_l2(t->hints.resumption + 0x368);
        tls_memory_soon(t->hints.context, t->hints.state);
    }
}

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *to, size_t cap, size_t *got)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!t->in_len) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *got = min_size(cap, t->in_len);
    memcpy(to, t->in, *got);
    t->in += *got;
    t->in_len -= *got;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t len, size_t *put)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct target *to = t->target;
    *put = len;
    if (to && !t->cipher && len <= to->cap - to->len) {
        memcpy(to->bytes + to->len, from, len);
        to->len += len;
        return 1;
    }
    if (to) { /* it waits with what came before it */
        out_add(t->pool, &t->cipher, to->bytes, to->len);
        to->len = 0;
    }
    out_add(t->pool, &t->cipher, from, len);
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coincast");
    if (m) {
        BIO_meth_set_read_ex(m, bio_read);
        BIO_meth_set_write_ex(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
    }
    return m;
}

/* ---- contexts ---- */

static const char *last_reason(const char *otherwise)
{
    unsigned long e = ERR_peek_last_error();
    /* The first is the cause: of a file that can't be opened, what the system says. */
    unsigned long first = ERR_peek_error();
    const char *text = ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first))
                       : e                     ? ERR_reason_error_string(e)
                                               : NULL;
    ERR_clear_error();
    return text ? text : otherwise;
}

/* HTTP/1.1 is all we speak: a client that offers only others is told so (RFC 7301, 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    int result =
        SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool configure(SSL_CTX *ctx)
{
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static enum err say(struct buf *error, const char *what, const char *file, const char *why)
{
    (void)buf_printf(error, "%s%s: %s", what, file, last_reason(why));
    return ERR_TLS;
}

static enum err load(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct buf *error)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        return say(error, "cannot use the TLS certificate ", cert_file, "not a PEM file");
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1) {
        return say(error, "cannot use the TLS key ", key_file, "not a PEM file");
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return say(error, "the TLS key does not belong to the certificate ", cert_file, "mismatch");
    }
    return OK;
}

enum err tls_context_new(const char *cert_file, const char *key_file, struct tls_context **out,
                         struct buf *error)
{
    struct tls_context *t = mem_zero(sizeof(*t));
    enum err e = OK;
    tls_memory_learn();
    ERR_clear_error();
    t->ssl = SSL_CTX_new(TLS_server_method());
    t->bio = bio_method_new();
    if (!t->ssl || !t->bio || !configure(t->ssl)) {
        e = say(error, "TLS", "", "not usable here");
    } else {
        e = load(t->ssl, cert_file, key_file, error);
    }
    if (e != OK) {
        tls_context_free(t);
        return e;
    }
    *out = t;
    return OK;
}

int64_t tls_context_ends_ms(const struct tls_context *t)
{
    const X509 *certificate = SSL_CTX_get0_certificate(t->ssl);
    struct tm end;
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
        return 0;
    }
    return (int64_t)timegm(&end) * 1000;
}

enum err tls_context_new_client(const char *ca_file, struct tls_context **out, struct buf *error)
{
    struct tls_context *t = mem_zero(sizeof(*t));
    enum err e = OK;
    tls_memory_learn();
    ERR_clear_error();
    t->client = true;
    t->ssl = SSL_CTX_new(TLS_client_method());
    t->bio = bio_method_new();
    if (!t->ssl || !t->bio || !configure(t->ssl)) {
        e = say(error, "TLS", "", "not usable here");
    } else if (ca_file && SSL_CTX_load_verify_locations(t->ssl, ca_file, NULL) != 1) {
        e = say(error, "cannot use the certificates of ", ca_file, "not a PEM file");
    }
    if (e != OK) {
        tls_context_free(t);
        return e;
    }
    SSL_CTX_set_verify(t->ssl, ca_file ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *out = t;
    return OK;
}

void tls_context_free(struct tls_context *t)
{
    if (t) {
        SSL_CTX_free(t->ssl);
        BIO_meth_free(t->bio);
        mem_free(t);
    }
}

/* ---- sessions ---- */

struct tls_session *tls_session_new(struct tls_context *context, struct out_pool *pool)
{
    struct tls_memory ciphers = {0};
    tls_memory_watch(&ciphers);
    struct tls_session *t = OPENSSL_zalloc(sizeof(*t));
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->bio);
    tls_memory_watch(NULL);
    if (!t || !ssl || !bio) {
        abort(); /* memory is gone */
    }
    t->pool = pool;
    t->error = "";
    t->ssl = ssl;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    if (context->client) {
        SSL_set_connect_state(t->ssl);
    } else {
        SSL_set_accept_state(t->ssl);
    }
    return t;
}

void tls_session_free(struct tls_session *t)
{
    if (t) {
        SSL_free(t->ssl);
        out_release(t->pool, &t->cipher);
        OPENSSL_free(t);
    }
}

void tls_set_pool(struct tls_session *t, struct out_pool *pool)
{
    t->pool = pool;
}

void tls_feed(struct tls_session *t, const char *bytes, size_t len)
{
    t->in = bytes;
    t->in_len = len;
}

enum err tls_read(struct tls_session *t, char *out, size_t cap, size_t *got)
{
    ERR_clear_error();
    tls_memory_watch(t->ready ? NULL : &t->ciphers);
    bool read = SSL_read_ex(t->ssl, out, cap, got) == 1;
    tls_memory_watch(NULL);
    if (read) {
        return OK;
    }
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return ERR_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_CLOSED;
    default:
        t->error = last_reason("broken");
        return ERR_TLS;
    }
}

bool tls_ready(const struct tls_session *t)
{
    return t->ready || SSL_is_init_finished(t->ssl);
}

/* The library takes a buffer for the largest record that there may be, for each write anew. One of
 * under 1 KiB costs the allocator next to nothing, one of 17 KiB as much as enciphering 200 B. */
static void fit_records(struct tls_session *t, size_t len)
{
    bool small = len <= TLS_SMALL;
    if (t->small != small) {
        long most = small ? TLS_SMALL : LARGE_RECORD;
        (void)SSL_set_max_send_fragment(t->ssl, most);
        (void)SSL_set_split_send_fragment(t->ssl, most);
        t->small = small;
    }
}

static void became_ready(struct tls_session *t)
{
    t->ready = true;
    /* A server of TLS 1.3 makes the keys of what it writes first, one of 1.2 those of what it
     * reads. */
    int which = SSL_version(t->ssl) == TLS1_3_VERSION;
    t->hints.bio = SSL_get_wbio(t->ssl);
    t->hints.resumption = (const char *)SSL_get0_session(t->ssl);
    t->hints.context = t->ciphers.contexts[which];
    t->hints.state = t->ciphers.states[which];
}

size_t tls_write(struct tls_session *t, const char *bytes, size_t len)
{
    size_t took = 0;
    if (!t->ready && SSL_is_init_finished(t->ssl)) {
        became_ready(t);
    }
    if (t->ready) {
        fit_records(t, len);
    }
    if (!t->ready || SSL_write_ex(t->ssl, bytes, len, &took) != 1) {
        ERR_clear_error();
        return 0;
    }
    return took;
}

bool tls_is_clear(const struct tls_session *t)
{
    return t->ready && !t->cipher;
}

size_t tls_write_to(struct tls_session *t, struct str bytes, char *out, size_t cap, size_t *put)
{
    struct target target = {.bytes = out, .cap = cap};
    t->target = &target;
    size_t took = tls_write(t, bytes.ptr, bytes.len);
    t->target = NULL;
    *put = target.len;
    return took;
}

void tls_end(struct tls_session *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl)) {
        (void)SSL_shutdown(t->ssl);
    }
    ERR_clear_error();
}

struct out **tls_out(struct tls_session *t)
{
    return &t->cipher;
}

const char *tls_error(const struct tls_session *t)
{
    return t->error;
}
