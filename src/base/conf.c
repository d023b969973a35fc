/* Inputs are collected from the weakest to the strongest, each overwriting the raw text before it;
 * then every row's winner is checked, and only when all are right the settings are written.
 * SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/conf_file.h"
#include "base/conf_value.h"

enum { FILE_MAX = 1 << 20, SHOWN_MAX = 80 };

/* What one row was given. */
struct given {
    char *raw; /* owned; NULL: nothing */
    size_t raw_len;
    enum conf_origin origin;
    size_t line; /* in .env */
    /* of the winner, once checked */
    char *text; /* owned, NULL when unset */
    int64_t number;
};

struct conf {
    const struct conf_row *rows;
    size_t count;
    struct given *given;
    char **words;
    size_t word_count;
    const char **foreign; /* seen; the texts are the caller's */
    size_t foreign_count;
    bool help;
};

/* What conf_load() carries through its steps. */
struct loading {
    struct conf *conf;
    const char *const *foreign;
    struct buf *error;
};

/* ---- names ---- */

static size_t find_row(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_eq(str_of(c->rows[i].name), name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Steps of one letter (changed, added, left out, or swapped with its neighbour) from `a` to `b`;
 * beyond 63 letters only the first 63 count. */
static unsigned distance(struct str a, struct str b)
{
    unsigned rows[3][64];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    a.len = min_size(a.len, 63);
    b.len = min_size(b.len, 63);
    for (unsigned j = 0; j <= b.len; j++) {
        last[j] = j;
    }
    for (unsigned i = 1; i <= a.len; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned changed = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            unsigned moved = last[j] < now[j - 1] ? last[j] + 1 : now[j - 1] + 1;
            now[j] = changed < moved ? changed : moved;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                before[j - 2] + 1 < now[j]) {
                now[j] = before[j - 2] + 1;
            }
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.len];
}

/* Appends the known name (a flag or a variable) nearest to `name`. */
static void add_nearest(const struct conf *c, struct str name, bool as_flag, struct buf *out)
{
    struct buf candidate = {0};
    struct buf best = {0};
    unsigned best_distance = UINT32_MAX;
    for (size_t i = 0; i < c->count; i++) {
        buf_clear(&candidate);
        if (as_flag) {
            conf_value_flag(&c->rows[i], &candidate);
        } else {
            buf_add_str(&candidate, str_of(c->rows[i].name));
        }
        unsigned d = candidate.len ? distance(name, buf_str(&candidate)) : UINT32_MAX;
        if (d < best_distance) {
            best_distance = d;
            buf_clear(&best);
            buf_add_str(&best, buf_str(&candidate));
        }
    }
    if (best.len) {
        buf_printf(out, "; the nearest known name is %s%s", as_flag ? "--" : "", buf_text(&best));
    }
    buf_fini(&candidate);
    buf_fini(&best);
}

/* Foreign text within an error's one line. */
static void add_shown(struct buf *out, struct str s)
{
    for (size_t i = 0; i < min_size(s.len, SHOWN_MAX); i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        buf_add_char(out, c < ' ' || c == 0x7F ? '?' : (char)c);
    }
    if (s.len > SHOWN_MAX) {
        buf_add_lit(out, "...");
    }
}

/* ---- collecting ---- */

static void give(struct conf *c, size_t row, struct str raw, enum conf_origin origin, size_t line)
{
    struct given *g = &c->given[row];
    mem_free(g->raw);
    g->raw = mem_copy_text(raw.ptr, raw.len);
    g->raw_len = raw.len;
    g->origin = origin;
    g->line = line;
}

/* Whether the variable belongs to somebody else; notes its name once. */
static bool pass_over(struct loading *l, struct str name)
{
    struct conf *c = l->conf;
    for (const char *const *known = l->foreign; known && *known; known++) {
        if (strcmp(*known, "*") == 0) {
            return true;
        }
        if (str_eq(str_of(*known), name)) {
            for (size_t i = 0; i < c->foreign_count; i++) {
                if (c->foreign[i] == *known) {
                    return true;
                }
            }
            c->foreign[c->foreign_count++] = *known;
            return true;
        }
    }
    return false;
}

/* A variable of the environment or of .env. An empty one counts as not set: that is how a line of
 * .env.example looks before it is filled in. */
static bool take_variable(struct loading *l, struct str name, struct str value,
                          enum conf_origin origin, size_t line)
{
    size_t row = find_row(l->conf, name);
    if (row != SIZE_MAX) {
        if (value.len) {
            give(l->conf, row, value, origin, line);
        }
        return true;
    }
    if (pass_over(l, name) || !str_starts(name, STR("COINCAST_"))) {
        return true;
    }
    buf_add_lit(l->error, "unknown setting ");
    add_shown(l->error, name);
    if (origin == CONF_FROM_FILE) {
        buf_printf(l->error, " (.env line %zu)", line);
    } else {
        buf_add_lit(l->error, " (environment)");
    }
    add_nearest(l->conf, name, false, l->error);
    return false;
}

static bool take_file_entry(void *self, struct str name, struct str value, size_t line)
{
    return take_variable(self, name, value, CONF_FROM_FILE, line);
}

static enum err take_file(struct loading *l, const char *path)
{
    struct buf text = {.max = FILE_MAX};
    FILE *f = path ? fopen(path, "rbe") : NULL;
    if (!f) {
        if (!path || errno == ENOENT || errno == ENOTDIR) {
            return OK;
        }
        buf_printf(l->error, "%s can't be read: %s", path, strerror(errno));
        return ERR_IO;
    }
    char part[4096];
    size_t got = 0;
    while ((got = fread(part, 1, sizeof(part), f)) > 0) {
        buf_add(&text, part, got);
    }
    bool broken = ferror(f) != 0;
    fclose(f);
    enum err e = OK;
    if (broken) {
        buf_printf(l->error, "%s can't be read to its end", path);
        e = ERR_IO;
    } else if (text.failed) {
        buf_printf(l->error, "%s is longer than %d bytes", path, FILE_MAX);
        e = ERR_LIMIT;
    } else {
        struct buf why = {0};
        e = conf_file_parse(buf_str(&text), &why, l, take_file_entry);
        if (e == ERR_SYNTAX) {
            buf_printf(l->error, "%s %s", path, buf_text(&why));
        } else if (e != OK) {
            e = ERR_NOT_FOUND;
        }
        buf_fini(&why);
    }
    buf_fini(&text);
    return e;
}

static enum err take_environment(struct loading *l, char **env)
{
    for (; env && *env; env++) {
        struct str entry = str_of(*env);
        size_t equals = str_find(entry, '=', 0);
        struct str name = str_sub(entry, 0, equals);
        struct str value = equals == SIZE_MAX ? (struct str){0} : str_from(entry, equals + 1);
        if (!take_variable(l, name, value, CONF_FROM_ENV, 0)) {
            return ERR_NOT_FOUND;
        }
    }
    return OK;
}

/* Flags need no prefix search: the row whose flag is exactly `name`. */
static size_t find_flag(const struct conf *c, struct str name)
{
    struct buf flag = {0};
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < c->count && found == SIZE_MAX; i++) {
        buf_clear(&flag);
        conf_value_flag(&c->rows[i], &flag);
        if (flag.len && str_eq(buf_str(&flag), name)) {
            found = i;
        }
    }
    buf_fini(&flag);
    return found;
}

