/* What OpenSSL allocates for ciphers is seen and kept apart: contexts, states, newest first.
 * SPDX-License-Identifier: MIT */
#include "net/tls_memory.h"

#include "base/slab.h"
#include "net/net.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static EVP_CIPHER_CTX *begin(const EVP_CIPHER *kind)
{
    static const unsigned char zero[32];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_non_null(c);
    assert_int_equal(EVP_EncryptInit_ex(c, kind, NULL, zero, zero), 1);
    return c;
}

static void contexts_and_their_states_are_noted_newest_first(void **state)
{
    (void)state;
    struct tls_memory m = {0};
    tls_memory_watch(&m);
    EVP_CIPHER_CTX *older = begin(EVP_aes_256_gcm());
    const char *older_state = m.states[0];
    EVP_CIPHER_CTX *newer = begin(EVP_aes_128_gcm());
    tls_memory_watch(NULL);
    EVP_CIPHER_CTX *unseen = begin(EVP_aes_256_gcm());

    assert_ptr_equal(m.contexts[0], newer);
    assert_ptr_equal(m.contexts[1], older);
    assert_non_null(older_state);
    assert_ptr_equal(m.states[1], older_state);
    assert_non_null(m.states[0]);
    assert_ptr_not_equal(m.states[0], m.states[1]);
    tls_memory_soon(m.contexts[0], m.states[0]);
    tls_memory_soon(NULL, NULL);

    EVP_CIPHER_CTX_free(older);
    EVP_CIPHER_CTX_free(newer);
    EVP_CIPHER_CTX_free(unseen);
}

/* As a session does it: the context gets the keys of the handshake, and then those of the data. */
static void new_keys_for_a_context_bring_a_state_and_no_context(void **state)
{
    (void)state;
    static const unsigned char one[32] = {1};
    struct tls_memory m = {0};
    tls_memory_watch(&m);
    EVP_CIPHER_CTX *c = begin(EVP_aes_256_gcm());
    const char *first = m.states[0];
    EVP_CIPHER_CTX_reset(c);
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, one, one), 1);
    tls_memory_watch(NULL);
    assert_ptr_equal(m.contexts[0], c);
    assert_null(m.contexts[1]);
    assert_ptr_equal(m.states[1], first);
    assert_non_null(m.states[0]);
    EVP_CIPHER_CTX_free(c);
}

/* Those of a session ticket: of another size, and their context belongs to no state of ours. */
static void other_ciphers_are_left_alone(void **state)
{
    (void)state;
    struct tls_memory m = {0};
    tls_memory_watch(&m);
    EVP_CIPHER_CTX *ours = begin(EVP_aes_256_gcm());
    const char *state_of_ours = m.states[0];
    EVP_CIPHER_CTX *ticket = begin(EVP_aes_256_cbc());
    tls_memory_watch(NULL);
    assert_ptr_equal(m.contexts[0], ours);
    assert_null(m.contexts[1]);
    assert_ptr_equal(m.states[0], state_of_ours);
    EVP_CIPHER_CTX_free(ours);
    EVP_CIPHER_CTX_free(ticket);
}

/* There in builds with AddressSanitizer only, which keep nothing together. */
extern void __asan_init(void) __attribute__((weak));

/* What a session allocates is kept together, grows out of there, and is given back. */
static void what_a_session_takes_is_kept_together(void **state)
{
    (void)state;
    struct tls_memory m = {0};
    size_t before = slabs_in_use();
    tls_memory_watch(&m);
    char *a = OPENSSL_malloc(100), *b = OPENSSL_zalloc(200);
    tls_memory_watch(NULL);
    bool kept = !__asan_init;
    assert_int_equal(slabs_in_use() - before, kept ? 128 + 256 : 0);
    assert_int_equal(kept ? b - a : 128, 128);
    memset(a, 'a', 100);
    assert_int_equal(b[199], 0);
    char *unseen = OPENSSL_malloc(100);
    a = OPENSSL_realloc(a, 5000);
    assert_int_equal(slabs_in_use() - before, kept ? 256 : 0);
    assert_int_equal(a[99], 'a');
    OPENSSL_free(a);
    OPENSSL_free(b);
    OPENSSL_free(unseen);
    assert_int_equal(slabs_in_use(), before);
}

int main(void)
{
    tls_init();
    tls_memory_learn();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_and_their_states_are_noted_newest_first),
        cmocka_unit_test(new_keys_for_a_context_bring_a_state_and_no_context),
        cmocka_unit_test(other_ciphers_are_left_alone),
        cmocka_unit_test(what_a_session_takes_is_kept_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
