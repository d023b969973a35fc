/* The path of a minute, from coarse to fine:
 *
 *   512 days   anchors: bounded noise, so that prices stay of their order for ever
 *   1 day      bridge of 512 steps; calm and wild weeks, now and then a wild day
 *   1 hour     bridge of 24 steps; three-hour spells that are quiet, normal or busy
 *   1 minute   bridge of 60 steps; rarely a minute with a jump
 *   1 slot     256 a minute: straight lines through open, high, low, close with noise between
 *
 * A bridge draws n steps with given variances and then leans the walk so that it ends where the
 * coarser level says: that is exactly a Brownian bridge, and any piece can be drawn alone.
 * SPDX-License-Identifier: MIT */
#include "tools/simulator.h"

#include "base/alloc.h"
#include "tools/rng.h"

#include <assert.h>
#include <math.h>

#define BLOCK_DAYS 512
#define SLOTS 256
#define DAY_CACHE 1024 /* closed daily candles kept a symbol */
#define MARKET_DAILY 0.0236
#define ANCHOR_SPREAD 12.0 /* deviation of anchors in daily deviations */

/* The share of all coins' value that stands in the table. */
#define TABLE_SHARE 0.91

/* Of the paths of chance that have names: the named symbols by their index, the market, and the
 * generated symbols from GENERATED on; a path's second stream of chance lies PATHS higher. */
enum { PATH_MARKET = SIM_NAMED, PATHS, GENERATED = 1024 };
enum draw {
    DRAW_ANCHOR = 1,
    DRAW_WEEK,
    DRAW_DAY,
    DRAW_SPELL,
    DRAW_HOUR,
    DRAW_MINUTE,
    DRAW_DETAIL,
    DRAW_SLOT,
    DRAW_MOOD,
    DRAW_TRADES
};

struct day_block {
    int64_t index; /* day / BLOCK_DAYS; -1: empty */
    double at[BLOCK_DAYS + 1];
    double variance[BLOCK_DAYS];
};

struct simulator {
    uint64_t seed;
    struct day_block *blocks[SIM_SYMBOLS + 1][2]; /* the market's at the end; NULL: not asked yet */
    struct sim_candle *days[SIM_SYMBOLS]; /* DAY_CACHE each, by day; open_ms says which, -1: none */
};

/* The minutes of one hour of one symbol. */
struct hour {
    double price[61];
    double busy; /* share of activity, about 1 */
    struct rng detail;
};

struct simulator *simulator_new(uint64_t seed)
{
    struct simulator *s = mem_zero(sizeof(*s));
    s->seed = seed;
    return s;
}

void simulator_free(struct simulator *s)
{
    for (size_t i = 0; s && i < SIM_SYMBOLS; i++) {
        mem_free(s->days[i]);
    }
    for (size_t i = 0; s && i < ARRAY_LEN(s->blocks); i++) {
        mem_free(s->blocks[i][0]);
        mem_free(s->blocks[i][1]);
    }
    mem_free(s);
}

static size_t path_of(size_t symbol)
{
    return symbol < SIM_NAMED ? symbol : GENERATED + (symbol - SIM_NAMED);
}

/* The generator for one piece of one path. */
static struct rng draw(const struct simulator *s, enum draw what, size_t path, int64_t index)
{
    struct rng r;
    rng_seed(&r, rng_mix(rng_mix(s->seed, (uint64_t)what << 32 | path), (uint64_t)index));
    return r;
}

/* A walk of n steps from `from` to `to` with those variances; n + 1 points. */
static void bridge(struct rng *r, size_t n, const double *variance, double from, double to,
                   double *at)
{
    double total = 0;
    at[0] = from;
    for (size_t i = 0; i < n; i++) {
        at[i + 1] = at[i] + rng_normal(r) * sqrt(variance[i]);
        total += variance[i];
    }
    double lean = (to - at[n]) / total;
    double passed = 0;
    for (size_t i = 0; i < n; i++) {
        passed += variance[i];
        at[i + 1] += lean * passed;
    }
    at[n] = to;
}

static double anchor(const struct simulator *s, size_t path, int64_t block)
{
    struct rng r = draw(s, DRAW_ANCHOR, path, block);
    return rng_normal(&r) * ANCHOR_SPREAD;
}

