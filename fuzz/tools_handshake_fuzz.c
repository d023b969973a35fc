/* What a server says to our upgrade. SPDX-License-Identifier: MIT */
#include "tools/ws_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t head = 0;
    const char *why = NULL;
    enum err e = ws_client_check(str_make((const char *)data, size),
                                 "dGhlIHNhbXBsZSBub25jZQ==", &head, &why);
    if (e == OK ? head == 0 || head > size : e != ERR_MORE && !why) {
        abort();
    }
    return 0;
}
