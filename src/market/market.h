/* market: the state of all symbols now: what each feed says, and the one price made of it.
 *
 * A symbol's price is in USD: the median of its fresh feeds. Feeds in USDT are converted by the
 * live USDT/USD rate (the symbol USDT itself, median of its own feeds); while no rate is known a
 * price that only USDT feeds give stays in USDT and says so (`quote`). Feeds more than OUTLIER_PCT
 * from the median of three or more are left out and counted; of two that differ by more than half
 * (of USDT's: by more than OUTLIER_PCT) the one nearer to the last price is used. A feed is fresh
 * while it is confirmed (market_confirm, or any tick) within its venue's time; a silent feed never
 * looks alive.
 *
 * A feed says its last trade while that is at most a minute old, else the middle of its book if
 * that is narrow, else its last trade, which counts only while no other feed has anything better.
 * The median keeps a feed's digits where it is one feed's price unconverted, else it has as many
 * places as the feeds in it write. One instrument of a venue a symbol: ids and prices share one
 * state.
 *
 * Pure state of the main thread: times are arguments (when our clock is set back, what was said
 * later than that counts as said then), what changed goes up through the listener.
 * The listener is called from inside apply/confirm/age; it must not call back into the market but
 * for reading. SPDX-License-Identifier: MIT */
#ifndef MARKET_MARKET_H
#define MARKET_MARKET_H
#include "base/decimal.h"
#include "base/err.h"
#include "base/str.h"

/* The venues as the market knows them; the order is that of wire/exchange.h (app asserts it). */
enum market_venue { MARKET_BINANCE, MARKET_COINBASE, MARKET_KRAKEN, MARKET_VENUES };
const char *market_venue_name(enum market_venue v);

#define MARKET_SYMBOL_LEN 15
#define MARKET_OUTLIER_PCT 2.0
#define MARKET_NO_SYMBOL UINT32_MAX

enum tick_kind { TICK_TRADE, TICK_BOOK, TICK_DAY };
enum tick_side { TICK_SIDE_UNKNOWN, TICK_SIDE_BUY, TICK_SIDE_SELL };

/* One normalised event of a feed. */
struct tick {
    enum tick_kind kind;
    enum market_venue venue;
    uint32_t symbol;
    bool usdt;            /* the instrument is quoted in USDT, else in USD */
    int64_t exchange_ms;  /* Unix, the venue's time of the event; 0: it says none */
    int64_t received_ms;  /* Unix, our clock */
    uint64_t received_us; /* loop_now_us() at receipt, for the lag from exchange bytes to socket */
    uint64_t id;          /* TICK_TRADE: the venue's trade id; 0: none */
    enum tick_side taker;
    struct decimal price, quantity; /* TICK_TRADE; TICK_DAY: last price (0: not said) */
    struct decimal bid, ask;        /* TICK_BOOK; 0: that side is empty */
    /* TICK_DAY; NaN: not said */
    double change_24h_pct, volume_24h, quote_volume_24h, high_24h, low_24h;
};

/* What one feed says of a symbol. */
struct feed_quote {
    bool known; /* a price was ever said */
    bool fresh; /* confirmed within the venue's time, and up */
    bool used;  /* is in the median now */
    bool outlier;
    bool usdt;
    struct decimal price;    /* as the venue says it */
    double price_usd;        /* after conversion; NaN without a rate */
    struct decimal bid, ask; /* 0: unknown, also from market_down() to the next book */
    int64_t exchange_ms;     /* of the price; 0: none said */
    int64_t received_ms;     /* of the price */
    int64_t confirmed_ms;    /* last sign of life */
    double change_24h_pct, volume_24h_usd; /* NaN: unknown */
    double high_24h, low_24h;              /* as the venue says them; NaN: unknown */
    uint64_t ticks, rejected, outliers;
    const char *reason; /* why not fresh; "" when it is */
};

struct quote {
    bool known;
    bool stale;         /* no fresh feed: the last price stands, with its age, change and range */
    const char *reason; /* why stale, unknown, or in USDT and without a volume; "" else */
    bool usdt;          /* the price is in USDT: no rate is known */
    struct decimal price;
    struct decimal bid, ask;               /* medians of the feeds used, converted; 0: unknown */
    double change_24h_pct, volume_24h_usd; /* NaN: unknown; volume: sum over the fresh feeds */
    double high_24h, low_24h; /* NaN: unknown; with the change of the first venue that says it */
    int64_t exchange_ms; /* newest exchange time among the feeds used; receipt where none is said */
    int64_t received_ms;
    uint64_t received_us; /* of the tick that changed it last */
    double spread_pct;    /* highest against lowest price of the fresh feeds; NaN: fewer than two */
    uint8_t used;         /* a bit per venue in the median */
    uint32_t outliers;    /* ticks left out so far */
    uint64_t version;     /* rises with each change above, or of a feed's freshness; not with times
                             and counts alone */
    struct feed_quote feeds[MARKET_VENUES];
};

