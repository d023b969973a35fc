/* Who wants what: members move between groups as their subscriptions change.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "hub/fanout_in.h"

/* The member's wants as they are now, with room for one more. */
static struct group_want *wants_of(const struct member *m, size_t more, size_t *count)
{
    size_t n = m->group ? m->group->sub_count : 0;
    struct group_want *wants = mem_array(n + more, sizeof(*wants));
    for (size_t i = 0; i < n; i++) {
        const struct gsub *s = &m->group->subs[i];
        wants[i] = (struct group_want){.chan = s->chan,
                                       .interval_ms = s->interval_ms,
                                       .repeat_ms = s->repeat_ms,
                                       .keys = keyset_ref(s->keys),
                                       .delta = s->delta};
    }
    *count = n;
    return wants;
}

static void wants_free(struct fanout *f, struct group_want *wants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        keyset_unref(&f->sets, wants[i].keys);
    }
    mem_free(wants);
}

static struct group_want want_of(struct fanout *f, struct chan *c, enum frame_form form,
                                 const struct fanout_sub *sub)
{
    bool deltas = form == FORM_WS || form == FORM_WS_DEFLATE || form == FORM_MSGPACK ||
                  form == FORM_MSGPACK_DEFLATE;
    bool poll = form == FORM_POLL;
    return (struct group_want){
        .chan = c,
        .interval_ms = poll ? 0 : sub->interval_ms,
        .repeat_ms = poll ? 0 : sub->repeat_ms,
        .keys = sub->key_count ? keyset_intern(&f->sets, sub->keys, sub->key_count) : NULL,
        .delta = sub->delta && deltas};
}

static bool names(const struct fanout_sub *subs, size_t count, const struct chan *c)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(subs[i].channel, c->name)) {
            return true;
        }
    }
    return false;
}

/* Gives a live member what its group still has for it: the rest of the log, and what is held back
 * of the channels not named in `subs`. False: it left over that. */
static bool settle(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t count)
{
    struct group *g = m->group;
    if (m->state != MEMBER_LIVE || g->form == FORM_POLL) {
        return true;
    }
    struct place *p = &g->live[m->slot];
    struct buf due = {0};
    if (p->pos < group_end(g)) {
        buf_add(&due, g->bytes.ptr + (p->pos - g->base), group_end(g) - p->pos);
    }
    for (size_t i = 0; i < g->sub_count; i++) {
        const struct gsub *s = &g->subs[i];
        if (names(subs, count, s->chan) || newcomers_settle(g, (uint32_t)i, m, &due)) {
            continue;
        }
        for (size_t k = 0; k < s->held_count; k++) {
            frame_append(s->held[k], g->form, (struct str){0}, f->deflater, &due);
        }
        if (s->table) {
            table_write_held(g, (uint32_t)i, &due);
        }
    }
    if (due.len) {
        p->pos = group_end(g);
        f->stats.deliveries++;
        f->stats.bytes += due.len;
        f->opts.ops->write(m, buf_str(&due));
    }
    buf_fini(&due);
    if (m->state == MEMBER_LIVE && f->opts.ops->pending(m) > 0) {
        fanout_stall(f, m);
    }
    return m->state != MEMBER_NONE;
}

/* What a stalled member has of a subscription of the group it goes to. */
static struct lag_sub lag_of(const struct member *m, const struct gsub *to)
{
    const struct chan *c = to->chan;
    for (uint32_t i = 0; i < m->group->sub_count; i++) {
        const struct gsub *from = &m->group->subs[i];
        if (from->chan == c && to->table) {
            uint64_t missed = from->table->rows_out - m->lag->subs[i].count;
            return (struct lag_sub){.seq = m->lag->subs[i].seq,
                                    .count = to->table->rows_out - missed};
        }
        if (from->chan == c) {
            return m->lag->subs[i];
        }
    }
    if (to->table) {
        return (struct lag_sub){.seq = to->table->base, .count = to->table->rows_out};
    }
    return (struct lag_sub){.seq = c->last_seq, .count = c->count};
}

