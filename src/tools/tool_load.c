/* `coincast load`: flags in, a report out. SPDX-License-Identifier: MIT */
#include "tools/tools.h"

#include "base/conf.h"
#include "tools/load_report.h"
#include "tools/signals.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

struct settings {
    char *url, *channel, *token, *server_pid, *ca;
    int64_t clients, window, burst, rate, size, duration_ms, warmup_ms, settle_ms, stall, churn,
        tick_ms;
    int protocol, io;
    bool deflate, json;
};

#define ROW(flag, kind, def, lo, hi, field, text)                                      \
    {                                                                                  \
        .name = "COINCAST_" flag, .type = kind, .fallback = def, .min = lo, .max = hi, \
        .help = text, .offset = offsetof(struct settings, field)                       \
    }
#define CHOICE(flag, def, all, field, text)                                             \
    {                                                                                   \
        .name = "COINCAST_" flag, .type = CONF_CHOICE, .fallback = def, .choices = all, \
        .help = text, .offset = offsetof(struct settings, field)                        \
    }

static const struct conf_row rows[] = {
    ROW("URL", CONF_TEXT, "ws://127.0.0.1:8000/ws", 0, 0, url, "The server's WebSocket."),
    ROW("CA", CONF_TEXT, NULL, 0, 0, ca,
        "PEM file to check a wss:// server's certificate with; without it, it is not checked."),
    CHOICE("PROTOCOL", "coincast", "coincast|plain|socketio", protocol,
           "How clients subscribe; plain: whoever connects gets every message."),
    ROW("CLIENTS", CONF_INT, "100", 1, 100000, clients, "WebSocket clients to open."),
    ROW("WINDOW", CONF_INT, "128", 1, 4096, window, "Connects under way at a time."),
    ROW("SUBSCRIBE", CONF_TEXT, "app:bench", 0, 0, channel,
        "The channel that clients subscribe to and messages are published on."),
    ROW("TOKEN", CONF_TEXT, NULL, 0, 0, token,
        "Bearer token for publishing; without it COINCAST_API_TOKEN of the environment."),
    ROW("BURST", CONF_INT, "0", 0, 1024, burst,
        "Messages in one publish request; 0 publishes nothing."),
    ROW("PUBLISH_RATE", CONF_INT, "0", 0, 100000, rate,
        "Messages a second; 0: the next burst when all clients have the one before."),
    ROW("PUBLISH_SIZE", CONF_INT, "100", LOAD_STAMP_MIN, LOAD_DATA_MAX, size,
        "Bytes of data in a message."),
    ROW("DURATION_MS", CONF_INT, "5000", 1, 3600000, duration_ms, "How long to measure."),
    ROW("WARMUP_MS", CONF_INT, "500", 0, 600000, warmup_ms, "Load before measuring begins."),
    ROW("SETTLE_MS", CONF_INT, "300", 0, 600000, settle_ms, "Rest between subscribing and load."),
    ROW("STALL", CONF_INT, "0", 0, 99, stall, "Percent of the clients that read nothing."),
    ROW("CHURN", CONF_INT, "0", 0, 100000, churn, "Connections closed and opened anew a second."),
    ROW("DEFLATE", CONF_BOOL, "0", 0, 0, deflate, "Offer permessage-deflate."),
    ROW("SERVER_PID", CONF_LIST, NULL, 0, 0, server_pid,
        "Processes of this machine whose CPU time is counted."),
    CHOICE("IO", "epoll", "auto|uring|epoll", io, "The client's own back end."),
    ROW("TICK_MS", CONF_INT, "0", 0, 60000, tick_ms,
        "Print how far measuring is, a line of JSON each so many milliseconds; needs --json."),
    ROW("JSON", CONF_BOOL, "0", 0, 0, json, "Print JSON: a line when ready, a line at the end."),
};

