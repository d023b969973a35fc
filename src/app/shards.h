/* shards: the I/O threads: each one loop with its listener, its sessions and its fan-out.
 *
 * Everything is built on the main thread, runs on the shard's own, and is freed there. Stopping
 * goes in two steps: shards_drain() (clients are told, writes finish, `drained` is called on the
 * main loop), then shards_free() once nothing posts to them any more. SPDX-License-Identifier: MIT
 */
#ifndef APP_SHARDS_H
#define APP_SHARDS_H
#include "api/api.h"

struct shards;

struct shards_opts {
    int count;
    const char *listen;
    enum io_kind io;
    struct mailbox *main_mail;
    struct api_main *main;
    const struct api_settings *settings;
    struct net_opts net;         /* limits and TLS; loop and handler are filled in */
    void (*drained)(void *self); /* main loop: the last one is done */
    void *self;
};

/* Builds all shards and binds them; `*port` is the port taken. `error` gets the sentence. */
enum err shards_new(const struct shards_opts *opts, struct shards **out, uint16_t *port,
                    struct buf *error) MUST_CHECK;
enum err shards_start(struct shards *s) MUST_CHECK;
void shards_drain(struct shards *s, uint32_t within_ms);
void shards_free(struct shards *s);
const char *shards_io_name(const struct shards *s);
const char *shards_io_reason(const struct shards *s);
/* Connections of all shards, as of at most a second ago. */
uint64_t shards_clients(const struct shards *s);
/* A component each, for /api/health; the worst status (0, 1, 2). */
int shards_health(const struct shards *s, struct json_writer *w, int64_t since_ms);

#endif
