/* Lines of text as settings: "E..." is a variable of the environment, "A..." a word of the command
 * line, all other lines are a .env file. What is accepted must be within its row's bounds, and what
 * is refused must come with one line of reason. SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/conf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_WORDS = 32 };

struct settings {
    char *text, *url, *addr, *list, *secret;
    int64_t number;
    int choice;
    bool truth;
};

#define AT(field) .offset = offsetof(struct settings, field)
static const struct conf_row rows[] = {
    {"COINCAST_TEXT", CONF_TEXT, NULL, .help = "T.", AT(text)},
    {"COINCAST_URL", CONF_URL, "http://h", "http|https|redis", .help = "U.", AT(url)},
    {"COINCAST_ADDR", CONF_ADDR, ":1", .help = "A.", AT(addr)},
    {"COINCAST_LIST", CONF_LIST, "a,b", .help = "L.", AT(list)},
    {"REDIS_URL", CONF_TEXT, NULL, .secret = true, .bare = true, .help = "S.", AT(secret)},
    {"COINCAST_NUMBER", CONF_INT, "5", .min = -10, .max = 10, .help = "N.", AT(number)},
    {"COINCAST_CHOICE", CONF_CHOICE, "a", "a|bb|ccc", .help = "C.", AT(choice)},
    {"COINCAST_TRUTH", CONF_BOOL, "no", .help = "B.", AT(truth)},
};

static void check_loaded(const struct conf *c, const struct settings *s)
{
    struct buf text = {0};
    assert(s->number >= -10 && s->number <= 10);
    assert(s->choice >= 0 && s->choice <= 2);
    assert(!s->list || !str_ends(str_of(s->list), STR(",")));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        conf_value_text(c, &rows[i], s, &text);
    }
    buf_fini(&text);
}

static bool check_entry(void *self, struct str name, struct str value, size_t line)
{
    (void)self;
    (void)value;
    assert(name.len > 0 && line > 0);
    return true;
}

static void check_reason(const struct buf *why)
{
    assert(why->len > 0);
    assert(str_find(buf_str(why), '\n', 0) == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *env[MAX_WORDS + 1] = {0};
    char *argv[MAX_WORDS + 1] = {0};
    size_t env_count = 0;
    int argc = 0;
    struct buf file = {0};
    struct buf error = {0};
    struct str rest = str_make((const char *)data, size);
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        if (line.len && line.ptr[0] == 'E' && env_count < MAX_WORDS) {
            env[env_count++] = mem_copy_text(line.ptr + 1, line.len - 1);
        } else if (line.len && line.ptr[0] == 'A' && argc < MAX_WORDS) {
            argv[argc++] = mem_copy_text(line.ptr + 1, line.len - 1);
        } else {
            buf_add_str(&file, line);
            buf_add_char(&file, '\n');
        }
    }
    if (conf_file_parse(buf_str(&file), &error, NULL, check_entry) != OK) {
        check_reason(&error);
    }
    buf_clear(&error);
    struct settings settings;
    struct conf *conf = NULL;
    struct conf_inputs in = {.argc = argc, .argv = argv, .env = env};
    if (conf_load(rows, ARRAY_LEN(rows), &settings, &in, &conf, &error) == OK) {
        check_loaded(conf, &settings);
        conf_free(conf);
    } else {
        check_reason(&error);
    }
    for (size_t i = 0; i < MAX_WORDS; i++) {
        mem_free(env[i]);
        mem_free(argv[i]);
    }
    buf_fini(&file);
    buf_fini(&error);
    return 0;
}
