/* What the reader of kraken's frames makes of any bytes. SPDX-License-Identifier: MIT */
#include "exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_exchange(kraken_read_frame, data, size);
    return 0;
}
