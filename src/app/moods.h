/* moods: when signals and the sentiment are worked out, and from what: signals from closed 1 h
 * candles whenever one closes or history came, and once a minute for what went stale; the sentiment
 * every 10 s. The rules are market/signal.h and market/sentiment.h. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_MOODS_H
#define APP_MOODS_H
#include "api/api.h"

struct moods;

struct moods_opts {
    struct loop *loop;
    struct market *market;
    struct candles *candles;
    const struct summary *summary;
};

struct moods *moods_new(const struct moods_opts *opts);
/* From now on what comes out goes to the api. */
void moods_attach(struct moods *m, struct api_main *api);
void moods_candle_closed(struct moods *m, uint32_t symbol, enum interval i);
void moods_history_came(struct moods *m, uint32_t symbol, enum interval i);
/* All data was forgotten. */
void moods_reset(struct moods *m);
void moods_stop(struct moods *m);
void moods_free(struct moods *m);

#endif
