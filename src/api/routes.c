/* The route table, and the short answers. SPDX-License-Identifier: MIT */
#include "api/assets.h"
#include "api/session.h"
#include "api/sio.h"
#include "base/alloc.h"
#include "base/metrics.h"

static struct metric requests_total =
    METRIC_COUNTER("coincast_http_requests_total", "HTTP requests answered or upgraded.");
static struct metric origin_refused =
    METRIC_COUNTER("coincast_origin_refused_total", "Requests refused for their Origin or Host.");

static struct metric fresh_reads = METRIC_LABELLED(
    METRIC_KIND_COUNTER, "coincast_summary_reads_total",
    "Reads of the summary, by whether its price was younger than five minutes.", "price=\"fresh\"");
static struct metric old_reads = METRIC_LABELLED(
    METRIC_KIND_COUNTER, "coincast_summary_reads_total",
    "Reads of the summary, by whether its price was younger than five minutes.", "price=\"old\"");
static struct metric heap_bytes =
    METRIC_GAUGE("coincast_heap_bytes", "Bytes of heap in use, of the whole process.");

enum { STALE_FOR_READERS_MS = 300000, DEMAND_EVERY_MS = 10000 };

void reply_problem(struct conn *c, unsigned status, const char *title, const char *detail,
                   struct str headers)
{
    struct buf body = {0};
    message_problem(&body, status, title, detail);
    conn_reply(c, &(struct http_reply){.status = status,
                                       .content_type = STR("application/problem+json"),
                                       .headers = headers,
                                       .body = buf_str(&body)});
    buf_fini(&body);
}

static void reply_json(struct conn *c, unsigned status, struct str body)
{
    conn_reply(c, &(struct http_reply){.status = status,
                                       .content_type = STR("application/json"),
                                       .headers = STR("Cache-Control: no-cache\r\n"),
                                       .body = body});
}

/* If-None-Match by weak comparison (RFC 9110, 13.1.2). */
static bool etag_matches(const struct http_request *r, const char *etag)
{
    struct str match = http_request_header(r, STR("If-None-Match"));
    return match.ptr && (str_eq(match, STR("*")) || str_find_str(match, str_of(etag)) != SIZE_MAX);
}

/* ---- the summary ---- */

/* A reader keeps the sources at their pace; one who finds a price older than five minutes causes
 * one fetch (C5). */
static void note_read(struct api_shard *s, const struct answers *a)
{
    uint64_t now = loop_now_ms(s->loop);
    bool old = shard_wall_ms(s) - a->btc_as_of_ms >= STALE_FOR_READERS_MS;
    metric_add(old ? &old_reads : &fresh_reads, 1);
    if (!s->opts.settings->sources || now < s->demanded_ms + DEMAND_EVERY_MS) {
        return;
    }
    s->demanded_ms = now;
    (void)!mailbox_post(s->opts.main_mail, letter_demand, s->opts.main, NULL, 0);
}

static void get_summary(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct str body)
{
    const struct answers *a = shard_answers(s);
    (void)body;
    note_read(s, a);
    if (etag_matches(r, a->summary_etag)) {
        struct buf headers = {0};
        buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\n", a->summary_etag);
        conn_reply(c, &(struct http_reply){.status = 304, .headers = buf_str(&headers)});
        buf_fini(&headers);
        return;
    }
    struct buf cors = {0};
    (void)origin_allowed(s->opts.settings, r, conn_is_tls(c), &cors);
    if (cors.len) {
        buf_printf(&cors, "Cache-Control: no-cache\r\nETag: %s\r\n", a->summary_etag);
        conn_reply(c, &(struct http_reply){.status = 200,
                                           .content_type = STR("application/json"),
                                           .headers = buf_str(&cors),
                                           .body = buf_str(&a->summary)});
    } else {
        conn_reply_ready(c, buf_str(&a->summary_reply), a->summary_head_len);
    }
    buf_fini(&cors);
}

