/* SPDX-License-Identifier: MIT */
#include "tests/lib/memory_store.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

enum ask_kind { ASK_ADD, ASK_GET, ASK_PUT, ASK_READ };

struct ask {
    struct list node;
    enum ask_kind kind;
    struct buf name, text;
    int64_t delta;
    memory_number_fn number;
    memory_text_fn words;
    void *arg;
};

struct entry {
    int64_t count;
    struct buf text;
};

struct memory_store {
    struct map entries;
    struct list asked;
    enum err broken;
};

struct memory_store *memory_store_new(void)
{
    struct memory_store *m = mem_zero(sizeof(*m));
    list_init(&m->asked);
    return m;
}

static void ask_free(struct ask *a)
{
    list_remove(&a->node);
    buf_fini(&a->name);
    buf_fini(&a->text);
    mem_free(a);
}

void memory_store_crash(struct memory_store *m)
{
    list_each (node, &m->asked) {
        ask_free(containerof(node, struct ask, node));
    }
}

void memory_store_free(struct memory_store *m)
{
    size_t at = 0;
    struct str key;
    void *value = NULL;
    memory_store_crash(m);
    while (map_next(&m->entries, &at, &key, &value)) {
        struct entry *e = value;
        buf_fini(&e->text);
        mem_free(e);
    }
    map_fini(&m->entries);
    mem_free(m);
}

static struct entry *entry_of(struct memory_store *m, struct str name)
{
    struct entry *e = map_get(&m->entries, name);
    if (!e) {
        e = mem_zero(sizeof(*e));
        if (map_put(&m->entries, name, e) != OK) {
            abort();
        }
    }
    return e;
}

static void do_one(struct memory_store *m, struct ask *a)
{
    struct entry *e = m->broken == OK ? entry_of(m, buf_str(&a->name)) : NULL;
    switch (a->kind) {
    case ASK_ADD:
        if (e) {
            e->count += a->delta;
        }
        a->number(a->arg, m->broken, e ? e->count : 0);
        return;
    case ASK_GET:
        a->number(a->arg, m->broken, e ? e->count : 0);
        return;
    case ASK_PUT:
        if (e) {
            buf_clear(&e->text);
            buf_add_str(&e->text, buf_str(&a->text));
        }
        a->number(a->arg, m->broken, 0);
        return;
    case ASK_READ:
        if (e && e->text.len == 0) {
            a->words(a->arg, ERR_NOT_FOUND, (struct str){0});
        } else {
            a->words(a->arg, m->broken, e ? buf_str(&e->text) : (struct str){0});
        }
        return;
    }
}

void memory_store_sync(struct memory_store *m)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &m->asked);
    for (struct list *node = list_pop(&now); node; node = list_pop(&now)) {
        struct ask *a = containerof(node, struct ask, node);
        do_one(m, a);
        ask_free(a);
    }
}

void memory_store_break(struct memory_store *m, enum err e)
{
    m->broken = e;
}

int64_t memory_store_count(const struct memory_store *m, const char *name)
{
    const struct entry *e = map_get(&m->entries, str_of(name));
    return e ? e->count : 0;
}

static struct ask *ask_new(void *m, enum ask_kind kind, struct str name, void *arg)
{
    struct memory_store *store = m;
    struct ask *a = mem_zero(sizeof(*a));
    a->kind = kind;
    a->arg = arg;
    buf_add_str(&a->name, name);
    list_push(&store->asked, &a->node);
    return a;
}

void memory_store_add(void *m, struct str name, int64_t delta, memory_number_fn done, void *arg)
{
    struct ask *a = ask_new(m, ASK_ADD, name, arg);
    a->delta = delta;
    a->number = done;
}

void memory_store_get(void *m, struct str name, memory_number_fn done, void *arg)
{
    ask_new(m, ASK_GET, name, arg)->number = done;
}

void memory_store_text_put(void *m, struct str key, struct str value, memory_number_fn done,
                           void *arg)
{
    struct ask *a = ask_new(m, ASK_PUT, key, arg);
    buf_add_str(&a->text, value);
    a->number = done;
}

void memory_store_text_get(void *m, struct str key, memory_text_fn done, void *arg)
{
    ask_new(m, ASK_READ, key, arg)->words = done;
}
