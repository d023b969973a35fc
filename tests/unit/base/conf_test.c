/* SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/test.h"

struct settings {
    char *listen;
    int64_t shards;
    int io;
    bool quiet;
    char *url;
    char *origins;
    char *secret;
    char *name;
    int64_t any;
};

static bool starts_with_c(struct str value, struct buf *why)
{
    if (value.ptr[0] != 'c') {
        buf_add_lit(why, "must begin with c");
        return false;
    }
    return true;
}

#define AT(field) .offset = offsetof(struct settings, field)
static const struct conf_row rows[] = {
    {"COINCAST_LISTEN", CONF_ADDR, "127.0.0.1:8000", .help = "Where to listen.", AT(listen)},
    {"COINCAST_SHARDS", CONF_INT, "2", .min = 1, .max = 64, .help = "Threads.", AT(shards)},
    {"COINCAST_IO", CONF_CHOICE, "auto", "auto|uring|epoll", .help = "Back end.", AT(io)},
    {"COINCAST_QUIET", CONF_BOOL, "false", .help = "Says less.", AT(quiet)},
    {"COINCAST_KRAKEN_URL", CONF_URL, NULL, "http|https", .help = "Kraken.", AT(url)},
    {"COINCAST_ORIGINS", CONF_LIST, NULL, .help = "Origins.", AT(origins)},
    {"TAAPI_SECRET", CONF_TEXT, NULL, .secret = true, .bare = true, .help = "Key.", AT(secret)},
    {"COINCAST_NAME", CONF_TEXT, NULL, .check = starts_with_c, .help = "Name.", AT(name)},
    {"COINCAST_ANY", CONF_INT, NULL, .unit = "ms", .help = "Any number.", AT(any)},
};

static struct settings settings;
static struct conf *conf;
static struct buf error;
static const char *const *foreign; /* what load() passes over */
static char env_path[] = "/proc/self/fd/0000";

static int release(void **state)
{
    (void)state;
    conf_free(conf);
    conf = NULL;
    foreign = NULL;
    buf_fini(&error);
    return 0;
}

/* Loads from lists that end with NULL, and from the text of a .env file. */
static enum err load(char **argv, char **env, const char *file)
{
    struct conf_inputs in = {.argv = argv, .env = env, .foreign = foreign};
    int fd = -1;
    while (argv && argv[in.argc]) {
        in.argc++;
    }
    if (file) {
        fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, file, strlen(file)), strlen(file));
        snprintf(env_path, sizeof(env_path), "/proc/self/fd/%d", fd);
        in.env_file = env_path;
    }
    conf_free(conf);
    conf = NULL;
    buf_fini(&error);
    memset(&settings, 0x55, sizeof(settings));
    enum err e = conf_load(rows, ARRAY_LEN(rows), &settings, &in, &conf, &error);
    if (fd >= 0) {
        close(fd);
    }
    return e;
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

TEST(defaults_fill_everything)
{
    assert_ok(load(NULL, NULL, NULL));
    assert_string_equal(settings.listen, "127.0.0.1:8000");
    assert_int_equal(settings.shards, 2);
    assert_int_equal(settings.io, 0);
    assert_false(settings.quiet);
    assert_null(settings.url);
    assert_null(settings.secret);
    assert_int_equal(settings.any, 0);
    assert_int_equal(conf_origin(conf, "COINCAST_LISTEN"), CONF_FROM_DEFAULT);
}

TEST(flag_beats_environment_beats_file_beats_default)
{
    const char *file = "COINCAST_SHARDS=3\nCOINCAST_IO=uring\nCOINCAST_ANY=1\n";
    char **env = WORDS("COINCAST_SHARDS=4", "COINCAST_IO=epoll", "PATH=/bin", "HOME");
    assert_ok(load(WORDS("--shards", "5"), env, file));
    assert_int_equal(settings.shards, 5);
    assert_int_equal(settings.io, 2);
    assert_int_equal(settings.any, 1);
    assert_int_equal(conf_origin(conf, "COINCAST_SHARDS"), CONF_FROM_FLAG);
    assert_int_equal(conf_origin(conf, "COINCAST_IO"), CONF_FROM_ENV);
    assert_int_equal(conf_origin(conf, "COINCAST_ANY"), CONF_FROM_FILE);
    assert_string_equal(conf_origin_text(CONF_FROM_FILE), ".env");
}

TEST(a_wrong_value_that_is_overruled_does_not_matter)
{
    assert_ok(load(WORDS("--shards=5"), WORDS("COINCAST_SHARDS=many"), NULL));
    assert_int_equal(settings.shards, 5);
}

