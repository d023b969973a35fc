/* feed: where the server's data comes from: the live providers, or the stand-in upstream on a
 * thread of its own, or first the one and then the other (`auto`), or a recording. It owns the
 * sources and hands their values into the summary. Main thread. SPDX-License-Identifier: MIT */
#ifndef APP_FEED_H
#define APP_FEED_H
#include "app/options.h"
#include "base/json.h"
#include "base/work.h"
#include "market/summary.h"
#include "sources/recorder.h"
#include "sources/sources.h"

struct feed;

struct feed_opts {
    struct loop *loop;
    const struct options *options;
    enum source_kind kind;
    struct db *db;
    struct recorder *recorder;
    struct weight *weight; /* of Binance's REST, shared with the exchange's feed */
    struct summary *summary;
    void (*changed)(void *self); /* a value or a mark of the summary */
    /* As sources_opts has them. */
    enum err (*outlook)(void *self, const struct outlook_report *r);
    void (*outlook_failed)(void *self, enum outlook_part part, const char *why);
    void (*mode_changed)(void *self); /* before anything of the new mode comes */
    /* What is asked from now on: the stand-in on that port of this machine, or (0) the settings'
     * addresses. */
    void (*source_changed)(void *self, uint16_t stand_in_port);
    void *self;
};

/* `error` gets the sentence. */
enum err feed_new(const struct feed_opts *opts, struct feed **out, struct buf *error) MUST_CHECK;
/* Not for a replay, which asks nobody: answers come through feed_replay() in the place of it. */
void feed_start(struct feed *f);
/* An answer of a recording. False: it is to no question of the sources. */
bool feed_replay(struct feed *f, const struct record *item, const struct fetch_answer *a);
/* As sources_stop() and sources_free(): feed_stop(), db_close(), feed_free(). */
void feed_stop(struct feed *f);
void feed_free(struct feed *f);
void feed_refresh(struct feed *f, refresh_done_fn done, void *self);
void feed_demand(struct feed *f);
/* An exchange's feed gave the BTC price: nobody else need be asked for it now. */
void feed_note_price(struct feed *f);
/* An exchange's feed said what it is: everything is of that mode from now on. */
void feed_note_mode(struct feed *f, enum market_mode mode);
/* A component per provider; the worst status. */
int feed_health(struct feed *f, struct json_writer *w);

#endif
