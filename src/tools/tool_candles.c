/* `coincast candles`: the trades of a recording or tape as candles, in CSV.
 * SPDX-License-Identifier: MIT */
#include "tools/tape_candles.h"
#include "tools/tools.h"
#include "wire/tape_files.h"

/* Lines that could not be read are told one by one up to here, then counted. */
#define TOLD_MAX 10

static const char help[] =
    "usage: coincast candles FILE[,FILE2...] [--interval 1m] [--symbol BTC] [--venue NAME]\n"
    "\n"
    "Prints the candles of the trades in a recording (serve --record) or tape as CSV, by the\n"
    "exchange's time of each trade; the first and the last may be partial. Files may be gzipped\n"
    "and count as one.\n"
    "\n"
    "  --interval I   1m, 5m, 15m, 1h, 4h or 1d (1m)\n"
    "  --symbol S     needed when there are trades of several\n"
    "  --venue V      binance, coinbase or kraken; else the first of them that trades the symbol\n"
    "  --help         this text\n";

struct options {
    const char *files;
    enum interval interval;
    struct str symbol; /* empty: the only one */
    enum venue venue;  /* VENUE_COUNT: any */
};

static int wrong(const char *what, const char *word)
{
    fprintf(stderr, "coincast candles: %s%s\n", what, word);
    return 2;
}

/* 0: go on; else the exit code, -1 for 0. */
static int read_options(int argc, char **argv, struct options *out)
{
    *out = (struct options){.interval = INTERVAL_1M, .venue = VENUE_COUNT};
    for (int i = 0; i < argc; i++) {
        struct str word = str_of(argv[i]);
        struct str value = i + 1 < argc ? str_of(argv[i + 1]) : (struct str){0};
        if (str_eq(word, STR("--help")) || str_eq(word, STR("-h"))) {
            fputs(help, stdout);
            return -1;
        }
        if (!str_starts(word, STR("-"))) {
            if (out->files) {
                return wrong("one FILE, or several with commas between them, not also ", argv[i]);
            }
            out->files = argv[i];
            continue;
        }
        size_t equals = str_find(word, '=', 0);
        if (equals != SIZE_MAX) {
            value = str_from(word, equals + 1);
            word = str_sub(word, 0, equals);
        } else {
            i++;
        }
        if (str_eq(word, STR("--interval"))) {
            out->interval = interval_of(value);
            if (out->interval == INTERVALS) {
                return wrong("--interval is one of 1m, 5m, 15m, 1h, 4h, 1d", "");
            }
        } else if (str_eq(word, STR("--venue"))) {
            out->venue = venue_of(value);
            if (out->venue == VENUE_COUNT) {
                return wrong("--venue is one of binance, coinbase, kraken", "");
            }
        } else if (str_eq(word, STR("--symbol"))) {
            out->symbol = value;
            if (value.len == 0) {
                return wrong("--symbol is a symbol such as BTC", "");
            }
        } else {
            return wrong("coincast candles --help lists the options; there is no ",
                         equals != SIZE_MAX ? argv[i] : argv[i - 1]);
        }
    }
    return out->files ? 0 : wrong("name a FILE: a recording or a tape", "");
}

static void tell(uint64_t number, struct str what)
{
    if (number <= TOLD_MAX) {
        fprintf(stderr, "coincast candles: %.*s\n", STR_ARG(what));
    }
}

/* Reads all; what could not be read is told. */
static void read_all(struct tape_files *files, struct tape_candles *t)
{
    struct tape_item item;
    uint64_t left_out = 0;
    for (enum err e = tape_files_next(files, &item); e != ERR_NOT_FOUND;
         e = tape_files_next(files, &item)) {
        const char *why = "";
        if (e != OK) {
            tell(++left_out, tape_files_complaint(files));
        } else if (!tape_candles_take(t, &item, &why)) {
            char text[512];
            snprintf(text, sizeof(text), "a message is left out, %s: %.*s", why,
                     (int)min_size(item.frame.len, 120), item.frame.ptr);
            tell(++left_out, str_of(text));
        }
    }
    if (left_out > TOLD_MAX) {
        fprintf(stderr, "coincast candles: %llu lines and messages are left out in all\n",
                (unsigned long long)left_out);
    }
}

/* The index of the instrument that was asked for; SIZE_MAX: said what there is instead. */
static size_t choose(const struct tape_candles *t, const struct options *o, int *code)
{
    struct buf there = {0};
    size_t best = SIZE_MAX;
    bool one_symbol = true;
    for (size_t i = 0; i < tape_candles_instruments(t); i++) {
        struct tape_instrument x = tape_candles_instrument(t, i);
        buf_printf(&there, "%s%.*s (%.*s of %s)", i ? ", " : "", STR_ARG(x.symbol), STR_ARG(x.name),
                   venue_name(x.venue));
        bool fits = (o->symbol.len == 0 || str_eq_nocase(o->symbol, x.symbol)) &&
                    (o->venue == VENUE_COUNT || o->venue == x.venue);
        if (!fits) {
            continue;
        }
        if (best != SIZE_MAX) {
            struct tape_instrument b = tape_candles_instrument(t, best);
            one_symbol = one_symbol && str_eq(b.symbol, x.symbol);
            best = x.venue < b.venue ? i : best;
        } else {
            best = i;
        }
    }
    if (best == SIZE_MAX) {
        fprintf(stderr, "coincast candles: no such trades; there are trades of: %s\n",
                there.len ? buf_text(&there) : "nothing");
        *code = 1;
    } else if (!one_symbol) {
        fprintf(stderr, "coincast candles: name one with --symbol; there are trades of: %s\n",
                buf_text(&there));
        *code = 2;
        best = SIZE_MAX;
    }
    buf_fini(&there);
    return best;
}

static int print_candles(const struct tape_candles *t, const struct options *o)
{
    struct buf csv = {0};
    int code = 0;
    size_t at = choose(t, o, &code);
    if (at == SIZE_MAX) {
        return code;
    }
    struct tape_instrument x = tape_candles_instrument(t, at);
    tape_candles_csv(x.rows, x.count, &csv);
    bool well = fwrite(csv.ptr, 1, csv.len, stdout) == csv.len && fflush(stdout) == 0;
    buf_fini(&csv);
    return well ? 0 : 1;
}

int tool_candles(int argc, char **argv)
{
    struct options o;
    struct tape_files *files;
    struct buf error = {0};
    int code = read_options(argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 0 : code;
    }
    enum err e = tape_files_open(str_of(o.files), &files, &error);
    if (e != OK) {
        fprintf(stderr, "coincast candles: %s\n", buf_text(&error));
        buf_fini(&error);
        return 1;
    }
    struct tape_candles *t = tape_candles_new(o.interval);
    read_all(files, t);
    code = print_candles(t, &o);
    if (tape_candles_passed_over(t) > 0) {
        fprintf(
            stderr,
            "coincast candles: trades in other money than dollars that were passed over: %llu\n",
            (unsigned long long)tape_candles_passed_over(t));
    }
    tape_candles_free(t);
    tape_files_free(files);
    return code;
}
