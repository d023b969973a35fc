/* fake_link: WebSockets whose other side a test plays, on a loop with a virtual clock.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_LIB_FAKE_LINK_H
#define TESTS_LIB_FAKE_LINK_H
#include "base/buf.h"
#include "sources/link.h"

struct fake_link;
struct link_conn {
    struct list node;
    struct fake_link *owner;
    const struct link_events *events;
    void *self;
    struct timer timer; /* until it opens or is refused */
    struct buf url;
    unsigned number; /* the how-many-eth, from 0 */
    bool open;
    void *world; /* the test's own */
};

struct fake_link {
    struct link base;
    struct loop *loop;
    /* Decides about a connection: 0: it opens after 20 ms; else it is refused with that status, or
     * (negative) without one. */
    int (*opening)(void *self, struct link_conn *c);
    void (*opened)(void *self, struct link_conn *c);
    /* A text from the client. */
    void (*sent)(void *self, struct link_conn *c, struct str text);
    /* The client closed it; the last that is heard of it. */
    void (*closed)(void *self, struct link_conn *c);
    void *self;
    const char *upstream; /* X-Coincast-Upstream; NULL: none */
    unsigned opens, open_now;
    struct list conns;
    /* private */
    struct list gone;
};

void fake_link_init(struct fake_link *f, struct loop *l);
void fake_link_fini(struct fake_link *f);
/* The peer says something. */
void fake_link_text(struct link_conn *c, const char *text);
void fake_link_ping(struct link_conn *c);
/* The peer, or the net, ends it. */
void fake_link_cut(struct link_conn *c, uint16_t code);

#endif
