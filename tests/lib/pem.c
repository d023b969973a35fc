/* SPDX-License-Identifier: MIT */
#include "tests/lib/pem.h"

#include "tests/lib/test.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

static X509 *certificate(EVP_PKEY *key)
{
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
    return x;
}

struct pem pem_new(void)
{
    struct pem p;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate(key);
    p.cert_fd = memfd_create("cert", MFD_CLOEXEC);
    p.key_fd = memfd_create("key", MFD_CLOEXEC);
    snprintf(p.cert, sizeof p.cert, "/proc/self/fd/%d", p.cert_fd);
    snprintf(p.key, sizeof p.key, "/proc/self/fd/%d", p.key_fd);
    FILE *cert = fopen(p.cert, "w"), *pkey = fopen(p.key, "w");
    assert_true(cert && pkey);
    assert_int_equal(PEM_write_X509(cert, x), 1);
    assert_int_equal(PEM_write_PrivateKey(pkey, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(cert);
    fclose(pkey);
    X509_free(x);
    EVP_PKEY_free(key);
    return p;
}

void pem_close(const struct pem *p)
{
    close(p->cert_fd);
    close(p->key_fd);
}
