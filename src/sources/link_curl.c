/* link_curl: outgoing WebSockets. libcurl dials (names, proxies, TLS with verification) and hands
 * over a connected stream (CONNECT_ONLY); the handshake and the frames are wire/http1 and wire/ws
 * in the client's role.
 *
 *             open()          curl is done           101
 *     (new) ──────────> DIALING ──────> HANDSHAKE ───────> OPEN ──close()──> CLOSING ─────> freed
 *                          └───────────────┴────────────────┴── broke, refused: ENDED ──> closed()
 *
 * close() sends a close frame and waits up to a second for the peer's. Callbacks may close their
 * own connection; `busy` keeps its memory until the outermost function is through.
 * SPDX-License-Identifier: MIT */
#include "sources/link.h"

#include "base/alloc.h"
#include "sources/curl_dial.h"
#include "wire/http1.h"
#include "wire/ws.h"

#include <assert.h>
#include <sys/random.h>

#define HEAD_MAX ((size_t)16 << 10)
#define OUT_MAX ((size_t)1 << 20)
#define READ_BYTES ((size_t)64 << 10)
/* Reads of one connection in one turn; others want their turn too. */
#define READS_MAX 64
#define LINGER_MS 1000

enum state { DIALING, HANDSHAKE, OPEN, CLOSING, ENDED };

struct curl_link {
    struct link base;
    struct curl_loop curl;
    const struct outward *outward;
    struct list conns;
    char *bytes; /* READ_BYTES, shared: what is read is used up at once */
};

struct link_conn {
    struct list node;
    struct curl_link *owner;
    const struct link_events *events;
    void *self;
    enum state state;
    unsigned busy;
    bool watching, proxied;
    CURL *easy;
    struct watch watch;
    struct timer timer; /* deadline of opening, of closing; the telling of `closed` */
    struct timer again; /* more may be readable than was read in one turn */
    struct buf request, head, message;
    struct buf out;     /* what is to be sent */
    struct buf sending; /* what is being sent, from `sent` on */
    size_t sent;
    struct str piece; /* the payload so far, while it lies whole in the bytes just read */
    struct ws_decoder decoder;
    char key[WS_KEY_LEN + 1];
    int status;
    uint16_t code;
    char why[160];
};

/* Masks and keys must not be guessable (RFC 6455, section 10.3). */
static void random_bytes(void *out, size_t len)
{
    if (getrandom(out, len, 0) != (ssize_t)len) {
        abort();
    }
}

static void hang_up(struct link_conn *c)
{
    timer_stop(c->owner->curl.loop, &c->timer);
    timer_stop(c->owner->curl.loop, &c->again);
    if (c->watching) {
        c->watching = false;
        watch_stop(&c->watch);
    }
    if (c->easy) {
        curl_multi_remove_handle(c->owner->curl.multi, c->easy);
        curl_easy_cleanup(c->easy);
        c->easy = NULL;
    }
}

static void conn_free(struct link_conn *c)
{
    hang_up(c);
    list_remove(&c->node);
    buf_fini(&c->request);
    buf_fini(&c->head);
    buf_fini(&c->message);
    buf_fini(&c->out);
    buf_fini(&c->sending);
    mem_free(c);
}

/* Leaves the outermost function of a connection. */
static void leave(struct link_conn *c)
{
    c->busy--;
    if (c->busy == 0 && c->state == ENDED && !c->events) {
        conn_free(c);
    }
}

static void tell_closed(void *self)
{
    struct link_conn *c = self;
    const struct link_events *events = c->events;
    c->events = NULL;
    c->busy++;
    events->closed(c->self, c->status, c->code, c->why);
    leave(c);
}

/* The connection is over; `closed` follows in a turn of its own, unless close() was called. */
static void end(struct link_conn *c, const char *why)
{
    if (c->state == ENDED) {
        return;
    }
    hang_up(c);
    c->state = ENDED;
    snprintf(c->why, sizeof(c->why), "%s", why);
    if (c->events) {
        timer_start(c->owner->curl.loop, &c->timer, loop_now_ms(c->owner->curl.loop), tell_closed,
                    c);
    }
}

static void on_deadline(void *self)
{
    struct link_conn *c = self;
    c->busy++;
    end(c,
        c->proxied ? "no WebSocket by way of the proxy within 10 s" : "no WebSocket within 10 s");
    leave(c);
}

/* ---- sending ---- */

/* What a TLS record was begun with must be there, at the same place, when the socket takes the
 * rest: so what is being sent is not what grows. */