static const struct day_block *days_of(struct simulator *s, size_t path, int64_t day)
{
    int64_t index = day / BLOCK_DAYS;
    size_t place = path >= GENERATED     ? path - GENERATED + SIM_NAMED
                   : path == PATH_MARKET ? SIM_SYMBOLS
                                         : path;
    struct day_block **kept = &s->blocks[place][index & 1];
    if (!*kept) {
        *kept = mem_zero(sizeof(**kept));
        (*kept)->index = -1;
    }
    struct day_block *b = *kept;
    if (b->index == index) {
        return b;
    }
    b->index = index;
    for (int64_t i = 0; i < BLOCK_DAYS; i++) {
        int64_t d = index * BLOCK_DAYS + i;
        /* weeks and days of calm are the whole market's; wild days also */
        struct rng week = draw(s, DRAW_WEEK, PATH_MARKET, d / 7);
        struct rng own = draw(s, DRAW_DAY, PATH_MARKET, d);
        b->variance[i] = exp(0.55 * rng_normal(&week) + 0.45 * rng_normal(&own) - 0.25);
        if (rng_unit(&own) < 0.02) {
            b->variance[i] *= 7;
        }
    }
    struct rng r = draw(s, DRAW_DAY, path + PATHS, index);
    bridge(&r, BLOCK_DAYS, b->variance, anchor(s, path, index), anchor(s, path, index + 1), b->at);
    return b;
}

/* How lively an hour is, beside others of its day: quiet, normal or busy spells of three hours, and
 * rarely an hour with a jump on this path. */
static double hour_weight(const struct simulator *s, size_t path, int64_t hour, bool *jumps)
{
    struct rng r = draw(s, DRAW_SPELL, PATH_MARKET, hour / 3);
    double u = rng_unit(&r);
    struct rng own = draw(s, DRAW_SPELL, path + PATHS, hour);
    *jumps = rng_unit(&own) < 0.007;
    return (u < 0.25 ? 0.12 : u < 0.80 ? 1.0 : 3.2) * (*jumps ? 15 : 1);
}

/* The 61 points of an hour's minutes on one path; gives the hour's variance. */
static double minutes_of(struct simulator *s, size_t path, int64_t hour, double at[61])
{
    int64_t day = hour / 24;
    const struct day_block *b = days_of(s, path, day);
    size_t d = (size_t)(day % BLOCK_DAYS), h = (size_t)(hour % 24);
    double hours[25], variance[60], total = 0;
    bool jumps[24];
    for (size_t i = 0; i < 24; i++) {
        total += variance[i] = hour_weight(s, path, day * 24 + (int64_t)i, &jumps[i]);
    }
    for (size_t i = 0; i < 24; i++) {
        variance[i] *= b->variance[d] / total;
    }
    struct rng r = draw(s, DRAW_HOUR, path, day);
    bridge(&r, 24, variance, b->at[d], b->at[d + 1], hours);

    double whole = variance[h];
    r = draw(s, DRAW_MINUTE, path, hour);
    size_t jump = rng_next(&r) % 60;
    total = 0;
    for (size_t i = 0; i < 60; i++) {
        variance[i] = 0.4 + 1.2 * rng_unit(&r) + (jumps[h] && i == jump ? 600 : 0);
        total += variance[i];
    }
    for (size_t i = 0; i < 60; i++) {
        variance[i] *= whole / total;
    }
    bridge(&r, 60, variance, hours[h], hours[h + 1], at);
    return jumps[h] ? whole / 15 : whole;
}

static double tick_of(const struct sim_symbol *y)
{
    static const double ticks[] = {1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8};
    return ticks[y->decimals];
}

/* To the tick, never below one; through the reciprocal, so that the double is the nearest one. */
static double round_price(const struct sim_symbol *y, double price)
{
    double inverse = round(1 / tick_of(y));
    double ticks = round(price * inverse);
    return (ticks < 1 ? 1 : ticks) / inverse;
}

static void load_hour(struct simulator *s, size_t symbol, int64_t hour, struct hour *out)
{
    const struct sim_symbol *y = sim_symbol_at(symbol);
    double market[61], own[61], variance = 0;
    if (y->beta > 0) {
        variance = minutes_of(s, PATH_MARKET, hour, market);
    } else {
        memset(market, 0, sizeof(market));
    }
    double own_variance = minutes_of(s, path_of(symbol), hour, own);
    double base = log(y->base_usd);
    /* A coin tied to the dollar does not drift away with its anchors. */
    double keep = y->beta > 0 ? 1 : 0.4;
    for (size_t i = 0; i < 61; i++) {
        out->price[i] = round_price(
            y, exp(base + y->beta * MARKET_DAILY * market[i] + keep * y->own_daily * own[i]));
    }
    out->busy = sqrt((y->beta > 0 ? variance : own_variance) * 24);
    out->detail = draw(s, DRAW_DETAIL, path_of(symbol), hour);
}

