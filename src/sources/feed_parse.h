/* feed_parse: what the venues' REST readers share. Private to feed_{binance,coinbase,kraken}.c.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_FEED_PARSE_H
#define SOURCES_FEED_PARSE_H
#include "sources/feed.h"
#include "wire/scan.h"

/* The next value as a number, also when it is text. False: it is none; it is passed over. */
bool feed_parse_decimal(struct scan *s, struct decimal *out);
/* The same above 0. */
bool feed_parse_price(struct scan *s, struct decimal *out);
bool feed_parse_double(struct scan *s, double *out);
bool feed_parse_u64(struct scan *s, uint64_t *out);
/* A time as exchange_time() reads it; also with a fraction of seconds ("1616663618.1234"). */
bool feed_parse_time_us(struct scan *s, int64_t *out);
/* A whole document that is an array of rows: each goes through `read` and then to the callback.
 * Where `read` says false the row is not what it should be, and the reading ends: ERR_UNAVAILABLE.
 * `read` enters the row of a trade itself and walks it to its end; its `first_id` need not be set.
 * The row of a candle is an array, entered already, whose rest is passed over; quote_volume and
 * taker_buy are NAN where `read` leaves them. A candle whose prices contradict each other ends the
 * reading too. */
typedef bool (*feed_read_trade_fn)(struct scan *s, struct exchange_event *e);
enum err feed_parse_trades(struct str rows, feed_read_trade_fn read, exchange_event_fn trade,
                           void *self, const char **why);
typedef bool (*feed_read_candle_fn)(struct scan *s, struct candle *c);
enum err feed_parse_candles(struct str rows, feed_read_candle_fn read, feed_candle_fn candle,
                            void *self, const char **why);
/* The symbol of an instrument against the venue's quote; false: it is of another. */
bool feed_symbol_of(enum venue v, struct str instrument, struct str *symbol);
/* The end of a reading: the document's fault, or the reader's own. */
enum err feed_parse_end(struct scan *s, bool well, const char *fault, const char **why);

#endif
