/* SPDX-License-Identifier: MIT */
#include "api/wishes.h"

#include "api/channels.h"
#include "api/command.h"
#include "wire/http1.h"

const struct fanout_sub standard_channels[STANDARD_CHANNELS] = {
    {.channel = {"dashboard_update", 16}},
    {.channel = {"btc_price_update", 16}},
};

void wishes_fini(struct wishes *w)
{
    buf_fini(&w->names);
    buf_fini(&w->since);
    symbols_fini(&w->symbols);
}

static bool add_candles(struct wishes *w, const struct catalogue *c, struct channel_name *name,
                        const char **why)
{
    const struct catalogue_entry *entry = catalogue_find(c, name->symbol);
    if (!entry) {
        *why =
            "A candle channel names a symbol that is unknown here; GET /api/v1/assets lists all.";
        return false;
    }
    w->candles[w->candle_count++] = (struct wish_candles){entry->key, name->interval};
    return true;
}

static bool read_channels(struct wishes *w, const struct catalogue *c, uint32_t interval_ms,
                          const char **why)
{
    struct str rest = buf_str(&w->names);
    struct str part;
    while (str_next(&rest, ',', &part)) {
        struct channel_name name;
        char canonical[CHANNEL_NAME_MAX];
        part = str_trim(part);
        if (w->count == WISHES_MAX) {
            *why = "At most 100 channels can be named.";
            return false;
        }
        if (channel_read(part, &name, why) != OK ||
            (name.kind == KIND_CANDLES && !add_candles(w, c, &name, why))) {
            return false;
        }
        /* The same text in upper case where it is a symbol: written over itself. */
        struct str proper = channel_canonical(part, &name, canonical);
        memcpy(w->names.ptr + (part.ptr - w->names.ptr), proper.ptr, proper.len);
        w->subs[w->count] = (struct fanout_sub){.channel = part, .interval_ms = interval_ms};
        w->prices = name.kind == KIND_PRICES ? &w->subs[w->count] : w->prices;
        w->count++;
    }
    return true;
}

/* Symbols of the query, for price_updates only; without any it is all of them. */
static enum err read_symbols(struct wishes *w, const struct catalogue *c, struct str query,
                             const char **why)
{
    struct buf text = {0};
    struct str part;
    enum err e = http_query(query, STR("symbols"), &text);
    bool named = e == OK && text.len;
    struct str rest = buf_str(&text);
    *why = "symbols is not properly percent-encoded.";
    e = e == ERR_NOT_FOUND ? OK : e;
    while (named && e == OK && str_next(&rest, ',', &part)) {
        e = symbols_add(&w->symbols, c, str_trim(part));
        *why = "At most 500 different symbols can be named.";
    }
    if (named && e == OK && w->symbols.count == 0) {
        *why = "None of these symbols is known here; GET /api/v1/assets lists all.";
        e = ERR_NOT_FOUND;
    }
    if (e == OK && w->prices) {
        w->prices->keys = w->symbols.keys;
        w->prices->key_count = w->symbols.count;
    }
    buf_fini(&text);
    return e;
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

enum err wishes_read(struct wishes *w, const struct catalogue *c, struct str query,
                     struct str last_id, const char **why)
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
    } else if (!read_channels(w, c, interval_ms, why)) {
        return ERR_SYNTAX;
    }
    e = read_symbols(w, c, query, why);
    if (e != OK) {
        return e == ERR_NOT_FOUND ? e : ERR_SYNTAX;
    }
    if (last_id.len) {
        buf_add_str(&w->since, last_id);
        w->has_since = true;
    } else {
        w->has_since = http_query(query, STR("since"), &w->since) == OK && w->since.len;
    }
    return OK;
}
