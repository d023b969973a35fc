/* watch_prices: the table of prices of `coincast watch`, rows as the server sent them first. Pure:
 * rows of price_updates in, lines of text out. SPDX-License-Identifier: MIT */
#ifndef TOOLS_WATCH_PRICES_H
#define TOOLS_WATCH_PRICES_H
#include "base/buf.h"
#include "base/json.h"

enum { WATCH_SYMBOLS = 1000 };

struct watch_price {
    char symbol[16], quote[8];
    double price, change_pct, bid, ask, high, low, volume; /* NAN: not known */
    int64_t timestamp_ms;                                  /* of the exchange; 0: not said */
    unsigned used, feeds;                                  /* of that many that ever spoke */
    bool stale;
    bool changed; /* since the last watch_prices_lines() */
    char reason[120];
};

/* Zeroed is empty; about 200 KiB. */
struct watch_prices {
    struct watch_price rows[WATCH_SYMBOLS];
    size_t count;
    size_t top, shown; /* the first row on the screen, and how many stood there when it was drawn */
};

enum watch_move { WATCH_UP, WATCH_DOWN, WATCH_PAGE_UP, WATCH_PAGE_DOWN, WATCH_FIRST, WATCH_LAST };

/* `data` of a price_updates message, full or delta: members that are not there stay as they are.
 * False when it has no row. */
bool watch_prices_take(struct watch_prices *p, const struct json *data);
/* Another part of the rows comes onto the screen, by a row or by what stands there. */
void watch_prices_move(struct watch_prices *p, enum watch_move move);

struct watch_table {
    size_t columns, lines; /* room; a line is never wider, and there are never more */
    bool color;
    int64_t server_ms; /* now, by the server's clock; 0: not known */
};
/* The table under a line that says which rows these are when there are more, with "\r\n" before
 * each line. What has no room is left out: first the day's range and the volume, then bid and ask,
 * spread, feeds, age; a row that is stale or unknown says why behind its numbers, or on a line of
 * its own. Keeps `top` where rows are. */
void watch_prices_table(struct watch_prices *p, const struct watch_table *t, struct buf *out);
/* A line for a pipe for each row that changed since the last call; "\n" behind each. */
void watch_prices_lines(struct watch_prices *p, int64_t wall_ms, const char *mode, struct buf *out);

#endif
