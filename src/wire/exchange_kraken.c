/* Kraken's WebSocket v2 (docs.kraken.com/api/docs/websocket-v2):
 * `{"channel":…,"type":…,"data":[…]}` and answers `{"method":…,"success":…}`, one a symbol. Prices
 * are JSON numbers whose digits count, so they are kept as text. A pong and acks of what is given
 * up are acks. SPDX-License-Identifier: MIT */
#include "wire/exchange_in.h"

enum slot {
    CHANNEL,
    TYPE,
    DATA,
    METHOD,
    SUCCESS,
    ERROR,
    RESULT,
    REQ_ID,
    SYMBOL,
    TIME,
    SIDE,
    PRICE,
    QTY,
    TRADE_ID,
    BID,
    BID_QTY,
    ASK,
    ASK_QTY,
    LAST,
    OPEN,
    HIGH,
    LOW,
    CLOSE,
    VOLUME,
    CHANGE,
    BEGIN,
    INTERVAL,
    SYSTEM,
    SLOTS,
};

static_assert(SLOTS <= SLOTS_MAX, "each member has a slot");

static unsigned slot_of_long(struct str key)
{
    switch (key.len) {
    case 7:
        return IS("channel")   ? CHANNEL
               : IS("success") ? SUCCESS
               : IS("bid_qty") ? BID_QTY
               : IS("ask_qty") ? ASK_QTY
                               : SLOT_NONE;
    case 8:
        return IS("trade_id") ? TRADE_ID : IS("interval") ? INTERVAL : SLOT_NONE;
    case 9:
        return IS("timestamp") ? TIME : SLOT_NONE;
    case 10:
        return IS("change_pct") ? CHANGE : SLOT_NONE;
    case 14:
        return IS("interval_begin") ? BEGIN : SLOT_NONE;
    default:
        return SLOT_NONE;
    }
}

static unsigned slot_of(struct str key)
{
    switch (key.len) {
    case 3:
        return IS("qty") ? QTY : IS("bid") ? BID : IS("ask") ? ASK : IS("low") ? LOW : SLOT_NONE;
    case 4:
        return IS("side")   ? SIDE
               : IS("type") ? TYPE
               : IS("data") ? DATA
               : IS("last") ? LAST
               : IS("high") ? HIGH
               : IS("open") ? OPEN
                            : SLOT_NONE;
    case 5:
        return IS("price") ? PRICE : IS("close") ? CLOSE : IS("error") ? ERROR : SLOT_NONE;
    case 6:
        return IS("symbol")   ? SYMBOL
               : IS("volume") ? VOLUME
               : IS("method") ? METHOD
               : IS("result") ? RESULT
               : IS("req_id") ? REQ_ID
               : IS("system") ? SYSTEM
                              : SLOT_NONE;
    default:
        return slot_of_long(key);
    }
}

static bool take_members(struct scan *s, struct slots *m)
{
    return slots_take(s, slot_of, m);
}

static void read_trade(struct reader *r, const struct slots *m, bool snapshot)
{
    struct exchange_event e = {.kind = EX_TRADE,
                               .instrument = m->v[SYMBOL],
                               .snapshot = snapshot,
                               .taker = side_of(m->v[SIDE])};
    if (!reader_positive(r, m->v[PRICE], &e.price, "a trade's price that cannot be") ||
        !reader_positive(r, m->v[QTY], &e.quantity, "a trade's quantity that cannot be") ||
        !reader_id(r, m->v[TRADE_ID], &e.id) || !reader_time(r, m->v[TIME], &e.time_us)) {
        return;
    }
    e.first_id = e.id;
    r->event(r->self, &e);
}

static void read_day(struct reader *r, const struct slots *m, bool snapshot)
{
    struct exchange_event e = {.kind = EX_DAY, .instrument = m->v[SYMBOL], .snapshot = snapshot};
    bool high = false;
    bool low = false;
    if (!reader_positive(r, m->v[LAST], &e.price, "a last price that cannot be") ||
        !reader_optional(r, m->v[HIGH], &e.high_24h, &high) ||
        !reader_optional(r, m->v[LOW], &e.low_24h, &low) ||
        !reader_optional(r, m->v[VOLUME], &e.volume_24h, &e.has_volume) ||
        !reader_change(r, m->v[CHANGE], &e) ||
        !reader_book(r, m->v[BID], m->v[BID_QTY], m->v[ASK], m->v[ASK_QTY], &e) ||
        !reader_time(r, m->v[TIME], &e.time_us)) {
        return;
    }
    e.has_range = high && low;
    r->event(r->self, &e);
}

