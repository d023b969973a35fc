/* load_publisher: the load tool's publishing side: one keep-alive HTTP connection that posts lists
 * of messages to /api/v1/publish, one request at a time. Belongs to the loop's thread.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_PUBLISHER_H
#define TOOLS_LOAD_PUBLISHER_H
#include "base/buf.h"
#include "tools/link.h"

struct load_publisher_events {
    /* Connected, or the request before was answered with 200: the next may be posted. */
    void (*idle)(void *self);
    /* For good; `why` is a sentence, valid during the call. */
    void (*failed)(void *self, const char *why);
};

struct load_publisher_opts {
    struct loop *loop;
    struct link_kind *kind;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    struct str target; /* "/api/v1/publish" */
    struct str host;   /* for the Host header */
    struct str token;  /* bearer; empty: none */
    const struct load_publisher_events *events;
    void *self;
};

struct load_publisher {
    struct link link;
    const struct load_publisher_events *events;
    void *self;
    uint64_t posts;
    /* private */
    struct buf head; /* of every request, up to the length's value */
    struct buf out, in;
    bool open, busy;
};

/* Ends in idle() or failed(). */
enum err load_publisher_start(struct load_publisher *p,
                              const struct load_publisher_opts *opts) MUST_CHECK;
bool load_publisher_busy(const struct load_publisher *p);
/* `body` is copied. Only when not busy. */
void load_publisher_post(struct load_publisher *p, struct str body);
/* Ends the connection; a turn later the memory may go. */
void load_publisher_close(struct load_publisher *p);
/* After the loop has ended. */
void load_publisher_fini(struct load_publisher *p);

#endif
