/* SPDX-License-Identifier: MIT */
#include "app/moods.h"

#include "base/alloc.h"
#include "market/signal.h"

#include <math.h>

#define SIGNAL_INTERVAL INTERVAL_1H
#define FOLLOWED "symbols followed here"
#define NOT_FETCHED "not fetched yet"
#define REPLAYED "nothing is fetched in a replay"

enum {
    MINUTE_MS = 60000,
    SENTIMENT_MS = 10000,
    DAYS_SHORT = 7,
    DAYS_MEAN = 30,
    DAYS_LONG = 90,
    BREADTH_AGE_MS = 30 * MINUTE_MS, /* a list older than that is not looked at */
    TOPICS_AGE_MS = 4 * 3600 * 1000, /* trending coins older than that are no trend */
    MOVERS = 5,                      /* in the place of trending coins */
    BARS_MAX = 2 * SIGNAL_BARS,      /* so many are looked at when hysteresis is found anew */
};

struct mood {
    struct signal_state state;
    bool settled; /* the state follows from the history before */
    bool due;     /* history came; to be worked out at the end of the turn */
};

struct moods {
    struct moods_opts opts;
    struct api_main *api;
    struct mood *moods; /* by symbol id */
    size_t count;
    struct defer defer;
    struct timer minute, sentiment_timer;
    struct outlook outlook;
    bool replay;
    char days_source[SENTIMENT_SOURCE_LEN];
    struct bar *bars;
};

static struct mood *mood_of(struct moods *m, uint32_t symbol)
{
    if (symbol >= m->count) {
        size_t count = max_size(symbol + 1, m->count * 2);
        m->moods = mem_resize(m->moods, count * sizeof(*m->moods));
        memset(m->moods + m->count, 0, (count - m->count) * sizeof(*m->moods));
        m->count = count;
    }
    return &m->moods[symbol];
}

/* ---- signals ---- */

static size_t bars_of(struct moods *m, uint32_t symbol)
{
    size_t count = 0;
    const struct candle *rows = candles_series(m->opts.candles, symbol, SIGNAL_INTERVAL, &count);
    while (count > 0 && !(rows[count - 1].flags & CANDLE_CLOSED)) {
        count--; /* trades of it may still come, also when its time is over */
    }
    size_t first = count > BARS_MAX ? count - BARS_MAX : 0;
    for (size_t i = first; i < count; i++) {
        m->bars[i - first] = (struct bar){.open_ms = rows[i].open_ms,
                                          .open = decimal_double(rows[i].open),
                                          .high = decimal_double(rows[i].high),
                                          .low = decimal_double(rows[i].low),
                                          .close = decimal_double(rows[i].close),
                                          .volume = decimal_double(rows[i].volume)};
    }
    return count - first;
}

static void work_out(struct moods *m, uint32_t symbol)
{
    struct mood *mood = mood_of(m, symbol);
    size_t count = bars_of(m, symbol);
    int64_t now = loop_wall_ms(m->opts.loop);
    int64_t step = interval_ms(SIGNAL_INTERVAL);
    struct signal s;
    mood->due = false;
    if (!mood->settled && count >= SIGNAL_BARS) {
        signal_settle(&mood->state, m->bars, count, step, now);
        mood->settled = true;
    }
    signal_of(&mood->state, m->bars, count, step, now, &s);
    if (m->api) {
        api_main_signal(m->api, symbol, &s, signal_due(&mood->state, &s));
    }
}

static void work_out_due(void *self)
{
    struct moods *m = self;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->moods[i].due) {
            work_out(m, i);
        }
    }
}

static void note_due(struct moods *m, uint32_t symbol, enum interval i)
{
    if (i == SIGNAL_INTERVAL) {
        mood_of(m, symbol)->due = true;
        loop_defer(m->opts.loop, &m->defer, work_out_due, m);
    }
}

static void sentiment_due(void *self);

/* What the sentiment is made of changed. */
static void sentiment_soon(struct moods *m)
{
    if (m->api) {
        timer_start(m->opts.loop, &m->sentiment_timer, loop_now_ms(m->opts.loop), sentiment_due, m);
    }
}

static void note_day(struct moods *m, uint32_t symbol, enum interval i)
{
    if (i == INTERVAL_1D && symbol == market_find(m->opts.market, STR("BTC"))) {
        sentiment_soon(m);
    }
}

void moods_candle_closed(struct moods *m, uint32_t symbol, enum interval i)
{
    note_due(m, symbol, i);
    note_day(m, symbol, i);
}

void moods_history_came(struct moods *m, uint32_t symbol, enum interval i)
{
    if (i == SIGNAL_INTERVAL) {
        mood_of(m, symbol)->settled = false;
    }
    note_due(m, symbol, i);
    note_day(m, symbol, i);
}

/* A signal also changes by nothing happening: its candles grow old. */
static void minute_due(void *self)
{
    struct moods *m = self;
    for (uint32_t i = 0; i < market_count(m->opts.market); i++) {
        if (market_quote(m->opts.market, i)->known) {
            note_due(m, i, SIGNAL_INTERVAL);
        }
    }
    timer_start(m->opts.loop, &m->minute, loop_now_ms(m->opts.loop) + MINUTE_MS, minute_due, m);
}

