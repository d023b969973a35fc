/* The long-lived ways in: WebSocket, SSE and long polling, on one set of channels and cursors.
 * SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "api/wishes.h"
#include "base/alloc.h"

enum { POLL_MS = 25000, HEARTBEAT_MS = 15000 };

/* ---- WebSocket ---- */

/* The two standard messages are sent as they would be now, not as they were up to 30 s ago: no
 * number may step back behind the welcome, and no cursor behind what the client has. */
bool send_standard(struct api_shard *s, struct conn *c, struct str channel)
{
    static const struct str mark = {"\"cursor\":\"", 10};
    const struct answers *a = shard_answers(s);
    struct str text = buf_str(str_eq(channel, standard_channels[0].channel)   ? &a->dashboard
                              : str_eq(channel, standard_channels[1].channel) ? &a->btc_price
                                                                              : &(struct buf){0});
    size_t from = str_find_str(text, mark);
    if (from == SIZE_MAX) {
        return false;
    }
    char cursor[CURSOR_LEN + 1];
    struct buf json = {0};
    fanout_cursor_text(s->fanout, cursor);
    buf_add(&json, text.ptr, from + mark.len);
    buf_add_str(&json, str_of(cursor));
    buf_add_str(&json, str_from(text, str_find(text, '"', from + mark.len)));
    session_send(c, buf_str(&json));
    buf_fini(&json);
    return true;
}

static const struct str msgpack_protocol = {"coincast.msgpack.v1", 19};

/* The subprotocol, when the client offers it. */
static struct str chosen_protocol(const struct http_request *r)
{
    struct buf offered = {0};
    bool packed = http_request_header_all(r, STR("Sec-WebSocket-Protocol"), &offered) &&
                  http_has_token(buf_str(&offered), msgpack_protocol);
    buf_fini(&offered);
    return packed ? msgpack_protocol : (struct str){0};
}

static struct str welcome(struct api_shard *s)
{
    const struct answers *a = shard_answers(s);
    int64_t now_ms = shard_wall_ms(s);
    char cursor[CURSOR_LEN + 1] = {0};
    fanout_cursor_text(s->fanout, cursor);
    if (now_ms != s->welcome_ms || strcmp(cursor, s->welcome_cursor) != 0) {
        buf_clear(&s->welcome);
        message_welcome(&s->welcome, buf_str(&a->summary), a->mode, now_ms, cursor);
        memcpy(s->welcome_cursor, cursor, sizeof(cursor));
        s->welcome_ms = now_ms;
    }
    return buf_str(&s->welcome);
}

void open_ws(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct session *session = session_of(c);
    struct ws_accept_opts opts = {.protocol = chosen_protocol(r)};
    if (!conn_upgrade_ws(c, r, &opts)) {
        return;
    }
    session->kind = SESSION_WS;
    session->member.stream = conn_stream(c);
    enum frame_form form = conn_takes_deflate(c)
                               ? opts.protocol.len ? FORM_MSGPACK_DEFLATE : FORM_WS_DEFLATE
                           : opts.protocol.len ? FORM_MSGPACK
                                               : FORM_WS;
    session->form = (uint8_t)form;
    session_send(c, welcome(s));
    for (size_t i = 0; i < STANDARD_CHANNELS; i++) {
        (void)send_standard(s, c, standard_channels[i].channel);
    }
    if (fanout_join(s->fanout, &session->member, form, standard_channels, STANDARD_CHANNELS) !=
        OK) {
        conn_close_ws(c, WS_CLOSE_TRY_LATER, STR("too many subscriptions"));
    }
}

void catch_up(struct api_shard *s, struct conn *c, const struct fanout_sub *subs, size_t count,
              const struct str *since, struct str first)
{
    if (first.len <= CATCH_UP_AT_ONCE) {
        conn_write(c, first);
        return;
    }
    conn_write_now(c, (struct str){0}); /* what was said before it */
    fanout_replay(s->fanout, &session_of(c)->member, subs, count, since);
}

/* ---- what SSE and polling share ---- */

