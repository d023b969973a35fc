/* SPDX-License-Identifier: MIT */
#include "tools/load_client.h"

#include "base/alloc.h"
#include "wire/http1.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sys/random.h>

enum { MAX_HEAD = 16 * 1024, INFLATED_KEPT = 64, INFLATED_MAX = 1 << 20 };

/* A broadcast that is compressed once comes to every client as the same bytes, so it is inflated
 * once here too: the client must not cost more than the server that is measured. */
struct load_inflated {
    struct inflater *inflater;
    struct buf text;
    size_t newest;
    struct inflated_frame {
        char *bytes; /* owned */
        size_t len, cap;
        bool has_stamp;
        struct load_stamp stamp;
    } kept[INFLATED_KEPT];
};

/* ---- what all share ---- */

enum err load_address(struct str host, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *out_len)
{
    char text[64];
    if (str_eq(host, STR("localhost"))) {
        host = STR("127.0.0.1");
    }
    if (host.len >= sizeof text) {
        return ERR_SYNTAX;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        *out_len = sizeof v4;
        return OK;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        *out_len = sizeof v6;
        return OK;
    }
    return ERR_UNSUPPORTED;
}

static void write_request(struct load_crowd *crowd, const struct http_url *url)
{
    uint8_t random[16] = {0};
    char key[WS_KEY_LEN + 1];
    /* One key for all: it only has to differ between runs, to show that nothing is cached. */
    if (getrandom(random, sizeof random, 0) < 0) {
        memset(random, 7, sizeof random);
    }
    memcpy(crowd->mask, random, sizeof crowd->mask);
    ws_make_key(random, key);
    ws_accept(str_of(key), crowd->accept);
    struct str path = url->path_query.len == 0 ? STR("/") : url->path_query;
    bool v6 = str_find(url->host, ':', 0) != SIZE_MAX;
    buf_printf(
        &crowd->request,
        "GET %.*s HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        STR_ARG(path), v6 ? "[" : "", STR_ARG(url->host), v6 ? "]" : "", url->port, key,
        crowd->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                         "server_no_context_takeover; client_no_context_takeover\r\n"
                       : "");
}

static void add_text_frame(struct load_crowd *crowd, struct buf *out, struct str text)
{
    ws_frame(out, WS_TEXT, true, false, text, crowd->mask);
}

static void write_subscribe(struct load_crowd *crowd, struct str channel)
{
    struct buf text = {0};
    add_text_frame(crowd, &crowd->subscribe,
                   STR("{\"type\":\"unsubscribe\",\"channel\":\"dashboard_update\"}"));
    add_text_frame(crowd, &crowd->subscribe,
                   STR("{\"type\":\"unsubscribe\",\"channel\":\"btc_price_update\"}"));
    buf_printf(&text, "{\"type\":\"subscribe\",\"id\":\"load\",\"channel\":\"%.*s\"}",
               STR_ARG(channel));
    add_text_frame(crowd, &crowd->subscribe, buf_str(&text));
    buf_fini(&text);
}

enum err load_crowd_init(struct load_crowd *crowd, const struct load_crowd_opts *opts,
                         struct buf *error)
{
    *crowd = (struct load_crowd){
        .loop = opts->loop,
        .protocol = opts->protocol,
        .deflate = opts->deflate,
        .events = opts->events,
        .self = opts->self,
    };
    struct http_url url;
    enum err e = http_parse_url(opts->url, &url);
    bool tls = e == OK && str_eq(url.scheme, STR("wss"));
    if (e != OK || (!tls && !str_eq(url.scheme, STR("ws")))) {
        buf_printf(error, "--url '%.*s' should be ws:// or wss://HOST:PORT/PATH",
                   STR_ARG(opts->url));
        return ERR_SYNTAX;
    }
    e = load_address(url.host, url.port, &crowd->addr, &crowd->addr_len);
    if (e != OK) {
        buf_printf(error, "--url: host '%.*s' should be an IP address or localhost",
                   STR_ARG(url.host));
        return e;
    }
    if (tls && link_kind_tls(&crowd->kind, opts->ca_file, error) != OK) {
        return ERR_TLS;
    }
    write_request(crowd, &url);
    write_subscribe(crowd, opts->channel);
    if (opts->deflate) {
        crowd->inflated = mem_zero(sizeof *crowd->inflated);
        crowd->inflated->inflater = inflater_new(15);
        buf_init(&crowd->inflated->text, INFLATED_MAX);
    }
    return OK;
}

