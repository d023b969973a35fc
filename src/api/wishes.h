/* wishes: which channels a client asks for, and from where on. Pure: reads the parameters that SSE
 * and polling share. SPDX-License-Identifier: MIT */
#ifndef API_WISHES_H
#define API_WISHES_H
#include "api/catalogue.h"
#include "api/channels.h"
#include "base/buf.h"
#include "hub/fanout.h"

enum { WISHES_MAX = 100, STANDARD_CHANNELS = 2 };

/* What a client gets that names nothing. */
extern const struct fanout_sub standard_channels[STANDARD_CHANNELS];

struct wish_candles {
    uint32_t key;
    enum interval interval;
};
struct wishes {
    struct fanout_sub subs[WISHES_MAX];
    size_t count;
    struct fanout_sub *prices; /* of subs; NULL: not asked for */
    struct wish_candles candles[WISHES_MAX];
    size_t candle_count;
    struct symbols symbols;
    struct buf names; /* what subs point into */
    struct buf since;
    bool has_since;
};
/* Reads channels, symbols, max_hz and since of a query into zeroed wishes, which must then stay
 * where they are; `last_id`, the header Last-Event-ID (may be empty), counts before since.
 * ERR_SYNTAX, ERR_NOT_FOUND (no symbol is known): `why` is the sentence. To be finished in either
 * case. */
enum err wishes_read(struct wishes *w, const struct catalogue *c, struct str query,
                     struct str last_id, const char **why) MUST_CHECK;
void wishes_fini(struct wishes *w);

#endif
