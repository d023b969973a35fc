/* SPDX-License-Identifier: MIT */
#include "app/markets.h"

#include "app/archive.h"
#include "app/moods.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "sources/fetch.h"
#include "wire/exchange.h"

#include <assert.h>
#include <math.h>

static_assert((int)MARKET_BINANCE == (int)VENUE_BINANCE &&
                  (int)MARKET_COINBASE == (int)VENUE_COINBASE &&
                  (int)MARKET_KRAKEN == (int)VENUE_KRAKEN && (int)MARKET_VENUES == (int)VENUE_COUNT,
              "the venues of wire and market are the same");

enum {
    AGE_MS = 250, /* how often silence is looked for */
    MEND_MS = 5000,
    MEND_MAX = 1000,        /* minutes asked for at once */
    SUMMARY_PRICE_MS = 250, /* the summary takes the BTC price at most this often */
};

static struct metric symbols_watched =
    METRIC_GAUGE("coincast_symbols_watched", "Symbols that the feeds are asked for.");

/* What we know of a symbol beyond its quote. */
struct followed {
    bool wanted;                     /* of the settings, or by clients */
    bool of_settings;                /* stays whatever clients do */
    enum market_venue history_venue; /* whose history was asked for; MARKET_VENUES: none yet */
};

struct markets {
    struct markets_opts opts;
    struct loop *loop;
    struct api_main *api;
    struct market *market;
    struct candles *candles;
    struct fetch *fetch;
    struct link *link;
    struct feeds *feeds;
    struct archive *archive;
    struct moods *moods;
    struct followed *followed; /* by symbol id */
    size_t followed_count;
    enum market_mode mode;
    uint16_t port;
    bool replay;
    struct timer age_timer;
    uint32_t btc;
    uint64_t summary_at_ms, mend_at_ms;
};

static int64_t wall(const struct markets *m)
{
    return loop_wall_ms(m->loop);
}

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
    if (summary_apply(m->opts.summary, &r, wall(m)) != OK) {
        m->opts.summary_changed(m->opts.self);
        return;
    }
    if (isfinite(q->change_24h_pct)) {
        r.field = FIELD_BTC_CHANGE_24H;
        r.value = q->change_24h_pct;
        (void)!summary_apply(m->opts.summary, &r, wall(m)); /* refused: counted and marked there */
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

static void on_loaded(void *self, uint32_t symbol, enum market_venue v, enum interval i,
                      size_t missing)
{
    struct markets *m = self;
    moods_history_came(m->moods, symbol, i);
    if (m->feeds && missing > 0) {
        feeds_ask_history(m->feeds, v, symbol, i, missing, 0);
    }
}

static void on_trade(void *self, const struct tick *t)
{
    struct markets *m = self;
    struct followed *w = followed_of(m, t->symbol);
    candles_trade(m->candles, t);
    enum market_venue v = candles_venue(m->candles, t->symbol);
    if (w->history_venue != v && v != MARKET_VENUES && !m->replay) {
        w->history_venue = v;
        ask_history(m, t->symbol, v);
    }
}

static void on_closed(void *self, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct markets *m = self;
    archive_put(m->archive, symbol, candles_venue(m->candles, symbol), i, c);
    if (m->api && !(c->flags & CANDLE_HISTORY)) { /* the past is for whoever asks for it */
        api_main_candle(m->api, symbol, i, c, true);
    }
    moods_candle_closed(m->moods, symbol, i);
}

static void on_candle(void *self, uint32_t symbol, enum interval i, const struct candle *c)
{
    struct markets *m = self;
    if (m->api) {
        api_main_candle(m->api, symbol, i, c, false);
    }
}

/* ---- the feeds say ---- */

static void on_tick(void *self, const struct tick *t)
{
    struct markets *m = self;
    /* Implausible ones are counted and said in the quote by the market itself. */
    (void)!market_apply(m->market, t, wall(m));
}

/* A trade older than what was given already: no news for the price. */
static void on_late(void *self, const struct tick *t)
{
    struct markets *m = self;
    candles_trade(m->candles, t);
}

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    struct markets *m = self;
    market_confirm(m->market, v, symbol, wall(m));
}

