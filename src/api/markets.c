/* The main half of live markets: which symbols there are, their prices, the ticker.
 * SPDX-License-Identifier: MIT */
#include "api/main_in.h"
#include "api/market_messages.h"
#include "base/alloc.h"
#include "base/log.h"

enum { TICKER_MS = 1000, WANTS_MS = 10000, LINGER_MS = 60000 };

static bool is_live(const struct api_main *a)
{
    return a->opts.settings->sources && a->opts.market;
}

static const char *mode_text(const struct api_main *a)
{
    return market_mode_text(a->opts.summary->mode);
}

/* ---- symbols and keys ---- */

/* CATALOGUE_NONE: there are as many as there may be. */
static uint32_t add_symbol(struct api_main *a, struct str name)
{
    struct markets *m = &a->markets;
    uintptr_t found = (uintptr_t)map_get(&m->by_name, name);
    if (found) {
        return (uint32_t)(found - 1);
    }
    if (m->count > TABLE_KEY_MAX || name.len == 0 || name.len > MARKET_SYMBOL_LEN ||
        map_put(&m->by_name, name, (void *)(m->count + 1)) != OK) {
        log_warn("api", "symbol left out", "symbol=%.*s", STR_ARG(name));
        return CATALOGUE_NONE;
    }
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 64;
        m->symbols = mem_resize(m->symbols, m->cap * sizeof(*m->symbols));
    }
    struct main_symbol *s = &m->symbols[m->count];
    *s = (struct main_symbol){.market_id = MARKET_NO_SYMBOL};
    memcpy(s->name, name.ptr, name.len);
    return (uint32_t)m->count++;
}

static void catalogue_changed(struct api_main *a)
{
    catalogue_unref(a->markets.catalogue);
    a->markets.catalogue = NULL;
    main_answers_soon(a);
}

static void grow_ids(struct markets *m, uint32_t market_id)
{
    size_t count = max_size((size_t)market_id + 1, m->key_of_count * 2);
    m->key_of = mem_resize(m->key_of, count * sizeof(*m->key_of));
    m->is_marked = mem_resize(m->is_marked, count);
    for (size_t i = m->key_of_count; i < count; i++) {
        m->key_of[i] = CATALOGUE_NONE;
        m->is_marked[i] = 0;
    }
    m->key_of_count = count;
}

uint32_t markets_key(struct api_main *a, uint32_t market_id)
{
    struct markets *m = &a->markets;
    if (market_id >= m->key_of_count) {
        grow_ids(m, market_id);
    }
    if (m->key_of[market_id] == CATALOGUE_NONE) {
        uint32_t key = add_symbol(a, str_of(market_symbol(a->opts.market, market_id)));
        if (key != CATALOGUE_NONE) {
            m->key_of[market_id] = key;
            m->symbols[key].market_id = market_id;
            catalogue_changed(a);
        }
    }
    return m->key_of[market_id];
}

struct catalogue *markets_catalogue(struct markets *m)
{
    if (!m->catalogue) {
        struct catalogue_entry *entries = mem_array(m->count + 1, sizeof(*entries));
        for (size_t i = 0; i < m->count; i++) {
            const struct main_symbol *s = &m->symbols[i];
            entries[i] = (struct catalogue_entry){
                .key = (uint32_t)i,
                .flags =
                    (uint8_t)((s->watched ? SYMBOL_WATCHED : 0) |
                              (s->offered ? SYMBOL_OFFERED : 0) | (s->asked ? SYMBOL_ASKED : 0)),
            };
            memcpy(entries[i].name, s->name, sizeof(s->name));
        }
        m->catalogue = catalogue_new(entries, m->count);
        mem_free(entries);
    }
    return m->catalogue;
}

void api_main_symbol_watched(struct api_main *a, uint32_t symbol, bool watched)
{
    uint32_t key = is_live(a) ? markets_key(a, symbol) : CATALOGUE_NONE;
    if (key != CATALOGUE_NONE && a->markets.symbols[key].watched != watched) {
        a->markets.symbols[key].watched = watched;
        catalogue_changed(a);
    }
}

