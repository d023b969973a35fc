/* Members whose sockets are full, and how they catch up.
 *
 *            group_add()                    socket took less than it was given
 *   NONE ------------------> LIVE ------------------------------------------------> STALLED
 *     ^                       ^  fanout_stall(): bytes wait in its conn               |
 *     | fanout_leave()        |                                                       |
 *     +------- from both      +-------- fanout_drained(): nothing missing any more ---+
 *
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/json.h"
#include "hub/fanout_in.h"

/* ---- stalling ---- */

struct lag *lag_new(const struct group *g)
{
    return mem_alloc(max_size(g->sub_count, 1) * sizeof(struct lag_sub));
}

/* Of a table: everything but the rows of the entries behind `boundary`. What is held back comes to
 * it as to all others. */
static struct lag_sub table_lag(const struct group *g, uint32_t sub, uint64_t boundary)
{
    const struct gtable *t = g->subs[sub].table;
    struct lag_sub lag = {.seq = t->base, .count = t->rows_out};
    for (size_t k = g->entry_count; k > 0 && g->entries[k - 1].end > boundary; k--) {
        const struct log_entry *e = &g->entries[k - 1];
        if (e->sub == sub) {
            lag.seq = min_u64(lag.seq, e->from);
            lag.count -= e->rows;
        }
    }
    return lag;
}

/* What a member that was given the log's messages up to absolute position `boundary` has of each
 * subscription: everything but the entries behind it and what is held back. */
static void fill_lag(const struct group *g, uint64_t boundary, struct lag *lag)
{
    for (uint32_t i = 0; i < g->sub_count; i++) {
        const struct gsub *s = &g->subs[i];
        if (s->table) {
            lag->subs[i] = table_lag(g, i, boundary);
            continue;
        }
        uint64_t first = s->chan->last_seq + 1;
        uint64_t missing = s->held_count;
        for (size_t k = 0; k < s->held_count; k++) {
            first = min_u64(first, s->held[k]->seq);
        }
        for (size_t k = 0; k < g->entry_count; k++) {
            const struct log_entry *e = &g->entries[k];
            if (e->sub == i && e->end > boundary) {
                first = min_u64(first, e->seq);
                missing++;
            }
        }
        lag->subs[i] = (struct lag_sub){.seq = first - 1, .count = s->chan->count - missing};
    }
}

/* The message that contains position `pos`, or starts there; NULL when pos is the log's end. */
static const struct log_entry *entry_at(const struct group *g, uint64_t pos, uint64_t *start)
{
    *start = g->base;
    for (size_t i = 0; i < g->entry_count; i++) {
        if (g->entries[i].end > pos) {
            return &g->entries[i];
        }
        *start = g->entries[i].end;
    }
    return NULL;
}

void become_stalled(struct group *g, struct member *m, uint64_t boundary)
{
    m->lag = lag_new(g);
    fill_lag(g, boundary, m->lag);
    for (uint32_t i = 0; m->newcomer && i < g->sub_count; i++) {
        m->lag->subs[i].seq = newcomers_seq(g, i, m, m->lag->subs[i].seq);
    }
    g->stalled++; /* before the removal, which may empty the log when nobody is live */
    group_remove_live(g, m);
    m->state = MEMBER_STALLED;
    g->fanout->stats.stalls++;
    g->fanout->stats.stalled++;
}

void stall_at(struct group *g, struct member *m, uint64_t pos)
{
    struct fanout *f = g->fanout;
    uint64_t start = 0;
    const struct log_entry *cut = entry_at(g, pos, &start);
    uint64_t boundary = pos;
    struct buf tail = {0};
    /* The message that was cut must be completed; and something must wait in the conn, for only
     * then will it say that it drained. */
    if (cut && (pos != start || f->opts.ops->pending(m) == 0)) {
        boundary = cut->end;
        buf_add(&tail, g->bytes.ptr + (pos - g->base), boundary - pos);
    }
    become_stalled(g, m, boundary);
    /* Also without a tail: what waits may be an answer of this turn, or a ping, and only bytes that
     * the socket refused once are followed by fanout_drained(). */
    f->opts.ops->write(m, buf_str(&tail));
    buf_fini(&tail);
    if (f->opts.ops->pending(m) == 0) {
        fanout_drained(f, m);
    }
}

