/* exchange_in: what the venues' files share with exchange.c. SPDX-License-Identifier: MIT */
#ifndef TOOLS_EXCHANGE_IN_H
#define TOOLS_EXCHANGE_IN_H
#include "base/list.h"
#include "tools/exchange.h"
#include "tools/frames.h"

/* What one can subscribe to of a symbol; each venue has its own few. */
enum kind {
    KIND_TRADE = 1, /* Coinbase: matches */
    KIND_AGG_TRADE = 2,
    KIND_BOOK = 4,
    KIND_MINI = 8,
    KIND_TICKER = 16,
    KIND_KLINE = 32,
    KIND_HEARTBEAT = 64,
    KIND_BATCH = 128, /* the ticker, at most once a second */
};
#define KINDS 8

struct watcher {
    struct exchange_session *session;
    unsigned kinds;
};

/* A symbol of a venue that somebody watches, or did. */
struct feed {
    enum venue venue;
    size_t symbol;
    struct watcher *watchers; /* owned */
    size_t count, room;
    unsigned kinds; /* of all watchers */
    /* the next trade: its minute and place there */
    int64_t minute;
    size_t next;
    int64_t due_ms; /* by the venue's clock */
    struct flow_trade last;
    bool is_new; /* traded since the last second */
    int64_t kline_minute;
    int64_t skip; /* trades still to be left out */
    bool spare;   /* the next one is sent whatever is ordered */
};

struct exchange_session {
    struct list node; /* of its venue's sessions */
    struct exchange *exchange;
    enum venue venue;
    void *conn;
    uint64_t number;
    struct timer timer; /* duties: Binance's pings, Coinbase's first subscription, goodbye */
    bool is_dead;       /* closed or cut: nothing more is sent */
    bool is_leaving;    /* goodbye was said */
    bool subscribed;    /* has ever */
    bool sent;          /* since the last second */
    size_t streams;
    /* Binance */
    bool wraps, all_minis;
    char ping[24];
    bool ping_is_open;
    uint64_t ping_ms, window_ms;
    unsigned window_count;
};

struct exchange {
    struct loop *loop;
    struct flow *flow;
    struct control *control;
    const struct exchange_ops *ops;
    struct list sessions[VENUE_COUNT], dead;
    struct feed *feeds[VENUE_COUNT][SIM_SYMBOLS];
    struct feed **watched; /* those with watchers; owned */
    size_t watched_count, watched_room;
    struct timer trades, seconds;
    uint64_t sessions_ever;
    int64_t second;  /* the last one done */
    unsigned inside; /* calls that hold sessions: none is freed meanwhile */
    struct buf frame, wrapped;
};

/* What differs between venues. */
struct exchange_venue {
    const char *target;
    void (*open)(struct exchange_session *s, struct str path, struct str query);
    void (*take)(struct exchange_session *s, struct str text);
    /* Trades of one symbol that are due, in order. */
    void (*trades)(struct exchange *x, struct feed *f, const struct flow_trade *t, size_t count,
                   int64_t now_ms);
    /* Once a second for every symbol watched, and for every session; by the venue's clock. */
    void (*second)(struct exchange *x, struct feed *f, int64_t now_ms);
    void (*session_second)(struct exchange_session *s, int64_t now_ms);
};
extern const struct exchange_venue exchange_binance, exchange_coinbase, exchange_kraken;

/* The venue's clock, as wrong as ordered. */
int64_t exchange_now_ms(const struct exchange *x, enum venue v);
/* Whether orders are to refuse a symbol; takes one of them. */
bool exchange_refuses(struct exchange *x, enum venue v);
/* Subscribes; false: it was already. */
bool exchange_watch(struct exchange_session *s, size_t symbol, enum kind kind);
bool exchange_unwatch(struct exchange_session *s, size_t symbol, enum kind kind);
/* What the session has subscribed of that symbol, as bits of enum kind. */
unsigned exchange_watches(const struct exchange_session *s, size_t symbol);
struct feed *exchange_feed(struct exchange *x, enum venue v, size_t symbol);
/* Sends a text, or what was ordered instead of it. */
void exchange_send(struct exchange_session *s, struct str text);
/* The same to all who watch that. */
void exchange_send_watchers(struct feed *f, unsigned kinds, struct str text);
void exchange_end(struct exchange_session *s, uint16_t code, const char *reason);

#endif
