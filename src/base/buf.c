/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include "base/alloc.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t max = b->max ? b->max : BUF_MAX;
    if (more <= b->cap - b->len) {
        return true;
    }
    if (more > max || b->len > max - more) {
        b->failed = true;
        return false;
    }
    size_t cap = max_size(b->cap * 2, max_size(b->len + more, 64));
    cap = min_size(cap, max_size(max, b->len + more));
    b->ptr = mem_resize(b->ptr, cap);
    b->cap = cap;
    return true;
}

bool buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (b->failed || !buf_reserve(b, len)) {
        return false;
    }
    if (len) {
        memcpy(b->ptr + b->len, bytes, len);
        b->len += len;
    }
    return true;
}

bool buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.ptr, s.len);
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_add_u64(struct buf *b, uint64_t value)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_add(b, text + at, sizeof(text) - at);
}

bool buf_add_i64(struct buf *b, int64_t value)
{
    if (value < 0) {
        return buf_add_char(b, '-') && buf_add_u64(b, 0U - (uint64_t)value);
    }
    return buf_add_u64(b, (uint64_t)value);
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0 || b->failed || !buf_reserve(b, (size_t)n + 1)) {
        b->failed = true;
        return false;
    }
    vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, args);
    b->len += (size_t)n;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bool ok = buf_vprintf(b, fmt, args);
    va_end(args);
    return ok;
}

void buf_drop(struct buf *b, size_t len)
{
    len = min_size(len, b->len);
    b->len -= len;
    if (b->len && len) {
        memmove(b->ptr, b->ptr + len, b->len);
    }
}

struct str buf_str(const struct buf *b)
{
    return str_make(b->ptr, b->len);
}

const char *buf_text(struct buf *b)
{
    if (!buf_reserve(b, 1)) {
        return "";
    }
    b->ptr[b->len] = '\0';
    return b->ptr;
}
