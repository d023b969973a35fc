/* ws_client: one WebSocket connection as a client, over a loop's streams: connect, HTTP upgrade,
 * whole messages, answers to pings, close. Plain ws:// only, no extensions.
 *
 *     idle -> connecting -> handshake -> open -> closing -> idle
 *       (ws_client_open)   (connected)  (101)  (any end)  (closed)
 *
 * Everything belongs to the loop's thread. It never reconnects by itself: `closed` says why, and
 * the owner may open it again from there or later. SPDX-License-Identifier: MIT */
#ifndef TOOLS_WS_CLIENT_H
#define TOOLS_WS_CLIENT_H
#include "base/loop.h"
#include "wire/ws.h"

struct ws_client;

struct ws_client_events {
    void (*opened)(void *self);
    /* A whole message; valid during the call. Text is valid UTF-8. */
    void (*message)(void *self, bool binary, struct str text);
    /* The last call of a connection, also of one that never opened. `why` is for people. */
    void (*closed)(void *self, const char *why);
};

struct ws_client_opts {
    struct loop *loop;
    const struct ws_client_events *events;
    void *self;
    size_t max_message;        /* 0: 1 MiB */
    uint32_t open_timeout_ms;  /* until it is open; 0: 10 s */
    uint32_t quiet_timeout_ms; /* nothing came for so long: it is dead; 0: 60 s */
};

/* Whether it is a URL that can be opened. */
bool ws_client_url_valid(struct str url);
struct ws_client *ws_client_new(const struct ws_client_opts *opts);
/* Only when idle. */
void ws_client_free(struct ws_client *c);
bool ws_client_is_idle(const struct ws_client *c);
/* Starts; `opened` or `closed` follows. On failure nothing follows and `error` gets the sentence.
 * Looks the name up while the caller waits. */
enum err ws_client_open(struct ws_client *c, struct str url, struct buf *error) MUST_CHECK;
/* Does nothing unless open. */
void ws_client_send(struct ws_client *c, struct str text);
/* Says goodbye when open and ends; `closed` follows. Nothing happens when idle. */
void ws_client_close(struct ws_client *c, uint16_t code);

/* Whether the answer to an upgrade with that key is right: OK and the length of its head, ERR_MORE,
 * or another code with the reason (fixed text). */
enum err ws_client_check(struct str bytes, const char *key, size_t *head_len,
                         const char **why) MUST_CHECK;

#endif