/* The minute as a candle; `r` walks along the hour's minutes. */
static void minute_candle(const struct sim_symbol *y, struct hour *h, size_t i, struct rng *r,
                          int64_t open_ms, struct sim_candle *out)
{
    double open = h->price[i], close = h->price[i + 1];
    double move = fabs(close - open) / open;
    /* deviation of an even minute: a day's over sqrt(1440) */
    double usual = (y->beta * MARKET_DAILY + y->own_daily) / 37.95;
    double reach = 0.45 * usual * h->busy + 0.25 * move;
    double high = fmax(open, close) * (1 + reach * fabs(rng_normal(r)));
    double low = fmin(open, close) * (1 - reach * fabs(rng_normal(r)));
    double even = y->base_usd * y->supply * y->turnover * SIM_VENUE_SHARE / 1440;
    double usd = even * (0.25 + 0.9 * rng_unit(r)) * (0.35 + 0.5 * h->busy + 0.5 * move / usual);
    double bought = 0.5 + 0.12 * rng_normal(r) + (close > open ? 0.06 : -0.06);
    *out = (struct sim_candle){.open_ms = open_ms,
                               .open = open,
                               .close = close,
                               .high = fmax(round_price(y, high), fmax(open, close)),
                               .low = fmin(round_price(y, low), fmin(open, close)),
                               .volume = round(usd / open * 1e5) / 1e5,
                               .trades = 1 + (uint64_t)(usd / 600)};
    out->volume_usd = out->volume * (open + high + low + close) / 4;
    out->taker_buy = round(out->volume * fmin(fmax(bought, 0.05), 0.95) * 1e5) / 1e5;
    out->taker_buy_usd = out->volume > 0 ? out->volume_usd * (out->taker_buy / out->volume) : 0;
}

/* Price within a minute: straight from open over both extremes to close, with noise between. */
static double slot_price(const struct simulator *s, size_t symbol, const struct sim_candle *m,
                         unsigned slot)
{
    const struct sim_symbol *y = sim_symbol_at(symbol);
    int64_t minute = m->open_ms / SIM_MINUTE_MS;
    struct rng r = draw(s, DRAW_SLOT, path_of(symbol), minute);
    unsigned first = 16 + (unsigned)(rng_next(&r) % 104);
    unsigned second = 136 + (unsigned)(rng_next(&r) % 104);
    bool high_first = m->close < m->open || (m->close == m->open && rng_next(&r) & 1);
    double top = high_first ? m->high : m->low;
    double turn = high_first ? m->low : m->high;
    double from = m->open, to = top, part = (double)slot / first;
    if (slot == first || slot == second) {
        return slot == first ? top : turn;
    }
    if (slot > first) {
        from = top;
        to = turn;
        part = (double)(slot - first) / (second - first);
    }
    if (slot > second) {
        from = turn;
        to = m->close;
        part = (double)(slot - second) / (SLOTS - second);
    }
    struct rng noise = draw(s, DRAW_SLOT, path_of(symbol) + PATHS, minute * SLOTS + slot);
    double price = from + (to - from) * part;
    if (slot > 0) {
        price += 0.1 * (m->high - m->low) * rng_normal(&noise);
    }
    return fmin(fmax(round_price(y, price), m->low), m->high);
}

/* Only what has happened up to that slot. */
static void cut_minute(const struct simulator *s, size_t symbol, unsigned slot,
                       struct sim_candle *m)
{
    struct sim_candle whole = *m;
    m->high = m->low = m->close = m->open;
    for (unsigned i = 1; i <= slot; i++) {
        m->close = slot_price(s, symbol, &whole, i);
        m->high = fmax(m->high, m->close);
        m->low = fmin(m->low, m->close);
    }
    double part = (double)slot / SLOTS;
    m->volume = floor(whole.volume * part * 1e5) / 1e5;
    m->volume_usd = whole.volume_usd * part;
    m->taker_buy = floor(whole.taker_buy * part * 1e5) / 1e5;
    m->taker_buy_usd = whole.taker_buy_usd * part;
    m->trades = (uint64_t)((double)whole.trades * part);
}

void sim_candle_extend(struct sim_candle *sum, const struct sim_candle *next)
{
    sum->high = fmax(sum->high, next->high);
    sum->low = fmin(sum->low, next->low);
    sum->close = next->close;
    sum->volume += next->volume;
    sum->volume_usd += next->volume_usd;
    sum->taker_buy += next->taker_buy;
    sum->taker_buy_usd += next->taker_buy_usd;
    sum->trades += next->trades;
}

