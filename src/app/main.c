/* The program's front door: a subcommand, its words, its exit code. SPDX-License-Identifier: MIT */
#include "app/app.h"
#include "base/str.h"
#include "net/net.h"
#include "tools/tools.h"

static int print_version(int argc, char **argv)
{
    if (argc > 0 && !str_eq(str_of(argv[0]), STR("--help"))) {
        fprintf(stderr, "coincast version: takes no words, not \"%s\"\n", argv[0]);
        return 2;
    }
    puts("coincast " COINCAST_VERSION);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", app_serve, "serve market data (the default)"},
    {"check", app_check, "show the settings and try providers, Redis, database and TLS"},
    {"load", tool_load, "open many clients and measure deliveries"},
    {"watch", tool_watch, "show a server's live numbers in a terminal"},
    {"upstream", tool_upstream, "stand in for the providers: simulated or recorded answers"},
    {"conformance", tool_conformance, "serve what public protocol test suites expect"},
    {"analyse", tool_analyse, "indicators and statistics of a candle file"},
    {"backtest", tool_backtest, "what following the trading signal would have brought"},
    {"candles", tool_candles, "print candles of a recording or tape as CSV"},
    {"version", print_version, "print the version"},
};

static int usage(FILE *out, int code)
{
    fputs("usage: coincast [COMMAND] [--help] ...\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    }
    return code;
}

int main(int argc, char **argv)
{
    tls_init();
    struct str word = argc > 1 ? str_of(argv[1]) : STR("serve");
    if (str_eq(word, STR("--help")) || str_eq(word, STR("-h")) || str_eq(word, STR("help"))) {
        return usage(stdout, 0);
    }
    if (str_eq(word, STR("--version"))) {
        return print_version(0, NULL);
    }
    if (str_starts(word, STR("-"))) {
        return app_serve(argc - 1, argv + 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq(word, str_of(commands[i].name))) {
            int skip = argc > 1 ? 2 : 1;
            return commands[i].run(argc - skip, argv + skip);
        }
    }
    fprintf(stderr, "coincast: unknown command \"%.*s\"; coincast --help lists them\n",
            STR_ARG(word));
    return 2;
}
