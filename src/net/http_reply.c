/* Replies: heads, the lines every reply has, refusals, endless responses.
 * SPDX-License-Identifier: MIT */
#include "net/conn.h"

#include <time.h>

#define SECURITY_LINES                    \
    "X-Content-Type-Options: nosniff\r\n" \
    "X-Frame-Options: DENY\r\n"           \
    "Referrer-Policy: no-referrer\r\n"

static bool has_no_body(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* The head, but for Date and Connection, which are the conn's. */
static void add_head(struct buf *out, const struct http_reply *r, bool with_length)
{
    (void)buf_printf(out, "HTTP/1.1 %u %s\r\n", r->status, http_status_text(r->status));
    if (r->content_type.len) {
        (void)buf_add_lit(out, "Content-Type: ");
        (void)buf_add_str(out, r->content_type);
        (void)buf_add_lit(out, "\r\n");
    }
    if (with_length && !has_no_body(r->status)) {
        (void)buf_add_lit(out, "Content-Length: ");
        (void)buf_add_u64(out, r->body.len);
        (void)buf_add_lit(out, "\r\n");
    }
    (void)buf_add_lit(out, SECURITY_LINES);
    (void)buf_add_str(out, r->headers);
    (void)buf_add_lit(out, "\r\n");
}

size_t http_reply_bytes(struct buf *out, const struct http_reply *reply)
{
    size_t from = out->len;
    add_head(out, reply, true);
    size_t head_len = out->len - from;
    if (!has_no_body(reply->status)) {
        (void)buf_add_str(out, reply->body);
    }
    return head_len;
}

/* "Date: ...\r\n" of this second (RFC 9110, section 6.6.1). */
static struct str date_line(struct net_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t second = loop_wall_ms(s->opts.loop) / 1000;
    if (second != s->date_second) {
        time_t t = (time_t)second;
        struct tm tm = {0};
        (void)gmtime_r(&t, &tm);
        snprintf(s->date, sizeof(s->date), "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
                 days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        s->date_second = second;
    }
    return str_of(s->date);
}

static struct str connection_line(const struct conn *c)
{
    if (!(c->flags & CF_KEEP)) {
        return STR("Connection: close\r\n");
    }
    return c->flags & CF_HTTP10 ? STR("Connection: keep-alive\r\n") : (struct str){0};
}

static char *put(char *at, struct str s)
{
    if (s.len) {
        memcpy(at, s.ptr, s.len);
    }
    return at + s.len;
}

/* Queues head and body, with the conn's own lines put in before the head's empty line. */
static void write_reply(struct conn *c, struct str head, struct str body)
{
    struct str lines = str_sub(head, 0, head.len - 2);
    /* Recorded answers come with the Date of their recording. */
    bool has_date = str_find_str(lines, STR("\r\nDate: ")) != SIZE_MAX;
    struct str date = has_date ? (struct str){0} : date_line(c->server);
    struct str connection = connection_line(c);
    if (c->flags & CF_HEAD_REQUEST) {
        body = (struct str){0};
    }
    size_t len = head.len + date.len + connection.len + body.len;
    char *at = conn_room(c, len);
    at = put(at, lines);
    at = put(at, date);
    at = put(at, connection);
    at = put(at, STR("\r\n"));
    (void)put(at, body);
    conn_added(c, len);
}

/* The request that waited is answered: on to the next, or to the end. */
static void answered(struct conn *c)
{
    if (c->state != CONN_HTTP) {
        return;
    }
    c->flags &= ~(uint32_t)(CF_WAITING | CF_PARKED);
    if (!(c->flags & CF_KEEP)) {
        conn_end(c, 0, WHY_DONE);
        return;
    }
    if (!(c->flags & CF_CONGESTED)) {
        conn_set_deadline(c, c->server->opts.idle_timeout_ms);
    }
    if (c->flags & CF_IN_HTTP) {
        return;
    }
    if (c->http) {
        http_resume_later(c);
    } else {
        http_end(c);
    }
}

static bool may_answer(const struct conn *c)
{
    return c->state == CONN_HTTP && (c->flags & (CF_WAITING | CF_MOVING)) == CF_WAITING;
}

void conn_reply(struct conn *c, const struct http_reply *reply)
{
    if (!may_answer(c)) {
        return;
    }
    if (reply->close || c->server->draining) {
        c->flags &= ~(uint32_t)CF_KEEP;
    }
    struct buf *head = &c->server->scratch;
    buf_clear(head);
    add_head(head, reply, true);
    write_reply(c, buf_str(head), has_no_body(reply->status) ? (struct str){0} : reply->body);
    answered(c);
}

void conn_reply_ready(struct conn *c, struct str head_and_body, size_t head_len)
{
    if (!may_answer(c)) {
        return;
    }
    if (c->server->draining) {
        c->flags &= ~(uint32_t)CF_KEEP;
    }
    write_reply(c, str_sub(head_and_body, 0, head_len), str_from(head_and_body, head_len));
    answered(c);
}

bool conn_start_stream(struct conn *c, const struct http_reply *head)
{
    if (!may_answer(c)) {
        return false;
    }
    bool chunked = !(c->flags & CF_HTTP10);
    c->flags &= ~(uint32_t)CF_KEEP;
    struct buf *bytes = &c->server->scratch;
    struct http_reply r = *head;
    struct buf lines = {0};
    (void)buf_add_str(&lines, head->headers);
    if (chunked) {
        (void)buf_add_lit(&lines, "Transfer-Encoding: chunked\r\n");
    }
    r.headers = buf_str(&lines);
    buf_clear(bytes);
    add_head(bytes, &r, false);
    write_reply(c, buf_str(bytes), (struct str){0});
    buf_fini(&lines);
    if (c->flags & CF_HEAD_REQUEST) {
        answered(c);
        return false;
    }
    if (c->state != CONN_HTTP) {
        return false;
    }
    c->flags = (c->flags & ~(uint32_t)CF_WAITING) | (chunked ? CF_CHUNKED : 0);
    c->state = CONN_STREAM;
    conn_pause(c, false);
    if (c->flags & CF_PEER_ENDED) {
        conn_end(c, 0, WHY_PEER_LEFT);
    }
    return chunked;
}

/* ---- problems (RFC 9457) ---- */

static void add_problem(struct buf *out, unsigned status, const char *detail)
{
    (void)buf_printf(out,
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}",
                     http_status_text(status), status, detail);
}

static struct http_reply problem(struct buf *body, unsigned status)
{
    return (struct http_reply){
        .status = status,
        .content_type = STR("application/problem+json"),
        .body = buf_str(body),
        .close = true,
    };
}

void http_problem(struct conn *c, unsigned status, const char *detail)
{
    struct buf body = {0};
    add_problem(&body, status, detail);
    struct http_reply r = problem(&body, status);
    if (c->state == CONN_HTTP) {
        c->flags |= CF_WAITING;
        conn_reply(c, &r);
    }
    buf_fini(&body);
}
