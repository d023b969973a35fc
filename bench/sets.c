/* sets: what it costs that every client has a set of rows of its own. Ten thousand members behind
 * loopback sockets each get rows of one table, all the same ten or each another ten of two hundred.
 * CPU is that of the shard's loop only: the clients read while no time is taken. Prints one line of
 * JSON a case; run it on one core: taskset -c 1 sets [io_uring|epoll] [MEMBERS].
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 200, SET = 10, ROUNDS = 12, FIELDS = 7 };

static const char *const fields[FIELDS] = {"symbol", "price", "change_24h", "volume_24h",
                                           "bid",    "ask",   "timestamp"};

struct client {
    struct member member;
    struct stream stream;
    int fd;
};

static struct {
    struct loop *main, *shard;
    struct hub *hub;
    struct mailbox *mail;
    struct fanout *fanout;
    const struct channel_info *table;
    struct client *clients;
    size_t count;
    uint64_t random, said;
} bench;

static void die(const char *what)
{
    fprintf(stderr, "sets: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t roll(uint32_t below)
{
    bench.random ^= bench.random << 13;
    bench.random ^= bench.random >> 7;
    bench.random ^= bench.random << 17;
    return (uint32_t)(bench.random % below);
}

/* ---- the owner of the members: nobody is ever slow here ---- */

static void no_write(struct member *m, struct str bytes)
{
    (void)m, (void)bytes;
    die("a socket was full");
}

static size_t no_pending(struct member *m)
{
    (void)m;
    return 0;
}

static bool not_congested(const struct member *m)
{
    (void)m;
    return false;
}

static void no_broken(struct member *m)
{
    (void)m;
    die("a socket broke");
}

static void no_polled(void *self, struct member **members, size_t count, struct str body)
{
    (void)self, (void)members, (void)count, (void)body;
}

static const struct fanout_ops ops = {
    .write = no_write,
    .pending = no_pending,
    .congested = not_congested,
    .broken = no_broken,
    .polled = no_polled,
};

static void no_data(struct stream *s, char *bytes, size_t len)
{
    (void)s, (void)bytes, (void)len;
}

static void no_end(struct stream *s, enum err why)
{
    (void)s, (void)why;
}

static void no_event(struct stream *s)
{
    (void)s;
}

static const struct stream_ops stream_ops = {
    .data = no_data, .end = no_end, .writable = no_event, .closed = no_event};

static void open_clients(void)
{
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&at, len) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
        die("listening");
    }
    bench.clients = mem_array(bench.count, sizeof(*bench.clients));
    for (size_t i = 0; i < bench.count; i++) {
        struct client *c = &bench.clients[i];
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&at, len) != 0) {
            die("connecting");
        }
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0 ||
            stream_open(bench.shard, &c->stream, fd, &stream_ops) != OK) {
            die("opening a connection");
        }
        c->member.stream = &c->stream;
    }
    close(listener);
}

/* ---- a case ---- */

static void join_all(bool same, enum frame_form form, bool delta)
{
    for (size_t i = 0; i < bench.count; i++) {
        uint32_t keys[SET];
        for (uint32_t k = 0; k < SET; k++) {
            keys[k] = same ? k * (KEYS / SET) : roll(KEYS);
        }
        struct fanout_sub sub = {
            .channel = STR("prices"), .keys = keys, .key_count = SET, .delta = delta};
        if (fanout_subscribe(bench.fanout, &bench.clients[i].member, form, &sub) != OK) {
            die("subscribing");
        }
    }
}

static void leave_all(void)
{
    for (size_t i = 0; i < bench.count; i++) {
        fanout_leave(bench.fanout, &bench.clients[i].member);
    }
}

/* Every `step`th row from `first` on gets another price and another time. */
static void publish(uint32_t first, uint32_t step)
{
    static struct hub_row rows[KEYS];
    static struct str values[KEYS][FIELDS];
    static char texts[KEYS][FIELDS][40];
    size_t count = 0;
    bench.said++;
    for (uint32_t key = first; key < KEYS; key += step, count++) {
        unsigned long long n = (unsigned long long)bench.said;
        snprintf(texts[key][0], sizeof(texts[key][0]), "\"SYM%u\"", key);
        snprintf(texts[key][1], sizeof(texts[key][1]), "%llu.25", 58000 + n % 997);
        snprintf(texts[key][2], sizeof(texts[key][2]), "1.%u", key);
        snprintf(texts[key][3], sizeof(texts[key][3]), "%u23456789.12", key + 1);
        snprintf(texts[key][4], sizeof(texts[key][4]), "%llu.24", 58000 + n % 997);
        snprintf(texts[key][5], sizeof(texts[key][5]), "%u.26", 58000 + key);
        snprintf(texts[key][6], sizeof(texts[key][6]), "\"2026-11-21T00:00:00.%03lluZ\"", n % 1000);
        for (int i = 0; i < FIELDS; i++) {
            values[key][i] = str_of(texts[key][i]);
        }
        rows[count] = (struct hub_row){
            .key = key, .name = str_make(texts[key][0] + 1, strlen(texts[key][0]) - 2)};
        rows[count].values = values[key];
    }
    hub_publish_rows(bench.hub, bench.table, rows, count, 1700000000000, "demo", 0);
    loop_turn(bench.main, 0);
}