TEST(an_empty_variable_is_not_set)
{
    assert_ok(load(NULL, WORDS("COINCAST_SHARDS=", "TAAPI_SECRET="), "COINCAST_IO=\n"));
    assert_int_equal(settings.shards, 2);
    assert_null(settings.secret);
}

TEST(what_others_read_is_passed_over_and_named_once)
{
    static const char *const others[] = {"COINCAST_BIN", "DATABASE_URL", NULL};
    const char *const *names = NULL;
    foreign = others;
    assert_ok(load(NULL, WORDS("COINCAST_BIN=/bin/c", "DATABASE_URL=x", "COINCAST_BIN=again"),
                   "COINCAST_BIN=c\n"));
    assert_int_equal(conf_foreign(conf, &names), 2);
    assert_string_equal(names[0], "COINCAST_BIN");
    assert_string_equal(names[1], "DATABASE_URL");
    assert_err(load(NULL, WORDS("COINCAST_BINS=1"), NULL), ERR_NOT_FOUND);
    assert_err(load(WORDS("--bin", "1"), NULL, NULL), ERR_NOT_FOUND);
}

TEST(a_star_passes_over_every_variable_but_no_flag)
{
    static const char *const all[] = {"*", NULL};
    const char *const *names = NULL;
    foreign = all;
    assert_ok(load(NULL, WORDS("COINCAST_NONSENSE=1", "COINCAST_SHARDS=7"), "COINCAST_X=1\n"));
    assert_int_equal(settings.shards, 7);
    assert_int_equal(conf_foreign(conf, &names), 0);
    assert_err(load(WORDS("--nonsense=1"), NULL, NULL), ERR_NOT_FOUND);
    assert_err(load(NULL, WORDS("COINCAST_SHARDS=many"), NULL), ERR_RANGE);
}

TEST(flags_have_all_their_forms)
{
    char **words = NULL;
    assert_ok(load(WORDS("one", "--io=epoll", "--quiet", "two", "--any", "-7", "-", "--", "--io"),
                   NULL, NULL));
    assert_int_equal(settings.io, 2);
    assert_true(settings.quiet);
    assert_int_equal(settings.any, -7);
    assert_int_equal(conf_args(conf, &words), 4);
    assert_string_equal(words[0], "one");
    assert_string_equal(words[1], "two");
    assert_string_equal(words[2], "-");
    assert_string_equal(words[3], "--io");
    assert_ok(load(WORDS("--no-quiet"), WORDS("COINCAST_QUIET=yes"), NULL));
    assert_false(settings.quiet);
    assert_ok(load(WORDS("--quiet", "off"), NULL, NULL));
    assert_false(settings.quiet);
    assert_int_equal(conf_args(conf, &words), 0);
}

TEST(help_comes_even_when_the_rest_is_wrong)
{
    assert_ok(load(WORDS("--shards", "x", "--help"), WORDS("COINCAST_NONSENSE=1"), NULL));
    assert_true(conf_help_wanted(conf));
    assert_ok(load(WORDS("--", "--help"), NULL, NULL));
    assert_false(conf_help_wanted(conf));
}

TEST(wrong_inputs_are_refused_with_one_sentence)
{
    static const struct {
        const char *flag, *env, *file, *error;
        enum err e;
    } cases[] = {
        {.env = "COINCAST_SHARDS=abc",
         .error = "COINCAST_SHARDS=abc (environment): must be a whole number from 1 to 64",
         .e = ERR_RANGE},
        {.flag = "--shards=65",
         .error = "--shards=65: must be a whole number from 1 to 64",
         .e = ERR_RANGE},
        {.file = "# x\nCOINCAST_IO=iouring",
         .error = "COINCAST_IO=iouring (.env line 2): must be auto, uring or epoll",
         .e = ERR_RANGE},
        {.flag = "--quiet=perhaps",
         .error = "--quiet=perhaps: must be true or false",
         .e = ERR_RANGE},
        {.flag = "--any=9223372036854775808",
         .error = "--any=9223372036854775808: must be a whole number (ms)",
         .e = ERR_RANGE},
        {.flag = "--name=bitcoin", .error = "--name=bitcoin: must begin with c", .e = ERR_RANGE},
        {.env = "COINCAST_NAME=c\nx",
         .error = "COINCAST_NAME=c?x (environment): must be text without control characters",
         .e = ERR_RANGE},
        {.env = "TAAPI_SECRET=bad\x01",
         .error = "TAAPI_SECRET=*** (environment): must be text without control characters",
         .e = ERR_RANGE},
        {.flag = "--shrads=3",
         .error = "unknown flag --shrads; the nearest known name is --shards",
         .e = ERR_NOT_FOUND},
        {.flag = "-s",
         .error = "unknown flag -s; flags begin with two dashes, --help lists them",
         .e = ERR_NOT_FOUND},
        {.flag = "--no-shards",
         .error = "unknown flag --no-shards; the nearest known name is --shards",
         .e = ERR_NOT_FOUND},
        {.flag = "--listen",
         .error = "--listen needs a value: HOST:PORT, [IPV6]:PORT or :PORT",
         .e = ERR_SYNTAX},
        {.flag = "--taapi-secret=x",
         .error = "TAAPI_SECRET is a secret: set it in the environment or in .env, not as a flag",
         .e = ERR_DENIED},
        {.env = "COINCAST_LITSEN=x",
         .error = "unknown setting COINCAST_LITSEN (environment); the nearest known name is "
                  "COINCAST_LISTEN",
         .e = ERR_NOT_FOUND},
        {.file = "\nCOINCAST_QUITE=1",
         .error = "unknown setting COINCAST_QUITE (.env line 2); the nearest known name is "
                  "COINCAST_QUIET",
         .e = ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].error);
        assert_err(load(WORDS((char *)cases[i].flag), WORDS((char *)cases[i].env), cases[i].file),
                   cases[i].e);
        assert_buf(&error, cases[i].error);
        assert_null(conf);
        assert_int_equal(settings.shards, 0x5555555555555555);
    }
    test_case(NULL);
}

