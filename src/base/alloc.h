/* alloc: memory that is there or the program ends. Running out of memory is not an error anyone can
 * handle well here; running into a limit is, and every container has one.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H
#include "base/base.h"

/* Uninitialised, zeroed, and resized memory; never NULL for size > 0. Release with mem_free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zero(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_resize(void *owned_ptr, size_t size) __attribute__((returns_nonnull));
/* `count` objects of `size` bytes, zeroed; a product that overflows ends the program. */
void *mem_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void mem_free(void *owned_ptr);
/* A heap copy of `len` bytes with a NUL behind them. */
char *mem_copy_text(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
/* Bytes handed out by the heap and by slabs now, of the whole process; also under the sanitizers'
 * own heaps. */
size_t mem_in_use(void);

#endif
