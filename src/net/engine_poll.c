/* Requests under an engine's path: which is which, refusals, polls and posts.
 * SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "net/engine_session.h"

#define NOOP_WAIT_MS 20 /* the reference looks every 100 ms */

static struct metric polls_parked =
    METRIC_GAUGE("coincast_engine_polls_parked", "Engine.IO polls that wait for something.");
static struct metric refused =
    METRIC_COUNTER("coincast_engine_refused_total", "Requests under an Engine.IO path refused.");

#define CODE_TABLE(X)                                      \
    X(TRANSPORT_UNKNOWN, 0, 400, "Transport unknown")      \
    X(SID_UNKNOWN, 1, 400, "Session ID unknown")           \
    X(BAD_METHOD, 2, 400, "Bad handshake method")          \
    X(BAD_REQUEST, 3, 400, "Bad request")                  \
    X(FORBIDDEN, 4, 403, "Forbidden")                      \
    X(BAD_VERSION, 5, 400, "Unsupported protocol version") \
    X(TOO_LARGE, 3, 413, "Payload too large")              \
    X(TOO_MANY, 3, 503, "Too many sessions")               \
    X(TOO_MANY_OF_PEER, 3, 429, "Too many sessions from your address")

enum code {
#define X(name, code, status, text) name,
    CODE_TABLE(X)
#undef X
};

static const struct {
    unsigned code, status;
    const char *text;
} codes[] = {
#define X(name, code, status, text) {code, status, text},
    CODE_TABLE(X)
#undef X
};

/* One request on its way through. */
struct asked {
    struct engine *e;
    struct conn *c;
    struct engine_link *link;
    const struct http_request *r;
    struct str body;
    struct buf cors; /* lines for the answer */
    struct buf sid;
    bool websocket; /* the transport it names */
    bool base64;
    unsigned version; /* 0: none that is known */
};

/* ---- answers ---- */

/* message: NULL for the code's own. */
static void answer_refusal(struct conn *c, enum code code, const char *message, struct str cors)
{
    struct buf body = {0};
    metric_add(&refused, 1);
    (void)buf_printf(&body, "{\"code\":%u,\"message\":\"%s\"}", codes[code].code,
                     message ? message : codes[code].text);
    conn_reply(c, &(struct http_reply){.status = codes[code].status,
                                       .content_type = STR("application/json"),
                                       .headers = cors,
                                       .body = buf_str(&body)});
    buf_fini(&body);
}

static void refuse(struct asked *a, enum code code, const char *message)
{
    if (!a->r->upgrade_websocket) {
        answer_refusal(a->c, code, message, buf_str(&a->cors));
        return;
    }
    metric_add(&refused, 1);
    conn_reply(a->c, &(struct http_reply){.status = codes[code].status,
                                          .content_type = STR("text/html"),
                                          .headers = buf_str(&a->cors),
                                          .body = str_of(message ? message : codes[code].text),
                                          .close = true});
}

static void answer_ok(struct conn *c, struct str cors)
{
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = STR("text/html"),
                                       .headers = cors,
                                       .body = STR("ok")});
}

static void answer_payload(struct conn *c, enum eio_form form, struct str cors, struct str body)
{
    struct buf lines = {0};
    (void)buf_add_lit(&lines, "Cache-Control: no-store\r\n");
    (void)buf_add_str(&lines, cors);
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = form == EIO_FORM_3_BYTES
                                                           ? STR("application/octet-stream")
                                                           : STR("text/plain; charset=UTF-8"),
                                       .headers = buf_str(&lines),
                                       .body = body});
    buf_fini(&lines);
}

enum eio_form engine_frame_form(const struct engine_session *s)
{
    return s->version == 4 ? EIO_FORM_4 : EIO_FORM_3;
}

/* Revision 3 has octets for a payload with binary in it, unless the client can't read them. */
static enum eio_form poll_form(struct engine_session *s)
{
    size_t at = s->held_at;
    bool binary = false, any = false;
    struct str bytes;
    while (s->version == 3 && !s->base64 && !any && engine_next_held(s, &at, &binary, &bytes)) {
        any = binary;
    }
    return any ? EIO_FORM_3_BYTES : engine_frame_form(s);
}

/* Takes packets up to the client's limit, at least one. */
static void take_held(struct engine_session *s, enum eio_form form, struct buf *out)
{
    size_t at = s->held_at, taken = at;
    bool binary = false;
    struct str bytes;
    while (engine_next_held(s, &at, &binary, &bytes)) {
        if (out->len &&
            out->len + eio_payload_cost(form, binary, bytes) > s->engine->opts.max_payload) {
            break;
        }
        eio_payload_add(out, form, binary, bytes);
        taken = at;
    }
    engine_drop_held(s, taken);
}

/* Lets go of the conn of the poll; it is to be answered. */
static struct conn *take_poll(struct engine_session *s)
{
    struct conn *c = s->poll;
    if (c) {
        s->poll = NULL;
        s->poll_link->session = NULL;
        s->poll_link = NULL;
        s->noop_at_ms = ENGINE_NEVER;
        metric_add(&polls_parked, -1);
    }
    return c;
}

