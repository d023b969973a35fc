/* `coincast check`: the command line, and the settings with where they come from.
 * SPDX-License-Identifier: MIT */
#include "app/app.h"
#include "app/check_run.h"
#include "app/check_text.h"
#include "base/log.h"

#include <unistd.h>

struct wishes {
    bool settings, markdown, env;
};

/* Takes our own flags out of the words; the rest are settings. Gives how many are left. */
static int take_wishes(int argc, char **argv, struct wishes *w)
{
    int left = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--settings") == 0) {
            w->settings = true;
        } else if (strcmp(argv[i], "--markdown") == 0) {
            w->markdown = true;
        } else if (strcmp(argv[i], "--env") == 0) {
            w->env = true;
        } else {
            argv[left++] = argv[i];
        }
    }
    return left;
}

static void add_help(struct buf *out)
{
    buf_add_lit(
        out,
        "usage: coincast check [--settings [--markdown|--env]] [--SETTING VALUE] ...\n\n"
        "Shows the settings that are not default, then tries the data folder, Redis, the\n"
        "TLS files, the certificates and proxy on the way out, and every provider (one\n"
        "request each, counted as the server's own). A line each: ok, FAIL or skip, the\n"
        "name, what was found. Exit code: 0 nothing failed, 1 something did, 2 wrong usage.\n\n"
        "  --settings             every setting with origin and value, nothing is tried\n"
        "  --settings --markdown  all settings as a table for the documentation\n"
        "  --settings --env       all settings as a .env file to fill in\n\n"
        "and every setting of coincast serve, see coincast serve --help.\n");
}

static void add_settings(const struct conf *c, const struct options *o, const struct wishes *w,
                         struct buf *out)
{
    if (w->markdown) {
        conf_write_markdown(option_rows, option_count, out);
    } else if (w->env) {
        conf_write_env(option_rows, option_count, out);
    } else {
        check_text_settings(c, option_rows, option_count, o, true, out);
    }
}

static void add_changed(const struct conf *c, const struct options *o, struct buf *out)
{
    struct buf lines = {0};
    const char *const *names = NULL;
    size_t foreign = conf_foreign(c, &names);
    if (check_text_settings(c, option_rows, option_count, o, false, &lines) > 0) {
        buf_add_lit(out, "Settings that are not default:\n");
        buf_add_str(out, buf_str(&lines));
    } else {
        buf_add_lit(out, "All settings are at their defaults.\n");
    }
    for (size_t i = 0; i < foreign; i++) {
        buf_printf(out, "%-31s is set, but this version makes no use of it\n", names[i]);
    }
    buf_add_char(out, '\n');
    buf_fini(&lines);
}

static int refuse(const char *why)
{
    fprintf(stderr, "coincast: %s\n", why);
    return 2;
}

/* The lines say what is wrong; the log would say it again, unless it was asked for. */
static void quieten(const struct conf *c)
{
    if (conf_origin(c, "COINCAST_LOG") == CONF_FROM_DEFAULT && log_configure(STR("error")) != OK) {
        log_warn("check", "the log stays as loud as it is", "wanted=error");
    }
}

int app_check(int argc, char **argv)
{
    struct options o = {0};
    struct wishes w = {0};
    struct conf *conf = NULL;
    struct buf text = {0};
    char **words = NULL;
    int code = 0;
    struct conf_inputs in = {.argc = take_wishes(argc, argv, &w),
                             .argv = argv,
                             .env = environ,
                             .env_file = ".env",
                             .foreign = option_foreign};
    if (conf_load(option_rows, option_count, &o, &in, &conf, &text) != OK) {
        code = refuse(buf_text(&text));
    } else if (conf_help_wanted(conf)) {
        add_help(&text);
    } else if (conf_args(conf, &words) > 0) {
        code = refuse("check takes flags only; see coincast check --help");
    } else if ((w.markdown || w.env) && (!w.settings || (w.markdown && w.env))) {
        code = refuse("--markdown or --env go with --settings, one of them");
    } else if (w.settings) {
        add_settings(conf, &o, &w, &text);
    } else {
        add_changed(conf, &o, &text);
    }
    if (code == 0) {
        fwrite(text.ptr, 1, text.len, stdout);
        if (!w.settings && !conf_help_wanted(conf)) {
            quieten(conf);
            code = check_run(&o);
        }
    }
    conf_free(conf);
    buf_fini(&text);
    return code;
}