void fanout_stall(struct fanout *f, struct member *m)
{
    (void)f;
    if (m->state == MEMBER_LIVE && m->group->form != FORM_POLL) {
        stall_at(m->group, m, m->group->live[m->slot].pos);
    }
}

/* ---- draining ---- */

static void write_notice(struct fanout *f, struct member *m, struct str type, struct buf *json)
{
    frame_append_text(m->group->form, type, buf_str(json), &f->scratch);
    buf_fini(json);
}

static void write_conflated(struct fanout *f, struct member *m, const struct gsub *s, uint64_t n)
{
    struct buf json = {0};
    struct json_writer w;
    json_begin(&w, &json);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "conflated");
    json_key(&w, "channel");
    json_str(&w, s->chan->name);
    json_key(&w, "n");
    json_i64(&w, (int64_t)n);
    json_object_end(&w);
    write_notice(f, m, STR("conflated"), &json);
    m->conflated += (uint32_t)n;
    f->stats.conflated += n;
}

static void write_gap(struct fanout *f, struct member *m, const struct gsub *s, uint64_t from)
{
    struct buf json = {0};
    struct json_writer w;
    char cursor[CURSOR_LEN + 1];
    json_begin(&w, &json);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "gap");
    json_key(&w, "channel");
    json_str(&w, s->chan->name);
    json_key(&w, "from");
    snprintf(cursor, sizeof(cursor), "%s-%llu", f->epoch, (unsigned long long)from);
    json_text(&w, cursor);
    json_key(&w, "to");
    snprintf(cursor, sizeof(cursor), "%s-%llu", f->epoch, (unsigned long long)s->chan->trimmed_seq);
    json_text(&w, cursor);
    json_object_end(&w);
    write_notice(f, m, STR("gap"), &json);
    m->gaps++;
    f->stats.gaps++;
}

/* The newest of each key that it lacks. What is held back for its group will come to it as to all
 * others. */
static void find_state(struct fanout *f, struct member *m, uint32_t sub, struct frame_list *missed)
{
    const struct gsub *s = &m->group->subs[sub];
    struct lag_sub *lag = &m->lag->subs[sub];
    uint64_t held_from = UINT64_MAX;
    for (size_t k = 0; k < s->held_count; k++) {
        held_from = min_u64(held_from, s->held[k]->seq);
    }
    size_t before = missed->count;
    chan_after(s->chan, lag->seq, SIZE_MAX, missed);
    size_t kept = before;
    for (size_t i = before; i < missed->count; i++) {
        if (missed->frames[i]->seq < held_from) {
            missed->frames[kept++] = missed->frames[i];
        }
    }
    missed->count = kept;
    uint64_t given = kept - before;
    uint64_t all = s->chan->count - lag->count;
    if (all > given && s->interval_ms == 0) {
        write_conflated(f, m, s, all - given);
        lag->count += all - given;
    }
}

static void find_events(struct fanout *f, struct member *m, uint32_t sub, struct frame_list *missed)
{
    const struct gsub *s = &m->group->subs[sub];
    struct lag_sub *lag = &m->lag->subs[sub];
    if (s->chan->trimmed_seq > lag->seq) {
        write_gap(f, m, s, lag->seq);
        lag->seq = s->chan->trimmed_seq;
    }
    chan_after(s->chan, lag->seq, f->opts.drain_bytes, missed);
}

