/* What a recorded answer is for: what is read must come back the same after it was written.
 * SPDX-License-Identifier: MIT */
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str instrument;
    struct str again;
    struct feed_job job;
    struct feed_job back;
    if (feed_purpose_read(str_make((const char *)data, size), &instrument, &job)) {
        struct buf name = {0};
        struct buf text = {0};
        buf_add_str(&name, instrument);
        if (str_find(instrument, '\0', 0) == SIZE_MAX) {
            feed_purpose_write(&text, buf_text(&name), &job);
            FUZZ_CHECK(feed_purpose_read(buf_str(&text), &again, &back));
            FUZZ_CHECK(str_eq(again, instrument) && back.kind == job.kind &&
                       back.interval == job.interval && back.before_ms == job.before_ms &&
                       back.hole.from == job.hole.from && back.hole.to == job.hole.to);
        }
        buf_fini(&name);
        buf_fini(&text);
    }
    return 0;
}
