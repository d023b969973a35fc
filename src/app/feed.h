/* feed: where the server's data comes from: the live providers, or the stand-in upstream on a
 * thread of its own, or first the one and then the other (`auto`). It owns the sources and hands
 * their values into the summary. Main thread. SPDX-License-Identifier: MIT */
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
    struct summary *summary;
    void (*changed)(void *self);      /* a value or a mark of the summary */
    void (*mode_changed)(void *self); /* before anything of the new mode comes */
    void *self;
};

/* `error` gets the sentence. */
enum err feed_new(const struct feed_opts *opts, struct feed **out, struct buf *error) MUST_CHECK;
void feed_start(struct feed *f);
/* As sources_stop() and sources_free(): feed_stop(), db_close(), feed_free(). */
void feed_stop(struct feed *f);
void feed_free(struct feed *f);
void feed_refresh(struct feed *f, refresh_done_fn done, void *self);
void feed_demand(struct feed *f);
/* A component per provider; the worst status. */
int feed_health(struct feed *f, struct json_writer *w);

#endif
