/* A server's message, taken and shown. SPDX-License-Identifier: MIT */
#include "tools/watch_text.h"
#include "tools/watch_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct watch_view v = {0};
    struct buf out = {0};
    struct str text = str_make((const char *)data, size), line;
    (void)watch_view_take(&v, text, 1000, 0);
    struct watch_look look = {.columns = 40, .rows = 30, .url = "ws://h/ws", .now_ms = 2000};
    watch_view_screen(&v, &look, &out);
    struct str rest = buf_str(&out);
    while (str_next(&rest, '\n', &line)) {
        if (watch_columns(line) > 41) { /* and the carriage return */
            abort();
        }
    }
    buf_clear(&out);
    watch_prices_lines(&v.prices, 1000, v.mode, &out);
    buf_clear(&out);
    watch_add_cut(&out, text, 17);
    if (watch_columns(buf_str(&out)) > 17) {
        abort();
    }
    buf_fini(&out);
    return 0;
}
