/* SPDX-License-Identifier: MIT */
#include "tools/ws_client.h"

#include "base/alloc.h"
#include "wire/http1.h"

#include <assert.h>
#include <netdb.h>
#include <sys/random.h>

#define MAX_HEAD 16384
#define MAX_OUT ((size_t)1 << 20)

enum state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_HANDSHAKE, CLIENT_OPEN, CLIENT_CLOSING };

struct ws_client {
    struct ws_client_opts opts;
    enum state state;
    struct stream stream;
    struct ws_decoder decoder;
    struct timer timer; /* until open: the deadline; then: the next look at the silence */
    struct buf request, head, message, out;
    char key[WS_KEY_LEN + 1];
    char why[160];
    uint64_t last_ms; /* when something came last */
};

static const struct stream_ops stream_ops;

struct ws_client *ws_client_new(const struct ws_client_opts *opts)
{
    struct ws_client *c = mem_zero(sizeof(*c));
    c->opts = *opts;
    c->opts.max_message = opts->max_message ? opts->max_message : (size_t)1 << 20;
    c->opts.open_timeout_ms = opts->open_timeout_ms ? opts->open_timeout_ms : 10000;
    c->opts.quiet_timeout_ms = opts->quiet_timeout_ms ? opts->quiet_timeout_ms : 60000;
    buf_init(&c->head, MAX_HEAD);
    buf_init(&c->message, c->opts.max_message);
    buf_init(&c->out, MAX_OUT);
    return c;
}

bool ws_client_is_idle(const struct ws_client *c)
{
    return c->state == CLIENT_IDLE;
}

void ws_client_free(struct ws_client *c)
{
    if (!c) {
        return;
    }
    assert(c->state == CLIENT_IDLE);
    buf_fini(&c->request);
    buf_fini(&c->head);
    buf_fini(&c->message);
    buf_fini(&c->out);
    mem_free(c);
}

static struct ws_client *of_stream(struct stream *s)
{
    return containerof(s, struct ws_client, stream);
}

/* Masks and keys must not be guessable (RFC 6455, section 10.3). */
static void random_bytes(void *out, size_t len)
{
    if (getrandom(out, len, 0) != (ssize_t)len) {
        abort();
    }
}

static void end(struct ws_client *c, const char *why)
{
    if (c->state == CLIENT_CLOSING || c->state == CLIENT_IDLE) {
        return;
    }
    snprintf(c->why, sizeof(c->why), "%s", why);
    c->state = CLIENT_CLOSING;
    timer_stop(c->opts.loop, &c->timer);
    stream_close(c->opts.loop, &c->stream, false);
}

static void on_closed(struct stream *s)
{
    struct ws_client *c = of_stream(s);
    c->state = CLIENT_IDLE;
    c->opts.events->closed(c->opts.self, c->why);
}

/* ---- sending ---- */

static void flush(struct ws_client *c)
{
    while (c->out.len > 0) {
        ssize_t n = stream_send(c->opts.loop, &c->stream, c->out.ptr, c->out.len);
        if (n < 0) {
            end(c, "the connection broke");
            return;
        }
        if (n == 0) {
            stream_want_write(c->opts.loop, &c->stream);
            return;
        }
        buf_drop(&c->out, (size_t)n);
    }
}

static void on_writable(struct stream *s)
{
    flush(of_stream(s));
}

static void send_frame(struct ws_client *c, enum ws_opcode opcode, struct str payload)
{
    uint8_t mask[4];
    random_bytes(mask, sizeof(mask));
    ws_frame(&c->out, opcode, true, false, payload, mask);
    if (c->out.failed) {
        end(c, "the server takes nothing any more");
        return;
    }
    flush(c);
}

void ws_client_send(struct ws_client *c, struct str text)
{
    if (c->state == CLIENT_OPEN) {
        send_frame(c, WS_TEXT, text);
    }
}

void ws_client_close(struct ws_client *c, uint16_t code)
{
    if (c->state == CLIENT_OPEN) {
        uint8_t mask[4];
        random_bytes(mask, sizeof(mask));
        ws_close_frame(&c->out, code, STR(""), mask);
        flush(c);
    }
    end(c, "closed here");
}