static void get_refresh(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct str body)
{
    (void)r;
    (void)body;
    uint64_t ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_refresh, s->opts.main, s, ticket)) {
        list_remove(&session_of(c)->node);
        session_of(c)->ticket = 0;
        reply_problem(c, 503, "Service Unavailable", "The server is too busy to fetch now.",
                      STR("Retry-After: 1\r\n"));
    }
}

void refresh_reply(struct conn *c, const struct refreshed *r)
{
    struct buf body = {0};
    struct buf headers = {0};
    struct str summary = buf_str(&r->answers->summary);
    buf_add(&body, summary.ptr, summary.len - 1); /* without its closing brace */
    buf_printf(&body, ",\"refreshed\":%s", r->refreshed ? "true" : "false");
    if (!r->refreshed) {
        buf_add_lit(&body, ",\"reason\":");
        json_escape(&body, str_of(r->reason));
    }
    buf_add_char(&body, '}');
    buf_printf(&headers, "Cache-Control: no-cache\r\nETag: W/\"%016llx\"\r\n",
               (unsigned long long)str_hash(str_of(r->answers->summary_etag)) ^ r->refreshed);
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = STR("application/json"),
                                       .headers = buf_str(&headers),
                                       .body = buf_str(&body)});
    buf_fini(&body);
    buf_fini(&headers);
}

/* ---- operations ---- */

static void get_healthz(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct str body)
{
    (void)s;
    (void)r;
    (void)body;
    reply_json(c, 200, STR("{\"status\":\"ok\"}"));
}

static void get_readyz(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body)
{
    const struct answers *a = shard_answers(s);
    (void)r;
    (void)body;
    if (a->ready && !s->draining) {
        reply_json(c, 200, STR("{\"status\":\"ready\"}"));
        return;
    }
    struct buf detail = {0};
    if (s->draining) {
        buf_add_lit(&detail, "The server is shutting down.");
    } else {
        buf_printf(&detail, "Not known yet: %.*s.", STR_ARG(a->missing));
    }
    reply_problem(c, 503, "Not Ready", buf_text(&detail), STR("Retry-After: 2\r\n"));
    buf_fini(&detail);
}

static void get_health(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body)
{
    const struct answers *a = shard_answers(s);
    (void)r;
    (void)body;
    reply_json(c, 200, buf_str(&a->health)); /* also when down: readiness is /readyz */
}

static void get_metrics(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct str body)
{
    struct buf text = {0};
    (void)s;
    (void)r;
    (void)body;
    metric_set(&heap_bytes, (int64_t)mem_in_use());
    metrics_write(&text);
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = STR("text/plain; version=0.0.4"),
                                       .headers = STR("Cache-Control: no-store\r\n"),
                                       .body = buf_str(&text)});
    buf_fini(&text);
}

/* ---- pages ---- */

static void get_root(struct api_shard *s, struct conn *c, const struct http_request *r,
                     struct str body)
{
    (void)s;
    (void)r;
    (void)body;
    conn_reply(c, &(struct http_reply){.status = 302,
                                       .headers = STR("Location: /crypto_report\r\n"
                                                      "Cache-Control: no-cache\r\n")});
}

static const struct asset *asset_at(struct str path)
{
    for (unsigned i = 0; i < assets_count; i++) {
        if (str_eq(path, str_of(assets[i].path))) {
            return &assets[i];
        }
    }
    return NULL;
}

