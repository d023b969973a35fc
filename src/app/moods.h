/* moods: when signals and the sentiment are worked out, and from what: signals from closed 1 h
 * candles whenever one closes or history came, and once a minute for what went stale; the sentiment
 * every 10 s. The rules are market/signal.h and market/sentiment.h. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_MOODS_H
#define APP_MOODS_H
#include "api/api.h"
#include "market/outlook.h"

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
/* What a provider says of the whole market: outlook_apply(), outlook_fail(). */
enum err moods_outlook(struct moods *m, const struct outlook_report *r);
void moods_outlook_failed(struct moods *m, enum outlook_part part, const char *why);
/* All data was forgotten. `replay`: no provider will be asked. */
void moods_reset(struct moods *m, bool replay);
void moods_stop(struct moods *m);
void moods_free(struct moods *m);

#endif
