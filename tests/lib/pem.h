/* pem: a certificate of localhost and its key, made anew, in files that end with the process. A
 * test that uses it links OpenSSL. SPDX-License-Identifier: MIT */
#ifndef TESTS_LIB_PEM_H
#define TESTS_LIB_PEM_H

struct pem {
    int cert_fd, key_fd;
    char cert[32], key[32]; /* their paths */
};

/* Signed by itself, good for an hour; the caller closes it. */
struct pem pem_new(void);
void pem_close(const struct pem *p);

#endif
