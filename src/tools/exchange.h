/* exchange: the WebSocket side of the stand-in exchanges: who is connected, what each subscribed
 * to, and the frames that go out, each venue by its own rules and duties.
 *
 *   Binance   /ws  /ws/STREAM/...  /stream?streams=A/B   ping frame every 20 s, pong within 60 s
 *   Coinbase  /                                          subscribes within 5 s
 *   Kraken    /v2                                        heartbeat after a second without a frame
 *
 * It knows no sockets: what it does to a connection goes through exchange_ops, so that tests drive
 * it without any. The trades are those of flow.h, sent at their times by the loop's clock; a venue
 * can be told to misbehave (control.h, targets binance/ws, coinbase/ws, kraken/ws).
 *
 * All on the loop's thread. SPDX-License-Identifier: MIT */
#ifndef TOOLS_EXCHANGE_H
#define TOOLS_EXCHANGE_H
#include "base/loop.h"
#include "tools/control.h"
#include "tools/flow.h"

struct exchange;
struct exchange_session;

/* `conn` is what exchange_open() was given. */
struct exchange_ops {
    void (*send)(void *conn, struct str text);
    void (*ping)(void *conn, struct str payload);
    void (*close)(void *conn, uint16_t code, struct str reason);
    /* Sends the first half of the frame with that text, if any, and breaks the connection. */
    void (*cut)(void *conn, struct str text);
};

struct exchange_opts {
    struct loop *loop;
    struct flow *flow;
    struct control *control;
    const struct exchange_ops *ops;
};

struct exchange *exchange_new(const struct exchange_opts *opts);
/* All sessions must be closed. */
void exchange_free(struct exchange *x);

/* Whose WebSocket a path is; VENUE_COUNT: nobody's. */
enum venue exchange_venue_of(struct str path);
/* The target of that venue in control.h and answer.h. */
size_t exchange_target(enum venue v);

/* A handshake at that path was accepted. Frames may be sent from inside. */
struct exchange_session *exchange_open(struct exchange *x, enum venue v, void *conn,
                                       struct str path, struct str query);
/* A text came from the client, a pong came with that payload. */
void exchange_take(struct exchange_session *s, struct str text);
void exchange_take_pong(struct exchange_session *s, struct str payload);
/* The connection is gone: the session is forgotten. May be called from inside any of the ops. */
void exchange_close(struct exchange_session *s);

#endif