/* False: refused, the client was told. */
static bool read_wishes(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct wishes *w)
{
    const char *why = NULL;
    size_t most = s->opts.settings->max_subscriptions;
    enum err e = wishes_read(w, shard_answers(s)->catalogue, r->query,
                             http_request_header(r, STR("Last-Event-ID")), &why);
    if (e == ERR_NOT_FOUND) {
        struct buf detail = {0};
        buf_printf(&detail, "%s (%.*s)", why, STR_ARG(buf_str(&w->symbols.unknown)));
        reply_problem(c, 404, "Not Found", buf_text(&detail), (struct str){0});
        buf_fini(&detail);
    } else if (e != OK) {
        reply_problem(c, 422, "Unprocessable Content", why, (struct str){0});
    } else if (most && w->count > most) {
        char detail[80];
        snprintf(detail, sizeof(detail), "At most %zu channels can be named here.", most);
        reply_problem(c, 422, "Unprocessable Content", detail, (struct str){0});
        e = ERR_LIMIT;
    }
    return e == OK;
}

static void want_all(struct api_shard *s, struct session *session, const struct wishes *w)
{
    if (w->prices) {
        session_want_prices(s, session, w->prices->keys, w->prices->key_count);
    }
    for (size_t i = 0; i < w->candle_count; i++) {
        session_want_candles(s, session, w->candles[i].key, w->candles[i].interval, true);
    }
}

/* ---- SSE ---- */

static void heartbeat(void *self)
{
    struct api_shard *s = self;
    static const char comment[] = "4\r\n: \n\n\r\n";
    list_each (it, &s->streams) {
        struct conn *c = conn_of(containerof(it, struct session, node));
        if (conn_pending(c) == 0) { /* whoever has bytes waiting needs no sign of life */
            conn_write(c, str_make(comment, sizeof(comment) - 1));
        }
    }
    if (!list_empty(&s->streams)) {
        timer_start(s->loop, &s->heartbeat, loop_now_ms(s->loop) + HEARTBEAT_MS, heartbeat, s);
    }
}

/* The pace of reconnecting; who came back is told how that went, and who named unknown symbols
 * which these are. */
static void write_opening(struct api_shard *s, const struct wishes *w,
                          const struct fanout_resume *resume, struct buf *out)
{
    struct buf event = {0};
    char cursor[CURSOR_LEN + 1];
    char time[CLOCK_RFC3339_LEN + 1];
    fanout_cursor_text(s->fanout, cursor);
    clock_format_rfc3339(shard_wall_ms(s), time);
    buf_add_lit(&event, "retry: 2000\n");
    if (w->has_since || w->symbols.unknown_count) {
        buf_printf(&event,
                   "event: subscribed\ndata: {\"type\":\"subscribed\",\"cursor\":\"%s\","
                   "\"recovered\":%s,\"reset\":%s,\"unknown\":[%.*s],\"timestamp\":\"%s\"}\n",
                   cursor, resume->recovered ? "true" : "false", resume->reset ? "true" : "false",
                   STR_ARG(buf_str(&w->symbols.unknown)), time);
    }
    buf_add_char(&event, '\n');
    buf_printf(out, "%zx\r\n%.*s\r\n", event.len, STR_ARG(buf_str(&event)));
    buf_fini(&event);
}

/* An id behind what came first (an event without data sets the id and is not dispatched): whoever
 * leaves before the first message has a cursor to come back with, and snapshots of older numbers do
 * not set it back. */
static void write_id(struct api_shard *s, struct conn *c)
{
    char cursor[CURSOR_LEN + 1];
    char text[CURSOR_LEN + 24];
    fanout_cursor_text(s->fanout, cursor);
    int n = snprintf(text, sizeof(text), "%zx\r\nid: %s\n\n\r\n", strlen(cursor) + 6, cursor);
    conn_write(c, str_make(text, (size_t)n));
}

void open_stream(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct wishes w = {0};
    struct buf headers = {0};
    struct session *session = session_of(c);
    if (!read_wishes(s, c, r, &w)) {
        /* refused */
    } else if (r->minor == 0) {
        reply_problem(c, 505, "HTTP Version Not Supported", "Event streams need HTTP/1.1.",
                      (struct str){0});
    } else {
        shard_reach(s, buf_str(&w.since));
        if (session->cors) {
            buf_add_str(&headers, str_of(session->cors));
        }
        buf_add_lit(&headers, "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n");
        (void)conn_start_stream(c, &(struct http_reply){.status = 200,
                                                        .content_type = STR("text/event-stream"),
                                                        .headers = buf_str(&headers)});
        session->kind = SESSION_SSE;
        session->member.stream = conn_stream(c);
        list_push(&s->streams, &session->node);
        if (!timer_active(&s->heartbeat)) {
            timer_start(s->loop, &s->heartbeat, loop_now_ms(s->loop) + HEARTBEAT_MS, heartbeat, s);
        }
        struct str since = buf_str(&w.since);
        struct fanout_resume resume;
        buf_clear(&s->scratch);
        struct buf first = {0};
        (void)fanout_collect(s->fanout, w.subs, w.count, w.has_since ? &since : NULL, true,
                             FORM_SSE, &first, &resume);
        write_opening(s, &w, &resume, &s->scratch);
        conn_write(c, buf_str(&s->scratch));
        bool at_once = first.len <= CATCH_UP_AT_ONCE;
        if (fanout_join(s->fanout, &session->member, FORM_SSE, w.subs, w.count) == OK) {
            want_all(s, session, &w);
            catch_up(s, c, w.subs, w.count, w.has_since ? &since : NULL, buf_str(&first));
            if (at_once) {
                write_id(s, c);
            }
        } else {
            conn_finish(c);
        }
        buf_fini(&first);
    }
    buf_fini(&headers);
    wishes_fini(&w);
}

