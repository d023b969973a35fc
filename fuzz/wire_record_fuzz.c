/* A line of a recording: what is read must come back the same after it was written.
 * SPDX-License-Identifier: MIT */
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record item, again;
    struct buf scratch = {0}, line = {0}, scratch2 = {0};
    if (record_read(str_make((const char *)data, size), &item, &scratch) == OK) {
        record_write(&line, &item);
        struct str text = str_make(line.ptr, line.len - 1);
        if (str_find(text, '\n', 0) != SIZE_MAX || record_read(text, &again, &scratch2) != OK ||
            !str_eq(again.body, item.body) || again.time_ns != item.time_ns ||
            !str_eq(again.purpose, item.purpose) || !str_eq(again.error, item.error) ||
            again.status != item.status || again.header_count != item.header_count) {
            abort();
        }
    }
    buf_fini(&scratch);
    buf_fini(&scratch2);
    buf_fini(&line);
    return 0;
}
