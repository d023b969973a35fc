/* Requests: heads, bodies, pipelines, deadlines. A head and body that arrive whole are handed on
 * from where they lie; only what is incomplete, or comes while a request is with the handler, is
 * kept, in a http_state that lives no longer than that. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/metrics.h"
#include "net/conn.h"

#define PAUSE_AT 16384               /* bytes of pipeline kept before reading is paused */
#define STASH_MAX ((size_t)1 << 20)  /* a peer cannot get there: receives under way are few */
#define OUT_HIGH ((size_t)256 << 10) /* no further requests are read while that much is due */

static struct metric requests =
    METRIC_COUNTER("coincast_net_http_requests_total", "HTTP requests given to handlers.");
static struct metric bad_requests =
    METRIC_COUNTER("coincast_net_http_bad_requests_total", "Malformed or oversized requests.");

struct http_state {
    struct conn *conn;
    struct list resume; /* in server->resume */
    struct buf in;      /* bytes not used yet */
    struct buf head;    /* of the request whose body is coming */
    struct buf body;
    struct http_chunked chunked;
    uint64_t body_left;
    bool in_body, is_chunked;
    struct net_parcel *parcel; /* with CF_MOVING */
};

static struct http_state *state_of(struct conn *c)
{
    if (!c->http) {
        c->http = mem_zero(sizeof(*c->http));
        c->http->conn = c;
        list_init(&c->http->resume);
        buf_init(&c->http->in, STASH_MAX + c->server->opts.http.max_head);
    }
    return c->http;
}

static void state_free(struct http_state *h)
{
    if (h) {
        list_remove(&h->resume);
        parcel_lost(h->parcel);
        buf_fini(&h->in);
        buf_fini(&h->head);
        buf_fini(&h->body);
        mem_free(h);
    }
}

void http_free(struct conn *c)
{
    state_free(c->http);
    c->http = NULL;
}

bool http_idle(const struct conn *c)
{
    return c->state == CONN_HTTP && !(c->flags & CF_WAITING) && !c->http;
}

static bool is_needed(const struct http_state *h)
{
    return h->in.len || h->in_body || h->parcel;
}

/* Whether the next request has to wait. */
static bool is_held(const struct conn *c)
{
    return (c->flags & CF_WAITING) || conn_pending(c) > OUT_HIGH;
}

static void deliver(struct conn *c, const struct http_request *r, struct str body)
{
    c->flags |= CF_WAITING;
    conn_clear_deadline(c);
    metric_add(&requests, 1);
    c->server->opts.handler->request(c->server->opts.self, c, r, body);
}

static void refuse(struct conn *c, unsigned status, const char *reason)
{
    metric_add(&bad_requests, 1);
    conn_log(c, "bad request", reason, status);
    char sentence[160];
    snprintf(sentence, sizeof(sentence), "The request is not accepted: %s.", reason);
    http_problem(c, status, sentence);
}

/* ---- bodies ---- */

static void body_begin(struct conn *c, const struct http_request *r, struct str head, bool more)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_state *h = state_of(c);
    buf_clear(&h->head);
    buf_init(&h->body, c->server->opts.max_body);
    (void)buf_add_str(&h->head, head);
    h->in_body = true;
    h->is_chunked = r->chunked;
    h->chunked = (struct http_chunked){0};
    h->body_left = r->chunked ? 0 : r->content_length;
    conn_set_deadline(c, c->server->opts.body_timeout_ms);
    if (r->expect_continue && r->minor >= 1 && !more) {
        conn_queue(c, go_on, sizeof(go_on) - 1);
    }
}

/* The body is whole: the head is read again from its copy, so that slices live as long as it. */
static void body_done(struct conn *c, struct http_state *h)
{
    struct http_request r;
    size_t head_len = 0;
    unsigned status = 0;
    const char *reason = "";
    struct buf head = h->head, body = h->body;
    h->head = h->body = (struct buf){0};
    h->in_body = false;
    if (http_parse_request(buf_str(&head), &c->server->opts.http, &r, &head_len, &status,
                           &reason) == OK) {
        deliver(c, &r, buf_str(&body));
    } else {
        refuse(c, status, reason);
    }
    buf_fini(&head);
    buf_fini(&body);
}