static void read_candle(struct reader *r, const struct slots *m, bool snapshot)
{
    struct exchange_event e = {.kind = EX_CANDLE, .instrument = m->v[SYMBOL], .snapshot = snapshot};
    const struct str ohlcv[5] = {m->v[OPEN], m->v[HIGH], m->v[LOW], m->v[CLOSE], m->v[VOLUME]};
    int64_t begin_us = 0;
    uint64_t minutes = 0;
    if (!reader_candle(r, ohlcv, &e) || !reader_time(r, m->v[BEGIN], &begin_us) ||
        !reader_id(r, m->v[INTERVAL], &minutes) || !reader_time(r, m->v[TIME], &e.time_us)) {
        return;
    }
    e.open_ms = begin_us / 1000;
    e.interval_ms = minutes < 1000000 ? (int64_t)minutes * 60000 : 0;
    r->event(r->self, &e);
}

/* "online", "maintenance", "cancel_only", "post_only". */
static void read_status(struct reader *r, const struct slots *m, bool snapshot)
{
    (void)snapshot;
    reader_say(r, EX_STATUS, (struct str){0}, 0, m->v[SYSTEM].ptr ? m->v[SYSTEM] : STR("status"));
}

typedef void (*item_fn)(struct reader *r, const struct slots *m, bool snapshot);

static void read_list(struct reader *r, const struct slots *frame, item_fn item)
{
    struct scan s;
    bool snapshot = slot_is(frame->v[TYPE], STR("snapshot"));
    if (!reader_list(r, &s, frame->v[DATA], "a channel without its list")) {
        return;
    }
    while (r->err == OK && scan_item(&s)) {
        struct slots m;
        if (reader_item(r, &s, take_members, &m)) {
            item(r, &m, snapshot);
        }
    }
}

static void read_channel(struct reader *r, const struct slots *m)
{
    struct str channel = m->v[CHANNEL];
    if (slot_is(channel, STR("trade"))) {
        read_list(r, m, read_trade);
    } else if (slot_is(channel, STR("ticker"))) {
        read_list(r, m, read_day);
    } else if (slot_is(channel, STR("heartbeat"))) {
        reader_say(r, EX_HEARTBEAT, (struct str){0}, 0, channel);
    } else if (slot_is(channel, STR("ohlc"))) {
        read_list(r, m, read_candle);
    } else if (slot_is(channel, STR("status"))) {
        read_list(r, m, read_status);
    } else if (slot_is(channel, STR("book")) || slot_is(channel, STR("instrument")) ||
               slot_is(channel, STR("level3"))) {
        reader_say(r, EX_IGNORED, (struct str){0}, 0, channel);
    } else {
        reader_fail(r, ERR_UNSUPPORTED, "a channel that nobody knows");
    }
}

/* The symbol stands in `result`, or beside it. */
static void read_answer(struct reader *r, const struct slots *m)
{
    struct slots result;
    struct scan s;
    uint64_t id = 0;
    scan_begin(&s, m->v[RESULT].ptr ? m->v[RESULT] : STR("{}"));
    (void)take_members(&s, &result);
    struct str symbol = result.v[SYMBOL].ptr ? result.v[SYMBOL] : m->v[SYMBOL];
    bool refused = slot_is(m->v[SUCCESS], STR("false")) || m->v[ERROR].len > 0;
    if (!reader_id(r, m->v[REQ_ID], &id)) {
        return;
    }
    if (refused) {
        struct str text = m->v[ERROR].len > 0 ? m->v[ERROR] : STR("refused without a reason");
        reader_say(r, EX_REFUSED, symbol, id, text);
    } else {
        reader_say(r, EX_ACK, symbol, id, result.v[CHANNEL]);
    }
}

enum err kraken_read_frame(struct str frame, exchange_event_fn event, void *self, const char **why)
{
    struct reader r = {.event = event, .self = self};
    struct slots m;
    if (!reader_frame(&r, frame, take_members, &m)) {
        return reader_end(&r, why);
    }
    if (m.v[CHANNEL].ptr) {
        read_channel(&r, &m);
    } else if (m.v[METHOD].ptr || m.v[ERROR].ptr) {
        read_answer(&r, &m);
    } else {
        reader_fail(&r, ERR_UNSUPPORTED, "neither a channel nor an answer");
    }
    return reader_end(&r, why);
}
