/* SPDX-License-Identifier: MIT */
#include "tools/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static void signals_come_one_by_one_and_do_not_end_the_process(void **state)
{
    (void)state;
    int fd = signals_open((int[]){SIGTERM, SIGUSR1, 0});
    assert_true(fd >= 0);
    assert_int_equal(signals_next(fd), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGTERM), 0);
    uint32_t a = signals_next(fd), b = signals_next(fd);
    assert_int_equal(a + b, SIGUSR1 + SIGTERM);
    assert_true(a == SIGUSR1 || b == SIGUSR1);
    assert_int_equal(signals_next(fd), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_come_one_by_one_and_do_not_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
