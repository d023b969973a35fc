/* SPDX-License-Identifier: MIT */
#include "api/command.h"

#include "wire/scan.h"

#include <math.h>

enum { MAX_HZ = 1000 };

bool hz_valid(double hz)
{
    return hz > 0 && hz <= MAX_HZ;
}

uint32_t interval_of_hz(double hz)
{
    double ms = hz > 0 ? ceil(1000.0 / hz) : 0;
    return ms < (double)UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void take_string(struct scan *s, struct str *out, const char **wrong, const char *sentence)
{
    if (!scan_string(s, out) && !scan_null(s)) {
        *wrong = sentence;
    }
}

static void read_params(struct scan *s, struct command *cmd, const char **wrong)
{
    struct str key;
    struct str digits;
    if (!scan_object(s)) {
        if (!scan_null(s)) {
            *wrong = "params must be an object";
        }
        return;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("max_hz"))) {
            if (scan_null(s)) {
                continue;
            }
            if (!scan_number(s, &digits) || str_to_double(digits, &cmd->max_hz) != OK ||
                !hz_valid(cmd->max_hz)) {
                *wrong = "max_hz must be a number above 0 and at most 1000";
            }
        } else if (scan_string_is(key, STR("since"))) {
            take_string(s, &cmd->since, wrong, "since must be a cursor, a string");
        }
    }
}

enum err command_read(struct str text, struct command *cmd, char problem[COMMAND_PROBLEM_LEN])
{
    struct scan s;
    struct str key;
    const char *wrong = NULL;
    *cmd = (struct command){0};
    scan_begin(&s, text);
    if (!scan_object(&s)) {
        snprintf(problem, COMMAND_PROBLEM_LEN, "Not understood: %s.",
                 s.error ? s.error : "a message must be a JSON object");
        return ERR_SYNTAX;
    }
    while (scan_key(&s, &key)) {
        if (scan_string_is(key, STR("type"))) {
            take_string(&s, &cmd->type, &wrong, "type must be a string");
        } else if (scan_string_is(key, STR("id"))) {
            (void)scan_skip(&s, &cmd->id);
        } else if (scan_string_is(key, STR("timestamp"))) {
            (void)scan_skip(&s, &cmd->timestamp);
        } else if (scan_string_is(key, STR("channel"))) {
            take_string(&s, &cmd->channel, &wrong, "channel must be a string");
        } else if (scan_string_is(key, STR("token"))) {
            take_string(&s, &cmd->token, &wrong, "token must be a string");
        } else if (scan_string_is(key, STR("params"))) {
            read_params(&s, cmd, &wrong);
        }
    }
    if (scan_end(&s) != OK) {
        snprintf(problem, COMMAND_PROBLEM_LEN, "Not understood: %s (byte %zu).",
                 s.error ? s.error : "something follows the object", (size_t)(s.at - s.start));
        cmd->id = (struct str){0}; /* of a text that is no JSON it may be none either */
        return ERR_SYNTAX;
    }
    if (wrong) {
        snprintf(problem, COMMAND_PROBLEM_LEN, "Not understood: %s.", wrong);
        return ERR_SYNTAX;
    }
    return OK;
}