void engine_refuse_poll(struct engine_session *s)
{
    struct conn *c = take_poll(s);
    if (c) {
        answer_refusal(c, BAD_REQUEST, NULL, buf_str(&s->cors));
    }
}

void engine_end_leaver(struct engine_session *s)
{
    struct conn *c = s->leaver;
    if (c) {
        s->leaver = NULL;
        s->leaver_link->session = NULL;
        s->leaver_link = NULL;
        answer_ok(c, buf_str(&s->cors));
    }
}

void engine_end_poll(struct engine_session *s, const char *packet)
{
    struct conn *c = take_poll(s);
    if (!c) {
        return;
    }
    enum eio_form form = packet ? engine_frame_form(s) : poll_form(s);
    struct buf *out = &s->engine->scratch;
    buf_clear(out);
    if (packet) {
        eio_payload_add(out, form, false, str_of(packet));
    } else {
        take_held(s, form, out);
        if (s->state == ENGINE_CLOSING && out->len == 0) {
            eio_payload_add(out, form, false, STR("1"));
        }
    }
    answer_payload(c, form, buf_str(&s->cors), buf_str(out));
}

void engine_answer_poll(struct engine_session *s)
{
    const struct engine_handler *h = s->engine->opts.handler;
    switch ((enum engine_state)s->state) {
    case ENGINE_POLLING:
        if (s->poll && engine_has_held(s)) {
            engine_end_poll(s, NULL);
            if (!engine_has_held(s) && h->drained) {
                h->drained(s->engine->opts.self, s);
            }
        }
        break;
    case ENGINE_CLOSING:
        /* The end comes in a poll of its own: clients drop messages that come beside it. */
        if (s->poll) {
            bool last = s->leaving || !engine_has_held(s);
            engine_end_poll(s, s->leaving ? "6" : NULL);
            if (last) {
                engine_forget(s);
            }
        }
        break;
    case ENGINE_UPGRADING:
    case ENGINE_WS:
    case ENGINE_CLOSED:
        break;
    }
}

/* ---- what is asked ---- */

static bool query_is(const struct http_request *r, struct str name, struct str value,
                     struct buf *scratch)
{
    buf_clear(scratch);
    return http_query(r->query, name, scratch) == OK && str_eq(buf_str(scratch), value);
}

/* False: the transport is none of ours. */
static bool read_query(struct asked *a)
{
    struct buf value = {0};
    bool polling = query_is(a->r, STR("transport"), STR("polling"), &value);
    a->websocket = query_is(a->r, STR("transport"), STR("websocket"), &value);
    a->base64 = query_is(a->r, STR("b64"), STR("1"), &value);
    if (query_is(a->r, STR("EIO"), STR("4"), &value)) {
        a->version = 4;
    } else if (a->e->opts.allow_v3 && query_is(a->r, STR("EIO"), STR("3"), &value)) {
        a->version = 3;
    }
    buf_fini(&value);
    return polling || a->websocket;
}

static bool is_allowed(struct asked *a, struct engine_session *s)
{
    const struct engine_opts *o = &a->e->opts;
    const char *message = NULL;
    if (!o->handler->allow || o->handler->allow(o->self, a->c, a->r, s, &message)) {
        return true;
    }
    refuse(a, FORBIDDEN, message);
    return false;
}

/* ---- handshakes ---- */

static void open_by_poll(struct asked *a)
{
    struct engine_session *s = engine_session_new(a->e, a->c, a->version);
    s->base64 = a->base64;
    struct buf packet = {0}, payload = {0};
    engine_open_packet(s, true, &packet);
    eio_payload_add(&payload, engine_frame_form(s), false, buf_str(&packet));
    answer_payload(a->c, EIO_FORM_4, buf_str(&a->cors), buf_str(&payload));
    buf_fini(&packet);
    buf_fini(&payload);
    engine_opened(s, a->c, a->r);
}

static void handshake(struct asked *a)
{
    const struct engine_opts *o = &a->e->opts;
    if (a->r->method != HTTP_GET) {
        refuse(a, BAD_METHOD, NULL);
    } else if (a->websocket != a->r->upgrade_websocket) {
        refuse(a, BAD_REQUEST, NULL);
    } else if (!a->version) {
        refuse(a, BAD_VERSION, NULL);
    } else if (o->max_sessions && engine_count(a->e) >= o->max_sessions) {
        refuse(a, TOO_MANY, NULL);
    } else if (!engine_peer_fits(a->e, a->c)) {
        refuse(a, TOO_MANY_OF_PEER, NULL);
    } else if (!is_allowed(a, NULL)) {
        return;
    } else if (a->websocket) {
        engine_ws_open(a->e, a->c, a->link, a->r, NULL, a->version);
    } else {
        open_by_poll(a);
    }
}

/* ---- polls ---- */

static void keep_cors(struct asked *a, struct engine_session *s)
{
    buf_clear(&s->cors);
    (void)buf_add_str(&s->cors, buf_str(&a->cors));
}

