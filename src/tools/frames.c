/* SPDX-License-Identifier: MIT */
#include "tools/frames.h"

#include "base/clock.h"
#include "tools/rng.h"

bool frame_day_of(struct flow *f, enum venue v, size_t symbol, int64_t now_ms,
                  struct frame_day *out)
{
    return flow_last_day(f, v, symbol, now_ms, &out->day, &out->first_id) &&
           flow_last(f, v, symbol, now_ms, &out->last);
}

struct frame_quote frame_quote_of(const struct flow_trade *last)
{
    uint64_t chance = rng_mix(last->id, 3);
    struct frame_quote q = {.bid = last->buy ? last->ticks - 1 : last->ticks,
                            .bid_lots = 1 + last->lots * (int64_t)(1 + (chance & 15)) / 3,
                            .ask_lots = 1 + last->lots * (int64_t)(1 + (chance >> 4 & 15)) / 3};
    q.bid = q.bid < 1 ? 1 : q.bid;
    q.ask = q.bid + 1;
    return q;
}

void frame_add_time(struct buf *b, int64_t unix_ms, unsigned us_part)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(unix_ms, text);
    char digits[5] = {(char)('0' + us_part / 100 % 10), (char)('0' + us_part / 10 % 10),
                      (char)('0' + us_part % 10), 'Z', 0};
    buf_add(b, text, CLOCK_RFC3339_LEN - 1);
    buf_add(b, digits, 4);
}
