/* feed: one venue's streams, private to the feed files: what the venue is (struct feed_venue),
 * which instruments are wanted of it (struct feed_row), its connections (struct feed_session) and
 * what is asked of its REST (struct feed_job).
 *
 * Instruments are spread over slots, as many as a connection may carry. A slot has one session that
 * counts, and while it is turned over a second one that takes its place once it delivers:
 *
 *                wanted rows, attempt allowed          23 h, shutdown announced
 *     slot empty ──────────────> live ──────────────────────────────> live + next
 *          ^                      │  ^                                     │
 *          └── backoff ── broke ──┘  └──────── next subscribed, delivers ──┘
 *
 * feed.c holds the sessions, feed_subscribe.c what they carry, feed_rows.c the instruments,
 * feed_take.c makes ticks of events and watches ids, feed_rest.c asks REST;
 * feed_{binance,coinbase,kraken}.c are the venues. Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_FEED_H
#define SOURCES_FEED_H
#include "base/map.h"
#include "sources/feeds.h"
#include "sources/limiter.h"
#include "sources/weight.h"
#include "wire/exchange.h"

#define FEED_TICK_MS 100
#define FEED_SLOTS_MAX 16
#define FEED_HOLES_MAX 4
#define FEED_REPAIR_MAX 1000 /* trades of one hole that are fetched one by one */
#define FEED_REASON_LEN 160
#define FEED_NO_ID UINT64_MAX

/* Missing trades: [from, to]. */
struct feed_hole {
    uint64_t from, to;
    int64_t from_ms, to_ms; /* Unix: trades just outside it */
    uint64_t since_ms;      /* monotonic: found */
    bool asked;             /* REST was asked */
};

/* How many trades it lacks. */
static inline uint64_t feed_hole_size(const struct feed_hole *hole)
{
    return hole->to - hole->from + 1;
}

struct feed_row {
    char *instrument; /* owned */
    uint32_t symbol;
    size_t index; /* in venue_feed.rows */
    bool usdt, wanted, refused;
    bool seen;   /* it said a price since it was down last */
    bool listed; /* in the venue's list, or the list is not known */
    bool live;   /* a trade came that was no mark of a subscription's start */
    uint16_t slot;
    uint64_t last_id;      /* newest trade accounted for; 0: none yet */
    uint64_t given_id;     /* newest trade handed up */
    int64_t last_trade_ms; /* Unix, the venue's time of last_id */
    uint64_t ahead_id;     /* the venue says that this trade was; 0: nothing is missing */
    uint64_t ahead_since_ms;
    int64_t ahead_ms; /* Unix */
    struct feed_hole holes[FEED_HOLES_MAX];
    size_t hole_count;
};

enum { FEED_MESSAGE_ROWS_MAX = 200 };

struct feed_session {
    struct list node; /* in venue_feed.graveyard when it ended */
    struct venue_feed *feed;
    struct link_conn *conn;
    uint16_t slot;
    bool open, shutdown, ended, told_turnover;
    uint64_t opened_ms, last_frame_ms, last_beat_ms, last_confirm_ms;
    uint64_t data_frames;
    uint32_t bad_in_row;
    /* what it is subscribed to: a bit per part and row */
    uint8_t *have; /* owned */
    size_t have_cap;
    /* own messages: times of the newest, for the venue's limit */
    uint64_t sent_ms[8];
    uint32_t sent_count;
    /* a subscription under way, of venues that answer for whole messages */
    uint32_t pending[FEED_MESSAGE_ROWS_MAX];
    size_t pending_count;
    uint8_t pending_bit;
    bool pending_on;
    uint64_t pending_since_ms;
    uint64_t complete_since_ms; /* all that is wanted is subscribed since then; 0: not */
    uint64_t quiet_until_ms;    /* the venue asked for fewer messages */
};

struct feed_slot {
    struct feed_session *live, *next;
    uint32_t failures;
    uint64_t retry_ms; /* not before then */
    uint64_t next_retry_ms;
};

/* ---- REST ---- */

enum feed_job_kind { JOB_LIST, JOB_REPAIR, JOB_HISTORY };
struct feed_job {
    struct list node;
    enum feed_job_kind kind;
    size_t row;
    struct feed_hole hole;  /* JOB_REPAIR */
    enum interval interval; /* JOB_HISTORY */
    size_t count;
    int64_t before_ms; /* 0: now */
};

