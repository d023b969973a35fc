/* Binance Spot market streams: github.com/binance/binance-spot-api-docs, web-socket-streams.md.
 *
 * Members of a payload have names of one letter, whose meaning depends on the event `e`; the best
 * bid and ask (bookTicker) come without one. Raw payloads and those of combined streams
 * (`{"stream":…,"data":…}`) are the same to us.
 * SPDX-License-Identifier: MIT */
#include "wire/exchange_in.h"

enum { LETTERS = 'z' - 'A' + 1 };

struct payload {
    struct str letter[LETTERS];
    struct str list;             /* the payload is an array of payloads */
    struct str result, id, code; /* answers to requests */
    struct str message, error;
    struct str book; /* lastUpdateId: a snapshot of the book */
    bool has_result; /* also when it is null */
};

static struct str member(const struct payload *p, char name)
{
    return p->letter[name - 'A'];
}

static void take_member(struct scan *s, struct payload *p, struct str key)
{
    struct str value = reader_value(s);
    if (str_eq(key, STR("id"))) {
        p->id = value;
    } else if (str_eq(key, STR("result"))) {
        p->result = value;
        p->has_result = true;
    } else if (str_eq(key, STR("code"))) {
        p->code = value;
    } else if (str_eq(key, STR("msg"))) {
        p->message = value;
    } else if (str_eq(key, STR("error"))) {
        p->error = value;
    } else if (str_eq(key, STR("lastUpdateId"))) {
        p->book = value;
    }
}

/* Walks the object entered last; that of `data` is walked as if its members stood here. */
static void take_members(struct scan *s, struct payload *p)
{
    struct str key;
    while (scan_key(s, &key)) {
        if (likely(key.len == 1 && key.ptr[0] >= 'A' && key.ptr[0] <= 'z')) {
            p->letter[key.ptr[0] - 'A'] = reader_value(s);
        } else if (!slot_is(key, STR("data"))) {
            take_member(s, p, key);
        } else if (scan_object(s)) {
            while (scan_key(s, &key)) {
                if (likely(key.len == 1 && key.ptr[0] >= 'A' && key.ptr[0] <= 'z')) {
                    p->letter[key.ptr[0] - 'A'] = reader_value(s);
                } else {
                    take_member(s, p, key);
                }
            }
        } else {
            (void)scan_skip(s, &p->list);
        }
    }
}

static void read_trade(struct reader *r, const struct payload *p, bool aggregate)
{
    struct exchange_event e = {.kind = EX_TRADE, .instrument = member(p, 's')};
    if (!reader_positive(r, member(p, 'p'), &e.price, "a trade's price that cannot be") ||
        !reader_positive(r, member(p, 'q'), &e.quantity, "a trade's quantity that cannot be") ||
        !reader_id(r, member(p, aggregate ? 'l' : 't'), &e.id) ||
        !reader_id(r, member(p, aggregate ? 'f' : 't'), &e.first_id) ||
        !reader_time(r, member(p, 'T'), &e.time_us) ||
        !reader_time(r, member(p, 'E'), &e.sent_us)) {
        return;
    }
    struct str maker = member(p, 'm'); /* whether the buyer was the maker */
    e.taker = slot_is(maker, STR("true"))    ? SIDE_SELL
              : slot_is(maker, STR("false")) ? SIDE_BUY
                                             : SIDE_UNKNOWN;
    r->event(r->self, &e);
}

static void read_book(struct reader *r, const struct payload *p)
{
    struct exchange_event e = {.kind = EX_BOOK, .instrument = member(p, 's')};
    if (!reader_book(r, member(p, 'b'), member(p, 'B'), member(p, 'a'), member(p, 'A'), &e) ||
        !reader_time(r, member(p, 'T'), &e.time_us) ||
        !reader_time(r, member(p, 'E'), &e.sent_us)) {
        return;
    }
    if (!e.has_book) {
        reader_fail(r, ERR_RANGE, "a side of the book without a price");
        return;
    }
    r->event(r->self, &e);
}

static void read_day(struct reader *r, const struct payload *p)
{
    struct exchange_event e = {.kind = EX_DAY, .instrument = member(p, 's')};
    bool high = false;
    bool low = false;
    if (!reader_positive(r, member(p, 'c'), &e.price, "a last price that cannot be") ||
        !reader_optional(r, member(p, 'o'), &e.open_24h, &e.has_open) ||
        !reader_optional(r, member(p, 'h'), &e.high_24h, &high) ||
        !reader_optional(r, member(p, 'l'), &e.low_24h, &low) ||
        !reader_optional(r, member(p, 'v'), &e.volume_24h, &e.has_volume) ||
        !reader_optional(r, member(p, 'q'), &e.quote_volume_24h, &e.has_quote_volume) ||
        !reader_change(r, member(p, 'P'), &e) ||
        !reader_book(r, member(p, 'b'), member(p, 'B'), member(p, 'a'), member(p, 'A'), &e) ||
        !reader_time(r, member(p, 'C'), &e.time_us) ||
        !reader_time(r, member(p, 'E'), &e.sent_us)) {
        return;
    }
    e.has_range = high && low;
    e.time_us = e.time_us ? e.time_us : e.sent_us;
    r->event(r->self, &e);
}

