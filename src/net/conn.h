/* conn: what the files of this folder share about a connection and its server. Not for others:
 * net.h is the contract.
 *
 *   HTTP --upgrade--> WS --close sent--> WS_CLOSING
 *     |                |                     |
 *     +--> STREAM      |                     |       (endless response)
 *     |       |        |                     |
 *     +-------+--------+---------------------+--> FINISHING   sends the rest, takes no more
 *                                                    |
 *                                                 LINGERING   our side is shut, theirs is drained
 *                                                    |
 *     from anywhere, at once ------------------->  GONE       stream_close() is under way
 *
 * The memory of a conn lives until the stream says `closed`, which the loop never does from inside
 * another callback: whatever is closed inside whichever handler, pointers stay good until the
 * handler's caller has looked at `state`. SPDX-License-Identifier: MIT */
#ifndef NET_CONN_H
#define NET_CONN_H
#include "base/loop.h"
#include "net/net.h"
#include "net/out.h"
#include "net/wheel.h"

enum conn_state {
    CONN_HTTP,
    CONN_STREAM,
    CONN_WS,
    CONN_WS_CLOSING,
    CONN_FINISHING,
    CONN_LINGERING,
    CONN_GONE,
};

/* Why a conn ended, for handlers and logs. */
#define CONN_WHY_TABLE(X)                          \
    X(WHY_NONE, "closed")                          \
    X(WHY_DONE, "done")                            \
    X(WHY_PEER_LEFT, "peer left")                  \
    X(WHY_PEER_CLOSED, "peer closed")              \
    X(WHY_BROKEN, "connection broke")              \
    X(WHY_ABORTED, "aborted")                      \
    X(WHY_CLOSED_HERE, "closed by the server")     \
    X(WHY_DRAINED, "server shuts down")            \
    X(WHY_IDLE, "idle")                            \
    X(WHY_HEAD_TIMEOUT, "head took too long")      \
    X(WHY_BODY_TIMEOUT, "body took too long")      \
    X(WHY_NO_PROGRESS, "client does not read")     \
    X(WHY_TOO_SLOW, "too many bytes pending")      \
    X(WHY_DEAD, "no answer to ping")               \
    X(WHY_CLOSE_TIMEOUT, "close was not answered") \
    X(WHY_PROTOCOL, "protocol violated")           \
    X(WHY_TLS, "TLS failed")                       \
    X(WHY_REFUSED, "over a limit")                 \
    X(WHY_MOVED, "handed over to another shard")

enum conn_why {
#define X(name, text) name,
    CONN_WHY_TABLE(X)
#undef X
};

enum conn_flag {
    CF_LOOPBACK = 1 << 0,      /* the peer is on this machine */
    CF_COUNTED = 1 << 1,       /* counts in conns_of */
    CF_REFUSED = 1 << 2,       /* over a limit: the handler never hears of it */
    CF_WAITING = 1 << 3,       /* a request is with the handler */
    CF_HEAD_REQUEST = 1 << 4,  /* it was HEAD: no body goes out */
    CF_KEEP = 1 << 5,          /* the conn may be used again after the reply */
    CF_HTTP10 = 1 << 6,        /* the request was HTTP/1.0 */
    CF_READING_HEAD = 1 << 7,  /* the first bytes of a head are there */
    CF_IN_HTTP = 1 << 8,       /* the request loop is on the stack */
    CF_PAUSED = 1 << 9,        /* reading is paused */
    CF_CHUNKED = 1 << 10,      /* an endless response in chunks */
    CF_PEER_ENDED = 1 << 11,   /* the peer shut its side */
    CF_CONGESTED = 1 << 12,    /* the socket is full; `writable` will come */
    CF_DEFLATE = 1 << 13,      /* permessage-deflate was negotiated */
    CF_SERVER_RESET = 1 << 14, /* we compress without context takeover */
    CF_CLIENT_RESET = 1 << 15, /* the client does */
    CF_PINGED = 1 << 16,       /* the deadline is that of an answer to our ping */
    CF_ALIVE = 1 << 17,        /* something came, or went out, since the ping */
    CF_TLS_ENDED = 1 << 18,    /* close_notify is written */
    CF_WS = 1 << 19,           /* was upgraded: `ws` is what the union holds */
    CF_OWES_DRAINED = 1 << 20, /* it was congested and has not emptied since */
    CF_PARKED = 1 << 21,       /* the request that waits ends with its client */
    CF_MOVING = 1 << 22,       /* on its way to another server: only input is taken */
    CF_LARGE = 1 << 23,        /* its WebSocket messages may be large */
    CF_LENT = 1 << 24,         /* conn_lend() was called, net_flush() not yet */
};

struct http_state; /* http_server.c: only while a head, body or pipeline is incomplete */
struct ws_state;   /* ws_session.c: only while a frame or message is, or contexts are, kept */
struct tls_session;

/* 128 bytes; the owner's bytes follow. */
struct conn {
    struct wheel_node node; /* deadline; in the server's wheel until GONE is complete */
    struct list due;        /* in server->due while bytes wait for the flush */
    struct stream stream;
    struct net_server *server;
    struct out *out; /* NULL while nothing waits; plain text on TLS */
    struct tls_session *tls;
    union {
        struct http_state *http;
        struct ws_state *ws; /* with CF_WS */
    };
    uint8_t peer[16]; /* IPv6, or IPv4 mapped into it */
    uint32_t flags;
    uint32_t seen_ms; /* low half of loop time */
    uint32_t ping_us; /* likewise, of a ping that is out; 0: none */
    uint32_t rtt_us;
    uint16_t close_code;
    uint8_t state;
    uint8_t why;
    uint8_t server_bits, client_bits; /* deflate windows */
};

