/* engine: Engine.IO sessions (revision 4 of the protocol, 3 on wish) over the conns of a
 * net_server.
 *
 * One struct engine for each path and net_server; everything belongs to the thread of its loop. The
 * owner of the net_server gives what comes under the path to engine_request(), has a struct
 * engine_link in the bytes of its own behind every conn (conn_user(), zeroed), and passes the
 * events of its net_handler on: a call gives true when the conn is a session's and nothing is left
 * to do for the owner.
 *
 *   POLLING --WebSocket, 2probe--> UPGRADING --5--> WS
 *      ^                               |
 *      +----- probe fails, 10 s -------+         from each: engine_close(), violations, silence
 *
 * What is sent while a session polls or upgrades is held in memory, in order, bounded by
 * max_pending; a session beyond it is closed ("too slow").
 *
 * A session's sid is a bearer secret: never log or publish it. Its first two characters are the
 * number of its shard: a request that came to another shard is handed over (`elsewhere`).
 * SPDX-License-Identifier: MIT */
#ifndef NET_ENGINE_H
#define NET_ENGINE_H
#include "net/net.h"

#define ENGINE_SID_LEN 22
#define ENGINE_MAX_SHARDS 4096
#define ENGINE_MAX_PAYLOAD 1000000 /* where none is given */

struct engine;
struct engine_session;

/* Part of the owner's bytes behind each conn that may come under an engine's path; zeroed at first,
 * then the engine's. */
struct engine_link {
    struct engine_session *session; /* NULL: none now */
    bool is_ws;                     /* the engine made a WebSocket of it, its until it ends */
};

struct engine_handler {
    /* Whether this request may open a session (`s` NULL) or a WebSocket for one. False: 403 with
     * the message (static text, JSON-safe). Where `Origin` is checked. NULL: everybody may. */
    bool (*allow)(void *self, struct conn *c, const struct http_request *r,
                  struct engine_session *s, const char **message);
    /* Appends the CORS lines ("Name: value\r\n") for the answer to that request; also for OPTIONS,
     * which is answered by 204. NULL: none, and OPTIONS is a bad request. */
    void (*cors)(void *self, struct conn *c, const struct http_request *r, struct buf *lines);
    /* A session is there, its open packet is queued; it may be sent to and closed. */
    void (*opened)(void *self, struct engine_session *s, struct conn *c,
                   const struct http_request *r);
    /* A message; text is valid UTF-8. The slice lives during the call. */
    void (*message)(void *self, struct engine_session *s, bool binary, struct str data);
    /* engine_session_conn() changed. NULL: nobody cares. */
    void (*transport)(void *self, struct engine_session *s);
    /* A poll took all that was held, or the WebSocket sent all that waited. May be NULL. */
    void (*drained)(void *self, struct engine_session *s);
    /* It is over, for all reasons; comes from inside whatever call ended it. The session may be
     * asked, not sent to, until the turn's end; then it is freed. `why` is one of: "transport
     * close", "transport error", "ping timeout", "parse error", "forced close", "too slow". */
    void (*closed)(void *self, struct engine_session *s, const char *why);
    /* The request names a session of another shard: conn_hand_over() it there. The number is the
     * client's word, any below ENGINE_MAX_SHARDS: engine_refuse_sid() where there is no such shard.
     * NULL: such a sid is unknown. */
    void (*elsewhere)(void *self, struct conn *c, const struct http_request *r, struct str body,
                      unsigned shard);
};

struct engine_opts {
    struct loop *loop;
    const struct engine_handler *handler;
    void *self;
    size_t user_bytes;           /* behind every session, zeroed */
    unsigned shard;              /* below ENGINE_MAX_SHARDS */
    uint32_t ping_interval_ms;   /* 0: 25 s */
    uint32_t ping_timeout_ms;    /* 0: 20 s */
    uint32_t upgrade_timeout_ms; /* 0: 10 s */
    size_t max_payload;  /* bytes of a posted body, a poll's answer or a message; a WebSocket's
                          are bounded by net_opts.max_large; 0: ENGINE_MAX_PAYLOAD */
    size_t max_pending;  /* bytes held for a session; 0: 1 MiB */
    size_t max_sessions; /* 0: no limit; beyond it 503 */
    size_t max_per_peer; /* sessions of one address: they outlive conns; 0: no limit; else 429 */
    /* Sessions by address of all engines that share it, borrowed; NULL: this engine's alone. */
    struct tally *sessions_of;
    bool limit_loopback; /* peers on loopback are held to it too */
    bool allow_v3;       /* clients of socket.io 2.x */
};

struct engine *engine_new(const struct engine_opts *opts);
/* Ends all sessions ("transport close"); before the net_server's conns are cut. */
void engine_close_all(struct engine *e);
/* After engine_close_all(); conns must be gone. Also frees what is closed and not freed yet. */
void engine_free(struct engine *e);
size_t engine_count(const struct engine *e);
/* Calls fn for every open session; it may close the one it is given. */
void engine_each(struct engine *e, void (*fn)(void *self, struct engine_session *s), void *self);

/* ---- what the owner's net_handler passes on ---- */

/* Answers everything under the path. `link` is that of `c`. */
void engine_request(struct engine *e, struct conn *c, struct engine_link *link,
                    const struct http_request *r, struct str body);
/* For `elsewhere`, when there is no such shard: as for any sid that is unknown. */
void engine_refuse_sid(struct engine *e, struct conn *c, const struct http_request *r);
bool engine_on_message(struct engine_link *link, struct conn *c, bool binary, struct str text);
bool engine_on_drained(struct engine_link *link, struct conn *c);
/* From net_handler.closing. */
bool engine_on_closing(struct engine_link *link, struct conn *c);

/* ---- a session ---- */

void *engine_session_user(struct engine_session *s);
struct engine_session *engine_session_of_user(void *user);
struct engine *engine_session_engine(struct engine_session *s);
/* The open session of that sid; NULL when there is none. */
struct engine_session *engine_find(struct engine *e, struct str sid);
struct str engine_session_sid(const struct engine_session *s);
/* 3 or 4. */
unsigned engine_session_version(const struct engine_session *s);
/* The peer of its handshake, as conn_peer() says. */
const char *engine_session_peer(const struct engine_session *s);
bool engine_session_is_open(const struct engine_session *s);
/* The conn when the session's transport is a WebSocket, also TLS; NULL while it polls or upgrades.
 * Ready frames may go straight to its conn_stream() when that is not NULL, by the rules there. */
struct conn *engine_session_conn(struct engine_session *s);
/* Bytes held for it, here and in its conn. */
size_t engine_session_pending(const struct engine_session *s);
/* From our last ping that was answered to the answer, the wait for a poll included; 0: none yet,
 * and always in revision 3, where clients ping. */
uint32_t engine_session_rtt_us(const struct engine_session *s);
/* The shard a sid names; false when it is no sid of ours. */
bool engine_sid_shard(struct str sid, unsigned *shard);

/* Sends one message. */
void engine_send(struct engine_session *s, bool binary, struct str data);
/* Sends ready packets: texts with their type digit ("4..."), separated by 0x1e. The way for bytes
 * that many sessions share while the transport is not a plain WebSocket; works for all. */
void engine_write_packets(struct engine_session *s, struct str packets);
/* Closes it after what is held: a poll that waits, or the next one within 30 s, gets it with a
 * close packet; a WebSocket a closing handshake with `code` and `reason`. `closed` is called at
 * once, from inside. */
void engine_close(struct engine_session *s, uint16_t code, const char *reason);

#endif
