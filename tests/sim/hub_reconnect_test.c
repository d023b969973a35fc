/* The server's halves, api_main and two api_shards, stepped on one thread under virtual time, with
 * WebSocket clients on loopback that stall, vanish and come back to either shard with their cursor,
 * and one that polls. All messages are of one channel and nothing else is published, so message i
 * has seq i: each client must see 1, 2, 3 … from where it began, whatever happens to it.
 * SPDX-License-Identifier: MIT */
#include "api/api.h"
#include "base/alloc.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SHARDS = 2, CLIENTS = 8, STEPS = 6000 };

struct peer {
    int fd; /* -1: away */
    struct buf in;
    bool upgraded, stalled, subscribed;
    uint64_t last; /* newest message it has; 0: never subscribed */
    uint64_t seen, gaps, returns;
    char cursor[CURSOR_LEN + 1];
    bool asked; /* the one that polls: an answer is due */
};

struct world {
    struct clock clock;
    struct loop *loop, *shard_loops[SHARDS];
    struct mailbox *mail, *shard_mail[SHARDS];
    struct hub *hub;
    struct summary summary;
    struct api_settings settings;
    struct api_main *main;
    struct api_shard *shards[SHARDS];
    uint16_t ports[SHARDS];
    struct peer peers[CLIENTS], poller;
    int publisher;
    uint64_t published, random;
    char answered[CURSOR_LEN + 1]; /* the cursor that the last publish was answered with */
};

