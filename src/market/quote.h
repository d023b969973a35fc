/* quote: the one price of a symbol out of what its feeds said; the arithmetic behind market.h, not
 * for others. Pure; the rules stand in market.h. SPDX-License-Identifier: MIT */
#ifndef MARKET_QUOTE_H
#define MARKET_QUOTE_H
#include "market/market.h"

/* What is kept of a feed beside what it shows in struct feed_quote. */
struct feed_state {
    bool has_last, last_is_trade; /* else out of the 24 h figures */
    struct decimal last;
    int64_t last_exchange_ms, last_received_ms;
    int64_t book_exchange_ms, book_received_ms; /* the book itself: feed_quote.bid, ask */
    uint64_t trade_id;
    int64_t trade_ms;      /* exchange time of the trade with that id */
    double good;           /* the last plausible price, of a trade or a book */
    int64_t good_ms;       /* its receipt */
    double volume;         /* 24 h, base coin; NaN */
    double quote_volume;   /* 24 h, in the venue's quote; NaN */
    uint8_t places;        /* the most a price of it had */
    bool has_price;        /* `price` of feed_quote is of now (a young trade, or the book) */
    bool implausible;      /* the last thing it said was refused: its heartbeats prove nothing */
    const char *down;      /* the venue's connection is down: why; NULL: up */
    const char *down_only; /* this symbol's feed alone is down */
};

struct quote_state {
    struct quote quote;
    struct feed_state feeds[MARKET_VENUES];
    uint8_t fresh;          /* a bit per venue, as last made known */
    bool is_rate;           /* all others are converted by it: its feeds must agree closely */
    int64_t next_change_ms; /* time alone changes nothing before it */
};

/* Everything unknown but which feeds are down, and why; the version rises. */
void quote_reset(struct quote_state *s);
/* Looks a tick over: OK, ERR_RANGE or ERR_EXISTS as market_apply() has it. */
enum err quote_check(const struct quote_state *s, const struct tick *t, int64_t now_ms);
/* Whether it can be, whatever its id: OK or ERR_RANGE. */
enum err quote_plausible(const struct quote_state *s, const struct tick *t, int64_t now_ms);
/* Keeps what a tick that was looked over says. */
void quote_keep(struct quote_state *s, const struct tick *t, int64_t now_ms);
/* Makes the quote anew; `rate` may be NaN. True: something a reader sees changed, and the version
 * rose. */
bool quote_make(struct quote_state *s, double rate, const uint32_t fresh_ms[MARKET_VENUES],
                int64_t now_ms);

#endif
