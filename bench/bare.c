/* bare: the limit that Coincast is measured against.
 *
 * A server that does nothing but send: every WebSocket that connects gets every message that is
 * posted to /api/v1/publish, as one frame prepared beforehand, with one send() a socket or one
 * io_uring submission for all. No channels, no history, no timers, no limits. It builds the same
 * envelope as Coincast, so that both put the same number of bytes on the wire. Any GET that is no
 * upgrade gets the bytes of --response: the limit for HTTP.
 *
 * It trusts its client (our own, on loopback): requests are looked at only as far as needed.
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, READ_BYTES = 1 << 20, RING_DEPTH = 1024, MAX_BEHIND = 8 << 20 };

struct bytes {
    char *ptr;
    size_t len, cap;
};

/* One per fd, so finding it costs an index. */
struct conn {
    bool open;
    int subscriber;   /* place in `subscribers`, or -1 */
    struct bytes in;  /* a request that is not whole yet */
    struct bytes out; /* what a full socket did not take */
};

static struct {
    const char *epoch; /* of the cursors, as long as those of the server beside */
    int epoll, listener;
    bool use_uring, coalesce;
    struct io_uring ring;
    struct conn *conns;
    int *subscribers;
    int count;
    uint64_t seq;
    struct bytes response; /* of a plain GET */
    struct bytes frames;   /* of one publish, one behind the other */
    size_t ends[16384];    /* where each of them ends */
    size_t frame_count;
    char input[READ_BYTES];
} bare;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void bytes_add(struct bytes *b, const void *from, size_t len)
{
    if (len == 0) {
        return;
    }
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->ptr = realloc(b->ptr, b->cap);
        if (b->ptr == NULL) {
            die("realloc");
        }
    }
    memcpy(b->ptr + b->len, from, len);
    b->len += len;
}

static void bytes_free(struct bytes *b)
{
    free(b->ptr);
    *b = (struct bytes){0};
}

static void bytes_drop(struct bytes *b, size_t len)
{
    memmove(b->ptr, b->ptr + len, b->len - len);
    b->len -= len;
    if (b->len == 0) {
        bytes_free(b);
    }
}

static void cut(int fd)
{
    struct conn *c = &bare.conns[fd];
    if (!c->open) {
        return;
    }
    if (c->subscriber >= 0) {
        int last = bare.subscribers[--bare.count];
        bare.subscribers[c->subscriber] = last;
        bare.conns[last].subscriber = c->subscriber;
    }
    bytes_free(&c->in);
    bytes_free(&c->out);
    c->open = false;
    close(fd);
}

static void watch(int fd, uint32_t events, int op)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    if (epoll_ctl(bare.epoll, op, fd, &ev) != 0) {
        die("epoll_ctl");
    }
}

