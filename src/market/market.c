/* SPDX-License-Identifier: MIT */
#include "market/market.h"

#include "base/alloc.h"
#include "base/map.h"
#include "market/quote.h"

#include <assert.h>
#include <math.h>

#define MAX_SYMBOLS 2000

struct symbol {
    char name[MARKET_SYMBOL_LEN + 1];
    uint32_t id;
    struct quote_state state;
};

struct market {
    struct market_opts opts;
    struct map names;        /* to struct symbol */
    struct symbol **symbols; /* each alone on the heap: readers keep pointers to quotes */
    size_t count;
    uint32_t usdt;                   /* MARKET_NO_SYMBOL: nobody asked for it */
    double rate;                     /* USDT in USD; NaN */
    int64_t now_ms;                  /* as last told */
    bool rate_is_news;               /* to all symbols but those that had a tick since */
    int64_t swept_ms[MARKET_VENUES]; /* the last confirmation of all symbols of a venue */
};

const char *market_venue_name(enum market_venue v)
{
    static const char *const names[MARKET_VENUES] = {"binance", "coinbase", "kraken"};
    assert(v < MARKET_VENUES);
    return names[v];
}

struct market *market_new(const struct market_opts *opts)
{
    static const uint32_t fresh_ms[MARKET_VENUES] = {60000, 10000, 10000};
    struct market *m = mem_zero(sizeof(*m));
    m->opts = *opts;
    m->opts.max_symbols = opts->max_symbols ? opts->max_symbols : MAX_SYMBOLS;
    for (int v = 0; v < MARKET_VENUES; v++) {
        m->opts.fresh_ms[v] = opts->fresh_ms[v] ? opts->fresh_ms[v] : fresh_ms[v];
        m->swept_ms[v] = INT64_MIN;
    }
    map_init(&m->names, m->opts.max_symbols);
    m->symbols = mem_array(m->opts.max_symbols, sizeof(struct symbol *));
    m->usdt = MARKET_NO_SYMBOL;
    m->rate = NAN;
    return m;
}

void market_free(struct market *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        mem_free(m->symbols[i]);
    }
    mem_free(m->symbols);
    map_fini(&m->names);
    mem_free(m);
}

void market_reset(struct market *m)
{
    for (size_t i = 0; i < m->count; i++) {
        quote_reset(&m->symbols[i]->state);
    }
    for (int v = 0; v < MARKET_VENUES; v++) {
        m->swept_ms[v] = INT64_MIN;
    }
    m->rate = NAN;
    m->rate_is_news = false;
}

/* ---- symbols ---- */

static bool read_symbol(struct str text, char out[MARKET_SYMBOL_LEN + 1])
{
    if (text.len == 0 || text.len > MARKET_SYMBOL_LEN) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool lower = c >= 'a' && c <= 'z';
        if (!lower && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) {
            return false;
        }
        out[i] = lower ? (char)(c - 'a' + 'A') : c;
    }
    out[text.len] = '\0';
    return true;
}

enum err market_add_symbol(struct market *m, struct str symbol, uint32_t *id)
{
    char name[MARKET_SYMBOL_LEN + 1];
    if (!read_symbol(symbol, name)) {
        return ERR_SYNTAX;
    }
    struct str key = str_make(name, symbol.len);
    struct symbol *s = map_get(&m->names, key);
    if (!s) {
        if (m->count >= m->opts.max_symbols) {
            return ERR_LIMIT;
        }
        s = mem_zero(sizeof(*s));
        memcpy(s->name, name, symbol.len + 1);
        s->id = (uint32_t)m->count;
        quote_reset(&s->state);
        enum err e = map_put(&m->names, key, s);
        if (e != OK) {
            mem_free(s);
            return e;
        }
        m->symbols[m->count++] = s;
        s->state.is_rate = str_eq(key, STR("USDT"));
        m->usdt = s->state.is_rate ? s->id : m->usdt;
    }
    *id = s->id;
    return OK;
}

uint32_t market_find(const struct market *m, struct str symbol)
{
    char name[MARKET_SYMBOL_LEN + 1];
    if (!read_symbol(symbol, name)) {
        return MARKET_NO_SYMBOL;
    }
    const struct symbol *s = map_get(&m->names, str_make(name, symbol.len));
    return s ? s->id : MARKET_NO_SYMBOL;
}

