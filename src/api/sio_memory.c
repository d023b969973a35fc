/* What Socket.IO clients were subscribed to, by their secret pid, until two minutes after they
 * left: so a client may come back to any shard. SPDX-License-Identifier: MIT */
#include "api/sio.h"
#include "base/alloc.h"
#include "base/map.h"

enum { SWEEP_MS = 15000 };

struct sio_memory {
    struct loop *loop;
    struct api_main *main;
    struct map states; /* pid -> struct sio_state * */
    struct list gone;  /* the oldest first */
    size_t bytes;
    struct timer sweep;
};

void sio_state_free(struct sio_state *owned)
{
    if (owned) {
        mem_free(owned->keys);
        mem_free(owned->channels);
        mem_free(owned);
    }
}

static size_t bytes_of(const struct sio_state *s)
{
    return sizeof(*s) + s->key_count * sizeof(*s->keys) + strlen(s->channels);
}

static void forget(struct sio_memory *m, struct sio_state *s)
{
    (void)map_remove(&m->states, str_of(s->pid));
    list_remove(&s->node);
    m->bytes -= bytes_of(s);
    sio_state_free(s);
}

static struct sio_state *longest_gone(const struct sio_memory *m)
{
    return list_empty(&m->gone) ? NULL : containerof(m->gone.next, struct sio_state, node);
}

static void sweep_due(void *self)
{
    struct sio_memory *m = self;
    uint64_t now = loop_now_ms(m->loop);
    struct sio_state *s = NULL;
    while ((s = longest_gone(m)) && now >= s->gone_ms + SIO_REMEMBER_MS) {
        forget(m, s);
    }
    timer_start(m->loop, &m->sweep, now + SWEEP_MS, sweep_due, m);
}

struct sio_memory *sio_memory_new(struct loop *l, struct api_main *main)
{
    struct sio_memory *m = mem_zero(sizeof(*m));
    m->loop = l;
    m->main = main;
    map_init(&m->states, 0);
    list_init(&m->gone);
    timer_start(l, &m->sweep, loop_now_ms(l) + SWEEP_MS, sweep_due, m);
    return m;
}

void sio_memory_free(struct sio_memory *m)
{
    if (!m) {
        return;
    }
    size_t at = 0;
    struct str pid;
    void *value = NULL;
    timer_stop(m->loop, &m->sweep);
    while (map_next(&m->states, &at, &pid, &value)) {
        sio_state_free(value);
    }
    map_fini(&m->states);
    mem_free(m);
}

const struct sio_state *sio_memory_find(const struct sio_memory *m, struct str pid)
{
    return map_get(&m->states, pid);
}

size_t sio_memory_bytes(const struct sio_memory *m)
{
    return m->bytes;
}

void letter_sio_state(void *self, void *owned_state, uint64_t number)
{
    struct sio_memory *m = self;
    struct sio_state *s = owned_state;
    struct sio_state *old = map_get(&m->states, str_of(s->pid));
    (void)number;
    s->gone_ms = loop_now_ms(m->loop);
    list_init(&s->node);
    if (old && s->gone && old->owner != s->owner) {
        sio_state_free(s);
        return;
    }
    if (old) {
        forget(m, old);
    }
    while (m->bytes + bytes_of(s) > SIO_MEMORY_BYTES && longest_gone(m)) {
        forget(m, longest_gone(m));
    }
    if (m->bytes + bytes_of(s) > SIO_MEMORY_BYTES || map_put(&m->states, str_of(s->pid), s) != OK) {
        sio_state_free(s); /* that client will begin anew, and is told so */
        return;
    }
    m->bytes += bytes_of(s);
    if (s->gone) {
        list_push(&m->gone, &s->node);
    }
}

static struct sio_state *copy_of(const struct sio_state *s)
{
    struct sio_state *out = mem_zero(sizeof(*out));
    *out = *s;
    list_init(&out->node);
    out->keys = mem_array(s->key_count + 1, sizeof(*out->keys));
    memcpy(out->keys, s->keys, s->key_count * sizeof(*out->keys));
    out->channels = mem_copy_text(s->channels, strlen(s->channels));
    return out;
}

void letter_sio_recall(void *self, void *owned_question, uint64_t ticket)
{
    struct sio_memory *m = self;
    struct sio_question *q = owned_question;
    const struct sio_state *s = sio_memory_find(m, str_of(q->pid));
    struct sio_state *found = s ? copy_of(s) : NULL;
    if (!mailbox_post(api_main_mail_of(m->main, q->shard), letter_sio_recalled, q->shard, found,
                      ticket)) {
        sio_state_free(found); /* the client's connect times out, and it tries again */
    }
    mem_free(q);
}