struct net_server {
    struct net_opts opts; /* with defaults filled in */
    struct wheel wheel;
    struct list due;
    struct list resume; /* http_state.resume: requests to read on with */
    struct defer resume_defer, due_defer;
    struct flush_hook flush;
    struct timer sweep;
    uint64_t sweep_at_ms;
    struct listener listener;
    bool listening, draining;
    size_t count;           /* conns, also those going away */
    size_t refused;         /* of them, those that only hear a refusal */
    struct tally *conns_of; /* by peer */
    struct out_pool pool;
    struct http_state *upgraded; /* its bytes are still read by the request loop */
    struct buf scratch;          /* heads, compressed messages */
    struct buf inflated;         /* one message, shared policy */
    char *plain;                 /* decrypted bytes, TLS only */
    struct lending *lending;     /* what was lent; NULL before the first time */
    bool not_lent;               /* conn_lend() had to write instead, before the next flush */
    struct deflater *deflater;   /* shared policy */
    struct inflater *inflater;   /* shared policy */
    int64_t date_second;
    char date[40]; /* "Date: ...\r\n" */
};

#define NET_PLAIN_BYTES 16384
#define CONN_LINGER_MS 2000 /* for the peer to read the end and close */

/* ---- conn.c ---- */

/* A conn on `owned_fd`; NULL when the loop refuses it. */
struct conn *conn_new(struct net_server *s, int owned_fd, const uint8_t peer[16], bool refused);
/* wheel_fn: the deadline of a conn passed. */
void conn_deadline(void *server, struct wheel_node *n);
/* Its memory and what hangs on it; the stream must be over. */
void conn_free(struct conn *c);
/* The words for `closed`. */
const char *conn_why_text(enum conn_why why);
void conn_set_deadline(struct conn *c, uint64_t in_ms);
void conn_clear_deadline(struct conn *c);
void conn_pause(struct conn *c, bool paused);
/* Tells the handler, once the state says so, that a conn in state `before` takes no more bytes. */
void conn_tell_closing(struct conn *c, enum conn_state before);
/* Sends the rest, shuts our side and waits for the peer's. */
void conn_end(struct conn *c, uint16_t code, enum conn_why why);
/* Ends it at once; `reset` throws away what the kernel holds. */
void conn_drop(struct conn *c, uint16_t code, enum conn_why why, bool reset);
/* One line in the log, with the peer. */
void conn_log(struct conn *c, const char *message, const char *reason, unsigned code);

/* ---- conn_output.c ---- */

/* Flush hook. */
bool conn_flush_due(void *server);
/* The stream says that there is room again. */
void conn_writable(struct conn *c);
/* There is something to send, or the end to come to. */
void conn_mark_due(struct conn *c);
/* Room for output, then conn_added(). Not for closing conns. */
char *conn_room(struct conn *c, size_t len);
void conn_added(struct conn *c, size_t len);
void conn_queue(struct conn *c, const void *bytes, size_t len);
/* The outcome of a send of enciphered bytes that did not take all: the rest is kept. */
void conn_sent_some(struct conn *c, const char *bytes, size_t len, ssize_t result);

/* ---- conn_lend.c ---- */

/* Sends what was lent; false: some of it waits, or its conn broke. */
bool conn_flush_lent(struct net_server *s);

/* ---- http_server.c ---- */

void http_input(struct conn *c, char *bytes, size_t len);
/* The peer shut its side. */
void http_end(struct conn *c);
/* A deadline passed. */
void http_deadline(struct conn *c);
/* Goes on with what came meanwhile, in the deferred phase. */
void http_resume_later(struct conn *c);
void http_resume(void *server);
void http_free(struct conn *c);
/* The conn carries it until it has left the loop, or ended: then it is freed. */
void http_keep_parcel(struct conn *c, struct net_parcel *owned_parcel);
/* Takes it back, and the bytes that came behind the request. */
struct net_parcel *http_take_parcel(struct conn *c, struct buf *rest);
/* Bytes of a new conn that arrived elsewhere; they are read in the deferred phase. */
void http_put_bytes(struct conn *c, struct buf *owned_bytes);
/* Between two requests; an answer may still be on its way out. */
bool http_idle(const struct conn *c);
/* Answers with a problem and ends the conn. */
void http_problem(struct conn *c, unsigned status, const char *detail);

/* ---- ws_session.c ---- */

void ws_input(struct conn *c, char *bytes, size_t len);
void ws_deadline(struct conn *c);
void ws_free(struct conn *c);

/* ---- hand_over.c ---- */

/* The stream of a moving conn left the loop; frees the conn. */
void conn_moved(struct conn *c);
/* The conn ended on the way. NULL is fine. */
void parcel_lost(struct net_parcel *owned_parcel);

/* ---- peers.c ---- */

/* The address as 16 bytes, IPv4 mapped into IPv6. */
void peer_of_address(const struct sockaddr *addr, uint8_t out[16]);
bool peer_is_loopback(const uint8_t peer[16]);
/* One more conn of that peer, unless it has `most`: false. Gives the flags that say so. */
bool peer_count(struct net_server *s, const uint8_t peer[16], size_t most,
                uint32_t *flags) MUST_CHECK;
/* One less, if it was counted. */
void peer_uncount(struct net_server *s, const uint8_t peer[16], uint32_t flags);

#endif