void api_main_symbol_offered(struct api_main *a, struct str symbol)
{
    uint32_t key = is_live(a) ? add_symbol(a, symbol) : CATALOGUE_NONE;
    if (key != CATALOGUE_NONE && !a->markets.symbols[key].offered) {
        a->markets.symbols[key].offered = true;
        catalogue_changed(a);
    }
}

/* ---- who wants what ---- */

static void wants_due(void *self)
{
    struct api_main *a = self;
    uint64_t now = loop_now_ms(a->opts.loop);
    bool more = false;
    for (size_t i = 0; i < a->markets.count; i++) {
        struct main_symbol *s = &a->markets.symbols[i];
        if (!s->asked || s->wanted) {
            continue;
        }
        if (now - s->unwanted_ms >= LINGER_MS) {
            s->asked = false;
            catalogue_changed(a);
            a->opts.want(a->opts.self, str_of(s->name), false);
        } else {
            more = true;
        }
    }
    if (more) {
        timer_start(a->opts.loop, &a->markets.wants_timer, now + WANTS_MS, wants_due, a);
    }
}

static void want_symbol(struct api_main *a, struct main_symbol *s, bool on)
{
    if (on) {
        s->wanted++;
        if (!s->watched && !s->asked && a->opts.want) {
            s->asked = true;
            catalogue_changed(a);
            a->opts.want(a->opts.self, str_of(s->name), true);
        }
        return;
    }
    s->wanted -= s->wanted > 0;
    if (!s->wanted && s->asked) { /* who reconnects within a minute finds it still running */
        s->unwanted_ms = loop_now_ms(a->opts.loop);
        if (!timer_active(&a->markets.wants_timer)) {
            timer_start(a->opts.loop, &a->markets.wants_timer, s->unwanted_ms + WANTS_MS, wants_due,
                        a);
        }
    }
}

void letter_want(void *self, void *unused, uint64_t number)
{
    struct api_main *a = self;
    struct want_id w = want_of_number(number);
    (void)unused;
    if (w.key >= a->markets.count) {
        return;
    }
    want_symbol(a, &a->markets.symbols[w.key], w.on);
    if (w.slot != WANT_PRICE) {
        candle_channels_watch(a, w.key, (enum interval)w.slot, w.on);
    }
}

/* ---- publishing ---- */

void markets_publish(struct api_main *a, const struct channel_info *channel, uint32_t key,
                     struct str data, bool named)
{
    struct buf payload = {0};
    char cursor[CURSOR_LEN + 1];
    hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub), cursor);
    struct str slice = message_envelope(&payload, channel->type, named ? channel->name : NULL, data,
                                        loop_wall_ms(a->opts.loop), mode_text(a), cursor);
    hub_publish_data(a->opts.hub, channel, key, buf_str(&payload), slice, 0);
    main_count_published(1);
    buf_fini(&payload);
}

