/* watch_view: what `coincast watch` knows and how it looks. Pure: messages in, lines out; time and
 * the width of the terminal are arguments. SPDX-License-Identifier: MIT */
#ifndef TOOLS_WATCH_VIEW_H
#define TOOLS_WATCH_VIEW_H
#include "base/err.h"
#include "tools/watch_prices.h"

enum { WATCH_FIELDS = 6 };

struct watch_field {
    bool known, stale;
    double value;
    double age_s;         /* when the message came; < 0: not said */
    int64_t as_of_ms;     /* 0: not said */
    uint64_t received_ms; /* monotonic */
    char provider[32], method[24], reason[160];
};

struct watch_view {
    struct watch_field fields[WATCH_FIELDS];
    struct watch_prices prices;
    char mode[16];  /* "" until the server said it */
    char link[160]; /* state of the connection, for people */
    bool connected;
    char note[160]; /* what the server said to a command, or "" */
    /* private: how far the server's clock is ahead of ours, at least; messages that were kept for a
     * while are told by it */
    int64_t ahead_ms;
    bool has_ahead;
};

struct watch_look {
    size_t columns, rows; /* of the terminal */
    bool color;
    const char *url;
    uint64_t now_ms; /* monotonic */
    int64_t wall_ms;
};

enum watch_change {
    WATCH_NOTHING,
    WATCH_SUMMARY,
    WATCH_BTC,
    WATCH_PRICES,
    WATCH_NOTE,
    WATCH_SHUTDOWN
};

/* Takes a message of the server in; says what changed. Anything unknown or malformed is
 * WATCH_NOTHING and changes nothing. A number older than the one that is known is not taken. */
enum watch_change watch_view_take(struct watch_view *v, struct str message, uint64_t now_ms,
                                  int64_t wall_ms);
/* The whole screen: at most `rows` lines of at most `columns` columns, without line ends at the
 * bottom. Prices get what room is left; which of them is kept in `v`. */
void watch_view_screen(struct watch_view *v, const struct watch_look *look, struct buf *out);
/* One line for a pipe: time, mode, numbers with source and age. */
void watch_view_line(const struct watch_view *v, const struct watch_look *look, struct buf *out);

#endif
