/* The WebSocket decoder: whatever comes, cut anywhere, it says the same, in both roles.
 * Byte 0: role, deflate, limits; byte 1: where to cut; the rest is the stream.
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "wire/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static void note(struct buf *said, const struct ws_item *item)
{
    if (item->kind == WS_ITEM_DATA) {
        check(item->data.len > 0 && (item->opcode == WS_TEXT || item->opcode == WS_BINARY));
        buf_add_str(said, item->data);
        return;
    }
    if (item->kind == WS_ITEM_CLOSE) {
        check(item->code == WS_CLOSE_NO_CODE || ws_close_code_valid(item->code));
        check(str_is_utf8(item->data));
    }
    buf_printf(said, "<%d %d %d %u %.*s>", (int)item->kind, (int)item->opcode, item->deflated,
               item->code, STR_ARG(item->data));
}

/* False after an error. */
static bool feed(struct ws_decoder *d, struct str input, struct buf *said)
{
    char *copy = mem_alloc(input.len);
    if (input.len) {
        memcpy(copy, input.ptr, input.len);
    }
    char *bytes = copy;
    size_t len = input.len;
    struct ws_item item;
    do {
        size_t before = len;
        ws_decode(d, &bytes, &len, &item);
        check(len <= before && bytes == copy + (input.len - len));
        note(said, &item);
    } while (item.kind != WS_ITEM_NONE && item.kind != WS_ITEM_ERROR);
    check(item.kind == WS_ITEM_ERROR || len == 0);
    said->len -= item.kind == WS_ITEM_NONE ? strlen("<0 0 0 0 >") : 0;
    mem_free(copy);
    return item.kind != WS_ITEM_ERROR;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct ws_decoder settings = {.client = data[0] & 1,
                                  .deflate = data[0] & 2,
                                  .max_fragments = data[0] & 4 ? 3 : 0,
                                  .max_message = data[0] & 8 ? 100 : 0};
    struct str input = str_make((const char *)data + 2, size - 2);
    size_t cut = min_size(data[1], input.len);
    struct ws_decoder one = settings;
    struct ws_decoder two = settings;
    struct buf said_one = {0};
    struct buf said_two = {0};
    bool fine_one = feed(&one, input, &said_one);
    bool fine_two = feed(&two, str_sub(input, 0, cut), &said_two) &&
                    feed(&two, str_from(input, cut), &said_two);
    check(fine_one == fine_two);
    /* after an error the unfinished message's pieces may differ */
    check(!fine_one || str_eq(buf_str(&said_one), buf_str(&said_two)));
    check(!fine_one || ws_decoder_idle(&one) == ws_decoder_idle(&two));
    buf_fini(&said_one);
    buf_fini(&said_two);
    return 0;
}
