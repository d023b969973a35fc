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

static void read_max_hz(struct scan *s, struct command *cmd, const char **wrong)
{
    struct str digits;
    if (!scan_null(s) && (!scan_number(s, &digits) || str_to_double(digits, &cmd->max_hz) != OK ||
                          !hz_valid(cmd->max_hz))) {
        *wrong = "max_hz must be a number above 0 and at most 1000";
    }
}

/* Whether it is a list of at least one string, and of nothing else. */
static bool is_list_of_strings(struct str raw)
{
    struct scan s;
    struct str item;
    size_t count = 0;
    scan_begin(&s, raw);
    if (!scan_array(&s)) {
        return false;
    }
    for (; scan_item(&s); count++) {
        if (!scan_string(&s, &item)) {
            return false;
        }
    }
    return count > 0;
}

static void read_symbols(struct scan *s, struct command *cmd, const char **wrong)
{
    struct str raw;
    if (scan_null(s)) {
        return;
    }
    if (!scan_skip(s, &raw) || !is_list_of_strings(raw)) {
        *wrong = "symbols must be a list of at least one string";
        return;
    }
    cmd->symbols = raw;
}

static void read_params(struct scan *s, struct command *cmd, const char **wrong)
{
    struct str key;
    if (!scan_object(s)) {
        if (!scan_null(s)) {
            *wrong = "params must be an object";
        }
        return;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("max_hz"))) {
            read_max_hz(s, cmd, wrong);
        } else if (scan_string_is(key, STR("since"))) {
            take_string(s, &cmd->since, wrong, "since must be a cursor, a string");
        } else if (scan_string_is(key, STR("symbols"))) {
            read_symbols(s, cmd, wrong);
        } else if (scan_string_is(key, STR("delta"))) {
            if (!scan_bool(s, &cmd->delta) && !scan_null(s)) {
                *wrong = "delta must be true or false";
            }
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

enum err command_symbols(const struct command *cmd, const struct catalogue *c, struct symbols *out)
{
    struct scan s;
    struct str raw;
    struct buf name = {0};
    enum err e = OK;
    scan_begin(&s, cmd->symbols);
    bool is_list = scan_array(&s);
    while (is_list && e == OK && scan_item(&s)) {
        buf_clear(&name);
        if (scan_string(&s, &raw) && scan_unescape(raw, &name) == OK) {
            e = symbols_add(out, c, str_trim(buf_str(&name)));
        }
    }
    buf_fini(&name);
    return e;
}
