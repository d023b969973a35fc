/* What a connection is subscribed to: what is due is sent in messages of many instruments, within
 * the venue's limit of messages. Where a venue answers for a whole message only one is under way; a
 * refusal that names nobody halves the messages until the one who is meant stands alone.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/log.h"
#include "sources/feed.h"

#include <assert.h>

#define RATE_LIMITED_MS 5000

static uint64_t now_of(const struct venue_feed *vf)
{
    return loop_now_ms(vf->owner->opts.loop);
}

void feed_session_note_sent(struct feed_session *s)
{
    s->sent_ms[s->sent_count++ % ARRAY_LEN(s->sent_ms)] = now_of(s->feed);
}

static bool may_send(const struct feed_session *s)
{
    uint32_t limit = s->feed->venue->per_second;
    uint64_t now_ms = now_of(s->feed);
    if (now_ms < s->quiet_until_ms) {
        return false;
    }
    assert(limit < ARRAY_LEN(s->sent_ms));
    return s->sent_count < limit ||
           now_ms > s->sent_ms[(s->sent_count - limit) % ARRAY_LEN(s->sent_ms)] + 1000;
}

static void cover_rows(struct feed_session *s)
{
    if (s->have_cap < s->feed->row_count) {
        s->have = mem_resize(s->have, s->feed->row_cap);
        memset(s->have + s->have_cap, 0, s->feed->row_cap - s->have_cap);
        s->have_cap = s->feed->row_cap;
    }
}

/* Rows of the session's slot that lack that part, or that have it and should not. */
static size_t collect(struct feed_session *s, unsigned part, bool on,
                      struct feed_row *rows[FEED_MESSAGE_ROWS_MAX])
{
    struct venue_feed *vf = s->feed;
    size_t count = 0;
    for (size_t i = 0; i < vf->row_count && count < vf->batch; i++) {
        struct feed_row *row = vf->rows[i];
        bool has = s->have[i] >> part & 1;
        if (row->slot == s->slot && has != on && feed_row_due(row) == on) {
            rows[count++] = row;
        }
    }
    return count;
}

static void send_rows(struct feed_session *s, unsigned part, bool on, struct feed_row *const *rows,
                      size_t count)
{
    struct venue_feed *vf = s->feed;
    struct link *link = vf->owner->opts.link;
    struct buf text = {0};
    s->pending_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bit = (uint8_t)(1u << part);
        uint8_t *have = &s->have[rows[i]->index];
        *have = (uint8_t)(on ? *have | bit : *have & ~bit);
        if (vf->venue->answers_whole) {
            s->pending[s->pending_count++] = (uint32_t)rows[i]->index;
        }
    }
    s->pending_bit = (uint8_t)(1u << part);
    s->pending_on = on;
    s->pending_since_ms = now_of(vf);
    vf->venue->write(&text, rows, count, part, on, ++vf->next_message_id);
    feed_session_note_sent(s);
    link->ops->send(link, s->conn, buf_str(&text));
    buf_fini(&text);
}

void feed_session_pump(struct feed_session *s)
{
    struct feed_row *rows[FEED_MESSAGE_ROWS_MAX];
    struct venue_feed *vf = s->feed;
    cover_rows(s);
    for (unsigned step = 0; step < vf->venue->parts * 2;) {
        if (s->ended || s->pending_count > 0 || !may_send(s)) {
            return;
        }
        bool on = step % 2 == 0;
        size_t count = collect(s, step / 2, on, rows);
        if (count == 0) {
            step++;
            continue;
        }
        s->complete_since_ms = 0;
        send_rows(s, step / 2, on, rows, count);
    }
    if (s->complete_since_ms == 0) {
        s->complete_since_ms = now_of(vf);
    }
}

void feed_session_ack(struct feed_session *s)
{
    if (s->pending_count > 0) {
        s->pending_count = 0;
        s->feed->batch = min_size(s->feed->batch * 2, s->feed->venue->rows_a_message);
    }
}

static bool is_rate_limit(struct str text)
{
    return str_find_str(text, STR("rate")) != SIZE_MAX ||
           str_find_str(text, STR("Rate")) != SIZE_MAX ||
           str_find_str(text, STR("oo many")) != SIZE_MAX;
}

/* What was asked in the message under way is not there. */
static void take_back(struct feed_session *s)
{
    for (size_t i = 0; i < s->pending_count && s->pending_on; i++) {
        s->have[s->pending[i]] &= (uint8_t)~s->pending_bit;
    }
    s->pending_count = 0;
}

void feed_session_refused(struct feed_session *s, struct str instrument, struct str text)
{
    struct venue_feed *vf = s->feed;
    struct feed_row *row = feed_row_find(vf, instrument);
    log_info("feeds", "a request was refused", "venue=%s instrument=%s why=%s",
             venue_name(vf->venue->id), log_quote(instrument), log_quote(text));
    if (is_rate_limit(text)) {
        s->quiet_until_ms = now_of(vf) + RATE_LIMITED_MS;
        if (row && row->index < s->have_cap) {
            s->have[row->index] = 0;
        }
        take_back(s);
        return;
    }
    if (row && row->index < s->have_cap) {
        if (row->wanted && !row->refused) {
            feed_row_refuse(vf, row, text);
        }
        s->have[row->index] = 0;
    } else if (s->pending_count == 1 && s->pending_on) {
        feed_row_refuse(vf, vf->rows[s->pending[0]], text);
    } else if (s->pending_count > 1) {
        vf->batch = max_size(s->pending_count / 2, 1); /* which of them is it? */
    }
    take_back(s);
}