void load_crowd_fini(struct load_crowd *crowd)
{
    buf_fini(&crowd->request);
    buf_fini(&crowd->subscribe);
    buf_fini(&crowd->scratch);
    if (crowd->inflated != NULL) {
        for (size_t i = 0; i < INFLATED_KEPT; i++) {
            mem_free(crowd->inflated->kept[i].bytes);
        }
        inflater_free(crowd->inflated->inflater);
        buf_fini(&crowd->inflated->text);
        mem_free(crowd->inflated);
    }
    link_kind_fini(&crowd->kind);
    *crowd = (struct load_crowd){0};
}

/* The frame's stamp, from the frames kept or by inflating it; NULL when it can't be inflated. */
static const struct inflated_frame *inflate_frame(struct load_crowd *crowd, struct str bytes)
{
    struct load_inflated *known = crowd->inflated;
    for (size_t back = 0; back < INFLATED_KEPT; back++) {
        size_t i = (known->newest + INFLATED_KEPT - back) % INFLATED_KEPT;
        if (known->kept[i].len == bytes.len && bytes.len > 0 &&
            memcmp(known->kept[i].bytes, bytes.ptr, bytes.len) == 0) {
            return &known->kept[i];
        }
    }
    buf_clear(&known->text);
    if (inflater_piece(known->inflater, bytes, true, true, &known->text) != OK) {
        return NULL;
    }
    known->newest = (known->newest + 1) % INFLATED_KEPT;
    struct inflated_frame *f = &known->kept[known->newest];
    if (f->cap < bytes.len) {
        f->bytes = mem_resize(f->bytes, bytes.len);
        f->cap = bytes.len;
    }
    memcpy(f->bytes, bytes.ptr, bytes.len);
    f->len = bytes.len;
    f->has_stamp = load_stamp_find(buf_str(&known->text), &crowd->hint, &f->stamp);
    return f;
}

/* ---- one client ---- */

static void end(struct load_client *c)
{
    c->state = LOAD_CLOSING;
    c->stopped = true;
    frame_walk_fini(&c->walk);
    buf_fini(&c->head);
    link_close(&c->link);
}

static void fail(struct load_client *c, const char *why)
{
    if (c->state != LOAD_CLOSING) {
        end(c);
        c->crowd->events->lost(c->crowd->self, c, why);
    }
}

static void say(struct load_client *c, struct str bytes)
{
    if (!link_send(&c->link, bytes)) {
        fail(c, "the connection broke");
    }
}

static void say_frame(struct load_client *c, enum ws_opcode opcode, struct str payload)
{
    struct buf *frame = &c->crowd->scratch;
    buf_clear(frame);
    ws_frame(frame, opcode, true, false, payload, c->crowd->mask);
    say(c, buf_str(frame));
}

static void upgraded(struct load_client *c)
{
    c->state = LOAD_UPGRADED;
    c->crowd->events->upgraded(c->crowd->self, c);
}

static void ready(struct load_client *c)
{
    c->state = LOAD_READY;
    c->crowd->events->ready(c->crowd->self, c);
}

