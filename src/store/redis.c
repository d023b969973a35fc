/* redis: one connection, pipelined commands, and what happens when it breaks.
 *
 *   WAITING --timer--> DIALLING --connected--> GREETING --PONG--> READY
 *      ^                  |                       |                |
 *      +------------------+-- link_down(): reason, backoff --------+
 *
 * Of hiredis only the codec is used (store/resp), over a socket and a watch of our own: its
 * asynchronous client resolves names in the caller's thread, and asserts (so ends the process) when
 * a server answers what nobody asked.
 *
 * Answers come in the order of the commands, so `pending` is a queue and only its head has a
 * deadline that matters. A head that is late means a server that hangs: the connection is cut.
 * Every command is answered exactly once, and never from inside the function that took it.
 * SPDX-License-Identifier: MIT */
#include "store/redis.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/dial.h"
#include "store/redis_url.h"
#include "store/resp.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS 1000
/* A connection on which nothing came for so long is asked for a sign of life. */
#define KEEPALIVE_MS 5000
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 30000
/* Only a connection that held for so long makes earlier failures forgotten. */
#define STABLE_MS 10000
#define PENDING_MAX 4096
#define OUT_MAX_BYTES ((size_t)32 << 20)
#define REPLY_MAX_BYTES ((size_t)32 << 20)
#define RECV_BYTES ((size_t)64 << 10)
#define REASON_LEN 160

static struct metric metric_up = METRIC_GAUGE("coincast_redis_up", "1 while Redis answers.");
static struct metric metric_reconnects = METRIC_COUNTER(
    "coincast_redis_reconnects_total", "Connections to Redis made again after one was lost.");
static struct metric metric_failures = METRIC_COUNTER(
    "coincast_redis_failures_total", "Connections to Redis that could not be made or were lost.");
static struct metric metric_latency =
    METRIC_HISTOGRAM("coincast_redis_command_seconds", "Time from a command to its answer.", 1e-6);
#define COMMANDS(result)                                                  \
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_redis_commands_total", \
                    "Commands by how they ended.", "result=\"" result "\"")
static struct metric metric_ok = COMMANDS("ok");
static struct metric metric_refused = COMMANDS("refused");
static struct metric metric_lost = COMMANDS("lost");

enum state { WAITING, DIALLING, GREETING, READY };
enum expect { EXPECT_TEXT, EXPECT_DONE, EXPECT_COUNT, EXPECT_PONG };

struct request {
    struct list node;
    redis_fn fn; /* NULL: nobody listens */
    void *self;
    enum expect expect;
    const char *step; /* of the greeting: what is asked; NULL else */
    enum err error;   /* of those in `failed` */
    uint64_t sent_us;
};

struct redis {
    struct loop *loop;
    struct redis_url url;
    enum state state;
    struct timer timer; /* the next try, the head's deadline, or the next sign of life */
    struct dial dial;
    uint64_t state_ms; /* when the state was entered */
    uint64_t seen_ms;  /* when bytes last came */
    int fd;            /* -1: none */
    struct watch watch;
    struct resp *reader; /* while connected */
    bool reading;        /* its answers are being handed out: freed after that */
    struct buf out;
    struct list pending; /* sent or in `out`, oldest first */
    size_t pending_count;
    struct list failed; /* to be told in the deferred phase */
    struct defer settle;
    unsigned failures; /* in a row */
    uint64_t random;
    bool was_ready;
    char reason[REASON_LEN];
    int64_t since_ms;
    unsigned depth; /* callbacks of ours on the stack */
    bool dying;
};

static void on_timer(void *self);
static void on_ready(void *self, unsigned events);

