/* Sending what is due, and what happens to members whose sockets are full.
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
#include "base/metrics.h"
#include "hub/fanout_in.h"

#include <assert.h>

static struct metric fanout_seconds = METRIC_HISTOGRAM(
    "coincast_fanout_seconds",
    "From a message's arrival on a shard to the last of its group's sockets.", 1e-6);

/* Few enough that what was just encrypted is still in the cache when it is sent. */
enum { OWNER_BATCH = 32 };

/* ---- stalling ---- */

struct lag *lag_new(const struct group *g)
{
    return mem_alloc(max_size(g->sub_count, 1) * sizeof(struct lag_sub));
}

/* What a member that was given the log's messages up to absolute position `boundary` has of each
 * subscription: everything but the entries behind it and what is held back. */
static void fill_lag(const struct group *g, uint64_t boundary, struct lag *lag)
{
    for (uint32_t i = 0; i < g->sub_count; i++) {
        const struct gsub *s = &g->subs[i];
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

static void become_stalled(struct group *g, struct member *m, uint64_t boundary)
{
    m->lag = lag_new(g);
    fill_lag(g, boundary, m->lag);
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
    if (tail.len) {
        f->opts.ops->write(m, buf_str(&tail));
    }
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

/* Notices for what can't be given, and the list of what can, enough for one helping. */
static void find_missed(struct fanout *f, struct member *m, struct frame_list *missed)
{
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        if (m->group->subs[i].chan->class == CHANNEL_STATE) {
            find_state(f, m, i, missed);
        } else {
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
static void set_back(struct lag_sub *lag, const struct chan *c, bool known, uint64_t seq)
{
    if (c->class == CHANNEL_STATE) {
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
            if (str_eq(c->name, subs[i].channel) && (since || c->class == CHANNEL_STATE)) {
                set_back(&m->lag->subs[k], c, known, seq);
            }
        }
    }
    fanout_drained(f, m);
}

/* ---- the flush ---- */

/* How many messages lie behind `pos`. */
static uint64_t messages_behind(const struct group *g, uint64_t pos)
{
    uint64_t n = 0;
    for (size_t i = g->entry_count; i > 0 && g->entries[i - 1].end > pos; i--) {
        n++;
    }
    return n;
}

/* Where a helping from `pos` on ends: behind the message that makes it large enough. */
static uint64_t helping_end(const struct group *g, uint64_t pos)
{
    size_t low = 0;
    size_t high = g->entry_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (g->entries[mid].end - g->base >= pos - g->base + g->fanout->opts.drain_bytes) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low < g->entry_count ? g->entries[low].end : group_end(g);
}

/* A member whose bytes need work on the way (TLS): one at a time, and in helpings, for what its
 * socket does not take is kept for it. */
static void send_through_owner(struct group *g)
{
    struct fanout *f = g->fanout;
    struct member *m = g->live[g->next++].member;
    uint64_t pos = g->live[m->slot].pos;
    f->stats.deliveries += messages_behind(g, pos);
    while (m->state == MEMBER_LIVE && pos < group_end(g)) {
        uint64_t end = helping_end(g, pos);
        g->live[m->slot].pos = end;
        f->stats.bytes += end - pos;
        f->stats.sends++;
        f->opts.ops->write(m, str_make(g->bytes.ptr + (pos - g->base), end - pos));
        pos = end;
        if (m->state == MEMBER_LIVE && f->opts.ops->pending(m) > 0) {
            fanout_stall(f, m);
            return;
        }
    }
}

/* Whether what is due from `pos` on is one helping. */
static bool is_small(const struct group *g, uint64_t pos)
{
    return group_end(g) - pos <= g->fanout->opts.drain_bytes;
}

/* The same for many members: what is due to each is queued, one flush sends it all, and whoever has
 * bytes waiting then is stalled. Gives how many it was. */
static size_t send_many_through_owner(struct group *g, size_t budget)
{
    struct fanout *f = g->fanout;
    struct member *members[OWNER_BATCH];
    size_t n = 0;
    group_pin(g); /* whoever is cut for having too much waiting leaves in between */
    while (g->next < g->live_count && n < min_size(budget, OWNER_BATCH)) {
        struct place *p = &g->live[g->next];
        if (p->stream || !is_small(g, p->pos)) {
            break;
        }
        uint64_t pos = p->pos;
        p->pos = group_end(g);
        g->next++;
        if (pos == p->pos) {
            continue;
        }
        members[n++] = p->member;
        f->stats.deliveries += messages_behind(g, pos);
        f->stats.bytes += group_end(g) - pos;
        f->opts.ops->queue(members[n - 1],
                           str_make(g->bytes.ptr + (pos - g->base), group_end(g) - pos));
    }
    f->stats.sends += n;
    f->opts.ops->flush(f->opts.self);
    for (size_t i = 0; i < n; i++) {
        struct member *m = members[i];
        if (m->state == MEMBER_LIVE && m->group == g && f->opts.ops->pending(m) > 0) {
            fanout_stall(f, m);
        }
    }
    group_unpin(g);
    return max_size(n, 1);
}

struct failure {
    struct member *member;
    bool broken;
};

static void handle_failures(struct group *g, const struct failure *failures, size_t count)
{
    struct fanout *f = g->fanout;
    group_pin(g);
    for (size_t i = 0; i < count; i++) {
        struct member *m = failures[i].member;
        if (m->state != MEMBER_LIVE || m->group != g) {
            continue;
        }
        if (failures[i].broken) {
            become_stalled(g, m, group_end(g));
            f->opts.ops->broken(m);
        } else {
            stall_at(g, m, g->live[m->slot].pos);
        }
    }
    group_unpin(g);
}

/* Sends to at most `budget` members, from `next` on. */
static size_t send_slice(struct group *g, size_t budget)
{
    struct fanout *f = g->fanout;
    struct stream_out *out = f->out;
    struct failure *failures = NULL;
    size_t failure_count = 0;
    size_t n = 0;
    uint64_t end = group_end(g);
    uint32_t first = g->next;
    uint64_t last_pos = UINT64_MAX;
    uint64_t last_messages = 0;

    while (g->next < g->live_count && n < budget && g->live[g->next].stream) {
        const struct place *p = &g->live[g->next++];
        out[n++] = (struct stream_out){.stream = p->stream,
                                       .bytes = g->bytes.ptr + (p->pos - g->base),
                                       .len = (uint32_t)(end - p->pos)};
    }
    stream_send_many(f->loop, out, n);
    for (size_t i = 0; i < n; i++) {
        struct place *p = &g->live[first + i];
        if (p->pos != last_pos) {
            last_pos = p->pos;
            last_messages = messages_behind(g, p->pos);
        }
        if (likely(out[i].result == (int32_t)out[i].len)) {
            p->pos = end;
            f->stats.deliveries += last_messages;
            f->stats.bytes += out[i].len;
            continue;
        }
        p->pos += out[i].result > 0 ? (uint64_t)out[i].result : 0;
        if (!failures) {
            failures = mem_array(n - i, sizeof(*failures));
        }
        failures[failure_count++] =
            (struct failure){.member = p->member, .broken = out[i].result < 0};
    }
    f->stats.sends += n;
    handle_failures(g, failures, failure_count);
    mem_free(failures);
    return n;
}

void answer_polls(struct group *g, bool reset)
{
    struct fanout *f = g->fanout;
    uint32_t count = g->live_count;
    struct member **members = mem_array(count, sizeof(struct member *));
    struct buf body = {0};
    buf_printf(&body, "{\"cursor\":\"%s-%llu\",\"reset\":%s,\"messages\":[", f->epoch,
               (unsigned long long)f->seq, reset ? "true" : "false");
    buf_add_str(&body, buf_str(&g->bytes));
    buf_add_lit(&body, "]}");
    f->stats.deliveries += (uint64_t)count * g->entry_count;
    f->stats.sends += count;
    f->stats.bytes += (uint64_t)count * body.len;
    for (uint32_t i = 0; i < count; i++) {
        members[i] = g->live[i].member;
    }
    for (uint32_t i = 0; i < count; i++) {
        fanout_leave(f, members[i]); /* the last one frees the group */
    }
    f->opts.ops->polled(f->opts.self, members, count, buf_str(&body));
    buf_fini(&body);
    mem_free(members);
}

/* Everyone was reached: again for what came meanwhile, after the other groups; or done. */
static void finish_pass(struct group *g)
{
    if (g->live_count && g->pass_end < group_end(g)) {
        g->next = 0;
        g->pass_end = group_end(g);
        list_remove(&g->dirty);
        list_push(&g->fanout->dirty, &g->dirty);
    } else {
        if (g->entry_count) {
            metric_observe(&fanout_seconds, loop_exact_us(g->fanout->loop) - g->began_us);
        }
        group_empty_log(g);
    }
}

bool fanout_flush(void *self)
{
    struct fanout *f = self;
    size_t budget = f->opts.slice;
    while (budget > 0 && !list_empty(&f->dirty)) {
        struct group *g = containerof(f->dirty.next, struct group, dirty);
        if (g->form == FORM_POLL) {
            answer_polls(g, false);
            continue;
        }
        if (g->next >= g->live_count) {
            finish_pass(g);
            continue;
        }
        if (g->live[g->next].pos == group_end(g)) {
            g->next++; /* joined after the message */
            continue;
        }
        if (g->live[g->next].stream) {
            budget -= send_slice(g, budget);
        } else if (f->opts.ops->queue && is_small(g, g->live[g->next].pos)) {
            budget -= send_many_through_owner(g, budget);
        } else {
            send_through_owner(g);
            budget--;
        }
    }
    return !list_empty(&f->dirty);
}