static bool contains(struct str text, struct str part)
{
    return memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

/* A text without a stamp: the protocols' own conversation. */
static void other_text(struct load_client *c, struct str text)
{
    c->crowd->other_frames++;
    if (c->state == LOAD_SUBSCRIBING && contains(text, STR("\"type\":\"subscribed\""))) {
        ready(c);
    } else if (c->state == LOAD_SUBSCRIBING && contains(text, STR("\"type\":\"error\""))) {
        fail(c, "the server refused the subscription");
    } else if (c->crowd->protocol == LOAD_SOCKETIO && str_eq(text, STR("2"))) {
        say_frame(c, WS_TEXT, STR("3"));
    } else if (c->state == LOAD_OPENING && str_starts(text, STR("0{"))) {
        say_frame(c, WS_TEXT, STR("40"));
    } else if (c->state == LOAD_OPENING && str_starts(text, STR("40"))) {
        upgraded(c);
    }
}

static void text_seen(struct load_client *c, const struct frame_seen *frame)
{
    struct load_stamp stamp;
    if (frame->deflated) {
        const struct inflated_frame *f = c->deflated ? inflate_frame(c->crowd, frame->head) : NULL;
        if (f == NULL) {
            fail(c, "a frame can't be inflated");
        } else if (f->has_stamp) {
            c->crowd->events->delivery(c->crowd->self, c, f->stamp);
        } else {
            other_text(c, buf_str(&c->crowd->inflated->text));
        }
    } else if (load_stamp_find(frame->head, &c->crowd->hint, &stamp)) {
        c->crowd->events->delivery(c->crowd->self, c, stamp);
    } else {
        other_text(c, frame->head);
    }
}

static void frame_seen(void *self, const struct frame_seen *frame)
{
    struct load_client *c = self;
    switch (frame->opcode) {
    case WS_TEXT:
    case WS_BINARY:
        text_seen(c, frame);
        break;
    case WS_PING:
        say_frame(c, WS_PONG, frame->head);
        break;
    case WS_CLOSE:
        fail(c, "the server closed the WebSocket");
        break;
    default:
        c->crowd->other_frames++;
    }
}

static void feed(struct load_client *c, const char *bytes, size_t len)
{
    if (frame_walk_feed(&c->walk, bytes, len, &c->stopped, frame_seen, c) != OK) {
        fail(c, "the server broke the WebSocket protocol");
    }
}

static bool answer_is_right(struct load_client *c, const struct http_response *r, const char **why)
{
    if (r->status != 101) {
        *why = "the upgrade was refused";
        return false;
    }
    struct str accept = http_header(r->headers, r->header_count, STR("Sec-WebSocket-Accept"));
    if (!str_eq(accept, str_of(c->crowd->accept))) {
        *why = "Sec-WebSocket-Accept is wrong";
        return false;
    }
    struct str ext = http_header(r->headers, r->header_count, STR("Sec-WebSocket-Extensions"));
    struct deflate_params params;
    if (ext.len > 0 && (!c->crowd->deflate || deflate_accept(ext, &params) != OK)) {
        *why = "the extension answer is wrong";
        return false;
    }
    c->deflated = ext.len > 0;
    c->crowd->refused_deflate += c->crowd->deflate && !c->deflated;
    return true;
}

static void handshake(struct load_client *c, const char *bytes, size_t len)
{
    buf_add(&c->head, bytes, len);
    struct http_response r;
    size_t head_len;
    enum err e = http_parse_response(buf_str(&c->head), NULL, &r, &head_len);
    if (e == ERR_MORE && !c->head.failed) {
        return;
    }
    const char *why = "the answer to the upgrade is not HTTP";
    if (e != OK || !answer_is_right(c, &r, &why)) {
        fail(c, why);
        return;
    }
    /* Frames may stand behind the head in the same bytes. */
    struct buf rest = c->head;
    c->head = (struct buf){0};
    if (c->crowd->protocol == LOAD_SOCKETIO) {
        c->state = LOAD_OPENING;
    } else {
        upgraded(c);
    }
    feed(c, rest.ptr + head_len, rest.len - head_len);
    buf_fini(&rest);
}

static void on_open(struct link *l)
{
    struct load_client *c = containerof(l, struct load_client, link);
    c->state = LOAD_HANDSHAKE;
    say(c, buf_str(&c->crowd->request));
}

static void on_data(struct link *l, char *bytes, size_t len)
{
    struct load_client *c = containerof(l, struct load_client, link);
    c->crowd->bytes += len;
    c->crowd->now_us = loop_exact_us(c->crowd->loop);
    if (c->state == LOAD_HANDSHAKE) {
        handshake(c, bytes, len);
    } else {
        feed(c, bytes, len);
    }
}

static void on_broken(struct link *l, const char *why)
{
    fail(containerof(l, struct load_client, link), why);
}

static void on_closed(struct link *l)
{
    struct load_client *c = containerof(l, struct load_client, link);
    c->state = LOAD_IDLE;
    c->crowd->events->closed(c->crowd->self, c);
}

static const struct link_ops client_ops = {
    .open = on_open,
    .data = on_data,
    .broken = on_broken,
    .closed = on_closed,
};

void load_client_start(struct load_client *c, struct load_crowd *crowd)
{
    assert(c->state == LOAD_IDLE);
    *c = (struct load_client){.crowd = crowd, .state = LOAD_CONNECTING};
    buf_init(&c->head, MAX_HEAD);
    enum err e = link_connect(&c->link, crowd->loop, &crowd->kind,
                              (const struct sockaddr *)&crowd->addr, crowd->addr_len, &client_ops);
    if (e != OK) {
        c->state = LOAD_IDLE;
        c->stopped = true;
        crowd->events->lost(crowd->self, c, err_text(e));
        crowd->events->closed(crowd->self, c);
    }
}

void load_client_subscribe(struct load_client *c)
{
    assert(c->state == LOAD_UPGRADED);
    if (c->crowd->protocol != LOAD_COINCAST) {
        ready(c);
        return;
    }
    c->state = LOAD_SUBSCRIBING;
    say(c, buf_str(&c->crowd->subscribe));
}

void load_client_stall(struct load_client *c)
{
    c->stalled = true;
    link_pause(&c->link);
}

void load_client_close(struct load_client *c)
{
    if (c->state != LOAD_IDLE && c->state != LOAD_CLOSING) {
        end(c);
    }
}
