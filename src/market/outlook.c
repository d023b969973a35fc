/* SPDX-License-Identifier: MIT */
#include "market/outlook.h"

#include <assert.h>
#include <math.h>

/* The value of all coins together neither vanishes nor doubles within a day. */
#define MARKET_CAP_MOST_PCT 100.0

const char *outlook_part_text(enum outlook_part p)
{
    static const char *const texts[OUTLOOK_PARTS] = {
        [OUTLOOK_MARKET_CAP] = "change of the market capitalisation",
        [OUTLOOK_BREADTH] = "list of coins",
        [OUTLOOK_TRENDING] = "list of trending coins",
    };
    assert(p < OUTLOOK_PARTS);
    return texts[p];
}

void outlook_init(struct outlook *o, const char *reason)
{
    *o = (struct outlook){.values.market_cap_change_24h_pct = NAN};
    for (int p = 0; p < OUTLOOK_PARTS; p++) {
        outlook_fail(o, (enum outlook_part)p, reason);
    }
}

static bool can_be(const struct outlook_report *r)
{
    const struct outlook_values *v = r->values;
    switch (r->part) {
    case OUTLOOK_MARKET_CAP:
        return fabs(v->market_cap_change_24h_pct) < MARKET_CAP_MOST_PCT;
    case OUTLOOK_BREADTH:
        return v->advancers + v->decliners + v->unchanged >= SENTIMENT_BREADTH_MIN;
    case OUTLOOK_TRENDING:
        return v->topic_count > 0 && v->topic_count <= SENTIMENT_TOPICS_MAX;
    case OUTLOOK_PARTS:
        break;
    }
    return false;
}

static void take(struct outlook_values *to, const struct outlook_report *r)
{
    const struct outlook_values *v = r->values;
    switch (r->part) {
    case OUTLOOK_MARKET_CAP:
        to->market_cap_change_24h_pct = v->market_cap_change_24h_pct;
        return;
    case OUTLOOK_BREADTH:
        to->advancers = v->advancers;
        to->decliners = v->decliners;
        to->unchanged = v->unchanged;
        return;
    case OUTLOOK_TRENDING:
        memcpy(to->topics, v->topics, v->topic_count * sizeof(*v->topics));
        to->topic_count = v->topic_count;
        return;
    case OUTLOOK_PARTS:
        return;
    }
}

enum err outlook_apply(struct outlook *o, const struct outlook_report *r, int64_t now_ms)
{
    assert(r->part < OUTLOOK_PARTS);
    if (!can_be(r)) {
        char why[SENTIMENT_REASON_LEN];
        snprintf(why, sizeof(why), "what %s said of the %s cannot be", r->provider,
                 outlook_part_text(r->part));
        outlook_fail(o, r->part, why);
        return ERR_RANGE;
    }
    take(&o->values, r);
    o->parts[r->part].known = true;
    /* A provider's clock that runs ahead must not keep a value fresh. */
    o->parts[r->part].as_of_ms = r->as_of_ms > 0 && r->as_of_ms < now_ms ? r->as_of_ms : now_ms;
    o->parts[r->part].reason[0] = '\0';
    snprintf(o->parts[r->part].source, SENTIMENT_SOURCE_LEN, "%s %s", r->provider, r->method);
    return OK;
}

void outlook_fail(struct outlook *o, enum outlook_part p, const char *reason)
{
    assert(p < OUTLOOK_PARTS);
    snprintf(o->parts[p].reason, SENTIMENT_REASON_LEN, "%s", reason);
}
