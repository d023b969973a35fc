/* offer: hands what an answer says up to those who keep it, field by field and part by part, and
 * tells what they took. Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_OFFER_H
#define SOURCES_OFFER_H
#include "sources/sources.h"

/* Calls `value` and `outlook` of the options for what is wanted and was read; gives the bits that
 * were taken. What is refused adds a sentence to `why`. `closes` of a computed RSI. */
uint32_t offer_reading(const struct sources_opts *o, enum endpoint_id id, uint32_t wanted,
                       const struct reading *r, int closes, int64_t wall_ms, struct buf *why);

#endif
