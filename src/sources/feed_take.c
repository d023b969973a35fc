/* What comes of a frame: ticks, and what is missing between them.
 *
 * Trade ids of an instrument rise by one without a hole on all three venues. A hole is looked at
 * half a second later (while a connection is replaced by another, the old one may still deliver
 * what the new one began too late for), then asked of REST, or given up as a gap of time.
 * SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "sources/feed.h"

#include <math.h>

#define HOLE_PATIENCE_MS 500
#define AHEAD_PATIENCE_MS 2000
/* In a replay, for the answer: longer than a venue that is asked too often is left alone. */
#define RECORDED_PATIENCE_MS 360000
#define BAD_FRAMES_MAX 10
/* Ids that fall back by more than this much time begin anew. */
#define ANEW_MS 60000

struct taking {
    struct venue_feed *vf;
    struct feed_session *session; /* NULL: of a recording */
};

static enum market_venue market_venue_of(const struct venue_feed *vf)
{
    return (enum market_venue)vf->venue->id; /* app asserts that the orders are the same */
}

static void note_reason(char out[FEED_REASON_LEN], const char *what, struct str detail)
{
    snprintf(out, FEED_REASON_LEN, "%s: %.*s", what, (int)min_size(detail.len, 100), detail.ptr);
}

/* ---- holes ---- */

void feed_take_gap(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole)
{
    const struct feeds_opts *o = &vf->owner->opts;
    log_warn("feeds", "trades were missed", "venue=%s instrument=%s from=%llu to=%llu",
             venue_name(vf->venue->id), row->instrument, (unsigned long long)hole->from,
             (unsigned long long)hole->to);
    o->gap(o->self, market_venue_of(vf), row->symbol, hole->from_ms, hole->to_ms);
}

static void drop_hole(struct feed_row *row, size_t i)
{
    row->hole_count--;
    memmove(&row->holes[i], &row->holes[i + 1], (row->hole_count - i) * sizeof(row->holes[0]));
}

static void add_hole(struct venue_feed *vf, struct feed_row *row, uint64_t from, uint64_t to,
                     int64_t to_ms)
{
    struct feed_hole hole = {.from = from,
                             .to = to,
                             .from_ms = row->last_trade_ms,
                             .to_ms = to_ms > row->last_trade_ms ? to_ms : row->last_trade_ms,
                             .since_ms = loop_now_ms(vf->owner->opts.loop)};
    feed_count(vf, FEED_GAPS);
    bool may_come = vf->owner->opts.fetch || vf->rest.recorded;
    if (!may_come || to - from >= FEED_REPAIR_MAX) {
        feed_take_gap(vf, row, &hole);
        return;
    }
    if (row->hole_count == FEED_HOLES_MAX) {
        feed_take_gap(vf, row, &row->holes[0]);
        drop_hole(row, 0);
    }
    row->holes[row->hole_count++] = hole;
}

/* Whether a trade belongs into a hole; it is no part of it any more then. */
static bool fills_hole(struct feed_row *row, uint64_t id)
{
    for (size_t i = 0; i < row->hole_count; i++) {
        struct feed_hole *hole = &row->holes[i];
        if (id == hole->from && !hole->asked) { /* each connection delivers in order */
            hole->from++;
            if (hole->from > hole->to) {
                drop_hole(row, i);
            }
            return true;
        }
    }
    return false;
}

/* A replay's recording has no answer for the hole, it seems. */
static void give_up(struct venue_feed *vf, struct feed_row *row, size_t i)
{
    if (loop_now_ms(vf->owner->opts.loop) - row->holes[i].since_ms >= RECORDED_PATIENCE_MS) {
        feed_take_gap(vf, row, &row->holes[i]);
        drop_hole(row, i);
    }
}

void feed_take_look(struct venue_feed *vf, struct feed_row *row)
{
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    if (row->ahead_id > row->last_id && now_ms - row->ahead_since_ms >= AHEAD_PATIENCE_MS) {
        add_hole(vf, row, row->last_id + 1, row->ahead_id, row->ahead_ms);
        row->last_id = row->ahead_id;
        row->last_trade_ms = row->ahead_ms;
    }
    for (size_t i = 0; i < row->hole_count; i++) {
        struct feed_hole *hole = &row->holes[i];
        if (!vf->owner->opts.fetch) {
            give_up(vf, row, i);
        } else if (!hole->asked && now_ms - hole->since_ms >= HOLE_PATIENCE_MS) {
            hole->asked = true;
            feed_rest_repair(vf, row, hole);
        }
    }
}

/* ---- ticks ---- */

