/* X-Forwarded-For: a key is that of an address, or there is none. SPDX-License-Identifier: MIT */
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t peer[16];
    bool loopback = false;
    struct str key = net_forwarded_key(str_make((const char *)data, size), peer, &loopback);
    if (key.len && (key.ptr != (const char *)peer || (key.len != 8 && key.len != 16))) {
        abort();
    }
    if (!key.len && loopback) {
        abort();
    }
    return 0;
}
