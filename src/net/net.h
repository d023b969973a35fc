/* net: connections of one shard: HTTP/1.1 requests, WebSocket sessions and endless responses (SSE)
 * on plain or TLS sockets. It knows bytes and protocols, nothing of channels or markets.
 *
 * A conn lives and dies on the loop of its net_server. The owner (api, or a tool) gives a table of
 * handlers and a number of bytes of its own behind each conn (conn_user()), so that a client is one
 * allocation. What a handler writes is sent in the flush phase of the turn, in one go.
 *
 * An idle conn owns no buffers: partial input, output that is due and message assembly are
 * allocated while they are needed. SPDX-License-Identifier: MIT */
#ifndef NET_NET_H
#define NET_NET_H
#include "base/loop.h"
#include "wire/deflate.h"
#include "wire/http1.h"
#include "wire/ws.h"

struct conn;
struct tally; /* base/tally.h */
struct net_server;
struct tls_context;

struct net_handler {
    /* A whole request; slices live during the call. Answer with conn_reply(), conn_upgrade_ws() or
     * conn_start_stream(), now or later on the same conn (the next pipelined request waits). HEAD
     * is delivered as HEAD; the reply's body is then dropped by net. */
    void (*request)(void *self, struct conn *c, const struct http_request *r, struct str body);
    /* A whole WebSocket message (text is valid UTF-8), bounded by max_message. */
    void (*message)(void *self, struct conn *c, bool binary, struct str text);
    /* A pong came; its payload. May be NULL. */
    void (*pong)(void *self, struct conn *c, struct str payload);
    /* The socket is full: bytes written now wait in memory. May be NULL. */
    void (*congested)(void *self, struct conn *c);
    /* All that waited is sent. May be NULL. */
    void (*drained)(void *self, struct conn *c);
    /* From now on the conn takes no bytes; `closed` follows. Comes from inside whatever call ended
     * it. May be NULL. */
    void (*closing)(void *self, struct conn *c);
    /* The conn is going away: the last call for it. `code` is the WebSocket close code (0 for HTTP)
     * and `why` a short fixed text for logs. */
    void (*closed)(void *self, struct conn *c, uint16_t code, const char *why);
};

struct net_opts {
    struct loop *loop;
    const struct net_handler *handler;
    void *self;
    size_t user_bytes;       /* behind every conn, zeroed */
    struct tls_context *tls; /* NULL: plain */
    size_t max_conns;        /* 0: no limit; beyond it a 503 and close */
    size_t max_conns_per_ip; /* 0: no limit; beyond it a 429 and close */
    /* Conns by address of all servers that share it, borrowed; NULL: this server's alone. */
    struct tally *conns_of;
    bool limit_loopback; /* also loopback peers count per IP */
    size_t max_body;     /* request bodies; 0: 1 MiB */
    size_t max_pending;  /* bytes waiting for a slow client before it is cut; 0: 64 MiB */
    struct http_limits http;
    uint32_t head_timeout_ms;  /* whole head must be there; 0: 10 s */
    uint32_t body_timeout_ms;  /* whole body; 0: 30 s */
    uint32_t idle_timeout_ms;  /* keep-alive between requests; 0: 75 s */
    uint32_t ping_interval_ms; /* WebSocket pings; 0: none */
    uint32_t ping_timeout_ms;  /* dead when nothing came for that long after a ping */
    size_t max_message;        /* WebSocket message, inflated; 0: 64 KiB */
    size_t max_large;          /* the same where `large` was said; 0: as max_message */
    uint32_t max_fragments;    /* 0: 1,024 */
    bool deflate;              /* accept permessage-deflate */
    struct deflate_policy deflate_policy;
};

/* Addresses that are counted at a time; an address more has no conns. */
#define NET_MAX_PEERS ((size_t)1 << 20)

struct net_server *net_server_new(const struct net_opts *opts);
/* All conns must be closed (net_close_all and turns until net_count() is 0). */
void net_server_free(struct net_server *s);
/* Takes an address, host and port as COINCAST_LISTEN, and listens. ERR_BUSY: somebody serves there.
 * `*bound_port` gives the port taken (for port 0). */
