/* The query of a stream or a poll, with a line in front that is the header Last-Event-ID.
 * SPDX-License-Identifier: MIT */
#include "api/wishes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    size_t line = min_size(str_find(text, '\n', 0), size);
    static const struct catalogue_entry entries[] = {{.name = "BTC", .key = 0},
                                                     {.name = "ETH", .key = 1}};
    struct catalogue *catalogue = catalogue_new(entries, ARRAY_LEN(entries));
    struct wishes w = {0};
    const char *why = NULL;
    const char *reason = NULL;
    enum err e = wishes_read(&w, catalogue, str_from(text, line < size ? line + 1 : size),
                             str_sub(text, 0, line), &why);
    check(e == OK || ((e == ERR_SYNTAX || e == ERR_NOT_FOUND) && why));
    check(w.count <= WISHES_MAX);
    for (size_t i = 0; e == OK && i < w.count; i++) {
        check(channel_valid(w.subs[i].channel, &reason));
    }
    check(e != OK || w.count > 0);
    check(w.symbols.count <= SYMBOLS_MAX && w.candle_count <= w.count);
    check(e != OK || !w.prices || w.prices->key_count == w.symbols.count);
    wishes_fini(&w);
    catalogue_unref(catalogue);
    return 0;
}