static void join(struct sim_candle *sum, const struct sim_candle *c)
{
    if (sum->open == 0) {
        *sum = *c;
    } else {
        sim_candle_extend(sum, c);
    }
}

/* Minutes [from, to) of one hour, the last one perhaps only up to `now_ms`. */
static void join_hour(struct simulator *s, size_t symbol, int64_t from, int64_t to, int64_t now_ms,
                      struct sim_candle *sum)
{
    struct hour h;
    load_hour(s, symbol, from / 60, &h);
    int64_t begin = from / 60 * 60;
    for (int64_t minute = begin; minute < to; minute++) {
        struct sim_candle m;
        int64_t open_ms = minute * SIM_MINUTE_MS;
        minute_candle(sim_symbol_at(symbol), &h, (size_t)(minute - begin), &h.detail, open_ms, &m);
        if (minute < from) {
            continue; /* drawn only to get to the next one's numbers */
        }
        if (now_ms < open_ms + SIM_MINUTE_MS) {
            cut_minute(s, symbol, (unsigned)((now_ms - open_ms) * SLOTS / SIM_MINUTE_MS), &m);
        }
        join(sum, &m);
    }
}

void simulator_hour(struct simulator *s, size_t symbol, int64_t hour, struct sim_candle out[60])
{
    struct hour h;
    load_hour(s, symbol, hour, &h);
    for (size_t i = 0; i < 60; i++) {
        minute_candle(sim_symbol_at(symbol), &h, i, &h.detail,
                      (hour * 60 + (int64_t)i) * SIM_MINUTE_MS, &out[i]);
    }
}

void simulator_activity(struct simulator *s, size_t symbol, int64_t day, double hours[24])
{
    for (int64_t i = 0; i < 24; i++) {
        bool jumps;
        hours[i] = sqrt(hour_weight(s, path_of(symbol), day * 24 + i, &jumps));
    }
}

uint64_t simulator_chance(const struct simulator *s, uint64_t what, int64_t index)
{
    return rng_mix(rng_mix(s->seed, what << 32 | DRAW_TRADES), (uint64_t)index);
}

static void join_minutes(struct simulator *s, size_t symbol, int64_t from_ms, int64_t to_ms,
                         int64_t now_ms, struct sim_candle *sum)
{
    int64_t minute = from_ms / SIM_MINUTE_MS;
    int64_t end = (to_ms + SIM_MINUTE_MS - 1) / SIM_MINUTE_MS;
    while (minute < end) {
        int64_t next = (minute / 60 + 1) * 60;
        join_hour(s, symbol, minute, next < end ? next : end, now_ms, sum);
        minute = next;
    }
}

/* A closed day, remembered. */
static void join_day(struct simulator *s, size_t symbol, int64_t day_ms, struct sim_candle *sum)
{
    if (!s->days[symbol]) {
        s->days[symbol] = mem_array(DAY_CACHE, sizeof(struct sim_candle));
    }
    struct sim_candle *kept = &s->days[symbol][day_ms / SIM_DAY_MS % DAY_CACHE];
    if (kept->open == 0 || kept->open_ms != day_ms) {
        *kept = (struct sim_candle){0};
        join_minutes(s, symbol, day_ms, day_ms + SIM_DAY_MS, INT64_MAX, kept);
    }
    join(sum, kept);
}

bool simulator_candle(struct simulator *s, size_t symbol, int64_t from_ms, int64_t to_ms,
                      int64_t now_ms, struct sim_candle *out)
{
    assert(symbol < SIM_SYMBOLS && from_ms % SIM_MINUTE_MS == 0);
    struct sim_candle sum = {0};
    int64_t at = from_ms < SIM_FIRST_MS ? SIM_FIRST_MS : from_ms;
    int64_t end = to_ms <= now_ms ? to_ms : now_ms + 1;
    if (at >= end) {
        return false;
    }
    while (at < end) {
        int64_t day = at / SIM_DAY_MS * SIM_DAY_MS;
        int64_t next = day + SIM_DAY_MS;
        if (at == day && next <= end && next <= now_ms) {
            join_day(s, symbol, day, &sum);
        } else {
            join_minutes(s, symbol, at, next < end ? next : end, now_ms, &sum);
        }
        at = next;
    }
    sum.open_ms = from_ms;
    *out = sum;
    return true;
}

bool simulator_last_day(struct simulator *s, size_t symbol, int64_t now_ms, struct sim_candle *out)
{
    int64_t from = (now_ms / SIM_MINUTE_MS - 1440) * SIM_MINUTE_MS;
    return simulator_candle(s, symbol, from, now_ms + 1, now_ms, out);
}

