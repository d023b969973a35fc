/* Orders to the stand-in. SPDX-License-Identifier: MIT */
#include "tools/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control *c = control_new();
    struct buf error = {0}, out = {0};
    enum err e = control_set(c, str_make((const char *)data, size), &error);
    if ((e == OK) != (error.len == 0)) {
        abort();
    }
    for (size_t i = 0; i < 24; i++) {
        (void)control_take(c, i);
    }
    control_write(c, false, &out);
    buf_fini(&error);
    buf_fini(&out);
    control_free(c);
    return 0;
}
