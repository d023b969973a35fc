/* session: one client as the api sees it, whatever its transport; it lives behind its conn in one
 * allocation. Only the files of the shard half include this. SPDX-License-Identifier: MIT */
#ifndef API_SESSION_H
#define API_SESSION_H
#include "api/answers.h"
#include "api/api.h"
#include "api/command.h"
#include "api/letters.h"
#include "api/messages.h"
#include "api/wants.h"
#include "api/wishes.h"
#include "base/list.h"
#include "net/engine.h"

enum session_kind { SESSION_HTTP, SESSION_WS, SESSION_SSE, SESSION_POLL, SESSION_SIO };

/* What the last request of a conn was: whom a shutdown can still tell something there. */
enum session_use { USE_NONE, USE_OTHER, USE_ENGINE, USE_POLL };

struct session {
    struct member member;
    struct list node;  /* in one of the shard's lists: waiting, streams or polls */
    uint64_t ticket;   /* a letter's answer is awaited; or a poll's deadline (ms) */
    char *cors;        /* owned; headers about who may read the answer; NULL: none */
    struct held held;  /* what it wants of the feeds */
    uint32_t opened_s; /* loop seconds when it became long-lived */
    uint32_t tokens_at_ms;
    uint16_t tokens;
    uint8_t kind;
    uint8_t form; /* enum frame_form, of SESSION_WS */
    uint8_t use;  /* enum session_use */
    bool authorized;
    bool publishes;          /* a request on it had the right token */
    struct engine_link link; /* what the Socket.IO engine keeps with a conn of its own */
};

struct api_shard {
    struct api_shard_opts opts;
    struct loop *loop;
    struct net_server *net;
    struct fanout *fanout;
    struct answers *answers; /* NULL until the first letter */
    struct list waiting, streams, polls;
    struct sio_server *sio;
    struct sio_memory *sio_memory; /* of the main half: named in letters only */
    struct list sio_waiting;       /* clients that want to resume */
    uint64_t sio_clients;          /* so far */
    uint64_t next_ticket;
    uint64_t demanded_ms; /* when C5 last asked main for a fetch */
    struct wants wants;
    struct timer heartbeat, poll_timer, drain_timer;
    bool draining, finished;
    bool sio_queued; /* since the fan-out's last flush */
    size_t pollers;  /* conns of USE_POLL */
    uint32_t drain_step;
    struct buf scratch;
    /* The `welcome` of who comes in this millisecond: many do when a server starts anew. */
    struct buf welcome;
    int64_t welcome_ms; /* 0: none */
    char welcome_cursor[CURSOR_LEN + 1];
};

struct session *session_of(struct conn *c);
struct conn *conn_of(struct session *s);

/* ---- shard.c ---- */
/* Waits for a letter's answer under a new ticket. */
uint64_t session_wait(struct api_shard *s, struct conn *c);
/* Waits no longer: the letter was answered, or could not be sent. */
void session_wait_over(struct conn *c);
/* Who waited for the answer to that ticket, and does no longer; NULL: it left meanwhile. */
struct conn *session_answered(struct api_shard *s, uint64_t ticket);
/* True: within the client's rate; else *retry_s says when. */
bool session_take_token(struct api_shard *s, struct session *session, bool loopback,
                        int64_t *retry_s);
/* What the request that came is; counts the conns that poll. */
void session_use(struct api_shard *s, struct session *session, enum session_use use);
/* Appends the message that says goodbye, for the next client. */
void shutdown_json(struct api_shard *s, struct buf *out);
/* How long a client should wait before it comes back: each another time. */
unsigned shard_spread_ms(struct api_shard *s);
/* Takes letters in when the cursor names a message that has not come here yet: the client has it
 * from another shard. Waits for it, 100 ms at most. May close conns. */
void shard_reach(struct api_shard *s, struct str cursor);
const struct answers *shard_answers(struct api_shard *s);
/* Unix milliseconds of what is said to clients; in a replay the recording's. */
int64_t shard_wall_ms(struct api_shard *s);
/* A message of its own for a WebSocket client, JSON text, in the format it speaks. */
void session_send(struct conn *c, struct str json);
/* It names these symbols and no others (price_updates); none: no more. */
void session_want_prices(struct api_shard *s, struct session *session, const uint32_t *keys,
                         size_t count);
void session_want_candles(struct api_shard *s, struct session *session, uint32_t key,
                          enum interval i, bool on);
/* Out of the fan-out, and wants nothing more. */
void session_leave(struct api_shard *s, struct session *session);