static size_t take_chunks(struct conn *c, struct http_state *h, char *bytes, size_t len)
{
    char *at = bytes;
    size_t left = len;
    bool done = false;
    while (!done) {
        struct str piece = {0};
        enum err e =
            http_chunked_next(&h->chunked, &at, &left, c->server->opts.max_body, &piece, &done);
        if (e != OK) {
            refuse(c, e == ERR_LIMIT ? 413 : 400,
                   e == ERR_LIMIT ? "body too large" : "malformed chunk");
            return len;
        }
        if (!piece.len && !done) {
            break;
        }
        (void)buf_add_str(&h->body, piece);
    }
    if (done) {
        body_done(c, h);
    }
    return len - left;
}

static size_t take_body(struct conn *c, struct http_state *h, char *bytes, size_t len)
{
    if (h->is_chunked) {
        return take_chunks(c, h, bytes, len);
    }
    size_t n = (size_t)min_u64(len, h->body_left);
    (void)buf_add(&h->body, bytes, n);
    h->body_left -= n;
    if (!h->body_left) {
        body_done(c, h);
    }
    return n;
}

/* ---- heads ---- */

static size_t take_with_body(struct conn *c, const struct http_request *r, struct str bytes,
                             size_t head_len)
{
    struct str rest = str_from(bytes, head_len);
    if (!r->chunked) {
        if (r->content_length > c->server->opts.max_body) {
            refuse(c, 413, "body too large");
            return bytes.len;
        }
        if (r->content_length <= rest.len) {
            size_t body_len = (size_t)r->content_length;
            deliver(c, r, str_sub(rest, 0, body_len));
            return head_len + body_len;
        }
    }
    body_begin(c, r, str_sub(bytes, 0, head_len), rest.len > 0);
    return head_len;
}

static size_t take_head(struct conn *c, char *bytes, size_t len)
{
    struct http_request r;
    size_t head_len = 0;
    unsigned status = 400;
    const char *reason = "";
    if (!len) {
        return 0;
    }
    struct str all = str_make(bytes, len);
    enum err e = http_parse_request(all, &c->server->opts.http, &r, &head_len, &status, &reason);
    if (e == ERR_MORE) {
        if (!(c->flags & CF_READING_HEAD)) {
            c->flags |= CF_READING_HEAD;
            conn_set_deadline(c, c->server->opts.head_timeout_ms);
        }
        return 0;
    }
    c->flags &= ~(uint32_t)(CF_READING_HEAD | CF_HEAD_REQUEST | CF_HTTP10 | CF_KEEP);
    if (e != OK) {
        refuse(c, status, reason);
        return len;
    }
    c->flags |= (r.method == HTTP_HEAD ? CF_HEAD_REQUEST : 0) | (r.minor == 0 ? CF_HTTP10 : 0) |
                (r.keep_alive && !c->server->draining ? CF_KEEP : 0);
    if (r.chunked || (r.has_length && r.content_length)) {
        return take_with_body(c, &r, all, head_len);
    }
    deliver(c, &r, (struct str){0});
    return head_len;
}

/* ---- the loop over what is there ---- */

/* Takes requests until the bytes, or the conn's readiness for more, end; gives the bytes used. */
static size_t take(struct conn *c, char *bytes, size_t len)
{
    size_t at = 0;
    c->flags |= CF_IN_HTTP;
    while (c->state == CONN_HTTP && !is_held(c)) {
        struct http_state *h = c->http;
        size_t n = h && h->in_body ? take_body(c, h, bytes + at, len - at)
                                   : take_head(c, bytes + at, len - at);
        if (!n) {
            break;
        }
        at += n;
    }
    c->flags &= ~(uint32_t)CF_IN_HTTP;
    return at;
}

/* The request just taken made a WebSocket of the conn: what follows its head are frames. */
static void go_on_as_ws(struct conn *c, char *bytes, size_t len)
{
    struct http_state *old = c->server->upgraded;
    c->server->upgraded = NULL;
    conn_pause(c, false);
    if (len && (c->state == CONN_WS || c->state == CONN_WS_CLOSING)) {
        ws_input(c, bytes, len);
    }
    if (c->flags & CF_PEER_ENDED) {
        conn_drop(c, 1006, WHY_PEER_LEFT, false);
    }
    state_free(old);
}

