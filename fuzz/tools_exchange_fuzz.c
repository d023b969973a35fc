/* What clients say to the stand-in exchanges: the first byte chooses the venue, lines are messages.
 * SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "tools/exchange.h"

#define MAX_LINES 12 /* a second passes after each */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t sent;

static void on_send(void *conn, struct str text)
{
    (void)conn;
    if (!str_is_utf8(text)) {
        abort();
    }
    sent++;
}

static void on_ping(void *conn, struct str payload)
{
    (void)conn;
    (void)payload;
}

static void on_close(void *conn, uint16_t code, struct str reason)
{
    (void)conn;
    if (code < 1000 || reason.len > 123) {
        abort();
    }
}

static void on_cut(void *conn, struct str text)
{
    (void)conn;
    (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct exchange_ops ops = {
        .send = on_send, .ping = on_ping, .close = on_close, .cut = on_cut};
    static const char *const paths[VENUE_COUNT] = {
        [VENUE_BINANCE] = "/stream", [VENUE_COINBASE] = "/", [VENUE_KRAKEN] = "/v2"};
    struct clock clock;
    struct loop *loop = NULL;
    if (size == 0) {
        return 0;
    }
    enum venue v = data[0] % VENUE_COUNT;
    struct str rest = str_make((const char *)data + 1, size - 1), line;
    clock_init_virtual(&clock, 1000, INT64_C(1795264460000));
    if (loop_new(&(struct loop_opts){.io = IO_EPOLL, .clock = &clock}, &loop) != OK) {
        return 0;
    }
    /* kept, for what they have worked out; that never changes an answer */
    static struct simulator *simulator;
    static struct flow *flow;
    if (!flow) {
        simulator = simulator_new(1);
        flow = flow_new(simulator, 1);
    }
    struct control *control = control_new();
    struct exchange *x = exchange_new(
        &(struct exchange_opts){.loop = loop, .flow = flow, .control = control, .ops = &ops});
    /* the first line is also the query of the handshake */
    struct str query = str_sub(rest, 0, min_size(str_find(rest, '\n', 0), rest.len));
    struct exchange_session *s = exchange_open(x, v, &sent, str_of(paths[v]), query);
    for (int i = 0; i < MAX_LINES && str_next(&rest, '\n', &line); i++) {
        exchange_take(s, line);
        exchange_take_pong(s, line);
        clock_advance_us(&clock, 1000000);
        loop_turn(loop, 0);
    }
    exchange_close(s);
    exchange_free(x);
    control_free(control);
    loop_free(loop);
    return 0;
}
