/* SPDX-License-Identifier: MIT */
#include "market/quote.h"

#include <math.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define AHEAD_MAX_MS (10 * MINUTE_MS)
#define DAY_MS (24 * 60 * MINUTE_MS)
#define JUMP_MAX 0.50  /* against the last good price */
#define AGREE_MAX 0.05 /* another feed that says so too */
/* A wider book says no price: its middle is nobody's offer. */
#define BOOK_WIDTH_MAX 0.10
/* What a double can hold of a price that was converted. */
#define CONVERTED_MAX 1e15

void quote_reset(struct quote_state *s)
{
    uint64_t version = s->quote.version;
    const struct quote_state before = *s;
    *s = (struct quote_state){.next_change_ms = INT64_MAX, .is_rate = before.is_rate};
    s->quote = (struct quote){.version = version + 1,
                              .reason = "no feed has said anything yet",
                              .change_24h_pct = NAN,
                              .volume_24h_usd = NAN,
                              .high_24h = NAN,
                              .low_24h = NAN,
                              .spread_pct = NAN};
    for (int v = 0; v < MARKET_VENUES; v++) {
        s->quote.feeds[v] = (struct feed_quote){.reason = "it has said nothing yet",
                                                .price_usd = NAN,
                                                .change_24h_pct = NAN,
                                                .volume_24h_usd = NAN,
                                                .high_24h = NAN,
                                                .low_24h = NAN};
        s->feeds[v].volume = NAN;
        s->feeds[v].quote_volume = NAN;
        s->feeds[v].down = before.feeds[v].down;
        s->feeds[v].down_only = before.feeds[v].down_only;
    }
}

/* ---- plausible or not ---- */

static bool is_price(struct decimal d)
{
    return d.mantissa > 0;
}

static bool within(double a, double b, double share)
{
    return fabs(a - b) <= share * b;
}

/* The middle of a book narrow enough to have one. */
static bool middle_of(struct decimal bid, struct decimal ask, struct decimal *out)
{
    if (!is_price(bid) || !is_price(ask) ||
        !within(decimal_double(ask), decimal_double(bid), BOOK_WIDTH_MAX)) {
        return false;
    }
    struct decimal sum = decimal_add(bid, ask);
    if (sum.mantissa % 2 == 0) {
        *out = (struct decimal){.mantissa = sum.mantissa / 2, .places = sum.places};
    } else if (sum.places < DECIMAL_PLACES_MAX && sum.mantissa < INT64_MAX / 50) {
        *out = (struct decimal){.mantissa = sum.mantissa * 5, .places = (uint8_t)(sum.places + 1)};
    } else {
        *out = (struct decimal){.mantissa = sum.mantissa / 2, .places = sum.places};
    }
    return true;
}

/* The price a tick would bring; false: none. */
static bool price_in(const struct tick *t, struct decimal *out)
{
    if (t->kind == TICK_BOOK) {
        return middle_of(t->bid, t->ask, out);
    }
    *out = t->price;
    return !decimal_is_zero(t->price);
}

static bool another_agrees(const struct quote_state *s, enum market_venue v, double price)
{
    for (int other = 0; other < MARKET_VENUES; other++) {
        const struct feed_quote *f = &s->quote.feeds[other];
        if (other != (int)v && f->fresh && within(decimal_double(f->price), price, AGREE_MAX)) {
            return true;
        }
    }
    return false;
}

static enum err check_values(const struct tick *t)
{
    switch (t->kind) {
    case TICK_TRADE:
        return is_price(t->price) && t->quantity.mantissa >= 0 ? OK : ERR_RANGE;
    case TICK_BOOK:
        if (t->bid.mantissa < 0 || t->ask.mantissa < 0 ||
            (t->bid.mantissa == 0 && t->ask.mantissa == 0)) {
            return ERR_RANGE;
        }
        return t->bid.mantissa > 0 && t->ask.mantissa > 0 && decimal_cmp(t->bid, t->ask) > 0
                   ? ERR_RANGE
                   : OK;
    case TICK_DAY:
        return t->price.mantissa >= 0 ? OK : ERR_RANGE;
    }
    return ERR_RANGE;
}

static bool time_can_be(const struct tick *t, int64_t now_ms)
{
    bool old = t->kind == TICK_TRADE && t->exchange_ms != 0 && t->exchange_ms < now_ms - DAY_MS;
    return !old && t->exchange_ms <= now_ms + AHEAD_MAX_MS;
}

