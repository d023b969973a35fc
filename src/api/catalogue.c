/* SPDX-License-Identifier: MIT */
#include "api/catalogue.h"

#include "base/alloc.h"
#include "base/json.h"

/* A list is looked through for each of its names: with the same ones over and over a large message
 * would take seconds. */
enum { SHOWN_LEN = 64, GIVEN_MAX = 4 * SYMBOLS_MAX };

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static int by_name(const void *a, const void *b)
{
    const struct catalogue_entry *x = a;
    const struct catalogue_entry *y = b;
    return str_cmp(str_of(x->name), str_of(y->name));
}

struct catalogue *catalogue_new(const struct catalogue_entry *entries, size_t count)
{
    struct catalogue *c = mem_zero(sizeof(*c) + count * sizeof(*entries));
    c->refs = 1;
    c->count = count;
    if (count) {
        memcpy(c->entries, entries, count * sizeof(*entries));
        qsort(c->entries, count, sizeof(*entries), by_name);
    }
    for (size_t i = 0; i < count; i++) {
        c->key_end = max_size(c->key_end, (size_t)entries[i].key + 1);
    }
    c->by_key = mem_array(c->key_end + 1, sizeof(*c->by_key));
    memset(c->by_key, 0xff, (c->key_end + 1) * sizeof(*c->by_key));
    for (size_t i = 0; i < count; i++) {
        c->by_key[c->entries[i].key] = (uint32_t)i;
    }
    return c;
}

struct catalogue *catalogue_ref(struct catalogue *c)
{
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void catalogue_unref(struct catalogue *c)
{
    if (c && __atomic_fetch_sub(&c->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        mem_free(c->by_key);
        mem_free(c);
    }
}

const struct catalogue_entry *catalogue_of_key(const struct catalogue *c, uint32_t key)
{
    bool known = c && key < c->key_end && c->by_key[key] != CATALOGUE_NONE;
    return known ? &c->entries[c->by_key[key]] : NULL;
}

const struct catalogue_entry *catalogue_find(const struct catalogue *c, struct str name)
{
    struct catalogue_entry wanted = {0};
    if (!c || name.len == 0 || name.len > MARKET_SYMBOL_LEN) {
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        wanted.name[i] = upper(name.ptr[i]);
    }
    return bsearch(&wanted, c->entries, c->count, sizeof(wanted), by_name);
}

/* As a JSON text, in upper case, cut where nobody reads on. */
static void quoted(struct buf *out, struct str name)
{
    char shown[SHOWN_LEN];
    size_t len = min_size(name.len, sizeof(shown));
    for (size_t i = 0; i < len; i++) {
        shown[i] = upper(name.ptr[i]);
    }
    json_escape(out, str_make(shown, len));
}

static enum err add_unknown(struct symbols *s, struct str name)
{
    size_t before = s->unknown.len;
    if (before) {
        buf_add_char(&s->unknown, ',');
    }
    size_t at = s->unknown.len;
    quoted(&s->unknown, name);
    uint64_t hash = str_hash(str_from(buf_str(&s->unknown), at));
    bool seen = false;
    for (size_t i = 0; i < s->unknown_count; i++) {
        seen = seen || s->hashes[i] == hash;
    }
    if (seen || s->named == SYMBOLS_MAX) {
        s->unknown.len = before;
        return seen ? OK : ERR_LIMIT;
    }
    s->hashes[s->unknown_count++] = hash;
    s->named++;
    return OK;
}

enum err symbols_add(struct symbols *s, const struct catalogue *c, struct str name)
{
    const struct catalogue_entry *entry = catalogue_find(c, name);
    if (++s->given > GIVEN_MAX) {
        return ERR_LIMIT;
    }
    if (!entry) {
        return add_unknown(s, name);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->keys[i] == entry->key) {
            return OK;
        }
    }
    if (s->named == SYMBOLS_MAX) {
        return ERR_LIMIT;
    }
    s->keys[s->count++] = entry->key;
    s->named++;
    return OK;
}

void symbols_fini(struct symbols *s)
{
    buf_fini(&s->unknown);
}
