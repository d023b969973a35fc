/* map: text keys to pointers, open addressing. The map copies its keys and does not own its values.
 * A zeroed struct map is empty and has no ceiling; map_init() gives one. Not ordered: sort what
 * must look the same twice. SPDX-License-Identifier: MIT */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/str.h"

struct map_slot {
    char *key; /* owned, NUL-terminated; NULL: empty, or a grave when `hash` is 1 */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_slot *slots;
    size_t cap, count, used;
    size_t max; /* 0: none */
};

void map_init(struct map *m, size_t max);
/* Frees keys and slots, not values. */
void map_fini(struct map *m);
/* NULL when absent. */
void *map_get(const struct map *m, struct str key);
/* Adds or replaces; ERR_LIMIT beyond the ceiling. `value` must not be NULL. */
enum err map_put(struct map *m, struct str key, void *value) MUST_CHECK;
/* Takes the entry out and gives its value; NULL when absent. */
void *map_remove(struct map *m, struct str key);
/* Walk: start with *at = 0; false at the end. Removing the entry just given is allowed, adding is
 * not. */
bool map_next(const struct map *m, size_t *at, struct str *key, void **value);

#endif
