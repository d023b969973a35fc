/* The connections of one venue: when they are opened, what they are subscribed to, when they count
 * as dead, and how one is replaced before its end. SPDX-License-Identifier: MIT */
#include "sources/feed.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 60000
#define HEALTHY_MS 60000
#define BLOCKED_RETRY_MS 600000
#define BUSY_RETRY_MS 300000
#define ATTEMPTS_A_MINUTE 10
#define TURNOVER_MS (23u * 3600 * 1000)
/* Between two tries to replace a connection that still delivers. */
#define NEXT_RETRY_MS 30000
/* Both deliver for that long, so that nothing falls between them. */
#define OVERLAP_MS 1000
/* A new connection that does not get there in this time is given up. */
#define NEXT_PATIENCE_MS 60000
#define ANSWER_PATIENCE_MS 10000

static uint64_t now_of(const struct venue_feed *vf)
{
    return loop_now_ms(vf->owner->opts.loop);
}

/* ---- recording ---- */

static void record(struct feed_session *s, enum record_kind kind, struct str url, int status,
                   struct str upstream, struct str body)
{
    const struct feeds_opts *o = &s->feed->owner->opts;
    struct record r = {.source = str_of(venue_name(s->feed->venue->id)),
                       .kind = kind,
                       .url = url,
                       .status = status,
                       .body = body};
    if (!o->recorder) {
        return;
    }
    r.time_ns = clock_wall_us(loop_clock(o->loop)) * 1000;
    if (upstream.len > 0) {
        r.headers[0].name = STR("X-Coincast-Upstream");
        r.headers[0].value = upstream;
        r.header_count = 1;
    }
    recorder_add(o->recorder, &r);
}

static void record_open(struct feed_session *s, struct str upstream)
{
    struct buf url = {0};
    struct buf masked = {0};
    buf_printf(&url, "%s%s", s->feed->ws_url, s->feed->venue->ws_path);
    fetch_mask_url(&masked, buf_str(&url));
    record(s, RECORD_WS_OPEN, buf_str(&masked), 0, upstream, (struct str){0});
    buf_fini(&url);
    buf_fini(&masked);
}

/* ---- ends ---- */

/* Takes a session out of its slot; its memory goes with the next tick, for it may be in use. */
static void bury(struct feed_session *s)
{
    struct feed_slot *slot = &s->feed->slots[s->slot];
    assert(!s->ended);
    s->ended = true;
    slot->live = slot->live == s ? NULL : slot->live;
    slot->next = slot->next == s ? NULL : slot->next;
    list_push(&s->feed->graveyard, &s->node);
}

static void close_session(struct feed_session *s)
{
    struct link *link = s->feed->owner->opts.link;
    if (s->open) {
        record(s, RECORD_WS_CLOSE, (struct str){0}, 1000, (struct str){0}, (struct str){0});
    }
    bury(s);
    link->ops->close(link, s->conn);
}

static void tell_down(struct venue_feed *vf, uint16_t slot, const char *reason)
{
    const struct feeds_opts *o = &vf->owner->opts;
    for (size_t i = 0; i < vf->row_count; i++) {
        if (vf->rows[i]->slot != slot) {
            continue;
        }
        vf->rows[i]->seen =
            false; /* a life sign of the next connection says nothing of old prices */
        if (vf->rows[i]->wanted && !vf->rows[i]->refused) {
            o->down(o->self, (enum market_venue)vf->venue->id, vf->rows[i]->symbol, reason);
        }
    }
}

/* 1, 2, 4 ... 60 s, and up to a quarter more so that not all come at once. */
static uint64_t backoff_ms(struct venue_feed *vf, uint32_t failures)
{
    uint64_t wait_ms = failures < 7 ? (uint64_t)BACKOFF_FIRST_MS << (failures - 1) : BACKOFF_MAX_MS;
    wait_ms = min_u64(wait_ms, BACKOFF_MAX_MS);
    return wait_ms + feeds_chance(vf->owner) % (wait_ms / 4);
}

/* What a session's end means for its slot. */
static void plan_next(struct feed_session *s, int status, bool was_live)
{
    struct venue_feed *vf = s->feed;
    struct feed_slot *slot = &vf->slots[s->slot];
    uint64_t now_ms = now_of(vf);
    bool blocked = status == 451 || status == 403;
    if (!was_live) {
        slot->next_retry_ms = now_ms + NEXT_RETRY_MS;
        return;
    }
    slot->failures = s->open && now_ms - s->opened_ms >= HEALTHY_MS ? 1 : slot->failures + 1;
    slot->retry_ms = now_ms + (blocked                          ? BLOCKED_RETRY_MS
                               : status == 429 || status == 418 ? BUSY_RETRY_MS
                                                                : backoff_ms(vf, slot->failures));
    vf->blocked = blocked;
}

/* A replacement that is open takes over at once. */
static bool promote(struct feed_slot *slot)
{
    if (slot->live || !slot->next || !slot->next->open) {
        return false;
    }
    slot->live = slot->next;
    slot->next = NULL;
    return true;
}

