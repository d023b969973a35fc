/* SPDX-License-Identifier: MIT */
#include "api/wishes.h"

#include "api/command.h"
#include "wire/http1.h"

enum { CHANNEL_MAX = 104 };

const struct fanout_sub standard_channels[STANDARD_CHANNELS] = {
    {.channel = {"dashboard_update", 16}},
    {.channel = {"btc_price_update", 16}},
};

bool channel_valid(struct str name, const char **why)
{
    *why = "Unknown channel; there are dashboard_update, btc_price_update and app:NAME.";
    for (size_t i = 0; i < STANDARD_CHANNELS; i++) {
        if (str_eq(name, standard_channels[i].channel)) {
            *why = NULL;
            return true;
        }
    }
    if (!str_starts(name, STR("app:"))) {
        return false;
    }
    *why = "A channel of your own is \"app:\" and 1 to 100 of A-Z a-z 0-9 . _ : -.";
    if (name.len < 5 || name.len > CHANNEL_MAX) {
        return false;
    }
    for (size_t i = 4; i < name.len; i++) {
        char ch = name.ptr[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == ':' || ch == '-';
        if (!ok) {
            return false;
        }
    }
    *why = NULL;
    return true;
}

void wishes_fini(struct wishes *w)
{
    buf_fini(&w->names);
    buf_fini(&w->since);
}

static bool read_channels(struct wishes *w, uint32_t interval_ms, const char **why)
{
    struct str rest = buf_str(&w->names);
    struct str name;
    while (str_next(&rest, ',', &name)) {
        name = str_trim(name);
        if (w->count == WISHES_MAX) {
            *why = "At most 100 channels can be named.";
            return false;
        }
        if (!channel_valid(name, why)) {
            return false;
        }
        w->subs[w->count++] = (struct fanout_sub){.channel = name, .interval_ms = interval_ms};
    }
    return true;
}

static bool read_interval(struct str query, uint32_t *interval_ms)
{
    struct buf text = {0};
    double hz = 0;
    bool ok = true;
    if (http_query(query, STR("max_hz"), &text) == OK) {
        ok = str_to_double(buf_str(&text), &hz) == OK && hz_valid(hz);
        *interval_ms = ok ? interval_of_hz(hz) : 0;
    }
    buf_fini(&text);
    return ok;
}

enum err wishes_read(struct wishes *w, struct str query, struct str last_id, const char **why)
{
    uint32_t interval_ms = 0;
    if (!read_interval(query, &interval_ms)) {
        *why = "max_hz must be a number above 0 and at most 1000.";
        return ERR_SYNTAX;
    }
    enum err e = http_query(query, STR("channels"), &w->names);
    if (e != OK && e != ERR_NOT_FOUND) {
        *why = "channels is not properly percent-encoded.";
        return ERR_SYNTAX;
    }
    if (w->names.len == 0) {
        for (size_t i = 0; i < STANDARD_CHANNELS; i++) {
            w->subs[w->count] = standard_channels[i];
            w->subs[w->count++].interval_ms = interval_ms;
        }
    } else if (!read_channels(w, interval_ms, why)) {
        return ERR_SYNTAX;
    }
    if (last_id.len) {
        buf_add_str(&w->since, last_id);
        w->has_since = true;
    } else {
        w->has_since = http_query(query, STR("since"), &w->since) == OK && w->since.len;
    }
    return OK;
}
