/* `coincast conformance`: what public protocol test suites are pointed at.
 * SPDX-License-Identifier: MIT */
#include "tools/conformance.h"
#include "tools/signals.h"
#include "tools/tools.h"

#include <signal.h>
#include <unistd.h>

#define DRAIN_TURNS 300 /* of 10 ms */

static const char help[] =
    "usage: coincast conformance [--listen HOST:PORT] [--tls-cert FILE --tls-key FILE] ...\n"
    "\n"
    "Serves what public protocol test suites expect, to everybody and without limits a client:\n"
    "GET / (200), /echo (WebSocket echo, permessage-deflate), POST /post (answers the length of\n"
    "its body), GET /events (an event a second), /engine.io/ (Engine.IO 4 and 3, echo) and\n"
    "/socket.io/ (Socket.IO: `message` comes back as `message-back`, `message-with-ack` is\n"
    "acknowledged, namespaces / and /custom).\n"
    "\n"
    "  --listen HOST:PORT        where to listen (127.0.0.1:9001); port 0 takes a free one\n"
    "  --max-message N           bytes of a WebSocket message or a posted body (67108864)\n"
    "  --max-fragments N         frames of one message (1048576)\n"
    "  --ping-interval-ms N      Engine.IO (300)\n"
    "  --ping-timeout-ms N       Engine.IO (200)\n"
    "  --connect-timeout-ms N    Socket.IO (1000)\n"
    "  --max-payload N           bytes of an Engine.IO payload (1000000)\n"
    "  --tls-cert, --tls-key     PEM files\n"
    "  --help                    this text\n"
    "COINCAST_IO=auto|uring|epoll chooses the I/O back end.\n";

/* The value of a flag goes to a text or to a number. */
struct flag {
    const char *name;
    const char **text;
    uint64_t *number, max;
};

static int wrong(const char *name, const char *what)
{
    fprintf(stderr, "coincast conformance: %s: %s\n", name, what);
    return 2;
}

static int set_flag(const struct flag *flags, size_t count, struct str name, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        const struct flag *f = &flags[i];
        if (!str_eq(name, str_of(f->name))) {
            continue;
        }
        if (!value || !value[0]) {
            return wrong(f->name, "expected a value");
        }
        if (f->text) {
            *f->text = value;
        } else if (str_to_u64(str_of(value), f->number) != OK || !*f->number ||
                   *f->number > f->max) {
            fprintf(stderr, "coincast conformance: %s %s: expected a whole number from 1 to %llu\n",
                    f->name, value, (unsigned long long)f->max);
            return 2;
        }
        return -1;
    }
    fprintf(stderr, "coincast conformance: unknown flag %.*s; --help lists them\n", STR_ARG(name));
    return 2;
}

/* -1: go on; else the exit code. */
static int read_words(int argc, char **argv, struct conformance_opts *o)
{
    const struct flag flags[] = {
        {.name = "--listen", .text = &o->listen},
        {.name = "--tls-cert", .text = &o->tls_cert},
        {.name = "--tls-key", .text = &o->tls_key},
        {.name = "--max-message", .number = &o->max_message, .max = (uint64_t)256 << 20},
        {.name = "--max-fragments", .number = &o->max_fragments, .max = UINT32_MAX},
        {.name = "--ping-interval-ms", .number = &o->ping_interval_ms, .max = 3600000},
        {.name = "--ping-timeout-ms", .number = &o->ping_timeout_ms, .max = 3600000},
        {.name = "--connect-timeout-ms", .number = &o->connect_timeout_ms, .max = 3600000},
        {.name = "--max-payload", .number = &o->max_payload, .max = (uint64_t)256 << 20},
    };
    for (int i = 0; i < argc; i++) {
        struct str word = str_of(argv[i]);
        if (str_eq(word, STR("--help")) || str_eq(word, STR("-h"))) {
            fputs(help, stdout);
            return 0;
        }
        size_t equals = str_find(word, '=', 0);
        const char *value = equals != SIZE_MAX ? argv[i] + equals + 1
                            : i + 1 < argc     ? argv[++i]
                                               : NULL;
        int code = set_flag(flags, ARRAY_LEN(flags), str_sub(word, 0, equals), value);
        if (code >= 0) {
            return code;
        }
    }
    if (!o->tls_cert != !o->tls_key) {
        return wrong(o->tls_cert ? "--tls-cert" : "--tls-key",
                     "a certificate and its key go together");
    }
    return -1;
}

static enum io_kind io_wanted(void)
{
    const char *io = getenv("COINCAST_IO");
    if (io && str_eq(str_of(io), STR("uring"))) {
        return IO_URING;
    }
    return io && str_eq(str_of(io), STR("epoll")) ? IO_EPOLL : IO_AUTO;
}

static void on_signal(void *self, unsigned events)
{
    (void)events;
    loop_stop(self);
}

static void end(struct loop *l, struct conformance *s)
{
    conformance_stop(s);
    for (int i = 0; i < DRAIN_TURNS && !conformance_is_idle(s); i++) {
        loop_turn(l, 10);
    }
    conformance_cut(s);
    while (!conformance_is_idle(s)) {
        loop_turn(l, 10);
    }
    conformance_free(s);
}

static int serve(struct loop *l, const struct conformance_opts *o)
{
    struct buf error = {0};
    struct conformance *s = NULL;
    struct watch signals = {.fd = -1};
    uint16_t port = 0;
    signal(SIGPIPE, SIG_IGN);
    int fd = signals_open((int[]){SIGTERM, SIGINT, 0});
    if (fd < 0 || watch_start(l, &signals, fd, WATCH_READ, on_signal, l) != OK) {
        return wrong("signals", "cannot be received"), 1;
    }
    enum err e = conformance_start(o, &s, &port, &error);
    if (e != OK) {
        fprintf(stderr, "coincast conformance: %s\n", buf_text(&error));
    } else {
        printf("coincast conformance: listening on port %u, %s%s\n", (unsigned)port,
               loop_io_name(l), o->tls_cert ? ", TLS" : "");
        fflush(stdout);
        loop_run(l);
        end(l, s);
    }
    watch_stop(&signals);
    close(fd);
    buf_fini(&error);
    return e == OK ? 0 : e == ERR_SYNTAX ? 2 : 1;
}

int tool_conformance(int argc, char **argv)
{
    struct conformance_opts o = {.listen = "127.0.0.1:9001"};
    struct loop *l = NULL;
    conformance_defaults(&o);
    int code = read_words(argc, argv, &o);
    if (code >= 0) {
        return code;
    }
    enum err e = loop_new(&(struct loop_opts){.io = io_wanted(), .recv_bytes = 65536}, &l);
    if (e != OK) {
        return wrong("COINCAST_IO", err_text(e)), 1;
    }
    o.loop = l;
    code = serve(l, &o);
    loop_free(l);
    return code;
}
