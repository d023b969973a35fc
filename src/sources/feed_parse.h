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
/* A candle whose prices do not contradict each other. */
bool feed_candle_sane(const struct candle *c);
/* The symbol of an instrument against the venue's quote; false: it is of another. */
bool feed_symbol_of(enum venue v, struct str instrument, struct str *symbol);
/* The end of a reading: the document's fault, or the reader's own. */
enum err feed_parse_end(struct scan *s, bool well, const char *fault, const char **why);

#endif