/* ---- polling ---- */

static void polls_due(void *self)
{
    struct api_shard *s = self;
    uint64_t now = loop_now_ms(s->loop);
    while (!list_empty(&s->polls)) {
        struct session *session = containerof(s->polls.next, struct session, node);
        if (session->ticket > now) {
            timer_start(s->loop, &s->poll_timer, session->ticket, polls_due, s);
            return;
        }
        poll_expire(s, session);
    }
}

void poll_expire(struct api_shard *s, struct session *session)
{
    char cursor[CURSOR_LEN + 1];
    struct buf json = {0};
    fanout_cursor_text(s->fanout, cursor);
    session_leave(s, session);
    list_remove(&session->node);
    session->kind = SESSION_HTTP;
    session->ticket = 0;
    buf_printf(&json, "{\"cursor\":\"%s\",\"reset\":false,\"messages\":[", cursor);
    if (s->draining) {
        shutdown_json(s, &json);
    }
    buf_add_lit(&json, "]}");
    poll_reply(conn_of(session), buf_str(&json));
    buf_fini(&json);
}

void open_poll(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct wishes w = {0};
    struct session *session = session_of(c);
    struct fanout_resume resume;
    if (!read_wishes(s, c, r, &w)) {
        wishes_fini(&w);
        return;
    }
    if (s->draining && !w.has_since) {
        refuse_draining(c);
        wishes_fini(&w);
        return;
    }
    session_use(s, session, USE_POLL);
    struct str since = buf_str(&w.since);
    shard_reach(s, since);
    struct buf messages = {0};
    size_t n = fanout_collect(s->fanout, w.subs, w.count, w.has_since ? &since : NULL, false,
                              FORM_POLL, &messages, &resume);
    if (n == 0 && w.has_since && !resume.reset && !s->draining &&
        fanout_join(s->fanout, &session->member, FORM_POLL, w.subs, w.count) == OK) {
        want_all(s, session, &w);
        session->kind = SESSION_POLL;
        session->ticket = loop_now_ms(s->loop) + POLL_MS;
        list_push(&s->polls, &session->node);
        if (!timer_active(&s->poll_timer)) {
            timer_start(s->loop, &s->poll_timer, session->ticket, polls_due, s);
        }
    } else {
        char cursor[CURSOR_LEN + 1];
        struct buf json = {0};
        fanout_cursor_text(s->fanout, cursor);
        if (resume.cut_seq) { /* the rest comes with the next poll */
            struct str epoch = str_sub(str_of(cursor), 0, str_find(str_of(cursor), '-', 0));
            snprintf(cursor + epoch.len, sizeof(cursor) - epoch.len, "-%llu",
                     (unsigned long long)resume.cut_seq);
        }
        buf_printf(&json, "{\"cursor\":\"%s\",\"reset\":%s,\"messages\":[", cursor,
                   resume.reset ? "true" : "false");
        buf_add_str(&json, buf_str(&messages));
        if (s->draining) {
            buf_add_str(&json, messages.len ? STR(",") : STR(""));
            shutdown_json(s, &json);
        }
        buf_add_lit(&json, "]");
        if (w.symbols.unknown_count) {
            buf_printf(&json, ",\"unknown\":[%.*s]", STR_ARG(buf_str(&w.symbols.unknown)));
        }
        buf_add_lit(&json, "}");
        poll_reply(c, buf_str(&json));
        buf_fini(&json);
    }
    buf_fini(&messages);
    wishes_fini(&w);
}
