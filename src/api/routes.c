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

static struct metric rate_limited = METRIC_COUNTER(
    "coincast_http_rate_limited_total", "Requests refused because their address makes too many.");
static struct metric fresh_reads = METRIC_LABELLED(
    METRIC_KIND_COUNTER, "coincast_summary_reads_total",
    "Reads of the summary, by whether its price was younger than five minutes.", "price=\"fresh\"");
static struct metric old_reads = METRIC_LABELLED(
    METRIC_KIND_COUNTER, "coincast_summary_reads_total",
    "Reads of the summary, by whether its price was younger than five minutes.", "price=\"old\"");
static struct metric heap_bytes =
    METRIC_GAUGE("coincast_heap_bytes", "Bytes of heap in use, of the whole process.");

enum { STALE_FOR_READERS_MS = 300000, DEMAND_EVERY_MS = 10000 };

void send_reply(struct conn *c, const struct http_reply *reply)
{
    struct buf headers = {0};
    struct http_reply full = *reply;
    if (session_of(c)->cors) {
        buf_add_str(&headers, str_of(session_of(c)->cors));
    }
    buf_add_str(&headers, reply->headers);
    full.headers = buf_str(&headers);
    conn_reply(c, &full);
    buf_fini(&headers);
}

void reply_problem(struct conn *c, unsigned status, const char *title, const char *detail,
                   struct str headers)
{
    struct buf body = {0};
    message_problem(&body, status, title, detail);
    send_reply(c, &(struct http_reply){.status = status,
                                       .content_type = STR("application/problem+json"),
                                       .headers = headers,
                                       .body = buf_str(&body)});
    buf_fini(&body);
}

void refuse_draining(struct conn *c)
{
    conn_drain(c);
    reply_problem(c, 503, "Service Unavailable", "The server is shutting down.",
                  STR("Retry-After: 2\r\n"));
}

/* Whoever watches over the process must not take a busy neighbour for its death. */
static bool is_probe(struct str path)
{
    return str_eq(path, STR("/healthz")) || str_eq(path, STR("/readyz"));
}

bool refuse_over_rate(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    unsigned retry_s = 0;
    struct buf detail = {0}, header = {0}, body = {0};
    if (likely(!rate_holds(s, c)) || is_probe(r->path) || rate_allows(s, c, r, &retry_s)) {
        return false;
    }
    metric_add(&rate_limited, 1);
    buf_printf(&detail, "Your address makes more than %u requests a second.",
               s->opts.settings->requests_per_s);
    buf_printf(&header, "Retry-After: %u\r\n", retry_s);
    message_problem(&body, 429, "Too Many Requests", buf_text(&detail));
    body.len--; /* its closing brace */
    buf_printf(&body, ",\"retry_after\":%u}", retry_s);
    send_reply(c, &(struct http_reply){.status = 429,
                                       .content_type = STR("application/problem+json"),
                                       .headers = buf_str(&header),
                                       .body = buf_str(&body)});
    buf_fini(&detail);
    buf_fini(&header);
    buf_fini(&body);
    return true;
}

static void reply_json(struct conn *c, unsigned status, struct str body)
{
    send_reply(c, &(struct http_reply){.status = status,
                                       .content_type = STR("application/json"),
                                       .headers = STR("Cache-Control: no-cache\r\n"),
                                       .body = body});
}

bool etag_matches(struct str if_none_match, const char *etag)
{
    return if_none_match.len && (str_eq(if_none_match, STR("*")) ||
                                 str_find_str(if_none_match, str_of(etag)) != SIZE_MAX);
}

static bool has_etag(const struct http_request *r, const char *etag)
{
    return etag_matches(http_request_header(r, STR("If-None-Match")), etag);
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
    if (has_etag(r, a->summary_etag)) {
        struct buf headers = {0};
        buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\n", a->summary_etag);
        send_reply(c, &(struct http_reply){.status = 304, .headers = buf_str(&headers)});
        buf_fini(&headers);
        return;
    }
    if (session_of(c)->cors) {
        struct buf headers = {0};
        buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\n", a->summary_etag);
        send_reply(c, &(struct http_reply){.status = 200,
                                           .content_type = STR("application/json"),
                                           .headers = buf_str(&headers),
                                           .body = buf_str(&a->summary)});
        buf_fini(&headers);
    } else {
        conn_reply_ready(c, buf_str(&a->summary_reply), a->summary_head_len);
    }
}

