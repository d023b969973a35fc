/* SPDX-License-Identifier: MIT */
#include "tools/load_stamp.h"

#include <assert.h>

/* {"t":"0000001234567890","n":"0000000042","p":"…"} */
static const char mark[] = "{\"t\":\"";
enum { MARK = 6, T_DIGITS = 16, BETWEEN = 7, N_DIGITS = 10 };
enum { STAMP = MARK + T_DIGITS + BETWEEN + N_DIGITS };

void load_stamp_write(struct buf *out, struct load_stamp stamp, size_t size)
{
    assert(size >= LOAD_STAMP_MIN && size <= LOAD_DATA_MAX);
    size_t start = out->len;
    buf_printf(out, "%s%016llu\",\"n\":\"%010llu\",\"p\":\"", mark,
               (unsigned long long)stamp.sent_us, (unsigned long long)stamp.n);
    uint64_t chance = stamp.n * 6364136223846793005ULL + 1442695040888963407ULL;
    size_t end = start + size - 2;
    for (size_t i = 0; out->len < end; i++) {
        chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t at = i % 9;
        buf_add_char(out, at == 5 ? '.' : at == 8 ? ',' : (char)('0' + (chance >> 33) % 10));
    }
    buf_add_lit(out, "\"}");
}

static bool digits(const char *at, size_t count, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)at[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool load_stamp_find(struct str text, size_t *hint, struct load_stamp *out)
{
    if (text.len < STAMP) {
        return false;
    }
    size_t at = *hint;
    if (at > text.len - STAMP || memcmp(text.ptr + at, mark, MARK) != 0) {
        const char *found = memmem(text.ptr, text.len - STAMP + MARK, mark, MARK);
        if (found == NULL) {
            return false;
        }
        at = (size_t)(found - text.ptr);
    }
    const char *t = text.ptr + at + MARK;
    struct load_stamp stamp;
    if (!digits(t, T_DIGITS, &stamp.sent_us) ||
        !digits(t + T_DIGITS + BETWEEN, N_DIGITS, &stamp.n)) {
        return false;
    }
    *hint = at;
    *out = stamp;
    return true;
}
