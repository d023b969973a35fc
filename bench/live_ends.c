/* The exchange and the clients of live. SPDX-License-Identifier: MIT */
#include "live.h"
#include "wire/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Of the bare sender's message, and what is not filling in the data. */
#define BARE_ENVELOPE 153

struct live live;

void live_die(const char *what)
{
    fprintf(stderr, "live: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

uint64_t live_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void live_watch(int fd, uint32_t whose)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = whose};
    if (epoll_ctl(live.epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        live_die("epoll_ctl");
    }
}

int live_open_socket(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = -1;
    for (uint64_t end = live_now_us() + PATIENCE_US; live_now_us() < end; (void)usleep(20000)) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            live_die("socket");
        }
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
            break;
        }
        close(fd);
        fd = -1;
    }
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0) {
        live_die("connecting");
    }
    return fd;
}

static void say(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            live_die("send");
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
}

/* ---- the exchange ---- */

void live_take_feed(void)
{
    int fd = accept4(live.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || live.feed >= 0) {
        live_die("the server connected again");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    live.feed = fd;
    live_watch(fd, OF_FEED);
}

/* The handshake; then SUBSCRIBE, which is confirmed. Pings and pongs are let pass. */
void live_hear_feed(void)
{
    static const char key_name[] = "sec-websocket-key: ";
    struct buf out = {0};
    ssize_t n = recv(live.feed, live.input, READ_BYTES - 1, 0);
    if (n <= 0) {
        live_die("the server left the exchange");
    }
    live.input[n] = '\0';
    if (live.bare) {
        return; /* the answer to a POST */
    }
    char *key = strcasestr(live.input, key_name);
    if (key) {
        char accept_text[WS_ACCEPT_LEN + 1];
        ws_accept(str_make(key + sizeof(key_name) - 1, WS_KEY_LEN), accept_text);
        buf_printf(
            &out,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: %s\r\nX-Coincast-Upstream: simulated\r\n\r\n",
            accept_text);
    } else {
        struct ws_decoder decoder = {0};
        struct ws_item item;
        char *at = live.input;
        size_t left = (size_t)n;
        for (ws_decode(&decoder, &at, &left, &item); item.kind != WS_ITEM_NONE;
             ws_decode(&decoder, &at, &left, &item)) {
            const char *id = item.kind == WS_ITEM_DATA && item.data.len > 0
                                 ? memmem(item.data.ptr, item.data.len, "\"id\":", 5)
                                 : NULL;
            if (id) {
                char text[64];
                snprintf(text, sizeof(text), "{\"result\":null,\"id\":%lu}",
                         strtoul(id + 5, NULL, 10));
                ws_frame(&out, WS_TEXT, true, false, str_of(text), NULL);
                live.subscribed = true;
            }
        }
    }
    say(live.feed, buf_str(&out));
    buf_fini(&out);
}

static void add_lower(struct buf *b, const char *name)
{
    for (; *name; name++) {
        buf_add_char(b, (char)(*name >= 'A' && *name <= 'Z' ? *name + ('a' - 'A') : *name));
    }
}

/* To the bare sender: an object that is as long as what the server makes of a trade. */
static void post_trade(struct buf *out, size_t symbol, unsigned cents)
{
    struct buf body = {0};
    buf_printf(
        &body,
        "[{\"channel\":\"app:bench\",\"data\":{\"symbol\":\"%s\",\"price\":%u.%02u,\"fill\":\"",
        live.names[symbol], cents / 100, cents % 100);
    for (size_t len = BARE_ENVELOPE; len < live.size; len++) {
        buf_add_char(&body, 'x');
    }
    buf_add_lit(&body, "\"}}]");
    buf_printf(out, "POST /api/v1/publish HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n",
               body.len);
    buf_add_str(out, buf_str(&body));
    buf_fini(&body);
}

static void stream_trade(struct buf *out, size_t symbol, unsigned cents)
{
    struct buf text = {0};
    unsigned long long ms = wall_ms();
    buf_add_lit(&text, "{\"stream\":\"");
    add_lower(&text, live.names[symbol]);
    buf_printf(&text,
               "usdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%llu,\"s\":\"%sUSDT\",\"t\":%u,"
               "\"p\":\"%u.%02u0000\",\"q\":\"0.01500000\",\"T\":%llu,\"m\":%s,\"M\":true}}",
               ms, live.names[symbol], 1000 + cents, cents / 100, cents % 100, ms,
               cents % 2 ? "true" : "false");
    ws_frame(out, WS_TEXT, true, false, buf_str(&text), NULL);
    buf_fini(&text);
}

void live_send_trade(size_t symbol)
{
    struct buf out = {0};
    uint32_t n = ++live.sent[symbol];
    if (live.bare) {
        post_trade(&out, symbol, BASE_CENTS + n);
    } else {
        stream_trade(&out, symbol, BASE_CENTS + n);
    }
    live.stamps[symbol][n % STAMPS] = live_now_us();
    say(live.feed, buf_str(&out));
    buf_fini(&out);
    live.trades++;
}

/* ---- the clients ---- */

static size_t symbol_of(const char *name)
{
    for (size_t i = 0; i < live.symbol_count; i++) {
        size_t len = strlen(live.names[i]);
        if (memcmp(name, live.names[i], len) == 0 && name[len] == '"') {
            return i;
        }
    }
    return live.symbol_count;
}

/* "50000.5" is 5000050 cents, whatever stands behind it. */
static uint64_t cents_of(const char *text)
{
    uint64_t cents = 0;
    int places = -1;
    for (; places < 2 && (*text == '.' || (*text >= '0' && *text <= '9')); text++) {
        if (*text == '.') {
            places = 0;
        } else {
            cents = cents * 10 + (uint64_t)(*text - '0');
            places += places >= 0;
        }
    }
    for (places = places < 0 ? 0 : places; places < 2; places++) {
        cents *= 10;
    }
    return cents;
}

static void row_came(struct client *c, const char *name, uint64_t now)
{
    size_t symbol = symbol_of(name);
    const char *price = symbol < live.symbol_count
                            ? memmem(name, strlen(live.names[symbol]) + 20, "\"price\":", 8)
                            : NULL;
    uint64_t cents = price ? cents_of(price + 8) : 0;
    if (cents <= BASE_CENTS || cents - BASE_CENTS > live.sent[symbol]) {
        return; /* not known yet, or not of a trade */
    }
    uint32_t n = (uint32_t)(cents - BASE_CENTS);
    if (c->have[symbol] < n && n == live.sent[symbol]) {
        live.reached++;
        live.heard_us = now;
    }
    while (c->have[symbol] < n) {
        uint64_t left = live.stamps[symbol][++c->have[symbol] % STAMPS];
        if (live.measured_from && left >= live.measured_from) {
            live.pairs_got++;
            histogram_add(&live.latency, now - left);
        }
    }
}

static void frame_came(struct client *c, struct str payload, uint64_t now)
{
    static const char row[] = "{\"symbol\":\"";
    const char *at = payload.ptr, *end = payload.ptr + payload.len;
    if (!c->ready && memmem(at, payload.len, "\"type\":\"subscribed\"", 19)) {
        c->ready = true;
        live.ready++;
        return;
    }
    if (live.measured_from == WHOLE_ROUNDS || (live.measured_from && now >= live.measured_from)) {
        live.messages++;
        live.bytes += payload.len;
    }
    while (at < end && (at = memmem(at, (size_t)(end - at), row, sizeof(row) - 1)) != NULL) {
        at += sizeof(row) - 1;
        row_came(c, at, now);
    }
}

static void subscribe(struct client *c, size_t index)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct buf text = {0}, out = {0};
    ws_frame(&out, WS_TEXT, true, false,
             STR("{\"type\":\"unsubscribe\",\"channel\":\"dashboard_update\"}"), mask);
    ws_frame(&out, WS_TEXT, true, false,
             STR("{\"type\":\"unsubscribe\",\"channel\":\"btc_price_update\"}"), mask);
    buf_add_lit(&text,
                "{\"type\":\"subscribe\",\"channel\":\"price_updates\",\"params\":{\"symbols\":[");
    for (size_t i = 0; i < live.each; i++) {
        size_t symbol = (index * live.each + i) % live.symbol_count;
        c->wants |= 1ULL << symbol;
        buf_printf(&text, "%s\"%s\"", i ? "," : "", live.names[symbol]);
    }
    buf_add_lit(&text, "]}}");
    ws_frame(&out, WS_TEXT, true, false, buf_str(&text), mask);
    say(c->fd, buf_str(&out));
    buf_fini(&text);
    buf_fini(&out);
}