static struct tick tick_of(const struct taking *t, const struct feed_row *row,
                           const struct exchange_event *e, enum tick_kind kind)
{
    struct loop *l = t->vf->owner->opts.loop;
    return (struct tick){
        .kind = kind,
        .venue = market_venue_of(t->vf),
        .symbol = row->symbol,
        .usdt = row->usdt,
        .exchange_ms = e->time_us / 1000,
        .received_ms = loop_wall_ms(l),
        .received_us = loop_now_us(l),
        .change_24h_pct = NAN,
        .volume_24h = NAN,
        .quote_volume_24h = NAN,
        .high_24h = NAN,
        .low_24h = NAN,
    };
}

static void give(const struct taking *t, const struct tick *tick)
{
    feed_count(t->vf, FEED_TICKS);
    t->vf->owner->opts.tick(t->vf->owner->opts.self, tick);
}

static void give_trade(const struct taking *t, struct feed_row *row, const struct exchange_event *e)
{
    const struct feeds_opts *o = &t->vf->owner->opts;
    struct tick tick = tick_of(t, row, e, TICK_TRADE);
    tick.id = e->id;
    tick.taker = e->taker == SIDE_BUY    ? TICK_SIDE_BUY
                 : e->taker == SIDE_SELL ? TICK_SIDE_SELL
                                         : TICK_SIDE_UNKNOWN;
    tick.price = e->price;
    tick.quantity = e->quantity;
    if (e->id == 0 || e->id > row->given_id) {
        row->given_id = e->id;
        give(t, &tick);
    } else if (o->late) {
        o->late(o->self, &tick);
    }
}

static void take_trade(const struct taking *t, struct feed_row *row, const struct exchange_event *e)
{
    int64_t time_ms = e->time_us / 1000;
    bool anew = e->id > 0 && e->id <= row->last_id && time_ms > row->last_trade_ms + ANEW_MS;
    if (e->snapshot && !row->live) { /* older than the first subscription: only a mark */
        if (e->id > row->last_id) {
            row->last_id = row->given_id = e->id;
            row->last_trade_ms = time_ms;
        }
        return;
    }
    row->live = true;
    if (e->id > 0 && row->last_id > 0 && e->id <= row->last_id && !anew) {
        if (fills_hole(row, e->id)) {
            give_trade(t, row, e);
        } else if (!e->snapshot) {
            feed_count(t->vf, FEED_DOUBLED);
        }
        return;
    }
    if (anew) { /* who knows what passed for doubled until now */
        struct feed_hole hidden = {
            .from = e->id, .to = e->id, .from_ms = row->last_trade_ms, .to_ms = time_ms};
        feed_take_gap(t->vf, row, &hidden);
        row->given_id = 0;
        row->ahead_id = 0;
    } else if (e->id > 0 && row->last_id > 0 && e->first_id > row->last_id + 1) {
        add_hole(t->vf, row, row->last_id + 1, e->first_id - 1, time_ms);
    }
    if (e->id > 0) {
        row->last_id = e->id;
        row->last_trade_ms = time_ms;
    }
    give_trade(t, row, e);
}

static void take_book(const struct taking *t, struct feed_row *row, const struct exchange_event *e)
{
    struct tick tick = tick_of(t, row, e, TICK_BOOK);
    tick.bid = e->bid;
    tick.ask = e->ask;
    give(t, &tick);
}

static void take_day(const struct taking *t, struct feed_row *row, const struct exchange_event *e)
{
    struct tick tick = tick_of(t, row, e, TICK_DAY);
    tick.price = e->price;
    tick.change_24h_pct = e->has_change ? e->change_24h_pct : NAN;
    tick.volume_24h = e->has_volume ? decimal_double(e->volume_24h) : NAN;
    tick.quote_volume_24h = e->has_quote_volume ? decimal_double(e->quote_volume_24h) : NAN;
    tick.high_24h = e->has_range ? decimal_double(e->high_24h) : NAN;
    tick.low_24h = e->has_range ? decimal_double(e->low_24h) : NAN;
    give(t, &tick);
    if (e->has_book) {
        take_book(t, row, e);
    }
}

/* ---- life ---- */

static void confirm(struct venue_feed *vf, uint32_t symbol)
{
    const struct feeds_opts *o = &vf->owner->opts;
    o->confirm(o->self, market_venue_of(vf), symbol);
}

/* A heartbeat of an instrument; it may know of a trade that did not come. */
static void take_beat(const struct taking *t, struct feed_row *row, const struct exchange_event *e)
{
    if (row->seen) {
        confirm(t->vf, row->symbol);
    }
    if (e->id > row->last_id && row->last_id > 0 && row->ahead_id <= row->last_id) {
        row->ahead_id = e->id;
        row->ahead_ms = e->time_us / 1000;
        row->ahead_since_ms = loop_now_ms(t->vf->owner->opts.loop);
    }
}