static void get_refresh(struct api_shard *s, struct conn *c, const struct http_request *r,
                        struct str body)
{
    (void)r;
    (void)body;
    uint64_t ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_refresh, s->opts.main, s, ticket)) {
        session_wait_over(c);
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
    send_reply(c, &(struct http_reply){.status = 200,
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
    send_reply(c, &(struct http_reply){.status = 200,
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
    send_reply(c, &(struct http_reply){.status = 302,
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
    if (has_etag(r, a->etag)) {
        send_reply(c, &(struct http_reply){.status = 304, .headers = buf_str(&headers)});
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
    send_reply(c, &(struct http_reply){.status = 200,
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

/* LAST: also served while the server shuts down. */
enum { CHECK_ORIGIN = 1, NO_HEAD = 2, LAST = 4 };

/* A path may have one part that varies, written ":symbol". */
static const struct route {
    const char *path;
    enum http_method method;
    unsigned flags;
    route_fn run;
} routes[] = {
    {"/api/crypto/dashboard-summary", HTTP_GET, 0, get_summary},
    {"/ws", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_ws},
    {"/api/v1/publish", HTTP_POST, CHECK_ORIGIN, route_publish},
    {"/api/v1/stream", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_stream},
    {"/api/v1/poll", HTTP_GET, CHECK_ORIGIN | NO_HEAD | LAST, get_poll},
    {"/api/crypto/dashboard-summary/refresh", HTTP_GET, CHECK_ORIGIN | NO_HEAD, get_refresh},
    {"/api/v1/prices", HTTP_GET, 0, get_prices},
    {"/api/v1/ticker", HTTP_GET, 0, get_ticker},
    {"/api/v1/sentiment", HTTP_GET, 0, get_sentiment},
    {"/api/v1/signals", HTTP_GET, 0, get_signals},
    {"/api/v1/assets", HTTP_GET, 0, get_assets},
    {"/api/v1/assets/:symbol", HTTP_GET, 0, get_asset},
    {"/api/v1/assets/:symbol/candles", HTTP_GET, 0, get_candles},
    {"/api/v1/assets/:symbol/indicators", HTTP_GET, 0, get_indicators},
    {"/healthz", HTTP_GET, LAST, get_healthz},
    {"/readyz", HTTP_GET, LAST, get_readyz},
    {"/api/health", HTTP_GET, 0, get_health},
    {"/metrics", HTTP_GET, 0, get_metrics},
    {"/", HTTP_GET, 0, get_root},
};

bool path_fits(const char *pattern, struct str path, struct str *varying)
{
    struct str front = str_of(pattern);
    size_t at = str_find(front, ':', 0);
    *varying = (struct str){0};
    if (at == SIZE_MAX) {
        return str_eq(path, front);
    }
    size_t end = str_find(front, '/', at);
    struct str back = str_from(front, end);
    front = str_sub(front, 0, at);
    if (!str_starts(path, front) || !str_ends(path, back) || path.len <= front.len + back.len) {
        return false;
    }
    *varying = str_sub(path, front.len, path.len - front.len - back.len);
    return str_find(*varying, '/', 0) == SIZE_MAX;
}

static bool method_fits(const struct route *route, enum http_method m)
{
    return m == route->method ||
           (m == HTTP_HEAD && route->method == HTTP_GET && !(route->flags & NO_HEAD));
}

static const char *methods_of(const struct route *route)
{
    return route->method == HTTP_POST ? "POST" : route->flags & NO_HEAD ? "GET" : "GET, HEAD";
}

static void refuse_method(struct conn *c, const struct route *route)
{
    struct buf allow = {0};
    buf_printf(&allow, "Allow: %s, OPTIONS\r\n", methods_of(route));
    reply_problem(c, 405, "Method Not Allowed",
                  route->method == HTTP_POST ? "This address takes POST."
                                             : "This address takes GET.",
                  buf_str(&allow));
    buf_fini(&allow);
}

static void refuse_origin(struct conn *c)
{
    metric_add(&origin_refused, 1);
    reply_problem(c, 403, "Forbidden", "This Origin is not allowed; name it in COINCAST_ORIGINS.",
                  (struct str){0});
}

/* What a browser asks before it lets a foreign page do more than a plain GET. */
static void reply_preflight(struct conn *c, const struct route *route)
{
    struct buf headers = {0};
    const char *methods = methods_of(route);
    buf_printf(&headers,
               "Allow: %s, OPTIONS\r\nAccess-Control-Allow-Methods: %s\r\n"
               "Access-Control-Allow-Headers: Authorization, Content-Type, If-None-Match, "
               "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n",
               methods, methods);
    send_reply(c, &(struct http_reply){.status = 204, .headers = buf_str(&headers)});
    buf_fini(&headers);
}

/* Whether this request's page may read the answer: keeps what headers say so. */
static bool note_origin(struct api_shard *s, struct conn *c, const struct http_request *r)
{
    struct session *session = session_of(c);
    struct buf cors = {0};
    mem_free(session->cors);
    session->cors = NULL;
    bool allowed = origin_allowed(s->opts.settings, r, conn_is_tls(c), &cors);
    if (cors.len) {
        buf_add_lit(&cors, "Access-Control-Expose-Headers: ETag, Retry-After\r\n");
    } else if (s->opts.settings->origins && s->opts.settings->origins[0]) {
        buf_add_lit(&cors, "Vary: Origin\r\n"); /* others get more headers */
    }
    if (cors.len) {
        session->cors = mem_copy_text(cors.ptr, cors.len);
    }
    buf_fini(&cors);
    return allowed;
}

static void run_route(struct api_shard *s, struct conn *c, const struct http_request *r,
                      struct str body, const struct route *route, bool origin_is_fine)
{
    if (r->method == HTTP_OPTIONS && origin_is_fine) {
        reply_preflight(c, route);
    } else if (!origin_is_fine && (r->method == HTTP_OPTIONS || (route->flags & CHECK_ORIGIN))) {
        refuse_origin(c);
    } else if (!method_fits(route, r->method)) {
        refuse_method(c, route);
    } else if (s->draining && !(route->flags & LAST)) {
        refuse_draining(c);
    } else {
        route->run(s, c, r, body);
    }
}

void route_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    struct str varying;
    metric_add(&requests_total, 1);
    session_use(s, session_of(c), USE_OTHER);
    bool origin_is_fine = note_origin(s, c, r);
    if (!host_allowed(s->opts.settings, r)) {
        metric_add(&origin_refused, 1);
        reply_problem(c, 403, "Forbidden",
                      "This server serves its own machine only; use http://localhost.",
                      (struct str){0});
        return;
    }
    if (str_starts(r->path, STR("/socket.io/")) && !asset_at(r->path)) {
        sio_shard_request(s, c, r, body);
        return;
    }
    if (refuse_over_rate(s, c, r)) {
        return;
    }
    if (s->draining) {
        conn_drain(c); /* answered, then closed */
    }
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (path_fits(routes[i].path, r->path, &varying)) {
            run_route(s, c, r, body, &routes[i], origin_is_fine);
            return;
        }
    }
    const struct asset *asset = asset_at(r->path);
    if (asset && (r->method == HTTP_GET || r->method == HTTP_HEAD)) {
        reply_asset(c, r, asset);
        return;
    }
    reply_problem(c, 404, "Not Found", "There is nothing at this address.", (struct str){0});
}

void poll_reply(struct conn *c, struct str json)
{
    send_reply(c, &(struct http_reply){.status = 200,
                                       .content_type = STR("application/json"),
                                       .headers = STR("Cache-Control: no-store\r\n"),
                                       .body = json});
}
