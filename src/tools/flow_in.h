/* flow_in: what flow.c (trades) and flow_candle.c (candles) share. SPDX-License-Identifier: MIT */
#ifndef TOOLS_FLOW_IN_H
#define TOOLS_FLOW_IN_H
#include "tools/flow.h"

#define DAY_CACHE 1024 /* closed days kept a market */
#define HOUR_CACHE 32

/* All that the trades of a minute are drawn from, and its candle. */
struct shape {
    uint64_t count, buys;
    int64_t open, high, low, close; /* ticks, as far as the trades reach them */
    int64_t lots, bought;
    bool high_first;
};

/* One symbol on one venue. */
struct market {
    enum venue venue;
    size_t symbol;
    uint64_t a_day;              /* trades */
    struct flow_minute lists[2]; /* by minute & 1 */
    size_t room[2];
    int64_t hour_index[HOUR_CACHE]; /* of `hours`; -1: empty */
    struct sim_candle hours[HOUR_CACHE];
    struct sim_candle *days; /* DAY_CACHE; NULL until asked */
    int64_t window_minute;   /* of `window`: the 1,440 closed minutes before that one */
    struct sim_candle window;
    uint64_t window_first;
    /* the minute under way: the sum of its first trades */
    int64_t part_minute, part_ms;
    struct shape part; /* `count` of them */
    double part_usd, part_bought_usd;
};

struct flow_hour;

struct flow {
    struct simulator *simulator;
    unsigned rate;
    struct market *markets[VENUE_COUNT][SIM_SYMBOLS];
    /* the hour looked at last: neighbours are asked for one after the other */
    const struct market *hour_of;
    int64_t hour_index;
    struct flow_hour *hour;
};

/* An hour of one market: minutes as the simulator has them and how many trades were before each. */
struct flow_hour {
    struct sim_candle minutes[60];
    uint64_t before[61]; /* ids given out before the minute begins */
};

struct market *flow_market(struct flow *f, enum venue v, size_t symbol);
/* Lives until the next call. */
const struct flow_hour *flow_load_hour(struct flow *f, const struct market *m, int64_t hour);
const struct flow_minute *flow_list(struct flow *f, struct market *m, int64_t minute);
/* The shape of a minute of the simulator with that many trades. */
void flow_shape(const struct market *m, const struct sim_candle *c, uint64_t count,
                struct shape *s);
/* How many trades of a list are at or before `at_ms`. */
size_t flow_count_until(const struct flow_minute *list, int64_t at_ms);

#endif
