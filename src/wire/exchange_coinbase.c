/* Coinbase: the Exchange feed (docs.cdp.coinbase.com/exchange, flat objects with a `type`) and
 * Advanced Trade (an envelope with a `channel` and `events`).
 *
 * Sides: `side` of match, last_match and market_trades is the maker's, that of ticker the taker's.
 * `sequence` counts all messages of a product and has holes for who takes some channels only, so it
 * is not read. SPDX-License-Identifier: MIT */
#include "wire/exchange_in.h"

enum slot {
    TYPE,
    SIDE,
    TIME,
    SIZE,
    PRICE,
    REASON,
    MESSAGE,
    PRODUCT,
    TRADE_ID,
    LAST_TRADE_ID,
    LAST_SIZE,
    BID,
    BID_SIZE,
    ASK,
    ASK_SIZE,
    OPEN,
    HIGH,
    LOW,
    CLOSE,
    VOLUME,
    CHANGE,
    START,
    CHANNEL,
    EVENTS,
    TIMESTAMP,
    LIST, /* of an event: trades, tickers, candles */
    SLOTS,
};

static_assert(SLOTS <= SLOTS_MAX, "each member has a slot");

static unsigned slot_of_long(struct str key)
{
    switch (key.len) {
    case 9:
        return IS("last_size")   ? LAST_SIZE
               : IS("timestamp") ? TIMESTAMP
               : IS("high_24_h") ? HIGH
                                 : SLOT_NONE;
    case 10:
        return IS("product_id") ? PRODUCT : IS("volume_24h") ? VOLUME : SLOT_NONE;
    case 11:
        return IS("volume_24_h") ? VOLUME : SLOT_NONE;
    case 13:
        return IS("best_bid_size")   ? BID_SIZE
               : IS("best_ask_size") ? ASK_SIZE
               : IS("last_trade_id") ? LAST_TRADE_ID
                                     : SLOT_NONE;
    case 17:
        return IS("best_bid_quantity") ? BID_SIZE : IS("best_ask_quantity") ? ASK_SIZE : SLOT_NONE;
    case 22:
        return IS("price_percent_chg_24_h") ? CHANGE : SLOT_NONE;
    default:
        return SLOT_NONE;
    }
}

static unsigned slot_of(struct str key)
{
    switch (key.len) {
    case 3:
        return IS("low") ? LOW : SLOT_NONE;
    case 4:
        return IS("type")   ? TYPE
               : IS("side") ? SIDE
               : IS("time") ? TIME
               : IS("size") ? SIZE
               : IS("open") ? OPEN
               : IS("high") ? HIGH
                            : SLOT_NONE;
    case 5:
        return IS("price") ? PRICE : IS("start") ? START : IS("close") ? CLOSE : SLOT_NONE;
    case 6:
        return IS("reason")   ? REASON
               : IS("events") ? EVENTS
               : IS("trades") ? LIST
               : IS("volume") ? VOLUME
                              : SLOT_NONE;
    case 7:
        return IS("message")   ? MESSAGE
               : IS("channel") ? CHANNEL
               : IS("low_24h") ? LOW
               : IS("tickers") ? LIST
               : IS("candles") ? LIST
                               : SLOT_NONE;
    case 8:
        return IS("trade_id")   ? TRADE_ID
               : IS("best_bid") ? BID
               : IS("best_ask") ? ASK
               : IS("open_24h") ? OPEN
               : IS("high_24h") ? HIGH
               : IS("low_24_h") ? LOW
                                : SLOT_NONE;
    default:
        return slot_of_long(key);
    }
}

static bool take_members(struct scan *s, struct slots *m)
{
    return slots_take(s, slot_of, m);
}

/* `sent_us`: of the envelope, 0 without. */
static void read_trade(struct reader *r, const struct slots *m, bool snapshot, int64_t sent_us)
{
    struct exchange_event e = {.kind = EX_TRADE,
                               .instrument = m->v[PRODUCT],
                               .snapshot = snapshot,
                               .sent_us = sent_us,
                               .taker = side_opposite(side_of(m->v[SIDE]))};
    if (!reader_positive(r, m->v[PRICE], &e.price, "a trade's price that cannot be") ||
        !reader_positive(r, m->v[SIZE], &e.quantity, "a trade's size that cannot be") ||
        !reader_id(r, m->v[TRADE_ID], &e.id) || !reader_time(r, m->v[TIME], &e.time_us)) {
        return;
    }
    e.first_id = e.id;
    r->event(r->self, &e);
}

