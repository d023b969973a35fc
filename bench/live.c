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
#include "live.h"
#include "waited.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CONNECT_AT_ONCE = 128, WARM_UP_US = 500000 };

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
            live_take_feed();
        } else if (whose == OF_FEED) {
            live_hear_feed();
        } else if (whose != OF_TIMER) {
            live_hear_client(&live.clients[whose]);
        } else if (read(live.timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN) {
            live_die("timer");
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
        live_die("listening as the exchange");
    }
    live_watch(live.listener, OF_LISTENER);
    puts("{\"listening\":true}");
    (void)fflush(stdout);
    uint64_t end = live_now_us() + 3 * PATIENCE_US;
    while (!live.subscribed && live_now_us() < end) {
        turn(100, NULL);
    }
    errno = 0;
    if (!live.subscribed) {
        live_die("the server asked for no trades");
    }
    for (size_t i = 0; i < live.symbol_count; i++) {
        live_send_trade(i); /* so that every symbol is known */
    }
}

static void connect_all(void)
{
    live.clients = calloc(live.client_count, sizeof(*live.clients));
    if (!live.clients) {
        live_die("memory");
    }
    for (size_t opened = 0; live.ready < live.client_count;) {
        while (opened < live.client_count && opened < live.ready + CONNECT_AT_ONCE) {
            live_open_client(opened++);
        }
        turn(PATIENCE_US / 1000, NULL);
    }
    for (uint64_t end = live_now_us() + 300000; live_now_us() < end;) {
        turn(10, NULL); /* what is known already comes behind the replies */
    }
}

/* ---- measuring ---- */

static uint64_t pace_from;

static void send_due(void)
{
    uint64_t due = (live_now_us() - pace_from) * live.rate / 1000000;
    uint64_t all = (live.duration_us + WARM_UP_US) * live.rate / 1000000;
    for (due = due < all ? due : all; live.trades < due;) {
        size_t symbol = (size_t)(live.trades % live.symbol_count);
        live_send_trade(symbol);
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
        live_die("timer");
    }
    live_watch(live.timer, OF_TIMER);
    live.trades = 0;
    pace_from = live_now_us();
    live.measured_from = pace_from + WARM_UP_US;
    uint64_t end = live.measured_from + live.duration_us;
    while (live_now_us() < end) {
        turn(10, send_due);
    }
    for (end += 2000000; live.pairs_got < live.pairs_due && live_now_us() < end;) {
        turn(10, NULL);
    }
}

static void measure_rounds(void)
{
    uint64_t end = live_now_us() + live.duration_us;
    live.measured_from = WHOLE_ROUNDS;
    while (live_now_us() < end) {
        live.reached = 0;
        live_send_trade(0);
        uint64_t began = live.stamps[0][live.sent[0] % STAMPS];
        while (live.reached < live.client_count) {
            turn(100, NULL);
            if (live_now_us() - began > PATIENCE_US) {
                errno = 0;
                live_die("a round did not end");
            }
        }
        live.pairs_due++;
        histogram_add(&live.latency, live.heard_us - began);
    }
}

static void show(const char *unit, double waited)
{
    uint64_t p50 = 0, p99 = 0, p999 = 0;
    if (!histogram_quantile(&live.latency, 0.5, &p50) ||
        !histogram_quantile(&live.latency, 0.99, &p99) ||
        !histogram_quantile(&live.latency, 0.999, &p999)) {
        errno = 0;
        live_die("nothing was measured");
    }
    printf("{\"%s\":%llu,\"due\":%llu,\"messages\":%llu,\"bytes_each\":%.0f,\"p50_us\":%llu,"
           "\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu,\"waited_ms\":%.1f}\n",
           unit, (unsigned long long)live.latency.count, (unsigned long long)live.pairs_due,
           (unsigned long long)live.messages, (double)live.bytes / (double)live.messages,
           (unsigned long long)p50, (unsigned long long)p99, (unsigned long long)p999,
           (unsigned long long)live.latency.max, waited);
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
        live.feed = live_open_socket(live.port);
        live_watch(live.feed, OF_FEED);
    } else {
        start_exchange();
    }
    connect_all();
    double waited = waited_ms();
    if (latency) {
        measure_latency();
    } else {
        measure_rounds();
    }
    show(latency ? "pairs" : "rounds", waited_ms() - waited);
    return 0;
}
