/* flow: the trades of the simulated market, one by one, on three venues.
 *
 * The trades of a minute are a function of (seed, rate, venue, symbol, minute), and so is the
 * number of trades before it: ids are contiguous for ever, and whoever asks, by WebSocket or by
 * REST, today or tomorrow, gets the same trade for the same id. A day has a fixed number of trades
 * by the symbol's size, spread over its hours by how lively they are and over minutes by volume; a
 * small symbol has minutes without a trade.
 *
 * A minute's trades pass through the open, the high, the low and the close of the minute that
 * simulator.h gives, and their amounts sum to its volume. So candles are known without drawing
 * trades, and equal what they sum to: prices, amounts, those bought by takers and counts exactly;
 * the quote volume exactly for single minutes, and within their high and low for longer ones.
 *
 * Times are Unix milliseconds. A flow keeps caches that never change an answer; it belongs to one
 * thread. SPDX-License-Identifier: MIT */
#ifndef TOOLS_FLOW_H
#define TOOLS_FLOW_H
#include "tools/simulator.h"
#include "tools/venue.h"

struct flow_trade {
    uint64_t id;
    int64_t at_ms;
    int64_t ticks; /* price */
    int64_t lots;  /* amount, at least 1 */
    bool buy;      /* the taker bought */
};

/* What a venue that counts microseconds adds to the time of a trade: 0 to 999, the same for all of
 * one moment. */
unsigned flow_trade_us(const struct flow_trade *t);

struct flow_minute {
    int64_t minute; /* Unix minutes */
    size_t count;
    struct flow_trade *trades; /* in order of id and time */
    uint64_t first_id;         /* of the next trade, when there is none in it */
};

struct flow;
/* `rate`: how many times as many trades as usual, 1 to 10,000. */
struct flow *flow_new(struct simulator *simulator, unsigned rate);
void flow_free(struct flow *f);

/* The trades of a minute; valid until that symbol is asked for the second other minute. Before
 * there was a market: none. */
const struct flow_minute *flow_minute(struct flow *f, enum venue v, size_t symbol, int64_t minute);
/* The newest trade at or before `at_ms`; false when there is none within a day. */
bool flow_last(struct flow *f, enum venue v, size_t symbol, int64_t at_ms, struct flow_trade *out);
/* Up to `max` trades in order of id, none later than `now_ms`; gives how many. From an id on; from
 * a time on; the last ones below an id (UINT64_MAX: the newest). Each looks through three days at
 * most. */
size_t flow_from_id(struct flow *f, enum venue v, size_t symbol, uint64_t id, int64_t now_ms,
                    struct flow_trade *out, size_t max);
size_t flow_from_time(struct flow *f, enum venue v, size_t symbol, int64_t from_ms, int64_t now_ms,
                      struct flow_trade *out, size_t max);
size_t flow_before_id(struct flow *f, enum venue v, size_t symbol, uint64_t id, int64_t now_ms,
                      struct flow_trade *out, size_t max);
/* The minute in which that trade is; INT64_MIN: there can be none. */
int64_t flow_minute_of_id(struct flow *f, enum venue v, size_t symbol, uint64_t id);

/* What happened in [from_ms, to_ms), both whole minutes or `to_ms` beyond now, nothing of it later
 * than `now_ms`. False: before there was a market, or later than now. When nothing was traded,
 * `trades` is 0 and the four prices are the price before. */
bool flow_candle(struct flow *f, enum venue v, size_t symbol, int64_t from_ms, int64_t to_ms,
                 int64_t now_ms, struct sim_candle *out);
/* The last 24 hours, in whole minutes and the one under way. `first_id`: of its first trade. */
bool flow_last_day(struct flow *f, enum venue v, size_t symbol, int64_t now_ms,
                   struct sim_candle *out, uint64_t *first_id);

#endif