/* Bytes of the first frame or of the answer to the upgrade, 0 while it is not whole. */
static size_t one_came(struct client *c, const char *bytes, size_t len, uint64_t now)
{
    const uint8_t *head = (const uint8_t *)bytes;
    if (!c->upgraded) {
        const char *end = memmem(bytes, len, "\r\n\r\n", 4);
        if (!end) {
            return 0;
        }
        if (memcmp(bytes, "HTTP/1.1 101", 12) != 0) {
            live_die("the upgrade was refused");
        }
        c->upgraded = true;
        if (live.bare) {
            c->ready = true;
            live.ready++;
        } else {
            subscribe(c, (size_t)(c - live.clients));
        }
        return (size_t)(end - bytes) + 4;
    }
    size_t short_len = len < 2 ? 0 : head[1];
    size_t head_len = short_len < 126 ? 2 : short_len == 126 ? 4 : 10;
    if (len < head_len || len < 2) {
        return 0;
    }
    uint64_t payload = short_len;
    if (short_len >= 126) {
        payload = 0;
        for (size_t i = 2; i < head_len; i++) {
            payload = payload << 8 | head[i];
        }
    }
    if (len < head_len + payload) {
        return 0;
    }
    if ((head[0] & 15) == WS_TEXT) {
        frame_came(c, str_make(bytes + head_len, payload), now);
    }
    return head_len + payload;
}

void live_hear_client(struct client *c)
{
    ssize_t n = recv(c->fd, live.input, READ_BYTES, MSG_DONTWAIT);
    uint64_t now = live_now_us();
    if (n <= 0) {
        live_die("the server cut a client");
    }
    const char *at = live.input;
    size_t left = (size_t)n, used;
    bool joined = c->cut.len > 0;
    if (joined) {
        buf_add(&c->cut, live.input, left);
        at = c->cut.ptr;
        left = c->cut.len;
    }
    while (left > 0 && (used = one_came(c, at, left, now)) > 0) {
        at += used;
        left -= used;
    }
    struct buf rest = {0};
    if (left > 0) {
        buf_add(&rest, at, left);
    }
    buf_fini(&c->cut);
    c->cut = rest;
}

void live_open_client(size_t index)
{
    struct client *c = &live.clients[index];
    char request[256];
    c->fd = live_open_socket(live.port);
    c->have = calloc(live.symbol_count, sizeof(*c->have));
    int len = snprintf(request, sizeof(request),
                       "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n",
                       live.port);
    live_watch(c->fd, (uint32_t)index);
    say(c->fd, str_make(request, (size_t)len));
}
