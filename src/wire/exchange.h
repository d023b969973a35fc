/* exchange: what the exchanges' WebSocket frames say, read and written; pure codecs.
 *
 * A frame becomes a few events with slices of its text for names and exact decimals for numbers.
 * What a frame means for a connection (acks, heartbeats, errors) is an event too, so that the
 * sessions in sources only decide. Wire formats, limits and traps: docs of each exchange.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_EXCHANGE_H
#define WIRE_EXCHANGE_H
#include "base/buf.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/str.h"

enum venue { VENUE_BINANCE, VENUE_COINBASE, VENUE_KRAKEN, VENUE_COUNT };
/* "binance", ... */
const char *venue_name(enum venue v);
/* VENUE_COUNT: no such. */
enum venue venue_of(struct str name);

enum side { SIDE_UNKNOWN, SIDE_BUY, SIDE_SELL };

enum exchange_kind {
    EX_TRADE,     /* price, quantity, id, side, time */
    EX_BOOK,      /* best bid and ask */
    EX_DAY,       /* rolling 24 h figures and the last price */
    EX_CANDLE,    /* a candle of the venue's own (kline) */
    EX_HEARTBEAT, /* the instrument (empty: the connection) is alive; id: last trade id, 0: unknown
                   */
    EX_ACK,       /* a request was accepted; id: the request's; `text`: the channel, where said */
    EX_REFUSED,   /* a request was refused: `text`; instrument when the frame names it */
    EX_STATUS,    /* the venue speaks about itself: `text` */
    EX_SHUTDOWN,  /* this connection will end soon */
    EX_IGNORED, /* understood, of no use to us (depth, snapshots of books, ...): `text` names it */
};

struct exchange_event {
    enum exchange_kind kind;
    struct str
        instrument;  /* as the venue writes it: BTCUSDT, BTC-USD, BTC/USD; slice of the frame */
    int64_t time_us; /* Unix, the venue's time of what happened; 0: none said */
    int64_t sent_us; /* Unix, the venue's time of sending; 0: none said */
    uint64_t id;     /* trade id, request id; 0: none */
    /* EX_TRADE: id of the first of the trades that are summed up in this (aggTrade), else `id`. */
    uint64_t first_id;
    enum side taker; /* EX_TRADE: who took; sides as the venue means them are resolved */
    bool snapshot;   /* EX_TRADE: it is older than the subscription (last_match, snapshot) */
    struct decimal price, quantity;                      /* EX_TRADE; EX_DAY: last price */
    struct decimal bid, bid_quantity, ask, ask_quantity; /* EX_BOOK; also EX_DAY where given */
    bool has_book;
    /* EX_DAY: `has_*` for what the frame says */
    struct decimal open_24h, high_24h, low_24h, volume_24h; /* volume: base coin */
    struct decimal quote_volume_24h;
    bool has_open, has_range, has_volume, has_quote_volume, has_change;
    double change_24h_pct; /* computed from open_24h where the frame has no percentage */
    /* EX_CANDLE: open_24h.. hold open, high, low, volume; price the close */
    int64_t open_ms, interval_ms;
    bool closed;
    struct str text; /* a slice of the frame, or fixed text */
};

/* Calls `event` for each event of a frame, in order. ERR_SYNTAX: not the JSON it should be;
 * ERR_RANGE: a number that cannot be (a price <= 0, a time out of 2009..2100); ERR_UNSUPPORTED:
 * well-formed, of a kind nobody has seen. `why` gets a sentence; events before the fault were
 * delivered. Unknown members are passed over; numbers may be text and the reverse. */
typedef void (*exchange_event_fn)(void *self, const struct exchange_event *e);
typedef enum err (*exchange_read_fn)(struct str frame, exchange_event_fn event, void *self,
                                     const char **why);
enum err binance_read_frame(struct str frame, exchange_event_fn event, void *self,
                            const char **why) MUST_CHECK;
enum err coinbase_read_frame(struct str frame, exchange_event_fn event, void *self,
                             const char **why) MUST_CHECK; /* Exchange and Advanced Trade */
enum err kraken_read_frame(struct str frame, exchange_event_fn event, void *self,
                           const char **why) MUST_CHECK;
enum err exchange_read_frame(enum venue v, struct str frame, exchange_event_fn event, void *self,
                             const char **why) MUST_CHECK;

/* A venue's time: RFC 3339 with Z, or a number of s, ms, us or ns, told apart by its size. False:
 * neither, or not within 2009..2099. */
bool exchange_time(struct str text, int64_t *out_us) MUST_CHECK;

#define EXCHANGE_SYMBOL_LEN 15
/* The symbol and the quote of an instrument's name: "BTCUSDT" is BTC in USDT. False: neither in USD
 * nor in USDT, or not of that venue's form; on Binance only USDT can be told from a name (FDUSD,
 * TUSD, ... end in USD too). `symbol` is a slice; Kraken's XBT and XDG are given as they stand
 * (exchange_symbol_of resolves them). */
enum quote_unit { QUOTE_USD, QUOTE_USDT };
bool exchange_split(enum venue v, struct str instrument, struct str *symbol,
                    enum quote_unit *quote) MUST_CHECK;
/* The venue's name of a symbol: BTC -> BTCUSDT, BTC-USD, BTC/USD. USDT itself: USDT-USD, USDT/USD;
 * false where the venue has no such instrument (nothing is appended). */
bool exchange_instrument(enum venue v, struct str symbol, struct buf *out) MUST_CHECK;
/* The symbol that everybody knows: XBT is BTC and XDG is DOGE on Kraken. */
struct str exchange_symbol_of(enum venue v, struct str symbol);

#endif
