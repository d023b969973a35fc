/* `coincast upstream`: the stand-in for all providers as a program of its own.
 * SPDX-License-Identifier: MIT */
#include "tools/signals.h"
#include "tools/tools.h"
#include "tools/upstream.h"

#include <signal.h>
#include <unistd.h>

#define MAX_RATE 10000

struct settings {
    const char *listen, *fixtures, *tape, *tls_cert, *tls_key;
    double speed; /* of the tape; 0: as fast as it goes */
    uint64_t seed, rate;
};

static const char help[] =
    "usage: coincast upstream [--listen HOST:PORT] [--seed N] [--rate N] [--fixtures DIR]\n"
    "                         [--tape FILE [--speed N|max]] [--tls-cert FILE --tls-key FILE]\n"
    "\n"
    "A stand-in for CoinGecko, Alternative.me, TAAPI, Binance, Coinbase and Kraken on one "
    "address,\n"
    "from a simulated market or from recorded answers. Every answer says which in the header\n"
    "X-Coincast-Upstream. Use http://HOST:PORT/api/v3 as CoinGecko's base URL and "
    "http://HOST:PORT\n"
    "as that of the others, ws://HOST:PORT as that of the WebSockets of Binance and Coinbase and\n"
    "ws://HOST:PORT/v2 as that of Kraken.\n"
    "\n"
    "  --listen HOST:PORT  where to listen (127.0.0.1:8900); port 0 takes a free one and prints "
    "it\n"
    "  --seed N            which market to simulate, a whole number (1)\n"
    "  --rate N            N times as many trades on the WebSockets, 1 to 10000 (1)\n"
    "  --fixtures DIR      serve the recorded answers (NAME.json, NAME.meta.json) of that folder\n"
    "  --tape FILE         the WebSockets play that capture: what was subscribed, as it came\n"
    "  --speed N|max       N times as fast as it came, or as fast as it goes (1)\n"
    "  --tls-cert FILE, --tls-key FILE  PEM files: https:// and wss:// instead of plain\n"
    "  --help              this text\n"
    "\n"
    "It misbehaves on command: POST /_control "
    "{\"target\":\"coingecko/global\",\"fault\":F,\"value\":V,\n"
    "\"times\":N}; target may be a provider or *, without times the fault stays. GET /_control "
    "says\n"
    "what is set and counts requests. Faults: latency (V ms), 429 (Retry-After V), 5xx (status V,\n"
    "503), garbage (no JSON), half (half a body), cut (closes within the body), silence, none.\n"
    "The targets binance/ws, coinbase/ws and kraken/ws also take drop (cut at the next frame), "
    "stall\n"
    "(silence), skip (V trades), double (a frame twice), skew (clock V ms ahead), shutdown "
    "(goodbye,\n"
    "then closed after V ms) and refuse (a symbol); there garbage and half befall frames.\n";

static int wrong(const char *name, const char *value, const char *right)
{
    fprintf(stderr, "coincast upstream: %s %s: %s\n", name, value ? value : "without a value",
            right);
    return 2;
}

static bool read_listen(struct settings *s, const char *value)
{
    s->listen = value;
    return true;
}

static bool read_seed(struct settings *s, const char *value)
{
    return str_to_u64(str_of(value), &s->seed) == OK;
}

static bool read_rate(struct settings *s, const char *value)
{
    return str_to_u64(str_of(value), &s->rate) == OK && s->rate >= 1 && s->rate <= MAX_RATE;
}

static bool read_fixtures(struct settings *s, const char *value)
{
    s->fixtures = value;
    return true;
}

static bool read_tape(struct settings *s, const char *value)
{
    s->tape = value;
    return true;
}

static bool read_speed(struct settings *s, const char *value)
{
    s->speed = 0;
    return strcmp(value, "max") == 0 ||
           (str_to_double(str_of(value), &s->speed) == OK && s->speed > 0);
}

static bool read_tls_cert(struct settings *s, const char *value)
{
    s->tls_cert = value;
    return true;
}

static bool read_tls_key(struct settings *s, const char *value)
{
    s->tls_key = value;
    return true;
}

