/* What is asked of a venue's REST: which symbols it trades, trades that were missed, candles. One
 * request at a time a host, within a limiter of its own; repairs come first, the list before
 * history. A host that says that it is too much is left alone for as long as it says, or 5 min; one
 * that says that 80 % of our limit there is used up, by whomever, until its next minute.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/log.h"
#include "sources/feed.h"
#include "sources/recorded.h"

#define JOBS_MAX 5000
#define LIST_EVERY_MS (6u * 3600 * 1000)
#define LIST_RETRY_MS 30000
#define LIST_RETRY_MAX_MS 600000
#define BUSY_MS 300000
#define TRADES_MAX_BYTES (4u << 20)
#define CANDLES_MAX_BYTES (2u << 20)
#define OFFERED_MAX 20000
/* Answers that make one history of longer candles. */
#define HISTORY_PARTS 4
/* A candle that is over may take so long to come into the answers. */
#define QUIET_MS 60000

static void job_free(struct feed_job *job)
{
    list_remove(&job->node);
    mem_free(job);
}

void feed_rest_init(struct venue_feed *vf)
{
    struct feed_rest *r = &vf->rest;
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    limiter_init(&r->limiter, vf->venue->rest_burst, vf->venue->rest_period_ms, now_ms);
    list_init(&r->jobs);
    struct weight *shared = vf->owner->opts.weight[vf->venue->id];
    r->weight = shared ? shared : &r->own_weight;
    map_init(&vf->offered, OFFERED_MAX);
    r->list_due_ms = now_ms;
}

void feed_rest_stop(struct venue_feed *vf)
{
    struct feed_rest *r = &vf->rest;
    if (r->flight) {
        vf->owner->opts.fetch->ops->cancel(vf->owner->opts.fetch, r->flight);
        r->flight = NULL;
    }
    if (r->busy) {
        mem_free(r->busy);
        r->busy = NULL;
    }
    list_each (node, &r->jobs) {
        job_free(containerof(node, struct feed_job, node));
    }
    r->job_count = 0;
    buf_fini(&r->url);
}

static struct feed_job *add_job(struct venue_feed *vf, enum feed_job_kind kind, size_t row)
{
    struct feed_job *job = mem_zero(sizeof(*job));
    job->kind = kind;
    job->row = row;
    if (kind == JOB_REPAIR) {
        list_insert(&vf->rest.jobs, &job->node);
    } else {
        list_push(&vf->rest.jobs, &job->node);
    }
    vf->rest.job_count++;
    return job;
}

void feed_rest_repair(struct venue_feed *vf, struct feed_row *row, const struct feed_hole *hole)
{
    struct feed_hole gone = *hole; /* it may be one of the row's, which go now */
    if (vf->rest.job_count >= JOBS_MAX) {
        feed_take_repair(vf, row, &gone, NULL, 0);
        feed_take_gap(vf, row, &gone);
        return;
    }
    add_job(vf, JOB_REPAIR, row->index)->hole = *hole;
}

static void add_history(struct venue_feed *vf, const struct feed_row *row, enum interval i,
                        size_t count, int64_t before_ms)
{
    struct feed_job *job = add_job(vf, JOB_HISTORY, row->index);
    job->interval = i;
    job->count = count;
    job->before_ms = before_ms;
}

void feed_rest_history(struct venue_feed *vf, struct feed_row *row, enum interval i, size_t count,
                       int64_t before_ms)
{
    if (vf->rest.job_count >= JOBS_MAX) {
        log_warn("feeds", "too many questions wait; history is not asked", "venue=%s",
                 venue_name(vf->venue->id));
        return;
    }
    enum interval own = vf->venue->history_interval(i);
    if (own == i) {
        add_history(vf, row, i, min_size(count, vf->venue->history_max), before_ms);
        return;
    }
    /* In shorter ones: several answers, each from the begin of a longer one on, so that all that is
     * summed up is whole. The first has less room, for it ends anywhere in one. */
    int64_t step_ms = interval_ms(i), own_ms = interval_ms(own);
    size_t room = vf->venue->history_max * HISTORY_PARTS / (size_t)(step_ms / own_ms) - 1;
    count = min_size(count, room);
    int64_t end_ms = before_ms > 0 ? before_ms : loop_wall_ms(vf->owner->opts.loop);
    int64_t from_ms = end_ms / step_ms * step_ms - (int64_t)count * step_ms;
    for (end_ms = end_ms / own_ms * own_ms; end_ms > from_ms;) {
        int64_t part_ms = end_ms - (int64_t)vf->venue->history_max * own_ms;
        part_ms = part_ms > from_ms ? (part_ms + step_ms - 1) / step_ms * step_ms : from_ms;
        add_history(vf, row, own, (size_t)((end_ms - part_ms) / own_ms), before_ms);
        before_ms = end_ms = part_ms;
    }
}

