/* SPDX-License-Identifier: MIT */
#include "market/sentiment.h"

#include <assert.h>
#include <math.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
/* Between them it is neutral. */
#define BULLISH_ABOVE 0.15
/* A change of the whole market by that much in a day is as far as it counts. */
#define MARKET_CAP_FULL_PCT 5.0

static const struct {
    const char *name;
    double weight;
    int64_t ttl_ms;  /* confidence fades with it */
    int64_t most_ms; /* older is not there */
} rows[SENTIMENT_PARTS] = {
    [SENTIMENT_FEAR_GREED] = {"fear_greed", 0.35, 26 * HOUR_MS, 26 * HOUR_MS},
    [SENTIMENT_BREADTH] = {"breadth", 0.25, 5 * MINUTE_MS, 30 * MINUTE_MS},
    [SENTIMENT_MOMENTUM] = {"momentum", 0.20, 48 * HOUR_MS, 48 * HOUR_MS},
    [SENTIMENT_MARKET_CAP] = {"market_cap", 0.15, 20 * MINUTE_MS, 30 * MINUTE_MS},
    [SENTIMENT_VOLATILITY] = {"volatility", 0.05, 48 * HOUR_MS, 48 * HOUR_MS},
};

const char *sentiment_part_name(enum sentiment_part p)
{
    assert(p < SENTIMENT_PARTS);
    return rows[p].name;
}

double sentiment_part_weight(enum sentiment_part p)
{
    assert(p < SENTIMENT_PARTS);
    return rows[p].weight;
}

/* 0..4 by the index's bounds; -1 outside of it. */
static int band_of(int index)
{
    static const int last[] = {25, 46, 54, 75, 100};
    for (int i = 0; index >= 0 && i < (int)ARRAY_LEN(last); i++) {
        if (index <= last[i]) {
            return i;
        }
    }
    return -1;
}

const char *sentiment_index_label(int index)
{
    static const char *const labels[] = {"Extreme Fear", "Fear", "Neutral", "Greed",
                                         "Extreme Greed"};
    int band = band_of(index);
    return band < 0 ? NULL : labels[band];
}

static const char *mood_of(int index)
{
    static const char *const moods[] = {"VERY_BEARISH", "BEARISH", "NEUTRAL", "BULLISH",
                                        "VERY_BULLISH"};
    return moods[band_of(index)];
}

static double clip(double v)
{
    return v > 1 ? 1 : v < -1 ? -1 : v;
}

static int as_index(double v)
{
    return (int)lround(50 + 50 * clip(v));
}

/* ---- the parts; NaN: `reason` says why there is none ---- */

static double fear_greed(const struct sentiment_inputs *in, const char **reason)
{
    if (in->fear_greed < 0 || in->fear_greed > 100) {
        *reason = "the index is not within 0 and 100";
        return NAN;
    }
    return (in->fear_greed - 50) / 50.0;
}

static double breadth(const struct sentiment_inputs *in, const char **reason)
{
    size_t moved = in->advancers + in->decliners;
    if (moved + in->unchanged < SENTIMENT_BREADTH_MIN) {
        *reason = "too few coins have a change of 24 hours";
        return NAN;
    }
    return moved == 0 ? 0 : ((double)in->advancers - (double)in->decliners) / (double)moved;
}

static double momentum(const struct sentiment_inputs *in, const char **reason)
{
    if (!(in->btc_close > 0) || !(in->btc_sma30 > 0) || !(in->btc_sma90 > 0)) {
        *reason = "fewer than 90 daily closes are known";
        return NAN;
    }
    return tanh(0.5 * (in->btc_close / in->btc_sma30 - 1) / 0.10 +
                0.5 * (in->btc_close / in->btc_sma90 - 1) / 0.20);
}

static double market_cap(const struct sentiment_inputs *in, const char **reason)
{
    if (!isfinite(in->market_cap_change_24h_pct)) {
        *reason = "the change of the market's value is not known";
        return NAN;
    }
    return clip(in->market_cap_change_24h_pct / MARKET_CAP_FULL_PCT);
}

static double volatility(const struct sentiment_inputs *in, const char **reason)
{
    if (!(in->btc_vol7 >= 0) || !(in->btc_vol90 > 0)) {
        *reason = "fewer than 90 daily returns are known";
        return NAN;
    }
    return clip((in->btc_vol90 - in->btc_vol7) / in->btc_vol90);
}

/* What is said of a part that is not there: our words first, then what came of asking. */
static void say_why(char out[SENTIMENT_REASON_LEN], const char *what, const char *asked)
{
    bool both = what[0] && asked[0];
    snprintf(out, SENTIMENT_REASON_LEN, "%s%s%s", what, both ? ": " : "", asked);
}

