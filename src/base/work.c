/* The pool's lock guards what is to be run, a queue's own guards what is done; the second may be
 * taken inside the first, never the other way round. A queue with work stands in the pool's `ready`
 * list exactly once, or is with the one worker that runs its oldest job: that keeps its jobs one at
 * a time and in order. SPDX-License-Identifier: MIT */
#include "base/work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/mailbox.h"

enum { MAX_THREADS = 64 };

struct work_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list ready; /* queues with a job to begin */
    bool stopping;
    unsigned thread_count;
    pthread_t threads[MAX_THREADS];
};

struct work_queue {
    struct work_pool *pool;
    struct mailbox *mailbox;
    size_t under_way; /* loop thread: submitted and its `done` not yet returned */
    /* under the pool's lock */
    struct list node;
    struct list waiting;
    bool scheduled; /* in `ready` or with a worker */
    /* under the queue's own lock, which outlives the pool */
    pthread_mutex_t lock;
    struct list finished;
    bool announced; /* a letter is on its way to the loop */
};

static void take_finished(void *self, void *arg, uint64_t number)
{
    struct work_queue *q = self;
    struct list batch;
    (void)arg;
    (void)number;
    list_init(&batch);
    pthread_mutex_lock(&q->lock);
    list_splice(&batch, &q->finished);
    q->announced = false;
    pthread_mutex_unlock(&q->lock);
    for (struct list *node = list_pop(&batch); node; node = list_pop(&batch)) {
        struct job *j = containerof(node, struct job, node);
        j->done(j);
        q->under_way--;
    }
}

static void finish(struct work_queue *q, struct job *j)
{
    pthread_mutex_lock(&q->lock);
    list_push(&q->finished, &j->node);
    bool announce = !q->announced;
    q->announced = true;
    if (announce) {
        /* At most one letter of a queue is under way, so the mailbox can't be full. */
        bool posted = mailbox_post(q->mailbox, take_finished, q, NULL, 0);
        assert(posted);
        (void)posted;
    }
    pthread_mutex_unlock(&q->lock);
}

/* The next queue to serve; NULL when the pool ends. Called and left with the lock held. */
static struct work_queue *next_queue(struct work_pool *p)
{
    while (list_empty(&p->ready) && !p->stopping) {
        pthread_cond_wait(&p->wake, &p->lock);
    }
    struct list *node = list_pop(&p->ready);
    return node ? containerof(node, struct work_queue, node) : NULL;
}

static void *worker(void *self)
{
    struct work_pool *p = self;
    pthread_mutex_lock(&p->lock);
    for (struct work_queue *q = next_queue(p); q; q = next_queue(p)) {
        struct job *j = containerof(list_pop(&q->waiting), struct job, node);
        pthread_mutex_unlock(&p->lock);
        j->run(j);
        pthread_mutex_lock(&p->lock);
        q->scheduled = !list_empty(&q->waiting);
        if (q->scheduled) {
            list_push(&p->ready, &q->node);
        }
        /* Inside the pool's lock, so that no other worker finishes the queue's next job first; and
         * last, because from here on the queue may be idle and freed. */
        finish(q, j);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct work_pool *work_pool_new(unsigned threads)
{
    struct work_pool *p = mem_zero(sizeof(*p));
    sigset_t all, before;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    list_init(&p->ready);
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    /* Signals belong to the thread that has a handler's loop; workers inherit the full mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; p->thread_count < threads; p->thread_count++) {
        if (pthread_create(&p->threads[p->thread_count], NULL, worker, p) != 0) {
            break;
        }
        pthread_setname_np(p->threads[p->thread_count], "work");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (p->thread_count == 0) {
        fprintf(stderr, "coincast: the system gives no thread for blocking work\n");
        abort();
    }
    return p;
}

void work_pool_free(struct work_pool *p)
{
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++) {
        pthread_join(p->threads[i], NULL);
    }
    assert(list_empty(&p->ready));
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

struct work_queue *work_queue_new(struct work_pool *p, struct loop *completions)
{
    struct work_queue *q = mem_zero(sizeof(*q));
    q->pool = p;
    q->mailbox = mailbox_new(completions, 2);
    pthread_mutex_init(&q->lock, NULL);
    list_init(&q->node);
    list_init(&q->waiting);
    list_init(&q->finished);
    return q;
}

void work_queue_free(struct work_queue *q)
{
    if (!q) {
        return;
    }
    assert(work_queue_idle(q));
    /* The worker that announced the last job may still be on its way out of the lock. */
    pthread_mutex_lock(&q->lock);
    pthread_mutex_unlock(&q->lock);
    mailbox_free(q->mailbox);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

bool work_queue_idle(const struct work_queue *q)
{
    return q->under_way == 0;
}

void work_submit(struct work_queue *q, struct job *j)
{
    struct work_pool *p = q->pool;
    assert(j->run && j->done);
    j->queue = q;
    q->under_way++;
    pthread_mutex_lock(&p->lock);
    assert(!p->stopping);
    list_push(&q->waiting, &j->node);
    if (!q->scheduled) {
        q->scheduled = true;
        list_push(&p->ready, &q->node);
        pthread_cond_signal(&p->wake);
    }
    pthread_mutex_unlock(&p->lock);
}