static void reply_asset(struct conn *c, const struct http_request *r, const struct asset *a)
{
    struct str accepts = http_request_header(r, STR("Accept-Encoding"));
    bool gzip = a->gzip && http_has_token(accepts, STR("gzip"));
    struct buf headers = {0};
    buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\nVary: Accept-Encoding\r\n",
               a->etag);
    if (etag_matches(r, a->etag)) {
        conn_reply(c, &(struct http_reply){.status = 304, .headers = buf_str(&headers)});
        buf_fini(&headers);
        return;
    }
    buf_add_lit(&headers, "Content-Security-Policy: default-src 'self'; connect-src 'self'; "
                          "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n");
    if (gzip) {
        buf_add_lit(&headers, "Content-Encoding: gzip\r\n");
    }
    struct str body = gzip ? str_make((const char *)a->gzip, a->gzip_len)
                           : str_make((const char *)a->plain, a->plain_len);
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = str_of(a->type),
                                       .headers = buf_str(&headers),
                                       .body = body});
    buf_fini(&headers);
}

/* ---- the table ---- */

static void get_ws(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    (void)body;
    open_ws(s, c, r);
}

static void get_stream(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body)
{
    (void)body;
    open_stream(s, c, r);
}

static void get_poll(struct api_shard *s, struct conn *c, const struct http_request *r,
                     struct str body)
{
    (void)body;
    open_poll(s, c, r);
}

enum { CHECK_ORIGIN = 1, NO_HEAD = 2 };

static const struct route {
    const char *path;
    enum http_method method;
    unsigned flags;
    void (*run)(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body);
} routes[] = {
    {"/api/crypto/dashboard-summary", HTTP_GET, 0, get_summary},
    {"/ws", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_ws},
    {"/api/v1/publish", HTTP_POST, CHECK_ORIGIN, route_publish},
    {"/api/v1/stream", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_stream},
    {"/api/v1/poll", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_poll},
    {"/api/crypto/dashboard-summary/refresh", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_refresh},
    {"/healthz", HTTP_GET, 0, get_healthz},
    {"/readyz", HTTP_GET, 0, get_readyz},
    {"/api/health", HTTP_GET, 0, get_health},
    {"/metrics", HTTP_GET, 0, get_metrics},
    {"/", HTTP_GET, 0, get_root},
};

static bool method_fits(const struct route *route, enum http_method m)
{
    return m == route->method ||
           (m == HTTP_HEAD && route->method == HTTP_GET && !(route->flags & NO_HEAD));
}

static void refuse_method(struct conn *c, const struct route *route)
{
    reply_problem(
        c, 405, "Method Not Allowed",
        route->method == HTTP_POST ? "This address takes POST." : "This address takes GET.",
        route->method == HTTP_POST ? STR("Allow: POST\r\n") : STR("Allow: GET, HEAD\r\n"));
}

void route_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    metric_add(&requests_total, 1);
    if (!host_allowed(s->opts.settings, r)) {
        metric_add(&origin_refused, 1);
        reply_problem(c, 403, "Forbidden",
                      "This server serves its own machine only; use http://localhost.",
                      (struct str){0});
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *route = &routes[i];
        if (!str_eq(r->path, str_of(route->path))) {
            continue;
        }
        if (!method_fits(route, r->method)) {
            refuse_method(c, route);
        } else if ((route->flags & CHECK_ORIGIN) &&
                   !origin_allowed(s->opts.settings, r, conn_is_tls(c), NULL)) {
            metric_add(&origin_refused, 1);
            reply_problem(c, 403, "Forbidden",
                          "This Origin is not allowed; name it in COINCAST_ORIGINS.",
                          (struct str){0});
        } else {
            route->run(s, c, r, body);
        }
        return;
    }
    const struct asset *asset = asset_at(r->path);
    if (asset && (r->method == HTTP_GET || r->method == HTTP_HEAD)) {
        reply_asset(c, r, asset);
        return;
    }
    if (str_starts(r->path, STR("/socket.io/"))) {
        sio_shard_request(s, c, r, body);
        return;
    }
    reply_problem(c, 404, "Not Found", "There is nothing at this address.", (struct str){0});
}

void poll_reply(struct conn *c, struct str json)
{
    conn_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = STR("application/json"),
                                       .headers = STR("Cache-Control: no-store\r\n"),
                                       .body = json});
}