enum err net_listen(struct net_server *s, const char *address, uint16_t *bound_port) MUST_CHECK;
/* Listens where another server of this process has listened first: each shard has a queue of its
 * own, and the kernel spreads connections over them. */
enum err net_listen_beside(struct net_server *s, const char *address) MUST_CHECK;
/* Whether somebody listens on that address already (ERR_BUSY), for who wants to know before. */
enum err net_probe_address(const char *address) MUST_CHECK;
/* What is wrong with an address that could not be listened on, in words that follow it. */
const char *net_listen_why(enum err e);
/* "127.0.0.1:8000", "[::1]:8000", ":8000" (all), to a socket address. */
enum err net_parse_address(const char *address, struct sockaddr_storage *out,
                           socklen_t *out_len) MUST_CHECK;
bool net_address_is_loopback(const struct sockaddr *addr);
/* Stops accepting; conns stay. */
void net_stop_listening(struct net_server *s);
/* Ends every conn as conn_drain() does, also those that are still to come. */
void net_drain(struct net_server *s);
/* Cuts everything that is left. */
void net_close_all(struct net_server *s);
size_t net_count(const struct net_server *s);
/* Calls fn for every conn; it may close the one it is given. */
void net_each(struct net_server *s, void (*fn)(void *self, struct conn *c), void *self);

/* ---- a conn ---- */

void *conn_user(struct conn *c);
struct conn *conn_of_user(void *user);
struct net_server *conn_server(struct conn *c);
/* Peer as text, without the port ("127.0.0.1"). */
const char *conn_peer(struct conn *c, char out[64]);
bool conn_peer_is_loopback(const struct conn *c);
/* Bytes by which peers count as one client: an IPv4 address, or the /64 of an IPv6 one. Borrowed.
 */
struct str conn_peer_key(const struct conn *c);
/* The same for the client that a proxy says it speaks for: the last address of a header
 * X-Forwarded-For. Empty: none that can be read. `peer` is where the bytes are. */
struct str net_forwarded_key(struct str forwarded_for, uint8_t peer[16], bool *loopback);
bool conn_is_ws(const struct conn *c);
bool conn_is_tls(const struct conn *c);
/* Deflate was negotiated and our shared window is allowed by the client. */
bool conn_takes_deflate(const struct conn *c);
/* A closing conn takes no more bytes. */
bool conn_is_closing(const struct conn *c);
/* Bytes that wait in memory for this client. */
size_t conn_pending(const struct conn *c);
/* The socket refused bytes that wait still: `drained` will be called. */
bool conn_is_congested(const struct conn *c);
/* Milliseconds of loop time when bytes last came from it. */
uint64_t conn_last_seen_ms(const struct conn *c);
/* Round trip of the last ping, microseconds; 0: none yet. */
uint32_t conn_rtt_us(const struct conn *c);
/* The plain stream, to which whole frames may be sent directly while conn_pending() is 0; NULL for
 * TLS. */
struct stream *conn_stream(struct conn *c);

struct http_reply {
    unsigned status;
    struct str content_type; /* empty: none */
    struct str headers;      /* further lines, each "Name: value\r\n" */
    struct str body;
    bool close; /* end the conn after it */
};
/* Answers the request that is waiting. Content-Length, Connection and the server's standard
 * security headers are added. */
void conn_reply(struct conn *c, const struct http_reply *reply);
/* Answers with ready bytes: a whole response as http_reply_bytes() makes it, shared by many. */
void conn_reply_ready(struct conn *c, struct str head_and_body, size_t head_len);
/* Writes the whole response into `out`; gives the head's length. Date and Connection, which differ
 * by time and conn, are left to conn_reply_ready(). */
size_t http_reply_bytes(struct buf *out, const struct http_reply *reply);

struct ws_accept_opts {
    struct str protocol; /* subprotocol chosen; empty: none */
    struct str headers;  /* further response lines */
    bool large;          /* messages up to max_large */
};
/* Answers the waiting request with 101, or with the right error when it is no valid handshake
 * (400, 426 with Sec-WebSocket-Version: 13); true: it is a WebSocket now. `r` as given to
 * `request`. */
