/* SPDX-License-Identifier: MIT */
#include "tests/lib/fake_fetch.h"

#include "base/alloc.h"

struct fetch_job {
    struct list node;
    struct fake_fetch *owner;
    struct fake_answer answer;
    struct timer timer;
    fetch_done_fn done;
    void *self;
    uint64_t began_us;
};

static void job_free(struct fetch_job *job)
{
    timer_stop(job->owner->loop, &job->timer);
    list_remove(&job->node);
    job->owner->under_way--;
    buf_fini(&job->answer.body);
    mem_free(job);
}

static struct str text(const char *t)
{
    return str_of(t ? t : "");
}

static void finish(void *self)
{
    struct fetch_job *job = self;
    struct fetch_answer a = {
        .err = job->answer.err,
        .why = fetch_why(job->answer.err),
        .status = job->answer.status,
        .body = buf_str(&job->answer.body),
        .etag = text(job->answer.etag),
        .retry_after = text(job->answer.retry_after),
        .upstream = text(job->answer.upstream),
        .used_weight = text(job->answer.used_weight),
        .took_us = loop_now_us(job->owner->loop) - job->began_us,
    };
    job->done(job->self, &a);
    job_free(job);
}

static struct fetch_job *start(struct fetch *base, const struct fetch_request *request,
                               fetch_done_fn done, void *self)
{
    struct fake_fetch *f = containerof(base, struct fake_fetch, base);
    struct fetch_job *job = mem_zero(sizeof(*job));
    job->owner = f;
    job->done = done;
    job->self = self;
    job->began_us = loop_now_us(f->loop);
    job->answer.status = 200;
    job->answer.delay_ms = 20;
    list_push(&f->jobs, &job->node);
    f->started++;
    f->under_way++;
    f->most_under_way = f->under_way > f->most_under_way ? f->under_way : f->most_under_way;
    f->answer(f->self, request, &job->answer);
    timer_start(f->loop, &job->timer, loop_now_ms(f->loop) + job->answer.delay_ms, finish, job);
    return job;
}

static void cancel(struct fetch *base, struct fetch_job *job)
{
    containerof(base, struct fake_fetch, base)->cancelled++;
    job_free(job);
}

static void fetch_free(struct fetch *base)
{
    fake_fetch_fini(containerof(base, struct fake_fetch, base));
}

void fake_fetch_init(struct fake_fetch *f, struct loop *l)
{
    static const struct fetch_ops ops = {.start = start, .cancel = cancel, .free = fetch_free};
    *f = (struct fake_fetch){.base = {&ops}, .loop = l};
    list_init(&f->jobs);
}

void fake_fetch_fini(struct fake_fetch *f)
{
    list_each (node, &f->jobs) {
        job_free(containerof(node, struct fetch_job, node));
    }
}

void fake_loop_run(struct loop *l, uint64_t until_ms)
{
    for (;;) {
        loop_turn(l, 0);
        loop_turn(l, 0); /* what deferred work deferred */
        uint64_t next_ms = loop_next_timer_ms(l);
        if (next_ms <= loop_now_ms(l)) {
            continue;
        }
        uint64_t to_ms = min_u64(next_ms, until_ms);
        if (to_ms <= loop_now_ms(l)) {
            return;
        }
        clock_advance_us(loop_clock(l), (to_ms - loop_now_ms(l)) * 1000);
    }
}