/* Says why --name is not a flag: perhaps it is a secret, which would show in the process list. */
static enum err refuse_flag(struct loading *l, struct str name)
{
    const struct conf *c = l->conf;
    struct buf flag = {0};
    const struct conf_row *secret = NULL;
    for (size_t i = 0; i < c->count && !secret; i++) {
        struct conf_row open = c->rows[i];
        open.secret = false;
        buf_clear(&flag);
        conf_value_flag(&open, &flag);
        secret = c->rows[i].secret && str_eq(buf_str(&flag), name) ? &c->rows[i] : NULL;
    }
    buf_fini(&flag);
    if (secret) {
        buf_printf(l->error, "%s is a secret: set it in the environment or in .env, not as a flag",
                   secret->name);
        return ERR_DENIED;
    }
    buf_add_lit(l->error, "unknown flag --");
    add_shown(l->error, name);
    add_nearest(c, name, true, l->error);
    return ERR_NOT_FOUND;
}

static bool is_truth(struct str s)
{
    static const struct conf_row any = {.type = CONF_BOOL};
    struct buf text = {0};
    struct buf why = {0};
    int64_t number = 0;
    bool good = conf_value_read(&any, s, &text, &number, &why);
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

/* The flag at argv[*at]: --name=value, --name value; of a bool also --name and --no-name. */
static enum err take_flag(struct loading *l, const struct conf_inputs *in, int *at)
{
    struct conf *c = l->conf;
    struct str word = str_from(str_of(in->argv[*at]), 2);
    size_t equals = str_find(word, '=', 0);
    struct str name = str_sub(word, 0, equals);
    size_t row = find_flag(c, name);
    if (row == SIZE_MAX && equals == SIZE_MAX && str_starts(name, STR("no-"))) {
        row = find_flag(c, str_from(name, 3));
        if (row != SIZE_MAX && c->rows[row].type == CONF_BOOL) {
            give(c, row, STR("false"), CONF_FROM_FLAG, 0);
            return OK;
        }
        row = SIZE_MAX;
    }
    if (row == SIZE_MAX) {
        return refuse_flag(l, name);
    }
    bool more = *at + 1 < in->argc;
    if (equals != SIZE_MAX) {
        give(c, row, str_from(word, equals + 1), CONF_FROM_FLAG, 0);
    } else if (c->rows[row].type == CONF_BOOL && !(more && is_truth(str_of(in->argv[*at + 1])))) {
        give(c, row, STR("true"), CONF_FROM_FLAG, 0);
    } else if (more) {
        give(c, row, str_of(in->argv[++*at]), CONF_FROM_FLAG, 0);
    } else {
        buf_printf(l->error, "--%.*s needs a value: ", STR_ARG(name));
        conf_value_describe(&c->rows[row], l->error);
        return ERR_SYNTAX;
    }
    return OK;
}

static bool asks_for_help(const struct conf_inputs *in)
{
    for (int i = 0; i < in->argc && strcmp(in->argv[i], "--") != 0; i++) {
        if (strcmp(in->argv[i], "--help") == 0 || strcmp(in->argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static enum err take_arguments(struct loading *l, const struct conf_inputs *in)
{
    struct conf *c = l->conf;
    bool flags = true;
    for (int i = 0; i < in->argc; i++) {
        const char *word = in->argv[i];
        enum err e = OK;
        if (!flags || word[0] != '-' || word[1] == '\0') {
            c->words[c->word_count++] = in->argv[i];
        } else if (strcmp(word, "--") == 0) {
            flags = false;
        } else if (word[1] == '-') {
            e = take_flag(l, in, &i);
        } else {
            buf_add_lit(l->error, "unknown flag ");
            add_shown(l->error, str_of(word));
            buf_add_lit(l->error, "; flags begin with two dashes, --help lists them");
            e = ERR_NOT_FOUND;
        }
        if (e != OK) {
            return e;
        }
    }
    return OK;
}

/* ---- checking and storing ---- */

static void say_wrong(struct loading *l, size_t row, struct str raw, struct str why)
{
    const struct conf_row *r = &l->conf->rows[row];
    const struct given *g = &l->conf->given[row];
    struct str shown = r->secret ? STR("***") : raw;
    struct buf flag = {0};
    conf_value_flag(r, &flag);
    if (g->origin == CONF_FROM_FLAG) {
        buf_printf(l->error, "--%s=", buf_text(&flag));
    } else {
        buf_printf(l->error, "%s=", r->name);
    }
    add_shown(l->error, shown);
    if (g->origin == CONF_FROM_FILE) {
        buf_printf(l->error, " (.env line %zu)", g->line);
    } else if (g->origin != CONF_FROM_FLAG) {
        buf_printf(l->error, " (%s)", conf_origin_text(g->origin));
    }
    buf_printf(l->error, ": %.*s", STR_ARG(why));
    buf_fini(&flag);
}

static enum err check_row(struct loading *l, size_t row)
{
    const struct conf_row *r = &l->conf->rows[row];
    struct given *g = &l->conf->given[row];
    struct str raw = g->raw ? str_make(g->raw, g->raw_len) : str_of(r->fallback);
    struct buf text = {0};
    struct buf why = {0};
    enum err e = OK;
    if (!raw.ptr) {
        return OK;
    }
    if (conf_value_read(r, raw, &text, &g->number, &why)) {
        g->text = text.len ? mem_copy_text(text.ptr, text.len) : NULL;
    } else {
        say_wrong(l, row, raw, buf_str(&why));
        e = ERR_RANGE;
    }
    buf_fini(&text);
    buf_fini(&why);
    return e;
}

static void store(const struct conf_row *row, const struct given *g, void *settings)
{
    char *field = (char *)settings + row->offset;
    switch (row->type) {
    case CONF_INT:
        memcpy(field, &g->number, sizeof(g->number));
        return;
    case CONF_BOOL:
        memcpy(field, &(bool){g->number != 0}, sizeof(bool));
        return;
    case CONF_CHOICE:
        memcpy(field, &(int){(int)g->number}, sizeof(int));
        return;
    case CONF_TEXT:
    case CONF_URL:
    case CONF_ADDR:
    case CONF_LIST:
        memcpy(field, &g->text, sizeof(g->text));
        return;
    }
}

enum err conf_load(const struct conf_row *rows, size_t count, void *settings,
                   const struct conf_inputs *in, struct conf **out, struct buf *error)
{
    struct conf *c = mem_zero(sizeof(*c));
    struct loading l = {c, in->foreign, error};
    size_t foreign_max = 0;
    enum err e = OK;
    c->rows = rows;
    c->count = count;
    c->given = mem_array(count, sizeof(*c->given));
    c->words = mem_array((size_t)in->argc + 1, sizeof(*c->words));
    while (in->foreign && in->foreign[foreign_max]) {
        foreign_max++;
    }
    c->foreign = mem_array(foreign_max + 1, sizeof(*c->foreign));
    c->help = asks_for_help(in);
    /* Who asks for help gets it, whatever else is wrong: then the defaults alone count. */
    if (!c->help) {
        e = take_file(&l, in->env_file);
        e = e != OK ? e : take_environment(&l, in->env);
        e = e != OK ? e : take_arguments(&l, in);
    }
    for (size_t i = 0; e == OK && i < count; i++) {
        e = check_row(&l, i);
    }
    if (e != OK) {
        conf_free(c);
        return e;
    }
    for (size_t i = 0; i < count; i++) {
        store(&rows[i], &c->given[i], settings);
    }
    *out = c;
    return OK;
}

void conf_free(struct conf *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        mem_free(c->given[i].raw);
        mem_free(c->given[i].text);
    }
    mem_free(c->given);
    mem_free(c->words);
    mem_free(c->foreign);
    mem_free(c);
}

/* ---- asking ---- */

enum conf_origin conf_origin(const struct conf *c, const char *name)
{
    size_t row = find_row(c, str_of(name));
    assert(row != SIZE_MAX);
    return c->given[row].origin;
}

const char *conf_origin_text(enum conf_origin o)
{
    static const char *const texts[] = {"default", ".env", "environment", "flag"};
    return texts[o];
}

size_t conf_foreign(const struct conf *c, const char *const **names)
{
    *names = c->foreign;
    return c->foreign_count;
}

size_t conf_args(const struct conf *c, char ***words)
{
    *words = c->words;
    return c->word_count;
}

bool conf_help_wanted(const struct conf *c)
{
    return c->help;
}

void conf_value_text(const struct conf *c, const struct conf_row *row, const void *settings,
                     struct buf *out)
{
    const char *field = (const char *)settings + row->offset;
    const char *text = NULL;
    int64_t number = 0;
    bool truth = false;
    int choice = 0;
    assert(find_row(c, str_of(row->name)) != SIZE_MAX);
    switch (row->type) {
    case CONF_INT:
        memcpy(&number, field, sizeof(number));
        buf_add_i64(out, number);
        return;
    case CONF_BOOL:
        memcpy(&truth, field, sizeof(truth));
        buf_add_str(out, truth ? STR("true") : STR("false"));
        return;
    case CONF_CHOICE:
        memcpy(&choice, field, sizeof(choice));
        buf_add_str(out, conf_value_choice(row->choices, choice));
        return;
    case CONF_TEXT:
    case CONF_URL:
    case CONF_ADDR:
    case CONF_LIST:
        memcpy(&text, field, sizeof(text));
        buf_add_str(out, text && row->secret ? STR("***") : str_of(text));
        return;
    }
}
