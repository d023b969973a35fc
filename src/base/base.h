/* base: what every file may rely on: attributes, containerof, and the functions nobody may call.
 *
 * Include it first. It pulls in only <stddef.h>, <stdint.h> and <stdbool.h>.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_BASE_H
#define BASE_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define CACHE_LINE 64
/* Starts to bring what lies there into the nearest cache, or the second one: better for more than
 * a few lines at once, for they need no room in the first. Hints: any address will do. */
#define prefetch(p) __builtin_prefetch((p), 1, 3)
#define prefetch_l2(p) __builtin_prefetch((p), 0, 2)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member`, from a pointer to that member. */
#define containerof(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Text goes through struct str and struct buf, numbers through str_to_*(): these have no bounds or
 * no errors, so they do not compile here. */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atof gets strncpy

#endif
