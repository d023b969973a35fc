/* What taapi's parsers make of any bytes. SPDX-License-Identifier: MIT */
#include "provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_parser(taapi_parse_rsi, data, size);
    return 0;
}