struct feed_rest {
    struct limiter limiter;
    struct list jobs;
    size_t job_count;
    struct feed_job *busy;
    struct fetch_job *flight;
    struct buf url; /* of the flight */
    bool recorded;  /* a replay: its recording has answers of this venue */
    uint64_t list_due_ms;
    uint32_t list_failures;
    struct weight *weight;
    struct weight own_weight;     /* where nobody else asks the host */
    char reason[FEED_REASON_LEN]; /* of the last failure; "" when well */
};

/* ---- what a venue is ---- */

typedef void (*feed_symbol_fn)(void *self, struct str symbol);
typedef void (*feed_candle_fn)(void *self, const struct candle *c);

struct feed_venue {
    enum venue id;
    const char *ws_url, *rest_url;
    const char *ws_path;      /* behind ws_url */
    uint32_t dead_ms;         /* silence that ends a connection */
    bool needs_heartbeats;    /* that silence is of heartbeats, not of frames */
    bool frames_confirm;      /* a live connection confirms all its instruments */
    bool answers_whole;       /* an answer is for a whole message, not for an instrument */
    uint32_t per_second;      /* own messages a second */
    size_t rows_a_connection; /* by the venue's limit of streams */
    size_t rows_a_message;
    unsigned parts; /* messages that a subscription of an instrument takes */
    uint32_t rest_burst, rest_period_ms;
    uint32_t list_max_bytes;

    /* A message that (un)subscribes the instruments. */
    void (*write)(struct buf *out, struct feed_row *const *rows, size_t count, unsigned part,
                  bool on, uint64_t id);
    const char *list_path;
    /* Symbols that are traded against this venue's quote now. ERR_UNAVAILABLE: `why` says what the
     * venue said instead. */
    enum err (*read_list)(struct str body, feed_symbol_fn symbol, void *self, const char **why);
    /* What the same answer says of the limit by weight, a minute; 0: nothing. NULL: has none. */
    uint64_t (*read_weight_limit)(struct str body);
    void (*trades_path)(struct buf *out, const struct feed_row *row, const struct feed_hole *hole);
    enum err (*read_trades)(struct str body, exchange_event_fn trade, void *self, const char **why);
    /* What is asked for an interval: the venue may have it only in a shorter one. */
    enum interval (*history_interval)(enum interval i);
    size_t history_max; /* rows of one answer */
    void (*candles_path)(struct buf *out, const struct feed_row *row, enum interval i, size_t count,
                         int64_t before_ms, int64_t now_ms);
    /* `newest_is_open`: the last row by time is the candle under way. `leaves_out_quiet`: a candle
     * without trades has no row. */
    enum err (*read_candles)(struct str body, feed_candle_fn candle, void *self, const char **why);
    bool newest_is_open, leaves_out_quiet;
};

extern const struct feed_venue feed_venue_binance, feed_venue_coinbase, feed_venue_kraken;

/* ---- one venue ---- */

struct venue_feed {
    struct feeds *owner;
    const struct feed_venue *venue;
    char *ws_url, *rest_url; /* owned */
    struct map by_instrument;
    struct feed_row **rows; /* owned, as what they point to */
    size_t row_count, row_cap;
    struct feed_slot slots[FEED_SLOTS_MAX];
    size_t slot_count;
    struct list graveyard; /* sessions to be freed at the next tick */
    bool list_known;
    struct map offered;
    uint64_t attempts[10]; /* times of the newest, monotonic */
    uint32_t attempt_count;
    size_t batch; /* rows a message now; halved while the venue refuses and names nobody */
    uint64_t next_message_id;
    bool blocked;
    struct feed_rest rest;

    enum health_status status;
    int64_t since_ms, last_frame_ms;
    char reason[FEED_REASON_LEN];     /* of the last failure of a connection */
    char bad_reason[FEED_REASON_LEN]; /* of the last bad frame */
    uint64_t bad_ms;                  /* monotonic: when; 0: never */
    char said[FEED_REASON_LEN];       /* health's sentence */
    uint64_t frames, ticks, ignored, rejected, gaps, repaired, doubled, reconnects, turnovers;
    int64_t lag_ms;
    bool has_lag;
    uint64_t replay_confirm_ms;
    size_t replay_connections;
};