/* xorshift64: jitter needs to differ between processes, no more. */
static uint64_t next_random(struct redis *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static void start_timer(struct redis *r, uint64_t after_ms)
{
    timer_start(r->loop, &r->timer, loop_now_ms(r->loop) + after_ms, on_timer, r);
}

static void enter(struct redis *r, enum state next)
{
    static const uint8_t allowed[] = {
        [WAITING] = 1 << DIALLING,
        [DIALLING] = 1 << GREETING | 1 << WAITING,
        [GREETING] = 1 << READY | 1 << WAITING,
        [READY] = 1 << WAITING,
    };
    assert(allowed[r->state] & 1 << next);
    r->state = next;
    r->state_ms = loop_now_ms(r->loop);
}

static void set_health(struct redis *r, const char *reason)
{
    bool changed = strcmp(reason, r->reason) != 0;
    bool turned = (reason[0] == '\0') != (r->reason[0] == '\0');
    if (changed) {
        snprintf(r->reason, sizeof(r->reason), "%s", reason);
    }
    if (turned) {
        r->since_ms = loop_wall_ms(r->loop);
    }
    metric_set(&metric_up, reason[0] == '\0');
}

static void release_if_dying(struct redis *r)
{
    if (r->dying && r->depth == 0) {
        mem_free(r);
    }
}

/* Tells the caller and forgets the request. The client may be freed meanwhile, not its memory. */
static void answer(struct redis *r, struct request *owned_request, enum err e, struct str value)
{
    if (e == OK || e == ERR_NOT_FOUND) {
        metric_add(&metric_ok, 1);
    } else {
        metric_add(e == ERR_REFUSED ? &metric_refused : &metric_lost, 1);
    }
    if (owned_request->fn) {
        r->depth++;
        owned_request->fn(owned_request->self, e, value);
        r->depth--;
    }
    mem_free(owned_request);
}

static void close_link(struct redis *r)
{
    if (r->fd >= 0) {
        watch_stop(&r->watch);
        close(r->fd);
        r->fd = -1;
    }
    if (!r->reading) {
        resp_free(r->reader);
    }
    r->reader = NULL;
    buf_fini(&r->out);
    buf_init(&r->out, OUT_MAX_BYTES);
}

/* Takes all that waits; the head is told `head`, the others that Redis is gone. */
static void fail_pending(struct redis *r, enum err head)
{
    struct list doomed;
    list_init(&doomed);
    list_splice(&doomed, &r->pending);
    r->pending_count = 0;
    for (struct list *node = list_pop(&doomed); node; node = list_pop(&doomed)) {
        struct request *q = containerof(node, struct request, node);
        answer(r, q, head, STR(""));
        head = ERR_UNAVAILABLE;
    }
}

/* The connection is of no use: says so once, plans the next try and fails what waits. */
static void link_down(struct redis *r, enum err head, const char *reason)
{
    bool was_up = r->state == READY;
    if (was_up && loop_now_ms(r->loop) - r->state_ms >= STABLE_MS) {
        r->failures = 0;
    }
    close_link(r);
    if (r->state != WAITING) {
        enter(r, WAITING);
    }
    uint64_t delay = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < r->failures && delay < BACKOFF_MAX_MS; i++) {
        delay *= 2;
    }
    delay = min_u64(delay, BACKOFF_MAX_MS);
    delay = delay / 2 + next_random(r) % (delay / 2 + 1);
    r->failures++;
    metric_add(&metric_failures, 1);
    /* Once per loss: the tries that follow are no news. */
    if (was_up || r->failures == 1) {
        log_warn("redis", "down", "reason=%s retry_ms=%llu", log_quote(str_of(reason)),
                 (unsigned long long)delay);
    } else {
        log_debug("redis", "still down", "reason=%s retry_ms=%llu", log_quote(str_of(reason)),
                  (unsigned long long)delay);
    }
    set_health(r, reason);
    start_timer(r, delay);
    fail_pending(r, head);
}

/* ---- sending ---- */

static void flush_out(struct redis *r)
{
    while (r->out.len) {
        ssize_t n = send(r->fd, r->out.ptr, r->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            /* The reason stands in the socket and reading it gives the answers that still came. */
            break;
        }
        if (n < 0) {
            watch_set(&r->watch, WATCH_READ | WATCH_WRITE);
            return;
        }
        buf_drop(&r->out, (size_t)n);
    }
    watch_set(&r->watch, WATCH_READ);
}