/* ---- the sentiment ---- */

static double mean_of(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / (double)count;
}

/* Standard deviation of the simple returns of the last `days` (market C2). */
static double volatility_of(const double *closes, size_t count, size_t days)
{
    double returns[DAYS_LONG] = {0};
    double sum = 0;
    for (size_t i = 0; i < days; i++) {
        size_t at = count - days + i;
        returns[i] = closes[at] / closes[at - 1] - 1;
    }
    double mean = mean_of(returns, days);
    for (size_t i = 0; i < days; i++) {
        sum += (returns[i] - mean) * (returns[i] - mean);
    }
    return sqrt(sum / (double)(days - 1));
}

/* BTC's closed days, if there are enough in a row. */
static void look_at_days(struct moods *m, struct sentiment_inputs *in)
{
    static const char *const needs = "91 closed days of BTC in a row are needed";
    double closes[DAYS_LONG + 1];
    size_t count = 0;
    size_t n = 0;
    uint32_t btc = market_find(m->opts.market, STR("BTC"));
    const struct candle *rows =
        btc == MARKET_NO_SYMBOL ? NULL : candles_series(m->opts.candles, btc, INTERVAL_1D, &count);
    while (count > 0 && !(rows[count - 1].flags & CANDLE_CLOSED)) {
        count--;
    }
    size_t first = count > DAYS_LONG ? count - DAYS_LONG - 1 : count;
    for (size_t i = first; i < count; i++) {
        if (i > first && rows[i].open_ms != rows[i - 1].open_ms + interval_ms(INTERVAL_1D)) {
            n = 0; /* a day is missing: no mean and no volatility of 90 days */
            break;
        }
        closes[n++] = decimal_double(rows[i].close);
    }
    if (n < DAYS_LONG + 1) {
        in->reasons[SENTIMENT_MOMENTUM] = in->reasons[SENTIMENT_VOLATILITY] = needs;
        return;
    }
    in->btc_close = closes[n - 1];
    in->btc_sma30 = mean_of(closes + n - DAYS_MEAN, DAYS_MEAN);
    in->btc_sma90 = mean_of(closes + n - DAYS_LONG, DAYS_LONG);
    in->btc_vol7 = volatility_of(closes, n, DAYS_SHORT);
    in->btc_vol90 = volatility_of(closes, n, DAYS_LONG);
    in->btc_as_of_ms = rows[count - 1].open_ms + interval_ms(INTERVAL_1D);
    snprintf(m->days_source, sizeof(m->days_source), "%s 1d candles of BTC",
             market_venue_name(candles_venue(m->opts.candles, btc)));
    in->sources[SENTIMENT_MOMENTUM] = in->sources[SENTIMENT_VOLATILITY] = m->days_source;
}

static void look_at_index(const struct moods *m, struct sentiment_inputs *in)
{
    const struct summary_value *index = &m->opts.summary->fields[FIELD_FEAR_GREED];
    in->fear_greed = index->known ? (int)index->value : 0;
    in->fear_greed_as_of_ms = index->known ? index->as_of_ms : 0;
    in->sources[SENTIMENT_FEAR_GREED] = index->provider;
    in->reasons[SENTIMENT_FEAR_GREED] = m->replay && !index->failed ? REPLAYED : index->reason;
}

static void look_at_market_cap(const struct moods *m, struct sentiment_inputs *in)
{
    const struct outlook *o = &m->outlook;
    in->market_cap_change_24h_pct = o->values.market_cap_change_24h_pct;
    in->market_cap_as_of_ms = o->parts[OUTLOOK_MARKET_CAP].as_of_ms;
    in->sources[SENTIMENT_MARKET_CAP] = o->parts[OUTLOOK_MARKET_CAP].source;
    in->reasons[SENTIMENT_MARKET_CAP] = o->parts[OUTLOOK_MARKET_CAP].reason;
}

static bool is_young(const struct outlook *o, enum outlook_part p, int64_t now_ms, int64_t most_ms)
{
    return o->parts[p].known && now_ms - o->parts[p].as_of_ms <= most_ms;
}

/* Where no list of the whole market is at hand, the symbols that we follow stand for it, if they
 * are enough; else what is said of the list counts. */
static void look_at_breadth(const struct moods *m, int64_t now_ms, struct sentiment_inputs *in)
{
    const struct outlook *o = &m->outlook;
    struct market_totals totals;
    market_totals(m->opts.market, &totals);
    size_t changes = totals.advancers + totals.decliners + totals.unchanged;
    if (!is_young(o, OUTLOOK_BREADTH, now_ms, BREADTH_AGE_MS) && changes >= SENTIMENT_BREADTH_MIN) {
        in->advancers = totals.advancers;
        in->decliners = totals.decliners;
        in->unchanged = totals.unchanged;
        in->breadth_as_of_ms = now_ms;
        in->sources[SENTIMENT_BREADTH] = FOLLOWED;
        return;
    }
    in->advancers = o->values.advancers;
    in->decliners = o->values.decliners;
    in->unchanged = o->values.unchanged;
    in->breadth_as_of_ms = o->parts[OUTLOOK_BREADTH].as_of_ms;
    in->sources[SENTIMENT_BREADTH] = o->parts[OUTLOOK_BREADTH].source;
    in->reasons[SENTIMENT_BREADTH] = o->parts[OUTLOOK_BREADTH].reason;
}

