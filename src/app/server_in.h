/* server_in: the server of `coincast serve` as its two files share it: server_build.c makes and
 * joins the parts, server.c runs them and takes them apart. SPDX-License-Identifier: MIT */
#ifndef APP_SERVER_IN_H
#define APP_SERVER_IN_H
#include "app/feed.h"
#include "app/keep.h"
#include "app/markets.h"
#include "app/options.h"
#include "app/publish_log.h"
#include "app/shards.h"
#include "hub/hub.h"
#include "sources/replay.h"
#include "store/cache.h"
#include "store/db.h"
#include "store/redis.h"

struct server {
    struct options options;
    struct conf *conf;
    enum source_kind kind;
    struct str replay_file;
    struct loop *loop;
    struct mailbox *mail;
    struct work_pool *pool;
    struct db *db;
    struct redis *redis;
    struct cache *cache;
    struct keep keep;
    struct recorder *recorder;
    struct weight weight; /* of Binance, for feeds and providers */
    struct hub *hub;
    struct summary summary;
    struct api_settings settings;
    struct api_main *api;
    struct tls_context *tls;
    struct shards *shards;
    struct feed *feed;
    struct markets *markets;
    struct clock clock; /* virtual, of a replay */
    struct replay *replay;
    uint64_t answers_unused; /* of its HTTP answers: to nothing that we know */
    struct publish_log *publish_log;
    struct collect_hook signal_hook;
    struct timer demand_timer;
    int64_t started_ms;
    bool draining;
};

/* Makes all parts, in order; nothing runs yet but the shards' sockets, which listen on `port`. Each
 * step says in `error` why it failed; what was made until then is server.c's to take apart. */
enum err server_build(struct server *s, uint16_t *port, struct buf *error) MUST_CHECK;
/* Opens the publish log if one is wanted, starts shards, providers and feeds. */
enum err server_start(struct server *s, struct buf *error) MUST_CHECK;

#endif
