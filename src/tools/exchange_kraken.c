/* Kraken's WebSocket v2: says its status first, answers each symbol of a subscribe by itself, and
 * sends a heartbeat when a second went by without anything else. SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "tools/exchange_in.h"
#include "tools/rng.h"

#define SNAPSHOT_TRADES 50

static void opened(struct exchange_session *s, struct str path, struct str query)
{
    (void)path;
    (void)query;
    struct buf b = {0};
    frame_kraken_status(&b, rng_mix(s->number, (uint64_t)loop_wall_ms(s->exchange->loop)) >> 1);
    exchange_send(s, buf_str(&b));
    buf_fini(&b);
}

/* ---- what clients say ---- */

struct order {
    struct exchange_session *s;
    struct str method;
    const struct json *req_id;
    struct str channel, trigger;
    enum kind kind;
    bool adds, snapshot;
};

/* `"req_id":1,` when there is one, and the times that end every answer. */
static void add_end(const struct order *o, struct buf *b)
{
    int64_t now = exchange_now_ms(o->s->exchange, o->s->venue), id;
    if (json_get_i64(o->req_id, &id)) {
        buf_printf(b, "\"req_id\":%lld,", (long long)id);
    }
    buf_add_lit(b, "\"time_in\":\"");
    frame_add_time(b, now, 234);
    buf_add_lit(b, "\",\"time_out\":\"");
    frame_add_time(b, now, 271);
    buf_add_lit(b, "\"}");
}

static void fail(const struct order *o, const char *error, struct str symbol)
{
    struct buf b = {0}, sentence = {0};
    buf_add_str(&sentence, str_of(error));
    buf_add_str(&sentence, symbol.len ? STR(" ") : STR(""));
    buf_add_str(&sentence, symbol);
    buf_add_lit(&b, "{\"error\":");
    json_escape(&b, buf_str(&sentence));
    buf_add_lit(&b, ",\"method\":");
    json_escape(&b, o->method);
    buf_add_lit(&b, ",\"success\":false,");
    if (symbol.len) {
        buf_add_lit(&b, "\"symbol\":");
        json_escape(&b, symbol);
        buf_add_char(&b, ',');
    }
    add_end(o, &b);
    exchange_send(o->s, buf_str(&b));
    buf_fini(&b);
    buf_fini(&sentence);
}

static void acknowledge(const struct order *o, size_t symbol)
{
    struct buf b = {0};
    buf_add_lit(&b, "{\"method\":");
    json_escape(&b, o->method);
    buf_add_lit(&b, ",\"result\":{\"channel\":");
    json_escape(&b, o->channel);
    if (o->kind == KIND_TICKER) {
        buf_add_lit(&b, ",\"event_trigger\":");
        json_escape(&b, o->trigger);
    }
    if (o->adds) {
        buf_add_str(&b, o->snapshot ? STR(",\"snapshot\":true") : STR(",\"snapshot\":false"));
    }
    buf_add_lit(&b, ",\"symbol\":\"");
    venue_add_name(VENUE_KRAKEN, symbol, &b);
    buf_add_lit(&b, "\"},\"success\":true,");
    add_end(o, &b);
    exchange_send(o->s, buf_str(&b));
    buf_fini(&b);
}

/* The last trades, as far as two minutes hold them. */
static void send_trades(const struct order *o, size_t symbol)
{
    struct exchange *x = o->s->exchange;
    struct flow_trade last[SNAPSHOT_TRADES];
    size_t count = 0;
    int64_t now = loop_wall_ms(x->loop), minute = now / SIM_MINUTE_MS;
    for (int64_t back = 0; back < 2; back++) {
        const struct flow_minute *m = flow_minute(x->flow, VENUE_KRAKEN, symbol, minute - back);
        for (size_t i = m->count; i-- > 0 && count < SNAPSHOT_TRADES;) {
            if (m->trades[i].at_ms <= now) {
                last[SNAPSHOT_TRADES - ++count] = m->trades[i];
            }
        }
    }
    buf_clear(&x->frame);
    frame_kraken_trades(&x->frame, symbol, last + SNAPSHOT_TRADES - count, count, true);
    exchange_send(o->s, buf_str(&x->frame));
}

static bool write_ticker(struct exchange *x, size_t symbol, bool snapshot)
{
    struct frame_day d;
    if (!frame_day_of(x->flow, VENUE_KRAKEN, symbol, loop_wall_ms(x->loop), &d)) {
        return false;
    }
    buf_clear(&x->frame);
    frame_kraken_ticker(&x->frame, symbol, &d, snapshot);
    return true;
}