/* ---- lists ---- */

struct listing {
    struct venue_feed *vf;
    struct map fresh;
};

static void on_listed(void *self, struct str symbol)
{
    struct listing *l = self;
    if (map_put(&l->fresh, symbol, l->vf) != OK) {
        log_debug("feeds", "a list longer than can be", "venue=%s", venue_name(l->vf->venue->id));
    }
}

/* The new list counts from now on. */
static void take_list(struct listing *l)
{
    struct venue_feed *vf = l->vf;
    struct feeds *f = vf->owner;
    struct str key;
    void *value;
    size_t at = 0;
    map_fini(&vf->offered);
    vf->offered = l->fresh;
    vf->list_known = true;
    feed_rows_relist(vf);
    while (map_next(&vf->offered, &at, &key, &value)) {
        if (!map_get(&f->told, key) && map_put(&f->told, key, f) == OK && f->opts.offered) {
            f->opts.offered(f->opts.self, key);
        }
    }
}

static enum err read_list(struct venue_feed *vf, struct str body, const char **why)
{
    struct listing l = {.vf = vf};
    map_init(&l.fresh, OFFERED_MAX);
    enum err e = vf->venue->read_list(body, on_listed, &l, why);
    if (e == OK && l.fresh.count == 0) {
        e = ERR_NOT_FOUND;
        *why = "its list of instruments has none of use";
    }
    if (e != OK) {
        map_fini(&l.fresh);
        return e;
    }
    take_list(&l);
    log_info("feeds", "list of instruments", "venue=%s symbols=%zu", venue_name(vf->venue->id),
             vf->offered.count);
    return OK;
}

/* ---- trades ---- */

struct trades {
    struct exchange_event *rows;
    size_t count, cap;
};

static void on_trade(void *self, const struct exchange_event *e)
{
    struct trades *t = self;
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->rows = mem_resize(t->rows, t->cap * sizeof(*t->rows));
    }
    t->rows[t->count++] = *e;
}

static int by_id(const void *a, const void *b)
{
    const struct exchange_event *x = a;
    const struct exchange_event *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Whatever came of it, the hole is gone then: filled, or a gap. */
static enum err end_repair(struct venue_feed *vf, const struct feed_job *job, enum err e,
                           struct str body, const char **why)
{
    struct feed_row *row = vf->rows[job->row];
    struct trades t = {0};
    e = e == OK ? vf->venue->read_trades(body, on_trade, &t, why) : e;
    if (t.count > 0) {
        qsort(t.rows, t.count, sizeof(*t.rows), by_id);
    }
    if (feed_take_repair(vf, row, &job->hole, t.rows, e == OK ? t.count : 0) > 0) {
        feed_take_gap(vf, row, &job->hole);
    }
    mem_free(t.rows);
    return e;
}

/* ---- candles ---- */

struct rows {
    struct candle *rows;
    size_t count, cap;
    int64_t oldest_ms, newest_ms;
};

static void on_candle(void *self, const struct candle *c)
{
    struct rows *r = self;
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 256;
        r->rows = mem_resize(r->rows, r->cap * sizeof(*r->rows));
    }
    r->rows[r->count++] = *c;
    r->oldest_ms = r->count == 1 || c->open_ms < r->oldest_ms ? c->open_ms : r->oldest_ms;
    r->newest_ms = c->open_ms > r->newest_ms ? c->open_ms : r->newest_ms;
}

/* The time that an answer says everything about: that of its rows, also of empty and open ones, and
 * where quiet candles have no row and it is not full, all that was asked for. */
static void tell_asked(const struct venue_feed *vf, const struct feed_job *job,
                       const struct rows *r)
{
    const struct feeds_opts *o = &vf->owner->opts;
    int64_t step_ms = interval_ms(job->interval);
    int64_t now_ms = loop_wall_ms(o->loop);
    int64_t end_ms = job->before_ms > 0 && job->before_ms < now_ms ? job->before_ms : now_ms;
    int64_t asked_ms = end_ms / step_ms * step_ms - (int64_t)job->count * step_ms;
    bool known = job->count > 0; /* how many were asked for */
    int64_t from_ms = !known || r->oldest_ms > asked_ms ? r->oldest_ms : asked_ms;
    int64_t to_ms = r->newest_ms < end_ms - step_ms ? r->newest_ms + step_ms : end_ms;
    if (vf->venue->leaves_out_quiet && r->count < job->count) {
        int64_t quiet_ms = end_ms < now_ms - QUIET_MS ? end_ms : now_ms - QUIET_MS;
        from_ms = asked_ms;
        to_ms = r->count > 0 && to_ms > quiet_ms ? to_ms : quiet_ms;
    } else if (r->count == 0) {
        return;
    }
    to_ms -= to_ms % step_ms;
    if (o->asked && from_ms < to_ms) {
        o->asked(o->self, (enum market_venue)vf->venue->id, vf->rows[job->row]->symbol,
                 job->interval, from_ms, to_ms);
    }
}

