/* `coincast backtest`: the trading signal on candle files. SPDX-License-Identifier: MIT */
#include "market/signal.h"
#include "tools/backtest_text.h"
#include "tools/candle_file.h"
#include "tools/tools.h"

#define FILES_MAX 64
#define SEED 20260605
#define RESAMPLES 2000
#define BLOCK 20

static const char help[] =
    "usage: coincast backtest FILE.csv... [--interval 1d] [--fee 0.001] [--json]\n"
    "\n"
    "Runs the trading signal over files with the columns time_utc,open,high,low,close,volume.\n"
    "\n"
    "The rule: at each close the signal is asked, with its hysteresis. At the next candle's open\n"
    "the position is bought when it says BUY and sold when it says SELL or HOLD. All in or all\n"
    "out, no leverage, no short. The fee is taken at each buy and each sell; buy and hold pays it\n"
    "twice. Spread, depth, delay and tax are not in the figures. The first decision needs 210\n"
    "candles; nothing is decided over a hole in the last 30.\n"
    "\n"
    "Intervals of 95 %: Wilson for the hit rate, stationary bootstrap (2,000 times, blocks of 20\n"
    "candles on average, fixed seed) for returns.\n"
    "\n"
    "  --interval I   make longer candles first, as 4h or 1d (as the file has them)\n"
    "  --fee F        fraction of the value at each side, 0 to 0.1 (0.001)\n"
    "  --json         JSON instead of lines\n"
    "  --help         this text\n"
    "\n"
    "The past of one rule. No promise about what comes, and not financial advice.\n"
    "Ends with 0; 1 when a file is missing, wrong or too short; 2 on wrong usage.\n";

struct settings {
    const char *files[FILES_MAX];
    size_t count;
    int64_t interval_ms; /* 0: the file's */
    double fee;
    bool json;
};

static int wrong(const char *what, const char *right)
{
    fprintf(stderr, "coincast backtest: %s: expected %s\n", what, right);
    return 2;
}

/* The file's candles, made longer if wanted, and the result. */
static enum err run_file(const struct settings *set, const char *path, struct series *s,
                         struct backtest *b, struct buf *error)
{
    enum err e = candle_file_read(path, s, error);
    if (e == OK && set->interval_ms != 0 && set->interval_ms != s->interval_ms) {
        struct series longer = {0};
        e = series_resample(s, set->interval_ms, &longer);
        if (e != OK) {
            buf_printf(error, "%s: its candles do not make up the interval wanted", path);
            return e;
        }
        series_fini(s);
        *s = longer;
    }
    if (e != OK) {
        return e;
    }
    struct backtest_opts opts = {
        .fee = set->fee, .seed = SEED, .resamples = RESAMPLES, .block = BLOCK};
    e = backtest_run(s, &opts, b);
    if (e == ERR_MORE) {
        buf_printf(error, "%s: insufficient data: %zu of %d candles", path, s->count,
                   SIGNAL_BARS + 2);
    } else if (e != OK) {
        buf_printf(error, "%s: spans more than %d years", path, BACKTEST_YEARS);
    }
    return e;
}

static int run(const struct settings *set)
{
    struct buf out = {0}, error = {0};
    struct json_writer w;
    int code = 0;
    json_begin(&w, &out);
    if (set->json) {
        json_object(&w);
        json_key(&w, "fee");
        json_double(&w, set->fee);
        json_key(&w, "results");
        json_array(&w);
    }
    for (size_t i = 0; i < set->count && code == 0; i++) {
        struct series s = {0};
        struct backtest b;
        struct str name = candle_file_name(set->files[i]);
        if (run_file(set, set->files[i], &s, &b, &error) != OK) {
            fprintf(stderr, "coincast backtest: %s\n", buf_text(&error));
            code = 1;
        } else if (set->json) {
            backtest_json(&w, name, &s, &b);
        } else {
            backtest_table(&out, name, &s, &b);
            buf_add_char(&out, '\n');
        }
        series_fini(&s);
    }
    if (set->json) {
        json_array_end(&w);
        json_key(&w, "caution");
        json_text(&w, backtest_caution);
        json_object_end(&w);
    } else {
        buf_printf(&out, "Fee %g at each side. %s", set->fee, backtest_caution);
    }
    buf_add_char(&out, '\n');
    if (code == 0 && (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0)) {
        code = 1;
    }
    buf_fini(&out);
    buf_fini(&error);
    return code;
}

/* The value of `--name V` or `--name=V` at argv[*i], or NULL when it is another word. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0) {
        return NULL;
    }
    if (argv[*i][len] == '=') {
        return argv[*i] + len + 1;
    }
    return argv[*i][len] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

int tool_backtest(int argc, char **argv)
{
    struct settings set = {.fee = 0.001};
    for (int i = 0; i < argc; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--json") == 0) {
            set.json = true;
        } else if ((value = value_of("--interval", argc, argv, &i)) != NULL) {
            set.interval_ms = series_interval(str_of(value));
            if (set.interval_ms == 0) {
                return wrong(value, "an interval as 1h, 4h or 1d");
            }
        } else if ((value = value_of("--fee", argc, argv, &i)) != NULL) {
            if (str_to_double(str_of(value), &set.fee) != OK || set.fee < 0 || set.fee > 0.1) {
                return wrong(value, "a fee from 0 to 0.1");
            }
        } else if (argv[i][0] == '-') {
            return wrong(argv[i], "--interval I, --fee F, --json or --help");
        } else if (set.count == FILES_MAX) {
            return wrong(argv[i], "at most 64 files");
        } else {
            set.files[set.count++] = argv[i];
        }
    }
    return set.count > 0 ? run(&set) : wrong("no file", "coincast backtest FILE.csv...");
}
