/* engine_session: what the four files of the engine share. Not for others: engine.h is the
 * contract.
 *
 *   state      conns                              what is sent
 *   POLLING    poll or NULL; ws may be probing    held for the poll
 *   UPGRADING  poll or NULL; ws has probed        held until `5`; polls get a noop
 *   WS         ws                                 goes to ws
 *   CLOSING    poll or NULL                       nothing new; the next poll gets what is held
 *   CLOSED     none                               nothing; freed in the deferred phase
 *
 * SPDX-License-Identifier: MIT */
#ifndef NET_ENGINE_SESSION_H
#define NET_ENGINE_SESSION_H
#include "base/map.h"
#include "net/engine.h"
#include "wire/engineio.h"

#include <netinet/in.h>

enum engine_state {
    ENGINE_POLLING,
    ENGINE_UPGRADING,
    ENGINE_WS,
    ENGINE_CLOSING,
    ENGINE_CLOSED,
};

/* Why a session ended, for the handler and the metric. */
#define ENGINE_WHY_TABLE(X)                      \
    X(ENGINE_TRANSPORT_CLOSE, "transport close") \
    X(ENGINE_TRANSPORT_ERROR, "transport error") \
    X(ENGINE_PING_TIMEOUT, "ping timeout")       \
    X(ENGINE_PARSE_ERROR, "parse error")         \
    X(ENGINE_FORCED, "forced close")             \
    X(ENGINE_TOO_SLOW, "too slow")

enum engine_why {
#define X(name, text) name,
    ENGINE_WHY_TABLE(X)
#undef X
};

#define ENGINE_NEVER UINT64_MAX

/* The owner's bytes follow. */
struct engine_session {
    struct engine *engine;
    struct list due;  /* in engine->due while the poll is to be answered */
    struct list dead; /* in engine->dead when CLOSED */
    struct timer timer;
    uint64_t ping_at_ms;    /* revision 4: our next ping */
    uint64_t pinged_us;     /* exact, of the last one */
    uint32_t rtt_us;        /* of the last pong; 0: none yet */
    uint64_t dead_at_ms;    /* silent until then: gone */
    uint64_t upgrade_at_ms; /* the probing WebSocket's time is over */
    uint64_t forget_at_ms;  /* CLOSING: nobody fetches the rest */
    uint64_t noop_at_ms;    /* UPGRADING: the poll that came meanwhile is sent away */
    struct conn *poll, *ws;
    struct engine_link *poll_link, *ws_link;
    /* The post that said `1` while no poll was there: answered when one came, or none comes. */
    struct conn *leaver;
    struct engine_link *leaver_link;
    struct buf held; /* records: struct engine_record, then its bytes */
    size_t held_at;  /* records in front of it are gone */
    struct buf cors; /* lines for the answer to the poll that waits, or to the leaver */
    uint8_t state;
    uint8_t version;
    bool base64;  /* revision 3: polls must not be octets */
    bool leaving; /* CLOSING because the client said so */
    char sid[ENGINE_SID_LEN + 1];
    char peer[INET6_ADDRSTRLEN];
    uint8_t peer_key[16]; /* counted in engine->peers */
    uint8_t peer_key_len; /* 0: not counted */
};

struct engine_record {
    uint32_t len;
    uint32_t binary;
};

struct engine {
    struct engine_opts opts; /* with defaults filled in */
    struct map sessions;     /* by sid */
    struct tally *peers;     /* sessions of each peer */
    struct list due, dead;
    struct defer defer;
    struct buf scratch; /* one answer or frame */
    struct buf decoded; /* one binary packet of a posted payload */
};

/* ---- engine.c ---- */

struct engine_session *engine_session_new(struct engine *e, struct conn *c, unsigned version);
/* Whether this peer may have one more session. */
bool engine_peer_fits(const struct engine *e, const struct conn *c);
/* Tells the handler. */
void engine_opened(struct engine_session *s, struct conn *c, const struct http_request *r);
/* Appends the open packet. */
void engine_open_packet(const struct engine_session *s, bool may_upgrade, struct buf *out);
/* Ends it now: `poll_text` answers the poll that waits, `code` closes the WebSocket. */
void engine_end(struct engine_session *s, enum engine_why why, const char *poll_text, uint16_t code,
                const char *reason);
/* CLOSING and its rest was fetched, or it is not wanted. */
void engine_forget(struct engine_session *s);
/* Pings and ends by the clock, exactly now; false when it is over. */
bool engine_tick(struct engine_session *s);
/* Sets the timer to the nearest deadline. */
void engine_arm(struct engine_session *s);
/* A close packet came. */
void engine_leave(struct engine_session *s);
/* The poll is to be answered at the end of the turn. */
void engine_mark_due(struct engine_session *s);

/* ---- engine_packets.c ---- */

/* What a packet means on the session's transport; false when the session took none further. */
bool engine_packet(struct engine_session *s, const struct eio_packet *p);
/* Sends the ping that was due. */
void engine_ping(struct engine_session *s, uint64_t now_ms);
bool engine_has_held(const struct engine_session *s);
/* Next record held; false when there is none. The slice lives until something is held. */
bool engine_next_held(struct engine_session *s, size_t *at, bool *binary, struct str *bytes);
void engine_drop_held(struct engine_session *s, size_t at);

/* ---- engine_poll.c ---- */

/* Answers the poll that waits when there is something to say. */
void engine_answer_poll(struct engine_session *s);
/* Answers it with that packet ("6") and nothing else; NULL: with what is held. */
void engine_end_poll(struct engine_session *s, const char *packet);
/* Lets the leaver go, answered. */
void engine_end_leaver(struct engine_session *s);
/* The poll came too late: the session has a WebSocket now. */
void engine_refuse_poll(struct engine_session *s);
/* The forms of this session's payloads to the client. */
enum eio_form engine_frame_form(const struct engine_session *s);

/* ---- engine_ws.c ---- */

/* A request for a WebSocket: of a new session (`s` NULL), or of one that polls. */
void engine_ws_open(struct engine *e, struct conn *c, struct engine_link *link,
                    const struct http_request *r, struct engine_session *s, unsigned version);
/* One packet: text with its type digit, or a binary message. */
void engine_ws_send(struct engine_session *s, bool binary, struct str bytes);
/* The probing WebSocket goes, the session keeps polling. */
void engine_ws_give_up(struct engine_session *s, const char *reason);
/* Lets go of the WebSocket and closes it. */
void engine_ws_close(struct engine_session *s, uint16_t code, const char *reason);

#endif