/* Only those that are over, by our clock and by the venue's. */
static void keep_closed(const struct venue_feed *vf, const struct feed_job *job, struct rows *r)
{
    int64_t now_ms = loop_wall_ms(vf->owner->opts.loop);
    int64_t end_ms = job->before_ms > 0 && job->before_ms < now_ms ? job->before_ms : now_ms;
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct candle c = r->rows[i];
        bool open = vf->venue->newest_is_open && job->before_ms == 0 && c.open_ms == r->newest_ms;
        bool empty = decimal_is_zero(c.volume); /* a minute without trades has no candle */
        if (!open && !empty && c.open_ms + interval_ms(job->interval) <= end_ms) {
            r->rows[kept] = c;
            r->rows[kept++].flags = CANDLE_CLOSED | CANDLE_HISTORY;
        }
    }
    r->count = kept;
}

static enum err end_history(struct venue_feed *vf, const struct feed_job *job, struct str body,
                            const char **why)
{
    const struct feeds_opts *o = &vf->owner->opts;
    struct rows r = {0};
    enum err e = vf->venue->read_candles(body, on_candle, &r, why);
    struct rows all = r;
    if (e == OK) {
        keep_closed(vf, job, &r);
        if (r.count > 0) {
            o->history(o->self, (enum market_venue)vf->venue->id, vf->rows[job->row]->symbol,
                       job->interval, r.rows, r.count);
        }
        tell_asked(vf, job, &all);
    }
    mem_free(r.rows);
    return e;
}

/* ---- one request ---- */

/* Not before then, if the answer says so. */
static void obey(struct venue_feed *vf, const struct fetch_answer *a)
{
    struct loop *l = vf->owner->opts.loop;
    if (a->err == OK && (a->status == 429 || a->status == 418 || a->status == 403)) {
        uint64_t wait_ms = fetch_retry_after_ms(a->retry_after, loop_wall_ms(l));
        limiter_shut(&vf->rest.limiter, loop_now_ms(l) + (wait_ms ? wait_ms : BUSY_MS));
    }
}

/* Before it has to say that it is too much. */
static void weigh(struct venue_feed *vf, const struct fetch_answer *a, bool is_list)
{
    struct loop *l = vf->owner->opts.loop;
    struct weight *w = vf->rest.weight;
    if (is_list && vf->venue->read_weight_limit) {
        uint64_t limit = vf->venue->read_weight_limit(a->body);
        w->limit = limit ? limit : w->limit;
    }
    if (weight_note(w, a->used_weight, loop_wall_ms(l)) > 0) {
        log_warn("feeds", "REST waits for the next minute: its limit is nearly used up",
                 "venue=%s weight=%llu limit=%llu", venue_name(vf->venue->id),
                 (unsigned long long)w->used, (unsigned long long)w->limit);
    }
}

static void plan_list(struct venue_feed *vf, enum err e, int status)
{
    struct feed_rest *r = &vf->rest;
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    r->list_failures = e == OK ? 0 : r->list_failures + 1;
    uint64_t wait_ms = (uint64_t)LIST_RETRY_MS << min_u64(r->list_failures, 5);
    wait_ms = status == 451 ? LIST_RETRY_MAX_MS : min_u64(wait_ms, LIST_RETRY_MAX_MS);
    r->list_due_ms = now_ms + (e == OK ? LIST_EVERY_MS : wait_ms);
}

static enum err check(const struct fetch_answer *a, const char **why)
{
    if (a->err != OK) {
        *why = a->why;
        return a->err;
    }
    if (a->status == 451) {
        *why = "blocked by region";
        return ERR_DENIED;
    }
    if (a->status == 429 || a->status == 418) {
        *why = "it is asked too often";
        return ERR_LIMIT;
    }
    if (a->status < 200 || a->status > 299) {
        *why = "it answers with an error";
        return ERR_UNAVAILABLE;
    }
    return OK;
}

