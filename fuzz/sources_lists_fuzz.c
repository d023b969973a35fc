/* What CoinGecko's lists of coins make of any bytes. SPDX-License-Identifier: MIT */
#include "provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_parser(coingecko_parse_markets, data, size);
    fuzz_parser(coingecko_parse_trending, data, size);
    return 0;
}