static int by_id(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The rows of one turn: all texts in one buf, which only then stands still. */
static void publish_rows(struct api_main *a, const uint32_t *ids, size_t count)
{
    struct markets *m = &a->markets;
    struct hub_row *rows = mem_array(count, sizeof(*rows));
    struct str *values = mem_array(count * PRICE_FIELDS, sizeof(*values));
    size_t(*ends)[PRICE_FIELDS] = mem_array(count, sizeof(*ends));
    uint64_t origin_us = 0;
    size_t at = 0;
    buf_clear(&m->price_text);
    for (size_t i = 0; i < count; i++) {
        const struct quote *q = market_quote(a->opts.market, ids[i]);
        origin_us = max_u64(origin_us, q->received_us);
        message_price_values(&m->price_text, ends[i], market_symbol(a->opts.market, ids[i]), q);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t key = m->key_of[ids[i]];
        for (size_t f = 0; f < PRICE_FIELDS; f++) {
            values[i * PRICE_FIELDS + f] = str_sub(buf_str(&m->price_text), at, ends[i][f] - at);
            at = ends[i][f];
        }
        rows[i] = (struct hub_row){
            .key = key, .name = str_of(m->symbols[key].name), .values = &values[i * PRICE_FIELDS]};
    }
    uint64_t seq = hub_next_seq(a->opts.hub);
    hub_publish_rows(a->opts.hub, m->prices, rows, count, loop_wall_ms(a->opts.loop), mode_text(a),
                     origin_us);
    main_count_published((int64_t)(hub_next_seq(a->opts.hub) - seq));
    mem_free(ends);
    mem_free(values);
    mem_free(rows);
}

static void publish_prices(void *self)
{
    struct api_main *a = self;
    struct markets *m = &a->markets;
    if (!m->marked_count) {
        return;
    }
    qsort(m->marked, m->marked_count, sizeof(*m->marked), by_id);
    for (size_t i = 0; i < m->marked_count; i++) {
        m->is_marked[m->marked[i]] = 0;
    }
    publish_rows(a, m->marked, m->marked_count);
    m->marked_count = 0;
}

static void ticker_due(void *self)
{
    struct api_main *a = self;
    struct buf data = {0};
    message_ticker(&data, a->opts.market, loop_wall_ms(a->opts.loop), mode_text(a));
    markets_publish(a, a->markets.ticker, 0, buf_str(&data), false);
    buf_fini(&data);
}

void api_main_quote_changed(struct api_main *a, uint32_t symbol)
{
    struct markets *m = &a->markets;
    if (!is_live(a) || markets_key(a, symbol) == CATALOGUE_NONE) {
        return;
    }
    if (!timer_active(&m->ticker_timer)) {
        timer_start(a->opts.loop, &m->ticker_timer, loop_now_ms(a->opts.loop) + TICKER_MS,
                    ticker_due, a);
    }
    if (m->is_marked[symbol]) {
        return;
    }
    if (m->marked_count == m->marked_cap) {
        m->marked_cap = m->marked_cap ? m->marked_cap * 2 : 64;
        m->marked = mem_resize(m->marked, m->marked_cap * sizeof(*m->marked));
    }
    m->is_marked[symbol] = 1;
    m->marked[m->marked_count++] = symbol;
    loop_defer(a->opts.loop, &m->publish, publish_prices, a);
}

int64_t markets_exchange_lag(const struct api_main *a)
{
    int64_t lag = LAG_UNKNOWN;
    int64_t newest = 0;
    size_t count = a->opts.market ? market_count(a->opts.market) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct quote *q = market_quote(a->opts.market, (uint32_t)i);
        for (int v = 0; v < MARKET_VENUES; v++) {
            const struct feed_quote *f = &q->feeds[v];
            if (f->known && f->exchange_ms && f->received_ms > newest) {
                newest = f->received_ms;
                lag = f->received_ms - f->exchange_ms;
            }
        }
    }
    return lag;
}

/* ---- life ---- */

enum err markets_init(struct api_main *a)
{
    struct markets *m = &a->markets;
    enum err e = hub_table(a->opts.hub, STR("price_updates"), STR("price_updates"),
                           STR("market_update"), price_fields, PRICE_FIELDS, &m->prices);
    if (e == OK) {
        e = hub_channel(a->opts.hub, STR("ticker"), STR("ticker"), CHANNEL_STATE, &m->ticker);
    }
    return e == OK ? signals_init(a) : e;
}

void markets_fini(struct api_main *a)
{
    struct markets *m = &a->markets;
    loop_undefer(&m->publish);
    timer_stop(a->opts.loop, &m->ticker_timer);
    timer_stop(a->opts.loop, &m->wants_timer);
    candle_channels_fini(a);
    signals_fini(a);
    catalogue_unref(m->catalogue);
    map_fini(&m->by_name);
    buf_fini(&m->price_text);
    mem_free(m->symbols);
    mem_free(m->key_of);
    mem_free(m->is_marked);
    mem_free(m->marked);
}

void markets_start(struct api_main *a)
{
    if (is_live(a)) {
        signals_start(a);
    }
}

void markets_again(struct api_main *a)
{
    if (!is_live(a)) {
        return;
    }
    for (size_t i = 0; i < a->markets.count; i++) {
        uint32_t id = a->markets.symbols[i].market_id;
        if (id != MARKET_NO_SYMBOL) {
            api_main_quote_changed(a, id);
        }
    }
    candle_channels_again(a);
    signals_again(a);
}
