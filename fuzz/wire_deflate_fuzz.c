/* permessage-deflate: negotiation, inflation of hostile streams, and the way there and back.
 * Byte 0: what to do; byte 1: where to cut. SPDX-License-Identifier: MIT */
#include "wire/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static void negotiate(struct str text)
{
    struct deflate_policy policy = {.shared = text.len & 1, .server_window_bits = 12};
    struct deflate_params p;
    struct buf response = {0};
    if (deflate_negotiate(text, &policy, &p, &response) == OK) {
        struct deflate_params seen;
        check(p.server_max_window_bits >= 9 && p.server_max_window_bits <= 15);
        check(p.client_max_window_bits >= 8 && p.client_max_window_bits <= 15);
        /* a client that reads its answer comes to the same, but for a window of 8 bits */
        check(deflate_accept(buf_str(&response), &seen) == OK || p.client_max_window_bits == 8);
    } else {
        check(response.len == 0);
    }
    (void)!deflate_accept(text, &p);
    buf_fini(&response);
}

static void inflate_both_ways(struct str text, size_t cut)
{
    struct inflater *whole = inflater_new(15);
    struct inflater *pieces = inflater_new(15);
    struct buf a;
    struct buf b;
    buf_init(&a, 65536);
    buf_init(&b, 65536);
    cut = min_size(cut, text.len);
    enum err e = inflater_piece(whole, text, true, cut & 1, &a);
    enum err f = inflater_piece(pieces, str_sub(text, 0, cut), false, cut & 1, &b);
    if (f == OK) {
        f = inflater_piece(pieces, str_from(text, cut), true, cut & 1, &b);
    }
    check((e == OK) == (f == OK));
    check(e != OK || str_eq(buf_str(&a), buf_str(&b)));
    check(a.cap <= 65536);
    inflater_free(whole);
    inflater_free(pieces);
    buf_fini(&a);
    buf_fini(&b);
}

static void there_and_back(struct str text, size_t cut)
{
    struct deflater *d = deflater_new((uint8_t)(9 + cut % 7), 1 + (int)cut % 9, 1 + (int)cut % 9);
    struct inflater *i = inflater_new(15);
    for (int round = 0; round < 2; round++) {
        struct buf packed = {0};
        struct buf back = {0};
        check(deflater_message(d, text, cut & 1, &packed) == OK);
        check(inflater_piece(i, buf_str(&packed), true, cut & 1, &back) == OK);
        check(str_eq(text, buf_str(&back)));
        buf_fini(&packed);
        buf_fini(&back);
    }
    deflater_free(d);
    inflater_free(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str text = str_make((const char *)data + 2, size - 2);
    struct buf out;
    switch (data[0] & 3) {
    case 0:
        negotiate(text);
        break;
    case 1:
        inflate_both_ways(text, data[1]);
        break;
    case 2:
        there_and_back(text, data[1]);
        break;
    case 3:
        buf_init(&out, 65536);
        (void)!gzip_inflate(text, &out);
        buf_fini(&out);
        break;
    }
    return 0;
}