TEST(env_files_have_quotes_and_comments)
{
    static const struct {
        const char *file, *name;
    } cases[] = {
        {"COINCAST_NAME=c plain # comment\n", "c plain"},
        {"COINCAST_NAME=c#not\n", "c#not"},
        {"  export COINCAST_NAME = c\t\n", "c"},
        {"COINCAST_NAME='c \"$x\" \\n # in' # out\n", "c \"$x\" \\n # in"},
        {"COINCAST_NAME=\"c \\\"q\\\" \\\\ \\$ # in\"\n", "c \"q\" \\ $ # in"},
        {"\xEF\xBB\xBF# head\r\n\r\nCOINCAST_NAME=c1\r\nOTHER=x\r\n", "c1"},
        {"COINCAST_NAME=c1\nCOINCAST_NAME=c2", "c2"},
        {"COINCAST_NAME=c=d==", "c=d=="},
        {"COINCAST_NAME=# nothing", NULL},
        {"COINCAST_NAME=''", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].file);
        assert_ok(load(NULL, NULL, cases[i].file));
        if (cases[i].name) {
            assert_str(str_of(settings.name), cases[i].name);
        } else {
            assert_null(settings.name);
        }
    }
    test_case(NULL);
}

TEST(broken_env_files_are_refused_with_the_line)
{
    static const struct {
        const char *file, *error;
    } cases[] = {
        {"A=1\nnonsense\n", "line 2: must be NAME=VALUE or a comment after #"},
        {"=x", "line 1: must be NAME=VALUE or a comment after #"},
        {"1A=x", "line 1: must be NAME=VALUE or a comment after #"},
        {"A B=x", "line 1: must be NAME=VALUE or a comment after #"},
        {"A=\"open\nB=2\"", "line 1: the quote must be closed on the same line"},
        {"A='open", "line 1: the quote must be closed on the same line"},
        {"A=\"x\" y", "line 1: only a comment may stand behind the closing quote"},
        {"A=\"\\q\"", "line 1: after \\ only"},
        {"A=\"\\", "line 1: after \\ only"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].file);
        assert_err(load(NULL, NULL, cases[i].file), ERR_SYNTAX);
        assert_contains(buf_str(&error), cases[i].error);
    }
    test_case(NULL);
}

TEST(a_missing_env_file_is_fine_a_folder_is_not)
{
    struct conf_inputs in = {.env_file = "/nonexistent/.env"};
    assert_ok(conf_load(rows, ARRAY_LEN(rows), &settings, &in, &conf, &error));
    conf_free(conf);
    conf = NULL;
    in.env_file = "/";
    assert_err(conf_load(rows, ARRAY_LEN(rows), &settings, &in, &conf, &error), ERR_IO);
}

TEST(addresses_and_urls_are_checked)
{
    static const char *const good[] = {
        "--listen=:0",         "--listen=localhost:65535",      "--listen=[::1]:80",
        "--listen=0.0.0.0:80", "--kraken-url=http://h",         "--kraken-url=https://h:1/p?q",
        "--listen=a-b.c_d:1",  "--kraken-url=http://[::1]:8/x", "--kraken-url=http://u:p@h/",
    };
    static const char *const bad[] = {
        "--listen=8000",           "--listen=h:",
        "--listen=h:65536",        "--listen=::1:80",
        "--listen=[::1]",          "--listen=[x]:1",
        "--listen=h h:1",          "--listen=h:+1",
        "--kraken-url=ftp://h",    "--kraken-url=http://",
        "--kraken-url=http:///",   "--kraken-url=h:80",
        "--kraken-url=http://h:x", "--kraken-url=http://a b",
        "--kraken-url=HTTP//h",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        test_case(good[i]);
        assert_ok(load(WORDS((char *)good[i]), NULL, NULL));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_case(bad[i]);
        assert_err(load(WORDS((char *)bad[i]), NULL, NULL), ERR_RANGE);
    }
    test_case(NULL);
}

