/* main_in: the insides of the main half, shared by publisher.c (summary, answers, posts), markets.c
 * (symbols, prices, ticker), signals.c (signals, sentiment), candle_channels.c and asked.c
 * (questions of the shards). Main thread only. SPDX-License-Identifier: MIT */
#ifndef API_MAIN_IN_H
#define API_MAIN_IN_H
#include "api/answers.h"
#include "api/letters.h"
#include "base/map.h"

enum { MAX_SHARDS = 64 };

/* A symbol that clients may name; its place in the list is its key. */
struct main_symbol {
    char name[MARKET_SYMBOL_LEN + 1];
    uint32_t market_id; /* MARKET_NO_SYMBOL: not in the market yet */
    bool watched, offered;
    bool asked;      /* `want` was called with true */
    uint32_t wanted; /* shards on which somebody wants it */
    uint64_t unwanted_ms;
    struct signal *signal;                     /* owned; NULL: none yet */
    const struct channel_info *signal_channel; /* of this symbol; NULL: none yet */
};

struct markets {
    struct catalogue *catalogue; /* NULL: to be made anew */
    struct map by_name;          /* -> number of the key + 1 */
    struct main_symbol *symbols;
    size_t count, cap;
    uint32_t *key_of; /* by market id; CATALOGUE_NONE: not told yet */
    size_t key_of_count;
    /* prices */
    const struct channel_info *prices, *ticker;
    uint32_t *marked; /* market ids, each once */
    uint8_t *is_marked;
    size_t marked_count, marked_cap;
    struct defer publish;
    struct buf price_text; /* of one turn */
    bool ticker_due;
    struct timer ticker_timer, wants_timer;
    /* signals and sentiment */
    const struct channel_info *signals, *sentiment;
    struct sentiment *mood; /* owned, as it stands; NULL: none yet */
    struct timer standing_timer;
    /* candles: by key * INTERVALS + interval */
    struct candle_channel *candles;
    size_t candles_count;
    uint32_t *due; /* open candles that changed */
    size_t due_count, due_cap;
    struct timer candles_timer;
};

struct api_main {
    struct api_main_opts opts;
    const struct channel_info *dashboard, *btc_price;
    struct {
        struct api_shard *shard;
        struct mailbox *mail;
    } shards[MAX_SHARDS];
    size_t shard_count;
    struct timer answers_timer, dashboard_timer, btc_timer;
    struct list waiting; /* refreshes under way */
    unsigned known;      /* a bit per field that was known at the last dashboard message */
    uint64_t shown_version;
    struct list asked; /* questions that wait for the database */
    struct markets markets;
    struct sio_memory *sio;
};

/* ---- publisher.c ---- */
void main_count_published(int64_t n);
/* The shards get new answers within the next 50 ms. */
void main_answers_soon(struct api_main *a);

/* ---- markets.c ---- */
enum err markets_init(struct api_main *a) MUST_CHECK;
void markets_fini(struct api_main *a);
void markets_start(struct api_main *a);
/* A new epoch: all that is known is sent anew. */
void markets_again(struct api_main *a);
/* As it stands; borrowed. */
struct catalogue *markets_catalogue(struct markets *m);
/* Of the price that came last; LAG_UNKNOWN. */
int64_t markets_exchange_lag(const struct api_main *a);
/* The key of a symbol of the market, made when new; CATALOGUE_NONE: there are too many. */
uint32_t markets_key(struct api_main *a, uint32_t market_id);
/* Publishes {type,[channel],data,timestamp,mode,cursor} on a channel. */
void markets_publish(struct api_main *a, const struct channel_info *channel, uint32_t key,
                     struct str data, bool named);

/* ---- signals.c ---- */
enum err signals_init(struct api_main *a) MUST_CHECK;
void signals_fini(struct api_main *a);
void signals_start(struct api_main *a);
void signals_again(struct api_main *a);

/* ---- candle_channels.c ---- */
void candle_channels_fini(struct api_main *a);
void candle_channels_again(struct api_main *a);
/* Somebody on one more (or less) shard watches the channel. */
void candle_channels_watch(struct api_main *a, uint32_t key, enum interval i, bool on);

#endif
