/* The subcommands as programs: exit codes, and SIGTERM. SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "tools/tools.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef int (*tool_fn)(int argc, char **argv);

struct run {
    pid_t pid;
    int out; /* standard output and standard error */
};

static struct run start(tool_fn tool, const char *const *words)
{
    int pipes[2], argc = 0;
    char *argv[8];
    assert_int_equal(pipe(pipes), 0);
    while (words[argc]) {
        argv[argc] = strdup(words[argc]);
        argc++;
    }
    struct run r = {.pid = fork(), .out = pipes[0]};
    if (r.pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        int code = tool(argc, argv);
        fflush(stdout);
        _exit(code);
    }
    close(pipes[1]);
    while (argc > 0) {
        free(argv[--argc]);
    }
    return r;
}

/* Reads until `until` was written (NULL: to the end). */
static size_t read_text(const struct run *r, const char *until, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    while (len + 1 < size && !(until && strstr(text, until))) {
        ssize_t n = read(r->out, text + len, size - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        text[len] = '\0';
    }
    return len;
}

static int finish(struct run *r)
{
    int status = -1;
    close(r->out);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_refused(tool_fn tool, const char *const *words, const char *right)
{
    char text[2048];
    struct run r = start(tool, words);
    size_t len = read_text(&r, NULL, text, sizeof(text));
    assert_int_equal(finish(&r), 2);
    assert_non_null(strstr(text, right));
    assert_ptr_equal(strchr(text, '\n'), text + len - 1); /* one line */
}

static void wrong_words_end_with_2_and_one_line(void **state)
{
    (void)state;
    assert_refused(tool_upstream, (const char *[]){"--listen", NULL}, "expected HOST:PORT");
    assert_refused(tool_upstream, (const char *[]){"--listen", "nowhere", NULL},
                   "expected HOST:PORT");
    assert_refused(tool_upstream, (const char *[]){"--seed=-1", NULL}, "whole number");
    assert_refused(tool_upstream, (const char *[]){"--sed", "1", NULL}, "--seed");
    assert_refused(tool_watch, (const char *[]){"--url", "http://h/", NULL}, "ws://");
    assert_refused(tool_watch, (const char *[]){"now", NULL}, "--url");
}

static void help_ends_with_0(void **state)
{
    static const tool_fn tools[] = {tool_upstream, tool_watch};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        char text[4096];
        struct run r = start(tools[i], (const char *[]){"--help", NULL});
        (void)read_text(&r, NULL, text, sizeof(text));
        assert_int_equal(finish(&r), 0);
        assert_non_null(strstr(text, "usage: coincast "));
    }
}

static void sigterm_ends_it_with_0(void **state)
{
    char text[2048];
    (void)state;
    struct run r = start(tool_upstream, (const char *[]){"--listen=127.0.0.1:0", NULL});
    (void)read_text(&r, "coincast upstream: listening on port ", text, sizeof(text));
    assert_non_null(strstr(text, "simulated market"));
    assert_int_equal(kill(r.pid, SIGTERM), 0);
    assert_int_equal(finish(&r), 0);
    /* a watcher that finds no server goes on trying until it is told to stop */
    r = start(tool_watch, (const char *[]){"--url", "ws://127.0.0.1:9/ws", NULL});
    (void)read_text(&r, "again in", text, sizeof(text));
    assert_non_null(strstr(text, "nobody listens there"));
    assert_int_equal(kill(r.pid, SIGTERM), 0);
    assert_int_equal(finish(&r), 0);
}

static void a_folder_that_is_not_there_ends_with_1(void **state)
{
    char text[2048];
    (void)state;
    struct run r =
        start(tool_upstream, (const char *[]){"--listen=127.0.0.1:0", "--fixtures=/nowhere", NULL});
    (void)read_text(&r, NULL, text, sizeof(text));
    assert_int_equal(finish(&r), 1);
    assert_non_null(strstr(text, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words_end_with_2_and_one_line),
        cmocka_unit_test(help_ends_with_0),
        cmocka_unit_test(sigterm_ends_it_with_0),
        cmocka_unit_test(a_folder_that_is_not_there_ends_with_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
