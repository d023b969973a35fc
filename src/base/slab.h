/* slab: memory for many objects of a few sizes that live long: next to one another, each at a cache
 * line of its own, in huge pages where the kernel has them. What is done to a thousand objects in
 * turn then needs a handful of entries of the TLB, not some thousands. Any thread.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H
#include "base/base.h"

/* Larger objects are not taken. */
#define SLAB_OBJECT_MAX 8192

struct slab;
/* May come to hold `room` bytes; until then it costs addresses, not memory. NULL: there are none.
 */
struct slab *slab_new(size_t room);
/* With all that is in it. NULL is fine. */
void slab_free(struct slab *s);
/* An object of so many bytes, uninitialised; NULL: too large, or the room is used up. */
void *slab_take(struct slab *s, size_t bytes);
/* What slab_take() gave is free for the next object of its size; the system never gets it back. */
void slab_give(struct slab *s, void *object);
bool slab_holds(const struct slab *s, const void *p);
/* At least what was asked for. */
size_t slab_size_of(const struct slab *s, const void *object);
/* Bytes of the objects taken now, in all slabs. */
size_t slabs_in_use(void);

#endif