struct feeds {
    struct feeds_opts opts;
    struct timer timer;
    bool running;
    enum market_mode mode;
    uint64_t random;
    struct map told; /* symbols given to `offered` */
    struct venue_feed venues[VENUE_COUNT];
};

/* feeds.c */
uint32_t feeds_chance(struct feeds *f);
/* An upstream's mark; sets the mode. */
void feeds_mark(struct feeds *f, struct str upstream);

/* feed_rows.c */
/* The row of a symbol of the market, made when it is new; NULL: the venue has no such instrument,
 * or too many. */
struct feed_row *feed_row_of(struct venue_feed *vf, uint32_t symbol);
struct feed_row *feed_row_find(struct venue_feed *vf, struct str instrument);
/* An instrument of a recording that nobody asked for. NULL: of no use. */
struct feed_row *feed_row_adopt(struct venue_feed *vf, struct str instrument);
/* Whether it is to be subscribed now: wanted, and nothing speaks against it. */
bool feed_row_due(const struct feed_row *row);
/* The list is another. */
void feed_rows_relist(struct venue_feed *vf);
void feed_row_refuse(struct venue_feed *vf, struct feed_row *row, struct str text);
void feed_rows_free(struct venue_feed *vf);

/* feed_take.c */
/* A frame of a session, or of a recording (NULL). */
void feed_take_frame(struct venue_feed *vf, struct feed_session *s, struct str frame);
/* Trades of REST for a hole: those still missing are handed up in order; gives how many of the
 * hole are missing then. */
size_t feed_take_repair(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole,
                        const struct exchange_event *trades, size_t count);
/* A hole cannot be repaired. */
void feed_take_gap(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole);
/* Looks at what is missing of a row: asks for it, or gives it up. */
void feed_take_look(struct venue_feed *vf, struct feed_row *row);

/* feed.c */
void venue_feed_init(struct venue_feed *vf, struct feeds *owner, const struct feed_venue *venue,
                     const char *ws_url, const char *rest_url);
void venue_feed_fini(struct venue_feed *vf);
void venue_feed_tick(struct venue_feed *vf);
/* Closes all connections, cancels what is asked. */
void venue_feed_stop(struct venue_feed *vf);
/* Ends a connection that is at fault and plans the next. */
void feed_session_fail(struct feed_session *s, const char *down, const char *why);
/* The connection will end: turn over. */
void feed_session_shutdown(struct feed_session *s);

/* feed_health.c */
void venue_feed_health(struct venue_feed *vf, struct feed_health *out);

/* feed_subscribe.c */
/* Sends what is due, within the venue's limit of messages. */
void feed_session_pump(struct feed_session *s);
/* A message of ours went out, a pong for one. */
void feed_session_note_sent(struct feed_session *s);
/* An answer to a subscription. */
void feed_session_ack(struct feed_session *s);
void feed_session_refused(struct feed_session *s, struct str instrument, struct str text);

/* feed_rest.c */
void feed_rest_init(struct venue_feed *vf);
void feed_rest_tick(struct venue_feed *vf);
void feed_rest_repair(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole);
void feed_rest_history(struct venue_feed *vf, struct feed_row *row, enum interval i, size_t count,
                       int64_t before_ms);
void feed_rest_stop(struct venue_feed *vf);
/* What came of a job, live or recorded, goes up; `job` is the caller's. Whether it is of use. */
enum err feed_rest_take(struct venue_feed *vf, const struct feed_job *job,
                        const struct fetch_answer *a);

/* feed_purpose.c: what was asked of a venue's REST, in words that a recording keeps */
void feed_purpose_write(struct buf *out, const char *instrument, const struct feed_job *job);
/* Fills kind, hole, interval and before_ms of `job`; `instrument` is a slice of `text`, "" for the
 * list. False: no such words. */
bool feed_purpose_read(struct str text, struct str *instrument, struct feed_job *job);

/* feed_count.c: metrics, one of each a venue */
enum feed_count {
    FEED_FRAMES,
    FEED_TICKS,
    FEED_IGNORED,
    FEED_REJECTED,
    FEED_GAPS,
    FEED_REPAIRED,
    FEED_DOUBLED,
    FEED_RECONNECTS,
    FEED_TURNOVERS,
    FEED_COUNTS,
};
/* One more, in the venue's own figures too. */
void feed_count(struct venue_feed *vf, enum feed_count what);
void feed_count_lag(struct venue_feed *vf, int64_t lag_ms);

#endif
