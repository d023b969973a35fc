/* analysis: what `coincast analyse` prints of a candle series, as one JSON object.
 *
 * Indicators over all closes; statistics over the last ANALYSIS_RETURNS simple returns, annualised
 * with the steps of a 365-day year. What is unknown is null, and `reasons` has its key and why.
 * Definitions: docs/ANALYSIS.md. Pure. SPDX-License-Identifier: MIT */
#ifndef TOOLS_ANALYSIS_H
#define TOOLS_ANALYSIS_H
#include "market/series.h"

#define ANALYSIS_RETURNS 365
/* Returns of the backtest of the value at risk: each judged by the 365 before it. */
#define ANALYSIS_TESTED 730

/* `market` may be NULL; else its interval is that of `s` (the caller saw to it). Appends a line. */
void analysis_write(struct buf *out, struct str name, const struct series *s,
                    struct str market_name, const struct series *market);

#endif