enum err quote_plausible(const struct quote_state *s, const struct tick *t, int64_t now_ms)
{
    const struct feed_state *f = &s->feeds[t->venue];
    struct decimal price;
    if (check_values(t) != OK || !time_can_be(t, now_ms)) {
        return ERR_RANGE;
    }
    if (f->good > 0 && now_ms - f->good_ms <= MINUTE_MS && price_in(t, &price)) {
        double p = decimal_double(price);
        if (!within(p, f->good, JUMP_MAX) && !another_agrees(s, t->venue, p)) {
            return ERR_RANGE;
        }
    }
    return OK;
}

enum err quote_check(const struct quote_state *s, const struct tick *t, int64_t now_ms)
{
    const struct feed_state *f = &s->feeds[t->venue];
    if (t->kind == TICK_TRADE && t->id != 0 && t->id <= f->trade_id &&
        t->exchange_ms <= f->trade_ms + MINUTE_MS) {
        return ERR_EXISTS;
    }
    return quote_plausible(s, t, now_ms);
}

/* ---- keeping ---- */

static void note_places(struct feed_state *f, struct decimal d)
{
    f->places = d.places > f->places ? d.places : f->places;
}

static void keep_last(struct feed_state *f, const struct tick *t, bool is_trade)
{
    f->has_last = true;
    f->last_is_trade = is_trade;
    f->last = t->price;
    f->last_exchange_ms = t->exchange_ms;
    f->last_received_ms = t->received_ms;
    note_places(f, t->price);
}

static void keep_trade(struct feed_state *f, const struct tick *t)
{
    if (t->id != 0) {
        f->trade_id = t->id;
        f->trade_ms = t->exchange_ms;
    } else if (f->has_last && t->exchange_ms != 0 && t->exchange_ms < f->last_exchange_ms) {
        return; /* late: good for its candle, but no longer the last */
    }
    keep_last(f, t, true);
}

/* A price younger than a minute, for readers and for the venue. */
static bool is_young(const struct feed_state *f, int64_t now_ms)
{
    int64_t at_ms = f->last_received_ms;
    if (f->last_exchange_ms != 0 && f->last_exchange_ms < at_ms) {
        at_ms = f->last_exchange_ms;
    }
    return f->has_last && now_ms - at_ms <= MINUTE_MS;
}

static void take_figure(double *figure, double said, double least)
{
    if (isfinite(said) && said >= least) {
        *figure = said;
    }
}

static void keep_day(struct feed_state *f, struct feed_quote *q, const struct tick *t,
                     int64_t now_ms)
{
    take_figure(&q->change_24h_pct, t->change_24h_pct, -100);
    take_figure(&q->high_24h, t->high_24h, 0);
    take_figure(&q->low_24h, t->low_24h, 0);
    take_figure(&f->volume, t->volume_24h, 0);
    take_figure(&f->quote_volume, t->quote_volume_24h, 0);
    /* Trades are newer than figures sent once a second; and that the last price is said again does
     * not make its trade younger. */
    bool trades_come = f->last_is_trade && is_young(f, now_ms);
    if (is_price(t->price) && !trades_come &&
        (!f->has_last || decimal_cmp(t->price, f->last) != 0)) {
        keep_last(f, t, false);
    }
}

void quote_keep(struct quote_state *s, const struct tick *t, int64_t now_ms)
{
    struct feed_state *f = &s->feeds[t->venue];
    struct feed_quote *q = &s->quote.feeds[t->venue];
    struct decimal price;
    switch (t->kind) {
    case TICK_TRADE:
        keep_trade(f, t);
        break;
    case TICK_BOOK:
        q->bid = t->bid;
        q->ask = t->ask;
        f->book_exchange_ms = t->exchange_ms;
        f->book_received_ms = t->received_ms;
        note_places(f, t->bid);
        note_places(f, t->ask);
        break;
    case TICK_DAY:
        keep_day(f, q, t, now_ms);
        break;
    }
    if (price_in(t, &price)) {
        f->good = decimal_double(price);
        f->good_ms = now_ms;
    }
    q->usdt = t->usdt;
    q->ticks++;
}

/* ---- one price ---- */

