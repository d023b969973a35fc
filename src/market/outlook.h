/* outlook: what a provider says of the whole market beside the six numbers of the summary: how much
 * its value changed, how many coins rise and fall, which coins people look for. The sentiment is
 * made of it. What is not known has its reason; nothing is filled in.
 *
 * Pure state: times are arguments (Unix ms). SPDX-License-Identifier: MIT */
#ifndef MARKET_OUTLOOK_H
#define MARKET_OUTLOOK_H
#include "base/err.h"
#include "market/sentiment.h"

enum outlook_part { OUTLOOK_MARKET_CAP, OUTLOOK_BREADTH, OUTLOOK_TRENDING, OUTLOOK_PARTS };
/* "change of the market capitalisation", for sentences. */
const char *outlook_part_text(enum outlook_part p);

struct outlook_values {
    double market_cap_change_24h_pct;
    /* Of the largest coins that are not pegged; less than SENTIMENT_UNCHANGED_PCT is unchanged. */
    size_t advancers, decliners, unchanged;
    struct sentiment_topic topics[SENTIMENT_TOPICS_MAX]; /* coins, the top first; then categories */
    size_t topic_count;
};

struct outlook {
    struct outlook_values values; /* those of the parts that are known */
    struct {
        bool known;
        int64_t as_of_ms; /* the provider's own time where it gives one, never later than receipt */
        char source[SENTIMENT_SOURCE_LEN]; /* "coingecko global" */
        char reason[SENTIMENT_REASON_LEN]; /* why not known, or why the last fetch failed; "" */
    } parts[OUTLOOK_PARTS];
};

/* All unknown, each with that reason. */
void outlook_init(struct outlook *o, const char *reason);

struct outlook_report {
    enum outlook_part part;
    const struct outlook_values *values; /* only the part's own are looked at */
    int64_t as_of_ms;                    /* 0: the provider gives no time */
    const char *provider, *method;
};
/* Takes a part. ERR_RANGE: it cannot be; what was known before stays, with the reason. */
enum err outlook_apply(struct outlook *o, const struct outlook_report *r, int64_t now_ms);
/* A fetch failed: keeps what is known. */
void outlook_fail(struct outlook *o, enum outlook_part p, const char *reason);

#endif
