/* WebSockets of sessions: opened directly, or probing beside the polls and taking over from them.
 * Also what the owner's net_handler passes on. SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "net/engine_session.h"

static struct metric upgraded =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_engine_upgrades_total",
                    "Polling sessions that tried a WebSocket.", "result=\"done\"");
static struct metric given_up =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_engine_upgrades_total",
                    "Polling sessions that tried a WebSocket.", "result=\"given up\"");

/* ---- out ---- */

void engine_ws_send(struct engine_session *s, bool binary, struct str bytes)
{
    struct buf *frame = &s->engine->scratch;
    if (binary && s->version == 3) {
        buf_clear(frame);
        (void)buf_add_char(frame, EIO_MESSAGE);
        (void)buf_add_str(frame, bytes);
        bytes = buf_str(frame);
    }
    conn_send_ws(s->ws, binary ? WS_BINARY : WS_TEXT, bytes, true);
}

static struct conn *let_go(struct engine_session *s)
{
    struct conn *c = s->ws;
    if (c) {
        s->ws_link->session = NULL;
        s->ws_link = NULL;
        s->ws = NULL;
        s->upgrade_at_ms = ENGINE_NEVER;
    }
    return c;
}

void engine_ws_close(struct engine_session *s, uint16_t code, const char *reason)
{
    struct conn *c = let_go(s);
    if (c) {
        conn_close_ws(c, code, str_of(reason));
    }
}

static void keep_polling(struct engine_session *s)
{
    metric_add(&given_up, 1);
    if (s->state == ENGINE_UPGRADING) {
        s->state = ENGINE_POLLING;
    }
    s->noop_at_ms = ENGINE_NEVER;
    if (s->poll) {
        engine_mark_due(s);
    }
    engine_arm(s);
}

void engine_ws_give_up(struct engine_session *s, const char *reason)
{
    engine_ws_close(s, WS_CLOSE_POLICY, reason);
    keep_polling(s);
}

/* ---- opening ---- */

static void bind_ws(struct engine_session *s, struct conn *c, struct engine_link *link)
{
    s->ws = c;
    s->ws_link = link;
    link->session = s;
}

void engine_ws_open(struct engine *e, struct conn *c, struct engine_link *link,
                    const struct http_request *r, struct engine_session *s, unsigned version)
{
    if (!conn_upgrade_ws(c, r, &(struct ws_accept_opts){.large = true})) {
        return;
    }
    link->is_ws = true;
    if (s && s->ws) {
        conn_close_ws(c, WS_CLOSE_POLICY, STR("the session has a WebSocket"));
    } else if (s) {
        bind_ws(s, c, link);
        s->upgrade_at_ms = loop_now_ms(e->opts.loop) + e->opts.upgrade_timeout_ms;
        engine_arm(s);
    } else {
        struct buf packet = {0};
        s = engine_session_new(e, c, version);
        s->state = ENGINE_WS;
        bind_ws(s, c, link);
        engine_open_packet(s, false, &packet);
        engine_ws_send(s, false, buf_str(&packet));
        buf_fini(&packet);
        engine_opened(s, c, r);
    }
}

/* ---- the probe ---- */

static void take_over(struct engine_session *s)
{
    const struct engine_handler *h = s->engine->opts.handler;
    size_t at = s->held_at;
    bool binary = false;
    struct str bytes;
    engine_refuse_poll(s);
    s->state = ENGINE_WS;
    s->upgrade_at_ms = ENGINE_NEVER;
    engine_arm(s);
    metric_add(&upgraded, 1);
    /* The conn may be cut for what it gets, and the session with it. */
    while (s->state == ENGINE_WS && engine_next_held(s, &at, &binary, &bytes)) {
        engine_ws_send(s, binary, bytes);
    }
    engine_drop_held(s, at);
    if (s->state == ENGINE_WS && h->transport) {
        h->transport(s->engine->opts.self, s);
    }
}

static void probe_packet(struct engine_session *s, bool binary, struct str text)
{
    if (!binary && s->state == ENGINE_POLLING && str_eq(text, STR("2probe"))) {
        s->state = ENGINE_UPGRADING;
        engine_ws_send(s, false, STR("3probe"));
        engine_end_poll(s, "6");
    } else if (!binary && s->state == ENGINE_UPGRADING && str_eq(text, STR("5"))) {
        take_over(s);
    } else {
        engine_ws_give_up(s, "not a probe");
    }
}

/* ---- events of the conn ---- */

static void ws_packet(struct engine_session *s, bool binary, struct str bytes)
{
    struct eio_packet packet;
    if (bytes.len > s->engine->opts.max_payload) {
        engine_end(s, ENGINE_TRANSPORT_ERROR, NULL, WS_CLOSE_TOO_LARGE, "message too large");
    } else if (eio_read_packet(engine_frame_form(s), binary, bytes, &packet) != OK) {
        engine_end(s, ENGINE_PARSE_ERROR, NULL, WS_CLOSE_PROTOCOL, "parse error");
    } else {
        (void)engine_packet(s, &packet);
    }
}

bool engine_on_message(struct engine_link *link, struct conn *c, bool binary, struct str text)
{
    struct engine_session *s = link->session;
    if (s && s->ws == c && engine_tick(s) && s->ws == c) {
        if (s->state == ENGINE_WS) {
            ws_packet(s, binary, text);
        } else {
            probe_packet(s, binary, text);
        }
    }
    return link->is_ws;
}

bool engine_on_drained(struct engine_link *link, struct conn *c)
{
    struct engine_session *s = link->session;
    if (s && s->ws == c && s->state == ENGINE_WS && s->engine->opts.handler->drained) {
        s->engine->opts.handler->drained(s->engine->opts.self, s);
    }
    return link->is_ws;
}

bool engine_on_closing(struct engine_link *link, struct conn *c)
{
    struct engine_session *s = link->session;
    if (!s) {
        return link->is_ws;
    }
    if (s->leaver == c) {
        engine_forget(s);
    } else if (s->poll == c) {
        engine_end_poll(s, "1"); /* reaches nobody: forgets the conn */
        engine_end(s, ENGINE_TRANSPORT_ERROR, NULL, WS_CLOSE_NORMAL, "the poll broke off");
    } else if (s->state == ENGINE_WS) {
        (void)let_go(s);
        engine_end(s, ENGINE_TRANSPORT_CLOSE, NULL, WS_CLOSE_NORMAL, "");
    } else {
        (void)let_go(s);
        keep_polling(s);
    }
    return true;
}
