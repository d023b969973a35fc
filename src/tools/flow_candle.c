/* Candles of the flow: known from the shapes of minutes, without drawing their trades.
 * SPDX-License-Identifier: MIT */
#include "tools/flow_in.h"

#include "base/alloc.h"

#include <math.h>

#define HOUR_MS (60 * SIM_MINUTE_MS)
#define EXACT_QUOTE 5000 /* trades a minute, up to which their quote volume is summed */

static void shape_candle(const struct market *m, const struct shape *s, int64_t open_ms,
                         struct sim_candle *out)
{
    int d = venue_price_decimals(m->venue, m->symbol), l = venue_lot_decimals(m->venue, m->symbol);
    *out = (struct sim_candle){.open_ms = open_ms,
                               .open = venue_to_double(s->open, d),
                               .high = venue_to_double(s->high, d),
                               .low = venue_to_double(s->low, d),
                               .close = venue_to_double(s->close, d),
                               .volume = venue_to_double(s->lots, l),
                               .taker_buy = venue_to_double(s->bought, l),
                               .trades = s->count};
    double mean = (out->open + out->high + out->low + out->close) / 4;
    out->volume_usd = out->volume * mean;
    out->taker_buy_usd = out->taker_buy * mean;
}

/* Adds the trades [from, n) of a list to the sum. */
static void add_trades(const struct market *m, const struct flow_minute *list, size_t from,
                       size_t n, struct shape *s, double *usd, double *bought_usd)
{
    int d = venue_price_decimals(m->venue, m->symbol), l = venue_lot_decimals(m->venue, m->symbol);
    for (size_t k = from; k < n; k++) {
        const struct flow_trade *t = &list->trades[k];
        double value = venue_to_double(t->ticks, d) * venue_to_double(t->lots, l);
        s->open = k ? s->open : t->ticks;
        s->high = k && s->high > t->ticks ? s->high : t->ticks;
        s->low = k && s->low < t->ticks ? s->low : t->ticks;
        s->close = t->ticks;
        s->lots += t->lots;
        s->bought += t->buy ? t->lots : 0;
        *usd += value;
        *bought_usd += t->buy ? value : 0;
    }
    s->count = n;
}

/* The candle of all trades of a list. */
static void sum_trades(const struct market *m, const struct flow_minute *list,
                       struct sim_candle *out)
{
    struct shape s = {0};
    double usd = 0, bought_usd = 0;
    add_trades(m, list, 0, list->count, &s, &usd, &bought_usd);
    shape_candle(m, &s, list->minute * SIM_MINUTE_MS, out);
    out->volume_usd = usd;
    out->taker_buy_usd = bought_usd;
}

static void join(struct sim_candle *sum, const struct sim_candle *c)
{
    if (c->trades == 0) {
        return;
    }
    if (sum->trades == 0) {
        int64_t open_ms = sum->open_ms;
        *sum = *c;
        sum->open_ms = open_ms;
        return;
    }
    sim_candle_extend(sum, c);
}

/* Closed minutes [from, to) of one hour. */
static void join_minutes(struct flow *f, struct market *m, int64_t from, int64_t to,
                         struct sim_candle *sum)
{
    const struct flow_hour *h = flow_load_hour(f, m, from / 60);
    for (int64_t minute = from; minute < to; minute++) {
        size_t i = (size_t)(minute % 60);
        struct shape s;
        struct sim_candle c;
        flow_shape(m, &h->minutes[i], h->before[i + 1] - h->before[i], &s);
        shape_candle(m, &s, minute * SIM_MINUTE_MS, &c);
        join(sum, &c);
    }
}

static void join_hour(struct flow *f, struct market *m, int64_t hour, struct sim_candle *sum)
{
    size_t place = (size_t)(hour % HOUR_CACHE);
    if (m->hour_index[place] != hour) {
        m->hour_index[place] = hour;
        m->hours[place] = (struct sim_candle){.open_ms = hour * HOUR_MS};
        join_minutes(f, m, hour * 60, hour * 60 + 60, &m->hours[place]);
    }
    join(sum, &m->hours[place]);
}

static void join_day(struct flow *f, struct market *m, int64_t day, struct sim_candle *sum)
{
    if (!m->days) {
        m->days = mem_array(DAY_CACHE, sizeof(struct sim_candle));
    }
    struct sim_candle *kept = &m->days[day % DAY_CACHE];
    if (kept->open_ms != day * SIM_DAY_MS) {
        *kept = (struct sim_candle){.open_ms = day * SIM_DAY_MS};
        for (int64_t h = day * 24; h < day * 24 + 24; h++) {
            join_minutes(f, m, h * 60, h * 60 + 60, kept);
        }
    }
    join(sum, kept);
}