/* What is chosen among: one value a feed, in one unit. */
struct choice {
    int venue[MARKET_VENUES];
    double value[MARKET_VENUES];
    int count;
};

static const char *why_not_fresh(const struct feed_state *f, const struct feed_quote *q,
                                 uint32_t fresh_ms, int64_t now_ms)
{
    if (f->down_only) {
        return f->down_only;
    }
    if (f->down) {
        return f->down;
    }
    if (!q->known) {
        return "it has said no price yet";
    }
    if (now_ms - q->confirmed_ms <= (int64_t)fresh_ms) {
        return "";
    }
    return f->implausible ? "what it says is not plausible" : "it has been silent for too long";
}

static void choose_price(struct feed_state *f, struct feed_quote *q, int64_t now_ms)
{
    struct decimal middle;
    bool young = is_young(f, now_ms);
    bool book = middle_of(q->bid, q->ask, &middle);
    if (book && !young) {
        q->price = middle;
        q->exchange_ms = f->book_exchange_ms;
        q->received_ms = f->book_received_ms;
    } else if (f->has_last) {
        q->price = f->last;
        q->exchange_ms = f->last_exchange_ms;
        q->received_ms = f->last_received_ms;
    }
    f->has_price = young || book;
}

static int64_t next_change_of(const struct feed_state *f, const struct feed_quote *q,
                              uint32_t fresh_ms, int64_t now_ms)
{
    if (!q->fresh) {
        return INT64_MAX;
    }
    int64_t at_ms = q->confirmed_ms + (int64_t)fresh_ms;
    if (is_young(f, now_ms)) {
        int64_t said = f->last_exchange_ms != 0 && f->last_exchange_ms < f->last_received_ms
                           ? f->last_exchange_ms
                           : f->last_received_ms;
        at_ms = said + MINUTE_MS < at_ms ? said + MINUTE_MS : at_ms;
    }
    return at_ms + 1;
}

static void update_feed(struct feed_state *f, struct feed_quote *q, double rate, uint32_t fresh_ms,
                        int64_t now_ms)
{
    struct decimal middle;
    q->known = q->known || f->has_last || middle_of(q->bid, q->ask, &middle);
    q->reason = why_not_fresh(f, q, fresh_ms, now_ms);
    q->fresh = q->reason[0] == '\0';
    q->used = false;
    q->outlier = false;
    if (q->fresh) {
        choose_price(f, q, now_ms);
    }
    double unit = q->usdt ? rate : 1.0;
    q->price_usd = q->known ? decimal_double(q->price) * unit : (double)NAN;
    q->volume_24h_usd = isnan(f->quote_volume) ? f->volume * q->price_usd : f->quote_volume * unit;
}

/* The fresh feeds of a kind: with a price of now or only an old trade, in USD or left in USDT. */
static bool choose(const struct quote_state *s, bool of_now, bool in_usdt, struct choice *out)
{
    out->count = 0;
    for (int v = 0; v < MARKET_VENUES; v++) {
        const struct feed_quote *f = &s->quote.feeds[v];
        if (f->fresh && s->feeds[v].has_price == of_now && isnan(f->price_usd) == in_usdt) {
            out->venue[out->count] = v;
            out->value[out->count++] = in_usdt ? decimal_double(f->price) : f->price_usd;
        }
    }
    return out->count > 0;
}

static void sort_choice(struct choice *c)
{
    for (int i = 1; i < c->count; i++) {
        for (int j = i; j > 0 && c->value[j] < c->value[j - 1]; j--) {
            double value = c->value[j];
            int venue = c->venue[j];
            c->value[j] = c->value[j - 1];
            c->venue[j] = c->venue[j - 1];
            c->value[j - 1] = value;
            c->venue[j - 1] = venue;
        }
    }
}

static void leave_out(struct quote_state *s, struct choice *c, int i)
{
    s->quote.feeds[c->venue[i]].outlier = true;
    for (c->count--; i < c->count; i++) {
        c->value[i] = c->value[i + 1];
        c->venue[i] = c->venue[i + 1];
    }
}