/* Ten thousand clients need as many files. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void print_ready(void *self)
{
    (void)self;
    puts("{\"event\":\"ready\"}");
    fflush(stdout);
}

static void print_tick(void *self, const struct load_tick *now)
{
    (void)self;
    printf("{\"event\":\"tick\",\"us\":%" PRIu64 ",\"deliveries\":%" PRIu64
           ",\"server_cpu_ns\":%" PRIu64 "}\n",
           now->us, now->deliveries, now->cpu_ns);
    fflush(stdout);
}

static const char *check(const struct settings *s, struct load_cpu *cpu)
{
    if (s->rate > 0 && s->burst == 0) {
        return "--publish-rate needs --burst of at least 1";
    }
    if (s->churn > 0 && s->burst > 0 && s->rate == 0) {
        return "--churn needs a --publish-rate, as a closed loop waits for all clients";
    }
    if (s->tick_ms > 0 && !s->json) {
        return "--tick-ms needs --json";
    }
    if (s->server_pid != NULL && load_cpu_parse(str_of(s->server_pid), cpu) != OK) {
        return "--server-pid should be up to 8 process ids with commas between";
    }
    return NULL;
}

static void fill_opts(const struct settings *s, const char *token, struct load_opts *out)
{
    *out = (struct load_opts){
        .url = str_of(s->url),
        .ca_file = s->ca,
        .channel = str_of(s->channel),
        .token = token != NULL ? str_of(token) : (struct str){0},
        .protocol = (enum load_protocol)s->protocol,
        .deflate = s->deflate,
        .clients = (uint32_t)s->clients,
        .window = (uint32_t)s->window,
        .burst = (uint32_t)s->burst,
        .rate = (uint32_t)s->rate,
        .size = (uint32_t)s->size,
        .duration_ms = (uint32_t)s->duration_ms,
        .warmup_ms = (uint32_t)s->warmup_ms,
        .settle_ms = (uint32_t)s->settle_ms,
        .stall_pct = (uint32_t)s->stall,
        .churn = (uint32_t)s->churn,
        .ready = s->json ? print_ready : NULL,
        .tick = print_tick,
        .tick_ms = (uint32_t)s->tick_ms,
    };
}

struct ending {
    struct loop *loop;
    struct watch signals;
};

static void on_signal(void *self, unsigned ready)
{
    struct ending *e = self;
    (void)ready;
    if (signals_next(e->signals.fd) != 0) {
        loop_stop(e->loop);
    }
}

/* The first signal ends measuring, the next one does not wait for what is under way. */
static enum err run_until_signal(struct loop *loop, const struct load_opts *opts,
                                 struct load_result *result, struct buf *text)
{
    struct ending ending = {.loop = loop};
    int fd = signals_open((int[]){SIGTERM, SIGINT, 0});
    enum err e =
        fd < 0 ? ERR_LIMIT : watch_start(loop, &ending.signals, fd, WATCH_READ, on_signal, &ending);
    if (e != OK) {
        buf_printf(text, "signals cannot be received");
        return e;
    }
    e = load_run(loop, opts, result, text);
    watch_stop(&ending.signals);
    close(fd);
    return e;
}

static int run(const struct settings *s, struct buf *text)
{
    static struct load_result result;
    struct load_opts opts;
    const char *token = s->token != NULL ? s->token : getenv("COINCAST_API_TOKEN");
    fill_opts(s, token, &opts);
    const char *wrong = check(s, &opts.cpu);
    if (wrong != NULL) {
        fprintf(stderr, "coincast load: %s\n", wrong);
        return 2;
    }
    raise_file_limit();
    struct loop *loop;
    struct loop_opts loop_opts = {
        .io = (enum io_kind)s->io, .recv_bytes = 64 * 1024, .quiet_fallback = true};
    if (loop_new(&loop_opts, &loop) != OK) {
        fputs("coincast load: --io uring is not permitted here\n", stderr);
        return 1;
    }
    enum err e = run_until_signal(loop, &opts, &result, text);
    loop_free(loop);
    if (e != OK) {
        fprintf(stderr, "coincast load: %s\n", buf_text(text));
        return e == ERR_SYNTAX ? 2 : 1;
    }
    if (s->json) {
        load_report_json(&opts, &result, text);
        buf_add_char(text, '\n');
    } else {
        load_report_text(&opts, &result, text);
    }
    fputs(buf_text(text), stdout);
    return 0;
}

int tool_load(int argc, char **argv)
{
    struct settings s = {0};
    struct conf *conf = NULL;
    struct buf text = {0};
    char *no_env[] = {NULL}; /* flags only: the server's settings mean nothing here */
    struct conf_inputs in = {.argc = argc, .argv = argv, .env = no_env};
    int code = 2;
    char **words;
    if (conf_load(rows, ARRAY_LEN(rows), &s, &in, &conf, &text) != OK) {
        fprintf(stderr, "coincast load: %s\n", buf_text(&text));
    } else if (conf_help_wanted(conf)) {
        buf_add_lit(&text, "usage: coincast load [--url ws://HOST:PORT/ws] [--clients N] …\n\n");
        conf_write_help(rows, ARRAY_LEN(rows), &text);
        fputs(buf_text(&text), stdout);
        code = 0;
    } else if (conf_args(conf, &words) > 0) {
        fprintf(stderr, "coincast load: '%s' is not expected; it takes flags only\n", words[0]);
    } else {
        code = run(&s, &text);
    }
    conf_free(conf);
    buf_fini(&text);
    return code;
}
