/* read: what all provider parsers share: numbers that come as numbers or as text, rows of candles,
 * and turning a provider's own words into a sentence that can be shown.
 * Pure. SPDX-License-Identifier: MIT */
#ifndef SOURCES_READ_H
#define SOURCES_READ_H
#include "sources/source.h"
#include "wire/scan.h"

/* Takes a number, or a string that holds one. False: another kind, nothing taken. */
bool read_double(struct scan *s, double *out);
/* As read_double(), for Unix times and the like: whole, 0..2^53. */
bool read_whole(struct scan *s, int64_t *out);
/* Takes a string and appends it to `out`, cut to 120 bytes, nothing unprintable. */
bool read_words(struct scan *s, struct buf *out);
/* The end of the document: OK, or ERR_SYNTAX with the sentence. */
enum err read_end(struct scan *s, struct buf *why) MUST_CHECK;
/* The kind of a provider's own words: ERR_LIMIT when they speak of limits, else `other`. */
enum err read_kind(struct str words, enum err other);

/* Which cell of a row is what. */
struct candle_shape {
    int64_t time_unit_ms; /* 1: milliseconds, 1000: seconds */
    unsigned open, high, low, close, volume;
};
/* Takes an array of rows into out->candles. OK; ERR_SYNTAX, ERR_RANGE or ERR_LIMIT with the reason.
 */
enum err read_candles(struct scan *s, const struct candle_shape *shape, struct reading *out,
                      struct buf *why) MUST_CHECK;

/* Puts a field's value into the reading. */
void reading_put(struct reading *out, enum summary_field field, double value);
/* Forgets everything but keeps the memory. */
void reading_clear(struct reading *out);

/* Begins to read an answer of CoinGecko into a cleared reading. OK: it is well-formed as a whole,
 * and none of its documented errors, which come also where a list is expected. */
enum err coingecko_open(struct str body, struct scan *s, struct reading *out,
                        struct buf *why) MUST_CHECK;

#endif
