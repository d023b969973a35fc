/* Lines go to stderr, so each test puts a file in its place and reads it back.
 * SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/json.h"
#include "tests/lib/test.h"

static struct clock virtual_clock;
static struct buf captured;
static int real_stderr;
static int file;

static int capture(void **state)
{
    (void)state;
    /* Past any window of the test before. */
    if (!virtual_clock.is_virtual) {
        clock_init_virtual(&virtual_clock, 0, 1780703999999);
    }
    clock_advance_us(&virtual_clock, 60000000);
    virtual_clock.wall_us = 1780703999999000;
    log_set_clock(&virtual_clock);
    assert_ok(log_configure(STR("info")));
    file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    return 0;
}

static int restore(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(file);
    buf_fini(&captured);
    return 0;
}

/* All that was written so far. */
static struct str lines(void)
{
    off_t size = lseek(file, 0, SEEK_END);
    assert_true(size >= 0);
    buf_clear(&captured);
    assert_true(buf_reserve(&captured, (size_t)size + 1));
    assert_int_equal(pread(file, captured.ptr, (size_t)size, 0), size);
    captured.len = (size_t)size;
    return buf_str(&captured);
}

static size_t line_count(void)
{
    struct str all = lines();
    size_t count = 0;
    for (size_t i = 0; i < all.len; i++) {
        count += all.ptr[i] == '\n';
    }
    return count;
}

TEST(a_line_says_when_what_and_the_pairs)
{
    log_info("coingecko", "fetched", "status=%d bytes=%zu", 200, (size_t)17);
    log_warn("hub", "full", "%s", "");
    assert_str(lines(), "2026-06-05T23:59:59.999Z info  coingecko: fetched status=200 bytes=17\n"
                        "2026-06-05T23:59:59.999Z warn  hub: full\n");
}

TEST(levels_below_the_setting_are_silent)
{
    log_debug("a", "quiet", "n=%d", 1);
    assert_str(lines(), "");
    assert_ok(log_configure(STR("debug")));
    log_debug("a", "heard", "n=%d", 1);
    assert_contains(lines(), " debug a: heard n=1\n");
    assert_ok(log_configure(STR("error")));
    assert_false(log_enabled(LOG_WARN));
    assert_true(log_enabled(LOG_ERROR));
}

TEST(a_wrong_setting_is_refused)
{
    assert_err(log_configure(STR("loud")), ERR_SYNTAX);
    assert_err(log_configure(STR("")), ERR_SYNTAX);
    assert_err(log_configure(STR("info,xml")), ERR_SYNTAX);
}

TEST(values_are_quoted_when_they_must_be)
{
    assert_string_equal(log_quote(STR("plain-1.5/x")), "plain-1.5/x");
    assert_string_equal(log_quote(STR("")), "\"\"");
    assert_string_equal(log_quote(STR("two words")), "\"two words\"");
    assert_string_equal(log_quote(STR("a=b")), "\"a=b\"");
    assert_string_equal(log_quote(STR("x\n\"y\"")), "\"x\\n\\\"y\\\"\"");
}

TEST(long_values_are_cut_to_their_buffer)
{
    char text[2000];
    memset(text, 'a', sizeof(text));
    const char *quoted = log_quote(str_make(text, sizeof(text)));
    assert_int_equal(strlen(quoted), 255);
    assert_true(str_ends(str_of(quoted), STR("a...\"")));
    memset(text, '\x01', sizeof(text));
    quoted = log_quote(str_make(text, sizeof(text)));
    assert_true(strlen(quoted) <= 255 && strlen(quoted) > 240);
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3) {
        memcpy(text + i, "\xE2\x82\xBF", 3);
    }
    quoted = log_quote(str_make(text, 1998));
    assert_true(str_is_utf8(str_of(quoted)) && strlen(quoted) > 240);
    assert_int_equal(str_find_str(str_of(quoted), STR("\xEF\xBF\xBD")), SIZE_MAX);
}

TEST(no_value_can_begin_a_line)
{
    log_info("net", "request", "path=%s", "/x\n2026-01-01T00:00:00.000Z info  net: forged");
    assert_int_equal(line_count(), 1);
    assert_contains(lines(), "path=/x\\x0a2026");
}

