/* Binance's streams: raw at /ws, wrapped in {"stream","data"} at /stream. An unknown stream is
 * acknowledged and never sends. SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "tools/exchange_in.h"

#define MAX_STREAMS 1024
#define MAX_MESSAGES 5 /* a second, pongs among them */
#define PING_MS 20000
#define PONG_MS 60000
#define ALL_MINIS "!miniTicker@arr"

static const struct stream_name {
    const char *name; /* behind the symbol */
    enum kind kind;
} stream_names[] = {
    {"@trade", KIND_TRADE},     {"@aggTrade", KIND_AGG_TRADE}, {"@bookTicker", KIND_BOOK},
    {"@miniTicker", KIND_MINI}, {"@ticker", KIND_TICKER},      {"@kline_1m", KIND_KLINE},
};

/* "btcusdt@trade"; false: no stream of ours. */
static bool read_stream(struct str name, size_t *symbol, enum kind *kind)
{
    size_t at = str_find(name, '@', 0);
    char upper[24];
    if (at == SIZE_MAX || at == 0 || at > sizeof(upper)) {
        return false;
    }
    for (size_t i = 0; i < at; i++) {
        char c = name.ptr[i];
        if (c >= 'A' && c <= 'Z') {
            return false; /* names are lower case */
        }
        upper[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    *symbol = venue_find(VENUE_BINANCE, str_make(upper, at));
    for (size_t i = 0; *symbol != SIZE_MAX && i < ARRAY_LEN(stream_names); i++) {
        if (str_eq(str_from(name, at), str_of(stream_names[i].name))) {
            *kind = stream_names[i].kind;
            return true;
        }
    }
    return false;
}

static void add_stream_name(struct buf *b, size_t symbol, enum kind kind)
{
    size_t before = b->len;
    venue_add_name(VENUE_BINANCE, symbol, b);
    for (size_t i = before; i < b->len; i++) {
        if (b->ptr[i] >= 'A' && b->ptr[i] <= 'Z') {
            b->ptr[i] = (char)(b->ptr[i] - 'A' + 'a');
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(stream_names); i++) {
        if (stream_names[i].kind == kind) {
            buf_add_str(b, str_of(stream_names[i].name));
        }
    }
}

static void subscribe(struct exchange_session *s, struct str name)
{
    size_t symbol;
    enum kind kind;
    if (str_eq(name, STR(ALL_MINIS))) {
        s->streams += !s->all_minis;
        s->all_minis = true;
    } else if (read_stream(name, &symbol, &kind) && !exchange_refuses(s->exchange, s->venue)) {
        (void)exchange_watch(s, symbol, kind);
    }
}

static void unsubscribe(struct exchange_session *s, struct str name)
{
    size_t symbol;
    enum kind kind;
    if (str_eq(name, STR(ALL_MINIS))) {
        s->streams -= s->all_minis;
        s->all_minis = false;
    } else if (read_stream(name, &symbol, &kind)) {
        (void)exchange_unwatch(s, symbol, kind);
    }
}

/* ---- duties ---- */

static void on_duty(void *self)
{
    struct exchange_session *s = self;
    struct exchange *x = s->exchange;
    uint64_t now = loop_now_ms(x->loop);
    if (s->ping_is_open && now - s->ping_ms >= PONG_MS) {
        exchange_end(s, 1008, "Pong timeout");
        return;
    }
    if (control_peek(x->control, exchange_target(s->venue)).fault != FAULT_SILENCE) {
        int n = snprintf(s->ping, sizeof(s->ping), "%lld", (long long)loop_wall_ms(x->loop));
        s->ping_ms = s->ping_is_open ? s->ping_ms : now; /* the oldest without an answer */
        s->ping_is_open = true;
        x->ops->ping(s->conn, str_make(s->ping, (size_t)n));
    }
    timer_start(x->loop, &s->timer, now + PING_MS, on_duty, s);
}

/* False: it said too much and is cut. */
static bool count_message(struct exchange_session *s)
{
    uint64_t now = loop_now_ms(s->exchange->loop);
    if (now - s->window_ms >= 1000) {
        s->window_ms = now;
        s->window_count = 0;
    }
    if (++s->window_count > MAX_MESSAGES) {
        exchange_end(s, 1008, "Too many requests");
        return false;
    }
    return true;
}

void exchange_take_pong(struct exchange_session *s, struct str payload)
{
    /* A pong that answers nothing does not help. */
    if (s->venue == VENUE_BINANCE && !s->is_dead && count_message(s) &&
        str_eq(payload, str_of(s->ping))) {
        s->ping_is_open = false;
    }
}

static void opened(struct exchange_session *s, struct str path, struct str query)
{
    struct str rest = STR(""), name;
    s->wraps = str_eq(path, STR("/stream"));
    s->window_ms = loop_now_ms(s->exchange->loop);
    timer_start(s->exchange->loop, &s->timer, s->window_ms + PING_MS, on_duty, s);
    if (str_starts(path, STR("/ws/"))) {
        rest = str_from(path, 4);
    } else if (str_starts(query, STR("streams="))) {
        rest = str_from(query, 8);
        rest = str_sub(rest, 0, min_size(str_find(rest, '&', 0), rest.len));
    }
    for (size_t n = 0; str_next(&rest, '/', &name); n++) {
        if (n == MAX_STREAMS) {
            exchange_end(s, 1008, "Too many streams");
            return;
        }
        subscribe(s, name);
    }
}

/* ---- what clients say ---- */

static void add_id(struct buf *b, const struct json *id)
{
    struct str text;
    int64_t number;
    buf_add_lit(b, "\"id\":");
    if (json_get_i64(id, &number)) {
        buf_add_i64(b, number);
    } else if (json_get_str(id, &text)) {
        json_escape(b, text);
    } else {
        buf_add_lit(b, "null");
    }
    buf_add_char(b, '}');
}

static void refuse(struct exchange_session *s, int code, const char *what, const struct json *id)
{
    struct buf b = {0};
    buf_printf(&b, "{\"error\":{\"code\":%d,\"msg\":\"%s\"},", code, what);
    add_id(&b, id);
    exchange_send(s, buf_str(&b));
    buf_fini(&b);
}

static void list_streams(const struct exchange_session *s, struct buf *b)
{
    size_t count = 0;
    buf_add_char(b, '[');
    if (s->all_minis) {
        buf_add_lit(b, "\"" ALL_MINIS "\"");
        count++;
    }
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        unsigned kinds = exchange_watches(s, i);
        for (unsigned k = 0; k < KINDS; k++) {
            if (kinds >> k & 1) {
                buf_add_str(b, count++ ? STR(",\"") : STR("\""));
                add_stream_name(b, i, (enum kind)(1u << k));
                buf_add_char(b, '"');
            }
        }
    }
    buf_add_char(b, ']');
}

static bool all_text(const struct json *list)
{
    struct str one;
    bool all = json_kind(list) == JSON_ARRAY && json_count(list) > 0;
    for (size_t i = 0; all && i < json_count(list); i++) {
        all = json_get_str(json_at(list, i), &one);
    }
    return all;
}

static void obey(struct exchange_session *s, const struct json *root)
{
    const struct json *id = json_get(root, "id"), *params = json_get(root, "params");
    struct str method = STR(""), name;
    struct buf b = {0};
    (void)json_get_str(json_get(root, "method"), &method);
    bool adds = str_eq(method, STR("SUBSCRIBE")), drops = str_eq(method, STR("UNSUBSCRIBE"));
    bool lists = str_eq(method, STR("LIST_SUBSCRIPTIONS"));
    if (!adds && !drops && !lists) {
        refuse(s, 2,
               "Invalid request: unknown variant, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, "
               "`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
               id);
        return;
    }
    if (!lists && !all_text(params)) {
        refuse(s, 2, "Invalid request: params must be a list of stream names", id);
        return;
    }
    if (adds && s->streams + json_count(params) > MAX_STREAMS) {
        refuse(s, 2, "Invalid request: too many streams", id);
        exchange_end(s, 1008, "Too many streams");
        return;
    }
    for (size_t i = 0; !lists && i < json_count(params); i++) {
        (void)json_get_str(json_at(params, i), &name);
        if (adds) {
            subscribe(s, name);
        } else {
            unsubscribe(s, name);
        }
    }
    buf_add_lit(&b, "{\"result\":");
    if (lists) {
        list_streams(s, &b);
    } else {
        buf_add_lit(&b, "null");
    }
    buf_add_char(&b, ',');
    add_id(&b, id);
    exchange_send(s, buf_str(&b));
    buf_fini(&b);
}

static void taken(struct exchange_session *s, struct str text)
{
    struct json *root = NULL;
    if (!count_message(s)) {
        return;
    }
    if (json_parse(text, &root, NULL) != OK || json_kind(root) != JSON_OBJECT) {
        refuse(s, 3, "Invalid JSON: expected value at line 1 column 1", NULL);
    } else {
        obey(s, root);
    }
    json_free(root);
}

/* ---- what they are sent ---- */

/* To all who watch that kind: raw or wrapped, each made once. */
static void publish(struct exchange *x, struct feed *f, enum kind kind)
{
    struct str raw = buf_str(&x->frame);
    bool is_wrapped = false;
    for (size_t i = 0; i < f->count; i++) {
        const struct watcher *w = &f->watchers[i];
        if (!(w->kinds & kind)) {
            continue;
        }
        if (w->session->wraps && !is_wrapped) {
            is_wrapped = true;
            buf_clear(&x->wrapped);
            buf_add_lit(&x->wrapped, "{\"stream\":\"");
            add_stream_name(&x->wrapped, f->symbol, kind);
            buf_add_lit(&x->wrapped, "\",\"data\":");
            buf_add_str(&x->wrapped, raw);
            buf_add_char(&x->wrapped, '}');
        }
        exchange_send(w->session, w->session->wraps ? buf_str(&x->wrapped) : raw);
    }
}

static void traded(struct exchange *x, struct feed *f, const struct flow_trade *t, size_t count,
                   int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (f->kinds & KIND_TRADE) {
            buf_clear(&x->frame);
            frame_binance_trade(&x->frame, f->symbol, &t[i], now_ms);
            publish(x, f, KIND_TRADE);
        }
        if (f->kinds & KIND_AGG_TRADE) {
            buf_clear(&x->frame);
            frame_binance_agg_trade(&x->frame, f->symbol, &t[i], now_ms);
            publish(x, f, KIND_AGG_TRADE);
        }
        if (f->kinds & KIND_BOOK) {
            buf_clear(&x->frame);
            frame_binance_book_ticker(&x->frame, f->symbol, &t[i]);
            publish(x, f, KIND_BOOK);
        }
    }
}

static void publish_kline(struct exchange *x, struct feed *f, int64_t minute, int64_t until_ms,
                          int64_t now_ms)
{
    struct sim_candle k;
    int64_t open_ms = minute * SIM_MINUTE_MS, end_ms = open_ms + SIM_MINUTE_MS;
    if (!flow_candle(x->flow, f->venue, f->symbol, open_ms, end_ms, until_ms, &k)) {
        return;
    }
    const struct flow_minute *m = flow_minute(x->flow, f->venue, f->symbol, minute);
    buf_clear(&x->frame);
    frame_binance_kline(&x->frame, f->symbol, &k, m->first_id, until_ms >= end_ms, now_ms);
    publish(x, f, KIND_KLINE);
}

static void second(struct exchange *x, struct feed *f, int64_t now_ms)
{
    int64_t market_ms = loop_wall_ms(x->loop), minute = market_ms / SIM_MINUTE_MS;
    struct frame_day d;
    if (f->kinds & (KIND_MINI | KIND_TICKER) && f->is_new &&
        frame_day_of(x->flow, f->venue, f->symbol, market_ms, &d)) {
        if (f->kinds & KIND_MINI) {
            buf_clear(&x->frame);
            frame_binance_mini_ticker(&x->frame, f->symbol, &d, now_ms);
            publish(x, f, KIND_MINI);
        }
        if (f->kinds & KIND_TICKER) {
            buf_clear(&x->frame);
            frame_binance_ticker(&x->frame, f->symbol, &d, now_ms);
            publish(x, f, KIND_TICKER);
        }
    }
    for (; f->kinds & KIND_KLINE && f->kline_minute < minute; f->kline_minute++) {
        publish_kline(x, f, f->kline_minute, market_ms, now_ms);
    }
    if (f->kinds & KIND_KLINE && market_ms / 1000 % 2 == 0) {
        publish_kline(x, f, minute, market_ms, now_ms);
    }
    f->kline_minute = minute;
}

/* Whether it traded in the last second. */
static bool is_fresh(struct exchange *x, size_t symbol, int64_t market_ms)
{
    struct flow_trade last;
    return flow_last(x->flow, VENUE_BINANCE, symbol, market_ms, &last) &&
           last.at_ms > market_ms - 1000;
}

static void session_second(struct exchange_session *s, int64_t now_ms)
{
    struct exchange *x = s->exchange;
    int64_t market_ms = loop_wall_ms(x->loop);
    struct frame_day d;
    size_t count = 0;
    if (!s->all_minis) {
        return;
    }
    buf_clear(&x->frame);
    buf_add_str(&x->frame, s->wraps ? STR("{\"stream\":\"" ALL_MINIS "\",\"data\":[") : STR("["));
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (venue_lists(VENUE_BINANCE, i) && is_fresh(x, i, market_ms) &&
            frame_day_of(x->flow, VENUE_BINANCE, i, market_ms, &d)) {
            buf_add_str(&x->frame, count++ ? STR(",") : STR(""));
            frame_binance_mini_ticker(&x->frame, i, &d, now_ms);
        }
    }
    buf_add_str(&x->frame, s->wraps ? STR("]}") : STR("]"));
    if (count) {
        exchange_send(s, buf_str(&x->frame));
    }
}

const struct exchange_venue exchange_binance = {.target = "binance/ws",
                                                .open = opened,
                                                .take = taken,
                                                .trades = traded,
                                                .second = second,
                                                .session_second = session_second};