size_t market_count(const struct market *m)
{
    return m->count;
}

const char *market_symbol(const struct market *m, uint32_t id)
{
    assert(id < m->count);
    return m->symbols[id]->name;
}

const struct quote *market_quote(const struct market *m, uint32_t symbol)
{
    assert(symbol < m->count);
    return &m->symbols[symbol]->state.quote;
}

double market_usdt_rate(const struct market *m)
{
    return m->rate;
}

/* ---- making quotes anew ---- */

static void make_all_anew(struct market *m, int64_t now_ms);

/* The rate may be new with any change of USDT's own quote. Another number waits for market_age(),
 * for else each trade of USDT would touch all symbols; that there is one or none does not wait. */
static void take_rate(struct market *m, int64_t now_ms)
{
    const struct quote *q = market_quote(m, m->usdt);
    double rate = q->known && !q->stale && !q->usdt ? decimal_double(q->price) : (double)NAN;
    bool turned = isnan(rate) != isnan(m->rate);
    bool moved = !turned && !isnan(rate) && rate != m->rate;
    m->rate = rate;
    m->rate_is_news = m->rate_is_news || moved;
    if (turned) {
        make_all_anew(m, now_ms);
    }
}

static bool make_anew(struct market *m, struct symbol *s, int64_t now_ms)
{
    /* USDT is priced by its own feeds, never by itself. */
    double rate = s->id == m->usdt ? (double)NAN : m->rate;
    bool changed = quote_make(&s->state, rate, m->opts.fresh_ms, now_ms);
    if (changed && s->id == m->usdt) {
        take_rate(m, now_ms);
    }
    return changed;
}

static void tell(struct market *m, const struct symbol *s)
{
    if (m->opts.listener.changed) {
        m->opts.listener.changed(m->opts.listener.self, s->id);
    }
}

static void make_and_tell(struct market *m, struct symbol *s, int64_t now_ms)
{
    if (make_anew(m, s, now_ms)) {
        tell(m, s);
    }
}

static void make_all_anew(struct market *m, int64_t now_ms)
{
    m->rate_is_news = false;
    for (size_t i = 0; i < m->count; i++) {
        if (m->symbols[i]->id != m->usdt) {
            make_and_tell(m, m->symbols[i], now_ms);
        }
    }
}

/* ---- our clock ---- */

static void no_later(int64_t *at_ms, int64_t now_ms)
{
    *at_ms = *at_ms < now_ms ? *at_ms : now_ms;
}

/* Our clock was set back: what was said later than now was said now, at the latest. Else it would
 * stay young until that time comes again. */
static void set_back(struct market *m, int64_t now_ms)
{
    for (size_t i = 0; i < m->count; i++) {
        struct quote_state *s = &m->symbols[i]->state;
        for (int v = 0; v < MARKET_VENUES; v++) {
            no_later(&s->quote.feeds[v].confirmed_ms, now_ms);
            no_later(&s->quote.feeds[v].received_ms, now_ms);
            no_later(&s->feeds[v].last_received_ms, now_ms);
            no_later(&s->feeds[v].book_received_ms, now_ms);
            no_later(&s->feeds[v].good_ms, now_ms);
        }
        s->next_change_ms = now_ms;
    }
}

static void take_now(struct market *m, int64_t now_ms)
{
    if (now_ms < m->now_ms) {
        set_back(m, now_ms);
    }
    m->now_ms = now_ms;
}

/* ---- what feeds say ---- */

static void raise_up(struct symbol *s, enum market_venue v, int64_t now_ms)
{
    s->state.feeds[v].down = NULL;
    s->state.feeds[v].down_only = NULL;
    s->state.quote.feeds[v].confirmed_ms = now_ms;
}

