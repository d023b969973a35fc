/* WebSocket sessions (RFC 6455, RFC 7692): handshake, messages, pings, closing.
 *
 * Between messages a session has no state but the conn's flags: the decoder runs on the stack and
 * is kept only when a frame or message is incomplete at the end of what arrived. A message that
 * lies in one piece is handed on from there. Sessions with deflate contexts of their own (policy
 * not shared) keep them. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/metrics.h"
#include "net/conn.h"

#include <assert.h>

#define CLOSE_WAIT_MS 2000
#define COMPRESS_FROM 512  /* bytes; below it deflate costs more than it saves */
#define KEEP_SCRATCH 65536 /* bytes of shared buffers that are not given back */

static struct metric upgrades =
    METRIC_COUNTER("coincast_net_ws_upgrades_total", "WebSocket handshakes answered with 101.");
static struct metric refusals = METRIC_COUNTER("coincast_net_ws_refused_handshakes_total",
                                               "WebSocket handshakes that were not valid.");
static struct metric messages =
    METRIC_COUNTER("coincast_net_ws_messages_total", "WebSocket messages received.");
static struct metric violations =
    METRIC_COUNTER("coincast_net_ws_violations_total", "WebSockets failed for what the peer sent.");

struct ws_state {
    struct ws_decoder decoder;
    struct buf message; /* what came of it; inflated when the inflater is the conn's own */
    uint8_t utf8_state;
    uint32_t utf8_code;
    size_t utf8_checked;
    struct deflater *deflater; /* policy not shared */
    struct inflater *inflater; /* likewise */
};

static size_t max_message(const struct conn *c)
{
    const struct net_opts *o = &c->server->opts;
    return c->flags & CF_LARGE ? o->max_large : o->max_message;
}

/* The largest message as it may come when compressed: what can't be compressed grows a little. */
static size_t max_packed(const struct conn *c)
{
    size_t max = max_message(c);
    return max + max / 1000 + 64;
}

static struct ws_state *state_of(struct conn *c)
{
    if (!c->ws) {
        c->ws = mem_zero(sizeof(*c->ws));
        buf_init(&c->ws->message, max_packed(c));
    }
    return c->ws;
}

void ws_free(struct conn *c)
{
    struct ws_state *w = c->ws;
    c->ws = NULL;
    if (w) {
        buf_fini(&w->message);
        deflater_free(w->deflater);
        inflater_free(w->inflater);
        mem_free(w);
    }
}

/* ---- the handshake (RFC 6455, section 4.2) ---- */

static void refuse(struct conn *c, unsigned status, const char *detail)
{
    metric_add(&refusals, 1);
    struct http_reply r = {.status = status, .content_type = STR("text/plain"), .close = true};
    if (status == 426) {
        r.headers = STR("Connection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\n");
    }
    r.body = str_of(detail);
    conn_log(c, "bad handshake", detail, status);
    conn_reply(c, &r);
}

/* NULL when it is a valid handshake, else what is wrong. */
static const char *handshake_error(const struct http_request *r, unsigned *status)
{
    *status = 400;
    if (!r->upgrade_websocket) {
        *status = 426;
        return "this is a WebSocket end point";
    }
    if (r->method != HTTP_GET || r->minor < 1) {
        return "a WebSocket handshake is a GET of HTTP/1.1";
    }
    if (r->chunked || (r->has_length && r->content_length)) {
        return "a WebSocket handshake has no body";
    }
    if (!str_eq(http_request_header(r, STR("Sec-WebSocket-Version")), STR("13"))) {
        *status = 426;
        return "only version 13 of WebSocket is spoken here";
    }
    if (!ws_key_valid(http_request_header(r, STR("Sec-WebSocket-Key")))) {
        return "Sec-WebSocket-Key is not base64 of 16 bytes";
    }
    return NULL;
}

/* Takes the first acceptable offer; false when the header is malformed. */
static bool negotiate_deflate(struct conn *c, const struct http_request *r, struct buf *answer)
{
    struct deflate_params p = {0};
    struct buf offers = {0};
    if (!c->server->opts.deflate ||
        !http_request_header_all(r, STR("Sec-WebSocket-Extensions"), &offers)) {
        return true;
    }
    enum err e = deflate_negotiate(buf_str(&offers), &c->server->opts.deflate_policy, &p, answer);
    buf_fini(&offers);
    if (e == OK) {
        c->flags |= CF_DEFLATE | (p.server_no_context_takeover ? CF_SERVER_RESET : 0) |
                    (p.client_no_context_takeover ? CF_CLIENT_RESET : 0);
        c->server_bits = p.server_max_window_bits;
        c->client_bits = p.client_max_window_bits;
    } else {
        buf_clear(answer);
    }
    return e != ERR_SYNTAX;
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    if (value.len) {
        (void)buf_add_str(out, name);
        (void)buf_add_str(out, value);
        (void)buf_add_lit(out, "\r\n");
    }
}

