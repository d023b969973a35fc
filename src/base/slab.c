/* Objects are cut from chunks of the size of a huge page, one behind the other in the order they
 * are asked for, so that what is made together lies together. A table at the head of each chunk
 * holds their sizes. SPDX-License-Identifier: MIT */
#include "base/slab.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { CHUNK = 2 << 20, LINES = CHUNK / CACHE_LINE, SIZES = SLAB_OBJECT_MAX / CACHE_LINE };

static_assert(SIZES <= UINT8_MAX, "a size in lines is one byte");

struct chunk {
    uint8_t lines[LINES]; /* of the object that begins there */
};

struct freed {
    struct freed *next;
};

struct slab {
    pthread_mutex_t lock;
    void *reserved;
    size_t reserved_bytes;
    char *begin, *end; /* the chunks that there may be */
    char *unused;      /* none of them was touched from here on */
    char *next, *limit;
    struct freed *freed[SIZES + 1]; /* by their size in lines */
};

static _Atomic size_t in_use;

struct slab *slab_new(size_t room)
{
    size_t bytes = (room + CHUNK - 1) / CHUNK * CHUNK;
    void *reserved =
        mmap(NULL, bytes + CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        return NULL;
    }
    struct slab *s = mem_zero(sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->reserved = reserved;
    s->reserved_bytes = bytes + CHUNK;
    s->begin = (char *)reserved + (CHUNK - (uintptr_t)reserved % CHUNK) % CHUNK;
    s->end = s->begin + bytes;
    s->unused = s->begin;
    return s;
}

void slab_free(struct slab *s)
{
    if (s) {
        munmap(s->reserved, s->reserved_bytes);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

static uint8_t *lines_of(const struct slab *s, const void *object)
{
    size_t at = (size_t)((const char *)object - s->begin);
    struct chunk *chunk = (struct chunk *)(s->begin + at / CHUNK * CHUNK);
    return &chunk->lines[at % CHUNK / CACHE_LINE];
}

static bool next_chunk(struct slab *s)
{
    char *chunk = s->unused;
    if (chunk == s->end || mprotect(chunk, CHUNK, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    /* Where there are no huge pages, it is as fast as other memory. */
    (void)madvise(chunk, CHUNK, MADV_HUGEPAGE);
    s->unused = chunk + CHUNK;
    s->next = chunk + sizeof(struct chunk);
    s->limit = s->unused;
    return true;
}

static void *cut(struct slab *s, size_t lines)
{
    size_t bytes = lines * CACHE_LINE;
    if ((size_t)(s->limit - s->next) < bytes && !next_chunk(s)) {
        return NULL;
    }
    char *object = s->next;
    s->next += bytes;
    *lines_of(s, object) = (uint8_t)lines;
    return object;
}

void *slab_take(struct slab *s, size_t bytes)
{
    size_t lines = max_size(1, (bytes + CACHE_LINE - 1) / CACHE_LINE);
    if (bytes > SLAB_OBJECT_MAX) {
        return NULL;
    }
    pthread_mutex_lock(&s->lock);
    struct freed *freed = s->freed[lines];
    if (freed) {
        s->freed[lines] = freed->next;
    }
    void *object = freed ? freed : cut(s, lines);
    pthread_mutex_unlock(&s->lock);
    if (object) {
        atomic_fetch_add_explicit(&in_use, lines * CACHE_LINE, memory_order_relaxed);
    }
    return object;
}

void slab_give(struct slab *s, void *object)
{
    struct freed *freed = object;
    pthread_mutex_lock(&s->lock);
    size_t lines = *lines_of(s, object);
    freed->next = s->freed[lines];
    s->freed[lines] = freed;
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_sub_explicit(&in_use, lines * CACHE_LINE, memory_order_relaxed);
}

bool slab_holds(const struct slab *s, const void *p)
{
    return (const char *)p >= s->begin && (const char *)p < s->end;
}

size_t slab_size_of(const struct slab *s, const void *object)
{
    return (size_t)*lines_of(s, object) * CACHE_LINE;
}

size_t slabs_in_use(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}