static size_t find_movers(const struct moods *m, struct sentiment_topic *topics)
{
    struct market_totals totals;
    size_t n = 0, up = 0, down = 0;
    market_totals(m->opts.market, &totals);
    while (n < MOVERS && (up < totals.gainer_count || down < totals.loser_count)) {
        bool rise = down >= totals.loser_count ||
                    (up < totals.gainer_count && fabs(totals.gainers[up].change_24h_pct) >=
                                                     fabs(totals.losers[down].change_24h_pct));
        const struct market_mover *mover = rise ? &totals.gainers[up++] : &totals.losers[down++];
        const char *symbol = market_symbol(m->opts.market, mover->symbol);
        snprintf(topics[n].symbol, sizeof(topics[n].symbol), "%s", symbol);
        snprintf(topics[n].name, sizeof(topics[n].name), "%s", symbol);
        topics[n++].change_24h_pct = mover->change_24h_pct;
    }
    return n;
}

/* The trending coins of a provider, else those of ours that moved most; never invented words. */
static void look_at_topics(const struct moods *m, int64_t now_ms,
                           struct sentiment_topic movers[MOVERS], struct sentiment_inputs *in)
{
    const struct outlook *o = &m->outlook;
    if (is_young(o, OUTLOOK_TRENDING, now_ms, TOPICS_AGE_MS)) {
        in->topics = o->values.topics;
        in->topic_count = o->values.topic_count;
        in->topics_source = o->parts[OUTLOOK_TRENDING].source;
        in->topics_as_of_ms = o->parts[OUTLOOK_TRENDING].as_of_ms;
        return;
    }
    in->topics = movers;
    in->topic_count = find_movers(m, movers);
    in->topics_source = FOLLOWED;
    in->topics_reason = o->parts[OUTLOOK_TRENDING].reason;
    in->topics_as_of_ms = now_ms;
}

static void sentiment_due(void *self)
{
    struct moods *m = self;
    int64_t now = loop_wall_ms(m->opts.loop);
    struct sentiment_topic movers[MOVERS];
    struct sentiment_inputs in = {
        .btc_close = NAN,
        .btc_sma30 = NAN,
        .btc_sma90 = NAN,
        .btc_vol7 = NAN,
        .btc_vol90 = NAN,
    };
    struct sentiment s;
    look_at_index(m, &in);
    look_at_market_cap(m, &in);
    look_at_days(m, &in);
    look_at_breadth(m, now, &in);
    look_at_topics(m, now, movers, &in);
    sentiment_make(&in, now, &s);
    if (m->api) {
        api_main_sentiment(m->api, &s);
    }
    timer_start(m->opts.loop, &m->sentiment_timer, loop_now_ms(m->opts.loop) + SENTIMENT_MS,
                sentiment_due, m);
}

enum err moods_outlook(struct moods *m, const struct outlook_report *r)
{
    enum err e = outlook_apply(&m->outlook, r, loop_wall_ms(m->opts.loop));
    if (e == OK) {
        sentiment_soon(m);
    }
    return e;
}

void moods_outlook_failed(struct moods *m, enum outlook_part part, const char *why)
{
    outlook_fail(&m->outlook, part, why);
}

/* ---- life ---- */

struct moods *moods_new(const struct moods_opts *opts)
{
    struct moods *m = mem_zero(sizeof(*m));
    m->opts = *opts;
    m->bars = mem_array(BARS_MAX, sizeof(*m->bars));
    outlook_init(&m->outlook, NOT_FETCHED);
    return m;
}

void moods_attach(struct moods *m, struct api_main *api)
{
    m->api = api;
    timer_start(m->opts.loop, &m->minute, loop_now_ms(m->opts.loop) + MINUTE_MS, minute_due, m);
    /* The first numbers need a second or two. */
    timer_start(m->opts.loop, &m->sentiment_timer, loop_now_ms(m->opts.loop) + 2000, sentiment_due,
                m);
}

void moods_reset(struct moods *m, bool replay)
{
    m->replay = replay;
    outlook_init(&m->outlook, replay ? REPLAYED : NOT_FETCHED);
    if (m->count) {
        memset(m->moods, 0, m->count * sizeof(*m->moods));
    }
}

void moods_stop(struct moods *m)
{
    timer_stop(m->opts.loop, &m->minute);
    timer_stop(m->opts.loop, &m->sentiment_timer);
    loop_undefer(&m->defer);
    m->api = NULL;
}

void moods_free(struct moods *m)
{
    if (m) {
        moods_stop(m);
        mem_free(m->bars);
        mem_free(m->moods);
        mem_free(m);
    }
}
