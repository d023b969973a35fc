/* How a venue's feed is doing, in a status and a sentence. SPDX-License-Identifier: MIT */
#include "sources/feed.h"

/* A bad frame shows for that long. */
#define BAD_SHOWS_MS 60000

struct standing {
    size_t wanted, slots_wanted, slots_live, connections;
    uint64_t next_try_ms; /* monotonic; 0: none */
};

static void look(const struct venue_feed *vf, struct standing *out)
{
    bool slot_wanted[FEED_SLOTS_MAX] = {false};
    *out = (struct standing){0};
    for (size_t i = 0; i < vf->row_count; i++) {
        if (feed_row_due(vf->rows[i])) {
            slot_wanted[vf->rows[i]->slot] = true;
            out->wanted++;
        }
    }
    for (size_t i = 0; i < vf->slot_count; i++) {
        const struct feed_slot *slot = &vf->slots[i];
        out->connections += slot->live && slot->live->open ? 1 : 0;
        out->connections += slot->next && slot->next->open ? 1 : 0;
        out->slots_wanted += slot_wanted[i];
        if (slot_wanted[i] && slot->live && slot->live->open && slot->live->data_frames > 0) {
            out->slots_live++;
        } else if (slot_wanted[i] && !slot->live) {
            out->next_try_ms =
                out->next_try_ms ? min_u64(out->next_try_ms, slot->retry_ms) : slot->retry_ms;
        }
    }
}

static enum health_status judge(struct venue_feed *vf, const struct standing *s)
{
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    vf->said[0] = '\0';
    if (s->wanted == 0) {
        snprintf(vf->said, sizeof(vf->said), "nothing is watched there");
        return HEALTH_OK;
    }
    if (!vf->owner->opts.link) {
        snprintf(vf->said, sizeof(vf->said), "no connections are made");
        return HEALTH_OK;
    }
    if (s->slots_live == 0) {
        snprintf(vf->said, sizeof(vf->said), "%s",
                 vf->blocked     ? "blocked by region"
                 : vf->reason[0] ? vf->reason
                                 : "not connected yet");
        return HEALTH_DOWN;
    }
    if (s->slots_live < s->slots_wanted) {
        snprintf(vf->said, sizeof(vf->said), "%zu of %zu connections: %.100s", s->slots_live,
                 s->slots_wanted, vf->reason[0] ? vf->reason : "connecting");
        return HEALTH_DEGRADED;
    }
    if (vf->bad_ms && now_ms - vf->bad_ms < BAD_SHOWS_MS) {
        snprintf(vf->said, sizeof(vf->said), "%s", vf->bad_reason);
        return HEALTH_DEGRADED;
    }
    if (weight_wait_ms(vf->rest.weight, loop_wall_ms(vf->owner->opts.loop)) > 0) {
        snprintf(vf->said, sizeof(vf->said), "REST waits for the next minute: %llu of %llu used up",
                 (unsigned long long)vf->rest.weight->used,
                 (unsigned long long)vf->rest.weight->limit);
    } else if (vf->rest.reason[0]) {
        snprintf(vf->said, sizeof(vf->said), "%s", vf->rest.reason);
    }
    return HEALTH_OK;
}

void venue_feed_health(struct venue_feed *vf, struct feed_health *out)
{
    static const char *const names[VENUE_COUNT] = {"binance feed", "coinbase feed", "kraken feed"};
    struct loop *l = vf->owner->opts.loop;
    struct standing s;
    look(vf, &s);
    enum health_status status = judge(vf, &s);
    if (status != vf->status) {
        vf->status = status;
        vf->since_ms = loop_wall_ms(l);
    }
    *out = (struct feed_health){
        .name = names[vf->venue->id],
        .status = status,
        .reason = vf->said,
        .since_ms = vf->since_ms,
        .last_frame_ms = vf->last_frame_ms,
        .url = vf->ws_url,
        .connections = s.connections,
        .symbols = s.wanted,
        .frames = vf->frames,
        .ticks = vf->ticks,
        .ignored = vf->ignored,
        .rejected = vf->rejected,
        .gaps = vf->gaps,
        .repaired = vf->repaired,
        .doubled = vf->doubled,
        .reconnects = vf->reconnects,
        .turnovers = vf->turnovers,
        .lag_ms = vf->lag_ms,
        .has_lag = vf->has_lag,
        .weight_used = weight_used(vf->rest.weight, loop_wall_ms(l)),
        .weight_limit = vf->rest.weight->limit,
    };
    if (s.next_try_ms > 0) {
        out->next_try_ms = loop_wall_ms(l) + (int64_t)s.next_try_ms - (int64_t)loop_now_ms(l);
    }
}