static void read_day(struct reader *r, const struct slots *m, bool snapshot, int64_t sent_us)
{
    struct exchange_event e = {.kind = EX_DAY,
                               .instrument = m->v[PRODUCT],
                               .snapshot = snapshot,
                               .sent_us = sent_us,
                               .taker = side_of(m->v[SIDE])};
    bool high = false;
    bool low = false;
    bool size = false;
    if (!reader_positive(r, m->v[PRICE], &e.price, "a last price that cannot be") ||
        !reader_optional(r, m->v[OPEN], &e.open_24h, &e.has_open) ||
        !reader_optional(r, m->v[HIGH], &e.high_24h, &high) ||
        !reader_optional(r, m->v[LOW], &e.low_24h, &low) ||
        !reader_optional(r, m->v[VOLUME], &e.volume_24h, &e.has_volume) ||
        !reader_optional(r, m->v[LAST_SIZE], &e.quantity, &size) ||
        !reader_change(r, m->v[CHANGE], &e) ||
        !reader_book(r, m->v[BID], m->v[BID_SIZE], m->v[ASK], m->v[ASK_SIZE], &e) ||
        !reader_id(r, m->v[TRADE_ID], &e.id) || !reader_time(r, m->v[TIME], &e.time_us)) {
        return;
    }
    e.has_range = high && low;
    e.time_us = e.time_us ? e.time_us : sent_us;
    r->event(r->self, &e);
}

/* Advanced Trade's candles are of five minutes and sent while they are open. */
static void read_candle(struct reader *r, const struct slots *m, bool snapshot, int64_t sent_us)
{
    struct exchange_event e = {.kind = EX_CANDLE,
                               .instrument = m->v[PRODUCT],
                               .snapshot = snapshot,
                               .sent_us = sent_us,
                               .time_us = sent_us,
                               .interval_ms = 300000};
    const struct str ohlcv[5] = {m->v[OPEN], m->v[HIGH], m->v[LOW], m->v[CLOSE], m->v[VOLUME]};
    int64_t open_us = 0;
    if (reader_candle(r, ohlcv, &e) && reader_time(r, m->v[START], &open_us)) {
        e.open_ms = open_us / 1000;
        r->event(r->self, &e);
    }
}

static void read_heartbeat(struct reader *r, const struct slots *m)
{
    struct exchange_event e = {.kind = EX_HEARTBEAT, .instrument = m->v[PRODUCT]};
    if (reader_id(r, m->v[LAST_TRADE_ID], &e.id) && reader_time(r, m->v[TIME], &e.time_us)) {
        r->event(r->self, &e);
    }
}

/* "NOPE-USD is not a valid product": the name in front, where it has the form of one. */
static struct str refused_product(struct str text)
{
    size_t at = str_find_str(text, STR(" is not a valid product"));
    if (at == SIZE_MAX) {
        return (struct str){0};
    }
    size_t from = at;
    while (from > 0 && text.ptr[from - 1] != ' ') {
        from--;
    }
    return str_sub(text, from, at - from);
}

static void read_error(struct reader *r, const struct slots *m)
{
    struct str text = m->v[REASON].len > 0    ? m->v[REASON]
                      : m->v[MESSAGE].len > 0 ? m->v[MESSAGE]
                                              : STR("refused without a reason");
    reader_say(r, EX_REFUSED, refused_product(text), 0, text);
}

static bool is_one_of(struct str name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(name, str_of(list[i]))) {
            return true;
        }
    }
    return false;
}

