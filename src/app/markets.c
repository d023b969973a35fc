/* SPDX-License-Identifier: MIT */
#include "app/markets.h"

#include "app/archive.h"
#include "app/markets_in.h"
#include "app/moods.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "sources/fetch.h"

#include <math.h>

enum {
    AGE_MS = 250,           /* how often silence is looked for */
    QUIET_MS = 5000,        /* without a trade for so long: its past is asked for without one */
    FORGET_MS = 600000,     /* candles of a symbol that nobody wants are kept in memory so long */
    SUMMARY_PRICE_MS = 250, /* the summary takes the BTC price at most this often */
};

static struct metric symbols_watched =
    METRIC_GAUGE("coincast_symbols_watched", "Symbols that the feeds are asked for.");

static struct followed *followed_of(struct markets *m, uint32_t symbol)
{
    if (symbol >= m->followed_count) {
        size_t count = max_size(symbol + 1, m->followed_count * 2);
        m->followed = mem_resize(m->followed, count * sizeof(*m->followed));
        for (size_t i = m->followed_count; i < count; i++) {
            m->followed[i] = (struct followed){.history_venue = MARKET_VENUES};
        }
        m->followed_count = count;
    }
    return &m->followed[symbol];
}

/* ---- the market says ---- */

/* The feeds are the first source of the summary's price (contracts 3). */
static void give_price(struct markets *m, const struct quote *q)
{
    uint64_t now = loop_now_ms(m->loop);
    if (!q->known || q->stale || q->usdt || now - m->summary_at_ms < SUMMARY_PRICE_MS) {
        return;
    }
    char names[SUMMARY_PROVIDER_LEN] = "";
    size_t len = 0;
    for (int v = 0; v < MARKET_VENUES; v++) {
        if (q->used & (1U << v) && len < sizeof(names)) {
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? "+" : "",
                                    market_venue_name((enum market_venue)v));
        }
    }
    struct summary_report r = {.field = FIELD_BTC_PRICE,
                               .value = decimal_double(q->price),
                               .as_of_ms = q->exchange_ms,
                               .provider = names,
                               .method = "median of live feeds"};
    m->summary_at_ms = now;
    if (summary_apply(m->opts.summary, &r, markets_wall(m)) != OK) {
        m->opts.summary_changed(m->opts.self);
        return;
    }
    if (isfinite(q->change_24h_pct)) {
        r.field = FIELD_BTC_CHANGE_24H;
        r.value = q->change_24h_pct;
        /* refused: counted and marked there */
        (void)!summary_apply(m->opts.summary, &r, markets_wall(m));
    }
    m->opts.feed_price(m->opts.self);
    m->opts.summary_changed(m->opts.self);
}

static void on_quote(void *self, uint32_t symbol)
{
    struct markets *m = self;
    if (symbol == m->btc) {
        give_price(m, market_quote(m->market, symbol));
    }
    if (m->api) {
        api_main_quote_changed(m->api, symbol);
    }
}

/* Candles of the past: what the database has, the rest from the venue. */
static void ask_history(struct markets *m, uint32_t symbol, enum market_venue v)
{
    static const struct {
        enum interval interval;
        size_t count;
    } plan[] = {{INTERVAL_1H, 500}, {INTERVAL_1M, 500},  {INTERVAL_1D, 400},
                {INTERVAL_5M, 300}, {INTERVAL_15M, 300}, {INTERVAL_4H, 300}};
    for (size_t i = 0; i < ARRAY_LEN(plan); i++) {
        archive_load(m->archive, symbol, v, plan[i].interval, plan[i].count);
    }
}

void markets_history_came(struct markets *m, uint32_t symbol, enum interval i)
{
    moods_history_came(m->moods, symbol, i);
    if (m->api) {
        api_main_candles_came(m->api, symbol, i);
    }
}

static void on_loaded(void *self, uint32_t symbol, enum market_venue v, enum interval i,
                      size_t missing)
{
    struct markets *m = self;
    markets_history_came(m, symbol, i);
    if (m->feeds && missing > 0 && markets_follows(m, symbol)) {
        feeds_ask_history(m->feeds, v, symbol, i, missing, 0);
    }
}

static void want_history(struct markets *m, uint32_t symbol, enum market_venue v)
{
    struct followed *w = followed_of(m, symbol);
    if (w->history_venue != v && v != MARKET_VENUES && !m->replay) {
        w->history_venue = v;
        ask_history(m, symbol, v);
    }
}

