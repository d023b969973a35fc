/* curl_loop: libcurl's multi socket interface on our loop: curl says which fds and which time-out
 * it waits for, the loop says when they are ready. Shared by fetch_curl.c and link_curl.c.
 *
 * curl must not be entered again from its own callbacks, so `done` comes from deferred work.
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_CURL_LOOP_H
#define SOURCES_CURL_LOOP_H
#include "base/loop.h"

#include <curl/curl.h>

struct curl_loop {
    struct loop *loop;
    CURLM *multi;
    /* private */
    struct timer timer;
    struct list sockets;
    struct defer kick; /* looks for handles that curl ended inside another call */
    void (*done)(void *self, CURL *easy, CURLcode code);
    void *self;
};

/* `done` is called once for each handle of `multi` that ended; it may remove and free it. */
enum err curl_loop_init(struct curl_loop *c, struct loop *l,
                        void (*done)(void *self, CURL *easy, CURLcode code), void *self) MUST_CHECK;
/* After its handles were removed. */
void curl_loop_fini(struct curl_loop *c);

#endif