static void take_part(struct sentiment *s, const struct sentiment_inputs *in, enum sentiment_part p,
                      double value, const char *reason, int64_t as_of_ms, int64_t now_ms)
{
    const char *asked = in->reasons[p] ? in->reasons[p] : "";
    bool known = as_of_ms != 0, old = known && now_ms - as_of_ms > rows[p].most_ms;
    if (!known) {
        reason = asked[0] ? "" : "not known yet";
    } else if (old) {
        reason = "too old";
    }
    s->parts[p].present = known && !old && reason[0] == '\0' && isfinite(value);
    s->parts[p].value = s->parts[p].present ? value : (double)NAN;
    s->parts[p].as_of_ms = as_of_ms;
    snprintf(s->parts[p].source, SENTIMENT_SOURCE_LEN, "%s", in->sources[p] ? in->sources[p] : "");
    if (!s->parts[p].present) {
        say_why(s->parts[p].reason, reason, asked);
    }
}

static void take_parts(const struct sentiment_inputs *in, int64_t now_ms, struct sentiment *s)
{
    static double (*const ways[SENTIMENT_PARTS])(const struct sentiment_inputs *, const char **) = {
        [SENTIMENT_FEAR_GREED] = fear_greed, [SENTIMENT_BREADTH] = breadth,
        [SENTIMENT_MOMENTUM] = momentum,     [SENTIMENT_MARKET_CAP] = market_cap,
        [SENTIMENT_VOLATILITY] = volatility,
    };
    const int64_t as_of_ms[SENTIMENT_PARTS] = {
        [SENTIMENT_FEAR_GREED] = in->fear_greed_as_of_ms,
        [SENTIMENT_BREADTH] = in->breadth_as_of_ms,
        [SENTIMENT_MOMENTUM] = in->btc_as_of_ms,
        [SENTIMENT_MARKET_CAP] = in->market_cap_as_of_ms,
        [SENTIMENT_VOLATILITY] = in->btc_as_of_ms,
    };
    for (unsigned p = 0; p < SENTIMENT_PARTS; p++) {
        const char *reason = "";
        double value = ways[p](in, &reason);
        reason = reason[0] || isfinite(value) ? reason : "not a number";
        take_part(s, in, (enum sentiment_part)p, value, reason, as_of_ms[p], now_ms);
    }
}

/* ---- what they say together ---- */

static void weigh(struct sentiment *s, int64_t now_ms)
{
    double weight = 0, sum = 0, fresh = 0, mean = 0, squares = 0;
    int count = 0;
    for (unsigned p = 0; p < SENTIMENT_PARTS; p++) {
        if (s->parts[p].present) {
            int64_t age_ms = now_ms > s->parts[p].as_of_ms ? now_ms - s->parts[p].as_of_ms : 0;
            weight += rows[p].weight;
            sum += rows[p].weight * s->parts[p].value;
            mean += s->parts[p].value;
            fresh += exp(-(double)age_ms / (double)rows[p].ttl_ms);
            count++;
        }
    }
    if (count == 0) {
        return;
    }
    mean /= count;
    for (unsigned p = 0; p < SENTIMENT_PARTS; p++) {
        double off = s->parts[p].present ? s->parts[p].value - mean : 0;
        squares += off * off;
    }
    s->available = true;
    s->score = sum / weight;
    s->confidence = weight * (fresh / count) * (1 - sqrt(squares / count));
    s->overall = s->score > BULLISH_ABOVE    ? "BULLISH"
                 : s->score < -BULLISH_ABOVE ? "BEARISH"
                                             : "NEUTRAL";
    s->mood = mood_of(as_index(s->score));
}

void sentiment_make(const struct sentiment_inputs *in, int64_t now_ms, struct sentiment *out)
{
    *out = (struct sentiment){.score = NAN, .fear_greed = -1, .fear_greed_estimated = -1};
    take_parts(in, now_ms, out);
    weigh(out, now_ms);
    if (out->parts[SENTIMENT_FEAR_GREED].present) {
        out->fear_greed = in->fear_greed;
        out->fear_greed_as_of_ms = in->fear_greed_as_of_ms;
    } else if (out->parts[SENTIMENT_MOMENTUM].present) {
        out->fear_greed_estimated = as_index(out->parts[SENTIMENT_MOMENTUM].value);
    }
    snprintf(out->topics_reason, SENTIMENT_REASON_LEN, "%s",
             in->topics_reason ? in->topics_reason : "");
    out->topic_count = min_size(in->topic_count, SENTIMENT_TOPICS_MAX);
    if (out->topic_count > 0) {
        memcpy(out->topics, in->topics, out->topic_count * sizeof(*in->topics));
        snprintf(out->topics_source, SENTIMENT_SOURCE_LEN, "%s",
                 in->topics_source ? in->topics_source : "");
        out->topics_as_of_ms = in->topics_as_of_ms;
    }
}
