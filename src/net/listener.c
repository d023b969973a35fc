/* Where conns come from: addresses, listening sockets. Socket options are set on the
 * listening socket, from which accepted ones inherit them: accepting costs one system call.
 * SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define BACKLOG 4096
#define NOTSENT_LOWAT 16384 /* performance.md 8: what the kernel may hoard for a slow client */
#define REFUSED_AT_ONCE 256 /* refusals that are said politely; beyond, a bare close */

static struct metric accepted =
    METRIC_COUNTER("coincast_net_accepted_total", "Connections accepted.");
static struct metric refused_total =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_net_refused_total",
                    "Connections refused over a limit.", "limit=\"connections\"");
static struct metric refused_per_ip =
    METRIC_LABELLED(METRIC_KIND_COUNTER, "coincast_net_refused_total",
                    "Connections refused over a limit.", "limit=\"per_ip\"");

/* ---- addresses ---- */

static bool split_address(struct str address, struct str *host, struct str *port)
{
    if (address.len && address.ptr[0] == '[') {
        size_t end = str_find(address, ']', 0);
        if (end == SIZE_MAX || end + 1 >= address.len || address.ptr[end + 1] != ':') {
            return false;
        }
        *host = str_sub(address, 1, end - 1);
        *port = str_from(address, end + 2);
        return host->len > 0;
    }
    size_t colon = str_find(address, ':', 0);
    if (colon == SIZE_MAX || str_find(address, ':', colon + 1) != SIZE_MAX) {
        return false;
    }
    *host = str_sub(address, 0, colon);
    *port = str_from(address, colon + 1);
    return true;
}

enum err net_parse_address(const char *address, struct sockaddr_storage *out, socklen_t *out_len)
{
    struct str host, port_text;
    uint64_t port = 0;
    if (!split_address(str_of(address), &host, &port_text) || str_to_u64(port_text, &port) != OK ||
        port > 65535 || host.len > 255) {
        return ERR_SYNTAX;
    }
    char name[256];
    memcpy(name, host.len ? host.ptr : "0.0.0.0", host.len ? host.len : 7);
    name[host.len ? host.len : 7] = '\0';
    if (str_eq(host, STR("*"))) {
        memcpy(name, "0.0.0.0", 8);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, NULL, &hints, &found) != 0 || !found) {
        return ERR_NOT_FOUND;
    }
    memset(out, 0, sizeof(*out));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *out_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (out->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)out)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)out)->sin_port = htons((uint16_t)port);
    }
    return OK;
}

bool net_address_is_loopback(const struct sockaddr *addr)
{
    uint8_t bytes[16];
    peer_of_address(addr, bytes);
    return peer_is_loopback(bytes);
}

/* ---- accepting ---- */

/* Says no: in HTTP when that can be said without a handshake and not too many are being told. */
static void refuse(struct net_server *s, int fd, const uint8_t peer[16], unsigned status)
{
    metric_add(status == 429 ? &refused_per_ip : &refused_total, 1);
    if (s->opts.tls || s->refused >= REFUSED_AT_ONCE) {
        close(fd);
        return;
    }
    struct conn *c = conn_new(s, fd, peer, true);
    if (c) {
        conn_log(c, "connection refused",
                 status == 429 ? "too many from this address" : "too many connections", status);
        http_problem(c, status,
                     status == 429 ? "too many connections from your address"
                                   : "the server has as many connections as it may");
    }
}

static void on_accept(void *self, int fd, const struct sockaddr *addr, socklen_t addr_len)
{
    (void)addr_len;
    struct net_server *s = self;
    uint8_t peer[16];
    peer_of_address(addr, peer);
    metric_add(&accepted, 1);
    if (s->opts.max_conns && s->count - s->refused >= s->opts.max_conns) {
        refuse(s, fd, peer, 503);
        return;
    }
    uint32_t flags = 0;
    if (!peer_count(s, peer, s->opts.max_conns_per_ip, &flags)) {
        refuse(s, fd, peer, 429);
        return;
    }
    struct conn *c = conn_new(s, fd, peer, false);
    if (c) {
        c->flags |= flags;
    } else {
        peer_uncount(s, peer, flags);
    }
}

/* ---- listening ---- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

enum sharing { ALONE, BESIDE };

/* Without SO_REUSEPORT nobody else may have the address, whatever they ask for: of two programs
 * that come at the same moment, listen() refuses one. Once it is taken, the option lets others of
 * this user listen beside it: our own shards, for every program begins with ALONE. */
static enum err bind_socket(const struct sockaddr_storage *addr, socklen_t len, enum sharing how,
                            int *out)
{
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (how == BESIDE) {
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT);
    if (bind(fd, (const struct sockaddr *)addr, len) < 0 || listen(fd, BACKLOG) < 0) {
        enum err e = err_from_errno(errno);
        close(fd);
        return e;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    *out = fd;
    return OK;
}

enum err net_probe_address(const char *address)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    int fd = -1;
    enum err e = net_parse_address(address, &addr, &len);
    if (e == OK) {
        e = bind_socket(&addr, len, ALONE, &fd);
    }
    if (e == OK) {
        close(fd);
    }
    return e;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        return 0;
    }
    return ntohs(addr.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&addr)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&addr)->sin_port);
}

static enum err listen_at(struct net_server *s, const char *address, enum sharing how,
                          uint16_t *bound_port)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    int fd = -1;
    if (s->listening) {
        return ERR_BUSY;
    }
    enum err e = net_parse_address(address, &addr, &len);
    if (e == OK) {
        e = bind_socket(&addr, len, how, &fd);
    }
    if (e != OK) {
        return e;
    }
    uint16_t port = port_of(fd);
    e = listener_start(s->opts.loop, &s->listener, fd, on_accept, s);
    if (e == OK) {
        s->listening = true;
        *bound_port = port;
    }
    return e;
}

enum err net_listen(struct net_server *s, const char *address, uint16_t *bound_port)
{
    return listen_at(s, address, ALONE, bound_port);
}

enum err net_listen_beside(struct net_server *s, const char *address)
{
    uint16_t same = 0;
    return listen_at(s, address, BESIDE, &same);
}

const char *net_listen_why(enum err e)
{
    if (e == ERR_SYNTAX || e == ERR_RANGE) {
        return "expected HOST:PORT, as 127.0.0.1:8900";
    }
    return e == ERR_BUSY ? "it is taken, another instance or program serves there" : err_text(e);
}

void net_stop_listening(struct net_server *s)
{
    if (s->listening) {
        s->listening = false;
        listener_stop(&s->listener);
    }
}
