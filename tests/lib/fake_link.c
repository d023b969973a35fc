/* SPDX-License-Identifier: MIT */
#include "tests/lib/fake_link.h"

#include "base/alloc.h"

#define OPENS_AFTER_MS 20

static void conn_free(struct link_conn *c)
{
    timer_stop(c->owner->loop, &c->timer);
    list_remove(&c->node);
    buf_fini(&c->url);
    mem_free(c);
}

/* Its memory stays until the end: the caller may be one of its callbacks. */
static void retire(struct link_conn *c)
{
    timer_stop(c->owner->loop, &c->timer);
    c->owner->open_now -= c->open;
    c->open = false;
    list_remove(&c->node);
    list_push(&c->owner->gone, &c->node);
}

static void decide(void *self)
{
    struct link_conn *c = self;
    struct fake_link *f = c->owner;
    int status = f->opening ? f->opening(f->self, c) : 0;
    if (status != 0) {
        retire(c);
        c->events->closed(c->self, status > 0 ? status : 0, 0, "the script refuses");
        return;
    }
    c->open = true;
    f->open_now++;
    c->events->opened(c->self, str_of(f->upstream ? f->upstream : ""));
    if (f->opened && c->open) {
        f->opened(f->self, c);
    }
}

static struct link_conn *link_open(struct link *l, struct str url, const struct link_events *events,
                                   void *self)
{
    struct fake_link *f = containerof(l, struct fake_link, base);
    struct link_conn *c = mem_zero(sizeof(*c));
    c->owner = f;
    c->events = events;
    c->self = self;
    c->number = f->opens++;
    buf_add_str(&c->url, url);
    list_push(&f->conns, &c->node);
    timer_start(f->loop, &c->timer, loop_now_ms(f->loop) + OPENS_AFTER_MS, decide, c);
    return c;
}

static void link_send(struct link *l, struct link_conn *c, struct str text)
{
    struct fake_link *f = containerof(l, struct fake_link, base);
    if (c->open && f->sent) {
        f->sent(f->self, c, text);
    }
}

static void link_close(struct link *l, struct link_conn *c)
{
    struct fake_link *f = containerof(l, struct fake_link, base);
    retire(c);
    if (f->closed) {
        f->closed(f->self, c);
    }
}

static void link_free(struct link *l)
{
    fake_link_fini(containerof(l, struct fake_link, base));
}

void fake_link_init(struct fake_link *f, struct loop *l)
{
    static const struct link_ops ops = {
        .open = link_open, .send = link_send, .close = link_close, .free = link_free};
    *f = (struct fake_link){.base = {&ops}, .loop = l};
    list_init(&f->conns);
    list_init(&f->gone);
}

void fake_link_fini(struct fake_link *f)
{
    list_splice(&f->gone, &f->conns);
    list_each (node, &f->gone) {
        conn_free(containerof(node, struct link_conn, node));
    }
}

void fake_link_text(struct link_conn *c, const char *text)
{
    if (c->open) {
        c->events->text(c->self, str_of(text));
    }
}

void fake_link_ping(struct link_conn *c)
{
    if (c->open) {
        c->events->pinged(c->self);
    }
}

void fake_link_cut(struct link_conn *c, uint16_t code)
{
    if (c->open) {
        retire(c);
        c->events->closed(c->self, 0, code, "the script cut it");
    }
}