/* Closed minutes [from, to). */
static void join_closed(struct flow *f, struct market *m, int64_t from, int64_t to,
                        struct sim_candle *sum)
{
    while (from < to) {
        int64_t hour_end = (from / 60 + 1) * 60;
        if (from % 1440 == 0 && from + 1440 <= to) {
            join_day(f, m, from / 1440, sum);
            from += 1440;
        } else if (from % 60 == 0 && hour_end <= to) {
            join_hour(f, m, from / 60, sum);
            from = hour_end;
        } else {
            int64_t end = hour_end < to ? hour_end : to;
            join_minutes(f, m, from, end, sum);
            from = end;
        }
    }
}

/* The minute under way; time mostly goes on, so its sum does too. */
static void join_open(struct flow *f, struct market *m, int64_t minute, int64_t now_ms,
                      struct sim_candle *sum)
{
    const struct flow_minute *list = flow_list(f, m, minute);
    struct sim_candle c;
    if (m->part_minute != minute || now_ms < m->part_ms) {
        m->part = (struct shape){0};
        m->part_usd = m->part_bought_usd = 0;
    }
    m->part_minute = minute;
    m->part_ms = now_ms;
    add_trades(m, list, m->part.count, flow_count_until(list, now_ms), &m->part, &m->part_usd,
               &m->part_bought_usd);
    shape_candle(m, &m->part, minute * SIM_MINUTE_MS, &c);
    c.volume_usd = m->part_usd;
    c.taker_buy_usd = m->part_bought_usd;
    join(sum, &c);
}

/* Nothing was traded: the price stays what it was when the span began. */
static void still(struct flow *f, const struct market *m, int64_t from_ms, struct sim_candle *sum)
{
    struct flow_trade t;
    double price = 0;
    if (flow_last(f, m->venue, m->symbol, from_ms - 1, &t)) {
        price = venue_to_double(t.ticks, venue_price_decimals(m->venue, m->symbol));
    } else {
        double usd = simulator_price(f->simulator, m->symbol, from_ms);
        price = venue_to_double(venue_ticks(m->venue, m->symbol, usd),
                                venue_price_decimals(m->venue, m->symbol));
    }
    sum->open = sum->high = sum->low = sum->close = price;
}

bool flow_candle(struct flow *f, enum venue v, size_t symbol, int64_t from_ms, int64_t to_ms,
                 int64_t now_ms, struct sim_candle *out)
{
    struct market *m = flow_market(f, v, symbol);
    int64_t begin = from_ms < SIM_FIRST_MS ? SIM_FIRST_MS : from_ms;
    if (begin >= to_ms || begin > now_ms) {
        return false;
    }
    int64_t from = begin / SIM_MINUTE_MS, to = (to_ms + SIM_MINUTE_MS - 1) / SIM_MINUTE_MS;
    int64_t now = now_ms / SIM_MINUTE_MS;
    *out = (struct sim_candle){.open_ms = from_ms};
    if (to == from + 1 && from < now && m->a_day / 1440 <= EXACT_QUOTE) {
        const struct flow_minute *list = flow_list(f, m, from);
        sum_trades(m, list, out);
    } else {
        join_closed(f, m, from, to < now ? to : now, out);
    }
    if (now < to) {
        join_open(f, m, now, now_ms, out);
    }
    if (out->trades == 0) {
        still(f, m, begin, out);
    }
    return true;
}

bool flow_last_day(struct flow *f, enum venue v, size_t symbol, int64_t now_ms,
                   struct sim_candle *out, uint64_t *first_id)
{
    struct market *m = flow_market(f, v, symbol);
    int64_t now = now_ms / SIM_MINUTE_MS, from = now - 1440;
    if (from < SIM_FIRST_MS / SIM_MINUTE_MS) {
        return false;
    }
    if (m->window_minute != now) {
        m->window_minute = now;
        m->window = (struct sim_candle){.open_ms = from * SIM_MINUTE_MS};
        /* by hours, so that hours that are known are not drawn again */
        int64_t hour = from / 60 + (from % 60 != 0);
        if (from % 60) {
            join_minutes(f, m, from, hour * 60, &m->window);
        }
        for (; hour < now / 60; hour++) {
            join_hour(f, m, hour, &m->window);
        }
        if (now % 60) {
            join_minutes(f, m, now / 60 * 60, now, &m->window);
        }
        m->window_first = flow_load_hour(f, m, from / 60)->before[from % 60] + 1;
    }
    *out = m->window;
    *first_id = m->window_first;
    join_open(f, m, now, now_ms, out);
    if (out->trades == 0) {
        still(f, m, from * SIM_MINUTE_MS, out);
    }
    return true;
}
