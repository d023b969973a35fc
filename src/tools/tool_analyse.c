/* `coincast analyse`: indicators and statistics of a candle file. SPDX-License-Identifier: MIT */
#include "tools/analysis.h"
#include "tools/candle_file.h"
#include "tools/tools.h"

static const char help[] =
    "usage: coincast analyse FILE.csv [--market FILE2.csv]\n"
    "\n"
    "Prints indicators (over all candles) and statistics (over the last 365 returns) of a file\n"
    "with the columns time_utc,open,high,low,close,volume as JSON. What can't be known is null,\n"
    "and `reasons` says why. Definitions: docs/ANALYSIS.md.\n"
    "\n"
    "  --market FILE  also beta, correlation and alpha on the candles of this file\n"
    "  --help         this text\n"
    "\n"
    "Ends with 0; 1 when a file is missing or wrong; 2 on wrong usage.\n";

static int wrong(const char *what, const char *right)
{
    fprintf(stderr, "coincast analyse: %s: expected %s\n", what, right);
    return 2;
}

static int run(const char *path, const char *market_path)
{
    struct series s = {0}, market = {0};
    struct buf out = {0}, error = {0};
    int code = 1;
    if (candle_file_read(path, &s, &error) == OK &&
        (!market_path || candle_file_read(market_path, &market, &error) == OK)) {
        if (market_path && market.interval_ms != s.interval_ms) {
            buf_printf(&error, "%s: its candles are not as long as those of %s", market_path, path);
        } else {
            struct str market_name = market_path ? candle_file_name(market_path) : STR("");
            analysis_write(&out, candle_file_name(path), &s, market_name,
                           market_path ? &market : NULL);
            code = fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
        }
    }
    if (error.len > 0) {
        fprintf(stderr, "coincast analyse: %s\n", buf_text(&error));
    }
    series_fini(&s);
    series_fini(&market);
    buf_fini(&out);
    buf_fini(&error);
    return code;
}

int tool_analyse(int argc, char **argv)
{
    const char *path = NULL, *market = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strncmp(argv[i], "--market=", 9) == 0) {
            market = argv[i] + 9;
        } else if (strcmp(argv[i], "--market") == 0 && i + 1 < argc) {
            market = argv[++i];
        } else if (argv[i][0] == '-') {
            return wrong(argv[i], "--market FILE or --help");
        } else if (path) {
            return wrong(argv[i], "one file");
        } else {
            path = argv[i];
        }
    }
    return path ? run(path, market) : wrong("no file", "coincast analyse FILE.csv");
}
