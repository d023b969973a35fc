/* SPDX-License-Identifier: MIT */
#include "tools/flow_in.h"

#include "base/alloc.h"
#include "tools/rng.h"

#include <assert.h>
#include <math.h>

/* Trades a minute of a symbol that trades LARGE_USD a minute at Binance. */
#define LARGE_TRADES 240.0
#define LARGE_USD 2.0e6
#define LEAST_TRADES 0.7
#define FIRST_ID 1000000

struct flow *flow_new(struct simulator *simulator, unsigned rate)
{
    struct flow *f = mem_zero(sizeof(*f));
    assert(rate >= 1);
    f->simulator = simulator;
    f->rate = rate;
    f->hour = mem_zero(sizeof(*f->hour));
    return f;
}

void flow_free(struct flow *f)
{
    for (size_t v = 0; f && v < VENUE_COUNT; v++) {
        for (size_t i = 0; i < SIM_SYMBOLS; i++) {
            struct market *m = f->markets[v][i];
            if (m) {
                mem_free(m->lists[0].trades);
                mem_free(m->lists[1].trades);
                mem_free(m->days);
                mem_free(m);
            }
        }
    }
    if (f) {
        mem_free(f->hour);
    }
    mem_free(f);
}

struct market *flow_market(struct flow *f, enum venue v, size_t symbol)
{
    assert(symbol < SIM_SYMBOLS);
    struct market **place = &f->markets[v][symbol];
    if (!*place) {
        const struct sim_symbol *y = sim_symbol_at(symbol);
        struct market *m = *place = mem_zero(sizeof(*m));
        double usd = y->base_usd * y->supply * y->turnover * SIM_VENUE_SHARE / 1440;
        double even = LARGE_TRADES * pow(usd / LARGE_USD, 0.6) * venue_trade_share(v);
        m->venue = v;
        m->symbol = symbol;
        m->a_day = (uint64_t)(fmin(fmax(even, LEAST_TRADES), LARGE_TRADES * 2) * 1440 * f->rate);
        m->lists[0].minute = m->lists[1].minute = m->window_minute = m->part_minute = -1;
        for (size_t i = 0; i < HOUR_CACHE; i++) {
            m->hour_index[i] = -1;
        }
    }
    return *place;
}

/* Chance for a thing of this market: `what` tells the things apart. */
static struct rng chance(struct flow *f, const struct market *m, int64_t index)
{
    struct rng r;
    rng_seed(&r, simulator_chance(f->simulator, m->symbol * VENUE_COUNT + m->venue, index));
    return r;
}

/* ---- how many ---- */

/* How many of `total` come before piece `i` of n with those weights: exactly 0 and `total` at the
 * ends. */
static void spread(uint64_t total, const double *weights, size_t n, uint64_t *before)
{
    double sum = 0, passed = 0;
    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
    }
    for (size_t i = 0; i < n; i++) {
        before[i] = (uint64_t)((double)total * (passed / sum));
        passed += weights[i];
    }
    before[n] = total;
}

/* How many ids are given out before each hour of the day. */
static void day_counts(struct flow *f, const struct market *m, int64_t day, uint64_t before[25])
{
    double weights[24];
    simulator_activity(f->simulator, m->symbol, day, weights);
    spread(m->a_day, weights, 24, before);
    uint64_t base = FIRST_ID + (uint64_t)(day - SIM_FIRST_MS / SIM_DAY_MS) * m->a_day;
    for (size_t i = 0; i < 25; i++) {
        before[i] += base;
    }
}

const struct flow_hour *flow_load_hour(struct flow *f, const struct market *m, int64_t hour)
{
    uint64_t hours[25];
    double weights[60];
    struct flow_hour *out = f->hour;
    if (f->hour_of == m && f->hour_index == hour) {
        return out;
    }
    f->hour_of = m;
    f->hour_index = hour;
    day_counts(f, m, hour / 24, hours);
    simulator_hour(f->simulator, m->symbol, hour, out->minutes);
    for (size_t i = 0; i < 60; i++) {
        weights[i] = out->minutes[i].volume_usd + 1e-9;
    }
    uint64_t first = hours[hour % 24];
    spread(hours[hour % 24 + 1] - first, weights, 60, out->before);
    for (size_t i = 0; i < 61; i++) {
        out->before[i] += first;
    }
    return out;
}

