/* markets: the live half of the server: exchange feeds in, quotes, candles, signals and mood out.
 *
 * It joins what the folders below keep apart: ticks of sources/feeds go into market/market, trades
 * into market/candles, closed candles to the database and to the signals, and what changed to the
 * api, which publishes it. The BTC price of the feeds is the summary's too. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_MARKETS_H
#define APP_MARKETS_H
#include "api/api.h"
#include "app/options.h"
#include "base/json.h"
#include "market/outlook.h"
#include "sources/feeds.h"
#include "sources/recorder.h"
#include "wire/tape.h"

struct markets;

struct markets_opts {
    struct loop *loop;
    const struct options *options;
    struct db *db;
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct weight *weight;     /* of Binance's REST, shared with the providers; NULL: its own */
    struct summary *summary;
    /* A price of the summary came, or its marks changed. */
    void (*summary_changed)(void *self);
    void (*feed_price)(void *self); /* a live feed gave the BTC price */
    /* A feed said that it is simulated or recorded. */
    void (*mode_changed)(void *self, enum market_mode mode);
    void *self;
};

/* `error` gets the sentence. */
enum err markets_new(const struct markets_opts *opts, struct markets **out,
                     struct buf *error) MUST_CHECK;
void markets_attach(struct markets *m, struct api_main *api);
struct market *markets_market(struct markets *m);
struct candles *markets_candles(struct markets *m);

/* Forgets all state and starts the feeds anew: of the settings, or (port not 0) of a stand-in on
 * this machine. */
void markets_use(struct markets *m, enum market_mode mode, uint16_t stand_in_port);
/* No feeds: frames and answers come through the two functions below. */
void markets_use_replay(struct markets *m);
/* The mode turned otherwise (a provider said so): state of the old mode is forgotten. */
void markets_set_mode(struct markets *m, enum market_mode mode);
/* What a provider says of the whole market, for the sentiment; outlook_apply(), outlook_fail(). */
enum err markets_outlook(struct markets *m, const struct outlook_report *r);
void markets_outlook_failed(struct markets *m, enum outlook_part part, const char *why);
void markets_replay(struct markets *m, const struct tape_item *item);
/* An item that is an answer, read as `a`. False: it is to no question of the feeds. */
bool markets_replay_answer(struct markets *m, const struct tape_item *item,
                           const struct fetch_answer *a);
/* The venue's own time of an item that has none; 0: it says none. */
int64_t markets_tape_time_ns(const struct tape_item *item);
/* Closes the feeds and keeps what is closed; before the database goes. */
void markets_stop(struct markets *m);
void markets_free(struct markets *m);

/* A component per feed; the worst status. */
int markets_health(struct markets *m, struct json_writer *w);
/* api_main_opts.older_candles */
void markets_older_candles(struct markets *m, uint32_t symbol, enum interval i, int64_t from_ms,
                           int64_t to_ms, size_t limit, api_candles_done_fn done, void *done_self);
/* A client wants a symbol that is offered but not watched, or nobody does any more. */
void markets_want(struct markets *m, struct str symbol, bool wanted);

#endif
