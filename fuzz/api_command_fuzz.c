/* What a WebSocket client says: every slice lies within its text, and an id that is given back is
 * JSON. SPDX-License-Identifier: MIT */
#include "api/command.h"
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static void check_slice(struct str slice, const char *text, size_t size)
{
    check(!slice.len ||
          (slice.ptr >= text && slice.len <= size && slice.ptr + slice.len <= text + size));
}

static void check_json(struct str raw)
{
    struct scan s;
    if (raw.len) {
        scan_begin(&s, raw);
        check(scan_skip(&s, NULL) && scan_end(&s) == OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct command c;
    char problem[COMMAND_PROBLEM_LEN] = "";
    enum err e = command_read(str_make(text, size), &c, problem);
    check((e == OK) == (problem[0] == '\0'));
    check(e == OK || e == ERR_SYNTAX);
    check_slice(c.type, text, size);
    check_slice(c.id, text, size);
    check_slice(c.timestamp, text, size);
    check_slice(c.channel, text, size);
    check_slice(c.token, text, size);
    check_slice(c.since, text, size);
    check_json(c.id);
    if (e == OK) {
        struct buf token = {0};
        check_json(c.timestamp);
        check(c.max_hz == 0 || hz_valid(c.max_hz));
        static const struct catalogue_entry entries[] = {{.name = "BTC", .key = 0}};
        struct catalogue *catalogue = catalogue_new(entries, ARRAY_LEN(entries));
        struct symbols symbols = {0};
        check_slice(c.symbols, text, size);
        check_json(c.symbols);
        if (c.symbols.ptr && command_symbols(&c, catalogue, &symbols) == OK) {
            check(symbols.named > 0 && symbols.named == symbols.count + symbols.unknown_count);
        }
        symbols_fini(&symbols);
        catalogue_unref(catalogue);
        check(scan_unescape(c.token, &token) == OK);
        buf_fini(&token);
    }
    return 0;
}
