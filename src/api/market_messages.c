/* SPDX-License-Identifier: MIT */
#include "api/market_messages.h"

#include "api/messages.h"
#include "wire/exchange.h"

#include <math.h>

const char *const price_fields[PRICE_FIELDS] = {
    [PRICE_SYMBOL] = "symbol",
    [PRICE_PRICE] = "price",
    [PRICE_QUOTE] = "quote",
    [PRICE_CHANGE_24H] = "change_24h",
    [PRICE_VOLUME_24H] = "volume_24h",
    [PRICE_HIGH_24H] = "high_24h",
    [PRICE_LOW_24H] = "low_24h",
    [PRICE_BID] = "bid",
    [PRICE_ASK] = "ask",
    [PRICE_TIMESTAMP] = "timestamp",
    [PRICE_STALE] = "stale",
    [PRICE_REASON] = "reason",
    [PRICE_SPREAD_PCT] = "spread_pct",
    [PRICE_FEEDS] = "feeds",
    [PRICE_OUTLIERS] = "outliers",
    [PRICE_SOURCES] = "sources",
};

/* ---- small things ---- */

static void write_exact(struct json_writer *w, struct decimal d, bool known)
{
    char text[DECIMAL_TEXT_LEN + 1];
    if (known) {
        size_t len = decimal_text(d, text);
        json_raw(w, str_make(text, len));
    } else {
        json_null(w);
    }
}

static void write_book_side(struct json_writer *w, struct decimal d)
{
    write_exact(w, d, !decimal_is_zero(d));
}

/* A computed price: nine significant digits, for more would be noise of the conversion. */
static void write_computed(struct json_writer *w, double value)
{
    int whole = value >= 1 ? (int)floor(log10(value)) + 1 : 0;
    json_decimal(w, value, value >= 1 ? (whole < 9 ? 9 - whole : 0) : 12);
}

static void write_reason(struct json_writer *w, const char *reason)
{
    json_text(w, reason && reason[0] ? reason : NULL);
}

static const char *unit(bool usdt)
{
    return usdt ? "USDT" : "USD";
}

/* What the venue calls the symbol; null where it has no name of its own for it. */
static void write_instrument(struct json_writer *w, enum market_venue v, const char *symbol)
{
    struct buf name = {0};
    if (exchange_instrument((enum venue)v, str_of(symbol), &name)) {
        json_str(w, buf_str(&name));
    } else {
        json_null(w);
    }
    buf_fini(&name);
}

/* ---- price_updates ---- */

static void write_sources(struct json_writer *w, const char *symbol, const struct quote *q)
{
    json_array(w);
    for (int v = 0; v < MARKET_VENUES; v++) {
        const struct feed_quote *f = &q->feeds[v];
        if (!f->known) {
            continue;
        }
        json_object(w);
        json_key(w, "feed");
        json_text(w, market_venue_name((enum market_venue)v));
        json_key(w, "instrument");
        write_instrument(w, (enum market_venue)v, symbol);
        json_key(w, "quote");
        json_text(w, unit(f->usdt));
        json_key(w, "fresh");
        json_bool(w, f->fresh);
        json_key(w, "used");
        json_bool(w, f->used);
        json_object_end(w);
    }
    json_array_end(w);
}

/* How many feeds stand behind the price now. */
static int fresh_feeds(const struct quote *q)
{
    int count = 0;
    for (int v = 0; v < MARKET_VENUES; v++) {
        count += q->feeds[v].fresh;
    }
    return count;
}

static void write_price_field(struct json_writer *w, int field, const char *symbol,
                              const struct quote *q)
{
    switch (field) {
    case PRICE_SYMBOL:
        json_text(w, symbol);
        break;
    case PRICE_PRICE:
        write_exact(w, q->price, q->known);
        break;
    case PRICE_QUOTE:
        json_text(w, unit(q->usdt));
        break;
    case PRICE_CHANGE_24H:
        json_decimal(w, q->change_24h_pct, 4);
        break;
    case PRICE_VOLUME_24H:
        json_decimal(w, q->volume_24h_usd, 2);
        break;
    case PRICE_HIGH_24H:
        write_computed(w, q->high_24h);
        break;
    case PRICE_LOW_24H:
        write_computed(w, q->low_24h);
        break;
    case PRICE_BID:
        write_book_side(w, q->bid);
        break;
    case PRICE_ASK:
        write_book_side(w, q->ask);
        break;
    case PRICE_TIMESTAMP:
        json_time_or_null(w, q->known ? q->exchange_ms : 0);
        break;
    case PRICE_STALE:
        json_bool(w, q->stale || !q->known);
        break;
    case PRICE_REASON:
        write_reason(w, q->reason);
        break;
    case PRICE_FEEDS:
        json_i64(w, fresh_feeds(q));
        break;
    case PRICE_OUTLIERS:
        json_i64(w, q->outliers);
        break;
    case PRICE_SPREAD_PCT:
        json_decimal(w, q->spread_pct, 4);
        break;
    default:
        write_sources(w, symbol, q);
    }
}