/* Keeps what a socket did not take; a reader that stays behind too far is cut. */
static void keep_rest(int fd, const char *rest, size_t len)
{
    struct conn *c = &bare.conns[fd];
    if (c->out.len + len > MAX_BEHIND) {
        cut(fd);
        return;
    }
    if (c->out.len == 0) {
        watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    bytes_add(&c->out, rest, len);
}

/* What one send of `len` bytes came to. */
static void sent(int fd, const char *from, size_t len, ssize_t result)
{
    if (result == (ssize_t)len) {
        return;
    }
    if (result < 0 && result != -EAGAIN) {
        cut(fd);
        return;
    }
    size_t taken = result < 0 ? 0 : (size_t)result;
    keep_rest(fd, from + taken, len - taken);
}

static void send_now(int fd, const char *from, size_t len)
{
    if (bare.conns[fd].out.len > 0) {
        keep_rest(fd, from, len);
        return;
    }
    ssize_t n = send(fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent(fd, from, len, n < 0 ? -errno : n);
}

static void drain(int fd)
{
    struct conn *c = &bare.conns[fd];
    ssize_t n = send(fd, c->out.ptr, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        cut(fd);
        return;
    }
    bytes_drop(&c->out, n < 0 ? 0 : (size_t)n);
    if (c->out.len == 0) {
        watch(fd, EPOLLIN, EPOLL_CTL_MOD);
    }
}

/* Submits what is queued and takes all completions: every send ends at once (MSG_DONTWAIT). */
static void ring_flush(unsigned queued, const char *from, size_t len)
{
    if (queued == 0) {
        return;
    }
    int rc = io_uring_submit_and_wait(&bare.ring, queued);
    if (rc < 0) {
        errno = -rc;
        die("io_uring_submit_and_wait");
    }
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&bare.ring, head, cqe)
    {
        seen++;
        sent((int)cqe->user_data, from, len, cqe->res);
    }
    io_uring_cq_advance(&bare.ring, seen);
}

static void broadcast_uring(const char *from, size_t len)
{
    unsigned queued = 0;
    /* Backwards: cut() fills a gap with the last one, which was served already. */
    for (int i = bare.count - 1; i >= 0; i--) {
        if (i >= bare.count) {
            continue;
        }
        int fd = bare.subscribers[i];
        if (bare.conns[fd].out.len > 0) {
            keep_rest(fd, from, len);
            continue;
        }
        struct io_uring_sqe *sqe = io_uring_get_sqe(&bare.ring);
        io_uring_prep_send(sqe, fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(sqe, (unsigned)fd);
        if (++queued == RING_DEPTH) {
            ring_flush(queued, from, len);
            queued = 0;
        }
    }
    ring_flush(queued, from, len);
}

static void broadcast(const char *from, size_t len)
{
    if (bare.use_uring) {
        broadcast_uring(from, len);
        return;
    }
    for (int i = bare.count - 1; i >= 0; i--) {
        if (i < bare.count) {
            send_now(bare.subscribers[i], from, len);
        }
    }
}

/* One text frame with the envelope of Coincast's custom channels around `data`. */
static void add_frame(const char *data, size_t len)
{
    static const char front[] = "{\"type\":\"message\",\"channel\":\"app:bench\",\"data\":";
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char time_text[32], back[160];
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &utc);
    int back_len =
        snprintf(back, sizeof back, ",\"timestamp\":\"%s.%03ldZ\",\"cursor\":\"%s-%llu\"}",
                 time_text, now.tv_nsec / 1000000, bare.epoch, (unsigned long long)++bare.seq);
    size_t size = sizeof front - 1 + len + (size_t)back_len;
    uint8_t head[10] = {0x81};
    size_t head_len = 2;
    if (size < 126) {
        head[1] = (uint8_t)size;
    } else if (size < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(size >> 8);
        head[3] = (uint8_t)size;
        head_len = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++) {
            head[2 + i] = (uint8_t)(size >> (56 - 8 * i));
        }
        head_len = 10;
    }
    bytes_add(&bare.frames, head, head_len);
    bytes_add(&bare.frames, front, sizeof front - 1);
    bytes_add(&bare.frames, data, len);
    bytes_add(&bare.frames, back, (size_t)back_len);
    bare.ends[bare.frame_count++] = bare.frames.len;
}

/* The data of each item is a flat object without braces in its texts. */
static void publish(const char *body, size_t len)
{
    static const char mark[] = "\"data\":";
    const char *end = body + len, *at = body;
    bare.frames.len = 0;
    bare.frame_count = 0;
    while (bare.frame_count < sizeof bare.ends / sizeof bare.ends[0]) {
        const char *data = memmem(at, (size_t)(end - at), mark, sizeof mark - 1);
        if (data == NULL) {
            break;
        }
        data += sizeof mark - 1;
        const char *close_brace = memchr(data, '}', (size_t)(end - data));
        if (close_brace == NULL) {
            break;
        }
        at = close_brace + 1;
        add_frame(data, (size_t)(at - data));
    }
    if (bare.coalesce) {
        broadcast(bare.frames.ptr, bare.frames.len);
        return;
    }
    for (size_t i = 0; i < bare.frame_count; i++) {
        size_t from = i == 0 ? 0 : bare.ends[i - 1];
        broadcast(bare.frames.ptr + from, bare.ends[i] - from);
    }
}

static void upgrade(int fd, const char *key)
{
    char text[64];
    int len = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    unsigned char digest[SHA_DIGEST_LENGTH], accept_text[32];
    SHA1((const unsigned char *)text, (size_t)len, digest);
    EVP_EncodeBlock(accept_text, digest, sizeof digest);
    char reply[160];
    int reply_len = snprintf(reply, sizeof reply,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                             (const char *)accept_text);
    bare.conns[fd].subscriber = bare.count;
    bare.subscribers[bare.count++] = fd;
    send_now(fd, reply, (size_t)reply_len);
}

/* The value of a header, or NULL; the head ends with a NUL. */
static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at == NULL ? NULL : at + strlen(name) + strspn(at + strlen(name), ": ");
}

