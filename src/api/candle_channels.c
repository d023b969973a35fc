/* The channels candles:SYMBOL:INTERVAL: the open candle while somebody watches, closed ones always.
 * SPDX-License-Identifier: MIT */
#include "api/main_in.h"
#include "api/market_messages.h"
#include "base/alloc.h"
#include "base/log.h"

enum { OPEN_MS = 250 };
/* The open candle has a slot, closed ones a few in turn: one that closes right behind another, or
 * is amended, does not overtake it on the way to a slow client. */
enum { SLOT_OPEN, SLOT_CLOSED, CLOSED_SLOTS = 4 };

struct candle_channel {
    const struct channel_info *info; /* NULL: not made yet */
    uint32_t watchers;               /* shards on which somebody watches */
    bool due;
    bool refused; /* there are too many channels */
};

/* What a replay publishes must not depend on who looks at it: there everything is watched. */
static bool all_watched(const struct api_main *a)
{
    return a->opts.summary->mode == MODE_REPLAY;
}

static size_t index_of(uint32_t key, enum interval i)
{
    return (size_t)key * INTERVALS + (size_t)i;
}

static struct candle_channel *channel_at(struct api_main *a, uint32_t key, enum interval i)
{
    struct markets *m = &a->markets;
    size_t at = index_of(key, i);
    if (at >= m->candles_count) {
        size_t count = max_size(at + 1, m->candles_count * 2);
        m->candles = mem_resize(m->candles, count * sizeof(*m->candles));
        memset(&m->candles[m->candles_count], 0, (count - m->candles_count) * sizeof(*m->candles));
        m->candles_count = count;
    }
    return &m->candles[at];
}

static bool made(struct api_main *a, struct candle_channel *ch, uint32_t key, enum interval i)
{
    if (!ch->info && !ch->refused) {
        struct buf name = {0};
        buf_printf(&name, "candles:%s:%s", a->markets.symbols[key].name, interval_name(i));
        ch->refused = hub_channel(a->opts.hub, buf_str(&name), STR("candles"), CHANNEL_STATE,
                                  &ch->info) != OK;
        if (ch->refused) {
            log_warn("api", "too many channels", "channel=%s", buf_text(&name));
        }
        buf_fini(&name);
    }
    return ch->info != NULL;
}

static void publish(struct api_main *a, uint32_t key, enum interval i, const struct candle *c,
                    bool closed)
{
    struct candle_channel *ch = channel_at(a, key, i);
    uint32_t id = a->markets.symbols[key].market_id;
    if (!made(a, ch, key, i)) {
        return;
    }
    enum market_venue venue = candles_venue(a->opts.candles, id);
    struct candles_text text = {
        .symbol = a->markets.symbols[key].name,
        .interval = i,
        .venue = venue,
        .usdt = venue != MARKET_VENUES && market_quote(a->opts.market, id)->feeds[venue].usdt,
    };
    struct buf data = {0};
    struct json_writer w;
    uint32_t slot =
        closed ? SLOT_CLOSED + (uint32_t)(c->open_ms / interval_ms(i) % CLOSED_SLOTS) : SLOT_OPEN;
    json_begin(&w, &data);
    json_object(&w);
    message_candles_head(&w, &text);
    json_key(&w, "candle");
    message_candle(&w, c, venue);
    json_object_end(&w);
    markets_publish(a, ch->info, slot, buf_str(&data), true);
    buf_fini(&data);
}

/* The newest of the series as they are now: what a client should see first. */
static void publish_newest(struct api_main *a, uint32_t key, enum interval i)
{
    uint32_t id = a->markets.symbols[key].market_id;
    size_t count = 0;
    if (!a->opts.candles || id == MARKET_NO_SYMBOL) {
        return;
    }
    const struct candle *rows = candles_series(a->opts.candles, id, i, &count);
    for (size_t n = count > 2 ? count - 2 : 0; n < count; n++) {
        publish(a, key, i, &rows[n], (rows[n].flags & CANDLE_CLOSED) != 0);
    }
}

static void open_due(void *self)
{
    struct api_main *a = self;
    struct markets *m = &a->markets;
    size_t due = m->due_count;
    for (size_t n = 0; n < due; n++) {
        uint32_t key = m->due[n] / INTERVALS;
        enum interval i = (enum interval)(m->due[n] % INTERVALS);
        size_t count = 0;
        m->candles[m->due[n]].due = false;
        const struct candle *rows =
            candles_series(a->opts.candles, m->symbols[key].market_id, i, &count);
        if (count && !(rows[count - 1].flags & CANDLE_CLOSED)) {
            publish(a, key, i, &rows[count - 1], false);
        }
    }
    m->due_count = 0;
}

static void mark_open(struct api_main *a, uint32_t key, enum interval i)
{
    struct markets *m = &a->markets;
    struct candle_channel *ch = channel_at(a, key, i);
    if ((!ch->watchers && !all_watched(a)) || ch->due) {
        return;
    }
    if (m->due_count == m->due_cap) {
        m->due_cap = m->due_cap ? m->due_cap * 2 : 64;
        m->due = mem_resize(m->due, m->due_cap * sizeof(*m->due));
    }
    ch->due = true;
    m->due[m->due_count++] = (uint32_t)index_of(key, i);
    if (!timer_active(&m->candles_timer)) {
        timer_start(a->opts.loop, &m->candles_timer, loop_now_ms(a->opts.loop) + OPEN_MS, open_due,
                    a);
    }
}

void api_main_candle(struct api_main *a, uint32_t symbol, enum interval i, const struct candle *c,
                     bool closed)
{
    uint32_t key = a->opts.settings->sources && a->opts.market && a->opts.candles
                       ? markets_key(a, symbol)
                       : CATALOGUE_NONE;
    if (key == CATALOGUE_NONE) {
        return;
    }
    if (closed && (c->flags & CANDLE_HISTORY) && !channel_at(a, key, i)->watchers &&
        !all_watched(a)) {
        return; /* hundreds of these come at the start, and REST has them all */
    }
    if (closed) {
        publish(a, key, i, c, true);
    } else {
        mark_open(a, key, i);
    }
}

void candle_channels_watch(struct api_main *a, uint32_t key, enum interval i, bool on)
{
    struct candle_channel *ch = channel_at(a, key, i);
    if (!on) {
        ch->watchers -= ch->watchers > 0;
    } else if (++ch->watchers == 1 && !all_watched(a)) {
        publish_newest(a, key, i);
    }
}

void api_main_candles_came(struct api_main *a, uint32_t symbol, enum interval i)
{
    uint32_t key = a->opts.market && a->opts.candles ? markets_key(a, symbol) : CATALOGUE_NONE;
    if (key == CATALOGUE_NONE || !channel_at(a, key, i)->watchers || all_watched(a)) {
        return;
    }
    size_t count = 0;
    const struct candle *rows = candles_series(a->opts.candles, symbol, i, &count);
    if (count && rows[count - 1].flags & CANDLE_HISTORY) { /* else they have been told newer ones */
        publish_newest(a, key, i);
    }
}

void candle_channels_again(struct api_main *a)
{
    struct markets *m = &a->markets;
    for (size_t n = 0; n < m->candles_count; n++) {
        if (m->candles[n].info) {
            publish_newest(a, (uint32_t)(n / INTERVALS), (enum interval)(n % INTERVALS));
        }
    }
}

void candle_channels_fini(struct api_main *a)
{
    timer_stop(a->opts.loop, &a->markets.candles_timer);
    mem_free(a->markets.candles);
    mem_free(a->markets.due);
}
