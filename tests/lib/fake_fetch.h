/* fake_fetch: answers that a test writes, on a loop with a virtual clock. Every request is asked of
 * the test's `answer` function when it starts, and answered after the delay that it sets.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_LIB_FAKE_FETCH_H
#define TESTS_LIB_FAKE_FETCH_H
#include "sources/fetch.h"

struct fake_answer {
    enum err err;
    int status;
    struct buf body;
    const char *etag, *retry_after, *upstream, *used_weight; /* static texts; NULL: absent */
    uint64_t delay_ms;
};

struct fake_fetch {
    struct fetch base;
    /* Fills `out`, which comes as status 200 without a body after 20 ms. */
    void (*answer)(void *self, const struct fetch_request *request, struct fake_answer *out);
    void *self;
    struct loop *loop;
    unsigned started, under_way, most_under_way, cancelled;
    /* private */
    struct list jobs;
};

void fake_fetch_init(struct fake_fetch *f, struct loop *l);
/* Cancels what is under way. */
void fake_fetch_fini(struct fake_fetch *f);
/* Turns the loop until its virtual clock stands at `until_ms` (monotonic). */
void fake_loop_run(struct loop *l, uint64_t until_ms);

#endif