bool conn_upgrade_ws(struct conn *c, const struct http_request *r,
                     const struct ws_accept_opts *opts);
/* Starts an endless response (chunked for HTTP/1.1); bytes follow with conn_write(), the caller
 * frames chunks itself when this returns true. */
bool conn_start_stream(struct conn *c, const struct http_reply *head);

/* Queues raw bytes that are framed already. Copied. */
void conn_write(struct conn *c, struct str bytes);
/* The same, and tries the socket at once instead of at the end of the turn. When conn_pending() is
 * not 0 after it, `drained` will be called (and `congested` is not). */
void conn_write_now(struct conn *c, struct str bytes);
/* As conn_write() for one of many, and the bytes stay where they are until net_flush(), which
 * follows before anything else happens. Only there it is said whether the socket took them. */
void conn_lend(struct conn *c, struct str bytes);
/* A conn_write() or conn_lend() for that user follows soon: a hint that brings its conn near and
 * reads nothing. A user without a conn does no harm. */
void conn_soon(const void *user);
/* Sends what is queued on all conns now, in batches; the end of each turn does it by itself.
 * Handlers are called from inside. False: some conn may have bytes waiting, or have ended. */
bool net_flush(struct net_server *s);
/* One WebSocket message; compressed when negotiated, `compress` and long enough. */
void conn_send_ws(struct conn *c, enum ws_opcode opcode, struct str payload, bool compress);
/* Sends a ping with that payload. */
void conn_ping(struct conn *c, struct str payload);
/* Starts the closing handshake; later messages are ignored; cut after 2 s. */
void conn_close_ws(struct conn *c, uint16_t code, struct str reason);
/* The request that waits shall end with its client: when the peer leaves before it is answered the
 * conn is closed at once, also by a mere shutdown of the peer's side. */
void conn_park(struct conn *c);
/* Sends what is due, then closes (HTTP; a chunked stream gets its last chunk), or 1001
 * (WebSocket). A request that waits is answered first. */
void conn_finish(struct conn *c);
/* The same, but a request that is on its way is still taken and answered: only who is between two
 * requests is closed now. */
void conn_drain(struct conn *c);
/* Closes at once. */
void conn_abort(struct conn *c);

/* ---- from one server to another ---- */

/* A conn on its way to another net_server, with the request that waits: everything of it that is
 * not bound to a loop. Between threads by mailbox. */
struct net_parcel;
/* Takes a conn whose request waits (not answered, not a WebSocket) out of its loop. `closing` and
 * `closed` are called for it as for any end, then, on the same loop, done() with the parcel, which
 * is the callee's; NULL when the conn ended on the way, or had ended before. `r` and `body` as
 * given to `request`: they are written anew in front of what came behind them. */
void conn_hand_over(struct conn *c, const struct http_request *r, struct str body,
                    void (*done)(void *self, struct net_parcel *owned_parcel), void *self);
/* Makes a conn of it; the request comes to this server's handler in the same turn or the next. Both
 * servers must have the same TLS context, or none. NULL is fine. */
void net_adopt(struct net_server *s, struct net_parcel *owned_parcel);
/* Nobody takes it: closes it. NULL is fine. Any thread. */
void net_parcel_free(struct net_parcel *owned_parcel);

/* ---- TLS ---- */

/* Before anything else of the program uses OpenSSL. Without it all works; where the library keeps a
 * session's ciphers is not known then, and tls_memory.h's hints are not given. */
void tls_init(void);
/* From PEM files; `error` gets the sentence. */
enum err tls_context_new(const char *cert_file, const char *key_file, struct tls_context **out,
                         struct buf *error) MUST_CHECK;
/* Unix time at which its certificate ends; 0: it has none, or one without a time that can be read.
 */
int64_t tls_context_ends_ms(const struct tls_context *t);
void tls_context_free(struct tls_context *t);

#endif
