/* command: what a WebSocket client's text asks for. Pure: reading only, acting is commands.c's.
 * SPDX-License-Identifier: MIT */
#ifndef API_COMMAND_H
#define API_COMMAND_H
#include "api/catalogue.h"
#include "base/err.h"
#include "base/str.h"

/* Slices of the client's text; strings stand between their quotes, escapes not resolved. */
struct command {
    struct str type;
    struct str id;        /* raw JSON; empty: none */
    struct str timestamp; /* raw JSON; empty: none */
    struct str channel;
    struct str token;
    struct str since;   /* ptr NULL: none */
    struct str symbols; /* raw JSON, a list of at least one string; ptr NULL: none */
    double max_hz;      /* 0: as fast as it comes */
    bool delta;
};

#define COMMAND_PROBLEM_LEN 160
/* ERR_SYNTAX: `problem` is a sentence for people; `id` is there when it was read before. */
enum err command_read(struct str text, struct command *out,
                      char problem[COMMAND_PROBLEM_LEN]) MUST_CHECK;
/* Looks the symbols of a command up. ERR_LIMIT: more than SYMBOLS_MAX different ones. */
enum err command_symbols(const struct command *cmd, const struct catalogue *c,
                         struct symbols *out) MUST_CHECK;
/* Least time between two messages, milliseconds, so that there are at most `hz` a second; 0 for
 * 0. */
uint32_t interval_of_hz(double hz);
/* Whether a number is one that clients may ask for. */
bool hz_valid(double hz);

#endif
