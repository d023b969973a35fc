/* The feeds of the markets: starting and stopping them, what they say, what is asked of them,
 * frames of a recording in their place, and their health. SPDX-License-Identifier: MIT */
#include "app/archive.h"
#include "app/health.h"
#include "app/markets_in.h"
#include "app/moods.h"
#include "wire/exchange.h"

#include <assert.h>

static_assert((int)MARKET_BINANCE == (int)VENUE_BINANCE &&
                  (int)MARKET_COINBASE == (int)VENUE_COINBASE &&
                  (int)MARKET_KRAKEN == (int)VENUE_KRAKEN && (int)MARKET_VENUES == (int)VENUE_COUNT,
              "the venues of wire and market are the same");

enum {
    MEND_MS = 5000,
    MEND_MAX = 1000, /* minutes asked for at once */
};

/* ---- the feeds say ---- */

static void on_tick(void *self, const struct tick *t)
{
    struct markets *m = self;
    /* Implausible ones are counted and said in the quote by the market itself. */
    (void)!market_apply(m->market, t, markets_wall(m));
}

/* A trade older than what was given already: no news for the price. */
static void on_late(void *self, const struct tick *t)
{
    struct markets *m = self;
    (void)!market_late(m->market, t, markets_wall(m));
}

static void on_confirm(void *self, enum market_venue v, uint32_t symbol)
{
    struct markets *m = self;
    market_confirm(m->market, v, symbol, markets_wall(m));
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
    if (markets_follows(m, symbol) && archive_fill(m->archive, symbol, v, i, rows, count) > 0) {
        markets_history_came(m, symbol, i);
    }
}

/* A minute that is not among what was asked for had no trades. */
static void on_asked(void *self, enum market_venue v, uint32_t symbol, enum interval i,
                     int64_t from_ms, int64_t to_ms)
{
    struct markets *m = self;
    if (i == INTERVAL_1M) {
        candles_asked(m->candles, symbol, v, from_ms, to_ms);
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

/* ---- on and off ---- */

void markets_start_feeds(struct markets *m)
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
        .weight = {[MARKET_BINANCE] = m->opts.weight},
        .mode = m->mode,
        .seed = (uint64_t)markets_wall(m),
        .tick = on_tick,
        .late = on_late,
        .confirm = on_confirm,
        .down = on_down,
        .gap = on_gap,
        .history = on_history,
        .asked = on_asked,
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
}

void markets_stop_feeds(struct markets *m)
{
    if (m->feeds) {
        feeds_stop(m->feeds);
        feeds_free(m->feeds);
        m->feeds = NULL;
    }
}

/* ---- holes ---- */

void markets_mend(struct markets *m)
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

/* ---- a recording in their place ---- */

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

/* ---- health ---- */

static void write_feed(void *self, const struct feed_health *h)
{
    struct health_walk *walk = self;
    struct json_writer *w = walk->w;
    health_begin(walk, h->name, h->status, h->reason, h->since_ms);
    json_put_time(w, "next_try", h->next_try_ms);
    json_put_time(w, "last_frame", h->last_frame_ms);
    json_key(w, "url");
    json_text(w, h->url);
    json_put_count(w, "connections", h->connections);
    json_put_count(w, "symbols", h->symbols);
    json_put_count(w, "frames", h->frames);
    json_put_count(w, "ticks", h->ticks);
    json_put_count(w, "ignored", h->ignored);
    json_put_count(w, "rejected", h->rejected);
    json_put_count(w, "gaps", h->gaps);
    json_put_count(w, "repaired", h->repaired);
    json_put_count(w, "doubled", h->doubled);
    json_put_count(w, "reconnects", h->reconnects);
    json_put_count(w, "turnovers", h->turnovers);
    json_key(w, "lag_ms");
    if (h->has_lag) {
        json_i64(w, h->lag_ms);
    } else {
        json_null(w);
    }
    if (h->weight_limit) {
        health_used(w, "weight", h->weight_used, h->weight_limit);
    } else {
        json_key(w, "weight");
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
    return health_verdict(&walk);
}
