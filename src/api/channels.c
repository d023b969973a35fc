/* SPDX-License-Identifier: MIT */
#include "api/channels.h"

static const struct {
    const char *name;
    enum channel_kind kind;
} fixed[] = {
    {"dashboard_update", KIND_STANDARD}, {"btc_price_update", KIND_STANDARD},
    {"price_updates", KIND_PRICES},      {"ticker", KIND_MARKET},
    {"sentiment_update", KIND_MARKET},   {"trading_signal", KIND_MARKET},
};

#define ALL_NAMES                                                                             \
    "there are dashboard_update, btc_price_update, price_updates, ticker, sentiment_update, " \
    "trading_signal, candles:SYMBOL:INTERVAL and app:NAME."
static const char unknown[] = "Unknown channel; " ALL_NAMES;
static const char unnamed[] = "No \"channel\" is named; " ALL_NAMES;
static const char bad_custom[] =
    "A channel of your own is \"app:\" and 1 to 100 of A-Z a-z 0-9 . _ : -.";
static const char bad_candles[] =
    "A candle channel is candles:SYMBOL:INTERVAL with the interval 1m, 5m, 15m, 1h, 4h or 1d.";

static bool is_alnum(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

static enum err read_custom(struct str name, const char **why)
{
    *why = bad_custom;
    if (name.len < 5 || name.len > CHANNEL_NAME_MAX) {
        return ERR_SYNTAX;
    }
    for (size_t i = 4; i < name.len; i++) {
        char ch = name.ptr[i];
        if (!is_alnum(ch) && ch != '.' && ch != '_' && ch != ':' && ch != '-') {
            return ERR_SYNTAX;
        }
    }
    *why = NULL;
    return OK;
}

static enum err read_candles(struct str name, struct channel_name *out, const char **why)
{
    struct str rest = str_from(name, 8);
    size_t colon = str_find(rest, ':', 0);
    *why = bad_candles;
    if (colon == SIZE_MAX || colon == 0 || colon > MARKET_SYMBOL_LEN) {
        return ERR_SYNTAX;
    }
    out->symbol = str_sub(rest, 0, colon);
    out->interval = interval_of(str_from(rest, colon + 1));
    for (size_t i = 0; i < colon; i++) {
        if (!is_alnum(out->symbol.ptr[i])) {
            return ERR_SYNTAX;
        }
    }
    if (out->interval == INTERVALS) {
        return ERR_SYNTAX;
    }
    *why = NULL;
    return OK;
}

enum err channel_read(struct str name, struct channel_name *out, const char **why)
{
    const char *reason = NULL;
    enum err e = ERR_SYNTAX;
    *out = (struct channel_name){.kind = KIND_CUSTOM};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (str_eq(name, str_of(fixed[i].name))) {
            out->kind = fixed[i].kind;
            e = OK;
        }
    }
    if (e != OK && str_starts(name, STR("candles:"))) {
        out->kind = KIND_CANDLES;
        e = read_candles(name, out, &reason);
    } else if (e != OK && str_starts(name, STR("app:"))) {
        e = read_custom(name, &reason);
    } else if (e != OK) {
        reason = name.len ? unknown : unnamed;
    }
    if (why) {
        *why = reason;
    }
    return e;
}

struct str channel_canonical(struct str name, const struct channel_name *c,
                             char out[CHANNEL_NAME_MAX])
{
    size_t len = min_size(name.len, CHANNEL_NAME_MAX);
    memcpy(out, name.ptr, len);
    for (size_t i = 8; c->kind == KIND_CANDLES && i < 8 + c->symbol.len; i++) {
        out[i] = out[i] >= 'a' && out[i] <= 'z' ? (char)(out[i] - 'a' + 'A') : out[i];
    }
    return str_make(out, len);
}

bool channel_valid(struct str name, const char **why)
{
    struct channel_name c;
    return channel_read(name, &c, why) == OK;
}
