/* What Socket.IO clients were subscribed to, by their secret pid, until two minutes after they
 * left: so a client may come back to any shard. SPDX-License-Identifier: MIT */
#include "api/sio.h"
#include "base/alloc.h"
#include "base/map.h"

enum { STATES_MAX = 200000, SWEEP_MS = 15000 };

struct sio_memory {
    struct loop *loop;
    struct api_main *main;
    struct map states; /* pid -> struct sio_state * */
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

static void sweep_due(void *self)
{
    struct sio_memory *m = self;
    uint64_t now = loop_now_ms(m->loop);
    size_t at = 0;
    struct str pid;
    void *value = NULL;
    while (map_next(&m->states, &at, &pid, &value)) {
        struct sio_state *s = value;
        if (s->gone && now >= s->gone_ms + SIO_REMEMBER_MS) {
            map_remove(&m->states, pid);
            sio_state_free(s);
        }
    }
    timer_start(m->loop, &m->sweep, now + SWEEP_MS, sweep_due, m);
}

struct sio_memory *sio_memory_new(struct loop *l, struct api_main *main)
{
    struct sio_memory *m = mem_zero(sizeof(*m));
    m->loop = l;
    m->main = main;
    map_init(&m->states, STATES_MAX);
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

void letter_sio_state(void *self, void *owned_state, uint64_t number)
{
    struct sio_memory *m = self;
    struct sio_state *s = owned_state;
    (void)number;
    s->gone_ms = loop_now_ms(m->loop);
    sio_state_free(map_remove(&m->states, str_of(s->pid)));
    /* A full memory forgets the newest: that client will begin anew, and is told so. */
    if (map_put(&m->states, str_of(s->pid), s) != OK) {
        sio_state_free(s);
    }
}

static struct sio_state *copy_of(const struct sio_state *s)
{
    struct sio_state *out = mem_zero(sizeof(*out));
    *out = *s;
    out->keys = mem_array(s->key_count + 1, sizeof(*out->keys));
    memcpy(out->keys, s->keys, s->key_count * sizeof(*out->keys));
    out->channels = mem_copy_text(s->channels, strlen(s->channels));
    return out;
}

void letter_sio_recall(void *self, void *owned_question, uint64_t ticket)
{
    struct sio_memory *m = self;
    struct sio_question *q = owned_question;
    const struct sio_state *s = map_get(&m->states, str_of(q->pid));
    struct sio_state *found = s ? copy_of(s) : NULL;
    if (!mailbox_post(api_main_mail_of(m->main, q->shard), letter_sio_recalled, q->shard, found,
                      ticket)) {
        sio_state_free(found); /* the client's connect times out, and it tries again */
    }
    mem_free(q);
}