/* The deferred phase: failures that had to wait for it, and one send for all commands of a turn. */
static void settle(void *self)
{
    struct redis *r = self;
    r->depth++;
    struct list now;
    list_init(&now);
    list_splice(&now, &r->failed);
    for (struct list *node = list_pop(&now); node; node = list_pop(&now)) {
        struct request *q = containerof(node, struct request, node);
        answer(r, q, r->dying ? ERR_CLOSED : q->error, STR(""));
    }
    if (!r->dying && r->fd >= 0 && r->state >= GREETING && r->out.len) {
        flush_out(r);
    }
    r->depth--;
    release_if_dying(r);
}

static void send_command(struct redis *r, struct request *owned_request, const struct str *words,
                         size_t count)
{
    assert(!r->dying);
    bool greeting = owned_request->step != NULL;
    owned_request->sent_us = loop_exact_us(r->loop);
    owned_request->error = OK;
    if (r->state != READY && !(greeting && r->state == GREETING)) {
        owned_request->error = ERR_UNAVAILABLE;
    } else if (r->pending_count >= PENDING_MAX || !resp_command(&r->out, words, count)) {
        owned_request->error = ERR_LIMIT;
    }
    loop_defer(r->loop, &r->settle, settle, r);
    if (owned_request->error != OK) {
        list_push(&r->failed, &owned_request->node);
        return;
    }
    if (list_empty(&r->pending)) {
        start_timer(r, COMMAND_TIMEOUT_MS);
    }
    list_push(&r->pending, &owned_request->node);
    r->pending_count++;
}

static struct request *request_new(enum expect expect, redis_fn fn, void *self)
{
    struct request *q = mem_zero(sizeof(*q));
    q->expect = expect;
    q->fn = fn;
    q->self = self;
    return q;
}

/* ---- receiving ---- */

static bool says(const struct resp_reply *reply, const char *text)
{
    return reply->kind == RESP_STATUS && str_eq(reply->text, str_of(text));
}

/* What an answer means for what was asked. */
static enum err judge(enum expect expect, const struct resp_reply *reply)
{
    if (reply->kind == RESP_ERROR) {
        return ERR_REFUSED;
    }
    switch (expect) {
    case EXPECT_TEXT:
        if (reply->kind == RESP_NIL) {
            return ERR_NOT_FOUND;
        }
        return reply->kind == RESP_TEXT ? OK : ERR_PROTOCOL;
    case EXPECT_DONE:
        return says(reply, "OK") ? OK : ERR_PROTOCOL;
    case EXPECT_COUNT:
        if (reply->kind != RESP_INTEGER || reply->integer < 0) {
            return ERR_PROTOCOL;
        }
        return reply->integer ? OK : ERR_NOT_FOUND;
    case EXPECT_PONG:
        return says(reply, "PONG") ? OK : ERR_PROTOCOL;
    }
    return ERR_PROTOCOL;
}

static void greeting_done(struct redis *r)
{
    enter(r, READY);
    log_info("redis", r->was_ready ? "connected again" : "connected", "host=%s port=%u db=%u",
             log_quote(str_of(r->url.host)), r->url.port, r->url.db);
    if (r->was_ready) {
        metric_add(&metric_reconnects, 1);
    }
    r->was_ready = true;
    set_health(r, "");
}

/* A step of the greeting was answered. */
static void greeting_step(struct redis *r, const struct request *q, enum err e,
                          const struct resp_reply *reply)
{
    if (e == OK) {
        if (q->expect == EXPECT_PONG) {
            greeting_done(r);
        }
        return;
    }
    /* An error to AUTH may repeat what was sent, so only its first word is shown. */
    struct str text = e == ERR_REFUSED ? reply->text : STR("nonsense");
    size_t shown = strcmp(q->step, "AUTH") == 0 ? str_find(text, ' ', 0) : 90;
    text = str_sub(text, 0, min_size(min_size(shown, 90), text.len));
    char reason[REASON_LEN];
    snprintf(reason, sizeof(reason), "Redis answered %s with: %.*s", q->step, STR_ARG(text));
    link_down(r, e, reason);
}

