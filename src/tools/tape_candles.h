/* tape_candles: the candles of one length of all instruments that a tape has trades of, by the
 * exchange's time of each trade, with exact prices and sums.
 *
 * An instrument is one name at one venue, and instruments are never mixed. Trades that are older
 * than the subscription (a venue's last trades at its start) and those whose id was there already
 * (two connections that overlapped) are passed over. Pure. SPDX-License-Identifier: MIT */
#ifndef TOOLS_TAPE_CANDLES_H
#define TOOLS_TAPE_CANDLES_H
#include "market/candles.h"
#include "wire/exchange.h"
#include "wire/tape.h"

struct tape_candles;
struct tape_candles *tape_candles_new(enum interval interval);
void tape_candles_free(struct tape_candles *t);
/* Takes the trades of an item. False: it is a message that could not be read; `*why` says why. */
bool tape_candles_take(struct tape_candles *t, const struct tape_item *item,
                       const char **why) MUST_CHECK;

/* What there is, by the first trade of each. Slices live as long as `t`; rows by time, until the
 * next item. */
struct tape_instrument {
    enum venue venue;
    struct str name;   /* as the venue writes it */
    struct str symbol; /* BTC */
    const struct candle *rows;
    size_t count;
};
size_t tape_candles_instruments(const struct tape_candles *t);
struct tape_instrument tape_candles_instrument(const struct tape_candles *t, size_t at);
/* Trades of instruments that are quoted in something else than dollars. */
uint64_t tape_candles_passed_over(const struct tape_candles *t);

/* "time_utc,open,high,low,close,volume,trades" and a line a candle; times as
 * "2024-08-08T23:54:00Z", of the candle's opening. */
void tape_candles_csv(const struct candle *rows, size_t count, struct buf *out);

#endif