static void stash(struct conn *c, const char *bytes, size_t len)
{
    struct http_state *h = state_of(c);
    if (!buf_add(&h->in, bytes, len)) {
        conn_drop(c, 0, WHY_PROTOCOL, true);
    } else if (h->in.len > PAUSE_AT && is_held(c)) {
        conn_pause(c, true);
    }
}

static void take_stash(struct conn *c)
{
    struct http_state *h = c->http;
    size_t used = take(c, h->in.ptr, h->in.len);
    if (c->flags & CF_WS) {
        go_on_as_ws(c, h->in.ptr + used, h->in.len - used);
    } else if (c->state != CONN_HTTP) {
        http_free(c);
    } else {
        buf_drop(&h->in, used);
        if (!is_needed(h)) {
            http_free(c);
        }
        if (!c->http || c->http->in.len <= PAUSE_AT) {
            conn_pause(c, false);
        }
    }
}

void http_input(struct conn *c, char *bytes, size_t len)
{
    bool kept = c->http && c->http->in.len;
    if (kept || is_held(c)) {
        stash(c, bytes, len);
        if (c->state == CONN_HTTP && !is_held(c)) {
            take_stash(c);
        }
        return;
    }
    size_t used = take(c, bytes, len);
    if (c->flags & CF_WS) {
        go_on_as_ws(c, bytes + used, len - used);
    } else if (c->state != CONN_HTTP) {
        http_free(c);
    } else if (used < len) {
        stash(c, bytes + used, len - used);
    } else if (c->http && !is_needed(c->http)) {
        http_free(c);
    }
}

/* Nothing more comes; what is complete is still answered. */
static void end_if_done(struct conn *c)
{
    if (c->http && list_linked(&c->http->resume)) {
        return; /* it is looked at again when that was read */
    }
    if (c->state == CONN_HTTP && (c->flags & CF_PEER_ENDED) && !is_held(c)) {
        conn_end(c, 0, WHY_PEER_LEFT);
    }
}

void http_resume_later(struct conn *c)
{
    struct net_server *s = c->server;
    if (c->http && !list_linked(&c->http->resume)) {
        list_push(&s->resume, &c->http->resume);
        loop_defer(s->opts.loop, &s->resume_defer, http_resume, s);
    }
}

void http_resume(void *server)
{
    struct net_server *s = server;
    struct list batch;
    list_init(&batch);
    list_splice(&batch, &s->resume);
    struct list *it;
    while ((it = list_pop(&batch))) {
        struct conn *c = containerof(it, struct http_state, resume)->conn;
        if (c->state != CONN_HTTP || is_held(c)) {
            continue;
        }
        take_stash(c);
        end_if_done(c);
    }
}

static bool is_parked(const struct conn *c)
{
    return (c->flags & CF_PARKED) && (c->flags & CF_WAITING);
}

void http_end(struct conn *c)
{
    if (is_parked(c)) {
        conn_drop(c, 0, WHY_PEER_LEFT, false);
    } else {
        end_if_done(c);
    }
}

void http_keep_parcel(struct conn *c, struct net_parcel *owned_parcel)
{
    state_of(c)->parcel = owned_parcel;
}

struct net_parcel *http_take_parcel(struct conn *c, struct buf *rest)
{
    struct http_state *h = c->http;
    struct net_parcel *p = h->parcel;
    *rest = h->in;
    h->in = (struct buf){0};
    h->parcel = NULL;
    return p;
}

void http_put_bytes(struct conn *c, struct buf *owned_bytes)
{
    struct http_state *h = state_of(c);
    size_t max = h->in.max + owned_bytes->len;
    h->in = *owned_bytes;
    h->in.max = max;
    *owned_bytes = (struct buf){0};
    http_resume_later(c);
}

void conn_park(struct conn *c)
{
    if (c->state == CONN_HTTP && (c->flags & CF_WAITING)) {
        c->flags |= CF_PARKED;
        if (c->flags & CF_PEER_ENDED) {
            conn_drop(c, 0, WHY_PEER_LEFT, false);
        }
    }
}

void http_deadline(struct conn *c)
{
    if (c->flags & CF_CONGESTED) {
        conn_drop(c, 0, WHY_NO_PROGRESS, true);
    } else if (c->http && c->http->in_body) {
        refuse(c, 408, "the body took too long");
    } else if (c->http && c->http->in.len) {
        refuse(c, 408, "the head took too long");
    } else {
        conn_end(c, 0, WHY_IDLE);
    }
}