TEST(json_lines_are_json_whatever_the_values)
{
    struct json *root = NULL;
    struct str s = {0};
    double d = 0;
    assert_ok(log_configure(STR("info,json")));
    log_info("feed", "odd", "n=%d ratio=%s ok=true id=%s text=%s raw=%s stray", 3, "0.5", "007",
             log_quote(STR("a \"b\"\n")), "x\ty\"z");
    assert_ok(json_parse(str_trim(str_sub(lines(), 0, lines().len - 1)), &root, NULL));
    assert_true(json_get_str(json_get(root, "time"), &s));
    assert_str(s, "2026-06-05T23:59:59.999Z");
    assert_true(json_get_str(json_get(root, "level"), &s));
    assert_str(s, "info");
    assert_true(json_get_str(json_get(root, "message"), &s));
    assert_str(s, "odd");
    assert_true(json_get_double(json_get(root, "n"), &d) && d == 3);
    assert_true(json_get_double(json_get(root, "ratio"), &d) && d == 0.5);
    assert_true(json_get_str(json_get(root, "id"), &s));
    assert_str(s, "007");
    assert_true(json_get_str(json_get(root, "text"), &s));
    assert_str(s, "a \"b\"\n");
    json_free(root);
}

TEST(secrets_never_appear)
{
    log_add_secret(STR("hunter2-long"));
    log_add_secret(STR("hunter2-long-er"));
    log_add_secret(STR("sp ace/\"q\""));
    log_add_secret(STR("abc"));
    log_info("a", "url", "url=%s", "https://h/x?secret=hunter2-long&y=hunter2-long-er");
    log_info("a", "quoted", "v=%s abc=1", log_quote(STR("is sp ace/\"q\"!")));
    log_info("a", "encoded", "u=%s", "/?k=sp%20ace%2F%22q%22&z=1");
    assert_contains(lines(), "url=https://h/x?secret=***&y=***\n");
    assert_contains(lines(), "v=\"is ***!\" abc=1\n");
    assert_contains(lines(), "u=/?k=***&z=1\n");
}

TEST(a_secret_at_the_cut_of_a_long_value_stays_hidden)
{
    char text[400];
    log_add_secret(STR("0123456789abcdef"));
    memset(text, '.', sizeof(text));
    for (size_t at = 230; at < 260; at++) {
        memset(text, '.', sizeof(text));
        memcpy(text + at, "0123456789abcdef", 16);
        assert_int_equal(str_find_str(str_of(log_quote(str_make(text, sizeof(text)))), STR("0123")),
                         SIZE_MAX);
    }
}

TEST(pairs_without_measure_are_named_not_cut)
{
    size_t len = 100000;
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    log_info("a", "huge", "v=%s", text);
    free(text);
    assert_contains(lines(), "a: huge note=\"pairs too long\"\n");
}

TEST(a_flood_is_suppressed_and_counted)
{
    for (int i = 0; i < 50; i++) {
        log_warn("net", "accept failed", "n=%d", i);
        log_warn("net", "another", "n=%d", 1);
        clock_advance_us(&virtual_clock, 10000);
    }
    assert_int_equal(line_count(), 40);
    /* Whoever speaks next after the window lets the count out. */
    clock_advance_us(&virtual_clock, 10000000);
    log_info("other", "hello", "a=%d", 1);
    assert_int_equal(line_count(), 43);
    assert_contains(lines(), "warn  net: accept failed suppressed=30\n");
    assert_contains(lines(), "warn  net: another suppressed=30\n");
    log_warn("net", "accept failed", "n=%d", 99);
    assert_contains(lines(), "accept failed n=99\n");
}

TEST(many_kinds_of_message_are_all_heard)
{
    for (int i = 0; i < 1000; i++) {
        char message[24];
        snprintf(message, sizeof(message), "message %d", i);
        log_info("a", message, "i=%d", i);
    }
    assert_int_equal(line_count(), 1000);
}

static void *speak(void *self)
{
    const char *name = self;
    for (int i = 0; i < 200; i++) {
        char message[24];
        snprintf(message, sizeof(message), "m%d", i % 100);
        log_info(name, message, "value=%s", log_quote(STR("of some length")));
    }
    return NULL;
}

TEST(lines_of_threads_do_not_mix)
{
    static char names[4][8] = {"t0", "t1", "t2", "t3"};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, speak, names[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct str rest = lines();
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        assert_true(str_starts(line, STR("2026-06-05T")));
        assert_true(str_ends(line, STR("value=\"of some length\"")));
    }
    assert_int_equal(line_count(), 800);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, capture, restore)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_line_says_when_what_and_the_pairs),
        UNIT(levels_below_the_setting_are_silent),
        UNIT(a_wrong_setting_is_refused),
        UNIT(values_are_quoted_when_they_must_be),
        UNIT(long_values_are_cut_to_their_buffer),
        UNIT(no_value_can_begin_a_line),
        UNIT(json_lines_are_json_whatever_the_values),
        UNIT(secrets_never_appear),
        UNIT(a_secret_at_the_cut_of_a_long_value_stays_hidden),
        UNIT(pairs_without_measure_are_named_not_cut),
        UNIT(a_flood_is_suppressed_and_counted),
        UNIT(many_kinds_of_message_are_all_heard),
        UNIT(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
