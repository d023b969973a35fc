/* count: this folder's metrics, one of each a provider. Main thread writes, anyone reads.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_COUNT_H
#define SOURCES_COUNT_H
#include "sources/source.h"

/* A request ended, well or not, after `took_us`. */
void count_fetch(enum provider_id id, bool well, uint64_t took_us);
/* A value of it was refused as implausible. */
void count_rejected(enum provider_id id);
/* Its failures in a row now, and whether its breaker lets nothing through. */
void count_host(enum provider_id id, uint32_t failures, bool shut);

#endif