static void drop_outliers(struct quote_state *s, struct choice *c)
{
    if (c->count >= 3) {
        double median = c->value[1];
        for (int i = c->count - 1; i >= 0; i--) {
            if (!within(c->value[i], median, MARKET_OUTLIER_PCT / 100)) {
                leave_out(s, c, i);
            }
        }
    } else if (c->count == 2 && !within(c->value[1], c->value[0],
                                        s->is_rate ? MARKET_OUTLIER_PCT / 100 : JUMP_MAX)) {
        /* Their mean would be nobody's price. */
        double last = s->quote.known ? decimal_double(s->quote.price) : NAN;
        bool second = fabs(c->value[1] - last) < fabs(c->value[0] - last);
        bool first_venue = isnan(last) && c->venue[1] < c->venue[0];
        leave_out(s, c, second || first_venue ? 0 : 1);
    }
}

static struct decimal converted(double value, uint8_t places)
{
    double scale = pow(10, places);
    while (places > 0 && value * scale >= CONVERTED_MAX) {
        places--;
        scale /= 10;
    }
    return decimal_of(value, places);
}

static uint8_t most_places(const struct quote_state *s, const struct choice *c)
{
    uint8_t places = 0;
    for (int i = 0; i < c->count; i++) {
        const struct feed_state *f = &s->feeds[c->venue[i]];
        places = f->places > places ? f->places : places;
    }
    return places;
}

static struct decimal median_of(const struct quote_state *s, const struct choice *c, bool in_usdt,
                                double rate)
{
    int middle = c->count / 2;
    const struct feed_quote *f = &s->quote.feeds[c->venue[middle]];
    if (c->count % 2 == 1 && (!f->usdt || in_usdt || rate == 1.0)) {
        return f->price;
    }
    double value = c->count % 2 == 1
                       ? c->value[middle]
                       : c->value[middle - 1] + (c->value[middle] - c->value[middle - 1]) / 2;
    return converted(value, most_places(s, c));
}

static struct decimal side_of(const struct feed_state *state, const struct feed_quote *f,
                              struct decimal price, bool in_usdt, double rate)
{
    return f->usdt && !in_usdt ? converted(decimal_double(price) * rate, state->places) : price;
}

/* One side of the books of the feeds used. */
struct side {
    struct decimal prices[MARKET_VENUES];
    size_t count;
};

static void side_add(struct side *s, struct decimal price)
{
    size_t at = s->count;
    if (!is_price(price)) {
        return;
    }
    while (at > 0 && decimal_cmp(s->prices[at - 1], price) > 0) {
        s->prices[at] = s->prices[at - 1];
        at--;
    }
    s->prices[at] = price;
    s->count++;
}

/* The median, like the price: the best of all venues would be a market that nobody can trade in,
 * crossed whenever two of them differ. */
static struct decimal side_median(const struct side *s)
{
    if (s->count == 0) {
        return (struct decimal){0};
    }
    struct decimal low = s->prices[(s->count - 1) / 2];
    struct decimal high = s->prices[s->count / 2];
    int places = 1 + (low.places > high.places ? low.places : high.places); /* the middle of two */
    return s->count % 2
               ? low
               : decimal_of((decimal_double(low) + decimal_double(high)) / 2,
                            (uint8_t)(places < DECIMAL_PLACES_MAX ? places : DECIMAL_PLACES_MAX));
}

/* Bid and ask, times, and the figures of a day, out of the feeds used. */
static void gather(struct quote_state *s, struct quote *q, const struct choice *c, double rate)
{
    struct side bids = {.count = 0};
    struct side asks = {.count = 0};
    q->exchange_ms = q->received_ms = 0;
    for (int i = 0; i < c->count; i++) {
        struct feed_quote *f = &q->feeds[c->venue[i]];
        const struct feed_state *state = &s->feeds[c->venue[i]];
        int64_t said_ms = f->exchange_ms ? f->exchange_ms : f->received_ms;
        f->used = true;
        q->used = (uint8_t)(q->used | 1u << c->venue[i]);
        side_add(&bids, side_of(state, f, f->bid, q->usdt, rate));
        side_add(&asks, side_of(state, f, f->ask, q->usdt, rate));
        q->exchange_ms = said_ms > q->exchange_ms ? said_ms : q->exchange_ms;
        q->received_ms = f->received_ms > q->received_ms ? f->received_ms : q->received_ms;
    }
    q->bid = side_median(&bids);
    q->ask = side_median(&asks);
}