struct market_listener {
    /* The quote's version rose. A new rate shows in other symbols with the next market_age(). May
     * be NULL. */
    void (*changed)(void *self, uint32_t symbol);
    /* An accepted trade, in the order of arrival and before `changed`: for candles. May be NULL. */
    void (*trade)(void *self, const struct tick *t);
    void *self;
};

struct market_opts {
    size_t max_symbols;               /* 0: 2,000 */
    uint32_t fresh_ms[MARKET_VENUES]; /* 0: 60,000, 10,000, 10,000 */
    struct market_listener listener;
};

struct market;
struct market *market_new(const struct market_opts *opts);
void market_free(struct market *m);
/* Forgets all quotes (a change of mode); symbols, their ids, and which feeds are down stay,
 * versions rise, nobody is called. */
void market_reset(struct market *m);

/* The id of a symbol (1..15 letters, digits; kept in upper case), made when new: 0, 1, 2, ...
 * ERR_LIMIT, or ERR_SYNTAX for no symbol. */
enum err market_add_symbol(struct market *m, struct str symbol, uint32_t *id) MUST_CHECK;
/* Any case; MARKET_NO_SYMBOL: unknown. */
uint32_t market_find(const struct market *m, struct str symbol);
size_t market_count(const struct market *m);
const char *market_symbol(const struct market *m, uint32_t id);

/* Takes a tick. ERR_RANGE: implausible (not above 0, more than 50 % from the venue's last good
 * price within a minute unless another fresh feed agrees within 5 %, a bid above its ask, a time
 * more than 10 min ahead, a trade more than a day old), the old stays, counted, no sign of life;
 * ERR_EXISTS: a trade id already seen (not newer than the last), dropped, but a sign of life. A
 * lower id that is more than a minute newer by the venue's time begins a new count. */
enum err market_apply(struct market *m, const struct tick *t, int64_t now_ms) MUST_CHECK;
/* A trade that was missed and comes after newer ones: looked over in the same way but for its id,
 * and no news for the price, nor a sign of life. OK: the listener's `trade` got it. */
enum err market_late(struct market *m, const struct tick *t, int64_t now_ms) MUST_CHECK;
/* A sign of life: the feed says that what it said still holds (heartbeat). MARKET_NO_SYMBOL: for
 * all symbols of the venue but those that are down by themselves. Without effect while the last
 * thing that the feed said was implausible. */
void market_confirm(struct market *m, enum market_venue v, uint32_t symbol, int64_t now_ms);
/* The feed of a venue (for one symbol, or all) is down since now, for that reason (static text). Up
 * again with its next tick or confirmation; one symbol's only by its own. Its last trade and its
 * book are no prices of now any more. */
void market_down(struct market *m, enum market_venue v, uint32_t symbol, const char *reason);
/* Marks what became stale by time alone; call a few times a second. */
void market_age(struct market *m, int64_t now_ms);

/* Lives until the next change. Never NULL for a valid id. */
const struct quote *market_quote(const struct market *m, uint32_t symbol);
/* The live USDT/USD rate; NaN: unknown. */
double market_usdt_rate(const struct market *m);

/* ---- the whole market ---- */

struct market_mover {
    uint32_t symbol;
    double change_24h_pct;
};
#define MARKET_MOVERS 10
struct market_totals {
    size_t symbols, known, fresh;           /* without USDT and other coins pegged to the dollar */
    double volume_24h_usd;                  /* NaN: nothing known */
    size_t advancers, decliners, unchanged; /* |change| < 0.1 % is unchanged */
    struct market_mover gainers[MARKET_MOVERS], losers[MARKET_MOVERS];
    size_t gainer_count, loser_count;
};
/* A coin known to be pegged to the dollar (in upper case): its volume and calm say nothing about
 * the market. */
bool market_is_pegged(const char *symbol);
/* Volume, movers and counts are those of the fresh symbols. */
void market_totals(const struct market *m, struct market_totals *out);

#endif