/* ---- the shape of a minute ---- */

void flow_shape(const struct market *m, const struct sim_candle *c, uint64_t count, struct shape *s)
{
    double lots_each = venue_scale(venue_lot_decimals(m->venue, m->symbol));
    double part = c->volume > 0 ? c->taker_buy / c->volume : 0.5;
    double lots = round(c->volume * venue_volume_share(m->venue) * lots_each);
    *s = (struct shape){.count = count,
                        .open = venue_ticks(m->venue, m->symbol, c->open),
                        .high = venue_ticks(m->venue, m->symbol, c->high),
                        .low = venue_ticks(m->venue, m->symbol, c->low),
                        .close = venue_ticks(m->venue, m->symbol, c->close),
                        .high_first = c->close < c->open || (c->close == c->open && count & 1)};
    /* few trades do not get everywhere */
    if (count <= 1) {
        s->open = s->high = s->low = s->close;
    } else if (count == 2 || (count == 3 && !s->high_first)) {
        s->high = s->open > s->close ? s->open : s->close;
    }
    if (count == 2 || (count == 3 && s->high_first)) {
        s->low = s->open < s->close ? s->open : s->close;
    }
    s->buys = (uint64_t)round((double)count * part);
    s->lots = lots < (double)(2 * count) ? (int64_t)(2 * count) : (int64_t)lots;
    if (count >= 2) {
        s->buys = s->buys < 1 ? 1 : s->buys >= count ? count - 1 : s->buys;
    }
    int64_t most = s->lots - (int64_t)(count - s->buys);
    s->bought = (int64_t)round((double)s->lots * part);
    s->bought = s->bought < (int64_t)s->buys ? (int64_t)s->buys : s->bought;
    s->bought = s->bought > most ? most : s->bought;
    s->bought = s->buys == 0 ? 0 : s->buys == count ? s->lots : s->bought;
    s->lots = count ? s->lots : 0;
}

/* ---- the trades of a minute ---- */

/* The price of trade k of n: from the open over both extremes to the close. */
static int64_t path_ticks(const struct shape *s, struct rng *r, size_t k, size_t first,
                          size_t second)
{
    size_t n = s->count;
    int64_t one = s->high_first ? s->high : s->low, two = s->high_first ? s->low : s->high;
    int64_t from = s->open, to = one;
    size_t begin = 0, end = first;
    double noise = rng_normal(r);
    if (k == 0 || k + 1 == n || k == first || k == second) {
        return k == 0 ? s->open : k + 1 == n ? s->close : k == first ? one : two;
    }
    if (k > second) {
        from = two;
        to = s->close;
        begin = second;
        end = n - 1;
    } else if (k > first) {
        from = one;
        to = two;
        begin = first;
        end = second;
    }
    double at = (double)from + (double)(to - from) * (double)(k - begin) / (double)(end - begin);
    int64_t ticks = (int64_t)llround(at + 0.08 * (double)(s->high - s->low) * noise);
    return ticks < s->low ? s->low : ticks > s->high ? s->high : ticks;
}

/* Gives amounts to the trades of one side: in all `lots`, each at least 1, a few of them large. */
static void share_out(struct flow_trade *trades, size_t n, bool buy, uint64_t count, int64_t lots,
                      struct rng r)
{
    struct rng again = r;
    double sum = 0, passed = 0;
    for (uint64_t i = 0; i < count; i++) {
        double u = rng_unit(&r);
        sum += 0.02 + u * u * u * u;
    }
    int64_t free_lots = lots - (int64_t)count, given = 0;
    uint64_t seen = 0;
    for (size_t k = 0; k < n; k++) {
        if (trades[k].buy != buy) {
            continue;
        }
        double u = rng_unit(&again);
        passed += 0.02 + u * u * u * u;
        int64_t upto =
            ++seen == count ? free_lots : (int64_t)((double)free_lots * fmin(passed / sum, 1));
        trades[k].lots = 1 + upto - given;
        given = upto;
    }
}

