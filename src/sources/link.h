/* link: one outgoing WebSocket connection, as the feeds see it: a function table, so that tests put
 * scripted exchanges behind it. The real one (link_curl.c) dials with libcurl (names, and as
 * outward.h says, proxies and TLS, verified) and speaks wire/ws in the client's role. Everything on
 * the loop's thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_LINK_H
#define SOURCES_LINK_H
#include "base/loop.h"
#include "base/str.h"
#include "sources/outward.h"

struct link_conn;

struct link_events {
    /* The handshake succeeded; `upstream` is the value of X-Coincast-Upstream (empty: none). */
    void (*opened)(void *self, struct str upstream);
    /* A whole text message, valid UTF-8, borrowed for the call. */
    void (*text)(void *self, struct str message);
    /* A ping of the peer came (it is answered by itself). May be NULL. */
    void (*pinged)(void *self);
    /* The last call, also for what never opened. `status`: HTTP status when the handshake was
     * refused (451: region), else 0; `code`: close code, 0 when none came; `why` for people. */
    void (*closed)(void *self, int status, uint16_t code, const char *why);
};

struct link;
struct link_ops {
    /* `closed` may come later, never from inside. */
    struct link_conn *(*open)(struct link *l, struct str url, const struct link_events *events,
                              void *self);
    void (*send)(struct link *l, struct link_conn *c, struct str text);
    /* Ends it; nothing is called any more. */
    void (*close)(struct link *l, struct link_conn *c);
    void (*free)(struct link *l);
};
struct link {
    const struct link_ops *ops;
};

#define LINK_MAX_MESSAGE ((size_t)16 << 20)
#define LINK_OPEN_TIMEOUT_MS 10000

/* `outward` outlives it; NULL: the system's certificates, the environment's proxy. */
enum err link_curl_new(struct loop *l, const struct outward *outward, struct link **out) MUST_CHECK;

#endif