/* ---- routes.c ---- */
void route_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body);
/* Answers the request that waits, with the CORS headers that are due. */
void send_reply(struct conn *c, const struct http_reply *reply);
/* If-None-Match (may be empty) by weak comparison (RFC 9110, 13.1.2). */
bool etag_matches(struct str if_none_match, const char *etag);
void reply_problem(struct conn *c, unsigned status, const char *title, const char *detail,
                   struct str headers);
/* True: its address has asked more often than it may, and was told when to come again. */
bool refuse_over_rate(struct api_shard *s, struct conn *c, const struct http_request *r);
/* The server shuts down: 503, and the conn ends. */
void refuse_draining(struct conn *c);
/* Whether a path is of that form; `varying` gets its part that varies ("/a/:x/b"). */
bool path_fits(const char *pattern, struct str path, struct str *varying);
/* Answers a parked poll with nothing. */
void poll_expire(struct api_shard *s, struct session *session);
void poll_reply(struct conn *c, struct str json);
void refresh_reply(struct conn *c, const struct refreshed *r);

/* What a client missed goes out at once up to this size, else as its socket takes it. */
#define CATCH_UP_AT_ONCE ((size_t)32 << 10)

/* ---- streams.c: /ws, /api/v1/stream, /api/v1/poll ---- */
void open_ws(struct api_shard *s, struct conn *c, const struct http_request *r);
void open_stream(struct api_shard *s, struct conn *c, const struct http_request *r);
void open_poll(struct api_shard *s, struct conn *c, const struct http_request *r);

/* Sends one of the standard messages as it would be now; false: no such channel, or nothing known.
 */
bool send_standard(struct api_shard *s, struct conn *c, struct str channel);
/* Gives a client that has joined what it missed: `first` as collected, or the same in helpings. */
void catch_up(struct api_shard *s, struct conn *c, const struct fanout_sub *subs, size_t count,
              const struct str *since, struct str first);

/* ---- commands.c ---- */
/* What the server knows about this very client, as fields of an open object. `rtt_us` 0: unknown.
 */
void write_stats(struct api_shard *s, const struct session *session, size_t pending,
                 uint32_t rtt_us, struct json_writer *w);
void run_command(struct api_shard *s, struct conn *c, struct str text);
void send_error(struct api_shard *s, struct conn *c, const struct error_text *e);

/* ---- subscribe.c ---- */
void ws_subscribe(struct api_shard *s, struct conn *c, const struct command *cmd);
void ws_unsubscribe(struct api_shard *s, struct conn *c, const struct command *cmd);
/* A reply: type and id of the command in front, the timestamp behind. */
void open_reply(struct json_writer *w, struct buf *json, const char *type,
                const struct command *cmd);
void close_reply(struct api_shard *s, struct conn *c, struct json_writer *w, struct buf *json);

/* ---- routes_market.c ---- */
typedef void (*route_fn)(struct api_shard *s, struct conn *c, const struct http_request *r,
                         struct str body);
void get_prices(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body);
void get_ticker(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body);
void get_sentiment(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body);
void get_assets(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body);
void get_asset(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body);
void get_candles(struct api_shard *s, struct conn *c, const struct http_request *r,
                 struct str body);
void get_indicators(struct api_shard *s, struct conn *c, const struct http_request *r,
                    struct str body);
void get_signals(struct api_shard *s, struct conn *c, const struct http_request *r,
                 struct str body);

/* ---- publish.c ---- */
void route_publish(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body);

/* ---- access.c ---- */
/* Origin absent, the same, or allowed. `cors` (may be NULL) gets the headers for an allowed one. */
bool origin_allowed(const struct api_settings *settings, const struct http_request *r, bool tls,
                    struct buf *cors);
/* Allowed by its own name, not by "*". */
bool origin_named(const struct api_settings *settings, const struct http_request *r);
/* Serving loopback only, Host must name this machine (against DNS rebinding). */
bool host_allowed(const struct api_settings *settings, const struct http_request *r);
/* Whether requests on this conn are held to a rate at all. */
bool rate_holds(const struct api_shard *s, const struct conn *c);
/* One of those more; false: too many, *retry_s (at least 1) says when to come again. */
bool rate_allows(struct api_shard *s, struct conn *c, const struct http_request *r,
                 unsigned *retry_s);
enum token_check { TOKEN_NONE, TOKEN_WRONG, TOKEN_RIGHT };
enum token_check check_token(const struct api_settings *settings, const struct http_request *r);

#endif