static void read_all(void)
{
    static char bytes[1 << 16];
    for (size_t i = 0; i < bench.count; i++) {
        while (read(bench.clients[i].fd, bytes, sizeof(bytes)) > 0) {
        }
    }
}

/* CPU of a shard until everyone has the message. */
static uint64_t deliver(void)
{
    struct fanout_stats before;
    struct fanout_stats after;
    fanout_stats(bench.fanout, &before);
    uint64_t from = cpu_ns();
    for (int quiet = 0; quiet < 3;) {
        loop_turn(bench.shard, 0);
        fanout_stats(bench.fanout, &after);
        quiet = after.sends == before.sends ? quiet + 1 : 0;
        before = after;
    }
    return cpu_ns() - from;
}

static double run_case(const char *name, bool same, enum frame_form form, bool delta, uint32_t step)
{
    struct fanout_stats before;
    struct fanout_stats after;
    uint64_t ns = 0;
    size_t heap = mem_in_use();
    join_all(same, form, delta);
    fanout_stats(bench.fanout, &after);
    double group_bytes = (double)(mem_in_use() - heap) / (double)after.groups;
    publish(0, 1); /* deltas begin with a full one */
    (void)deliver();
    read_all();
    fanout_stats(bench.fanout, &before);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        publish(step == 1 ? 0 : KEYS / SET * (round % SET), step);
        ns += deliver();
        read_all();
    }
    fanout_stats(bench.fanout, &after);
    uint64_t n = after.deliveries - before.deliveries;
    double us = (double)ns / 1000 / (double)n;
    printf("{\"case\":\"%s\",\"sets\":\"%s\",\"groups\":%zu,\"deliveries\":%llu,"
           "\"bytes_each\":%.0f,\"us_each\":%.3f,\"heap_per_group\":%.0f}\n",
           name, same ? "one" : "different", after.groups, (unsigned long long)n,
           (double)(after.bytes - before.bytes) / (double)n, us, group_bytes);
    leave_all();
    return us;
}

static void run_pair(const char *name, enum frame_form form, bool delta, uint32_t step)
{
    double one = run_case(name, true, form, delta, step);
    double many = run_case(name, false, form, delta, step);
    printf("{\"case\":\"%s\",\"ratio\":%.2f}\n", name, many / one);
}

int main(int argc, char **argv)
{
    enum io_kind io = argc > 1 && strcmp(argv[1], "epoll") == 0 ? IO_EPOLL : IO_AUTO;
    uint64_t count = 10000;
    if (argc > 2 && str_to_u64(str_of(argv[2]), &count) != OK) {
        die("MEMBERS is no number");
    }
    bench.count = count;
    bench.random = 88172645463325252;
    if (loop_new(&(struct loop_opts){.io = IO_EPOLL}, &bench.main) != OK ||
        loop_new(&(struct loop_opts){.io = io}, &bench.shard) != OK) {
        die("making the loops");
    }
    loop_turn(bench.main, 0);
    loop_turn(bench.shard, 0);
    bench.fanout = fanout_new(&(struct fanout_opts){.loop = bench.shard, .ops = &ops});
    bench.hub = hub_new(&(struct hub_opts){.loop = bench.main});
    bench.mail = mailbox_new(bench.shard, 64);
    hub_add_shard(bench.hub, bench.fanout, bench.mail);
    if (hub_table(bench.hub, STR("prices"), STR("price_updates"), STR("market_update"), fields,
                  FIELDS, &bench.table) != OK) {
        die("making the table");
    }
    open_clients();
    publish(0, 1);
    (void)deliver();
    fprintf(stderr, "sets: %s, %zu members\n", loop_io_name(bench.shard), bench.count);
    run_pair("all rows change", FORM_WS, false, 1);
    run_pair("one row changes", FORM_WS, false, KEYS);
    run_pair("all rows change, deltas", FORM_WS, true, 1);
    run_pair("one row changes, compressed", FORM_WS_DEFLATE, false, KEYS);
    return 0;
}
