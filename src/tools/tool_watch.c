/* `coincast watch`: a server's live numbers in a terminal, or as lines in a pipe.
 * SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "tools/rng.h"
#include "tools/signals.h"
#include "tools/tools.h"
#include "tools/watch_view.h"
#include "tools/ws_client.h"

#include <ctype.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

#define REDRAW_MS 100
#define FIRST_WAIT_MS 500
#define LONGEST_WAIT_MS 30000

static const char help[] =
    "usage: coincast watch [--url ws://HOST:PORT/ws] [--symbols BTC,ETH,...]\n"
    "\n"
    "Shows the live numbers of a server: value, source, age, why one is stale, and whether the "
    "data\n"
    "is live, simulated or recorded; below them the prices that its feeds give, with how many "
    "feeds\n"
    "are used of those known. In a terminal it redraws and follows its size; arrow keys, PgUp, "
    "PgDn,\n"
    "Home and End move through the prices, q ends. Into a pipe it writes a line for each update, "
    "of\n"
    "a price at most one a second. Reconnects by itself; ends with Ctrl-C.\n"
    "\n"
    "  --url URL       the server's WebSocket (ws://127.0.0.1:8000/ws)\n"
    "  --symbols LIST  only these prices, also such as the server does not follow by itself\n"
    "  --help          this text\n"
    "\n"
    "NO_COLOR, when set and not empty, turns colours off.\n";

struct watcher {
    struct loop *loop;
    struct ws_client *client;
    struct watch_view view;
    const char *url;
    struct str symbols; /* with commas; "": all */
    bool terminal, color, stopping;
    bool raw; /* keys come one by one, and `usual` is to be put back */
    struct termios usual;
    struct timer redraw, again;
    struct watch signals, keys;
    uint32_t wait_ms; /* before the next attempt, without jitter */
    struct rng jitter;
    size_t columns, rows;
};

/* ---- output ---- */

static void write_all(const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(STDOUT_FILENO, b->ptr + at, b->len - at);
        if (n <= 0) {
            return; /* a pipe that ended tells by SIGPIPE */
        }
        at += (size_t)n;
    }
}

static void measure(struct watcher *w)
{
    struct winsize size;
    w->columns = 80;
    w->rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        w->columns = size.ws_col;
        w->rows = size.ws_row;
    }
}

static struct watch_look look_of(const struct watcher *w)
{
    return (struct watch_look){.columns = w->columns,
                               .rows = w->rows,
                               .color = w->color,
                               .url = w->url,
                               .now_ms = loop_now_ms(w->loop),
                               .wall_ms = loop_wall_ms(w->loop)};
}

/* The screen as one write: home, each line cleared to its end, the rest cleared, so nothing
 * flickers. Again in a second for the ages. */
static void draw(void *self)
{
    struct watcher *w = self;
    struct buf lines = {0}, out = {0};
    struct watch_look look = look_of(w);
    watch_view_screen(&w->view, &look, &lines);
    buf_add_lit(&out, "\033[H");
    struct str rest = buf_str(&lines), line;
    bool first = true;
    while (str_next(&rest, '\n', &line)) {
        size_t len = line.len - (str_ends(line, STR("\r")) ? 1 : 0);
        buf_add_str(&out, first ? STR("") : STR("\r\n"));
        buf_add_str(&out, str_sub(line, 0, len));
        buf_add_lit(&out, "\033[K");
        first = false;
    }
    buf_add_lit(&out, "\033[J");
    write_all(&out);
    buf_fini(&lines);
    buf_fini(&out);
    timer_start(w->loop, &w->redraw, loop_now_ms(w->loop) + 1000, draw, w);
}

/* Many updates make one redraw. */
static void draw_soon(struct watcher *w)
{
    if (w->terminal && !w->stopping) {
        uint64_t at = loop_now_ms(w->loop) + REDRAW_MS;
        if (!timer_active(&w->redraw) || w->redraw.at_ms > at) {
            timer_start(w->loop, &w->redraw, at, draw, w);
        }
    }
}

static void say(struct watcher *w, const char *text)
{
    snprintf(w->view.link, sizeof(w->view.link), "%s", text);
    if (!w->terminal) {
        fprintf(stderr, "coincast watch: %s\n", text);
    }
    draw_soon(w);
}

/* ---- connection ---- */

static void on_again(void *self);

static void wait_and_retry(struct watcher *w, const char *why)
{
    char text[160];
    /* between half and the whole wait, so that many watchers don't come back at once */
    uint32_t wait = w->wait_ms / 2 + (uint32_t)(rng_unit(&w->jitter) * w->wait_ms / 2);
    w->wait_ms = w->wait_ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : w->wait_ms * 2;
    w->view.connected = false;
    snprintf(text, sizeof(text), "not connected: %s; again in %.1f s", why, wait / 1000.0);
    say(w, text);
    timer_start(w->loop, &w->again, loop_now_ms(w->loop) + wait, on_again, w);
}