static void take_reply(struct redis *r, const struct resp_reply *reply)
{
    struct list *node = list_pop(&r->pending);
    if (!node) {
        link_down(r, ERR_PROTOCOL, "Redis answered what nobody asked");
        return;
    }
    struct request *q = containerof(node, struct request, node);
    r->pending_count--;
    metric_observe(&metric_latency, loop_exact_us(r->loop) - q->sent_us);
    enum err e = judge(q->expect, reply);
    if (q->step) {
        greeting_step(r, q, e, reply);
        mem_free(q);
        return;
    }
    if (e == ERR_PROTOCOL) {
        list_insert(&r->pending, &q->node); /* the head again: it is told with the others */
        link_down(r, ERR_PROTOCOL, "Redis answered with something that does not fit the question");
        return;
    }
    bool text = reply->kind == RESP_TEXT || reply->kind == RESP_ERROR;
    answer(r, q, e, text ? reply->text : STR(""));
}

/* Hands out the whole answers that are there. The reader may be given up meanwhile, but what it
 * gave must outlive the callback that has it. */
static void take_replies(struct redis *r)
{
    struct resp *reader = r->reader;
    enum err e = OK;
    r->reading = true;
    while (e == OK && r->reader == reader) {
        struct resp_reply reply;
        const char *why = NULL;
        e = resp_next(reader, &reply, &why);
        if (e == OK) {
            take_reply(r, &reply);
        } else if (e != ERR_MORE) {
            char reason[REASON_LEN];
            snprintf(reason, sizeof(reason), "Redis sent nonsense: %.100s", why);
            link_down(r, ERR_PROTOCOL, reason);
        }
    }
    r->reading = false;
    if (r->reader != reader) {
        resp_free(reader);
    }
}

static void read_some(struct redis *r)
{
    static char bytes[RECV_BYTES]; /* main thread only; gone after the call */
    ssize_t n = recv(r->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        link_down(r, n == 0 ? ERR_CLOSED : err_from_errno(errno),
                  n == 0 ? "Redis closed the connection" : "the connection to Redis broke");
        return;
    }
    r->seen_ms = loop_now_ms(r->loop);
    if (resp_feed(r->reader, str_make(bytes, (size_t)n)) != OK) {
        link_down(r, ERR_PROTOCOL, "Redis sent an answer that is too large");
        return;
    }
    take_replies(r);
}

/* ---- connecting ---- */

static void greet_with(struct redis *r, const char *step, enum expect expect,
                       const struct str *words, size_t count)
{
    struct request *q = request_new(expect, NULL, NULL);
    q->step = step;
    send_command(r, q, words, count);
}

/* Connected: who we are, which database, and whether Redis can answer at all (it may be loading).
 */
static void greet(struct redis *r)
{
    enter(r, GREETING);
    r->reader = resp_new(REPLY_MAX_BYTES);
    r->seen_ms = loop_now_ms(r->loop);
    struct str user = str_of(r->url.user);
    struct str password = str_of(r->url.password);
    if (user.len) {
        greet_with(r, "AUTH", EXPECT_DONE, (const struct str[]){STR("AUTH"), user, password}, 3);
    } else if (password.len) {
        greet_with(r, "AUTH", EXPECT_DONE, (const struct str[]){STR("AUTH"), password}, 2);
    }
    if (r->url.db) {
        char number[12];
        snprintf(number, sizeof(number), "%u", r->url.db);
        greet_with(r, "SELECT", EXPECT_DONE, (const struct str[]){STR("SELECT"), str_of(number)},
                   2);
    }
    greet_with(r, "PING", EXPECT_PONG, (const struct str[]){STR("PING")}, 1);
}

static void dialled(void *self, int owned_fd, const char *why)
{
    struct redis *r = self;
    r->depth++;
    if (owned_fd < 0) {
        char reason[REASON_LEN];
        snprintf(reason, sizeof(reason), "cannot connect to Redis: %.100s", why);
        link_down(r, ERR_UNAVAILABLE, reason);
    } else if (watch_start(r->loop, &r->watch, owned_fd, WATCH_READ, on_ready, r) != OK) {
        close(owned_fd);
        link_down(r, ERR_UNAVAILABLE, "cannot watch the connection to Redis");
    } else {
        r->fd = owned_fd;
        greet(r);
    }
    r->depth--;
    release_if_dying(r);
}

/* ---- events ---- */