static void draw_trades(struct flow *f, struct market *m, const struct shape *s,
                        struct flow_minute *list)
{
    struct rng r = chance(f, m, list->minute);
    size_t n = s->count, first = 0, second = 0;
    uint64_t buys_left = s->buys;
    double each = (double)SIM_MINUTE_MS / (double)n;
    int64_t open_ms = list->minute * SIM_MINUTE_MS, before = -1;
    if (n >= 3) {
        size_t inside = n - 2;
        first = n == 3 ? 1 : 1 + rng_next(&r) % ((inside + 1) / 2);
        second = n == 3 ? first : first + 1 + rng_next(&r) % (inside - first);
    }
    for (size_t k = 0; k < n; k++) {
        struct flow_trade *t = &list->trades[k];
        double u = rng_unit(&r);
        int64_t at = (int64_t)(((double)k + u) * each);
        /* one order often meets several: the same moment, the same side */
        bool same = k > 0 && u < 0.3;
        t->id = list->first_id + k;
        t->at_ms = same ? before : open_ms + (at < SIM_MINUTE_MS ? at : SIM_MINUTE_MS - 1);
        before = t->at_ms;
        t->ticks = path_ticks(s, &r, k, first, second);
        uint64_t left = n - k;
        double buy_chance = (double)buys_left / (double)left;
        t->buy = rng_unit(&r) < buy_chance;
        buys_left -= t->buy;
    }
    struct rng buys = chance(f, m, -2 * list->minute), sells = chance(f, m, -2 * list->minute - 1);
    share_out(list->trades, n, true, s->buys, s->bought, buys);
    share_out(list->trades, n, false, n - s->buys, s->lots - s->bought, sells);
}

const struct flow_minute *flow_list(struct flow *f, struct market *m, int64_t minute)
{
    size_t which = (size_t)(minute & 1);
    struct flow_minute *list = &m->lists[which];
    if (list->minute == minute) {
        return list;
    }
    list->minute = minute;
    list->count = 0;
    list->first_id = FIRST_ID + 1;
    if (minute * SIM_MINUTE_MS < SIM_FIRST_MS) {
        return list;
    }
    struct shape s;
    size_t i = (size_t)(minute % 60);
    const struct flow_hour *h = flow_load_hour(f, m, minute / 60);
    list->first_id = h->before[i] + 1;
    list->count = h->before[i + 1] - h->before[i];
    if (list->count > m->room[which]) {
        mem_free(list->trades);
        list->trades = mem_array(list->count, sizeof(struct flow_trade));
        m->room[which] = list->count;
    }
    if (list->count) {
        flow_shape(m, &h->minutes[i], list->count, &s);
        draw_trades(f, m, &s, list);
    }
    return list;
}

const struct flow_minute *flow_minute(struct flow *f, enum venue v, size_t symbol, int64_t minute)
{
    return flow_list(f, flow_market(f, v, symbol), minute);
}

size_t flow_count_until(const struct flow_minute *list, int64_t at_ms)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->trades[middle].at_ms <= at_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool flow_last(struct flow *f, enum venue v, size_t symbol, int64_t at_ms, struct flow_trade *out)
{
    int64_t minute = at_ms / SIM_MINUTE_MS;
    for (int64_t back = 0; back < 1440; back++) {
        const struct flow_minute *list = flow_minute(f, v, symbol, minute - back);
        size_t n = flow_count_until(list, at_ms);
        if (n) {
            *out = list->trades[n - 1];
            return true;
        }
    }
    return false;
}

int64_t flow_minute_of_id(struct flow *f, enum venue v, size_t symbol, uint64_t id)
{
    struct market *m = flow_market(f, v, symbol);
    if (id <= FIRST_ID || (id - FIRST_ID - 1) / m->a_day > 100000) {
        return INT64_MIN;
    }
    int64_t day = SIM_FIRST_MS / SIM_DAY_MS + (int64_t)((id - FIRST_ID - 1) / m->a_day);
    uint64_t hours[25];
    size_t h = 0, i = 0;
    day_counts(f, m, day, hours);
    while (h < 23 && hours[h + 1] < id) {
        h++;
    }
    const struct flow_hour *hour = flow_load_hour(f, m, day * 24 + (int64_t)h);
    while (i < 59 && hour->before[i + 1] < id) {
        i++;
    }
    return (day * 24 + (int64_t)h) * 60 + (int64_t)i;
}
