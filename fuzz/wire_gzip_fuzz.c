/* gunzip: whatever the cuts of the input and the room of the output, the same comes out.
 * SPDX-License-Identifier: MIT */
#include "wire/gzip.h"

#define MOST ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err unpack(struct str all, size_t piece, size_t room, struct buf *out)
{
    struct gunzip *g = gunzip_new();
    enum err e = ERR_MORE;
    while (all.len > 0 && e == ERR_MORE) {
        struct str in = str_sub(all, 0, piece);
        size_t given = in.len;
        do {
            size_t before = out->len;
            e = gunzip_some(g, &in, out, room);
            if (out->len - before > room) {
                abort();
            }
        } while (e == OK && out->len < MOST);
        if (e == ERR_MORE && in.len > 0) {
            abort();
        }
        all = str_from(all, given - in.len);
    }
    if (e == ERR_MORE) {
        e = gunzip_end(g);
    }
    gunzip_free(g);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    size_t piece = size ? data[size - 1] % 7 + 1U : 1;
    size_t room = size ? data[size / 2] % 64 + 1U : 1;
    struct str all = str_make((const char *)data, size);
    enum err a = unpack(all, SIZE_MAX, 65536, &whole);
    enum err b = unpack(all, piece, room, &pieces);
    bool in_bounds = whole.len < MOST && pieces.len < MOST;
    if (in_bounds && (a != b || !str_eq(buf_str(&whole), buf_str(&pieces)))) {
        abort();
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