void message_price_values(struct buf *out, size_t ends[PRICE_FIELDS], const char *symbol,
                          const struct quote *q)
{
    for (int i = 0; i < PRICE_FIELDS; i++) {
        struct json_writer w;
        json_begin(&w, out);
        write_price_field(&w, i, symbol, q);
        ends[i] = out->len;
    }
}

/* ---- the whole market ---- */

static void write_movers(struct json_writer *w, const struct market *m,
                         const struct market_mover *movers, size_t count)
{
    json_array(w);
    for (size_t i = 0; i < count; i++) {
        const struct quote *q = market_quote(m, movers[i].symbol);
        json_object(w);
        json_key(w, "symbol");
        json_text(w, market_symbol(m, movers[i].symbol));
        json_key(w, "change_24h");
        json_decimal(w, movers[i].change_24h_pct, 4);
        json_key(w, "price");
        write_exact(w, q->price, q->known);
        json_key(w, "quote");
        json_text(w, unit(q->usdt));
        json_object_end(w);
    }
    json_array_end(w);
}

void message_ticker(struct buf *out, const struct market *m, int64_t now_ms, const char *mode)
{
    struct market_totals t;
    struct json_writer w;
    market_totals(m, &t);
    size_t moved = t.advancers + t.decliners;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "totals");
    json_object(&w);
    json_put_count(&w, "symbols", t.symbols);
    json_put_count(&w, "known", t.known);
    json_put_count(&w, "fresh", t.fresh);
    json_key(&w, "volume_24h");
    json_decimal(&w, t.volume_24h_usd, 2);
    json_object_end(&w);
    json_key(&w, "breadth");
    json_object(&w);
    json_put_count(&w, "advancers", t.advancers);
    json_put_count(&w, "decliners", t.decliners);
    json_put_count(&w, "unchanged", t.unchanged);
    json_key(&w, "value");
    json_decimal(&w, moved ? ((double)t.advancers - (double)t.decliners) / (double)moved : NAN, 4);
    json_object_end(&w);
    json_key(&w, "gainers");
    write_movers(&w, m, t.gainers, t.gainer_count);
    json_key(&w, "losers");
    write_movers(&w, m, t.losers, t.loser_count);
    json_key(&w, "reason");
    write_reason(&w, t.fresh ? NULL : "no fresh price of any symbol");
    message_stamp(&w, now_ms, mode, NULL);
    json_object_end(&w);
}

/* ---- one symbol ---- */

static void write_feed(struct json_writer *w, enum market_venue v, const char *symbol,
                       const struct feed_quote *f, int64_t now_ms)
{
    int64_t as_of = f->exchange_ms ? f->exchange_ms : f->received_ms;
    json_object(w);
    json_key(w, "feed");
    json_text(w, market_venue_name(v));
    json_key(w, "instrument");
    write_instrument(w, v, symbol);
    json_key(w, "quote");
    json_text(w, unit(f->usdt));
    json_key(w, "price");
    write_exact(w, f->price, f->known);
    json_key(w, "price_usd");
    write_computed(w, f->price_usd);
    json_key(w, "bid");
    write_book_side(w, f->bid);
    json_key(w, "ask");
    write_book_side(w, f->ask);
    json_key(w, "change_24h");
    json_decimal(w, f->change_24h_pct, 4);
    json_key(w, "volume_24h");
    json_decimal(w, f->volume_24h_usd, 2);
    json_put_time(w, "as_of", as_of);
    json_key(w, "age_s");
    json_decimal(w, as_of ? (double)(now_ms - as_of) / 1000.0 : NAN, 3);
    json_put_time(w, "confirmed", f->confirmed_ms);
    json_key(w, "fresh");
    json_bool(w, f->fresh);
    json_key(w, "used");
    json_bool(w, f->used);
    json_key(w, "outlier");
    json_bool(w, f->outlier);
    json_key(w, "reason");
    write_reason(w, f->reason);
    json_object_end(w);
}