static void switch_over(struct conn *c)
{
    struct net_server *s = c->server;
    assert(c->flags & CF_IN_HTTP);
    s->upgraded = c->http; /* the request still lies there */
    c->ws = NULL;
    c->state = CONN_WS;
    c->flags = (c->flags & ~(uint32_t)(CF_WAITING | CF_KEEP)) | CF_WS;
    if (s->opts.ping_interval_ms) {
        conn_set_deadline(c, s->opts.ping_interval_ms);
    }
    metric_add(&upgrades, 1);
}

bool conn_upgrade_ws(struct conn *c, const struct http_request *r, const struct ws_accept_opts *o)
{
    unsigned status = 0;
    struct buf extension = {0};
    if (c->state != CONN_HTTP || !(c->flags & CF_WAITING)) {
        return false;
    }
    const char *wrong = handshake_error(r, &status);
    if (!wrong && !negotiate_deflate(c, r, &extension)) {
        wrong = "Sec-WebSocket-Extensions is malformed";
        status = 400;
    }
    if (wrong) {
        buf_fini(&extension);
        refuse(c, status, wrong);
        return false;
    }
    char accept[WS_ACCEPT_LEN + 1];
    ws_accept(http_request_header(r, STR("Sec-WebSocket-Key")), accept);
    struct buf *head = &c->server->scratch;
    buf_clear(head);
    (void)buf_add_lit(head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\n");
    add_line(head, STR("Sec-WebSocket-Accept: "), str_make(accept, WS_ACCEPT_LEN));
    add_line(head, STR("Sec-WebSocket-Protocol: "), o->protocol);
    add_line(head, STR("Sec-WebSocket-Extensions: "), buf_str(&extension));
    (void)buf_add_str(head, o->headers);
    (void)buf_add_lit(head, "\r\n");
    buf_fini(&extension);
    switch_over(c);
    c->flags |= o->large ? CF_LARGE : 0;
    conn_queue(c, head->ptr, head->len);
    return !conn_is_closing(c);
}

/* ---- out ---- */

static void send_frame(struct conn *c, enum ws_opcode opcode, bool deflated, struct str payload)
{
    uint8_t header[WS_HEADER_MAX];
    size_t header_len = ws_header(header, opcode, deflated, payload.len);
    char *at = conn_room(c, header_len + payload.len);
    memcpy(at, header, header_len);
    if (payload.len) {
        memcpy(at + header_len, payload.ptr, payload.len);
    }
    conn_added(c, header_len + payload.len);
}

static struct deflater *deflater_of(struct conn *c)
{
    struct net_server *s = c->server;
    bool shared = s->opts.deflate_policy.shared;
    struct deflater **d = shared ? &s->deflater : &state_of(c)->deflater;
    if (!*d) {
        uint8_t bits = shared ? s->opts.deflate_policy.server_window_bits : c->server_bits;
        *d = deflater_new(bits, 1, 8);
    }
    return *d;
}

static bool send_compressed(struct conn *c, enum ws_opcode opcode, struct str payload)
{
    struct buf *packed = &c->server->scratch;
    bool reset = c->server->opts.deflate_policy.shared || (c->flags & CF_SERVER_RESET);
    buf_clear(packed);
    bool ok = deflater_message(deflater_of(c), payload, reset, packed) == OK;
    if (ok) {
        send_frame(c, opcode, true, buf_str(packed));
    }
    if (packed->cap > KEEP_SCRATCH) {
        buf_fini(packed);
    }
    return ok;
}

void conn_send_ws(struct conn *c, enum ws_opcode opcode, struct str payload, bool compress)
{
    if (c->state != CONN_WS) {
        return;
    }
    size_t from = c->server->opts.deflate_policy.shared ? COMPRESS_FROM : 1;
    if (!compress || !(c->flags & CF_DEFLATE) || payload.len < from ||
        !send_compressed(c, opcode, payload)) {
        send_frame(c, opcode, false, payload);
    }
}

void conn_ping(struct conn *c, struct str payload)
{
    if (c->state != CONN_WS) {
        return;
    }
    c->ping_us = (uint32_t)loop_exact_us(c->server->opts.loop) | 1;
    send_frame(c, WS_PING, false, str_sub(payload, 0, 125));
}

static void send_close(struct conn *c, uint16_t code, struct str reason)
{
    struct buf *frame = &c->server->scratch;
    buf_clear(frame);
    ws_close_frame(frame, code, reason, NULL);
    conn_queue(c, frame->ptr, frame->len);
}

void conn_close_ws(struct conn *c, uint16_t code, struct str reason)
{
    if (c->state != CONN_WS) {
        return;
    }
    send_close(c, code, reason);
    if (c->state == CONN_WS) {
        c->state = CONN_WS_CLOSING;
        c->close_code = code;
        c->why = WHY_CLOSED_HERE;
        conn_set_deadline(c, CLOSE_WAIT_MS);
        conn_tell_closing(c, CONN_WS);
    }
}

/* The peer broke the protocol or a limit (RFC 6455, section 7.1.7). */
static void fail(struct conn *c, uint16_t code, const char *reason)
{
    metric_add(&violations, 1);
    conn_log(c, "websocket failed", reason, code);
    if (c->state == CONN_WS) {
        send_close(c, code, str_of(reason));
    }
    conn_end(c, code, WHY_PROTOCOL);
}

/* ---- in: messages ---- */

static void deliver(struct conn *c, enum ws_opcode opcode, struct str text)
{
    if (c->state == CONN_WS) {
        metric_add(&messages, 1);
        c->server->opts.handler->message(c->server->opts.self, c, opcode == WS_BINARY, text);
    }
}

/* Text that grew: what is new must go on as UTF-8. */
static bool text_is_valid(struct conn *c, enum ws_opcode opcode, bool last)
{
    struct ws_state *w = c->ws;
    if (opcode != WS_TEXT) {
        return true;
    }
    bool ok = ws_utf8_check(&w->utf8_state, &w->utf8_code, w->message.ptr + w->utf8_checked,
                            w->message.len - w->utf8_checked);
    w->utf8_checked = w->message.len;
    return ok && !(last && w->utf8_state);
}

static void forget_message(struct conn *c)
{
    struct ws_state *w = c->ws;
    if (w) {
        buf_fini(&w->message);
        w->utf8_state = 0;
        w->utf8_code = 0;
        w->utf8_checked = 0;
    }
}

/* Inflates a piece with the conn's own context, so that bad text is seen as soon as it comes. */
static bool inflate_piece(struct conn *c, const struct ws_item *item, struct str piece, bool last)
{
    struct ws_state *w = state_of(c);
    if (!w->inflater) {
        w->inflater = inflater_new(c->client_bits);
    }
    enum err e = inflater_piece(w->inflater, piece, last, c->flags & CF_CLIENT_RESET, &w->message);
    if (e != OK) {
        bool large = e == ERR_LIMIT;
        fail(c, large ? WS_CLOSE_TOO_LARGE : WS_CLOSE_INVALID_DATA,
             large ? "message too large" : "not a deflate stream");
        return false;
    }
    if (!text_is_valid(c, item->opcode, last)) {
        fail(c, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
        return false;
    }
    return true;
}

/* Inflates a whole message with the server's inflater and hands it on. */
static void deliver_shared(struct conn *c, const struct ws_item *item, struct str packed)
{
    struct net_server *s = c->server;
    struct buf *out = &s->inflated;
    if (!s->inflater) {
        s->inflater = inflater_new(15);
    }
    buf_clear(out);
    enum err e = inflater_piece(s->inflater, packed, true, true, out);
    if (e == ERR_LIMIT || out->len > max_message(c)) {
        fail(c, WS_CLOSE_TOO_LARGE, "message too large");
    } else if (e != OK) {
        fail(c, WS_CLOSE_INVALID_DATA, "not a deflate stream");
    } else if (item->opcode == WS_TEXT && !str_is_utf8(buf_str(out))) {
        fail(c, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
    } else {
        deliver(c, item->opcode, buf_str(out));
    }
    if (out->cap > KEEP_SCRATCH) {
        buf_fini(out);
    }
}

static bool own_context(const struct conn *c, const struct ws_item *item)
{
    return item->deflated && !c->server->opts.deflate_policy.shared;
}

/* A piece is kept for later. */
static bool keep(struct conn *c, struct str piece)
{
    if (piece.len && !buf_add_str(&state_of(c)->message, piece)) {
        fail(c, WS_CLOSE_TOO_LARGE, "message too large");
        return false;
    }
    return true;
}

/* `held` is a piece of the message that still lies in what arrived. */
static bool on_piece(struct conn *c, const struct ws_item *item, struct str *held)
{
    if (c->state != CONN_WS) {
        return true;
    }
    if (own_context(c, item)) {
        return inflate_piece(c, item, item->data, false);
    }
    if (!keep(c, *held)) {
        return false;
    }
    *held = item->data;
    return true;
}

static void on_message(struct conn *c, const struct ws_item *item, struct str *held)
{
    if (c->state != CONN_WS) {
        return;
    }
    struct str whole = *held;
    *held = (struct str){0};
    if (own_context(c, item)) {
        if (!inflate_piece(c, item, (struct str){0}, true)) {
            return;
        }
        whole = buf_str(&c->ws->message);
    } else if (c->ws && c->ws->message.len) {
        if (!keep(c, whole)) {
            return;
        }
        whole = buf_str(&c->ws->message);
    }
    if (item->deflated && !own_context(c, item)) {
        deliver_shared(c, item, whole);
    } else if (whole.len > max_message(c)) {
        fail(c, WS_CLOSE_TOO_LARGE, "message too large");
    } else {
        deliver(c, item->opcode, whole);
    }
    forget_message(c);
}

/* ---- in: control frames ---- */

static void on_pong(struct conn *c, struct str payload)
{
    const struct net_handler *h = c->server->opts.handler;
    if (c->ping_us) {
        uint32_t rtt_us = (uint32_t)loop_exact_us(c->server->opts.loop) - c->ping_us;
        c->rtt_us = (int32_t)rtt_us > 0 ? rtt_us : 1;
        c->ping_us = 0;
    }
    if (h->pong && c->state == CONN_WS) {
        h->pong(c->server->opts.self, c, payload);
    }
}

static void on_close(struct conn *c, const struct ws_item *item)
{
    if (c->state == CONN_WS) {
        send_close(c, item->code, (struct str){0});
        conn_end(c, item->code, WHY_PEER_CLOSED);
    } else {
        conn_end(c, c->close_code, WHY_CLOSED_HERE);
    }
}

/* False: nothing more is read of this conn. */
static bool take_item(struct conn *c, const struct ws_item *item, struct str *held)
{
    switch (item->kind) {
    case WS_ITEM_NONE:
        return false;
    case WS_ITEM_DATA:
        return on_piece(c, item, held);
    case WS_ITEM_END:
        on_message(c, item, held);
        break;
    case WS_ITEM_PING:
        if (c->state == CONN_WS) {
            send_frame(c, WS_PONG, false, item->data);
        }
        break;
    case WS_ITEM_PONG:
        on_pong(c, item->data);
        break;
    case WS_ITEM_CLOSE:
        on_close(c, item);
        return false;
    case WS_ITEM_ERROR:
        fail(c, item->code, item->reason);
        return false;
    }
    return c->state == CONN_WS || c->state == CONN_WS_CLOSING;
}

static struct ws_decoder fresh_decoder(const struct conn *c)
{
    const struct net_opts *o = &c->server->opts;
    bool deflate = c->flags & CF_DEFLATE;
    return (struct ws_decoder){
        .deflate = deflate,
        .max_fragments = o->max_fragments,
        .max_message = deflate ? max_packed(c) : max_message(c),
    };
}

void ws_input(struct conn *c, char *bytes, size_t len)
{
    struct ws_decoder local;
    struct ws_decoder *d = &local;
    struct str held = {0};
    struct ws_item item;
    if (c->ws) {
        d = &c->ws->decoder;
    }
    if (d == &local || ws_decoder_idle(d)) {
        *d = fresh_decoder(c);
    }
    do {
        ws_decode(d, &bytes, &len, &item);
    } while (take_item(c, &item, &held));
    if ((c->state != CONN_WS && c->state != CONN_WS_CLOSING) || !keep(c, held)) {
        return;
    }
    if (d == &local && (c->ws || !ws_decoder_idle(d))) {
        state_of(c)->decoder = local;
    }
    if (c->ws && !c->ws->deflater && !c->ws->inflater && ws_decoder_idle(&c->ws->decoder)) {
        ws_free(c);
    }
}

/* ---- pings ---- */

void ws_deadline(struct conn *c)
{
    const struct net_opts *o = &c->server->opts;
    bool silent = !(c->flags & CF_ALIVE);
    if (!(c->flags & CF_PINGED)) {
        c->flags = (c->flags & ~(uint32_t)CF_ALIVE) | CF_PINGED;
        conn_ping(c, (struct str){0});
        conn_set_deadline(c, o->ping_timeout_ms ? o->ping_timeout_ms : o->ping_interval_ms);
    } else if (silent && o->ping_timeout_ms) {
        conn_log(c, "websocket is dead", "no answer to ping", 0);
        conn_drop(c, 1006, WHY_DEAD, true);
    } else {
        c->flags &= ~(uint32_t)CF_PINGED;
        conn_set_deadline(c, o->ping_interval_ms > o->ping_timeout_ms
                                 ? o->ping_interval_ms - o->ping_timeout_ms
                                 : 1);
    }
}