/* One message with the newest of each row that it lacks; deltas begin anew with all of them. */
static void serve_table(struct fanout *f, struct member *m, uint32_t sub)
{
    struct group *g = m->group;
    const struct gsub *s = &g->subs[sub];
    struct lag_sub *lag = &m->lag->subs[sub];
    if (lag->seq >= s->table->base || f->scratch.len >= f->opts.drain_bytes) {
        return;
    }
    uint64_t all = s->table->rows_out - lag->count;
    uint64_t given = table_count_missed(g, sub, lag->seq);
    if (all > given) {
        write_conflated(f, m, s, all - given);
    }
    table_write_missed(g, sub, lag->seq, &f->scratch);
    *lag = (struct lag_sub){.seq = s->table->base, .count = s->table->rows_out};
    f->stats.deliveries++;
}

/* Notices for what can't be given, and the list of what can, enough for one helping. */
static void find_missed(struct fanout *f, struct member *m, struct frame_list *missed)
{
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        if (m->group->subs[i].chan->class == CHANNEL_STATE) {
            find_state(f, m, i, missed);
        } else if (m->group->subs[i].chan->class == CHANNEL_EVENT) {
            find_events(f, m, i, missed);
        }
    }
    frame_list_sort(missed);
}

static void note_served(struct member *m, const struct frame *frame)
{
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        if (m->group->subs[i].chan->info == frame->channel) {
            m->lag->subs[i].seq = frame->seq;
            m->lag->subs[i].count++;
        }
    }
}

/* One helping of what a stalled member missed, into scratch. */
static void serve(struct fanout *f, struct member *m)
{
    struct frame_list missed = {0};
    buf_clear(&f->scratch);
    find_missed(f, m, &missed);
    for (size_t i = 0; i < missed.count && f->scratch.len < f->opts.drain_bytes; i++) {
        frame_append(missed.frames[i], m->group->form, str_of(f->epoch), f->deflater, &f->scratch);
        note_served(m, missed.frames[i]);
        f->stats.deliveries++;
    }
    frame_list_fini(&missed);
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        if (m->group->subs[i].table) {
            serve_table(f, m, i);
        }
    }
}

static void rejoin(struct fanout *f, struct member *m)
{
    struct group *g = m->group;
    mem_free(m->lag);
    m->lag = NULL;
    g->stalled--;
    f->stats.stalled--;
    group_add(g, m);
}

void fanout_drained(struct fanout *f, struct member *m)
{
    while (m->state == MEMBER_STALLED && f->opts.ops->pending(m) == 0) {
        serve(f, m);
        if (f->scratch.len == 0) {
            rejoin(f, m);
            return;
        }
        f->stats.bytes += f->scratch.len;
        f->stats.sends++;
        f->opts.ops->write(m, buf_str(&f->scratch));
    }
}

/* As if it had been served up to there, and no further. */
static void set_back(struct group *g, uint32_t sub, struct lag_sub *lag, bool known, uint64_t seq)
{
    const struct chan *c = g->subs[sub].chan;
    const struct gtable *t = g->subs[sub].table;
    if (t) {
        *lag = (struct lag_sub){.seq = 0, .count = t->rows_out - table_count_missed(g, sub, 0)};
    } else if (c->class == CHANNEL_STATE) {
        *lag = (struct lag_sub){.seq = 0, .count = c->count - c->last_count};
    } else {
        lag->seq = known ? max_u64(seq, c->trimmed_seq) : c->trimmed_seq;
    }
}

void fanout_replay(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t count,
                   const struct str *since)
{
    uint64_t seq = 0;
    bool known = since && fanout_cursor(f, *since, &seq);
    if (m->state == MEMBER_LIVE && m->group->form != FORM_POLL) {
        become_stalled(m->group, m, m->group->live[m->slot].pos);
    }
    if (m->state != MEMBER_STALLED) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < m->group->sub_count; k++) {
            const struct chan *c = m->group->subs[k].chan;
            if (str_eq(c->name, subs[i].channel) && (since || c->class != CHANNEL_EVENT)) {
                set_back(m->group, k, &m->lag->subs[k], known, seq);
            }
        }
    }
    fanout_drained(f, m);
}