static void write_quote(struct json_writer *w, const struct asset_text *a)
{
    json_object(w);
    for (int i = 0; i < PRICE_FIELDS; i++) {
        if (i != PRICE_SYMBOL && i != PRICE_SOURCES) {
            json_key(w, price_fields[i]);
            write_price_field(w, i, a->symbol, a->q);
        }
    }
    json_object_end(w);
}

void message_asset(struct buf *out, const struct asset_text *a, int64_t now_ms)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "symbol");
    json_text(&w, a->symbol);
    json_key(&w, "watched");
    json_bool(&w, a->watched);
    json_key(&w, "offered");
    json_bool(&w, a->offered);
    json_key(&w, "price");
    if (a->q) {
        write_quote(&w, a);
    } else {
        json_null(&w);
    }
    json_key(&w, "feeds");
    json_array(&w);
    for (int v = 0; a->q && v < MARKET_VENUES; v++) {
        if (a->q->feeds[v].known || (a->q->feeds[v].reason && a->q->feeds[v].reason[0])) {
            write_feed(&w, (enum market_venue)v, a->symbol, &a->q->feeds[v], now_ms);
        }
    }
    json_array_end(&w);
    json_key(&w, "candle_venue");
    json_text(&w, a->venue == MARKET_VENUES ? NULL : market_venue_name(a->venue));
    json_key(&w, "signal");
    if (a->signal.len) {
        json_raw(&w, a->signal);
    } else {
        json_null(&w);
    }
    json_key(&w, "reason");
    json_text(&w, a->q ? NULL
                       : "an exchange offers it, but it is watched only while a client "
                         "subscribes to it");
    message_stamp(&w, now_ms, a->mode, NULL);
    json_object_end(&w);
}

/* ---- candles ---- */

void message_candles_head(struct json_writer *w, const struct candles_text *t)
{
    bool known = t->venue != MARKET_VENUES;
    json_key(w, "symbol");
    json_text(w, t->symbol);
    json_key(w, "interval");
    json_text(w, interval_name(t->interval));
    json_key(w, "venue");
    json_text(w, known ? market_venue_name(t->venue) : NULL);
    json_key(w, "quote");
    json_text(w, known ? unit(t->usdt) : NULL);
}

void message_candle(struct json_writer *w, const struct candle *c, enum market_venue head)
{
    json_object(w);
    json_key(w, "time");
    json_time(w, c->open_ms);
    json_key(w, "open");
    write_exact(w, c->open, true);
    json_key(w, "high");
    write_exact(w, c->high, true);
    json_key(w, "low");
    write_exact(w, c->low, true);
    json_key(w, "close");
    write_exact(w, c->close, true);
    json_key(w, "volume");
    write_exact(w, c->volume, true);
    json_key(w, "quote_volume");
    json_decimal(w, c->quote_volume, 8);
    json_key(w, "taker_buy_volume");
    json_decimal(w, c->taker_buy, 8);
    json_key(w, "trades");
    if (c->trades) {
        json_i64(w, c->trades);
    } else {
        json_null(w);
    }
    json_key(w, "closed");
    json_bool(w, (c->flags & CANDLE_CLOSED) != 0);
    json_key(w, "gap");
    json_bool(w, (c->flags & CANDLE_GAP) != 0);
    json_key(w, "repaired");
    json_bool(w, (c->flags & CANDLE_REPAIRED) != 0);
    json_key(w, "amended");
    json_bool(w, (c->flags & CANDLE_AMENDED) != 0);
    json_key(w, "history");
    json_bool(w, (c->flags & CANDLE_HISTORY) != 0);
    if (c->venue != head && c->venue < MARKET_VENUES) {
        json_key(w, "venue");
        json_text(w, market_venue_name(c->venue));
    }
    json_object_end(w);
}

/* ---- envelopes ---- */

struct str message_envelope(struct buf *out, const char *type, const char *channel, struct str data,
                            int64_t now_ms, const char *mode, const char *cursor)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, type);
    if (channel) {
        json_key(&w, "channel");
        json_text(&w, channel);
    }
    json_key(&w, "data");
    size_t at = out->len;
    json_raw(&w, data);
    message_stamp(&w, now_ms, mode, cursor);
    json_object_end(&w);
    return str_sub(buf_str(out), at, data.len);
}
