/* Tapes: whatever the pieces, the same items come out, and every line is an item or refused.
 * SPDX-License-Identifier: MIT */
#include "wire/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct tape_reader *t, struct buf *log)
{
    struct tape_item item;
    for (enum err e = tape_next(t, &item); e != ERR_MORE; e = tape_next(t, &item)) {
        buf_printf(log, "%llu %d ", (unsigned long long)tape_line(t), (int)e);
        if (e != OK) {
            buf_printf(log, "%s\n", tape_why(t));
            continue;
        }
        buf_printf(log, "%d %d %lld %d ", (int)item.kind, (int)item.venue, (long long)item.time_ns,
                   item.status);
        buf_add_str(log, item.source);
        buf_add_str(log, item.connection);
        buf_add_str(log, item.url);
        buf_add_str(log, item.frame);
        buf_add_char(log, '\n');
    }
}

static void play(struct str all, size_t piece, struct buf *log)
{
    struct tape_reader *t = tape_new();
    while (all.len > 0) {
        struct str part = str_sub(all, 0, piece);
        tape_feed(t, part);
        note(t, log);
        all = str_from(all, part.len);
    }
    tape_end(t);
    note(t, log);
    buf_printf(log, "bad %llu cut %zu form %d", (unsigned long long)tape_bad_lines(t),
               tape_cut_bytes(t), (int)tape_form(t));
    tape_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    struct str all = str_make((const char *)data, size);
    play(all, SIZE_MAX, &whole);
    play(all, size ? data[size / 2] % 9 + 1U : 1, &pieces);
    if (!str_eq(buf_str(&whole), buf_str(&pieces))) {
        abort();
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
