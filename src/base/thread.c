/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include "base/alloc.h"

#include <pthread.h>
#include <signal.h>

struct thread {
    pthread_t id;
    void (*fn)(void *self);
    void *self;
};

static void *start(void *arg)
{
    struct thread *t = arg;
    t->fn(t->self);
    return NULL;
}

enum err thread_start(const char *name, void (*fn)(void *self), void *self, struct thread **out)
{
    struct thread *t = mem_zero(sizeof(*t));
    sigset_t all;
    sigset_t before;
    t->fn = fn;
    t->self = self;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int r = pthread_create(&t->id, NULL, start, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        mem_free(t);
        return err_from_errno(r);
    }
    pthread_setname_np(t->id, name);
    *out = t;
    return OK;
}

void thread_join(struct thread *t)
{
    if (t) {
        pthread_join(t->id, NULL);
        mem_free(t);
    }
}
