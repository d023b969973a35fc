/* work: a small pool of threads for calls that block (statements on disk, hashing, file writes).
 *
 * A job runs on some worker and its `done` runs later on the loop it came from. Jobs of one queue
 * run one at a time and in order; jobs of different queues run beside each other.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_WORK_H
#define BASE_WORK_H
#include "base/loop.h"

struct work_pool;
struct work_queue;

struct job {
    void (*run)(struct job *j);  /* on a worker; may block */
    void (*done)(struct job *j); /* on the loop; owns the job again */
    /* private */
    struct list node;
    struct work_queue *queue;
};

struct work_pool *work_pool_new(unsigned threads);
/* Waits for jobs under way; jobs not begun are run too, so an accepted write is never lost. */
void work_pool_free(struct work_pool *p);
struct work_queue *work_queue_new(struct work_pool *p, struct loop *completions);
/* Only when no job is under way (see work_queue_idle); a job is until its `done` has returned. May
 * come after work_pool_free(). */
void work_queue_free(struct work_queue *q);
bool work_queue_idle(const struct work_queue *q);
/* Loop thread only. */
void work_submit(struct work_queue *q, struct job *j);

#endif
