/* What kraken's parsers make of any bytes. SPDX-License-Identifier: MIT */
#include "provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_parser(kraken_parse_ticker, data, size);
    fuzz_parser(kraken_parse_ohlc, data, size);
    return 0;
}
