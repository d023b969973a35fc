/* moods: when signals and the sentiment are worked out, and from what: signals from closed 1 h
 * candles whenever one closes or history came, and once a minute for what went stale; the sentiment
 * every 10 s. The rules are market/signal.h and market/sentiment.h. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_MOODS_H
#define APP_MOODS_H
#include "api/api.h"
#include "market/sentiment.h"

struct moods;

struct moods_opts {
    struct loop *loop;
    struct market *market;
    struct candles *candles;
    const struct summary *summary;
};

/* What the providers say of the whole market, kept until said anew; as_of 0: never said. */
struct moods_market {
    double market_cap_change_24h_pct; /* NaN: not said */
    int64_t market_cap_as_of_ms;
    size_t advancers, decliners, unchanged;
    int64_t breadth_as_of_ms;
    struct sentiment_topic topics[SENTIMENT_TOPICS_MAX];
    size_t topic_count;
    int64_t topics_as_of_ms;
};

struct moods *moods_new(const struct moods_opts *opts);
/* From now on what comes out goes to the api. */
void moods_attach(struct moods *m, struct api_main *api);
void moods_candle_closed(struct moods *m, uint32_t symbol, enum interval i);
void moods_history_came(struct moods *m, uint32_t symbol, enum interval i);
/* For the providers' values to be written into. */
struct moods_market *moods_market(struct moods *m);
/* All data was forgotten. */
void moods_reset(struct moods *m);
void moods_stop(struct moods *m);
void moods_free(struct moods *m);

#endif