/* ---- receiving ---- */

enum err ws_client_check(struct str bytes, const char *key, size_t *head_len, const char **why)
{
    struct http_response r;
    size_t len;
    enum err e = http_parse_response(bytes, NULL, &r, &len);
    if (e == ERR_MORE) {
        return e;
    }
    *why = "what answered is no HTTP server";
    if (e != OK) {
        return e;
    }
    struct str upgrade = http_header(r.headers, r.header_count, STR("Upgrade"));
    struct str connection = http_header(r.headers, r.header_count, STR("Connection"));
    struct str have = http_header(r.headers, r.header_count, STR("Sec-WebSocket-Accept"));
    struct str extensions = http_header(r.headers, r.header_count, STR("Sec-WebSocket-Extensions"));
    struct str protocol = http_header(r.headers, r.header_count, STR("Sec-WebSocket-Protocol"));
    char want[WS_ACCEPT_LEN + 1];
    ws_accept(str_of(key), want);
    if (r.status != 101) {
        *why = r.status == 403   ? "the server forbids it (403)"
               : r.status == 404 ? "the server has no such path (404)"
               : r.status == 429 ? "the server has too many connections from here (429)"
               : r.status == 503 ? "the server is full or going away (503)"
                                 : "the server does not open a WebSocket there";
        return ERR_REFUSED;
    }
    if (!http_has_token(upgrade, STR("websocket")) || !http_has_token(connection, STR("upgrade")) ||
        !str_eq(have, str_of(want)) || extensions.len > 0 || protocol.len > 0) {
        *why = "the server's WebSocket handshake is wrong";
        return ERR_PROTOCOL;
    }
    *head_len = len;
    return OK;
}

/* One item of the wire; false: the connection is ending. */
static bool take(struct ws_client *c, const struct ws_item *item)
{
    char why[96];
    switch (item->kind) {
    case WS_ITEM_NONE:
        return false;
    case WS_ITEM_DATA:
        if (!buf_add_str(&c->message, item->data)) {
            ws_client_close(c, WS_CLOSE_TOO_LARGE);
        }
        break;
    case WS_ITEM_END:
        c->opts.events->message(c->opts.self, item->opcode == WS_BINARY, buf_str(&c->message));
        buf_clear(&c->message);
        break;
    case WS_ITEM_PING:
        send_frame(c, WS_PONG, item->data);
        break;
    case WS_ITEM_PONG:
        break;
    case WS_ITEM_CLOSE:
        snprintf(why, sizeof(why), "the server closed (%u)", (unsigned)item->code);
        send_frame(c, WS_CLOSE, STR(""));
        end(c, why);
        break;
    case WS_ITEM_ERROR:
        ws_client_close(c, item->code);
        break;
    }
    return c->state == CLIENT_OPEN;
}

static void take_frames(struct ws_client *c, char *bytes, size_t len)
{
    struct ws_item item;
    do {
        ws_decode(&c->decoder, &bytes, &len, &item);
    } while (item.kind != WS_ITEM_NONE && take(c, &item));
}

static void watch_silence(void *self)
{
    struct ws_client *c = self;
    uint64_t now = loop_now_ms(c->opts.loop);
    if (now - c->last_ms >= c->opts.quiet_timeout_ms) {
        end(c, "nothing came any more");
        return;
    }
    timer_start(c->opts.loop, &c->timer, c->last_ms + c->opts.quiet_timeout_ms, watch_silence, c);
}

static void take_head(struct ws_client *c, struct str bytes)
{
    size_t head_len = 0;
    const char *why = "";
    if (!buf_add_str(&c->head, bytes)) {
        end(c, "the server's answer has no end");
        return;
    }
    enum err e = ws_client_check(buf_str(&c->head), c->key, &head_len, &why);
    if (e == ERR_MORE) {
        return;
    }
    if (e != OK) {
        end(c, why);
        return;
    }
    c->state = CLIENT_OPEN;
    timer_start(c->opts.loop, &c->timer, c->last_ms + c->opts.quiet_timeout_ms, watch_silence, c);
    c->opts.events->opened(c->opts.self);
    /* frames may come right behind the head */
    if (c->state == CLIENT_OPEN && c->head.len > head_len) {
        take_frames(c, c->head.ptr + head_len, c->head.len - head_len);
    }
}