static bool next_piece(struct link_conn *c)
{
    if (c->sent == c->sending.len) {
        struct buf done = c->sending;
        buf_clear(&done);
        c->sending = c->out;
        c->out = done;
        c->out.max = OUT_MAX;
        c->sent = 0;
    }
    return c->sending.len > 0;
}

static void flush(struct link_conn *c)
{
    while (c->easy && next_piece(c)) {
        size_t sent = 0;
        CURLcode code =
            curl_easy_send(c->easy, c->sending.ptr + c->sent, c->sending.len - c->sent, &sent);
        if (code == CURLE_AGAIN) {
            break;
        }
        if (code != CURLE_OK) {
            end(c, "the connection broke while sending");
            return;
        }
        c->sent += sent;
    }
    if (c->watching) {
        bool waits = c->sent < c->sending.len || c->out.len > 0;
        watch_set(&c->watch, WATCH_READ | (waits ? WATCH_WRITE : 0u));
    }
}

static void send_frame(struct link_conn *c, enum ws_opcode opcode, struct str payload)
{
    uint8_t mask[4];
    random_bytes(mask, sizeof(mask));
    ws_frame(&c->out, opcode, true, false, payload, mask);
    if (c->out.failed) {
        end(c, "the peer takes nothing any more");
        return;
    }
    flush(c);
}

static void send_close(struct link_conn *c, uint16_t code)
{
    uint8_t mask[4];
    random_bytes(mask, sizeof(mask));
    ws_close_frame(&c->out, code, STR(""), mask);
    flush(c);
}

static void link_send(struct link *l, struct link_conn *c, struct str text)
{
    (void)l;
    if (c->state == OPEN) {
        c->busy++;
        send_frame(c, WS_TEXT, text);
        leave(c);
    }
}

static void on_linger_over(void *self)
{
    struct link_conn *c = self;
    c->busy++;
    end(c, "");
    leave(c);
}

static void link_close(struct link *l, struct link_conn *c)
{
    (void)l;
    c->busy++;
    c->events = NULL;
    if (c->state == OPEN) {
        send_close(c, WS_CLOSE_NORMAL);
    }
    if (c->state == OPEN) { /* sending may have ended it */
        c->state = CLOSING;
        timer_start(c->owner->curl.loop, &c->timer, loop_now_ms(c->owner->curl.loop) + LINGER_MS,
                    on_linger_over, c);
    } else if (c->state != CLOSING) {
        timer_stop(c->owner->curl.loop, &c->timer);
        end(c, "");
    }
    leave(c);
}

/* ---- receiving ---- */

/* A message is complete. */
static void deliver(struct link_conn *c, enum ws_opcode opcode)
{
    if (c->piece.len > 0 && c->message.len > 0) {
        buf_add_str(&c->message, c->piece);
    }
    struct str text = c->message.len > 0 ? buf_str(&c->message) : c->piece;
    c->piece = (struct str){0};
    if (c->message.failed) {
        send_close(c, WS_CLOSE_TOO_LARGE);
        end(c, "a message of more than 16 MiB");
    } else if (opcode == WS_TEXT && c->events) {
        c->events->text(c->self, text);
    }
    buf_clear(&c->message);
}

static void take_close(struct link_conn *c, const struct ws_item *item)
{
    char why[96];
    c->code = item->code == WS_CLOSE_NO_CODE ? 0 : item->code;
    snprintf(why, sizeof(why), "the peer closed (%u%s%.*s)", (unsigned)item->code,
             item->data.len > 0 ? ": " : "", (int)min_size(item->data.len, 60), item->data.ptr);
    if (c->state == OPEN) {
        send_close(c, item->code == WS_CLOSE_NO_CODE ? WS_CLOSE_NO_CODE : item->code);
    }
    end(c, why);
}

/* One item of the wire; false: no more of it. */
static bool take(struct link_conn *c, const struct ws_item *item)
{
    switch (item->kind) {
    case WS_ITEM_NONE:
        return false;
    case WS_ITEM_DATA:
        if (c->piece.len > 0) {
            buf_add_str(&c->message, c->piece);
            c->piece = (struct str){0};
        }
        if (c->message.len > 0) {
            buf_add_str(&c->message, item->data);
        } else {
            c->piece = item->data;
        }
        break;
    case WS_ITEM_END:
        deliver(c, item->opcode);
        break;
    case WS_ITEM_PING:
        if (c->state == OPEN) {
            send_frame(c, WS_PONG, item->data);
        }
        if (c->events && c->events->pinged && c->state == OPEN) {
            c->events->pinged(c->self);
        }
        break;
    case WS_ITEM_PONG:
        break;
    case WS_ITEM_CLOSE:
        take_close(c, item);
        break;
    case WS_ITEM_ERROR:
        send_close(c, item->code);
        end(c, item->reason);
        break;
    }
    return c->state == OPEN || c->state == CLOSING;
}

