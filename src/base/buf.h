/* buf: growable bytes with a ceiling that is fixed when it is made.
 *
 * A zeroed struct buf is valid, empty and has no ceiling of its own (BUF_MAX counts). Appends that
 * would pass the ceiling change nothing and set `failed`, which sticks until buf_clear(): a writer
 * may append many times and look once. SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/str.h"

#include <stdarg.h>

#define BUF_MAX ((size_t)1 << 31)

struct buf {
    char *ptr; /* owned; NULL while nothing was stored */
    size_t len;
    size_t cap;
    size_t max; /* 0: BUF_MAX */
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for `more` further bytes; false (and failed) beyond the ceiling. */
bool buf_reserve(struct buf *b, size_t more);
bool buf_add(struct buf *b, const void *bytes, size_t len);
bool buf_add_str(struct buf *b, struct str s);
bool buf_add_char(struct buf *b, char c);
bool buf_add_u64(struct buf *b, uint64_t value);
bool buf_add_i64(struct buf *b, int64_t value);
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
/* Drops the first `len` bytes. */
void buf_drop(struct buf *b, size_t len);
/* The content; valid until the next change. */
struct str buf_str(const struct buf *b);
/* The content with a NUL behind it (not counted). */
const char *buf_text(struct buf *b);
#define buf_add_lit(b, literal) buf_add((b), "" literal, sizeof(literal) - 1)

#endif