static void on_down(void *self, enum market_venue v, uint32_t symbol, const char *reason)
{
    struct markets *m = self;
    market_down(m->market, v, symbol, reason);
}

static void on_gap(void *self, enum market_venue v, uint32_t symbol, int64_t from_ms, int64_t to_ms)
{
    struct markets *m = self;
    candles_gap(m->candles, symbol, v, from_ms, to_ms);
}

static void on_history(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                       const struct candle *rows, size_t count)
{
    struct markets *m = self;
    if (candles_fill(m->candles, symbol, v, i, rows, count) > 0) {
        for (size_t k = 0; k < count; k++) {
            archive_put(m->archive, symbol, v, i, &rows[k]);
        }
        moods_history_came(m->moods, symbol, i);
    }
    /* A minute that is not among what was asked for had no trades. */
    if (i == INTERVAL_1M && count > 0) {
        int64_t from_ms = rows[0].open_ms;
        int64_t to_ms = rows[0].open_ms;
        for (size_t k = 1; k < count; k++) {
            from_ms = rows[k].open_ms < from_ms ? rows[k].open_ms : from_ms;
            to_ms = rows[k].open_ms > to_ms ? rows[k].open_ms : to_ms;
        }
        candles_asked(m->candles, symbol, v, from_ms, to_ms + interval_ms(i));
    }
}

static void on_feed_mode(void *self, enum market_mode mode)
{
    struct markets *m = self;
    m->opts.mode_changed(m->opts.self, mode);
}

static void on_offered(void *self, struct str symbol)
{
    struct markets *m = self;
    if (m->api) {
        api_main_symbol_offered(m->api, symbol);
    }
}

/* ---- time ---- */

/* The earliest hole that is not filled yet is asked for again, a few times a minute. */
static void mend(struct markets *m)
{
    uint32_t symbol = 0;
    enum market_venue v = MARKET_VENUES;
    int64_t from_ms = 0;
    int64_t to_ms = 0;
    uint64_t now = loop_now_ms(m->loop);
    if (m->replay || now < m->mend_at_ms ||
        !candles_next_gap(m->candles, &symbol, &v, &from_ms, &to_ms)) {
        return;
    }
    m->mend_at_ms = now + MEND_MS;
    size_t minutes = (size_t)((to_ms - from_ms) / interval_ms(INTERVAL_1M)) + 1;
    feeds_ask_history(m->feeds, v, symbol, INTERVAL_1M, min_size(minutes, MEND_MAX), to_ms);
}

static void age_due(void *self)
{
    struct markets *m = self;
    mend(m);
    market_age(m->market, wall(m));
    candles_time(m->candles, wall(m));
    timer_start(m->loop, &m->age_timer, loop_now_ms(m->loop) + AGE_MS, age_due, m);
}

/* ---- feeds on and off ---- */

static void set_watched(struct markets *m, uint32_t symbol, bool wanted)
{
    struct followed *w = followed_of(m, symbol);
    if (w->wanted != wanted) {
        w->wanted = wanted;
        metric_add(&symbols_watched, wanted ? 1 : -1);
    }
    if (m->feeds) {
        feeds_watch(m->feeds, symbol, wanted);
    }
    if (m->api) {
        api_main_symbol_watched(m->api, symbol, wanted);
    }
}

static void forget(struct markets *m)
{
    if (m->feeds) {
        feeds_stop(m->feeds);
        feeds_free(m->feeds);
        m->feeds = NULL;
    }
    archive_flush(m->archive);
    market_reset(m->market);
    candles_reset(m->candles);
    moods_reset(m->moods, m->replay);
    for (size_t i = 0; i < m->followed_count; i++) {
        m->followed[i].history_venue = MARKET_VENUES;
    }
}

