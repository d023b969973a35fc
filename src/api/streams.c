/* The long-lived ways in: WebSocket, SSE and long polling, on one set of channels and cursors.
 * SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "base/alloc.h"

#include <math.h>

enum { MAX_NAMED = 100, POLL_MS = 25000, HEARTBEAT_MS = 15000, CHANNEL_MAX = 104 };

static const struct fanout_sub standard[] = {
    {.channel = {"dashboard_update", 16}},
    {.channel = {"btc_price_update", 16}},
};

bool channel_valid(struct str name, const char **why)
{
    *why = "Unknown channel; there are dashboard_update, btc_price_update and app:NAME.";
    for (size_t i = 0; i < ARRAY_LEN(standard); i++) {
        if (str_eq(name, standard[i].channel)) {
            *why = NULL;
            return true;
        }
    }
    if (!str_starts(name, STR("app:"))) {
        return false;
    }
    *why = "A channel of your own is \"app:\" and 1 to 100 of A-Z a-z 0-9 . _ : -.";
    if (name.len < 5 || name.len > CHANNEL_MAX) {
        return false;
    }
    for (size_t i = 4; i < name.len; i++) {
        char ch = name.ptr[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == ':' || ch == '-';
        if (!ok) {
            return false;
        }
    }
    *why = NULL;
    return true;
}

/* ---- WebSocket ---- */

void open_ws(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct session *session = session_of(c);
    struct ws_accept_opts opts = {0};
    if (!conn_upgrade_ws(c, r, &opts)) {
        return;
    }
    session->kind = SESSION_WS;
    session->member.stream = conn_stream(c);
    enum frame_form form = conn_takes_deflate(c) ? FORM_WS_DEFLATE : FORM_WS;
    const struct answers *a = shard_answers(s);
    char cursor[CURSOR_LEN + 1];
    fanout_cursor_text(s->fanout, cursor);
    buf_clear(&s->scratch);
    message_welcome(&s->scratch, buf_str(&a->summary), a->mode, shard_wall_ms(s), cursor);
    conn_send_ws(c, WS_TEXT, buf_str(&s->scratch), true);
    /* The two standard messages are sent as they would be now, not as they were up to 30 s ago: no
     * number may step back behind the welcome. */
    if (a->dashboard.len) {
        conn_send_ws(c, WS_TEXT, buf_str(&a->dashboard), true);
        conn_send_ws(c, WS_TEXT, buf_str(&a->btc_price), true);
    }
    if (fanout_join(s->fanout, &session->member, form, standard, ARRAY_LEN(standard)) != OK) {
        conn_close_ws(c, WS_CLOSE_TRY_LATER, STR("too many subscriptions"));
    }
}

/* ---- parameters that SSE and polling share ---- */

struct wishes {
    struct fanout_sub subs[MAX_NAMED];
    size_t count;
    struct buf names; /* what subs point into */
    struct buf since;
    bool has_since;
};

static void wishes_fini(struct wishes *w)
{
    buf_fini(&w->names);
    buf_fini(&w->since);
}

static bool read_channels(struct wishes *w, uint32_t interval_ms, const char **why)
{
    struct str rest = buf_str(&w->names);
    struct str name;
    while (str_next(&rest, ',', &name)) {
        name = str_trim(name);
        if (w->count == MAX_NAMED) {
            *why = "At most 100 channels can be named.";
            return false;
        }
        if (!channel_valid(name, why)) {
            return false;
        }
        w->subs[w->count++] = (struct fanout_sub){.channel = name, .interval_ms = interval_ms};
    }
    return true;
}

static bool read_interval(const struct http_request *r, uint32_t *interval_ms)
{
    struct buf text = {0};
    double hz = 0;
    bool ok = true;
    if (http_query(r->query, STR("max_hz"), &text) == OK) {
        ok = str_to_double(buf_str(&text), &hz) == OK && hz > 0 && hz <= 1000;
        *interval_ms = ok ? (uint32_t)ceil(1000.0 / hz) : 0;
    }
    buf_fini(&text);
    return ok;
}

