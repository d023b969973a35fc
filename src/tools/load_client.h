/* load_client: one WebSocket client of the load tool, and what all of them share. It connects,
 * upgrades, subscribes, answers pings, and reports every message that carries a stamp. It holds no
 * buffer while idle, so that ten thousand of them fit beside the server they load.
 *
 *     idle -> connecting -> handshake -> opening -> upgraded -> subscribing -> ready
 *                   (opening: Socket.IO's own handshake; others pass at once)
 *     any of them -> closing -> idle
 *
 * Everything belongs to the loop's thread. SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_CLIENT_H
#define TOOLS_LOAD_CLIENT_H
#include "base/loop.h"
#include "tools/frame_walk.h"
#include "tools/link.h"
#include "tools/load_stamp.h"
#include "wire/deflate.h"
#include "wire/ws.h"

enum load_protocol {
    LOAD_COINCAST, /* /ws: subscribes to one channel, and leaves the two it is given unasked */
    LOAD_PLAIN,    /* whoever connects gets every message */
    LOAD_SOCKETIO, /* Engine.IO 4 on a WebSocket; whoever connects gets every event */
};

struct load_client;
struct load_inflated; /* stamps of compressed frames that came lately */

struct load_events {
    void (*upgraded)(void *self, struct load_client *c);
    void (*ready)(void *self, struct load_client *c);
    void (*delivery)(void *self, struct load_client *c, struct load_stamp stamp);
    /* It ended without being asked to; closed() follows. */
    void (*lost)(void *self, struct load_client *c, const char *why);
    /* It is idle again and may be started anew. */
    void (*closed)(void *self, struct load_client *c);
};

/* What all clients share; filled by load_crowd_init(). */
struct load_crowd {
    struct loop *loop;
    enum load_protocol protocol;
    bool deflate;
    const struct load_events *events;
    void *self;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    struct link_kind kind; /* also for the publisher */
    /* counted */
    uint64_t bytes, other_frames, refused_deflate;
    uint64_t now_us; /* when the bytes under way were read */
    /* private */
    struct buf request, subscribe, scratch;
    char accept[WS_ACCEPT_LEN + 1];
    uint8_t mask[4];
    size_t hint;
    struct load_inflated *inflated;
};

struct load_crowd_opts {
    struct loop *loop;
    enum load_protocol protocol;
    bool deflate;        /* offer permessage-deflate, both sides without context takeover */
    struct str url;      /* ws or wss://HOST:PORT/PATH; HOST is numeric or localhost */
    const char *ca_file; /* for wss; NULL: the certificate is not checked */
    struct str channel;  /* for LOAD_COINCAST */
    const struct load_events *events;
    void *self;
};

/* `error` gets a sentence. */
enum err load_crowd_init(struct load_crowd *crowd, const struct load_crowd_opts *opts,
                         struct buf *error) MUST_CHECK;
void load_crowd_fini(struct load_crowd *crowd);
/* The address of a URL's host, numeric or localhost. ERR_SYNTAX, ERR_UNSUPPORTED. */
enum err load_address(struct str host, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *out_len) MUST_CHECK;

enum load_state {
    LOAD_IDLE,
    LOAD_CONNECTING,
    LOAD_HANDSHAKE,
    LOAD_OPENING,
    LOAD_UPGRADED,
    LOAD_SUBSCRIBING,
    LOAD_READY,
    LOAD_CLOSING,
};

struct load_client {
    struct link link;
    struct load_crowd *crowd;
    enum load_state state;
    bool stalled;  /* reads nothing */
    bool deflated; /* negotiated */
    bool stopped;
    uint64_t next_n; /* the message expected next; 0: none came yet (numbers start at 1) */
    /* private */
    struct frame_walk walk;
    struct buf head;
};

/* `c` is zeroed or was closed. Ends in upgraded(), or lost() and closed(). */
void load_client_start(struct load_client *c, struct load_crowd *crowd);
/* From upgraded on; ends in ready(), at once where there is nothing to ask for. */
void load_client_subscribe(struct load_client *c);
/* Stops reading for good. */
void load_client_stall(struct load_client *c);
/* Resets the connection; ends in closed(). */
void load_client_close(struct load_client *c);

#endif