double simulator_price(struct simulator *s, size_t symbol, int64_t unix_ms)
{
    struct sim_candle m;
    int64_t minute = unix_ms / SIM_MINUTE_MS * SIM_MINUTE_MS;
    if (unix_ms < SIM_FIRST_MS) {
        minute = unix_ms = SIM_FIRST_MS;
    }
    struct hour h;
    int64_t hour = minute / (60 * SIM_MINUTE_MS);
    load_hour(s, symbol, hour, &h);
    size_t last = (size_t)(minute / SIM_MINUTE_MS % 60);
    for (size_t i = 0; i <= last; i++) {
        minute_candle(sim_symbol_at(symbol), &h, i, &h.detail,
                      (hour * 60 + (int64_t)i) * SIM_MINUTE_MS, &m);
    }
    return slot_price(s, symbol, &m, (unsigned)((unix_ms - minute) * SLOTS / SIM_MINUTE_MS));
}

static double table_value(struct simulator *s, int64_t at_ms, double *btc, double *eth)
{
    double sum = 0;
    for (size_t i = 0; i < SIM_NAMED; i++) {
        double value = simulator_price(s, i, at_ms) * sim_symbol_at(i)->supply;
        sum += value;
        if (i == 0) {
            *btc = value;
        } else if (i == 1) {
            *eth = value;
        }
    }
    return sum;
}

static double table_volume(struct simulator *s, int64_t at_ms)
{
    double sum = 0;
    for (size_t i = 0; i < SIM_NAMED; i++) {
        struct sim_candle c;
        sum += simulator_last_day(s, i, at_ms, &c) ? c.volume_usd : 0;
    }
    return sum;
}

void simulator_global(struct simulator *s, int64_t now_ms, struct sim_global *out)
{
    double btc = 0, eth = 0, btc_before = 0, eth_before = 0;
    double now = table_value(s, now_ms, &btc, &eth);
    double before = table_value(s, now_ms - SIM_DAY_MS, &btc_before, &eth_before);
    double volume = table_volume(s, now_ms), volume_before = table_volume(s, now_ms - SIM_DAY_MS);
    out->market_cap_usd = now / TABLE_SHARE;
    out->volume_usd = volume / SIM_VENUE_SHARE / TABLE_SHARE;
    out->market_cap_change_24h_pct = (now / before - 1) * 100;
    out->volume_change_24h_pct = volume_before > 0 ? (volume / volume_before - 1) * 100 : 0;
    out->btc_share_pct = btc / out->market_cap_usd * 100;
    out->eth_share_pct = eth / out->market_cap_usd * 100;
}

int simulator_fear_greed(struct simulator *s, int64_t unix_ms)
{
    int64_t day = (unix_ms < SIM_FIRST_MS ? SIM_FIRST_MS : unix_ms) / SIM_DAY_MS;
    double now = days_of(s, PATH_MARKET, day)->at[day % BLOCK_DAYS];
    double week = days_of(s, PATH_MARKET, day - 7)->at[(day - 7) % BLOCK_DAYS];
    double month = days_of(s, PATH_MARKET, day - 30)->at[(day - 30) % BLOCK_DAYS];
    struct rng mood = draw(s, DRAW_MOOD, PATH_MARKET, day);
    double value = 50 + 3.4 * (now - month) + 2.2 * (now - week) + 3 * rng_normal(&mood);
    return (int)round(fmin(fmax(value, 4), 96));
}

bool simulator_rsi(struct simulator *s, size_t symbol, int64_t interval_ms, unsigned period,
                   unsigned back, int64_t now_ms, double *out)
{
    unsigned closes = period * 14 + 60; /* Wilder's memory has faded by then */
    int64_t last_open = now_ms / interval_ms * interval_ms - (int64_t)(back + 1) * interval_ms;
    double gain = 0, loss = 0, before = 0;
    for (unsigned i = 0; i < closes; i++) {
        int64_t open = last_open - (int64_t)(closes - 1 - i) * interval_ms;
        if (open < SIM_FIRST_MS) {
            return false;
        }
        double close = simulator_price(s, symbol, open + interval_ms);
        double change = i ? close - before : 0;
        double up = change > 0 ? change : 0, down = change < 0 ? -change : 0;
        double keep = i <= period ? 1.0 : (period - 1.0) / period; /* first: a plain mean */
        gain = gain * keep + up / period;
        loss = loss * keep + down / period;
        before = close;
    }
    if (gain + loss <= 0) {
        return false;
    }
    *out = 100 * gain / (gain + loss);
    return true;
}
