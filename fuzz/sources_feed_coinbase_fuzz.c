/* What the readers of coinbase's lists, trades and candles make of any bytes.
 * SPDX-License-Identifier: MIT */
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_venue(&feed_venue_coinbase, data, size);
    return 0;
}
