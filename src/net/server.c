/* One shard's conns as a whole. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/tally.h"
#include "net/conn.h"
#include "wire/sha1.h"

#include <assert.h>

_Static_assert(sizeof(struct conn) == 128, "an idle conn costs what performance.md 10 allows");

static void sweep(void *self)
{
    struct net_server *s = self;
    s->sweep_at_ms = WHEEL_NEVER;
    wheel_turn(&s->wheel, loop_now_ms(s->opts.loop), conn_deadline, s);
    uint64_t next_ms = wheel_next_ms(&s->wheel);
    if (next_ms < s->sweep_at_ms) {
        s->sweep_at_ms = next_ms;
        timer_start(s->opts.loop, &s->sweep, next_ms, sweep, s);
    }
}

static void fill_defaults(struct net_opts *o)
{
    o->max_body = o->max_body ? o->max_body : (size_t)1 << 20;
    o->max_pending = o->max_pending ? o->max_pending : (size_t)64 << 20;
    o->http.max_head = o->http.max_head ? o->http.max_head : 16384;
    o->head_timeout_ms = o->head_timeout_ms ? o->head_timeout_ms : 10000;
    o->body_timeout_ms = o->body_timeout_ms ? o->body_timeout_ms : 30000;
    o->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : 75000;
    o->max_message = o->max_message ? o->max_message : (size_t)64 << 10;
    o->max_large = max_size(o->max_large, o->max_message);
    o->max_fragments = o->max_fragments ? o->max_fragments : 1024;
    if (!o->deflate_policy.server_window_bits) {
        o->deflate_policy.server_window_bits = 15;
    }
    o->user_bytes = (o->user_bytes + 15) & ~(size_t)15;
}

struct net_server *net_server_new(const struct net_opts *opts)
{
    struct net_server *s = mem_zero(sizeof(*s));
    s->opts = *opts;
    fill_defaults(&s->opts);
    sha1_prepare();
    wheel_init(&s->wheel, loop_now_ms(opts->loop));
    list_init(&s->due);
    list_init(&s->resume);
    s->conns_of = opts->conns_of ? opts->conns_of : tally_new(NET_MAX_PEERS);
    buf_init(&s->inflated, s->opts.max_large);
    s->sweep.fn = sweep;
    s->sweep_at_ms = WHEEL_NEVER;
    s->date_second = INT64_MIN;
    if (opts->tls) {
        s->plain = mem_alloc(NET_PLAIN_BYTES);
    }
    loop_add_flush(opts->loop, &s->flush, conn_flush_due, s);
    return s;
}

void net_server_free(struct net_server *s)
{
    if (!s) {
        return;
    }
    assert(!s->count);
    net_stop_listening(s);
    timer_stop(s->opts.loop, &s->sweep);
    loop_undefer(&s->resume_defer);
    loop_undefer(&s->due_defer);
    loop_remove_flush(&s->flush);
    if (!s->opts.conns_of) {
        tally_free(s->conns_of);
    }
    out_pool_fini(&s->pool);
    buf_fini(&s->scratch);
    buf_fini(&s->inflated);
    deflater_free(s->deflater);
    inflater_free(s->inflater);
    mem_free(s->plain);
    mem_free(s->lending);
    mem_free(s);
}

size_t net_count(const struct net_server *s)
{
    return s->count;
}

struct conn_set {
    struct conn **conns;
    size_t count;
};

static void collect(void *self, struct wheel_node *n)
{
    struct conn_set *set = self;
    set->conns[set->count++] = containerof(n, struct conn, node);
}

/* The conns that are there now. Their memory outlives the walk whatever `fn` closes: the loop frees
 * later. */
static struct conn_set snapshot(struct net_server *s)
{
    struct conn_set set = {mem_array(s->count + 1, sizeof(struct conn *)), 0};
    wheel_each(&s->wheel, collect, &set);
    return set;
}

void net_each(struct net_server *s, void (*fn)(void *self, struct conn *c), void *self)
{
    struct conn_set set = snapshot(s);
    for (size_t i = 0; i < set.count; i++) {
        struct conn *c = set.conns[i];
        if (c->state != CONN_GONE && !(c->flags & CF_REFUSED)) {
            fn(self, c);
        }
    }
    mem_free(set.conns);
}

void conn_drain(struct conn *c)
{
    if (c->state != CONN_HTTP) {
        conn_finish(c);
    } else if (http_idle(c)) {
        conn_end(c, 0, WHY_DRAINED);
    } else {
        c->flags &= ~(uint32_t)CF_KEEP;
    }
}

static void drain_one(void *self, struct conn *c)
{
    (void)self;
    conn_drain(c);
}

void net_drain(struct net_server *s)
{
    s->draining = true;
    net_each(s, drain_one, NULL);
}

void net_close_all(struct net_server *s)
{
    struct conn_set set = snapshot(s);
    for (size_t i = 0; i < set.count; i++) {
        struct conn *c = set.conns[i];
        conn_drop(c, c->flags & CF_WS ? WS_CLOSE_GOING_AWAY : 0, WHY_CLOSED_HERE, true);
    }
    mem_free(set.conns);
}
