/* Coinbase Exchange's feed: one subscribe for lists of products and channels; a subscribe that
 * names an unknown product fails as a whole. SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "tools/exchange_in.h"

#define SUBSCRIBE_MS 5000

static const struct channel_name {
    const char *name, *acknowledged;
    enum kind kind;
} channel_names[] = {
    {"ticker", "ticker", KIND_TICKER},
    {"matches", "matches", KIND_TRADE},
    {"heartbeat", "heartbeat", KIND_HEARTBEAT},
    {"ticker_batch", "ticker_1000", KIND_BATCH},
};

static const struct channel_name *find_channel(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(channel_names); i++) {
        if (str_eq(name, str_of(channel_names[i].name)) ||
            str_eq(name, str_of(channel_names[i].acknowledged))) {
            return &channel_names[i];
        }
    }
    return NULL;
}

static void too_late(void *self)
{
    struct exchange_session *s = self;
    if (!s->subscribed) {
        exchange_end(s, 1008, "No subscription within 5 seconds");
    }
}

static void opened(struct exchange_session *s, struct str path, struct str query)
{
    (void)path;
    (void)query;
    struct loop *l = s->exchange->loop;
    timer_start(l, &s->timer, loop_now_ms(l) + SUBSCRIBE_MS, too_late, s);
}

/* ---- what clients say ---- */

static void fail(struct exchange_session *s, const char *message, const char *reason,
                 struct str what)
{
    struct buf b = {0}, sentence = {0};
    buf_add_str(&sentence, what);
    buf_add_str(&sentence, str_of(reason));
    buf_printf(&b, "{\"type\":\"error\",\"message\":\"%s\",\"reason\":", message);
    json_escape(&b, buf_str(&sentence));
    buf_add_char(&b, '}');
    exchange_send(s, buf_str(&b));
    buf_fini(&b);
    buf_fini(&sentence);
}

/* A subscribe or unsubscribe while it is walked: first to check it, then to do it. */
struct order {
    struct exchange_session *s;
    bool adds, does;
    const char *message; /* of an error */
    bool failed;
    struct buf fresh; /* {symbol, kind} pairs newly subscribed, as struct fresh */
};
struct fresh {
    size_t symbol;
    enum kind kind;
};

static void walk_products(struct order *o, const struct json *products, enum kind kind)
{
    if (json_kind(products) != JSON_ARRAY || json_count(products) == 0) {
        fail(o->s, o->message, "product_ids must be a list of product ids", STR(""));
        o->failed = true;
    }
    for (size_t i = 0; !o->failed && i < json_count(products); i++) {
        struct str name = STR("");
        (void)json_get_str(json_at(products, i), &name);
        size_t symbol = venue_find(VENUE_COINBASE, name);
        if (symbol == SIZE_MAX || (!o->does && exchange_refuses(o->s->exchange, o->s->venue))) {
            fail(o->s, o->message, " is not a valid product", name);
            o->failed = true;
        } else if (o->does && o->adds && exchange_watch(o->s, symbol, kind)) {
            struct fresh f = {symbol, kind};
            buf_add(&o->fresh, &f, sizeof(f));
        } else if (o->does && !o->adds) {
            (void)exchange_unwatch(o->s, symbol, kind);
        }
    }
}

/* A channel is a name, or {name, product_ids}. */
static void walk(struct order *o, const struct json *root)
{
    const struct json *channels = json_get(root, "channels"), *all = json_get(root, "product_ids");
    if (json_kind(channels) != JSON_ARRAY || json_count(channels) == 0) {
        fail(o->s, o->message, "channels must be a list of channels", STR(""));
        o->failed = true;
    }
    for (size_t i = 0; !o->failed && i < json_count(channels); i++) {
        const struct json *one = json_at(channels, i), *own = json_get(one, "product_ids");
        struct str name = STR("");
        (void)(json_get_str(one, &name) || json_get_str(json_get(one, "name"), &name));
        const struct channel_name *c = find_channel(name);
        if (!c) {
            fail(o->s, o->message, " is not a valid channel", name);
            o->failed = true;
        } else {
            walk_products(o, own ? own : all, c->kind);
        }
    }
}

static void acknowledge(struct exchange_session *s)
{
    struct buf b = {0};
    size_t channels = 0;
    buf_add_lit(&b, "{\"type\":\"subscriptions\",\"channels\":[");
    for (size_t i = 0; i < ARRAY_LEN(channel_names); i++) {
        size_t products = 0;
        for (size_t symbol = 0; symbol < SIM_SYMBOLS; symbol++) {
            if (!(exchange_watches(s, symbol) & channel_names[i].kind)) {
                continue;
            }
            if (!products++) {
                buf_printf(&b, "%s{\"name\":\"%s\",\"product_ids\":[\"", channels++ ? "," : "",
                           channel_names[i].acknowledged);
            } else {
                buf_add_lit(&b, ",\"");
            }
            venue_add_name(VENUE_COINBASE, symbol, &b);
            buf_add_char(&b, '"');
        }
        buf_add_str(&b, products ? STR("],\"account_ids\":null}") : STR(""));
    }
    buf_add_lit(&b, "]}");
    exchange_send(s, buf_str(&b));
    buf_fini(&b);
}