static void on_ready(void *self, unsigned events)
{
    struct redis *r = self;
    r->depth++;
    if (events & WATCH_WRITE) {
        flush_out(r);
    }
    if (events & (WATCH_READ | WATCH_ERROR)) {
        read_some(r);
    }
    r->depth--;
    release_if_dying(r);
}

static void look_at_silence(struct redis *r)
{
    uint64_t now_us = loop_now_us(r->loop);
    if (!list_empty(&r->pending)) {
        struct request *head = containerof(r->pending.next, struct request, node);
        uint64_t due_us = head->sent_us + COMMAND_TIMEOUT_MS * 1000;
        if (now_us < due_us) {
            start_timer(r, (due_us - now_us + 999) / 1000);
            return;
        }
        link_down(r, ERR_TIMEOUT, "Redis did not answer within a second");
        return;
    }
    uint64_t silent_ms = now_us / 1000 - r->seen_ms;
    if (silent_ms >= KEEPALIVE_MS) {
        redis_ping(r, NULL, NULL);
        return;
    }
    start_timer(r, KEEPALIVE_MS - silent_ms);
}

static void on_timer(void *self)
{
    struct redis *r = self;
    r->depth++;
    if (r->state == WAITING) {
        enter(r, DIALLING);
        dial_start(&r->dial, r->url.host, r->url.port, dialled, r);
    } else {
        look_at_silence(r);
    }
    r->depth--;
    release_if_dying(r);
}

/* ---- what others call ---- */

enum err redis_new(struct loop *l, struct str url, struct redis **out, struct buf *error)
{
    struct redis_url parsed;
    enum err e = redis_url_parse(url, &parsed, error);
    if (e != OK) {
        return e;
    }
    struct redis *r = mem_zero(sizeof(*r));
    r->loop = l;
    r->url = parsed;
    r->fd = -1;
    r->random = loop_exact_us(l) ^ ((uint64_t)getpid() << 32) ^ UINT64_C(0x9e3779b97f4a7c15);
    dial_init(&r->dial, l);
    list_init(&r->pending);
    list_init(&r->failed);
    buf_init(&r->out, OUT_MAX_BYTES);
    log_add_secret(str_of(parsed.password));
    metric_register(&metric_reconnects);
    r->since_ms = loop_wall_ms(l);
    set_health(r, "not connected yet");
    start_timer(r, 0);
    *out = r;
    return OK;
}

void redis_free(struct redis *r)
{
    if (!r || r->dying) {
        return;
    }
    r->dying = true;
    timer_stop(r->loop, &r->timer);
    loop_undefer(&r->settle);
    close_link(r);
    dial_stop(&r->dial);
    buf_fini(&r->out);
    metric_set(&metric_up, 0);
    list_splice(&r->pending, &r->failed);
    for (struct list *node = list_pop(&r->pending); node; node = list_pop(&r->pending)) {
        answer(r, containerof(node, struct request, node), ERR_CLOSED, STR(""));
    }
    release_if_dying(r);
}

bool redis_ready(const struct redis *r)
{
    return r->state == READY;
}

bool redis_healthy(const struct redis *r, const char **reason, int64_t *since_ms)
{
    *reason = r->reason;
    *since_ms = r->since_ms;
    return r->state == READY;
}

void redis_get(struct redis *r, struct str key, redis_fn fn, void *self)
{
    send_command(r, request_new(EXPECT_TEXT, fn, self), (const struct str[]){STR("GET"), key}, 2);
}

void redis_set(struct redis *r, struct str key, struct str value, uint32_t ttl_ms, redis_fn fn,
               void *self)
{
    char ttl[12];
    snprintf(ttl, sizeof(ttl), "%u", ttl_ms);
    const struct str words[] = {STR("SET"), key, value, STR("PX"), str_of(ttl)};
    send_command(r, request_new(EXPECT_DONE, fn, self), words, ttl_ms ? 5 : 3);
}

void redis_del(struct redis *r, struct str key, redis_fn fn, void *self)
{
    send_command(r, request_new(EXPECT_COUNT, fn, self), (const struct str[]){STR("DEL"), key}, 2);
}

void redis_ping(struct redis *r, redis_fn fn, void *self)
{
    send_command(r, request_new(EXPECT_PONG, fn, self), (const struct str[]){STR("PING")}, 1);
}
