/* catalogue: the symbols that clients may name, and the keys that the fan-out knows them by.
 *
 * A set is immutable and counted, so that shards may read it while the main half makes a new one
 * (it does so when a symbol comes or its state changes). Keys never change while the server runs.
 * SPDX-License-Identifier: MIT */
#ifndef API_CATALOGUE_H
#define API_CATALOGUE_H
#include "market/market.h"

#define CATALOGUE_NONE UINT32_MAX

enum symbol_flag {
    SYMBOL_WATCHED = 1, /* the feeds are asked for it now */
    SYMBOL_OFFERED = 2, /* an exchange has it */
    SYMBOL_ASKED = 4,   /* watched only while somebody wants it */
};

struct catalogue_entry {
    char name[MARKET_SYMBOL_LEN + 1]; /* upper case */
    uint32_t key;
    uint8_t flags;
};

struct catalogue {
    uint32_t refs;
    size_t count;
    uint32_t *by_key;                 /* owned; place in entries, or CATALOGUE_NONE */
    size_t key_end;                   /* above the highest key */
    struct catalogue_entry entries[]; /* by name */
};

/* Copies the entries, in any order; names differ. */
struct catalogue *catalogue_new(const struct catalogue_entry *entries, size_t count);
struct catalogue *catalogue_ref(struct catalogue *c);
void catalogue_unref(struct catalogue *c); /* NULL is allowed */
/* Any case; NULL: unknown (or no catalogue yet). */
const struct catalogue_entry *catalogue_find(const struct catalogue *c, struct str name);

/* NULL: there is no such key. */
const struct catalogue_entry *catalogue_of_key(const struct catalogue *c, uint32_t key);

/* A list of symbols as a client gave it, looked up. */
#define SYMBOLS_MAX 500 /* different ones a list */
struct symbols {
    uint32_t keys[SYMBOLS_MAX]; /* known ones, each once */
    size_t count;
    size_t named;                 /* different names so far, known or not */
    struct buf unknown;           /* JSON text: "X","Y", each once, long ones cut */
    uint64_t hashes[SYMBOLS_MAX]; /* of the unknown ones */
    size_t unknown_count;
    size_t given; /* names so far, also the same again */
};
/* Adds a name in any case. ERR_LIMIT: more than SYMBOLS_MAX different ones, or many times the same.
 */
enum err symbols_add(struct symbols *s, const struct catalogue *c, struct str name) MUST_CHECK;
void symbols_fini(struct symbols *s);

#endif
