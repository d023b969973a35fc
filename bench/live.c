/* live: how long a trade takes from an exchange to the clients, measured from outside with one
 * clock. This program is both ends: the exchange that the server follows (Binance's combined
 * streams, as far as a feed needs them) and all its subscribers, on one thread.
 *
 *     live --exchange PORT  --trade, stamped at write()-->  coincast serve
 *        ^                                                       |
 *        +--price_updates, stamped when read() returned ---------+
 *
 * The n-th trade of a symbol costs 50000.00 and n cents, so a price names its trade. A trade has
 * reached a client with the first message that has its price or a later one of the symbol. What
 * this program is late by (it reads one socket after the other) counts against the server.
 *
 *   latency  trades at a fixed rate over all symbols, each client follows some of them
 *   round    one trade in flight: the time until the last client has it
 *   bare     the same against the bare sender, which is posted a message of the same size
 *
 * Prints a line of JSON when the exchange is there and one with the result. It trusts its peers,
 * which are ours, on loopback. SPDX-License-Identifier: MIT */
#include "tools/histogram.h"
#include "wire/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_SYMBOLS = 64,
    STAMPS = 1 << 16, /* kept a symbol */
    BASE_CENTS = 5000000,
    CONNECT_AT_ONCE = 128,
    READ_BYTES = 1 << 18,
    WARM_UP_US = 500000,
    PATIENCE_US = 10000000,
    BARE_ENVELOPE = 166, /* of the bare sender's message, and what is not filling in the data */
};

/* In the place of a time: no single client's latency is counted. */
#define WHOLE_ROUNDS UINT64_MAX

/* What an event is of, where it is no client's index. */
enum { OF_LISTENER = UINT32_MAX - 2, OF_FEED, OF_TIMER };

struct client {
    int fd;
    bool upgraded, ready;
    struct buf cut; /* a frame that is not whole yet */
    uint32_t *have; /* by symbol: the newest trade it was told of */
    uint64_t wants; /* a bit a symbol */
};

static struct {
    uint16_t port, exchange_port;
    size_t client_count, symbol_count, each;
    uint64_t rate, duration_us, size;
    bool bare;

    int epoll, listener, feed, timer;
    bool subscribed; /* the server asked the exchange for trades */
    struct client *clients;
    size_t ready;
    char names[MAX_SYMBOLS][16];
    uint64_t *stamps[MAX_SYMBOLS]; /* by n modulo STAMPS: when that trade left */
    uint32_t sent[MAX_SYMBOLS];    /* the last n */
    uint64_t trades, measured_from, messages, bytes, pairs_due, pairs_got;
    size_t reached;    /* clients that have the trade of this round */
    uint64_t heard_us; /* when the last of them had it */
    struct histogram latency;
    char input[READ_BYTES];
} live;

static void die(const char *what)
{
    fprintf(stderr, "live: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static uint64_t now_us(void)
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

static void watch(int fd, uint32_t whose)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = whose};
    if (epoll_ctl(live.epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        die("epoll_ctl");
    }
}

static int open_socket(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = -1;
    for (uint64_t end = now_us() + PATIENCE_US; now_us() < end; (void)usleep(20000)) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            die("socket");
        }
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
            break;
        }
        close(fd);
        fd = -1;
    }
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0) {
        die("connecting");
    }
    return fd;
}

static void say(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            die("send");
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
}

/* ---- the exchange ---- */

