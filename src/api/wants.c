/* SPDX-License-Identifier: MIT */
#include "api/wants.h"

#include "base/alloc.h"

enum { RETRY_MS = 1000 };

void wants_fini(struct wants *w)
{
    if (w->loop) {
        timer_stop(w->loop, &w->retry);
    }
    mem_free(w->of);
}

static void retry_due(void *self)
{
    struct wants *w = self;
    for (size_t i = 0; i < w->size; i++) {
        bool on = w->of[i].count > 0;
        if (w->of[i].told == on) {
            continue;
        }
        if (!w->tell(w->self, (uint32_t)i, on)) {
            timer_start(w->loop, &w->retry, loop_now_ms(w->loop) + RETRY_MS, retry_due, w);
            return;
        }
        w->of[i].told = on;
    }
}

static void tell(struct wants *w, uint32_t number)
{
    bool on = w->of[number].count > 0;
    if (w->of[number].told == on) {
        return; /* what was not told yet has become void */
    }
    if (w->tell(w->self, number, on)) {
        w->of[number].told = on;
    } else if (!timer_active(&w->retry)) {
        timer_start(w->loop, &w->retry, loop_now_ms(w->loop) + RETRY_MS, retry_due, w);
    }
}

static uint32_t place_of(const struct held *h, uint32_t number)
{
    uint32_t i = 0;
    while (i < h->count && h->numbers[i] != number) {
        i++;
    }
    return i;
}

bool wants_add(struct wants *w, struct held *h, uint32_t number)
{
    if (place_of(h, number) < h->count) {
        return false;
    }
    if (number >= w->size) {
        size_t size = max_size((size_t)number + 1, w->size * 2);
        w->of = mem_resize(w->of, size * sizeof(*w->of));
        memset(&w->of[w->size], 0, (size - w->size) * sizeof(*w->of));
        w->size = size;
    }
    h->numbers = mem_resize(h->numbers, (h->count + 1) * sizeof(*h->numbers));
    h->numbers[h->count++] = number;
    w->of[number].count++;
    tell(w, number);
    return true;
}

static void let_go(struct wants *w, struct held *h, uint32_t place)
{
    uint32_t number = h->numbers[place];
    h->numbers[place] = h->numbers[--h->count];
    w->of[number].count--;
    tell(w, number);
    if (h->count == 0) {
        mem_free(h->numbers);
        h->numbers = NULL;
    }
}

bool wants_remove(struct wants *w, struct held *h, uint32_t number)
{
    uint32_t place = place_of(h, number);
    if (place == h->count) {
        return false;
    }
    let_go(w, h, place);
    return true;
}

void wants_drop(struct wants *w, struct held *h)
{
    while (h->count) {
        let_go(w, h, h->count - 1);
    }
}
