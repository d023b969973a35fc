/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>

#include "tests/lib/test.h"

TEST(ok_is_zero_and_every_code_has_a_text_of_its_own)
{
#define X(code, text) assert_string_equal(err_text(code), text);
    ERR_TABLE(X)
#undef X
    assert_int_equal(OK, 0);
    for (enum err a = OK; a < ERR_IO; a++) {
        for (enum err b = a + 1; b <= ERR_IO; b++) {
            assert_string_not_equal(err_text(a), err_text(b));
        }
    }
    assert_string_equal(err_text((enum err)9999), "unknown error");
}

TEST(errnos_map_to_what_they_mean)
{
    static const struct {
        int errnum;
        enum err e;
    } cases[] = {
        {0, OK},
        {ENOENT, ERR_NOT_FOUND},
        {EEXIST, ERR_EXISTS},
        {EACCES, ERR_DENIED},
        {EADDRINUSE, ERR_BUSY},
        {ECONNREFUSED, ERR_REFUSED},
        {EPIPE, ERR_CLOSED},
        {ETIMEDOUT, ERR_TIMEOUT},
        {EMFILE, ERR_LIMIT},
        {ENOSYS, ERR_UNSUPPORTED},
        {EIO, ERR_IO},
        {EBADF, ERR_IO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(strerror(cases[i].errnum));
        assert_err(err_from_errno(cases[i].errnum), cases[i].e);
    }
    test_case(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_is_zero_and_every_code_has_a_text_of_its_own),
        cmocka_unit_test(errnos_map_to_what_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
