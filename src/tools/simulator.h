/* simulator: a made-up market that behaves like one and can be asked about any moment.
 *
 * Nothing is stepped: the price of a symbol is a function of (seed, symbol, time), so the same seed
 * and time give the same number in whatever order one asks, and history always ends in the present.
 * How: log price = base + beta * market + own, where market and own are Brownian paths pinned at
 * coarse points and refined from 512 days to days, hours and minutes (bridges), with busy and quiet
 * hours and with jumps as uneven variance. Symbols share the market path, so they are correlated.
 * A minute's path passes exactly through its open, high, low and close; longer candles are sums of
 * minutes, so candles of all intervals agree with each other and with the ticks.
 *
 * Prices are rounded to the symbol's tick. Times are Unix milliseconds; before SIM_FIRST_MS there
 * is no market. A simulator keeps caches that never change an answer; it belongs to one thread.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_SIMULATOR_H
#define TOOLS_SIMULATOR_H
#include "base/str.h"

#define SIM_MINUTE_MS INT64_C(60000)
#define SIM_DAY_MS INT64_C(86400000)
/* 2018-02-01T00:00:00Z */
#define SIM_FIRST_MS INT64_C(1517443200000)

/* The part of all trading that the venue of a sim_candle has. */
#define SIM_VENUE_SHARE 0.09

/* The coins with real names, which come first, and all: behind them generated ones, S000 to S499.
 */
#define SIM_NAMED 25
#define SIM_SYMBOLS 525

struct sim_symbol {
    const char *symbol; /* "BTC" */
    const char *id;     /* CoinGecko's id, "bitcoin" */
    const char *name;
    const char *kraken; /* Kraken's key, "XXBTZUSD" */
    int decimals;       /* of the tick */
    double base_usd;
    double supply, max_supply; /* coins; max 0: none */
    double beta;               /* share of the market's moves */
    double own_daily;          /* deviation of own moves a day (0.02: 2 %) */
    double turnover;           /* volume a day over market value, all venues */
};

/* The symbols; those with names by market value of their base, largest first. */
size_t sim_symbol_count(void);
const struct sim_symbol *sim_symbol_at(size_t index);
/* Index by symbol or by CoinGecko id, any case; SIZE_MAX: unknown. */
size_t sim_find_symbol(struct str symbol);
size_t sim_find_id(struct str id);

struct simulator;
struct simulator *simulator_new(uint64_t seed);
void simulator_free(struct simulator *s);

/* USD price at that moment; moves up to four times a second. */
double simulator_price(struct simulator *s, size_t symbol, int64_t unix_ms);

struct sim_candle {
    int64_t open_ms;
    double open, high, low, close;
    double volume;     /* coins on one large venue */
    double volume_usd; /* the same in USD */
    double taker_buy;  /* coins bought by takers */
    double taker_buy_usd;
    uint64_t trades;
};

/* What happened from `from_ms` (a whole minute) to before `to_ms`, nothing of it later than
 * `now_ms`; false when that is nothing. A candle is [open, open + interval). */
bool simulator_candle(struct simulator *s, size_t symbol, int64_t from_ms, int64_t to_ms,
                      int64_t now_ms, struct sim_candle *out);
/* The last 24 hours, in whole minutes and the one under way. */
bool simulator_last_day(struct simulator *s, size_t symbol, int64_t now_ms, struct sim_candle *out);

/* Makes `sum`, which is not empty, one candle with what followed it. */
void sim_candle_extend(struct sim_candle *sum, const struct sim_candle *next);

/* The 60 whole minutes of an hour (Unix hours). */
void simulator_hour(struct simulator *s, size_t symbol, int64_t hour, struct sim_candle out[60]);
/* How lively each hour of a Unix day is, beside the others of that day. */
void simulator_activity(struct simulator *s, size_t symbol, int64_t day, double hours[24]);
/* The seed for the piece `index` of a thing `what` (below 2^32) of this market. */
uint64_t simulator_chance(const struct simulator *s, uint64_t what, int64_t index);

struct sim_global {
    double market_cap_usd, volume_usd;
    double market_cap_change_24h_pct, volume_change_24h_pct;
    double btc_share_pct, eth_share_pct;
};
/* All coins there are: more than those simulated one by one. */
void simulator_global(struct simulator *s, int64_t now_ms, struct sim_global *out);
/* Fear and greed, 0..100, of the UTC day that `unix_ms` lies in. */
int simulator_fear_greed(struct simulator *s, int64_t unix_ms);
/* RSI by Wilder over the last `closes` closed candles of that interval; false when nothing moved or
 * history is too short. */
bool simulator_rsi(struct simulator *s, size_t symbol, int64_t interval_ms, unsigned period,
                   unsigned back, int64_t now_ms, double *out);

#endif
