/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

TEST(zeroed_memory_is_zero)
{
    unsigned char *p = mem_zero(1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(p[i], 0);
    }
    mem_free(p);
    uint64_t *numbers = mem_array(100, sizeof(*numbers));
    for (size_t i = 0; i < 100; i++) {
        assert_true(numbers[i] == 0);
    }
    mem_free(numbers);
}

TEST(resizing_keeps_the_content)
{
    char *p = mem_alloc(4);
    memcpy(p, "abc", 4);
    p = mem_resize(p, 100000);
    assert_string_equal(p, "abc");
    mem_free(p);
}

TEST(size_zero_gives_memory_that_can_be_freed)
{
    mem_free(mem_alloc(0));
    mem_free(mem_zero(0));
    mem_free(mem_array(0, 8));
    mem_free(mem_resize(NULL, 0));
    mem_free(NULL);
}

TEST(text_is_copied_with_its_end)
{
    char *p = mem_copy_text("abcdef", 3);
    assert_string_equal(p, "abc");
    mem_free(p);
    p = mem_copy_text(NULL, 0);
    assert_string_equal(p, "");
    mem_free(p);
}

TEST(an_overflowing_array_ends_the_program)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        size_t count = SIZE_MAX / 2;
        mem_free(mem_array(count, 8));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(resizing_keeps_the_content),
        cmocka_unit_test(size_zero_gives_memory_that_can_be_freed),
        cmocka_unit_test(text_is_copied_with_its_end),
        cmocka_unit_test(an_overflowing_array_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