static void leave_group(struct fanout *f, struct member *m)
{
    struct group *g = m->group;
    if (m->state == MEMBER_LIVE) {
        group_remove_live(g, m);
    } else if (m->state == MEMBER_STALLED) {
        g->stalled--;
        f->stats.stalled--;
        mem_free(m->lag);
        m->lag = NULL;
    }
    m->group = NULL;
    m->state = MEMBER_NONE;
    group_release(g);
}

/* Moves a member to the group of `wants`, live as live and stalled as stalled. */
static void move(struct fanout *f, struct member *m, enum frame_form form, struct group_want *wants,
                 size_t count)
{
    struct lag *lag = NULL;
    /* The new group first: it holds the channels while the old one may go. */
    struct group *g = group_intern(f, form, wants, count);
    if (g == m->group) {
        table_joined(g); /* it was given the newest of what was replaced by the same */
        if (m->state == MEMBER_LIVE) {
            newcomers_add(g, m);
        }
        return;
    }
    group_pin(g);
    if (m->state == MEMBER_STALLED) {
        lag = lag_new(g);
        for (uint32_t i = 0; i < g->sub_count; i++) {
            lag->subs[i] = lag_of(m, &g->subs[i]);
        }
    }
    if (m->group) {
        leave_group(f, m);
    }
    if (lag) {
        m->group = g;
        m->lag = lag;
        m->state = MEMBER_STALLED;
        f->stats.stalled++;
        return; /* the pin becomes its place */
    }
    group_add(g, m);
    group_unpin(g);
}

enum err fanout_subscribe(struct fanout *f, struct member *m, enum frame_form form,
                          const struct fanout_sub *sub)
{
    return fanout_join(f, m, form, sub, 1);
}

static bool keys_valid(const struct fanout_sub *sub)
{
    for (size_t i = 0; i < sub->key_count; i++) {
        if (sub->keys[i] > TABLE_KEY_MAX) {
            return false;
        }
    }
    return true;
}

enum err fanout_join(struct fanout *f, struct member *m, enum frame_form form,
                     const struct fanout_sub *subs, size_t more)
{
    size_t count = 0;
    if (!settle(f, m, subs, more)) {
        return ERR_CLOSED;
    }
    struct group_want *wants = wants_of(m, more, &count);
    enum err e = OK;
    for (size_t i = 0; i < more && e == OK; i++) {
        struct chan *c = chan_wished(f, subs[i].channel);
        size_t at = 0;
        while (at < count && wants[at].chan != c) {
            at++;
        }
        bool fits = subs[i].unlimited || at < f->opts.max_subs;
        if (!c || !fits || !keys_valid(&subs[i])) {
            if (c) {
                chan_release(f, c);
            }
            e = ERR_LIMIT;
            break;
        }
        keyset_unref(&f->sets, at < count ? wants[at].keys : NULL);
        wants[at] = want_of(f, c, form, &subs[i]);
        count = max_size(count, at + 1);
    }
    if (e == OK) {
        bool comes = m->state == MEMBER_NONE;
        f->stats.members += comes;
        move(f, m, form, wants, count);
        if (comes && form != FORM_POLL && f->opts.ops->congested(m)) {
            fanout_stall(f, m); /* else what is published would overtake what waits */
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            chan_release(f, wants[i].chan);
        }
    }
    wants_free(f, wants, count);
    return e;
}

static bool has(struct chan *const *chans, size_t count, const struct chan *c)
{
    for (size_t i = 0; i < count; i++) {
        if (chans[i] == c) {
            return true;
        }
    }
    return false;
}

