/* Retry-After, and masking an URL, of any bytes. SPDX-License-Identifier: MIT */
#include "sources/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct buf out = {0};
    fetch_retry_after_ms(text, 1780753800000);
    fetch_mask_url(&out, text);
    buf_clear(&out);
    fetch_escape(&out, text);
    if (out.len < text.len || out.len > 3 * text.len) {
        abort();
    }
    buf_fini(&out);
    return 0;
}
