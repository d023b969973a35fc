/* Sending what is due: slices of sends over as many groups as it takes to fill one.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/metrics.h"
#include "hub/fanout_in.h"

static struct metric fanout_seconds = METRIC_HISTOGRAM(
    "coincast_fanout_seconds",
    "From a message's arrival on a shard to the last of its group's sockets.", 1e-6);
static struct metric lag_seconds = METRIC_HISTOGRAM(
    "coincast_lag_seconds",
    "From the upstream bytes behind a message to the last of its group's sockets.", 1e-6);

/* As many as the kernel takes in one submission: between two of them it sends, and the library that
 * enciphers has left the caches. */
enum { OWNER_BATCH = 256 };

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
    size_t most = min_size(budget, OWNER_BATCH);
    size_t end = min_size(g->live_count, g->next + most);
    for (size_t i = g->next; f->opts.ops->soon && i < end; i++) {
        f->opts.ops->soon(g->live[i].member);
    }
    group_pin(g); /* whoever is cut for having too much waiting leaves in between */
    g->lent = true;
    while (g->next < min_size(end, g->live_count) && n < most) {
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
    bool all = f->opts.ops->flush(f->opts.self);
    g->lent = false;
    if (g->live_count == 0) {
        group_empty_log(g);
    }
    for (size_t i = 0; i < n && !all; i++) {
        struct member *m = members[i];
        if (m->state == MEMBER_LIVE && m->group == g && f->opts.ops->pending(m) > 0) {
            fanout_stall(f, m);
        }
    }
    group_unpin(g);
    return max_size(n, 1);
}

/* ---- plain sockets: one slice over as many groups as it takes ---- */

/* Puts the sends of one group into the slice, from `next` on. */
static size_t gather_group(struct group *g, size_t n, size_t budget)
{
    struct fanout *f = g->fanout;
    uint64_t end = group_end(g);
    while (g->next < g->live_count && n < budget && g->live[g->next].stream) {
        const struct place *p = &g->live[g->next];
        if (p->pos < end) { /* else it joined after the message */
            f->sent[n] = (struct sent){.group = g, .at = g->next};
            f->out[n++] = (struct stream_out){.stream = p->stream,
                                              .bytes = g->bytes.ptr + (p->pos - g->base),
                                              .len = (uint32_t)(end - p->pos)};
        }
        g->next++;
    }
    return n;
}

/* Ten thousand small groups would make as many submissions of one send each. */
static size_t gather(struct fanout *f, size_t budget)
{
    size_t n = 0;
    for (struct list *it = f->dirty.next; it != &f->dirty && n < budget; it = it->next) {
        struct group *g = containerof(it, struct group, dirty);
        if (g->form != FORM_POLL) {
            n = gather_group(g, n, budget);
        }
    }
    return n;
}

struct failure {
    struct group *group; /* pinned */
    struct member *member;
    bool broken;
};

static void handle_failures(struct fanout *f, const struct failure *failures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct member *m = failures[i].member;
        struct group *g = failures[i].group;
        if (m->state == MEMBER_LIVE && m->group == g) {
            if (failures[i].broken) {
                become_stalled(g, m, group_end(g));
                f->opts.ops->broken(m);
            } else {
                stall_at(g, m, g->live[m->slot].pos);
            }
        }
        group_unpin(g);
    }
}

/* Sends a slice and notes what became of it; gives how many sends it was. */
static size_t send_slice(struct fanout *f, size_t budget)
{
    struct failure *failures = NULL;
    size_t failure_count = 0;
    size_t n = gather(f, budget);
    const struct group *last_group = NULL;
    uint64_t last_pos = 0;
    uint64_t last_messages = 0;
    stream_send_many(f->loop, f->out, n);
    for (size_t i = 0; i < n; i++) {
        struct group *g = f->sent[i].group;
        const struct stream_out *out = &f->out[i];
        struct place *p = &g->live[f->sent[i].at];
        if (g != last_group || p->pos != last_pos) {
            last_group = g;
            last_pos = p->pos;
            last_messages = messages_behind(g, p->pos);
        }
        p->pos += out->result > 0 ? (uint64_t)out->result : 0;
        if (likely(out->result == (int32_t)out->len)) {
            f->stats.deliveries += last_messages;
            f->stats.bytes += out->len;
            continue;
        }
        if (!failures) {
            failures = mem_array(n - i, sizeof(*failures));
        }
        group_pin(g);
        failures[failure_count++] =
            (struct failure){.group = g, .member = p->member, .broken = out->result < 0};
    }
    f->stats.sends += n;
    handle_failures(f, failures, failure_count);
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

static void note_lag(struct group *g)
{
    uint64_t now = loop_exact_us(g->fanout->loop);
    if (g->origin_us && g->live_count && now > g->origin_us) {
        g->lag_us = now - g->origin_us;
        metric_observe(&lag_seconds, g->lag_us);
    }
}

/* Everyone was reached: again for what came meanwhile, after the other groups; or done. */
static void finish_pass(struct group *g)
{
    if (g->live_count && g->pass_end < group_end(g)) {
        note_lag(g);
        g->next = 0;
        g->origin_us = g->next_origin_us;
        g->next_origin_us = 0;
        g->pass_end = group_end(g);
        list_remove(&g->dirty);
        list_push(&g->fanout->dirty, &g->dirty);
    } else {
        if (g->entry_count) {
            metric_observe(&fanout_seconds, loop_exact_us(g->fanout->loop) - g->began_us);
        }
        note_lag(g);
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
            budget -= send_slice(f, budget);
        } else if (f->opts.ops->queue && is_small(g, g->live[g->next].pos)) {
            budget -= send_many_through_owner(g, budget);
        } else {
            send_through_owner(g);
            budget--;
        }
    }
    return !list_empty(&f->dirty);
}