static void read_flat(struct reader *r, const struct slots *m)
{
    static const char *const of_no_use[] = {"l2update", "snapshot", "received", "open",     "done",
                                            "change",   "activate", "auction",  "rfq_match"};
    struct str type = m->v[TYPE];
    if (slot_is(type, STR("match"))) {
        read_trade(r, m, false, 0);
    } else if (slot_is(type, STR("ticker"))) {
        read_day(r, m, false, 0);
    } else if (slot_is(type, STR("heartbeat"))) {
        read_heartbeat(r, m);
    } else if (slot_is(type, STR("last_match"))) {
        read_trade(r, m, true, 0);
    } else if (slot_is(type, STR("subscriptions"))) {
        reader_say(r, EX_ACK, (struct str){0}, 0, STR(""));
    } else if (slot_is(type, STR("error"))) {
        read_error(r, m);
    } else if (slot_is(type, STR("status"))) {
        reader_say(r, EX_STATUS, (struct str){0}, 0, STR("status"));
    } else if (is_one_of(type, of_no_use, ARRAY_LEN(of_no_use))) {
        reader_say(r, EX_IGNORED, m->v[PRODUCT], 0, type);
    } else {
        reader_fail(r, ERR_UNSUPPORTED,
                    type.ptr ? "a type that nobody knows" : "neither a type nor a channel");
    }
}

/* ---- Advanced Trade ---- */

typedef void (*item_fn)(struct reader *r, const struct slots *m, bool snapshot, int64_t sent_us);

/* More than that in one event nobody has seen; trades come up to 100. */
#define ITEMS_MAX 1000

/* The items of an event; those of market_trades come newest first and are given oldest first. */
static void read_list(struct reader *r, struct str list, item_fn item, bool snapshot,
                      int64_t sent_us)
{
    struct str items[ITEMS_MAX];
    size_t count = 0;
    struct scan s;
    if (!reader_list(r, &s, list, "an event without its list")) {
        return;
    }
    while (count < ITEMS_MAX && scan_item(&s)) {
        (void)scan_skip(&s, &items[count++]);
    }
    if (count == ITEMS_MAX) {
        reader_fail(r, ERR_UNSUPPORTED, "an event with more items than it can have");
    }
    for (size_t i = 0; i < count && r->err == OK; i++) {
        struct slots m;
        scan_begin(&s, items[item == read_trade ? count - 1 - i : i]);
        if (reader_item(r, &s, take_members, &m)) {
            item(r, &m, snapshot, sent_us);
        }
    }
}

static void read_events(struct reader *r, const struct slots *m, item_fn item, int64_t sent_us)
{
    struct scan s;
    if (!reader_list(r, &s, m->v[EVENTS], "a channel without events")) {
        return;
    }
    while (r->err == OK && scan_item(&s)) {
        struct slots event;
        if (reader_item(r, &s, take_members, &event)) {
            bool snapshot = slot_is(event.v[TYPE], STR("snapshot"));
            read_list(r, event.v[LIST], item, snapshot, sent_us);
        }
    }
}

static void read_channel(struct reader *r, const struct slots *m)
{
    static const char *const of_no_use[] = {"l2_data", "status", "user", "futures_balance_summary"};
    struct str channel = m->v[CHANNEL];
    int64_t sent_us = 0;
    if (!reader_time(r, m->v[TIMESTAMP], &sent_us)) {
        return;
    }
    if (slot_is(channel, STR("market_trades"))) {
        read_events(r, m, read_trade, sent_us);
    } else if (slot_is(channel, STR("ticker")) || slot_is(channel, STR("ticker_batch"))) {
        read_events(r, m, read_day, sent_us);
    } else if (slot_is(channel, STR("candles"))) {
        read_events(r, m, read_candle, sent_us);
    } else if (slot_is(channel, STR("heartbeats"))) {
        struct exchange_event e = {.kind = EX_HEARTBEAT, .time_us = sent_us, .sent_us = sent_us};
        r->event(r->self, &e);
    } else if (slot_is(channel, STR("subscriptions"))) {
        reader_say(r, EX_ACK, (struct str){0}, 0, STR(""));
    } else if (is_one_of(channel, of_no_use, ARRAY_LEN(of_no_use))) {
        reader_say(r, EX_IGNORED, (struct str){0}, 0, channel);
    } else {
        reader_fail(r, ERR_UNSUPPORTED, "a channel that nobody knows");
    }
}

enum err coinbase_read_frame(struct str frame, exchange_event_fn event, void *self,
                             const char **why)
{
    struct reader r = {.event = event, .self = self};
    struct slots m;
    if (!reader_frame(&r, frame, take_members, &m)) {
        return reader_end(&r, why);
    }
    if (m.v[CHANNEL].ptr) {
        read_channel(&r, &m);
    } else {
        read_flat(&r, &m);
    }
    return reader_end(&r, why);
}
