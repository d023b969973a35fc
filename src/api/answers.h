/* answers: ready-made answers that the main half makes and the shards give out.
 *
 * A set is immutable and counted; the main half posts a new one to each shard whenever something in
 * it changed, at most a few times a second. SPDX-License-Identifier: MIT */
#ifndef API_ANSWERS_H
#define API_ANSWERS_H
#include "api/catalogue.h"
#include "base/buf.h"

#define LAG_UNKNOWN INT64_MIN

struct answers {
    uint32_t refs;
    struct buf summary;       /* the summary object */
    struct buf summary_reply; /* the whole 200 answer to GET dashboard-summary */
    size_t summary_head_len;
    char summary_etag[24];
    struct buf dashboard, btc_price; /* the two standard messages as of now, for who just came */
    const char *mode;
    bool ready;
    struct buf missing;          /* sentence of what readiness waits for */
    struct buf health;           /* the object of /api/health */
    struct catalogue *catalogue; /* owned reference; NULL: none yet */
    /* From the exchange's time to our receipt of the newest price (clocks differ: may be below 0)
     */
    int64_t exchange_lag_ms;
    int64_t btc_as_of_ms; /* 0: unknown */
};

struct answers *answers_new(void);
struct answers *answers_ref(struct answers *a);
void answers_unref(struct answers *a);

#endif