static void take_frames(struct link_conn *c, char *bytes, size_t len)
{
    struct ws_item item;
    do {
        ws_decode(&c->decoder, &bytes, &len, &item);
    } while (take(c, &item));
    if (c->piece.len > 0) { /* its bytes are overwritten by the next read */
        buf_add_str(&c->message, c->piece);
        c->piece = (struct str){0};
    }
}

static bool handshake_is_right(const struct link_conn *c, const struct http_response *r)
{
    char want[WS_ACCEPT_LEN + 1];
    struct str upgrade = http_header(r->headers, r->header_count, STR("Upgrade"));
    struct str connection = http_header(r->headers, r->header_count, STR("Connection"));
    struct str accept = http_header(r->headers, r->header_count, STR("Sec-WebSocket-Accept"));
    struct str extensions =
        http_header(r->headers, r->header_count, STR("Sec-WebSocket-Extensions"));
    ws_accept(str_of(c->key), want);
    return http_has_token(upgrade, STR("websocket")) &&
           http_has_token(connection, STR("upgrade")) && str_eq(accept, str_of(want)) &&
           extensions.len == 0;
}

static void take_head(struct link_conn *c, struct str bytes)
{
    struct http_response r;
    size_t head_len = 0;
    char why[64];
    enum err e = buf_add_str(&c->head, bytes)
                     ? http_parse_response(buf_str(&c->head), NULL, &r, &head_len)
                     : ERR_LIMIT;
    if (e == ERR_MORE) {
        return;
    }
    if (e != OK) {
        end(c, "what answered is no HTTP server");
        return;
    }
    if (r.status != 101) {
        c->status = (int)r.status;
        snprintf(why, sizeof(why), "the handshake was refused: %u %s", r.status,
                 http_status_text(r.status));
        end(c, why);
        return;
    }
    if (!handshake_is_right(c, &r)) {
        end(c, "the handshake's answer is wrong");
        return;
    }
    c->state = OPEN;
    timer_stop(c->owner->curl.loop, &c->timer);
    c->events->opened(c->self, http_header(r.headers, r.header_count, STR("X-Coincast-Upstream")));
    /* frames may come right behind the head */
    if ((c->state == OPEN || c->state == CLOSING) && c->head.len > head_len) {
        take_frames(c, c->head.ptr + head_len, c->head.len - head_len);
    }
    buf_fini(&c->head);
}

static void receive(struct link_conn *c)
{
    char *bytes = c->owner->bytes;
    for (int i = 0; i < READS_MAX && c->easy; i++) {
        size_t len = 0;
        CURLcode code = curl_easy_recv(c->easy, bytes, READ_BYTES, &len);
        if (code == CURLE_AGAIN) {
            return;
        }
        if (code != CURLE_OK || len == 0) {
            end(c, code == CURLE_OK ? "the peer ended the connection" : "the connection broke");
            return;
        }
        if (c->state == HANDSHAKE) {
            take_head(c, str_make(bytes, len));
        } else {
            take_frames(c, bytes, len);
        }
    }
    if (c->easy) { /* TLS may hold bytes that no poll shows */
        struct loop *l = c->owner->curl.loop;
        timer_start(l, &c->again, loop_now_ms(l), c->again.fn, c);
    }
}

static void on_again(void *self)
{
    struct link_conn *c = self;
    c->busy++;
    receive(c);
    leave(c);
}

static void on_ready(void *self, unsigned events)
{
    struct link_conn *c = self;
    c->busy++;
    if (events & WATCH_WRITE) {
        flush(c);
    }
    if (c->easy && (events & (WATCH_READ | WATCH_ERROR))) {
        receive(c);
    }
    leave(c);
}

/* ---- opening ---- */

static const char *why_not_dialed(const struct link_conn *c, CURLcode code, char *room,
                                  size_t room_len)
{
    const char *why = curl_dial_why(c->easy, code, c->proxied, room, room_len);
    if (why[0]) {
        return why;
    }
    return code == CURLE_OPERATION_TIMEDOUT
               ? (c->proxied ? "no connection by way of the proxy within 10 s"
                             : "no connection within 10 s")
               : "the connection could not be made";
}