enum err feed_rest_take(struct venue_feed *vf, const struct feed_job *job,
                        const struct fetch_answer *a)
{
    static const char *const names[] = {"instruments", "trades", "candles"};
    struct feed_rest *r = &vf->rest;
    const char *why = "";
    enum err e = check(a, &why);
    if (job->kind == JOB_REPAIR) {
        e = end_repair(vf, job, e, a->body, &why);
    } else if (e == OK) {
        e = job->kind == JOB_LIST ? read_list(vf, a->body, &why)
                                  : end_history(vf, job, a->body, &why);
    }
    r->reason[0] = '\0';
    if (e != OK) {
        snprintf(r->reason, sizeof(r->reason), "REST (%s): %s", names[job->kind], why);
        log_warn("feeds", "REST did not answer well", "venue=%s asked=%s status=%d why=%s",
                 venue_name(vf->venue->id), names[job->kind], a->status, log_quote(str_of(why)));
    }
    return e;
}

static void record(struct venue_feed *vf, const struct feed_job *job, const struct fetch_answer *a)
{
    const struct feeds_opts *o = &vf->owner->opts;
    struct buf purpose = {0};
    feed_purpose_write(&purpose, job->kind == JOB_LIST ? "" : vf->rows[job->row]->instrument, job);
    recorded_write(o->recorder, loop_clock(o->loop), venue_name(vf->venue->id),
                   buf_str(&vf->rest.url), buf_str(&purpose), a);
    buf_fini(&purpose);
}

static void on_answer(void *self, const struct fetch_answer *a)
{
    struct venue_feed *vf = self;
    struct feed_rest *r = &vf->rest;
    struct feed_job *job = r->busy;
    const char *why;
    record(vf, job, a);
    r->flight = NULL;
    r->busy = NULL;
    obey(vf, a);
    if (check(a, &why) == OK) {
        feeds_mark(vf->owner, a->upstream);
        weigh(vf, a, job->kind == JOB_LIST);
    }
    enum err e = feed_rest_take(vf, job, a);
    if (job->kind == JOB_LIST) {
        plan_list(vf, e, a->status);
    }
    mem_free(job);
}

static void start(struct venue_feed *vf, struct feed_job *job)
{
    static const uint32_t max_bytes[] = {0, TRADES_MAX_BYTES, CANDLES_MAX_BYTES};
    const struct feed_venue *venue = vf->venue;
    struct fetch *fetch = vf->owner->opts.fetch;
    struct buf *url = &vf->rest.url;
    buf_clear(url);
    buf_printf(url, "%s", vf->rest_url);
    if (job->kind == JOB_LIST) {
        buf_printf(url, "%s", venue->list_path);
    } else if (job->kind == JOB_REPAIR) {
        venue->trades_path(url, vf->rows[job->row], &job->hole);
    } else {
        venue->candles_path(url, vf->rows[job->row], job->interval, job->count, job->before_ms,
                            loop_wall_ms(vf->owner->opts.loop));
    }
    struct fetch_request request = {.url = buf_str(url), .max_bytes = max_bytes[job->kind]};
    if (job->kind == JOB_LIST) {
        request.max_bytes = venue->list_max_bytes;
    }
    vf->rest.busy = job;
    vf->rest.flight = fetch->ops->start(fetch, &request, on_answer, vf);
}

/* NULL: none. History of what nobody watches any more is not asked for. */
static struct feed_job *next_job(struct venue_feed *vf)
{
    struct feed_rest *r = &vf->rest;
    while (!list_empty(&r->jobs)) {
        struct feed_job *job = containerof(r->jobs.next, struct feed_job, node);
        if (job->kind != JOB_HISTORY || vf->rows[job->row]->wanted) {
            return job;
        }
        list_remove(&job->node);
        r->job_count--;
        mem_free(job);
    }
    return NULL;
}

void feed_rest_tick(struct venue_feed *vf)
{
    struct feed_rest *r = &vf->rest;
    uint64_t now_ms = loop_now_ms(vf->owner->opts.loop);
    if (!vf->owner->opts.fetch || r->busy) {
        return;
    }
    if (vf->owner->opts.link && now_ms >= r->list_due_ms) {
        r->list_due_ms = UINT64_MAX; /* until it is answered */
        struct feed_job *list = add_job(vf, JOB_LIST, 0);
        list_remove(&list->node);
        list_insert(&r->jobs, &list->node);
    }
    bool full = weight_wait_ms(r->weight, loop_wall_ms(vf->owner->opts.loop)) > 0;
    struct feed_job *job = next_job(vf);
    if (job && !full && limiter_take(&r->limiter, now_ms)) {
        list_remove(&job->node);
        r->job_count--;
        start(vf, job);
    }
}