static uint64_t roll(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

/* ---- the server ---- */

static int health(void *self, struct json_writer *w)
{
    (void)self;
    (void)w;
    return 0;
}

static struct world *world_new(enum io_kind io, uint64_t seed)
{
    struct world *w = mem_zero(sizeof(*w));
    w->random = seed;
    clock_init_virtual(&w->clock, 1000, 1767225600000);
    if (loop_new(&(struct loop_opts){.io = io, .clock = &w->clock}, &w->loop) != OK) {
        mem_free(w);
        skip();
    }
    w->mail = mailbox_new(w->loop, 64);
    w->hub = hub_new(&(struct hub_opts){.loop = w->loop, .history_bytes = 64 << 20});
    w->settings = (struct api_settings){
        .token = "t", .origins = "", .dashboard_ms = 30000, .btc_price_ms = 10000, .version = "x"};
    summary_init(&w->summary, MODE_DEMO);
    w->main = api_main_new(&(struct api_main_opts){.loop = w->loop,
                                                   .mail = w->mail,
                                                   .hub = w->hub,
                                                   .summary = &w->summary,
                                                   .settings = &w->settings,
                                                   .health = health,
                                                   .self = w});
    for (int i = 0; i < SHARDS; i++) {
        assert_ok(loop_new(&(struct loop_opts){.io = io, .clock = &w->clock}, &w->shard_loops[i]));
        w->shard_mail[i] = mailbox_new(w->shard_loops[i], 4); /* full now and then */
        w->shards[i] = api_shard_new(&(struct api_shard_opts){.loop = w->shard_loops[i],
                                                              .mail = w->shard_mail[i],
                                                              .main_mail = w->mail,
                                                              .main = w->main,
                                                              .settings = &w->settings,
                                                              .net = {.max_body = 4 << 20},
                                                              .index = i});
        assert_ok(net_listen(api_shard_net(w->shards[i]), "127.0.0.1:0", &w->ports[i]));
        api_main_add_shard(w->main, w->shards[i], w->shard_mail[i]);
    }
    api_main_start(w->main);
    return w;
}

static void turn(struct world *w)
{
    loop_turn(w->loop, 0);
    for (int i = 0; i < SHARDS; i++) {
        loop_turn(w->shard_loops[i], 0);
    }
}

static void world_free(struct world *w)
{
    for (int i = 0; i < SHARDS; i++) {
        api_shard_drain(w->shards[i]);
        api_shard_cut(w->shards[i]);
        for (int k = 0; k < 100 && net_count(api_shard_net(w->shards[i])); k++) {
            turn(w);
        }
        assert_int_equal(net_count(api_shard_net(w->shards[i])), 0);
    }
    turn(w); /* letters that are still under way */
    api_main_free(w->main);
    hub_free(w->hub);
    for (int i = 0; i < SHARDS; i++) {
        api_shard_free(w->shards[i]);
        mailbox_free(w->shard_mail[i]);
        loop_free(w->shard_loops[i]);
    }
    mailbox_free(w->mail);
    loop_free(w->loop);
    mem_free(w);
}

/* ---- sockets ---- */

static int dial(uint16_t port, int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void say(int fd, struct str text)
{
    assert_int_equal(send(fd, text.ptr, text.len, MSG_NOSIGNAL), (ssize_t)text.len);
}

static void take(struct peer *p)
{
    char bytes[65536];
    for (ssize_t n; (n = recv(p->fd, bytes, sizeof(bytes), 0)) > 0;) {
        buf_add(&p->in, bytes, (size_t)n);
    }
}

static uint64_t number_behind(struct str text, const char *mark)
{
    size_t at = str_find_str(text, str_of(mark));
    uint64_t value = 0;
    assert_true(at != SIZE_MAX);
    for (at += strlen(mark); at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        value = value * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    return value;
}

static void keep_cursor(struct peer *p, struct str text)
{
    size_t at = str_find_str(text, STR("\"cursor\":\""));
    assert_true(at != SIZE_MAX);
    text = str_from(text, at + 10);
    text = str_sub(text, 0, str_find(text, '"', 0));
    assert_true(text.len <= CURSOR_LEN);
    memcpy(p->cursor, text.ptr, text.len);
    p->cursor[text.len] = '\0';
}

/* ---- publishing ---- */

static void add_message(struct world *w, size_t padding, struct buf *body)
{
    buf_printf(body, "{\"channel\":\"app:a\",\"data\":{\"i\":%llu,\"pad\":\"",
               (unsigned long long)++w->published);
    for (size_t i = 0; i < padding; i++) {
        buf_add_char(body, 'x');
    }
    buf_add_lit(body, "\"}}");
}

/* So many in one request. */
static void publish_list(struct world *w, size_t count, size_t padding)
{
    struct buf body = {0};
    struct buf request = {0};
    struct peer answer = {.fd = w->publisher};
    char accepted[32];
    snprintf(accepted, sizeof(accepted), "\"accepted\":%zu", count);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(&body, i ? ',' : '[');
        add_message(w, padding, &body);
    }
    buf_add_char(&body, ']');
    buf_printf(&request,
               "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n"
               "Content-Length: %zu\r\n\r\n",
               body.len);
    buf_add_str(&request, buf_str(&body));
    struct str rest = buf_str(&request);
    for (int i = 0; i < 1000 && str_find_str(buf_str(&answer.in), str_of(accepted)) == SIZE_MAX;
         i++) {
        ssize_t n = send(w->publisher, rest.ptr, rest.len, MSG_NOSIGNAL);
        rest = str_from(rest, n > 0 ? (size_t)n : 0);
        loop_turn(w->loop, 0);
        loop_turn(w->shard_loops[0], 0); /* the publisher's; the other one lags */
        take(&answer);
    }
    assert_contains(buf_str(&answer.in), accepted);
    keep_cursor(&answer, buf_str(&answer.in));
    assert_int_equal(number_behind(str_of(answer.cursor), "-"), w->published);
    memcpy(w->answered, answer.cursor, sizeof(w->answered));
    buf_fini(&answer.in);
    buf_fini(&request);
    buf_fini(&body);
}

static void publish(struct world *w, size_t padding)
{
    publish_list(w, 1, padding);
}

/* ---- a WebSocket client ---- */

static void ask_for_websocket(int fd)
{
    say(fd, STR("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
}

static void come(struct world *w, struct peer *p)
{
    p->fd = dial(w->ports[roll(w, SHARDS)], 4096);
    p->upgraded = p->subscribed = p->stalled = false;
    buf_clear(&p->in);
    ask_for_websocket(p->fd);
}

static void command(struct peer *p, struct str text)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct buf frame = {0};
    ws_frame(&frame, WS_TEXT, true, false, text, mask);
    say(p->fd, buf_str(&frame));
    buf_fini(&frame);
}

static void subscribe(struct peer *p)
{
    struct buf text = {0};
    buf_add_lit(&text, "{\"type\":\"subscribe\",\"channel\":\"app:a\"");
    if (p->cursor[0]) {
        buf_printf(&text, ",\"params\":{\"since\":\"%s\"}", p->cursor);
    }
    buf_add_char(&text, '}');
    command(p, buf_str(&text));
    buf_fini(&text);
}

static void hear(struct peer *p, struct str text)
{
    if (str_starts(text, STR("{\"type\":\"message\""))) {
        uint64_t i = number_behind(text, "\"i\":");
        assert_true(p->subscribed);
        assert_int_equal(i, p->last + 1);
        p->last = i;
        p->seen++;
        keep_cursor(p, text);
    } else if (str_starts(text, STR("{\"type\":\"gap\""))) {
        uint64_t to = number_behind(str_from(text, str_find_str(text, STR("\"to\":"))), "-");
        assert_true(to > p->last);
        p->last = to;
        p->gaps++;
    } else if (str_starts(text, STR("{\"type\":\"subscribed\""))) {
        p->subscribed = true;
        if (p->cursor[0]) {
            p->returns++;
            assert_contains(text, "\"recovered\":true");
            assert_contains(text, "\"reset\":false");
        } else {
            keep_cursor(p, text);
            p->last = number_behind(str_of(p->cursor), "-");
        }
    } else {
        assert_true(str_starts(text, STR("{\"type\":\"welcome\"")) ||
                    str_starts(text, STR("{\"type\":\"pong\"")));
    }
}

static void listen_to(struct peer *p)
{
    take(p);
    if (!p->upgraded) {
        size_t end = str_find_str(buf_str(&p->in), STR("\r\n\r\n"));
        if (end == SIZE_MAX) {
            return;
        }
        assert_contains(buf_str(&p->in), "101 ");
        buf_drop(&p->in, end + 4);
        p->upgraded = true;
        subscribe(p);
    }
    size_t at = 0;
    while (p->in.len - at >= 10) {
        const uint8_t *b = (const uint8_t *)p->in.ptr + at;
        size_t head = b[1] == 127 ? 10 : b[1] == 126 ? 4 : 2;
        uint64_t len = head == 2 ? b[1] : 0;
        assert_int_equal(b[0], 0x81);
        for (size_t i = 2; i < head; i++) {
            len = len << 8 | b[i];
        }
        if (p->in.len - at - head < len) {
            break;
        }
        hear(p, str_make((const char *)b + head, len));
        at += head + len;
    }
    buf_drop(&p->in, at);
}

static void go(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
}

/* ---- a client that polls, a new connection each time ---- */

static void poll_read(struct peer *p, struct str body)
{
    assert_contains(body, "\"reset\":false");
    for (size_t at; (at = str_find_str(body, STR("\"i\":"))) != SIZE_MAX;) {
        body = str_from(body, at);
        assert_int_equal(number_behind(body, "\"i\":"), p->last + 1);
        p->last++;
        p->seen++;
        body = str_from(body, 4);
    }
}

static void poll_some(struct world *w)
{
    struct peer *p = &w->poller;
    if (p->fd < 0) {
        struct buf request = {0};
        p->fd = dial(w->ports[roll(w, SHARDS)], 0);
        buf_printf(&request,
                   "GET /api/v1/poll?channels=app:a%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   p->cursor[0] ? "&since=" : "", p->cursor);
        say(p->fd, buf_str(&request));
        buf_fini(&request);
        return;
    }
    take(p);
    size_t head = str_find_str(buf_str(&p->in), STR("\r\n\r\n"));
    if (head == SIZE_MAX) {
        return;
    }
    uint64_t len = number_behind(buf_str(&p->in), "Content-Length: ");
    if (p->in.len < head + 4 + len) {
        return;
    }
    struct str body = str_from(buf_str(&p->in), head + 4);
    bool first = !p->cursor[0];
    keep_cursor(p, body);
    if (first) {
        p->last = number_behind(str_of(p->cursor), "-");
    } else {
        poll_read(p, body);
        assert_int_equal(number_behind(str_of(p->cursor), "-"), p->last);
    }
    buf_clear(&p->in);
    go(p);
}

/* ---- the run ---- */

static void step(struct world *w)
{
    struct peer *p = &w->peers[roll(w, CLIENTS)];
    switch (roll(w, 10)) {
    case 0:
        if (p->fd >= 0 && roll(w, 4) == 0) {
            go(p); /* whatever is under way is lost with the connection */
        }
        break;
    case 1:
        p->stalled = p->fd >= 0 && roll(w, 2);
        break;
    case 2:
    case 3:
        for (uint64_t n = roll(w, 4); n > 0; n--) {
            publish(w, roll(w, 10) ? roll(w, 300) : roll(w, 60000));
        }
        break;
    case 4:
        clock_advance_us(&w->clock, roll(w, 20000));
        break;
    case 5:
        poll_some(w);
        break;
    case 6:
        loop_turn(w->shard_loops[roll(w, SHARDS)], 0); /* one ahead of the other */
        break;
    default:
        if (p->fd < 0) {
            come(w, p);
        } else if (!p->stalled) {
            listen_to(p);
        }
        turn(w);
    }
}

/* The sockets are the kernel's, and a window that was shut opens in its own time: up to 5 s. */
static void come_to_rest(struct world *w)
{
    uint64_t until_us = clock_mono_us(clock_real()) + 5000000;
    while (clock_mono_us(clock_real()) < until_us) {
        bool done = w->poller.last == w->published;
        for (int i = 0; i < CLIENTS; i++) {
            if (w->peers[i].fd < 0) {
                come(w, &w->peers[i]);
            }
            listen_to(&w->peers[i]);
            done = done && w->peers[i].last == w->published;
        }
        poll_some(w);
        clock_advance_us(&w->clock, 1000);
        turn(w);
        if (done) {
            return;
        }
    }
    fail_msg("not everyone has message %llu", (unsigned long long)w->published);
}

static void run(enum io_kind io, uint64_t seed)
{
    struct world *w = world_new(io, seed);
    uint64_t returns = 0;
    w->publisher = dial(w->ports[0], 0);
    w->poller.fd = -1;
    for (int i = 0; i < CLIENTS; i++) {
        w->peers[i].fd = -1;
    }
    turn(w);
    for (int i = 0; i < STEPS; i++) {
        step(w);
    }
    come_to_rest(w);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(w->peers[i].gaps, 0); /* the history holds all of this run */
        returns += w->peers[i].returns;
        go(&w->peers[i]);
        buf_fini(&w->peers[i].in);
    }
    assert_true(returns > CLIENTS && w->poller.seen > 100);
    if (w->poller.fd >= 0) {
        go(&w->poller);
    }
    buf_fini(&w->poller.in);
    close(w->publisher);
    world_free(w);
}

/* A request that is read before the letters of its turn, with a cursor that came with one of
 * them. */
TEST(a_cursor_of_the_faster_shard_is_known_to_the_other)
{
    struct world *w = world_new(IO_EPOLL, 1);
    struct peer p = {.fd = dial(w->ports[1], 0)};
    char request[128];
    w->publisher = dial(w->ports[0], 0);
    turn(w);
    turn(w);
    publish(w, 0); /* the second shard has it in its mailbox only */
    int len =
        snprintf(request, sizeof(request),
                 "GET /api/v1/poll?channels=app:a&since=%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 w->answered);
    say(p.fd, str_make(request, (size_t)len));
    turn(w);
    turn(w);
    take(&p);
    assert_int_equal(p.in.len, 0); /* it waits: there is nothing newer */
    publish(w, 0);
    for (int i = 0; i < 5; i++) {
        turn(w);
        take(&p);
    }
    assert_contains(buf_str(&p.in), "\"reset\":false,\"messages\":[{\"type\":\"message\"");
    assert_contains(buf_str(&p.in), "\"data\":{\"i\":2,");
    assert_true(str_find_str(buf_str(&p.in), STR("{\"i\":1,")) == SIZE_MAX);
    go(&p);
    buf_fini(&p.in);
    close(w->publisher);
    world_free(w);
}

/* Its answer is not sent yet when more comes in the same turn than a group keeps. */
TEST(who_is_being_answered_when_a_flood_comes_gets_all_of_it)
{
    struct world *w = world_new(IO_EPOLL, 1);
    struct peer p = {.fd = dial(w->ports[1], 0)};
    w->publisher = dial(w->ports[0], 0);
    ask_for_websocket(p.fd);
    turn(w);
    for (int i = 0; i < 20 && !p.subscribed; i++) {
        turn(w);
        listen_to(&p);
    }
    assert_true(p.subscribed);
    command(&p, STR("{\"type\":\"ping\"}"));
    publish_list(w, 4, 600000); /* the second shard does not run yet */
    uint64_t until_us = clock_mono_us(clock_real()) + 5000000;
    while (p.last < w->published && clock_mono_us(clock_real()) < until_us) {
        turn(w);
        listen_to(&p);
    }
    assert_int_equal(p.last, w->published);
    assert_int_equal(p.seen, 4);
    go(&p);
    buf_fini(&p.in);
    close(w->publisher);
    world_free(w);
}

static void nothing(void *self, void *owned_arg, uint64_t number)
{
    (void)self;
    (void)owned_arg;
    (void)number;
}

static void *hand_out_later(void *hub)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    hub_flush(hub);
    return NULL;
}

/* As when the main thread is kept from running after it gave a message to the first shard: it comes
 * to the second one while that looks at the cursor. */
TEST(a_message_that_is_on_its_way_to_the_other_shard_is_waited_for)
{
    struct world *w = world_new(IO_EPOLL, 1);
    struct peer p = {.fd = dial(w->ports[1], 0)};
    char request[128];
    pthread_t thread;
    w->publisher = dial(w->ports[0], 0);
    turn(w);
    turn(w);
    while (mailbox_post(w->shard_mail[1], nothing, NULL, NULL, 0)) {
    }
    publish(w, 0); /* the second shard's mailbox has no room for it */
    int len =
        snprintf(request, sizeof(request),
                 "GET /api/v1/poll?channels=app:a&since=%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 w->answered);
    say(p.fd, str_make(request, (size_t)len));
    assert_int_equal(pthread_create(&thread, NULL, hand_out_later, w->hub), 0);
    for (int i = 0; i < 3; i++) {
        loop_turn(w->shard_loops[1], 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    take(&p);
    assert_int_equal(p.in.len, 0); /* no reset: it waits for what is newer */
    go(&p);
    buf_fini(&p.in);
    close(w->publisher);
    world_free(w);
}

/* The text of the welcome of a client that comes now, while only the first shard runs. */
static void welcome_now(struct world *w, struct buf *out)
{
    struct peer p = {.fd = dial(w->ports[0], 0)};
    ask_for_websocket(p.fd);
    for (int i = 0; i < 5; i++) {
        loop_turn(w->shard_loops[0], 0);
        take(&p);
    }
    struct str all = buf_str(&p.in);
    size_t from = str_find_str(all, STR("{\"type\":\"welcome\""));
    assert_true(from != SIZE_MAX);
    all = str_from(all, from);
    size_t end = str_find_str(all, STR("\"message\":\"Connected"));
    assert_true(end != SIZE_MAX);
    buf_clear(out);
    buf_add_str(out, str_sub(all, 0, end)); /* without the states behind it */
    go(&p);
    buf_fini(&p.in);
}

/* The answers with it are due. */
static void change_price(struct world *w, double price)
{
    struct summary_report report = {.field = FIELD_BTC_PRICE,
                                    .value = price,
                                    .as_of_ms = clock_wall_ms(&w->clock),
                                    .provider = "a",
                                    .method = "b"};
    assert_ok(summary_apply(&w->summary, &report, clock_wall_ms(&w->clock)));
    api_main_changed(w->main);
    clock_advance_us(&w->clock, 1500000);
}

/* It is written once for many clients, and never an old one. */
TEST(a_welcome_is_of_now)
{
    struct world *w = world_new(IO_EPOLL, 1);
    struct buf first = {0}, next = {0};
    w->publisher = dial(w->ports[0], 0);
    turn(w);
    turn(w);
    welcome_now(w, &first);
    welcome_now(w, &next);
    assert_string_equal(buf_text(&next), buf_text(&first));
    assert_contains(buf_str(&first), "\"btc_price\":null");
    publish(w, 0);
    welcome_now(w, &next);
    assert_contains(buf_str(&next), w->answered);

    change_price(w, 64000);
    turn(w);
    turn(w);
    clock_advance_us(&w->clock, 1500000);
    welcome_now(w, &first);
    assert_contains(buf_str(&first), "\"age_s\":1.5,");
    loop_turn(w->loop, 0); /* new answers: nothing is published, but the price is older */
    welcome_now(w, &next); /* in the same millisecond */
    assert_contains(buf_str(&next), "\"age_s\":3,");
    buf_fini(&first);
    buf_fini(&next);
    close(w->publisher);
    world_free(w);
}

TEST(clients_that_come_back_lose_and_double_nothing_epoll)
{
    run(IO_EPOLL, 11);
    run(IO_EPOLL, 12345);
}

TEST(clients_that_come_back_lose_and_double_nothing_uring)
{
    run(IO_URING, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_of_the_faster_shard_is_known_to_the_other),
        cmocka_unit_test(who_is_being_answered_when_a_flood_comes_gets_all_of_it),
        cmocka_unit_test(a_message_that_is_on_its_way_to_the_other_shard_is_waited_for),
        cmocka_unit_test(a_welcome_is_of_now),
        cmocka_unit_test(clients_that_come_back_lose_and_double_nothing_epoll),
        cmocka_unit_test(clients_that_come_back_lose_and_double_nothing_uring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