TEST(lists_lose_their_blanks)
{
    assert_ok(load(WORDS("--origins", " a , ,b, c ,"), NULL, NULL));
    assert_string_equal(settings.origins, "a,b,c");
    assert_ok(load(WORDS("--origins= , "), NULL, NULL));
    assert_null(settings.origins);
}

TEST(values_are_shown_but_not_secrets)
{
    struct buf out = {0};
    assert_ok(load(WORDS("--io=uring", "--quiet"), WORDS("TAAPI_SECRET=hush"), NULL));
    assert_string_equal(settings.secret, "hush");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        conf_value_text(conf, &rows[i], &settings, &out);
        buf_add_char(&out, '|');
    }
    assert_buf(&out, "127.0.0.1:8000|2|uring|true|||***||0|");
    buf_fini(&out);
}

TEST(help_lists_flags_and_then_secrets)
{
    struct buf out = {0};
    conf_write_help(rows, ARRAY_LEN(rows), &out);
    assert_contains(buf_str(&out), "  --shards N                      Threads. (default: 2)\n");
    assert_contains(buf_str(&out), "  --any N                         Any number. [ms]\n");
    assert_contains(buf_str(&out), "Only in the environment or .env:\n  TAAPI_SECRET   ");
    assert_int_equal(str_find_str(buf_str(&out), STR("--taapi")), SIZE_MAX);
    buf_fini(&out);
}

TEST(the_table_escapes_bars)
{
    struct buf out = {0};
    conf_write_markdown(rows, ARRAY_LEN(rows), &out);
    assert_contains(buf_str(&out), "| `COINCAST_IO` | `--io` | auto, uring or epoll | `auto` | "
                                   "Back end. |\n");
    assert_contains(buf_str(&out), "| `TAAPI_SECRET` | none (secret) | ");
    buf_fini(&out);
}

TEST(the_example_is_a_file_that_loads_to_the_defaults)
{
    struct buf out = {0};
    struct buf live = {0};
    conf_write_env(rows, ARRAY_LEN(rows), &out);
    assert_contains(buf_str(&out), "# Threads. Takes a whole number from 1 to 64.\n"
                                   "#COINCAST_SHARDS=2\n");
    assert_ok(load(NULL, NULL, buf_text(&out)));
    assert_int_equal(conf_origin(conf, "COINCAST_SHARDS"), CONF_FROM_DEFAULT);
    /* with the comment sign taken from its settings it says the same */
    struct str rest = buf_str(&out);
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        bool setting = line.len > 1 && line.ptr[0] == '#' && line.ptr[1] != ' ';
        buf_add_str(&live, setting ? str_from(line, 1) : line);
        buf_add_char(&live, '\n');
    }
    assert_ok(load(NULL, NULL, buf_text(&live)));
    assert_int_equal(settings.shards, 2);
    assert_int_equal(conf_origin(conf, "COINCAST_SHARDS"), CONF_FROM_FILE);
    buf_fini(&out);
    buf_fini(&live);
}

#define UNIT(name) cmocka_unit_test_teardown(name, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(defaults_fill_everything),
        UNIT(flag_beats_environment_beats_file_beats_default),
        UNIT(a_wrong_value_that_is_overruled_does_not_matter),
        UNIT(an_empty_variable_is_not_set),
        UNIT(what_others_read_is_passed_over_and_named_once),
        UNIT(a_star_passes_over_every_variable_but_no_flag),
        UNIT(flags_have_all_their_forms),
        UNIT(help_comes_even_when_the_rest_is_wrong),
        UNIT(wrong_inputs_are_refused_with_one_sentence),
        UNIT(env_files_have_quotes_and_comments),
        UNIT(broken_env_files_are_refused_with_the_line),
        UNIT(a_missing_env_file_is_fine_a_folder_is_not),
        UNIT(addresses_and_urls_are_checked),
        UNIT(lists_lose_their_blanks),
        UNIT(values_are_shown_but_not_secrets),
        UNIT(help_lists_flags_and_then_secrets),
        UNIT(the_table_escapes_bars),
        UNIT(the_example_is_a_file_that_loads_to_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
