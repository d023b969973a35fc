/* wishes: which channels a client asks for, and from where on. Pure: reads the parameters that SSE
 * and polling share. SPDX-License-Identifier: MIT */
#ifndef API_WISHES_H
#define API_WISHES_H
#include "base/buf.h"
#include "hub/fanout.h"

enum { WISHES_MAX = 100, STANDARD_CHANNELS = 2 };

/* What a client gets that names nothing. */
extern const struct fanout_sub standard_channels[STANDARD_CHANNELS];

struct wishes {
    struct fanout_sub subs[WISHES_MAX];
    size_t count;
    struct buf names; /* what subs point into */
    struct buf since;
    bool has_since;
};
/* Reads channels, max_hz and since of a query into zeroed wishes; `last_id`, the header
 * Last-Event-ID (may be empty), counts before since. ERR_SYNTAX: `why` is the sentence. To be
 * finished in either case. */
enum err wishes_read(struct wishes *w, struct str query, struct str last_id,
                     const char **why) MUST_CHECK;
void wishes_fini(struct wishes *w);
/* Whether a client may name this channel; `why` gets a sentence. */
bool channel_valid(struct str name, const char **why);

#endif
