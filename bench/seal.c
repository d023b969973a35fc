/* seal: the limit of what TLS costs: OpenSSL enciphers records of so many bytes on sessions in
 * turn, and nothing is sent. One session is all in the cache, a thousand are what a server has. The
 * sessions are made in memory, TLS 1.3, with the library's own choice of cipher. Prints one line of
 * JSON.
 *
 *     seal CERT KEY SESSIONS BYTES [MS]
 *
 * SPDX-License-Identifier: MIT */
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_MAX = 16384, RECORDS_BETWEEN_LOOKS = 5000 };

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "seal: %s\n", what);
    exit(1);
}

/* The server's end of a handshake that was held in memory; what it writes from then on is lost. */
static SSL *session_new(SSL_CTX *server_ctx, SSL_CTX *client_ctx, size_t most)
{
    SSL *server = SSL_new(server_ctx);
    SSL *client = SSL_new(client_ctx);
    BIO *ours = NULL;
    BIO *theirs = NULL;
    if (!server || !client || BIO_new_bio_pair(&ours, 0, &theirs, 0) != 1) {
        fail("no memory");
    }
    SSL_set_bio(server, ours, ours);
    SSL_set_bio(client, theirs, theirs);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    if (!SSL_is_init_finished(server) || !SSL_is_init_finished(client)) {
        fail("the handshake came to no end");
    }
    SSL_free(client);
    BIO *lost = BIO_new(BIO_s_null());
    SSL_set0_wbio(server, lost);
    /* As the server does: else a buffer of 17 KB is taken for each record. */
    (void)SSL_set_max_send_fragment(server, most < 512 ? 512 : (long)most);
    return server;
}

int main(int argc, char **argv)
{
    static char record[RECORD_MAX];
    size_t sessions = argc > 4 ? strtoul(argv[3], NULL, 10) : 0;
    size_t bytes = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    uint64_t for_ns = (argc > 5 ? strtoul(argv[5], NULL, 10) : 1000) * 1000000;
    if (sessions < 1 || bytes < 1 || bytes > RECORD_MAX) {
        fail("usage: seal CERT KEY SESSIONS BYTES [MS], records of 1 to 16384 bytes");
    }
    SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    if (!server_ctx || !client_ctx ||
        SSL_CTX_use_certificate_chain_file(server_ctx, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(server_ctx, argv[2], SSL_FILETYPE_PEM) != 1) {
        fail("the certificate or the key cannot be used");
    }
    SSL_CTX_set_mode(server_ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL **all = calloc(sessions, sizeof(SSL *));
    for (size_t i = 0; i < sessions; i++) {
        all[i] = session_new(server_ctx, client_ctx, bytes);
    }
    uint64_t records = 0;
    uint64_t began_ns = cpu_ns();
    uint64_t took_ns = 0;
    for (size_t next = 0; took_ns < for_ns; took_ns = cpu_ns() - began_ns) {
        for (int i = 0; i < RECORDS_BETWEEN_LOOKS; i++) {
            if (SSL_write(all[next], record, (int)bytes) != (int)bytes) {
                fail("a record was not taken");
            }
            next = next + 1 < sessions ? next + 1 : 0;
        }
        records += RECORDS_BETWEEN_LOOKS;
    }
    printf("{\"sessions\":%zu,\"bytes\":%zu,\"cipher\":\"%s\",\"records\":%llu,\"ns_each\":%.1f}\n",
           sessions, bytes, SSL_get_cipher_name(all[0]), (unsigned long long)records,
           (double)took_ns / (double)records);
    for (size_t i = 0; i < sessions; i++) {
        SSL_free(all[i]);
    }
    free(all);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    return 0;
}
