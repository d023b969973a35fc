/* What a server at the place of Redis may send: whatever it is, and however it is cut into pieces,
 * it gives the same answers or the same refusal. The first byte chooses the size of the pieces.
 * SPDX-License-Identifier: MIT */
#include "store/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes what was understood into `log`. */
static void read_all(struct str bytes, size_t piece, struct buf *log)
{
    struct resp *r = resp_new(1 << 16);
    enum err e = OK;
    while (bytes.len && (e == OK || e == ERR_MORE)) {
        struct resp_reply reply;
        const char *why = NULL;
        size_t n = min_size(piece, bytes.len);
        e = resp_feed(r, str_sub(bytes, 0, n));
        bytes = str_from(bytes, n);
        while (e == OK && (e = resp_next(r, &reply, &why)) == OK) {
            buf_printf(log, "%d %lld ", (int)reply.kind, (long long)reply.integer);
            buf_add_str(log, reply.text);
        }
        if (e == ERR_PROTOCOL && why) {
            buf_add_lit(log, "refused");
        }
    }
    resp_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0};
    struct buf pieces = {0};
    if (size < 1 || size > 4096) {
        return 0;
    }
    struct str bytes = str_make((const char *)data + 1, size - 1);
    read_all(bytes, size, &whole);
    read_all(bytes, data[0] % 16 + 1U, &pieces);
    if (!str_eq(buf_str(&whole), buf_str(&pieces))) {
        abort();
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