static void poll_get(struct asked *a, struct engine_session *s)
{
    if (s->poll) {
        engine_end(s, ENGINE_TRANSPORT_ERROR, "1", WS_CLOSE_PROTOCOL, "overlapping polls");
        refuse(a, BAD_REQUEST, NULL);
        return;
    }
    s->poll = a->c;
    s->poll_link = a->link;
    a->link->session = s;
    keep_cors(a, s);
    metric_add(&polls_parked, 1);
    conn_park(a->c);
    if (s->state == ENGINE_UPGRADING && s->poll) {
        /* Perhaps `5` was sent before it, on another conn: then it is refused. */
        s->noop_at_ms = loop_now_ms(a->e->opts.loop) + NOOP_WAIT_MS;
        engine_arm(s);
    }
    engine_answer_poll(s);
}

/* True: all packets were taken, or the session ended in good order. */
static bool take_posted(struct asked *a, struct engine_session *s)
{
    struct str type = http_request_header(a->r, STR("Content-Type"));
    bool octets = str_eq_nocase(str_sub(type, 0, 24), STR("application/octet-stream"));
    struct eio_payload payload;
    struct eio_packet packet;
    if (octets && s->version == 4) {
        return false;
    }
    enum eio_form form = octets ? EIO_FORM_3_BYTES : engine_frame_form(s);
    eio_payload_begin(&payload, form, a->body);
    enum err e = OK;
    while ((e = eio_payload_next(&payload, &a->e->decoded, &packet)) == OK) {
        bool wrong = packet.type == EIO_PING && s->version == 4;
        if (!engine_packet(s, &packet)) {
            return !wrong;
        }
    }
    return e == ERR_NOT_FOUND;
}

static void answer_post(struct asked *a, struct engine_session *s)
{
    if (s->state != ENGINE_CLOSING || !s->leaving || s->leaver) {
        answer_ok(a->c, buf_str(&a->cors));
        return;
    }
    s->leaver = a->c;
    s->leaver_link = a->link;
    a->link->session = s;
    keep_cors(a, s);
}

static void poll_post(struct asked *a, struct engine_session *s)
{
    if (a->body.len > a->e->opts.max_payload) {
        refuse(a, TOO_LARGE, NULL);
    } else if (s->state == ENGINE_CLOSING || take_posted(a, s)) {
        answer_post(a, s);
    } else {
        engine_end(s, ENGINE_PARSE_ERROR, "1", WS_CLOSE_PROTOCOL, "parse error");
        refuse(a, BAD_REQUEST, NULL);
    }
}

static void of_session(struct asked *a, struct engine_session *s)
{
    bool polls = s->state != ENGINE_WS && !a->websocket && !a->r->upgrade_websocket;
    if (a->websocket && a->r->upgrade_websocket && a->r->method == HTTP_GET) {
        if (s->state == ENGINE_CLOSING) {
            refuse(a, BAD_REQUEST, NULL);
        } else if (is_allowed(a, s)) {
            engine_ws_open(a->e, a->c, a->link, a->r, s, s->version);
        }
    } else if (polls && a->r->method == HTTP_GET) {
        poll_get(a, s);
    } else if (polls && a->r->method == HTTP_POST) {
        poll_post(a, s);
    } else {
        refuse(a, BAD_REQUEST, NULL);
    }
}

/* The session the request names; NULL: answered, or gone elsewhere. */
static struct engine_session *find(struct asked *a)
{
    const struct engine_opts *o = &a->e->opts;
    unsigned shard = 0;
    if (o->handler->elsewhere && engine_sid_shard(buf_str(&a->sid), &shard) && shard != o->shard) {
        o->handler->elsewhere(o->self, a->c, a->r, a->body, shard);
        return NULL;
    }
    struct engine_session *s = map_get(&a->e->sessions, buf_str(&a->sid));
    if (!s || !engine_tick(s)) {
        refuse(a, SID_UNKNOWN, NULL);
        return NULL;
    }
    return s;
}

void engine_refuse_sid(struct engine *e, struct conn *c, const struct http_request *r)
{
    struct asked a = {.e = e, .c = c, .r = r};
    if (e->opts.handler->cors) {
        e->opts.handler->cors(e->opts.self, c, r, &a.cors);
    }
    refuse(&a, SID_UNKNOWN, NULL);
    buf_fini(&a.cors);
}

void engine_request(struct engine *e, struct conn *c, struct engine_link *link,
                    const struct http_request *r, struct str body)
{
    struct asked a = {.e = e, .c = c, .link = link, .r = r, .body = body};
    if (e->opts.handler->cors) {
        e->opts.handler->cors(e->opts.self, c, r, &a.cors);
    }
    if (r->method == HTTP_OPTIONS && e->opts.handler->cors) {
        conn_reply(c, &(struct http_reply){.status = 204, .headers = buf_str(&a.cors)});
    } else if (!read_query(&a)) {
        refuse(&a, TRANSPORT_UNKNOWN, NULL);
    } else if (http_query(r->query, STR("sid"), &a.sid) != OK) {
        handshake(&a);
    } else {
        struct engine_session *s = find(&a);
        if (s) {
            of_session(&a, s);
        }
    }
    buf_fini(&a.cors);
    buf_fini(&a.sid);
}