/* ---- what they are sent ---- */

static bool write_ticker(struct exchange *x, struct feed *f, const struct flow_trade *last)
{
    struct frame_day d;
    int64_t market_ms = loop_wall_ms(x->loop);
    if (!frame_day_of(x->flow, f->venue, f->symbol, market_ms, &d)) {
        return false;
    }
    if (last) {
        d.last = *last;
    }
    buf_clear(&x->frame);
    /* A month is thirty such days: summing the real ones of hundreds of symbols takes seconds. */
    frame_coinbase_ticker(&x->frame, f->symbol, &d, 30 * d.day.volume);
    return true;
}

/* What one gets at once: where things stand. */
static void greet(struct exchange_session *s, const struct fresh *what)
{
    struct exchange *x = s->exchange;
    struct feed *f = exchange_feed(x, s->venue, what->symbol);
    if (what->kind == KIND_TRADE && f->last.id) {
        buf_clear(&x->frame);
        frame_coinbase_match(&x->frame, f->symbol, &f->last, true);
        exchange_send(s, buf_str(&x->frame));
    } else if (what->kind & (KIND_TICKER | KIND_BATCH) && write_ticker(x, f, NULL)) {
        exchange_send(s, buf_str(&x->frame));
    }
}

static void obey(struct exchange_session *s, const struct json *root, bool adds)
{
    struct order o = {
        .s = s, .adds = adds, .message = adds ? "Failed to subscribe" : "Failed to unsubscribe"};
    walk(&o, root);
    if (!o.failed) {
        o.does = true;
        walk(&o, root);
        acknowledge(s);
    }
    for (size_t at = 0; at + sizeof(struct fresh) <= o.fresh.len; at += sizeof(struct fresh)) {
        struct fresh one;
        memcpy(&one, o.fresh.ptr + at, sizeof(one));
        greet(s, &one);
    }
    buf_fini(&o.fresh);
}

static void taken(struct exchange_session *s, struct str text)
{
    struct json *root = NULL;
    struct str type = STR("");
    if (json_parse(text, &root, NULL) != OK || json_kind(root) != JSON_OBJECT) {
        fail(s, "Malformed JSON", "", STR(""));
    } else if (!json_get_str(json_get(root, "type"), &type)) {
        fail(s, "Type has to be either subscribe or unsubscribe", "", STR(""));
    } else if (str_eq(type, STR("subscribe")) || str_eq(type, STR("unsubscribe"))) {
        obey(s, root, str_eq(type, STR("subscribe")));
    } else {
        fail(s, "Type has to be either subscribe or unsubscribe", "", STR(""));
    }
    json_free(root);
}

static void traded(struct exchange *x, struct feed *f, const struct flow_trade *t, size_t count,
                   int64_t now_ms)
{
    (void)now_ms;
    for (size_t i = 0; i < count; i++) {
        if (f->kinds & KIND_TRADE) {
            buf_clear(&x->frame);
            frame_coinbase_match(&x->frame, f->symbol, &t[i], false);
            exchange_send_watchers(f, KIND_TRADE, buf_str(&x->frame));
        }
        if (f->kinds & KIND_TICKER && write_ticker(x, f, &t[i])) {
            exchange_send_watchers(f, KIND_TICKER, buf_str(&x->frame));
        }
    }
}

static void second(struct exchange *x, struct feed *f, int64_t now_ms)
{
    if (f->kinds & KIND_HEARTBEAT && f->last.id) {
        buf_clear(&x->frame);
        frame_coinbase_heartbeat(&x->frame, f->symbol, &f->last, now_ms / 1000 * 1000);
        exchange_send_watchers(f, KIND_HEARTBEAT, buf_str(&x->frame));
    }
    if (f->kinds & KIND_BATCH && f->is_new && write_ticker(x, f, &f->last)) {
        exchange_send_watchers(f, KIND_BATCH, buf_str(&x->frame));
    }
}

static void session_second(struct exchange_session *s, int64_t now_ms)
{
    (void)s;
    (void)now_ms;
}

const struct exchange_venue exchange_coinbase = {.target = "coinbase/ws",
                                                 .open = opened,
                                                 .take = taken,
                                                 .trades = traded,
                                                 .second = second,
                                                 .session_second = session_second};