static void on_dialed(void *self, CURL *easy, CURLcode code)
{
    (void)self;
    struct link_conn *c = NULL;
    char room[sizeof(c->why)];
    curl_socket_t fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
    c->busy++;
    if (code == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    }
    if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
        end(c, why_not_dialed(c, code, room, sizeof(room)));
    } else if (watch_start(c->owner->curl.loop, &c->watch, fd, WATCH_READ, on_ready, c) != OK) {
        end(c, "the connection cannot be watched");
    } else {
        c->watching = true;
        c->state = HANDSHAKE;
        buf_add_str(&c->out, buf_str(&c->request));
        flush(c);
    }
    leave(c);
}

static void write_request(struct link_conn *c, const struct http_url *url)
{
    uint8_t random[16];
    bool v6 = str_find(url->host, ':', 0) != SIZE_MAX;
    bool tls = str_eq(url->scheme, STR("wss"));
    char port[8] = "";
    random_bytes(random, sizeof(random));
    ws_make_key(random, c->key);
    if (url->port != (tls ? 443 : 80)) {
        snprintf(port, sizeof(port), ":%u", (unsigned)url->port);
    }
    buf_printf(&c->request,
               "GET %s%.*s HTTP/1.1\r\nHost: %s%.*s%s%s\r\nUser-Agent: coincast\r\n"
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
               "Sec-WebSocket-Version: 13\r\n\r\n",
               url->path_query.len > 0 && url->path_query.ptr[0] == '/' ? "" : "/",
               STR_ARG(url->path_query), v6 ? "[" : "", STR_ARG(url->host), v6 ? "]" : "", port,
               c->key);
}

static void set_options(struct link_conn *c, const struct http_url *url)
{
    struct buf text = {0};
    CURL *e = c->easy;
    bool v6 = str_find(url->host, ':', 0) != SIZE_MAX;
    buf_printf(&text, "%s://%s%.*s%s:%u/", str_eq(url->scheme, STR("wss")) ? "https" : "http",
               v6 ? "[" : "", STR_ARG(url->host), v6 ? "]" : "", (unsigned)url->port);
    c->proxied = curl_dial_set(e, c->owner->outward, url->scheme, url->host);
    curl_easy_setopt(e, CURLOPT_URL, buf_text(&text));
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, 1L); /* frames pass through no other proxy */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)LINK_OPEN_TIMEOUT_MS);
    buf_fini(&text);
}

static struct link_conn *link_open(struct link *base, struct str text,
                                   const struct link_events *events, void *self)
{
    struct curl_link *l = containerof(base, struct curl_link, base);
    struct link_conn *c = mem_zero(sizeof(*c));
    struct http_url url;
    c->owner = l;
    c->events = events;
    c->self = self;
    c->again.fn = on_again;
    c->decoder.client = true;
    c->decoder.max_message = LINK_MAX_MESSAGE;
    buf_init(&c->head, HEAD_MAX);
    buf_init(&c->message, LINK_MAX_MESSAGE);
    buf_init(&c->out, OUT_MAX);
    list_push(&l->conns, &c->node);
    if (http_parse_url(text, &url) != OK ||
        (!str_eq(url.scheme, STR("ws")) && !str_eq(url.scheme, STR("wss")))) {
        end(c, "the address is not a ws:// or wss:// one");
        return c;
    }
    c->easy = curl_easy_init();
    if (!c->easy) {
        abort(); /* out of memory */
    }
    write_request(c, &url);
    set_options(c, &url);
    timer_start(l->curl.loop, &c->timer, loop_now_ms(l->curl.loop) + LINK_OPEN_TIMEOUT_MS,
                on_deadline, c);
    curl_multi_add_handle(l->curl.multi, c->easy);
    return c;
}

static void link_free(struct link *base)
{
    struct curl_link *l = containerof(base, struct curl_link, base);
    list_each (node, &l->conns) {
        conn_free(containerof(node, struct link_conn, node));
    }
    curl_loop_fini(&l->curl);
    mem_free(l->bytes);
    mem_free(l);
}

enum err link_curl_new(struct loop *l, const struct outward *outward, struct link **out)
{
    static const struct link_ops ops = {
        .open = link_open, .send = link_send, .close = link_close, .free = link_free};
    struct curl_link *link = mem_zero(sizeof(*link));
    enum err e = curl_loop_init(&link->curl, l, on_dialed, link);
    if (e != OK) {
        mem_free(link);
        return e;
    }
    link->base.ops = &ops;
    link->outward = outward;
    link->bytes = mem_alloc(READ_BYTES);
    list_init(&link->conns);
    *out = &link->base;
    return OK;
}