/* "1s", "15m", "1M" and so on; 0: none. */
static int64_t interval_ms(struct str text)
{
    uint64_t count = 0;
    if (text.len < 2 || str_to_u64(str_sub(text, 0, text.len - 1), &count) != OK || count > 1000) {
        return 0;
    }
    switch (text.ptr[text.len - 1]) {
    case 's':
        return (int64_t)count * 1000;
    case 'm':
        return (int64_t)count * 60000;
    case 'h':
        return (int64_t)count * 3600000;
    case 'd':
        return (int64_t)count * 86400000;
    case 'w':
        return (int64_t)count * 604800000;
    default:
        return 0; /* months have no length */
    }
}

static void read_candle(struct reader *r, const struct payload *p)
{
    struct exchange_event e = {.kind = EX_CANDLE, .instrument = member(p, 's')};
    struct payload k = {0};
    struct scan s;
    scan_begin(&s, member(p, 'k'));
    if (!scan_object(&s)) {
        reader_fail(r, ERR_SYNTAX, "a kline without its candle");
        return;
    }
    take_members(&s, &k);
    const struct str ohlcv[5] = {member(&k, 'o'), member(&k, 'h'), member(&k, 'l'), member(&k, 'c'),
                                 member(&k, 'v')};
    int64_t open_us = 0;
    if (!reader_candle(r, ohlcv, &e) ||
        !reader_optional(r, member(&k, 'q'), &e.quote_volume_24h, &e.has_quote_volume) ||
        !reader_time(r, member(&k, 't'), &open_us) || !reader_time(r, member(p, 'E'), &e.sent_us)) {
        return;
    }
    e.open_ms = open_us / 1000;
    e.interval_ms = interval_ms(member(&k, 'i'));
    e.closed = slot_is(member(&k, 'x'), STR("true"));
    e.time_us = e.sent_us;
    r->event(r->self, &e);
}

static void read_named(struct reader *r, const struct payload *p, struct str name)
{
    static const char *const of_no_use[] = {"depthUpdate", "avgPrice", "1hTicker", "4hTicker",
                                            "1dTicker"};
    if (slot_is(name, STR("trade"))) {
        read_trade(r, p, false);
    } else if (slot_is(name, STR("aggTrade"))) {
        read_trade(r, p, true);
    } else if (slot_is(name, STR("bookTicker"))) {
        read_book(r, p);
    } else if (slot_is(name, STR("24hrTicker")) || slot_is(name, STR("24hrMiniTicker"))) {
        read_day(r, p);
    } else if (slot_is(name, STR("kline"))) {
        read_candle(r, p);
    } else if (slot_is(name, STR("serverShutdown"))) {
        reader_say(r, EX_SHUTDOWN, (struct str){0}, 0, name);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(of_no_use); i++) {
            if (str_eq(name, str_of(of_no_use[i]))) {
                reader_say(r, EX_IGNORED, member(p, 's'), 0, name);
                return;
            }
        }
        reader_fail(r, ERR_UNSUPPORTED, "an event of a kind nobody knows");
    }
}

/* {"code":2,"msg":"…"}, by itself or within `error`. */
static void read_refusal(struct reader *r, const struct payload *p)
{
    struct payload inner = *p;
    struct scan s;
    uint64_t id = 0;
    scan_begin(&s, p->error.ptr ? p->error : STR("{}"));
    if (scan_object(&s)) {
        take_members(&s, &inner);
    } else {
        inner.message = p->error;
    }
    struct str text = inner.message.ptr ? inner.message : STR("refused without a reason");
    if (reader_id(r, p->id, &id)) {
        reader_say(r, EX_REFUSED, (struct str){0}, id, text);
    }
}

static void read_payload(struct reader *r, const struct payload *p)
{
    uint64_t id = 0;
    if (member(p, 'e').ptr) {
        read_named(r, p, member(p, 'e'));
    } else if (member(p, 'u').ptr && member(p, 's').ptr && member(p, 'b').ptr) {
        read_book(r, p);
    } else if (p->error.ptr || (p->code.ptr && p->message.ptr)) {
        read_refusal(r, p);
    } else if (p->has_result) {
        if (reader_id(r, p->id, &id)) {
            reader_say(r, EX_ACK, (struct str){0}, id, STR(""));
        }
    } else if (p->book.ptr) {
        reader_say(r, EX_IGNORED, (struct str){0}, 0, STR("book snapshot"));
    } else {
        reader_fail(r, ERR_UNSUPPORTED, "neither an event nor an answer");
    }
}

/* All-market streams give arrays of payloads. */
static void read_list(struct reader *r, struct str list)
{
    struct scan s;
    scan_begin(&s, list);
    if (!scan_array(&s)) {
        reader_fail(r, ERR_UNSUPPORTED, "neither an event nor a list of events");
        return;
    }
    while (r->err == OK && scan_item(&s)) {
        struct payload p = {0};
        if (!scan_object(&s)) {
            reader_fail(r, ERR_UNSUPPORTED, "a list of something else than events");
            return;
        }
        take_members(&s, &p);
        read_payload(r, &p);
    }
}

enum err binance_read_frame(struct str frame, exchange_event_fn event, void *self, const char **why)
{
    struct reader r = {.event = event, .self = self};
    struct payload p = {0};
    struct scan s;
    scan_begin(&s, frame);
    if (scan_object(&s)) {
        take_members(&s, &p);
    } else {
        (void)scan_skip(&s, &p.list);
    }
    if (scan_end(&s) != OK) {
        reader_fail(&r, ERR_SYNTAX, s.error);
    } else if (p.list.ptr) {
        read_list(&r, p.list);
    } else {
        read_payload(&r, &p);
    }
    return reader_end(&r, why);
}
