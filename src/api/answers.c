/* SPDX-License-Identifier: MIT */
#include "api/answers.h"

#include "base/alloc.h"

struct answers *answers_new(void)
{
    struct answers *a = mem_zero(sizeof(*a));
    a->refs = 1;
    a->exchange_lag_ms = LAG_UNKNOWN;
    return a;
}

struct answers *answers_ref(struct answers *a)
{
    __atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
    return a;
}

void answers_unref(struct answers *a)
{
    if (a && __atomic_fetch_sub(&a->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        buf_fini(&a->summary);
        buf_fini(&a->summary_reply);
        buf_fini(&a->dashboard);
        buf_fini(&a->btc_price);
        buf_fini(&a->missing);
        buf_fini(&a->health);
        catalogue_unref(a->catalogue);
        mem_free(a);
    }
}