static const struct word {
    const char *name;
    bool (*read)(struct settings *s, const char *value);
    const char *right;
} words[] = {
    {"--listen", read_listen, "expected HOST:PORT, as 127.0.0.1:8900"},
    {"--seed", read_seed, "expected a whole number, as 1"},
    {"--rate", read_rate, "expected a whole number from 1 to 10000"},
    {"--fixtures", read_fixtures, "expected a folder"},
    {"--tape", read_tape, "expected a file"},
    {"--speed", read_speed, "expected a number above 0, or max"},
    {"--tls-cert", read_tls_cert, "expected a PEM file"},
    {"--tls-key", read_tls_key, "expected a PEM file"},
};

/* -1: go on; else the exit code. */
static int read_words(int argc, char **argv, struct settings *s)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i], *value = NULL;
        const struct word *word = NULL;
        size_t equals = strcspn(name, "=");
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            if (str_eq(str_make(name, equals), str_of(words[k].name))) {
                word = &words[k];
            }
        }
        if (!word) {
            return wrong("does not know", name,
                         "it takes --listen, --seed, --rate, --fixtures, --tape, --speed, "
                         "--tls-cert, --tls-key and --help");
        }
        value = name[equals] == '=' ? name + equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value || !value[0]) {
            return wrong(word->name, NULL, word->right);
        }
        if (!word->read(s, value)) {
            return wrong(word->name, value, word->right);
        }
    }
    if (!s->tls_cert != !s->tls_key) {
        return wrong(s->tls_cert ? "--tls-cert" : "--tls-key",
                     s->tls_cert ? s->tls_cert : s->tls_key,
                     "a certificate and its key go together");
    }
    return -1;
}

static void on_signal(void *self, unsigned events)
{
    (void)events;
    loop_stop(self);
}

static int serve(struct loop *l, const struct settings *s)
{
    struct buf error = {0};
    struct upstream *u = NULL;
    struct watch signals = {.fd = -1};
    uint16_t port = 0;
    signal(SIGPIPE, SIG_IGN);
    int fd = signals_open((int[]){SIGTERM, SIGINT, 0});
    enum err e = upstream_start(&(struct upstream_opts){.loop = l,
                                                        .listen = s->listen,
                                                        .seed = s->seed,
                                                        .rate = (unsigned)s->rate,
                                                        .fixtures = s->fixtures,
                                                        .tape = s->tape,
                                                        .tape_speed = s->speed,
                                                        .tls_cert = s->tls_cert,
                                                        .tls_key = s->tls_key},
                                &u, &port, &error);
    if (e != OK || fd < 0 || watch_start(l, &signals, fd, WATCH_READ, on_signal, l) != OK) {
        fprintf(stderr, "coincast upstream: %s\n",
                error.len ? buf_text(&error) : "cannot receive signals");
        buf_fini(&error);
        upstream_free(u);
        return e == ERR_RANGE || e == ERR_SYNTAX ? 2 : 1;
    }
    printf("coincast upstream: listening on port %u, %s%s\n", (unsigned)port,
           s->fixtures || s->tape ? "recorded answers" : "simulated market",
           s->tls_cert ? ", TLS" : "");
    fflush(stdout);
    loop_run(l);
    watch_stop(&signals);
    close(fd);
    upstream_stop(u);
    for (int i = 0; i < 100 && !upstream_is_idle(u); i++) {
        loop_turn(l, 10);
    }
    upstream_free(u);
    return 0;
}

int tool_upstream(int argc, char **argv)
{
    struct settings s = {.listen = "127.0.0.1:8900", .seed = 1, .rate = 1, .speed = 1};
    struct loop *l = NULL;
    int code = read_words(argc, argv, &s);
    if (code >= 0) {
        return code;
    }
    enum err e = loop_new(&(struct loop_opts){.quiet_fallback = true}, &l);
    if (e != OK) {
        fprintf(stderr, "coincast upstream: cannot start: %s\n", err_text(e));
        return 1;
    }
    code = serve(l, &s);
    loop_free(l);
    return code;
}
