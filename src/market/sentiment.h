/* sentiment: the mood of the market out of a few measured parts, each with its age, and what is
 * missing said. Nothing is made up: without any part there is no sentiment.
 *
 * Parts are numbers in [-1, 1]; the score is their mean by weight over those that are there:
 *   fear & greed  0.35  (index - 50) / 50, of the official index
 *   breadth       0.25  (advancers - decliners) / (advancers + decliners)
 *   momentum      0.20  tanh(0.5 (c/SMA30 - 1)/0.10 + 0.5 (c/SMA90 - 1)/0.20) of BTC's daily closes
 *   market cap    0.15  change in 24 h / 5 %, cut off at 1
 *   volatility    0.05  (vol90 - vol7) / vol90 of BTC
 * The mood is the score as 0..100 with the bounds of the Fear & Greed index. Confidence is the
 * weight that is there, times the mean of exp(-age / ttl), times 1 - standard deviation of the
 * parts. The estimate of the index from momentum alone has a mean error of 13 points (daily,
 * 2019..2026) and is no replacement: it has its own member.
 *
 * Each part says where it came from and as of when; one that is missing says why.
 * Pure; times are arguments (Unix ms). SPDX-License-Identifier: MIT */
#ifndef MARKET_SENTIMENT_H
#define MARKET_SENTIMENT_H
#include "base/base.h"

enum sentiment_part {
    SENTIMENT_FEAR_GREED,
    SENTIMENT_BREADTH,
    SENTIMENT_MOMENTUM,
    SENTIMENT_MARKET_CAP,
    SENTIMENT_VOLATILITY,
    SENTIMENT_PARTS
};
/* "fear_greed", "breadth", ... */
const char *sentiment_part_name(enum sentiment_part p);
double sentiment_part_weight(enum sentiment_part p);

/* 15 coins and 5 categories */
#define SENTIMENT_TOPICS_MAX 20
#define SENTIMENT_SOURCE_LEN 48
#define SENTIMENT_REASON_LEN 200
/* Fewer coins have no breadth. */
#define SENTIMENT_BREADTH_MIN 5
/* Less is no movement of a coin in 24 hours. */
#define SENTIMENT_UNCHANGED_PCT 0.1
struct sentiment_topic {
    char symbol[16], name[48]; /* a category of coins has no symbol: "" */
    double change_24h_pct;     /* NaN: unknown */
};

/* What is known; as_of 0: not known at all. */
struct sentiment_inputs {
    int fear_greed; /* official, 0..100 */
    int64_t fear_greed_as_of_ms;
    double market_cap_change_24h_pct;
    int64_t market_cap_as_of_ms;
    size_t advancers, decliners, unchanged; /* as market_totals() counts them */
    int64_t breadth_as_of_ms;
    double btc_close, btc_sma30, btc_sma90; /* NaN: unknown */
    double btc_vol7, btc_vol90;             /* same unit; NaN: unknown */
    int64_t btc_as_of_ms;                   /* close of the last daily candle */
    /* Where each part is from, and why it is not there or could not be got lately. NULL: "". */
    const char *sources[SENTIMENT_PARTS], *reasons[SENTIMENT_PARTS];
    const struct sentiment_topic *topics; /* what people look at now, the first is the top */
    size_t topic_count;
    /* Whose they are, and why they are not the ones that were wanted. NULL: "". */
    const char *topics_source, *topics_reason;
    int64_t topics_as_of_ms;
};

struct sentiment {
    bool available;
    const char *overall; /* "BULLISH", "NEUTRAL", "BEARISH"; NULL: not available */
    const char *mood;    /* "VERY_BULLISH" .. "VERY_BEARISH"; NULL: not available */
    double score;        /* -1..1; NaN: not available */
    int fear_greed;      /* the official index; -1: unknown or older than 26 h */
    int64_t fear_greed_as_of_ms;
    int fear_greed_estimated; /* 0..100 from momentum, while there is no official one; -1: none */
    double confidence;        /* 0..1; 0: not available */
    struct {
        bool present;
        double value;
        int64_t as_of_ms;
        char source[SENTIMENT_SOURCE_LEN]; /* "" when nobody has said anything */
        char reason[SENTIMENT_REASON_LEN]; /* why not present; "" */
    } parts[SENTIMENT_PARTS];
    struct sentiment_topic topics[SENTIMENT_TOPICS_MAX];
    size_t topic_count;
    char topics_source[SENTIMENT_SOURCE_LEN]; /* "" without topics */
    char topics_reason[SENTIMENT_REASON_LEN]; /* why there are none or others than wanted; "" */
    int64_t topics_as_of_ms;
};

/* The same inputs and time give the same sentiment. */
void sentiment_make(const struct sentiment_inputs *in, int64_t now_ms, struct sentiment *out);
/* The index's own labels: "Extreme Fear" up to 25, "Fear" 46, "Neutral" 54, "Greed" 75, "Extreme
 * Greed". NULL outside 0..100. */
const char *sentiment_index_label(int index);

#endif
