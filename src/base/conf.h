/* conf: settings as tables of typed rows. One row says name, type, default, range and meaning; the
 * command line, the environment, .env, `--help`, `check --settings`, .env.example and the docs'
 * table all come from it. Order: flag, environment, .env, default.
 *
 * COINCAST_A_B is the flag --a-b; rows with `bare` keep their environment name (REDIS_URL) and,
 * when `secret`, have no flag. SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_H
#define BASE_CONF_H
#include "base/buf.h"

enum conf_type {
    CONF_TEXT,   /* char *, owned by conf */
    CONF_INT,    /* int64_t, min..max */
    CONF_BOOL,   /* bool: 0 1 true false yes no on off */
    CONF_CHOICE, /* int: index in `choices`, "a|b|c" */
    CONF_URL,    /* char *, owned; the schemes allowed stand in `choices`, "http|https" */
    CONF_ADDR,   /* char *, owned; HOST:PORT, [V6]:PORT or :PORT */
    CONF_LIST,   /* char *, owned; comma-separated, blanks dropped; checked by `check` */
};

enum conf_origin { CONF_FROM_DEFAULT, CONF_FROM_FILE, CONF_FROM_ENV, CONF_FROM_FLAG };

struct conf_row {
    const char *name; /* the environment's name, "COINCAST_LISTEN" */
    enum conf_type type;
    const char *fallback; /* the default as text; NULL: unset (NULL text, 0) */
    const char *choices;
    int64_t min, max;
    bool secret; /* never shown; masked in logs; no flag */
    bool bare;
    const char *unit; /* "ms", "bytes"; NULL */
    const char *help; /* one sentence */
    size_t offset;    /* of the field in the settings struct */
    /* More than the type can say; writes a sentence of what would be right. May be NULL. */
    bool (*check)(struct str value, struct buf *why);
};

struct conf; /* where each value came from, and the texts */

struct conf_inputs {
    int argc; /* without the program and the subcommand */
    char **argv;
    char **env;           /* as `environ` */
    const char *env_file; /* path of .env; NULL: none; a missing file is fine */
    /* Variables that somebody else reads: passed over instead of refused. NULL at the end; a name
     * "*" stands for all, for a program whose few settings live beside the server's. NULL: none. */
    const char *const *foreign;
};

/* Fills `settings` from all inputs. On failure `*error` says the name, the value and what would be
 * right, one line. Words that are not flags are collected as conf_args(). An unknown COINCAST_*
 * variable or flag is refused with the nearest known name, but for `foreign`. */
enum err conf_load(const struct conf_row *rows, size_t count, void *settings,
                   const struct conf_inputs *in, struct conf **out, struct buf *error) MUST_CHECK;
void conf_free(struct conf *c);
enum conf_origin conf_origin(const struct conf *c, const char *name);
const char *conf_origin_text(enum conf_origin o);
/* Those of `foreign` that were set and passed over (not of "*"); borrowed. */
size_t conf_foreign(const struct conf *c, const char *const **names);
/* Positional words; borrowed. */
size_t conf_args(const struct conf *c, char ***words);
/* --help was given. */
bool conf_help_wanted(const struct conf *c);
/* The value as text as it would be written; secrets as "***". */
void conf_value_text(const struct conf *c, const struct conf_row *row, const void *settings,
                     struct buf *out);
/* The rows as options for --help; as a Markdown table; as .env.example. */
void conf_write_help(const struct conf_row *rows, size_t count, struct buf *out);
void conf_write_markdown(const struct conf_row *rows, size_t count, struct buf *out);
void conf_write_env(const struct conf_row *rows, size_t count, struct buf *out);

#endif
