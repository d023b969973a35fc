/* venue: the three exchanges of the stand-in: what each lists, what it calls it, and in which steps
 * it counts prices and amounts.
 *
 * Prices and amounts here are whole numbers of the venue's steps ("ticks" and "lots"): sums stay
 * exact and are quick to write. SPDX-License-Identifier: MIT */
#ifndef TOOLS_VENUE_H
#define TOOLS_VENUE_H
#include "base/buf.h"
#include "wire/exchange.h"

/* Whether that symbol (index of simulator.h) trades there against USDT (Binance) or USD. */
bool venue_lists(enum venue v, size_t symbol);
/* By the name used on WebSockets, in its exact case: "BTCUSDT", "BTC-USD", "BTC/USD"; SIZE_MAX:
 * not listed. */
size_t venue_find(enum venue v, struct str instrument);
/* That name. */
void venue_add_name(enum venue v, size_t symbol, struct buf *out);
/* Decimals of a tick and of a lot. */
int venue_price_decimals(enum venue v, size_t symbol);
int venue_lot_decimals(enum venue v, size_t symbol);
/* The market's USD price in this venue's ticks; never below one. */
int64_t venue_ticks(enum venue v, size_t symbol, double usd);
/* Its volume and its number of trades beside those of the largest venue. */
double venue_volume_share(enum venue v);
double venue_trade_share(enum venue v);

/* `units` of 10^-decimals as text with `digits` decimals (at least `decimals`); without trailing
 * zeros when `trim`. */
void venue_add_units(struct buf *out, int64_t units, int decimals, int digits, bool trim);
/* 10^decimals. */
double venue_scale(int decimals);
double venue_to_double(int64_t units, int decimals);

#endif
