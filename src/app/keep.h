/* keep: the last summary in the two-level cache (key "dashboard:summary"), and back out of it at
 * the start, each number with the age it really has. Main thread. SPDX-License-Identifier: MIT */
#ifndef APP_KEEP_H
#define APP_KEEP_H
#include "market/summary.h"
#include "store/cache.h"

#define KEEP_KEY STR("dashboard:summary")
#define KEEP_L1_MS 30000
#define KEEP_L2_MS 3600000

/* "" for live, else the prefix that keeps simulated and recorded data apart. */
struct str keep_prefix(enum market_mode mode);
/* Fills fields that are not known yet from a kept summary object; gives how many. What is not
 * understood is left out. */
int keep_restore(struct summary *s, struct str kept, int64_t now_ms);

#endif