static void on_again(void *self)
{
    struct watcher *w = self;
    struct buf error = {0};
    enum err e = ws_client_open(w->client, str_of(w->url), &error);
    if (e != OK) {
        wait_and_retry(w, buf_text(&error));
    }
    buf_fini(&error);
}

static void subscribe(const struct watcher *w)
{
    struct buf text = {0};
    struct json_writer out;
    struct str rest = w->symbols, symbol;
    json_begin(&out, &text);
    json_object(&out);
    json_key(&out, "type");
    json_text(&out, "subscribe");
    json_key(&out, "channel");
    json_text(&out, "price_updates");
    json_key(&out, "params");
    json_object(&out);
    json_key(&out, "max_hz");
    json_i64(&out, w->terminal ? 4 : 1);
    json_key(&out, "delta");
    json_bool(&out, true);
    if (rest.len > 0) {
        json_key(&out, "symbols");
        json_array(&out);
        while (str_next(&rest, ',', &symbol)) {
            json_str(&out, symbol);
        }
        json_array_end(&out);
    }
    json_object_end(&out);
    json_object_end(&out);
    ws_client_send(w->client, buf_str(&text));
    buf_fini(&text);
}

static void on_opened(void *self)
{
    struct watcher *w = self;
    w->view.connected = true;
    say(w, "connected");
    subscribe(w);
}

/* What a pipe gets of it. */
static void put_lines(struct watcher *w, enum watch_change change)
{
    struct buf lines = {0};
    struct watch_look look = look_of(w);
    if (change == WATCH_SUMMARY || change == WATCH_BTC) {
        watch_view_line(&w->view, &look, &lines);
        buf_add_char(&lines, '\n');
    } else if (change == WATCH_PRICES) {
        watch_prices_lines(&w->view.prices, look.wall_ms, w->view.mode, &lines);
    } else if (change == WATCH_NOTE) {
        fprintf(stderr, "coincast watch: %s\n", w->view.note);
    }
    write_all(&lines);
    buf_fini(&lines);
}

static void on_message(void *self, bool binary, struct str text)
{
    struct watcher *w = self;
    if (binary) {
        return;
    }
    enum watch_change change =
        watch_view_take(&w->view, text, loop_now_ms(w->loop), loop_wall_ms(w->loop));
    if (change == WATCH_NOTHING) {
        return;
    }
    w->wait_ms = FIRST_WAIT_MS; /* a server that talks is well again */
    if (!w->terminal) {
        put_lines(w, change);
    }
    draw_soon(w);
}

static void on_closed(void *self, const char *why)
{
    struct watcher *w = self;
    if (w->stopping) {
        loop_stop(w->loop);
    } else {
        wait_and_retry(w, why);
    }
}

static const struct ws_client_events events = {on_opened, on_message, on_closed};

/* ---- keys and signals ---- */

static void stop(struct watcher *w)
{
    w->stopping = true;
    timer_stop(w->loop, &w->again);
    if (ws_client_is_idle(w->client)) {
        loop_stop(w->loop);
    } else {
        ws_client_close(w->client, WS_CLOSE_GOING_AWAY);
    }
}

static void on_keys(void *self, unsigned ready)
{
    static const struct {
        const char *bytes;
        enum watch_move move;
    } moves[] = {{"\033[A", WATCH_UP},    {"\033OA", WATCH_UP},       {"\033[B", WATCH_DOWN},
                 {"\033OB", WATCH_DOWN},  {"\033[5~", WATCH_PAGE_UP}, {"\033[6~", WATCH_PAGE_DOWN},
                 {"\033[H", WATCH_FIRST}, {"\033OH", WATCH_FIRST},    {"\033[1~", WATCH_FIRST},
                 {"\033[F", WATCH_LAST},  {"\033OF", WATCH_LAST},     {"\033[4~", WATCH_LAST},
                 {"k", WATCH_UP},         {"j", WATCH_DOWN},          {" ", WATCH_PAGE_DOWN}};
    struct watcher *w = self;
    char bytes[256];
    (void)ready;
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n <= 0) {
        watch_stop(&w->keys); /* the terminal went away; its signal ends the program */
        return;
    }
    struct str keys = str_make(bytes, (size_t)n);
    while (keys.len > 0 && keys.ptr[0] != 'q') {
        size_t len = 1;
        for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
            if (str_starts(keys, str_of(moves[i].bytes))) {
                len = strlen(moves[i].bytes);
                watch_prices_move(&w->view.prices, moves[i].move);
            }
        }
        keys = str_from(keys, len);
    }
    if (keys.len > 0) {
        stop(w);
    } else {
        draw(w);
    }
}

