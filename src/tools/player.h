/* player: plays a reel to whoever connects where that venue's WebSocket would be and subscribes:
 * the recorded frames of what was subscribed, as they came, with the time between them. Each
 * connection has a playback of its own, which begins with its first subscription; at the end the
 * connection stays and nothing more comes. Every name is acknowledged, whether the reel has it or
 * not.
 *
 * Knows no sockets (exchange_ops). On the loop's thread. SPDX-License-Identifier: MIT */
#ifndef TOOLS_PLAYER_H
#define TOOLS_PLAYER_H
#include "base/loop.h"
#include "tools/exchange.h"
#include "tools/reel.h"

struct player {
    struct loop *loop;
    const struct reel *reel;
    const struct exchange_ops *ops;
    double speed; /* 1: as recorded; 0: as fast as it goes */
};

struct playback;
struct playback *player_open(const struct player *p, enum venue v, void *conn, struct str path,
                             struct str query);
void player_take(struct playback *b, struct str text);
/* The connection is gone; also from inside ops.send. */
void player_close(struct playback *b);

#endif