static void take_feed(void)
{
    int fd = accept4(live.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || live.feed >= 0) {
        die("the server connected again");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    live.feed = fd;
    watch(fd, OF_FEED);
}

/* The handshake; then SUBSCRIBE, which is confirmed. Pings and pongs are let pass. */
static void hear_feed(void)
{
    static const char key_name[] = "sec-websocket-key: ";
    struct buf out = {0};
    ssize_t n = recv(live.feed, live.input, READ_BYTES - 1, 0);
    if (n <= 0) {
        die("the server left the exchange");
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

static void send_trade(size_t symbol)
{
    struct buf out = {0};
    uint32_t n = ++live.sent[symbol];
    if (live.bare) {
        post_trade(&out, symbol, BASE_CENTS + n);
    } else {
        stream_trade(&out, symbol, BASE_CENTS + n);
    }
    live.stamps[symbol][n % STAMPS] = now_us();
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
            die("the upgrade was refused");
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

static void client_readable(struct client *c)
{
    ssize_t n = recv(c->fd, live.input, READ_BYTES, MSG_DONTWAIT);
    uint64_t now = now_us();
    if (n <= 0) {
        die("the server cut a client");
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

static void open_client(size_t index)
{
    struct client *c = &live.clients[index];
    char request[256];
    c->fd = open_socket(live.port);
    c->have = calloc(live.symbol_count, sizeof(*c->have));
    int len = snprintf(request, sizeof(request),
                       "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n",
                       live.port);
    watch(c->fd, (uint32_t)index);
    say(c->fd, str_make(request, (size_t)len));
}

/* ---- the loop ---- */

/* The sends that are due come between the reads of any two sockets. */
static void turn(int timeout_ms, void (*between)(void))
{
    struct epoll_event events[64];
    int n = epoll_wait(live.epoll, events, 64, timeout_ms);
    for (int i = 0; i < n; i++) {
        uint32_t whose = events[i].data.u32;
        uint64_t expirations;
        if (whose == OF_LISTENER) {
            take_feed();
        } else if (whose == OF_FEED) {
            hear_feed();
        } else if (whose != OF_TIMER) {
            client_readable(&live.clients[whose]);
        } else if (read(live.timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN) {
            die("timer");
        }
        if (between) {
            between();
        }
    }
}

static void start_exchange(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(live.exchange_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    live.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(live.listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(live.listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(live.listener, 8) != 0) {
        die("listening as the exchange");
    }
    watch(live.listener, OF_LISTENER);
    puts("{\"listening\":true}");
    (void)fflush(stdout);
    uint64_t end = now_us() + 3 * PATIENCE_US;
    while (!live.subscribed && now_us() < end) {
        turn(100, NULL);
    }
    errno = 0;
    if (!live.subscribed) {
        die("the server asked for no trades");
    }
    for (size_t i = 0; i < live.symbol_count; i++) {
        send_trade(i); /* so that every symbol is known */
    }
}

static void connect_all(void)
{
    live.clients = calloc(live.client_count, sizeof(*live.clients));
    if (!live.clients) {
        die("memory");
    }
    for (size_t opened = 0; live.ready < live.client_count;) {
        while (opened < live.client_count && opened < live.ready + CONNECT_AT_ONCE) {
            open_client(opened++);
        }
        turn(PATIENCE_US / 1000, NULL);
    }
    for (uint64_t end = now_us() + 300000; now_us() < end;) {
        turn(10, NULL); /* what is known already comes behind the replies */
    }
}

/* ---- measuring ---- */

static uint64_t pace_from;

static void send_due(void)
{
    uint64_t due = (now_us() - pace_from) * live.rate / 1000000;
    uint64_t all = (live.duration_us + WARM_UP_US) * live.rate / 1000000;
    for (due = due < all ? due : all; live.trades < due;) {
        size_t symbol = (size_t)(live.trades % live.symbol_count);
        send_trade(symbol);
        for (size_t i = 0; live.stamps[symbol][live.sent[symbol] % STAMPS] >= live.measured_from &&
                           i < live.client_count;
             i++) {
            live.pairs_due += live.clients[i].wants >> symbol & 1;
        }
    }
}

static void measure_latency(void)
{
    struct itimerspec every = {.it_interval.tv_nsec = 100000, .it_value.tv_nsec = 100000};
    live.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (live.timer < 0 || timerfd_settime(live.timer, 0, &every, NULL) != 0) {
        die("timer");
    }
    watch(live.timer, OF_TIMER);
    live.trades = 0;
    pace_from = now_us();
    live.measured_from = pace_from + WARM_UP_US;
    uint64_t end = live.measured_from + live.duration_us;
    while (now_us() < end) {
        turn(10, send_due);
    }
    for (end += 2000000; live.pairs_got < live.pairs_due && now_us() < end;) {
        turn(10, NULL);
    }
}

static void measure_rounds(void)
{
    uint64_t end = now_us() + live.duration_us;
    live.measured_from = WHOLE_ROUNDS;
    while (now_us() < end) {
        live.reached = 0;
        send_trade(0);
        uint64_t began = live.stamps[0][live.sent[0] % STAMPS];
        while (live.reached < live.client_count) {
            turn(100, NULL);
            if (now_us() - began > PATIENCE_US) {
                errno = 0;
                die("a round did not end");
            }
        }
        live.pairs_due++;
        histogram_add(&live.latency, live.heard_us - began);
    }
}

static void show(const char *unit)
{
    uint64_t p50 = 0, p99 = 0, p999 = 0;
    if (!histogram_quantile(&live.latency, 0.5, &p50) ||
        !histogram_quantile(&live.latency, 0.99, &p99) ||
        !histogram_quantile(&live.latency, 0.999, &p999)) {
        errno = 0;
        die("nothing was measured");
    }
    printf("{\"%s\":%llu,\"due\":%llu,\"messages\":%llu,\"bytes_each\":%.0f,\"p50_us\":%llu,"
           "\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu}\n",
           unit, (unsigned long long)live.latency.count, (unsigned long long)live.pairs_due,
           (unsigned long long)live.messages, (double)live.bytes / (double)live.messages,
           (unsigned long long)p50, (unsigned long long)p99, (unsigned long long)p999,
           (unsigned long long)live.latency.max);
}

static bool read_symbols(const char *list)
{
    struct str rest = str_of(list), one;
    while (str_next(&rest, ',', &one)) {
        if (live.symbol_count == MAX_SYMBOLS || one.len >= sizeof(live.names[0])) {
            return false;
        }
        memcpy(live.names[live.symbol_count], one.ptr, one.len);
        live.stamps[live.symbol_count++] = calloc(STAMPS, sizeof(uint64_t));
    }
    return live.symbol_count > 0;
}

static bool read_flags(int argc, char **argv)
{
    uint64_t port = 0, exchange = 0, clients = 100, each = 1, ms = 2000;
    const struct flag {
        const char *name;
        uint64_t *at;
    } flags[] = {{"--port", &port},     {"--exchange", &exchange}, {"--clients", &clients},
                 {"--each", &each},     {"--rate", &live.rate},    {"--ms", &ms},
                 {"--size", &live.size}};
    bool symbols = false;
    for (int i = 2; i + 1 < argc; i += 2) {
        bool known = strcmp(argv[i], "--symbols") == 0;
        symbols = symbols || (known && read_symbols(argv[i + 1]));
        for (size_t k = 0; k < ARRAY_LEN(flags) && !known; k++) {
            known = strcmp(argv[i], flags[k].name) == 0 &&
                    str_to_u64(str_of(argv[i + 1]), flags[k].at) == OK;
        }
        if (!known) {
            return false;
        }
    }
    live.port = (uint16_t)port;
    live.exchange_port = (uint16_t)exchange;
    live.client_count = clients;
    live.each = each;
    live.duration_us = ms * 1000;
    return argc % 2 == 0 && symbols && port && clients && each;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    const char *mode = argc > 1 ? argv[1] : "";
    bool latency = strcmp(mode, "latency") == 0, round = strcmp(mode, "round") == 0;
    live.bare = strcmp(mode, "bare") == 0;
    if (!(latency || round || live.bare) || !read_flags(argc, argv) ||
        (latency && live.rate == 0) || (!live.bare && live.exchange_port == 0)) {
        fputs("usage: live latency --port P --exchange P --symbols A,B --each N --clients N "
              "--rate N --ms N\n"
              "       live round   --port P --exchange P --symbols A --clients N --ms N\n"
              "       live bare    --port P --symbols A --size BYTES --clients N --ms N\n",
              stderr);
        return 2;
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    live.epoll = epoll_create1(EPOLL_CLOEXEC);
    live.feed = -1;
    if (live.bare) {
        live.feed = open_socket(live.port);
        watch(live.feed, OF_FEED);
    } else {
        start_exchange();
    }
    connect_all();
    if (latency) {
        measure_latency();
    } else {
        measure_rounds();
    }
    show(latency ? "pairs" : "rounds");
    return 0;
}