/* Where the venue only says that the connection lives, that is said of all it carries. */
static void confirm_all(const struct taking *t)
{
    struct venue_feed *vf = t->vf;
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    uint64_t *last_ms = t->session ? &t->session->last_confirm_ms : &vf->replay_confirm_ms;
    if (!vf->venue->frames_confirm || now_ms < *last_ms + 1000) {
        return;
    }
    *last_ms = now_ms;
    for (size_t i = 0; i < vf->row_count; i++) {
        struct feed_row *row = vf->rows[i];
        bool carried = !t->session || (i < t->session->have_cap && t->session->have[i]);
        if (row->seen && carried) {
            confirm(vf, row->symbol);
        }
    }
}

static void note_times(const struct taking *t, const struct exchange_event *e)
{
    int64_t at_us = e->sent_us ? e->sent_us : e->time_us;
    if (at_us && !e->snapshot) {
        feed_count_lag(t->vf, loop_wall_ms(t->vf->owner->opts.loop) - at_us / 1000);
    }
}

static void take_price(const struct taking *t, const struct exchange_event *e)
{
    struct feed_row *row = feed_row_find(t->vf, e->instrument);
    if (!row && !t->session) {
        row = feed_row_adopt(t->vf, e->instrument);
    }
    if (!row || (t->session && !row->wanted)) {
        feed_count(t->vf, FEED_IGNORED); /* given up a moment ago, or in another quote */
        return;
    }
    note_times(t, e);
    row->seen = true;
    if (e->kind == EX_TRADE) {
        take_trade(t, row, e);
    } else if (e->kind == EX_BOOK) {
        take_book(t, row, e);
    } else {
        take_day(t, row, e);
    }
    if (t->session) {
        t->session->data_frames++;
    }
}

static void take_heartbeat(const struct taking *t, const struct exchange_event *e)
{
    struct feed_row *row = feed_row_find(t->vf, e->instrument);
    if (t->session) {
        t->session->last_beat_ms = loop_now_ms(t->vf->owner->opts.loop);
    }
    if (row) {
        take_beat(t, row, e);
    }
}

static void on_event(void *self, const struct exchange_event *e)
{
    const struct taking *t = self;
    if (t->session && t->session->ended) {
        return;
    }
    switch (e->kind) {
    case EX_TRADE:
    case EX_BOOK:
    case EX_DAY:
        take_price(t, e);
        break;
    case EX_HEARTBEAT:
        take_heartbeat(t, e);
        break;
    case EX_ACK:
        if (t->session) {
            feed_session_ack(t->session);
        }
        break;
    case EX_REFUSED:
        if (t->session) {
            feed_session_refused(t->session, e->instrument, e->text);
        }
        break;
    case EX_STATUS:
        if (!str_eq(e->text, STR("online")) && !str_eq(e->text, STR("status"))) {
            log_warn("feeds", "the venue speaks", "venue=%s says=%s", venue_name(t->vf->venue->id),
                     log_quote(e->text));
        }
        break;
    case EX_SHUTDOWN:
        if (t->session) {
            feed_session_shutdown(t->session);
        }
        break;
    case EX_CANDLE:
    case EX_IGNORED:
        feed_count(t->vf, FEED_IGNORED);
        break;
    }
}

void feed_take_frame(struct venue_feed *vf, struct feed_session *s, struct str frame)
{
    struct taking t = {.vf = vf, .session = s};
    const char *why = NULL;
    feed_count(vf, FEED_FRAMES);
    vf->last_frame_ms = loop_wall_ms(vf->owner->opts.loop);
    enum err e = exchange_read_frame(vf->venue->id, frame, on_event, &t, &why);
    if (e == OK) {
        if (s) {
            s->bad_in_row = 0;
        }
        if (!s || !s->ended) {
            confirm_all(&t);
        }
        return;
    }
    feed_count(vf, FEED_REJECTED);
    note_reason(vf->bad_reason, "a frame was not what it should be", str_of(why));
    vf->bad_ms = loop_now_ms(vf->owner->opts.loop);
    log_debug("feeds", "bad frame", "venue=%s why=%s frame=%s", venue_name(vf->venue->id),
              log_quote(str_of(why)), log_quote(frame));
    if (s && !s->ended && ++s->bad_in_row >= BAD_FRAMES_MAX) {
        feed_session_fail(s, "it sends frames that nobody understands", vf->bad_reason);
    }
}

/* ---- repair ---- */

size_t feed_take_repair(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole,
                        const struct exchange_event *trades, size_t count)
{
    struct taking t = {.vf = vf};
    uint64_t next = hole->from;
    size_t given = 0;
    for (size_t i = 0; i < count; i++) {
        if (trades[i].id >= next && trades[i].id <= hole->to) {
            give_trade(&t, row, &trades[i]);
            feed_count(vf, FEED_REPAIRED);
            next = trades[i].id + 1;
            given++;
        }
    }
    for (size_t i = 0; i < row->hole_count; i++) {
        if (row->holes[i].asked && row->holes[i].from == hole->from) {
            drop_hole(row, i);
            break;
        }
    }
    return (size_t)(hole->to - hole->from + 1) - given;
}