static void sum_day(struct quote *q, double rate)
{
    q->change_24h_pct = q->high_24h = q->low_24h = q->volume_24h_usd = NAN;
    for (int v = 0; v < MARKET_VENUES; v++) {
        const struct feed_quote *f = &q->feeds[v];
        if (f->used && isnan(q->change_24h_pct) && !isnan(f->change_24h_pct)) {
            double factor = f->usdt && !q->usdt ? rate : 1.0;
            q->change_24h_pct = f->change_24h_pct;
            q->high_24h = f->high_24h * factor;
            q->low_24h = f->low_24h * factor;
        }
        if (f->fresh && !isnan(f->volume_24h_usd)) {
            q->volume_24h_usd =
                (isnan(q->volume_24h_usd) ? 0 : q->volume_24h_usd) + f->volume_24h_usd;
        }
    }
}

/* No fresh feed: what stood stands, but for what only holds while somebody says it. */
static void make_stale(struct quote *q)
{
    const struct feed_quote *newest = NULL;
    for (int v = 0; v < MARKET_VENUES; v++) {
        const struct feed_quote *f = &q->feeds[v];
        if (f->known && (!newest || f->confirmed_ms > newest->confirmed_ms)) {
            newest = f;
        }
    }
    if (newest) {
        q->reason = newest->reason;
    }
    q->stale = q->known;
    q->used = 0;
    q->bid = q->ask = (struct decimal){0};
    q->spread_pct = NAN;
    q->volume_24h_usd = NAN;
}

static bool same_figure(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_decimal(struct decimal a, struct decimal b)
{
    return a.mantissa == b.mantissa && a.places == b.places;
}

static bool same_quote(const struct quote *a, const struct quote *b)
{
    return a->known == b->known && a->stale == b->stale && a->usdt == b->usdt &&
           a->used == b->used && same_decimal(a->price, b->price) && same_decimal(a->bid, b->bid) &&
           same_decimal(a->ask, b->ask) && same_figure(a->change_24h_pct, b->change_24h_pct) &&
           same_figure(a->volume_24h_usd, b->volume_24h_usd) &&
           same_figure(a->high_24h, b->high_24h) && same_figure(a->low_24h, b->low_24h) &&
           same_figure(a->spread_pct, b->spread_pct) && strcmp(a->reason, b->reason) == 0;
}

static void make_price(struct quote_state *s, double rate)
{
    struct quote *q = &s->quote;
    struct choice c;
    bool in_usdt = false;
    if (!choose(s, true, false, &c)) {
        in_usdt = choose(s, true, true, &c);
    }
    if (c.count == 0 && !choose(s, false, false, &c)) {
        in_usdt = choose(s, false, true, &c);
    }
    if (c.count == 0) {
        make_stale(q);
        return;
    }
    sort_choice(&c);
    q->spread_pct = c.count >= 2 ? (c.value[c.count - 1] / c.value[0] - 1) * 100 : (double)NAN;
    drop_outliers(s, &c);
    q->known = true;
    q->stale = false;
    q->reason = in_usdt ? "the USDT/USD rate is not known: the price is in USDT" : "";
    q->usdt = in_usdt;
    q->used = 0;
    q->price = median_of(s, &c, in_usdt, rate);
    gather(s, q, &c, rate);
    sum_day(q, rate);
}

bool quote_make(struct quote_state *s, double rate, const uint32_t fresh_ms[MARKET_VENUES],
                int64_t now_ms)
{
    struct quote *q = &s->quote;
    /* Only what same_quote() reads; the feeds behind it are most of the struct. */
    struct quote before;
    memcpy(&before, q, offsetof(struct quote, feeds));
    uint8_t fresh = 0;
    s->next_change_ms = INT64_MAX;
    for (int v = 0; v < MARKET_VENUES; v++) {
        struct feed_quote *f = &q->feeds[v];
        update_feed(&s->feeds[v], f, rate, fresh_ms[v], now_ms);
        fresh = (uint8_t)(fresh | (unsigned)f->fresh << v);
        int64_t next_ms = next_change_of(&s->feeds[v], f, fresh_ms[v], now_ms);
        s->next_change_ms = next_ms < s->next_change_ms ? next_ms : s->next_change_ms;
    }
    make_price(s, rate);
    if (fresh == s->fresh && same_quote(&before, q)) {
        return false;
    }
    s->fresh = fresh;
    q->version++;
    return true;
}
