/* Trades over many minutes. SPDX-License-Identifier: MIT */
#include "tools/flow.h"

#define MOST_MINUTES (3 * 1440)

unsigned flow_trade_us(const struct flow_trade *t)
{
    return (unsigned)(t->at_ms * 7 % 1000);
}

/* Those from `minute` on with at least that id and time. */
static size_t gather(struct flow *f, enum venue v, size_t symbol, int64_t minute, uint64_t id,
                     int64_t from_ms, int64_t now_ms, struct flow_trade *out, size_t max)
{
    size_t count = 0;
    int64_t end = minute + MOST_MINUTES, now = now_ms / SIM_MINUTE_MS;
    for (; minute <= now && minute < end && count < max; minute++) {
        const struct flow_minute *m = flow_minute(f, v, symbol, minute);
        for (size_t i = 0; i < m->count && count < max; i++) {
            const struct flow_trade *t = &m->trades[i];
            if (t->id >= id && t->at_ms >= from_ms && t->at_ms <= now_ms) {
                out[count++] = *t;
            }
        }
    }
    return count;
}

size_t flow_from_id(struct flow *f, enum venue v, size_t symbol, uint64_t id, int64_t now_ms,
                    struct flow_trade *out, size_t max)
{
    int64_t minute = flow_minute_of_id(f, v, symbol, id);
    if (minute == INT64_MIN) {
        minute = SIM_FIRST_MS / SIM_MINUTE_MS; /* before all, or after all */
    }
    return gather(f, v, symbol, minute, id, INT64_MIN, now_ms, out, max);
}

size_t flow_from_time(struct flow *f, enum venue v, size_t symbol, int64_t from_ms, int64_t now_ms,
                      struct flow_trade *out, size_t max)
{
    int64_t first = from_ms < SIM_FIRST_MS ? SIM_FIRST_MS : from_ms;
    return gather(f, v, symbol, first / SIM_MINUTE_MS, 0, first, now_ms, out, max);
}

size_t flow_before_id(struct flow *f, enum venue v, size_t symbol, uint64_t id, int64_t now_ms,
                      struct flow_trade *out, size_t max)
{
    size_t count = 0;
    int64_t minute = id == UINT64_MAX ? INT64_MIN : flow_minute_of_id(f, v, symbol, id);
    int64_t now = now_ms / SIM_MINUTE_MS;
    minute = minute == INT64_MIN || minute > now ? now : minute;
    for (int64_t back = 0; back < MOST_MINUTES && count < max; back++) {
        const struct flow_minute *m = flow_minute(f, v, symbol, minute - back);
        for (size_t i = m->count; i-- > 0 && count < max;) {
            if (m->trades[i].id < id && m->trades[i].at_ms <= now_ms) {
                out[max - ++count] = m->trades[i];
            }
        }
    }
    memmove(out, out + max - count, count * sizeof(*out));
    return count;
}
