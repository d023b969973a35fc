/* What an answer of a venue's REST is for, in words (docs/RECORDING.md):
 *
 *   instruments
 *   trades INSTRUMENT FIRST_ID LAST_ID
 *   candles INSTRUMENT INTERVAL BEFORE_MS
 *
 * SPDX-License-Identifier: MIT */
#include "sources/feed.h"

void feed_purpose_write(struct buf *out, const char *instrument, const struct feed_job *job)
{
    switch (job->kind) {
    case JOB_LIST:
        buf_add_lit(out, "instruments");
        break;
    case JOB_REPAIR:
        buf_printf(out, "trades %s %llu %llu", instrument, (unsigned long long)job->hole.from,
                   (unsigned long long)job->hole.to);
        break;
    case JOB_HISTORY:
        buf_printf(out, "candles %s %s %lld", instrument, interval_name(job->interval),
                   (long long)job->before_ms);
        break;
    }
}

static struct str word(struct str *rest)
{
    struct str one = {0};
    (void)str_next(rest, ' ', &one);
    return one;
}

static bool read_hole(struct str *rest, struct feed_hole *out)
{
    return str_to_u64(word(rest), &out->from) == OK && str_to_u64(word(rest), &out->to) == OK &&
           out->from > 0 && out->from <= out->to && out->to - out->from < FEED_REPAIR_MAX;
}

bool feed_purpose_read(struct str text, struct str *instrument, struct feed_job *job)
{
    struct str rest = text;
    struct str what = word(&rest);
    *job = (struct feed_job){.kind = JOB_LIST};
    *instrument = (struct str){0};
    if (str_eq(text, STR("instruments"))) {
        return true;
    }
    *instrument = word(&rest);
    if (instrument->len == 0) {
        return false;
    }
    if (str_eq(what, STR("trades"))) {
        job->kind = JOB_REPAIR;
        return read_hole(&rest, &job->hole) && rest.len == 0;
    }
    job->kind = JOB_HISTORY;
    job->interval = interval_of(word(&rest));
    return str_eq(what, STR("candles")) && job->interval != INTERVALS &&
           str_to_i64(word(&rest), &job->before_ms) == OK && job->before_ms >= 0 && rest.len == 0;
}