static void on_data(struct stream *s, char *bytes, size_t len)
{
    struct ws_client *c = of_stream(s);
    c->last_ms = loop_now_ms(c->opts.loop);
    if (c->state == CLIENT_HANDSHAKE) {
        take_head(c, str_make(bytes, len));
    } else if (c->state == CLIENT_OPEN) {
        take_frames(c, bytes, len);
    }
}

static void on_end(struct stream *s, enum err why)
{
    end(of_stream(s), why == OK ? "the server ended the connection" : err_text(why));
}

/* ---- opening ---- */

static void on_connected(struct stream *s, enum err why)
{
    struct ws_client *c = of_stream(s);
    if (why != OK) {
        end(c, why == ERR_REFUSED ? "nobody listens there" : err_text(why));
        return;
    }
    c->state = CLIENT_HANDSHAKE;
    buf_add_str(&c->out, buf_str(&c->request));
    flush(c);
}

static void on_deadline(void *self)
{
    end(self, "no answer in time");
}

static const struct stream_ops stream_ops = {.data = on_data,
                                             .end = on_end,
                                             .writable = on_writable,
                                             .closed = on_closed,
                                             .connected = on_connected};

static enum err look_up(const struct http_url *url, struct sockaddr_storage *addr, socklen_t *len,
                        struct buf *error)
{
    char host[256], port[8];
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    snprintf(host, sizeof(host), "%.*s", STR_ARG(url->host));
    snprintf(port, sizeof(port), "%u", (unsigned)url->port);
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed) {
        buf_printf(error, "cannot find the host %s: %s", host, gai_strerror(failed));
        return ERR_NOT_FOUND;
    }
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return OK;
}

static void write_request(struct ws_client *c, const struct http_url *url)
{
    uint8_t random[16];
    bool v6 = str_find(url->host, ':', 0) != SIZE_MAX;
    random_bytes(random, sizeof(random));
    ws_make_key(random, c->key);
    buf_clear(&c->request);
    buf_printf(&c->request,
               "GET %.*s HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUpgrade: websocket\r\nConnection: "
               "Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
               STR_ARG(url->path_query.len ? url->path_query : STR("/")), v6 ? "[" : "",
               STR_ARG(url->host), v6 ? "]" : "", (unsigned)url->port, c->key);
}

bool ws_client_url_valid(struct str text)
{
    struct http_url url;
    return http_parse_url(text, &url) == OK && str_eq(url.scheme, STR("ws"));
}

enum err ws_client_open(struct ws_client *c, struct str text, struct buf *error)
{
    struct http_url url;
    struct sockaddr_storage addr;
    socklen_t addr_len = 0;
    assert(c->state == CLIENT_IDLE);
    if (!ws_client_url_valid(text) || http_parse_url(text, &url) != OK) {
        buf_printf(error, "%.*s: expected ws://HOST:PORT/PATH", STR_ARG(text));
        return ERR_SYNTAX;
    }
    enum err e = look_up(&url, &addr, &addr_len, error);
    if (e != OK) {
        return e;
    }
    buf_clear(&c->head);
    buf_clear(&c->message);
    buf_clear(&c->out);
    c->decoder = (struct ws_decoder){
        .client = true, .max_fragments = 1024, .max_message = c->opts.max_message};
    write_request(c, &url);
    e = stream_connect(c->opts.loop, &c->stream, (struct sockaddr *)&addr, addr_len, &stream_ops);
    if (e != OK) {
        buf_printf(error, "cannot connect: %s", err_text(e));
        return e;
    }
    c->state = CLIENT_CONNECTING;
    c->last_ms = loop_now_ms(c->opts.loop);
    timer_start(c->opts.loop, &c->timer, c->last_ms + c->opts.open_timeout_ms, on_deadline, c);
    return OK;
}
