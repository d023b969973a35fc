/* SPDX-License-Identifier: MIT */
#include "sources/curl_loop.h"

#include "base/alloc.h"

struct socket_watch {
    struct list node;
    struct watch watch;
    struct curl_loop *owner;
};

static void check_done(void *self)
{
    struct curl_loop *c = self;
    int left = 0;
    for (CURLMsg *msg = curl_multi_info_read(c->multi, &left); msg;
         msg = curl_multi_info_read(c->multi, &left)) {
        if (msg->msg == CURLMSG_DONE) {
            c->done(c->self, msg->easy_handle, msg->data.result);
        }
    }
}

static void act(struct curl_loop *c, curl_socket_t fd, int mask)
{
    int running = 0;
    curl_multi_socket_action(c->multi, fd, mask, &running);
    loop_defer(c->loop, &c->kick, check_done, c);
}

static void on_timer(void *self)
{
    act(self, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long wait_ms, void *self)
{
    (void)multi;
    struct curl_loop *c = self;
    if (wait_ms < 0) {
        timer_stop(c->loop, &c->timer);
    } else {
        timer_start(c->loop, &c->timer, loop_now_ms(c->loop) + (uint64_t)wait_ms, on_timer, c);
    }
    return 0;
}

static void on_ready(void *self, unsigned events)
{
    struct socket_watch *sw = self;
    int mask = (events & WATCH_READ ? CURL_CSELECT_IN : 0) |
               (events & WATCH_WRITE ? CURL_CSELECT_OUT : 0) |
               (events & WATCH_ERROR ? CURL_CSELECT_ERR : 0);
    act(sw->owner, sw->watch.fd, mask);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *socket_self)
{
    (void)easy;
    struct curl_loop *c = self;
    struct socket_watch *sw = socket_self;
    if (what == CURL_POLL_REMOVE) {
        if (sw) {
            curl_multi_assign(c->multi, fd, NULL);
            watch_stop(&sw->watch);
            list_remove(&sw->node);
            mem_free(sw);
        }
        return 0;
    }
    unsigned events =
        (what & CURL_POLL_IN ? WATCH_READ : 0u) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0u);
    if (sw) {
        watch_set(&sw->watch, events);
        return 0;
    }
    sw = mem_zero(sizeof(*sw));
    sw->owner = c;
    if (watch_start(c->loop, &sw->watch, fd, events, on_ready, sw) != OK) {
        mem_free(sw);
        return -1;
    }
    list_push(&c->sockets, &sw->node);
    curl_multi_assign(c->multi, fd, sw);
    return 0;
}

enum err curl_loop_init(struct curl_loop *c, struct loop *l,
                        void (*done)(void *self, CURL *easy, CURLcode code), void *self)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return ERR_UNAVAILABLE;
    }
    *c = (struct curl_loop){.loop = l, .multi = curl_multi_init(), .done = done, .self = self};
    if (!c->multi) {
        abort(); /* out of memory */
    }
    list_init(&c->sockets);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return OK;
}

void curl_loop_fini(struct curl_loop *c)
{
    timer_stop(c->loop, &c->timer);
    loop_undefer(&c->kick);
    curl_multi_cleanup(c->multi); /* takes its sockets down through want_socket() */
    timer_stop(c->loop, &c->timer);
    list_each (node, &c->sockets) {
        struct socket_watch *sw = containerof(node, struct socket_watch, node);
        watch_stop(&sw->watch);
        mem_free(sw);
    }
}