static void on_signal(void *self, unsigned ready)
{
    struct watcher *w = self;
    uint32_t number;
    (void)ready;
    while ((number = signals_next(w->signals.fd)) != 0) {
        if (number == SIGWINCH) {
            measure(w);
            draw_soon(w);
            continue;
        }
        stop(w);
    }
}

/* The alternate screen, so that the shell's lines come back. */
static void take_terminal(const struct watcher *w, bool take)
{
    if (w->terminal) {
        struct buf b = {0};
        buf_add_str(&b, take ? STR("\033[?1049h\033[?25l\033[2J") : STR("\033[?25h\033[?1049l"));
        write_all(&b);
        buf_fini(&b);
    }
}

/* Keys one by one and unseen. Ctrl-C stays a signal; Ctrl-Z does not, it would leave the shell the
 * other screen. */
static void take_keys(struct watcher *w)
{
    struct termios raw;
    if (!w->terminal || tcgetattr(STDIN_FILENO, &w->usual) != 0) {
        return; /* standard input is no terminal: there are no keys */
    }
    raw = w->usual;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    w->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    if (w->raw && watch_start(w->loop, &w->keys, STDIN_FILENO, WATCH_READ, on_keys, w) != OK) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &w->usual);
        w->raw = false;
    }
}

static void give_keys_back(struct watcher *w)
{
    if (w->raw) {
        watch_stop(&w->keys);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &w->usual);
    }
}

/* ---- the program ---- */

static int run(struct watcher *w)
{
    uint64_t seed = 0;
    const char *no_color = getenv("NO_COLOR");
    int fd = signals_open((int[]){SIGTERM, SIGINT, SIGHUP, SIGWINCH, 0});
    if (fd < 0 || watch_start(w->loop, &w->signals, fd, WATCH_READ, on_signal, w) != OK) {
        fputs("coincast watch: cannot receive signals\n", stderr);
        return 1;
    }
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        seed = loop_now_us(w->loop);
    }
    rng_seed(&w->jitter, seed);
    w->terminal = isatty(STDOUT_FILENO) == 1;
    w->color = w->terminal && !(no_color && no_color[0]);
    w->wait_ms = FIRST_WAIT_MS;
    w->client =
        ws_client_new(&(struct ws_client_opts){.loop = w->loop, .events = &events, .self = w});
    measure(w);
    take_terminal(w, true);
    take_keys(w);
    say(w, "connecting");
    on_again(w);
    loop_run(w->loop);
    timer_stop(w->loop, &w->redraw);
    timer_stop(w->loop, &w->again);
    give_keys_back(w);
    take_terminal(w, false);
    watch_stop(&w->signals);
    close(fd);
    ws_client_free(w->client);
    return 0;
}

static int wrong(const char *what, const char *right)
{
    fprintf(stderr, "coincast watch: %s: expected %s\n", what, right);
    return 2;
}

/* Names as a server could know them; one it does not know it names itself. */
static bool symbols_valid(struct str list)
{
    struct str symbol;
    if (list.len == 0 || str_ends(list, STR(","))) {
        return false;
    }
    while (str_next(&list, ',', &symbol)) {
        if (symbol.len == 0 || symbol.len >= sizeof(((struct watch_price *)NULL)->symbol)) {
            return false;
        }
        for (size_t i = 0; i < symbol.len; i++) {
            if (!isalnum((unsigned char)symbol.ptr[i])) {
                return false;
            }
        }
    }
    return true;
}

/* The value of --NAME=VALUE or --NAME VALUE, or NULL when it is another option. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) == 0 && argv[*i][len] == '=') {
        return argv[*i] + len + 1;
    }
    return strcmp(argv[*i], name) == 0 && *i + 1 < argc ? argv[++*i] : NULL;
}

int tool_watch(int argc, char **argv)
{
    struct watcher w = {.url = "ws://127.0.0.1:8000/ws", .symbols = STR("")};
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if ((value = value_of("--url", argc, argv, &i)) != NULL) {
            w.url = value;
        } else if ((value = value_of("--symbols", argc, argv, &i)) != NULL) {
            w.symbols = str_of(value);
            if (!symbols_valid(w.symbols)) {
                return wrong(value, "symbols with commas between them, such as BTC,ETH");
            }
        } else {
            return wrong(argv[i], "--url ws://HOST:PORT/ws, --symbols BTC,ETH or --help");
        }
    }
    if (!ws_client_url_valid(str_of(w.url))) {
        return wrong(w.url, "a URL as ws://127.0.0.1:8000/ws");
    }
    enum err e = loop_new(&(struct loop_opts){.quiet_fallback = true}, &w.loop);
    if (e != OK) {
        fprintf(stderr, "coincast watch: cannot start: %s\n", err_text(e));
        return 1;
    }
    int code = run(&w);
    loop_free(w.loop);
    return code;
}
