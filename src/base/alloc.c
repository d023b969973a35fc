/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include "base/slab.h"

#include <malloc.h>

static void out_of_memory(size_t size)
{
    fprintf(stderr, "coincast: out of memory (wanted %zu bytes)\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

void *mem_zero(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

void *mem_resize(void *owned_ptr, size_t size)
{
    void *p = realloc(owned_ptr, size ? size : 1);
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

void *mem_array(size_t count, size_t size)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total)) {
        out_of_memory(SIZE_MAX);
    }
    return mem_zero(total);
}

void mem_free(void *owned_ptr)
{
    free(owned_ptr);
}

char *mem_copy_text(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

/* There in sanitizer builds only, whose heap malloc's own figures do not know. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t mem_in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes) {
        return __sanitizer_get_current_allocated_bytes() + slabs_in_use();
    }
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd + slabs_in_use();
}