enum err market_apply(struct market *m, const struct tick *t, int64_t now_ms)
{
    assert(t->symbol < m->count && t->venue < MARKET_VENUES);
    struct symbol *s = m->symbols[t->symbol];
    struct feed_quote *f = &s->state.quote.feeds[t->venue];
    take_now(m, now_ms);
    enum err e = quote_check(&s->state, t, now_ms);
    if (e == ERR_RANGE) {
        s->state.feeds[t->venue].implausible = true;
        f->rejected++;
        return e;
    }
    raise_up(s, t->venue, now_ms);
    if (e == OK) {
        s->state.feeds[t->venue].implausible = false;
        quote_keep(&s->state, t, now_ms);
    }
    bool changed = make_anew(m, s, now_ms);
    if (e == OK && f->outlier) {
        f->outliers++;
        s->state.quote.outliers++;
    }
    if (e == OK && t->kind == TICK_TRADE && m->opts.listener.trade) {
        m->opts.listener.trade(m->opts.listener.self, t);
    }
    if (changed) {
        s->state.quote.received_us = t->received_us;
        tell(m, s);
    }
    return e;
}

enum err market_late(struct market *m, const struct tick *t, int64_t now_ms)
{
    assert(t->symbol < m->count && t->venue < MARKET_VENUES && t->kind == TICK_TRADE);
    struct symbol *s = m->symbols[t->symbol];
    take_now(m, now_ms);
    enum err e = quote_plausible(&s->state, t, now_ms);
    if (e != OK) {
        s->state.quote.feeds[t->venue].rejected++;
    } else if (m->opts.listener.trade) {
        m->opts.listener.trade(m->opts.listener.self, t);
    }
    return e;
}

static void confirm_one(struct market *m, struct symbol *s, enum market_venue v, int64_t now_ms)
{
    struct feed_quote *f = &s->state.quote.feeds[v];
    bool was_fresh = f->fresh;
    if (s->state.feeds[v].implausible) {
        return; /* what it said before does not hold, and what it says now cannot be */
    }
    raise_up(s, v, now_ms);
    if (f->known && !was_fresh) {
        make_and_tell(m, s, now_ms);
    }
}

void market_confirm(struct market *m, enum market_venue v, uint32_t symbol, int64_t now_ms)
{
    assert(v < MARKET_VENUES);
    take_now(m, now_ms);
    if (symbol != MARKET_NO_SYMBOL) {
        assert(symbol < m->count);
        confirm_one(m, m->symbols[symbol], v, now_ms);
        return;
    }
    if (m->swept_ms[v] == now_ms) {
        return; /* many frames in one millisecond, each a sign of life */
    }
    m->swept_ms[v] = now_ms;
    for (size_t i = 0; i < m->count; i++) {
        if (!m->symbols[i]->state.feeds[v].down_only) {
            confirm_one(m, m->symbols[i], v, now_ms);
        }
    }
}

static void put_down(struct market *m, struct symbol *s, enum market_venue v, const char *reason,
                     bool only)
{
    struct feed_state *f = &s->state.feeds[v];
    struct feed_quote *q = &s->state.quote.feeds[v];
    if (only) {
        f->down_only = reason;
    } else {
        f->down = reason;
    }
    /* While nobody tells us the market moves on: what was last is no price of now any more. */
    q->bid = q->ask = (struct decimal){0};
    f->has_last = false;
    make_and_tell(m, s, m->now_ms);
}

void market_down(struct market *m, enum market_venue v, uint32_t symbol, const char *reason)
{
    assert(v < MARKET_VENUES && reason[0]);
    if (symbol != MARKET_NO_SYMBOL) {
        assert(symbol < m->count);
        put_down(m, m->symbols[symbol], v, reason, true);
        return;
    }
    m->swept_ms[v] = INT64_MIN;
    for (size_t i = 0; i < m->count; i++) {
        put_down(m, m->symbols[i], v, reason, false);
    }
}

void market_age(struct market *m, int64_t now_ms)
{
    take_now(m, now_ms);
    if (m->usdt != MARKET_NO_SYMBOL && now_ms >= m->symbols[m->usdt]->state.next_change_ms) {
        make_and_tell(m, m->symbols[m->usdt], now_ms);
    }
    if (m->rate_is_news) {
        make_all_anew(m, now_ms);
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        if (now_ms >= m->symbols[i]->state.next_change_ms) {
            make_and_tell(m, m->symbols[i], now_ms);
        }
    }
}
