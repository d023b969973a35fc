/* SPDX-License-Identifier: MIT */
#include "base/work.h"

#include <pthread.h>

#include "tests/lib/test.h"

enum { JOBS = 500 };

struct counted {
    struct job job;
    int number;
    struct record *record;
};

/* What the jobs of one queue saw. */
struct record {
    int running; /* atomic: jobs of the queue inside run() */
    int most;    /* atomic: the highest that was */
    int ran[JOBS];
    int ran_count; /* only touched by one job at a time: TSan tells if that is not so */
    int done_count;
    pthread_t loop_thread;
    struct counted jobs[JOBS];
};

static struct loop *new_loop(void)
{
    struct loop *l = NULL;
    assert_ok(loop_new(&(struct loop_opts){.io = IO_EPOLL}, &l));
    return l;
}

static void run(struct job *j)
{
    struct counted *c = containerof(j, struct counted, job);
    struct record *r = c->record;
    int now = __atomic_add_fetch(&r->running, 1, __ATOMIC_RELAXED);
    if (now > __atomic_load_n(&r->most, __ATOMIC_RELAXED)) {
        __atomic_store_n(&r->most, now, __ATOMIC_RELAXED);
    }
    r->ran[r->ran_count++] = c->number;
    __atomic_sub_fetch(&r->running, 1, __ATOMIC_RELAXED);
}

static void done(struct job *j)
{
    struct counted *c = containerof(j, struct counted, job);
    assert_int_equal(c->number, c->record->done_count);
    assert_true(pthread_equal(c->record->loop_thread, pthread_self()));
    c->record->done_count++;
}

static void submit_all(struct work_queue *q, struct record *r)
{
    r->loop_thread = pthread_self();
    for (int i = 0; i < JOBS; i++) {
        r->jobs[i] = (struct counted){.job = {.run = run, .done = done}, .number = i, .record = r};
        work_submit(q, &r->jobs[i].job);
    }
}

static void turn_until_idle(struct loop *l, const struct work_queue *q)
{
    for (int turns = 0; !work_queue_idle(q); turns++) {
        assert_true(turns < 10000);
        loop_turn(l, 1000);
    }
}

TEST(jobs_of_a_queue_run_one_at_a_time_and_in_order)
{
    static struct record a, b, c;
    struct record *records[] = {&a, &b, &c};
    struct work_queue *queues[3];
    struct loop *l = new_loop();
    struct work_pool *p = work_pool_new(4);
    for (size_t i = 0; i < 3; i++) {
        queues[i] = work_queue_new(p, l);
        assert_true(work_queue_idle(queues[i]));
        submit_all(queues[i], records[i]);
        assert_false(work_queue_idle(queues[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        turn_until_idle(l, queues[i]);
        assert_int_equal(records[i]->done_count, JOBS);
        assert_int_equal(records[i]->most, 1);
        for (int k = 0; k < JOBS; k++) {
            assert_int_equal(records[i]->ran[k], k);
        }
        work_queue_free(queues[i]);
    }
    work_pool_free(p);
    loop_free(l);
}

TEST(the_end_of_the_pool_loses_no_job)
{
    static struct record r;
    struct loop *l = new_loop();
    struct work_pool *p = work_pool_new(1);
    struct work_queue *q = work_queue_new(p, l);
    submit_all(q, &r);
    work_pool_free(p);
    assert_int_equal(r.ran_count, JOBS);
    assert_int_equal(r.done_count, 0);
    turn_until_idle(l, q);
    assert_int_equal(r.done_count, JOBS);
    work_queue_free(q);
    loop_free(l);
}

/* Two jobs of different queues that each wait for the other: they only end when both run. */
struct meeting {
    struct job job;
    pthread_mutex_t *lock;
    pthread_cond_t *changed;
    int *present;
};

static void meet(struct job *j)
{
    struct meeting *m = containerof(j, struct meeting, job);
    pthread_mutex_lock(m->lock);
    ++*m->present;
    pthread_cond_broadcast(m->changed);
    while (*m->present < 2) {
        pthread_cond_wait(m->changed, m->lock);
    }
    pthread_mutex_unlock(m->lock);
}

static void met(struct job *j)
{
    (void)j;
}

TEST(jobs_of_different_queues_run_beside_each_other)
{
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int present = 0;
    struct loop *l = new_loop();
    struct work_pool *p = work_pool_new(2);
    struct meeting meetings[2];
    struct work_queue *queues[2];
    assert_int_equal(pthread_mutex_init(&lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&changed, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        queues[i] = work_queue_new(p, l);
        meetings[i] = (struct meeting){{.run = meet, .done = met}, &lock, &changed, &present};
        work_submit(queues[i], &meetings[i].job);
    }
    for (size_t i = 0; i < 2; i++) {
        turn_until_idle(l, queues[i]);
        work_queue_free(queues[i]);
    }
    assert_int_equal(present, 2);
    work_pool_free(p);
    loop_free(l);
    pthread_cond_destroy(&changed);
    pthread_mutex_destroy(&lock);
}

/* A job that is freed in its own `done`, which also submits the next one. */
struct chained {
    struct job job;
    int *left;
};

static void nothing(struct job *j)
{
    (void)j;
}

static void next(struct job *j)
{
    struct chained *c = containerof(j, struct chained, job);
    if (--*c->left > 0) {
        struct chained *after = malloc(sizeof(*after));
        *after = (struct chained){{.run = nothing, .done = next}, c->left};
        work_submit(j->queue, &after->job);
    }
    free(c);
}

TEST(a_job_may_be_freed_and_followed_in_its_own_done)
{
    int left = 50;
    struct loop *l = new_loop();
    struct work_pool *p = work_pool_new(2);
    struct work_queue *q = work_queue_new(p, l);
    struct chained *c = malloc(sizeof(*c));
    *c = (struct chained){{.run = nothing, .done = next}, &left};
    work_submit(q, &c->job);
    turn_until_idle(l, q);
    assert_int_equal(left, 0);
    work_queue_free(q);
    work_pool_free(p);
    loop_free(l);
}

TEST(nothing_is_freed_harmlessly)
{
    work_queue_free(NULL);
    work_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_queue_run_one_at_a_time_and_in_order),
        cmocka_unit_test(the_end_of_the_pool_loses_no_job),
        cmocka_unit_test(jobs_of_different_queues_run_beside_each_other),
        cmocka_unit_test(a_job_may_be_freed_and_followed_in_its_own_done),
        cmocka_unit_test(nothing_is_freed_harmlessly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