static void on_trade(void *self, const struct tick *t)
{
    struct markets *m = self;
    candles_trade(m->candles, t);
    want_history(m, t->symbol, candles_venue(m->candles, t->symbol));
}

/* Whose trades the candles will be made of, as far as one can tell; MARKET_VENUES: nobody's yet. */
static enum market_venue first_alive(const struct quote *q)
{
    enum market_venue v = 0;
    while (v < MARKET_VENUES && !q->feeds[v].fresh) {
        v++;
    }
    return v;
}

/* What is hardly traded has a past as well. */
static void ask_when_quiet(struct markets *m, uint32_t symbol, uint64_t now_ms)
{
    struct followed *w = &m->followed[symbol];
    enum market_venue v = first_alive(market_quote(m->market, symbol));
    if (v == MARKET_VENUES) {
        w->quiet_since_ms = 0;
    } else if (w->quiet_since_ms == 0) {
        w->quiet_since_ms = now_ms;
    } else if (now_ms - w->quiet_since_ms >= QUIET_MS) {
        want_history(m, symbol, v);
    }
}

/* Whoever comes back to it gets it from the database. */
static void forget_candles(struct markets *m, uint32_t symbol)
{
    struct followed *w = &m->followed[symbol];
    candles_forget(m->candles, symbol);
    w->quiet_since_ms = w->dropped_at_ms = 0;
}

static void look_after_followed(struct markets *m)
{
    uint64_t now_ms = loop_now_ms(m->loop);
    for (uint32_t i = 0; i < m->followed_count; i++) {
        struct followed *w = &m->followed[i];
        if (w->wanted && w->history_venue == MARKET_VENUES) {
            ask_when_quiet(m, i, now_ms);
        } else if (w->dropped_at_ms && now_ms - w->dropped_at_ms >= FORGET_MS) {
            forget_candles(m, i);
        }
    }
}

static void on_closed(void *self, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct markets *m = self;
    archive_put(m->archive, symbol, i, c);
    if (m->api && !(c->flags & CANDLE_HISTORY)) { /* the past is for whoever asks for it */
        api_main_candle(m->api, symbol, i, c, true);
    }
    moods_candle_closed(m->moods, symbol, i);
}

static bool is_alive(void *self, uint32_t symbol, enum market_venue v)
{
    const struct markets *m = self;
    return market_quote(m->market, symbol)->feeds[v].fresh;
}

static void on_candle(void *self, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct markets *m = self;
    if (m->api) {
        api_main_candle(m->api, symbol, i, c, false);
    }
}

/* ---- time ---- */

static void age_due(void *self)
{
    struct markets *m = self;
    markets_mend(m);
    market_age(m->market, markets_wall(m));
    candles_time(m->candles, markets_wall(m));
    look_after_followed(m);
    timer_start(m->loop, &m->age_timer, loop_now_ms(m->loop) + AGE_MS, age_due, m);
}

/* ---- feeds on and off ---- */

static void set_watched(struct markets *m, uint32_t symbol, bool wanted)
{
    struct followed *w = followed_of(m, symbol);
    if (w->wanted != wanted) {
        w->wanted = wanted;
        w->dropped_at_ms = wanted ? 0 : loop_now_ms(m->loop);
        w->history_venue = MARKET_VENUES; /* what is not there yet is not waited for any more */
        metric_add(&symbols_watched, wanted ? 1 : -1);
    }
    if (m->feeds) {
        feeds_watch(m->feeds, symbol, wanted);
    }
    if (m->api) {
        api_main_symbol_watched(m->api, symbol, wanted);
    }
}

/* Nothing of the mode before is kept in memory. */
static void enter_mode(struct markets *m, enum market_mode mode)
{
    m->mode = mode;
    archive_set_mode(m->archive, mode);
    market_reset(m->market);
    candles_reset(m->candles);
    moods_reset(m->moods, m->replay);
    for (size_t i = 0; i < m->followed_count; i++) {
        m->followed[i].history_venue = MARKET_VENUES;
        m->followed[i].quiet_since_ms = 0;
    }
}

void markets_use(struct markets *m, enum market_mode mode, uint16_t stand_in_port)
{
    markets_stop_feeds(m);
    m->replay = false;
    m->port = stand_in_port;
    enter_mode(m, mode);
    markets_start_feeds(m);
    age_due(m);
}

