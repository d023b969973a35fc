/* A ring under a mutex: senders are few and letters are batches, so the lock is all but free; the
 * receiver takes everything in one go and runs it without the lock. SPDX-License-Identifier: MIT */
#include "base/mailbox.h"

#include "base/alloc.h"

#include <pthread.h>

struct letter {
    letter_fn fn;
    void *self;
    void *arg;
    uint64_t number;
};

struct mailbox {
    struct loop *loop;
    struct collect_hook hook;
    pthread_mutex_t lock;
    size_t max;
    uint64_t refused;
    /* guarded by lock */
    struct letter *in;
    size_t in_count, in_cap;
    /* the receiver's own: the batch being run. Not in the stack of who runs it, for a letter may
     * take in what is there, and that must come behind the rest of its own batch. */
    struct letter *out;
    size_t out_at, out_count, out_cap;
    size_t count; /* atomic mirror of in_count, to look without the lock */
};

static void run_batch(struct mailbox *m)
{
    while (m->out_at < m->out_count) {
        struct letter l = m->out[m->out_at++];
        l.fn(l.self, l.arg, l.number);
    }
}

static void collect(void *self)
{
    struct mailbox *m = self;
    run_batch(m);
    if (__atomic_load_n(&m->count, __ATOMIC_ACQUIRE) == 0) {
        return;
    }
    pthread_mutex_lock(&m->lock);
    struct letter *letters = m->in;
    size_t count = m->in_count;
    size_t cap = m->in_cap;
    m->in = m->out;
    m->in_cap = m->out_cap;
    m->in_count = 0;
    __atomic_store_n(&m->count, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&m->lock);
    m->out = letters;
    m->out_cap = cap;
    m->out_at = 0;
    m->out_count = count;
    run_batch(m);
}

void mailbox_take(struct mailbox *m)
{
    collect(m);
}

struct mailbox *mailbox_new(struct loop *l, size_t capacity)
{
    struct mailbox *m = mem_zero(sizeof(*m));
    m->loop = l;
    m->max = capacity;
    pthread_mutex_init(&m->lock, NULL);
    loop_add_collect(l, &m->hook, collect, m);
    return m;
}

void mailbox_free(struct mailbox *m)
{
    if (!m) {
        return;
    }
    loop_remove_collect(&m->hook);
    pthread_mutex_destroy(&m->lock);
    mem_free(m->in);
    mem_free(m->out);
    mem_free(m);
}

bool mailbox_post(struct mailbox *m, letter_fn fn, void *self, void *owned_arg, uint64_t number)
{
    pthread_mutex_lock(&m->lock);
    if (m->in_count == m->max) {
        m->refused++;
        pthread_mutex_unlock(&m->lock);
        return false;
    }
    if (m->in_count == m->in_cap) {
        m->in_cap = min_size(m->max, m->in_cap ? m->in_cap * 2 : 64);
        m->in = mem_resize(m->in, m->in_cap * sizeof(*m->in));
    }
    m->in[m->in_count++] = (struct letter){fn, self, owned_arg, number};
    __atomic_store_n(&m->count, m->in_count, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&m->lock);
    loop_wake(m->loop);
    return true;
}

size_t mailbox_depth(const struct mailbox *m)
{
    return __atomic_load_n(&m->count, __ATOMIC_RELAXED);
}

uint64_t mailbox_refused(const struct mailbox *m)
{
    return __atomic_load_n(&m->refused, __ATOMIC_RELAXED);
}
