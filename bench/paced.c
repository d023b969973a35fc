/* paced: GETs at a fixed rate over keep-alive connections, with latencies from when each request
 * was due, however late it left. wrk cannot pace, and a closed loop hides how long requests wait.
 * Prints one line of JSON. Trusts its server (ours, on loopback): an answer is one read that ends
 * with the last byte its Content-Length promises. SPDX-License-Identifier: MIT */
#include "tools/histogram.h"
#include "waited.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNS = 1024, MAX_DUE = 1 << 20 };

static struct {
    int epoll;
    char request[512];
    size_t request_len;
    struct histogram latency;
    int idle[MAX_CONNS];
    int idle_count;
    uint64_t due_of[65536]; /* by fd: when its request was due, us */
    size_t got_of[65536];   /* by fd: bytes of its answer so far */
    uint64_t due[MAX_DUE];  /* requests no connection was free for: a ring */
    size_t due_from, due_to;
    uint64_t sent, bad;
    size_t answer_len; /* all answers are alike: learnt from the first */
} paced;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_conn(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(paced.epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        die("epoll_ctl");
    }
    return fd;
}

/* Sends what is due on whatever connection is free. */
static void send_due(void)
{
    while (paced.due_from != paced.due_to && paced.idle_count > 0) {
        int fd = paced.idle[--paced.idle_count];
        paced.due_of[fd] = paced.due[paced.due_from++ % MAX_DUE];
        paced.got_of[fd] = 0;
        if (send(fd, paced.request, paced.request_len, MSG_NOSIGNAL) !=
            (ssize_t)paced.request_len) {
            die("send");
        }
        paced.sent++;
    }
}

static size_t whole_length(const char *bytes)
{
    const char *end = strstr(bytes, "\r\n\r\n");
    const char *length = strcasestr(bytes, "\r\ncontent-length:");
    if (end == NULL || length == NULL) {
        errno = EPROTO;
        die("answer");
    }
    return (size_t)(end - bytes) + 4 + strtoul(length + 17, NULL, 10);
}

static void readable(int fd)
{
    static char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes - 1, 0);
    if (n <= 0) {
        die("the server ended a connection");
    }
    bytes[n] = '\0';
    if (paced.got_of[fd] == 0) {
        paced.bad += strncmp(bytes, "HTTP/1.1 200 ", 13) != 0;
        if (paced.answer_len == 0) {
            paced.answer_len = whole_length(bytes);
        }
    }
    paced.got_of[fd] += (size_t)n;
    if (paced.got_of[fd] >= paced.answer_len) {
        histogram_add(&paced.latency, now_us() - paced.due_of[fd]);
        paced.idle[paced.idle_count++] = fd;
    }
}

/* Requests fall due evenly; a timer of 50 us wakes the loop to send them. */
static void run(uint64_t rate, uint64_t duration_us)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec every = {.it_interval.tv_nsec = 50000, .it_value.tv_nsec = 50000};
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = timer}, events[256];
    if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) != 0 ||
        epoll_ctl(paced.epoll, EPOLL_CTL_ADD, timer, &ev) != 0) {
        die("timer");
    }
    uint64_t start = now_us(), queued = 0, total = rate * duration_us / 1000000;
    while (paced.latency.count < total && now_us() - start < duration_us * 2) {
        int n = epoll_wait(paced.epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != timer) {
                readable(events[i].data.fd);
                continue;
            }
            uint64_t expirations;
            if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) {
                die("timer");
            }
        }
        uint64_t elapsed = now_us() - start;
        for (; queued < total && queued * 1000000 / rate <= elapsed; queued++) {
            paced.due[paced.due_to++ % MAX_DUE] = start + queued * 1000000 / rate;
        }
        send_due();
    }
    close(timer);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fputs("usage: paced PORT PATH REQUESTS_PER_S CONNECTIONS DURATION_MS [SILENT_ONES]\n",
              stderr);
        return 2;
    }
    uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    uint64_t rate = strtoul(argv[3], NULL, 10), duration_ms = strtoul(argv[5], NULL, 10);
    long conns = strtol(argv[4], NULL, 10), silent = argc > 6 ? strtol(argv[6], NULL, 10) : 0;
    if (rate == 0 || conns < 1 || conns > MAX_CONNS) {
        return 2;
    }
    paced.epoll = epoll_create1(EPOLL_CLOEXEC);
    paced.request_len =
        (size_t)snprintf(paced.request, sizeof paced.request,
                         "GET %.300s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", argv[2], port);
    for (long i = 0; i < silent; i++) {
        (void)open_conn(port); /* as idle clients: nothing is ever asked there */
    }
    for (long i = 0; i < conns; i++) {
        paced.idle[paced.idle_count++] = open_conn(port);
    }
    double waited = waited_ms();
    run(rate, duration_ms * 1000);
    waited = waited_ms() - waited;
    uint64_t p50 = 0, p99 = 0, p999 = 0;
    if (!histogram_quantile(&paced.latency, 0.5, &p50) ||
        !histogram_quantile(&paced.latency, 0.99, &p99) ||
        !histogram_quantile(&paced.latency, 0.999, &p999)) {
        return 1;
    }
    printf("{\"requests\":%llu,\"bad\":%llu,\"p50_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu,"
           "\"waited_ms\":%.1f}\n",
           (unsigned long long)paced.latency.count, (unsigned long long)paced.bad,
           (unsigned long long)p50, (unsigned long long)p99, (unsigned long long)p999, waited);
    return 0;
}