static void start_feeds(struct markets *m)
{
    const struct options *o = m->opts.options;
    char ws[2][64];
    char rest[64];
    struct feeds_opts fo = {
        .loop = m->loop,
        .link = m->replay ? NULL : m->link,
        .fetch = m->replay ? NULL : m->fetch,
        .recorder = m->opts.recorder,
        .market = m->market,
        .mode = m->mode,
        .seed = (uint64_t)wall(m),
        .tick = on_tick,
        .late = on_late,
        .confirm = on_confirm,
        .down = on_down,
        .gap = on_gap,
        .history = on_history,
        .mode_changed = on_feed_mode,
        .offered = on_offered,
        .self = m,
    };
    static const enum provider_id providers[MARKET_VENUES] = {PROVIDER_BINANCE, PROVIDER_COINBASE,
                                                              PROVIDER_KRAKEN};
    snprintf(ws[0], sizeof(ws[0]), "ws://127.0.0.1:%u", m->port);
    snprintf(ws[1], sizeof(ws[1]), "ws://127.0.0.1:%u/v2", m->port);
    snprintf(rest, sizeof(rest), "http://127.0.0.1:%u", m->port);
    for (int v = 0; v < MARKET_VENUES; v++) {
        fo.ws_url[v] = m->port ? ws[v == MARKET_KRAKEN] : o->ws_url[v];
        fo.rest_url[v] = m->port ? rest : o->url[providers[v]];
    }
    m->feeds = feeds_new(&fo);
    for (size_t i = 0; i < m->followed_count; i++) {
        if (m->followed[i].wanted) {
            feeds_watch(m->feeds, (uint32_t)i, true);
        }
    }
    feeds_start(m->feeds);
    age_due(m);
}

void markets_use(struct markets *m, enum market_mode mode, uint16_t stand_in_port)
{
    m->replay = false;
    forget(m);
    m->mode = mode;
    m->port = stand_in_port;
    archive_set_mode(m->archive, mode);
    start_feeds(m);
}

void markets_use_replay(struct markets *m)
{
    m->replay = true;
    forget(m);
    m->mode = MODE_REPLAY;
    archive_set_mode(m->archive, MODE_REPLAY);
    start_feeds(m);
}