static void one_symbol(const struct order *o, struct str name)
{
    struct exchange_session *s = o->s;
    size_t symbol = venue_find(VENUE_KRAKEN, name);
    if (symbol == SIZE_MAX || (o->adds && exchange_refuses(s->exchange, s->venue))) {
        fail(o, "Currency pair not supported", name);
    } else if (o->adds && !exchange_watch(s, symbol, o->kind)) {
        fail(o, "Already subscribed", name);
    } else if (!o->adds && !exchange_unwatch(s, symbol, o->kind)) {
        fail(o, "Subscription Not Found", name);
    } else {
        acknowledge(o, symbol);
        if (o->adds && o->snapshot && o->kind == KIND_TRADE) {
            send_trades(o, symbol);
        } else if (o->adds && o->snapshot && write_ticker(s->exchange, symbol, true)) {
            exchange_send(s, buf_str(&s->exchange->frame));
        }
    }
}

static void obey(struct order *o, const struct json *params)
{
    const struct json *symbols = json_get(params, "symbol");
    struct str name;
    if (!json_get_str(json_get(params, "channel"), &o->channel)) {
        fail(o, "Channel field must be a string", STR(""));
        return;
    }
    o->kind = str_eq(o->channel, STR("ticker")) ? KIND_TICKER : KIND_TRADE;
    if (o->kind == KIND_TRADE && !str_eq(o->channel, STR("trade"))) {
        fail(o, "Unknown channel", STR(""));
        return;
    }
    o->snapshot = o->kind == KIND_TICKER;
    o->trigger = STR("trades");
    (void)json_get_bool(json_get(params, "snapshot"), &o->snapshot);
    (void)json_get_str(json_get(params, "event_trigger"), &o->trigger);
    if (json_kind(symbols) != JSON_ARRAY || json_count(symbols) == 0) {
        fail(o, "Symbol(s) field must be an array of strings", STR(""));
        return;
    }
    for (size_t i = 0; i < json_count(symbols); i++) {
        if (json_get_str(json_at(symbols, i), &name)) {
            one_symbol(o, name);
        } else {
            fail(o, "Symbol(s) field must be an array of strings", STR(""));
        }
    }
}

static void pong(const struct order *o)
{
    struct buf b = {0};
    buf_add_lit(&b, "{\"method\":\"pong\",");
    add_end(o, &b);
    exchange_send(o->s, buf_str(&b));
    buf_fini(&b);
}

static void taken(struct exchange_session *s, struct str text)
{
    struct json *root = NULL;
    struct order o = {.s = s};
    bool ok = json_parse(text, &root, NULL) == OK && json_kind(root) == JSON_OBJECT;
    (void)json_get_str(json_get(root, "method"), &o.method);
    o.req_id = json_get(root, "req_id");
    o.adds = str_eq(o.method, STR("subscribe"));
    if (!ok) {
        exchange_send(s, STR("{\"error\":\"Malformed request\",\"success\":false}"));
    } else if (str_eq(o.method, STR("ping"))) {
        pong(&o);
    } else if (o.adds || str_eq(o.method, STR("unsubscribe"))) {
        obey(&o, json_get(root, "params"));
    } else {
        fail(&o, "Unsupported method", STR(""));
    }
    json_free(root);
}

/* ---- what they are sent ---- */

static void traded(struct exchange *x, struct feed *f, const struct flow_trade *t, size_t count,
                   int64_t now_ms)
{
    (void)now_ms;
    for (size_t i = 0; f->kinds & KIND_TRADE && i < count;) {
        size_t n = 1; /* what met one order comes in one frame */
        while (i + n < count && t[i + n].at_ms == t[i].at_ms) {
            n++;
        }
        buf_clear(&x->frame);
        frame_kraken_trades(&x->frame, f->symbol, t + i, n, false);
        exchange_send_watchers(f, KIND_TRADE, buf_str(&x->frame));
        i += n;
    }
    if (f->kinds & KIND_TICKER && write_ticker(x, f->symbol, false)) {
        exchange_send_watchers(f, KIND_TICKER, buf_str(&x->frame));
    }
}

static void second(struct exchange *x, struct feed *f, int64_t now_ms)
{
    (void)x;
    (void)f;
    (void)now_ms;
}

static void session_second(struct exchange_session *s, int64_t now_ms)
{
    (void)now_ms;
    if (s->subscribed && !s->sent) {
        exchange_send(s, STR("{\"channel\":\"heartbeat\"}"));
    }
}

const struct exchange_venue exchange_kraken = {.target = "kraken/ws",
                                               .open = opened,
                                               .take = taken,
                                               .trades = traded,
                                               .second = second,
                                               .session_second = session_second};
