/* watch_view: what `coincast watch` knows and how it looks. Pure: messages in, lines out; time and
 * the width of the terminal are arguments. SPDX-License-Identifier: MIT */
#ifndef TOOLS_WATCH_VIEW_H
#define TOOLS_WATCH_VIEW_H
#include "base/buf.h"
#include "base/err.h"

enum { WATCH_FIELDS = 6, WATCH_SYMBOLS = 32 };

struct watch_field {
    bool known, stale;
    double value;
    double age_s;         /* when the message came; < 0: not said */
    int64_t as_of_ms;     /* 0: not said */
    uint64_t received_ms; /* monotonic */
    char provider[32], method[24], reason[160];
};

struct watch_price {
    char symbol[16];
    bool known, stale, has_change;
    double price, change_pct;
};

struct watch_view {
    struct watch_field fields[WATCH_FIELDS];
    struct watch_price prices[WATCH_SYMBOLS];
    size_t price_count;
    char mode[16];  /* "" until the server said it */
    char link[160]; /* state of the connection, for people */
    bool connected;
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

enum watch_change { WATCH_NOTHING, WATCH_SUMMARY, WATCH_BTC, WATCH_PRICES, WATCH_SHUTDOWN };

/* Takes a message of the server in; says what changed. Anything unknown or malformed is
 * WATCH_NOTHING and changes nothing. A number older than the one that is known is not taken. */
enum watch_change watch_view_take(struct watch_view *v, struct str message, uint64_t now_ms,
                                  int64_t wall_ms);
/* The whole screen: at most `rows` lines of at most `columns` columns, without line ends at the
 * bottom. */
void watch_view_screen(const struct watch_view *v, const struct watch_look *look, struct buf *out);
/* One line for a pipe: time, mode, numbers with source and age. */
void watch_view_line(const struct watch_view *v, const struct watch_look *look, struct buf *out);

/* Columns a text takes in a terminal: wide characters two, combining ones none. */
size_t watch_columns(struct str text);
/* Appends as much of a text as fits into `columns`, cut with "…" when it does not fit. Control
 * bytes and bad UTF-8 are shown as "?", so that a server cannot move the cursor. */
void watch_add_cut(struct buf *out, struct str text, size_t columns);

#endif