static bool read_wishes(const struct http_request *r, struct wishes *w, const char **why)
{
    uint32_t interval_ms = 0;
    struct str last_id = http_request_header(r, STR("Last-Event-ID"));
    if (!read_interval(r, &interval_ms)) {
        *why = "max_hz must be a number above 0 and at most 1000.";
        return false;
    }
    enum err e = http_query(r->query, STR("channels"), &w->names);
    if (e != OK && e != ERR_NOT_FOUND) {
        *why = "channels is not properly percent-encoded.";
        return false;
    }
    if (w->names.len == 0) {
        for (size_t i = 0; i < ARRAY_LEN(standard); i++) {
            w->subs[w->count] = standard[i];
            w->subs[w->count++].interval_ms = interval_ms;
        }
    } else if (!read_channels(w, interval_ms, why)) {
        return false;
    }
    if (last_id.len) {
        buf_add_str(&w->since, last_id);
        w->has_since = true;
    } else {
        w->has_since = http_query(r->query, STR("since"), &w->since) == OK && w->since.len;
    }
    return true;
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

/* The pace of reconnecting, and an id at once: whoever leaves before the first message has a cursor
 * to come back with (an event without data sets the id and is not dispatched). Who came back is
 * told how that went. */
static void write_opening(struct api_shard *s, bool resumed, const struct fanout_resume *resume,
                          struct buf *out)
{
    struct buf event = {0};
    char cursor[CURSOR_LEN + 1];
    char time[CLOCK_RFC3339_LEN + 1];
    fanout_cursor_text(s->fanout, cursor);
    clock_format_rfc3339(shard_wall_ms(s), time);
    buf_printf(&event, "retry: 2000\nid: %s\n\n", cursor);
    if (resumed) {
        buf_printf(&event,
                   "event: subscribed\ndata: {\"type\":\"subscribed\",\"cursor\":\"%s\","
                   "\"recovered\":%s,\"reset\":%s,\"timestamp\":\"%s\"}\n\n",
                   cursor, resume->recovered ? "true" : "false", resume->reset ? "true" : "false",
                   time);
    }
    buf_printf(out, "%zx\r\n%.*s\r\n", event.len, STR_ARG(buf_str(&event)));
    buf_fini(&event);
}

void open_stream(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct wishes w = {0};
    struct buf headers = {0};
    const char *why = NULL;
    struct session *session = session_of(c);
    if (!read_wishes(r, &w, &why)) {
        reply_problem(c, 422, "Unprocessable Content", why, (struct str){0});
    } else if (r->minor == 0) {
        reply_problem(c, 505, "HTTP Version Not Supported", "Event streams need HTTP/1.1.",
                      (struct str){0});
    } else {
        (void)origin_allowed(s->opts.settings, r, conn_is_tls(c), &headers);
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
        (void)fanout_collect(s->fanout, w.subs, w.count, w.has_since ? &since : NULL, false,
                             FORM_SSE, &first, &resume);
        write_opening(s, w.has_since, &resume, &s->scratch);
        conn_write(c, buf_str(&s->scratch));
        conn_write(c, buf_str(&first));
        buf_fini(&first);
        if (fanout_join(s->fanout, &session->member, FORM_SSE, w.subs, w.count) != OK) {
            conn_finish(c);
        }
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
    char text[128];
    fanout_cursor_text(s->fanout, cursor);
    fanout_leave(s->fanout, &session->member);
    list_remove(&session->node);
    session->kind = SESSION_HTTP;
    session->ticket = 0;
    int n =
        snprintf(text, sizeof(text), "{\"cursor\":\"%s\",\"reset\":false,\"messages\":[]}", cursor);
    poll_reply(conn_of(session), str_make(text, (size_t)n));
}

void open_poll(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct wishes w = {0};
    const char *why = NULL;
    struct session *session = session_of(c);
    struct fanout_resume resume;
    if (!read_wishes(r, &w, &why)) {
        reply_problem(c, 422, "Unprocessable Content", why, (struct str){0});
        wishes_fini(&w);
        return;
    }
    struct str since = buf_str(&w.since);
    struct buf messages = {0};
    size_t n = fanout_collect(s->fanout, w.subs, w.count, w.has_since ? &since : NULL, false,
                              FORM_POLL, &messages, &resume);
    if (n == 0 && w.has_since && !resume.reset &&
        fanout_join(s->fanout, &session->member, FORM_POLL, w.subs, w.count) == OK) {
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
        buf_printf(&json, "{\"cursor\":\"%s\",\"reset\":%s,\"messages\":[", cursor,
                   resume.reset ? "true" : "false");
        buf_add_str(&json, buf_str(&messages));
        buf_add_lit(&json, "]}");
        poll_reply(c, buf_str(&json));
        buf_fini(&json);
    }
    buf_fini(&messages);
    wishes_fini(&w);
}