void markets_set_mode(struct markets *m, enum market_mode mode)
{
    if (m->mode == mode) {
        return;
    }
    m->mode = mode;
    archive_flush(m->archive);
    archive_set_mode(m->archive, mode);
    market_reset(m->market);
    candles_reset(m->candles);
    moods_reset(m->moods, m->replay);
    for (size_t i = 0; i < m->followed_count; i++) {
        m->followed[i].history_venue = MARKET_VENUES;
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

static enum market_venue venue_of_tape(enum tape_venue v)
{
    switch (v) {
    case TAPE_VENUE_BINANCE:
        return MARKET_BINANCE;
    case TAPE_VENUE_COINBASE:
    case TAPE_VENUE_COINBASE_ADVANCED:
        return MARKET_COINBASE;
    case TAPE_VENUE_KRAKEN:
        return MARKET_KRAKEN;
    default:
        return MARKET_VENUES;
    }
}

void markets_replay(struct markets *m, const struct tape_item *item)
{
    enum market_venue v = venue_of_tape(item->venue);
    if (v == MARKET_VENUES) {
        return;
    }
    switch (item->kind) {
    case TAPE_TEXT:
        feeds_replay_frame(m->feeds, v, item->frame);
        break;
    case TAPE_OPEN:
        feeds_replay_opened(m->feeds, v);
        break;
    case TAPE_CLOSE:
        feeds_replay_closed(m->feeds, v, item->status);
        break;
    case TAPE_HTTP:
    case TAPE_SENT:
        break;
    }
}

bool markets_replay_answer(struct markets *m, const struct tape_item *item,
                           const struct fetch_answer *a)
{
    enum market_venue v = venue_of_tape(item->venue);
    return v != MARKET_VENUES && feeds_take_recorded(m->feeds, v, item->record->purpose, a);
}

int64_t markets_tape_time_ns(const struct tape_item *item)
{
    enum market_venue v = venue_of_tape(item->venue);
    bool has = item->kind == TAPE_TEXT && v != MARKET_VENUES;
    return has ? feeds_frame_time(v, item->frame) * 1000000 : 0;
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
    m->candles = candles_new(
        &(struct candles_opts){.listener = {.closed = on_closed, .changed = on_candle, .self = m}});
    m->archive = archive_new(&(struct archive_opts){.loop = m->loop,
                                                    .db = opts->db,
                                                    .market = m->market,
                                                    .candles = m->candles,
                                                    .loaded = on_loaded,
                                                    .self = m});
    m->moods = moods_new(&(struct moods_opts){
        .loop = m->loop, .market = m->market, .candles = m->candles, .summary = opts->summary});
    enum err e = fetch_curl_new(m->loop, &m->fetch);
    if (e == OK) {
        e = link_curl_new(m->loop, &m->link);
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
    if (m->feeds) {
        feeds_stop(m->feeds);
        feeds_free(m->feeds);
        m->feeds = NULL;
    }
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

/* ---- health ---- */

struct health_walk {
    struct json_writer *w;
    int count, down, worst;
};

static void write_count(struct json_writer *w, const char *name, uint64_t value)
{
    json_key(w, name);
    json_i64(w, (int64_t)value);
}

static void write_time(struct json_writer *w, const char *name, int64_t unix_ms)
{
    json_key(w, name);
    if (unix_ms > 0) {
        json_time(w, unix_ms);
    } else {
        json_null(w);
    }
}

static void write_feed(void *self, const struct feed_health *h)
{
    struct health_walk *walk = self;
    struct json_writer *w = walk->w;
    walk->count++;
    walk->down += h->status == HEALTH_DOWN;
    walk->worst = h->status != HEALTH_OK ? 1 : walk->worst;
    json_object(w);
    json_key(w, "name");
    json_text(w, h->name);
    json_key(w, "status");
    json_text(w, health_status_text(h->status));
    json_key(w, "reason");
    json_text(w, h->reason && h->reason[0] ? h->reason : NULL);
    write_time(w, "since", h->since_ms);
    write_time(w, "next_try", h->next_try_ms);
    write_time(w, "last_frame", h->last_frame_ms);
    json_key(w, "url");
    json_text(w, h->url);
    write_count(w, "connections", h->connections);
    write_count(w, "symbols", h->symbols);
    write_count(w, "frames", h->frames);
    write_count(w, "ticks", h->ticks);
    write_count(w, "ignored", h->ignored);
    write_count(w, "rejected", h->rejected);
    write_count(w, "gaps", h->gaps);
    write_count(w, "repaired", h->repaired);
    write_count(w, "doubled", h->doubled);
    write_count(w, "reconnects", h->reconnects);
    write_count(w, "turnovers", h->turnovers);
    json_key(w, "lag_ms");
    if (h->has_lag) {
        json_i64(w, h->lag_ms);
    } else {
        json_null(w);
    }
    json_key(w, "weight");
    if (h->weight_limit) {
        json_object(w);
        write_count(w, "used", h->weight_used);
        write_count(w, "limit", h->weight_limit);
        json_object_end(w);
    } else {
        json_null(w);
    }
    json_object_end(w);
}

int markets_health(struct markets *m, struct json_writer *w)
{
    struct health_walk walk = {.w = w};
    if (!m->feeds || m->replay) {
        return 0;
    }
    feeds_health_each(m->feeds, write_feed, &walk);
    return walk.count && walk.down == walk.count ? 2 : walk.worst;
}