void markets_use_replay(struct markets *m)
{
    markets_stop_feeds(m);
    m->replay = true;
    enter_mode(m, MODE_REPLAY);
    markets_start_feeds(m);
    age_due(m);
}

void markets_set_mode(struct markets *m, enum market_mode mode)
{
    if (m->mode != mode) {
        enter_mode(m, mode);
    }
}

enum err markets_outlook(struct markets *m, const struct outlook_report *r)
{
    return moods_outlook(m->moods, r);
}

void markets_outlook_failed(struct markets *m, enum outlook_part part, const char *why)
{
    moods_outlook_failed(m->moods, part, why);
}

void markets_older_candles(struct markets *m, uint32_t symbol, enum interval i, int64_t from_ms,
                           int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self)
{
    archive_read(m->archive, symbol, i, from_ms, to_ms, limit, done, done_self);
}

/* ---- life ---- */

static enum err add_settings_symbols(struct markets *m, struct buf *error)
{
    struct str rest = str_of(m->opts.options->symbols);
    struct str one;
    while (str_next(&rest, ',', &one)) {
        uint32_t id = MARKET_NO_SYMBOL;
        one = str_trim(one);
        enum err e = market_add_symbol(m->market, one, &id);
        if (e != OK) {
            buf_printf(error, "COINCAST_SYMBOLS: \"%.*s\" is no symbol; BTC,ETH is right",
                       STR_ARG(one));
            return e;
        }
        followed_of(m, id)->of_settings = true;
        set_watched(m, id, true);
    }
    m->btc = market_find(m->market, STR("BTC"));
    return OK;
}

enum err markets_new(const struct markets_opts *opts, struct markets **out, struct buf *error)
{
    struct markets *m = mem_zero(sizeof(*m));
    m->opts = *opts;
    m->loop = opts->loop;
    m->market = market_new(
        &(struct market_opts){.listener = {.changed = on_quote, .trade = on_trade, .self = m}});
    m->candles = candles_new(&(struct candles_opts){
        .listener = {.closed = on_closed, .changed = on_candle, .is_alive = is_alive, .self = m}});
    m->archive = archive_new(&(struct archive_opts){.loop = m->loop,
                                                    .db = opts->db,
                                                    .market = m->market,
                                                    .candles = m->candles,
                                                    .loaded = on_loaded,
                                                    .self = m});
    m->moods = moods_new(&(struct moods_opts){
        .loop = m->loop, .market = m->market, .candles = m->candles, .summary = opts->summary});
    enum err e = fetch_curl_new(m->loop, &opts->options->outward, &m->fetch);
    if (e == OK) {
        e = link_curl_new(m->loop, &opts->options->outward, &m->link);
    }
    if (e != OK) {
        buf_printf(error, "cannot set up connections to the exchanges: %s", err_text(e));
    } else {
        e = add_settings_symbols(m, error);
    }
    if (e != OK) {
        markets_free(m);
        return e;
    }
    metric_register(&symbols_watched);
    *out = m;
    return OK;
}

void markets_attach(struct markets *m, struct api_main *api)
{
    m->api = api;
    for (uint32_t i = 0; i < m->followed_count; i++) {
        if (m->followed[i].wanted) {
            api_main_symbol_watched(api, i, true);
        }
    }
    moods_attach(m->moods, api);
}

struct market *markets_market(struct markets *m)
{
    return m->market;
}

struct candles *markets_candles(struct markets *m)
{
    return m->candles;
}

void markets_stop(struct markets *m)
{
    if (!m) {
        return;
    }
    timer_stop(m->loop, &m->age_timer);
    m->api = NULL;
    moods_stop(m->moods);
    markets_stop_feeds(m);
    archive_stop(m->archive);
}

void markets_free(struct markets *m)
{
    if (!m) {
        return;
    }
    moods_free(m->moods);
    archive_free(m->archive);
    if (m->link) {
        m->link->ops->free(m->link);
    }
    if (m->fetch) {
        m->fetch->ops->free(m->fetch);
    }
    candles_free(m->candles);
    market_free(m->market);
    mem_free(m->followed);
    mem_free(m);
}

void markets_want(struct markets *m, struct str symbol, bool wanted)
{
    uint32_t id = MARKET_NO_SYMBOL;
    if (market_add_symbol(m->market, symbol, &id) == OK && !followed_of(m, id)->of_settings) {
        set_watched(m, id, wanted);
    }
}