void fanout_drop(struct fanout *f, struct member *m, const struct fanout_sub *subs, size_t gone)
{
    size_t count = 0, kept = 0;
    if (!m->group || !settle(f, m, subs, gone)) {
        return;
    }
    struct chan **chans = mem_array(gone + 1, sizeof(struct chan *));
    for (size_t i = 0; i < gone; i++) {
        chans[i] = map_get(&f->names, subs[i].channel);
    }
    struct group_want *wants = wants_of(m, 0, &count);
    for (size_t i = 0; i < count; i++) {
        if (!has(chans, gone, wants[i].chan)) {
            wants[kept++] = wants[i];
        } else {
            keyset_unref(&f->sets, wants[i].keys);
        }
    }
    if (kept == 0) {
        fanout_leave(f, m);
    } else if (kept < count) {
        move(f, m, m->group->form, wants, kept);
    }
    wants_free(f, wants, kept);
    mem_free(chans);
}

enum err fanout_unsubscribe(struct fanout *f, struct member *m, struct str channel)
{
    if (!fanout_subscribed(f, m, channel)) {
        return ERR_NOT_FOUND;
    }
    fanout_drop(f, m, &(struct fanout_sub){.channel = channel}, 1);
    return OK;
}

static const struct gsub *sub_named(const struct fanout *f, const struct member *m,
                                    struct str channel)
{
    const struct chan *c = map_get(&f->names, channel);
    for (size_t i = 0; m->group && i < m->group->sub_count; i++) {
        if (m->group->subs[i].chan == c) {
            return &m->group->subs[i];
        }
    }
    return NULL;
}

bool fanout_sub_of(const struct fanout *f, const struct member *m, struct str channel,
                   struct fanout_sub *out)
{
    const struct gsub *s = sub_named(f, m, channel);
    if (s) {
        *out = (struct fanout_sub){.channel = s->chan->name,
                                   .interval_ms = s->interval_ms,
                                   .keys = s->keys ? s->keys->keys : NULL,
                                   .key_count = s->keys ? s->keys->count : 0,
                                   .delta = s->delta,
                                   .repeat_ms = s->repeat_ms};
    }
    return s != NULL;
}

/* Moves it to the same subscriptions with another set of keys in one of them. */
static void replace_keys(struct fanout *f, struct member *m, const struct chan *c,
                         struct keyset *owned_keys)
{
    size_t count = 0;
    struct group_want *wants = wants_of(m, 0, &count);
    for (size_t i = 0; i < count; i++) {
        if (wants[i].chan == c) {
            keyset_unref(&f->sets, wants[i].keys);
            wants[i].keys = owned_keys;
        }
    }
    move(f, m, m->group->form, wants, count);
    wants_free(f, wants, count);
}

enum err fanout_sub_keys(struct fanout *f, struct member *m, struct str channel,
                         const uint32_t *keys, size_t count, bool add)
{
    const struct gsub *s = sub_named(f, m, channel);
    if (!s) {
        return ERR_NOT_FOUND;
    }
    if (!keys_valid(&(struct fanout_sub){.keys = keys, .key_count = count})) {
        return ERR_LIMIT;
    }
    if (!s->keys) {
        return add ? OK : ERR_UNSUPPORTED;
    }
    struct keyset *changed = keyset_change(&f->sets, s->keys, keys, count, add);
    if (!changed) {
        return fanout_unsubscribe(f, m, channel);
    }
    if (!settle(f, m, NULL, 0)) {
        keyset_unref(&f->sets, changed);
        return ERR_CLOSED;
    }
    replace_keys(f, m, map_get(&f->names, channel), changed);
    return OK;
}

bool fanout_subscribed(const struct fanout *f, const struct member *m, struct str channel)
{
    return sub_named(f, m, channel) != NULL;
}

size_t fanout_sub_count(const struct member *m)
{
    return m->group ? m->group->sub_count : 0;
}

void fanout_leave(struct fanout *f, struct member *m)
{
    if (m->group) {
        f->stats.members--;
        leave_group(f, m);
    }
}