static void session_over(struct feed_session *s, int status, const char *down, const char *why)
{
    struct venue_feed *vf = s->feed;
    struct feed_slot *slot = &vf->slots[s->slot];
    bool was_live = slot->live == s;
    snprintf(vf->reason, sizeof(vf->reason), "%s", why);
    log_warn("feeds", s->open ? "the connection ended" : "no connection",
             "venue=%s status=%d why=%s", venue_name(vf->venue->id), status,
             log_quote(str_of(why)));
    if (s->open) {
        feed_count(vf, FEED_RECONNECTS);
    }
    plan_next(s, status, was_live);
    bury(s);
    if (was_live && !promote(slot)) {
        tell_down(vf, s->slot, down);
    }
}

void feed_session_fail(struct feed_session *s, const char *down, const char *why)
{
    struct link *link = s->feed->owner->opts.link;
    if (s->open) {
        record(s, RECORD_WS_CLOSE, (struct str){0}, 1000, (struct str){0}, (struct str){0});
    }
    session_over(s, 0, down, why);
    link->ops->close(link, s->conn);
}

/* ---- what the connection says ---- */

static void on_opened(void *self, struct str upstream)
{
    struct feed_session *s = self;
    struct venue_feed *vf = s->feed;
    s->open = true;
    s->opened_ms = s->last_frame_ms = s->last_beat_ms = now_of(vf);
    vf->blocked = false;
    log_info("feeds", "connected", "venue=%s instruments=%zu", venue_name(vf->venue->id),
             feeds_watched(vf->owner));
    feeds_mark(vf->owner, upstream);
    record_open(s, upstream);
}

static void on_text(void *self, struct str message)
{
    struct feed_session *s = self;
    s->last_frame_ms = now_of(s->feed);
    record(s, RECORD_WS_TEXT, (struct str){0}, 0, (struct str){0}, message);
    feed_take_frame(s->feed, s, message);
}

/* A ping says that the peer lives; our pong counts among our messages. */
static void on_pinged(void *self)
{
    struct feed_session *s = self;
    s->last_frame_ms = now_of(s->feed);
    feed_session_note_sent(s);
}

static void on_closed(void *self, int status, uint16_t code, const char *why)
{
    struct feed_session *s = self;
    bool blocked = status == 451 || status == 403;
    if (s->open) {
        record(s, RECORD_WS_CLOSE, (struct str){0}, code ? code : 1006, (struct str){0},
               (struct str){0});
    }
    session_over(s, status, blocked ? "blocked by region" : "the connection broke",
                 blocked ? "blocked by region" : why);
}

static const struct link_events link_events = {
    .opened = on_opened, .text = on_text, .pinged = on_pinged, .closed = on_closed};

/* ---- opening ---- */

/* At most 10 attempts in any minute, whatever the slots want. */
static bool attempt_allowed(struct venue_feed *vf)
{
    uint64_t oldest = vf->attempts[vf->attempt_count % ATTEMPTS_A_MINUTE];
    return vf->attempt_count < ATTEMPTS_A_MINUTE || now_of(vf) >= oldest + 60000;
}

static struct feed_session *open_session(struct venue_feed *vf, size_t slot)
{
    struct link *link = vf->owner->opts.link;
    struct feed_session *s = mem_zero(sizeof(*s));
    struct buf url = {0};
    vf->attempts[vf->attempt_count++ % ATTEMPTS_A_MINUTE] = now_of(vf);
    s->feed = vf;
    s->slot = (uint16_t)slot;
    s->opened_ms = now_of(vf);
    buf_printf(&url, "%s%s", vf->ws_url, vf->venue->ws_path);
    s->conn = link->ops->open(link, buf_str(&url), &link_events, s);
    buf_fini(&url);
    return s;
}

void feed_session_shutdown(struct feed_session *s)
{
    s->shutdown = true;
}

/* ---- watching ---- */

static bool carries_any(const struct feed_session *s)
{
    for (size_t i = 0; i < s->have_cap; i++) {
        if (s->have[i]) {
            return true;
        }
    }
    return false;
}

/* Ends a session that is dead or does not answer; true when it did. */
static bool check_life(struct feed_session *s)
{
    const struct feed_venue *venue = s->feed->venue;
    uint64_t now_ms = now_of(s->feed);
    uint64_t heard_ms = venue->needs_heartbeats ? s->last_beat_ms : s->last_frame_ms;
    char why[FEED_REASON_LEN];
    if (!s->open) {
        return false; /* the link has its own time-out */
    }
    if (s->pending_count > 0 && now_ms - s->pending_since_ms >= ANSWER_PATIENCE_MS) {
        feed_session_fail(s, "the venue does not answer", "no answer to a subscription in 10 s");
        return true;
    }
    /* Heartbeats come of what was subscribed: not before the first is. */
    if (venue->needs_heartbeats && !carries_any(s)) {
        s->last_beat_ms = now_ms;
        return false;
    }
    if (now_ms - heard_ms >= venue->dead_ms) {
        snprintf(why, sizeof(why), "no %s for %u s",
                 venue->needs_heartbeats ? "heartbeat" : "message", venue->dead_ms / 1000);
        feed_session_fail(s, "nothing comes from there", why);
        return true;
    }
    return false;
}

