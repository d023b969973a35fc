/* SPDX-License-Identifier: MIT */
#include "tools/load_publisher.h"

#include "wire/http1.h"

#include <assert.h>

enum { MAX_ANSWER = 64 * 1024 };

static void fail(struct load_publisher *p, const char *why)
{
    if (p->open) {
        load_publisher_close(p);
        p->events->failed(p->self, why);
    }
}

static void answered(struct load_publisher *p, unsigned status, struct str body)
{
    if (status != 200) {
        char why[256];
        snprintf(why, sizeof why, "publishing was answered with %u: %.*s", status,
                 (int)min_size(body.len, 160), body.ptr);
        fail(p, why);
        return;
    }
    buf_clear(&p->in);
    p->busy = false;
    p->events->idle(p->self);
}

static void on_data(struct link *l, char *bytes, size_t len)
{
    struct load_publisher *p = containerof(l, struct load_publisher, link);
    struct http_response r;
    size_t head_len;
    buf_add(&p->in, bytes, len);
    enum err e = http_parse_response(buf_str(&p->in), NULL, &r, &head_len);
    if (e == ERR_MORE && !p->in.failed) {
        return;
    }
    if (e != OK || !r.has_length || !p->busy || r.content_length > MAX_ANSWER) {
        fail(p, "the answer to publishing is not understood");
        return;
    }
    if (p->in.len - head_len >= r.content_length) {
        answered(p, r.status, str_make(p->in.ptr + head_len, (size_t)r.content_length));
    }
}

static void on_open(struct link *l)
{
    struct load_publisher *p = containerof(l, struct load_publisher, link);
    p->busy = false;
    p->events->idle(p->self);
}

static void on_broken(struct link *l, const char *why)
{
    struct load_publisher *p = containerof(l, struct load_publisher, link);
    char text[160];
    snprintf(text, sizeof text, "the publishing connection: %s", why);
    fail(p, text);
}

static void on_closed(struct link *l)
{
    (void)l;
}

static const struct link_ops publisher_ops = {
    .open = on_open,
    .data = on_data,
    .broken = on_broken,
    .closed = on_closed,
};

enum err load_publisher_start(struct load_publisher *p, const struct load_publisher_opts *opts)
{
    *p = (struct load_publisher){
        .events = opts->events,
        .self = opts->self,
        .open = true,
        .busy = true,
    };
    buf_init(&p->in, MAX_ANSWER + 16 * 1024);
    buf_printf(&p->head, "POST %.*s HTTP/1.1\r\nHost: %.*s\r\nContent-Type: application/json\r\n",
               STR_ARG(opts->target), STR_ARG(opts->host));
    if (opts->token.len > 0) {
        buf_printf(&p->head, "Authorization: Bearer %.*s\r\n", STR_ARG(opts->token));
    }
    buf_add_lit(&p->head, "Content-Length: ");
    return link_connect(&p->link, opts->loop, opts->kind, (const struct sockaddr *)&opts->addr,
                        opts->addr_len, &publisher_ops);
}

bool load_publisher_busy(const struct load_publisher *p)
{
    return p->busy;
}

void load_publisher_post(struct load_publisher *p, struct str body)
{
    assert(p->open && !p->busy);
    p->busy = true;
    p->posts++;
    buf_clear(&p->out);
    buf_add_str(&p->out, buf_str(&p->head));
    buf_add_u64(&p->out, body.len);
    buf_add_lit(&p->out, "\r\n\r\n");
    buf_add_str(&p->out, body);
    if (!link_send(&p->link, buf_str(&p->out))) {
        fail(p, "the publishing connection broke");
    }
}

void load_publisher_close(struct load_publisher *p)
{
    if (p->open) {
        p->open = false;
        link_close(&p->link);
    }
}

void load_publisher_fini(struct load_publisher *p)
{
    buf_fini(&p->head);
    buf_fini(&p->out);
    buf_fini(&p->in);
}
