/* channels: which channels a client may name. Pure. SPDX-License-Identifier: MIT */
#ifndef API_CHANNELS_H
#define API_CHANNELS_H
#include "market/candles.h"

enum channel_kind {
    KIND_STANDARD, /* dashboard_update, btc_price_update */
    KIND_PRICES,   /* price_updates: has symbols and delta */
    KIND_MARKET,   /* ticker, sentiment_update, trading_signal */
    KIND_CANDLES,  /* candles:SYMBOL:INTERVAL */
    KIND_CUSTOM,   /* app:NAME */
};

#define CHANNEL_NAME_MAX 104
struct channel_name {
    enum channel_kind kind;
    struct str symbol; /* KIND_CANDLES, as written */
    enum interval interval;
};

/* ERR_SYNTAX: no such channel, `why` (may be NULL) gets a sentence. Whether the symbol of a candle
 * channel exists is for the catalogue to say. */
enum err channel_read(struct str name, struct channel_name *out, const char **why) MUST_CHECK;
/* The name as the hub has it: symbols in upper case. `out` has room for the name. */
struct str channel_canonical(struct str name, const struct channel_name *c,
                             char out[CHANNEL_NAME_MAX]);
/* Whether a client may name this channel; `why` gets a sentence. */
bool channel_valid(struct str name, const char **why);

#endif