static void turn_over(struct venue_feed *vf, size_t at)
{
    struct feed_slot *slot = &vf->slots[at];
    struct feed_session *next = slot->next;
    uint64_t now_ms = now_of(vf);
    if (!next) {
        bool due = slot->live->open &&
                   (slot->live->shutdown || now_ms - slot->live->opened_ms >= TURNOVER_MS);
        if (due && now_ms >= slot->next_retry_ms && attempt_allowed(vf)) {
            slot->next = open_session(vf, at);
        }
        return;
    }
    if (next->open && next->complete_since_ms > 0 && next->pending_count == 0 &&
        next->data_frames > 0 && now_ms - next->complete_since_ms >= OVERLAP_MS) {
        log_info("feeds", "connection replaced", "venue=%s", venue_name(vf->venue->id));
        feed_count(vf, FEED_TURNOVERS);
        close_session(slot->live);
        promote(slot);
    } else if (now_ms - next->opened_ms >= NEXT_PATIENCE_MS) {
        close_session(next);
        slot->next_retry_ms = now_ms + NEXT_RETRY_MS;
    }
}

static bool slot_is_wanted(const struct venue_feed *vf, size_t slot)
{
    for (size_t i = 0; i < vf->row_count; i++) {
        if (vf->rows[i]->slot == slot && feed_row_due(vf->rows[i])) {
            return true;
        }
    }
    return false;
}

static void tick_slot(struct venue_feed *vf, size_t at)
{
    struct feed_slot *slot = &vf->slots[at];
    if (!slot_is_wanted(vf, at)) {
        if (slot->next) {
            close_session(slot->next);
        }
        if (slot->live) {
            close_session(slot->live);
        }
        return;
    }
    if (!slot->live && !slot->next && now_of(vf) >= slot->retry_ms && attempt_allowed(vf)) {
        slot->live = open_session(vf, at);
    }
    if (slot->live && !check_life(slot->live) && slot->live->open) {
        if (now_of(vf) - slot->live->opened_ms >= HEALTHY_MS) {
            slot->failures = 0;
        }
        turn_over(vf, at);
    }
    if (slot->next && !check_life(slot->next) && slot->next->open) {
        feed_session_pump(slot->next);
    }
    if (slot->live && slot->live->open) {
        feed_session_pump(slot->live);
    }
}

static void empty_graveyard(struct venue_feed *vf)
{
    for (struct list *node = list_pop(&vf->graveyard); node; node = list_pop(&vf->graveyard)) {
        struct feed_session *s = containerof(node, struct feed_session, node);
        mem_free(s->have);
        mem_free(s);
    }
}

void venue_feed_tick(struct venue_feed *vf)
{
    empty_graveyard(vf);
    for (size_t i = 0; i < vf->slot_count && vf->owner->opts.link; i++) {
        tick_slot(vf, i);
    }
    for (size_t i = 0; i < vf->row_count; i++) {
        if (vf->rows[i]->hole_count > 0 || vf->rows[i]->ahead_id > vf->rows[i]->last_id) {
            feed_take_look(vf, vf->rows[i]);
        }
    }
    feed_rest_tick(vf);
}

/* ---- one venue ---- */

/* A base URL without a slash at its end. */
static char *copy_url(const char *given, const char *usual)
{
    struct str url = str_of(given && given[0] ? given : usual);
    while (url.len > 0 && url.ptr[url.len - 1] == '/') {
        url.len--;
    }
    return mem_copy_text(url.ptr, url.len);
}

void venue_feed_init(struct venue_feed *vf, struct feeds *owner, const struct feed_venue *venue,
                     const char *ws_url, const char *rest_url)
{
    assert(venue->rows_a_message <= FEED_MESSAGE_ROWS_MAX);
    *vf = (struct venue_feed){.owner = owner, .venue = venue, .batch = venue->rows_a_message};
    vf->ws_url = copy_url(ws_url, venue->ws_url);
    vf->rest_url = copy_url(rest_url, venue->rest_url);
    vf->since_ms = loop_wall_ms(owner->opts.loop);
    list_init(&vf->graveyard);
    feed_rest_init(vf);
}

void venue_feed_stop(struct venue_feed *vf)
{
    for (size_t i = 0; i < vf->slot_count; i++) {
        if (vf->slots[i].next) {
            close_session(vf->slots[i].next);
        }
        if (vf->slots[i].live) {
            close_session(vf->slots[i].live);
        }
    }
    feed_rest_stop(vf);
}

void venue_feed_fini(struct venue_feed *vf)
{
    empty_graveyard(vf);
    feed_rows_free(vf);
    map_fini(&vf->offered);
    mem_free(vf->ws_url);
    mem_free(vf->rest_url);
}
