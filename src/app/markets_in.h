/* markets_in: what the two files of the markets share: markets_feeds.c has all that is between them
 * and the feeds, markets.c the rest. SPDX-License-Identifier: MIT */
#ifndef APP_MARKETS_IN_H
#define APP_MARKETS_IN_H
#include "app/markets.h"

/* What we know of a symbol beyond its quote. */
struct followed {
    bool wanted;                     /* of the settings, or by clients */
    bool of_settings;                /* stays whatever clients do */
    enum market_venue history_venue; /* whose history was asked for; MARKET_VENUES: none yet */
    uint64_t quiet_since_ms;         /* alive somewhere and no trade since then; 0: not so */
    uint64_t dropped_at_ms;          /* nobody wants it since then; 0: its candles are none */
};

struct markets {
    struct markets_opts opts;
    struct loop *loop;
    struct api_main *api;
    struct market *market;
    struct candles *candles;
    struct fetch *fetch;
    struct link *link;
    struct feeds *feeds;
    struct archive *archive;
    struct moods *moods;
    struct followed *followed; /* by symbol id */
    size_t followed_count;
    enum market_mode mode;
    uint16_t port;
    bool replay;
    struct timer age_timer;
    uint32_t btc;
    uint64_t summary_at_ms, mend_at_ms;
};

static inline int64_t markets_wall(const struct markets *m)
{
    return loop_wall_ms(m->loop);
}

/* A recording may be of symbols that clients wanted then. */
static inline bool markets_follows(const struct markets *m, uint32_t symbol)
{
    return m->replay || (symbol < m->followed_count && m->followed[symbol].wanted);
}

/* Candles of the past are in the series. */
void markets_history_came(struct markets *m, uint32_t symbol, enum interval i);

/* ---- markets_feeds.c ---- */

/* Makes the feeds, for the symbols wanted and by mode, port and replay as they stand. */
void markets_start_feeds(struct markets *m);
void markets_stop_feeds(struct markets *m);
/* Holes that are not filled yet are asked for in turn, a few times a minute. */
void markets_mend(struct markets *m);

#endif