/* Serves one request; bytes used, 0 when it is not whole. */
static size_t serve(int fd, char *bytes, size_t len)
{
    char *head_end = memmem(bytes, len, "\r\n\r\n", 4);
    if (head_end == NULL) {
        return 0;
    }
    size_t used = (size_t)(head_end - bytes) + 4;
    if (memcmp(bytes, "POST ", 5) == 0) {
        *head_end = '\0';
        const char *length = header(bytes, "content-length");
        *head_end = '\r';
        size_t body = length == NULL ? 0 : strtoul(length, NULL, 10);
        if (len - used < body) {
            return 0;
        }
        publish(bytes + used, body);
        char json[96], reply[256];
        int json_len = snprintf(json, sizeof json, "{\"accepted\":%zu,\"cursor\":\"%s-%llu\"}",
                                bare.frame_count, bare.epoch, (unsigned long long)bare.seq);
        int reply_len = snprintf(reply, sizeof reply,
                                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: %d\r\n\r\n%s",
                                 json_len, json);
        send_now(fd, reply, (size_t)reply_len);
        return used + body;
    }
    /* Only an upgrade needs its headers looked at, and it is the only request with this one. */
    char *key = memmem(bytes, used, "Sec-WebSocket-Key: ", 19);
    if (key != NULL) {
        upgrade(fd, key + 19);
    } else {
        send_now(fd, bare.response.ptr, bare.response.len);
    }
    return used;
}

static void readable(int fd)
{
    struct conn *c = &bare.conns[fd];
    ssize_t n = recv(fd, bare.input, READ_BYTES - 1, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            cut(fd);
        }
        return;
    }
    if (c->subscriber >= 0) {
        return; /* whatever a subscriber says */
    }
    char *at = bare.input;
    size_t left = (size_t)n;
    bool joined = c->in.len > 0;
    if (joined) {
        bytes_add(&c->in, bare.input, left);
        at = c->in.ptr;
        left = c->in.len;
    }
    while (left > 0 && c->open && c->subscriber < 0) {
        size_t used = serve(fd, at, left);
        if (used == 0) {
            break;
        }
        at += used;
        left -= used;
    }
    if (!c->open) {
        return;
    }
    if (c->subscriber >= 0) {
        left = 0;
    }
    if (joined) {
        bytes_drop(&c->in, c->in.len - left);
    } else {
        bytes_add(&c->in, at, left);
    }
}

static void take_clients(void)
{
    for (;;) {
        int fd = accept4(bare.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        if (fd >= MAX_FD) {
            close(fd);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        bare.conns[fd] = (struct conn){.open = true, .subscriber = -1};
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bare.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(bare.listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(bare.listener, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(bare.listener, 4096) != 0) {
        die("listen");
    }
    watch(bare.listener, EPOLLIN, EPOLL_CTL_ADD);
}

static void start_ring(void)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int rc = io_uring_queue_init_params(RING_DEPTH, &bare.ring, &params);
    if (rc < 0) {
        errno = -rc;
        die("io_uring");
    }
}

static void load_response(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        die(path);
    }
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        bytes_add(&bare.response, piece, n);
    }
    fclose(f);
}

static void run(void)
{
    struct epoll_event events[512];
    for (;;) {
        int n = epoll_wait(bare.epoll, events, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == bare.listener) {
                take_clients();
                continue;
            }
            if (bare.conns[fd].open && (events[i].events & EPOLLOUT) != 0) {
                drain(fd);
            }
            if (bare.conns[fd].open && (events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                readable(fd);
            }
        }
    }
}

int main(int argc, char **argv)
{
    uint16_t port = 0;
    bare.epoch = "0123456789ab";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            port = (uint16_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--response") == 0 && i + 1 < argc) {
            load_response(argv[++i]);
        } else if (strcmp(argv[i], "--epoch") == 0 && i + 1 < argc) {
            bare.epoch = argv[++i];
        } else if (strcmp(argv[i], "--uring") == 0) {
            bare.use_uring = true;
        } else if (strcmp(argv[i], "--coalesce") == 0) {
            bare.coalesce = true;
        } else {
            port = 0;
            break;
        }
    }
    if (port == 0) {
        fputs("usage: bare --port PORT [--uring] [--coalesce] [--response FILE] [--epoch TEXT]\n",
              stderr);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    bare.conns = calloc(MAX_FD, sizeof *bare.conns);
    bare.subscribers = calloc(MAX_FD, sizeof *bare.subscribers);
    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bare.conns == NULL || bare.subscribers == NULL || bare.epoll < 0) {
        die("start");
    }
    if (bare.use_uring) {
        start_ring();
    }
    listen_on(port);
    run();
}
